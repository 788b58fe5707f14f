//! The signature of what is told, as Standard Webhooks has it (`standard-webhooks` specification 1.0.0, symmetric scheme): the headers
//! `webhook-id`, `webhook-timestamp` (seconds) and `webhook-signature`, which is `v1,` and the base64 of HMAC-SHA256 over
//! `id.timestamp.body`. A receiver refuses times that are far off, and ids it has had.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

/// How a secret begins where it is written down.
const PREFIX: &str = "whsec_";
/// Shortest and longest secret, in bytes: the bounds of the specification.
const LEN: std::ops::RangeInclusive<usize> = 24..=64;

/// A text that is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("secret: expected {PREFIX} and the base64 of {} to {} bytes", LEN.start(), LEN.end())]
pub struct SecretError;

/// What both sides know.
pub struct Secret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// Reads one as it is written down.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(text: &str) -> Result<Self, SecretError> {
        let bytes = text.trim().strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        bytes.filter(|bytes| LEN.contains(&bytes.len())).map(|bytes| Self(Zeroizing::new(bytes))).ok_or(SecretError)
    }

    /// A new one as it is written down, from random bytes.
    #[must_use]
    pub fn written(random: [u8; 32]) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(random)))
    }

    /// The signature's header of a message.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &str) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(Secret::read(text).is_ok(), expected, "{text}");
    }

    #[test]
    fn a_secret_is_as_the_specification_has_it() {
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true);
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", true);
        check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false);
        check("whsec_c2hvcnQ=", false);
        check("whsec_not base64", false);
        check("", false);
        assert_eq!(format!("{:?}", Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()), "Secret(..)");
        Secret::read(&Secret::written([7; 32])).unwrap();
    }

    /// The example that the reference libraries of Standard Webhooks test themselves by.
    #[test]
    fn the_known_example_is_signed_alike() {
        let secret = Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn whatever_changes_the_signature_changes() {
        let secret = Secret::read(&Secret::written([7; 32])).unwrap();
        let signed = secret.sign("a", 1, "{}");
        for other in [secret.sign("b", 1, "{}"), secret.sign("a", 2, "{}"), secret.sign("a", 1, "{ }")] {
            assert_ne!(signed, other);
        }
        assert_ne!(Secret::read(&Secret::written([8; 32])).unwrap().sign("a", 1, "{}"), signed);
    }
}
