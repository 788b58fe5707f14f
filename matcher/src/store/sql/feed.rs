//! Searchable records, the feed of what changed about them, and what searches found.

use async_trait::async_trait;
use matcher_core::FlagKind;

use super::{
    Connection, SqlStore, cases,
    columns::{Columns, execute, query, query_one},
    flags,
    value::params,
};
use crate::store::{
    MadeBy, RecordId, Sealed, StoreError, SubjectId, TimeMs,
    feed::{Change, Feed, NewFinding, Position, SearchRecord, SearchTurn, Searchable, StoredFinding},
};

const FEED: &str = "feed";
const JOB: &str = "search_job";
const FINDING: &str = "search_finding";
const REFERENCES: &str =
    "SELECT r.subject_id, r.record_id, k.wrapped, r.model, r.recipe, r.template, r.made_at AS at, 0 AS matched, 0 AS explained,
         coalesce((SELECT min(i.region) FROM identifier AS i WHERE i.subject_id = r.subject_id), '') AS scope
     FROM reference AS r JOIN enrolment AS e ON e.subject_id = r.subject_id AND e.photo_id = r.photo_id AND e.state = 'active'
         JOIN data_key AS k ON k.subject_id = r.subject_id";
const PROBES: &str = "SELECT r.subject_id, r.verification_id AS record_id, k.wrapped, r.model, r.recipe, p.template, r.decided_at AS at,
         CASE WHEN v.decision = 'match' THEN 1 ELSE 0 END AS matched, r.explained, v.institution AS scope
     FROM visit AS r JOIN probe AS p ON p.subject_id = r.subject_id AND p.verification_id = r.verification_id
         JOIN verification AS v ON v.subject_id = r.subject_id AND v.id = r.verification_id
         JOIN data_key AS k ON k.subject_id = r.subject_id";

/// The query for records of a kind, and its columns of the record's id and time.
fn select(kind: Searchable) -> (&'static str, &'static str, &'static str) {
    match kind {
        Searchable::Reference => (REFERENCES, "r.record_id", "r.made_at"),
        Searchable::Probe => (PROBES, "r.verification_id", "r.decided_at"),
    }
}

fn head(connection: &Connection) -> Result<Position, StoreError> {
    Ok(query_one(connection, connection.feed_head(), (), FEED, decode_position)?.unwrap_or_default())
}

fn decode_position(columns: &Columns<'_>) -> Result<Position, StoreError> {
    Ok(Position { era: columns.get("era")?, number: columns.get("number")? })
}

fn after(connection: &Connection, position: Position, limit: u32) -> Result<Option<Vec<Change>>, StoreError> {
    // Whoever has read further than there is has read another store, or this one before it was restored.
    if position > head(connection)? {
        return Ok(None);
    }
    let sql = "SELECT era, number FROM feed_trimmed WHERE (era, number) > (?1, ?2)";
    if query_one(connection, sql, params![position.era, position.number], FEED, decode_position)?.is_some() {
        return Ok(None);
    }
    let sql = format!(
        "SELECT era, number, kind, added, subject_id, record_id FROM feed
         WHERE (era, number) > (?1, ?2) AND {} ORDER BY era, number LIMIT ?3",
        connection.feed_bound()
    );
    let decode = |columns: &Columns<'_>| {
        Ok(Change {
            position: decode_position(columns)?,
            kind: columns.word("kind", Searchable::from_word)?,
            added: columns.get("added")?,
            subject: SubjectId(columns.get("subject_id")?),
            record: RecordId(columns.get("record_id")?),
        })
    };
    query(connection, &sql, params![position.era, position.number, limit], FEED, decode).map(Some)
}

/// Removes all but the last so many changes that everybody may read.
fn trim(connection: &Connection, keep: u64) -> Result<u64, StoreError> {
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT era, number FROM feed WHERE number <= (SELECT max(number) FROM feed) - ?1 AND {} ORDER BY number DESC LIMIT 1",
        connection.feed_bound()
    );
    let Some(last) = query_one(connection, &sql, [keep], FEED, decode_position)? else { return Ok(0) };
    execute(connection, "UPDATE feed_trimmed SET era = ?1, number = ?2 WHERE id = 1", params![last.era, last.number], FEED)?;
    let sql = "DELETE FROM feed WHERE (era, number) <= (?1, ?2)";
    Ok(execute(connection, sql, params![last.era, last.number], FEED)? as u64)
}

