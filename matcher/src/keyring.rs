//! `matcher keys`: which keys a center has, and putting new ones in their place while it serves.
//!
//! A rotation has two steps. The first makes a new key, which is used from then on beside the older one: running
//! servers take it within seconds. The second, `--finish`, drops the older one, and refuses while something still
//! needs it. Both may be repeated, and go on where they were broken off. Not here: keys as files (`crate::keys`)
//! and copies of them (`crate::backup`).

use std::{io, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use matcher_core::AuditAction;
use serde::Serialize;
use thiserror::Error;

use crate::{
    audit::folder::FolderError,
    backup::{
        self,
        keys::{Cost, KeyBackupArgs, KeyBackupError, KeyRestoreArgs},
    },
    center::open_store,
    config::Config,
    data_dir::DataDir,
    durable,
    keys::KeyError,
    out,
    pki::{Authority, PkiError},
    store::{AuditLog, StoreError, TimeMs, audit::AuditEvent},
    vault::VaultError,
};

pub mod rotate;
pub mod status;

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List all keys: since when, in use or older, what still needs them
    Status {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Put a new key in the place of one, while the center serves
    Rotate(RotateArgs),
    /// Make the server's certificate anew, for the same key and its names; servers take it up within seconds
    Renew(RenewArgs),
    /// Write all keys and certificates into one encrypted file
    Backup(KeyBackupArgs),
    /// Put keys and certificates back from such a file, where there are none
    Restore(KeyRestoreArgs),
}

/// A key that can be rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Wraps the data keys of persons
    KeyEncryption,
    /// Signs certificates of servers and devices
    Authority,
    /// Hashes card numbers for look-up
    Lookup,
    /// Opens envelopes from counters
    Opening,
    /// Signs receipts
    Receipt,
    /// Signs receipts of drills
    ReceiptDrill,
    /// Signs checkpoints of the audit log
    Audit,
}

impl KeyKind {
    /// Its word, as the audit log and listings have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::KeyEncryption => "key_encryption",
            Self::Authority => "authority",
            Self::Lookup => "lookup",
            Self::Opening => "opening",
            Self::Receipt => "receipt",
            Self::ReceiptDrill => "receipt_drill",
            Self::Audit => "audit",
        }
    }
}

