//! Joining and renewing: who gets a certificate, and which one.
//!
//! Three ways lead here: a one-time code, the present certificate, and one that ended a short while ago together with the
//! device's signature. In each the key is the device's own and stays; only names, dates and the authority's word are the
//! center's. An answer that was lost is given again. Not here: codes' form (`proto::invitation`), certificates (`crate::pki`).

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ed25519_dalek::{Signature, VerifyingKey};
use matcher_core::overload::{Bucket, Rate};
use proto::invitation;
use thiserror::Error;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    data_dir::DataDir,
    keys::KeyError,
    pki::{Authority, DeviceCertificate, PkiError},
    policy::PolicyKey,
    store::{
        Device, DeviceRole, StoreError, TimeMs,
        registry::{Invitation, IssuedCertificate, Joined, Renewal},
    },
};

use super::admission::{Admission, AdmissionError};

/// A code that was tried with so many wrong secrets is worth nothing any more.
pub const WRONG_MAX: u32 = 5;
/// Callers that show no certificate, all of them together: so many calls a second, so many at once.
const STRANGERS: Rate = Rate { per_second: 2.0, burst: 20 };
const DAY_MS: TimeMs = 86_400_000;

/// Why no certificate is given.
#[derive(Debug, Error)]
pub enum JoinError {
    /// Too many callers without a certificate.
    #[error("too many try to join; try again later")]
    TooMany(Duration),
    /// No such code, a wrong secret, or one that is spent or was tried too often: which of these is not told.
    #[error("code: expected one that was handed out for this counter and is not spent; ask the center for another")]
    Code,
    /// The right code, after its time.
    #[error("code: expected one that is not out of date; ask the center for another")]
    OutOfDate,
    /// The right code, and somebody has the name by now.
    #[error("the center knows another device by the name {0}; ask the center for a code that replaces it")]
    NameTaken(String),
    /// The request is not in order.
    #[error(transparent)]
    Request(PkiError),
    /// The request is for another key.
    #[error("csr_pem: expected a request by the device's key in the registry; a device with another key joins with a code")]
    OtherKey,
    /// The signature is not the device's.
    #[error("signature: expected the device's over the certificate it has and the request")]
    Signature,
    /// The certificate ended too long ago.
    #[error("certificate_sha256: expected a certificate that ended at most {days} days ago; the device joins anew with a code")]
    TooLate {
        /// How long ago it may have ended.
        days: u32,
    },
    /// The device is not let in.
    #[error(transparent)]
    Admission(AdmissionError),
    /// The authority's files cannot be read here.
    #[error("the center cannot issue certificates now")]
    Files(#[source] io::Error),
    /// A key cannot be used.
    #[error("the center cannot issue certificates now")]
    Key(#[source] KeyError),
    /// The store failed.
    #[error("the registry could not be read or written")]
    Store(#[source] StoreError),
}

/// What a device needs after it joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Its entry.
    pub device: Device,
    /// Its certificate and those who vouch for it.
    pub papers: Papers,
    /// The key envelopes are sealed to.
    pub opening_key: [u8; 32],
    /// The key policies are signed with.
    pub policy_key: [u8; 32],
}

/// A certificate and the authorities it leads to, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Papers {
    /// The certificate.
    pub certificate_pem: String,
    /// The authorities.
    pub authority_pem: String,
}

/// How long certificates hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// From their issue, in days.
    pub certificate_days: u32,
    /// How long after its end one may still be renewed, in days.
    pub renew_late_days: u32,
}

/// Gives certificates to devices.
#[derive(Clone)]
pub struct Joining {
    /// Registry, keys, clock.
    pub admission: Admission,
    /// Where the authority's files are; read on each issue, so that a new authority is taken up.
    pub dir: DataDir,
    /// How long certificates hold.
    pub terms: Terms,
    strangers: Arc<Mutex<Bucket>>,
    began: Instant,
}

