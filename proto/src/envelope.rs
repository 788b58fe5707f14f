//! The envelope: seal and sign on the device; check, authenticate and open at the center.
//!
//! A received envelope passes three states, and each can only be reached from the one before:
//! [`Parsed`] (sizes and header are in order) → [`Authentic`] (the device's signature is good) →
//! [`Opened`] (the body decrypts, and length and digest are those the device signed). A relay stops at
//! `Authentic`: it can check the signature and the size and can neither read nor alter the body.
//!
//! Not here: who the device is, whether the sequence number is fresh, what the body means.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hpke::{Deserializable, Kem as _, OpModeR, OpModeS, Serializable};
use prost::Message;
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::v1::{BodyKind, Envelope, EnvelopeHeader};

type Kem = hpke::kem::X25519HkdfSha256;
type Kdf = hpke::kdf::HkdfSha256;
type Aead = hpke::aead::AesGcm256;

/// The largest encoded header, in bytes.
pub const HEADER_LEN_MAX: usize = 1024;
/// The largest sealed body, in bytes.
pub const CIPHERTEXT_LEN_MAX: usize = 256 * 1024;
/// Length of the random number every plaintext starts with, in bytes.
pub const NONCE_LEN: usize = 32;

const VERSION: u32 = 1;
const TAG_LEN: usize = 16;
const SIGNATURE_CONTEXT: &[u8] = b"countersign.v1 envelope\0";
const HPKE_INFO: &[u8] = b"countersign.v1 envelope";
const ATTEMPT_MAX: u32 = 99;

/// Why an envelope is refused. The message names the field and what was expected of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// A field is missing, too large or not of its form.
    #[error("envelope.{field}: expected {expected}")]
    Malformed {
        /// The field, as in the `.proto` file.
        field: &'static str,
        /// What was expected of it.
        expected: String,
    },
    /// The signature is not the device's over these header bytes.
    #[error("envelope.signature: expected the device's signature over the header; the envelope was altered or signed with another key")]
    BadSignature,
    /// The body is sealed to a key that is not this one.
    #[error("envelope.header.recipient_key: expected one of the center's opening keys, got {0}")]
    UnknownRecipient(String),
    /// The body does not decrypt under this header and signature.
    #[error("envelope.ciphertext: expected a body sealed under this header; it was altered or belongs to another envelope")]
    DoesNotOpen,
    /// The body decrypts and is not the one the device signed for.
    #[error("envelope.header.plaintext_sha256: expected the digest of the body")]
    DigestDiffers,
    /// The body is not the message its header announces.
    #[error("envelope.ciphertext: expected an encoded {0}")]
    NotAMessage(&'static str),
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
    /// The body could not be sealed to the center's key.
    #[error("the body could not be sealed to the center's opening key")]
    DoesNotSeal,
}

fn malformed(field: &'static str, expected: impl Into<String>) -> EnvelopeError {
    EnvelopeError::Malformed { field, expected: expected.into() }
}

/// The public half of one of the center's opening keys (X25519).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningPublicKey {
    bytes: [u8; 32],
    id: String,
}

impl OpeningPublicKey {
    /// Takes the 32 bytes of a public key.
    ///
    /// # Errors
    /// When they are no X25519 public key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let array = <[u8; 32]>::try_from(bytes).map_err(|_| malformed("opening_key", "32 bytes"))?;
        <Kem as hpke::Kem>::PublicKey::from_bytes(&array).map_err(|_| malformed("opening_key", "an X25519 public key"))?;
        Ok(Self::named(array))
    }

    fn named(bytes: [u8; 32]) -> Self {
        let id = Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { bytes, id }
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The key's name in headers: the first 16 hexadecimal digits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// Whether the key has a name.
    #[must_use]
    pub fn is_named(&self, id: &str) -> bool {
        self.id == id
    }
}

/// One of the center's opening keys, private half included.
pub struct OpeningKey {
    private: <Kem as hpke::Kem>::PrivateKey,
    public: OpeningPublicKey,
}

impl std::fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpeningKey({})", self.public.id())
    }
}

impl OpeningKey {
    /// Makes a key.
    #[must_use]
    pub fn generate() -> Self {
        let (private, public) = Kem::gen_keypair();
        Self { private, public: OpeningPublicKey::named(public.to_bytes().into()) }
    }

