//! Signatures over policies: one over the text, one over what devices are told, each for its purpose alone.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// What is signed. A signature over one is none over the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The policy's text.
    Text,
    /// An encoded `DevicePolicy`.
    Device,
}

impl Part {
    fn message(self, bytes: &[u8]) -> Vec<u8> {
        let prefix: &[u8] = match self {
            Self::Text => b"countersign policy text v1\0",
            Self::Device => b"countersign device policy v1\0",
        };
        [prefix, bytes].concat()
    }
}

/// Signs a part of a policy.
#[must_use]
pub fn sign(key: &SigningKey, part: Part, bytes: &[u8]) -> [u8; 64] {
    key.sign(&part.message(bytes)).to_bytes()
}

/// Whether a signature is this key's over this part of a policy.
#[must_use]
pub fn holds(key: &VerifyingKey, part: Part, bytes: &[u8], signature: &[u8; 64]) -> bool {
    key.verify_strict(&part.message(bytes), &Signature::from_bytes(signature)).is_ok()
}

/// The name of a policy key: the first 8 bytes of the SHA-256 of its public half, as 16 hexadecimal digits.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> String {
    Sha256::digest(key.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_for_one_part_one_text_and_one_key() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let signature = sign(&key, Part::Text, b"text");
        let check = |key: &SigningKey, part, bytes: &[u8]| holds(&key.verifying_key(), part, bytes, &signature);
        assert!(check(&key, Part::Text, b"text"));
        assert!(!check(&key, Part::Device, b"text") && !check(&key, Part::Text, b"texts"));
        assert!(!check(&SigningKey::from_bytes(&[2; 32]), Part::Text, b"text"));
    }

    #[test]
    fn devices_check_the_very_bytes_that_are_documented() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let signature = Signature::from_bytes(&sign(&key, Part::Device, b"policy"));
        key.verifying_key().verify_strict(b"countersign device policy v1\0policy", &signature).unwrap();
    }

    #[test]
    fn a_key_is_named_by_its_public_half() {
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let id = key_id(&key);
        assert!(id.len() == 16 && id != key_id(&SigningKey::from_bytes(&[2; 32]).verifying_key()));
        let digest = Sha256::digest(key.as_bytes());
        assert_eq!(u8::from_str_radix(&id[..2], 16).unwrap(), digest[0]);
        assert_eq!(u8::from_str_radix(&id[14..], 16).unwrap(), digest[7]);
    }
}
