//! The files of receipt keys, read again while the center serves: rotation needs no restart.
//!
//! A file holds Ed25519 keys (PKCS #8 in PEM), newest first, each below a line `# made <RFC 3339>`. A file that was
//! changed to something unusable is said once in the log, and the keys read before stay in use. Not here: how a file is read
//! (`crate::keys::signing`), which of them signs or is published (`matcher_core::receipt::keys`).

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use matcher_core::receipt::{DatedKey, KeySet, Overlap, SettlementKey, SigningKeys};
use tracing::{error, info};
use zeroize::Zeroizing;

use crate::{
    config::ReceiptsConfig,
    data_dir::DataDir,
    keys::{KeyError, load_secret, signing},
    store::TimeMs,
};

/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Which receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptKind {
    /// Those that settle.
    Production,
    /// Those of drills, simulators and demonstrations.
    Drill,
}

/// The keys of both kinds of receipts, and the one that names cards.
#[derive(Debug)]
pub struct ReceiptKeys {
    production: KeyFile,
    drill: KeyFile,
    settlement: SettlementKey,
    overlap: Overlap,
}

impl ReceiptKeys {
    /// Reads the keys of a data folder.
    ///
    /// # Errors
    /// When a file cannot be read or is not in order.
    pub fn load(dir: &DataDir, config: &ReceiptsConfig) -> Result<Self, KeyError> {
        Ok(Self {
            production: KeyFile::open(dir.receipt_key(), LOOK_EVERY)?,
            drill: KeyFile::open(dir.receipt_drill_key(), LOOK_EVERY)?,
            settlement: load_settlement(dir)?,
            overlap: config.overlap(),
        })
    }

    /// Signs with the key of now.
    #[must_use]
    pub fn sign<T>(&self, kind: ReceiptKind, now: TimeMs, sign: impl FnOnce(&SigningKey) -> T) -> T {
        sign(self.file(kind).keys().signing(now, self.overlap))
    }

    /// The keys to publish now.
    #[must_use]
    pub fn published(&self, kind: ReceiptKind, now: TimeMs) -> KeySet {
        self.file(kind).keys().published(now, self.overlap)
    }

    /// Every key that is there, to look at receipts of the past.
    #[must_use]
    pub fn verifying(&self, kind: ReceiptKind) -> KeySet {
        self.file(kind).keys().verifying()
    }

    /// The key that names cards to the settlement side.
    #[must_use]
    pub fn settlement(&self) -> &SettlementKey {
        &self.settlement
    }

    fn file(&self, kind: ReceiptKind) -> &KeyFile {
        match kind {
            ReceiptKind::Production => &self.production,
            ReceiptKind::Drill => &self.drill,
        }
    }
}

/// The key of a data folder that names cards to the settlement side.
///
/// # Errors
/// When the file cannot be read or is not in order.
pub fn load_settlement(dir: &DataDir) -> Result<SettlementKey, KeyError> {
    load_secret(&dir.settlement_key()).map(|key| SettlementKey::new(*key))
}

/// A new key as it stands in a file: put it above the others.
///
/// # Errors
/// Only when the key cannot be encoded, which does not happen with a key just made.
pub fn new_key(now: TimeMs) -> Result<Zeroizing<String>, ed25519_dalek::pkcs8::Error> {
    signing::new_dated(Timestamp::from_millisecond(now).unwrap_or_default())
}

/// A file of keys that is read again when it changes.
#[derive(Debug)]
struct KeyFile {
    path: PathBuf,
    look_every: Duration,
    read: Mutex<Read>,
}

#[derive(Debug)]
struct Read {
    looked_at: Instant,
    stamp: Option<Stamp>,
    keys: Arc<SigningKeys>,
}

/// What tells one state of a file from another.
type Stamp = (SystemTime, u64);

impl KeyFile {
    fn open(path: PathBuf, look_every: Duration) -> Result<Self, KeyError> {
        let stamp = stamp(&path);
        let keys = Arc::new(load(&path)?);
        Ok(Self { path, look_every, read: Mutex::new(Read { looked_at: Instant::now(), stamp, keys }) })
    }

