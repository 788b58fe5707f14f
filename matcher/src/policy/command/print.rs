//! What `matcher policy` prints: tables for people, JSON for programs.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use jiff::Timestamp;
use matcher_core::{
    Policy,
    dry_run::{Estimate, Outcome},
    policy::difference::Change,
};
use serde_json::{Value, json};

use super::Signed;
use crate::store::{AppliedPolicy, TimeMs};

const WIDTH: u16 = 120;

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH).set_header(header);
    table
}

fn utc(time: TimeMs) -> String {
    Timestamp::from_millisecond(time).map(|time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

pub(super) fn history(policies: &[Signed]) -> String {
    let mut table = table(["no.", "version", "mode", "applied (UTC)", "by", "why", "signature"]);
    for Signed { applied, holds } in policies {
        let policy = &applied.policy;
        let mode = Policy::from_toml(&policy.text).map_or("not readable", |policy| policy.mode().word());
        let holds = if *holds { "holds" } else { "DOES NOT HOLD" };
        table.add_row([
            &applied.number.to_string(),
            &policy.version,
            mode,
            &utc(policy.applied_at),
            &policy.applied_by,
            &policy.reason,
            holds,
        ]);
    }
    format!("{table}\n{} applied, the one in force first", policies.len())
}

pub(super) fn history_json(policies: &[Signed]) -> String {
    let one = |Signed { applied, holds }: &Signed| {
        let mut value = policy_value(applied);
        if let Some(object) = value.as_object_mut() {
            object.remove("text");
            object.insert("signature_holds".to_owned(), (*holds).into());
        }
        value
    };
    pretty(&policies.iter().map(one).collect())
}

pub(super) fn policy_json(applied: &AppliedPolicy) -> String {
    pretty(&policy_value(applied))
}

fn policy_value(applied: &AppliedPolicy) -> Value {
    let policy = &applied.policy;
    json!({
        "number": applied.number,
        "version": policy.version,
        "mode": Policy::from_toml(&policy.text).ok().map(|policy| policy.mode().word()),
        "applied_at": Timestamp::from_millisecond(policy.applied_at).ok().map(|at| at.to_string()),
        "applied_by": policy.applied_by,
        "reason": policy.reason,
        "key_id": policy.key_id,
        "text": policy.text,
    })
}

pub(super) fn changes(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing changes".to_owned();
    }
    let mut table = table(["field", "in force", "file"]);
    for change in changes {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
        table.add_row([&change.field, &shown(&change.before), &shown(&change.after)]);
    }
    table.to_string()
}

pub(super) fn changes_json(changes: &[Change]) -> String {
    pretty(&changes.iter().map(|change| json!({ "field": change.field, "before": change.before, "after": change.after })).collect())
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

pub(super) fn outcome(policy: &Policy, outcome: &Outcome) -> String {
    let mut bands = table(["decision", "recorded", "under the file"]);
    for (key, (before, after)) in &outcome.bands {
        bands.add_row([Cell::new(key), right(before), right(after)]);
    }
    let mut flips = table(["scene", "recorded", "under the file", "records"]);
    for ((scene, before, after), count) in &outcome.flips {
        flips.add_row([Cell::new(scene.word()), Cell::new(before), Cell::new(after), right(count)]);
    }
    let mut stores = table(["institution", "judged again", "flips", "mismatches recorded", "under the file"]);
    for (institution, counts) in &outcome.institutions {
        stores.add_row([
            Cell::new(institution),
            right(counts.replayed),
            right(counts.flips),
            right(counts.flags_before),
            right(counts.flags_after),
        ]);
    }
    let (before, after) = per_day(outcome);
    let mut text = format!(
        "Policy {} over {} records of {} days, {} judged again",
        policy.version(),
        outcome.records,
        outcome.days,
        outcome.total.replayed
    );
    for (reason, count) in &outcome.not_replayed {
        text += &format!("\n  not judged again: {count} {}", reason.word());
    }
    text += &format!("\n\n{bands}\n\n{flips}\n\n{stores}\n");
    text += &format!("\nCards flagged as a mismatch a day: {before:.1} recorded, {after:.1} under the file");
    text += &format!("\nOf these flags right, by what reviewers found: {}", estimate(outcome.by_review.as_ref(), "reviewed flags"));
    text += &format!("\nOf these flags right, by the trials of the file: {}", estimate(outcome.by_arithmetic.as_ref(), "mated trials"));
    text
}

fn per_day(outcome: &Outcome) -> (f64, f64) {
    let days = outcome.days.max(1) as f64;
    (outcome.cases.0 as f64 / days, outcome.cases.1 as f64 / days)
}

fn estimate(estimate: Option<&Estimate>, of: &str) -> String {
    estimate.map_or_else(
        || "not known".to_owned(),
        |Estimate { share, interval, count }| {
            format!("{:.0} % (95 %: {:.0}–{:.0} %; {count} {of})", share * 100.0, interval.low * 100.0, interval.high * 100.0)
        },
    )
}

pub(super) fn outcome_json(policy: &Policy, outcome: &Outcome) -> String {
    let estimate = |estimate: Option<Estimate>| {
        estimate.map(
            |Estimate { share, interval, count }| json!({ "share": share, "low": interval.low, "high": interval.high, "count": count }),
        )
    };
    let (before, after) = per_day(outcome);
    pretty(&json!({
        "version": policy.version(),
        "records": outcome.records,
        "days": outcome.days,
        "replayed": outcome.total.replayed,
        "not_replayed": outcome.not_replayed.iter().map(|(reason, count)| (reason.word().to_owned(), (*count).into())).collect::<serde_json::Map<_, _>>(),
        "bands": outcome.bands.iter().map(|(key, (before, after))| json!({ "decision": key, "before": before, "after": after })).collect::<Vec<_>>(),
        "flips": outcome.flips.iter().map(|((scene, before, after), count)| {
            json!({ "scene": scene.word(), "before": before, "after": after, "records": count })
        }).collect::<Vec<_>>(),
        "institutions": outcome.institutions.iter().map(|(institution, counts)| json!({
            "institution": institution, "replayed": counts.replayed, "flips": counts.flips,
            "mismatches_before": counts.flags_before, "mismatches_after": counts.flags_after,
        })).collect::<Vec<_>>(),
        "cases_per_day": { "before": before, "after": after },
        "right_by_review": estimate(outcome.by_review),
        "right_by_trials": estimate(outcome.by_arithmetic),
    }))
}
