//! Captures that wait to be compared: kept, taken, finished.

use async_trait::async_trait;
use matcher_core::{Decision, RetryRule};

use super::{
    Connection, SqlStore, audit, cases,
    columns::{Columns, execute, execute_later, query, query_one},
    devices, enrolments, params, probes, rechecks, unavailable, verifications,
    writer::undoable,
};
use crate::store::{
    MadeBy, NewVerification, RecordId, Recorded, RequestKey, Sealed, StoreError, StoredSubject, SubjectId, TimeMs,
    audit::events,
    deferred::{Arrival, Backlog, Deferred, DeferredOutcome, DoneDeferred, Kept, NewDeferred, Standing, TakenDeferred},
};

const TABLE: &str = "deferred";
/// Why a capture is put aside that ends its workers.
const TOO_OFTEN: &str = "taken_too_often";
/// Captures that may be taken: due, or due so far ahead (`?2`) that the clock was set back since.
const DUE: &str = "parked IS NULL AND (due_at <= ?1 OR due_at > ?1 + ?2)";

#[async_trait]
impl Deferred for SqlStore {
    async fn standing(&self, requests: Vec<RequestKey>) -> Result<Vec<Option<Standing>>, StoreError> {
        self.readers.read(move |connection| requests.iter().map(|request| standing(connection, request)).collect()).await
    }

    async fn keep(&self, arrivals: Vec<Arrival>) -> Result<Vec<Result<Kept, StoreError>>, StoreError> {
        self.writer.write_beside(move |connection| each(connection, &arrivals, keep)).await
    }

    async fn take_deferred(&self, now: TimeMs, limit: u32, rule: RetryRule) -> Result<Vec<TakenDeferred>, StoreError> {
        self.writer.write_beside(move |connection| take(connection, now, limit, rule)).await
    }

    async fn finish_deferred(&self, done: Vec<DoneDeferred>) -> Result<Vec<Result<bool, StoreError>>, StoreError> {
        self.writer.write_beside(move |connection| each(connection, &done, finish)).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.readers.read(backlog).await
    }

    async fn retry_deferred(&self, by: &str, now: TimeMs) -> Result<u64, StoreError> {
        let by = by.to_owned();
        self.writer.write_beside(move |connection| retry(connection, &by, now)).await
    }

    async fn persons(&self, subjects: Vec<SubjectId>) -> Result<Vec<StoredSubject>, StoreError> {
        self.readers.read(move |connection| enrolments::in_use(connection, &subjects)).await
    }

    async fn decisions_of_all(&self, transactions: Vec<(String, String)>) -> Result<Vec<Vec<(u32, Decision)>>, StoreError> {
        self.readers.read(move |connection| verifications::decisions_of_all(connection, &transactions)).await
    }
}

/// Changes each, so that one that fails undoes itself alone. Where a savepoint costs messages all are changed without
/// first, and again with, if one of them fails.
fn each<T, U>(
    connection: &Connection,
    items: &[T],
    change: impl Fn(&Connection, &T) -> Result<U, StoreError>,
) -> Result<Vec<Result<U, StoreError>>, StoreError> {
    if !connection.has_cheap_savepoints() {
        let all = |connection: &Connection| {
            let done: Vec<U> = items.iter().map(|item| change(connection, item)).collect::<Result<_, StoreError>>()?;
            connection.settle().map(|()| done)
        };
        if let Ok(done) = undoable(connection, all).map_err(unavailable)? {
            return Ok(done.into_iter().map(Ok).collect());
        }
    }
    let one = |item| {
        let change = |connection: &Connection| {
            let done = change(connection, item)?;
            connection.settle().map(|()| done)
        };
        undoable(connection, change).map_err(unavailable)
    };
    items.iter().map(one).collect()
}

/// The envelope that a request is taken by, answered or not.
pub(super) fn standing(connection: &Connection, request: &RequestKey) -> Result<Option<Standing>, StoreError> {
    let sql = "SELECT r.envelope_digest, r.verification_id, coalesce(v.identifier_masked, '') AS identifier_masked FROM request AS r
         LEFT JOIN verification AS v ON v.subject_id = r.subject_id AND v.id = r.verification_id AND v.decided_at = r.decided_at
         WHERE r.institution = ?1 AND r.transaction_id = ?2 AND r.attempt = ?3";
    let decode = |columns: &Columns<'_>| {
        Ok(Standing {
            digest: columns.get("envelope_digest")?,
            verification: RecordId(columns.get("verification_id")?),
            identifier_masked: columns.get("identifier_masked")?,
        })
    };
    query_one(connection, sql, params![request.institution, request.transaction, request.attempt], "request", decode)
}

fn keep(connection: &Connection, arrival: &Arrival) -> Result<Kept, StoreError> {
    match arrival {
        Arrival::Waiting(new) => keep_waiting(connection, new),
        Arrival::Decided(new) => keep_decided(connection, new),
    }
}

