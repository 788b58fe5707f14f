//! Matches drawn for a blind look.

use matcher_core::{AuditAction, evidence::Drawn};
use serde_json::json;

use super::super::{
    Connection, audit,
    columns::{Columns, execute, query, query_one},
    params,
};
use crate::store::{
    RecordId, StoreError, SubjectId, TimeMs,
    audit::AuditEvent,
    cases::{BlindDraw, NewDraws},
};

const TABLE: &str = "blind_draw";
const DAY: &str = "draw_day";

/// Matches with a probe of a span of time.
pub(super) fn matches_between(connection: &Connection, from: TimeMs, to: TimeMs) -> Result<Vec<(SubjectId, RecordId)>, StoreError> {
    let sql = r#"SELECT v.subject_id, v.id FROM verification AS v
         JOIN probe AS p ON p.subject_id = v.subject_id AND p.verification_id = v.id
         WHERE v.decided_at >= ?1 AND v.decided_at < ?2 AND v.decision = 'match'
             AND v.reasons NOT LIKE '%"chip_reference"%' ORDER BY v.subject_id, v.id"#;
    let decode = |columns: &Columns<'_>| Ok((SubjectId(columns.get("subject_id")?), RecordId(columns.get("id")?)));
    query(connection, sql, params![from, to], "verification", decode)
}

/// Whether a day was drawn.
pub(super) fn is_drawn(connection: &Connection, day: i32) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM draw_day WHERE day = ?1) AS drawn";
    Ok(query_one(connection, sql, [day], DAY, |columns| columns.get("drawn"))?.unwrap_or_default())
}

/// Writes a day's draw, once.
pub(super) fn put(connection: &Connection, new: &NewDraws) -> Result<bool, StoreError> {
    if is_drawn(connection, new.day)? {
        return Ok(false);
    }
    let count = |field, count: usize| i64::try_from(count).map_err(|_| StoreError::Corrupt { table: DAY, field });
    let matches = i64::try_from(new.matches).map_err(|_| StoreError::Corrupt { table: DAY, field: "matches" })?;
    let sql = "INSERT INTO draw_day (day, key, matches, drawn, drawn_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    execute(connection, sql, params![new.day, new.key, matches, count("drawn", new.draws.len())?, new.drawn_at], DAY)?;
    let sql = "INSERT INTO blind_draw (subject_id, verification_id, day, inclusion, drawn) VALUES (?1, ?2, ?3, ?4, ?5)";
    for draw in &new.draws {
        execute(connection, sql, params![draw.subject.0, draw.verification.0, draw.day, draw.inclusion, draw.drawn.word()], TABLE)?;
    }
    Ok(true)
}

/// Draws of the days from one on.
pub(super) fn list(connection: &Connection, from_day: i32) -> Result<Vec<BlindDraw>, StoreError> {
    let sql = "SELECT subject_id, verification_id, day, inclusion, two_people, drawn FROM blind_draw WHERE day >= ?1 ORDER BY day, verification_id";
    let decode = |columns: &Columns<'_>| {
        Ok(BlindDraw {
            subject: SubjectId(columns.get("subject_id")?),
            verification: RecordId(columns.get("verification_id")?),
            day: columns.get("day")?,
            inclusion: columns.get("inclusion")?,
            two_people: columns.get("two_people")?,
            drawn: columns.word("drawn", Drawn::from_word)?,
        })
    };
    query(connection, sql, [from_day], TABLE, decode)
}

/// Writes what a reviewer saw, once.
pub(super) fn judge(connection: &Connection, id: RecordId, two_people: bool, by: &str, at: TimeMs) -> Result<bool, StoreError> {
    let sql = "UPDATE blind_draw SET two_people = ?2, judged_by = ?3, judged_at = ?4 WHERE verification_id = ?1 AND two_people IS NULL";
    if execute(connection, sql, params![id.0, two_people, by, at], TABLE)? == 0 {
        return Ok(false);
    }
    let detail = json!({ "two_people": two_people }).to_string();
    let event = AuditEvent { at, action: AuditAction::DrawJudged, by: by.to_owned(), object: id.to_string(), detail };
    audit::append(connection, &event)?;
    Ok(true)
}
