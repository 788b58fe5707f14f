//! Forgetting a person, withdrawing consent, and what forbids both.
//!
//! Every table that has a `subject_id` is either emptied of the person or kept under a pseudonym; a test compares the
//! two lists below with the schema, so that a new table is put into one of them.

use matcher_core::AuditAction;

use super::{
    Connection, audit,
    columns::{Columns, execute, query, query_one},
    enrolments, params,
    subjects::table_names,
};
use crate::store::{
    RecordId, StoreError, SubjectId, TimeMs,
    audit::events,
    subjects::{Count, Forget, Forgotten, Hold, Withdrawal},
};

/// Tables whose rows about a person are deleted, in this order; what hangs on a row goes with it.
const DELETED: [&str; 18] = [
    "proxy_register",
    "deferred_sample",
    "deferred",
    "recomparison",
    "visit",
    "finding",
    "search_finding",
    "recheck",
    "probe",
    "extraction_failure",
    "reference",
    "enrolment_photo",
    "enrolment",
    "legal_hold",
    "former_identifier",
    "identifier",
    "data_key",
    "subject",
];
/// Tables whose rows are kept for their legal time: they hold the random id, and no number once it was replaced.
const KEPT: [&str; 17] = [
    "blind_draw",
    "case_desk",
    "case_event",
    "case_facet",
    "case_file",
    "case_judgement",
    "case_member",
    "case_place",
    "case_statement",
    "feed",
    "request",
    // Made up: there is nobody behind them.
    "seed_case",
    "seed_flag",
    "seed_photo",
    "seed_probe",
    "seed_verification",
    "verification",
];
/// Tables that hold biometrics.
const BIOMETRIC: [&str; 11] = [
    "deferred_sample",
    "deferred",
    "visit",
    "finding",
    "search_finding",
    "recheck",
    "probe",
    "extraction_failure",
    "reference",
    "enrolment_photo",
    "enrolment",
];

/// Transactions of a person's verifications.
pub(super) const TRANSACTIONS: &str = "(SELECT institution, transaction_id FROM verification WHERE subject_id = ?1)";

/// Forgets a person, unless a hold forbids it.
pub(super) fn forget(connection: &Connection, forget: &Forget) -> Result<Forgotten, StoreError> {
    let subject = forget.subject;
    if let Some(obstacle) = obstacle(connection, subject, forget.at)? {
        return Ok(obstacle);
    }
    let pseudonymised = pseudonymise(connection, subject, &forget.pseudonym)?;
    for (tombstone, key) in &forget.tombstones {
        let sql = "INSERT INTO forgotten (tombstone, lookup_key_id, forgotten_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (tombstone) DO UPDATE SET forgotten_at = excluded.forgotten_at";
        execute(connection, sql, params![tombstone, key, forget.at], "tombstone")?;
    }
    let deleted = delete(connection, subject, &DELETED)?;
    audit::append(connection, &events::deleted(AuditAction::SubjectForgotten, subject, &deleted, forget.at))?;
    Ok(Forgotten::Done { deleted, pseudonymised })
}

/// Deletes what is biometric and takes the data key away, unless a hold forbids it.
pub(super) fn withdraw(connection: &Connection, withdrawal: &Withdrawal) -> Result<Forgotten, StoreError> {
    let subject = withdrawal.subject;
    if let Some(obstacle) = obstacle(connection, subject, withdrawal.at)? {
        return Ok(obstacle);
    }
    let sql = "UPDATE data_key SET wrapped = ?2 WHERE subject_id = ?1 AND wrapped = ?3";
    if execute(connection, sql, params![subject.0, withdrawal.data_key.0, withdrawal.old_key.0], "data key")? == 0 {
        return Err(StoreError::Conflict("data key"));
    }
    for identifier in &withdrawal.identifiers {
        enrolments::put_identifier(connection, subject, identifier)?;
    }
    let sql = "UPDATE subject SET withdrawn_at = coalesce(withdrawn_at, ?2), birth = ?3 WHERE subject_id = ?1";
    execute(connection, sql, params![subject.0, withdrawal.at, withdrawal.birth.as_ref().map(|birth| &birth.0)], "person")?;
    let deleted = delete(connection, subject, &BIOMETRIC)?;
    audit::append(connection, &events::deleted(AuditAction::ConsentWithdrawn, subject, &deleted, withdrawal.at))?;
    Ok(Forgotten::Done { deleted, pseudonymised: Vec::new() })
}

fn obstacle(connection: &Connection, subject: SubjectId, now: TimeMs) -> Result<Option<Forgotten>, StoreError> {
    let sql = "SELECT subject_id FROM subject WHERE subject_id = ?1";
    if query_one(connection, sql, [subject.0], "subject", |columns| columns.get::<[u8; 16]>("subject_id"))?.is_none() {
        return Ok(Some(Forgotten::Unknown));
    }
    if let Some(hold) = holds_of(connection, subject)?.into_iter().find(|hold| hold.holds_at(now)) {
        return Ok(Some(Forgotten::Held(hold)));
    }
    open_case(connection, subject).map(|case| case.map(Forgotten::Held))
}

/// Of a case `c`: it is open.
pub(super) const OPEN_CASE: &str = "'closed' IS DISTINCT FROM (SELECT e.event FROM case_event AS e
     WHERE e.subject_id = c.subject_id AND e.case_id = c.id ORDER BY e.number DESC LIMIT 1)";

/// An open case about a person, which holds until it is closed.
fn open_case(connection: &Connection, subject: SubjectId) -> Result<Option<Hold>, StoreError> {
    let sql = format!("SELECT c.id, c.opened_at FROM case_file AS c WHERE c.subject_id = ?1 AND {OPEN_CASE} LIMIT 1");
    let decode = |columns: &Columns<'_>| {
        let (id, reason) = (RecordId(columns.get("id")?), "an open case".to_owned());
        Ok(Hold { id, reason, placed_by: String::new(), placed_at: columns.get("opened_at")?, until: None, released: None })
    };
    query_one(connection, &sql, [subject.0], "case_file", decode)
}

