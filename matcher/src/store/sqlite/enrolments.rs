//! Persons, their numbers, data keys and references.

use rusqlite::{Connection, params};

use super::{
    audit,
    columns::{Columns, execute, query_one},
    unavailable,
    writer::undoable,
};
use crate::store::{
    Enrolled, IdentifierKey, NewEnrolment, RecordId, Sealed, StoreError, StoredReference, StoredSubject, SubjectId, audit::events,
};

/// The person an identifier resolves to, with the current reference.
pub(super) fn subject_of(connection: &Connection, identifier: &IdentifierKey) -> Result<Option<StoredSubject>, StoreError> {
    let sql = "SELECT identifier.subject_id, wrapped, record_id, model, recipe, template, photo_mac, enrolled_at, photo_taken_on
         FROM identifier JOIN data_key USING (subject_id) LEFT JOIN reference USING (subject_id)
         WHERE kind = ?1 AND region = ?2 AND hash = ?3";
    query_one(connection, sql, params![identifier.kind.word(), identifier.region, identifier.hash], "reference", decode)
}

/// Writes enrolments; each stands or falls on its own.
pub(super) fn put_all(connection: &Connection, enrolments: &[NewEnrolment]) -> Result<Vec<Result<Enrolled, StoreError>>, StoreError> {
    let each = |enrolment| undoable(connection, |connection| put(connection, enrolment)).map_err(unavailable);
    enrolments.iter().map(each).collect()
}

fn put(connection: &Connection, new: &NewEnrolment) -> Result<Enrolled, StoreError> {
    let subject = new.reference.subject;
    put_subject(connection, subject, &new.data_key, new.reference.enrolled_at)?;
    for identifier in &new.identifiers {
        put_identifier(connection, subject, identifier)?;
    }
    let replaced = execute(connection, "DELETE FROM reference WHERE subject_id = ?1", [subject.0], "reference")?;
    put_reference(connection, &new.reference)?;
    put_photo(connection, new)?;
    let done = if replaced == 0 { Enrolled::New } else { Enrolled::Replaced };
    audit::append(connection, &events::enrolled(new, done))?;
    Ok(done)
}

/// Makes the person, or checks that the data key is the one that is stored.
fn put_subject(connection: &Connection, subject: SubjectId, data_key: &Sealed, at: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO subject (subject_id, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    execute(connection, sql, params![subject.0, at], "person")?;
    let sql = "INSERT INTO data_key (subject_id, wrapped) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    execute(connection, sql, params![subject.0, data_key.0], "data key")?;
    let stored: Option<Vec<u8>> =
        query_one(connection, "SELECT wrapped FROM data_key WHERE subject_id = ?1", [subject.0], "data_key", |c| c.get("wrapped"))?;
    if stored.as_ref() == Some(&data_key.0) { Ok(()) } else { Err(StoreError::Conflict("data key")) }
}

/// Lets an identifier resolve to a person, unless it is another's.
fn put_identifier(connection: &Connection, subject: SubjectId, identifier: &IdentifierKey) -> Result<(), StoreError> {
    let sql = "INSERT INTO identifier (kind, region, hash, subject_id) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET subject_id = subject_id WHERE subject_id = excluded.subject_id";
    let values = params![identifier.kind.word(), identifier.region, identifier.hash, subject.0];
    if execute(connection, sql, values, "identifier")? == 1 { Ok(()) } else { Err(StoreError::Conflict("identifier")) }
}

fn put_reference(connection: &Connection, reference: &StoredReference) -> Result<(), StoreError> {
    let values = params![
        reference.subject.0,
        reference.record.0,
        reference.model,
        reference.recipe,
        reference.template.0,
        reference.photo_mac,
        reference.enrolled_at,
        reference.photo_taken_on,
    ];
    let sql = "INSERT INTO reference (subject_id, record_id, model, recipe, template, photo_mac, enrolled_at, photo_taken_on)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    execute(connection, sql, values, "reference").map(drop)
}

fn put_photo(connection: &Connection, new: &NewEnrolment) -> Result<(), StoreError> {
    let sql = "INSERT INTO enrolment_photo (subject_id, photo, quality) VALUES (?1, ?2, ?3)";
    execute(connection, sql, params![new.reference.subject.0, new.photo.0, new.quality.0], "enrolment photo").map(drop)
}

fn decode(columns: &Columns<'_>) -> Result<StoredSubject, StoreError> {
    let subject = SubjectId(columns.get("subject_id")?);
    let reference = match columns.get::<Option<[u8; 16]>>("record_id")? {
        Some(record) => Some(decode_reference(columns, subject, RecordId(record))?),
        None => None,
    };
    Ok(StoredSubject { subject, data_key: Sealed(columns.get("wrapped")?), reference })
}

fn decode_reference(columns: &Columns<'_>, subject: SubjectId, record: RecordId) -> Result<StoredReference, StoreError> {
    Ok(StoredReference {
        subject,
        record,
        model: columns.get("model")?,
        recipe: columns.get("recipe")?,
        template: Sealed(columns.get("template")?),
        photo_mac: columns.get("photo_mac")?,
        enrolled_at: columns.get("enrolled_at")?,
        photo_taken_on: columns.get("photo_taken_on")?,
    })
}
