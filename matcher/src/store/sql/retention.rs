//! Deleting what is over.
//!
//! What a hold or an open case is about stays. A sample is destroyed by emptying it, and a template that was still to be made again
//! from it is not any more. Deleted bytes are overwritten (`secure_delete`), and the log is emptied after a run.

use async_trait::async_trait;
use matcher_core::RetentionKind;

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, query, query_one},
    forgetting::OPEN_CASE,
    params,
};
use crate::store::{
    RecordId, StoreError, TimeMs,
    audit::events,
    retention::{Batch, Retention, RetentionRun},
    subjects::Count,
};

/// A probe that nothing speaks against: a match in a transaction without a flag.
const UNDISPUTED: &str = "v.decision = 'match' AND NOT EXISTS
     (SELECT 1 FROM flag AS f WHERE f.institution = v.institution AND f.transaction_id = v.transaction_id)";

/// The keys of what is over; `?1` is the time before which it is, `?2` is now.
fn over(kind: RetentionKind) -> String {
    let held = |subject: &str| {
        format!(
            "EXISTS (SELECT 1 FROM legal_hold AS h WHERE h.subject_id = {subject} AND h.released_at IS NULL
                 AND (h.until IS NULL OR h.until > ?2))"
        )
    };
    let in_open_case = |verification: &str| {
        format!(
            "EXISTS (SELECT 1 FROM case_member AS m JOIN case_file AS c ON c.subject_id = m.subject_id AND c.id = m.case_id
                 WHERE m.subject_id = v.subject_id AND m.verification_id = {verification} AND {OPEN_CASE})"
        )
    };
    let probes = |which: &str| {
        format!(
            "SELECT p.subject_id, p.verification_id FROM probe AS p
             JOIN verification AS v ON v.subject_id = p.subject_id AND v.id = p.verification_id AND v.decided_at = p.decided_at
             WHERE p.decided_at < ?1 AND {which} AND NOT {} AND NOT {} ORDER BY p.decided_at, p.subject_id, p.verification_id",
            held("p.subject_id"),
            in_open_case("v.id")
        )
    };
    match kind {
        RetentionKind::MatchSamples => probes(&format!("p.sample_destroyed_at IS NULL AND {UNDISPUTED}")),
        RetentionKind::MatchTemplates => probes(UNDISPUTED),
        RetentionKind::DisputedProbes => probes(&format!("NOT ({UNDISPUTED})")),
        RetentionKind::EndedPhotos => format!(
            "SELECT e.subject_id, e.photo_id FROM enrolment AS e
             WHERE (state <> 'active' AND changed_at < ?1 OR valid_until < ?1) AND NOT {}",
            held("e.subject_id")
        ),
        RetentionKind::Decisions => format!(
            "SELECT v.subject_id, v.id, v.decided_at FROM verification AS v WHERE v.decided_at < ?1
             AND NOT EXISTS (SELECT 1 FROM probe AS p WHERE p.subject_id = v.subject_id AND p.verification_id = v.id)
             AND NOT {} AND NOT {} ORDER BY v.decided_at",
            held("v.subject_id"),
            in_open_case("v.id")
        ),
        // Tombstones name nobody, so that no hold can be about one.
        RetentionKind::Tombstones => "SELECT tombstone AS id FROM forgotten WHERE forgotten_at < ?1 AND ?2 IS NOT NULL".to_owned(),
    }
}

#[async_trait]
impl Retention for SqlStore {
    async fn begin_retention(&self, run: RecordId, now: TimeMs, lease_ms: i64) -> Result<bool, StoreError> {
        let sql = "INSERT INTO retention_run (run_id, started_at, lease_until) SELECT ?1, ?2, ?2 + ?3
             WHERE NOT EXISTS (SELECT 1 FROM retention_run WHERE finished_at IS NULL AND lease_until > ?2)";
        self.writer.write(move |connection| Ok(execute(connection, sql, params![run.0, now, lease_ms], "retention run")? == 1)).await
    }

    async fn retain(&self, batch: Batch) -> Result<Option<u64>, StoreError> {
        self.writer.write(move |connection| retain(connection, &batch)).await
    }

    async fn finish_retention(&self, run: RecordId, now: TimeMs, counts: Vec<Count>) -> Result<bool, StoreError> {
        self.writer.write(move |connection| finish(connection, run, now, &counts)).await
    }

    async fn over(&self, kind: RetentionKind, before: TimeMs, now: TimeMs) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) AS n FROM ({}) AS over_", over(kind));
        let count = move |connection: &Connection| query_one(connection, &sql, [before, now], "count", |columns| columns.unsigned("n"));
        Ok(self.readers.read(count).await?.unwrap_or_default())
    }

    async fn retention_runs(&self, limit: u32) -> Result<Vec<RetentionRun>, StoreError> {
        let sql = "SELECT run_id, started_at, finished_at, counts FROM retention_run ORDER BY started_at DESC, run_id LIMIT ?1";
        let decode = |columns: &Columns<'_>| {
            let counts: String = columns.get("counts")?;
            let counts: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&counts).map_err(|_| columns.corrupt("counts"))?;
            let counts = counts.into_iter().map(|(kind, rows)| (kind, rows.as_u64().unwrap_or_default())).collect();
            let (id, started_at) = (RecordId(columns.get("run_id")?), columns.get("started_at")?);
            Ok(RetentionRun { id, started_at, finished_at: columns.get("finished_at")?, counts })
        };
        self.readers.read(move |connection| query(connection, sql, [limit], "retention_run", decode)).await
    }
}

