//! What acquisition needs of the networks: finding faces, and making a probe of the chosen one.
//!
//! [`FaceReader`] is a seam: the agent's is [`models::pipeline::Pipeline`], loaded and checked against its
//! manifest by [`load`].

use std::{error::Error, sync::Arc};

use models::{
    manifest::{Manifest, ManifestError},
    picture::Picture,
    pipeline::{LoadError, Pipeline},
    sample,
};
use models_core::{DetectedFace, ModelId, RecipeId};
use proto::v1;
use thiserror::Error;

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

/// Finds faces and makes probes.
pub trait FaceReader: Send + Sync + 'static {
    /// The feature model of its templates.
    fn feature_model(&self) -> &ModelId;

    /// The recipe of its templates.
    fn recipe(&self) -> &RecipeId;

    /// All faces of a picture, in its pixels.
    ///
    /// # Errors
    /// When the network fails.
    fn detect(&self, picture: &Picture) -> Result<Vec<DetectedFace>, VisionError>;

    /// Template, attack score and sample of one face.
    ///
    /// # Errors
    /// When a network or the encoder fails.
    fn probe(&self, picture: &Picture, face: &DetectedFace) -> Result<v1::ProbeSample, VisionError>;
}

impl FaceReader for Pipeline {
    fn feature_model(&self) -> &ModelId {
        Self::feature_model(self)
    }

    fn recipe(&self) -> &RecipeId {
        Self::recipe(self)
    }

    fn detect(&self, picture: &Picture) -> Result<Vec<DetectedFace>, VisionError> {
        Self::detect(self, picture).map_err(|error| VisionError::new("detector", error))
    }

    fn probe(&self, picture: &Picture, face: &DetectedFace) -> Result<v1::ProbeSample, VisionError> {
        let template = self.template(picture, face).map_err(|error| VisionError::new("feature model", error))?;
        let attack = self.attack_score(picture, face).map_err(|error| VisionError::new("attack model", error))?;
        let sample = sample::crop(picture, face).map_err(|error| VisionError::new("sample's encoding", error))?;
        Ok(v1::ProbeSample {
            template: Some(v1::Template {
                model_id: template.model().to_string(),
                recipe_id: template.recipe().to_string(),
                features_f16: template.to_f16_le_bytes(),
            }),
            sample: Some(v1::Sample {
                landmarks: sample.landmarks.0.iter().flat_map(|point| [point.x, point.y]).collect(),
                face_box: vec![sample.face_box.left, sample.face_box.top, sample.face_box.right, sample.face_box.bottom],
                jpeg: sample.jpeg,
            }),
            attack: attack.map(|attack| v1::AttackScore { model_id: attack.model.to_string(), live: attack.live }),
            detection_score: face.score,
        })
    }
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
}

/// Loads the models the configuration names.
///
/// # Errors
/// When a file is missing or differs from the manifest.
pub fn load(config: &ModelsConfig) -> Result<Arc<dyn FaceReader>, ModelsError> {
    let manifest = if config.manifest.as_os_str().is_empty() {
        Manifest::shipped()
    } else {
        Manifest::load(&config.manifest).map_err(ModelsError::Manifest)?
    };
    let dir = if config.dir.as_os_str().is_empty() { models::cache::default_dir() } else { config.dir.clone() };
    Ok(Arc::new(Pipeline::load(&manifest, &dir).map_err(ModelsError::Load)?))
}
