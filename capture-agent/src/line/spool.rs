//! The spool: every sealed envelope, durable on this machine before it is sent.
//!
//! `state.db` in the state folder (SQLite, write-ahead log, fsync at every commit) gives each envelope its
//! number, keeps it until the center has answered, and gives the very same bytes back when a transaction is
//! asked for again. An unanswered envelope is never deleted. An answered one is kept a while, so that a till
//! that lost the answer may ask again; then its body is deleted and the number, the transaction and a keyed
//! digest of the request remain, so that a transaction is not captured twice. What was sealed stays sealed: nothing
//! here reads a capture, and card numbers are not in here. It is bounded in envelopes, bytes and age.
//!
//! Not here: sealing, sending (see [`client`](super::client)), and what an answer means.

mod center;
mod forward;
mod schema;

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use prost::Message;
use proto::{envelope::EnvelopeError, v1::Envelope};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use subtle::ConstantTimeEq;
use thiserror::Error;

pub use center::CenterFacts;
pub use forward::{Given, Provisional, Put, Waiting};

use crate::config::OutboxConfig;

const HOUR_MS: i64 = 3_600_000;

/// The spool did not do what was asked.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The same transaction and attempt were sent for another card or scene.
    #[error("transaction and attempt: expected the card and scene of the first request, got others; use another attempt or transaction")]
    AnotherRequest,
    /// The envelope's body was deleted after its time.
    #[error("transaction and attempt: expected a request within the time answers are kept; this one was answered earlier")]
    Forgotten,
    /// Too many envelopes wait for the center.
    #[error("{0} envelopes wait for the center: expected fewer than outbox.waiting_max")]
    Full(u32),
    /// The envelopes that wait for the center take too much room.
    #[error("envelopes of {0} bytes wait for the center: expected fewer than outbox.waiting_mb allows")]
    FullBytes(u64),
    /// The envelope could not be made.
    #[error("the envelope could not be sealed")]
    Seal(#[source] EnvelopeError),
    /// The database was made by a later version.
    #[error("state.db: expected version {expected} or earlier, got {got}; use the agent that made it or a later one")]
    Version {
        /// What this agent knows.
        expected: i64,
        /// What is there.
        got: i64,
    },
    /// The database failed.
    #[error("state.db could not be used")]
    Database(#[source] rusqlite::Error),
    /// The file could not be made durable.
    #[error("state.db could not be made")]
    File(#[source] std::io::Error),
    /// The work was given up because the agent stops.
    #[error("state.db: the work was interrupted")]
    Interrupted,
}

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// An envelope that is durable here.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its number on this device.
    pub sequence: u64,
    /// The envelope, the same bytes each time.
    pub envelope: Envelope,
}

/// What an envelope is found by again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The institution's transaction.
    pub transaction: String,
    /// Which attempt within it.
    pub attempt: u32,
    /// A keyed digest of what was asked: tells a repeated request from another one under the same two.
    pub digest: [u8; 32],
}

/// The spool of one state folder. Several processes may use one folder.
pub struct Spool {
    connection: Mutex<Connection>,
    config: OutboxConfig,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").finish_non_exhaustive()
    }
}

impl Spool {
    /// Opens the spool of a state folder, making it where there is none.
    ///
    /// # Errors
    /// When the file cannot be made, opened, or is a later version's.
    pub fn open(dir: &Path, config: OutboxConfig) -> Result<Self, SpoolError> {
        let connection = schema::open(dir)?;
        Ok(Self { connection: Mutex::new(connection), config })
    }

    /// The envelope of an earlier request for this transaction and attempt.
    ///
    /// # Errors
    /// When that request was for another card or scene, or its body has been deleted.
    pub fn find(&self, entry: &Entry) -> Result<Option<Kept>, SpoolError> {
        find_in(&self.lock(), entry)
    }

