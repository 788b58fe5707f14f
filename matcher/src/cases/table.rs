//! Cases, draws and operators as tables for people, in the machine's local time.

use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use jiff::{Timestamp, tz::TimeZone};
use matcher_core::evidence::{CaseVerdict, Drawn, MissEstimate, card::probability, interval::Share, operators::Watched};

use crate::{
    app::cases::{CaseRunSummary, desk::CaseView},
    store::{TimeMs, cases::BlindDraw},
};

const WIDTH: u16 = 120;

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH).set_header(header);
    table
}

fn local(time: TimeMs, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(time)
        .map_or_else(|_| time.to_string(), |time| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string())
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn with_interval(share: &Share) -> String {
    format!("{:.1} % ({:.1}–{:.1})", share.value * 100.0, share.lower * 100.0, share.upper * 100.0)
}

/// What a turn did.
pub(super) fn summary(done: &CaseRunSummary, may_open: bool) -> String {
    let why = if !may_open && done.recorded > 0 { " (the policy tells nobody anything; see cases.open_in_shadow)" } else { "" };
    format!(
        "{} people judged, {} strong findings, {} cases opened, {} stay recorded{why}; {} matches drawn for a blind look, {} patterns flagged",
        done.people, done.strong, done.opened, done.recorded, done.drawn, done.patterns
    )
}

/// Cases, one a row.
pub(super) fn cases(cases: &[CaseView], zone: &TimeZone) -> String {
    let mut table = table(["opened", "case", "kind", "state", "verdict", "likely", "days", "card", "institutions"]);
    for view in cases {
        let case = &view.stored.case;
        table.add_row([
            local(case.opened_at, zone),
            case.id.to_string(),
            case.kind.word().to_owned(),
            view.case.state().word().to_owned(),
            view.case.verdict().map_or("", CaseVerdict::word).to_owned(),
            percent(probability(case.log_odds)),
            case.days.to_string(),
            view.stored.identifier_masked.clone(),
            view.stored.institutions.join(", "),
        ]);
    }
    format!("{table}\n{} case(s), newest first", cases.len())
}

/// One case.
pub(super) fn case(view: &CaseView, zone: &TimeZone) -> String {
    let case = &view.stored.case;
    let mut text = format!(
        "case {}\n{} ({}), opened {}; {}{}\ncard {}; institutions {}; likely {} by {} day(s)",
        case.id,
        case.kind.word(),
        case.opening.word(),
        local(case.opened_at, zone),
        view.case.state().word(),
        view.case.verdict().map_or_else(String::new, |verdict| format!(": {}", verdict.word())),
        view.stored.identifier_masked,
        view.stored.institutions.join(", "),
        percent(probability(case.log_odds)),
        case.days
    );
    if !case.reason.is_empty() {
        text += &format!("\nreason: {}", case.reason);
    }
    let mut members = table(["verification", "face", ""]);
    for member in &case.members {
        let suspect = if member.suspect { "speaks against the holder" } else { "" };
        members.add_row([member.verification.to_string(), member.face.to_string(), suspect.to_owned()]);
    }
    text += &format!("\n{members}");
    for step in view.case.steps() {
        let (verdict, reason) = step.event.said();
        let verdict = verdict.map_or_else(String::new, |verdict| format!(" {}", verdict.word()));
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        text += &format!("\n{} {} {}{verdict}{reason}", local(step.at, zone), step.by, step.event.word());
    }
    text
}

/// Draws, one a row, and the estimate.
pub(super) fn draws(draws: &[BlindDraw], misses: &MissEstimate) -> String {
    let mut table = table(["verification", "drawn", "chance", "seen"]);
    for draw in draws {
        let seen = draw.two_people.map_or("", |wrong| match (draw.drawn, wrong) {
            (Drawn::Match, true) => "two people",
            (Drawn::Match, false) => "one person",
            (Drawn::OtherWay, true) => "not in order",
            (Drawn::OtherWay, false) => "in order",
        });
        table.add_row([draw.verification.to_string(), draw.drawn.word().to_owned(), percent(draw.inclusion), seen.to_owned()]);
    }
    format!(
        "{table}\n{} judged, {} with two people: about {:.0} false matches of {:.0}, {}",
        misses.reviewed,
        misses.two_people,
        misses.false_matches,
        misses.stands_for,
        with_interval(&misses.share)
    )
}

/// Operators and institutions, one a row.
pub(super) fn operators(watched: &[Watched]) -> String {
    let mut table = table(["institution", "operator", "measure", "of", "share (95 %)", "peers", "p", ""]);
    for watched in watched {
        let tally = &watched.tally;
        table.add_row([
            tally.who.institution.clone(),
            tally.who.operator.clone().unwrap_or_else(|| "(all)".to_owned()),
            tally.measure.word().to_owned(),
            format!("{}/{}", tally.events, tally.trials),
            with_interval(&watched.share),
            watched.peers.map_or_else(|| "–".to_owned(), percent),
            format!("{:.1e}", watched.p_value),
            if watched.flagged { "ask".to_owned() } else { String::new() },
        ]);
    }
    format!("{table}\na flag is a reason to ask, and no verdict: a counter for the bedridden has its proxies")
}
