//! What belongs to a case beside its captures: photos, flags, documents, other cards and cases; and sealed pictures.

use matcher_core::{FlagKind, evidence::CaseState};

use super::super::{
    Connection,
    columns::{Columns, query, query_one},
    params, proxies,
    value::AsValue,
    verifications,
};
use crate::store::{
    RecordId, Sealed, SealedProbe, StoreError, SubjectId,
    desk::{
        CaseContents, CaseFlag, CasePictures, CaseSurroundings, DocumentCheck, OtherCard, PhotoFacts, SealedPair, SealedPicture, StoreCase,
    },
};

/// Transactions of a case's captures.
const TRANSACTIONS: &str = "(SELECT p.institution, p.transaction_id FROM case_place AS p WHERE p.subject_id = ?1 AND p.case_id = ?2)";
const PHOTOS: &str = "SELECT photo_id, source, state, enrolled_at, photo_taken_on FROM enrolment WHERE subject_id = ?1
     UNION ALL SELECT photo_id, source, state, enrolled_at, photo_taken_on FROM seed_case WHERE subject_id = ?1
     ORDER BY enrolled_at DESC, photo_id";
const OTHERS: &str = "SELECT kind, about, found_at FROM search_finding WHERE subject_id = ?1 ORDER BY found_at DESC, kind, about";
const CASES: &str =
    "SELECT case_id, opened_at, state FROM case_desk WHERE subject_id = ?1 AND case_id <> ?2 ORDER BY opened_at DESC, case_id";
const WITH_SAMPLE: &str = "SELECT m.verification_id FROM case_member AS m
     JOIN probe AS p ON p.subject_id = m.subject_id AND p.verification_id = m.verification_id
     WHERE m.subject_id = ?1 AND m.case_id = ?2 AND length(p.sample) > 0
     UNION ALL SELECT m.verification_id FROM case_member AS m
     JOIN seed_probe AS p ON p.subject_id = m.subject_id AND p.verification_id = m.verification_id
     WHERE m.subject_id = ?1 AND m.case_id = ?2";

fn flags_sql() -> String {
    format!(
        "SELECT kind, raised_at, transaction_id FROM flag WHERE (institution, transaction_id) IN {TRANSACTIONS}
         UNION ALL SELECT kind, raised_at, transaction_id FROM seed_flag WHERE subject_id = ?1 AND case_id = ?2 ORDER BY raised_at, kind"
    )
}

fn documents_sql() -> String {
    format!(
        "SELECT r.transaction_id, u.confirmed_at, u.document_checked_by, u.reversed_at FROM receipt AS r
         JOIN receipt_use AS u ON u.number = r.number
         WHERE u.document_checked_by <> '' AND (r.institution, r.transaction_id) IN {TRANSACTIONS} ORDER BY u.confirmed_at"
    )
}

/// All of it.
pub(super) fn of(connection: &Connection, subject: SubjectId, case: RecordId) -> Result<CaseSurroundings, StoreError> {
    let here = params![subject.0, case.0];
    let flags = query(connection, &flags_sql(), here, "flag", |columns| {
        Ok(CaseFlag {
            kind: columns.word("kind", FlagKind::from_word)?,
            raised_at: columns.get("raised_at")?,
            transaction: columns.get("transaction_id")?,
        })
    })?;
    let documents = query(connection, &documents_sql(), here, "receipt_use", |columns| {
        Ok(DocumentCheck {
            transaction: columns.get("transaction_id")?,
            at: columns.get("confirmed_at")?,
            by: columns.get("document_checked_by")?,
            reversed: columns.get::<Option<i64>>("reversed_at")?.is_some(),
        })
    })?;
    let others = query(connection, OTHERS, [subject.0], "search_finding", |columns| {
        Ok(OtherCard { about: columns.get("about")?, kind: columns.get("kind")?, found_at: columns.get("found_at")? })
    })?;
    let cases = query(connection, CASES, here, "case_desk", |columns| {
        Ok((RecordId(columns.get("case_id")?), columns.get("opened_at")?, columns.word("state", CaseState::from_word)?))
    })?;
    let CasePictures { photos, with_sample } = pictures(connection, subject, case)?;
    Ok(CaseSurroundings { photos, flags, documents, others, cases, with_sample })
}

