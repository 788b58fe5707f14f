//! The file an update comes in: a header, its signature, and a compressed archive of which the header has the digest.
//!
//! Everything is checked before anything is unpacked: the signature over the exact header bytes, then length and SHA-256 of the
//! archive. Not here: what may be in the archive.

use std::io::{self, Read, Seek, SeekFrom, Write};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::versions::Version;

const MAGIC: &[u8; 8] = b"CSUPDATE";
const SIGNATURE_CONTEXT: &[u8] = b"countersign update v1\0";
/// The largest header, in bytes.
const HEADER_LEN_MAX: u32 = 4_096;
/// The largest archive, compressed, in bytes.
const PAYLOAD_LEN_MAX: u64 = 1 << 30;

/// A bundle that is not taken.
#[derive(Debug, Error)]
pub enum BundleError {
    /// It is no bundle, or is cut short.
    #[error("bundle: expected {0}")]
    Form(&'static str),
    /// It is signed with another key, or was altered.
    #[error("bundle.signature: expected a signature by the pinned update key; it was altered or signed with another key")]
    BadSignature,
    /// The archive is not the one that was signed.
    #[error("bundle.archive: expected the archive of the header; it was altered")]
    OtherArchive,
    /// It cannot be read or written.
    #[error("the bundle could not be read or written")]
    Io(#[source] io::Error),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: String,
    length: u64,
    sha256: String,
}

/// A bundle that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bundle {
    /// What it makes of this machine.
    pub version: Version,
    at: u64,
    length: u64,
}

impl Bundle {
    /// Checks a bundle whole.
    ///
    /// # Errors
    /// When it is not in order, or not signed with this key.
    pub fn check(file: &mut (impl Read + Seek), key: &VerifyingKey) -> Result<Self, BundleError> {
        let mut magic = [0; 8];
        read(file, &mut magic)?;
        let mut length = [0; 4];
        read(file, &mut length)?;
        let length = u32::from_be_bytes(length);
        if magic != *MAGIC || length > HEADER_LEN_MAX {
            return Err(BundleError::Form("a file made by `capture-agent update make`"));
        }
        let (mut header, mut signature) = (vec![0; length as usize], [0; 64]);
        read(file, &mut header)?;
        read(file, &mut signature)?;
        let signed = [SIGNATURE_CONTEXT, &header].concat();
        key.verify_strict(&signed, &Signature::from_bytes(&signature)).map_err(|_| BundleError::BadSignature)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| BundleError::Form("a header with version, length and sha256"))?;
        let version = header.version.parse().map_err(|_| BundleError::Form("a version such as 1.2.3"))?;
        if header.length > PAYLOAD_LEN_MAX {
            return Err(BundleError::Form("an archive of at most 1 GiB"));
        }
        let at = 8 + 4 + u64::from(length) + 64;
        let (copied, digest) = digest(&mut file.take(header.length + 1)).map_err(BundleError::Io)?;
        if copied != header.length || to_hex(&digest) != header.sha256 {
            return Err(BundleError::OtherArchive);
        }
        Ok(Self { version, at, length: header.length })
    }

    /// The archive of a bundle that was checked, uncompressed as it is read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn payload<F: Read + Seek>(&self, file: F) -> Result<Payload<F>, BundleError> {
        let mut file = file;
        file.seek(SeekFrom::Start(self.at)).map_err(BundleError::Io)?;
        Ok(std::cell::RefCell::new(flate2::read::GzDecoder::new(file.take(self.length))))
    }
}

/// An archive, uncompressed as it is read.
pub type Payload<F> = std::cell::RefCell<flate2::read::GzDecoder<io::Take<F>>>;

/// Makes a bundle of an archive.
///
/// # Errors
/// When it cannot be written.
pub fn seal(out: &mut impl Write, version: Version, archive: &[u8], key: &SigningKey) -> Result<(), BundleError> {
    let header = Header { version: version.to_string(), length: archive.len() as u64, sha256: to_hex(&Sha256::digest(archive)) };
    let header = serde_json::to_vec(&header).map_err(|error| BundleError::Io(error.into()))?;
    let signature = key.sign(&[SIGNATURE_CONTEXT, &header].concat()).to_bytes();
    let length = u32::try_from(header.len()).unwrap_or(u32::MAX).to_be_bytes();
    for part in [MAGIC.as_slice(), &length, &header, &signature, archive] {
        out.write_all(part).map_err(BundleError::Io)?;
    }
    Ok(())
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 bytes from hexadecimal digits.
#[must_use]
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    proto::relayed::from_text(text)
}

/// A public key from hexadecimal digits.
#[must_use]
pub fn key_from_hex(text: &str) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(&from_hex(text)?).ok()
}

/// Length and SHA-256 of what is left to read.
fn digest(file: &mut impl Read) -> io::Result<(u64, [u8; 32])> {
    let (mut digest, mut buffer, mut length) = (Sha256::new(), vec![0; 64 << 10], 0);
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok((length, digest.finalize().into())) };
        digest.update(bytes);
        length += read as u64;
    }
}

fn read(file: &mut impl Read, into: &mut [u8]) -> Result<(), BundleError> {
    file.read_exact(into).map_err(|_| BundleError::Form("a file made by `capture-agent update make`"))
}
