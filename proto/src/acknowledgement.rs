//! The center's word on a spooled envelope: signed there, checked on the device.
//!
//! A device deletes a capture on nothing else, so that neither a relay nor whoever sits on the line can make it lose one.
//! The signature is over the exact bytes that travel, under a prefix of its own: no other thing that the key signs is an
//! acknowledgement. Not here: what is stored and why something is refused.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use prost::Message;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::v1::{Acknowledgement, Envelope, SignedAcknowledgement, UploadOutcome};

/// The largest encoded acknowledgement, in bytes.
pub const ACKNOWLEDGEMENT_LEN_MAX: usize = 1024;

const SIGNATURE_CONTEXT: &[u8] = b"countersign.v1 acknowledgement\0";

/// Why an acknowledgement says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AcknowledgementError {
    /// A field is missing, too large or not of its form.
    #[error("acknowledgement.{field}: expected {expected}")]
    Malformed {
        /// The field.
        field: &'static str,
        /// What was expected of it.
        expected: &'static str,
    },
    /// The signature is not the center's over these bytes.
    #[error("acknowledgement.signature: expected the center's signature; it was altered or signed with another key")]
    BadSignature,
    /// It is about another envelope.
    #[error("acknowledgement.envelope_sha256: expected the digest of the envelope that was sent")]
    OtherEnvelope,
}

/// What an envelope is named by: SHA-256 over header and signature, whether or not they are in order. For an envelope
/// that is, it is [`Authentic::digest`](crate::envelope::Authentic::digest).
#[must_use]
pub fn digest(envelope: &Envelope) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(&envelope.header);
    digest.update(&envelope.signature);
    digest.finalize().into()
}

/// Signs an acknowledgement as the center.
#[must_use]
pub fn sign(acknowledgement: &Acknowledgement, center: &SigningKey) -> SignedAcknowledgement {
    let acknowledgement = acknowledgement.encode_to_vec();
    let signature = center.sign(&signed_bytes(&acknowledgement)).to_bytes().to_vec();
    SignedAcknowledgement { acknowledgement, signature, key_id: key_id(&center.verifying_key()), held: false }
}

/// What a relay says of an envelope that it keeps: no acknowledgement, and nothing is deleted on it.
#[must_use]
pub fn held() -> SignedAcknowledgement {
    SignedAcknowledgement { held: true, ..SignedAcknowledgement::default() }
}

/// Whether a relay keeps the envelope, and the center has not spoken yet.
#[must_use]
pub fn is_held(signed: &SignedAcknowledgement) -> bool {
    signed.held && signed.acknowledgement.is_empty() && signed.signature.is_empty()
}

/// Checks an acknowledgement of the envelope with this [`digest`].
///
/// # Errors
/// When it is not in order, not the center's, or about another envelope: the device then keeps what it has.
pub fn check(signed: &SignedAcknowledgement, center: &VerifyingKey, envelope: &[u8; 32]) -> Result<Acknowledgement, AcknowledgementError> {
    let malformed = |field, expected| AcknowledgementError::Malformed { field, expected };
    if signed.acknowledgement.len() > ACKNOWLEDGEMENT_LEN_MAX {
        return Err(malformed("acknowledgement", "at most 1024 bytes"));
    }
    let signature = <[u8; 64]>::try_from(signed.signature.as_slice()).map_err(|_| malformed("signature", "64 bytes"))?;
    center
        .verify_strict(&signed_bytes(&signed.acknowledgement), &Signature::from_bytes(&signature))
        .map_err(|_| AcknowledgementError::BadSignature)?;
    let acknowledgement = Acknowledgement::decode(signed.acknowledgement.as_slice())
        .map_err(|_| malformed("acknowledgement", "an encoded Acknowledgement"))?;
    if acknowledgement.envelope_sha256 != envelope {
        return Err(AcknowledgementError::OtherEnvelope);
    }
    if acknowledgement.outcome() == UploadOutcome::Unspecified {
        return Err(malformed("outcome", "a known outcome"));
    }
    Ok(acknowledgement)
}

/// Whether the device may delete what it spooled.
#[must_use]
pub fn may_delete(acknowledgement: &Acknowledgement) -> bool {
    match acknowledgement.outcome() {
        UploadOutcome::Stored | UploadOutcome::StoredBefore => true,
        UploadOutcome::Refused | UploadOutcome::TryAgain | UploadOutcome::Unspecified => false,
    }
}

fn signed_bytes(acknowledgement: &[u8]) -> Vec<u8> {
    [SIGNATURE_CONTEXT, acknowledgement].concat()
}

