//! The store in one SQLite file: write-ahead log, every commit fsynced.
//!
//! One [writer] thread commits for all; a pool of [readers] answers queries beside it. The SQL of each group of
//! tables is in a file of its own. Other processes (`matcher enrol` beside `matcher serve`) may use the file at
//! the same time. Not here: what a record means, and any secret: all of them arrive sealed or hashed.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use matcher_core::Decision;
use rusqlite::{Connection, OpenFlags};

use super::{
    Device, DueRecheck, Flag, Listing, NewVerification, RecheckDone, Recorded, RequestKey, Store, StoreError, Taken, TimeMs, Verification,
    audit::Process,
};
use crate::{durable, surroundings};

mod audit;
mod cases;
mod columns;
mod devices;
mod enrolments;
mod extractions;
mod flags;
pub mod forgetting;
mod holdings;
mod keys;
mod policies;
mod readers;
mod receipts;
mod rechecks;
mod retention;
mod schema;
mod subjects;
mod verifications;
mod writer;

/// How long a write waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A store in one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    readers: readers::Readers,
    writer: writer::Writer,
}

impl SqliteStore {
    /// Opens the store in a file, which is made (0600) when it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::TooNew`] when a newer program made it; [`StoreError::Unavailable`] when it cannot be opened,
    /// made durable or is no database.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_as(path, surroundings::process())
    }

    /// Opens the store in a file for a process that audit entries are to name.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_as(path: &Path, process: Process) -> Result<Self, StoreError> {
        durable::ensure_file(path).map_err(unavailable)?;
        let mut connection = connect(path)?;
        schema::guard(&connection)?;
        prepare_for_writing(&connection)?;
        schema::migrate(&mut connection)?;
        audit::prepare(&connection)?;
        let chain = audit::Chain::new(process);
        Ok(Self { path: path.to_owned(), readers: readers::Readers::open(path)?, writer: writer::Writer::start(connection, chain)? })
    }
}

impl SqliteStore {
    /// Copies the store of a file into another, consistent while others write to it, without a byte of what was
    /// deleted, and durable. The other file must not exist.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
        durable::ensure_file(to).map_err(unavailable)?;
        let connection = connect(from)?;
        connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(unavailable)?;
        durable::ensure_file(to).map_err(unavailable)
    }
}

/// What both readers and the writer want of a connection.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unavailable)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(unavailable)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// What makes a commit durable, and a deletion one.
fn prepare_for_writing(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(unavailable)?;
    if mode != "wal" {
        return Err(unavailable(NoWriteAheadLog));
    }
    let set = |name, value: i64| connection.pragma_update(None, name, value).map_err(unavailable);
    // 2 is FULL: every commit is fsynced.
    set("synchronous", 2)?;
    set("foreign_keys", 1)?;
    // A destroyed data key must not linger in free pages.
    set("secure_delete", 1)?;
    set("journal_size_limit", 64 << 20)
}

#[derive(Debug, thiserror::Error)]
#[error("the database's folder does not allow a write-ahead log")]
struct NoWriteAheadLog;

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

/// A write that met a row which must not exist twice is a conflict; all else is the database's trouble.
fn failed(what: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => StoreError::Conflict(what),
        _ => unavailable(error),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn put_device(&self, device: Device) -> Result<(), StoreError> {
        self.writer.write(move |connection| devices::put(connection, &device)).await
    }

    async fn revoke_device(&self, id: &str, at: TimeMs) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.writer.write(move |connection| devices::revoke(connection, &id, at)).await
    }

    async fn device(&self, id: &str) -> Result<Option<Device>, StoreError> {
        let id = id.to_owned();
        self.readers.read(move |connection| devices::by_id(connection, &id)).await
    }

    async fn device_of_certificate(&self, sha256: &[u8; 32]) -> Result<Option<Device>, StoreError> {
        let sha256 = *sha256;
        self.readers.read(move |connection| devices::by_certificate(connection, &sha256)).await
    }

    async fn devices(&self) -> Result<Vec<Device>, StoreError> {
        self.readers.read(devices::all).await
    }

    async fn last_sequence(&self, device: &str) -> Result<u64, StoreError> {
        let device = device.to_owned();
        self.readers.read(move |connection| devices::last_sequence(connection, &device)).await
    }

    async fn take_sequence(&self, device: &str, sequence: u64, digest: [u8; 32]) -> Result<Taken, StoreError> {
        let device = device.to_owned();
        self.writer.write(move |connection| devices::take_sequence(connection, &device, sequence, &digest)).await
    }

    async fn answer(&self, request: &RequestKey) -> Result<Option<Verification>, StoreError> {
        let request = request.clone();
        self.readers.read(move |connection| verifications::answer(connection, &request)).await
    }

    async fn decisions_of(&self, institution: &str, transaction: &str) -> Result<Vec<(u32, Decision)>, StoreError> {
        let (institution, transaction) = (institution.to_owned(), transaction.to_owned());
        self.readers.read(move |connection| verifications::decisions_of(connection, &institution, &transaction)).await
    }

    async fn record_verification(&self, new: NewVerification) -> Result<Recorded, StoreError> {
        self.writer.write(move |connection| verifications::record(connection, &new)).await
    }

    async fn record_flag(&self, flag: Flag) -> Result<(), StoreError> {
        self.writer.write(move |connection| flags::put(connection, &flag)).await
    }

    async fn take_recheck(&self, now: TimeMs, lease_ms: i64) -> Result<Option<DueRecheck>, StoreError> {
        self.writer.write(move |connection| rechecks::take(connection, now, lease_ms)).await
    }

    async fn finish_recheck(&self, done: RecheckDone) -> Result<bool, StoreError> {
        self.writer.write(move |connection| rechecks::finish(connection, &done)).await
    }

    async fn verifications(&self, listing: &Listing) -> Result<Vec<Verification>, StoreError> {
        let listing = listing.clone();
        self.readers.read(move |connection| verifications::list(connection, &listing)).await
    }

    async fn flags(&self, listing: &Listing) -> Result<Vec<Flag>, StoreError> {
        let listing = listing.clone();
        self.readers.read(move |connection| flags::list(connection, &listing)).await
    }
}

#[cfg(test)]
mod tests;
