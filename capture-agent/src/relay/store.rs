//! What a relay keeps on its disk: sealed envelopes, as they came, and the center's acknowledgements of them.
//!
//! `relay.db` in the state folder (SQLite, write-ahead log, fsync at every commit). An envelope is deleted on the center's
//! checked acknowledgement, which takes its place until its counter has been told for long enough, and when it is older than
//! the center would take. Nothing in here can be read without the center's opening key: headers name device, number and
//! transaction, no card. Room is bounded in all and for each counter.

mod schema;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use prost::Message;
use proto::v1::{DeferredEnvelope, Envelope, SignedAcknowledgement};
use rusqlite::{Connection, OptionalExtension, params};
use thiserror::Error;

use super::{config::SpoolConfig, peer::Peer};
use crate::doctor::machine::disk_free_bytes;

const DAY_MS: i64 = 86_400_000;

/// The spool did not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database was made by a later version.
    #[error("relay.db: expected version {expected} or earlier, got {got}; use the relay that made it or a later one")]
    Version {
        /// What this program knows.
        expected: i64,
        /// What is there.
        got: i64,
    },
    /// The database failed.
    #[error("relay.db could not be used")]
    Database(#[source] rusqlite::Error),
    /// The file could not be made durable.
    #[error("relay.db could not be made")]
    File(#[source] std::io::Error),
    /// The work was given up because the relay stops.
    #[error("relay.db: the work was interrupted")]
    Interrupted,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// What became of an envelope that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is durable here.
    Kept,
    /// The counter has as much here as it may.
    CounterFull,
    /// There is no room.
    Full,
    /// The disk has little left.
    DiskFull,
}

/// An envelope to keep.
#[derive(Debug, Clone)]
pub struct Item {
    /// What names it.
    pub digest: [u8; 32],
    /// Its number on the device.
    pub sequence: u64,
    /// As it came.
    pub message: DeferredEnvelope,
}

/// An envelope that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// What names it.
    pub digest: [u8; 32],
    /// Its number on the device.
    pub sequence: u64,
    /// As it came.
    pub message: DeferredEnvelope,
}

/// What of a counter waits here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Envelopes.
    pub envelopes: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest came, by this machine's clock.
    pub oldest_ms: Option<i64>,
}

/// A counter as it is remembered over restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The device.
    pub device: String,
    /// The certificate it showed last.
    pub certificate_sha256: [u8; 32],
    /// Whether the center let it in when it was last asked.
    pub let_in: bool,
}

/// The relay's spool.
pub struct Store {
    connection: Mutex<(Connection, HashMap<String, Usage>)>,
    dir: PathBuf,
    config: SpoolConfig,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the spool of a state folder, making it where there is none.
    ///
    /// # Errors
    /// When the file cannot be made, opened, or is a later version's.
    pub fn open(dir: &Path, config: SpoolConfig) -> Result<Self, StoreError> {
        let connection = schema::open(dir)?;
        let usage = usage_in(&connection)?;
        Ok(Self { connection: Mutex::new((connection, usage)), dir: dir.to_owned(), config })
    }

    /// Keeps envelopes of one counter, each if there is room for it; those that are here already stay as they are. Durable on
    /// return: all that are `Kept`, or none when the disk fails.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep(&self, device: &str, items: &[Item], now_ms: i64) -> Result<Vec<Taken>, StoreError> {
        let is_low = disk_free_bytes(&self.dir).is_some_and(|free| free < self.config.disk_free_min_mb << 20);
        let mut guard = self.lock();
        let (connection, usage) = &mut *guard;
        let mut total: u64 = usage.values().map(|usage| usage.bytes).sum();
        let mut own = usage.get(device).copied().unwrap_or_default();
        let transaction = connection.transaction()?;
        let mut taken = Vec::with_capacity(items.len());
        for item in items {
            let body = item.message.envelope.as_ref().map(Envelope::encode_to_vec).unwrap_or_default();
            let bytes = (body.len() + item.message.provisional_receipt.len()) as u64;
            let is_known = transaction
                .prepare_cached("SELECT 1 FROM held WHERE digest = ?1")?
                .query_row([item.digest], |_| Ok(()))
                .optional()?
                .is_some();
            taken.push(if is_known {
                Taken::Kept
            } else if is_low {
                Taken::DiskFull
            } else if total + bytes > self.config.bytes_max() {
                Taken::Full
            } else if own.bytes + bytes > self.config.counter_bytes_max() {
                Taken::CounterFull
            } else {
                transaction
                    .prepare_cached("INSERT INTO held (digest, device, sequence, body, receipt, bytes, taken_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                    .execute(params![item.digest, device, item.sequence.cast_signed(), body, item.message.provisional_receipt, bytes.cast_signed(), now_ms])?;
                total += bytes;
                own = Usage { envelopes: own.envelopes + 1, bytes: own.bytes + bytes, oldest_ms: own.oldest_ms.or(Some(now_ms)) };
                Taken::Kept
            });
        }
        transaction.commit()?;
        usage.insert(device.to_owned(), own);
        Ok(taken)
    }

