//! The schema of the database: numbered SQL files, applied in order, each once, and the parts of the log.
//!
//! How many are applied stands in the table `schema_version`; a database with more than this program knows is refused
//! before anything is read. An applied file is never edited: a change is another file.

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use super::{Isolation, Row, Session, unavailable};
use crate::store::{
    StoreError, TimeMs,
    sql::value::{Cell, Value},
};

const FILES: &[&str] = &[
    include_str!("schema/0001_first.sql"),
    include_str!("schema/0012_deferred.sql"),
    include_str!("schema/0013_identification.sql"),
    include_str!("schema/0014_ways.sql"),
    include_str!("schema/0015_leases.sql"),
    include_str!("schema/0016_registry.sql"),
    include_str!("schema/0017_console.sql"),
    include_str!("schema/0018_statistics.sql"),
    include_str!("schema/0019_measured.sql"),
    include_str!("schema/0020_relay.sql"),
    include_str!("schema/0021_lines.sql"),
    include_str!("schema/0022_beside.sql"),
];
/// Version of this program's schema.
const VERSION: u32 = FILES.len() as u32;
/// Parts of the log that are made ahead of time, in months.
const MONTHS_AHEAD: i64 = 3;

/// Checks that answers will be durable, brings an older or empty database up to date and makes the log's next parts.
pub(super) fn prepare(session: &Session) -> Result<(), StoreError> {
    session.begin(Isolation::Alone)?;
    let done = in_transaction(session);
    if done.is_err() {
        let _ = session.roll_back();
    }
    done
}

fn in_transaction(session: &Session) -> Result<(), StoreError> {
    for setting in ["fsync", "full_page_writes"] {
        if text(session, &format!("SHOW {setting}"))? != "on" {
            return Err(unavailable(NotDurable(setting)));
        }
    }
    session.run("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")?;
    let found = number(session, "SELECT coalesce(max(version), 0) AS it FROM schema_version", &[])?;
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > VERSION {
        return Err(StoreError::TooNew { found, known: VERSION });
    }
    for file in FILES.iter().skip(found as usize) {
        session.run(file)?;
    }
    if found < VERSION {
        session.run(&format!("DELETE FROM schema_version; INSERT INTO schema_version VALUES ({VERSION})"))?;
    }
    make_parts(session, Timestamp::now().as_millisecond())?;
    session.run("COMMIT")
}

/// Makes the parts of the log for this month and those ahead.
pub(in crate::store::sql) fn make_parts(session: &Session, now: TimeMs) -> Result<(), StoreError> {
    let this = Timestamp::from_millisecond(now).map_err(unavailable)?.to_zoned(TimeZone::UTC).date().first_of_month();
    for ahead in 0..=MONTHS_AHEAD {
        let month = this.checked_add(ahead.months()).map_err(unavailable)?;
        let next = month.checked_add(1.month()).map_err(unavailable)?;
        let (from, until) = (start_of(month)?, start_of(next)?);
        let part = format!("verification_{:04}_{:02}", month.year(), month.month());
        let made = "SELECT count(*) AS it FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = ?1";
        if number(session, made, &[Value::Text(Some(&part))])? > 0 {
            continue;
        }
        // A row that came before its part was made keeps it in the default part, where it is found as well.
        let early = "SELECT count(*) AS it FROM verification_other WHERE decided_at >= ?1 AND decided_at < ?2";
        if number(session, early, &[Value::Integer(Some(from)), Value::Integer(Some(until))])? > 0 {
            continue;
        }
        session.run(&format!("CREATE TABLE {part} PARTITION OF verification FOR VALUES FROM ({from}) TO ({until})"))?;
    }
    Ok(())
}

fn start_of(month: Date) -> Result<TimeMs, StoreError> {
    Ok(month.to_zoned(TimeZone::UTC).map_err(unavailable)?.timestamp().as_millisecond())
}

fn number(session: &Session, sql: &str, values: &[Value<'_>]) -> Result<i64, StoreError> {
    let mut found = 0;
    session.rows(sql, values, &mut |row: Row<'_>| {
        if let Some(Cell::Integer(number)) = row.cell("it") {
            found = number;
        }
        Ok(())
    })?;
    Ok(found)
}

fn text(session: &Session, sql: &str) -> Result<String, StoreError> {
    let mut found = String::new();
    let name = sql.trim_start_matches("SHOW ");
    session.rows(sql, &[], &mut |row: Row<'_>| {
        if let Some(Cell::Text(text)) = row.cell(name) {
            found = text.to_owned();
        }
        Ok(())
    })?;
    Ok(found)
}

#[derive(Debug, thiserror::Error)]
#[error("the database's setting {0} is off: an answer would not outlive a loss of power")]
struct NotDurable(&'static str);
