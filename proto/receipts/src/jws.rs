//! Compact JWS (RFC 7515), as strict as a receipt allows: one algorithm, few header members, bounded size.
//!
//! Written on base64, JSON and Ed25519 instead of a JWT library: the one that is typed brings a second calendar
//! and an older Ed25519, the other takes its cryptography from a process-wide registry and ignores what it does
//! not know in a header. A stock library can read what is made here; an example does.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

/// Longest compact form, in bytes.
pub const LEN_MAX: usize = 4096;
/// The one algorithm: Ed25519 (RFC 8037).
const ALGORITHM: &str = "EdDSA";

/// A compact form that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JwsError {
    /// It is not in order.
    #[error("expected a compact JWS with a known header")]
    Malformed,
    /// It is signed by something else than Ed25519.
    #[error("alg: expected EdDSA")]
    WrongAlgorithm,
    /// The key did not sign it.
    #[error("expected the signature of the key")]
    BadSignature,
}

/// A header: exactly these members are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// Names the key.
    pub kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// What the claims are.
    pub typ: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// The certificate of the key: DER, in base64.
    pub x5c: Option<[String; 1]>,
}

impl Header {
    /// A header for Ed25519.
    #[must_use]
    pub fn new(typ: &str, kid: Option<String>, x5c: Option<[String; 1]>) -> Self {
        Self { alg: ALGORITHM.to_owned(), kid, typ: Some(typ.to_owned()), x5c }
    }
}

/// A compact form taken apart; nothing in it is believed yet.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The header, as it is written.
    pub header: Header,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Signature,
}

impl<'a> Parts<'a> {
    /// Takes a compact form apart.
    ///
    /// # Errors
    /// When it is not in order or signed by something else than Ed25519.
    pub fn new(compact: &'a str) -> Result<Self, JwsError> {
        if compact.len() > LEN_MAX {
            return Err(JwsError::Malformed);
        }
        let (signed, signature) = compact.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Malformed)?;
        let header: Header = json(&decode(header)?)?;
        if header.alg != ALGORITHM {
            return Err(JwsError::WrongAlgorithm);
        }
        // A further full stop is no base64url, so there are exactly three parts.
        let payload = decode(payload)?;
        let signature = Signature::from_slice(&decode(signature)?).map_err(|_| JwsError::Malformed)?;
        Ok(Self { header, signed, payload, signature })
    }

    /// The claims, believed because the key signed them.
    ///
    /// # Errors
    /// When it did not, or they are of another form.
    pub fn claims<T: DeserializeOwned>(&self, key: &VerifyingKey) -> Result<T, JwsError> {
        key.verify_strict(self.signed.as_bytes(), &self.signature).map_err(|_| JwsError::BadSignature)?;
        json(&self.payload)
    }

    /// The claims as they are written, whoever wrote them.
    ///
    /// # Errors
    /// When they are of another form.
    pub fn unverified<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        json(&self.payload)
    }
}

/// Signs claims.
#[must_use]
pub fn sign(header: &Header, claims: &impl Serialize, key: &SigningKey) -> String {
    let (Ok(header), Ok(claims)) = (serde_json::to_vec(header), serde_json::to_vec(claims)) else {
        unreachable!("texts and numbers become JSON")
    };
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", encode(&signature.to_bytes()))
}

/// Bytes as base64url without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of base64url without padding; there is one way to write them.
///
/// # Errors
/// When they are written in another way.
pub fn decode(text: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwsError::Malformed)
}

/// Duplicate and unknown members are refused by the types this is used with.
fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JwsError> {
    serde_json::from_slice(bytes).map_err(|_| JwsError::Malformed)
}