    fn keys(&self) -> Arc<SigningKeys> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.looked_at.elapsed() >= self.look_every {
            read.looked_at = Instant::now();
            let stamp = stamp(&self.path);
            if stamp != read.stamp {
                read.stamp = stamp;
                match load(&self.path) {
                    Ok(keys) => {
                        info!(path = %self.path.display(), "receipt keys were read again");
                        read.keys = Arc::new(keys);
                    }
                    Err(error) => error!(error = &error as &dyn std::error::Error, "receipt keys stay as they were"),
                }
            }
        }
        Arc::clone(&read.keys)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn load(path: &Path) -> Result<SigningKeys, KeyError> {
    let dated = |key: signing::DatedKey| DatedKey { made_at: key.made.map(|made| made.as_millisecond()), key: key.key };
    let keys = signing::SigningKeys::load(path)?.into_all().map(dated).collect();
    SigningKeys::new(keys).ok_or_else(|| KeyError::Form { path: path.to_owned(), expected: "at least one signing key" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
    const END: &str = "-----END PRIVATE KEY-----";
    const NOW: TimeMs = 1_800_000_000_000;
    const OVERLAP: Overlap = Overlap { publish_ahead_ms: 3_600_000, keep_ms: 960_000 };

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_file_holds_several_keys_with_the_times_they_were_made() {
        let (old, new) = (new_key(NOW).unwrap(), new_key(NOW + 10_000_000).unwrap());
        let only_old = load(file(&old).path()).unwrap().signing(NOW, OVERLAP).to_bytes();
        let both = load(file(&format!("{}\n# a comment\n{}", *new, *old)).path()).unwrap();
        assert_eq!(both.signing(NOW + 10_000_000, OVERLAP).to_bytes(), only_old, "the new key is only published");
        assert_ne!(both.signing(NOW + 10_000_000 + 3_600_000, OVERLAP).to_bytes(), only_old);
        assert_eq!(both.published(NOW + 10_000_000, OVERLAP).ids().count(), 2);
    }

    #[track_caller]
    fn check_refused(text: &str) {
        let error = load(file(text).path()).unwrap_err();
        assert!(error.to_string().contains("expected Ed25519 private keys in PEM (PKCS #8), newest first"), "{error}");
    }

    #[test]
    fn files_that_are_not_in_order_are_refused() {
        let key = new_key(NOW).unwrap();
        check_refused("");
        check_refused("# made 2026-01-01T00:00:00Z\n");
        check_refused(&key.replace("# made ", "# made about "));
        check_refused(&key.replace("# made", "made"));
        check_refused(key.trim_end().trim_end_matches(END));
        check_refused(&key.replace("\nM", "\nX"));
        check_refused(&format!("{}{BEGIN}\n", *key));
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_spoilt_one_is_not_taken() {
        let (old, new) = (new_key(NOW).unwrap(), new_key(NOW).unwrap());
        let file = file(&old);
        let watched = KeyFile::open(file.path().to_owned(), Duration::ZERO).unwrap();
        assert_eq!(watched.keys().verifying().ids().count(), 1);
        std::fs::write(file.path(), format!("{}{}", *new, *old)).unwrap();
        assert_eq!(watched.keys().verifying().ids().count(), 2);
        std::fs::write(file.path(), "nothing").unwrap();
        assert_eq!(watched.keys().verifying().ids().count(), 2);
        std::fs::remove_file(file.path()).unwrap();
        assert_eq!(watched.keys().verifying().ids().count(), 2);
    }

    #[test]
    fn debug_shows_no_private_key() {
        let key = new_key(NOW).unwrap();
        let watched = KeyFile::open(file(&key).path().to_owned(), Duration::ZERO).unwrap();
        assert!(!format!("{watched:?}").contains("PRIVATE") && format!("{watched:?}").contains("[redacted]"));
    }
}
