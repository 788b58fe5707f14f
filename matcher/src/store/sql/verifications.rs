//! Verification records, with their probes and the requests they answer.

use std::collections::HashMap;

use matcher_core::{AgeBand, Decision, Disposition, Mode, ReferenceFacts, Scene};

use super::{
    Connection, audit, cases,
    columns::{self, Columns, execute, execute_later, insert, query, query_many, query_one},
    deferred, devices, flags, params, probes, proxies, receipts, rechecks,
};
use crate::store::{Listing, NewVerification, RecordId, Recorded, RequestKey, StoreError, SubjectId, TimeMs, Verification, audit::events};

const TABLE: &str = "verification";
const SELECT: &str = "SELECT v.subject_id, v.id, v.known, v.institution, v.transaction_id, v.attempt, v.envelope_digest, v.device_id, v.counter, \
     v.sequence, v.scene, v.operator, v.notice, v.identifier_kind, v.identifier_region, v.identifier_hash, v.identifier_masked, v.captured_at, \
     v.decided_at, v.decision, v.reasons, v.disposition, v.score, v.match_threshold, v.non_match_threshold, v.model, v.live, \
     v.policy_version, v.mode, v.recipe, v.consent, v.minor, v.childhood_photo, v.photo_age_days, v.reference_id, v.age_band FROM verification AS v";

/// The record that answers a request, if it was answered.
pub(super) fn answer(connection: &Connection, request: &RequestKey) -> Result<Option<Verification>, StoreError> {
    let sql = format!(
        "{SELECT} JOIN request AS r ON v.subject_id = r.subject_id AND v.id = r.verification_id AND v.decided_at = r.decided_at
         WHERE r.institution = ?1 AND r.transaction_id = ?2 AND r.attempt = ?3"
    );
    query_one(connection, &sql, params![request.institution, request.transaction, request.attempt], TABLE, decode)
}

/// The record of a person and an id.
pub(super) fn by_id(connection: &Connection, subject: SubjectId, id: RecordId) -> Result<Option<Verification>, StoreError> {
    query_one(connection, &format!("{SELECT} WHERE v.subject_id = ?1 AND v.id = ?2"), params![subject.0, id.0], TABLE, decode)
}

/// The record of a person and an id, or the made-up one of a known-answer case: both are looked for at once, so that neither takes longer.
pub(super) fn by_id_or_made_up(connection: &Connection, subject: SubjectId, id: RecordId) -> Result<Option<Verification>, StoreError> {
    query_one(connection, &by_id_or_made_up_sql(), params![subject.0, id.0], TABLE, decode)
}

/// Its query.
pub(super) fn by_id_or_made_up_sql() -> String {
    let here = "WHERE v.subject_id = ?1 AND v.id = ?2";
    format!("{SELECT} {here} UNION ALL {} {here}", SELECT.replace("FROM verification AS v", "FROM seed_verification AS v"))
}

/// The records about a person, newest first.
pub(super) fn of_subject(connection: &Connection, subject: SubjectId) -> Result<Vec<Verification>, StoreError> {
    query(connection, &format!("{SELECT} WHERE v.subject_id = ?1 ORDER BY v.decided_at DESC, v.id"), [subject.0], TABLE, decode)
}

pub(super) const DECISIONS_OF: &str = "SELECT r.attempt, v.decision FROM request AS r
     JOIN verification AS v ON v.subject_id = r.subject_id AND v.id = r.verification_id AND v.decided_at = r.decided_at
     WHERE r.institution = ?1 AND r.transaction_id = ?2 ORDER BY r.attempt";

/// The decisions of a transaction, by attempt.
pub(super) fn decisions_of(connection: &Connection, institution: &str, transaction: &str) -> Result<Vec<(u32, Decision)>, StoreError> {
    let decode = |columns: &Columns<'_>| Ok((columns.unsigned("attempt")?, columns.word("decision", Decision::from_policy_key)?));
    query(connection, DECISIONS_OF, params![institution, transaction], TABLE, decode)
}

