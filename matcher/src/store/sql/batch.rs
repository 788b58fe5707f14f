//! Jobs of re-comparison and their chunks: planned, taken, finished, listed.

use async_trait::async_trait;
use matcher_core::{Decision, JobKind, JobState, RetryRule};

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, query, query_one},
    enrolments, params, probes,
};
use crate::store::{
    RecordId, StoreError, StoredSubject, SubjectId, TimeMs,
    audit::events,
    batch::{Batch, ChunkDone, Job, NewChunk, NewJob, Persons, Recomparison, Span, StoredProbe, TakenChunk, Tally},
};

const JOB: &str = "batch_job";
const CHUNK: &str = "batch_chunk";
const RECOMPARISON: &str = "recomparison";
const SELECT: &str = "SELECT id, kind, state, since, until, requested_by, reason, requested_at, started_at, finished_at FROM batch_job";
/// Chunks that may be taken: due, or due so far ahead (`?2`) that the clock was set back since.
const DUE: &str = "state = 'waiting' AND (due_at <= ?1 OR due_at > ?1 + ?2)";

#[async_trait]
impl Batch for SqlStore {
    async fn plan(&self, since: TimeMs, until: TimeMs, probes_each: u32) -> Result<Vec<NewChunk>, StoreError> {
        self.readers.read(move |connection| plan(connection, since, until, probes_each)).await
    }

    async fn put_job(&self, job: NewJob) -> Result<bool, StoreError> {
        self.writer.write_beside(move |connection| put_job(connection, &job)).await
    }

    async fn take_chunk(&self, of: Option<RecordId>, now: TimeMs, rule: RetryRule) -> Result<Option<TakenChunk>, StoreError> {
        self.writer.write_beside(move |connection| take(connection, of, now, rule)).await
    }

    async fn probes_of(&self, span: Span) -> Result<Vec<StoredProbe>, StoreError> {
        probes::of_span(&self.readers, span).await
    }

    async fn persons_of(&self, span: Span) -> Result<Vec<StoredSubject>, StoreError> {
        enrolments::of_span(&self.readers, span).await
    }

    async fn finish_chunk(&self, done: ChunkDone) -> Result<bool, StoreError> {
        self.writer.write_beside(move |connection| finish(connection, &done)).await
    }

    async fn jobs(&self, limit: u32) -> Result<Vec<Job>, StoreError> {
        let read = move |connection: &Connection| {
            let sql = format!("{SELECT} ORDER BY requested_at DESC, id LIMIT ?1");
            let jobs = query(connection, &sql, [limit], JOB, decode_job)?;
            jobs.into_iter().map(|job| with_chunks(connection, job)).collect()
        };
        self.readers.read(read).await
    }

    async fn job(&self, id: RecordId) -> Result<Option<Job>, StoreError> {
        self.readers.read(move |connection| job(connection, id)).await
    }

    async fn cancel_job(&self, id: RecordId, by: &str, now: TimeMs) -> Result<bool, StoreError> {
        let by = by.to_owned();
        let cancel = move |connection: &Connection| {
            let sql = "UPDATE batch_job SET state = 'cancelled', finished_at = ?2 WHERE id = ?1 AND state IN ('running', 'incomplete')";
            let cancelled = execute(connection, sql, params![id.0, now], JOB)? == 1;
            if cancelled {
                audit::append(connection, &events::batch_cancelled(id, &by, now))?;
            }
            Ok(cancelled)
        };
        self.writer.write_beside(cancel).await
    }

    async fn retry_job(&self, id: RecordId, by: &str, now: TimeMs) -> Result<u64, StoreError> {
        let by = by.to_owned();
        self.writer.write_beside(move |connection| retry(connection, id, &by, now)).await
    }

    async fn recomparisons(&self, job: RecordId, limit: u32) -> Result<Vec<Recomparison>, StoreError> {
        let sql = "SELECT subject_id, verification_id, compared_at, policy_version, model, reference_id, score, decision FROM recomparison
             WHERE job_id = ?1 ORDER BY subject_id, verification_id LIMIT ?2";
        self.readers.read(move |connection| query(connection, sql, params![job.0, limit], RECOMPARISON, decode_recomparison)).await
    }
}

