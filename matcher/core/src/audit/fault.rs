//! What can be wrong with an audit log, each with its own name and the place it was found at.

use std::fmt;

use thiserror::Error;

use super::{
    chain::EpochId,
    checkpoint::{CheckpointError, to_hex},
};

/// An epoch in messages: its 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named(pub EpochId);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

/// The first thing that is wrong.
#[derive(Debug, Error)]
pub enum Fault {
    /// A line is no checkpoint, or nobody trusted signed it.
    #[error("checkpoint after number {after} does not hold")]
    Checkpoint {
        /// Number of the last one that holds; 0 for none.
        after: u64,
        /// Why.
        #[source]
        source: CheckpointError,
    },
    /// Checkpoints are missing, or in another order.
    #[error("checkpoint {found} follows checkpoint {after}: checkpoints are missing, added or moved")]
    CheckpointOrder {
        /// Number of the one before.
        after: u64,
        /// Number found.
        found: u64,
    },
    /// The first checkpoint at hand leaves something out.
    #[error("checkpoint {found}, the first at hand, does not hold all heads: earlier ones are missing")]
    CheckpointStart {
        /// Its number.
        found: u64,
    },
    /// Two checkpoints name different hashes for one link, or the later one an earlier link.
    #[error("forked epoch {epoch}: checkpoint {checkpoint} contradicts an earlier checkpoint at link {link}")]
    ForkedEpoch {
        /// Which epoch.
        epoch: Named,
        /// Link the later checkpoint names.
        link: u64,
        /// The later checkpoint.
        checkpoint: u64,
    },
    /// A full checkpoint no longer knows an epoch.
    #[error("missing epoch {epoch}: checkpoint {checkpoint} no longer knows it")]
    ForgottenEpoch {
        /// Which epoch.
        epoch: Named,
        /// The checkpoint.
        checkpoint: u64,
    },
    /// An epoch that a checkpoint names is not in the store.
    #[error("missing epoch {epoch}: checkpoint {checkpoint} names it")]
    MissingEpoch {
        /// Which epoch.
        epoch: Named,
        /// The checkpoint.
        checkpoint: u64,
    },
    /// An epoch is in the store that checkpoints made after it do not know.
    #[error("epoch {epoch} was put in afterwards: it says it began before checkpoint {checkpoint}, which does not know it")]
    AddedEpoch {
        /// Which epoch.
        epoch: Named,
        /// The checkpoint.
        checkpoint: u64,
    },
    /// The store's chain ends before a link that a checkpoint names.
    #[error("truncated tail: epoch {epoch} ends at link {last}, checkpoint {checkpoint} names link {sealed}")]
    TruncatedTail {
        /// Which epoch.
        epoch: Named,
        /// Last link found.
        last: u64,
        /// Link named.
        sealed: u64,
        /// The checkpoint.
        checkpoint: u64,
    },
    /// A link number is skipped.
    #[error("missing link {link} of epoch {epoch}")]
    MissingLink {
        /// Which epoch.
        epoch: Named,
        /// Number that was expected.
        link: u64,
    },
    /// Entries of a link are missing or added.
    #[error("missing or added entry: link {link} of epoch {epoch}, place {place}")]
    Entries {
        /// Which epoch.
        epoch: Named,
        /// Which link.
        link: u64,
        /// Place that was expected.
        place: u64,
    },
    /// An entry's content does not have its digest.
    #[error("rewritten entry: link {link} of epoch {epoch}, place {place}")]
    RewrittenEntry {
        /// Which epoch.
        epoch: Named,
        /// Which link.
        link: u64,
        /// Which place.
        place: u64,
    },
    /// An entry's content was deleted before its time.
    #[error("deleted content: link {link} of epoch {epoch}, place {place} is younger than what retention deletes")]
    EmptiedEntry {
        /// Which epoch.
        epoch: Named,
        /// Which link.
        link: u64,
        /// Which place.
        place: u64,
    },
    /// A link does not have the hash of its entries and the link before.
    #[error("broken link {link} of epoch {epoch}: its hash is not that of its entries, the link before it or the epoch's opening")]
    BrokenLink {
        /// Which epoch.
        epoch: Named,
        /// Which link.
        link: u64,
    },
    /// A link holds together, and is not the one that was signed.
    #[error("rewritten history: link {link} of epoch {epoch} is not the one that checkpoint {checkpoint} names")]
    RewrittenHistory {
        /// Which epoch.
        epoch: Named,
        /// Which link.
        link: u64,
        /// The checkpoint.
        checkpoint: u64,
    },
    /// Entries belong to no link.
    #[error("entries of epoch {epoch} belong to no link")]
    StrayEntries {
        /// Which epoch.
        epoch: Named,
    },
    /// A record is not the one its entry covers.
    #[error("changed record: the {what} {id} is not what its entry covers (link {link} of epoch {epoch})")]
    ChangedRecord {
        /// Kind of record.
        what: &'static str,
        /// Its id.
        id: String,
        /// Which epoch.
        epoch: Named,
        /// Which link.
        link: u64,
    },
    /// A record that an entry covers is gone.
    #[error("missing record: the {what} {id}, covered by link {link} of epoch {epoch}, is gone")]
    MissingRecord {
        /// Kind of record.
        what: &'static str,
        /// Its id.
        id: String,
        /// Which epoch.
        epoch: Named,
        /// Which link.
        link: u64,
    },
    /// No entry covers a record.
    #[error("added record: no entry covers the {what} {id}")]
    UncoveredRecord {
        /// Kind of record.
        what: &'static str,
        /// Its id.
        id: String,
    },
}
