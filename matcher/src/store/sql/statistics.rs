//! Figures of days: read from the log in spans, kept by dimension and day.

use async_trait::async_trait;
use matcher_core::{
    AgeBand, AuditAction, Decision, Scene,
    drift::{Chart, Day, scores::Sums},
    figures::{Dimension, Figures, Observed, Place},
};
use serde_json::json;

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, insert, query, query_one},
    params,
    value::AsValue,
};
use crate::store::{
    StoreError, TimeMs,
    audit::AuditEvent,
    statistics::{Accepted, Alarm, Beside, ChartOf, CountedDay, DayFigures, Statistics},
};

const TABLE: &str = "statistic";
/// Which verifications are counted: the one place where what is in no statistic is left out.
const COUNTED: &str = "v.decided_at >= ?1 AND v.decided_at < ?2";
/// Which flags are.
const COUNTED_FLAGS: &str = "f.raised_at >= ?1 AND f.raised_at < ?2";
/// Columns of counts.
const COUNTS: [&str; 27] = [
    "captures",
    "matched",
    "review",
    "non_match",
    "no_reference",
    "no_face",
    "attack",
    "other_way",
    "document",
    "not_the_person",
    "proxy",
    "other",
    "provisional",
    "flags",
    "scores",
    "wait_0",
    "wait_1",
    "wait_2",
    "wait_3",
    "wait_4",
    "wait_5",
    "wait_6",
    "wait_7",
    "wait_8",
    "wait_9",
    "wait_10",
    "wait_11",
];

#[async_trait]
impl Statistics for SqlStore {
    async fn first_decided(&self) -> Result<Option<TimeMs>, StoreError> {
        let sql = "SELECT min(decided_at) AS at FROM verification";
        self.readers
            .read(move |connection| Ok(query_one(connection, sql, (), "verification", |columns| columns.get("at"))?.flatten()))
            .await
    }

    async fn observed(&self, from: TimeMs, until: TimeMs) -> Result<Vec<(TimeMs, Observed)>, StoreError> {
        self.readers.read(move |connection| observed(connection, from, until)).await
    }

    async fn beside(&self, from: TimeMs, until: TimeMs) -> Result<Vec<Beside>, StoreError> {
        self.readers.read(move |connection| beside(connection, from, until)).await
    }

    async fn put_statistics(&self, counted: CountedDay, figures: Vec<DayFigures>) -> Result<(), StoreError> {
        self.writer.write(move |connection| put(connection, counted, &figures)).await
    }

    async fn put_alarms(&self, day: Day, charts: u64, alarms: Vec<Alarm>) -> Result<(), StoreError> {
        self.writer.write(move |connection| put_alarms(connection, day, charts, &alarms)).await
    }

    async fn delete_statistics(&self, from: Day) -> Result<u64, StoreError> {
        self.writer.write(move |connection| delete(connection, ">=", from)).await
    }

    async fn delete_statistics_before(&self, day: Day) -> Result<u64, StoreError> {
        self.writer.write(move |connection| delete(connection, "<", day)).await
    }