fn plan(connection: &Connection, since: TimeMs, until: TimeMs, probes_each: u32) -> Result<Vec<NewChunk>, StoreError> {
    let count = "SELECT count(*) AS n FROM probe WHERE decided_at >= ?1 AND decided_at < ?2";
    let probes: u64 = query_one(connection, count, [since, until], "probe", |columns| columns.unsigned("n"))?.unwrap_or_default();
    let each = u64::from(probes_each.max(1));
    if is_most(connection, since, until)? {
        let number = probes.div_ceil(each);
        let before = |part: u64| u64::try_from(u128::from(probes) * u128::from(part) / u128::from(number)).unwrap_or(probes);
        let chunk = |(part, persons)| NewChunk { span: Span { from: since, until, persons }, probes: before(part + 1) - before(part) };
        return Ok((0..number).zip(Persons::parts(number)).map(chunk).collect());
    }
    let (mut chunks, mut from) = (Vec::new(), since);
    let last = "SELECT decided_at FROM probe WHERE decided_at >= ?1 AND decided_at < ?2 ORDER BY decided_at LIMIT 1 OFFSET ?3";
    while from < until {
        let last: Option<TimeMs> =
            query_one(connection, last, params![from, until, probes_each.max(1) - 1], "probe", |columns| columns.get("decided_at"))?;
        // Those of one millisecond stay together.
        let end = last.map_or(until, |last| last.saturating_add(1).min(until));
        let probes = query_one(connection, count, [from, end], "probe", |columns| columns.unsigned("n"))?.unwrap_or_default();
        if probes > 0 {
            chunks.push(NewChunk { span: Span { from, until: end, persons: Persons::ALL }, probes });
        }
        from = end;
    }
    Ok(chunks)
}

/// Whether a span is at least half of the time of which there are probes: then it costs little to read past the others.
fn is_most(connection: &Connection, since: TimeMs, until: TimeMs) -> Result<bool, StoreError> {
    let sql = "SELECT (SELECT min(decided_at) FROM probe) AS oldest, (SELECT max(decided_at) FROM probe) AS newest";
    let decode = |columns: &Columns<'_>| Ok((columns.get::<Option<TimeMs>>("oldest")?, columns.get::<Option<TimeMs>>("newest")?));
    let Some((Some(oldest), Some(newest))) = query_one(connection, sql, (), "probe", decode)? else { return Ok(false) };
    let asked = until.min(newest.saturating_add(1)).saturating_sub(since.max(oldest));
    Ok(asked.saturating_mul(2) > newest.saturating_sub(oldest))
}

fn put_job(connection: &Connection, job: &NewJob) -> Result<bool, StoreError> {
    let name = (!job.name.is_empty()).then_some(job.name.as_str());
    let values = params![
        job.id.0,
        job.kind.word(),
        name,
        JobState::Running.word(),
        job.since,
        job.until,
        job.requested_by,
        job.reason,
        job.requested_at
    ];
    let sql = "INSERT INTO batch_job (id, kind, name, state, since, until, requested_by, reason, requested_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (name) DO NOTHING";
    if execute(connection, sql, values, JOB)? == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO batch_chunk (job_id, number, state, span_from, span_until, first_person, last_person, probes, due_at)
         VALUES (?1, ?2, 'waiting', ?3, ?4, ?5, ?6, ?7, ?8)";
    for (number, NewChunk { span, probes }) in job.chunks.iter().enumerate() {
        let (first, last) = (span.persons.first.to_be_bytes(), span.persons.last.to_be_bytes());
        let values = params![job.id.0, number as i64, span.from, span.until, first, last, *probes as i64, job.requested_at];
        execute(connection, sql, values, CHUNK)?;
    }
    audit::append(connection, &events::batch_requested(job))?;
    Ok(true)
}

