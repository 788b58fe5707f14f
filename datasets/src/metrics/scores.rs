//! Scores in order, error rates at a threshold, and the threshold for an error rate.

use super::Rate;

/// The lowest score there is: every comparison reaches it.
pub const LOWEST: f32 = -1.0;

/// One executed comparison, as far as the arithmetic needs it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Its score; negative infinity for what can never match (a search whose probe could not be acquired).
    pub score: f32,
    /// Numbers of the two subjects, from 0; twice the same for a mated comparison.
    pub subjects: [usize; 2],
}

impl Comparison {
    /// How often this comparison occurs when subject `i` was drawn `drawn[i]` times: once for each copy of a
    /// subject when both sides are the same one, else once for each pair of copies.
    fn weight(&self, drawn: &[u32]) -> u64 {
        let times = |subject: usize| u64::from(drawn.get(subject).copied().unwrap_or(0));
        let [a, b] = self.subjects;
        if a == b { times(a) } else { times(a) * times(b) }
    }
}

/// Comparisons of one kind (all mated, or all non-mated), highest score first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores(Vec<Comparison>);

impl Scores {
    /// Sorts them.
    #[must_use]
    pub fn new(mut comparisons: Vec<Comparison>) -> Self {
        comparisons.sort_by(|a, b| b.score.total_cmp(&a.score));
        Self(comparisons)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, highest score first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Comparison> {
        self.0.iter()
    }

    /// Each comparison once.
    #[must_use]
    pub fn ranked(&self) -> Ranked<'_> {
        self.counted(|_| 1)
    }

    /// Each comparison as often as its subjects were drawn.
    #[must_use]
    pub fn resampled(&self, drawn: &[u32]) -> Ranked<'_> {
        self.counted(|comparison| comparison.weight(drawn))
    }

    fn counted(&self, weight: impl Fn(&Comparison) -> u64) -> Ranked<'_> {
        let mut sum = 0;
        let running = self.0.iter().map(|comparison| {
            sum += weight(comparison);
            sum
        });
        Ranked { scores: &self.0, upto: running.collect() }
    }
}

/// Scores with how often each counts.
#[derive(Debug)]
pub struct Ranked<'a> {
    scores: &'a [Comparison],
    /// For each rank: occurrences of this comparison and all above.
    upto: Vec<u64>,
}

impl Ranked<'_> {
    /// How many occurrences there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.upto.last().copied().unwrap_or(0)
    }

    /// How many reach a threshold.
    fn reaching(&self, threshold: f32) -> u64 {
        let ranks = self.scores.partition_point(|comparison| comparison.score >= threshold);
        ranks.checked_sub(1).and_then(|last| self.upto.get(last)).copied().unwrap_or(0)
    }

    /// Share that reaches the threshold: the false match rate of non-mated comparisons.
    #[must_use]
    pub fn at_or_above(&self, threshold: f32) -> Rate {
        Rate::new(self.reaching(threshold), self.total())
    }

    /// Share that does not reach the threshold: the false non-match rate of mated comparisons.
    #[must_use]
    pub fn below(&self, threshold: f32) -> Rate {
        Rate::new(self.total() - self.reaching(threshold), self.total())
    }

    /// The smallest threshold that at most this share (0–1) of the comparisons reaches. It is the next number
    /// above the first score that must stay out; whatever ties with that score stays out too.
    #[must_use]
    pub fn threshold_for_at_or_above(&self, target: f64) -> f32 {
        let allowed = allowed(target, self.total());
        let inside = self.upto.partition_point(|upto| *upto <= allowed);
        self.scores.get(inside).map_or(LOWEST, |first_out| first_out.score.next_up())
    }

    /// The largest threshold below which at most this share (0–1) of the comparisons lies. None without comparisons.
    #[must_use]
    pub fn threshold_for_below(&self, target: f64) -> Option<f32> {
        let kept = self.total() - allowed(target, self.total()).min(self.total());
        let last_kept = self.upto.partition_point(|upto| *upto < kept);
        self.scores.get(last_kept.min(self.scores.len().saturating_sub(1))).map(|comparison| comparison.score)
    }

    /// Scores from the highest, each distinct one with how many reach it.
    pub(super) fn steps(&self) -> impl Iterator<Item = (f32, u64)> + '_ {
        let mut pairs = self.scores.iter().zip(&self.upto).peekable();
        std::iter::from_fn(move || {
            let (comparison, mut upto) = pairs.next()?;
            while let Some((_, later)) = pairs.next_if(|(next, _)| next.score.total_cmp(&comparison.score).is_eq()) {
                upto = later;
            }
            Some((comparison.score, *upto))
        })
    }
}

