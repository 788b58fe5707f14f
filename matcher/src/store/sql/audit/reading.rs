//! The log read again: for checkpoints, for checking, for handing it out.

use matcher_core::{
    AuditAction,
    audit::{EpochId, Head, StoredContent, StoredEntry, StoredLink},
};

use crate::store::{
    RecordId, StoreError, SubjectId, TimeMs,
    audit::{LinkEntries, Process, StoredEpoch, Uncovered},
    sql::{
        Connection,
        columns::{Columns, query, query_one},
        params,
    },
};

/// The last link of every epoch.
pub(super) fn heads(connection: &Connection) -> Result<Vec<Head>, StoreError> {
    let sql = "SELECT e.epoch, l.link, l.entries, l.hash FROM audit_epoch AS e
         JOIN audit_link AS l ON l.epoch = e.epoch AND l.link = (SELECT max(link) FROM audit_link WHERE epoch = e.epoch)
         ORDER BY e.epoch";
    let decode = |columns: &Columns<'_>| {
        let StoredLink { link, entries, hash } = decode_link(columns)?;
        Ok(Head { epoch: columns.get("epoch")?, link, entries, hash })
    };
    query(connection, sql, (), "audit_link", decode)
}

/// All epochs, by the time they began.
pub(super) fn epochs(connection: &Connection) -> Result<Vec<StoredEpoch>, StoreError> {
    let sql = "SELECT epoch, started_at, command, os_user, host, pid FROM audit_epoch ORDER BY started_at, epoch";
    let decode = |columns: &Columns<'_>| {
        Ok(StoredEpoch {
            epoch: columns.get("epoch")?,
            started_at: columns.get("started_at")?,
            process: Process {
                command: columns.get("command")?,
                user: columns.get("os_user")?,
                host: columns.get("host")?,
                pid: columns.unsigned("pid")?,
            },
        })
    };
    query(connection, sql, (), "audit_epoch", decode)
}

/// Links of an epoch after one, with their entries, in order.
pub(super) fn links(connection: &Connection, epoch: &EpochId, after: u64, limit: u32) -> Result<Vec<LinkEntries>, StoreError> {
    let after = i64::try_from(after).map_err(|_| StoreError::Corrupt { table: "audit_link", field: "link" })?;
    let sql = "SELECT link, entries, hash FROM audit_link WHERE epoch = ?1 AND link > ?2 ORDER BY link LIMIT ?3";
    let links = query(connection, sql, params![epoch, after, limit], "audit_link", decode_link)?;
    let entries = |link: StoredLink| {
        let number = i64::try_from(link.link).map_err(|_| StoreError::Corrupt { table: "audit_link", field: "link" })?;
        let sql = "SELECT place, at, digest, salt, action, actor, object, detail FROM audit_entry
             WHERE epoch = ?1 AND link = ?2 ORDER BY place";
        let entries = query(connection, sql, params![epoch, number], "audit_entry", decode_entry)?;
        Ok((link, entries))
    };
    links.into_iter().map(entries).collect()
}

/// The first link of an epoch that holds an entry of this time or later.
pub(super) fn first_link(connection: &Connection, epoch: &EpochId, since: TimeMs) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT link FROM audit_entry WHERE epoch = ?1 AND at >= ?2 ORDER BY link LIMIT 1";
    query_one(connection, sql, params![epoch, since], "audit_entry", |columns| columns.unsigned("link"))
}

/// The epoch of a link or an entry that has no epoch or no link.
pub(super) fn stray(connection: &Connection) -> Result<Option<EpochId>, StoreError> {
    let sql = "SELECT epoch FROM audit_link WHERE epoch NOT IN (SELECT epoch FROM audit_epoch)
         UNION ALL
         SELECT epoch FROM audit_entry AS e
         WHERE NOT EXISTS (SELECT 1 FROM audit_link AS l WHERE l.epoch = e.epoch AND l.link = e.link)
         LIMIT 1";
    query_one(connection, sql, (), "audit_entry", |columns| columns.get("epoch"))
}

/// Whether an entry says that a person, or anybody, was forgotten.
pub(super) fn was_forgotten(connection: &Connection, subject: Option<SubjectId>) -> Result<bool, StoreError> {
    let sql = "SELECT 1 AS one FROM audit_entry WHERE action = ?1 AND (?2 IS NULL OR object = ?2) LIMIT 1";
    let subject = subject.map(|subject| RecordId(subject.0).to_string());
    let found = query_one(connection, sql, params![AuditAction::SubjectForgotten.word(), subject], "audit_entry", |columns| {
        columns.get::<i64>("one")
    })?;
    Ok(found.is_some())
}

/// A verification or flag that no entry is about. An entry whose content is gone may have been about anything.
pub(super) fn uncovered(connection: &Connection, since: TimeMs, until: TimeMs) -> Result<Option<Uncovered>, StoreError> {
    let find = |table: &'static str, time: &str| {
        let sql = format!(
            "SELECT id FROM {table} AS r WHERE {time} >= ?1 AND {time} < ?2 AND NOT EXISTS (
                 SELECT 1 FROM audit_entry AS e WHERE e.at = r.{time} AND (e.object IS NULL OR e.object = {}))
             LIMIT 1",
            connection.id_text("r.id")
        );
        query_one(connection, &sql, params![since, until], table, |columns| columns.get("id").map(RecordId))
    };
    match find("verification", "decided_at")? {
        Some(id) => Ok(Some(Uncovered::Verification(id))),
        None => Ok(find("flag", "raised_at")?.map(Uncovered::Flag)),
    }
}

fn decode_link(columns: &Columns<'_>) -> Result<StoredLink, StoreError> {
    Ok(StoredLink { link: columns.unsigned("link")?, entries: columns.unsigned("entries")?, hash: columns.get("hash")? })
}

fn decode_entry(columns: &Columns<'_>) -> Result<StoredEntry, StoreError> {
    let content = match columns.get::<Option<[u8; 16]>>("salt")? {
        Some(salt) => Some(StoredContent {
            salt,
            action: columns.get("action")?,
            by: columns.get("actor")?,
            object: columns.get("object")?,
            detail: columns.get("detail")?,
        }),
        None => None,
    };
    Ok(StoredEntry { place: columns.unsigned("place")?, at: columns.get("at")?, digest: columns.get("digest")?, content })
}
