//! Provisional receipts as they travel: signed by a device while the center does not answer.
//!
//! Their number follows from the envelope of the capture, so that both sides know it without telling each other. Not here:
//! checking one (`matcher-core`), and when a device may give one.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{jws, number::ReceiptNumber};

/// The `typ` of a provisional receipt's header.
pub const TYPE: &str = "countersign-provisional-receipt+jwt";
/// Longest time between `iat` and `exp`, in seconds.
pub const VALID_SECONDS_MAX: i64 = 900;

/// The claims, as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionalForm {
    /// The device, by its name in the registry.
    pub iss: String,
    /// Whom it is meant for.
    pub aud: String,
    /// Its number; see [`number`].
    pub jti: String,
    /// When it was made by the device's clock, in seconds since 1970-01-01 UTC.
    pub iat: i64,
    /// When it ends, in seconds; at most [`VALID_SECONDS_MAX`] later.
    pub exp: i64,
    /// The institution, as the device was told.
    pub institution: String,
    /// What is to be verified.
    pub transaction: String,
    /// Which attempt of it.
    pub attempt: u32,
    /// Where, as the policy words it.
    pub scene: String,
    /// What the till was told to do, as the policy words it.
    pub disposition: String,
    /// The policy that allowed it.
    pub policy: String,
    /// The lease that allowed it.
    pub lease: String,
    /// SHA-256 of the envelope's plaintext, as in its header: base64url.
    pub capture: String,
    /// The envelope's sequence number on that device.
    pub sequence: u64,
}

/// The number of the provisional receipt of an envelope, which its digest (SHA-256 over header and signature) names.
#[must_use]
pub fn number(envelope: &[u8; 32]) -> ReceiptNumber {
    let digest = Sha256::new_with_prefix(b"countersign provisional receipt\0").chain_update(envelope).finalize();
    let mut first = [0; 16];
    first.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    ReceiptNumber::from_random(first)
}

/// Signs a provisional receipt with a device's key, beside its certificate in DER form.
#[must_use]
pub fn sign(form: &ProvisionalForm, key: &SigningKey, certificate: &[u8]) -> String {
    let header = jws::Header::new(TYPE, None, Some([STANDARD.encode(certificate)]));
    jws::sign(&header, form, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_follows_from_the_envelope() {
        assert_eq!(number(&[1; 32]), number(&[1; 32]));
        assert_ne!(number(&[1; 32]), number(&[2; 32]));
        assert_eq!(number(&[1; 32]).to_string().parse(), Ok(number(&[1; 32])));
    }
}