    /// Takes the 32 bytes of a private key.
    ///
    /// # Errors
    /// When they are no X25519 private key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let private =
            <Kem as hpke::Kem>::PrivateKey::from_bytes(bytes).map_err(|_| malformed("opening_key", "an X25519 private key of 32 bytes"))?;
        let public = OpeningPublicKey::named(Kem::sk_to_pk(&private).to_bytes().into());
        Ok(Self { private, public })
    }

    /// The 32 bytes of the private key.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.private.to_bytes().into())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &OpeningPublicKey {
        &self.public
    }
}

/// What the outside of an envelope says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The device's identifier in the center's registry.
    pub device: String,
    /// Number of this envelope on this device, from 1, never used twice.
    pub sequence: u64,
    /// The institution's transaction id.
    pub transaction: String,
    /// Number of the attempt within the transaction, from 1.
    pub attempt: u32,
    /// What the body is.
    pub body: BodyKind,
}

/// Seals a message to the center and signs the envelope as the device.
///
/// # Errors
/// [`EnvelopeError::Malformed`] when the address breaks a rule of the header or the message is too large.
pub fn seal(address: &Address, message: &impl Message, device: &SigningKey, center: &OpeningPublicKey) -> Result<Envelope, EnvelopeError> {
    let mut plaintext = Zeroizing::new(vec![0_u8; NONCE_LEN]);
    getrandom::fill(&mut plaintext).map_err(|_| EnvelopeError::NoRandomness)?;
    message.encode(&mut *plaintext).map_err(|_| EnvelopeError::DoesNotSeal)?;
    let header = EnvelopeHeader {
        version: VERSION,
        device: address.device.clone(),
        sequence: address.sequence,
        transaction: address.transaction.clone(),
        attempt: address.attempt,
        recipient_key: center.id(),
        plaintext_len: u32::try_from(plaintext.len()).map_err(|_| too_large())?,
        plaintext_sha256: Sha256::digest(&*plaintext).to_vec(),
        body: address.body.into(),
    };
    check_header(&header)?;
    let header = header.encode_to_vec();
    let signature = device.sign(&signed_bytes(&header)).to_bytes();
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(center.as_bytes()).map_err(|_| EnvelopeError::DoesNotSeal)?;
    let (key, ciphertext) =
        hpke::single_shot_seal::<Aead, Kdf, Kem>(&OpModeS::Base, &public, HPKE_INFO, &plaintext, &associated_data(&header, &signature))
            .map_err(|_| EnvelopeError::DoesNotSeal)?;
    Ok(Envelope { header, signature: signature.to_vec(), encapsulated_key: key.to_bytes().to_vec(), ciphertext })
}

/// An envelope whose sizes and header are in order; nothing is known yet about who made it.
#[derive(Debug)]
pub struct Parsed {
    envelope: Envelope,
    header: EnvelopeHeader,
    signature: [u8; 64],
}

impl Parsed {
    /// Checks sizes, decodes the header and checks its fields.
    ///
    /// # Errors
    /// [`EnvelopeError::Malformed`] with the field and what was expected.
    pub fn new(envelope: Envelope) -> Result<Self, EnvelopeError> {
        if envelope.header.is_empty() || envelope.header.len() > HEADER_LEN_MAX {
            return Err(malformed("header", format!("1 to {HEADER_LEN_MAX} bytes, got {}", envelope.header.len())));
        }
        let signature = <[u8; 64]>::try_from(envelope.signature.as_slice())
            .map_err(|_| malformed("signature", format!("64 bytes, got {}", envelope.signature.len())))?;
        if envelope.encapsulated_key.len() != 32 {
            return Err(malformed("encapsulated_key", format!("32 bytes, got {}", envelope.encapsulated_key.len())));
        }
        let header = EnvelopeHeader::decode(envelope.header.as_slice()).map_err(|_| malformed("header", "an encoded EnvelopeHeader"))?;
        check_header(&header)?;
        let expected = header.plaintext_len as usize + TAG_LEN;
        if envelope.ciphertext.len() != expected {
            return Err(malformed("ciphertext", format!("{expected} bytes as the header says, got {}", envelope.ciphertext.len())));
        }
        Ok(Self { envelope, header, signature })
    }

    /// What the outside says. Not to be believed before [`Parsed::authenticate`].
    #[must_use]
    pub fn header(&self) -> &EnvelopeHeader {
        &self.header
    }

    /// Checks the device's signature over the exact header bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::BadSignature`].
    pub fn authenticate(self, device: &VerifyingKey) -> Result<Authentic, EnvelopeError> {
        device
            .verify_strict(&signed_bytes(&self.envelope.header), &Signature::from_bytes(&self.signature))
            .map_err(|_| EnvelopeError::BadSignature)?;
        Ok(Authentic(self))
    }
}

