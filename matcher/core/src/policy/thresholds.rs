//! Thresholds, and what they rest on: trials with their errors, set against the target error rates.

use models_core::{ModelId, RecipeId};

use crate::{decision::Scene, words::words};

/// Errors that fix a threshold: with fewer, its error rate is not known to within a factor of two (rule of 30).
pub const ERRORS_MIN: u64 = 30;

words! {
    /// Whose faces the trials were of.
    Source {
        /// Public data: says how a model behaves, not how it does here.
        Public = "public",
        /// The center's own people, cameras and photos.
        Local = "local",
    }
}

/// The error rates that thresholds are set by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Largest false match rate of a whole transaction, above 0, below 1.
    pub match_fmr: f64,
    /// Largest false non-match rate below the non-match threshold, above 0, below 1.
    pub non_match_fnmr: f64,
}

impl Target {
    /// Largest false match rate of one comparison where a transaction has several: 1 − (1 − FMR)^(1/comparisons).
    #[must_use]
    pub fn per_comparison(&self, comparisons: u32) -> f64 {
        1.0 - (1.0 - self.match_fmr).powf(1.0 / f64::from(comparisons.max(1)))
    }
}

/// Trials behind a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trials {
    /// Whose faces.
    pub source: Source,
    /// Non-mated comparisons.
    pub nonmated: u64,
    /// Those of them that reach the match threshold.
    pub nonmated_errors: u64,
    /// Mated comparisons.
    pub mated: u64,
    /// Those of them below the non-match threshold.
    pub mated_errors: u64,
}

impl Trials {
    /// Whether local trials fix a non-match threshold.
    #[must_use]
    pub fn fix_non_match(&self, target: Target) -> bool {
        self.source == Source::Local && keeps(self.mated_errors, self.mated, target.non_match_fnmr)
    }

    /// Whether local trials fix a match threshold, for so many comparisons in a transaction.
    #[must_use]
    pub fn fix_match(&self, target: Target, comparisons: u32) -> bool {
        self.source == Source::Local && keeps(self.nonmated_errors, self.nonmated, target.per_comparison(comparisons))
    }
}

/// Enough errors to know the rate by, and no more than the target allows.
fn keeps(errors: u64, trials: u64, target: f64) -> bool {
    errors >= ERRORS_MIN && errors <= trials && errors as f64 <= target * trials as f64
}

/// The bands of one model and recipe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Score at and above which the decision is a match.
    pub match_at_least: f32,
    /// Score below which the decision is a non-match; without it there is no such band, only review.
    pub non_match_below: Option<f32>,
    /// What they rest on.
    pub trials: Trials,
}

/// Thresholds and where they count.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) model: ModelId,
    pub(super) recipe: RecipeId,
    /// Empty: all that have none of their own.
    pub(super) scenes: Vec<Scene>,
    pub(super) thresholds: Thresholds,
}

/// The bands of a model and recipe in a scene: the scene's own before those for all.
pub(super) fn of(entries: &[Entry], scene: Scene, model: &ModelId, recipe: &RecipeId) -> Option<Thresholds> {
    let fitting = || entries.iter().filter(|entry| entry.model == *model && entry.recipe == *recipe);
    let own = fitting().find(|entry| entry.scenes.contains(&scene));
    own.or_else(|| fitting().find(|entry| entry.scenes.is_empty())).map(|entry| entry.thresholds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target = Target { match_fmr: 0.001, non_match_fnmr: 0.001 };

    #[test]
    fn a_transaction_of_several_comparisons_keeps_the_target() {
        let each = TARGET.per_comparison(3);
        assert!((1.0 - (1.0 - each).powi(3) - 0.001).abs() < 1e-12 && each < 0.001 / 2.99);
        assert!((TARGET.per_comparison(0) - 0.001).abs() < 1e-12);
    }

    #[track_caller]
    fn check_non_match(source: Source, mated: u64, mated_errors: u64, expected: bool) {
        let trials = Trials { source, nonmated: 0, nonmated_errors: 0, mated, mated_errors };
        assert_eq!(trials.fix_non_match(TARGET), expected);
    }

    #[test]
    fn a_non_match_rests_on_thirty_local_errors_within_the_target() {
        check_non_match(Source::Local, 30_000, 30, true);
        check_non_match(Source::Local, 30_000, 29, false);
        check_non_match(Source::Local, 29_999, 30, false);
        check_non_match(Source::Public, 30_000, 30, false);
        check_non_match(Source::Local, 0, 0, false);
        check_non_match(Source::Local, 20, 30, false);
    }

    #[test]
    fn a_match_rests_on_thirty_local_errors_within_the_target_per_transaction() {
        let check = |nonmated, comparisons| {
            Trials { source: Source::Local, nonmated, nonmated_errors: 30, mated: 0, mated_errors: 0 }.fix_match(TARGET, comparisons)
        };
        assert!(check(30_000, 1) && !check(29_999, 1) && !check(30_000, 3) && check(90_100, 3));
        let public = Trials { source: Source::Public, nonmated: 90_100, nonmated_errors: 30, mated: 0, mated_errors: 0 };
        assert!(!public.fix_match(TARGET, 1));
    }
}
