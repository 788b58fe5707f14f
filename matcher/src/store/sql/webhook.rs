//! What is told to the center's own systems: written in the transaction of its step, taken by lease, in the order of each case.

use async_trait::async_trait;
use jiff::Timestamp;
use matcher_core::{
    AuditAction,
    console::{CaseCode, Told, told_after},
    evidence::{Case, CaseStep, CaseVerdict},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, query, query_one},
    params, seeds,
};
use crate::store::{
    RecordId, StoreError, TimeMs,
    audit::AuditEvent,
    cases::NewCase,
    webhook::{Failed, Outbox, Replay, ToTell, ToTellIn},
};

const TABLE: &str = "webhook_event";
const SELECT: &str = "SELECT e.id, e.case_id, e.number, e.kind, e.body, e.made_at, e.due_at, e.tries, e.delivered_at, e.dead_at, e.said
     FROM webhook_event AS e";

/// Writes what a step with a case tells, after the steps before it. Known-answer cases tell nothing.
pub(super) fn tell(connection: &Connection, case: &NewCase, before: &[CaseStep], step: &CaseStep) -> Result<(), StoreError> {
    let sql = "SELECT kind, number FROM webhook_event WHERE case_id = ?1 ORDER BY number DESC LIMIT 1";
    let decode = |columns: &Columns<'_>| Ok((columns.word("kind", Told::from_word)?, columns.unsigned::<u32>("number")?));
    let last = query_one(connection, sql, [case.id.0], TABLE, decode)?;
    let verdict = Case::replay(before.iter().cloned()).ok().and_then(|case| case.verdict());
    let Some(kind) = told_after(last.map(|(kind, _)| kind), &step.event, verdict) else { return Ok(()) };
    if seeds::is_seed(connection, case.id)? {
        return Ok(());
    }
    let number = last.map_or(1, |(_, number)| number + 1);
    let body = body(connection, case, (kind, number), verdict, step.at)?;
    let id = id_of(case.id, number);
    let sql = "INSERT INTO webhook_event (id, case_id, number, kind, body, made_at, due_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)";
    execute(connection, sql, params![id.0, case.id.0, number, kind.word(), body, step.at], TABLE).map(drop)
}

/// The same for the same place among what is told of a case.
fn id_of(case: RecordId, number: u32) -> RecordId {
    let digest = Sha256::new().chain_update(b"countersign webhook").chain_update(case.0).chain_update(number.to_be_bytes()).finalize();
    RecordId(digest.first_chunk().copied().unwrap_or_default())
}

/// No face, no name, no number of a card: the random id of the person, and the transactions, by which a settlement system finds its own.
fn body(
    connection: &Connection,
    case: &NewCase,
    (kind, number): (Told, u32),
    verdict: Option<CaseVerdict>,
    at: TimeMs,
) -> Result<String, StoreError> {
    let sql = "SELECT v.institution, v.transaction_id, v.scene, v.captured_at, m.suspect FROM case_member AS m
         JOIN verification AS v ON v.subject_id = m.subject_id AND v.id = m.verification_id
         WHERE m.subject_id = ?1 AND m.case_id = ?2 ORDER BY v.captured_at, v.id";
    let captures = query(connection, sql, params![case.subject.0, case.id.0], "case_member", |columns| {
        Ok(json!({
            "institution": columns.get::<String>("institution")?,
            "transaction": columns.get::<String>("transaction_id")?,
            "scene": columns.get::<String>("scene")?,
            "captured_at": time(columns.get("captured_at")?),
            "suspect": columns.get::<bool>("suspect")?,
        }))
    })?;
    let data = json!({
        "case": case.id.to_string(),
        "code": CaseCode::of(&case.id.0).to_string(),
        "number": number,
        "about": case.kind.word(),
        "verdict": verdict.map(CaseVerdict::word),
        "opened_at": time(case.opened_at),
        "person": case.subject.to_string(),
        "captures": captures,
    });
    Ok(json!({ "type": kind.word(), "timestamp": time(at), "data": data }).to_string())
}

fn time(at: TimeMs) -> String {
    Timestamp::from_millisecond(at).unwrap_or_default().to_string()
}

fn decode(columns: &Columns<'_>) -> Result<ToTell, StoreError> {
    Ok(ToTell {
        id: RecordId(columns.get("id")?),
        case: RecordId(columns.get("case_id")?),
        number: columns.unsigned("number")?,
        kind: columns.word("kind", Told::from_word)?,
        body: columns.get("body")?,
        made_at: columns.get("made_at")?,
        due_at: columns.get("due_at")?,
        tries: columns.unsigned("tries")?,
        delivered_at: columns.get("delivered_at")?,
        dead_at: columns.get("dead_at")?,
        said: columns.get("said")?,
    })
}