/// Arguments of `matcher keys rotate`.
#[derive(Debug, Clone, Args)]
pub struct RotateArgs {
    /// Which key
    #[arg(value_enum)]
    pub kind: KeyKind,
    /// Drop the older keys
    #[arg(long)]
    pub finish: bool,
    /// With --finish: drop them before their time is over. What still needs them is lost
    #[arg(long, requires = "finish")]
    pub force: bool,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `matcher keys renew`.
#[derive(Debug, Clone, Args)]
pub struct RenewArgs {
    /// Host name or address that counters reach this matcher under; give it once for each
    #[arg(long = "server-name", value_name = "NAME", required = true)]
    pub server_names: Vec<String>,
}

/// A command about keys that failed.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// A key cannot be used.
    #[error(transparent)]
    Key(KeyError),
    /// A key file cannot be read or written.
    #[error("could not read or write {}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A signing key cannot be encoded.
    #[error("a signing key could not be encoded")]
    SigningKey(#[source] ed25519_dalek::pkcs8::Error),
    /// The source of the key-encryption key is no file.
    #[error("key-encryption key: it comes from {0}; put the new key before the older one there, and run this again")]
    ForeignSource(&'static str),
    /// There is nothing to drop.
    #[error("{0}: there is no older key to drop; make a new one first, without --finish")]
    NothingOlder(&'static str),
    /// Something still needs the older key.
    #[error("{kind}: {why}")]
    StillNeeded {
        /// Which key.
        kind: &'static str,
        /// What needs it, and until when.
        why: String,
    },
    /// A data key does not open under any key.
    #[error("the data key of person {subject} does not open under any key at hand; nothing was dropped")]
    DataKey {
        /// Whose.
        subject: String,
        /// Why.
        #[source]
        source: VaultError,
    },
    /// The store failed.
    #[error("the store could not be read or written")]
    Store(#[source] StoreError),
    /// The checkpoint that introduces a key cannot be written.
    #[error(transparent)]
    Checkpoint(FolderError),
    /// A certificate of the authority or the server is not in order.
    #[error("the authority's or the server's certificate is not in order: expected PEM, and names in the server's")]
    Certificate,
    /// The authority is being rolled over.
    #[error("the authority is being rolled over; finish that first: devices may not trust what the new one signs")]
    RollOver,
    /// A certificate cannot be made.
    #[error(transparent)]
    Pki(PkiError),
    /// Keys cannot be copied or put back.
    #[error(transparent)]
    Backup(KeyBackupError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
    /// The output cannot be written as JSON.
    #[error("the listing could not be written as JSON")]
    Json(#[source] serde_json::Error),
}

/// Runs `matcher keys`, for a center that is there.
///
/// # Errors
/// As the command says.
pub async fn run(dir: &DataDir, config: &Config, command: &KeysCommand, now: TimeMs) -> Result<(), KeyringError> {
    let store = open_store(dir, &config.store).map_err(KeyringError::Store)?;
    let text = match command {
        KeysCommand::Status { json } => {
            let rows = status::rows(dir, config, &store, now).await?;
            if *json { serde_json::to_string_pretty(&rows).map_err(KeyringError::Json)? } else { status::table(&rows) }
        }
        KeysCommand::Rotate(args) => {
            let progress = ProgressBar::new_spinner().with_message("anew");
            let rotation = rotate::Rotation { dir, config, store: &store, now };
            let rotated = rotation.run(args, |done| progress.set_position(done)).await;
            progress.finish_and_clear();
            let rotated = rotated?;
            if args.json { serde_json::to_string(&rotated).map_err(KeyringError::Json)? } else { rotate::text(&rotated) }
        }
        KeysCommand::Renew(args) => {
            renew(dir, &args.server_names, now)?;
            record(&store, AuditAction::KeyRotated, "server", now).await?;
            "the server's certificate is new; servers take it up within seconds".into()
        }
        KeysCommand::Backup(args) => {
            let passphrase = backup::keys::passphrase().map_err(KeyringError::Backup)?;
            let files = backup::keys::backup(dir, &args.out, &passphrase, Cost::USUAL).map_err(KeyringError::Backup)?;
            record(&store, AuditAction::KeysBackedUp, "keys", now).await?;
            format!("{files} files of keys and certificates are in {}", args.out.display())
        }
        KeysCommand::Restore(args) => {
            let passphrase = backup::keys::passphrase().map_err(KeyringError::Backup)?;
            let files = backup::keys::restore(dir, &args.from, &passphrase).map_err(KeyringError::Backup)?;
            format!("{files} files of keys and certificates are in place")
        }
    };
    out::line(&text).map_err(KeyringError::Print)
}

/// A new certificate of the server, for the key it has.
fn renew(dir: &DataDir, names: &[String], now: TimeMs) -> Result<(), KeyringError> {
    if rotate::authority::Authorities::load(dir)?.ids().len() > 1 {
        return Err(KeyringError::RollOver);
    }
    let authority = Authority::load(&rotate::read(&dir.authority_certificate())?, &rotate::read(&dir.authority_key())?);
    let authority = authority.map_err(KeyringError::Pki)?;
    let certificate = authority.server_certificate(&rotate::read(&dir.server_key())?, names, now).map_err(KeyringError::Pki)?;
    let path = dir.server_certificate();
    durable::write(&path, certificate.as_bytes()).map_err(|source| KeyringError::File { path, source })
}

async fn record(store: &dyn AuditLog, action: AuditAction, object: &str, at: TimeMs) -> Result<(), KeyringError> {
    let event = AuditEvent { at, action, by: String::new(), object: object.to_owned(), detail: String::new() };
    store.record_audit(event).await.map_err(KeyringError::Store)
}
