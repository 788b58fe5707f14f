//! What waits and re-comparisons as tables and as JSON. Ids, times, words and numbers: nothing that names a person.

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::store::{
    TimeMs,
    batch::{Job, Recomparison},
    deferred::Backlog,
};

/// What waits, in a line.
pub(super) fn backlog_line(backlog: &Backlog) -> String {
    let oldest = backlog.oldest.map(|at| format!(", the oldest since {}", utc(at))).unwrap_or_default();
    let parked: Vec<String> = backlog.parked.iter().map(|(reason, captures)| format!("{captures} {reason}")).collect();
    let parked = if parked.is_empty() { "none put aside".to_owned() } else { format!("put aside: {}", parked.join(", ")) };
    format!("{} captures that came late wait{oldest}; {parked}", backlog.waiting)
}

/// What waits, and jobs.
pub(super) fn list_table(backlog: &Backlog, jobs: &[Job]) -> String {
    let mut table = table(["re-comparison", "kind", "state", "from", "until", "captures", "done", "differ", "unreadable"]);
    for job in jobs {
        let words = [job.id.to_string(), job.kind.word().to_owned(), state(job), utc(job.since), utc(job.until)];
        let tally = &job.tally;
        let numbers = [job.probes, tally.compared + tally.unreadable, tally.differing, tally.unreadable];
        table.add_row(words.into_iter().map(Cell::new).chain(numbers.map(number)));
    }
    format!("{}\n{table}", backlog_line(backlog))
}

/// The same for programs.
pub(super) fn list_json(backlog: &Backlog, jobs: &[Job]) -> String {
    let parked: serde_json::Map<String, Value> = backlog.parked.iter().map(|(reason, n)| (reason.clone(), (*n).into())).collect();
    let deferred = json!({ "waiting": backlog.waiting, "oldest_at": backlog.oldest.map(utc), "parked": parked });
    format!("{:#}", json!({ "deferred": deferred, "jobs": jobs.iter().map(of_job).collect::<Vec<_>>() }))
}

/// A job and outcomes that differ.
pub(super) fn job_table(job: &Job, rows: &[Recomparison]) -> String {
    let by = if job.requested_by.is_empty() { "the center".to_owned() } else { job.requested_by.clone() };
    let reason = if job.reason.is_empty() { String::new() } else { format!(": {}", job.reason) };
    let tally = &job.tally;
    let head = format!(
        "{} {} of {} to {}, asked for by {by}{reason}\n{}: {} of {} captures compared again, {} differ, {} unreadable; {} of {} chunks put aside",
        job.kind.word(),
        job.id,
        utc(job.since),
        utc(job.until),
        job.state.word(),
        tally.compared,
        job.probes,
        tally.differing,
        tally.unreadable,
        job.parked,
        job.chunks,
    );
    if rows.is_empty() {
        return head;
    }
    let mut table = table(["verification", "would be", "score", "policy", "model"]);
    for row in rows {
        let score = row.score.map_or_else(|| "–".to_owned(), |score| format!("{score:.3}"));
        table.add_row([
            row.verification.to_string(),
            row.decision.policy_key().to_owned(),
            score,
            row.policy_version.clone(),
            row.model.clone(),
        ]);
    }
    format!("{head}\n{table}")
}

/// The same for programs.
pub(super) fn job_json(job: &Job, rows: &[Recomparison]) -> String {
    let of_row = |row: &Recomparison| {
        json!({
            "verification": row.verification.to_string(),
            "decision": row.decision.policy_key(),
            "score": row.score,
            "policy_version": row.policy_version,
            "model": row.model,
            "reference": row.reference.map(|reference| reference.to_string()),
            "compared_at": utc(row.compared_at),
        })
    };
    let mut object = of_job(job);
    if let Value::Object(object) = &mut object {
        object.insert("differing_outcomes".to_owned(), rows.iter().map(of_row).collect());
    }
    format!("{object:#}")
}

fn of_job(job: &Job) -> Value {
    json!({
        "id": job.id.to_string(),
        "kind": job.kind.word(),
        "state": job.state.word(),
        "since": utc(job.since),
        "until": utc(job.until),
        "requested_by": job.requested_by,
        "reason": job.reason,
        "requested_at": utc(job.requested_at),
        "started_at": job.started_at.map(utc),
        "finished_at": job.finished_at.map(utc),
        "chunks": job.chunks,
        "chunks_parked": job.parked,
        "captures": job.probes,
        "compared": job.tally.compared,
        "differing": job.tally.differing,
        "unreadable": job.tally.unreadable,
    })
}

fn state(job: &Job) -> String {
    if job.parked == 0 {
        job.state.word().to_owned()
    } else {
        format!("{}, {} of {} chunks put aside", job.state.word(), job.parked, job.chunks)
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn number(number: u64) -> Cell {
    Cell::new(number).set_alignment(CellAlignment::Right)
}

fn utc(at: TimeMs) -> String {
    Timestamp::from_millisecond(at).map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use matcher_core::{Decision, JobKind, JobState};

    use super::*;
    use crate::store::{RecordId, SubjectId, batch::Tally};

    fn job() -> Job {
        Job {
            id: RecordId([7; 16]),
            kind: JobKind::Rematch,
            state: JobState::Incomplete,
            since: 0,
            until: 86_400_000,
            requested_by: "陈静".into(),
            reason: "after the new photos".into(),
            requested_at: 86_400_000,
            started_at: Some(86_400_001),
            finished_at: None,
            chunks: 4,
            parked: 1,
            probes: 900,
            tally: Tally { compared: 700, differing: 3, unreadable: 2 },
        }
    }

    fn row() -> Recomparison {
        Recomparison {
            subject: SubjectId([1; 16]),
            verification: RecordId([2; 16]),
            compared_at: 0,
            policy_version: "live-2".into(),
            model: "m@1".into(),
            reference: None,
            score: Some(0.25),
            decision: Decision::Review,
        }
    }

    #[test]
    fn people_see_how_far_it_is_and_no_person() {
        let backlog = Backlog { waiting: 12, oldest: Some(0), parked: vec![("unreadable".into(), 2)] };
        let list = list_table(&backlog, &[job()]);
        for expected in ["12 captures", "since 1970-01-01T00:00:00Z", "2 unreadable", "702", "900", "1 of 4 chunks put aside"] {
            assert!(list.contains(expected), "{expected}: {list}");
        }
        let shown = job_table(&job(), &[row()]);
        assert!(
            shown.contains("asked for by 陈静: after the new photos") && shown.contains("review") && shown.contains("0.250"),
            "{shown}"
        );
        assert!(!shown.contains(&RecordId([1; 16]).to_string()), "{shown}");
        assert!(backlog_line(&Backlog::default()).starts_with("0 captures that came late wait; none put aside"));
    }

    #[test]
    fn programs_get_numbers() {
        let shown: Value = serde_json::from_str(&job_json(&job(), &[row()])).unwrap();
        assert_eq!(
            (shown["compared"].as_u64(), shown["chunks_parked"].as_u64(), shown["state"].as_str()),
            (Some(700), Some(1), Some("incomplete"))
        );
        assert_eq!(shown["differing_outcomes"][0]["decision"], "review");
        let list: Value = serde_json::from_str(&list_json(&Backlog::default(), &[job()])).unwrap();
        assert_eq!((list["deferred"]["waiting"].as_u64(), list["jobs"][0]["kind"].as_str()), (Some(0), Some("rematch")));
    }
}
