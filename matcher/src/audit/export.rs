//! `matcher audit export`: entries as JSON lines, with what proves them.
//!
//! One object a line: an `epoch`, its `link`s from the first that holds an entry of the time asked for to the
//! last, each with its `entry`s (salt included), and at the end the checkpoints that name one of these links. A
//! reader makes each entry's digest anew, from these each link's hash, and finds the hash under a signature. The
//! formulas are in `matcher_core::audit::chain`. That a log was handed out is an entry too.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use matcher_core::{
    AuditAction,
    audit::{Checkpoint, EpochId, Hash, Named},
};
use serde_json::{Value, json};
use thiserror::Error;

use super::folder::{Folder, FolderError};
use crate::{
    keys::hex,
    listing::Since,
    store::{
        AuditLog, StoreError, TimeMs,
        audit::{AuditEvent, LinkEntries, StoredEpoch},
    },
};

const PAGE: u32 = 256;

/// Arguments of `matcher audit export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Entries from this time on: so long ago (90m, 24h, 30d), or a time (2026-01-31T08:00:00+08:00)
    #[arg(long, value_name = "TIME")]
    pub since: Since,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// An export that could not be made.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The log cannot be read.
    #[error("the store could not be read or written")]
    Store(#[source] StoreError),
    /// The checkpoints cannot be read.
    #[error(transparent)]
    Folder(FolderError),
    /// The file cannot be written.
    #[error("could not write {}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl From<FolderError> for ExportError {
    fn from(error: FolderError) -> Self {
        Self::Folder(error)
    }
}

/// Writes the entries since a time; says how many.
///
/// # Errors
/// When the log or the checkpoints cannot be read, or the file exists or cannot be written.
pub async fn export(store: &dyn AuditLog, folder: &Folder, since: TimeMs, path: &Path, now: TimeMs) -> Result<u64, ExportError> {
    let failed = |source| ExportError::Write { path: path.to_owned(), source };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let mut out = Out { lines: BufWriter::new(file), path: path.to_owned(), entries: 0, first: HashMap::new() };
    for epoch in store.audit_epochs().await.map_err(ExportError::Store)? {
        let first = store.audit_first_link(epoch.epoch, since).await.map_err(ExportError::Store)?;
        if let Some(first) = first {
            out.epoch(store, &epoch, first).await?;
        }
    }
    folder.read(|line| out.checkpoint(line))?;
    let file = out.lines.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    let detail = json!({ "since": since, "entries": out.entries }).to_string();
    let event = AuditEvent { at: now, action: AuditAction::AuditExported, by: String::new(), object: String::new(), detail };
    store.record_audit(event).await.map_err(ExportError::Store)?;
    Ok(out.entries)
}

/// The file, and the links in it.
struct Out {
    lines: BufWriter<File>,
    path: PathBuf,
    entries: u64,
    /// First link written of each epoch.
    first: HashMap<EpochId, u64>,
}

impl Out {
    fn line(&mut self, line: &Value) -> Result<(), ExportError> {
        writeln!(self.lines, "{line}").map_err(|source| ExportError::Write { path: self.path.clone(), source })
    }

    async fn epoch(&mut self, store: &dyn AuditLog, epoch: &StoredEpoch, first: u64) -> Result<(), ExportError> {
        let process = &epoch.process;
        self.line(&json!({
            "epoch": name(epoch.epoch), "started_at": epoch.started_at, "command": process.command, "user": process.user,
            "host": process.host, "pid": process.pid,
        }))?;
        self.first.insert(epoch.epoch, first);
        // The link before the first is read for its hash; the first of all goes on from the opening.
        let mut after = first.saturating_sub(2);
        let mut previous = (first <= 1).then(|| epoch.opening().head().hash);
        loop {
            let page = store.audit_links(epoch.epoch, after, PAGE).await.map_err(ExportError::Store)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = last.link;
            for link in &page {
                if let Some(previous) = previous {
                    self.link(epoch.epoch, link, &previous)?;
                }
                previous = Some(link.0.hash);
            }
        }
    }

    fn link(&mut self, epoch: EpochId, (link, entries): &LinkEntries, previous: &Hash) -> Result<(), ExportError> {
        self.line(&json!({
            "link": link.link, "epoch": name(epoch), "previous": hex(previous), "entries": link.entries, "hash": hex(&link.hash),
        }))?;
        for entry in entries {
            let mut line = json!({
                "entry": entry.place, "epoch": name(epoch), "link": link.link, "at": entry.at, "digest": hex(&entry.digest),
            });
            if let (Some(content), Some(fields)) = (&entry.content, line.as_object_mut()) {
                fields.insert("salt".into(), hex(&content.salt).into());
                let texts = [("action", &content.action), ("by", &content.by), ("object", &content.object), ("detail", &content.detail)];
                fields.extend(texts.map(|(name, text)| (name.to_owned(), Value::from(text.as_str()))));
            }
            self.line(&line)?;
            self.entries += 1;
        }
        Ok(())
    }

    /// Writes a checkpoint that names a link which is in the file.
    fn checkpoint(&mut self, line: &str) -> Result<(), ExportError> {
        let Ok(checkpoint) = Checkpoint::read_unverified(line) else { return Ok(()) };
        let proves = checkpoint.heads.iter().any(|head| self.first.get(&head.epoch).is_some_and(|first| head.link >= *first));
        if proves { self.line(&json!({ "checkpoint": checkpoint.number, "jws": line })) } else { Ok(()) }
    }
}

fn name(epoch: EpochId) -> String {
    Named(epoch).to_string()
}

#[cfg(test)]
mod tests;
