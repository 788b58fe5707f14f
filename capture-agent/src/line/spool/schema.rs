//! Form of `state.db`, and the settings that make its commits durable.

use std::{fs, path::Path, time::Duration};

use rusqlite::{Connection, TransactionBehavior};

use super::SpoolError;
use crate::durable;

/// Name of the database in the state folder.
const FILE: &str = "state.db";
const VERSION: i64 = 3;

const TABLES: &str = "
CREATE TABLE numbering (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    next_sequence INTEGER NOT NULL CHECK (next_sequence >= 1)
) STRICT;
INSERT INTO numbering VALUES (1, 1);

-- settled_at_ms is NULL while the center has neither answered nor refused; refusal is the code it refused
-- with, empty when it answered; body is NULL once deleted after its time.
CREATE TABLE envelope (
    sequence INTEGER PRIMARY KEY,
    transaction_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    request_digest BLOB NOT NULL,
    body BLOB,
    made_at_ms INTEGER NOT NULL,
    settled_at_ms INTEGER,
    refusal TEXT NOT NULL DEFAULT '',
    UNIQUE (transaction_id, attempt)
) STRICT;
CREATE INDEX envelope_waiting ON envelope (sequence) WHERE settled_at_ms IS NULL;
CREATE INDEX envelope_settled ON envelope (settled_at_ms) WHERE settled_at_ms IS NOT NULL;

CREATE TABLE center (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    opening_key BLOB NOT NULL,
    clock_offset_ms INTEGER NOT NULL,
    feature_model TEXT NOT NULL,
    recipe TEXT NOT NULL,
    policy_version TEXT NOT NULL
) STRICT;
PRAGMA user_version = 1;
";

/// The policy the center signed last, as it came.
const POLICY: &str = "
CREATE TABLE policy (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    policy BLOB NOT NULL,
    signature BLOB NOT NULL,
    key_id TEXT NOT NULL
) STRICT;
PRAGMA user_version = 2;
";

/// What a device does on its own while the line is down: its lease, what it answered under it, and the latest time it
/// knows of (`boot` names the run of the system that `uptime_ms` counts from; empty where that cannot be told).
const DEGRADED: &str = "
CREATE TABLE provisional (
    sequence INTEGER PRIMARY KEY,
    lease_serial TEXT NOT NULL,
    scene TEXT NOT NULL,
    disposition TEXT NOT NULL,
    receipt TEXT NOT NULL,
    receipt_number TEXT NOT NULL,
    answered_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX provisional_by_lease ON provisional (lease_serial, scene);
CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    lease BLOB NOT NULL,
    signature BLOB NOT NULL,
    key_id TEXT NOT NULL
) STRICT;
CREATE TABLE latest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    date_ms INTEGER NOT NULL,
    boot TEXT NOT NULL,
    uptime_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX envelope_waiting_bytes ON envelope (sequence, length(body)) WHERE settled_at_ms IS NULL;
PRAGMA user_version = 3;
";

/// Opens the database, making it where there is none.
pub(super) fn open(dir: &Path) -> Result<Connection, SpoolError> {
    make_file(&dir.join(FILE)).map_err(SpoolError::File)?;
    let mut connection = Connection::open(dir.join(FILE))?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "secure_delete", "on")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        0 => transaction.execute_batch(&[TABLES, POLICY, DEGRADED].concat())?,
        1 => transaction.execute_batch(&[POLICY, DEGRADED].concat())?,
        2 => transaction.execute_batch(DEGRADED)?,
        VERSION => {}
        got => return Err(SpoolError::Version { expected: VERSION, got }),
    }
    transaction.commit()?;
    durable::sync_folder(dir).map_err(SpoolError::File)?;
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
