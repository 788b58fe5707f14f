//! The pipeline from pixels to a template, for counters and center alike.
//!
//! One [`Pipeline`] serves all threads: its networks are read-only and shared.

use std::{fmt, path::Path, sync::Arc};

use models_core::{DetectedFace, FaceRefusal, FaceRule, ModelId, RecipeId, Template, dominant_face};
use thiserror::Error;

use crate::{
    attack::Attack,
    cache,
    detector::Detector,
    features::Features,
    manifest::{Manifest, Model, Role},
    picture::{DecodeError, Picture},
};
pub use crate::{
    attack::AttackScore,
    network::{EngineError, LoadError, RunError},
    warp::ResampleError,
};

/// Detector, features and attack detection, loaded and checked. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline(Arc<Parts>);

struct Parts {
    detector_id: ModelId,
    detector: Detector,
    features: Features,
    attack: Attack,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pipeline({}, {}, {})", self.detector_model(), self.feature_model(), self.attack_model())
    }
}

/// What enrolment keeps of a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrolmentSample {
    /// Features of the one face that counts.
    pub template: Template,
    /// Where that face is.
    pub face: DetectedFace,
}

/// Why a photo cannot be enrolled. An outcome, not a fault.
#[derive(Debug, Error)]
pub enum PhotoRefusal {
    /// The bytes are no usable picture.
    #[error(transparent)]
    Unreadable(DecodeError),
    /// No face of it counts.
    #[error(transparent)]
    Face(FaceRefusal),
}

impl PhotoRefusal {
    /// The word for it in records and reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Face(refusal) => refusal.word(),
        }
    }
}

/// What a network is given and what it answers, for a comparison with another engine.
#[derive(Clone)]
pub struct Trace {
    /// What the model does.
    pub role: Role,
    /// Shape of the input: 1, channels, height, width.
    pub shape: [usize; 4],
    /// The input, row by row.
    pub input: Vec<f32>,
    /// Each output in the manifest's order, with its name.
    pub outputs: Vec<(String, Vec<f32>)>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({}, {:?})", self.role.word(), self.shape)
    }
}

impl Pipeline {
    /// Loads the three networks: checks each file's digest, then names, shapes and dimension against the
    /// manifest.
    ///
    /// # Errors
    /// When a file is missing, is another one, or does not keep the manifest's word.
    pub fn load(manifest: &Manifest, cache_dir: &Path) -> Result<Self, LoadError> {
        let (detector, detector_bytes) = read(manifest, Role::Detector, cache_dir)?;
        let (features, features_bytes) = read(manifest, Role::Features, cache_dir)?;
        let (attack, attack_bytes) = read(manifest, Role::Attack, cache_dir)?;
        let parts = Parts {
            detector_id: detector.id.clone(),
            detector: Detector::load(&detector, &detector_bytes)?,
            features: Features::load(&features, &features_bytes)?,
            attack: Attack::load(&attack, &attack_bytes)?,
        };
        tracing::debug!(detector.id = %parts.detector_id, features.id = %parts.features.model, attack.id = %parts.attack.model, "models loaded");
        Ok(Self(Arc::new(parts)))
    }

    /// The model that finds faces.
    #[must_use]
    pub fn detector_model(&self) -> &ModelId {
        &self.0.detector_id
    }

    /// The model that makes features.
    #[must_use]
    pub fn feature_model(&self) -> &ModelId {
        &self.0.features.model
    }

    /// How pixels become features.
    #[must_use]
    pub fn recipe(&self) -> &RecipeId {
        &self.0.features.recipe
    }

