//! `matcher keys rotate`: a new key beside the older one, and later the older one dropped.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use matcher_core::AuditAction;
use proto::envelope::OpeningKey;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{KeyKind, KeyringError, RotateArgs};
use crate::{
    audit::folder::Folder,
    config::Config,
    data_dir::DataDir,
    durable,
    keys::{hex, load_key_encryption, secrets, signing, source::KeySource},
    store::{RecordId, Store, TimeMs, audit::AuditEvent, keys::Rewrap},
    surroundings::os_random,
    vault::{KeyEncryptionKey, Vault},
};

pub(super) mod authority;
pub(super) mod lookup;

/// Data keys wrapped anew in one commit.
const PAGE: u32 = 256;
/// Receipts of an older key are checked for so long after a new one was made, in days.
const RECEIPT_DAYS: u32 = 7;
const DAY_MS: TimeMs = 86_400_000;

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rotated {
    /// Which key.
    pub kind: KeyKind,
    /// The key in use from now on.
    pub key: String,
    /// Whether it was made now; false where an earlier run made it.
    pub made: bool,
    /// Older keys that were dropped.
    pub dropped: Vec<String>,
    /// Data keys that were wrapped anew.
    pub rewrapped: u64,
    /// Numbers of cards that were hashed anew.
    pub rehashed: u64,
    /// Persons with a number that could not be hashed anew: it has no seal, or does not open.
    pub left: u64,
    /// Older look-up keys that are kept for the forgotten alone.
    pub kept: Vec<String>,
}

impl Rotated {
    /// Of a key that is in use, and nothing more.
    fn of(kind: KeyKind, key: String) -> Self {
        Self { kind, key, made: false, dropped: Vec::new(), rewrapped: 0, rehashed: 0, left: 0, kept: Vec::new() }
    }
}

/// A center whose keys are rotated.
pub struct Rotation<'a> {
    /// Its folder.
    pub dir: &'a DataDir,
    /// Its settings.
    pub config: &'a Config,
    /// Its store.
    pub store: &'a dyn Store,
    /// Now.
    pub now: TimeMs,
}

