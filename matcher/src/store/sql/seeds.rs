//! Known-answer cases: pairs of faces, the cases made of them, and what was answered. A case of theirs stands among the others in
//! `case_file`; what is counted and handed out asks [`NOT_A_SEED`].

use async_trait::async_trait;
use matcher_core::{AuditAction, console::SeedFigures, evidence::CaseStep};
use serde_json::json;

use super::{
    Connection, SqlStore, audit, cases,
    columns::{Columns, execute, query, query_one},
    params, verifications,
};
use crate::store::{
    RecordId, Sealed, SealedProbe, StoreError, SubjectId, TimeMs,
    audit::AuditEvent,
    seeds::{NewSeedCase, SeedCapture, SeedCounts, SeedPair, SeedPictures, SeedUse, Seeds},
};

/// Of cases `c`: they are about somebody. What statistics and exports count is asked this; the view `real_case` is the same.
pub(super) const NOT_A_SEED: &str = "NOT EXISTS (SELECT 1 FROM seed_case AS seed WHERE seed.case_id = c.id)";

/// Whether a case has a known answer.
pub(super) fn is_seed(connection: &Connection, id: RecordId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM seed_case WHERE case_id = ?1) AS found";
    Ok(query_one(connection, sql, [id.0], "seed_case", |columns| columns.get("found"))?.unwrap_or_default())
}

/// Of a case's id: it shows a user (a parameter) no pair of faces that they have answered in another case. A list that is made once for a
/// page, so that no engine makes a join of it and loses the page's order.
pub(super) fn not_met_before(case_id: &str, user: &str) -> String {
    format!(
        "{case_id} NOT IN (SELECT s.case_id FROM seed_answer AS a JOIN seed_case AS s ON s.pair_id = a.pair_id AND s.case_id <> a.case_id
             WHERE a.actor = {user})"
    )
}

const PAIR: &str = "seed_pair";

/// Notes what somebody answered, the first time for each pair.
pub(super) fn note_answer(connection: &Connection, case: RecordId, step: &CaseStep) -> Result<(), StoreError> {
    let (Some(verdict), _) = step.event.said() else { return Ok(()) };
    let sql = "INSERT INTO seed_answer (pair_id, actor, case_id, at, verdict) SELECT pair_id, ?2, case_id, ?3, ?4 FROM seed_case
         WHERE case_id = ?1 ON CONFLICT (pair_id, actor) DO NOTHING";
    execute(connection, sql, params![case.0, step.by, step.at, verdict.word()], "seed_answer").map(drop)
}

fn add(connection: &Connection, pair: &SeedPair, pictures: &SeedPictures) -> Result<bool, StoreError> {
    let sql = "INSERT INTO seed_pair (id, name, licence, mated, score, model, recipe, added_at, added_by, wrapped, photo, quality)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (name) DO NOTHING";
    let values = params![
        pair.id.0,
        pair.name,
        pair.licence,
        pair.mated,
        f64::from(pair.score),
        pair.model,
        pair.recipe,
        pair.added_at,
        pair.added_by,
        pictures.data_key.0,
        pictures.photo.sample.0,
        pictures.photo.template.0,
    ];
    if execute(connection, sql, values, PAIR)? == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO seed_capture (pair_id, number, own, score, live, sample) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    for (number, capture) in (0_i64..).zip(&pictures.captures) {
        let (score, live) = (f64::from(capture.score), capture.live.map(f64::from));
        execute(connection, sql, params![pair.id.0, number, capture.own, score, live, capture.sample.0], "seed_capture")?;
    }
    let detail = json!({ "name": pair.name, "licence": pair.licence, "captures": pictures.captures.len() }).to_string();
    let (at, by, object) = (pair.added_at, pair.added_by.clone(), pair.id.to_string());
    audit::append(connection, &AuditEvent { at, action: AuditAction::SeedsAdded, by, object, detail })?;
    Ok(true)
}

