//! Cases: opening them, what happened to them, and listings. Visits and findings, draws and tallies are in files of
//! their own.

use async_trait::async_trait;
use matcher_core::{
    AuditAction,
    evidence::{CaseEvent, CaseKind, CaseStep, CaseVerdict, Opening, operators::Tally},
};
use serde_json::json;

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, query, query_one},
    desk, params,
    seeds::NOT_A_SEED,
    webhook,
};
use crate::store::{
    RecordId, StoreError, SubjectId, TimeMs,
    audit::AuditEvent,
    cases::{BlindDraw, CaseMember, CaseRun, Cases, DeskOpening, Finding, NewCase, NewDraws, PersonVisits, StoredCase},
};

mod draws;
mod tallies;
mod visits;

pub(super) use visits::put_visit;

const TABLE: &str = "case_file";
const EVENTS: &str = "case_event";

/// Opens cases within the desk's day; none when the turn is over.
fn open_within(connection: &Connection, opening: &DeskOpening) -> Result<Option<u32>, StoreError> {
    if !visits::has_turn(connection, opening.fence)? {
        return Ok(None);
    }
    let sql = "SELECT count(*) AS opened FROM real_case WHERE opened_at >= ?1";
    let before: u32 = query_one(connection, sql, [opening.day_start], TABLE, |columns| columns.unsigned("opened"))?.unwrap_or_default();
    let mut opened = 0;
    for case in &opening.cases {
        if before + opened >= opening.capacity {
            break;
        }
        if !has_case(connection, case.subject, opening.quiet_since)? {
            open(connection, case)?;
            opened += 1;
        }
    }
    Ok(Some(opened))
}

/// Whether a person has a case opened since, or one that is not closed.
fn has_case(connection: &Connection, subject: SubjectId, since: TimeMs) -> Result<bool, StoreError> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM case_file AS c WHERE c.subject_id = ?1 AND {IN_THE_WAY}) AS found");
    Ok(query_one(connection, &sql, params![subject.0, since], TABLE, |columns| columns.get("found"))?.unwrap_or_default())
}

/// Of a case `c`: it was opened at or after ?2, or is not closed.
const IN_THE_WAY: &str = "(c.opened_at >= ?2 OR 'closed' IS DISTINCT FROM (SELECT e.event FROM case_event AS e
     WHERE e.subject_id = c.subject_id AND e.case_id = c.id ORDER BY e.number DESC LIMIT 1))";

pub(super) fn open(connection: &Connection, case: &NewCase) -> Result<(), StoreError> {
    let sql = "INSERT INTO case_file (subject_id, id, kind, opening, opened_at, log_odds, days, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let (kind, opening) = (case.kind.word(), case.opening.word());
    let values = params![case.subject.0, case.id.0, kind, opening, case.opened_at, case.log_odds, case.days, case.reason];
    execute(connection, sql, values, TABLE)?;
    let sql = "INSERT INTO case_member (subject_id, case_id, verification_id, face, suspect) VALUES (?1, ?2, ?3, ?4, ?5)";
    for member in &case.members {
        execute(connection, sql, params![case.subject.0, case.id.0, member.verification.0, member.face, member.suspect], "case_member")?;
    }
    desk::put(connection, case)?;
    let detail = json!({ "kind": kind, "opening": opening, "log_odds": case.log_odds, "members": case.members.len() });
    let (by, object) = (case.by.clone(), case.id.to_string());
    audit::append(connection, &AuditEvent { at: case.opened_at, action: AuditAction::CaseOpened, by, object, detail: detail.to_string() })
}

/// Opens a case unless its person has one that is not closed.
pub(super) fn open_unless_open(connection: &Connection, case: &NewCase) -> Result<(), StoreError> {
    if has_case(connection, case.subject, TimeMs::MAX)? { Ok(()) } else { open(connection, case) }
}

fn decode(columns: &Columns<'_>) -> Result<NewCase, StoreError> {
    Ok(NewCase {
        subject: SubjectId(columns.get("subject_id")?),
        id: RecordId(columns.get("id")?),
        kind: columns.word("kind", CaseKind::from_word)?,
        opening: columns.word("opening", Opening::from_word)?,
        opened_at: columns.get("opened_at")?,
        log_odds: columns.get("log_odds")?,
        days: columns.unsigned("days")?,
        reason: columns.get("reason")?,
        by: String::new(),
        members: Vec::new(),
    })
}

const SELECT: &str = "SELECT subject_id, id, kind, opening, opened_at, log_odds, days, reason FROM case_file";

