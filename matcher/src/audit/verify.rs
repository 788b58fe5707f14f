//! `matcher audit verify`: the whole log gone over again, from every epoch's opening to the last signed head.
//!
//! It names the first thing that is wrong. `--records` also compares verifications and flags with what their
//! entries cover, and looks for some that no entry is about.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use clap::Args;
use ed25519_dalek::VerifyingKey;
use matcher_core::audit::{EpochCheck, Fault, History, Named, StoredEntry, all_there};
use serde::Serialize;
use thiserror::Error;

use super::folder::{Folder, FolderError};
use crate::{
    config::AuditConfig,
    data_dir::DataDir,
    keys::{KeyError, signing::SigningKeys},
    store::{
        AuditLog, StoreError, TimeMs,
        audit::{StoredEpoch, Uncovered},
    },
};

mod records;
mod report;

pub use report::text;

/// Links read at a time.
const PAGE: u32 = 256;
/// How long an entry may take from its time to its commit.
const GRACE_MS: TimeMs = 10 * 60 * 1000;

/// Arguments of `matcher audit verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Folder of the checkpoints; without it, the one of the settings
    #[arg(long, value_name = "DIR")]
    pub checkpoints: Option<PathBuf>,
    /// Public keys the first checkpoint may be signed with: 64 hexadecimal digits a line; without it, those of
    /// the data folder's audit key
    #[arg(long, value_name = "FILE")]
    pub public_keys: Option<PathBuf>,
    /// Also compare verifications and flags with what their entries cover
    #[arg(long)]
    pub records: bool,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

/// A log that could not be checked, or is not in order.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// It is not in order.
    #[error(transparent)]
    Fault(Fault),
    /// There is nothing to check it against.
    #[error("{} holds no checkpoint; without one only whoever changed nothing can be trusted", .0.display())]
    NoCheckpoints(PathBuf),
    /// The checkpoints cannot be read.
    #[error(transparent)]
    Folder(FolderError),
    /// The keys cannot be read.
    #[error(transparent)]
    Key(KeyError),
    /// The log cannot be read, or a row of it is not in the form this program writes.
    #[error("the store could not be read")]
    Store(#[source] StoreError),
}

impl From<FolderError> for VerifyError {
    fn from(error: FolderError) -> Self {
        Self::Folder(error)
    }
}

/// What was gone over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Epochs.
    pub epochs: u64,
    /// Links.
    pub links: u64,
    /// Entries.
    pub entries: u64,
    /// Entries whose content retention deleted.
    pub emptied: u64,
    /// Entries since the last checkpoint: these could still be cut.
    pub unsealed: u64,
    /// Number of the last checkpoint.
    pub checkpoint: u64,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub checkpoint_at: Option<TimeMs>,
    /// Records compared with what their entry covers.
    pub records: u64,
}

/// What to check, against what.
pub struct Verifier<'a> {
    /// The log.
    pub store: &'a dyn AuditLog,
    /// The checkpoints.
    pub folder: Folder,
    /// Keys the first of them may be signed with.
    pub keys: Vec<VerifyingKey>,
    /// Content of entries from then on must be there.
    pub kept_since: TimeMs,
    /// Now.
    pub now: TimeMs,
    /// Whether records are compared too.
    pub records: bool,
}