fn take(connection: &Connection, of: Option<RecordId>, now: TimeMs, rule: RetryRule) -> Result<Option<TakenChunk>, StoreError> {
    let sql = format!(
        "UPDATE batch_chunk SET due_at = ?1 + ?3, taken = taken + 1
         WHERE (job_id, number) IN (SELECT job_id, number FROM batch_chunk
             WHERE {DUE} AND taken < ?5 AND job_id IN (SELECT id FROM batch_job WHERE state = 'running' AND (id = ?4 OR ?4 IS NULL))
             ORDER BY due_at, number LIMIT 1{})
         RETURNING job_id, number, span_from, span_until, first_person, last_person, taken, (SELECT kind FROM batch_job AS j WHERE j.id = job_id) AS kind,
             (SELECT started_at FROM batch_job AS j WHERE j.id = job_id) AS started_at",
        connection.skip_locked()
    );
    let decode = |columns: &Columns<'_>| {
        let (job, number) = (RecordId(columns.get("job_id")?), columns.unsigned("number")?);
        let (from, until) = (columns.get("span_from")?, columns.get("span_until")?);
        let (first, last) = (columns.get("first_person")?, columns.get("last_person")?);
        let persons = Persons { first: u64::from_be_bytes(first), last: u64::from_be_bytes(last) };
        let (span, taken) = (Span { from, until, persons }, columns.unsigned("taken")?);
        let chunk = TakenChunk { job, kind: columns.word("kind", JobKind::from_word)?, number, span, taken };
        Ok((chunk, columns.get::<Option<TimeMs>>("started_at")?.is_some()))
    };
    let values = params![now, rule.ahead_max_ms(), rule.again_after_ms(1), of.map(|of| of.0), rule.attempts_max];
    let Some((chunk, started)) = query_one(connection, &sql, values, CHUNK, decode)? else {
        let running = "SELECT id FROM batch_job WHERE state = 'running' LIMIT 1";
        if query_one(connection, running, (), JOB, |columns| columns.get::<[u8; 16]>("id"))?.is_none() {
            return Ok(None);
        }
        let sql = format!("UPDATE batch_chunk SET state = 'parked' WHERE {DUE} AND taken >= ?3");
        execute(connection, &sql, params![now, rule.ahead_max_ms(), rule.attempts_max], CHUNK)?;
        settle(connection, now)?;
        return Ok(None);
    };
    if !started {
        execute(connection, "UPDATE batch_job SET started_at = ?2 WHERE id = ?1 AND started_at IS NULL", params![chunk.job.0, now], JOB)?;
    }
    Ok(Some(chunk))
}

/// Ends jobs of which nothing is left to do.
fn settle(connection: &Connection, now: TimeMs) -> Result<(), StoreError> {
    let sql = "UPDATE batch_job SET finished_at = ?1,
             state = CASE WHEN EXISTS (SELECT 1 FROM batch_chunk AS c WHERE c.job_id = batch_job.id AND c.state = 'parked')
                 THEN 'incomplete' ELSE 'done' END
         WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM batch_chunk AS c WHERE c.job_id = batch_job.id AND c.state = 'waiting')
         RETURNING id";
    for id in query(connection, sql, [now], JOB, |columns| columns.get("id").map(RecordId))? {
        if let Some(job) = job(connection, id)? {
            audit::append(connection, &events::batch_finished(id, job.state, job.tally, now))?;
        }
    }
    Ok(())
}

fn finish(connection: &Connection, done: &ChunkDone) -> Result<bool, StoreError> {
    let (chunk, tally) = (&done.chunk, &done.tally);
    let values = params![chunk.job.0, chunk.number, chunk.taken, tally.compared as i64, tally.differing as i64, tally.unreadable as i64];
    let sql = "UPDATE batch_chunk SET state = 'done', compared = ?4, differing = ?5, unreadable = ?6
         WHERE job_id = ?1 AND number = ?2 AND taken = ?3 AND state = 'waiting'
             AND EXISTS (SELECT 1 FROM batch_job AS j WHERE j.id = ?1 AND j.state = 'running')";
    if execute(connection, sql, values, CHUNK)? == 0 {
        return Ok(false);
    }
    // Whoever was forgotten meanwhile leaves no row.
    let sql =
        "INSERT INTO recomparison (subject_id, job_id, verification_id, compared_at, policy_version, model, reference_id, score, decision)
         SELECT subject_id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM subject WHERE subject_id = ?1
         ON CONFLICT (subject_id, job_id, verification_id) DO NOTHING";
    for row in &done.differing {
        let values = params![
            row.subject.0,
            chunk.job.0,
            row.verification.0,
            row.compared_at,
            row.policy_version,
            row.model,
            row.reference.map(|reference| reference.0),
            row.score.map(f64::from),
            row.decision.policy_key(),
        ];
        execute(connection, sql, values, RECOMPARISON)?;
    }
    Ok(true)
}