fn delete(connection: &Connection, subject: SubjectId, tables: &[&str]) -> Result<Vec<Count>, StoreError> {
    let each = |table: &&str| {
        let rows = execute(connection, &format!("DELETE FROM {table} WHERE subject_id = ?1"), [subject.0], "person")?;
        Ok(((*table).to_owned(), rows as u64))
    };
    tables.iter().map(each).collect()
}

/// Takes the number out of flags and decisions: those about the person, and those about the number before it had one.
fn pseudonymise(connection: &Connection, subject: SubjectId, pseudonym: &[u8; 32]) -> Result<Vec<Count>, StoreError> {
    let sql = "SELECT hash FROM identifier WHERE subject_id = ?1 UNION SELECT hash FROM former_identifier WHERE subject_id = ?1";
    let hashes: Vec<[u8; 32]> = query(connection, sql, [subject.0], "identifier", |columns| columns.get("hash"))?;
    let masked = format!("UPDATE flag SET identifier_masked = '' WHERE (institution, transaction_id) IN {TRANSACTIONS}");
    let mut flags = execute(connection, &masked, [subject.0], "flag")?;
    execute(connection, "UPDATE case_desk SET identifier_masked = '' WHERE subject_id = ?1", [subject.0], "case_desk")?;
    let sql = "UPDATE verification SET identifier_hash = ?2, identifier_masked = '' WHERE subject_id = ?1";
    let mut decisions = execute(connection, sql, params![subject.0, pseudonym], "verification")?;
    for hash in &hashes {
        let sql = "UPDATE flag SET identifier_masked = '' WHERE (institution, transaction_id) IN
             (SELECT institution, transaction_id FROM verification WHERE known = 0 AND identifier_hash = ?1)";
        flags += execute(connection, sql, [hash], "flag")?;
        let sql = "UPDATE verification SET identifier_hash = ?2, identifier_masked = '' WHERE known = 0 AND identifier_hash = ?1";
        decisions += execute(connection, sql, params![hash, pseudonym], "verification")?;
    }
    Ok(vec![("flag".to_owned(), flags as u64), ("verification".to_owned(), decisions as u64)])
}

/// Rows about a person in every table that has some, by table.
pub(super) fn traces(connection: &Connection, subject: SubjectId) -> Result<Vec<Count>, StoreError> {
    let rows = |table: String| {
        let sql = format!("SELECT count(*) AS n FROM {table} WHERE subject_id = ?1");
        let rows = query_one(connection, &sql, [subject.0], "count", |columns| columns.unsigned("n"))?.unwrap_or_default();
        Ok((table, rows))
    };
    table_names(connection)?.into_iter().map(rows).filter(|count| !matches!(count, Ok((_, 0)))).collect()
}

/// Whether rows about somebody who was forgotten may be left in a table.
#[must_use]
pub fn may_keep(table: &str) -> bool {
    KEPT.contains(&table)
}

/// Holds of a person, the oldest first.
pub(super) fn holds_of(connection: &Connection, subject: SubjectId) -> Result<Vec<Hold>, StoreError> {
    let sql = "SELECT hold_id, reason, placed_by, placed_at, until, released_by, released_at FROM legal_hold
         WHERE subject_id = ?1 ORDER BY placed_at, hold_id";
    let decode = |columns: &Columns<'_>| {
        let by: Option<String> = columns.get("released_by")?;
        Ok(Hold {
            id: RecordId(columns.get("hold_id")?),
            reason: columns.get("reason")?,
            placed_by: columns.get("placed_by")?,
            placed_at: columns.get("placed_at")?,
            until: columns.get("until")?,
            released: by.zip(columns.get::<Option<TimeMs>>("released_at")?),
        })
    };
    query(connection, sql, [subject.0], "legal_hold", decode)
}

/// Places a hold; false when there is no such person.
pub(super) fn place_hold(connection: &Connection, subject: SubjectId, hold: &Hold) -> Result<bool, StoreError> {
    let sql = "INSERT INTO legal_hold (subject_id, hold_id, reason, placed_by, placed_at, until)
         SELECT subject_id, ?2, ?3, ?4, ?5, ?6 FROM subject WHERE subject_id = ?1";
    let values = params![subject.0, hold.id.0, hold.reason, hold.placed_by, hold.placed_at, hold.until];
    let placed = execute(connection, sql, values, "hold")? == 1;
    if placed {
        audit::append(connection, &events::hold_placed(subject, hold))?;
    }
    Ok(placed)
}

/// Releases all holds of a person.
pub(super) fn release_holds(connection: &Connection, subject: SubjectId, by: &str, at: TimeMs) -> Result<u64, StoreError> {
    let sql = "UPDATE legal_hold SET released_by = ?2, released_at = ?3 WHERE subject_id = ?1 AND released_at IS NULL";
    let released = execute(connection, sql, params![subject.0, by, at], "hold")? as u64;
    if released > 0 {
        audit::append(connection, &events::holds_lifted(subject, by, released, at))?;
    }
    Ok(released)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::sqlite::schema;

    #[test]
    fn every_table_of_persons_is_deleted_from_or_kept_on_purpose() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let mut known: Vec<String> = DELETED.iter().chain(&KEPT).map(|table| (*table).to_owned()).collect();
        known.sort();
        assert_eq!(table_names(&Connection::sqlite(connection)).unwrap(), known);
        assert!(may_keep("verification") && !may_keep("reference"));
    }
}