impl Joining {
    /// Certificates from the authority of a data folder.
    #[must_use]
    pub fn new(admission: Admission, dir: DataDir, terms: Terms) -> Self {
        let strangers = Arc::new(Mutex::new(Bucket::full(STRANGERS, Duration::ZERO)));
        Self { admission, dir, terms, strangers, began: Instant::now() }
    }

    /// Lets a device in with a code.
    ///
    /// # Errors
    /// When the code or the request is not in order, or the store fails.
    pub async fn join(&self, locator: &str, secret: &str, csr_pem: &str) -> Result<Welcome, JoinError> {
        self.admit_stranger()?;
        let now = self.now();
        let invitation = self.invitation(locator, secret, now).await?;
        let (authority, authority_pem) = self.authority()?;
        let issued = self.issue(&authority, csr_pem, (&invitation.device, invitation.role, &invitation.counter), now)?;
        let device = Device {
            id: invitation.device.clone(),
            institution: invitation.institution,
            counter: invitation.counter,
            role: invitation.role,
            public_key: issued.public_key,
            certificate_sha256: issued.sha256,
            certificate_expires_at: issued.expires_at,
            issued_at: now,
            revoked_at: None,
        };
        if let Some((_, key)) = invitation.used {
            return self.welcome_again(device, key, authority_pem).await;
        }
        if now > invitation.expires_at {
            return Err(JoinError::OutOfDate);
        }
        match self.admission.store.join(locator, device.clone(), kept(&issued, now)).await.map_err(JoinError::Store)? {
            Joined::Now => {
                info!(device.id, "a device joined");
                self.welcome(device, issued.pem, authority_pem)
            }
            Joined::NameTaken => Err(JoinError::NameTaken(device.id)),
            Joined::CodeSpent => match self.admission.store.invitation(locator).await.map_err(JoinError::Store)?.and_then(|i| i.used) {
                Some((_, key)) => self.welcome_again(device, key, authority_pem).await,
                None => Err(JoinError::Code),
            },
        }
    }

    /// The next certificate for a device that shows its present one.
    ///
    /// # Errors
    /// When the device is not let in, the request is not by its key, or the store fails.
    pub async fn renew(&self, certificate_sha256: [u8; 32], csr_pem: &str) -> Result<Papers, JoinError> {
        let device = self.admission.device(certificate_sha256).await.map_err(JoinError::Admission)?;
        self.next(&device, certificate_sha256, csr_pem).await
    }

    /// The next certificate for a device whose last one ended.
    ///
    /// # Errors
    /// As [`Joining::renew`], and when it ended too long ago or the signature is not the device's.
    pub async fn renew_late(&self, certificate_sha256: [u8; 32], csr_pem: &str, signature: &[u8]) -> Result<Papers, JoinError> {
        self.admit_stranger()?;
        let device = self.admission.device(certificate_sha256).await.map_err(JoinError::Admission)?;
        let key = VerifyingKey::from_bytes(&device.public_key).map_err(|_| JoinError::Admission(AdmissionError::DeviceKey))?;
        let signature = Signature::from_slice(signature).map_err(|_| JoinError::Signature)?;
        key.verify_strict(&invitation::late_renewal(&certificate_sha256, csr_pem), &signature).map_err(|_| JoinError::Signature)?;
        let days = self.terms.renew_late_days;
        if self.now() > device.certificate_expires_at.saturating_add(TimeMs::from(days) * DAY_MS) {
            return Err(JoinError::TooLate { days });
        }
        self.next(&device, certificate_sha256, csr_pem).await
    }

