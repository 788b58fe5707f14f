//! Retention in the store: runs, one at a time, that delete what is over, a batch of one commit after another.

use async_trait::async_trait;
use matcher_core::RetentionKind;

use super::{RecordId, StoreError, TimeMs, subjects::Count};

/// A batch to delete.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// The run it belongs to.
    pub run: RecordId,
    /// Which kind.
    pub kind: RetentionKind,
    /// What is older than this.
    pub before: TimeMs,
    /// Now: holds are looked at, and the lease is renewed.
    pub now: TimeMs,
    /// Nobody else runs until so long after now.
    pub lease_ms: i64,
    /// At most so many.
    pub limit: u32,
}

/// A run that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRun {
    /// Its id.
    pub id: RecordId,
    /// When.
    pub started_at: TimeMs,
    /// When it was done; nothing while it runs, or where it broke off.
    pub finished_at: Option<TimeMs>,
    /// What was deleted, by kind.
    pub counts: Vec<Count>,
}

/// Runs of retention.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Begins a run, unless another is under way.
    async fn begin_retention(&self, run: RecordId, now: TimeMs, lease_ms: i64) -> Result<bool, StoreError>;
    /// Deletes a batch; says how many, or nothing where the run has lost its lease.
    async fn retain(&self, batch: Batch) -> Result<Option<u64>, StoreError>;
    /// Ends a run; false when it has lost its lease.
    async fn finish_retention(&self, run: RecordId, now: TimeMs, counts: Vec<Count>) -> Result<bool, StoreError>;
    /// How many records of a kind are over.
    async fn over(&self, kind: RetentionKind, before: TimeMs, now: TimeMs) -> Result<u64, StoreError>;
    /// Runs, the newest first.
    async fn retention_runs(&self, limit: u32) -> Result<Vec<RetentionRun>, StoreError>;
}
