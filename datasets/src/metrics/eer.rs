//! The equal error rate.

use super::Ranked;

/// Where false match and false non-match rate meet. Steps of two finite sets hardly ever meet exactly; else, of the
/// last threshold at which the false non-match rate is the larger and the first at which it is not, the one
/// with the smaller sum counts, and the rate is the mean of its two. None when either side is empty.
#[must_use]
pub fn equal_error_rate(mated: &Ranked<'_>, nonmated: &Ranked<'_>) -> Option<f64> {
    let (all_mated, all_nonmated) = (mated.total(), nonmated.total());
    if all_mated == 0 || all_nonmated == 0 {
        return None;
    }
    let mut mated = mated.steps().peekable();
    let mut nonmated = nonmated.steps().peekable();
    let (mut hits, mut false_matches) = (0, 0);
    // Above every score: nothing matches.
    let mut before = (0.0, 1.0);
    loop {
        let threshold = match (mated.peek(), nonmated.peek()) {
            (Some((a, _)), Some((b, _))) => a.max(*b),
            (Some((score, _)), None) | (None, Some((score, _))) => *score,
            // The lowest threshold lets all in: FMR 1, FNMR 0, so the rates have met before.
            (None, None) => return None,
        };
        if let Some((_, reaching)) = mated.next_if(|(score, _)| *score >= threshold) {
            hits = reaching;
        }
        if let Some((_, reaching)) = nonmated.next_if(|(score, _)| *score >= threshold) {
            false_matches = reaching;
        }
        let fmr = false_matches as f64 / all_nonmated as f64;
        let fnmr = (all_mated - hits) as f64 / all_mated as f64;
        if fmr == fnmr {
            return Some(fmr);
        }
        if fmr > fnmr {
            let sum = |(fmr, fnmr): (f64, f64)| fmr + fnmr;
            return Some(sum((fmr, fnmr)).min(sum(before)) / 2.0);
        }
        before = (fmr, fnmr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Comparison, Scores};

    #[track_caller]
    fn check(mated: &[f32], nonmated: &[f32], expected: Option<f64>) {
        let scores = |all: &[f32]| Scores::new(all.iter().map(|score| Comparison { score: *score, subjects: [0, 0] }).collect());
        let (mated, nonmated) = (scores(mated), scores(nonmated));
        let got = equal_error_rate(&mated.ranked(), &nonmated.ranked());
        assert_eq!(got.map(|rate| (rate * 1e12).round()), expected.map(|rate| (rate * 1e12).round()));
    }

    #[test]
    fn separate_sides_have_none() {
        check(&[0.8, 0.9], &[0.1, 0.2], Some(0.0));
    }

    #[test]
    fn where_the_steps_meet_it_is_exact() {
        // At 0.5: one of 4 non-mated (0.6) matches, one of 4 mated (0.4) does not.
        check(&[0.9, 0.8, 0.5, 0.4], &[0.6, 0.3, 0.2, 0.1], Some(0.25));
        // At 0.8: FMR 0, FNMR 1/2. At 0.7: FMR 1/4, FNMR 1/2. At 0.6: FMR 1/2, FNMR 1/2: they meet.
        check(&[0.8, 0.5], &[0.7, 0.6, 0.2, 0.1], Some(0.5));
    }

    #[test]
    fn where_they_do_not_it_is_the_mean_of_the_nearer_step() {
        // At 0.9: (0, 2/3). At 0.7: (1/2, 2/3), sum 7/6. At 0.6: (1/2, 1/3), sum 5/6, the first with FMR ≥ FNMR.
        check(&[0.9, 0.6, 0.5], &[0.7, 0.1], Some(5.0 / 12.0));
        // All of both sides tie: (0, 1) above and (1, 0) at the score, both sums are 1.
        check(&[0.5, 0.5], &[0.5], Some(0.5));
    }

    #[test]
    fn scores_the_wrong_way_round_are_all_error() {
        check(&[0.1, 0.2], &[0.8, 0.9], Some(1.0));
    }

    #[test]
    fn one_empty_side_has_no_rate() {
        check(&[], &[0.5], None);
        check(&[0.5], &[], None);
    }
}
