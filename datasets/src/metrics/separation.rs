//! How far the scores of mated and non-mated comparisons lie apart.

use super::Ranked;

/// The distance of the two means in units of the root of the mean variance (d′). It uses every score, where an
/// error rate uses the few at its threshold, so that small sets tell more; it says nothing about tails. None
/// when a side is empty or nothing varies.
#[must_use]
pub fn separation(mated: &Ranked<'_>, nonmated: &Ranked<'_>) -> Option<f64> {
    let ((mated, spread), (nonmated, other)) = (moments(mated)?, moments(nonmated)?);
    let deviation = spread.midpoint(other).sqrt();
    (deviation > 0.0).then(|| (mated - nonmated) / deviation)
}

/// Mean and variance (by the number of scores), in two passes.
fn moments(ranked: &Ranked<'_>) -> Option<(f64, f64)> {
    let total = ranked.total();
    if total == 0 {
        return None;
    }
    let counted = || {
        let mut before = 0;
        ranked.steps().map(move |(score, reaching)| {
            let count = reaching - before;
            before = reaching;
            (f64::from(score), count as f64)
        })
    };
    let mean = counted().map(|(score, count)| score * count).sum::<f64>() / total as f64;
    let variance = counted().map(|(score, count)| count * (score - mean).powi(2)).sum::<f64>() / total as f64;
    Some((mean, variance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Comparison, Scores};

    fn scores(scores: &[f32]) -> Scores {
        Scores::new(scores.iter().map(|score| Comparison { score: *score, subjects: [0, 0] }).collect())
    }

    #[track_caller]
    fn check(mated: &[f32], nonmated: &[f32], expected: Option<f64>) {
        let got = separation(&scores(mated).ranked(), &scores(nonmated).ranked());
        match (got, expected) {
            (Some(got), Some(expected)) => assert!((got - expected).abs() < 1e-6, "{got}"),
            (got, expected) => assert_eq!(got, expected),
        }
    }

    #[test]
    fn the_means_distance_is_in_units_of_the_spread() {
        // Mated 0.5 and 0.7: mean 0.6, variance 0.01. Non-mated 0 and 0.2, twice: mean 0.1, variance 0.01. 0.5 / 0.1.
        check(&[0.5, 0.7], &[0.0, 0.2, 0.2, 0.0], Some(5.0));
        // Variances 0.04 and 0: the root of their mean is 0.1414; the means are 0.5 apart.
        check(&[0.3, 0.7], &[0.0, 0.0], Some(0.5 / 0.02_f64.sqrt()));
    }

    #[test]
    fn without_scores_or_spread_there_is_none() {
        check(&[], &[0.1], None);
        check(&[0.5], &[0.1], None);
    }
}
