//! Secret keys in files: 64 hexadecimal digits a line, `#` for comments.
//!
//! Not here: keys of certificates (`crate::pki`), the files of receipt keys (`crate::receipt_keys`), and what keys
//! are used for.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding},
};
use proto::envelope::OpeningKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{surroundings::os_random, vault::KeyEncryptionKey};

pub mod secrets;
pub mod signing;
pub mod source;
pub mod watched;

use watched::Watched;

/// A key file that cannot be used. Never holds a part of the key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("could not read the key file {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not in its form.
    #[error("{}: expected {expected}", .path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// What was expected in it.
        expected: &'static str,
    },
    /// The source of the key-encryption key gives none.
    #[error(transparent)]
    Source(source::ReadKeyError),
    /// What the source gives is not in its form.
    #[error("key-encryption key: expected keys of 64 hexadecimal digits, newest first, one a line")]
    SourceForm,
}

/// The center's opening keys: the first seals new envelopes, older ones still open what counters spooled. They may
/// be exchanged while in use.
#[derive(Debug)]
pub struct OpeningKeys {
    keys: Watched<Opening>,
}

struct Opening {
    current: Arc<OpeningKey>,
    older: Vec<Arc<OpeningKey>>,
}

impl OpeningKeys {
    /// Reads the keys of a file, the current one first.
    ///
    /// # Errors
    /// When the file cannot be read or is not in order.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let file = path.to_owned();
        Ok(Self { keys: Watched::file(path.to_owned(), move || Opening::load(&file))? })
    }

    /// The key that envelopes are sealed to from now on.
    #[must_use]
    pub fn current(&self) -> Arc<OpeningKey> {
        Arc::clone(&self.keys.get().current)
    }

    /// The key of a name, as headers give it. One that nobody knows may just have been made.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<OpeningKey>> {
        let find = || self.keys.get().all().find(|key| key.public().is_named(id)).cloned();
        find().or_else(|| if self.keys.refresh() { find() } else { None })
    }

    /// Looks at the file again.
    pub fn refresh(&self) {
        self.keys.refresh();
    }
}

impl Opening {
    fn load(path: &Path) -> Result<Self, KeyError> {
        let wrong = || KeyError::Form { path: path.to_owned(), expected: "X25519 private keys of 64 hexadecimal digits, one a line" };
        let text = read(path)?;
        let mut keys = Vec::new();
        for line in key_lines(&text) {
            let bytes = decode_hex(line).ok_or_else(wrong)?;
            keys.push(Arc::new(OpeningKey::from_bytes(&*bytes).map_err(|_| wrong())?));
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or_else(wrong)?;
        Ok(Self { current, older: keys.collect() })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<OpeningKey>> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

/// Reads a key of 32 bytes.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn load_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let text = read(path)?;
    let mut lines = key_lines(&text);
    match (lines.next().and_then(decode_hex), lines.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(KeyError::Form { path: path.to_owned(), expected: "one key of 64 hexadecimal digits" }),
    }
}

/// Reads an Ed25519 private key (PKCS #8 in PEM).
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn load_signing(path: &Path) -> Result<SigningKey, KeyError> {
    SigningKey::from_pkcs8_pem(&read(path)?)
        .map_err(|_| KeyError::Form { path: path.to_owned(), expected: "an Ed25519 private key in PEM (PKCS #8)" })
}

/// Reads public keys of 32 bytes, 64 hexadecimal digits a line.
///
/// # Errors
/// When the file cannot be read, holds none or something else.
pub fn load_public(path: &Path) -> Result<Vec<[u8; 32]>, KeyError> {
    let text = read(path)?;
    let keys: Option<Vec<_>> = key_lines(&text).map(from_hex).collect();
    let wrong = || KeyError::Form { path: path.to_owned(), expected: "public keys of 64 hexadecimal digits, one a line" };
    keys.filter(|keys| !keys.is_empty()).ok_or_else(wrong)
}

/// Reads the key-encryption keys of a source, the newest first.
///
/// # Errors
/// When the source gives nothing, or something else.
pub fn load_key_encryption(source: &source::KeySource) -> Result<(KeyEncryptionKey, Vec<KeyEncryptionKey>), KeyError> {
    let text = source.read().map_err(KeyError::Source)?;
    let mut keys = secrets::parse(&text).ok_or(KeyError::SourceForm)?.into_iter().map(|dated| KeyEncryptionKey::new(*dated.key));
    let newest = keys.next().ok_or(KeyError::SourceForm)?;
    Ok((newest, keys.collect()))
}

/// A new key of 32 random bytes, as its file.
#[must_use]
pub fn new_secret(comment: &str) -> Zeroizing<String> {
    secret_file(comment, &Zeroizing::new(os_random()))
}

/// A new opening key, as its file.
#[must_use]
pub fn new_opening(comment: &str) -> Zeroizing<String> {
    secret_file(comment, &OpeningKey::generate().to_bytes())
}

/// A new Ed25519 signing key in PEM.
///
/// # Errors
/// Only when the key cannot be encoded, which does not happen with a key just made.
pub fn new_signing() -> Result<Zeroizing<String>, ed25519_dalek::pkcs8::Error> {
    SigningKey::from_bytes(&Zeroizing::new(os_random())).to_pkcs8_pem(LineEnding::LF)
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Bytes of hexadecimal digits.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<Vec<u8>>>()?;
    if rest.is_empty() { bytes.try_into().ok() } else { None }
}

fn secret_file(comment: &str, key: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(format!("# {comment}\n{}\n", *Zeroizing::new(hex(key))))
}

pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(|source| KeyError::Read { path: path.to_owned(), source })
}

fn key_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn decode_hex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut key = Zeroizing::new([0_u8; 32]);
    if pairs.len() != key.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn keys_come_back_as_they_were_written() {
        let text = new_secret("a key");
        let key = load_secret(file(&text).path()).unwrap();
        assert!(text.starts_with("# a key\n") && text.contains(&hex(&*key)));
        load_signing(file(&new_signing().unwrap()).path()).unwrap();
    }

    #[track_caller]
    fn check_refused(text: &str) {
        let file = file(text);
        let error = load_secret(file.path()).unwrap_err();
        assert!(error.to_string().ends_with("expected one key of 64 hexadecimal digits"), "{error}");
    }

    #[test]
    fn files_that_hold_no_key_are_refused() {
        check_refused("");
        check_refused("# only a comment");
        check_refused(&"0".repeat(63));
        check_refused(&"g".repeat(64));
        check_refused(&"ü".repeat(32));
        check_refused(&format!("{}\n{}", "0".repeat(64), "1".repeat(64)));
    }

    #[test]
    fn older_opening_keys_still_open() {
        let both = format!("{}{}", *new_opening("new"), *new_opening("old"));
        let keys = OpeningKeys::load(file(&both).path()).unwrap();
        let old = keys.keys.get().older[0].public().id();
        assert_eq!(keys.find(&old).unwrap().public().id(), old);
        assert_ne!(keys.current().public().id(), old);
        assert!(keys.find("0000000000000000").is_none());
    }

    #[test]
    fn debug_shows_no_private_key() {
        let text = new_opening("key");
        let keys = OpeningKeys::load(file(&text).path()).unwrap();
        let private = hex(&*keys.current().to_bytes());
        assert!(!format!("{keys:?}").contains(&private));
    }
}
