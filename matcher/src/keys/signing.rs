//! Signing keys in one file: Ed25519, PKCS #8 in PEM, newest first, each after a line `# made <RFC 3339>`.
//!
//! A file of a single PEM block without that line is one key of unknown age.

use std::path::Path;

use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{KeyError, new_signing, read};

const MADE: &str = "# made ";
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// A key of the file.
pub struct DatedKey {
    /// When it was made, if the file says so.
    pub made: Option<Timestamp>,
    /// The key.
    pub key: SigningKey,
}

impl std::fmt::Debug for DatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatedKey").field("made", &self.made).field("key", &"[redacted]").finish()
    }
}

/// The keys of a file, newest first; there is at least one.
#[derive(Debug)]
pub struct SigningKeys {
    newest: DatedKey,
    older: Vec<DatedKey>,
}

impl SigningKeys {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is not in its form.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&read(path)?, path)
    }

    /// Takes the keys of a text that is to stand in a file.
    ///
    /// # Errors
    /// When it is not in its form.
    pub fn parse(text: &str, path: &Path) -> Result<Self, KeyError> {
        let wrong = || KeyError::Form {
            path: path.to_owned(),
            expected: "Ed25519 private keys in PEM (PKCS #8), newest first, each after a line `# made <RFC 3339>`",
        };
        let mut keys = parse(text).ok_or_else(wrong)?.into_iter();
        let newest = keys.next().ok_or_else(wrong)?;
        Ok(Self { newest, older: keys.collect() })
    }

    /// The newest.
    #[must_use]
    pub fn newest(&self) -> &DatedKey {
        &self.newest
    }

    /// All, newest first, to be kept.
    pub fn into_all(self) -> impl Iterator<Item = DatedKey> {
        std::iter::once(self.newest).chain(self.older)
    }

    /// All, newest first.
    pub fn all(&self) -> impl Iterator<Item = &DatedKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

/// A new key with the line that says when it was made, as it stands in a file.
///
/// # Errors
/// Only when the key cannot be encoded, which does not happen with a key just made.
pub fn new_dated(now: Timestamp) -> Result<Zeroizing<String>, ed25519_dalek::pkcs8::Error> {
    let pem = new_signing()?;
    Ok(Zeroizing::new(format!("{MADE}{}\n{}", now.strftime("%Y-%m-%dT%H:%M:%SZ"), *pem)))
}

/// The file without any but its newest key.
#[must_use]
pub fn newest_alone(text: &str) -> Zeroizing<String> {
    let end = text.find(END).map_or(text.len(), |at| at.saturating_add(END.len()));
    Zeroizing::new(format!("{}\n", text.get(..end).unwrap_or(text)))
}

fn parse(text: &str) -> Option<Vec<DatedKey>> {
    let (mut keys, mut made, mut block) = (Vec::new(), None, None::<Zeroizing<String>>);
    for line in text.lines().map(str::trim) {
        if let Some(pem) = &mut block {
            pem.push_str(line);
            pem.push('\n');
            if line == END {
                let key = SigningKey::from_pkcs8_pem(pem).ok()?;
                keys.push(DatedKey { made: made.take(), key });
                block = None;
            }
        } else if line == BEGIN {
            block = Some(Zeroizing::new(format!("{BEGIN}\n")));
        } else if let Some(at) = line.strip_prefix(MADE) {
            made = Some(at.parse().ok()?);
        } else if !line.is_empty() && !line.starts_with('#') {
            return None;
        }
    }
    block.is_none().then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn load(text: &str) -> Result<SigningKeys, KeyError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        SigningKeys::load(file.path())
    }

    #[test]
    fn keys_come_newest_first_with_their_age() {
        let (new, old) = (new_dated(at(9)).unwrap(), new_signing().unwrap());
        let both = format!("# a comment\n{}\n{}", *new, *old);
        let keys = load(&both).unwrap();
        assert_eq!(keys.all().map(|key| key.made).collect::<Vec<_>>(), [Some(at(9)), None]);
        let alone = load(&newest_alone(&both)).unwrap();
        assert_eq!(alone.all().count(), 1);
        assert_eq!(alone.newest().key.to_bytes(), keys.newest().key.to_bytes());
    }

    #[track_caller]
    fn check_refused(text: &str) {
        let error = load(text).unwrap_err();
        assert!(error.to_string().contains("expected Ed25519 private keys in PEM"), "{error}");
    }

    #[test]
    fn files_that_are_not_in_order_are_refused() {
        let key = new_dated(at(0)).unwrap();
        check_refused("");
        check_refused("# made 2026-01-01T00:00:00Z\n");
        check_refused(&format!("{}x", *key));
        check_refused(&key.replace("# made 2", "# made x"));
        check_refused(key.split_once("-----END").unwrap().0);
    }

    #[test]
    fn debug_shows_no_key() {
        let keys = load(&new_dated(at(0)).unwrap()).unwrap();
        let shown = format!("{keys:?}");
        assert!(shown.contains("[redacted]") && !shown.contains(&super::super::hex(&keys.newest().key.to_bytes())), "{shown}");
    }
}
