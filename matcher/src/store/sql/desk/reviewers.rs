//! What reviewers did: counts of verdicts, and of those that two people gave without knowing of each other.

use std::collections::BTreeMap;

use matcher_core::console::ReviewerFigures;

use super::super::{
    Connection,
    columns::{Columns, query},
};
use crate::store::{StoreError, TimeMs};

/// Figures since a time, by name.
pub(super) fn figures(connection: &Connection, since: TimeMs) -> Result<Vec<ReviewerFigures>, StoreError> {
    let mut all: BTreeMap<String, ReviewerFigures> = BTreeMap::new();
    let sql = "SELECT actor, event, count(*) AS n, count(*) FILTER (WHERE verdict = 'confirmed') AS confirmed FROM case_event
         WHERE at >= ?1 AND event IN ('decided', 'reviewed') GROUP BY actor, event";
    let decode = |columns: &Columns<'_>| {
        let (actor, event): (String, String) = (columns.get("actor")?, columns.get("event")?);
        Ok((actor, event, columns.unsigned::<u64>("n")?, columns.unsigned::<u64>("confirmed")?))
    };
    for (actor, event, n, confirmed) in query(connection, sql, [since], "case_event", decode)? {
        let figures = of(&mut all, &actor);
        if event == "decided" {
            (figures.decided, figures.confirmed) = (n, confirmed);
        } else {
            figures.reviewed = n;
        }
    }
    // A second verdict with the first before it.
    let sql = "SELECT d.actor AS first, r.actor AS second, CASE WHEN d.verdict = r.verdict THEN 1 ELSE 0 END AS agreed
         FROM case_event AS r JOIN case_event AS d ON d.subject_id = r.subject_id AND d.case_id = r.case_id AND d.number = (
             SELECT max(x.number) FROM case_event AS x WHERE x.subject_id = r.subject_id AND x.case_id = r.case_id
             AND x.event = 'decided' AND x.number < r.number)
         WHERE r.event = 'reviewed' AND r.at >= ?1";
    let decode =
        |columns: &Columns<'_>| Ok((columns.get::<String>("first")?, columns.get::<String>("second")?, columns.get::<bool>("agreed")?));
    for (first, second, agreed) in query(connection, sql, [since], "case_event", decode)? {
        for actor in [first, second] {
            let figures = of(&mut all, &actor);
            figures.twice += 1;
            figures.agreed += u64::from(agreed);
        }
    }
    Ok(all.into_values().collect())
}

fn of<'a>(all: &'a mut BTreeMap<String, ReviewerFigures>, actor: &str) -> &'a mut ReviewerFigures {
    all.entry(actor.to_owned()).or_insert_with(|| ReviewerFigures { name: actor.to_owned(), ..ReviewerFigures::default() })
}