/// An envelope that the device of its header signed.
#[derive(Debug)]
pub struct Authentic(Parsed);

impl Authentic {
    /// What the outside says, on the device's word.
    #[must_use]
    pub fn header(&self) -> &EnvelopeHeader {
        &self.0.header
    }

    /// SHA-256 over header and signature: names the request. The header holds the digest of the body, so
    /// two envelopes with one digest carry one body.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(associated_data(&self.0.envelope.header, &self.0.signature)).into()
    }

    /// Opens the body and checks that it is the one the device signed for.
    ///
    /// # Errors
    /// When the key is another one, the body does not decrypt, or length or digest differ.
    pub fn open(self, key: &OpeningKey) -> Result<Opened, EnvelopeError> {
        let Parsed { envelope, header, signature } = self.0;
        if !key.public().is_named(&header.recipient_key) {
            return Err(EnvelopeError::UnknownRecipient(header.recipient_key));
        }
        let encapsulated =
            <Kem as hpke::Kem>::EncappedKey::from_bytes(&envelope.encapsulated_key).map_err(|_| EnvelopeError::DoesNotOpen)?;
        let plaintext = hpke::single_shot_open::<Aead, Kdf, Kem>(
            &OpModeR::Base,
            &key.private,
            &encapsulated,
            HPKE_INFO,
            &envelope.ciphertext,
            &associated_data(&envelope.header, &signature),
        )
        .map(Zeroizing::new)
        .map_err(|_| EnvelopeError::DoesNotOpen)?;
        if plaintext.len() != header.plaintext_len as usize || Sha256::digest(&*plaintext)[..] != header.plaintext_sha256[..] {
            return Err(EnvelopeError::DigestDiffers);
        }
        Ok(Opened { plaintext, body: header.body() })
    }
}

/// The body of an authentic envelope.
pub struct Opened {
    plaintext: Zeroizing<Vec<u8>>,
    body: BodyKind,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({:?}, [{} bytes])", self.body, self.plaintext.len())
    }
}

impl Opened {
    /// Decodes the body as the message that `kind` stands for.
    ///
    /// # Errors
    /// When the header announced another kind or the bytes are no such message.
    pub fn message<M: Message + Default>(&self, kind: BodyKind) -> Result<M, EnvelopeError> {
        if self.body != kind {
            return Err(malformed("header.body", format!("{}, got {}", kind.as_str_name(), self.body.as_str_name())));
        }
        let message = self.plaintext.get(NONCE_LEN..).unwrap_or_default();
        M::decode(message).map_err(|_| EnvelopeError::NotAMessage(kind.as_str_name()))
    }
}

fn signed_bytes(header: &[u8]) -> Vec<u8> {
    [SIGNATURE_CONTEXT, header].concat()
}

fn associated_data(header: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    [header, signature].concat()
}

fn too_large() -> EnvelopeError {
    malformed("ciphertext", format!("at most {CIPHERTEXT_LEN_MAX} bytes"))
}

fn check_header(header: &EnvelopeHeader) -> Result<(), EnvelopeError> {
    let name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let plaintext_len = header.plaintext_len as usize;
    if header.version != VERSION {
        Err(malformed("header.version", format!("{VERSION}, got {}", header.version)))
    } else if header.device.is_empty() || header.device.len() > 64 || !header.device.chars().all(name_char) {
        Err(malformed("header.device", "1 to 64 of A–Z a–z 0–9 . _ -"))
    } else if header.sequence == 0 || i64::try_from(header.sequence).is_err() {
        Err(malformed("header.sequence", "a number from 1 to 2^63 − 1"))
    } else if header.transaction.is_empty() || header.transaction.len() > 64 || !header.transaction.chars().all(|c| c.is_ascii_graphic()) {
        Err(malformed("header.transaction", "1 to 64 printable ASCII characters without spaces"))
    } else if !(1..=ATTEMPT_MAX).contains(&header.attempt) {
        Err(malformed("header.attempt", format!("1 to {ATTEMPT_MAX}, got {}", header.attempt)))
    } else if header.plaintext_sha256.len() != 32 {
        Err(malformed("header.plaintext_sha256", format!("32 bytes, got {}", header.plaintext_sha256.len())))
    } else if plaintext_len < NONCE_LEN || plaintext_len + TAG_LEN > CIPHERTEXT_LEN_MAX {
        Err(malformed("header.plaintext_len", format!("{NONCE_LEN} to {}, got {plaintext_len}", CIPHERTEXT_LEN_MAX - TAG_LEN)))
    } else if header.body() == BodyKind::Unspecified {
        Err(malformed("header.body", "a known kind of body"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
