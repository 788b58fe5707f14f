//! Secret keys in files: 64 hexadecimal digits a line, `#` for comments.
//!
//! Not here: keys of certificates (`crate::pki`), the files of receipt keys (`crate::receipt_keys`), and what keys
//! are used for.

use std::{fmt, io, path::Path, path::PathBuf};

use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding},
};
use proto::envelope::OpeningKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::surroundings::os_random;

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
}

/// The center's opening keys: the first seals new envelopes, older ones still open what counters spooled.
pub struct OpeningKeys {
    current: OpeningKey,
    older: Vec<OpeningKey>,
}

impl fmt::Debug for OpeningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningKeys").field("current", &self.current).field("older", &self.older).finish()
    }
}

impl OpeningKeys {
    /// Reads the keys of a file, the current one first.
    ///
    /// # Errors
    /// When the file cannot be read or is not in order.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let wrong = || KeyError::Form { path: path.to_owned(), expected: "X25519 private keys of 64 hexadecimal digits, one a line" };
        let text = read(path)?;
        let mut keys = Vec::new();
        for line in key_lines(&text) {
            let bytes = decode_hex(line).ok_or_else(wrong)?;
            keys.push(OpeningKey::from_bytes(&*bytes).map_err(|_| wrong())?);
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or_else(wrong)?;
        Ok(Self { current, older: keys.collect() })
    }

    /// The key that envelopes are sealed to from now on.
    #[must_use]
    pub fn current(&self) -> &OpeningKey {
        &self.current
    }

    /// The key of a name, as headers give it.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&OpeningKey> {
        std::iter::once(&self.current).chain(&self.older).find(|key| key.public().id() == id)
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

fn secret_file(comment: &str, key: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(format!("# {comment}\n{}\n", *Zeroizing::new(hex(key))))
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
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
        let old = keys.older[0].public().id();
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