    /// Gives an envelope the next number, seals it and makes it durable; returns the earlier one when the
    /// request has been made before. Nothing is kept, and no number used, when sealing fails.
    ///
    /// # Errors
    /// As [`find`](Self::find), and when the spool is full, sealing fails, or the disk does.
    pub fn keep(&self, entry: &Entry, now_ms: i64, seal: impl FnOnce(u64) -> Result<Envelope, EnvelopeError>) -> Result<Kept, SpoolError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(kept) = find_in(&transaction, entry)? {
            return Ok(kept);
        }
        let (waiting, bytes) = count_waiting(&transaction)?;
        if waiting >= self.config.waiting_max {
            return Err(SpoolError::Full(waiting));
        }
        if bytes >= u64::from(self.config.waiting_mb) << 20 {
            return Err(SpoolError::FullBytes(bytes));
        }
        let sequence = take_number(&transaction)?;
        let envelope = seal(sequence).map_err(SpoolError::Seal)?;
        transaction
            .prepare(
                "INSERT INTO envelope (sequence, transaction_id, attempt, request_digest, body, made_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                sequence.cast_signed(),
                entry.transaction,
                entry.attempt,
                entry.digest,
                envelope.encode_to_vec(),
                now_ms
            ])?;
        transaction.commit()?;
        Ok(Kept { sequence, envelope })
    }

    /// Notes that the center has answered.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn answered(&self, sequence: u64, now_ms: i64) -> Result<(), SpoolError> {
        self.settle(sequence, now_ms, "")
    }

    /// Notes that the center refuses this envelope for good, and the code it gave.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn refused(&self, sequence: u64, now_ms: i64, code: &str) -> Result<(), SpoolError> {
        self.settle(sequence, now_ms, code)
    }

    /// How many envelopes the center has neither answered nor refused.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn waiting(&self) -> Result<u32, SpoolError> {
        count_waiting(&self.lock()).map(|(waiting, _)| waiting)
    }

    /// Deletes what has been kept long enough; see the configuration's `[outbox]`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn prune(&self, now_ms: i64) -> Result<(), SpoolError> {
        let answered_before = now_ms - i64::from(self.config.answered_keep_hours) * HOUR_MS;
        let refused_before = now_ms - i64::from(self.config.refused_keep_days) * 24 * HOUR_MS;
        let record_before = now_ms - i64::from(self.config.record_keep_days) * 24 * HOUR_MS;
        let connection = self.lock();
        connection.execute(
            "UPDATE envelope SET body = NULL WHERE body IS NOT NULL
             AND ((refusal = '' AND settled_at_ms < ?1) OR (refusal <> '' AND settled_at_ms < ?2))",
            [answered_before, refused_before],
        )?;
        connection.execute("DELETE FROM envelope WHERE body IS NULL AND settled_at_ms < ?1", [record_before])?;
        connection.execute("DELETE FROM provisional WHERE sequence NOT IN (SELECT sequence FROM envelope)", [])?;
        Ok(())
    }

    fn settle(&self, sequence: u64, now_ms: i64, refusal: &str) -> Result<(), SpoolError> {
        // A later answer to the same envelope replaces a refusal; a refusal never replaces an answer.
        self.lock().execute(
            "UPDATE envelope SET settled_at_ms = ?2, refusal = ?3 WHERE sequence = ?1 AND (settled_at_ms IS NULL OR (refusal <> '' AND ?3 = ''))",
            params![sequence.cast_signed(), now_ms, refusal],
        )?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction that panicked was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find_in(connection: &Connection, entry: &Entry) -> Result<Option<Kept>, SpoolError> {
    let row = connection
        .prepare("SELECT sequence, request_digest, body FROM envelope WHERE transaction_id = ?1 AND attempt = ?2")?
        .query_row(params![entry.transaction, entry.attempt], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
        })
        .optional()?;
    let Some((sequence, digest, body)) = row else { return Ok(None) };
    if !bool::from(digest.ct_eq(&entry.digest)) {
        return Err(SpoolError::AnotherRequest);
    }
    let body = body.ok_or(SpoolError::Forgotten)?;
    let envelope = Envelope::decode(body.as_slice()).map_err(|_| SpoolError::Forgotten)?;
    Ok(Some(Kept { sequence: sequence.cast_unsigned(), envelope }))
}

/// Envelopes that wait, and their bytes.
fn count_waiting(connection: &Connection) -> Result<(u32, u64), SpoolError> {
    let sql = "SELECT count(*), coalesce(sum(length(body)), 0) FROM envelope WHERE settled_at_ms IS NULL";
    let (waiting, bytes) = connection.prepare(sql)?.query_row([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
    Ok((waiting, bytes.cast_unsigned()))
}

fn take_number(transaction: &Transaction<'_>) -> Result<u64, SpoolError> {
    let number: i64 = transaction
        .prepare("UPDATE numbering SET next_sequence = next_sequence + 1 RETURNING next_sequence - 1")?
        .query_row([], |row| row.get(0))?;
    Ok(number.cast_unsigned())
}

#[cfg(test)]
mod tests;