/// Its pictures alone.
pub(super) fn pictures(connection: &Connection, subject: SubjectId, case: RecordId) -> Result<CasePictures, StoreError> {
    let here = params![subject.0, case.0];
    let photos = query(connection, PHOTOS, [subject.0], "enrolment", |columns| {
        Ok(PhotoFacts {
            photo: RecordId(columns.get("photo_id")?),
            source: columns.get("source")?,
            state: columns.get("state")?,
            enrolled_at: columns.get("enrolled_at")?,
            taken_on: columns.get("photo_taken_on")?,
        })
    })?;
    let with_sample = query(connection, WITH_SAMPLE, here, "case_member", |columns| Ok(RecordId(columns.get("verification_id")?)))?;
    Ok(CasePictures { photos, with_sample })
}

/// The same, asked with one wait.
pub(super) fn pictures_at_once(connection: &Connection, subject: SubjectId, case: RecordId) -> Result<CasePictures, StoreError> {
    connection.ahead(&[(PHOTOS, params![subject.0]), (WITH_SAMPLE, params![subject.0, case.0])])?;
    pictures(connection, subject, case)
}

/// Everything that a case is made of, asked with one wait.
pub(super) fn contents(
    connection: &Connection,
    subject: SubjectId,
    case: RecordId,
    captures: &[RecordId],
) -> Result<CaseContents, StoreError> {
    let (flags, documents, record) = (flags_sql(), documents_sql(), verifications::by_id_or_made_up_sql());
    let here = params![subject.0, case.0];
    let of_person: &[&dyn AsValue] = params![subject.0];
    let mut asked = vec![(flags.as_str(), here), (&documents, here), (OTHERS, of_person), (CASES, here), (PHOTOS, of_person)];
    asked.extend([(WITH_SAMPLE, here), (proxies::OF_CASE, here)]);
    let keys: Vec<[&dyn AsValue; 2]> = captures.iter().map(|id| -> [&dyn AsValue; 2] { [&subject.0, &id.0] }).collect();
    asked.extend(keys.iter().map(|key| (record.as_str(), key.as_slice())));
    connection.ahead(&asked)?;
    let records = captures.iter().map(|id| verifications::by_id_or_made_up(connection, subject, *id)).collect::<Result<_, _>>()?;
    Ok(CaseContents { around: of(connection, subject, case)?, records, proxies: proxies::of_case(connection, subject, case)? })
}

const SAMPLE: &str = "SELECT k.wrapped, p.template, p.sample FROM probe AS p JOIN data_key AS k ON k.subject_id = p.subject_id
     WHERE p.subject_id = ?1 AND p.verification_id = ?2 AND length(p.sample) > 0
     UNION ALL SELECT s.wrapped, p.template, p.sample FROM seed_probe AS p JOIN seed_case AS s ON s.subject_id = p.subject_id
     WHERE p.subject_id = ?1 AND p.verification_id = ?2";
const MEASURES: &str = "SELECT k.wrapped, e.quality FROM enrolment_photo AS e JOIN data_key AS k ON k.subject_id = e.subject_id
     WHERE e.subject_id = ?1 AND e.photo_id = ?2
     UNION ALL SELECT s.wrapped, p.quality FROM seed_photo AS p JOIN seed_case AS s ON s.subject_id = p.subject_id
     WHERE p.subject_id = ?1 AND p.photo_id = ?2";

