//! Captures whose template is made again: taking the next one, and writing what came of it.

use super::{
    Connection, audit,
    columns::{Columns, execute, insert, query_one},
    flags, params, verifications,
};
use crate::store::{
    DueRecheck, MadeBy, RecheckDone, RecordId, Sealed, SealedProbe, StoreError, SubjectId, TimeMs, Verification, audit::events,
};

const TABLE: &str = "recheck";

/// Notes that a capture is to be checked.
pub(super) fn put(connection: &Connection, record: &Verification, made_by: &MadeBy) -> Result<(), StoreError> {
    let subject = record.subject.ok_or(StoreError::Corrupt { table: TABLE, field: "subject_id" })?;
    let sql = "INSERT INTO recheck (subject_id, verification_id, model, recipe, due_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    insert(connection, sql, params![subject.0, record.id.0, made_by.model, made_by.recipe, record.decided_at], TABLE)
}

/// Takes the one that is due longest, and keeps others from taking it for a while.
pub(super) fn take(connection: &Connection, now: TimeMs, lease_ms: i64) -> Result<Option<DueRecheck>, StoreError> {
    let sql = format!(
        "UPDATE recheck SET due_at = ?1 + ?2, attempt = attempt + 1
         WHERE (subject_id, verification_id) IN (SELECT subject_id, verification_id FROM recheck
             WHERE outcome IS NULL AND due_at <= ?1 ORDER BY due_at LIMIT 1{})
         RETURNING subject_id, verification_id, model, recipe, attempt",
        connection.skip_locked()
    );
    let decode = |columns: &Columns<'_>| {
        let made_by = MadeBy { model: columns.get("model")?, recipe: columns.get("recipe")? };
        let attempt = columns.unsigned::<u32>("attempt")?;
        Ok((SubjectId(columns.get("subject_id")?), RecordId(columns.get("verification_id")?), made_by, attempt))
    };
    let Some((subject, id, made_by, attempt)) = query_one(connection, &sql, params![now, lease_ms], TABLE, decode)? else {
        return Ok(None);
    };
    let missing = |table| StoreError::Corrupt { table, field: "id" };
    let record = verifications::by_id(connection, subject, id)?.ok_or_else(|| missing("verification"))?;
    let sql = "SELECT template, sample, wrapped FROM probe JOIN data_key USING (subject_id)
         WHERE subject_id = ?1 AND verification_id = ?2";
    let decode = |columns: &Columns<'_>| {
        let probe = SealedProbe { template: Sealed(columns.get("template")?), sample: Sealed(columns.get("sample")?) };
        Ok((probe, Sealed(columns.get("wrapped")?)))
    };
    let found = query_one(connection, sql, params![subject.0, id.0], "probe", decode)?;
    let (probe, data_key) = found.ok_or_else(|| missing("probe"))?;
    Ok(Some(DueRecheck { record, subject, data_key, probe, made_by, attempt }))
}

/// Writes what came of one, with its flag; false when somebody else took it meanwhile, and nothing is written.
pub(super) fn finish(connection: &Connection, done: &RecheckDone) -> Result<bool, StoreError> {
    let sql = "UPDATE recheck SET outcome = ?1, agreement = ?2, done_at = ?3
         WHERE subject_id = ?4 AND verification_id = ?5 AND attempt = ?6 AND outcome IS NULL";
    let agreement = done.agreement.map(f64::from);
    let values = params![done.outcome.word(), agreement, done.done_at, done.subject.0, done.verification.0, done.attempt];
    if execute(connection, sql, values, TABLE)? == 0 {
        return Ok(false);
    }
    if let Some(flag) = &done.flag {
        flags::put(connection, flag)?;
    }
    audit::append(connection, &events::rechecked(done))?;
    Ok(true)
}