fn retain(connection: &Connection, batch: &Batch) -> Result<Option<u64>, StoreError> {
    let sql = "UPDATE retention_run SET lease_until = ?2 + ?3 WHERE run_id = ?1 AND finished_at IS NULL AND lease_until > ?2";
    if execute(connection, sql, params![batch.run.0, batch.now, batch.lease_ms], "retention run")? == 0 {
        return Ok(None);
    }
    let due = format!("{} LIMIT ?3", over(batch.kind));
    let values = (batch.before, batch.now, batch.limit);
    let change = |sql: &str| execute(connection, sql, values, batch.kind.word());
    let rows = match batch.kind {
        RetentionKind::MatchSamples => {
            change(&format!(
                "DELETE FROM recheck WHERE outcome IS NULL AND (subject_id, verification_id) IN
                     (SELECT subject_id, verification_id FROM probe WHERE (subject_id, verification_id) IN ({due}))"
            ))?;
            change(&format!(
                "UPDATE probe SET sample = substr(sample, 1, 0), sample_destroyed_at = ?2 WHERE (subject_id, verification_id) IN ({due})"
            ))?
        }
        RetentionKind::MatchTemplates | RetentionKind::DisputedProbes => {
            change(&format!("DELETE FROM probe WHERE (subject_id, verification_id) IN ({due})"))?
        }
        RetentionKind::EndedPhotos => change(&format!("DELETE FROM enrolment WHERE (subject_id, photo_id) IN ({due})"))?,
        RetentionKind::Decisions => {
            let of = format!("(SELECT institution, transaction_id FROM verification WHERE (subject_id, id, decided_at) IN ({due}))");
            change(&format!("DELETE FROM flag WHERE raised_at < ?1 AND (institution, transaction_id) IN {of}"))?;
            let receipts = format!(
                "(SELECT number FROM receipt WHERE (institution, transaction_id, attempt) IN
                     (SELECT institution, transaction_id, attempt FROM verification WHERE (subject_id, id, decided_at) IN ({due})))"
            );
            change(&format!("DELETE FROM receipt_use WHERE number IN {receipts}"))?;
            change(&format!("DELETE FROM receipt WHERE number IN {receipts}"))?;
            change(&format!(
                "DELETE FROM request WHERE (institution, transaction_id, attempt) IN
                     (SELECT institution, transaction_id, attempt FROM verification WHERE (subject_id, id, decided_at) IN ({due}))"
            ))?;
            change(&format!(
                "DELETE FROM proxy_register WHERE (subject_id, verification_id) IN
                     (SELECT subject_id, id FROM verification WHERE (subject_id, id, decided_at) IN ({due}))"
            ))?;
            change(&format!(
                "UPDATE case_desk SET identifier_masked = '' WHERE identifier_masked <> '' AND (subject_id, case_id) IN
                     (SELECT m.subject_id, m.case_id FROM case_member AS m WHERE (m.subject_id, m.verification_id) IN
                         (SELECT subject_id, id FROM verification WHERE (subject_id, id, decided_at) IN ({due})))"
            ))?;
            let deleted = change(&format!("DELETE FROM verification WHERE (subject_id, id, decided_at) IN ({due})"))?;
            // Flags about envelopes that were never answered.
            change(
                "DELETE FROM flag WHERE id IN (SELECT f.id FROM flag AS f WHERE f.raised_at < ?1 AND ?2 IS NOT NULL AND NOT EXISTS
                     (SELECT 1 FROM request AS r WHERE r.institution = f.institution AND r.transaction_id = f.transaction_id) LIMIT ?3)",
            )?;
            deleted
        }
        RetentionKind::Tombstones => change(&format!("DELETE FROM forgotten WHERE tombstone IN ({due})"))?,
    };
    Ok(Some(rows as u64))
}

fn finish(connection: &Connection, run: RecordId, now: TimeMs, counts: &[Count]) -> Result<bool, StoreError> {
    let map: serde_json::Map<String, serde_json::Value> = counts.iter().map(|(kind, rows)| (kind.clone(), (*rows).into())).collect();
    let counts = serde_json::Value::Object(map).to_string();
    let sql = "UPDATE retention_run SET finished_at = ?2, counts = ?3 WHERE run_id = ?1 AND finished_at IS NULL AND lease_until > ?2";
    let finished = execute(connection, sql, params![run.0, now, counts], "retention run")? == 1;
    if finished {
        audit::append(connection, &events::retention_run(run, &counts, now))?;
    }
    Ok(finished)
}
