//! Probes: written with their verification, and read by the thousand to be compared again.
//!
//! What a comparison needs of the record stands beside the template: of a year's log a night would else look up a million
//! rows. Probes of older releases stand alone, and their records are looked up. Not here: samples, and single probes.

use std::borrow::Cow;

use matcher_core::{Decision, Scene};

use super::{
    Connection,
    columns::{Asked, Columns, insert},
    params,
    readers::Readers,
    value::Held,
};
use crate::store::{
    MadeBy, NewVerification, RecordId, RequestKey, Sealed, SealedProbe, StoreError, SubjectId, TimeMs,
    batch::{Persons, Span, StoredProbe},
};

const TABLE: &str = "probe";

/// What stands beside a probe's template of its verification, as a JSON array: institution, transaction, attempt, scene, consent, time of
/// capture, the attack model's score, decision, reasons, feature model, recipe.
type Facts<'a> =
    (Cow<'a, str>, Cow<'a, str>, u32, &'a str, Cow<'a, str>, TimeMs, Option<f64>, &'a str, Cow<'a, [String]>, Cow<'a, str>, Cow<'a, str>);

/// The facts of a verification.
pub(super) fn facts(new: &NewVerification) -> Result<String, StoreError> {
    let (record, request) = (&new.record, &new.record.request);
    let (model, recipe) = new.made_by.as_ref().map_or((&record.model, &record.recipe), |made_by| (&made_by.model, &made_by.recipe));
    let facts: Facts<'_> = (
        request.institution.as_str().into(),
        request.transaction.as_str().into(),
        request.attempt,
        record.scene.word(),
        record.consent.as_str().into(),
        record.captured_at,
        record.live.map(f64::from),
        record.decision.policy_key(),
        record.reasons.as_slice().into(),
        model.as_str().into(),
        recipe.as_str().into(),
    );
    serde_json::to_string(&facts).map_err(|_| StoreError::Corrupt { table: TABLE, field: "facts" })
}

/// Writes the probe of a verification.
pub(super) fn put(connection: &Connection, new: &NewVerification, probe: &SealedProbe) -> Result<(), StoreError> {
    let record = &new.record;
    // Sealed under a person's key: without the person it could never be opened or destroyed.
    let subject = record.subject.ok_or(StoreError::Corrupt { table: TABLE, field: "subject_id" })?;
    let sql = "INSERT INTO probe (subject_id, verification_id, template, sample, decided_at, facts) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = params![subject.0, record.id.0, probe.template.0, probe.sample.0, record.decided_at, facts(new)?];
    insert(connection, sql, values, TABLE)
}

/// The probes of a span.
pub(super) async fn of_span(readers: &Readers, span: Span) -> Result<Vec<StoredProbe>, StoreError> {
    let sql = format!("SELECT p.subject_id, p.verification_id, p.template, p.facts FROM probe AS p WHERE {}", which(span));
    let found = readers.read_many(Asked { sql, values: values(span), table: TABLE, decode }).await?;
    match found.into_iter().collect() {
        Some(probes) => Ok(probes),
        None => looked_up(readers, span).await,
    }
}

/// The same with a look at their records, for probes that stand alone.
async fn looked_up(readers: &Readers, span: Span) -> Result<Vec<StoredProbe>, StoreError> {
    // The span stands there for each, so that no table is looked into beyond it. What was compared says itself what made it;
    // for the others the visit is looked up.
    let sql = format!(
        "SELECT p.subject_id, p.verification_id, p.template, v.institution, v.transaction_id, v.attempt, v.scene, v.consent, v.captured_at,
             v.live, v.decision, v.reasons, v.model AS compared_model, v.recipe AS compared_recipe, m.model AS made_model, m.recipe AS made_recipe
         FROM verification AS v
         JOIN probe AS p ON p.subject_id = v.subject_id AND p.verification_id = v.id AND p.decided_at = v.decided_at
         LEFT JOIN visit AS m ON m.subject_id = CASE WHEN v.model = '' THEN p.subject_id END AND m.verification_id = p.verification_id
             AND m.decided_at >= ?1 AND m.decided_at < ?2
         WHERE v.decided_at >= ?1 AND v.decided_at < ?2 AND {}",
        which(span)
    );
    readers.read_many(Asked { sql, values: values(span), table: TABLE, decode: decode_looked_up }).await
}

/// Where the probes of a span are. Two forms, so that each finds its index: the plus keeps the other one away.
fn which(span: Span) -> &'static str {
    if span.persons == Persons::ALL {
        "p.decided_at >= ?1 AND p.decided_at < ?2"
    } else {
        "p.subject_id >= ?3 AND p.subject_id < ?4 AND +p.decided_at >= ?1 AND +p.decided_at < ?2"
    }
}

