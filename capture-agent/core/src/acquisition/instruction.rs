//! What the person at the counter is asked to do, and which shortfall asks for what.

use models_core::{Component, FaceRefusal, QualityRefusal};

/// What the person at the counter is asked to do now; exactly one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Instruction {
    /// No face is seen.
    LookAtCamera,
    /// Several people stand before the camera, and none is clearly the patient.
    OnePersonOnly,
    /// The face is too small.
    ComeCloser,
    /// The face fills the picture.
    MoveBack,
    /// The face is cut off by the edge of the picture.
    MoveToMiddle,
    /// The head is turned or bent, or the eyes are shut.
    FaceTheCamera,
    /// The face is dark, or lit from one side.
    MoreLight,
    /// The face is washed out.
    TooBright,
    /// A mask covers nose or mouth. Asked once.
    TakeOffMask,
    /// All is well, or only blurred by motion; a few frames more.
    HoldStill,
    /// The camera gives no fresh frames.
    WaitForCamera,
}

impl Instruction {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::LookAtCamera,
        Self::OnePersonOnly,
        Self::ComeCloser,
        Self::MoveBack,
        Self::MoveToMiddle,
        Self::FaceTheCamera,
        Self::MoreLight,
        Self::TooBright,
        Self::TakeOffMask,
        Self::HoldStill,
        Self::WaitForCamera,
    ];

    /// The word for it in the local API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::LookAtCamera => "look_at_camera",
            Self::OnePersonOnly => "one_person_only",
            Self::ComeCloser => "come_closer",
            Self::MoveBack => "move_back",
            Self::MoveToMiddle => "move_to_middle",
            Self::FaceTheCamera => "face_the_camera",
            Self::MoreLight => "more_light",
            Self::TooBright => "too_bright",
            Self::TakeOffMask => "take_off_mask",
            Self::HoldStill => "hold_still",
            Self::WaitForCamera => "wait_for_camera",
        }
    }
}

/// Why one frame did not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortfall {
    /// No face of it counts.
    Face(FaceRefusal),
    /// The face that counts is not good enough in one component.
    Quality(QualityRefusal),
}

impl Shortfall {
    /// What would mend it. `too_large` tells a face that fills the picture from one too far away.
    pub(super) fn instruction(self, too_large: bool) -> Instruction {
        match self {
            Self::Face(FaceRefusal::NoFace) => Instruction::LookAtCamera,
            Self::Face(FaceRefusal::SeveralFaces) => Instruction::OnePersonOnly,
            Self::Face(FaceRefusal::TooSmall) => Instruction::ComeCloser,
            Self::Face(FaceRefusal::CutOff) => Instruction::MoveToMiddle,
            Self::Quality(refusal) => asked_for(refusal.component, too_large),
        }
    }

    /// Whether it leaves open that another person stands there now.
    pub(super) fn breaks_presence(self) -> bool {
        matches!(self, Self::Face(FaceRefusal::NoFace | FaceRefusal::SeveralFaces))
    }
}

fn asked_for(component: Component, too_large: bool) -> Instruction {
    match component {
        Component::SingleFacePresent => Instruction::OnePersonOnly,
        Component::InterEyeDistance => Instruction::ComeCloser,
        Component::HeadSize if too_large => Instruction::MoveBack,
        Component::HeadSize => Instruction::ComeCloser,
        Component::LeftwardCrop | Component::RightwardCrop | Component::MarginAbove | Component::MarginBelow if too_large => {
            Instruction::MoveBack
        }
        Component::LeftwardCrop | Component::RightwardCrop | Component::MarginAbove | Component::MarginBelow => Instruction::MoveToMiddle,
        Component::HeadPoseYaw
        | Component::HeadPosePitch
        | Component::HeadPoseRoll
        | Component::EyesOpen
        | Component::FaceOcclusionPrevention => Instruction::FaceTheCamera,
        Component::Sharpness | Component::NoCompressionArtifacts => Instruction::HoldStill,
        Component::UnderExposurePrevention | Component::IlluminationUniformity | Component::DynamicRange => Instruction::MoreLight,
        Component::OverExposurePrevention => Instruction::TooBright,
        Component::MouthOcclusionPrevention => Instruction::TakeOffMask,
    }
}

/// Whether a shortfall in this component is advice: asked for, and let go down to a floor after a while, because
/// eyes may be hooded, backs bent, masks doctors' orders, and chairs screwed to the floor.
pub(super) fn is_advice(component: Component) -> bool {
    match component {
        Component::HeadSize
        | Component::HeadPoseYaw
        | Component::HeadPosePitch
        | Component::HeadPoseRoll
        | Component::EyesOpen
        | Component::MouthOcclusionPrevention => true,
        Component::SingleFacePresent
        | Component::InterEyeDistance
        | Component::LeftwardCrop
        | Component::RightwardCrop
        | Component::MarginAbove
        | Component::MarginBelow
        | Component::Sharpness
        | Component::UnderExposurePrevention
        | Component::OverExposurePrevention
        | Component::IlluminationUniformity
        | Component::DynamicRange
        | Component::NoCompressionArtifacts
        | Component::FaceOcclusionPrevention => false,
    }
}