    /// Number of features in a template.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.0.features.dimension
    }

    /// The model that tells attacks.
    #[must_use]
    pub fn attack_model(&self) -> &ModelId {
        &self.0.attack.model
    }

    /// All faces whose score reaches the manifest's threshold, best score first. None is an answer.
    ///
    /// # Errors
    /// When the network fails.
    pub fn detect(&self, picture: &Picture) -> Result<Vec<DetectedFace>, RunError> {
        self.0.detector.detect(picture)
    }

    /// As [`Pipeline::detect`], only in the surroundings of a face that the frame before had, at a fraction of
    /// the cost. Faces in pixels of the whole picture; none when it is lost: search all of it again.
    ///
    /// # Errors
    /// When the network fails.
    pub fn detect_near(&self, picture: &Picture, last: &DetectedFace) -> Result<Vec<DetectedFace>, RunError> {
        self.0.detector.detect_near(picture, last)
    }

    /// Features of one face of the picture.
    ///
    /// # Errors
    /// When the landmarks are no face's or the network fails.
    pub fn template(&self, picture: &Picture, face: &DetectedFace) -> Result<Template, RunError> {
        self.0.features.template(picture, &face.landmarks)
    }

    /// How live one face of the picture looks.
    ///
    /// # Errors
    /// When the face lies outside the picture or the network fails.
    pub fn attack_score(&self, picture: &Picture, face: &DetectedFace) -> Result<AttackScore, RunError> {
        self.0.attack.score(picture, &face.face_box)
    }

    /// Decodes a photo, chooses the one face that counts and makes its template.
    ///
    /// # Errors
    /// When a network fails. A photo that cannot be enrolled is an outcome: the inner `Err`.
    pub fn enrol(&self, photo: &[u8], rule: &FaceRule) -> Result<Result<EnrolmentSample, PhotoRefusal>, RunError> {
        let picture = match Picture::decode(photo) {
            Ok(picture) => picture,
            Err(error) => return Ok(Err(PhotoRefusal::Unreadable(error))),
        };
        let faces = self.detect(&picture)?;
        match dominant_face(&faces, picture.width() as f32, picture.height() as f32, rule) {
            Ok(face) => Ok(Ok(EnrolmentSample { template: self.template(&picture, &face)?, face })),
            Err(refusal) => Ok(Err(PhotoRefusal::Face(refusal))),
        }
    }

    /// Runs every network once on a picture (features and attack detection on `face`, when there is one) and
    /// returns their exact inputs and outputs.
    ///
    /// # Errors
    /// As [`Pipeline::detect`], [`Pipeline::template`] and [`Pipeline::attack_score`].
    pub fn trace(&self, picture: &Picture, face: Option<&DetectedFace>) -> Result<Vec<Trace>, RunError> {
        let letterboxed = self.0.detector.letterbox(picture)?;
        let mut traces = vec![letterboxed.network.trace(&letterboxed.rgb)?];
        if let Some(face) = face {
            let (features, attack) = (&self.0.features, &self.0.attack);
            traces.push(features.network.trace(&features.aligned(picture, &face.landmarks)?)?);
            traces.push(attack.network.trace(&attack.cropped(picture, &face.face_box)?)?);
        }
        Ok(traces)
    }

    /// Runs a trace's network again on the trace's input, and nothing else. For benches.
    ///
    /// # Errors
    /// When the trace is none of this pipeline's or the network fails.
    pub fn replay(&self, trace: &Trace) -> Result<Vec<Vec<f32>>, RunError> {
        let parts = &self.0;
        let [_, _, height, width] = trace.shape;
        let detector;
        let network = match trace.role {
            Role::Features => &parts.features.network,
            Role::Attack => &parts.attack.network,
            Role::Detector | Role::Landmarks | Role::Eyes | Role::Pose | Role::FastBoxes => {
                detector = parts.detector.network(width as u32, height as u32)?;
                &detector
            }
        };
        network.replay(trace)
    }
}

fn read(manifest: &Manifest, role: Role, cache_dir: &Path) -> Result<(Arc<Model>, Vec<u8>), LoadError> {
    let model = manifest.model(role).filter(|model| model.runner).ok_or(LoadError::NoModel(role))?;
    Ok((Arc::new(model.clone()), cache::read(model, cache_dir)?))
}