/// The decisions of transactions, by attempt, one answer for each.
pub(super) fn decisions_of_all(
    connection: &Connection,
    transactions: &[(String, String)],
) -> Result<Vec<Vec<(u32, Decision)>>, StoreError> {
    let decode = |columns: &Columns<'_>| {
        let transaction: (String, String) = (columns.get("institution")?, columns.get("transaction_id")?);
        Ok((transaction, (columns.unsigned("attempt")?, columns.word("decision", Decision::from_policy_key)?)))
    };
    // No institution has an empty name.
    let found = query_many(transactions, &(String::new(), String::new()), |asked| {
        let rows: Vec<_> = (0..asked.len()).map(|row| format!("(?{}, ?{})", 2 * row + 1, 2 * row + 2)).collect();
        let sql = format!(
            "WITH asked (institution, transaction_id) AS (VALUES {})
             SELECT r.institution, r.transaction_id, r.attempt, v.decision FROM asked
             JOIN request AS r ON r.institution = asked.institution AND r.transaction_id = asked.transaction_id
             JOIN verification AS v ON v.subject_id = r.subject_id AND v.id = r.verification_id AND v.decided_at = r.decided_at
             ORDER BY r.attempt",
            rows.join(", ")
        );
        let names: Vec<&str> = asked.iter().flat_map(|(institution, transaction)| [institution.as_str(), transaction]).collect();
        query(connection, &sql, names, TABLE, decode)
    })?;
    let mut decisions: HashMap<(String, String), Vec<(u32, Decision)>> = HashMap::new();
    for (transaction, decision) in found {
        decisions.entry(transaction).or_default().push(decision);
    }
    Ok(transactions.iter().map(|transaction| decisions.get(transaction).cloned().unwrap_or_default()).collect())
}

/// Verifications, newest first.
pub(super) fn list(connection: &Connection, listing: &Listing) -> Result<Vec<Verification>, StoreError> {
    let sql = format!("{SELECT} {}", columns::newest_first(listing, "decided_at"));
    query(connection, &sql, columns::listing_parameters(listing), TABLE, decode)
}

/// Verifications decided from a time on, oldest first, after one of them.
pub(super) fn from(
    connection: &Connection,
    since: TimeMs,
    after: Option<(TimeMs, RecordId)>,
    limit: u32,
) -> Result<Vec<Verification>, StoreError> {
    let (at, id) = after.map_or((since, Vec::new()), |(at, id)| (at.max(since), id.0.to_vec()));
    let sql = format!("{SELECT} WHERE v.decided_at >= ?1 AND (v.decided_at, v.id) > (?1, ?2) ORDER BY v.decided_at, v.id LIMIT ?3");
    query(connection, &sql, params![at, id, limit.clamp(1, 10_000)], TABLE, decode)
}

/// Writes a verification with all that belongs to it, unless its request or sequence number is taken. Runs in
/// the writer's transaction; two that race are decided by the keys.
/// Request and sequence number were taken, or not, by what went [ahead].
pub(super) fn record(connection: &Connection, new: &NewVerification, taken: &Ahead, counts: &[usize]) -> Result<Recorded, StoreError> {
    match record_new(connection, new, taken, counts)? {
        Some(recorded) => Ok(recorded),
        None => {
            // The same capture came late before and still waits: it is answered now, and waits no more.
            withdraw_request(connection, &new.record.request)?;
            let taken = ahead(connection, new)?;
            record_new(connection, new, &taken, &connection.counts()?)?.ok_or(StoreError::Conflict("request"))
        }
    }
}

/// Which of the counts say whether a request and a sequence number were free.
pub(super) struct Ahead {
    request: usize,
    sequence: usize,
}

/// Takes request and sequence number, where they are free.
pub(super) fn ahead(connection: &Connection, new: &NewVerification) -> Result<Ahead, StoreError> {
    let record = &new.record;
    let request = put_request(connection, new)?;
    let sequence = devices::use_sequence(connection, &record.device, record.sequence, &record.request_digest)?;
    Ok(Ahead { request, sequence })
}

/// Nothing where the very capture waits to be compared.
fn record_new(connection: &Connection, new: &NewVerification, taken: &Ahead, counts: &[usize]) -> Result<Option<Recorded>, StoreError> {
    let record = &new.record;
    let written = |place: usize| counts.get(place) == Some(&1);
    let Ahead { request, sequence } = *taken;
    if !written(request) {
        if written(sequence) {
            devices::free_sequence(connection, &record.device, record.sequence)?;
        }
        return not_new(connection, record);
    }
    if !written(sequence) && !devices::is_sequence_of(connection, &record.device, record.sequence, &record.request_digest)? {
        take_request_back(connection, &record.request)?;
        return Ok(Some(Recorded::SequenceTaken));
    }
    put(connection, record)?;
    if let Some(probe) = &new.probe {
        probes::put(connection, new, probe)?;
        if let Some(made_by) = &new.made_by {
            cases::put_visit(connection, record, made_by)?;
        }
        if let Some(made_by) = &new.recheck {
            rechecks::put(connection, record, made_by)?;
        }
    }
    put_rest(connection, new)?;
    Ok(Some(Recorded::Stored))
}

