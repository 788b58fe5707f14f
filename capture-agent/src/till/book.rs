//! `till.db` of the state folder: what became of transactions, and settlements that the center is still to be told of.
//!
//! Durable before anything is answered. No card number, face or name is in it: whom a transaction is about is a keyed digest. Not
//! here: when something is sent.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Stands in place of a refusal where a settlement rests on a provisional receipt.
pub const PROVISIONAL: &str = "provisional";
const FILE: &str = "till.db";
const VERSION: i64 = 1;
const DAY_MS: i64 = 86_400_000;
const TABLES: &str = "
CREATE TABLE entry (
    id TEXT PRIMARY KEY,
    request_digest BLOB NOT NULL,
    record TEXT NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX entry_by_time ON entry (updated_at_ms);

-- done_at_ms is NULL while the center has not answered; refusal is why it refused, empty when it did not.
CREATE TABLE step (
    id INTEGER PRIMARY KEY,
    entry TEXT NOT NULL,
    record TEXT NOT NULL,
    made_at_ms INTEGER NOT NULL,
    done_at_ms INTEGER,
    refusal TEXT NOT NULL DEFAULT '',
    UNIQUE (entry, record)
) STRICT;
CREATE INDEX step_waiting ON step (id) WHERE done_at_ms IS NULL;
PRAGMA user_version = 1;
";

/// `till.db` could not be used.
#[derive(Debug, Error)]
pub enum BookError {
    /// The database failed.
    #[error("till.db could not be used")]
    Database(#[source] rusqlite::Error),
    /// It is of a later version.
    #[error("till.db: expected version {VERSION}, got {0}")]
    Version(i64),
    /// A row is not in the form this version writes.
    #[error("till.db: a row is not in order")]
    Row,
    /// The work was given up because the agent stops.
    #[error("till.db: the work was interrupted")]
    Interrupted,
}

impl From<rusqlite::Error> for BookError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// An attempt as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The way, as a word.
    pub way: String,
    /// What the till was told, as a word; nothing while no answer came.
    #[serde(default)]
    pub told: Option<String>,
    /// The receipt's number; empty where there is none.
    #[serde(default)]
    pub receipt_number: String,
    /// Whether the receipt is provisional: the device's own, while the center did not answer.
    #[serde(default)]
    pub provisional: bool,
}

/// A transaction as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What opened it, as a word.
    pub opened_by: String,
    /// The scene, as a word.
    pub scene: String,
    /// Its attempts, by number from 1.
    pub made: Vec<Made>,
    /// How it ended, as a word; nothing while it has not.
    pub end: Option<String>,
}

/// Something to tell the center about a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Step {
    /// A settlement was made on it.
    Confirm {
        /// Its number.
        receipt_number: String,
        /// The settlement.
        settlement: String,
        /// Its amount, in hundredths of a yuan.
        amount_fen: u64,
        /// Who looked at the document; may be empty.
        document_checked_by: String,
    },
    /// A settlement was taken back.
    Reverse {
        /// Its number.
        receipt_number: String,
        /// The settlement; empty for all.
        settlement: String,
    },
}

/// A step and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingStep {
    /// Its number here.
    pub id: i64,
    /// Which transaction.
    pub entry: String,
    /// What it is.
    pub step: Step,
    /// Whether the center has answered, and why it refused (empty: it did not).
    pub answered: Option<String>,
}

/// The book of one state folder.
pub struct Book {
    connection: Mutex<Connection>,
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Book").finish_non_exhaustive()
    }
}

impl Book {
    /// Opens the book of a state folder, making it where there is none.
    ///
    /// # Errors
    /// When the file cannot be made or opened, or is a later version's.
    pub fn open(dir: &Path) -> Result<Self, BookError> {
        let connection = Connection::open(dir.join(FILE))?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "secure_delete", "on")?;
        match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
            0 => connection.execute_batch(TABLES)?,
            VERSION => {}
            got => return Err(BookError::Version(got)),
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction, with the digest of the request that opened it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn entry(&self, id: &str) -> Result<Option<([u8; 32], Record)>, BookError> {
        let row = self
            .lock()
            .prepare_cached("SELECT request_digest, record FROM entry WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?)))
            .optional()?;
        let read = |(digest, text): ([u8; 32], String)| Ok((digest, serde_json::from_str(&text).map_err(|_| BookError::Row)?));
        row.map(read).transpose()
    }

    /// Keeps a transaction, in place of what was kept of it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep(&self, id: &str, digest: &[u8; 32], record: &Record, now_ms: i64) -> Result<(), BookError> {
        let text = serde_json::to_string(record).map_err(|_| BookError::Row)?;
        self.lock()
            .prepare_cached(
                "INSERT INTO entry (id, request_digest, record, updated_at_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET record = excluded.record, updated_at_ms = excluded.updated_at_ms",
            )?
            .execute(params![id, digest, text, now_ms])?;
        Ok(())
    }

