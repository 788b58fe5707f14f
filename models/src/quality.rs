//! How each component of quality is measured, and the gates this release ships.
//!
//! Components carry the names of ISO/IEC 29794-5. Where that standard measures on a model we do not have, the
//! nearest measure that our models and plain arithmetic allow stands in; each function says what it does. A
//! score of 0–100 comes of the raw measure by a monotone curve in [`curves`]. Not here: what is done about a
//! poor picture.

mod curves;
mod light;
mod place;

use models_core::{Component, DetectedFace, FaceRule, Gate, Point, Quality};

use crate::{
    eyes::Eyes,
    features::Features,
    landmarks::{Contour, ContourFinder},
    network::RunError,
    picture::Picture,
    pipeline::Trace,
    pose::Pose,
};

/// The networks that only quality needs; what is absent is not measured.
pub(crate) struct QualityModels {
    pub(crate) contour: Option<ContourFinder>,
    pub(crate) eyes: Option<Eyes>,
    pub(crate) pose: Option<Pose>,
}

/// Minima for a probe, behind each the raw measure it stands for. Loose, because the patient stands there, and so
/// without eyes; a face that is turned, dark or burnt out is refused only where it can hardly be compared.
///
/// Measured: refuses 1 of 1,270 pictures of LFW (a profile) and none of 199 of East-Asian LFW, 104 webcam pictures of
/// NUAA and 51 simulated ones of the London set; and all of 165 faces with a blue, white or black cover painted over
/// the mouth.
#[must_use]
pub fn probe_gate() -> Gate {
    Gate::of(&[
        (Component::InterEyeDistance, 40),         // 24 pixels
        (Component::HeadPoseYaw, 15),              // 55 degrees
        (Component::HeadPosePitch, 15),            // 55 degrees
        (Component::HeadPoseRoll, 20),             // 45 degrees
        (Component::Sharpness, 15),                // 6; a blur of 7 % of the eyes' distance gives 2.5
        (Component::UnderExposurePrevention, 20),  // 60 % nearly black
        (Component::OverExposurePrevention, 20),   // 60 % nearly white
        (Component::DynamicRange, 20),             // 4 bits
        (Component::MouthOcclusionPrevention, 20), // 20 % of skin's colour
    ])
}

/// Minima for a reference, behind each the raw measure it stands for. Strict, because it is compared for years; an
/// identity photo of 102 × 126 pixels passes.
///
/// Measured: refuses none of 51 identity photos of 358 × 441 and 51 of 102 × 126 pixels (London set), 3 of 119
/// re-photographed identity photos of NUAA (all of one subject, with narrow eyes), and of 38 faces of `registry-mini`
/// the three that a person would refuse: two with closed eyes, one turned by 45 degrees.
#[must_use]
pub fn reference_gate() -> Gate {
    Gate::of(&[
        (Component::SingleFacePresent, 50),        // a second face of 35 % of the area
        (Component::InterEyeDistance, 20),         // 14 pixels
        (Component::LeftwardCrop, 35),             // 15 % of the face's width cut off
        (Component::RightwardCrop, 35),            // 15 %
        (Component::MarginAbove, 35),              // 15 % of its height
        (Component::MarginBelow, 35),              // 15 %
        (Component::HeadPoseYaw, 60),              // 25 degrees
        (Component::HeadPosePitch, 60),            // 25 degrees
        (Component::HeadPoseRoll, 60),             // 25 degrees
        (Component::EyesOpen, 12),                 // 0.12
        (Component::Sharpness, 25),                // 10
        (Component::UnderExposurePrevention, 40),  // 35 % nearly black
        (Component::OverExposurePrevention, 40),   // 40 % nearly white
        (Component::IlluminationUniformity, 20),   // 0.15
        (Component::DynamicRange, 40),             // 5 bits
        (Component::NoCompressionArtifacts, 30),   // 3
        (Component::MouthOcclusionPrevention, 40), // 40 % of skin's colour
        (Component::FaceOcclusionPrevention, 40),  // 0.65
    ])
}

