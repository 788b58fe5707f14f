//! SQLite: one file, write-ahead log, every commit fsynced.
//!
//! Other processes (`matcher enrol` beside `matcher serve`) may use the file at the same time.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{connection::Row, unavailable, value::Value};
use crate::{durable, store::StoreError};

pub(super) mod schema;

/// How long a write waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of the file that each connection keeps in memory at most: 16 MiB (negative numbers are KiB).
const CACHE: i64 = -16_384;
/// Pages in the log from which it is written back into the file: 16 MiB, so that pages that change often are written
/// back once for many commits.
const CHECKPOINT_PAGES: i64 = 4_096;

/// Opens a file for writing, brings its schema up to date.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    durable::ensure_file(path).map_err(unavailable)?;
    let mut connection = connect(path)?;
    schema::guard(&connection)?;
    prepare_for_writing(&connection)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a file for reading.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true).map_err(unavailable)?;
    Ok(connection)
}

/// Copies a file.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    durable::ensure_file(to).map_err(unavailable)?;
    let connection = connect(from)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(unavailable)?;
    durable::ensure_file(to).map_err(unavailable)
}

/// Bytes of a file that is rewritten when something was deleted that must be nowhere any more: some tenths of a second.
const REWRITTEN_MAX: i64 = 64 << 20;

/// Empties the log into the file, so that what was deleted is nowhere any more; false while somebody reads.
///
/// A page that gave rows to its neighbours keeps their old bytes in its gap, also after they were deleted there. A small
/// file is therefore rewritten; in a large one such remains are ciphertexts whose key is gone, until it is rewritten.
pub(super) fn settle(path: &Path) -> Result<bool, StoreError> {
    let connection = connect(path)?;
    let size = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(unavailable);
    if size("page_count")?.saturating_mul(size("page_size")?) <= REWRITTEN_MAX
        && let Err(error) = connection.execute_batch("VACUUM")
    {
        return match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Ok(false),
            _ => Err(unavailable(error)),
        };
    }
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map_err(unavailable)?;
    Ok(busy == 0)
}

pub(super) fn rows(
    connection: &Connection,
    sql: &str,
    values: &[Value<'_>],
    each: &mut dyn FnMut(Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(unavailable)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(unavailable)?;
    while let Some(row) = rows.next().map_err(unavailable)? {
        each(Row::Sqlite(row))?;
    }
    Ok(())
}

pub(super) fn change(connection: &Connection, sql: &str, values: &[Value<'_>], what: &'static str) -> Result<usize, StoreError> {
    let done = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(rusqlite::params_from_iter(values)));
    done.map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => StoreError::Conflict(what),
        _ => unavailable(error),
    })
}

/// A step of a transaction.
pub(super) fn step(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(drop).map_err(unavailable)
}

/// What both readers and the writer want of a connection.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unavailable)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(unavailable)?;
    // Otherwise a statement is parsed and planned anew whenever a value bound to it changes: a fifth of all the center's work.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(unavailable)?;
    connection.pragma_update(None, "cache_size", CACHE).map_err(unavailable)?;
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
    set("wal_autocheckpoint", CHECKPOINT_PAGES)?;
    set("journal_size_limit", 64 << 20)
}

#[derive(Debug, thiserror::Error)]
#[error("the database's folder does not allow a write-ahead log")]
struct NoWriteAheadLog;

#[cfg(test)]
mod tests;
