//! Who is calling, and is this envelope theirs?
//!
//! Every call passes here first. The registry is asked each time, so that a revoked device is out at once,
//! whatever its certificate still says. An envelope then passes its three states; one that was answered
//! before is answered from the record, and never judged again. Not here: what the body means, and how old
//! it may be.

use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use matcher_core::tampering::TamperingReason;
use proto::envelope::{Authentic, EnvelopeError, Opened, Parsed};
use thiserror::Error;

use crate::{
    keys::OpeningKeys,
    store::{Device, DeviceRole, Flag, RecordId, RequestKey, Store, StoreError, Taken, Verification},
    surroundings::Surroundings,
};

use super::{callers::Callers, flags};

/// A caller or an envelope that is not let in.
#[derive(Debug, Error)]
pub enum AdmissionError {
    /// The connection shows no certificate.
    #[error("the connection shows no device certificate")]
    NoCertificate,
    /// The certificate is not the current one of any device in the registry.
    #[error("the device of this certificate is not in the registry, or has a newer certificate")]
    UnknownDevice,
    /// The device was revoked.
    #[error("the device is revoked")]
    Revoked,
    /// The device may not do this.
    #[error("the device's role does not allow this; expected the role `{0}`")]
    Role(&'static str),
    /// Whoever speaks for a device is no relay that is let in.
    #[error("the caller may not speak for other devices: expected a relay that is in the registry and not revoked")]
    NotARelay,
    /// A relay names a device of another institution.
    #[error("a relay speaks for devices of its own institution alone")]
    ForeignInstitution,
    /// What names the device a relay speaks for is not in order.
    #[error("{}: expected the SHA-256 of the device's certificate, 64 lower-case hexadecimal digits", proto::relayed::FOR_CERTIFICATE)]
    Named,
    /// The envelope names a device other than the connection's.
    #[error("envelope.header.device: expected the device of the connection's certificate")]
    ForeignEnvelope,
    /// The registry's key of the device is no Ed25519 key.
    #[error("the device's key in the registry is not in order")]
    DeviceKey,
    /// The envelope is not in order.
    #[error(transparent)]
    Envelope(EnvelopeError),
    /// Another capture was answered under the same institution, transaction and attempt.
    #[error(
        "envelope.header.attempt: expected an attempt that has no answer yet; another capture was answered under this transaction and attempt"
    )]
    RequestReused,
    /// This very envelope was taken before; a submission is taken once, so that an old one cannot bring an
    /// older photo back.
    #[error("envelope: expected one that was not submitted before; submit the photo again in a new envelope")]
    EnvelopeUsed,
    /// The device used this sequence number for another envelope.
    #[error("envelope.header.sequence: expected a number this device has not used; it was used for another envelope")]
    SequenceReused,
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
}

/// The request an admitted envelope makes.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who makes it.
    pub device: Device,
    /// Institution, transaction and attempt.
    pub key: RequestKey,
    /// The envelope's number on that device.
    pub sequence: u64,
    /// Names the envelope.
    pub digest: [u8; 32],
}

/// What an authentic envelope turned out to be.
#[derive(Debug)]
pub enum Admitted {
    /// It was answered before.
    Answered(Box<Verification>),
    /// It is new.
    New(Box<Request>, Opened),
}

/// Lets devices and their envelopes in.
#[derive(Clone)]
pub struct Admission {
    /// Registry and records.
    pub store: Arc<dyn Store>,
    /// Keys that open envelopes.
    pub opening: Arc<OpeningKeys>,
    /// Time and ids.
    pub surroundings: Arc<dyn Surroundings>,
    /// Whose turns calls take.
    pub callers: Arc<Callers>,
}

impl Admission {
    /// The device whose certificate a connection shows.
    ///
    /// # Errors
    /// When it is not in the registry, revoked, or the registry cannot be asked.
    pub async fn device(&self, certificate_sha256: [u8; 32]) -> Result<Device, AdmissionError> {
        let device = self.store.device_of_certificate(&certificate_sha256).await.map_err(AdmissionError::Store)?;
        self.let_in(device.ok_or(AdmissionError::UnknownDevice)?)
    }

    /// As [`device`](Self::device), where the device acts for itself: a relay does so for its own state and certificate alone.
    ///
    /// # Errors
    /// As [`device`](Self::device), and for a relay that names no device it speaks for.
    pub async fn acting(&self, certificate_sha256: [u8; 32]) -> Result<Device, AdmissionError> {
        not_a_relay(self.device(certificate_sha256).await?)
    }

