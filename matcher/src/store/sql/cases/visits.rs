//! Visits that speak, what they say together, and whose turn it is to gather them.

use matcher_core::{decision::CHIP_REFERENCE, evidence::CaseKind};

use super::super::{
    Connection,
    columns::{Columns, execute, insert, query, query_one},
    params,
};
use crate::store::{
    MadeBy, RecordId, Sealed, StoreError, SubjectId, TimeMs, Verification,
    cases::{CaseRun, Finding, PersonVisits, StoredVisit},
};

const RUN: &str = "case_run";
const VISIT: &str = "visit";
const FINDING: &str = "finding";

/// Notes a visit with a probe; written with its verification, so that none is forgotten.
pub(in crate::store::sql) fn put_visit(connection: &Connection, record: &Verification, made_by: &MadeBy) -> Result<(), StoreError> {
    let subject = record.subject.ok_or(StoreError::Corrupt { table: VISIT, field: "subject_id" })?;
    // Who came in the holder's place explains another face than the holder's.
    let explained = record.is_of_proxy();
    let sql = "INSERT INTO visit (subject_id, verification_id, model, recipe, decided_at, explained) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    insert(connection, sql, params![subject.0, record.id.0, made_by.model, made_by.recipe, record.decided_at, explained], VISIT)
}

/// The visits that spoke against the holder in a case are no evidence again.
pub(super) fn explain(connection: &Connection, subject: SubjectId, case: RecordId) -> Result<(), StoreError> {
    let sql = "UPDATE visit SET explained = 1 WHERE subject_id = ?1 AND verification_id IN
         (SELECT verification_id FROM case_member WHERE subject_id = ?1 AND case_id = ?2 AND suspect = 1)";
    execute(connection, sql, params![subject.0, case.0], VISIT)?;
    execute(connection, "DELETE FROM finding WHERE subject_id = ?1", [subject.0], FINDING).map(drop)
}

/// Takes the turn, and keeps others from taking it for a while.
pub(super) fn take_turn(connection: &Connection, now: TimeMs, lease_ms: i64) -> Result<Option<CaseRun>, StoreError> {
    let sql = "UPDATE case_run SET due_at = ?1 + ?2, attempt = attempt + 1 WHERE id = 1 AND due_at <= ?1 RETURNING attempt, gathered_until";
    let decode =
        |columns: &Columns<'_>| Ok(CaseRun { fence: columns.unsigned("attempt")?, gathered_until: columns.get("gathered_until")? });
    query_one(connection, sql, params![now, lease_ms], RUN, decode)
}

/// Ends a turn; false when it is somebody else's.
pub(super) fn finish_turn(connection: &Connection, fence: u32, gathered_until: TimeMs, due_at: TimeMs) -> Result<bool, StoreError> {
    let sql = "UPDATE case_run SET gathered_until = CASE WHEN gathered_until > ?2 THEN gathered_until ELSE ?2 END, due_at = ?3 WHERE id = 1 AND attempt = ?1";
    Ok(execute(connection, sql, params![fence, gathered_until, due_at], RUN)? == 1)
}

/// Whether the turn is still this one.
pub(super) fn has_turn(connection: &Connection, fence: u32) -> Result<bool, StoreError> {
    let sql = "SELECT attempt FROM case_run WHERE id = 1";
    let attempt: Option<u32> = query_one(connection, sql, (), RUN, |columns| columns.unsigned("attempt"))?;
    Ok(attempt == Some(fence))
}

/// People with visits at or after a time, by id.
pub(super) fn visited_since(
    connection: &Connection,
    since: TimeMs,
    after: Option<SubjectId>,
    limit: u32,
) -> Result<Vec<SubjectId>, StoreError> {
    let sql =
        "SELECT DISTINCT subject_id FROM visit WHERE decided_at >= ?1 AND (?2 IS NULL OR subject_id > ?2) ORDER BY subject_id LIMIT ?3";
    query(connection, sql, params![since, after.map(|after| after.0), limit], VISIT, |columns| Ok(SubjectId(columns.get("subject_id")?)))
}