fn keep_decided(connection: &Connection, new: &NewVerification) -> Result<Kept, StoreError> {
    let taken = verifications::ahead(connection, new)?;
    Ok(match verifications::record(connection, new, &taken, &connection.counts()?)? {
        Recorded::Stored => Kept::Now,
        Recorded::AlreadyAnswered(_) => Kept::Before,
        Recorded::RequestTaken(_) | Recorded::RequestWaits(_) => kept_before(connection, &new.record.request, &new.record.request_digest)?,
        Recorded::SequenceTaken => Kept::SequenceTaken,
    })
}

/// What stands in the way of a capture whose request is taken, or whose person is gone or has withdrawn consent.
fn kept_before(connection: &Connection, request: &RequestKey, digest: &[u8; 32]) -> Result<Kept, StoreError> {
    let standing = standing(connection, request)?.ok_or(StoreError::Conflict("person"))?;
    Ok(if standing.digest == *digest { Kept::Before } else { Kept::RequestTaken(standing) })
}

fn keep_waiting(connection: &Connection, new: &NewDeferred) -> Result<Kept, StoreError> {
    let request = put_request(connection, new)?;
    let sequence = devices::use_sequence(connection, &new.device, new.sequence, &new.digest)?;
    let counts = connection.counts()?;
    let written = |place: usize| counts.get(place) == Some(&1);
    if !written(request) {
        if written(sequence) {
            devices::free_sequence(connection, &new.device, new.sequence)?;
        }
        return kept_before(connection, &new.request, &new.digest);
    }
    if !written(sequence) && !devices::is_sequence_of(connection, &new.device, new.sequence, &new.digest)? {
        verifications::take_request_back(connection, &new.request)?;
        return Ok(Kept::SequenceTaken);
    }
    put(connection, new)?;
    audit::append(connection, &events::capture_stored(new))?;
    Ok(Kept::Now)
}

fn put_request(connection: &Connection, new: &NewDeferred) -> Result<usize, StoreError> {
    let request = &new.request;
    let values = params![request.institution, request.transaction, request.attempt, new.digest, new.subject.0, new.id.0];
    let sql = "INSERT INTO request (institution, transaction_id, attempt, envelope_digest, subject_id, verification_id, decided_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, 0 WHERE EXISTS
             (SELECT 1 FROM data_key JOIN subject USING (subject_id) WHERE subject_id = ?5 AND withdrawn_at IS NULL)
         ON CONFLICT (institution, transaction_id, attempt) DO NOTHING";
    execute_later(connection, sql, values, "request")
}

fn put(connection: &Connection, new: &NewDeferred) -> Result<(), StoreError> {
    let request = &new.request;
    let values = params![
        new.subject.0,
        new.id.0,
        request.institution,
        request.transaction,
        request.attempt,
        new.captured_at,
        new.received_at,
        new.made_by.model,
        new.made_by.recipe,
        new.facts.0,
        new.probe.template.0,
    ];
    let sql = "INSERT INTO deferred (subject_id, verification_id, institution, transaction_id, attempt, captured_at, received_at,
             model, recipe, facts, template, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?7)";
    execute_later(connection, sql, values, TABLE)?;
    let sql = "INSERT INTO deferred_sample (subject_id, verification_id, sample) VALUES (?1, ?2, ?3)";
    execute_later(connection, sql, params![new.subject.0, new.id.0, new.probe.sample.0], TABLE).map(drop)
}

/// Fresh ones first; then those that failed before, and from the third time on one alone.
fn take(connection: &Connection, now: TimeMs, limit: u32, rule: RetryRule) -> Result<Vec<TakenDeferred>, StoreError> {
    let ahead = rule.ahead_max_ms();
    let sql = format!("SELECT taken FROM deferred WHERE {DUE} ORDER BY taken LIMIT 1");
    let least: Option<u32> = query_one(connection, &sql, [now, ahead], TABLE, |columns| columns.unsigned("taken"))?;
    let Some(least) = least else { return Ok(Vec::new()) };
    park_spent(connection, now, rule)?;
    for before in least..rule.attempts_max {
        let limit = if before + 1 >= RetryRule::ALONE_FROM { 1 } else { limit };
        let mut taken = take_those(connection, now, limit, rule, before)?;
        if !taken.is_empty() {
            taken.sort_by_key(|taken| taken.received_at);
            return Ok(taken);
        }
    }
    Ok(Vec::new())
}