    /// Notes a step to be told, once.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put_step(&self, entry: &str, step: &Step, now_ms: i64) -> Result<StandingStep, BookError> {
        let text = serde_json::to_string(step).map_err(|_| BookError::Row)?;
        self.lock()
            .prepare_cached("INSERT INTO step (entry, record, made_at_ms) VALUES (?1, ?2, ?3) ON CONFLICT (entry, record) DO NOTHING")?
            .execute(params![entry, text, now_ms])?;
        let found = self.steps("WHERE entry = ?1 AND record = ?2", params![entry, text])?.pop();
        found.ok_or(BookError::Row)
    }

    /// The steps of a transaction, in order.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn steps_of(&self, entry: &str) -> Result<Vec<StandingStep>, BookError> {
        self.steps("WHERE entry = ?1 ORDER BY id", params![entry])
    }

    /// The steps that the center is still to be told of, in order.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn waiting_steps(&self) -> Result<Vec<StandingStep>, BookError> {
        self.steps("WHERE done_at_ms IS NULL ORDER BY id LIMIT 100", params![])
    }

    fn steps(&self, which: &str, values: impl rusqlite::Params) -> Result<Vec<StandingStep>, BookError> {
        let connection = self.lock();
        let mut statement = connection.prepare(&format!("SELECT id, entry, record, done_at_ms, refusal FROM step {which}"))?;
        let rows = statement.query_map(values, |row| {
            let answered = row.get::<_, Option<i64>>(3)?.is_some();
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, answered, row.get::<_, String>(4)?))
        })?;
        let mut steps = Vec::new();
        for row in rows {
            let (id, entry, text, answered, refusal) = row?;
            let step = serde_json::from_str(&text).map_err(|_| BookError::Row)?;
            steps.push(StandingStep { id, entry, step, answered: answered.then_some(refusal) });
        }
        Ok(steps)
    }

    /// Notes what the center answered to a step.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn step_done(&self, id: i64, refusal: &str, now_ms: i64) -> Result<(), BookError> {
        let sql = "UPDATE step SET done_at_ms = ?2, refusal = ?3 WHERE id = ?1 AND done_at_ms IS NULL";
        self.lock().execute(sql, params![id, now_ms, refusal])?;
        Ok(())
    }

    /// Deletes transactions that nothing happened to for so many days, and what was told of them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn prune(&self, now_ms: i64, keep_days: u32) -> Result<(), BookError> {
        let before = now_ms - i64::from(keep_days) * DAY_MS;
        let connection = self.lock();
        connection.execute("DELETE FROM step WHERE done_at_ms < ?1", [before])?;
        let sql = "DELETE FROM entry WHERE updated_at_ms < ?1 AND NOT EXISTS (SELECT 1 FROM step WHERE step.entry = entry.id)";
        connection.execute(sql, [before])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirm() -> Step {
        Step::Confirm { receipt_number: "28T5".into(), settlement: "S-1".into(), amount_fen: 1_250, document_checked_by: String::new() }
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let made = vec![Made { way: "face".into(), told: None, receipt_number: String::new(), provisional: false }];
        let record = Record { opened_by: "till".into(), scene: "settlement".into(), made, end: None };
        let book = Book::open(dir.path()).unwrap();
        book.keep("T1", &[7; 32], &record, 1).unwrap();
        let step = book.put_step("T1", &confirm(), 1).unwrap();
        assert_eq!(book.put_step("T1", &confirm(), 2).unwrap(), step, "once");
        drop(book);
        let book = Book::open(dir.path()).unwrap();
        assert_eq!(book.entry("T1").unwrap(), Some(([7; 32], record)));
        assert_eq!((book.entry("T2").unwrap(), book.waiting_steps().unwrap()), (None, vec![step.clone()]));
        book.step_done(step.id, "used", 3).unwrap();
        assert_eq!(book.waiting_steps().unwrap(), []);
        assert_eq!(book.steps_of("T1").unwrap()[0].answered.as_deref(), Some("used"));
    }

    #[test]
    fn what_is_over_goes_and_what_waits_stays() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        let record = Record { opened_by: "till".into(), scene: "settlement".into(), made: Vec::new(), end: None };
        for id in ["T1", "T2"] {
            book.keep(id, &[7; 32], &record, 1).unwrap();
        }
        book.put_step("T2", &confirm(), 1).unwrap();
        book.prune(2 + DAY_MS, 1).unwrap();
        assert!(book.entry("T1").unwrap().is_none() && book.entry("T2").unwrap().is_some());
    }
}