fn key_id(key: &VerifyingKey) -> String {
    Sha256::digest(key.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        envelope::{Address, OpeningKey, Parsed, seal},
        v1::{BodyKind, Capture},
    };

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[byte; 32])
    }

    fn stored() -> Acknowledgement {
        Acknowledgement {
            device: "till-1".into(),
            sequence: 7,
            envelope_sha256: vec![9; 32],
            outcome: UploadOutcome::Stored.into(),
            acknowledged_at_ms: 5,
            ..Acknowledgement::default()
        }
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut SignedAcknowledgement), expected: &str) {
        let mut signed = sign(&stored(), &key(1));
        assert_eq!(super::check(&signed, &key(1).verifying_key(), &[9; 32]), Ok(stored()));
        change(&mut signed);
        let error = super::check(&signed, &key(1).verifying_key(), &[9; 32]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn only_what_the_center_signed_about_this_envelope_counts() {
        check_refused(|signed| *signed = sign(&stored(), &key(2)), "center's signature");
        check_refused(|signed| signed.acknowledgement.push(0), "center's signature");
        check_refused(|signed| signed.signature.truncate(63), "64 bytes");
        check_refused(|signed| signed.acknowledgement = vec![0; 1025], "1024");
        let other = Acknowledgement { envelope_sha256: vec![8; 32], ..stored() };
        check_refused(|signed| *signed = sign(&other, &key(1)), "envelope_sha256");
        let unsaid = Acknowledgement { outcome: 0, ..stored() };
        check_refused(|signed| *signed = sign(&unsaid, &key(1)), "outcome");
    }

    #[test]
    fn a_policy_signature_is_no_acknowledgement() {
        let bytes = stored().encode_to_vec();
        let policy = key(1).sign(&[b"countersign device policy v1\0".as_slice(), &bytes].concat());
        check_refused(|signed| signed.signature = policy.to_bytes().to_vec(), "center's signature");
    }

    #[test]
    fn devices_check_the_very_bytes_that_are_documented() {
        let signed = sign(&stored(), &key(1));
        let message = [b"countersign.v1 acknowledgement\0".as_slice(), &signed.acknowledgement].concat();
        let signature = Signature::from_slice(&signed.signature).unwrap();
        key(1).verifying_key().verify_strict(&message, &signature).unwrap();
        assert_eq!(signed.key_id.len(), 16);
    }

    #[test]
    fn a_capture_is_deleted_when_it_is_stored_and_not_otherwise() {
        use UploadOutcome::{Refused, Stored, StoredBefore, TryAgain, Unspecified};
        for (outcome, expected) in [(Stored, true), (StoredBefore, true), (Refused, false), (TryAgain, false), (Unspecified, false)] {
            assert_eq!(may_delete(&Acknowledgement { outcome: outcome.into(), ..stored() }), expected, "{outcome:?}");
        }
        assert!(!may_delete(&Acknowledgement { outcome: 99, ..stored() }), "an outcome of a later release");
    }

    #[test]
    fn the_digest_is_the_authentic_envelopes() {
        let address = Address { device: "till-1".into(), sequence: 1, transaction: "T".into(), attempt: 1, body: BodyKind::Capture };
        let envelope = seal(&address, &Capture::default(), &key(3), OpeningKey::generate().public()).unwrap();
        let authentic = Parsed::new(envelope.clone()).unwrap().authenticate(&key(3).verifying_key()).unwrap();
        assert_eq!(digest(&envelope), authentic.digest());
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(at in 0_usize..200, bit in 0_u8..8, sequence in 1_u64.., detail in "[a-z ]{0,300}") {
            let said = Acknowledgement { sequence, detail, ..stored() };
            let mut signed = sign(&said, &key(1));
            prop_assert_eq!(check(&signed, &key(1).verifying_key(), &[9; 32]).unwrap(), said);
            let at = at % signed.acknowledgement.len();
            signed.acknowledgement[at] ^= 1 << bit;
            prop_assert_eq!(check(&signed, &key(1).verifying_key(), &[9; 32]), Err(AcknowledgementError::BadSignature));
        }

        #[test]
        fn any_bytes_are_refused(acknowledgement: Vec<u8>, signature: Vec<u8>) {
            let signed = SignedAcknowledgement { acknowledgement, signature, key_id: String::new(), held: false };
            prop_assert!(check(&signed, &key(1).verifying_key(), &[9; 32]).is_err());
        }
    }
}
