//! Persons with their numbers, data keys, photos and references: finding them, and enrolling.

use std::collections::HashMap;

use matcher_core::{IdentifierKind, Life, PhotoState, REFERENCES_MAX, ReferenceSource};

use super::{
    Connection, audit,
    columns::{Asked, Columns, execute, query, query_many, query_one},
    params, probes,
    readers::Readers,
    unavailable,
    value::{Held, Params},
    writer::undoable,
};
use crate::store::{
    BoundIdentifier, Enrolled, IdentifierKey, NewEnrolment, RecordId, Sealed, StoreError, StoredReference, StoredSubject, SubjectId,
    TimeMs,
    audit::events,
    batch::{Persons, Span},
};

const REFERENCES: &str = "SELECT subject_id, record_id, photo_id, model, recipe, template, source, state, changed_at, enrolled_at, valid_from, \
     valid_until, photo_mac, photo_taken_on FROM reference JOIN enrolment USING (subject_id, photo_id)";

/// Persons, a row for each reference and one without where there is none: one question in place of two, which every counter's
/// call asks. `number` is a person's number in the row that was looked for, or nothing.
fn persons(from: &str, number: &str, which: &str) -> String {
    persons_within(from, number, which, |_| "")
}

/// The same; of each table that is joined, only rows of which this holds are looked at.
fn persons_within(from: &str, number: &str, which: &str, within: impl Fn(char) -> &'static str) -> String {
    let (key, reference, enrolment) = (within('k'), within('r'), within('e'));
    format!(
        "SELECT s.subject_id AS subject_id, k.wrapped AS wrapped, s.birth AS birth, s.withdrawn_at AS withdrawn_at, {number} AS number,
             r.record_id AS record_id, r.photo_id AS photo_id, r.model AS model, r.recipe AS recipe, r.template AS template,
             e.source AS source, e.state AS state, e.changed_at AS changed_at, e.enrolled_at AS enrolled_at, e.valid_from AS valid_from,
             e.valid_until AS valid_until, e.photo_mac AS photo_mac, e.photo_taken_on AS photo_taken_on
         FROM {from} JOIN data_key AS k ON k.subject_id = s.subject_id{key} LEFT JOIN reference AS r ON r.subject_id = s.subject_id{reference}
         LEFT JOIN enrolment AS e ON e.subject_id = r.subject_id AND e.photo_id = r.photo_id{enrolment}
         WHERE {which}"
    )
}

/// The persons of such rows, with the references of photos that are not revoked.
fn gathered(connection: &Connection, sql: &str, parameters: impl Params) -> Result<Vec<StoredSubject>, StoreError> {
    Ok(gather(query(connection, sql, parameters, "subject", decode_row)?))
}

/// A person, and a reference that is used.
fn decode_row(columns: &Columns<'_>) -> Result<(StoredSubject, Option<StoredReference>), StoreError> {
    let subject = decode(columns)?;
    let is_used = columns.get::<Option<String>>("state")?.is_some_and(|state| state != PhotoState::Revoked.word());
    Ok((subject, is_used.then(|| decode_reference(columns)).transpose()?))
}

fn gather(rows: Vec<(StoredSubject, Option<StoredReference>)>) -> Vec<StoredSubject> {
    let mut places = HashMap::new();
    let mut persons: Vec<StoredSubject> = Vec::new();
    for (subject, reference) in rows {
        let place = *places.entry(subject.subject).or_insert(persons.len());
        if place == persons.len() {
            persons.push(subject);
        }
        if let Some(person) = persons.get_mut(place) {
            person.references.extend(reference);
        }
    }
    for person in &mut persons {
        // A few of each: the database would sort all rows, templates and all.
        person.references.sort_by_key(|reference| (reference.life.enrolled_at, reference.record.0));
    }
    persons
}

pub(super) fn of_identifier() -> String {
    let from = "identifier AS i JOIN subject AS s ON s.subject_id = i.subject_id";
    persons(from, "i.number", "i.kind = ?1 AND i.region = ?2 AND i.hash = ?3")
}

