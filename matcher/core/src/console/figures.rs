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
    fn shares_of_few_cases_are_not_shown() {
        check(0, 0, None);
        check(49, 49, None);
        check(50, 50, Some((0.929, 1.0)));
        check(90, 100, Some((0.826, 0.945)));
    }
}