fn decode_record(columns: &Columns<'_>) -> Result<SearchRecord, StoreError> {
    Ok(SearchRecord {
        subject: SubjectId(columns.get("subject_id")?),
        record: RecordId(columns.get("record_id")?),
        data_key: Sealed(columns.get("wrapped")?),
        made_by: MadeBy { model: columns.get("model")?, recipe: columns.get("recipe")? },
        template: Sealed(columns.get("template")?),
        scope: columns.get("scope")?,
        at: columns.get("at")?,
        matched: columns.get("matched")?,
        explained: columns.get("explained")?,
    })
}

fn searchable(
    connection: &Connection,
    kind: Searchable,
    made_by: &MadeBy,
    since: TimeMs,
    after: Option<(SubjectId, RecordId)>,
    limit: u32,
) -> Result<Vec<SearchRecord>, StoreError> {
    let (select, record, at) = select(kind);
    let (subject_after, record_after) = after.map_or(([0; 16], Vec::new()), |(subject, record)| (subject.0, record.0.to_vec()));
    let sql = format!(
        "{select} WHERE (r.subject_id, {record}) > (?4, ?5)
             AND r.model = ?1 AND r.recipe = ?2 AND {at} >= ?3 ORDER BY r.subject_id, {record} LIMIT ?6"
    );
    let values = params![made_by.model, made_by.recipe, since, subject_after, record_after, limit];
    query(connection, &sql, values, kind.word(), decode_record)
}

fn count(connection: &Connection, kind: Searchable, made_by: &MadeBy, since: TimeMs) -> Result<u64, StoreError> {
    let from = match kind {
        Searchable::Reference => {
            "reference AS r JOIN enrolment AS e ON e.subject_id = r.subject_id AND e.photo_id = r.photo_id AND e.state = 'active'"
        }
        Searchable::Probe => "visit AS r",
    };
    let (_, _, at) = select(kind);
    let sql = format!("SELECT count(*) AS n FROM {from} WHERE r.model = ?1 AND r.recipe = ?2 AND {at} >= ?3");
    let values = params![made_by.model, made_by.recipe, since];
    Ok(query_one(connection, &sql, values, kind.word(), |columns| columns.unsigned("n"))?.unwrap_or_default())
}

fn searchable_of(connection: &Connection, kind: Searchable, records: &[(SubjectId, RecordId)]) -> Result<Vec<SearchRecord>, StoreError> {
    let (select, record, _) = select(kind);
    let sql = format!("{select} WHERE r.subject_id = ?1 AND {record} = ?2");
    let one = |(subject, record): &(SubjectId, RecordId)| {
        query_one(connection, &sql, params![subject.0, record.0], kind.word(), decode_record).transpose()
    };
    records.iter().filter_map(one).collect()
}

fn take_turn(connection: &Connection, job: &str, now: TimeMs, lease_ms: i64) -> Result<Option<SearchTurn>, StoreError> {
    let sql =
        "UPDATE search_job SET due_at = ?2 + ?3, attempt = attempt + 1 WHERE name = ?1 AND due_at <= ?2 RETURNING attempt, era, number";
    let decode = |columns: &Columns<'_>| Ok(SearchTurn { fence: columns.unsigned("attempt")?, position: decode_position(columns)? });
    query_one(connection, sql, params![job, now, lease_ms], JOB, decode)
}

fn finish_turn(connection: &Connection, job: &str, fence: u32, position: Position, due_at: TimeMs) -> Result<bool, StoreError> {
    let sql = "UPDATE search_job SET era = ?3, number = ?4, due_at = ?5 WHERE name = ?1 AND attempt = ?2";
    Ok(execute(connection, sql, params![job, fence, position.era, position.number, due_at], JOB)? == 1)
}

fn raise(connection: &Connection, new: &NewFinding) -> Result<bool, StoreError> {
    let (kind, at) = (new.flag.kind.word(), new.flag.raised_at);
    let known = "SELECT found_at FROM search_finding WHERE subject_id = ?1 AND kind = ?2 AND about = ?3 AND found_at >= ?4";
    let insert = "INSERT INTO search_finding (subject_id, kind, about, flag_id, score, found_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 FROM subject WHERE subject_id = ?1
         ON CONFLICT (subject_id, kind, about) DO UPDATE SET flag_id = excluded.flag_id, score = excluded.score, found_at = excluded.found_at";
    for subject in &new.subjects {
        let found = query_one(connection, known, params![subject.0, kind, new.about, new.quiet_since], FINDING, |columns| {
            columns.get::<TimeMs>("found_at")
        })?;
        if found.is_some() {
            return Ok(false);
        }
    }
    let mut written = 0;
    for subject in &new.subjects {
        let values = params![subject.0, kind, new.about, new.flag.id.0, new.score.map(f64::from), at];
        written += execute(connection, insert, values, FINDING)?;
    }
    // Whoever it is about was forgotten meanwhile.
    if written == 0 {
        return Ok(false);
    }
    flags::put(connection, &new.flag)?;
    if let Some(case) = &new.case {
        cases::open_unless_open(connection, case)?;
    }
    Ok(true)
}

