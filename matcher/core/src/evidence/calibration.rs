//! From a score to a log-likelihood ratio: how much likelier the score is between two people than of one.
//!
//! A [`Calibration`] is a falling line through points, flat beyond both ends. It is made from trials by
//! pool-adjacent-violators, and its ends are bounded by how many trials there were: what was never seen in
//! three hundred trials may still happen once in a hundred.

use thiserror::Error;

/// Largest size of a log-likelihood ratio, whatever the trials: a factor of about a thousand.
pub const LLR_LIMIT: f64 = 7.0;
/// Points of a calibration, at most.
pub const POINTS_MAX: usize = 256;
/// Trials of either kind that a calibration rests on, at least.
pub const TRIALS_MIN: usize = 100;
/// Scores are counted in steps this wide before they are pooled.
const STEP: f64 = 0.02;
/// An event not seen in `n` trials may have a probability of up to 3/n (95 %).
const RULE_OF_THREE: f64 = 3.0;

/// Points or trials that give no calibration. The message names the field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CalibrationError {
    /// Too few points, or too many.
    #[error("points: expected 2 to {POINTS_MAX} points")]
    Count,
    /// A score is no cosine, or does not rise.
    #[error("points[{0}]: expected a score from -1 to 1 that is larger than the one before")]
    Score(usize),
    /// A ratio rises or is too large.
    #[error("points[{0}]: expected a log-likelihood ratio from -{LLR_LIMIT} to {LLR_LIMIT} that is not larger than the one before")]
    Ratio(usize),
    /// The points do not tell mated from non-mated: they never change sign.
    #[error("points: expected ratios above 0 at low scores and below 0 at high ones")]
    OneSided,
    /// Too few trials.
    #[error("{kind}: expected at least {TRIALS_MIN} scores, got {got}")]
    Trials {
        /// Which kind.
        kind: &'static str,
        /// How many.
        got: usize,
    },
}

/// A falling map from scores to log-likelihood ratios ln(p(score | two people) / p(score | one person)).
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    points: Vec<[f64; 2]>,
}

impl Calibration {
    /// A calibration through points of score and ratio, scores rising, ratios not.
    ///
    /// # Errors
    /// With the point that is out of order.
    pub fn from_points(points: &[[f64; 2]]) -> Result<Self, CalibrationError> {
        if !(2..=POINTS_MAX).contains(&points.len()) {
            return Err(CalibrationError::Count);
        }
        let mut before = [f64::NEG_INFINITY, LLR_LIMIT];
        for (at, &[score, ratio]) in points.iter().enumerate() {
            if !(-1.0..=1.0).contains(&score) || score <= before[0] {
                return Err(CalibrationError::Score(at));
            }
            if !(-LLR_LIMIT..=before[1]).contains(&ratio) {
                return Err(CalibrationError::Ratio(at));
            }
            before = [score, ratio];
        }
        let calibration = Self { points: points.to_vec() };
        let [lowest, highest] = calibration.bounds();
        if lowest < 0.0 && highest > 0.0 { Ok(calibration) } else { Err(CalibrationError::OneSided) }
    }

    /// Learns the map from scores of trials. Its ends are at most ln(mated trials / 3) and at least
    /// −ln(non-mated trials / 3).
    ///
    /// # Errors
    /// When there are too few trials, or the scores do not tell the two kinds apart.
    pub fn from_scores(mated: &[f32], nonmated: &[f32]) -> Result<Self, CalibrationError> {
        for (kind, scores) in [("mated", mated), ("nonmated", nonmated)] {
            if scores.len() < TRIALS_MIN {
                return Err(CalibrationError::Trials { kind, got: scores.len() });
            }
        }
        let blocks = pooled(steps(mated, nonmated));
        let (mated_trials, nonmated_trials) = (mated.len() as f64, nonmated.len() as f64);
        let highest = (mated_trials / RULE_OF_THREE).ln().min(LLR_LIMIT);
        let lowest = -(nonmated_trials / RULE_OF_THREE).ln().min(LLR_LIMIT);
        let mut before = highest;
        let mut points = Vec::with_capacity(2 * blocks.len());
        for block in blocks {
            let share = |count: f64, trials: f64| (count + 0.5) / (trials + 1.0);
            let ratio = (share(block.nonmated, nonmated_trials) / share(block.mated, mated_trials)).ln();
            before = ratio.clamp(lowest, before);
            points.push([block.from, before]);
            if block.to > block.from {
                points.push([block.to, before]);
            }
        }
        Self::from_points(&points)
    }