/// When a face of an enrolment photo counts: as at the counter, but down to the 14 pixels between the eyes that an
/// identity photo of 102 × 126 pixels has.
#[must_use]
pub fn reference_rule() -> FaceRule {
    FaceRule { inter_eye_distance_min_px: 14.0, ..FaceRule::default() }
}

/// Records raw measures with their scores.
struct Recorder(Quality);

impl Recorder {
    fn set(&mut self, component: Component, raw: f32) {
        self.0.set(component, raw, curves::score(component, raw));
    }
}

impl QualityModels {
    /// All components of one face that can be measured.
    pub(crate) fn measure(
        &self,
        features: &Features,
        picture: &Picture,
        faces: &[DetectedFace],
        face: &DetectedFace,
    ) -> Result<Quality, RunError> {
        let mut record = Recorder(Quality::default());
        let mut yaw_deg = 0.0;
        if let Some(pose) = &self.pose {
            let pose = pose.estimate(picture, &face.face_box)?;
            yaw_deg = pose.yaw_deg;
            record.set(Component::HeadPoseYaw, pose.yaw_deg);
            record.set(Component::HeadPosePitch, pose.pitch_deg);
        }
        let [left, right, ..] = face.landmarks.0;
        record.set(Component::HeadPoseRoll, (right.y - left.y).atan2(right.x - left.x).to_degrees());
        let contour = self.contour.as_ref().map(|finder| finder.find(picture, &face.face_box)).transpose()?;
        if let Some(open) = self.eyes_open(picture, contour.as_ref())? {
            record.set(Component::EyesOpen, open);
        }
        place::measure(&mut record, picture, faces, face, yaw_deg);
        light::measure(&mut record, &features.aligned(picture, &face.landmarks)?, features.side());
        light::measure_blocks(&mut record, picture, &face.face_box);
        record.set(Component::FaceOcclusionPrevention, face.score);
        Ok(record.0)
    }

    /// Runs each network once on a face (that of the eyes on the eye at the left) and keeps inputs and outputs.
    pub(crate) fn trace(&self, picture: &Picture, face: &DetectedFace) -> Result<Vec<Trace>, RunError> {
        let mut traces = Vec::new();
        if let Some(finder) = &self.contour {
            traces.push(finder.network.trace(&finder.cropped(picture, &face.face_box)?.1)?);
            let [left, _] = finder.find(picture, &face.face_box)?.eyes().map(<[Point]>::to_vec);
            if let Some(eyes) = &self.eyes
                && let Some(crop) = eyes.cropped(picture, &left)?
            {
                traces.push(eyes.network.trace(&crop)?);
            }
        }
        if let Some(pose) = &self.pose {
            traces.push(pose.network.trace(&pose.cropped(picture, &face.face_box)?)?);
        }
        Ok(traces)
    }

    /// The mean over both eyes of the network's probability, or, where larger, of how far the lids are apart: the
    /// network takes narrow and hooded eyes in poor light for closed ones, which the landmarks do not.
    fn eyes_open(&self, picture: &Picture, contour: Option<&Contour>) -> Result<Option<f32>, RunError> {
        let (Some(eyes), Some(contour)) = (&self.eyes, contour) else { return Ok(None) };
        let open = eyes.open(picture, contour)?.into_iter().zip(contour.openings());
        let open: Vec<f32> = open.filter_map(|(open, apart)| Some(open?.max(lids_open(apart)))).collect();
        Ok((!open.is_empty()).then(|| open.iter().sum::<f32>() / open.len() as f32))
    }
}

/// What lids this far apart (as a share of the eye's width) say about the eye: closed below 0.20, where closed
/// eyes were measured, open from 0.30, the median of open ones.
fn lids_open(apart: f32) -> f32 {
    ((apart - 0.20) / 0.10).clamp(0.0, 1.0)
}