fn retry(connection: &Connection, id: RecordId, by: &str, now: TimeMs) -> Result<u64, StoreError> {
    let sql = "UPDATE batch_chunk SET state = 'waiting', taken = 0, due_at = ?2 WHERE job_id = ?1 AND state = 'parked'
         AND EXISTS (SELECT 1 FROM batch_job AS j WHERE j.id = ?1 AND j.state <> 'cancelled')";
    let chunks = execute(connection, sql, params![id.0, now], CHUNK)? as u64;
    if chunks > 0 {
        let sql = "UPDATE batch_job SET state = 'running', finished_at = NULL WHERE id = ?1";
        execute(connection, sql, [id.0], JOB)?;
        audit::append(connection, &events::batch_retried(id, by, chunks, now))?;
    }
    Ok(chunks)
}

fn job(connection: &Connection, id: RecordId) -> Result<Option<Job>, StoreError> {
    let job = query_one(connection, &format!("{SELECT} WHERE id = ?1"), [id.0], JOB, decode_job)?;
    job.map(|job| with_chunks(connection, job)).transpose()
}

fn with_chunks(connection: &Connection, job: Job) -> Result<Job, StoreError> {
    let sum = |column: &str| format!("CAST(coalesce(sum({column}), 0) AS BIGINT) AS {column}");
    let sql = format!(
        "SELECT count(*) AS chunks, count(*) FILTER (WHERE state = 'parked') AS parked, {}, {}, {}, {} FROM batch_chunk WHERE job_id = ?1",
        sum("probes"),
        sum("compared"),
        sum("differing"),
        sum("unreadable")
    );
    let decode = |columns: &Columns<'_>| {
        let tally = Tally {
            compared: columns.unsigned("compared")?,
            differing: columns.unsigned("differing")?,
            unreadable: columns.unsigned("unreadable")?,
        };
        Ok((columns.unsigned("chunks")?, columns.unsigned("parked")?, columns.unsigned("probes")?, tally))
    };
    let (chunks, parked, probes, tally) = query_one(connection, &sql, [job.id.0], CHUNK, decode)?.unwrap_or_default();
    Ok(Job { chunks, parked, probes, tally, ..job })
}

fn decode_job(columns: &Columns<'_>) -> Result<Job, StoreError> {
    Ok(Job {
        id: RecordId(columns.get("id")?),
        kind: columns.word("kind", JobKind::from_word)?,
        state: columns.word("state", JobState::from_word)?,
        since: columns.get("since")?,
        until: columns.get("until")?,
        requested_by: columns.get("requested_by")?,
        reason: columns.get("reason")?,
        requested_at: columns.get("requested_at")?,
        started_at: columns.get("started_at")?,
        finished_at: columns.get("finished_at")?,
        chunks: 0,
        parked: 0,
        probes: 0,
        tally: Tally::default(),
    })
}

fn decode_recomparison(columns: &Columns<'_>) -> Result<Recomparison, StoreError> {
    Ok(Recomparison {
        subject: SubjectId(columns.get("subject_id")?),
        verification: RecordId(columns.get("verification_id")?),
        compared_at: columns.get("compared_at")?,
        policy_version: columns.get("policy_version")?,
        model: columns.get("model")?,
        reference: columns.get::<Option<[u8; 16]>>("reference_id")?.map(RecordId),
        score: columns.single("score")?,
        decision: columns.word("decision", Decision::from_policy_key)?,
    })
}