fn take_those(connection: &Connection, now: TimeMs, limit: u32, rule: RetryRule, before: u32) -> Result<Vec<TakenDeferred>, StoreError> {
    let sql = format!(
        "UPDATE deferred SET due_at = ?1 + ?3, taken = taken + 1
         WHERE (subject_id, verification_id) IN (SELECT d.subject_id, d.verification_id FROM deferred AS d
             WHERE d.{DUE} AND d.taken = ?4 AND NOT EXISTS (SELECT 1 FROM deferred AS e WHERE e.institution = d.institution
                 AND e.transaction_id = d.transaction_id AND e.attempt < d.attempt AND e.parked IS NULL)
             ORDER BY d.due_at LIMIT ?5{})
         RETURNING subject_id, verification_id, institution, transaction_id, attempt, captured_at, received_at, model, recipe, facts,
             template, taken",
        connection.skip_locked()
    );
    let decode = |columns: &Columns<'_>| {
        Ok(TakenDeferred {
            subject: SubjectId(columns.get("subject_id")?),
            id: RecordId(columns.get("verification_id")?),
            request: RequestKey {
                institution: columns.get("institution")?,
                transaction: columns.get("transaction_id")?,
                attempt: columns.unsigned("attempt")?,
            },
            captured_at: columns.get("captured_at")?,
            received_at: columns.get("received_at")?,
            made_by: MadeBy { model: columns.get("model")?, recipe: columns.get("recipe")? },
            facts: Sealed(columns.get("facts")?),
            template: Sealed(columns.get("template")?),
            taken: columns.unsigned("taken")?,
        })
    };
    query(connection, &sql, params![now, rule.ahead_max_ms(), rule.again_after_ms(before + 1), before, limit], TABLE, decode)
}

fn park_spent(connection: &Connection, now: TimeMs, rule: RetryRule) -> Result<(), StoreError> {
    let sql = format!("UPDATE deferred SET parked = ?4 WHERE {DUE} AND taken >= ?3 RETURNING verification_id");
    let decode = |columns: &Columns<'_>| columns.get("verification_id").map(RecordId);
    let parked = query(connection, &sql, params![now, rule.ahead_max_ms(), rule.attempts_max, TOO_OFTEN], TABLE, decode)?;
    parked.iter().try_for_each(|id| audit::append(connection, &events::capture_parked(*id, TOO_OFTEN, now)))
}

fn finish(connection: &Connection, done: &DoneDeferred) -> Result<bool, StoreError> {
    let reason = match &done.outcome {
        DeferredOutcome::Decided(_) => None,
        DeferredOutcome::Parked(reason) => Some(*reason),
    };
    // The fence, and from here on the row is this one's.
    let sql = "UPDATE deferred SET parked = ?4 WHERE subject_id = ?1 AND verification_id = ?2 AND taken = ?3 AND parked IS NULL";
    if execute(connection, sql, params![done.subject.0, done.id.0, done.taken, reason], TABLE)? == 0 {
        return Ok(false);
    }
    match &done.outcome {
        DeferredOutcome::Decided(new) => decide(connection, done, new)?,
        DeferredOutcome::Parked(reason) => audit::append(connection, &events::capture_parked(done.id, reason, done.at))?,
    }
    Ok(true)
}

fn decide(connection: &Connection, done: &DoneDeferred, new: &NewVerification) -> Result<(), StoreError> {
    let record = &new.record;
    if (record.subject, record.id) != (Some(done.subject), done.id) {
        return Err(StoreError::Corrupt { table: TABLE, field: "facts" });
    }
    verifications::answer_waiting(connection, new)?;
    if let Some(made_by) = &new.made_by {
        let sql = "INSERT INTO probe (subject_id, verification_id, template, sample, decided_at, facts)
             SELECT subject_id, verification_id, template, sample, ?3, ?4
             FROM deferred JOIN deferred_sample USING (subject_id, verification_id) WHERE subject_id = ?1 AND verification_id = ?2";
        execute_later(connection, sql, params![done.subject.0, done.id.0, record.decided_at, probes::facts(new)?], "probe")?;
        cases::put_visit(connection, record, made_by)?;
    }
    if let Some(made_by) = &new.recheck {
        rechecks::put(connection, record, made_by)?;
    }
    remove(connection, done.subject, done.id)
}

/// Takes a capture out of what waits, if it waits.
pub(super) fn remove(connection: &Connection, subject: SubjectId, id: RecordId) -> Result<(), StoreError> {
    for table in ["deferred_sample", TABLE] {
        let sql = format!("DELETE FROM {table} WHERE subject_id = ?1 AND verification_id = ?2");
        execute_later(connection, &sql, params![subject.0, id.0], TABLE)?;
    }
    Ok(())
}

fn backlog(connection: &Connection) -> Result<Backlog, StoreError> {
    let sql = "SELECT count(*) AS n, min(received_at) AS oldest FROM deferred WHERE parked IS NULL";
    let decode = |columns: &Columns<'_>| Ok((columns.unsigned("n")?, columns.get("oldest")?));
    let (waiting, oldest) = query_one(connection, sql, (), TABLE, decode)?.unwrap_or_default();
    let sql = "SELECT parked, count(*) AS n FROM deferred WHERE parked IS NOT NULL GROUP BY parked ORDER BY parked";
    let parked = query(connection, sql, (), TABLE, |columns| Ok((columns.get("parked")?, columns.unsigned("n")?)))?;
    Ok(Backlog { waiting, oldest, parked })
}

fn retry(connection: &Connection, by: &str, now: TimeMs) -> Result<u64, StoreError> {
    let sql = "UPDATE deferred SET parked = NULL, taken = 0, due_at = ?1 WHERE parked IS NOT NULL";
    let retried = execute(connection, sql, [now], TABLE)? as u64;
    if retried > 0 {
        audit::append(connection, &events::captures_retried(by, retried, now))?;
    }
    Ok(retried)
}
