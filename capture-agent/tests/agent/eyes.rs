//! Faces read from the colour of a picture: one in a red one, two in a green one, none in another. The
//! flow around it is the agent's own; only the networks are stood in for.

use capture_agent::vision::{Chosen, FaceReader, VisionError};
use models::picture::Picture;
use models_core::{Component, DetectedFace, FaceBox, Landmarks, Measure, ModelId, Point, Quality, RecipeId};
use proto::v1;

pub(crate) const ONE_PERSON: [u8; 3] = [200, 0, 0];
pub(crate) const TWO_PEOPLE: [u8; 3] = [0, 200, 0];
/// One person whose mask is blue, and stays on.
pub(crate) const MASKED: [u8; 3] = [200, 0, 200];
/// One person each, told apart by what falls short.
pub(crate) const SMALL: [u8; 3] = [200, 10, 0];
pub(crate) const CUT_OFF: [u8; 3] = [200, 20, 0];
pub(crate) const TOO_NEAR: [u8; 3] = [200, 30, 0];
pub(crate) const TURNED: [u8; 3] = [200, 40, 0];
pub(crate) const DARK: [u8; 3] = [200, 50, 0];
pub(crate) const BRIGHT: [u8; 3] = [200, 60, 0];
pub(crate) const BLURRED: [u8; 3] = [200, 70, 0];
pub(crate) const NOBODY: [u8; 3] = [0, 0, 200];

/// The features of everybody, as they travel: known, so that they can be looked for where they must not be.
pub(crate) const FEATURES: [u8; 32] = *b"known features of a known person";
/// The picture of everybody, likewise.
pub(crate) const PICTURE: [u8; 40] = *b"\xff\xd8\xff\xe0\x00\x10JFIF a known face, in the clear\xff\xd9\x00";

pub(crate) struct ColourEyes {
    model: ModelId,
    recipe: RecipeId,
}

impl ColourEyes {
    pub(crate) fn new() -> Self {
        Self { model: ModelId::new("colour@1").unwrap(), recipe: RecipeId::new("colour-recipe@1").unwrap() }
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

/// The code in a picture's green, where one person is in it.
fn shortfall(picture: &Picture) -> u8 {
    picture.pixels().get(1).map_or(0, |green| (green + 5) / 10 * 10)
}

/// A face so many times as large, its left edge there.
fn scaled(left: f32, size: f32) -> DetectedFace {
    let DetectedFace { landmarks, score, .. } = face(0.0);
    let points = landmarks.0.map(|point| Point { x: left + point.x * size, y: 60.0 + (point.y - 60.0) * size });
    let face_box = FaceBox { left, top: 60.0, right: left + 120.0 * size, bottom: 60.0 + 120.0 * size };
    DetectedFace { face_box, landmarks: Landmarks(points), score }
}

impl FaceReader for ColourEyes {
    fn feature_model(&self) -> &ModelId {
        &self.model
    }

    fn recipe(&self) -> &RecipeId {
        &self.recipe
    }

    fn detect(&self, picture: &Picture) -> Result<Vec<DetectedFace>, VisionError> {
        Ok(match picture.pixels() {
            [red, ..] if *red > 100 => match shortfall(picture) {
                10 => vec![scaled(140.0, 0.3)],
                20 => vec![face(-70.0)],
                _ => vec![face(100.0)],
            },
            [_, green, ..] if *green > 100 => vec![face(20.0), face(180.0)],
            _ => Vec::new(),
        })
    }

    fn frames(&self) -> usize {
        2
    }

    fn detect_near(&self, picture: &Picture, _: &DetectedFace) -> Result<Vec<DetectedFace>, VisionError> {
        self.detect(picture)
    }

    fn quality(&self, picture: &Picture, _: &[DetectedFace], _: &DetectedFace) -> Result<Quality, VisionError> {
        let blue = picture.pixels().get(2).copied().unwrap_or_default();
        let masked = Measure { raw: 0.0, score: if blue > 100 { 0 } else { 90 } };
        let short = |raw: f32| Measure { raw, score: 0 };
        let other = match shortfall(picture) {
            30 => Some((Component::HeadSize, short(9.0))),
            40 => Some((Component::HeadPoseYaw, short(60.0))),
            50 => Some((Component::UnderExposurePrevention, short(0.0))),
            60 => Some((Component::OverExposurePrevention, short(0.0))),
            70 => Some((Component::Sharpness, short(0.0))),
            _ => None,
        };
        Ok([(Component::MouthOcclusionPrevention, masked)].into_iter().chain(other).collect())
    }

    fn probe(&self, frames: &[Chosen<'_>]) -> Result<v1::ProbeSample, VisionError> {
        let sample = |(_, _, quality): &Chosen<'_>| v1::Sample {
            quality: quality
                .iter()
                .map(|(component, _)| v1::QualityMeasure { component: component.to_string(), ..Default::default() })
                .collect(),
            jpeg: PICTURE.to_vec(),
            ..Default::default()
        };
        let mut samples = frames.iter().map(sample);
        Ok(v1::ProbeSample {
            template: Some(v1::Template {
                model_id: self.model.to_string(),
                recipe_id: self.recipe.to_string(),
                features_f16: FEATURES.to_vec(),
            }),
            sample: samples.next(),
            further_samples: samples.collect(),
            detection_score: 0.9,
            ..v1::ProbeSample::default()
        })
    }
}