/// Why a request could not be taken; nothing where the very capture waits under it.
fn not_new(connection: &Connection, record: &Verification) -> Result<Option<Recorded>, StoreError> {
    if let Some(answered) = answered(connection, record)? {
        return Ok(Some(answered));
    }
    let standing = deferred::standing(connection, &record.request)?.ok_or(StoreError::Conflict("person"))?;
    Ok((standing.digest != record.request_digest).then_some(Recorded::RequestWaits(standing.verification)))
}

/// Writes the verification of a capture that waited, whose request is taken by it, without its probe.
pub(super) fn answer_waiting(connection: &Connection, new: &NewVerification) -> Result<(), StoreError> {
    let (record, request) = (&new.record, &new.record.request);
    let sql = "UPDATE request SET decided_at = ?5 WHERE institution = ?1 AND transaction_id = ?2 AND attempt = ?3 AND verification_id = ?4";
    let values = params![request.institution, request.transaction, request.attempt, record.id.0, record.decided_at];
    execute_later(connection, sql, values, "request")?;
    put(connection, record)?;
    put_rest(connection, new)
}

fn put_rest(connection: &Connection, new: &NewVerification) -> Result<(), StoreError> {
    for flag in &new.flags {
        flags::put(connection, flag)?;
    }
    if let Some(proxy) = &new.proxy {
        proxies::put(connection, &new.record, proxy)?;
    }
    audit::append(connection, &events::verified(&new.record))?;
    if let Some(receipt) = &new.receipt {
        receipts::put(connection, receipt)?;
    }
    Ok(())
}

/// Frees a request that has no record, with the capture that waits under it: in the order in which a worker takes the
/// two, so that neither waits for the other.
fn withdraw_request(connection: &Connection, request: &RequestKey) -> Result<(), StoreError> {
    let sql = "SELECT subject_id, verification_id FROM request WHERE institution = ?1 AND transaction_id = ?2 AND attempt = ?3";
    let decode = |columns: &Columns<'_>| Ok((SubjectId(columns.get("subject_id")?), RecordId(columns.get("verification_id")?)));
    if let Some((subject, id)) =
        query_one(connection, sql, params![request.institution, request.transaction, request.attempt], "request", decode)?
    {
        deferred::remove(connection, subject, id)?;
    }
    // A worker may have answered it since.
    let sql = "DELETE FROM request WHERE institution = ?1 AND transaction_id = ?2 AND attempt = ?3 AND decided_at = 0";
    execute(connection, sql, params![request.institution, request.transaction, request.attempt], "request").map(drop)
}

/// What a request was answered with before, if it was.
fn answered(connection: &Connection, record: &Verification) -> Result<Option<Recorded>, StoreError> {
    let stored = answer(connection, &record.request)?;
    Ok(stored.map(|stored| {
        let same = stored.request_digest == record.request_digest;
        if same { Recorded::AlreadyAnswered(Box::new(stored)) } else { Recorded::RequestTaken(Box::new(stored)) }
    }))
}

/// The person, or the record itself where nobody is known: every row has a place on some shard.
fn leading_id(record: &Verification) -> [u8; 16] {
    record.subject.map_or(record.id.0, |subject| subject.0)
}

/// Notes which record answers a request, unless another one does; not where the record is about somebody who was forgotten
/// since the person was looked up, nor a probe of somebody who has withdrawn consent since.
fn put_request(connection: &Connection, new: &NewVerification) -> Result<usize, StoreError> {
    let (record, request) = (&new.record, &new.record.request);
    let stands = match (record.subject, &new.probe) {
        // Without a condition, what follows could be taken for one of a join.
        (None, _) => "WHERE TRUE",
        (Some(_), None) => "WHERE EXISTS (SELECT 1 FROM data_key WHERE subject_id = ?5)",
        (Some(_), Some(_)) => {
            "WHERE EXISTS (SELECT 1 FROM data_key JOIN subject USING (subject_id) WHERE subject_id = ?5 AND withdrawn_at IS NULL)"
        }
    };
    let sql = format!(
        "INSERT INTO request (institution, transaction_id, attempt, envelope_digest, subject_id, verification_id, decided_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 {stands} ON CONFLICT (institution, transaction_id, attempt) DO NOTHING"
    );
    let values = params![
        request.institution,
        request.transaction,
        request.attempt,
        record.request_digest,
        leading_id(record),
        record.id.0,
        record.decided_at
    ];
    execute_later(connection, &sql, values, "request")
}

