//! Leases: signed by the center, checked on the device before they are kept and each time one is used.
//!
//! The signature is over the exact bytes that travel, under a prefix of its own. Not here: what a device does under one
//! (`capture-core`), and what the center allows.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use prost::Message;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::v1::{Lease, SignedLease};

/// The largest encoded lease, in bytes.
pub const LEASE_LEN_MAX: usize = 2048;

const SIGNATURE_CONTEXT: &[u8] = b"countersign.v1 lease\0";

/// Why a lease allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LeaseError {
    /// A field is missing, too large or not of its form.
    #[error("lease.{field}: expected {expected}")]
    Malformed {
        /// The field.
        field: &'static str,
        /// What was expected of it.
        expected: &'static str,
    },
    /// The signature is not the center's over these bytes.
    #[error("lease.signature: expected the center's signature; it was altered or signed with another key")]
    BadSignature,
    /// It is another device's.
    #[error("lease.device: expected {expected}, got another device's lease")]
    OtherDevice {
        /// This device.
        expected: String,
    },
}

/// Signs a lease as the center.
#[must_use]
pub fn sign(lease: &Lease, center: &SigningKey) -> SignedLease {
    let lease = lease.encode_to_vec();
    let signature = center.sign(&signed_bytes(&lease)).to_bytes().to_vec();
    let key_id = Sha256::digest(center.verifying_key().as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    SignedLease { lease, signature, key_id }
}

/// Checks a lease for this device.
///
/// # Errors
/// When it is not in order, not the center's, or another device's.
pub fn check(signed: &SignedLease, center: &VerifyingKey, device: &str) -> Result<Lease, LeaseError> {
    let malformed = |field, expected| LeaseError::Malformed { field, expected };
    if signed.lease.len() > LEASE_LEN_MAX {
        return Err(malformed("lease", "at most 2048 bytes"));
    }
    let signature = <[u8; 64]>::try_from(signed.signature.as_slice()).map_err(|_| malformed("signature", "64 bytes"))?;
    center.verify_strict(&signed_bytes(&signed.lease), &Signature::from_bytes(&signature)).map_err(|_| LeaseError::BadSignature)?;
    let lease = Lease::decode(signed.lease.as_slice()).map_err(|_| malformed("lease", "an encoded Lease"))?;
    if lease.device != device {
        return Err(LeaseError::OtherDevice { expected: device.to_owned() });
    }
    if !(1..=64).contains(&lease.serial.len()) || !lease.serial.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(malformed("serial", "1 to 64 letters, digits and hyphens"));
    }
    if lease.audience.is_empty() || lease.policy_version.is_empty() {
        return Err(malformed("audience, policy_version", "a text"));
    }
    Ok(lease)
}

fn signed_bytes(lease: &[u8]) -> Vec<u8> {
    [SIGNATURE_CONTEXT, lease].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{LeaseScene, Scene};

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[byte; 32])
    }

    fn lease() -> Lease {
        Lease {
            serial: "L-1".into(),
            device: "till-1".into(),
            policy_version: "p1".into(),
            issued_at_ms: 5,
            scenes: vec![LeaseScene { scene: Scene::Settlement.into(), captures_max: 200, until_ms: 9 }],
            audience: "settlement".into(),
        }
    }

    #[track_caller]
    fn check(lease: Lease, signer: &SigningKey, change: impl FnOnce(&mut SignedLease), expected: Result<(), &str>) {
        let mut signed = sign(&lease, signer);
        change(&mut signed);
        let checked = super::check(&signed, &key(1).verifying_key(), "till-1").map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!(checked, Ok(lease)),
            Err(part) => assert!(checked.as_ref().is_err_and(|said| said.contains(part)), "{checked:?}"),
        }
    }

    #[test]
    fn only_what_the_center_signed_for_this_device_counts() {
        check(lease(), &key(1), |_| {}, Ok(()));
        check(lease(), &key(2), |_| {}, Err("center's signature"));
        check(lease(), &key(1), |signed| signed.lease.push(0), Err("center's signature"));
        check(lease(), &key(1), |signed| signed.signature.truncate(63), Err("64 bytes"));
        check(lease(), &key(1), |signed| signed.lease = vec![0; 2049], Err("2048"));
        check(Lease { device: "till-2".into(), ..lease() }, &key(1), |_| {}, Err("lease.device: expected till-1"));
        check(Lease { serial: String::new(), ..lease() }, &key(1), |_| {}, Err("serial"));
        check(Lease { serial: "a b".into(), ..lease() }, &key(1), |_| {}, Err("serial"));
        check(Lease { audience: String::new(), ..lease() }, &key(1), |_| {}, Err("audience"));
    }

    #[test]
    fn an_acknowledgements_signature_is_no_leases() {
        let bytes = lease().encode_to_vec();
        let other = key(1).sign(&[b"countersign.v1 acknowledgement\0".as_slice(), &bytes].concat()).to_bytes().to_vec();
        check(lease(), &key(1), |signed| signed.signature = other, Err("center's signature"));
    }
}