/// A person's visits at or after a time.
pub(super) fn of(connection: &Connection, subject: SubjectId, since: TimeMs) -> Result<Option<PersonVisits>, StoreError> {
    let sql = "SELECT wrapped FROM data_key WHERE subject_id = ?1";
    let key = query_one(connection, sql, [subject.0], "data_key", |columns| Ok(Sealed(columns.get("wrapped")?)))?;
    let Some(data_key) = key else { return Ok(None) };
    let sql = "SELECT i.verification_id, v.captured_at, i.decided_at, v.score, v.reasons, i.model, i.recipe, i.explained, p.template FROM visit AS i
         JOIN verification AS v ON v.subject_id = i.subject_id AND v.id = i.verification_id AND v.decided_at = i.decided_at
         JOIN probe AS p ON p.subject_id = i.subject_id AND p.verification_id = i.verification_id
         WHERE i.subject_id = ?1 AND i.decided_at >= ?2 ORDER BY v.captured_at, i.verification_id";
    let decode = |columns: &Columns<'_>| {
        let of_chip = columns.get::<String>("reasons")?.contains(&format!("\"{CHIP_REFERENCE}\""));
        Ok(StoredVisit {
            verification: RecordId(columns.get("verification_id")?),
            captured_at: columns.get("captured_at")?,
            decided_at: columns.get("decided_at")?,
            // A chip is no reference of the store: its score says nothing beside theirs.
            score: columns.single("score")?.filter(|_| !of_chip),
            made_by: MadeBy { model: columns.get("model")?, recipe: columns.get("recipe")? },
            explained: columns.get("explained")?,
            template: Sealed(columns.get("template")?),
        })
    };
    Ok(Some(PersonVisits { data_key, visits: query(connection, sql, params![subject.0, since], VISIT, decode)? }))
}

/// Writes findings while the turn holds.
pub(super) fn put_findings(connection: &Connection, fence: u32, findings: &[Finding]) -> Result<bool, StoreError> {
    if !has_turn(connection, fence)? {
        return Ok(false);
    }
    let sql = "INSERT INTO finding (subject_id, judged_at, last_visit_at, kind, log_odds, days, faces)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM subject WHERE subject_id = ?1)
         ON CONFLICT (subject_id) DO UPDATE SET judged_at = excluded.judged_at, last_visit_at = excluded.last_visit_at,
             kind = excluded.kind, log_odds = excluded.log_odds, days = excluded.days, faces = excluded.faces";
    for finding in findings {
        let kind = finding.kind.map(CaseKind::word);
        let (subject, judged_at, last) = (finding.subject.0, finding.judged_at, finding.last_visit_at);
        execute(connection, sql, params![subject, judged_at, last, kind, finding.log_odds, finding.days, finding.faces], FINDING)?;
    }
    Ok(true)
}

/// Strong findings of people who may have a case, the strongest first.
pub(super) fn findings(
    connection: &Connection,
    log_odds_min: f64,
    since: TimeMs,
    quiet_since: TimeMs,
    limit: u32,
) -> Result<Vec<Finding>, StoreError> {
    let sql = format!(
        "SELECT subject_id, judged_at, last_visit_at, kind, log_odds, days, faces FROM finding AS f
         WHERE kind IS NOT NULL AND log_odds >= ?1 AND last_visit_at >= ?3
             AND NOT EXISTS (SELECT 1 FROM case_file AS c WHERE c.subject_id = f.subject_id AND {})
         ORDER BY log_odds DESC, subject_id LIMIT ?4",
        super::IN_THE_WAY
    );
    let decode = |columns: &Columns<'_>| {
        Ok(Finding {
            subject: SubjectId(columns.get("subject_id")?),
            judged_at: columns.get("judged_at")?,
            last_visit_at: columns.get("last_visit_at")?,
            kind: Some(columns.word("kind", CaseKind::from_word)?),
            log_odds: columns.get("log_odds")?,
            days: columns.unsigned("days")?,
            faces: columns.unsigned("faces")?,
        })
    };
    query(connection, &sql, params![log_odds_min, quiet_since, since, limit], FINDING, decode)
}
