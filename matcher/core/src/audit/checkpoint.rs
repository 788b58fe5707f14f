//! Checkpoints: heads of chains, signed, one compact JWS (EdDSA) a line.
//!
//! A checkpoint names the hash of the one before it and holds the heads that moved since; a full one, the first
//! of every file, holds all heads, so that older files may be put away. A new signing key is introduced by a
//! checkpoint under the old one. Not here: where the lines are kept, and what a series of them says together
//! ([`history`](super::history)).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::chain::{Hash, Head};

/// The `typ` of a checkpoint's JWS.
const TYPE: &str = "countersign-checkpoint+jws";

/// A line that is no checkpoint.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// It is not in the form of a compact JWS of this type.
    #[error("expected a compact JWS of type {TYPE}, algorithm EdDSA")]
    Form,
    /// It names a key that is not trusted.
    #[error("the key {0} is not trusted: neither given nor introduced by an earlier checkpoint")]
    UnknownKey(String),
    /// The signature does not hold.
    #[error("the signature of key {0} does not hold")]
    Signature(String),
    /// The payload is not in its form.
    #[error("the payload is not in order")]
    Payload(#[source] serde_json::Error),
}

/// Heads at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// SHA-256 of the line before it; none for the first.
    #[serde(with = "optional_hex")]
    pub previous: Option<Hash>,
    /// Whether these are the heads of all epochs, and not only of those that moved.
    pub full: bool,
    /// The heads.
    pub heads: Vec<Head>,
    /// The public key that checkpoints after this one may be signed with.
    #[serde(with = "optional_hex", default)]
    pub next_key: Option<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

impl Checkpoint {
    /// Signs it: one line, without its end.
    ///
    /// # Errors
    /// Only when it cannot be written as JSON, which no value of it brings about.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CheckpointError> {
        let header = Header { alg: "EdDSA".into(), kid: key_id(&key.verifying_key()), typ: TYPE.into() };
        let part = |json: Result<Vec<u8>, serde_json::Error>| json.map(|json| BASE64_URL_SAFE_NO_PAD.encode(json));
        let signed = format!(
            "{}.{}",
            part(serde_json::to_vec(&header)).map_err(CheckpointError::Payload)?,
            part(serde_json::to_vec(self)).map_err(CheckpointError::Payload)?
        );
        let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
        Ok(format!("{signed}.{signature}"))
    }

    /// Reads a line without asking who signed it: for whoever writes the next one.
    ///
    /// # Errors
    /// When it is not in the form of a checkpoint.
    pub fn read_unverified(line: &str) -> Result<Self, CheckpointError> {
        let (_, payload, _) = parts(line)?;
        serde_json::from_slice(&payload).map_err(CheckpointError::Payload)
    }

    /// Reads a line that one of these keys signed.
    ///
    /// # Errors
    /// When it is no checkpoint, or signed by none of them.
    pub fn verify(line: &str, keys: &[VerifyingKey]) -> Result<Self, CheckpointError> {
        let (header, payload, signature) = parts(line)?;
        let key = keys.iter().find(|key| key_id(key) == header.kid).ok_or_else(|| CheckpointError::UnknownKey(header.kid.clone()))?;
        let signed = line.rsplit_once('.').map_or(line, |(signed, _)| signed);
        key.verify_strict(signed.as_bytes(), &signature).map_err(|_| CheckpointError::Signature(header.kid))?;
        serde_json::from_slice(&payload).map_err(CheckpointError::Payload)
    }
}

/// What the next checkpoint names this line by.
#[must_use]
pub fn line_hash(line: &str) -> Hash {
    Sha256::digest(line.as_bytes()).into()
}

/// The name of a key: the first 16 hexadecimal digits of the SHA-256 of its public half.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> String {
    to_hex(&Sha256::digest(key.as_bytes())).chars().take(16).collect()
}

