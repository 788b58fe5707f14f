//! What reviewers did: counts of verdicts, and of those that two people gave without knowing of each other. Kept by day and added to
//! with each step, so that a page does not count a quarter's steps.

use matcher_core::{
    console::ReviewerFigures,
    evidence::{CaseEvent, CaseStep, CaseVerdict},
};

use super::super::{
    Connection,
    columns::{Columns, execute, query},
    params, seeds,
};
use crate::store::{RecordId, StoreError, TimeMs};

const TABLE: &str = "reviewer_day";
const DAY_MS: i64 = 86_400_000;

/// Notes a step with a case, after the steps before it.
pub(in crate::store::sql) fn note(connection: &Connection, case: RecordId, before: &[CaseStep], step: &CaseStep) -> Result<(), StoreError> {
    let counts = |event: &CaseEvent| match event {
        CaseEvent::Decided(verdict, _) => Some([1, i64::from(*verdict == CaseVerdict::Confirmed), 0, 0, 0]),
        CaseEvent::Reviewed(..) => Some([0, 0, 1, 0, 0]),
        CaseEvent::Claimed | CaseEvent::Released | CaseEvent::Closed | CaseEvent::Reopened(_) => None,
    };
    let Some(counted) = counts(&step.event) else { return Ok(()) };
    if seeds::is_seed(connection, case)? {
        return seeds::note_answer(connection, case, step);
    }
    let day = step.at.div_euclid(DAY_MS);
    add(connection, (&step.by, day), counted)?;
    // A second verdict with the first before it.
    let first = before.iter().rev().find_map(|step| match &step.event {
        CaseEvent::Decided(verdict, _) => Some((&step.by, *verdict)),
        CaseEvent::Claimed | CaseEvent::Released | CaseEvent::Reviewed(..) | CaseEvent::Closed | CaseEvent::Reopened(_) => None,
    });
    if let (CaseEvent::Reviewed(verdict, _), Some((first, said))) = (&step.event, first) {
        for actor in [first, &step.by] {
            add(connection, (actor, day), [0, 0, 0, 1, i64::from(said == *verdict)])?;
        }
    }
    Ok(())
}

fn add(connection: &Connection, (actor, day): (&str, i64), counts: [i64; 5]) -> Result<(), StoreError> {
    let [decided, confirmed, reviewed, twice, agreed] = counts;
    let sql = "INSERT INTO reviewer_day (actor, day, decided, confirmed, reviewed, twice, agreed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (actor, day) DO UPDATE SET decided = reviewer_day.decided + excluded.decided,
             confirmed = reviewer_day.confirmed + excluded.confirmed, reviewed = reviewer_day.reviewed + excluded.reviewed,
             twice = reviewer_day.twice + excluded.twice, agreed = reviewer_day.agreed + excluded.agreed";
    execute(connection, sql, params![actor, day, decided, confirmed, reviewed, twice, agreed], TABLE).map(drop)
}

/// Figures since the day of a time, by name.
pub(super) fn figures(connection: &Connection, since: TimeMs) -> Result<Vec<ReviewerFigures>, StoreError> {
    let sum = |column: &str| format!("CAST(sum({column}) AS BIGINT) AS {column}");
    let sql = format!(
        "SELECT actor, {}, {}, {}, {}, {} FROM reviewer_day WHERE day >= ?1 GROUP BY actor ORDER BY actor",
        sum("decided"),
        sum("confirmed"),
        sum("reviewed"),
        sum("twice"),
        sum("agreed")
    );
    query(connection, &sql, [since.div_euclid(DAY_MS)], TABLE, |columns: &Columns<'_>| {
        Ok(ReviewerFigures {
            name: columns.get("actor")?,
            decided: columns.unsigned("decided")?,
            confirmed: columns.unsigned("confirmed")?,
            reviewed: columns.unsigned("reviewed")?,
            twice: columns.unsigned("twice")?,
            agreed: columns.unsigned("agreed")?,
        })
    })
}
