//! Errors become gRPC statuses here: one table, and one place where a failure is logged.
//!
//! A caller sees the outer message. The log gets the chain of causes, once.

use std::error::Error;

use proto::envelope::EnvelopeError;
use tonic::{Code, Status};
use tracing::{error, info, warn};

use crate::{
    app::{admission::AdmissionError, enrol::EnrolError, freshness::AgeError, verify::VerifyError},
    networks::NetworksError,
    store::StoreError,
};

use super::field::FieldError;

/// A call that failed.
#[derive(Debug)]
pub enum Failure {
    /// A field is out of order.
    Field(FieldError),
    /// The device or its envelope is not let in.
    Admission(AdmissionError),
    /// The capture gave no answer.
    Verify(VerifyError),
    /// The store failed.
    Store(StoreError),
    /// The body is not the message it should be.
    Body(EnvelopeError),
    /// The center works on as many calls as it may.
    Overloaded,
    /// The call took too long.
    TimedOut,
    /// The submission is too old, or of the future.
    Age(AgeError),
    /// The networks to enrol with cannot be had.
    Networks(NetworksError),
    /// The enrolment could not be made.
    Enrol(EnrolError),
}

impl Failure {
    /// Logs the failure and gives the status for it.
    #[must_use]
    pub fn into_status(self) -> Status {
        let (code, message) = (self.code(), self.message());
        if matches!(code, Code::Internal | Code::Unavailable) || matches!(self, Self::Networks(_)) {
            let chain = self.cause().map(chain).unwrap_or_default();
            error!(grpc.code = ?code, error.message = message, error.chain = chain, "a call failed");
        } else if code == Code::PermissionDenied {
            warn!(grpc.code = ?code, error.message = message, "a caller was not let in");
        } else {
            info!(grpc.code = ?code, error.message = message, "a call was refused");
        }
        Status::new(code, message)
    }

    /// The one table.
    fn code(&self) -> Code {
        match self {
            Self::Field(_) => Code::InvalidArgument,
            Self::Admission(error) => admission(error),
            Self::Verify(error) => verify(error),
            Self::Store(error) => store(error),
            Self::Body(error) => envelope(error),
            Self::Overloaded | Self::TimedOut | Self::Networks(NetworksError::Interrupted) => Code::Unavailable,
            Self::Age(_) | Self::Networks(NetworksError::Load(_) | NetworksError::SelfTest(_)) => Code::FailedPrecondition,
            Self::Enrol(error) => enrol(error),
        }
    }

    fn cause(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Field(error) => Some(error),
            Self::Admission(error) => Some(error),
            Self::Verify(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Body(error) => Some(error),
            Self::Age(error) => Some(error),
            Self::Networks(error) => Some(error),
            Self::Enrol(error) => Some(error),
            Self::Overloaded | Self::TimedOut => None,
        }
    }

    /// What the caller is told.
    fn message(&self) -> String {
        match self {
            Self::Overloaded => "the center works on as many calls as it may; try again".to_owned(),
            Self::TimedOut => "the call took too long; try again".to_owned(),
            Self::Networks(NetworksError::Load(_)) => {
                "the center has no networks to enrol with; its operator runs `models fetch`".to_owned()
            }
            Self::Networks(NetworksError::SelfTest(_)) => "the center's networks do not work; its operator runs `models check`".to_owned(),
            Self::Networks(NetworksError::Interrupted) => "the center's networks were not loaded; try again".to_owned(),
            Self::Field(_) | Self::Admission(_) | Self::Verify(_) | Self::Store(_) | Self::Body(_) | Self::Age(_) | Self::Enrol(_) => {
                self.cause().map(ToString::to_string).unwrap_or_default()
            }
        }
    }
}

fn enrol(error: &EnrolError) -> Code {
    match error {
        EnrolError::Identifiers(_) => Code::InvalidArgument,
        EnrolError::Store(error) => store(error),
        EnrolError::Conflict | EnrolError::Interrupted => Code::Unavailable,
        EnrolError::DataKey(_) | EnrolError::Binding | EnrolError::Network(_) => Code::Internal,
    }
}

fn admission(error: &AdmissionError) -> Code {
    match error {
        AdmissionError::NoCertificate
        | AdmissionError::UnknownDevice
        | AdmissionError::Revoked
        | AdmissionError::Role(_)
        | AdmissionError::ForeignEnvelope => Code::PermissionDenied,
        AdmissionError::DeviceKey => Code::Internal,
        AdmissionError::Envelope(error) => envelope(error),
        AdmissionError::RequestReused | AdmissionError::EnvelopeUsed => Code::AlreadyExists,
        AdmissionError::SequenceReused => Code::FailedPrecondition,
        AdmissionError::Store(error) => store(error),
    }
}

fn verify(error: &VerifyError) -> Code {
    match error {
        VerifyError::Age(_) | VerifyError::TooManyAttempts { .. } | VerifyError::SequenceReused => Code::FailedPrecondition,
        VerifyError::Request(error) => admission(error),
        VerifyError::Store(error) => store(error),
    }
}

fn envelope(error: &EnvelopeError) -> Code {
    match error {
        EnvelopeError::Malformed { .. } | EnvelopeError::DoesNotOpen | EnvelopeError::DigestDiffers | EnvelopeError::NotAMessage(_) => {
            Code::InvalidArgument
        }
        EnvelopeError::BadSignature => Code::PermissionDenied,
        EnvelopeError::UnknownRecipient(_) => Code::FailedPrecondition,
        EnvelopeError::NoRandomness | EnvelopeError::DoesNotSeal => Code::Internal,
    }
}

fn store(error: &StoreError) -> Code {
    match error {
        StoreError::Unavailable(_) => Code::Unavailable,
        StoreError::Conflict(_) => Code::Aborted,
        StoreError::Corrupt { .. } | StoreError::TooNew { .. } => Code::Internal,
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_see_the_outer_message_and_not_the_cause() {
        let cause = StoreError::Unavailable("disk /dev/sda1 is full".into());
        let status = Failure::Admission(AdmissionError::Store(cause)).into_status();
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "the store could not be asked"));
    }

    #[test]
    fn the_chain_holds_every_cause_once() {
        let cause = StoreError::Unavailable("disk is full".into());
        let error = AdmissionError::Store(cause);
        assert_eq!(chain(&error), "the store could not be asked: the store is unavailable: disk is full");
    }
}
