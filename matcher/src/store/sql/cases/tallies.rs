//! What operators and institutions did: counts, from decision records and devices' sequence numbers.

use matcher_core::evidence::operators::{Measure, Tally, Who};

use super::super::{
    Connection,
    columns::{Columns, query},
};
use crate::store::{StoreError, TimeMs};

/// Tallies since a time: for operators and institutions what was decided, for institutions what is missing.
pub(super) fn since(connection: &Connection, since: TimeMs) -> Result<Vec<Tally>, StoreError> {
    let mut tallies = decided(connection, since, ("operator", "operator <> ''"))?;
    tallies.extend(decided(connection, since, ("CAST(NULL AS TEXT)", "TRUE"))?);
    tallies.extend(missing(connection, since)?);
    tallies.extend(silent(connection, since)?);
    Ok(tallies)
}

fn decided(connection: &Connection, since: TimeMs, (operator, whose): (&str, &str)) -> Result<Vec<Tally>, StoreError> {
    let sql = format!(
        "SELECT institution, {operator} AS who, count(*) AS trials,
             count(*) FILTER (WHERE disposition = 'other_way' OR decision = 'other_way') AS other_way,
             count(*) FILTER (WHERE disposition = 'document_check' OR decision IN ('document_checked', 'document_not_the_person')) AS document_checked,
             count(*) FILTER (WHERE reasons LIKE '%\"proxy\"%') AS proxy,
             count(*) FILTER (WHERE decision IN ('failure_to_acquire', 'several_faces')) AS no_face
         FROM verification WHERE decided_at >= ?1 AND {whose} GROUP BY institution, who ORDER BY institution, who"
    );
    let decode = |columns: &Columns<'_>| {
        let who = Who { institution: columns.get("institution")?, operator: columns.get("who")? };
        let trials = columns.unsigned("trials")?;
        let counted = [
            (Measure::OtherWay, "other_way"),
            (Measure::DocumentChecked, "document_checked"),
            (Measure::NoFace, "no_face"),
            (Measure::Proxy, "proxy"),
        ];
        let tally = |(measure, column)| Ok(Tally { who: who.clone(), measure, events: columns.unsigned(column)?, trials });
        counted.into_iter().map(tally).collect::<Result<Vec<_>, StoreError>>()
    };
    Ok(query(connection, &sql, [since], "verification", decode)?.into_iter().flatten().collect())
}

/// Numbers between a device's first and last capture in the time that no envelope came under.
fn missing(connection: &Connection, since: TimeMs) -> Result<Vec<Tally>, StoreError> {
    let sql = "WITH span AS (
             SELECT institution, device_id, min(sequence) AS first, max(sequence) AS last FROM verification
             WHERE decided_at >= ?1 GROUP BY institution, device_id)
         SELECT institution, CAST(sum(last - first + 1) AS BIGINT) AS trials, CAST(sum(last - first + 1 - (
             SELECT count(*) FROM device_sequence AS d WHERE d.device_id = span.device_id AND d.sequence BETWEEN first AND last)) AS BIGINT) AS events
         FROM span GROUP BY institution ORDER BY institution";
    let decode = |columns: &Columns<'_>| {
        let who = Who { institution: columns.get("institution")?, operator: None };
        Ok(Tally { who, measure: Measure::Missing, events: columns.unsigned("events")?, trials: columns.unsigned("trials")? })
    };
    query(connection, sql, [since], "device_sequence", decode)
}

/// Days without a capture, from an institution's first in the time to anybody's last.
fn silent(connection: &Connection, since: TimeMs) -> Result<Vec<Tally>, StoreError> {
    let sql = "WITH seen AS (SELECT institution, decided_at / 86400000 AS day FROM verification WHERE decided_at >= ?1)
         SELECT institution, (SELECT max(day) FROM seen) - min(day) + 1 AS trials,
             (SELECT max(day) FROM seen) - min(day) + 1 - count(DISTINCT day) AS events
         FROM seen GROUP BY institution ORDER BY institution";
    let decode = |columns: &Columns<'_>| {
        let who = Who { institution: columns.get("institution")?, operator: None };
        Ok(Tally { who, measure: Measure::SilentDay, events: columns.unsigned("events")?, trials: columns.unsigned("trials")? })
    };
    query(connection, sql, [since], "verification", decode)
}