    /// The certificate after this one: the one that was issued then, when the answer was lost.
    async fn next(&self, device: &Device, from_sha256: [u8; 32], csr_pem: &str) -> Result<Papers, JoinError> {
        let now = self.now();
        let (authority, authority_pem) = self.authority()?;
        let issued = self.issue(&authority, csr_pem, (&device.id, device.role, &device.counter), now)?;
        if issued.public_key != device.public_key {
            return Err(JoinError::OtherKey);
        }
        if device.certificate_sha256 == from_sha256 {
            let renewal =
                Renewal { device: device.id.clone(), from_sha256, certificate: kept(&issued, now), expires_at: issued.expires_at };
            if self.admission.store.renew(renewal).await.map_err(JoinError::Store)? {
                info!(device.id, "a certificate was renewed");
                return Ok(Papers { certificate_pem: issued.pem, authority_pem });
            }
        }
        let store = &self.admission.store;
        let after = store.issued_certificate(&device.id).await.map_err(JoinError::Store)?;
        let after = after.filter(|after| after.previous_sha256 == Some(from_sha256));
        after.map(|after| Papers { certificate_pem: after.pem, authority_pem }).ok_or(JoinError::Admission(AdmissionError::UnknownDevice))
    }

    /// The invitation of a code, whose secret is right.
    async fn invitation(&self, locator: &str, secret: &str, now: TimeMs) -> Result<Invitation, JoinError> {
        let store = &self.admission.store;
        let found = store.invitation(locator).await.map_err(JoinError::Store)?.ok_or(JoinError::Code)?;
        let right = invitation::digest(locator, secret) == found.digest;
        if !right && found.wrong < WRONG_MAX {
            warn!(invitation.locator = locator, "a code was tried with a wrong secret");
            store.count_wrong(locator, now).await.map_err(JoinError::Store)?;
        }
        if right && found.wrong < WRONG_MAX { Ok(found) } else { Err(JoinError::Code) }
    }

    /// The same answer for the key that spent the code.
    async fn welcome_again(&self, device: Device, key: [u8; 32], authority_pem: String) -> Result<Welcome, JoinError> {
        let store = &self.admission.store;
        let known = store.device(&device.id).await.map_err(JoinError::Store)?.filter(|known| known.public_key == key);
        let known = known.filter(|known| device.public_key == key && known.revoked_at.is_none()).ok_or(JoinError::Code)?;
        let issued = store.issued_certificate(&known.id).await.map_err(JoinError::Store)?.ok_or(JoinError::Code)?;
        self.welcome(known, issued.pem, authority_pem)
    }

    fn welcome(&self, device: Device, certificate_pem: String, authority_pem: String) -> Result<Welcome, JoinError> {
        let policy = PolicyKey::load(&self.dir.policy_key()).map_err(JoinError::Key)?;
        Ok(Welcome {
            device,
            papers: Papers { certificate_pem, authority_pem },
            opening_key: *self.admission.opening.current().public().as_bytes(),
            policy_key: *policy.public().as_bytes(),
        })
    }

    fn issue(
        &self,
        authority: &Authority,
        csr_pem: &str,
        (device, role, counter): (&str, DeviceRole, &str),
        now: TimeMs,
    ) -> Result<DeviceCertificate, JoinError> {
        let days = self.terms.certificate_days;
        let issued = match role {
            DeviceRole::Counter | DeviceRole::Enrolment => authority.device_certificate(csr_pem, device, now, days),
            DeviceRole::Relay => authority.relay_certificate(csr_pem, (device, counter), now, days),
        };
        issued.map_err(JoinError::Request)
    }

    fn authority(&self) -> Result<(Authority, String), JoinError> {
        let read = |path: PathBuf| std::fs::read_to_string(path).map(zeroize::Zeroizing::new).map_err(JoinError::Files);
        let certificate = read(self.dir.authority_certificate())?;
        let authority = Authority::load(&certificate, &read(self.dir.authority_key())?).map_err(JoinError::Request)?;
        Ok((authority, certificate.to_string()))
    }

    fn admit_stranger(&self) -> Result<(), JoinError> {
        let mut bucket = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(STRANGERS, self.began.elapsed()).map_err(JoinError::TooMany)
    }

    fn now(&self) -> TimeMs {
        self.admission.surroundings.now_ms()
    }
}

fn kept(issued: &DeviceCertificate, now: TimeMs) -> IssuedCertificate {
    IssuedCertificate { sha256: issued.sha256, pem: issued.pem.clone(), issued_at: now, previous_sha256: None }
}