    /// The log-likelihood ratio of a score: positive speaks for two people.
    #[must_use]
    pub fn ratio(&self, score: f32) -> f64 {
        let score = f64::from(score);
        let above = self.points.partition_point(|point| point[0] <= score);
        match (above.checked_sub(1).and_then(|below| self.points.get(below)), self.points.get(above)) {
            (Some(&[from, left]), Some(&[to, right])) => left + (right - left) * (score - from) / (to - from),
            (Some(&[_, ratio]), None) | (None, Some(&[_, ratio])) => ratio,
            (None, None) => 0.0,
        }
    }

    /// The smallest and the largest ratio it gives.
    #[must_use]
    pub fn bounds(&self) -> [f64; 2] {
        [self.points.last(), self.points.first()].map(|point| point.map_or(0.0, |point| point[1]))
    }

    /// Its points.
    #[must_use]
    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }
}

/// Trials with scores in one range, whose centres of steps are its ends.
#[derive(Debug, Clone, Copy)]
struct Block {
    from: f64,
    to: f64,
    mated: f64,
    nonmated: f64,
}

impl Block {
    fn share_nonmated(&self) -> f64 {
        self.nonmated / (self.mated + self.nonmated)
    }
}

/// Counts scores in steps; steps without any are left out.
fn steps(mated: &[f32], nonmated: &[f32]) -> Vec<Block> {
    let last = (2.0 / STEP).round() as usize - 1;
    let step = |score: f32| (((f64::from(score) + 1.0) / STEP) as usize).min(last);
    let centre = |at: usize| (at as f64 + 0.5) * STEP - 1.0;
    let mut blocks: Vec<Block> = (0..=last).map(|at| Block { from: centre(at), to: centre(at), mated: 0.0, nonmated: 0.0 }).collect();
    for (scores, is_mated) in [(mated, true), (nonmated, false)] {
        for score in scores {
            if let Some(block) = blocks.get_mut(step(*score)) {
                *(if is_mated { &mut block.mated } else { &mut block.nonmated }) += 1.0;
            }
        }
    }
    blocks.retain(|block| block.mated + block.nonmated > 0.0);
    blocks
}

