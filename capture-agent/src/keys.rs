//! Keys of the programs that may call the local API: made here, shown once, kept as hashes alone.
//!
//! One file of the state folder, read again when it changes, so that a revoked key is out at once. Not here: what a caller may
//! do; whoever has a key may do all of it.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::durable::{self, Readers, WriteError};

/// Name of the file in the state folder.
pub const FILE: &str = "api-keys.json";
const PREFIX: &str = "csk_";

/// Keys could not be read or changed.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("{FILE} could not be read")]
    Read(#[source] io::Error),
    /// It is not in its form.
    #[error("{FILE}: expected the form that `capture-agent api-key` writes")]
    Form(#[source] serde_json::Error),
    /// It cannot be written.
    #[error("{FILE} could not be written")]
    Write(#[source] WriteError),
    /// No random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(getrandom::Error),
    /// The name cannot be one.
    #[error("program: expected 1 to 64 of a-z, 0-9, - and _")]
    Program,
    /// The origin is none.
    #[error("origin: expected scheme, host and port of a page, as http://127.0.0.1:8080")]
    Origin,
    /// There is a key of the name.
    #[error("program: expected a name without a key; revoke the one there is first")]
    Exists,
    /// There is no key of the name.
    #[error("program: expected the name of a program with a key")]
    Unknown,
}

/// A program's key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The program.
    pub program: String,
    /// SHA-256 of its key, in hexadecimal digits.
    pub sha256: String,
    /// Origins of its web pages.
    pub origins: Vec<String>,
    /// When it was made, RFC 3339.
    pub added_at: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<Entry>,
}

/// A new key; shown once.
pub struct NewKey(Zeroizing<String>);

impl NewKey {
    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewKey([redacted])")
    }
}

/// The keys of a state folder; nothing where there is no file.
///
/// # Errors
/// When the file cannot be read or is not in its form.
pub fn load(dir: &Path) -> Result<Vec<Entry>, KeysError> {
    match fs::read(dir.join(FILE)) {
        Ok(bytes) => Ok(serde_json::from_slice::<File>(&bytes).map_err(KeysError::Form)?.keys),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(KeysError::Read(error)),
    }
}

fn save(dir: &Path, keys: Vec<Entry>) -> Result<(), KeysError> {
    let bytes = serde_json::to_vec_pretty(&File { keys }).map_err(KeysError::Form)?;
    durable::write(&dir.join(FILE), &bytes, Readers::Owner).map_err(KeysError::Write)
}

/// Makes a key for a program and the origins of its pages.
///
/// # Errors
/// When the name or an origin cannot be one, the program has a key, or the disk fails.
pub fn add(dir: &Path, program: &str, origins: &[String], now: &str) -> Result<NewKey, KeysError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if !(1..=64).contains(&program.len()) || !program.chars().all(fits) {
        return Err(KeysError::Program);
    }
    if !origins.iter().all(|origin| is_origin(origin)) {
        return Err(KeysError::Origin);
    }
    let mut keys = load(dir)?;
    if keys.iter().any(|key| key.program == program) {
        return Err(KeysError::Exists);
    }
    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *bytes).map_err(KeysError::Random)?;
    let key = NewKey(Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice()))));
    let (program, origins) = (program.to_owned(), origins.to_vec());
    keys.push(Entry { program, sha256: sha256(key.text()), origins, added_at: now.to_owned() });
    save(dir, keys)?;
    Ok(key)
}

/// Takes a program's key back.
///
/// # Errors
/// When it has none, or the disk fails.
pub fn revoke(dir: &Path, program: &str) -> Result<(), KeysError> {
    let mut keys = load(dir)?;
    let before = keys.len();
    keys.retain(|key| key.program != program);
    if keys.len() == before { Err(KeysError::Unknown) } else { save(dir, keys) }
}

fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<axum::http::Uri>() else { return false };
    let bare = uri.path() == "/" && !text.ends_with('/') && uri.query().is_none();
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty()) && bare && !text.contains('@')
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When a file was changed, and how long it is.
type Stamp = Option<(SystemTime, u64)>;

/// The keys in use.
#[derive(Debug)]
pub struct Keys {
    dir: PathBuf,
    read: Mutex<(Stamp, Vec<Entry>)>,
}

impl Keys {
    /// The keys of a state folder.
    ///
    /// # Errors
    /// When the file cannot be read or is not in its form.
    pub fn of(dir: &Path) -> Result<Self, KeysError> {
        Ok(Self { dir: dir.to_owned(), read: Mutex::new((stamp(dir), load(dir)?)) })
    }

    fn with<T>(&self, ask: impl FnOnce(&[Entry]) -> T) -> T {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.dir);
        if read.0 != now {
            // A file that cannot be read lets nobody in.
            *read = (now, load(&self.dir).unwrap_or_default());
        }
        ask(&read.1)
    }

    /// Whose key this is.
    #[must_use]
    pub fn owner(&self, key: &str) -> Option<Entry> {
        let hash = sha256(key);
        self.with(|keys| keys.iter().find(|entry| bool::from(entry.sha256.as_bytes().ct_eq(hash.as_bytes()))).cloned())
    }

    /// Whether any program's pages come from an origin.
    #[must_use]
    pub fn knows_origin(&self, origin: &str) -> bool {
        self.with(|keys| keys.iter().any(|entry| entry.origins.iter().any(|known| known == origin)))
    }
}

fn stamp(dir: &Path) -> Stamp {
    let meta = fs::metadata(dir.join(FILE)).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_once_kept_as_a_hash_and_out_at_once_when_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::of(dir.path()).unwrap();
        let key = add(dir.path(), "his", &["http://his.example:8080".to_owned()], "2026-11-22T00:00:00Z").unwrap();
        assert!(key.text().starts_with(PREFIX) && key.text().len() > 40 && format!("{key:?}") == "NewKey([redacted])");
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(!text.contains(key.text()) && !text.contains(&key.text()[PREFIX.len()..]), "{text}");
        assert_eq!(keys.owner(key.text()).unwrap().program, "his");
        assert!(keys.owner("csk_other").is_none() && keys.owner("").is_none());
        assert!(keys.knows_origin("http://his.example:8080") && !keys.knows_origin("http://his.example"));
        assert!(matches!(add(dir.path(), "his", &[], ""), Err(KeysError::Exists)));
        revoke(dir.path(), "his").unwrap();
        assert!(keys.owner(key.text()).is_none());
        assert!(matches!(revoke(dir.path(), "his"), Err(KeysError::Unknown)));
    }

    #[test]
    fn names_and_origins_have_their_form() {
        let dir = tempfile::tempdir().unwrap();
        for program in ["", "A", "a b", &"x".repeat(65)] {
            assert!(matches!(add(dir.path(), program, &[], ""), Err(KeysError::Program)), "{program}");
        }
        for origin in
            ["", "his.example", "http://his.example/", "http://his.example/page", "ftp://his.example", "http://u@his.example", "null"]
        {
            assert!(matches!(add(dir.path(), "his", &[origin.to_owned()], ""), Err(KeysError::Origin)), "{origin}");
        }
    }

    #[test]
    fn a_file_of_another_form_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::of(dir.path()).unwrap();
        let key = add(dir.path(), "his", &[], "").unwrap();
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(keys.owner(key.text()).is_none() && Keys::of(dir.path()).is_err());
    }
}
