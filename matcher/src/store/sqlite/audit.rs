//! Audit entries: appended by the writes they are about, linked by the commit that makes them durable.
//!
//! Entries wait in a temporary table of the writer's connection, so that a savepoint that is undone takes its
//! entries with it. Not here: the hashes (`matcher_core::audit`).

use async_trait::async_trait;
use matcher_core::audit::{EntryContent, EpochId, EpochOpening, Hash, Head};
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    columns::{execute, query},
    flags, unavailable, verifications,
    writer::WithCommit,
};
use crate::{
    store::{
        Flag, RecordId, StoreError, SubjectId, TimeMs, Verification,
        audit::{AuditEvent, AuditLog, LinkEntries, Process, StoredEpoch, Uncovered},
    },
    surroundings::os_random,
};

mod reading;

const TABLE: &str = "audit_entry";

/// Makes a connection ready for [`append`].
pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    // 2 is MEMORY: entries that wait never touch a file of their own.
    connection.pragma_update(None, "temp_store", 2).map_err(unavailable)?;
    let sql = "CREATE TEMP TABLE audit_waiting (
         place INTEGER PRIMARY KEY, at INTEGER NOT NULL, digest BLOB NOT NULL, salt BLOB NOT NULL,
         action TEXT NOT NULL, actor TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL) STRICT";
    connection.execute_batch(sql).map_err(unavailable)
}

/// Appends an entry to the transaction it is called in. Call it beside the write it is about.
pub(super) fn append(connection: &Connection, event: &AuditEvent) -> Result<(), StoreError> {
    let salt = os_random();
    let content = EntryContent { action: event.action.word(), by: &event.by, object: &event.object, detail: &event.detail };
    let values = params![event.at, content.digest(&salt), salt, content.action, content.by, content.object, content.detail];
    let sql = "INSERT INTO temp.audit_waiting (at, digest, salt, action, actor, object, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    execute(connection, sql, values, TABLE).map(drop)
}

/// The chain of this process. Its epoch begins with the first entry: a process that writes nothing leaves nothing.
pub(super) struct Chain {
    process: Process,
    head: Option<Head>,
    next: Option<Head>,
}

impl Chain {
    /// The chain of a process that has written nothing yet.
    pub(super) fn new(process: Process) -> Self {
        Self { process, head: None, next: None }
    }

    /// The head to go on from; the first time, of an epoch that is written now.
    fn head(&self, connection: &Connection, at: i64) -> Result<Head, StoreError> {
        if let Some(head) = self.head {
            return Ok(head);
        }
        let Process { command, user, host, pid } = &self.process;
        let opening = EpochOpening { epoch: os_random(), started_at: at, command, user, host, pid: *pid };
        let values = params![opening.epoch, at, command, user, host, pid];
        let sql = "INSERT INTO audit_epoch (epoch, started_at, command, os_user, host, pid) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        execute(connection, sql, values, "audit epoch")?;
        Ok(opening.head())
    }
}

impl WithCommit for Chain {
    fn before(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let sql = "SELECT at, digest FROM temp.audit_waiting ORDER BY place";
        let entries: Vec<(i64, Hash)> = query(connection, sql, [], TABLE, |columns| Ok((columns.get("at")?, columns.get("digest")?)))?;
        let Some((first_at, _)) = entries.first() else { return Ok(()) };
        let next = self.head(connection, *first_at)?.next(&entries);
        let number = |field, number| i64::try_from(number).map_err(|_| StoreError::Corrupt { table: "audit_link", field });
        let link = number("link", next.link)?;
        let sql = "INSERT INTO audit_link (epoch, link, entries, hash) VALUES (?1, ?2, ?3, ?4)";
        execute(connection, sql, params![next.epoch, link, number("entries", next.entries)?, next.hash], "audit link")?;
        let sql = "INSERT INTO audit_entry (epoch, link, place, at, digest, salt, action, actor, object, detail)
             SELECT ?1, ?2, row_number() OVER (ORDER BY place), at, digest, salt, action, actor, object, detail FROM temp.audit_waiting";
        execute(connection, sql, params![next.epoch, link], TABLE)?;
        execute(connection, "DELETE FROM temp.audit_waiting", [], TABLE)?;
        self.next = Some(next);
        Ok(())
    }

    fn after(&mut self, committed: bool) {
        let next = self.next.take();
        if committed {
            self.head = next.or(self.head);
        }
    }
}

#[async_trait]
impl AuditLog for SqliteStore {
    async fn record_audit(&self, event: AuditEvent) -> Result<(), StoreError> {
        self.writer.write(move |connection| append(connection, &event)).await
    }

    async fn audit_heads(&self) -> Result<Vec<Head>, StoreError> {
        self.readers.read(reading::heads).await
    }

    async fn audit_epochs(&self) -> Result<Vec<StoredEpoch>, StoreError> {
        self.readers.read(reading::epochs).await
    }

    async fn audit_links(&self, epoch: EpochId, after: u64, limit: u32) -> Result<Vec<LinkEntries>, StoreError> {
        self.readers.read(move |connection| reading::links(connection, &epoch, after, limit)).await
    }

    async fn audit_first_link(&self, epoch: EpochId, since: TimeMs) -> Result<Option<u64>, StoreError> {
        self.readers.read(move |connection| reading::first_link(connection, &epoch, since)).await
    }

    async fn audit_stray(&self) -> Result<Option<EpochId>, StoreError> {
        self.readers.read(reading::stray).await
    }

    async fn verifications_at(&self, keys: Vec<(SubjectId, RecordId)>) -> Result<Vec<Option<Verification>>, StoreError> {
        let read = move |connection: &Connection| {
            keys.iter().map(|(leads, id)| verifications::by_id(connection, *leads, *id)).collect::<Result<_, _>>()
        };
        self.readers.read(read).await
    }

    async fn flags_at(&self, ids: Vec<RecordId>) -> Result<Vec<Option<Flag>>, StoreError> {
        self.readers.read(move |connection| ids.iter().map(|id| flags::by_id(connection, *id)).collect::<Result<_, _>>()).await
    }

    async fn was_forgotten(&self, subject: Option<SubjectId>) -> Result<bool, StoreError> {
        self.readers.read(move |connection| reading::was_forgotten(connection, subject)).await
    }

    async fn uncovered(&self, since: TimeMs, until: TimeMs) -> Result<Option<Uncovered>, StoreError> {
        self.readers.read(move |connection| reading::uncovered(connection, since, until)).await
    }
}

#[cfg(test)]
mod tests;