impl Rotation<'_> {
    /// Takes one step; `progress` hears how many data keys were wrapped, or numbers hashed, anew so far.
    ///
    /// # Errors
    /// When a key is still needed, or a file or the store cannot be read or written.
    pub async fn run(&self, args: &RotateArgs, progress: impl FnMut(u64)) -> Result<Rotated, KeyringError> {
        let rotated = match (args.kind, args.finish) {
            (KeyKind::KeyEncryption, false) => self.new_key_encryption(progress).await?,
            (KeyKind::KeyEncryption, true) => self.finish_key_encryption().await?,
            (KeyKind::Authority, false) => self.new_authority()?,
            (KeyKind::Authority, true) => self.finish_authority(args.force).await?,
            (KeyKind::Lookup, false) => self.new_lookup(progress).await?,
            (KeyKind::Lookup, true) => self.finish_lookup(args.force).await?,
            (KeyKind::Opening, false) => self.new_opening()?,
            (KeyKind::Opening, true) => self.finish_opening(args.force)?,
            (kind @ KeyKind::Receipt, false) => self.new_signing(kind, &self.dir.receipt_key())?,
            (kind @ KeyKind::Receipt, true) => self.finish_signing(kind, &self.dir.receipt_key(), RECEIPT_DAYS, args.force)?,
            (kind @ KeyKind::ReceiptDrill, false) => self.new_signing(kind, &self.dir.receipt_drill_key())?,
            (kind @ KeyKind::ReceiptDrill, true) => self.finish_signing(kind, &self.dir.receipt_drill_key(), RECEIPT_DAYS, args.force)?,
            (KeyKind::Audit, false) => self.new_audit().await?,
            (KeyKind::Audit, true) => {
                self.keep_public_audit_keys()?;
                self.finish_signing(KeyKind::Audit, &self.dir.audit_key(), 0, args.force)?
            }
        };
        // Dropping a key-encryption key is recorded with the change that puts it out of use.
        if rotated.made || (rotated.kind != KeyKind::KeyEncryption && !(rotated.dropped.is_empty() && rotated.kept.is_empty())) {
            self.record(&rotated).await?;
        }
        Ok(rotated)
    }

    async fn record(&self, rotated: &Rotated) -> Result<(), KeyringError> {
        let detail = json!({ "made": rotated.made, "dropped": rotated.dropped, "kept": rotated.kept }).to_string();
        let object = format!("{} {}", rotated.kind.word(), rotated.key);
        let event = AuditEvent { at: self.now, action: AuditAction::KeyRotated, by: String::new(), object, detail };
        self.store.record_audit(event).await.map_err(KeyringError::Store)
    }

    fn made_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now).unwrap_or_default()
    }

    /// A new key-encryption key, under which all data keys are then wrapped. A server that does not know it yet
    /// looks for it when it meets the first of them.
    async fn new_key_encryption(&self, mut progress: impl FnMut(u64)) -> Result<Rotated, KeyringError> {
        let source = &self.config.keys.key_encryption;
        let made = match source {
            KeySource::File(path) => {
                let text = read(path)?;
                let add = secrets::parse(&text).is_some_and(|keys| keys.len() == 1);
                if add {
                    write(path, &secrets::with_new(&text, &Zeroizing::new(os_random()), self.made_at()))?;
                }
                add
            }
            KeySource::Env(_) | KeySource::Command(_) => {
                let (_, older) = load_key_encryption(source).map_err(KeyringError::Key)?;
                if older.is_empty() {
                    return Err(foreign(source));
                }
                false
            }
        };
        let vault = Vault::of(source.clone()).map_err(KeyringError::Key)?;
        let rewrapped = self.rewrap(&vault, &mut progress).await?;
        let key = vault.newest().to_string();
        Ok(Rotated { made, rewrapped, ..Rotated::of(KeyKind::KeyEncryption, key) })
    }

    async fn rewrap(&self, vault: &Vault, progress: &mut impl FnMut(u64)) -> Result<u64, KeyringError> {
        let newest = Vault::prefix(vault.newest());
        let (mut after, mut done) = (None, 0);
        loop {
            let page = self.store.data_keys_not_of(newest, after, PAGE).await.map_err(KeyringError::Store)?;
            let Some((last, _)) = page.last() else { return Ok(done) };
            after = Some(*last);
            let mut keys = Vec::with_capacity(page.len());
            for (subject, from) in page {
                let failed = |source| KeyringError::DataKey { subject: RecordId(subject.0).to_string(), source };
                let to = vault.rewrap(subject, &from).map_err(failed)?;
                keys.push(Rewrap { subject, from, to });
            }
            done += self.store.rewrap_data_keys(keys).await.map_err(KeyringError::Store)?;
            progress(done);
        }
    }

    async fn finish_key_encryption(&self) -> Result<Rotated, KeyringError> {
        let (kind, source) = (KeyKind::KeyEncryption, &self.config.keys.key_encryption);
        let (newest, older) = load_key_encryption(source).map_err(KeyringError::Key)?;
        if older.is_empty() {
            return Err(KeyringError::NothingOlder(kind.word()));
        }
        let dropped: Vec<_> = older.iter().map(KeyEncryptionKey::id).collect();
        let prefixes = dropped.iter().map(|id| Vault::prefix(*id)).collect();
        let left = self.store.retire_key_encryption(Vault::prefix(newest.id()), prefixes, self.now).await.map_err(KeyringError::Store)?;
        if left > 0 {
            let why = format!("{left} data keys are still wrapped by an older key; run this without --finish first");
            return Err(KeyringError::StillNeeded { kind: kind.word(), why });
        }
        match source {
            KeySource::File(path) => write(path, &secrets::newest_alone(&read(path)?))?,
            // Whoever keeps the source takes the older key out of it; nothing needs it any more.
            KeySource::Env(_) | KeySource::Command(_) => {}
        }
        let dropped = dropped.iter().map(ToString::to_string).collect();
        Ok(Rotated { dropped, ..Rotated::of(kind, newest.id().to_string()) })
    }

    fn new_opening(&self) -> Result<Rotated, KeyringError> {
        let path = self.dir.opening_keys();
        let mut text = read(&path)?;
        let made = opening(&path, &text)?.len() == 1;
        if made {
            text = secrets::with_new(&text, &OpeningKey::generate().to_bytes(), self.made_at());
            write(&path, &text)?;
        }
        let key = opening(&path, &text)?.into_iter().next().map(|(id, _)| id).unwrap_or_default();
        Ok(Rotated { made, ..Rotated::of(KeyKind::Opening, key) })
    }

    fn finish_opening(&self, force: bool) -> Result<Rotated, KeyringError> {
        let path = self.dir.opening_keys();
        let text = read(&path)?;
        let mut keys = opening(&path, &text)?.into_iter();
        let (key, made) = keys.next().unwrap_or_default();
        let dropped: Vec<_> = keys.map(|(id, _)| id).collect();
        self.may_drop(KeyKind::Opening, &dropped, made, self.config.keys.spool_days, force)?;
        write(&path, &secrets::newest_alone(&text))?;
        Ok(Rotated { dropped, ..Rotated::of(KeyKind::Opening, key) })
    }

    fn new_signing(&self, kind: KeyKind, path: &Path) -> Result<Rotated, KeyringError> {
        let mut keys = signing::SigningKeys::load(path).map_err(KeyringError::Key)?;
        let made = keys.all().count() == 1;
        if made {
            let new = signing::new_dated(self.made_at()).map_err(KeyringError::SigningKey)?;
            write(path, &Zeroizing::new(format!("{}{}", *new, *read(path)?)))?;
            keys = signing::SigningKeys::load(path).map_err(KeyringError::Key)?;
        }
        Ok(Rotated { made, ..Rotated::of(kind, id(keys.newest())) })
    }

    fn finish_signing(&self, kind: KeyKind, path: &Path, days: u32, force: bool) -> Result<Rotated, KeyringError> {
        let keys = signing::SigningKeys::load(path).map_err(KeyringError::Key)?;
        let dropped: Vec<_> = keys.all().skip(1).map(id).collect();
        self.may_drop(kind, &dropped, keys.newest().made, days, force)?;
        write(path, &signing::newest_alone(&read(path)?))?;
        Ok(Rotated { dropped, ..Rotated::of(kind, id(keys.newest())) })
    }

    /// A new audit key, introduced by a checkpoint that the older one signs. The folder stays locked until the key
    /// stands in its file: nobody signs in between.
    async fn new_audit(&self) -> Result<Rotated, KeyringError> {
        let path = self.dir.audit_key();
        let keys = signing::SigningKeys::load(&path).map_err(KeyringError::Key)?;
        if keys.all().count() > 1 {
            return Ok(Rotated::of(KeyKind::Audit, id(keys.newest())));
        }
        let folder = Folder::new(&self.config.audit.checkpoints).lock().map_err(KeyringError::Checkpoint)?;
        let heads = self.store.audit_heads().await.map_err(KeyringError::Store)?;
        let new = signing::new_dated(self.made_at()).map_err(KeyringError::SigningKey)?;
        let text = Zeroizing::new(format!("{}{}", *new, *read(&path)?));
        let next = signing::SigningKeys::parse(&text, &path).map_err(KeyringError::Key)?;
        let introduced = Some(next.newest().key.verifying_key().to_bytes());
        folder.add(&heads, &keys.newest().key, introduced, self.now, true).map_err(KeyringError::Checkpoint)?;
        write(&path, &text)?;
        Ok(Rotated { made: true, ..Rotated::of(KeyKind::Audit, id(next.newest())) })
    }

    /// Keeps the public halves of keys that are about to be dropped: checkpoints they signed are still checked.
    fn keep_public_audit_keys(&self) -> Result<(), KeyringError> {
        let path = self.dir.audit_public_keys();
        let mut text = if path.exists() { read(&path)?.to_string() } else { "# Public halves of older audit keys.\n".to_owned() };
        for key in signing::SigningKeys::load(&self.dir.audit_key()).map_err(KeyringError::Key)?.all().skip(1) {
            let line = hex(key.key.verifying_key().as_bytes());
            if !text.contains(&line) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        write(&path, &text)
    }

    /// Whether older keys may go: so many days after the new one was made.
    fn may_drop(&self, kind: KeyKind, older: &[String], made: Option<Timestamp>, days: u32, force: bool) -> Result<(), KeyringError> {
        if older.is_empty() {
            return Err(KeyringError::NothingOlder(kind.word()));
        }
        let until = made.map(|made| made.as_millisecond().saturating_add(TimeMs::from(days).saturating_mul(DAY_MS)));
        if force || until.is_some_and(|until| until <= self.now) {
            return Ok(());
        }
        let until =
            until.and_then(|until| Timestamp::from_millisecond(until).ok()).map_or_else(|| "an unknown time".into(), |at| at.to_string());
        let why = format!("what the older key is for may still arrive until {until}; --force drops it all the same");
        Err(KeyringError::StillNeeded { kind: kind.word(), why })
    }
}