    async fn counted_days(&self, from: Day) -> Result<Vec<CountedDay>, StoreError> {
        let sql = "SELECT day, counted_at, final, charts FROM statistic_day WHERE day >= ?1 ORDER BY day";
        let decode = |columns: &Columns<'_>| {
            let charts: Option<i64> = columns.get("charts")?;
            Ok(CountedDay {
                day: columns.get("day")?,
                counted_at: columns.get("counted_at")?,
                complete: columns.get("final")?,
                charts: charts.map(i64::cast_unsigned),
            })
        };
        self.readers.read(move |connection| query(connection, sql, [from], "statistic_day", decode)).await
    }

    async fn figures(
        &self,
        dimension: Dimension,
        days: (Day, Day),
        institution: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(Place, Figures)>, StoreError> {
        let institution = institution.map(str::to_owned);
        self.readers.read(move |connection| sums(connection, dimension, days, institution.as_deref(), limit)).await
    }

    async fn series(&self, dimension: Dimension, days: (Day, Day), place: Option<&Place>) -> Result<Vec<DayFigures>, StoreError> {
        let place = place.cloned();
        self.readers.read(move |connection| series(connection, dimension, days, place.as_ref())).await
    }

    async fn drift_alarms(&self, (from, until): (Day, Day)) -> Result<Vec<Alarm>, StoreError> {
        let sql = format!("{ALARMS} WHERE day BETWEEN ?1 AND ?2 ORDER BY day, p, dimension, institution, item, chart");
        self.readers.read(move |connection| query(connection, &sql, [from, until], "drift_alarm", alarm)).await
    }

    async fn drift_alarms_of(&self, place: &Place) -> Result<Vec<Alarm>, StoreError> {
        let place = place.clone();
        let sql = format!("{ALARMS} WHERE dimension = ?1 AND institution = ?2 AND item = ?3 ORDER BY day, chart");
        let read = move |connection: &Connection| {
            query(connection, &sql, params![place.dimension.word(), place.institution, place.key], "drift_alarm", alarm)
        };
        self.readers.read(read).await
    }

    async fn accept_drift(&self, accepted: Accepted) -> Result<(), StoreError> {
        self.writer.write(move |connection| accept(connection, &accepted)).await
    }

    async fn accepted_drifts(&self) -> Result<Vec<Accepted>, StoreError> {
        let sql = "SELECT dimension, institution, item, chart, from_day, accepted_at, accepted_by, reason FROM drift_accepted ORDER BY accepted_at";
        let decode = |columns: &Columns<'_>| {
            Ok(Accepted {
                of: chart_of(columns)?,
                from: columns.get("from_day")?,
                at: columns.get("accepted_at")?,
                by: columns.get("accepted_by")?,
                reason: columns.get("reason")?,
            })
        };
        self.readers.read(move |connection| query(connection, sql, (), "drift_accepted", decode)).await
    }
}

/// The days of `?2` to `?3`, each looked up by itself: a file without statistics of its tables would read all places of all of them.
const EACH_DAY: &str = "day IN (SELECT day FROM statistic_day WHERE day BETWEEN ?2 AND ?3)";
const ALARMS: &str = "SELECT day, dimension, institution, item, chart, value, expected, effect, p FROM drift_alarm";

fn alarm(columns: &Columns<'_>) -> Result<Alarm, StoreError> {
    let (day, of) = (columns.get("day")?, chart_of(columns)?);
    let (value, expected) = (columns.get("value")?, columns.get("expected")?);
    Ok(Alarm { day, of, value, expected, effect: columns.get("effect")?, p: columns.get("p")? })
}

fn place(columns: &Columns<'_>) -> Result<Place, StoreError> {
    Ok(Place {
        dimension: columns.word("dimension", Dimension::from_word)?,
        institution: columns.get("institution")?,
        key: columns.get("item")?,
    })
}

fn chart_of(columns: &Columns<'_>) -> Result<ChartOf, StoreError> {
    Ok(ChartOf { place: place(columns)?, chart: columns.word("chart", Chart::from_word)? })
}

fn observed(connection: &Connection, from: TimeMs, until: TimeMs) -> Result<Vec<(TimeMs, Observed)>, StoreError> {
    let sql = format!(
        "SELECT v.decided_at, v.institution, v.counter, v.device_id, v.operator, v.scene, v.age_band, v.decision, v.score, v.model, v.captured_at,
             CASE WHEN v.reasons LIKE '%\"proxy\"%' THEN 1 ELSE 0 END AS proxy,
             CASE WHEN v.reasons LIKE '%\"chip_reference\"%' THEN 1 ELSE 0 END AS chip
         FROM verification AS v WHERE {COUNTED}"
    );
    let decode = |columns: &Columns<'_>| {
        let decided_at: TimeMs = columns.get("decided_at")?;
        let mut observed = Observed {
            institution: columns.get("institution")?,
            counter: columns.get("counter")?,
            device: columns.get("device_id")?,
            operator: columns.get("operator")?,
            scene: columns.word("scene", Scene::from_word)?,
            hour: 0,
            age: AgeBand::from_word(&columns.get::<String>("age_band")?).unwrap_or_default(),
            decision: columns.word("decision", Decision::from_policy_key)?,
            score: columns.single("score")?,
            model: columns.get("model")?,
            waited_ms: decided_at - columns.get::<TimeMs>("captured_at")?,
            proxy: columns.get("proxy")?,
        };
        // A chip's photo is another kind of reference: its scores are of another height.
        observed.score = observed.score.filter(|_| !columns.get::<bool>("chip").unwrap_or_default());
        Ok((decided_at, observed))
    };
    query(connection, &sql, [from, until], "verification", decode)
}

