//! The registry beyond its entries: codes that devices join with, certificates that follow one another, health reports.
//!
//! A code is spent and its device entered in one commit, so that power lost in between loses neither. Not here: who may join
//! (`crate::app::joining`), and what reports mean (`matcher_core::device_health`).

use async_trait::async_trait;

use super::{Device, DeviceRole, StoreError, TimeMs};

/// A code that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// What finds it.
    pub locator: String,
    /// Digest of locator and secret.
    pub digest: [u8; 32],
    /// The name the device will have.
    pub device: String,
    /// The institution it will stand in.
    pub institution: String,
    /// The counter it will stand at.
    pub counter: String,
    /// What it will be allowed to do.
    pub role: DeviceRole,
    /// Whether it takes the place of one of the same name.
    pub replaces: bool,
    /// When the code was made.
    pub made_at: TimeMs,
    /// Until when it may be used.
    pub expires_at: TimeMs,
    /// How often it was tried with a wrong secret.
    pub wrong: u32,
    /// When it was used, and by which key.
    pub used: Option<(TimeMs, [u8; 32])>,
}

/// A certificate as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// SHA-256 of its DER form.
    pub sha256: [u8; 32],
    /// The certificate.
    pub pem: String,
    /// When it was issued.
    pub issued_at: TimeMs,
    /// SHA-256 of the one it follows, which goes on until it ends.
    pub previous_sha256: Option<[u8; 32]>,
}

/// What became of one that was to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// It is in.
    Now,
    /// Somebody used the code meanwhile, or it is gone.
    CodeSpent,
    /// Another device has the name.
    NameTaken,
}

/// A device's certificate in the place of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The device.
    pub device: String,
    /// The certificate that is replaced.
    pub from_sha256: [u8; 32],
    /// The new one; its `previous_sha256` is set by the store.
    pub certificate: IssuedCertificate,
    /// When it ends.
    pub expires_at: TimeMs,
}

/// A health report as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose.
    pub device: String,
    /// When it was received.
    pub received_at: TimeMs,
    /// The center's clock then minus the device's, in milliseconds.
    pub behind_ms: i64,
    /// The largest step of its clock that the device noticed, in milliseconds.
    pub step_ms: i64,
    /// Random name of the running agent.
    pub instance: Option<[u8; 16]>,
    /// Everything else, as JSON.
    pub detail: String,
}

/// Joining, renewing, reporting.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Keeps a code.
    async fn invite(&self, invitation: Invitation) -> Result<(), StoreError>;
    /// The code of a locator.
    async fn invitation(&self, locator: &str) -> Result<Option<Invitation>, StoreError>;
    /// Counts a try with a wrong secret; what it is then, if there is such a code.
    async fn count_wrong(&self, locator: &str, at: TimeMs) -> Result<Option<Invitation>, StoreError>;
    /// Spends a code and enters its device with a certificate, in one commit.
    async fn join(&self, locator: &str, device: Device, certificate: IssuedCertificate) -> Result<Joined, StoreError>;
    /// The certificate that was issued last to a device that joined or renewed.
    async fn issued_certificate(&self, device: &str) -> Result<Option<IssuedCertificate>, StoreError>;
    /// Puts a certificate in the place of another; false, and nothing written, when that is not the device's current one
    /// or the device is revoked.
    async fn renew(&self, renewal: Renewal) -> Result<bool, StoreError>;
    /// Keeps a health report, and of its device the last `keep` ones.
    async fn put_report(&self, report: Report, keep: u32) -> Result<(), StoreError>;
    /// The last reports of a device, newest first, at most so many.
    async fn reports(&self, device: &str, limit: u32) -> Result<Vec<Report>, StoreError>;
    /// The last report of each device.
    async fn last_reports(&self) -> Result<Vec<Report>, StoreError>;
}