    /// The certificate of the device that a relay speaks for, as whoever shows the relay's certificate names it. The registry
    /// is asked about both: either may have been revoked.
    ///
    /// # Errors
    /// When the caller is no relay that is let in, or the device is not one of the relay's institution, or another relay.
    pub async fn spoken_for(&self, relay_sha256: [u8; 32], device_sha256: [u8; 32]) -> Result<[u8; 32], AdmissionError> {
        let relay = match self.device(relay_sha256).await {
            Ok(relay) if relay.role == DeviceRole::Relay => relay,
            Err(AdmissionError::Store(error)) => return Err(AdmissionError::Store(error)),
            Ok(_) | Err(_) => return Err(AdmissionError::NotARelay),
        };
        let device = not_a_relay(self.device(device_sha256).await?)?;
        if device.institution == relay.institution { Ok(device_sha256) } else { Err(AdmissionError::ForeignInstitution) }
    }

    fn let_in(&self, device: Device) -> Result<Device, AdmissionError> {
        self.callers.remember(&device);
        if device.revoked_at.is_some() { Err(AdmissionError::Revoked) } else { Ok(device) }
    }

    /// Admits the envelope of a capture from the device whose certificate a connection shows, or finds the answer it
    /// was given before.
    ///
    /// # Errors
    /// When the device is not let in, or the envelope is not its own, not in order, or takes another's request.
    pub async fn capture(&self, certificate_sha256: [u8; 32], envelope: proto::v1::Envelope) -> Result<Admitted, AdmissionError> {
        let parsed = match Parsed::new(envelope) {
            Ok(parsed) => parsed,
            // Whoever is not let in is told nothing else.
            Err(error) => return self.device(certificate_sha256).await.and(Err(AdmissionError::Envelope(error))),
        };
        // What the header says is not believed yet: it only names what is read beside the device.
        let (transaction, attempt) = (&parsed.header().transaction, parsed.header().attempt);
        let found = self.store.device_and_answer(certificate_sha256, transaction, attempt).await.map_err(AdmissionError::Store)?;
        let (device, answer) = found.ok_or(AdmissionError::UnknownDevice)?;
        let device = not_a_relay(self.let_in(device)?)?;
        let opened = match authenticate(device.clone(), parsed) {
            Ok((request, authentic)) => match answer {
                Some(record) => Ok((request, Err(record))),
                None => self.open(authentic).map(|opened| (request, Ok(opened))),
            },
            Err(error) => Err(error),
        };
        let (request, opened) = match opened {
            Ok(opened) => opened,
            Err(error) => return Err(self.suspected(&device, error).await),
        };
        match opened {
            Err(record) if record.request_digest == request.digest => Ok(Admitted::Answered(Box::new(record))),
            Err(record) => {
                self.note_refused(&request).await;
                Err(self.request_reused(&request, &record).await)
            }
            Ok(opened) => Ok(Admitted::New(Box::new(request), opened)),
        }
    }

    /// Admits a device's envelope of an enrolment.
    ///
    /// # Errors
    /// When the device may not enrol, or the envelope is not this device's or not in order.
    pub fn enrolment(&self, device: Device, envelope: proto::v1::Envelope) -> Result<(Request, Opened), AdmissionError> {
        match device.role {
            DeviceRole::Enrolment => {}
            DeviceRole::Counter | DeviceRole::Relay => return Err(AdmissionError::Role("enrolment")),
        }
        let (request, authentic) = authenticate(device, Parsed::new(envelope).map_err(AdmissionError::Envelope)?)?;
        Ok((request, self.open(authentic)?))
    }

    /// Takes an admitted enrolment; from here on its envelope is used up.
    ///
    /// # Errors
    /// When it was taken before, or its sequence number was used for another envelope (which is flagged).
    pub async fn take(&self, request: &Request) -> Result<(), AdmissionError> {
        let taken = self.store.take_sequence(&request.device.id, request.sequence, request.digest).await;
        match taken.map_err(AdmissionError::Store)? {
            Taken::Now => Ok(()),
            Taken::Before => Err(AdmissionError::EnvelopeUsed),
            Taken::ForAnother => {
                let flag = flags::sequence_reused(request, "", self.surroundings.now_ms());
                self.raise(flag).await.map_err(AdmissionError::Store)?;
                Err(AdmissionError::SequenceReused)
            }
        }
    }

    /// Flags an envelope that was altered on its way or is another device's, once for a device and day.
    pub(super) async fn suspected(&self, device: &Device, error: AdmissionError) -> AdmissionError {
        if !is_tampering(&error) {
            return error;
        }
        match self.flag_envelope(device).await {
            Ok(()) => error,
            Err(error) => AdmissionError::Store(error),
        }
    }