fn beside(connection: &Connection, from: TimeMs, until: TimeMs) -> Result<Vec<Beside>, StoreError> {
    let decode = |columns: &Columns<'_>| {
        Ok(Beside {
            institution: columns.get("institution")?,
            device: columns.get("device_id")?,
            provisional: columns.unsigned("provisional")?,
            flags: columns.unsigned("flags")?,
        })
    };
    let sql = "SELECT institution, device_id, count(*) AS provisional, CAST(0 AS BIGINT) AS flags FROM provisional
         WHERE received_at >= ?1 AND received_at < ?2 GROUP BY institution, device_id";
    let mut all = query(connection, sql, [from, until], "provisional", decode)?;
    let sql = format!(
        "SELECT f.institution, f.device_id, CAST(0 AS BIGINT) AS provisional, count(*) AS flags FROM flag AS f
         WHERE {COUNTED_FLAGS} GROUP BY f.institution, f.device_id"
    );
    all.extend(query(connection, &sql, [from, until], "flag", decode)?);
    Ok(all)
}

fn counts(figures: &Figures) -> Vec<i64> {
    let Figures {
        captures,
        matched,
        review,
        non_match,
        no_reference,
        no_face,
        attack,
        other_way,
        document,
        not_the_person,
        proxy,
        other,
        ..
    } = *figures;
    let first = [captures, matched, review, non_match, no_reference, no_face, attack, other_way, document, not_the_person, proxy, other];
    let beside = [figures.provisional, figures.flags, figures.scores.count];
    first.into_iter().chain(beside).chain(figures.waits).map(u64::cast_signed).collect()
}

fn put(connection: &Connection, counted: CountedDay, all: &[DayFigures]) -> Result<(), StoreError> {
    execute(connection, "DELETE FROM statistic WHERE day = ?1", [counted.day], TABLE)?;
    let places: Vec<String> = (8..8 + COUNTS.len()).map(|place| format!("?{place}")).collect();
    let sql = format!(
        "INSERT INTO statistic (dimension, day, institution, item, model, score_sum, score_squares, {})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, {})",
        COUNTS.join(", "),
        places.join(", ")
    );
    for DayFigures { day, place, model, figures } in all {
        let (dimension, counts) = (place.dimension.word(), counts(figures));
        let mut values: Vec<&dyn AsValue> =
            vec![&dimension, day, &place.institution, &place.key, model, &figures.scores.sum, &figures.scores.squares];
        values.extend(counts.iter().map(|count| -> &dyn AsValue { count }));
        insert(connection, &sql, values.as_slice(), TABLE)?;
    }
    let sql = "INSERT INTO statistic_day (day, counted_at, final, charts) VALUES (?1, ?2, ?3, NULL)
         ON CONFLICT (day) DO UPDATE SET counted_at = excluded.counted_at, final = excluded.final";
    execute(connection, sql, params![counted.day, counted.counted_at, counted.complete], "statistic_day").map(drop)
}

fn put_alarms(connection: &Connection, day: Day, charts: u64, alarms: &[Alarm]) -> Result<(), StoreError> {
    execute(connection, "DELETE FROM drift_alarm WHERE day = ?1", [day], "drift_alarm")?;
    for Alarm { of: ChartOf { place, chart }, value, expected, effect, p, .. } in alarms {
        let sql = "INSERT INTO drift_alarm (day, dimension, institution, item, chart, value, expected, effect, p)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values = params![day, place.dimension.word(), place.institution, place.key, chart.word(), value, expected, effect, p];
        insert(connection, sql, values, "drift_alarm")?;
    }
    execute(connection, "UPDATE statistic_day SET charts = ?2 WHERE day = ?1", [day, charts.cast_signed()], "statistic_day").map(drop)
}

fn delete(connection: &Connection, which: &str, day: Day) -> Result<u64, StoreError> {
    let mut rows = 0;
    for table in ["statistic", "drift_alarm", "statistic_day"] {
        rows += execute(connection, &format!("DELETE FROM {table} WHERE day {which} ?1"), [day], TABLE)? as u64;
    }
    Ok(rows)
}

