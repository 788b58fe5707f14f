//! Accuracy by folds, as Labeled Faces in the Wild defines it for its view 2.

use std::collections::BTreeMap;

/// One executed comparison of a set with folds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoldTrial {
    /// Its score.
    pub score: f32,
    /// Whether both sides are one subject.
    pub mated: bool,
    /// Which fold it belongs to.
    pub fold: usize,
}

/// Accuracy over folds.
#[derive(Debug, Clone, PartialEq)]
pub struct Folds {
    /// Mean of the folds' accuracies, 0–1.
    pub mean: f64,
    /// Their standard deviation (n − 1 in the denominator).
    pub sd: f64,
    /// Each fold's accuracy at the threshold that was chosen without it.
    pub accuracies: Vec<f64>,
}

/// Accuracy of each fold at the threshold that is best on all other folds together. Among equally good
/// thresholds the middle one is taken. None with fewer than two folds.
#[must_use]
pub fn accuracy_by_folds(trials: &[FoldTrial]) -> Option<Folds> {
    let mut folds: BTreeMap<usize, Vec<FoldTrial>> = BTreeMap::new();
    for trial in trials {
        folds.entry(trial.fold).or_default().push(*trial);
    }
    if folds.len() < 2 {
        return None;
    }
    let accuracies: Vec<f64> = folds
        .iter()
        .map(|(fold, inside)| {
            let threshold = best_threshold(trials.iter().filter(|trial| trial.fold != *fold));
            let right = inside.iter().filter(|trial| (trial.score >= threshold) == trial.mated).count();
            right as f64 / inside.len() as f64
        })
        .collect();
    let count = accuracies.len() as f64;
    let mean = accuracies.iter().sum::<f64>() / count;
    let variance = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some(Folds { mean, sd: variance.sqrt(), accuracies })
}

/// The score with the most right answers at it as threshold, or one above all scores.
fn best_threshold<'a>(trials: impl Iterator<Item = &'a FoldTrial>) -> f32 {
    let mut sorted: Vec<&FoldTrial> = trials.collect();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let highest = sorted.first().map_or(0.0, |trial| trial.score.next_up());
    // Relative to a threshold above all scores: each mated trial let in is one right more, each other one less.
    let mut gain = 0_i64;
    let mut best = (0, vec![highest]);
    let mut rest = sorted.into_iter().peekable();
    while let Some(trial) = rest.next() {
        gain += if trial.mated { 1 } else { -1 };
        if rest.peek().is_some_and(|next| next.score >= trial.score) {
            continue;
        }
        if gain > best.0 {
            best = (gain, vec![trial.score]);
        } else if gain == best.0 {
            best.1.push(trial.score);
        }
    }
    best.1.get(best.1.len() / 2).copied().unwrap_or(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(trials: &[(f32, bool, usize)], expected: Option<(f64, f64, &[f64])>) {
        let trials: Vec<FoldTrial> =
            trials.iter().map(|(score, mated, fold)| FoldTrial { score: *score, mated: *mated, fold: *fold }).collect();
        let got = accuracy_by_folds(&trials);
        let Some((mean, sd, accuracies)) = expected else { return assert_eq!(got, None) };
        let got = got.unwrap();
        assert_eq!(got.accuracies, accuracies);
        assert!((got.mean - mean).abs() < 1e-12 && (got.sd - sd).abs() < 1e-12, "{got:?}");
    }

    #[test]
    fn a_fold_is_judged_at_the_others_threshold() {
        // Fold 0's best threshold is 0.8 (both right); on fold 1, 0.7 mated falls below it: 1 of 2.
        // Fold 1's best is 0.7 (both right); fold 0 at 0.7: 0.8 mated matches, 0.2 does not: 2 of 2.
        // Mean 3/4; deviations ±1/4, variance (1/16 + 1/16) / 1, sd √(1/8).
        let trials = [(0.8, true, 0), (0.2, false, 0), (0.7, true, 1), (0.3, false, 1)];
        check(&trials, Some((0.75, 0.125_f64.sqrt(), &[1.0, 0.5])));
    }

    #[test]
    fn among_equally_good_thresholds_the_middle_one_is_taken() {
        // Of fold 1, thresholds 0.9 (gain 1), 0.7 (after −1 +1: gain 1) tie; the later of two is the middle: 0.7.
        // Fold 0 at 0.7: 0.75 mated is right. Fold 1 at fold 0's best, 0.75: 0.9 right, 0.8 wrong, 0.7 wrong.
        let trials = [(0.75, true, 0), (0.9, true, 1), (0.8, false, 1), (0.7, true, 1)];
        let third = 1.0 / 3.0;
        check(&trials, Some((2.0 / 3.0, (2.0_f64 * third * third).sqrt(), &[1.0, third])));
    }

    #[test]
    fn ties_of_both_kinds_go_in_together() {
        // In fold 1 letting 0.5 in lets one of each in: no gain over 0.6, which is the first best; the middle of
        // [0.6, 0.5] is 0.5. Fold 0: 0.55 non-mated reaches 0.5: wrong. Fold 1 at fold 0's best, above 0.55: all below.
        let trials = [(0.55, false, 0), (0.6, true, 1), (0.5, true, 1), (0.5, false, 1)];
        let got = accuracy_by_folds(&trials.map(|(score, mated, fold)| FoldTrial { score, mated, fold })).unwrap();
        assert_eq!(got.accuracies, [0.0, 2.0 / 3.0]);
    }

    #[test]
    fn one_fold_is_no_protocol() {
        check(&[(0.8, true, 0), (0.2, false, 0)], None);
        check(&[], None);
    }
}
