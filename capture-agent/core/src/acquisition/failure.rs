//! Why an acquisition ended without a sample.

use models_core::{Component, FaceRefusal};

use super::instruction::Shortfall;

/// Why acquisition ended without a face. An outcome, not a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcquisitionFailure {
    /// No face.
    NoFace,
    /// Several faces, none of them clearly the patient's.
    SeveralFaces,
    /// A face, but never large enough.
    TooSmall,
    /// A face, but cut off by the edge of the picture.
    CutOff,
    /// A mask covers the face, and was not taken off when asked for. Another way is offered.
    FaceCovered,
    /// A face, but never good enough in this component.
    LowQuality(Component),
    /// Good frames, but fewer than the recipe fuses.
    TooFewFrames,
}

impl AcquisitionFailure {
    /// The word for it in records and in the local API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoFace => "no_face",
            Self::SeveralFaces => "several_faces",
            Self::TooSmall => "too_small",
            Self::CutOff => "cut_off",
            Self::FaceCovered => "face_covered",
            Self::LowQuality(_) => "low_quality",
            Self::TooFewFrames => "too_few_frames",
        }
    }

    /// The component of quality that fell short, where one did.
    #[must_use]
    pub fn component(self) -> Option<Component> {
        match self {
            Self::LowQuality(component) => Some(component),
            Self::FaceCovered => Some(Component::MouthOcclusionPrevention),
            Self::NoFace | Self::SeveralFaces | Self::TooSmall | Self::CutOff | Self::TooFewFrames => None,
        }
    }
}

impl From<Shortfall> for AcquisitionFailure {
    fn from(shortfall: Shortfall) -> Self {
        match shortfall {
            Shortfall::Face(FaceRefusal::NoFace) => Self::NoFace,
            Shortfall::Face(FaceRefusal::SeveralFaces) => Self::SeveralFaces,
            Shortfall::Face(FaceRefusal::TooSmall) => Self::TooSmall,
            Shortfall::Face(FaceRefusal::CutOff) => Self::CutOff,
            Shortfall::Quality(refusal) if refusal.component == Component::MouthOcclusionPrevention => Self::FaceCovered,
            Shortfall::Quality(refusal) => Self::LowQuality(refusal.component),
        }
    }
}
