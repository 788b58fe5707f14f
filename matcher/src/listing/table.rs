//! Records as tables of at most 120 columns.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use jiff::{Timestamp, tz::TimeZone};

use crate::store::{Flag, TimeMs, Verification};

const WIDTH: u16 = 120;

/// Flags, one a row.
pub(super) fn flags(flags: &[Flag], zone: &TimeZone) -> String {
    let mut table = table(["time", "flag", "institution", "device", "transaction", "card"]);
    for flag in flags {
        let time = local(flag.raised_at, zone);
        let kind = [flag.kind.word(), flag.reason.as_str()].join(" ");
        table.add_row([&time, kind.trim_end(), &flag.institution, &flag.device, &flag.transaction, &short(&flag.identifier_masked)]);
    }
    format!("{table}\n{}", footer(flags.len(), "flag", zone))
}

/// Verifications, one a row.
pub(super) fn verifications(verifications: &[Verification], zone: &TimeZone) -> String {
    let mut table = table(["time", "institution", "transaction", "card", "scene", "decision", "score", "disposition"]);
    for verification in verifications {
        table.add_row([
            Cell::new(local(verification.decided_at, zone)),
            Cell::new(&verification.request.institution),
            Cell::new(format!("{}/{}", verification.request.transaction, verification.request.attempt)),
            Cell::new(short(&verification.identifier_masked)),
            Cell::new(verification.scene.word()),
            Cell::new(decision(verification)),
            Cell::new(verification.score.map_or_else(|| "–".into(), |score| format!("{score:.3}"))).set_alignment(CellAlignment::Right),
            Cell::new(verification.disposition.word()),
        ]);
    }
    let bands = bands(verifications).map(|bands| format!("; {bands}")).unwrap_or_default();
    format!("{table}\n{}{bands}", footer(verifications.len(), "verification", zone))
}

/// An empty table of the width and style of all listings.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH).set_header(header);
    if let Some(time) = table.column_mut(0) {
        time.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// The decision, or in its place the narrowest reason why there is none.
fn decision(verification: &Verification) -> &str {
    verification.reasons.last().map_or(verification.decision.word(), String::as_str)
}

/// The thresholds, where all records have the same.
fn bands(verifications: &[Verification]) -> Option<String> {
    let compared = || verifications.iter().filter(|verification| verification.score.is_some());
    let first = compared().next()?;
    let of = |v: &Verification| (v.match_threshold, v.non_match_threshold, v.policy_version.clone());
    if compared().any(|verification| of(verification) != of(first)) {
        return Some("thresholds differ, see --json".into());
    }
    let non_match = first.non_match_threshold.map(|below| format!(", non_match < {below:.2}")).unwrap_or_default();
    let mode = if first.provisional() { format!(", {}", first.mode.word()) } else { String::new() };
    Some(format!("match ≥ {:.2}{non_match} (policy {}{mode})", first.match_threshold?, first.policy_version))
}

fn footer(count: usize, what: &str, zone: &TimeZone) -> String {
    let plural = if count == 1 { "" } else { "s" };
    let now = zone.to_offset(Timestamp::now());
    let name = zone.iana_name().filter(|_| !zone.is_unknown());
    let zone = name.map_or_else(|| format!("UTC{now}"), |name| format!("{name} (UTC{now})"));
    format!("{count} {what}{plural}, newest first; times in {zone}")
}

pub(crate) fn local(time: TimeMs, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(time).unwrap_or(if time < 0 { Timestamp::MIN } else { Timestamp::MAX });
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A masked number with no more than four of its stars.
fn short(masked: &str) -> String {
    let shown = masked.trim_start_matches('*');
    let stars = masked.len() - shown.len();
    format!("{}{shown}", "*".repeat(stars.min(4)))
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;
    use crate::store::contract;

    fn shanghai() -> TimeZone {
        TimeZone::fixed(Offset::constant(8))
    }

    fn line<'a>(text: &'a str, containing: &str) -> &'a str {
        text.lines().find(|line| line.contains(containing)).unwrap_or_else(|| panic!("no {containing} in\n{text}"))
    }

    #[test]
    fn a_verification_is_one_line_of_at_most_120_columns() {
        let mut record = contract::verification("20261122-000123", 1).record;
        record.decided_at = 1_795_320_224_000;
        record.identifier_masked = "**************0027".into();
        let text = verifications(&[record.clone()], &shanghai());
        let row = line(&text, "20261122-000123/1");
        for part in ["2026-11-22 12:03:44", "pharmacy-1", "****0027", "settlement", "non_match", "0.123", "document_check"] {
            assert!(row.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        let last = text.lines().last().unwrap();
        assert_eq!(last, "1 verification, newest first; times in UTC+08; match ≥ 0.50, non_match < 0.30 (policy test-1, demonstration)");
        assert!(!text.contains('%'));
    }

    #[test]
    fn no_decision_shows_its_narrowest_reason_and_no_score() {
        let mut record = contract::verification("T1", 1).record;
        record.reasons = vec!["failure_to_acquire".into(), "no_face".into()];
        record.score = None;
        let text = verifications(&[record], &shanghai());
        let row = line(&text, "T1/1");
        assert!(row.contains(" no_face ") && row.contains('–'), "{text}");
    }

    #[test]
    fn a_flag_is_one_line_with_a_masked_card() {
        let text = flags(&[contract::flag(1, 0)], &shanghai());
        let row = line(&text, "card_person_mismatch");
        for part in ["1970-01-01 08:00:00", "pharmacy-1", "counter-1", "T1", "****1234"] {
            assert!(row.contains(part), "{part}\n{text}");
        }
        assert!(text.ends_with("1 flag, newest first; times in UTC+08"), "{text}");
    }

    #[test]
    fn nothing_to_list_is_said() {
        assert!(flags(&[], &shanghai()).contains("0 flags"));
        assert!(verifications(&[], &shanghai()).ends_with("0 verifications, newest first; times in UTC+08"));
    }
}