fn list(connection: &Connection, since: TimeMs, limit: u32) -> Result<Vec<StoredCase>, StoreError> {
    let sql = format!("{SELECT} AS c WHERE opened_at >= ?1 AND {NOT_A_SEED} ORDER BY opened_at DESC, id LIMIT ?2");
    let cases = query(connection, &sql, params![since, limit], TABLE, decode)?;
    cases.into_iter().map(|case| whole(connection, case)).collect()
}

/// How a case was opened.
pub(super) fn opened(connection: &Connection, id: RecordId) -> Result<Option<NewCase>, StoreError> {
    query_one(connection, &format!("{SELECT} WHERE id = ?1"), [id.0], TABLE, decode)
}

fn by_id(connection: &Connection, id: RecordId) -> Result<Option<StoredCase>, StoreError> {
    opened(connection, id)?.map(|case| whole(connection, case)).transpose()
}

/// The captures of a case, by time.
pub(super) const MEMBERS: &str = "SELECT m.verification_id, m.face, m.suspect, coalesce(v.institution, s.institution) AS institution,
         coalesce(v.identifier_masked, s.identifier_masked) AS identifier_masked FROM case_member AS m
     LEFT JOIN verification AS v ON v.subject_id = m.subject_id AND v.id = m.verification_id
     LEFT JOIN seed_verification AS s ON s.subject_id = m.subject_id AND s.id = m.verification_id
     WHERE m.subject_id = ?1 AND m.case_id = ?2 ORDER BY coalesce(v.decided_at, s.decided_at), m.verification_id";
/// What happened to a case.
pub(super) const STEPS: &str =
    "SELECT at, actor, event, verdict, reason FROM case_event WHERE subject_id = ?1 AND case_id = ?2 ORDER BY number";

/// A case with its members and what happened to it.
pub(super) fn whole(connection: &Connection, mut case: NewCase) -> Result<StoredCase, StoreError> {
    let decode = |columns: &Columns<'_>| {
        let member = CaseMember {
            verification: RecordId(columns.get("verification_id")?),
            face: columns.unsigned("face")?,
            suspect: columns.get("suspect")?,
        };
        Ok((member, columns.get::<Option<String>>("institution")?, columns.get::<Option<String>>("identifier_masked")?))
    };
    let mut stored =
        StoredCase { steps: steps(connection, &case)?, identifier_masked: String::new(), institutions: Vec::new(), case: case.clone() };
    for (member, institution, masked) in query(connection, MEMBERS, params![case.subject.0, case.id.0], "case_member", decode)? {
        case.members.push(member);
        stored.institutions.extend(institution);
        stored.identifier_masked = masked.unwrap_or(stored.identifier_masked);
    }
    stored.institutions.sort_unstable();
    stored.institutions.dedup();
    stored.case = case;
    Ok(stored)
}

fn steps(connection: &Connection, case: &NewCase) -> Result<Vec<CaseStep>, StoreError> {
    let decode = |columns: &Columns<'_>| {
        let verdict = columns.get::<Option<String>>("verdict")?;
        let verdict = verdict.map(|word| CaseVerdict::from_word(&word).ok_or_else(|| columns.corrupt("verdict"))).transpose()?;
        let (event, reason): (String, String) = (columns.get("event")?, columns.get("reason")?);
        let event = CaseEvent::from_parts(&event, verdict, &reason).ok_or_else(|| columns.corrupt("event"))?;
        Ok(CaseStep { at: columns.get("at")?, by: columns.get("actor")?, event })
    };
    query(connection, STEPS, params![case.subject.0, case.id.0], EVENTS, decode)
}

