//! The register of proxies, and the places they take in a day.

use async_trait::async_trait;
use matcher_core::AuditAction;
use serde_json::json;

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, insert, query, query_one},
    params, verifications,
};
use crate::store::{
    RecordId, Sealed, StoreError, SubjectId, TimeMs, Verification,
    audit::AuditEvent,
    proxies::{NewProxy, Proxies, ProxyStanding, StoredProxy},
};

const TABLE: &str = "proxy_register";
const SLOTS: &str = "proxy_slot";
/// Days after which a day's places are of no use: no capture comes so late.
const SLOT_DAYS: i32 = 400;

/// Writes who came in the holder's place, with its verification. A place that somebody took since is a conflict.
pub(super) fn put(connection: &Connection, record: &Verification, new: &NewProxy) -> Result<(), StoreError> {
    if let Some(slot) = new.slot {
        let sql =
            "INSERT INTO proxy_slot (day, proxy_hash, slot, holder) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (day, proxy_hash, slot) DO NOTHING";
        if execute(connection, sql, params![new.day, new.proxy, slot, new.holder], SLOTS)? == 0 {
            return Err(StoreError::Conflict("person"));
        }
        execute(connection, "DELETE FROM proxy_slot WHERE day < ?1", [new.day.saturating_sub(SLOT_DAYS)], SLOTS)?;
    }
    let leading = record.subject.map_or(record.id.0, |subject| subject.0);
    let request = &record.request;
    let values = params![
        leading,
        record.id.0,
        record.captured_at,
        request.institution,
        request.transaction,
        new.proxy,
        new.holder,
        new.wrapped.0,
        new.sealed.0,
    ];
    let sql = "INSERT INTO proxy_register (subject_id, verification_id, recorded_at, institution, transaction_id, proxy_hash, holder, wrapped, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    insert(connection, sql, values, TABLE)
}

fn standing(connection: &Connection, day: i32, proxy: &[u8; 32], of: (&str, &str)) -> Result<ProxyStanding, StoreError> {
    let sql = "SELECT holder FROM proxy_slot WHERE day = ?1 AND proxy_hash = ?2 ORDER BY slot";
    let today = query(connection, sql, params![day, proxy], SLOTS, |columns| columns.get("holder"))?;
    let sql = "SELECT DISTINCT proxy_hash, holder FROM proxy_register WHERE institution = ?1 AND transaction_id = ?2";
    let decode = |columns: &Columns<'_>| Ok((columns.get("proxy_hash")?, columns.get("holder")?));
    Ok(ProxyStanding { today, transaction: query(connection, sql, params![of.0, of.1], TABLE, decode)? })
}

fn list(connection: &Connection, since: TimeMs, institution: Option<&str>, limit: u32) -> Result<Vec<StoredProxy>, StoreError> {
    let sql = "SELECT r.subject_id, r.verification_id, r.sealed, r.wrapped FROM proxy_register AS r
         WHERE r.recorded_at >= ?1 AND (?2 IS NULL OR r.institution = ?2) ORDER BY r.recorded_at DESC, r.verification_id LIMIT ?3";
    let decode = |columns: &Columns<'_>| {
        let (leading, record) = (SubjectId(columns.get("subject_id")?), RecordId(columns.get("verification_id")?));
        Ok((leading, record, Sealed(columns.get("wrapped")?), Sealed(columns.get("sealed")?)))
    };
    let rows = query(connection, sql, params![since, institution, limit], TABLE, decode)?;
    let whole = |(leading, id, wrapped, sealed)| {
        let record = verifications::by_id(connection, leading, id)?;
        Ok(record.map(|record| StoredProxy { record, leading, wrapped, sealed }))
    };
    let rows: Result<Vec<Option<StoredProxy>>, StoreError> = rows.into_iter().map(whole).collect();
    Ok(rows?.into_iter().flatten().collect())
}

