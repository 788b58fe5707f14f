//! What is said about reviewers: shares with Wilson's interval, and nothing where too few cases speak.

use crate::evidence::interval::{Share, wilson};

/// Cases from which on a share of a reviewer is shown: with fewer the interval is so wide that it would only mislead.
pub const SHOWN_FROM: u64 = 50;

/// A share with its 95 % interval; nothing below [`SHOWN_FROM`] trials.
#[must_use]
pub fn shown_share(events: u64, trials: u64) -> Option<Share> {
    (trials >= SHOWN_FROM).then(|| wilson(events as f64, trials as f64))
}

/// What a reviewer did in some time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReviewerFigures {
    /// Who.
    pub name: String,
    /// First verdicts.
    pub decided: u64,
    /// Of these, confirmed.
    pub confirmed: u64,
    /// Second verdicts.
    pub reviewed: u64,
    /// Cases that two people judged, this one among them, without knowing of each other.
    pub twice: u64,
    /// Of these, with the same verdict.
    pub agreed: u64,
}

impl ReviewerFigures {
    /// Share of cases judged twice with the same verdict.
    #[must_use]
    pub fn agreement(&self) -> Option<Share> {
        shown_share(self.agreed, self.twice)
    }

    /// Share of first verdicts that accuse somebody.
    #[must_use]
    pub fn confirms(&self) -> Option<Share> {
        shown_share(self.confirmed, self.decided)
    }
}

/// What a reviewer answered to cases whose answer is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeedFigures {
    /// Who.
    pub name: String,
    /// Cases with one person on all pictures.
    pub mated: u64,
    /// Of these, confirmed: somebody would have been accused who did nothing.
    pub false_confirms: u64,
    /// Cases with another person on the captures.
    pub nonmated: u64,
    /// Of these, called a false alarm.
    pub misses: u64,
}

impl SeedFigures {
    /// Share of mated cases that were confirmed.
    #[must_use]
    pub fn false_confirm_rate(&self) -> Option<Share> {
        shown_share(self.false_confirms, self.mated)
    }

    /// Share of non-mated cases that were called a false alarm.
    #[must_use]
    pub fn miss_rate(&self) -> Option<Share> {
        shown_share(self.misses, self.nonmated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(agreed: u64, twice: u64, expected: Option<(f64, f64)>) {
        let share = ReviewerFigures { agreed, twice, ..ReviewerFigures::default() }.agreement();
        let rounded = share.map(|share| ((share.lower * 1e3).round() / 1e3, (share.upper * 1e3).round() / 1e3));
        assert_eq!(rounded, expected);
    }

    #[test]
    fn the_two_errors_are_told_apart_and_each_needs_its_own_cases() {
        let figures = SeedFigures { name: "anna".into(), mated: 60, false_confirms: 3, nonmated: 49, misses: 49 };
        let rate = figures.false_confirm_rate().unwrap();
        assert_eq!(((rate.value * 1e3).round(), rate.lower < 0.05 && rate.upper > 0.05), (50.0, true));
        assert!(figures.miss_rate().is_none());
        assert!(SeedFigures { nonmated: 50, ..figures }.miss_rate().is_some());
    }

    #[test]
    fn shares_of_few_cases_are_not_shown() {
        check(0, 0, None);
        check(49, 49, None);
        check(50, 50, Some((0.929, 1.0)));
        check(90, 100, Some((0.826, 0.945)));
    }
}
