//! Cases, draws and operators as JSON. Times are UTC.

use jiff::Timestamp;
use matcher_core::evidence::{CaseVerdict, MissEstimate, card::probability, interval::Share, operators::Watched};
use serde_json::{Result, Value, json, to_string_pretty};

use crate::{app::cases::desk::CaseView, store::TimeMs, store::cases::BlindDraw};

/// Cases without their members.
pub(super) fn cases(cases: &[CaseView]) -> Result<String> {
    to_string_pretty(&cases.iter().map(head).collect::<Vec<_>>())
}

/// A case with its members and what happened to it.
pub(super) fn case(view: &CaseView) -> Result<String> {
    let mut value = head(view);
    let members = view.stored.case.members.iter();
    let members =
        members.map(|member| json!({ "verification": member.verification.to_string(), "face": member.face, "suspect": member.suspect }));
    let steps = view.case.steps().iter().map(|step| {
        let (verdict, reason) = step.event.said();
        json!({ "at": time(step.at), "by": step.by, "event": step.event.word(), "verdict": verdict.map(CaseVerdict::word), "reason": reason })
    });
    if let Some(object) = value.as_object_mut() {
        object.insert("members".into(), members.collect());
        object.insert("steps".into(), steps.collect());
    }
    to_string_pretty(&value)
}

fn head(view: &CaseView) -> Value {
    let case = &view.stored.case;
    json!({
        "id": case.id.to_string(), "kind": case.kind.word(), "opening": case.opening.word(), "opened_at": time(case.opened_at),
        "state": view.case.state().word(), "verdict": view.case.verdict().map(CaseVerdict::word), "claimed_by": view.case.claimed_by(),
        "log_odds": case.log_odds, "probability": probability(case.log_odds), "days": case.days,
        "verifications": case.members.len(), "card": view.stored.identifier_masked, "institutions": view.stored.institutions,
        "reason": case.reason,
    })
}

/// Draws, and the estimate.
pub(super) fn draws(draws: &[BlindDraw], misses: &MissEstimate) -> Result<String> {
    let rows = draws.iter().map(|draw| {
        json!({ "verification": draw.verification.to_string(), "day": draw.day, "drawn": draw.drawn.word(),
            "inclusion": draw.inclusion, "two_people": draw.two_people })
    });
    to_string_pretty(&json!({
        "draws": rows.collect::<Vec<_>>(),
        "judged": misses.reviewed, "two_people": misses.two_people, "stands_for": misses.stands_for,
        "false_matches": misses.false_matches, "share": share(&misses.share),
    }))
}

/// Operators and institutions.
pub(super) fn operators(watched: &[Watched]) -> Result<String> {
    let rows = watched.iter().map(|watched| {
        let tally = &watched.tally;
        json!({
            "institution": tally.who.institution, "operator": tally.who.operator, "measure": tally.measure.word(),
            "events": tally.events, "trials": tally.trials, "share": share(&watched.share), "peers": watched.peers,
            "p_value": watched.p_value, "flagged": watched.flagged,
        })
    });
    to_string_pretty(&rows.collect::<Vec<_>>())
}

fn share(share: &Share) -> Value {
    json!({ "value": share.value, "ci95": [share.lower, share.upper] })
}

fn time(at: TimeMs) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |time| time.to_string())
}