/// A photo's measures and a capture's samples, asked with one wait.
pub(super) fn sealed_pair(
    connection: &Connection,
    subject: SubjectId,
    photo: Option<RecordId>,
    capture: Option<RecordId>,
) -> Result<SealedPair, StoreError> {
    // Nothing is found of an id that is none.
    let nothing = RecordId([0; 16]);
    let (of_photo, of_capture) = (photo.unwrap_or(nothing), capture.unwrap_or(nothing));
    connection.ahead(&[(MEASURES, params![subject.0, of_photo.0]), (SAMPLE, params![subject.0, of_capture.0])])?;
    let measures = query_one(connection, MEASURES, params![subject.0, of_photo.0], "enrolment_photo", |columns| {
        let quality = columns.get::<Option<Vec<u8>>>("quality")?.unwrap_or_default();
        let picture = SealedProbe { template: Sealed(quality), sample: Sealed(Vec::new()) };
        Ok(SealedPicture { data_key: Sealed(columns.get("wrapped")?), picture })
    })?;
    Ok((measures, sample(connection, subject, of_capture)?))
}

/// The sealed samples of a capture.
pub(super) fn sample(connection: &Connection, subject: SubjectId, verification: RecordId) -> Result<Option<SealedPicture>, StoreError> {
    query_one(connection, SAMPLE, params![subject.0, verification.0], "probe", |columns| {
        let picture = SealedProbe { template: Sealed(columns.get("template")?), sample: Sealed(columns.get("sample")?) };
        Ok(SealedPicture { data_key: Sealed(columns.get("wrapped")?), picture })
    })
}

/// The sealed photo of a person, with what was measured of it.
pub(super) fn photo(connection: &Connection, subject: SubjectId, photo: RecordId) -> Result<Option<SealedPicture>, StoreError> {
    let sql = "SELECT k.wrapped, e.photo, e.quality FROM enrolment_photo AS e JOIN data_key AS k ON k.subject_id = e.subject_id
         WHERE e.subject_id = ?1 AND e.photo_id = ?2
         UNION ALL SELECT s.wrapped, p.photo, p.quality FROM seed_photo AS p JOIN seed_case AS s ON s.subject_id = p.subject_id
         WHERE p.subject_id = ?1 AND p.photo_id = ?2";
    query_one(connection, sql, params![subject.0, photo.0], "enrolment_photo", |columns| {
        let quality = columns.get::<Option<Vec<u8>>>("quality")?.unwrap_or_default();
        let picture = SealedProbe { template: Sealed(quality), sample: Sealed(columns.get("photo")?) };
        Ok(SealedPicture { data_key: Sealed(columns.get("wrapped")?), picture })
    })
}

/// Cases an institution is asked about, the latest first.
pub(super) fn asked(connection: &Connection, institution: &str, limit: u32) -> Result<Vec<StoreCase>, StoreError> {
    let sql = "SELECT a.subject_id, a.case_id, a.at, a.due_at, CASE WHEN EXISTS (SELECT 1 FROM case_statement AS r
             WHERE r.subject_id = a.subject_id AND r.case_id = a.case_id AND r.institution = ?1 AND r.kind = 'store_reply'
             AND r.number > a.number) THEN 1 ELSE 0 END AS replied
         FROM case_statement AS a WHERE a.institution = ?1 AND a.kind = 'store_asked'
         AND NOT EXISTS (SELECT 1 FROM seed_case AS s WHERE s.case_id = a.case_id) AND NOT EXISTS (
             SELECT 1 FROM case_statement AS n WHERE n.subject_id = a.subject_id AND n.case_id = a.case_id
             AND n.institution = ?1 AND n.kind = 'store_asked' AND n.number > a.number)
         ORDER BY a.at DESC, a.case_id LIMIT ?2";
    query(connection, sql, params![institution, limit], "case_statement", |columns: &Columns<'_>| {
        Ok(StoreCase {
            subject: SubjectId(columns.get("subject_id")?),
            id: RecordId(columns.get("case_id")?),
            asked_at: columns.get("at")?,
            due_at: columns.get("due_at")?,
            replied: columns.get("replied")?,
        })
    })
}
