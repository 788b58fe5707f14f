//! `matcher backup` and `matcher restore`: a copy of the store, never of a key.
//!
//! The copy is consistent while the center serves, and holds no bytes of what was deleted. What it holds of faces
//! opens with nothing but the keys, which are backed up apart ([`keys`]) and kept elsewhere: whoever has both has
//! everything. `matcher restore` puts the copy into a new data folder; with the keys put back beside it
//! (`matcher keys restore`), the folder is a center again.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use matcher_core::AuditAction;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    config::StoreConfig,
    data_dir::DataDir,
    durable,
    keys::hex,
    store::{
        AuditLog, StoreError, TimeMs,
        audit::AuditEvent,
        sql::{SqlStore, TransferError},
    },
};

pub mod keys;

const STORE: &str = "center.db";
const SETTINGS: &str = "matcher.toml";
const NOTE: &str = "backup.json";

/// Arguments of `matcher backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// Folder to write the copy into; it must not exist, or be empty, and stand outside the data folder
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `matcher restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// Folder that `matcher backup` wrote
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
}

/// A copy that cannot be made or put back.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The folder holds something.
    #[error("{} is not empty; a copy goes into a folder of its own, never beside keys", .0.display())]
    NotEmpty(PathBuf),
    /// The folder stands where the keys are.
    #[error("{} is inside the data folder, beside the keys; give a folder elsewhere, best on another machine", .0.display())]
    BesideKeys(PathBuf),
    /// There is a store already.
    #[error("{} is there already; nothing was changed", .0.display())]
    Exists(PathBuf),
    /// The copy is not what was written.
    #[error("{} is not what the backup wrote: its SHA-256 is another", .0.display())]
    Altered(PathBuf),
    /// The note cannot be read.
    #[error("{}: expected the note of a backup", .path.display())]
    Note {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A file cannot be read or written.
    #[error("could not read or write {}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store failed.
    #[error("the store could not be copied")]
    Store(#[source] StoreError),
    /// It cannot be copied.
    #[error("the store could not be copied")]
    Copy(#[source] TransferError),
}

/// What a backup says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub made_at: TimeMs,
    /// SHA-256 of the store's copy, hexadecimal digits.
    pub store_sha256: String,
    /// Bytes of the store's copy.
    pub store_bytes: u64,
}

/// Copies a center's store and settings into a folder.
///
/// # Errors
/// When the folder is not fit for it, or something cannot be copied.
pub async fn backup(dir: &DataDir, config: &StoreConfig, store: &dyn AuditLog, out: &Path, now: TimeMs) -> Result<Note, BackupError> {
    fit(dir, out)?;
    // The entry goes into the copy too: a store that was put back says that it is one.
    let detail = json!({ "made_at": now }).to_string();
    let event = AuditEvent { at: now, action: AuditAction::StoreBackedUp, by: String::new(), object: "store".into(), detail };
    store.record_audit(event).await.map_err(BackupError::Store)?;
    durable::create_dir(out).map_err(failed(out))?;
    let copy = out.join(STORE);
    let (from, to) = (config.location(&dir.store()).map_err(BackupError::Store)?, copy.clone());
    let copied = tokio::task::spawn_blocking(move || SqlStore::copy(&from, &to)).await;
    copied.map_err(|error| BackupError::Store(StoreError::Unavailable(Box::new(error))))?.map_err(BackupError::Copy)?;
    let (store_sha256, store_bytes) = digest(&copy)?;
    let settings = std::fs::read(dir.config()).map_err(failed(&dir.config()))?;
    durable::write(&out.join(SETTINGS), &settings).map_err(failed(out))?;
    let note = Note { made_at: now, store_sha256, store_bytes };
    durable::write(&out.join(NOTE), json!(note).to_string().as_bytes()).map_err(failed(out))?;
    Ok(note)
}

/// Puts a copy into a data folder that has no store.
///
/// # Errors
/// When there is a store, the copy was altered, or something cannot be written.
pub fn restore(dir: &DataDir, from: &Path) -> Result<Note, BackupError> {
    let (note_path, copy) = (from.join(NOTE), from.join(STORE));
    let text = std::fs::read_to_string(&note_path).map_err(failed(&note_path))?;
    let note: Note = serde_json::from_str(&text).map_err(|source| BackupError::Note { path: note_path, source })?;
    if dir.store().exists() {
        return Err(BackupError::Exists(dir.store()));
    }
    if digest(&copy)?.0 != note.store_sha256 {
        return Err(BackupError::Altered(copy));
    }
    durable::create_dir(dir.path()).map_err(failed(dir.path()))?;
    let settings = from.join(SETTINGS);
    durable::write(&dir.config(), &std::fs::read(&settings).map_err(failed(&settings))?).map_err(failed(&dir.config()))?;
    // Under another name first: a store that is cut short is none.
    let partial = dir.path().join(".restoring.db");
    copy_file(&copy, &partial)?;
    std::fs::rename(&partial, dir.store()).map_err(failed(&dir.store()))?;
    durable::sync_dir(dir.path()).map_err(failed(dir.path()))?;
    mark_when_whole(dir)?;
    Ok(note)
}

/// Marks a data folder as a center's when store, settings and keys are all there.
pub(crate) fn mark_when_whole(dir: &DataDir) -> Result<bool, BackupError> {
    let needed = [dir.store(), dir.config(), dir.lookup_key(), dir.opening_keys(), dir.authority_key(), dir.server_certificate()];
    if !needed.iter().all(|path| path.exists()) {
        return Ok(false);
    }
    if !dir.marker().exists() {
        durable::write_new(&dir.marker(), crate::init::LAYOUT.as_bytes()).map_err(failed(&dir.marker()))?;
    }
    Ok(true)
}

fn fit(dir: &DataDir, out: &Path) -> Result<(), BackupError> {
    let whole = |path: &Path| std::path::absolute(path).map_err(failed(path));
    if whole(out)?.starts_with(whole(dir.path())?) {
        return Err(BackupError::BesideKeys(out.to_owned()));
    }
    match std::fs::read_dir(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(BackupError::File { path: out.to_owned(), source }),
        Ok(entries) => {
            if entries.count() > 0 {
                Err(BackupError::NotEmpty(out.to_owned()))
            } else {
                Ok(())
            }
        }
    }
}

fn digest(path: &Path) -> Result<(String, u64), BackupError> {
    let mut file = File::open(path).map_err(failed(path))?;
    let mut hash = Hashing(Sha256::new());
    let bytes = io::copy(&mut file, &mut hash).map_err(failed(path))?;
    Ok((hex(&hash.0.finalize()), bytes))
}

struct Hashing(Sha256);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn copy_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    durable::ensure_file(to).map_err(failed(to))?;
    let mut file = File::options().write(true).truncate(true).open(to).map_err(failed(to))?;
    io::copy(&mut File::open(from).map_err(failed(from))?, &mut file).map_err(failed(to))?;
    file.sync_all().map_err(failed(to))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path: path.clone(), source }
}

#[cfg(test)]
mod tests;