    /// Flags a device that brings envelopes which no agent of ours makes.
    pub(super) async fn flag_envelope(&self, device: &Device) -> Result<(), StoreError> {
        let now = self.surroundings.now_ms();
        self.raise(flags::of_device(TamperingReason::EnvelopeAltered, device, now)).await
    }

    /// Flags a second capture under one request.
    pub(super) async fn request_reused(&self, request: &Request, first: &Verification) -> AdmissionError {
        let flag = flags::transaction_reused(request, first, self.surroundings.now_ms());
        match self.raise(flag).await {
            Ok(()) => AdmissionError::RequestReused,
            Err(error) => AdmissionError::Store(error),
        }
    }

    /// Flags a second capture under a request whose capture came late and waits.
    pub(super) async fn request_waits(&self, request: &Request, waiting: RecordId) -> AdmissionError {
        match self.raise(flags::request_taken(request, waiting, "", self.surroundings.now_ms())).await {
            Ok(()) => AdmissionError::RequestReused,
            Err(error) => AdmissionError::Store(error),
        }
    }

    /// Writes a flag of its own; one that is there already (the same envelope came again) is left alone.
    pub(super) async fn raise(&self, flag: Flag) -> Result<(), StoreError> {
        raise(self.store.as_ref(), flag).await
    }

    /// Notes the number of an authentic envelope that is refused for good: it is not missing.
    pub async fn note_refused(&self, request: &Request) {
        let noted = self.store.take_sequence(&request.device.id, request.sequence, request.digest).await;
        if let Err(error) = noted {
            tracing::warn!(error = &error as &dyn std::error::Error, "the number of a refused envelope could not be noted");
        }
    }

    /// Opens an authentic envelope.
    pub(super) fn open(&self, authentic: Authentic) -> Result<Opened, AdmissionError> {
        let name = &authentic.header().recipient_key;
        let unknown = || AdmissionError::Envelope(EnvelopeError::UnknownRecipient(name.clone()));
        let key = self.opening.find(name).ok_or_else(unknown)?;
        authentic.open(&key).map_err(AdmissionError::Envelope)
    }
}

/// A device that makes captures of its own.
fn not_a_relay(device: Device) -> Result<Device, AdmissionError> {
    match device.role {
        DeviceRole::Counter | DeviceRole::Enrolment => Ok(device),
        DeviceRole::Relay => Err(AdmissionError::Role("counter")),
    }
}

/// Whether no agent of ours, and no line that fails, makes such an envelope.
fn is_tampering(error: &AdmissionError) -> bool {
    match error {
        AdmissionError::ForeignEnvelope
        | AdmissionError::Envelope(EnvelopeError::BadSignature | EnvelopeError::DoesNotOpen | EnvelopeError::DigestDiffers) => true,
        AdmissionError::Envelope(
            EnvelopeError::Malformed { .. }
            | EnvelopeError::NotAMessage(_)
            | EnvelopeError::UnknownRecipient(_)
            | EnvelopeError::NoRandomness
            | EnvelopeError::DoesNotSeal,
        )
        | AdmissionError::NoCertificate
        | AdmissionError::UnknownDevice
        | AdmissionError::Revoked
        | AdmissionError::Role(_)
        | AdmissionError::NotARelay
        | AdmissionError::ForeignInstitution
        | AdmissionError::Named
        | AdmissionError::DeviceKey
        | AdmissionError::RequestReused
        | AdmissionError::EnvelopeUsed
        | AdmissionError::SequenceReused
        | AdmissionError::Store(_) => false,
    }
}

/// Writes a flag of its own; one that is there already is left alone.
pub(super) async fn raise(store: &dyn Store, flag: Flag) -> Result<(), StoreError> {
    match store.record_flag(flag).await {
        Ok(()) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error @ (StoreError::Unavailable(_) | StoreError::Busy | StoreError::Corrupt { .. } | StoreError::TooNew { .. })) => Err(error),
    }
}

/// Checks that the envelope is the device's. About 90 µs of arithmetic: not worth another thread.
pub(super) fn authenticate(device: Device, parsed: Parsed) -> Result<(Request, Authentic), AdmissionError> {
    if parsed.header().device != device.id {
        return Err(AdmissionError::ForeignEnvelope);
    }
    let key = VerifyingKey::from_bytes(&device.public_key).map_err(|_| AdmissionError::DeviceKey)?;
    let authentic = parsed.authenticate(&key).map_err(AdmissionError::Envelope)?;
    let header = authentic.header();
    let key = RequestKey { institution: device.institution.clone(), transaction: header.transaction.clone(), attempt: header.attempt };
    let request = Request { key, sequence: header.sequence, digest: authentic.digest(), device };
    Ok((request, authentic))
}
