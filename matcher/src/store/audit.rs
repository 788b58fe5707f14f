//! Audit entries as the store takes them.
//!
//! A write that matters appends its entry in its own transaction, inside the engine; [`AuditLog`] is for what
//! happens without another write, such as a look at a face, and reads the log again. Not here: how entries are chained
//! (`matcher_core::audit`), and checkpoints.

use async_trait::async_trait;
use matcher_core::{
    AuditAction,
    audit::{EpochId, EpochOpening, Head, StoredEntry, StoredLink},
};

use super::{Flag, RecordId, StoreError, SubjectId, TimeMs, Verification};

pub(crate) mod events;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub at: TimeMs,
    /// What.
    pub action: AuditAction,
    /// The device or user who did it; empty for the process itself, whose command and user its epoch names.
    pub by: String,
    /// What it was done to: ids, never a card number.
    pub object: String,
    /// More about it: a small JSON object without personal data, or empty.
    pub detail: String,
}

/// A process that writes: what its entries' epoch says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The command, without its arguments.
    pub command: String,
    /// The operating system's user: number, and name where it has one.
    pub user: String,
    /// The machine.
    pub host: String,
    /// The process's id.
    pub pid: u32,
}

/// An epoch as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEpoch {
    /// Its id.
    pub epoch: EpochId,
    /// Time of its first entry.
    pub started_at: TimeMs,
    /// Whose run it is.
    pub process: Process,
}

impl StoredEpoch {
    /// As the chain begins with it.
    #[must_use]
    pub fn opening(&self) -> EpochOpening<'_> {
        let Process { command, user, host, pid } = &self.process;
        EpochOpening { epoch: self.epoch, started_at: self.started_at, command, user, host, pid: *pid }
    }
}

/// A stored link with its entries.
pub type LinkEntries = (StoredLink, Vec<StoredEntry>);

/// A record that no entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncovered {
    /// A verification.
    Verification(RecordId),
    /// A flag.
    Flag(RecordId),
}

/// Records what happens without another write, and reads the log.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Writes an entry; returns only when it is durable.
    async fn record_audit(&self, event: AuditEvent) -> Result<(), StoreError>;
    /// The last link of every epoch.
    async fn audit_heads(&self) -> Result<Vec<Head>, StoreError>;
    /// All epochs, by the time they began.
    async fn audit_epochs(&self) -> Result<Vec<StoredEpoch>, StoreError>;
    /// Links of an epoch after one, with their entries, in order; at most so many links.
    async fn audit_links(&self, epoch: EpochId, after: u64, limit: u32) -> Result<Vec<LinkEntries>, StoreError>;
    /// The first link of an epoch that holds an entry of this time or later, if one does.
    async fn audit_first_link(&self, epoch: EpochId, since: TimeMs) -> Result<Option<u64>, StoreError>;
    /// The epoch of a link or an entry that has no epoch or no link, if there is one.
    async fn audit_stray(&self) -> Result<Option<EpochId>, StoreError>;
    /// The verifications of these leading ids (the person, or the record where nobody is known) and ids.
    async fn verifications_at(&self, keys: Vec<(SubjectId, RecordId)>) -> Result<Vec<Option<Verification>>, StoreError>;
    /// The flags of these ids.
    async fn flags_at(&self, ids: Vec<RecordId>) -> Result<Vec<Option<Flag>>, StoreError>;
    /// Whether an entry says that this person was forgotten; of nobody in particular, that anybody was.
    async fn was_forgotten(&self, subject: Option<SubjectId>) -> Result<bool, StoreError>;
    /// A verification or flag of a time from `since` and before `until` that no entry is about, if there is one.
    async fn uncovered(&self, since: TimeMs, until: TimeMs) -> Result<Option<Uncovered>, StoreError>;
}