    /// The center's final acknowledgement of an envelope that was here, as it came.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn acknowledgement(&self, digest: &[u8; 32]) -> Result<Option<SignedAcknowledgement>, StoreError> {
        let guard = self.lock();
        let mut statement = guard.0.prepare_cached("SELECT acknowledgement FROM held WHERE digest = ?1 AND acknowledgement IS NOT NULL")?;
        let found: Option<Vec<u8>> = statement.query_row([digest], |row| row.get(0)).optional()?;
        Ok(found.and_then(|bytes| SignedAcknowledgement::decode(bytes.as_slice()).ok()))
    }

    /// Keeps the center's final acknowledgement in the place of the envelope. One that is not here changes nothing.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn settle(&self, device: &str, digest: &[u8; 32], acknowledgement: &SignedAcknowledgement, now_ms: i64) -> Result<(), StoreError> {
        let mut guard = self.lock();
        let (connection, usage) = &mut *guard;
        let transaction = connection.transaction()?;
        let changed = transaction
            .prepare_cached("UPDATE held SET body = NULL, receipt = '', acknowledgement = ?2, settled_at_ms = ?3 WHERE digest = ?1 AND body IS NOT NULL")?
            .execute(params![digest, acknowledgement.encode_to_vec(), now_ms])?;
        if changed > 0 {
            let own = usage_of(&transaction, device)?;
            transaction.commit()?;
            usage.insert(device.to_owned(), own);
        }
        Ok(())
    }

    /// Envelopes of a counter that wait, beyond a number, in the order of their numbers: as many as make one upload of about
    /// so many bytes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn waiting(&self, device: &str, beyond: u64, limit: u32, bytes_max: usize) -> Result<Vec<Waiting>, StoreError> {
        let guard = self.lock();
        let sql = "SELECT digest, sequence, body, receipt FROM held WHERE device = ?1 AND body IS NOT NULL AND sequence > ?2 ORDER BY sequence LIMIT ?3";
        let mut statement = guard.0.prepare_cached(sql)?;
        let mut rows = statement.query(params![device, beyond.cast_signed(), limit])?;
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let body: Vec<u8> = row.get(2)?;
            bytes += body.len();
            // What does not decode any more is for the center to refuse: it never goes away unseen.
            let envelope = Envelope::decode(body.as_slice()).unwrap_or_default();
            waiting.push(Waiting {
                digest: row.get(0)?,
                sequence: row.get::<_, i64>(1)?.cast_unsigned(),
                message: DeferredEnvelope { envelope: Some(envelope), provisional_receipt: row.get(3)? },
            });
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(waiting)
    }

    /// What waits, by counter.
    #[must_use]
    pub fn usage(&self) -> HashMap<String, Usage> {
        self.lock().1.iter().filter(|(_, usage)| usage.envelopes > 0).map(|(device, usage)| (device.clone(), *usage)).collect()
    }

    /// Remembers a counter.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remember(&self, peer: &Peer, let_in: bool) -> Result<(), StoreError> {
        self.lock().0.execute(
            "INSERT INTO counter (device, certificate_sha256, let_in) VALUES (?1, ?2, ?3)
             ON CONFLICT (device) DO UPDATE SET certificate_sha256 = excluded.certificate_sha256, let_in = excluded.let_in",
            params![peer.device, peer.certificate_sha256, let_in],
        )?;
        Ok(())
    }

    /// Counters that were remembered.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn known(&self) -> Result<Vec<Known>, StoreError> {
        let guard = self.lock();
        let mut statement = guard.0.prepare("SELECT device, certificate_sha256, let_in FROM counter ORDER BY device")?;
        let known =
            statement.query_map([], |row| Ok(Known { device: row.get(0)?, certificate_sha256: row.get(1)?, let_in: row.get(2)? }))?;
        Ok(known.collect::<Result<_, _>>()?)
    }

    /// Deletes what has been kept long enough; how many envelopes were given up that the center never had.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn prune(&self, now_ms: i64) -> Result<usize, StoreError> {
        let mut guard = self.lock();
        let (connection, usage) = &mut *guard;
        let before = |days: u32| now_ms.saturating_sub(i64::from(days) * DAY_MS);
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM held WHERE body IS NULL AND settled_at_ms < ?1", [before(self.config.acknowledged_keep_days)])?;
        let given_up =
            transaction.execute("DELETE FROM held WHERE body IS NOT NULL AND taken_at_ms < ?1", [before(self.config.keep_days)])?;
        transaction.commit()?;
        if given_up > 0 {
            *usage = usage_in(connection)?;
        }
        Ok(given_up)
    }

    /// Writes what is in the log into the database file, so that the folder can be copied at rest.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn flush(&self) -> Result<(), StoreError> {
        Ok(self.lock().0.pragma_update(None, "wal_checkpoint", "TRUNCATE")?)
    }

    fn lock(&self) -> MutexGuard<'_, (Connection, HashMap<String, Usage>)> {
        // A transaction that panicked was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn usage_in(connection: &Connection) -> Result<HashMap<String, Usage>, StoreError> {
    let sql = "SELECT device, count(*), sum(bytes), min(taken_at_ms) FROM held WHERE body IS NOT NULL GROUP BY device";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let usage = Usage {
            envelopes: row.get::<_, i64>(1)?.cast_unsigned(),
            bytes: row.get::<_, i64>(2)?.cast_unsigned(),
            oldest_ms: row.get(3)?,
        };
        Ok((row.get(0)?, usage))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn usage_of(connection: &Connection, device: &str) -> Result<Usage, StoreError> {
    let sql = "SELECT count(*), coalesce(sum(bytes), 0), min(taken_at_ms) FROM held WHERE device = ?1 AND body IS NOT NULL";
    Ok(connection.prepare_cached(sql)?.query_row([device], |row| {
        Ok(Usage { envelopes: row.get::<_, i64>(0)?.cast_unsigned(), bytes: row.get::<_, i64>(1)?.cast_unsigned(), oldest_ms: row.get(2)? })
    })?)
}

#[cfg(test)]
mod tests;