/// How many of `total` may go wrong for a share of at most `target`. The slack is for targets such as 0.001
/// whose product with a round total comes out a hair below a whole number.
fn allowed(target: f64, total: u64) -> u64 {
    (target * total as f64 * (1.0 + 1e-12)).floor() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scores(scores: &[f32]) -> Scores {
        Scores::new(scores.iter().map(|score| Comparison { score: *score, subjects: [0, 0] }).collect())
    }

    #[track_caller]
    fn check(nonmated: &[f32], target: f64, threshold: f32, false_matches: u64) {
        let scores = scores(nonmated);
        let ranked = scores.ranked();
        let got = ranked.threshold_for_at_or_above(target);
        assert_eq!((got, ranked.at_or_above(got).errors), (threshold, false_matches));
    }

    #[test]
    fn the_threshold_is_the_smallest_that_keeps_the_rate() {
        // Of 4, a quarter may match: one. The second highest, 0.3, must stay out, and 0.4 stays in.
        check(&[0.1, 0.2, 0.3, 0.4], 0.25, 0.3_f32.next_up(), 1);
        // A fifth of 4 is less than one: none may match.
        check(&[0.1, 0.2, 0.3, 0.4], 0.2, 0.4_f32.next_up(), 0);
        // All may.
        check(&[0.1, 0.2, 0.3, 0.4], 1.0, LOWEST, 4);
    }

    #[test]
    fn ties_stay_out_together() {
        // One of 4 may match, and two share the highest score: letting them in would be two.
        check(&[0.1, 0.2, 0.4, 0.4], 0.25, 0.4_f32.next_up(), 0);
        check(&[0.1, 0.4, 0.4, 0.5], 0.5, 0.4_f32.next_up(), 1);
    }

    #[test]
    fn round_products_are_not_lost_to_rounding() {
        // 0.29 · 100 is 28.999999999999996 in binary; 29 are allowed.
        let many: Vec<f32> = (0..100_u8).map(|i| f32::from(i) / 100.0).collect();
        check(&many, 0.29, 0.70_f32.next_up(), 29);
    }

    #[test]
    fn without_comparisons_everything_is_allowed_and_nothing_known() {
        check(&[], 0.1, LOWEST, 0);
        assert_eq!(scores(&[]).ranked().below(0.5).share(), None);
        assert_eq!(scores(&[]).ranked().threshold_for_below(0.1), None);
    }

    #[track_caller]
    fn check_below(mated: &[f32], target: f64, threshold: f32, false_non_matches: u64) {
        let scores = scores(mated);
        let ranked = scores.ranked();
        let got = ranked.threshold_for_below(target).unwrap();
        assert_eq!((got, ranked.below(got).errors), (threshold, false_non_matches));
    }

    #[test]
    fn the_threshold_for_a_false_non_match_rate_is_the_largest_that_keeps_it() {
        // One of 4 may lie below: 0.5 is the largest threshold with only 0.3 below it.
        check_below(&[0.3, 0.5, 0.6, 0.7], 0.25, 0.5, 1);
        check_below(&[0.3, 0.5, 0.6, 0.7], 0.2, 0.3, 0);
        // Two tie at the lowest place: a threshold above would leave both below.
        check_below(&[0.3, 0.3, 0.6, 0.7], 0.25, 0.3, 0);
        check_below(&[0.3, 0.5, 0.6, 0.7], 1.0, 0.7, 3);
    }

    #[test]
    fn a_pair_counts_as_often_as_its_subjects_were_drawn() {
        let comparisons = [(0.9, [0, 1]), (0.8, [0, 0]), (0.7, [1, 2]), (0.6, [2, 2])];
        let scores = Scores::new(comparisons.map(|(score, subjects)| Comparison { score, subjects }).to_vec());
        // Subject 0 drawn twice, 1 three times, 2 not at all: 2·3, 2, 0, 0.
        let ranked = scores.resampled(&[2, 3, 0]);
        assert_eq!((ranked.total(), ranked.at_or_above(0.85), ranked.below(0.85)), (8, Rate::new(6, 8), Rate::new(2, 8)));
    }

    proptest! {
        #[test]
        fn no_smaller_threshold_keeps_the_rate(raw in prop::collection::vec(0_u8..20, 1..60), target in 0.0_f64..1.0) {
            let scores = scores(&raw.iter().map(|x| f32::from(*x) / 20.0).collect::<Vec<_>>());
            let ranked = scores.ranked();
            let threshold = ranked.threshold_for_at_or_above(target);
            prop_assert!(ranked.at_or_above(threshold).share().unwrap() <= target + 1e-9);
            if threshold > LOWEST {
                prop_assert!(ranked.at_or_above(threshold.next_down()).share().unwrap() > target);
            }
            let lower = ranked.threshold_for_below(target).unwrap();
            prop_assert!(ranked.below(lower).share().unwrap() <= target + 1e-9);
        }
    }
}
