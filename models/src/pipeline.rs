//! The pipeline from pixels to a template, for counters and center alike.
//!
//! One [`Pipeline`] serves all threads: its networks are read-only and shared.

use std::{fmt, path::Path, sync::Arc};

use models_core::{DetectedFace, FaceRefusal, FaceRule, Gate, ModelId, Quality, QualityRefusal, RecipeId, Template, dominant_face};
use thiserror::Error;

use crate::{
    attack::Attack,
    cache,
    detector::Detector,
    eyes::Eyes,
    features::{Features, Placed},
    landmarks::ContourFinder,
    manifest::{Manifest, Model, Role},
    picture::{DecodeError, Picture},
    pose::Pose,
    quality::QualityModels,
    side_by_side::side_by_side,
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
    quality: QualityModels,
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
    /// What was measured of it.
    pub quality: Quality,
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
    /// It falls short of the gate.
    #[error(transparent)]
    Quality(QualityRefusal),
}

impl PhotoRefusal {
    /// The word for it in records and reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Face(refusal) => refusal.word(),
            Self::Quality(refusal) => refusal.component.word(),
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
    /// Loads the networks: checks each file's digest, then names, shapes and dimension against the
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
            quality: load_quality(manifest, cache_dir)?,
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

    /// Every component of quality that can be measured of `face`, one of the `faces` of an upright picture.
    ///
    /// # Errors
    /// When the face lies outside the picture or a network fails.
    pub fn quality(&self, picture: &Picture, faces: &[DetectedFace], face: &DetectedFace) -> Result<Quality, RunError> {
        self.0.quality.measure(&self.0.features, picture, faces, face)
    }

    /// Features of one face of the picture, by the recipe.
    ///
    /// # Errors
    /// When the landmarks are no face's or the network fails.
    pub fn template(&self, picture: &Picture, face: &DetectedFace) -> Result<Template, RunError> {
        self.template_of_frames(&[(picture, face)])
    }

    /// Features of one face in 1 to [`Pipeline::frames`] frames, by the recipe.
    ///
    /// # Errors
    /// With no frame or too many, when landmarks are no face's, or when the network fails.
    pub fn template_of_frames(&self, frames: &[(&Picture, &DetectedFace)]) -> Result<Template, RunError> {
        let frames = side_by_side(frames, |(picture, face)| self.placed(picture, face)).into_iter().collect::<Result<Vec<_>, _>>()?;
        self.0.features.template(&frames)
    }

    fn placed<'a>(&self, picture: &'a Picture, face: &DetectedFace) -> Result<Placed<'a>, RunError> {
        let closer = match self.0.features.looks {
            1 => face.landmarks,
            _ => self.0.detector.closer(picture, face)?,
        };
        Ok(Placed { picture, landmarks: face.landmarks, closer })
    }

    /// Frames that a probe is fused of, by the recipe.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.0.features.frames
    }

    /// Features of a single crop as it is, whatever the recipe says: for paired evaluation only. The template's
    /// recipe ends in `-plain`, so that it cannot be compared with a real one.
    ///
    /// # Errors
    /// As [`Pipeline::template`].
    pub fn plain_template(&self, picture: &Picture, face: &DetectedFace) -> Result<Template, RunError> {
        self.0.features.plain(picture, &face.landmarks)
    }

    /// How live one face of the picture looks. None when too little of its surroundings is in the picture for a
    /// score to mean anything: not assessable, which is neither live nor an attack.
    ///
    /// # Errors
    /// When the face lies outside the picture or the network fails.
    pub fn attack_score(&self, picture: &Picture, face: &DetectedFace) -> Result<Option<AttackScore>, RunError> {
        self.0.attack.score(picture, &face.face_box)
    }

    /// How live one face looks over several frames. None when no frame is assessable.
    ///
    /// # Errors
    /// As [`Pipeline::attack_score`].
    pub fn attack_score_of_frames(&self, frames: &[(&Picture, &DetectedFace)]) -> Result<Option<AttackScore>, RunError> {
        self.0.attack.fused(frames)
    }

    /// Decodes a photo, chooses the one face that counts, holds its quality against the gate and makes its
    /// template.
    ///
    /// # Errors
    /// When a network fails. A photo that cannot be enrolled is an outcome: the inner `Err`.
    pub fn enrol(&self, photo: &[u8], rule: &FaceRule, gate: &Gate) -> Result<Result<EnrolmentSample, PhotoRefusal>, RunError> {
        let picture = match Picture::decode(photo) {
            Ok(picture) => picture,
            Err(error) => return Ok(Err(PhotoRefusal::Unreadable(error))),
        };
        let faces = self.detect(&picture)?;
        let face = match dominant_face(&faces, picture.width() as f32, picture.height() as f32, rule) {
            Ok(face) => face,
            Err(refusal) => return Ok(Err(PhotoRefusal::Face(refusal))),
        };
        let quality = self.quality(&picture, &faces, &face)?;
        if let Err(refusal) = gate.check(&quality) {
            return Ok(Err(PhotoRefusal::Quality(refusal)));
        }
        Ok(Ok(EnrolmentSample { template: self.template(&picture, &face)?, face, quality }))
    }

    /// Runs every network once on a picture (all but the detector on `face`, when there is one) and returns their exact inputs and outputs.
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
            traces.extend(self.0.quality.trace(picture, face)?);
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

/// The networks of quality; one that the manifest has not, or does not run, is left out.
fn load_quality(manifest: &Manifest, cache_dir: &Path) -> Result<QualityModels, LoadError> {
    let optional = |role: Role| {
        let runs = manifest.model(role).is_some_and(|model| model.runner);
        runs.then(|| read(manifest, role, cache_dir)).transpose()
    };
    let contour = optional(Role::Landmarks)?.map(|(model, bytes)| ContourFinder::load(&model, &bytes)).transpose()?;
    let eyes = optional(Role::Eyes)?.map(|(model, bytes)| Eyes::load(&model, &bytes)).transpose()?;
    let pose = optional(Role::Pose)?.map(|(model, bytes)| Pose::load(&model, &bytes)).transpose()?;
    Ok(QualityModels { contour, eyes, pose })
}

fn read(manifest: &Manifest, role: Role, cache_dir: &Path) -> Result<(Arc<Model>, Vec<u8>), LoadError> {
    let model = manifest.model(role).filter(|model| model.runner).ok_or(LoadError::NoModel(role))?;
    Ok((Arc::new(model.clone()), cache::read(model, cache_dir)?))
}
