//! Tests for shares: a share with its interval, the binomial tail, Benjamini and Hochberg's rule.

use crate::statistics;

/// A share with its 95 % interval, all 0–1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The share.
    pub value: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Wilson's 95 % interval of `events` among `trials`, which need not be whole (weighted trials); everything where
/// there are no trials.
#[must_use]
pub fn wilson(events: f64, trials: f64) -> Share {
    if trials <= 0.0 {
        return Share { value: 0.0, lower: 0.0, upper: 1.0 };
    }
    let value = (events / trials).clamp(0.0, 1.0);
    let interval = statistics::wilson(events, trials);
    Share { value, lower: interval.low.min(value), upper: interval.high.max(value) }
}

/// Probability of at least `events` among `trials` when each has probability `p`, 0–1.
#[must_use]
pub fn binomial_tail(events: u64, trials: u64, p: f64) -> f64 {
    if events == 0 {
        return 1.0;
    }
    if events > trials || p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    let (n, odds) = (trials as f64, (p / (1.0 - p)).ln());
    // Logarithm of the chance of exactly k, stepping up from none.
    let mut exactly = n * (-p).ln_1p();
    let mut terms = Vec::new();
    for k in 0..=trials {
        if k >= events {
            terms.push(exactly);
        }
        exactly += ((n - k as f64) / (k as f64 + 1.0)).ln() + odds;
    }
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (terms.iter().map(|term| (term - largest).exp()).sum::<f64>() * largest.exp()).min(1.0)
}

/// Which of these p-values stand when at most this share of those that stand may be wrong (Benjamini and Hochberg).
#[must_use]
pub fn discoveries(p_values: &[f64], share_wrong_max: f64) -> Vec<bool> {
    let mut sorted = p_values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let stands = |(rank, p): (usize, &f64)| *p <= (rank as f64 + 1.0) / count * share_wrong_max;
    let limit = sorted.iter().enumerate().rev().find(|(rank, p)| stands((*rank, p))).map(|(_, p)| *p);
    p_values.iter().map(|p| limit.is_some_and(|limit| *p <= limit)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(events: f64, trials: f64, lower: f64, upper: f64) {
        let share = wilson(events, trials);
        assert!((share.lower - lower).abs() < 5e-4 && (share.upper - upper).abs() < 5e-4, "{share:?}");
    }

    #[test]
    fn intervals_are_those_of_the_textbook() {
        // Published values of the Wilson score interval.
        check(0.0, 10.0, 0.0, 0.2775);
        check(10.0, 10.0, 0.7225, 1.0);
        check(1.0, 10.0, 0.0179, 0.4042);
        check(81.0, 263.0, 0.2553, 0.3662);
        check(0.0, 0.0, 0.0, 1.0);
        assert!((wilson(1.0, 10.0).value - 0.1).abs() < 1e-12);
    }

    #[test]
    fn tails_are_sums_of_binomial_chances() {
        // Three of three at one half; at least one of two at 0.1: 1 − 0.81.
        assert!((binomial_tail(3, 3, 0.5) - 0.125).abs() < 1e-12);
        assert!((binomial_tail(1, 2, 0.1) - 0.19).abs() < 1e-12);
        // At least 8 of 10 at one half: 56 / 1024.
        assert!((binomial_tail(8, 10, 0.5) - 56.0 / 1024.0).abs() < 1e-12);
        assert_eq!(
            [binomial_tail(0, 5, 0.1), binomial_tail(6, 5, 0.1), binomial_tail(1, 5, 0.0), binomial_tail(5, 5, 1.0)],
            [1.0, 0.0, 0.0, 1.0]
        );
        let far = binomial_tail(3_000, 20_000, 0.1);
        assert!(far > 0.0 && far < 1e-60, "{far}");
    }

    #[test]
    fn discoveries_follow_the_step_up_rule() {
        // Benjamini and Hochberg's own example: four of fifteen at 5 %.
        let p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0];
        assert_eq!(discoveries(&p, 0.05).iter().filter(|stands| **stands).count(), 4);
        assert_eq!(discoveries(&[0.04, 0.05], 0.05), [true, true], "the second carries the first");
        assert_eq!(discoveries(&[0.06], 0.05), [false]);
        assert!(discoveries(&[], 0.05).is_empty());
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share(events in 0_u32..500, more in 0_u32..500) {
            let share = wilson(f64::from(events), f64::from(events + more));
            prop_assert!(0.0 <= share.lower && share.lower <= share.value && share.value <= share.upper && share.upper <= 1.0);
        }

        #[test]
        fn more_events_are_less_likely(trials in 1_u64..200, events in 0_u64..200, p in 0.001_f64..0.999) {
            let tail = |events| binomial_tail(events, trials, p);
            prop_assert!(tail(events) >= tail(events + 1) && tail(events) <= 1.0 && tail(events + 1) >= 0.0);
        }
    }
}
