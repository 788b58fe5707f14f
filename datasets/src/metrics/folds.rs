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
/// thresholds the middle of the widest gap between scores is taken. None with fewer than two folds.
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

/// The threshold with the most right answers: in the middle of the widest gap between two scores where it is
/// reached, since a threshold far from every score is the least chance; at an end of the scores where no gap reaches it.
fn best_threshold<'a>(trials: impl Iterator<Item = &'a FoldTrial>) -> f32 {
    let mut sorted: Vec<&FoldTrial> = trials.collect();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let highest = sorted.first().map_or(0.0, |trial| trial.score.next_up());
    // Relative to a threshold above all scores: each mated trial let in is one right more, each other one less.
    let mut gain = 0_i64;
    let mut ends = (gain, highest);
    let mut best: Option<(i64, f32, f32)> = None;
    let mut rest = sorted.into_iter().peekable();
    while let Some(trial) = rest.next() {
        gain += if trial.mated { 1 } else { -1 };
        match rest.peek() {
            Some(next) if next.score >= trial.score => {}
            Some(next) => {
                let (width, middle) = (trial.score - next.score, trial.score.midpoint(next.score));
                if best.is_none_or(|(most, widest, _)| gain > most || gain == most && width > widest) {
                    best = Some((gain, width, middle));
                }
            }
            None if gain > ends.0 => ends = (gain, trial.score),
            None => {}
        }
    }
    best.filter(|(most, ..)| *most >= ends.0).map_or(ends.1, |(_, _, middle)| middle)
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
        // Fold 0's best threshold is 0.5, between 0.8 and 0.2; on fold 1, 0.45 mated falls below it: 1 of 2.
        // Fold 1's best is 0.375; fold 0 at that: both right. Mean 3/4; deviations ±1/4, variance 1/8, sd √(1/8).
        let trials = [(0.8, true, 0), (0.2, false, 0), (0.45, true, 1), (0.3, false, 1)];
        check(&trials, Some((0.75, 0.125_f64.sqrt(), &[1.0, 0.5])));
    }

    #[test]
    fn among_equally_good_thresholds_the_middle_of_the_widest_gap_is_taken() {
        // Fold 1 has gain 2 between 0.6 and 0.5, and between 0.4 and 0.1, which is wider: 0.25. Fold 0's 0.3 non-mated
        // reaches it: wrong. Fold 1 above fold 0's one score, 0.3: 0.5 non-mated is wrong, the other four are right.
        let trials = [(0.3, false, 0), (0.9, true, 1), (0.6, true, 1), (0.5, false, 1), (0.4, true, 1), (0.1, false, 1)];
        check(&trials, Some((0.4, 0.32_f64.sqrt(), &[0.0, 0.8])));
    }

    #[test]
    fn ties_of_both_kinds_go_in_together() {
        // In fold 1 letting 0.5 in lets one of each in: no gain over the gap above it, so 0.55. Fold 0: 0.58 non-mated
        // reaches it: wrong. Fold 1 above 0.58: 0.6 right, 0.5 mated wrong, 0.5 non-mated right.
        let trials = [(0.58, false, 0), (0.6, true, 1), (0.5, true, 1), (0.5, false, 1)];
        let got = accuracy_by_folds(&trials.map(|(score, mated, fold)| FoldTrial { score, mated, fold })).unwrap();
        assert_eq!(got.accuracies, [0.0, 2.0 / 3.0]);
    }

    #[test]
    fn without_a_good_gap_an_end_of_the_scores_is_taken() {
        // Fold 0 has one mated score: everything is let in from 0.75. Fold 1: 0.9 right, 0.8 and 0.7 wrong.
        // Fold 1's one gap with gain 1 is 0.9 to 0.8: 0.85; fold 0's 0.75 falls below.
        let trials = [(0.75, true, 0), (0.9, true, 1), (0.8, false, 1), (0.7, true, 1)];
        let got = accuracy_by_folds(&trials.map(|(score, mated, fold)| FoldTrial { score, mated, fold })).unwrap();
        assert_eq!(got.accuracies, [0.0, 1.0 / 3.0]);
    }

    #[test]
    fn one_fold_is_no_protocol() {
        check(&[(0.8, true, 0), (0.2, false, 0)], None);
        check(&[], None);
    }
}
