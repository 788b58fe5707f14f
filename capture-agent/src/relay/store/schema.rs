//! Form of `relay.db`, and the settings that make its commits durable.

use std::{fs, path::Path, time::Duration};

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;
use crate::durable;

/// Name of the database in the state folder.
const FILE: &str = "relay.db";
const VERSION: i64 = 1;

/// `body` is NULL once the center has spoken, and `acknowledgement` what it said.
const TABLES: &str = "
CREATE TABLE counter (
    device TEXT PRIMARY KEY,
    certificate_sha256 BLOB NOT NULL CHECK (length(certificate_sha256) = 32),
    let_in INTEGER NOT NULL CHECK (let_in IN (0, 1))
) STRICT;
CREATE TABLE held (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    device TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    body BLOB,
    receipt TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    taken_at_ms INTEGER NOT NULL,
    acknowledgement BLOB,
    settled_at_ms INTEGER
) STRICT;
CREATE INDEX held_waiting ON held (device, sequence, bytes, taken_at_ms) WHERE body IS NOT NULL;
CREATE INDEX held_settled ON held (settled_at_ms) WHERE body IS NULL;
PRAGMA user_version = 1;
";

/// Opens the database, making it where there is none.
pub(super) fn open(dir: &Path) -> Result<Connection, StoreError> {
    make_file(&dir.join(FILE)).map_err(StoreError::File)?;
    let mut connection = Connection::open(dir.join(FILE))?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "secure_delete", "on")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        0 => transaction.execute_batch(TABLES)?,
        VERSION => {}
        got => return Err(StoreError::Version { expected: VERSION, got }),
    }
    transaction.commit()?;
    durable::sync_folder(dir).map_err(StoreError::File)?;
    Ok(connection)
}

/// An empty file of the owner's alone; the database's other files take its permissions.
fn make_file(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.sync_all()
}
