//! The outbox: every sealed envelope, durable on this machine before it is sent.
//!
//! `state.db` in the state folder (SQLite, write-ahead log, fsync at every commit) gives each envelope its
//! number, keeps it until the center has answered, and gives the very same bytes back when a transaction is
//! asked for again. An unanswered envelope is never deleted. An answered one is kept a while, so that a till
//! that lost the answer may ask again; then its body is deleted and the number, the transaction and a keyed
//! digest of the request remain, so that a transaction is not captured twice. Card numbers are not in here.
//!
//! Not here: sending (see [`client`](crate::client)), and what an answer means.

mod center;
mod holdings;
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
use zeroize::Zeroizing;

pub use center::CenterFacts;
pub use holdings::Holdings;

use crate::{command::VerifyCommand, config::OutboxConfig, identity::DeviceKey};

const HOUR_MS: i64 = 3_600_000;

/// The outbox did not do what was asked.
#[derive(Debug, Error)]
pub enum OutboxError {
    /// The same transaction and attempt were sent for another card or scene.
    #[error("transaction and attempt: expected the card and scene of the first request, got others; use another attempt or transaction")]
    AnotherRequest,
    /// The envelope's body was deleted after its time.
    #[error("transaction and attempt: expected a request within the time answers are kept; this one was answered earlier")]
    Forgotten,
    /// Too many envelopes wait for the center.
    #[error("{0} envelopes wait for the center: expected fewer than outbox.waiting_max")]
    Full(u32),
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

impl From<rusqlite::Error> for OutboxError {
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

/// The outbox of one state folder. Several processes may use one folder.
pub struct Outbox {
    connection: Mutex<Connection>,
    digest_key: Zeroizing<[u8; 32]>,
    config: OutboxConfig,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    /// Opens the outbox of a state folder, making it where there is none.
    ///
    /// # Errors
    /// When the file cannot be made, opened, or is a later version's.
    pub fn open(dir: &Path, key: &DeviceKey, config: OutboxConfig) -> Result<Self, OutboxError> {
        let connection = schema::open(dir)?;
        Ok(Self { connection: Mutex::new(connection), digest_key: key.derived("request digests"), config })
    }

    /// The envelope of an earlier request for this transaction and attempt.
    ///
    /// # Errors
    /// When that request was for another card or scene, or its body has been deleted.
    pub fn find(&self, command: &VerifyCommand) -> Result<Option<Kept>, OutboxError> {
        self.find_in(&self.lock(), command)
    }

    /// Gives an envelope the next number, seals it and makes it durable; returns the earlier one when the
    /// request has been made before. Nothing is kept, and no number used, when sealing fails.
    ///
    /// # Errors
    /// As [`find`](Self::find), and when the outbox is full, sealing fails, or the disk does.
    pub fn keep(
        &self,
        command: &VerifyCommand,
        now_ms: i64,
        seal: impl FnOnce(u64) -> Result<Envelope, EnvelopeError>,
    ) -> Result<Kept, OutboxError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(kept) = self.find_in(&transaction, command)? {
            return Ok(kept);
        }
        let waiting = count_waiting(&transaction)?;
        if waiting >= self.config.waiting_max {
            return Err(OutboxError::Full(waiting));
        }
        let sequence = take_number(&transaction)?;
        let envelope = seal(sequence).map_err(OutboxError::Seal)?;
        transaction
            .prepare(
                "INSERT INTO envelope (sequence, transaction_id, attempt, request_digest, body, made_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                sequence.cast_signed(),
                command.transaction.as_str(),
                command.attempt.get(),
                command.digest(&self.digest_key),
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
    pub fn answered(&self, sequence: u64, now_ms: i64) -> Result<(), OutboxError> {
        self.settle(sequence, now_ms, "")
    }

    /// Notes that the center refuses this envelope for good, and the code it gave.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn refused(&self, sequence: u64, now_ms: i64, code: &str) -> Result<(), OutboxError> {
        self.settle(sequence, now_ms, code)
    }

    /// How many envelopes the center has neither answered nor refused.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn waiting(&self) -> Result<u32, OutboxError> {
        count_waiting(&self.lock())
    }

    /// Deletes what has been kept long enough; see the configuration's `[outbox]`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn prune(&self, now_ms: i64) -> Result<(), OutboxError> {
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
        Ok(())
    }

    fn settle(&self, sequence: u64, now_ms: i64, refusal: &str) -> Result<(), OutboxError> {
        // A later answer to the same envelope replaces a refusal; a refusal never replaces an answer.
        self.lock().execute(
            "UPDATE envelope SET settled_at_ms = ?2, refusal = ?3 WHERE sequence = ?1 AND (settled_at_ms IS NULL OR (refusal <> '' AND ?3 = ''))",
            params![sequence.cast_signed(), now_ms, refusal],
        )?;
        Ok(())
    }

    fn find_in(&self, connection: &Connection, command: &VerifyCommand) -> Result<Option<Kept>, OutboxError> {
        let row = connection
            .prepare("SELECT sequence, request_digest, body FROM envelope WHERE transaction_id = ?1 AND attempt = ?2")?
            .query_row(params![command.transaction.as_str(), command.attempt.get()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
            })
            .optional()?;
        let Some((sequence, digest, body)) = row else { return Ok(None) };
        if !bool::from(digest.ct_eq(&command.digest(&self.digest_key))) {
            return Err(OutboxError::AnotherRequest);
        }
        let body = body.ok_or(OutboxError::Forgotten)?;
        let envelope = Envelope::decode(body.as_slice()).map_err(|_| OutboxError::Forgotten)?;
        Ok(Some(Kept { sequence: sequence.cast_unsigned(), envelope }))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction that panicked was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_waiting(connection: &Connection) -> Result<u32, OutboxError> {
    let waiting =
        connection.prepare("SELECT count(*) FROM envelope WHERE settled_at_ms IS NULL")?.query_row([], |row| row.get::<_, u32>(0))?;
    Ok(waiting)
}

fn take_number(transaction: &Transaction<'_>) -> Result<u64, OutboxError> {
    let number: i64 = transaction
        .prepare("UPDATE numbering SET next_sequence = next_sequence + 1 RETURNING next_sequence - 1")?
        .query_row([], |row| row.get(0))?;
    Ok(number.cast_unsigned())
}

#[cfg(test)]
mod tests;