/// The person an identifier resolves to, with the references of photos that are not revoked.
pub(super) fn subject_of(connection: &Connection, identifier: &IdentifierKey) -> Result<Option<StoredSubject>, StoreError> {
    let parameters = params![identifier.kind.word(), identifier.region, identifier.hash];
    Ok(gathered(connection, &of_identifier(), parameters)?.pop())
}

/// A person, with the references of all photos.
pub(super) fn by_id(connection: &Connection, subject: SubjectId) -> Result<Option<StoredSubject>, StoreError> {
    let sql = "SELECT subject_id, wrapped, birth, withdrawn_at, NULL AS number FROM subject JOIN data_key USING (subject_id)
         WHERE subject_id = ?1";
    let Some(mut found) = query_one(connection, sql, [subject.0], "subject", decode)? else { return Ok(None) };
    let sql = format!("{REFERENCES} WHERE subject_id = ?1 ORDER BY enrolled_at, record_id");
    found.references = query(connection, &sql, [subject.0], "reference", decode_reference)?;
    Ok(Some(found))
}

/// Persons with the references of photos that are not revoked; those that are not there are left out.
pub(super) fn in_use(connection: &Connection, subjects: &[SubjectId]) -> Result<Vec<StoredSubject>, StoreError> {
    // An empty id is nobody's.
    let ids: Vec<Vec<u8>> = subjects.iter().map(|subject| subject.0.to_vec()).collect();
    query_many(&ids, &Vec::new(), |ids| {
        let places: Vec<_> = (1..=ids.len()).map(|place| format!("?{place}")).collect();
        let sql = persons("subject AS s", "NULL", &format!("s.subject_id IN ({})", places.join(", ")));
        gathered(connection, &sql, ids.to_vec())
    })
}

/// The persons of the probes of a span, with the references of photos that are not revoked.
pub(super) async fn of_span(readers: &Readers, span: Span) -> Result<Vec<StoredSubject>, StoreError> {
    let (sql, values) = if span.persons == Persons::ALL {
        let of_probes = "s.subject_id IN (SELECT subject_id FROM probe WHERE decided_at >= ?1 AND decided_at < ?2)";
        let times = [span.from, span.until].map(|time| Held::Integer(Some(time)));
        (persons("subject AS s", "NULL", of_probes), times)
    } else {
        // Said of each table: a server would else read those that are joined to their ends.
        let within = |table| match table {
            'k' => " AND k.subject_id >= ?1 AND k.subject_id < ?2",
            'r' => " AND r.subject_id >= ?1 AND r.subject_id < ?2",
            _ => " AND e.subject_id >= ?1 AND e.subject_id < ?2",
        };
        let of_probes = "s.subject_id >= ?1 AND s.subject_id < ?2 AND s.subject_id IN
             (SELECT subject_id FROM probe WHERE subject_id >= ?1 AND subject_id < ?2)";
        (persons_within("subject AS s", "NULL", of_probes, within), probes::bounds(span.persons))
    };
    let asked = Asked { sql, values: values.into(), table: "subject", decode: decode_row };
    Ok(gather(readers.read_many(asked).await?))
}

/// All numbers of a person.
pub(super) fn identifiers_of(connection: &Connection, subject: SubjectId) -> Result<Vec<BoundIdentifier>, StoreError> {
    let sql = "SELECT kind, region, hash, lookup_key_id, number FROM identifier WHERE subject_id = ?1 ORDER BY kind, region, hash";
    let decode = |columns: &Columns<'_>| {
        let (kind, region) = (columns.word("kind", IdentifierKind::from_word)?, columns.get("region")?);
        let key = IdentifierKey { kind, region, hash: columns.get("hash")? };
        Ok(BoundIdentifier { key, lookup_key_id: columns.get("lookup_key_id")?, number: columns.get::<Option<_>>("number")?.map(Sealed) })
    };
    query(connection, sql, [subject.0], "identifier", decode)
}

/// Writes enrolments; each stands or falls on its own.
pub(super) fn put_all(connection: &Connection, enrolments: &[NewEnrolment]) -> Result<Vec<Result<Enrolled, StoreError>>, StoreError> {
    let each = |enrolment| undoable(connection, |connection| put(connection, enrolment)).map_err(unavailable);
    enrolments.iter().map(each).collect()
}