/// Name of a signing key.
pub(super) fn id(key: &signing::DatedKey) -> String {
    matcher_core::audit::checkpoint::key_id(&key.key.verifying_key())
}

/// Names of opening keys, newest first, and when each was made.
pub(super) fn opening(path: &Path, text: &str) -> Result<Vec<(String, Option<Timestamp>)>, KeyringError> {
    let wrong = || {
        let expected = "X25519 private keys of 64 hexadecimal digits, one a line";
        KeyringError::Key(crate::keys::KeyError::Form { path: path.to_owned(), expected })
    };
    let name = |dated: secrets::DatedSecret| {
        let key = OpeningKey::from_bytes(&*dated.key).map_err(|_| wrong())?;
        Ok((key.public().id(), dated.made))
    };
    secrets::parse(text).ok_or_else(wrong)?.into_iter().map(name).collect()
}

fn foreign(source: &KeySource) -> KeyringError {
    KeyringError::ForeignSource(match source {
        KeySource::File(_) => "a file",
        KeySource::Env(_) => "the environment",
        KeySource::Command(_) => "a command",
    })
}

pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeyringError> {
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(failed(path))
}

fn write(path: &Path, text: &str) -> Result<(), KeyringError> {
    durable::write(path, text.as_bytes()).map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> KeyringError {
    let path: PathBuf = path.to_owned();
    move |source| KeyringError::File { path: path.clone(), source }
}

/// What a rotation did, for people.
#[must_use]
pub fn text(rotated: &Rotated) -> String {
    let Rotated { kind, key, made, dropped, rewrapped, rehashed, left, kept } = rotated;
    let kind = kind.word();
    let head = match (made, dropped.is_empty()) {
        _ if !kept.is_empty() => format!("{kind}: {key} alone finds people now; kept for the forgotten alone: {}", kept.join(", ")),
        (_, false) => format!("{kind}: {key} is the only key now; dropped {}", dropped.join(", ")),
        (true, true) => format!("{kind}: {key} is the new key; the older one stays until --finish"),
        (false, true) => format!("{kind}: {key} was made before; the older one stays until --finish"),
    };
    let wrapped = if *rewrapped > 0 { format!("\n{rewrapped} data keys were wrapped anew") } else { String::new() };
    let hashed = if *rehashed > 0 { format!("\n{rehashed} numbers were hashed anew") } else { String::new() };
    let behind = if *left > 0 {
        format!("\n{left} persons have a number without a seal, or one that does not open: enrol them again")
    } else {
        String::new()
    };
    let restart = match rotated.kind {
        KeyKind::Authority => "\nIssue the bundles of all devices again; servers take it up within seconds.",
        KeyKind::KeyEncryption | KeyKind::Lookup | KeyKind::Opening | KeyKind::Receipt | KeyKind::ReceiptDrill | KeyKind::Audit => "",
    };
    let copies = match (rotated.kind, dropped.is_empty()) {
        (KeyKind::KeyEncryption | KeyKind::Lookup, false) => {
            "\nCopies of the store from before need the dropped key: keep its backup as long as them."
        }
        (
            KeyKind::KeyEncryption
            | KeyKind::Authority
            | KeyKind::Lookup
            | KeyKind::Opening
            | KeyKind::Receipt
            | KeyKind::ReceiptDrill
            | KeyKind::Audit,
            _,
        ) => "",
    };
    format!("{head}{wrapped}{hashed}{behind}{restart}{copies}\nBack up the keys now: matcher keys backup")
}

#[cfg(test)]
mod tests;