fn parts(line: &str) -> Result<(Header, Vec<u8>, Signature), CheckpointError> {
    let mut parts = line.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| CheckpointError::Form));
    let mut next = || parts.next().unwrap_or(Err(CheckpointError::Form));
    let (header, payload, signature) = (next()?, next()?, next()?);
    let header: Header = serde_json::from_slice(&header).map_err(|_| CheckpointError::Form)?;
    let signature = Signature::from_slice(&signature).map_err(|_| CheckpointError::Form)?;
    if parts.next().is_some() || header.alg != "EdDSA" || header.typ != TYPE {
        return Err(CheckpointError::Form);
    }
    Ok((header, payload, signature))
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |c: u8| char::from(c).to_digit(16).filter(|_| !c.is_ascii_uppercase()).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<Vec<u8>>>()?;
    if rest.is_empty() { bytes.try_into().ok() } else { None }
}

/// 64 hexadecimal digits, or null.
mod optional_hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(super) fn serialize<S: Serializer>(bytes: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.map(|bytes| super::to_hex(&bytes)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 32]>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::from_hex(&text).ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))).transpose()
    }
}

/// A head on the wire: epoch, link, entries, hash.
impl Serialize for Head {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (to_hex(&self.epoch), self.link, self.entries, to_hex(&self.hash)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (epoch, link, entries, hash) = <(String, u64, u64, String)>::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("expected epoch (32 hexadecimal digits), link, entries and hash (64)");
        Ok(Self { epoch: from_hex(&epoch).ok_or_else(wrong)?, link, entries, hash: from_hex(&hash).ok_or_else(wrong)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[byte; 32])
    }

    fn checkpoint() -> Checkpoint {
        let head = Head { epoch: [1; 16], link: 2, entries: 3, hash: [4; 32] };
        Checkpoint { number: 7, at: 1_000, previous: Some([9; 32]), full: true, heads: vec![head], next_key: Some([8; 32]) }
    }

    #[test]
    fn a_checkpoint_comes_back_as_it_was_signed() {
        for checkpoint in [checkpoint(), Checkpoint { previous: None, heads: Vec::new(), next_key: None, ..checkpoint() }] {
            let line = checkpoint.sign(&key(1)).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(Checkpoint::verify(&line, &[key(2).verifying_key(), key(1).verifying_key()]).unwrap(), checkpoint);
            assert_eq!(Checkpoint::read_unverified(&line).unwrap(), checkpoint);
        }
    }

    #[track_caller]
    fn check_refused(line: &str, expected: &str) {
        let error = Checkpoint::verify(line, &[key(1).verifying_key()]).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn lines_that_are_no_checkpoint_are_refused() {
        let line = checkpoint().sign(&key(1)).unwrap();
        check_refused("", "expected a compact JWS");
        check_refused(&format!("{line}.x"), "expected a compact JWS");
        check_refused(&line.replacen('.', "..", 1), "expected a compact JWS");
        check_refused(line.rsplit_once('.').unwrap().0, "expected a compact JWS");
        check_refused(&checkpoint().sign(&key(2)).unwrap(), "is not trusted");
        let other = Checkpoint { at: 1_001, ..checkpoint() }.sign(&key(1)).unwrap();
        let (payload, signature) = (other.rsplit_once('.').unwrap().0, line.rsplit_once('.').unwrap().1);
        check_refused(&format!("{payload}.{signature}"), "does not hold");
    }

    #[test]
    fn another_algorithm_or_type_is_refused() {
        for header in [r#"{"alg":"none","kid":"K","typ":"countersign-checkpoint+jws"}"#, r#"{"alg":"EdDSA","kid":"K","typ":"JWT"}"#] {
            let header = header.replace('K', &key_id(&key(1).verifying_key()));
            let line = checkpoint().sign(&key(1)).unwrap();
            let payload = line.split('.').nth(1).unwrap();
            let signed = format!("{}.{payload}", BASE64_URL_SAFE_NO_PAD.encode(header));
            let signature = BASE64_URL_SAFE_NO_PAD.encode(key(1).sign(signed.as_bytes()).to_bytes());
            check_refused(&format!("{signed}.{signature}"), "expected a compact JWS");
        }
    }
}
