//! The audit log from outside the store: checkpoints, checking it, handing it out.
//!
//! While a center serves, all heads are signed every minute and written to a folder outside the database; every
//! other command signs them when it ends, where something moved. What happened since the last checkpoint is the
//! only part of the log that can be cut unnoticed. Not here: the hashes (`matcher_core::audit`) and the entries
//! (`crate::store`).

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use clap::Subcommand;
use indicatif::ProgressBar;
use jiff::Timestamp;
use thiserror::Error;
use tokio::task;
use tracing::{error, warn};

use crate::{
    center::open_store,
    config::{AuditConfig, Config},
    data_dir::DataDir,
    durable,
    keys::{KeyError, signing},
    out,
    store::{AuditLog, Store, StoreError, TimeMs},
    surroundings::{Surroundings, System},
};

pub mod export;
pub mod folder;
pub mod verify;

use folder::{Added, Folder, FolderError};

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Go over the whole log against the signed checkpoints; names the first thing that is wrong (exit code 1)
    Verify(verify::VerifyArgs),
    /// Write the entries since a time as JSON lines, with what proves them
    Export(export::ExportArgs),
    /// Write a checkpoint now
    Checkpoint,
}

/// A checkpoint that cannot be made.
#[derive(Debug, Error)]
pub enum SealError {
    /// The heads cannot be read.
    #[error("could not read the heads of the audit log")]
    Store(#[source] StoreError),
    /// The folder cannot be written.
    #[error(transparent)]
    Folder(FolderError),
    /// The key cannot be read.
    #[error(transparent)]
    Key(KeyError),
    /// The key cannot be made.
    #[error("could not make the audit key")]
    MakeKey(#[source] std::io::Error),
    /// The work was broken off.
    #[error("the checkpoint was broken off")]
    Broken(#[source] task::JoinError),
}

/// Signs all heads of a center's log and adds them to its folder; where nothing moved, only when `always`.
///
/// # Errors
/// When the log, the key or the folder cannot be read or written.
pub async fn seal(store: &dyn AuditLog, dir: &DataDir, folder: &Folder, now: TimeMs, always: bool) -> Result<Option<Added>, SealError> {
    let locked = {
        let folder = folder.clone();
        task::spawn_blocking(move || folder.lock()).await.map_err(SealError::Broken)?.map_err(SealError::Folder)?
    };
    let heads = store.audit_heads().await.map_err(SealError::Store)?;
    let path = dir.audit_key();
    let add = move || {
        let keys = audit_keys(&path, now)?;
        locked.add(&heads, &keys.newest().key, None, now, always).map_err(SealError::Folder)
    };
    let added = task::spawn_blocking(add).await.map_err(SealError::Broken)??;
    if let Some(Added { number, contradicts: Some(epoch) }) = &added {
        error!(checkpoint = number, %epoch, "the audit log is not what an earlier checkpoint says: it was changed or put back; `matcher audit verify` says more");
    }
    Ok(added)
}

/// The keys that sign checkpoints; the first is made here where a center of an older release has none.
fn audit_keys(path: &Path, now: TimeMs) -> Result<signing::SigningKeys, SealError> {
    if !path.exists() {
        let made = Timestamp::from_millisecond(now).unwrap_or_default();
        let text = signing::new_dated(made).map_err(|error| SealError::MakeKey(std::io::Error::other(error)))?;
        durable::write_new(path, text.as_bytes()).map_err(SealError::MakeKey)?;
    }
    signing::SigningKeys::load(path).map_err(SealError::Key)
}

/// A command about the audit log that failed.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The store cannot be opened.
    #[error("could not open the store")]
    Store(#[source] StoreError),
    /// The log could not be checked.
    #[error(transparent)]
    Verify(verify::VerifyError),
    /// It could not be handed out.
    #[error(transparent)]
    Export(export::ExportError),
    /// It could not be signed.
    #[error(transparent)]
    Seal(SealError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] std::io::Error),
}

/// Runs `matcher audit`.
///
/// # Errors
/// When the log cannot be read, handed out or signed. A log that is not in order is an exit code, not an error.
pub async fn run((dir, config): &(DataDir, Config), command: &AuditCommand) -> Result<ExitCode, AuditError> {
    let store = open_store(dir, &config.store).map_err(AuditError::Store)?;
    let now = System.now_ms();
    let folder = Folder::new(&config.audit.checkpoints);
    match command {
        AuditCommand::Verify(args) => {
            let progress = ProgressBar::new_spinner().with_message("entries");
            let verifier = verify::Verifier::new(&store, dir, &config.audit, args, now).map_err(AuditError::Verify)?;
            let outcome = verifier.run(|entries| progress.set_position(entries)).await;
            progress.finish_and_clear();
            out::line(&verify::text(&outcome, args.json)).map_err(AuditError::Print)?;
            Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        AuditCommand::Export(args) => {
            let entries = export::export(&store, &folder, args.since.time(now), &args.out, now).await.map_err(AuditError::Export)?;
            out::line(&format!("{entries} entries are in {}", args.out.display())).map_err(AuditError::Print)?;
            Ok(ExitCode::SUCCESS)
        }
        AuditCommand::Checkpoint => {
            let added = seal(&store, dir, &folder, now, true).await.map_err(AuditError::Seal)?;
            out::line(&format!("checkpoint {} is in {}", added.map_or(0, |added| added.number), folder.path().display()))
                .map_err(AuditError::Print)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Signs what a command that has ended added to the log of a center, if it added something.
///
/// # Errors
/// As [`seal`].
pub async fn seal_after(dir: &DataDir, config: &Config) -> Result<(), SealError> {
    let store = open_store(dir, &config.store).map_err(SealError::Store)?;
    seal(&store, dir, &Folder::new(&config.audit.checkpoints), System.now_ms(), false).await.map(drop)
}

/// Seals the log of a center from time to time, for as long as it serves.
#[derive(Clone)]
pub struct Sealer {
    /// The log.
    pub store: Arc<dyn Store>,
    /// Where the key is.
    pub dir: DataDir,
    /// Where checkpoints go.
    pub folder: Folder,
    /// How often.
    pub every: Duration,
}

impl Sealer {
    /// Of a center and its settings.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, dir: &DataDir, config: &AuditConfig) -> Self {
        Self { store, dir: dir.clone(), folder: Folder::new(&config.checkpoints), every: config.every() }
    }

    /// Seals now and again until it is dropped. What fails is tried again the next time, and said each time.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = seal(self.store.as_ref(), &self.dir, &self.folder, System.now_ms(), true).await {
                warn!(error = &error as &dyn std::error::Error, "no checkpoint of the audit log could be written");
            }
        }
    }
}
