//! What acquisition needs of the networks: finding faces, measuring them, and making a probe of the chosen frames.
//!
//! [`FaceReader`] is a seam: the agent's is [`models::pipeline::Pipeline`], loaded and checked against its
//! manifest by [`load`].

use std::{error::Error, sync::Arc};

use models::{
    manifest::{Manifest, ManifestError},
    picture::Picture,
    pipeline::{LoadError, Pipeline},
    sample,
    selftest::SelfTestFailure,
};
use models_core::{Component, DetectedFace, Measure, ModelId, Quality, RecipeId};
use proto::v1;
use thiserror::Error;
use tracing::info;

use crate::config::ModelsConfig;

/// A network failed on a frame.
#[derive(Debug, Error)]
#[error("the {step} failed")]
pub struct VisionError {
    /// What was being done.
    pub step: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl VisionError {
    /// An error of this step.
    pub fn new(step: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self { step, source: Box::new(source) }
    }
}

/// A frame that was chosen: the picture, the face in it, and what was measured of that face.
pub type Chosen<'a> = (&'a Picture, &'a DetectedFace, &'a Quality);

/// Finds faces, measures them and makes probes.
pub trait FaceReader: Send + Sync + 'static {
    /// The feature model of its templates.
    fn feature_model(&self) -> &ModelId;

    /// The recipe of its templates.
    fn recipe(&self) -> &RecipeId;

    /// How many frames the recipe fuses into a probe.
    fn frames(&self) -> usize;

    /// All faces of a picture, in its pixels.
    ///
    /// # Errors
    /// When the network fails.
    fn detect(&self, picture: &Picture) -> Result<Vec<DetectedFace>, VisionError>;

    /// The faces around where one was a moment ago; none means that it is to be looked for everywhere.
    ///
    /// # Errors
    /// When the network fails.
    fn detect_near(&self, picture: &Picture, last: &DetectedFace) -> Result<Vec<DetectedFace>, VisionError>;

    /// The quality of one of the faces of a picture.
    ///
    /// # Errors
    /// When a network fails.
    fn quality(&self, picture: &Picture, faces: &[DetectedFace], face: &DetectedFace) -> Result<Quality, VisionError>;

    /// Template, attack score and samples of as many frames as the recipe fuses, the best first.
    ///
    /// # Errors
    /// When a network or the encoder fails.
    fn probe(&self, frames: &[Chosen<'_>]) -> Result<v1::ProbeSample, VisionError>;
}

impl FaceReader for Pipeline {
    fn feature_model(&self) -> &ModelId {
        Self::feature_model(self)
    }

    fn recipe(&self) -> &RecipeId {
        Self::recipe(self)
    }

    fn frames(&self) -> usize {
        Self::frames(self)
    }

    fn detect(&self, picture: &Picture) -> Result<Vec<DetectedFace>, VisionError> {
        Self::detect(self, picture).map_err(|error| VisionError::new("detector", error))
    }

    fn detect_near(&self, picture: &Picture, last: &DetectedFace) -> Result<Vec<DetectedFace>, VisionError> {
        Self::detect_near(self, picture, last).map_err(|error| VisionError::new("detector", error))
    }

    fn quality(&self, picture: &Picture, faces: &[DetectedFace], face: &DetectedFace) -> Result<Quality, VisionError> {
        Self::quality(self, picture, faces, face).map_err(|error| VisionError::new("measuring of quality", error))
    }

    fn probe(&self, frames: &[Chosen<'_>]) -> Result<v1::ProbeSample, VisionError> {
        let pictures: Vec<(&Picture, &DetectedFace)> = frames.iter().map(|(picture, face, _)| (*picture, *face)).collect();
        let template = self.template_of_frames(&pictures).map_err(|error| VisionError::new("feature model", error))?;
        let attack = self.attack_score_of_frames(&pictures).map_err(|error| VisionError::new("attack model", error))?;
        let mut samples = frames.iter().map(sample_of).collect::<Result<Vec<_>, _>>()?.into_iter();
        Ok(v1::ProbeSample {
            template: Some(v1::Template {
                model_id: template.model().to_string(),
                recipe_id: template.recipe().to_string(),
                features_f16: template.to_f16_le_bytes(),
            }),
            sample: samples.next(),
            further_samples: samples.collect(),
            attack: attack.map(|attack| v1::AttackScore { model_id: attack.model.to_string(), live: attack.live }),
            detection_score: pictures.first().map_or(0.0, |(_, face)| face.score),
        })
    }
}

fn sample_of((picture, face, quality): &Chosen<'_>) -> Result<v1::Sample, VisionError> {
    let sample = sample::crop(picture, face).map_err(|error| VisionError::new("sample's encoding", error))?;
    let measure = |(component, measure): (Component, Measure)| v1::QualityMeasure {
        component: component.word().to_owned(),
        raw: measure.raw,
        score: measure.score.into(),
    };
    Ok(v1::Sample {
        landmarks: sample.landmarks.0.iter().flat_map(|point| [point.x, point.y]).collect(),
        face_box: vec![sample.face_box.left, sample.face_box.top, sample.face_box.right, sample.face_box.bottom],
        quality: quality.iter().map(measure).collect(),
        jpeg: sample.jpeg,
    })
}

/// The models cannot be used.
#[derive(Debug, Error)]
pub enum ModelsError {
    /// The manifest is not in order.
    #[error("the manifest of the models cannot be used")]
    Manifest(#[source] ManifestError),
    /// A model is missing or not the manifest's.
    #[error("the models cannot be loaded; `models fetch` obtains them and `models verify` checks them")]
    Load(#[source] LoadError),
    /// They run, and not as they should: a wrong channel order, scale or crop in the manifest, or a wrong file.
    #[error("the models do not work as they should; `models check` shows what was tested")]
    SelfTest(#[source] SelfTestFailure),
}

/// Loads the models the configuration names, and tests them: better no start than wrong answers to everyone.
///
/// # Errors
/// When a file is missing or differs from the manifest, or the self-test fails.
pub fn load(config: &ModelsConfig) -> Result<Arc<dyn FaceReader>, ModelsError> {
    let manifest = if config.manifest.as_os_str().is_empty() {
        Manifest::shipped()
    } else {
        Manifest::load(&config.manifest).map_err(ModelsError::Manifest)?
    };
    let dir = if config.dir.as_os_str().is_empty() { models::cache::default_dir() } else { config.dir.clone() };
    let pipeline = Pipeline::load(&manifest, &dir).map_err(ModelsError::Load)?;
    let report = pipeline.self_test(&manifest, &dir).map_err(ModelsError::SelfTest)?;
    info!(models.self_test = %report, "models loaded and tested");
    Ok(Arc::new(pipeline))
}