pub(super) fn take_request_back(connection: &Connection, request: &RequestKey) -> Result<(), StoreError> {
    let sql = "DELETE FROM request WHERE institution = ?1 AND transaction_id = ?2 AND attempt = ?3";
    execute(connection, sql, params![request.institution, request.transaction, request.attempt], "request").map(drop)
}

fn put(connection: &Connection, record: &Verification) -> Result<(), StoreError> {
    put_into(connection, TABLE, record)
}

/// Writes a record into the log, or into the table of made-up ones, which has the same columns.
pub(super) fn put_into(connection: &Connection, table: &'static str, record: &Verification) -> Result<(), StoreError> {
    let sequence = i64::try_from(record.sequence).map_err(|_| StoreError::Corrupt { table: TABLE, field: "sequence" })?;
    let reasons = serde_json::to_string(&record.reasons).map_err(|_| StoreError::Corrupt { table: TABLE, field: "reasons" })?;
    let values = params![
        leading_id(record),
        record.id.0,
        record.subject.is_some(),
        record.request.institution,
        record.request.transaction,
        record.request.attempt,
        record.request_digest,
        record.device,
        record.counter,
        sequence,
        record.scene.word(),
        record.operator,
        record.notice,
        record.identifier.kind.word(),
        record.identifier.region,
        record.identifier.hash,
        record.identifier_masked,
        record.captured_at,
        record.decided_at,
        record.decision.policy_key(),
        reasons,
        record.disposition.word(),
        record.score.map(f64::from),
        record.match_threshold.map(f64::from),
        record.non_match_threshold.map(f64::from),
        record.model,
        record.live.map(f64::from),
        record.policy_version,
        record.mode.word(),
        record.recipe,
        record.consent,
        record.facts.minor,
        record.facts.childhood_photo,
        record.facts.photo_age_days,
        record.reference.map(|reference| reference.0),
        record.facts.age.word(),
    ];
    let sql = format!(
        "INSERT INTO {table} (subject_id, id, known, institution, transaction_id, attempt, envelope_digest, device_id, counter,
             sequence, scene, operator, notice, identifier_kind, identifier_region, identifier_hash, identifier_masked, captured_at,
             decided_at, decision, reasons, disposition, score, match_threshold, non_match_threshold, model, live,
             policy_version, mode, recipe, consent, minor, childhood_photo, photo_age_days,
             reference_id, age_band)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
             ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36)"
    );
    insert(connection, &sql, values, table)
}

fn decode(columns: &Columns<'_>) -> Result<Verification, StoreError> {
    let leading = SubjectId(columns.get("subject_id")?);
    let reasons: String = columns.get("reasons")?;
    Ok(Verification {
        id: RecordId(columns.get("id")?),
        request: RequestKey {
            institution: columns.get("institution")?,
            transaction: columns.get("transaction_id")?,
            attempt: columns.unsigned("attempt")?,
        },
        request_digest: columns.get("envelope_digest")?,
        device: columns.get("device_id")?,
        counter: columns.get("counter")?,
        sequence: columns.unsigned("sequence")?,
        scene: columns.word("scene", Scene::from_word)?,
        operator: columns.get("operator")?,
        notice: columns.get("notice")?,
        identifier: columns::identifier(columns)?,
        identifier_masked: columns.get("identifier_masked")?,
        subject: columns.get::<bool>("known")?.then_some(leading),
        captured_at: columns.get("captured_at")?,
        decided_at: columns.get("decided_at")?,
        decision: columns.word("decision", Decision::from_policy_key)?,
        reasons: serde_json::from_str(&reasons).map_err(|_| columns.corrupt("reasons"))?,
        disposition: columns.word("disposition", Disposition::from_word)?,
        score: columns.single("score")?,
        match_threshold: columns.single("match_threshold")?,
        non_match_threshold: columns.single("non_match_threshold")?,
        model: columns.get("model")?,
        live: columns.single("live")?,
        policy_version: columns.get("policy_version")?,
        mode: columns.word("mode", Mode::from_word)?,
        recipe: columns.get("recipe")?,
        consent: columns.get("consent")?,
        facts: ReferenceFacts {
            minor: columns.get("minor")?,
            childhood_photo: columns.get("childhood_photo")?,
            photo_age_days: columns.get("photo_age_days")?,
            age: AgeBand::from_word(&columns.get::<String>("age_band")?).unwrap_or_default(),
        },
        reference: columns.get::<Option<[u8; 16]>>("reference_id")?.map(RecordId),
    })
}
