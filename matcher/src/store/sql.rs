//! The store in SQL: one set of statements, on two engines.
//!
//! `sqlite` keeps everything in one file, `postgres` in a database that many processes share. One [writer] thread of a
//! process commits for all its callers; a pool of [readers] answers queries beside it. The SQL of each group of tables is
//! in a file of its own, and runs on both engines; what they do not have in common is in [`connection`] and in their own
//! files. Not here: what a record means, and any secret: all of them arrive sealed or hashed.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use matcher_core::Decision;

use super::{
    Device, DueRecheck, Flag, Listing, NewVerification, RecheckDone, Recorded, RequestKey, Store, StoreError, Taken, TimeMs, Verification,
    audit::Process,
};
use crate::surroundings;

mod accounts;
mod audit;
mod batch;
mod cases;
mod catalogue;
mod columns;
mod connection;
mod deferred;
mod desk;
mod devices;
mod enrolments;
mod extractions;
mod feed;
mod flags;
pub mod forgetting;
mod holdings;
mod keys;
mod leases;
mod live;
mod policies;
pub mod postgres;
mod probes;
mod proxies;
mod readers;
mod receipts;
mod rechecks;
mod registry;
mod retention;
mod seeds;
mod sqlite;
mod statistics;
mod subjects;
mod transfer;
mod value;
mod verifications;
mod webhook;
mod writer;

use connection::Connection;
pub use postgres::{PostgresUrl, UrlError};
pub use transfer::{Copied, TransferError};
use value::params;

/// Where a store is.
#[derive(Debug, Clone)]
pub enum Location {
    /// In an SQLite file.
    File(PathBuf),
    /// In a PostgreSQL database.
    Postgres(Box<PostgresUrl>),
}

/// A store in SQL.
pub struct SqlStore {
    location: Location,
    readers: readers::Readers,
    writer: writer::Writer,
}

impl SqlStore {
    /// Opens the store in an SQLite file, which is made (0600) when it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// As [`SqlStore::open_at`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_at(&Location::File(path.to_owned()))
    }

    /// Opens a store and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::TooNew`] when a newer program made it; [`StoreError::Unavailable`] when it cannot be opened,
    /// made durable or is no database.
    pub fn open_at(location: &Location) -> Result<Self, StoreError> {
        Self::open_as(location, surroundings::process())
    }

    /// Opens a store for a process that audit entries are to name.
    ///
    /// # Errors
    /// As [`SqlStore::open_at`].
    pub fn open_as(location: &Location, process: Process) -> Result<Self, StoreError> {
        let connection = match location {
            Location::File(path) => Connection::sqlite(sqlite::open(path)?),
            Location::Postgres(url) => Connection::postgres(postgres::open(url)?),
        };
        let readers = match location {
            Location::File(path) => readers::Readers::of_file(path)?,
            Location::Postgres(url) => readers::Readers::of_postgres(url)?,
        };
        Ok(Self { location: location.clone(), readers, writer: writer::Writer::start(connection, audit::Chain::new(process))? })
    }

    /// Copies a store into a file that does not exist, consistent, without a byte of what was deleted, and durable. A
    /// store in a file is copied while others write to it; those who write to a PostgreSQL wait.
    ///
    /// # Errors
    /// When a store fails.
    pub fn copy(from: &Location, to: &Path) -> Result<(), TransferError> {
        match from {
            Location::File(path) => sqlite::copy(path, to).map_err(TransferError::Store),
            Location::Postgres(_) => Self::transfer(from, &Location::File(to.to_owned()), &mut |_, _| {}).map(drop),
        }
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

#[async_trait]
impl Store for SqlStore {
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
        self.writer.write_beside(move |connection| devices::take_sequence(connection, &device, sequence, &digest)).await
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
        let new = std::sync::Arc::new(new);
        let first = std::sync::Arc::clone(&new);
        let record = move |connection: &Connection, taken: &verifications::Ahead, counts: &[usize]| {
            verifications::record(connection, &new, taken, counts)
        };
        self.writer.write_in_two(move |connection| verifications::ahead(connection, &first), record).await
    }

    async fn record_flag(&self, flag: Flag) -> Result<(), StoreError> {
        self.writer.write_beside(move |connection| flags::put(connection, &flag)).await
    }

    async fn take_recheck(&self, now: TimeMs, lease_ms: i64) -> Result<Option<DueRecheck>, StoreError> {
        self.writer.write_beside(move |connection| rechecks::take(connection, now, lease_ms)).await
    }

    async fn finish_recheck(&self, done: RecheckDone) -> Result<bool, StoreError> {
        self.writer.write_beside(move |connection| rechecks::finish(connection, &done)).await
    }

    async fn make_room(&self, now: TimeMs) -> Result<(), StoreError> {
        self.writer.write(move |connection| connection.make_room(now)).await
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