fn list(connection: &Connection) -> Result<Vec<SeedUse>, StoreError> {
    let sql = "SELECT p.id, p.name, p.licence, p.mated, p.score, p.model, p.recipe, p.added_at, p.added_by, p.retired_at,
             (SELECT count(*) FROM seed_capture AS c WHERE c.pair_id = p.id AND c.own = 1) AS own,
             (SELECT count(*) FROM seed_capture AS c WHERE c.pair_id = p.id AND c.own = 0) AS judged,
             (SELECT count(*) FROM seed_case AS s WHERE s.pair_id = p.id) AS cases,
             (SELECT count(*) FROM seed_case AS s JOIN case_desk AS d ON d.subject_id = s.subject_id AND d.case_id = s.case_id
                 WHERE s.pair_id = p.id AND d.standing <> 'closed') AS still_open,
             (SELECT count(*) FROM seed_answer AS a WHERE a.pair_id = p.id) AS answers
         FROM seed_pair AS p ORDER BY p.name";
    query(connection, sql, (), PAIR, |columns: &Columns<'_>| {
        let pair = SeedPair {
            id: RecordId(columns.get("id")?),
            name: columns.get("name")?,
            licence: columns.get("licence")?,
            mated: columns.get("mated")?,
            score: columns.single("score")?.unwrap_or_default(),
            model: columns.get("model")?,
            recipe: columns.get("recipe")?,
            added_at: columns.get("added_at")?,
            added_by: columns.get("added_by")?,
            retired_at: columns.get("retired_at")?,
        };
        let captures = (columns.unsigned("own")?, columns.unsigned("judged")?);
        let (cases, open, answers) = (columns.unsigned("cases")?, columns.unsigned("still_open")?, columns.unsigned("answers")?);
        Ok(SeedUse { pair, captures, cases, open, answers })
    })
}

fn pictures(connection: &Connection, pair: RecordId) -> Result<Option<SeedPictures>, StoreError> {
    let sql = "SELECT own, score, live, sample FROM seed_capture WHERE pair_id = ?1 ORDER BY number";
    let captures = query(connection, sql, [pair.0], "seed_capture", |columns: &Columns<'_>| {
        Ok(SeedCapture {
            own: columns.get("own")?,
            score: columns.single("score")?.unwrap_or_default(),
            live: columns.single("live")?,
            sample: Sealed(columns.get("sample")?),
        })
    })?;
    query_one(connection, "SELECT wrapped, photo, quality FROM seed_pair WHERE id = ?1", [pair.0], PAIR, |columns| {
        let photo = SealedProbe { template: Sealed(columns.get("quality")?), sample: Sealed(columns.get("photo")?) };
        Ok(SeedPictures { data_key: Sealed(columns.get("wrapped")?), photo, captures: captures.clone() })
    })
}

fn retire(connection: &Connection, name: &str, by: &str, at: TimeMs) -> Result<bool, StoreError> {
    let sql = "UPDATE seed_pair SET retired_at = ?2 WHERE name = ?1 AND retired_at IS NULL";
    let retired = execute(connection, sql, params![name, at], PAIR)? == 1;
    if retired {
        let (by, object, detail) = (by.to_owned(), name.to_owned(), "{}".to_owned());
        audit::append(connection, &AuditEvent { at, action: AuditAction::SeedRetired, by, object, detail })?;
    }
    Ok(retired)
}

fn counts(connection: &Connection, since: TimeMs) -> Result<SeedCounts, StoreError> {
    let sql = "SELECT count(*) AS n, count(*) FILTER (WHERE p.mated = 1) AS mated, count(*) FILTER (WHERE p.mated = 0) AS nonmated
         FROM case_file AS c LEFT JOIN seed_case AS s ON s.case_id = c.id LEFT JOIN seed_pair AS p ON p.id = s.pair_id
         WHERE c.opened_at >= ?1";
    let decode = |columns: &Columns<'_>| {
        let (all, mated, nonmated): (u64, u64, u64) = (columns.unsigned("n")?, columns.unsigned("mated")?, columns.unsigned("nonmated")?);
        Ok(SeedCounts { real: all - mated - nonmated, mated, nonmated })
    };
    Ok(query_one(connection, sql, [since], "seed_case", decode)?.unwrap_or_default())
}

fn open(connection: &Connection, seed: &NewSeedCase) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) AS n FROM seed_pair AS p WHERE p.id = ?1 AND p.retired_at IS NULL AND NOT EXISTS (
             SELECT 1 FROM seed_case AS s JOIN case_desk AS d ON d.subject_id = s.subject_id AND d.case_id = s.case_id
             WHERE s.pair_id = p.id AND d.standing <> 'closed')";
    let free: u32 = query_one(connection, sql, [seed.pair.0], PAIR, |columns| columns.unsigned("n"))?.unwrap_or_default();
    if free == 0 {
        return Ok(false);
    }
    let (subject, id, facts) = (seed.case.subject.0, seed.case.id.0, &seed.facts);
    let sql = "INSERT INTO seed_case (subject_id, case_id, pair_id, wrapped, photo_id, source, state, enrolled_at, photo_taken_on)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let values =
        params![subject, id, seed.pair.0, seed.data_key.0, facts.photo.0, facts.source, facts.state, facts.enrolled_at, facts.taken_on];
    execute(connection, sql, values, "seed_case")?;
    let sql = "INSERT INTO seed_photo (subject_id, photo_id, photo, quality) VALUES (?1, ?2, ?3, ?4)";
    execute(connection, sql, params![subject, facts.photo.0, seed.photo.sample.0, seed.photo.template.0], "seed_photo")?;
    for (record, sample) in &seed.captures {
        verifications::put_into(connection, "seed_verification", record)?;
        let sql = "INSERT INTO seed_probe (subject_id, verification_id, template, sample) VALUES (?1, ?2, ?3, ?4)";
        execute(connection, sql, params![subject, record.id.0, Vec::<u8>::new(), sample.0], "seed_probe")?;
    }
    for (number, (kind, at, transaction)) in (0_i64..).zip(&seed.flags) {
        let sql = "INSERT INTO seed_flag (subject_id, case_id, number, kind, raised_at, transaction_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        execute(connection, sql, params![subject, id, number, kind.word(), at, transaction], "seed_flag")?;
    }
    cases::open(connection, &seed.case)?;
    Ok(true)
}

