//! What the health reports of one device say together: a clock that was moved, two agents with one key, a spool that
//! was deleted.
//!
//! One report says little: clocks of counters are wrong, agents are started again. What is looked at is how a report follows
//! those before it. Not here: how reports are kept, and what a flag leads to.

use crate::{tampering::TamperingReason, words::words};

/// A clock that steps by more than this was moved, in milliseconds: people and batteries, not drift.
pub const CLOCK_STEP_MAX_MS: i64 = 60_000;
/// Clocks of counters drift by less than one part in so many.
const DRIFT_PER: i64 = 1_000;
/// Reports of which so many are looked at.
pub const REPORTS_LOOKED_AT: u32 = 32;

words! {
    /// What reports suggest.
    Suspicion {
        /// The device's clock was moved.
        Clock = "clock",
        /// Two agents work with the device's key.
        Copy = "copy",
        /// The device counts its captures from a lower number than before: its spool was deleted or put back.
        Spool = "spool",
    }
}

impl Suspicion {
    /// What is flagged.
    #[must_use]
    pub fn reason(self) -> TamperingReason {
        match self {
            Self::Clock => TamperingReason::ClockMoved,
            Self::Copy => TamperingReason::KeyCopied,
            Self::Spool => TamperingReason::SpoolDeleted,
        }
    }
}

/// What one report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When the center received it, in milliseconds.
    pub received_at: i64,
    /// The center's clock then minus the device's, in milliseconds.
    pub behind_ms: i64,
    /// The largest step that the device itself noticed since its last report, in milliseconds.
    pub step_ms: i64,
    /// Random name of the running agent; nothing where the report has none.
    pub instance: Option<[u8; 16]>,
    /// The next sequence number it will use; nothing where the report has none.
    pub next_sequence: Option<u64>,
}

/// What a report suggests after earlier ones, newest first.
#[must_use]
pub fn suspicions(earlier: &[Said], now: &Said) -> Vec<Suspicion> {
    let mut found = Vec::new();
    if clock_moved(earlier.first(), now) {
        found.push(Suspicion::Clock);
    }
    if takes_turns(earlier, now) {
        found.push(Suspicion::Copy);
    }
    if counts_back(earlier, now) {
        found.push(Suspicion::Spool);
    }
    found
}

fn clock_moved(before: Option<&Said>, now: &Said) -> bool {
    let stepped = now.step_ms.saturating_abs() > CLOCK_STEP_MAX_MS;
    let moved = before.is_some_and(|before| {
        let drift = now.received_at.saturating_sub(before.received_at).saturating_abs() / DRIFT_PER;
        now.behind_ms.saturating_sub(before.behind_ms).saturating_abs() > CLOCK_STEP_MAX_MS.saturating_add(drift)
    });
    stepped || moved
}

/// Whether the numbers of captures go back: they never do while the spool is what it was.
fn counts_back(earlier: &[Said], now: &Said) -> bool {
    let before = earlier.iter().find_map(|said| said.next_sequence);
    before.zip(now.next_sequence).is_some_and(|(before, now)| now < before)
}

/// Whether an agent speaks again after another one spoke: one that was started anew has a new name, and an old name does
/// not come back.
fn takes_turns(earlier: &[Said], now: &Said) -> bool {
    let Some(instance) = now.instance else { return false };
    let mut names = earlier.iter().filter_map(|said| said.instance).skip_while(|name| *name == instance);
    names.any(|name| name == instance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(received_at: i64, behind_ms: i64, name: u8) -> Said {
        Said { received_at, behind_ms, step_ms: 0, instance: (name > 0).then_some([name; 16]), next_sequence: None }
    }

    #[track_caller]
    fn check(earlier: &[Said], now: &Said, expected: &[Suspicion]) {
        assert_eq!(suspicions(earlier, now), expected);
    }

    #[test]
    fn a_wrong_clock_is_nothing_and_a_moved_one_is() {
        let before = [said(0, 3_600_000, 1)];
        check(&[], &said(0, 3_600_000, 1), &[]);
        check(&before, &said(60_000, 3_600_000, 1), &[]);
        check(&before, &said(60_000, 3_660_060, 1), &[]);
        check(&before, &said(60_000, 3_660_061, 1), &[Suspicion::Clock]);
        check(&before, &said(60_000, 0, 1), &[Suspicion::Clock]);
        // A night off, with a clock that drifts.
        check(&before, &said(12 * 3_600_000, 3_600_000 + 100_000, 1), &[]);
    }

    #[test]
    fn a_step_that_was_put_right_before_the_report_is_told_by_the_device() {
        check(&[said(0, 0, 1)], &Said { step_ms: -60_001, ..said(60_000, 0, 1) }, &[Suspicion::Clock]);
        check(&[said(0, 0, 1)], &Said { step_ms: i64::MIN, ..said(60_000, 0, 1) }, &[Suspicion::Clock]);
        check(&[said(0, 0, 1)], &Said { step_ms: 60_000, ..said(60_000, 0, 1) }, &[]);
    }

    #[test]
    fn a_restart_is_nothing_and_a_name_that_comes_back_is_a_copy() {
        check(&[said(0, 0, 1)], &said(1, 0, 1), &[]);
        check(&[said(0, 0, 1)], &said(1, 0, 2), &[]);
        check(&[said(1, 0, 2), said(0, 0, 1)], &said(2, 0, 3), &[]);
        check(&[said(1, 0, 2), said(0, 0, 1)], &said(2, 0, 1), &[Suspicion::Copy]);
        check(&[said(2, 0, 2), said(1, 0, 2), said(0, 0, 1)], &said(3, 0, 2), &[]);
        // Commands beside the agent have no name.
        check(&[said(1, 0, 0), said(0, 0, 1)], &said(2, 0, 1), &[]);
        check(&[said(1, 0, 2), said(0, 0, 1)], &said(2, 0, 0), &[]);
    }

    #[test]
    fn numbers_of_captures_do_not_go_back() {
        let next = |next_sequence| Said { next_sequence, ..said(0, 0, 1) };
        check(&[next(Some(7))], &next(Some(7)), &[]);
        check(&[next(Some(7))], &next(Some(8)), &[]);
        check(&[next(Some(7))], &next(Some(6)), &[Suspicion::Spool]);
        check(&[next(None), next(Some(7))], &next(Some(1)), &[Suspicion::Spool]);
        check(&[next(Some(7))], &next(None), &[]);
        check(&[], &next(Some(1)), &[]);
    }

    proptest! {
        #[test]
        fn one_agent_that_starts_again_and_again_is_never_taken_for_two(starts in proptest::collection::vec(1_usize..4, 1..60)) {
            let mut reports: Vec<Said> = Vec::new();
            for (name, count) in (1_u8..).zip(starts) {
                for _ in 0..count {
                    let now = said(i64::try_from(reports.len()).unwrap(), 0, name);
                    prop_assert!(suspicions(&reports, &now).is_empty());
                    reports.insert(0, now);
                    reports.truncate(REPORTS_LOOKED_AT as usize);
                }
            }
        }
    }
}
