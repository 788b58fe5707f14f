//! Errors become gRPC statuses here: one table, and one place where a failure is logged.
//!
//! A caller sees the outer message. The log gets the chain of causes, once.

use std::error::Error;

use proto::envelope::EnvelopeError;
use tonic::{Code, Status};
use tracing::{error, info, warn};

use crate::{
    app::{admission::AdmissionError, verify::VerifyError},
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
    /// Enrolment does not work here.
    Enrolment(String),
}

impl Failure {
    /// Logs the failure and gives the status for it.
    #[must_use]
    pub fn into_status(self) -> Status {
        let (code, cause) = (self.code(), self.cause());
        let message = cause.map_or_else(|| self.own_message(), ToString::to_string);
        let chain = cause.map(chain).unwrap_or_default();
        if matches!(code, Code::Internal | Code::Unavailable) {
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
            Self::Overloaded | Self::TimedOut => Code::Unavailable,
            Self::Enrolment(_) => Code::FailedPrecondition,
        }
    }

    fn cause(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Field(error) => Some(error),
            Self::Admission(error) => Some(error),
            Self::Verify(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Body(error) => Some(error),
            Self::Overloaded | Self::TimedOut | Self::Enrolment(_) => None,
        }
    }

    fn own_message(&self) -> String {
        match self {
            Self::Overloaded => "the center works on as many calls as it may; try again".to_owned(),
            Self::TimedOut => "the call took too long; try again".to_owned(),
            Self::Enrolment(message) => message.clone(),
            Self::Field(_) | Self::Admission(_) | Self::Verify(_) | Self::Store(_) | Self::Body(_) => String::new(),
        }
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
        AdmissionError::RequestReused => Code::AlreadyExists,
        AdmissionError::Store(error) => store(error),
    }
}

fn verify(error: &VerifyError) -> Code {
    match error {
        VerifyError::Stale { .. } | VerifyError::Future { .. } | VerifyError::TooManyAttempts { .. } | VerifyError::SequenceReused => {
            Code::FailedPrecondition
        }
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
    std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
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
        assert_eq!(chain(&error), "the store is unavailable: disk is full");
    }
}
