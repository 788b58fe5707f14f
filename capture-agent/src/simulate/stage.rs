//! The simulator's camera, and eyes that read faces from the colour of a picture. What the camera shows is set for each
//! acquisition, once the camera is its own.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capture_core::Fingerprint;
use models::picture::Picture;
use models_core::{Component, DetectedFace, FaceBox, Landmarks, Measure, ModelId, Point, Quality, RecipeId};
use proto::v1;

use super::{
    SimulateError,
    script::{Outcome, Script},
};
use crate::{
    camera::{CameraError, Grabbed, Grabber, Pixels, Source, Stop},
    command::VerifyCommand,
    vision::{Chosen, FaceReader, VisionError},
};

/// The simulator's feature model and recipe.
pub(super) const MODEL: &str = "simulator@1";
const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;
/// The camera gives a frame this often.
const EVERY: Duration = Duration::from_millis(15);

/// What stands before the camera, or is wrong with it, in the next acquisition; the well-lit person of everybody's card otherwise.
#[derive(Debug)]
pub(super) struct Stage {
    script: Arc<Script>,
    next: Mutex<Outcome>,
}

impl Stage {
    pub(super) fn new(script: Arc<Script>) -> Arc<Self> {
        Arc::new(Self { script, next: Mutex::default() })
    }

    /// The next acquisition is for this command.
    pub(super) fn set(&self, command: &VerifyCommand) {
        *self.next() = self.script.planned(command.number.as_str(), command.transaction.as_str(), command.attempt.get()).outcome;
    }

    fn next(&self) -> MutexGuard<'_, Outcome> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The simulated camera. What is wrong with it is wrong once: it is well when it is looked at again.
pub(super) struct SimulatedCamera(pub(super) Arc<Stage>);

/// What its pictures show, as eyes read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Person,
    Nobody,
    Several,
    Covered,
    Black,
}

impl Shown {
    const ALL: [Self; 5] = [Self::Person, Self::Nobody, Self::Several, Self::Covered, Self::Black];

    fn colour(self) -> [u8; 3] {
        match self {
            Self::Person => [200, 120, 90],
            Self::Nobody => [90, 90, 90],
            Self::Several => [90, 200, 90],
            Self::Covered => [120, 120, 220],
            Self::Black => [0, 0, 0],
        }
    }

    fn of(picture: &Picture) -> Self {
        Self::ALL.into_iter().find(|shown| picture.pixels().starts_with(&shown.colour())).unwrap_or(Self::Nobody)
    }
}

impl Source for SimulatedCamera {
    fn open(&self) -> Result<Box<dyn Grabber>, CameraError> {
        let outcome = std::mem::take(&mut *self.0.next());
        let (shown, frames) = match outcome {
            Outcome::CameraAbsent => return Err(CameraError::Absent("the simulator has none".into())),
            Outcome::CameraBusy => return Err(CameraError::Busy),
            Outcome::CameraLost => (Shown::Nobody, Ends::Unplugged),
            Outcome::CameraStalled => (Shown::Nobody, Ends::Stalls),
            Outcome::CameraBlack => (Shown::Black, Ends::Never),
            Outcome::NoFace => (Shown::Nobody, Ends::Never),
            Outcome::SeveralFaces => (Shown::Several, Ends::Never),
            Outcome::FaceCovered => (Shown::Covered, Ends::Never),
            Outcome::Match
            | Outcome::Review
            | Outcome::NonMatch
            | Outcome::NoReference
            | Outcome::Attack
            | Outcome::Retry
            | Outcome::Hold
            | Outcome::LineDown
            | Outcome::Slow
            | Outcome::AnswerLost
            | Outcome::Refused
            | Outcome::DeviceRefused
            | Outcome::CenterFails => (Shown::Person, Ends::Never),
        };
        let rgb = std::iter::repeat_n(shown.colour(), (WIDTH * HEIGHT) as usize).flatten().collect();
        Ok(Box::new(Playing { rgb, ends: frames, frames: 0 }))
    }
}