fn put(connection: &Connection, new: &NewEnrolment) -> Result<Enrolled, StoreError> {
    let (subject, at) = (new.reference.subject, new.reference.life.enrolled_at);
    put_subject(connection, subject, new, at)?;
    for identifier in &new.identifiers {
        put_identifier(connection, subject, identifier)?;
    }
    if let Some(strict) = &new.strict_data_key {
        let sql = "UPDATE data_key SET wrapped = ?2 WHERE subject_id = ?1
             AND NOT EXISTS (SELECT 1 FROM identifier WHERE subject_id = ?1 AND number IS NULL)";
        execute(connection, sql, params![subject.0, strict.0], "data key")?;
    }
    let replaced = supersede(connection, &new.reference, at)?;
    put_enrolment(connection, &new.reference)?;
    put_reference(connection, &new.reference, at)?;
    put_photo(connection, new)?;
    let in_use = keep_newest(connection, subject, new.reference.photo, at)?;
    let done = match (replaced, in_use) {
        (1.., _) => Enrolled::Replaced,
        (0, ..=1) => Enrolled::New,
        (0, _) => Enrolled::Added,
    };
    audit::append(connection, &events::enrolled(new, done))?;
    Ok(done)
}

/// Supersedes the photo of the same source. The very same photo is not kept twice.
fn supersede(connection: &Connection, by: &StoredReference, at: TimeMs) -> Result<usize, StoreError> {
    let of_source = "subject_id = ?1 AND state = 'active' AND source = ?2";
    let sql = format!("DELETE FROM enrolment WHERE {of_source} AND photo_mac = ?3");
    let same = execute(connection, &sql, params![by.subject.0, by.source.word(), by.photo_mac], "enrolment")?;
    let sql = format!("UPDATE enrolment SET state = 'superseded', changed_at = ?3 WHERE {of_source}");
    Ok(same + execute(connection, &sql, params![by.subject.0, by.source.word(), at], "enrolment")?)
}

/// Makes the person, or checks that the data key is the one that is stored and consent stands.
fn put_subject(connection: &Connection, subject: SubjectId, new: &NewEnrolment, at: TimeMs) -> Result<(), StoreError> {
    let sql = "INSERT INTO subject (subject_id, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    execute(connection, sql, params![subject.0, at], "person")?;
    let sql = "INSERT INTO data_key (subject_id, wrapped) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    execute(connection, sql, params![subject.0, new.data_key.0], "data key")?;
    let sql = format!(
        "SELECT wrapped FROM data_key JOIN subject USING (subject_id) WHERE subject_id = ?1 AND withdrawn_at IS NULL{}",
        connection.for_update()
    );
    let stored: Option<Vec<u8>> = query_one(connection, &sql, [subject.0], "data_key", |columns| columns.get("wrapped"))?;
    if stored.as_ref() != Some(&new.data_key.0) {
        return Err(StoreError::Conflict("data key"));
    }
    if let Some(birth) = &new.birth {
        execute(connection, "UPDATE subject SET birth = ?2 WHERE subject_id = ?1", params![subject.0, birth.0], "person")?;
    }
    Ok(())
}

/// Lets an identifier resolve to a person, unless it is another's, and keeps the newest seal of its number.
pub(super) fn put_identifier(connection: &Connection, subject: SubjectId, identifier: &BoundIdentifier) -> Result<(), StoreError> {
    let sql = "INSERT INTO identifier (kind, region, hash, subject_id, number, lookup_key_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (kind, region, hash) DO UPDATE SET
             number = coalesce(excluded.number, identifier.number), lookup_key_id = excluded.lookup_key_id
         WHERE identifier.subject_id = excluded.subject_id";
    let BoundIdentifier { key, lookup_key_id, number } = identifier;
    let values = params![key.kind.word(), key.region, key.hash, subject.0, number.as_ref().map(|number| &number.0), lookup_key_id];
    if execute(connection, sql, values, "identifier")? == 1 { Ok(()) } else { Err(StoreError::Conflict("identifier")) }
}

