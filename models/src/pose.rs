//! How the head is turned, by a network that gives each angle as a distribution over bins.

use std::sync::Arc;

use models_core::FaceBox;

use crate::{
    attack::{enlarged, softmax},
    manifest::{Crop, InputSize, Model, Role},
    network::{EngineError, Graph, LoadError, Network, RunError},
    picture::Picture,
    warp,
};

/// Degrees of one bin.
const BIN_DEG: f32 = 3.0;
/// Degrees of the first bin.
const FIRST_DEG: f32 = -99.0;

/// How a head is turned, in degrees. Zero when the face looks into the camera. Roll is not here: the line between
/// the eyes tells it more exactly than the network does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct HeadPose {
    /// Positive when the face turns to the picture's right.
    pub(crate) yaw_deg: f32,
    /// Positive when the face looks up.
    pub(crate) pitch_deg: f32,
}

/// The network of the head's pose.
pub(crate) struct Pose {
    pub(crate) network: Network,
    factor: f32,
    zero_deg: Vec<f32>,
    width: u32,
    height: u32,
}

impl Pose {
    pub(crate) fn load(model: &Arc<Model>, bytes: &[u8]) -> Result<Self, LoadError> {
        let (InputSize::Fixed { width, height }, Crop::Box { factor, .. }) = (model.input.size, &model.crop) else {
            return Err(LoadError::NoModel(Role::Pose));
        };
        let zero_deg = model.outputs.iter().map(|output| output.zero_deg).collect();
        Ok(Self { network: Graph::parse(model, bytes)?.plan(width, height)?, factor: *factor, zero_deg, width, height })
    }

    /// The head as the network sees it, RGB.
    pub(crate) fn cropped(&self, picture: &Picture, face_box: &FaceBox) -> Result<Vec<u8>, RunError> {
        let region = enlarged(face_box, self.factor, picture).ok_or(RunError::Box)?;
        Ok(warp::resize(picture, region, self.width, self.height)?)
    }

    pub(crate) fn estimate(&self, picture: &Picture, face_box: &FaceBox) -> Result<HeadPose, RunError> {
        let outputs = self.network.run(&self.cropped(picture, face_box)?)?;
        let angles: Vec<f32> = outputs.iter().zip(&self.zero_deg).map(|(bins, zero)| expectation(bins.iter().copied()) - zero).collect();
        match *angles.as_slice() {
            [yaw_deg, pitch_deg, _] => Ok(HeadPose { yaw_deg, pitch_deg }),
            _ => Err(self.network.failed(EngineError::new("an angle is missing"))),
        }
    }
}

/// The mean angle of the bins' distribution.
fn expectation(bins: impl Iterator<Item = f32>) -> f32 {
    softmax(bins).iter().enumerate().map(|(bin, share)| share * (bin as f32 * BIN_DEG + FIRST_DEG)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_certain_bin_is_its_angle() {
        let bins = |at: usize| (0..66).map(move |bin| if bin == at { 50.0 } else { 0.0 });
        assert!((expectation(bins(33)) - 0.0).abs() < 1e-3);
        assert!((expectation(bins(40)) - 21.0).abs() < 1e-3);
        assert!((expectation(bins(0)) + 99.0).abs() < 1e-3);
    }
}
