//! Why a verification gave no answer, with the words of the local API for it.

use capture_core::degraded::Denied;
use thiserror::Error;

use crate::{
    acquire::AcquireError,
    camera::CameraError,
    line::{
        client::{CallError, Refusal},
        spool::SpoolError,
    },
};

/// A verification gave no answer.
///
/// No variant means "non-match", "no decision" or "failure to acquire": those are answers.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// Too many verifications wait for the camera, or this one waited too long.
    #[error("too many verifications wait for the camera")]
    QueueFull,
    /// The center compares with another model or recipe than this device's.
    #[error("the center compares with {center}, this device makes {device}")]
    ModelDiffers {
        /// Model and recipe of the center.
        center: String,
        /// Model and recipe of the device.
        device: String,
    },
    /// The scene rests on consent, and the request names none.
    #[error("consent: expected the version of the consent the person gave ({expected}); without consent nobody is captured in this scene")]
    ConsentMissing {
        /// The version that is asked for.
        expected: String,
    },
    /// The transaction has had its attempts.
    #[error("attempt: expected at most {max} in this scene under the policy in force")]
    TooManyAttempts {
        /// The policy's cap.
        max: u32,
    },
    /// The camera or a network failed.
    #[error("{0}")]
    Acquire(AcquireError),
    /// The envelope could not be found or kept.
    #[error("{0}")]
    Outbox(SpoolError),
    /// The center did not answer, and this device may not answer by itself.
    #[error("the center does not answer, and this counter may not answer by itself: {}", .0.word())]
    Alone(Denied),
    /// What was done without a face is kept and goes to the center; nobody may answer it now.
    #[error("it is kept for the center, which does not answer: there is no receipt now")]
    Recorded(Denied),
    /// The center did not answer, or refused.
    #[error("{0}")]
    Call(CallError),
    /// The center's answer does not say what it must.
    #[error("the center's answer: {0}: expected a known value")]
    Answer(&'static str),
    /// A part of the agent broke down.
    #[error("a part of the agent broke down: {0}")]
    Internal(&'static str),
}

impl VerifyError {
    /// The stable word for it in the local API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::QueueFull => "camera_queue_full",
            Self::ModelDiffers { .. } => "model_mismatch",
            Self::ConsentMissing { .. } => "consent_missing",
            Self::TooManyAttempts { .. } => "attempts_spent",
            Self::Acquire(AcquireError::Camera(error)) => camera_code(error),
            Self::Acquire(AcquireError::Vision(_)) => "models_failed",
            Self::Outbox(error) => outbox_code(error),
            Self::Alone(denied) => denied.word(),
            Self::Recorded(_) => "recorded_only",
            Self::Call(CallError::Unreachable(_)) => "center_unreachable",
            Self::Call(CallError::Refused(refusal, _)) => refusal_code(*refusal),
            Self::Call(CallError::Failed(_)) | Self::Answer(_) => "center_failed",
            Self::Internal(_) => "internal",
        }
    }
}

fn camera_code(error: &CameraError) -> &'static str {
    match error {
        CameraError::Absent(_) => "camera_absent",
        CameraError::Busy => "camera_busy",
        CameraError::Lost(_) => "camera_lost",
        CameraError::Stalled(_) | CameraError::OpenTimeout(_) => "camera_stalled",
        CameraError::Frozen => "camera_frozen",
        CameraError::Black => "camera_black",
        CameraError::UpsideDown => "camera_upside_down",
        CameraError::GivenUp => "attempt_given_up",
        CameraError::Failed(_) => "camera_failed",
        CameraError::Playback { .. } => "playback_unreadable",
    }
}

fn outbox_code(error: &SpoolError) -> &'static str {
    match error {
        SpoolError::AnotherRequest => "transaction_conflict",
        SpoolError::Forgotten => "answer_expired",
        SpoolError::Full(_) | SpoolError::FullBytes(_) => "outbox_full",
        SpoolError::Seal(_) | SpoolError::Version { .. } | SpoolError::Database(_) | SpoolError::File(_) | SpoolError::Interrupted => {
            "outbox_failed"
        }
    }
}

fn refusal_code(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Device => "device_refused",
        Refusal::Request => "request_refused",
        Refusal::Conflict => "transaction_conflict",
        Refusal::Stale => "envelope_stale",
    }
}