/// How it ends, after a few frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Never,
    Unplugged,
    Stalls,
}

struct Playing {
    rgb: Vec<u8>,
    ends: Ends,
    frames: u64,
}

impl Grabber for Playing {
    fn grab(&mut self, stop: &Stop) -> Result<Grabbed, CameraError> {
        stop.sleep(EVERY);
        self.frames += 1;
        match self.ends {
            Ends::Never => {}
            Ends::Unplugged if self.frames > 3 => return Err(CameraError::Lost("the simulator's was unplugged".into())),
            Ends::Stalls if self.frames > 3 => {
                stop.wait();
                return Err(CameraError::Lost("the simulator's stalled".into()));
            }
            Ends::Unplugged | Ends::Stalls => {}
        }
        let stands_in = !self.rgb.starts_with(&Shown::Black.colour());
        Ok(Grabbed { fingerprint: Fingerprint(self.frames), pixels: Pixels::Rgb8(WIDTH, HEIGHT, self.rgb.clone()), stands_in })
    }
}

/// Eyes that read the colour of a picture.
#[derive(Debug)]
pub(super) struct SimulatedEyes {
    model: ModelId,
    recipe: RecipeId,
}

impl SimulatedEyes {
    pub(super) fn new() -> Result<Self, SimulateError> {
        let wrong = |error: &dyn std::error::Error| SimulateError::SetUp(error.to_string());
        Ok(Self {
            model: ModelId::new(MODEL).map_err(|error| wrong(&error))?,
            recipe: RecipeId::new(MODEL).map_err(|error| wrong(&error))?,
        })
    }
}

fn face(left: f32) -> DetectedFace {
    let at = |x: f32, y: f32| Point { x: left + x, y };
    DetectedFace {
        face_box: FaceBox { left, top: 60.0, right: left + 120.0, bottom: 180.0 },
        landmarks: Landmarks([at(36.0, 100.0), at(84.0, 100.0), at(60.0, 125.0), at(40.0, 150.0), at(80.0, 150.0)]),
        score: 0.9,
    }
}

impl FaceReader for SimulatedEyes {
    fn feature_model(&self) -> &ModelId {
        &self.model
    }

    fn recipe(&self) -> &RecipeId {
        &self.recipe
    }

    fn frames(&self) -> usize {
        2
    }

    fn detect(&self, picture: &Picture) -> Result<Vec<DetectedFace>, VisionError> {
        Ok(match Shown::of(picture) {
            Shown::Person | Shown::Covered => vec![face(100.0)],
            Shown::Several => vec![face(20.0), face(180.0)],
            Shown::Nobody | Shown::Black => Vec::new(),
        })
    }

    fn detect_near(&self, picture: &Picture, _: &DetectedFace) -> Result<Vec<DetectedFace>, VisionError> {
        self.detect(picture)
    }

    fn quality(&self, picture: &Picture, _: &[DetectedFace], _: &DetectedFace) -> Result<Quality, VisionError> {
        let mouth = if Shown::of(picture) == Shown::Covered { 0 } else { 90 };
        let score = |component| if component == Component::MouthOcclusionPrevention { mouth } else { 90 };
        Ok(Component::ALL.iter().map(|component| (*component, Measure { raw: 0.0, score: score(*component) })).collect())
    }

    fn probe(&self, frames: &[Chosen<'_>]) -> Result<v1::ProbeSample, VisionError> {
        let sample = |_: &Chosen<'_>| v1::Sample { jpeg: b"no face: a simulator's sample".to_vec(), ..v1::Sample::default() };
        let mut samples = frames.iter().map(sample);
        Ok(v1::ProbeSample {
            template: Some(v1::Template {
                model_id: self.model.to_string(),
                recipe_id: self.recipe.to_string(),
                features_f16: b"no features: a simulator's probe".to_vec(),
            }),
            sample: samples.next(),
            further_samples: samples.collect(),
            detection_score: 0.9,
            ..v1::ProbeSample::default()
        })
    }
}