/// Entries about the transactions of a case.
pub(super) const OF_CASE: &str = "SELECT r.subject_id, r.verification_id, r.sealed, r.wrapped FROM proxy_register AS r
     WHERE (r.institution, r.transaction_id) IN
         (SELECT p.institution, p.transaction_id FROM case_place AS p WHERE p.subject_id = ?1 AND p.case_id = ?2)
     ORDER BY r.recorded_at, r.verification_id";

/// Who came in the holder's place, at the transactions of a case.
pub(super) fn of_case(connection: &Connection, subject: SubjectId, case: RecordId) -> Result<Vec<StoredProxy>, StoreError> {
    let decode = |columns: &Columns<'_>| {
        let (leading, record) = (SubjectId(columns.get("subject_id")?), RecordId(columns.get("verification_id")?));
        Ok((leading, record, Sealed(columns.get("wrapped")?), Sealed(columns.get("sealed")?)))
    };
    let mut entries = Vec::new();
    for (leading, id, wrapped, sealed) in query(connection, OF_CASE, params![subject.0, case.0], TABLE, decode)? {
        entries.extend(verifications::by_id(connection, leading, id)?.map(|record| StoredProxy { record, leading, wrapped, sealed }));
    }
    Ok(entries)
}

fn overrides_of(connection: &Connection, institution: &str, operator: &str, from: TimeMs, to: TimeMs) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) AS n FROM verification AS v WHERE v.institution = ?1 AND v.operator = ?2 AND v.captured_at >= ?3
             AND v.captured_at < ?4 AND v.decision = 'document_checked'
             AND EXISTS (SELECT 1 FROM request AS r JOIN verification AS e
                 ON e.subject_id = r.subject_id AND e.id = r.verification_id AND e.decided_at = r.decided_at
                 WHERE r.institution = v.institution AND r.transaction_id = v.transaction_id AND e.decision = 'non_match')";
    let count = |columns: &Columns<'_>| columns.unsigned("n");
    Ok(query_one(connection, sql, params![institution, operator, from, to], "verification", count)?.unwrap_or_default())
}

#[async_trait]
impl Proxies for SqlStore {
    async fn proxy_standing(&self, day: i32, proxy: [u8; 32], institution: &str, transaction: &str) -> Result<ProxyStanding, StoreError> {
        let (institution, transaction) = (institution.to_owned(), transaction.to_owned());
        self.readers.read(move |connection| standing(connection, day, &proxy, (&institution, &transaction))).await
    }

    async fn proxies(&self, since: TimeMs, institution: Option<String>, limit: u32) -> Result<Vec<StoredProxy>, StoreError> {
        self.readers.read(move |connection| list(connection, since, institution.as_deref(), limit)).await
    }

    async fn proxies_exported(&self, by: &str, entries: u64, at: TimeMs) -> Result<(), StoreError> {
        let by = by.to_owned();
        let write = move |connection: &Connection| {
            let (by, detail) = (by.clone(), json!({ "entries": entries }).to_string());
            audit::append(connection, &AuditEvent { at, action: AuditAction::ProxiesExported, by, object: "register".to_owned(), detail })
        };
        self.writer.write(write).await
    }

    async fn overrides_of(&self, institution: &str, operator: &str, from: TimeMs, to: TimeMs) -> Result<u64, StoreError> {
        let (institution, operator) = (institution.to_owned(), operator.to_owned());
        self.readers.read(move |connection| overrides_of(connection, &institution, &operator, from, to)).await
    }

    async fn other_ways_between(&self, from: TimeMs, to: TimeMs) -> Result<Vec<(SubjectId, RecordId)>, StoreError> {
        let sql = "SELECT subject_id, id FROM verification WHERE decided_at >= ?1 AND decided_at < ?2 AND decision = 'other_way'
             ORDER BY subject_id, id";
        let decode = |columns: &Columns<'_>| Ok((SubjectId(columns.get("subject_id")?), RecordId(columns.get("id")?)));
        self.readers.read(move |connection| query(connection, sql, params![from, to], "verification", decode)).await
    }
}
