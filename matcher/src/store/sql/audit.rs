//! Audit entries: appended by the writes they are about, linked by the commit that makes them durable.
//!
//! Entries wait with the writer's connection, and a savepoint that is undone takes its entries with it. Not here: the hashes
//! (`matcher_core::audit`).

use async_trait::async_trait;
use matcher_core::audit::{EntryContent, EpochId, EpochOpening, Hash, Head};

use super::{Connection, SqlStore, columns::execute, flags, params, value::AsValue, verifications, writer::WithCommit};
use crate::{
    store::{
        Flag, RecordId, StoreError, SubjectId, TimeMs, Verification,
        audit::{AuditEvent, AuditLog, LinkEntries, Process, StoredEpoch, Uncovered},
    },
    surroundings::os_random,
};

mod reading;

const TABLE: &str = "audit_entry";

/// An entry that waits for the commit of its transaction.
pub(super) struct Waiting {
    at: TimeMs,
    digest: Hash,
    salt: [u8; 16],
    action: &'static str,
    by: String,
    object: String,
    detail: String,
}

/// Appends an entry to the transaction it is called in. Call it beside the write it is about.
pub(super) fn append(connection: &Connection, event: &AuditEvent) -> Result<(), StoreError> {
    let (salt, action) = (os_random(), event.action.word());
    let digest = EntryContent { action, by: &event.by, object: &event.object, detail: &event.detail }.digest(&salt);
    let (by, object, detail) = (event.by.clone(), event.object.clone(), event.detail.clone());
    connection.waiting().borrow_mut().push(Waiting { at: event.at, digest, salt, action, by, object, detail });
    Ok(())
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
        let waiting = connection.waiting().borrow();
        let Some(first) = waiting.first() else { return Ok(()) };
        let entries: Vec<(TimeMs, Hash)> = waiting.iter().map(|entry| (entry.at, entry.digest)).collect();
        let next = self.head(connection, first.at)?.next(&entries);
        let number = |field, number| i64::try_from(number).map_err(|_| StoreError::Corrupt { table: "audit_link", field });
        let link = number("link", next.link)?;
        let sql = "INSERT INTO audit_link (epoch, link, entries, hash) VALUES (?1, ?2, ?3, ?4)";
        execute(connection, sql, params![next.epoch, link, number("entries", next.entries)?, next.hash], "audit link")?;
        let sql = "INSERT INTO audit_entry (epoch, link, place, at, digest, salt, action, actor, object, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let places: Vec<i64> = (1..).take(waiting.len()).collect();
        let mut rows = Vec::new();
        for (entry, place) in waiting.iter().zip(&places) {
            let Waiting { at, digest, salt, action, by, object, detail } = entry;
            let (of, what) =
                ([next.epoch.value(), link.value(), place.value()], [action.value(), by.value(), object.value(), detail.value()]);
            rows.push([&of[..], &[at.value(), digest.value(), salt.value()], &what].concat());
        }
        connection.insert_all(sql, &rows, TABLE)?;
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
impl AuditLog for SqlStore {
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
            keys.iter().map(|(leads, id)| verifications::by_id_or_made_up(connection, *leads, *id)).collect::<Result<_, _>>()
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
