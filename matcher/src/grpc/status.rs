//! Errors become gRPC statuses here: one table, and one place where a failure is logged.
//!
//! A caller sees the outer message. The log gets the chain of causes, once.

use std::{error::Error, time::Duration};

use proto::envelope::EnvelopeError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tracing::{debug, error, info, warn};

use crate::{
    app::{admission::AdmissionError, enrol::EnrolError, freshness::AgeError, joining::JoinError, verify::VerifyError},
    networks::NetworksError,
    overload::{Busy, Refused},
    pki::PkiError,
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
    /// The call was not begun: too many others are, or wait.
    Overloaded(Refused),
    /// As many changes wait for the store as may; when to come again.
    StoreBusy(Duration),
    /// The call took too long.
    TimedOut,
    /// The submission is too old, or of the future.
    Age(AgeError),
    /// The networks to enrol with cannot be had.
    Networks(NetworksError),
    /// The enrolment could not be made.
    Enrol(EnrolError),
    /// No certificate is given.
    Join(JoinError),
}

impl Failure {
    /// Logs the failure and gives the status for it.
    #[must_use]
    pub fn into_status(self) -> Status {
        let (code, message) = (self.code(), self.message());
        if matches!(code, Code::Internal | Code::Unavailable) || matches!(self, Self::Networks(_)) {
            let chain = self.cause().map(chain).unwrap_or_default();
            error!(grpc.code = ?code, error.message = message, error.chain = chain, "a call failed");
        } else if code == Code::ResourceExhausted {
            // There may be very many of them.
            debug!(error.message = message, "a call was refused");
        } else if code == Code::PermissionDenied {
            warn!(grpc.code = ?code, error.message = message, "a caller was not let in");
        } else {
            info!(grpc.code = ?code, error.message = message, "a call was refused");
        }
        match self.retry_after() {
            Some(wait) => Status::with_error_details(code, message, ErrorDetails::with_retry_info(Some(wait))),
            None => Status::new(code, message),
        }
    }

    /// A failure that comes of a store whose changes pile up, with the time after which to come again.
    #[must_use]
    pub fn or_busy(self, retry_after: impl FnOnce() -> Duration) -> Self {
        let mut cause = self.cause().map(|error| error as &(dyn Error + 'static));
        while let Some(error) = cause {
            if matches!(error.downcast_ref(), Some(StoreError::Busy)) {
                return Self::StoreBusy(retry_after());
            }
            cause = error.source();
        }
        self
    }

    /// When the caller should come again, where that is known.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded(refused) => Some(refused.retry_after),
            Self::StoreBusy(wait) | Self::Join(JoinError::TooMany(wait)) => Some(*wait),
            Self::Join(_)
            | Self::Field(_)
            | Self::Admission(_)
            | Self::Verify(_)
            | Self::Store(_)
            | Self::Body(_)
            | Self::TimedOut
            | Self::Age(_)
            | Self::Networks(_)
            | Self::Enrol(_) => None,
        }
    }

    /// The one table.
    fn code(&self) -> Code {
        match self {
            Self::Field(_) => Code::InvalidArgument,
            Self::Admission(error) => admission(error),
            Self::Verify(error) => verify(error),
            Self::Store(error) => store(error),
            Self::Body(error) => envelope(error),
            Self::Overloaded(_) | Self::StoreBusy(_) => Code::ResourceExhausted,
            Self::TimedOut | Self::Networks(NetworksError::Interrupted) => Code::Unavailable,
            Self::Age(_) | Self::Networks(NetworksError::Load(_) | NetworksError::SelfTest(_)) => Code::FailedPrecondition,
            Self::Enrol(error) => enrol(error),
            Self::Join(error) => join(error),
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
            Self::Join(error) => Some(error),
            Self::Overloaded(refused) => Some(&refused.why),
            Self::StoreBusy(_) => Some(&StoreError::Busy),
            Self::TimedOut => None,
        }
    }

    /// What the caller is told.
    fn message(&self) -> String {
        match self {
            Self::Overloaded(Refused { why: Busy::Device, .. }) => "the device calls too often; try again later".to_owned(),
            Self::Overloaded(_) | Self::StoreBusy(_) => "the center is busy; try again later".to_owned(),
            Self::TimedOut => "the call took too long; try again".to_owned(),
            Self::Networks(NetworksError::Load(_)) => {
                "the center has no networks to enrol with; its operator runs `models fetch`".to_owned()
            }
            Self::Networks(NetworksError::SelfTest(_)) => "the center's networks do not work; its operator runs `models check`".to_owned(),
            Self::Networks(NetworksError::Interrupted) => "the center's networks were not loaded; try again".to_owned(),
            Self::Field(_)
            | Self::Admission(_)
            | Self::Verify(_)
            | Self::Store(_)
            | Self::Body(_)
            | Self::Age(_)
            | Self::Enrol(_)
            | Self::Join(_) => self.cause().map(ToString::to_string).unwrap_or_default(),
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

fn join(error: &JoinError) -> Code {
    match error {
        JoinError::TooMany(_) => Code::ResourceExhausted,
        JoinError::Code | JoinError::Signature => Code::PermissionDenied,
        JoinError::OutOfDate | JoinError::NameTaken(_) | JoinError::TooLate { .. } => Code::FailedPrecondition,
        JoinError::Request(PkiError::Request(_) | PkiError::RequestKey) | JoinError::OtherKey => Code::InvalidArgument,
        JoinError::Request(PkiError::ServerName(_) | PkiError::RelayName(_) | PkiError::Authority(_) | PkiError::Sign(_)) => Code::Internal,
        JoinError::Admission(error) => admission(error),
        JoinError::Files(_) | JoinError::Key(_) => Code::Unavailable,
        JoinError::Store(error) => store(error),
    }
}

fn admission(error: &AdmissionError) -> Code {
    match error {
        AdmissionError::NoCertificate
        | AdmissionError::UnknownDevice
        | AdmissionError::Revoked
        | AdmissionError::Role(_)
        | AdmissionError::ForeignEnvelope => Code::PermissionDenied,
        // Said of the relay: the device it speaks for is refused nothing.
        AdmissionError::NotARelay | AdmissionError::ForeignInstitution | AdmissionError::Named => Code::Unauthenticated,
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
        StoreError::Busy => Code::ResourceExhausted,
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
    fn a_store_whose_changes_pile_up_is_answered_with_the_time_to_come_again() {
        let wait = Duration::from_millis(250);
        for failure in [
            Failure::Store(StoreError::Busy),
            Failure::Verify(VerifyError::Store(StoreError::Busy)),
            Failure::Admission(AdmissionError::Store(StoreError::Busy)),
            Failure::Overloaded(Refused { why: Busy::Full, retry_after: wait }),
        ] {
            let status = failure.or_busy(|| wait).into_status();
            assert_eq!(status.code(), Code::ResourceExhausted, "{}", status.message());
            assert_eq!(status.get_details_retry_info().and_then(|info| info.retry_delay), Some(wait));
        }
        let failure = Failure::Store(StoreError::Unavailable("disk is full".into())).or_busy(|| wait);
        assert!(failure.into_status().get_details_retry_info().is_none());
    }

    #[test]
    fn the_chain_holds_every_cause_once() {
        let cause = StoreError::Unavailable("disk is full".into());
        let error = AdmissionError::Store(cause);
        assert_eq!(chain(&error), "the store could not be asked: the store is unavailable: disk is full");
    }
}
