//! How each component of quality is measured, and the gates this release ships.
//!
//! Components carry the names of ISO/IEC 29794-5. Where that standard measures on a model we do not have, the
//! nearest measure that our models and plain arithmetic allow stands in; each function says what it does. A
//! score of 0–100 comes of the raw measure by a monotone curve in [`curves`]. Not here: what is done about a
//! poor picture.

mod curves;
mod light;
mod place;

use models_core::{Component, DetectedFace, Gate, Quality};

use crate::{
    eyes::Eyes,
    features::Features,
    landmarks::{Contour, ContourFinder},
    network::RunError,
    picture::Picture,
    pose::Pose,
};

/// The networks that only quality needs; what is absent is not measured.
pub(crate) struct QualityModels {
    pub(crate) contour: Option<ContourFinder>,
    pub(crate) eyes: Option<Eyes>,
    pub(crate) pose: Option<Pose>,
}

/// Minima for a probe: what a comparison cannot do without. Loose, because the patient stands there.
#[must_use]
pub fn probe_gate() -> Gate {
    Gate::of(&[(Component::SingleFacePresent, 1), (Component::InterEyeDistance, 10), (Component::Sharpness, 5)])
}

/// Minima for a reference: strict, because it is compared for years.
#[must_use]
pub fn reference_gate() -> Gate {
    Gate::of(&[(Component::SingleFacePresent, 1), (Component::InterEyeDistance, 10), (Component::Sharpness, 5)])
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
            record.set(Component::HeadPoseRoll, pose.roll_deg);
        }
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

    /// Of the less open eye.
    fn eyes_open(&self, picture: &Picture, contour: Option<&Contour>) -> Result<Option<f32>, RunError> {
        let (Some(eyes), Some(contour)) = (&self.eyes, contour) else { return Ok(None) };
        Ok(eyes.open(picture, contour)?.into_iter().flatten().reduce(f32::min))
    }
}