fn decode_figures(columns: &Columns<'_>) -> Result<Figures, StoreError> {
    let mut figures = Figures {
        captures: columns.unsigned("captures")?,
        matched: columns.unsigned("matched")?,
        review: columns.unsigned("review")?,
        non_match: columns.unsigned("non_match")?,
        no_reference: columns.unsigned("no_reference")?,
        no_face: columns.unsigned("no_face")?,
        attack: columns.unsigned("attack")?,
        other_way: columns.unsigned("other_way")?,
        document: columns.unsigned("document")?,
        not_the_person: columns.unsigned("not_the_person")?,
        proxy: columns.unsigned("proxy")?,
        other: columns.unsigned("other")?,
        provisional: columns.unsigned("provisional")?,
        flags: columns.unsigned("flags")?,
        scores: Sums { count: columns.unsigned("scores")?, ..Sums::default() },
        ..Figures::default()
    };
    for (wait, name) in figures.waits.iter_mut().zip(COUNTS.iter().skip(15)) {
        *wait = columns.unsigned(name)?;
    }
    figures.scores.sum = columns.get("score_sum")?;
    figures.scores.squares = columns.get("score_squares")?;
    Ok(figures)
}

fn sums(
    connection: &Connection,
    dimension: Dimension,
    (from, until): (Day, Day),
    institution: Option<&str>,
    limit: u32,
) -> Result<Vec<(Place, Figures)>, StoreError> {
    let summed: Vec<String> = COUNTS.iter().map(|name| format!("CAST(sum({name}) AS BIGINT) AS {name}")).collect();
    // Of all institutions: where they stand summed, those rows; otherwise each.
    let (days, condition, institution) = match institution {
        None if dimension.has_all() => (EACH_DAY, "institution = ?4", ""),
        None => ("day BETWEEN ?2 AND ?3", "?4 = ''", ""),
        Some(institution) => (EACH_DAY, "institution = ?4", institution),
    };
    let sql = format!(
        "SELECT dimension, institution, item, {}, sum(score_sum) AS score_sum, sum(score_squares) AS score_squares FROM statistic
         WHERE dimension = ?1 AND {days} AND {condition}
         GROUP BY dimension, institution, item ORDER BY sum(captures) DESC, institution, item LIMIT ?5",
        summed.join(", ")
    );
    let values = params![dimension.word(), from, until, institution, limit];
    query(connection, &sql, values, TABLE, |columns| Ok((place(columns)?, decode_figures(columns)?)))
}

fn series(
    connection: &Connection,
    dimension: Dimension,
    (from, until): (Day, Day),
    of: Option<&Place>,
) -> Result<Vec<DayFigures>, StoreError> {
    let columns = COUNTS.join(", ");
    let select = format!("SELECT day, dimension, institution, item, model, {columns}, score_sum, score_squares FROM statistic");
    let decode = |columns: &Columns<'_>| {
        let day = columns.get("day")?;
        Ok(DayFigures { day, place: place(columns)?, model: columns.get("model")?, figures: decode_figures(columns)? })
    };
    match of {
        Some(place) => {
            let sql = format!("{select} WHERE dimension = ?1 AND institution = ?4 AND item = ?5 AND {EACH_DAY} ORDER BY day");
            query(connection, &sql, params![dimension.word(), from, until, place.institution, place.key], TABLE, decode)
        }
        None => {
            let sql = format!("{select} WHERE dimension = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day, institution, item");
            query(connection, &sql, params![dimension.word(), from, until], TABLE, decode)
        }
    }
}

fn accept(connection: &Connection, accepted: &Accepted) -> Result<(), StoreError> {
    let Accepted { of: ChartOf { place, chart }, from, at, by, reason } = accepted;
    let sql = "INSERT INTO drift_accepted (dimension, institution, item, chart, from_day, accepted_at, accepted_by, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (dimension, institution, item, chart, from_day) DO UPDATE SET
             accepted_at = excluded.accepted_at, accepted_by = excluded.accepted_by, reason = excluded.reason";
    let values = params![place.dimension.word(), place.institution, place.key, chart.word(), from, at, by, reason];
    execute(connection, sql, values, "drift_accepted")?;
    let detail = json!({ "chart": chart.word(), "by": place.dimension.word(), "institution": place.institution, "from_day": from, "reason": reason });
    let event =
        AuditEvent { at: *at, action: AuditAction::DriftAccepted, by: by.clone(), object: place.key.clone(), detail: detail.to_string() };
    audit::append(connection, &event)
}