/// Pools neighbours until the share of non-mated trials falls from block to block.
fn pooled(steps: Vec<Block>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::with_capacity(steps.len());
    for mut block in steps {
        while let Some(before) = blocks.pop_if(|before| before.share_nonmated() <= block.share_nonmated()) {
            block =
                Block { from: before.from, to: block.to, mated: before.mated + block.mated, nonmated: before.nonmated + block.nonmated };
        }
        blocks.push(block);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line() -> Calibration {
        Calibration::from_points(&[[0.0, 4.0], [0.5, -2.0], [0.7, -5.0]]).unwrap()
    }

    #[track_caller]
    fn check(score: f32, ratio: f64) {
        assert!((line().ratio(score) - ratio).abs() < 1e-6, "{score} gives {}", line().ratio(score));
    }

    #[test]
    fn ratios_lie_on_the_line_and_stay_at_its_ends() {
        check(-1.0, 4.0);
        check(0.0, 4.0);
        check(0.25, 1.0);
        check(0.5, -2.0);
        check(0.6, -3.5);
        check(0.7, -5.0);
        check(1.0, -5.0);
        assert_eq!(line().bounds(), [-5.0, 4.0]);
        assert_eq!(line().points().len(), 3);
    }

    #[track_caller]
    fn check_refused(points: &[[f64; 2]], expected: &CalibrationError) {
        assert_eq!(Calibration::from_points(points).as_ref(), Err(expected), "{points:?}");
    }

    #[test]
    fn points_out_of_order_are_refused_by_name() {
        check_refused(&[[0.0, 1.0]], &CalibrationError::Count);
        check_refused(&vec![[0.0, 1.0]; POINTS_MAX + 1], &CalibrationError::Count);
        check_refused(&[[0.0, 1.0], [0.0, -1.0]], &CalibrationError::Score(1));
        check_refused(&[[0.0, 1.0], [1.1, -1.0]], &CalibrationError::Score(1));
        check_refused(&[[f64::NAN, 1.0], [1.0, -1.0]], &CalibrationError::Score(0));
        check_refused(&[[0.0, 7.1], [0.5, -1.0]], &CalibrationError::Ratio(0));
        check_refused(&[[0.0, 1.0], [0.5, 1.1]], &CalibrationError::Ratio(1));
        check_refused(&[[0.0, 1.0], [0.5, -7.1]], &CalibrationError::Ratio(1));
        check_refused(&[[0.0, 1.0], [0.5, f64::NAN]], &CalibrationError::Ratio(1));
        check_refused(&[[0.0, 1.0], [0.5, 0.0]], &CalibrationError::OneSided);
        check_refused(&[[0.0, 0.0], [0.5, -1.0]], &CalibrationError::OneSided);
        assert!(Calibration::from_points(&[[-1.0, 7.0], [1.0, -7.0]]).is_ok());
    }

    /// Two triangles: non-mated around 0.1, mated around 0.6.
    fn trials(count: u16) -> (Vec<f32>, Vec<f32>) {
        let spread = |centre: f32| (0..count).map(move |i| centre + (f32::from(i % 40) + f32::from(i / 40 % 40) - 39.0) / 120.0);
        (spread(0.6).collect(), spread(0.1).collect())
    }

    #[test]
    fn trials_bound_the_ends() {
        let (mated, nonmated) = trials(1_600);
        let learnt = Calibration::from_scores(&mated, &nonmated).unwrap();
        let bound = (1_600_f64 / 3.0).ln();
        let [lowest, highest] = learnt.bounds();
        assert!(highest <= bound && lowest >= -bound, "{lowest} {highest}");
        assert!(learnt.ratio(0.0) > 3.0 && learnt.ratio(0.7) < -3.0 && learnt.ratio(0.35).abs() < 1.0);
        let few = Calibration::from_scores(&mated[..100], &nonmated[..100]).unwrap();
        assert!(few.bounds()[1] <= (100_f64 / 3.0).ln() + 1e-12, "fewer trials say less");
        for (mated, nonmated, kind) in [(&mated[..99], &nonmated[..], "mated"), (&mated[..], &nonmated[..99], "nonmated")] {
            assert_eq!(Calibration::from_scores(mated, nonmated), Err(CalibrationError::Trials { kind, got: 99 }));
        }
        assert_eq!(Calibration::from_scores(&nonmated, &mated), Err(CalibrationError::OneSided), "upside down");
    }

    proptest! {
        #[test]
        fn a_higher_score_never_speaks_more_for_two_people(a in -1.0_f32..=1.0, b in -1.0_f32..=1.0, seed in any::<u64>()) {
            let mut state = seed | 1;
            let mut draw = |centre: f32| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                centre + ((state >> 40) as f32 / 16_777_216.0 - 0.5) * 0.9
            };
            let (mated, nonmated): (Vec<f32>, Vec<f32>) = (0..300).map(|_| (draw(0.5), draw(0.05))).unzip();
            let learnt = Calibration::from_scores(&mated, &nonmated).unwrap();
            let (low, high) = if a <= b { (a, b) } else { (b, a) };
            prop_assert!(learnt.ratio(low) >= learnt.ratio(high));
            prop_assert!(learnt.ratio(low) <= LLR_LIMIT && learnt.ratio(high) >= -LLR_LIMIT);
        }
    }
}
