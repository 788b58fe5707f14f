//! How long what is kept: faces short, decisions long.
//!
//! Days are counted from the decision, from when a photo was superseded, or from when a person was forgotten. What a
//! hold or an open case is about stays until that ends. Not here: deleting (`matcher::store`).

use crate::words::words;

const DAY_MS: i64 = 86_400_000;
/// Decisions are kept for three years at least.
pub const DECISION_DAYS_MIN: u32 = 1_095;

words! {
    /// Kinds of records, each with a time of its own, in the order in which they are deleted.
    RetentionKind {
        /// Samples of matches that nothing was flagged about.
        MatchSamples = "match_samples",
        /// Templates of those, which tell the visits of a card apart.
        MatchTemplates = "match_templates",
        /// Samples and templates of everything else: reviews, non-matches, suspicions, flagged transactions.
        DisputedProbes = "disputed_probes",
        /// Photos that were superseded or revoked, or whose validity is over, with their references.
        EndedPhotos = "ended_photos",
        /// Decisions whose captures are gone, with their requests and flags.
        Decisions = "decisions",
        /// What is left of the numbers of those who were forgotten.
        Tombstones = "tombstones",
    }
}

/// How many days each kind is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionRule {
    /// Samples of matches, 1 to 90.
    pub match_sample_days: u32,
    /// Templates of matches, not less than their samples, up to 90.
    pub evidence_days: u32,
    /// Samples and templates of everything else, 1 to 730: until the case and the appeal are over.
    pub disputed_days: u32,
    /// Superseded photos, 0 to 365.
    pub superseded_days: u32,
    /// Decisions, [`DECISION_DAYS_MIN`] to 36,500.
    pub decision_days: u32,
    /// Tombstones, 90 to 3,650: longer than any capture waits in a spool.
    pub forgotten_days: u32,
}

impl RetentionRule {
    /// The first setting that is out of range, with what was expected of it.
    ///
    /// # Errors
    /// With the setting's name and the expectation.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let settings = [
            ("match_sample_days", self.match_sample_days, 1..=90),
            ("evidence_days", self.evidence_days, self.match_sample_days..=90),
            ("disputed_days", self.disputed_days, 1..=730),
            ("superseded_days", self.superseded_days, 0..=365),
            ("decision_days", self.decision_days, DECISION_DAYS_MIN..=36_500),
            ("forgotten_days", self.forgotten_days, 90..=3_650),
        ];
        for (name, value, range) in settings {
            if !range.contains(&value) {
                return Err((name, format!("a number from {} to {}, got {value}", range.start(), range.end())));
            }
        }
        Ok(())
    }

    /// What is older than this is over, in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn before(&self, kind: RetentionKind, now: i64) -> i64 {
        let days = match kind {
            RetentionKind::MatchSamples => self.match_sample_days,
            RetentionKind::MatchTemplates => self.evidence_days,
            RetentionKind::DisputedProbes => self.disputed_days,
            RetentionKind::EndedPhotos => self.superseded_days,
            RetentionKind::Decisions => self.decision_days,
            RetentionKind::Tombstones => self.forgotten_days,
        };
        now.saturating_sub(i64::from(days) * DAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: RetentionRule = RetentionRule {
        match_sample_days: 7,
        evidence_days: 30,
        disputed_days: 90,
        superseded_days: 30,
        decision_days: 1_095,
        forgotten_days: 365,
    };

    #[track_caller]
    fn check(rule: RetentionRule, expected: &str) {
        let (name, expectation) = rule.check().unwrap_err();
        assert_eq!(format!("{name}: expected {expectation}"), expected);
    }

    #[test]
    fn decisions_are_never_kept_for_less_than_three_years() {
        assert_eq!(RULE.check(), Ok(()));
        check(RetentionRule { decision_days: 1_094, ..RULE }, "decision_days: expected a number from 1095 to 36500, got 1094");
        check(RetentionRule { evidence_days: 6, ..RULE }, "evidence_days: expected a number from 7 to 90, got 6");
        check(RetentionRule { match_sample_days: 0, ..RULE }, "match_sample_days: expected a number from 1 to 90, got 0");
    }

    proptest! {
        #[test]
        fn a_face_goes_before_its_features_and_both_before_the_decision(now: i64, sample in 1_u32..=90, evidence in 1_u32..=90) {
            let rule = RetentionRule { match_sample_days: sample, evidence_days: evidence, ..RULE };
            prop_assume!(rule.check().is_ok());
            let before = |kind| rule.before(kind, now);
            prop_assert!(before(RetentionKind::MatchSamples) >= before(RetentionKind::MatchTemplates));
            prop_assert!(before(RetentionKind::MatchTemplates) >= before(RetentionKind::Decisions));
        }
    }
}