fn values(span: Span) -> Vec<Held> {
    let times = [span.from, span.until].map(|time| Held::Integer(Some(time)));
    let persons = (span.persons != Persons::ALL).then(|| bounds(span.persons));
    times.into_iter().chain(persons.into_iter().flatten()).collect()
}

/// Before the ids of persons, and behind them.
pub(super) fn bounds(persons: Persons) -> [Held; 2] {
    let (first, mut last) = (persons.first.to_be_bytes().to_vec(), persons.last.to_be_bytes().to_vec());
    // Longer than an id.
    last.resize(17, 0xff);
    [first, last].map(|bytes| Held::Blob(Some(bytes)))
}

/// Nothing for a probe that stands alone.
fn decode(columns: &Columns<'_>) -> Result<Option<StoredProbe>, StoreError> {
    let (subject, verification) = (SubjectId(columns.get("subject_id")?), RecordId(columns.get("verification_id")?));
    let template = Sealed(columns.get("template")?);
    let Some(facts) = columns.get::<Option<String>>("facts")? else { return Ok(None) };
    let facts: Facts<'_> = serde_json::from_str(&facts).map_err(|_| columns.corrupt("facts"))?;
    let (institution, transaction, attempt, scene, consent, captured_at, live, decision, reasons, model, recipe) = facts;
    let request = RequestKey { institution: institution.into_owned(), transaction: transaction.into_owned(), attempt };
    Ok(Some(StoredProbe {
        subject,
        verification,
        request,
        scene: Scene::from_word(scene).ok_or_else(|| columns.corrupt("facts"))?,
        consent: consent.into_owned(),
        captured_at,
        live: live.map(|live| live as f32),
        decision: Decision::from_policy_key(decision).ok_or_else(|| columns.corrupt("facts"))?,
        reasons: reasons.into_owned(),
        template,
        made_by: made_by(model.into_owned(), recipe.into_owned()),
    }))
}

fn decode_looked_up(columns: &Columns<'_>) -> Result<StoredProbe, StoreError> {
    let (subject, verification) = (SubjectId(columns.get("subject_id")?), RecordId(columns.get("verification_id")?));
    let template = Sealed(columns.get("template")?);
    let request = RequestKey {
        institution: columns.get("institution")?,
        transaction: columns.get("transaction_id")?,
        attempt: columns.unsigned("attempt")?,
    };
    let (scene, consent) = (columns.word("scene", Scene::from_word)?, columns.get("consent")?);
    let (captured_at, live) = (columns.get("captured_at")?, columns.single("live")?);
    let (decision, reasons) = (columns.word("decision", Decision::from_policy_key)?, columns.get::<String>("reasons")?);
    let reasons = serde_json::from_str(&reasons).map_err(|_| columns.corrupt("reasons"))?;
    let compared = made_by(columns.get("compared_model")?, columns.get("compared_recipe")?);
    let made: Option<String> = columns.get("made_model")?;
    let made = made.zip(columns.get("made_recipe")?).map(|(model, recipe)| MadeBy { model, recipe });
    let made_by = made.or(compared);
    Ok(StoredProbe { subject, verification, request, scene, consent, captured_at, live, decision, reasons, template, made_by })
}

fn made_by(model: String, recipe: String) -> Option<MadeBy> {
    (!model.is_empty()).then_some(MadeBy { model, recipe })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{connection::Row, sqlite, value::FromCell},
        *,
    };

    #[track_caller]
    fn check_plan(persons: Persons, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::sqlite(sqlite::open(&folder.path().join("store")).unwrap());
        let span = Span { from: 0, until: 9, persons };
        let sql = format!("EXPLAIN QUERY PLAN SELECT p.facts FROM probe AS p WHERE {}", which(span));
        let (held, mut plan) = (values(span), Vec::new());
        let values: Vec<_> = held.iter().map(Held::value).collect();
        let mut each = |row: Row<'_>| {
            plan.push(row.cell("detail").and_then(String::from_cell).unwrap());
            Ok(())
        };
        connection.rows(&sql, &values, &mut each).unwrap();
        assert!(plan.len() == 1 && plan[0].contains(expected), "{plan:?}");
    }

    #[test]
    fn a_chunk_is_read_by_its_persons_or_its_time() {
        check_plan(Persons { first: 1, last: 9 }, "(subject_id>? AND subject_id<?)");
        check_plan(Persons::ALL, "probe_by_time (decided_at>? AND decided_at<?)");
    }
}