/// Adds a step to a case that has had so many.
pub(super) fn add_step(connection: &Connection, id: RecordId, before: usize, step: &CaseStep) -> Result<bool, StoreError> {
    let Some(case) = opened(connection, id)? else { return Ok(false) };
    let steps = steps(connection, &case)?;
    if steps.len() != before {
        return Ok(false);
    }
    let number = i64::try_from(before + 1).map_err(|_| StoreError::Corrupt { table: EVENTS, field: "number" })?;
    let (verdict, reason) = step.event.said();
    let verdict = verdict.map(CaseVerdict::word);
    let sql = "INSERT INTO case_event (subject_id, case_id, number, at, actor, event, verdict, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let values = params![case.subject.0, id.0, number, step.at, step.by, step.event.word(), verdict, reason];
    execute(connection, sql, values, EVENTS)?;
    let steps_before = steps.clone();
    desk::moved(connection, case.subject, id, steps.into_iter().chain([step.clone()]))?;
    let action = match &step.event {
        CaseEvent::Claimed | CaseEvent::Released => AuditAction::CaseClaimed,
        CaseEvent::Decided(..) | CaseEvent::Reviewed(..) => AuditAction::CaseDecided,
        CaseEvent::Closed => AuditAction::CaseClosed,
        CaseEvent::Reopened(_) => AuditAction::CaseReopened,
    };
    webhook::tell(connection, &case, &steps_before, step)?;
    desk::reviewers::note(connection, id, &steps_before, step)?;
    if step.event == CaseEvent::Closed {
        visits::explain(connection, case.subject, id)?;
    }
    let detail = json!({ "event": step.event.word(), "verdict": verdict, "number": number }).to_string();
    let event = AuditEvent { at: step.at, action, by: step.by.clone(), object: id.to_string(), detail };
    audit::append(connection, &event)?;
    Ok(true)
}

#[async_trait]
impl Cases for SqlStore {
    async fn take_case_run(&self, now: TimeMs, lease_ms: i64) -> Result<Option<CaseRun>, StoreError> {
        self.writer.write(move |connection| visits::take_turn(connection, now, lease_ms)).await
    }

    async fn finish_case_run(&self, fence: u32, gathered_until: TimeMs, due_at: TimeMs) -> Result<bool, StoreError> {
        self.writer.write(move |connection| visits::finish_turn(connection, fence, gathered_until, due_at)).await
    }

    async fn visited_since(&self, since: TimeMs, after: Option<SubjectId>, limit: u32) -> Result<Vec<SubjectId>, StoreError> {
        self.readers.read(move |connection| visits::visited_since(connection, since, after, limit)).await
    }

    async fn visits_of(&self, subject: SubjectId, since: TimeMs) -> Result<Option<PersonVisits>, StoreError> {
        self.readers.read(move |connection| visits::of(connection, subject, since)).await
    }

    async fn put_findings(&self, fence: u32, findings: Vec<Finding>) -> Result<bool, StoreError> {
        self.writer.write(move |connection| visits::put_findings(connection, fence, &findings)).await
    }

    async fn findings(&self, log_odds_min: f64, since: TimeMs, quiet_since: TimeMs, limit: u32) -> Result<Vec<Finding>, StoreError> {
        self.readers.read(move |connection| visits::findings(connection, log_odds_min, since, quiet_since, limit)).await
    }

    async fn open_cases(&self, opening: DeskOpening) -> Result<Option<u32>, StoreError> {
        self.writer.write(move |connection| open_within(connection, &opening)).await
    }

    async fn open_case(&self, case: NewCase) -> Result<(), StoreError> {
        self.writer.write(move |connection| open(connection, &case)).await
    }

    async fn cases(&self, since: TimeMs, limit: u32) -> Result<Vec<StoredCase>, StoreError> {
        self.readers.read(move |connection| list(connection, since, limit)).await
    }

    async fn case(&self, id: RecordId) -> Result<Option<StoredCase>, StoreError> {
        self.readers.read(move |connection| by_id(connection, id)).await
    }

    async fn add_case_step(&self, id: RecordId, before: usize, step: CaseStep) -> Result<bool, StoreError> {
        self.writer.write(move |connection| add_step(connection, id, before, &step)).await
    }

    async fn matches_between(&self, from: TimeMs, to: TimeMs) -> Result<Vec<(SubjectId, RecordId)>, StoreError> {
        self.readers.read(move |connection| draws::matches_between(connection, from, to)).await
    }

    async fn is_drawn(&self, day: i32) -> Result<bool, StoreError> {
        self.readers.read(move |connection| draws::is_drawn(connection, day)).await
    }

    async fn put_draws(&self, new: NewDraws) -> Result<bool, StoreError> {
        self.writer.write(move |connection| draws::put(connection, &new)).await
    }

    async fn draws(&self, from_day: i32) -> Result<Vec<BlindDraw>, StoreError> {
        self.readers.read(move |connection| draws::list(connection, from_day)).await
    }

    async fn judge_draw(&self, verification: RecordId, two_people: bool, by: String, at: TimeMs) -> Result<bool, StoreError> {
        self.writer.write(move |connection| draws::judge(connection, verification, two_people, &by, at)).await
    }

    async fn tallies(&self, since: TimeMs) -> Result<Vec<Tally>, StoreError> {
        self.readers.read(move |connection| tallies::since(connection, since)).await
    }
}