impl<'a> Verifier<'a> {
    /// As the arguments and settings of a center say.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub fn new(store: &'a dyn AuditLog, dir: &DataDir, config: &AuditConfig, args: &VerifyArgs, now: TimeMs) -> Result<Self, VerifyError> {
        let keys = match &args.public_keys {
            Some(path) => public_keys(path)?,
            None => own_keys(dir)?,
        };
        Ok(Self {
            store,
            folder: Folder::new(args.checkpoints.as_ref().unwrap_or(&config.checkpoints)),
            keys,
            kept_since: now.saturating_sub(config.content_ms()),
            now,
            records: args.records,
        })
    }

    /// Goes over everything; `progress` hears of every page how many entries were done.
    ///
    /// # Errors
    /// The first thing that is wrong, or what could not be read.
    pub async fn run(&self, mut progress: impl FnMut(u64)) -> Result<Verified, VerifyError> {
        // Checkpoints first: the log goes on meanwhile and is then ahead of them, never behind.
        let mut history = History::new(self.keys.clone());
        self.folder.read(|line| history.take(line).map_err(VerifyError::Fault))?;
        if history.number() == 0 {
            return Err(VerifyError::NoCheckpoints(self.folder.path().to_owned()));
        }
        let mut done = Verified { checkpoint: history.number(), checkpoint_at: history.at(), ..Verified::default() };
        let epochs = self.store.audit_epochs().await.map_err(VerifyError::Store)?;
        let found: HashSet<_> = epochs.iter().map(|epoch| epoch.epoch).collect();
        all_there(&history, |epoch| found.contains(epoch)).map_err(VerifyError::Fault)?;
        for epoch in &epochs {
            self.epoch(&history, epoch, &mut done, &mut progress).await?;
        }
        if let Some(epoch) = self.store.audit_stray().await.map_err(VerifyError::Store)? {
            return Err(VerifyError::Fault(Fault::StrayEntries { epoch: Named(epoch) }));
        }
        if let (true, Some(first)) = (self.records, epochs.first()) {
            let until = self.now.saturating_sub(GRACE_MS);
            match self.store.uncovered(first.started_at, until).await.map_err(VerifyError::Store)? {
                Some(Uncovered::Verification(id)) => return Err(uncovered("verification", &id)),
                Some(Uncovered::Flag(id)) => return Err(uncovered("flag", &id)),
                None => {}
            }
        }
        Ok(done)
    }

    async fn epoch(
        &self,
        history: &History,
        epoch: &StoredEpoch,
        done: &mut Verified,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), VerifyError> {
        let mut check = EpochCheck::begin(history, &epoch.opening(), self.kept_since, GRACE_MS).map_err(VerifyError::Fault)?;
        let mut after = 0;
        loop {
            let page = self.store.audit_links(epoch.epoch, after, PAGE).await.map_err(VerifyError::Store)?;
            let Some((last, _)) = page.last() else { break };
            after = last.link;
            for (link, entries) in &page {
                check.link(link, entries).map_err(VerifyError::Fault)?;
                done.links += 1;
                done.entries += entries.len() as u64;
            }
            if self.records {
                let entries = page.iter().flat_map(|(link, entries)| entries.iter().map(|entry| (link.link, entry)));
                done.records += records::compare(self.store, epoch.epoch, &entries.collect::<Vec<(u64, &StoredEntry)>>()).await?;
            }
            progress(done.entries);
        }
        let sealed = history.sealed(&epoch.epoch).and_then(|links| links.last_key_value()).map_or(0, |(_, sealed)| sealed.entries);
        let (head, emptied) = check.end().map_err(VerifyError::Fault)?;
        done.epochs += 1;
        done.emptied += emptied;
        done.unsealed += head.entries.saturating_sub(sealed);
        Ok(())
    }
}

fn uncovered(what: &'static str, id: &crate::store::RecordId) -> VerifyError {
    VerifyError::Fault(Fault::UncoveredRecord { what, id: id.to_string() })
}

/// The public halves of a center's audit keys, dropped ones included.
fn own_keys(dir: &DataDir) -> Result<Vec<VerifyingKey>, VerifyError> {
    let mut keys: Vec<_> =
        SigningKeys::load(&dir.audit_key()).map_err(VerifyError::Key)?.all().map(|key| key.key.verifying_key()).collect();
    let dropped = dir.audit_public_keys();
    if dropped.exists() {
        keys.extend(public_keys(&dropped)?);
    }
    Ok(keys)
}

/// Reads public keys, 64 hexadecimal digits a line.
fn public_keys(path: &Path) -> Result<Vec<VerifyingKey>, VerifyError> {
    let keys = crate::keys::load_public(path).map_err(VerifyError::Key)?;
    let wrong = || KeyError::Form { path: path.to_owned(), expected: "Ed25519 public keys of 64 hexadecimal digits, one a line" };
    keys.iter().map(|key| VerifyingKey::from_bytes(key).map_err(|_| VerifyError::Key(wrong()))).collect()
}

#[cfg(test)]
mod tests;
