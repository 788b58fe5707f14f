//! The device's certificate: how long it holds, and how the next one takes its place.

use std::path::Path;

use sha2::{Digest, Sha256};
use x509_parser::parse_x509_certificate;

use super::{CA_FILE, CERTIFICATE_FILE, DeviceKey, Identity, IdentityError, bundle};
use crate::durable::{self, Readers};

/// From when to when a certificate holds, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From when.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
}

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Holds,
    /// It holds, and the next one is due.
    Due,
    /// It ended: the center is reached by nothing but a late renewal.
    Ended,
    /// It does not hold yet: this machine's clock is behind.
    NotYet,
}

impl Validity {
    /// Reads it from a certificate (DER); nothing when it is none.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let ms = |seconds: i64| seconds.saturating_mul(1000);
        let validity = certificate.validity();
        Some(Self { from_ms: ms(validity.not_before.timestamp()), until_ms: ms(validity.not_after.timestamp()) })
    }

    /// How it stands at a time; the next one is due when this share (0–1) of its time is over.
    #[must_use]
    pub fn at(&self, now_ms: i64, renew_after_share: f64) -> Standing {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a renewal is not due to the millisecond")]
        let due_ms = self.from_ms + (self.until_ms.saturating_sub(self.from_ms) as f64 * renew_after_share) as i64;
        match now_ms {
            now if now > self.until_ms => Standing::Ended,
            now if now < self.from_ms => Standing::NotYet,
            now if now >= due_ms => Standing::Due,
            _ => Standing::Holds,
        }
    }

    /// The moment nearest to this one at which the certificate holds, in seconds.
    pub(super) fn nearest_s(&self, now_ms: i64) -> u64 {
        u64::try_from(now_ms.clamp(self.from_ms, self.until_ms.saturating_sub(1000)) / 1000).unwrap_or_default()
    }
}

/// Takes the next certificate into the state folder, after checking that it is for this device's key and by authorities that it
/// comes with.
///
/// # Errors
/// When it is not, or the folder cannot be written.
pub fn take(dir: &Path, certificate_pem: &str, authority_pem: &str) -> Result<Identity, IdentityError> {
    let (certificate, ca) = (dir.join(CERTIFICATE_FILE), dir.join(CA_FILE));
    bundle::check(&DeviceKey::read(dir)?, (&certificate, certificate_pem), (&ca, authority_pem))?;
    // Authorities first: the present certificate leads to one of the new ones too.
    for (path, text) in [(&ca, authority_pem), (&certificate, certificate_pem)] {
        durable::write(path, text.as_bytes(), Readers::Everyone).map_err(IdentityError::Write)?;
    }
    Identity::load(dir)
}

/// SHA-256 of a certificate (DER), as the center knows it.
#[must_use]
pub fn sha256(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_due_before_it_ends() {
        let validity = Validity { from_ms: 1_000, until_ms: 11_000 };
        let check = |now, expected| assert_eq!(validity.at(now, 0.6), expected, "{now}");
        check(999, Standing::NotYet);
        check(1_000, Standing::Holds);
        check(6_999, Standing::Holds);
        check(7_000, Standing::Due);
        check(11_000, Standing::Due);
        check(11_001, Standing::Ended);
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        assert_eq!(Validity::of(b"certificate"), None);
    }
}
