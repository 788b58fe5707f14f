//! Audit entries as the store takes them.
//!
//! A write that matters appends its entry in its own transaction, inside the engine; [`AuditLog`] is for what
//! happens without another write, such as a look at a face. Not here: how entries are chained
//! (`matcher_core::audit`), and checkpoints.

use async_trait::async_trait;
use matcher_core::AuditAction;

use super::{StoreError, TimeMs};

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

/// Records what happens without another write.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Writes an entry; returns only when it is durable.
    async fn record_audit(&self, event: AuditEvent) -> Result<(), StoreError>;
}