fn take(connection: &Connection, now: TimeMs, lease_ms: i64, limit: u32) -> Result<Vec<ToTell>, StoreError> {
    // What was given up holds back what follows in its case: nobody hears that something is withdrawn which they never heard of.
    let sql = format!(
        "{SELECT} WHERE e.delivered_at IS NULL AND e.dead_at IS NULL AND e.due_at <= ?1 AND NOT EXISTS (
             SELECT 1 FROM webhook_event AS p WHERE p.case_id = e.case_id AND p.number < e.number AND p.delivered_at IS NULL)
         ORDER BY e.due_at, e.id LIMIT ?2"
    );
    let mut taken = query(connection, &sql, params![now, limit], TABLE, decode)?;
    for event in &mut taken {
        (event.tries, event.due_at) = (event.tries + 1, now + lease_ms);
        let sql = "UPDATE webhook_event SET tries = ?2, due_at = ?3 WHERE id = ?1";
        execute(connection, sql, params![event.id.0, event.tries, event.due_at], TABLE)?;
    }
    Ok(taken)
}

fn again(connection: &Connection, which: Replay, by: &str, at: TimeMs) -> Result<u64, StoreError> {
    let set = "UPDATE webhook_event SET delivered_at = NULL, dead_at = NULL, tries = 0, due_at = ?1 WHERE";
    let rows = match which {
        Replay::One(id) => execute(connection, &format!("{set} id = ?2"), params![at, id.0], TABLE)?,
        Replay::Dead => execute(connection, &format!("{set} dead_at IS NOT NULL"), [at], TABLE)?,
        Replay::Since(since) => execute(connection, &format!("{set} made_at >= ?2"), [at, since], TABLE)?,
    };
    if rows > 0 {
        let object = if let Replay::One(id) = which { id.to_string() } else { String::new() };
        let detail = json!({ "events": rows }).to_string();
        audit::append(connection, &AuditEvent { at, action: AuditAction::WebhookReplayed, by: by.to_owned(), object, detail })?;
    }
    Ok(rows as u64)
}

#[async_trait]
impl Outbox for SqlStore {
    async fn take_to_tell(&self, now: TimeMs, lease_ms: i64, limit: u32) -> Result<Vec<ToTell>, StoreError> {
        // A look that finds nothing, as nearly all do, keeps nobody waiting.
        let sql = "SELECT EXISTS (SELECT 1 FROM webhook_event WHERE delivered_at IS NULL AND dead_at IS NULL AND due_at <= ?1) AS found";
        let look = move |connection: &Connection| query_one(connection, sql, [now], TABLE, |columns| columns.get::<bool>("found"));
        if self.readers.read(look).await? != Some(true) {
            return Ok(Vec::new());
        }
        self.writer.write(move |connection| take(connection, now, lease_ms, limit)).await
    }

    async fn told(&self, id: RecordId, tries: u32, at: TimeMs) -> Result<bool, StoreError> {
        let sql = "UPDATE webhook_event SET delivered_at = ?3, said = '' WHERE id = ?1 AND tries = ?2 AND delivered_at IS NULL";
        self.writer.write(move |connection| Ok(execute(connection, sql, params![id.0, tries, at], TABLE)? == 1)).await
    }

    async fn not_told(&self, id: RecordId, tries: u32, failed: Failed) -> Result<bool, StoreError> {
        let sql = "UPDATE webhook_event SET due_at = coalesce(?3, due_at), dead_at = CASE WHEN ?3 IS NULL THEN ?4 END, said = ?5
             WHERE id = ?1 AND tries = ?2 AND delivered_at IS NULL";
        let write = move |connection: &Connection| {
            Ok(execute(connection, sql, params![id.0, tries, failed.due_at, failed.at, failed.said], TABLE)? == 1)
        };
        self.writer.write(write).await
    }

    async fn to_tell(&self, which: ToTellIn, since: TimeMs, limit: u32) -> Result<Vec<ToTell>, StoreError> {
        let condition = match which {
            ToTellIn::Any => "",
            ToTellIn::Waiting => "AND e.delivered_at IS NULL AND e.dead_at IS NULL",
            ToTellIn::Dead => "AND e.dead_at IS NOT NULL",
            ToTellIn::Delivered => "AND e.delivered_at IS NOT NULL",
        };
        let sql = format!("{SELECT} WHERE e.made_at >= ?1 {condition} ORDER BY e.made_at DESC, e.case_id, e.number DESC LIMIT ?2");
        self.readers.read(move |connection| query(connection, &sql, params![since, limit], TABLE, decode)).await
    }

    async fn tell_again(&self, which: Replay, by: &str, at: TimeMs) -> Result<u64, StoreError> {
        let by = by.to_owned();
        self.writer.write(move |connection| again(connection, which, &by, at)).await
    }
}