fn findings(connection: &Connection, since: TimeMs, limit: u32) -> Result<Vec<StoredFinding>, StoreError> {
    let sql = "SELECT subject_id, kind, about, flag_id, score, found_at FROM search_finding WHERE found_at >= ?1
         ORDER BY found_at DESC, subject_id, kind, about LIMIT ?2";
    let decode = |columns: &Columns<'_>| {
        Ok(StoredFinding {
            subject: SubjectId(columns.get("subject_id")?),
            kind: columns.word("kind", FlagKind::from_word)?,
            about: columns.get("about")?,
            flag: RecordId(columns.get("flag_id")?),
            score: columns.single("score")?,
            found_at: columns.get("found_at")?,
        })
    };
    query(connection, sql, params![since, limit], FINDING, decode)
}

fn many_faced(connection: &Connection, faces_min: u32, since: TimeMs, limit: u32) -> Result<Vec<(SubjectId, u32)>, StoreError> {
    let sql = "SELECT subject_id, faces FROM finding WHERE faces >= ?1 AND judged_at >= ?2 ORDER BY subject_id LIMIT ?3";
    let decode = |columns: &Columns<'_>| Ok((SubjectId(columns.get("subject_id")?), columns.unsigned("faces")?));
    query(connection, sql, params![faces_min, since, limit], "finding", decode)
}

#[async_trait]
impl Feed for SqlStore {
    async fn feed_head(&self) -> Result<Position, StoreError> {
        self.readers.read(head).await
    }

    async fn feed_after(&self, position: Position, limit: u32) -> Result<Option<Vec<Change>>, StoreError> {
        self.readers.read(move |connection| after(connection, position, limit)).await
    }

    async fn trim_feed(&self, keep: u64) -> Result<u64, StoreError> {
        self.writer.write(move |connection| trim(connection, keep)).await
    }

    async fn searchable(
        &self,
        kind: Searchable,
        made_by: &MadeBy,
        since: TimeMs,
        after: Option<(SubjectId, RecordId)>,
        limit: u32,
    ) -> Result<Vec<SearchRecord>, StoreError> {
        let made_by = made_by.clone();
        self.readers.read(move |connection| searchable(connection, kind, &made_by, since, after, limit)).await
    }

    async fn searchable_count(&self, kind: Searchable, made_by: &MadeBy, since: TimeMs) -> Result<u64, StoreError> {
        let made_by = made_by.clone();
        self.readers.read(move |connection| count(connection, kind, &made_by, since)).await
    }

    async fn searchable_of(&self, kind: Searchable, records: Vec<(SubjectId, RecordId)>) -> Result<Vec<SearchRecord>, StoreError> {
        self.readers.read(move |connection| searchable_of(connection, kind, &records)).await
    }

    async fn take_search(&self, job: &'static str, now: TimeMs, lease_ms: i64) -> Result<Option<SearchTurn>, StoreError> {
        self.writer.write_beside(move |connection| take_turn(connection, job, now, lease_ms)).await
    }

    async fn finish_search(&self, job: &'static str, fence: u32, position: Position, due_at: TimeMs) -> Result<bool, StoreError> {
        self.writer.write_beside(move |connection| finish_turn(connection, job, fence, position, due_at)).await
    }

    async fn raise_finding(&self, finding: NewFinding) -> Result<bool, StoreError> {
        self.writer.write(move |connection| raise(connection, &finding)).await
    }

    async fn search_findings(&self, since: TimeMs, limit: u32) -> Result<Vec<StoredFinding>, StoreError> {
        self.readers.read(move |connection| findings(connection, since, limit)).await
    }

    async fn many_faced(&self, faces_min: u32, since: TimeMs, limit: u32) -> Result<Vec<(SubjectId, u32)>, StoreError> {
        self.readers.read(move |connection| many_faced(connection, faces_min, since, limit)).await
    }
}