fn figures(connection: &Connection, since: TimeMs) -> Result<Vec<SeedFigures>, StoreError> {
    let sql = "SELECT a.actor, count(*) FILTER (WHERE p.mated = 1) AS mated,
             count(*) FILTER (WHERE p.mated = 1 AND a.verdict = 'confirmed') AS false_confirms,
             count(*) FILTER (WHERE p.mated = 0) AS nonmated,
             count(*) FILTER (WHERE p.mated = 0 AND a.verdict = 'false_alarm') AS misses
         FROM seed_answer AS a JOIN seed_pair AS p ON p.id = a.pair_id WHERE a.at >= ?1 GROUP BY a.actor ORDER BY a.actor";
    query(connection, sql, [since], "seed_answer", |columns: &Columns<'_>| {
        Ok(SeedFigures {
            name: columns.get("actor")?,
            mated: columns.unsigned("mated")?,
            false_confirms: columns.unsigned("false_confirms")?,
            nonmated: columns.unsigned("nonmated")?,
            misses: columns.unsigned("misses")?,
        })
    })
}

#[async_trait]
impl Seeds for SqlStore {
    async fn add_seed_pair(&self, pair: SeedPair, pictures: SeedPictures) -> Result<bool, StoreError> {
        self.writer.write(move |connection| add(connection, &pair, &pictures)).await
    }

    async fn seed_pairs(&self) -> Result<Vec<SeedUse>, StoreError> {
        self.readers.read(list).await
    }

    async fn seed_pictures(&self, pair: RecordId) -> Result<Option<SeedPictures>, StoreError> {
        self.readers.read(move |connection| pictures(connection, pair)).await
    }

    async fn retire_seed_pair(&self, name: &str, by: &str, at: TimeMs) -> Result<bool, StoreError> {
        let (name, by) = (name.to_owned(), by.to_owned());
        self.writer.write(move |connection| retire(connection, &name, &by, at)).await
    }

    async fn seed_counts(&self, since: TimeMs) -> Result<SeedCounts, StoreError> {
        self.readers.read(move |connection| counts(connection, since)).await
    }

    async fn open_seed_case(&self, seed: NewSeedCase) -> Result<bool, StoreError> {
        self.writer.write(move |connection| open(connection, &seed)).await
    }

    async fn seed_figures(&self, since: TimeMs) -> Result<Vec<SeedFigures>, StoreError> {
        self.readers.read(move |connection| figures(connection, since)).await
    }

    async fn is_transaction(&self, institution: &str, transaction: &str) -> Result<bool, StoreError> {
        let (institution, transaction) = (institution.to_owned(), transaction.to_owned());
        let sql = "SELECT CASE WHEN EXISTS (SELECT 1 FROM request WHERE institution = ?1 AND transaction_id = ?2)
             OR EXISTS (SELECT 1 FROM case_place WHERE transaction_id = ?2 AND institution = ?1) THEN 1 ELSE 0 END AS found";
        let read = move |connection: &Connection| {
            query_one(connection, sql, params![institution, transaction], "request", |columns| columns.get::<bool>("found"))
        };
        Ok(self.readers.read(read).await?.unwrap_or_default())
    }

    async fn is_seed(&self, case: RecordId) -> Result<bool, StoreError> {
        self.readers.read(move |connection| is_seed(connection, case)).await
    }

    async fn is_seed_capture(&self, subject: SubjectId, verification: RecordId) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM seed_probe WHERE subject_id = ?1 AND verification_id = ?2) AS found";
        let read = move |connection: &Connection| {
            query_one(connection, sql, params![subject.0, verification.0], "seed_probe", |columns| columns.get("found"))
        };
        Ok(self.readers.read(read).await?.unwrap_or_default())
    }
}
