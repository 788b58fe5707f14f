//! Numbers by the look-up key that hashed them.

use crate::store::{
    Sealed, StoreError, SubjectId, TimeMs,
    keys::{Rehashed, RetiredLookup, ToRehash, UnderLookup},
    sql::{
        Connection,
        columns::{Columns, execute, query, query_one},
        enrolments, params, unavailable,
        writer::undoable,
    },
};

const TABLE: &str = "identifier";
/// Persons that a refusal names.
const NAMED: u32 = 5;
/// Persons with more numbers under other keys than under the newest, which is ?1.
const BEHIND: &str = "FROM identifier WHERE subject_id > ?2 GROUP BY subject_id HAVING count(*) FILTER (WHERE lookup_key_id <> ?1) >
     count(*) FILTER (WHERE lookup_key_id = ?1)";

pub(super) fn counts(connection: &Connection) -> Result<Vec<UnderLookup>, StoreError> {
    let sql = "SELECT key, CAST(sum(numbers) AS BIGINT) AS numbers, CAST(sum(tombstones) AS BIGINT) AS tombstones FROM (
             SELECT lookup_key_id AS key, count(*) AS numbers, 0 AS tombstones FROM identifier GROUP BY lookup_key_id
             UNION ALL SELECT lookup_key_id, 0, count(*) FROM forgotten GROUP BY lookup_key_id) AS counted
         GROUP BY key ORDER BY key";
    let decode = |columns: &Columns<'_>| {
        Ok(UnderLookup { key: columns.get("key")?, numbers: columns.unsigned("numbers")?, tombstones: columns.unsigned("tombstones")? })
    };
    query(connection, sql, (), TABLE, decode)
}

fn behind(connection: &Connection, newest: &str, after: Option<SubjectId>, limit: u32) -> Result<Vec<SubjectId>, StoreError> {
    let sql = format!("SELECT subject_id {BEHIND} ORDER BY subject_id LIMIT ?3");
    let after = after.map(|subject| subject.0.to_vec()).unwrap_or_default();
    query(connection, &sql, params![newest, after, limit], TABLE, |columns| columns.get("subject_id").map(SubjectId))
}

pub(super) fn to_rehash(connection: &Connection, newest: &str, after: Option<SubjectId>, limit: u32) -> Result<Vec<ToRehash>, StoreError> {
    let mut found = Vec::new();
    for subject in behind(connection, newest, after, limit)? {
        let data_key = stored_key(connection, subject)?.unwrap_or(Sealed(Vec::new()));
        found.push(ToRehash { subject, data_key, rows: enrolments::identifiers_of(connection, subject)? });
    }
    Ok(found)
}

fn stored_key(connection: &Connection, subject: SubjectId) -> Result<Option<Sealed>, StoreError> {
    let sql = "SELECT wrapped FROM data_key WHERE subject_id = ?1";
    query_one(connection, sql, [subject.0], "data_key", |columns| columns.get("wrapped").map(Sealed))
}

pub(super) fn rehash(connection: &Connection, persons: &[Rehashed]) -> Result<u64, StoreError> {
    let mut written = 0;
    for person in persons {
        // Somebody who was forgotten meanwhile must not come back, nor seals of a key that was taken away.
        if stored_key(connection, person.subject)?.as_ref() != Some(&person.data_key) {
            continue;
        }
        let put =
            |connection: &Connection| person.rows.iter().try_for_each(|row| enrolments::put_identifier(connection, person.subject, row));
        // A row that leads to somebody else already stays; the person's older row keeps the older key in use.
        if undoable(connection, put).map_err(unavailable)?.is_ok() {
            written += person.rows.len() as u64;
        }
    }
    Ok(written)
}

pub(super) fn retire(
    connection: &Connection,
    newest: &str,
    retired: &[String],
    force: bool,
    at: TimeMs,
) -> Result<RetiredLookup, StoreError> {
    let sql = format!("SELECT count(*) AS count FROM (SELECT subject_id {BEHIND}) AS behind");
    let left = query_one(connection, &sql, params![newest, Vec::<u8>::new()], TABLE, |columns| columns.unsigned("count"))?;
    let left = left.unwrap_or_default();
    if left > 0 && !force {
        return Ok(RetiredLookup::Needed(left, behind(connection, newest, None, NAMED)?));
    }
    let sql = "INSERT INTO former_identifier (subject_id, hash) SELECT subject_id, hash FROM identifier AS i WHERE lookup_key_id <> ?1
             AND EXISTS (SELECT 1 FROM verification WHERE known = 0 AND identifier_hash = i.hash) ON CONFLICT DO NOTHING";
    execute(connection, sql, [newest], "former identifier")?;
    let gone = execute(connection, "DELETE FROM identifier WHERE lookup_key_id <> ?1", [newest], TABLE)?;
    for key in retired {
        let sql = "INSERT INTO retired_lookup (lookup_key_id, retired_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        execute(connection, sql, params![key, at], "retired key")?;
    }
    Ok(RetiredLookup::Done(gone as u64))
}