fn put_enrolment(connection: &Connection, reference: &StoredReference) -> Result<(), StoreError> {
    let life = &reference.life;
    let values = params![
        reference.subject.0,
        reference.photo.0,
        reference.source.word(),
        life.state.word(),
        life.changed_at,
        life.enrolled_at,
        life.valid_from,
        life.valid_until,
        reference.photo_mac,
        reference.photo_taken_on,
    ];
    let sql = "INSERT INTO enrolment (subject_id, photo_id, source, state, changed_at, enrolled_at, valid_from, valid_until, photo_mac,
             photo_taken_on) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    execute(connection, sql, values, "enrolment").map(drop)
}

/// Writes what a model made of a photo.
pub(super) fn put_reference(connection: &Connection, reference: &StoredReference, made_at: TimeMs) -> Result<(), StoreError> {
    let StoredReference { subject, record, photo, model, recipe, template, .. } = reference;
    let sql =
        "INSERT INTO reference (subject_id, record_id, photo_id, model, recipe, template, made_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    execute(connection, sql, params![subject.0, record.0, photo.0, model, recipe, template.0, made_at], "reference").map(drop)
}

fn put_photo(connection: &Connection, new: &NewEnrolment) -> Result<(), StoreError> {
    let sql = "INSERT INTO enrolment_photo (subject_id, photo_id, photo, quality) VALUES (?1, ?2, ?3, ?4)";
    let (subject, photo) = (new.reference.subject, new.reference.photo);
    execute(connection, sql, params![subject.0, photo.0, new.photo.0, new.quality.0], "enrolment photo").map(drop)
}

/// Supersedes the oldest photos beyond the cap, never the one that was just enrolled; says how many are in use.
fn keep_newest(connection: &Connection, subject: SubjectId, newest: RecordId, at: TimeMs) -> Result<usize, StoreError> {
    let sql =
        "SELECT photo_id FROM enrolment WHERE subject_id = ?1 AND state = 'active' ORDER BY photo_id = ?2 DESC, enrolled_at DESC, photo_id";
    let in_use: Vec<[u8; 16]> = query(connection, sql, params![subject.0, newest.0], "enrolment", |columns| columns.get("photo_id"))?;
    for photo in in_use.iter().skip(REFERENCES_MAX) {
        set_state(connection, subject, RecordId(*photo), PhotoState::Superseded, at)?;
    }
    Ok(in_use.len())
}

/// Changes what became of a photo that is in use or superseded; false when there is none.
pub(super) fn set_state(
    connection: &Connection,
    subject: SubjectId,
    photo: RecordId,
    state: PhotoState,
    at: TimeMs,
) -> Result<bool, StoreError> {
    let sql = "UPDATE enrolment SET state = ?3, changed_at = ?4 WHERE subject_id = ?1 AND photo_id = ?2 AND state <> 'revoked'";
    Ok(execute(connection, sql, params![subject.0, photo.0, state.word(), at], "enrolment")? == 1)
}

fn decode(columns: &Columns<'_>) -> Result<StoredSubject, StoreError> {
    Ok(StoredSubject {
        subject: SubjectId(columns.get("subject_id")?),
        data_key: Sealed(columns.get("wrapped")?),
        birth: columns.get::<Option<_>>("birth")?.map(Sealed),
        withdrawn_at: columns.get("withdrawn_at")?,
        number: columns.get::<Option<_>>("number")?.map(Sealed),
        references: Vec::new(),
    })
}

fn decode_reference(columns: &Columns<'_>) -> Result<StoredReference, StoreError> {
    Ok(StoredReference {
        subject: SubjectId(columns.get("subject_id")?),
        record: RecordId(columns.get("record_id")?),
        photo: RecordId(columns.get("photo_id")?),
        model: columns.get("model")?,
        recipe: columns.get("recipe")?,
        template: Sealed(columns.get("template")?),
        source: columns.word("source", ReferenceSource::from_word)?,
        life: life(columns)?,
        photo_mac: columns.get("photo_mac")?,
        photo_taken_on: columns.get("photo_taken_on")?,
    })
}

/// The life in the columns of an enrolment.
pub(super) fn life(columns: &Columns<'_>) -> Result<Life, StoreError> {
    Ok(Life {
        state: columns.word("state", PhotoState::from_word)?,
        changed_at: columns.get("changed_at")?,
        enrolled_at: columns.get("enrolled_at")?,
        valid_from: columns.get("valid_from")?,
        valid_until: columns.get("valid_until")?,
    })
}
