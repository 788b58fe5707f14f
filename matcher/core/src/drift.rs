//! Drift: whether a camera or a store is another than it was, and whether a store was always another than its peers.
//!
//! Every day each camera and each store is held against its own past by a few charts ([`Chart`]): the mean score by an
//! exponentially weighted moving average and by that of the last three days ([`scores`]), shares by Laney's p′ chart ([`rates`]).
//! A chart says how likely such a day is where nothing changed (a p-value); Benjamini and Hochberg's rule over all charts of the day
//! ([`alarms`]) then bounds the false alarms: where nothing drifts anywhere, a day has an alarm with probability at most
//! [`DriftRule::false_share_max`]. Charts have weights that average 1 (Genovese, Roeder and Wasserman, Biometrika 93 (2006) 509):
//! a score tells most of a camera, and may use more of the bound than a share. What stands must also be large enough to matter.
//! Who cheated from the first day has a steady past, and is found beside its peers instead ([`funnel`]); how much a camera's
//! traffic can show at all says [`traffic`].
//!
//! The past that a day is held against ends [`DriftRule::window_days`] before it and leaves out days around an alarm
//! ([`baseline`]), so that a drift does not become its own past: it is an alarm until it ends or somebody says that it is the
//! new state. Not here: where figures come from, and what follows from an alarm, which is that somebody looks.

use crate::{evidence::interval::discoveries, words::words};

pub mod baseline;
pub mod funnel;
pub mod history;
pub mod latency;
pub mod rates;
pub mod scores;
#[cfg(test)]
mod simulation;
pub mod tails;
pub mod traffic;

/// Days since 1970-01-01, by the center's calendar.
pub type Day = i64;

words! {
    /// What is watched of a camera or a store.
    Chart {
        /// Mean score of the comparisons.
        Score = "score",
        /// Share of captures without a usable face.
        NoFace = "no_face",
        /// Share of comparisons that were not a match.
        NotMatched = "not_matched",
        /// Share of all answers that were given another way.
        OtherWay = "other_way",
    }
}

/// How days are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftRule {
    /// Days that are watched together; the past ends before them.
    pub window_days: i64,
    /// Days of the past at most.
    pub past_days_max: usize,
    /// Days of the past at least.
    pub past_days_min: usize,
    /// Days before an alarm that are left out of every past with it.
    pub before_alarm_days: i64,
    /// Weight of a new day in the moving average, above 0, at most 1.
    pub lambda: f64,
    /// Last days of the past that tell the level.
    pub level_days: usize,
    /// Correlation of what two days in a row have beyond their counts, 0–1.
    pub lasting: f64,
    /// How far a single day counts at most, in its own standard deviations: one strange day is no drift.
    pub day_max: f64,
    /// Last days whose mean is judged beside the moving average, at least 1.
    pub recent_days: usize,
    /// Share of a score chart's false alarms that this mean may have, above 0, below 1; the moving average has the others.
    pub recent_share: f64,
    /// Scores that everybody else has for each of a place's own, at least, where it is held against their day.
    pub others_ratio_min: f64,
    /// Weight of a chart of scores among the day's charts, above 0.
    pub score_weight: f64,
    /// Weight of a chart of shares among the day's charts, above 0.
    pub rate_weight: f64,
    /// Standard deviations at which a chart draws its limits.
    pub limit: f64,
    /// Share of alarms that may be false (Benjamini and Hochberg's q).
    pub false_share_max: f64,
    /// Smallest change of a mean score, in standard deviations of single scores.
    pub score_effect_min: f64,
    /// Smallest change of a share, as it is (0–1).
    pub rate_effect_min: f64,
    /// Smallest ratio of a share to what it was.
    pub rate_ratio_min: f64,
    /// Trials of a day at least; days with fewer are not judged.
    pub trials_min: u64,
}

/// The rule as it is shipped; its parameters were chosen by simulation (see the tests).
impl Default for DriftRule {
    fn default() -> Self {
        Self {
            window_days: 14,
            past_days_max: 182,
            past_days_min: 28,
            before_alarm_days: 7,
            lambda: 0.15,
            level_days: 56,
            lasting: 0.1,
            day_max: 3.5,
            recent_days: 3,
            recent_share: 0.75,
            others_ratio_min: 10.0,
            score_weight: 3.0,
            rate_weight: 1.0,
            limit: 3.0,
            false_share_max: 0.15,
            score_effect_min: 0.3,
            rate_effect_min: 0.03,
            rate_ratio_min: 1.5,
            trials_min: 10,
        }
    }
}

/// A day of one chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// What was seen: a mean score, or a share.
    pub value: f64,
    /// What was to be expected.
    pub expected: f64,
    /// Where the chart's limits are, lower and upper, in the same unit as `value`; for scores, of `average`.
    pub limits: (f64, f64),
    /// The moving average, in the unit of `value`; a share itself.
    pub average: f64,
    /// How likely so much is where nothing changed, 0–1.
    pub p: f64,
    /// Its weight among the day's charts, above 0.
    pub weight: f64,
    /// How large the change is: of scores in standard deviations of single scores, of shares as it is.
    pub effect: f64,
    /// Whether the change is large enough to matter.
    pub matters: bool,
}

/// Which charts of a day are alarms.
#[must_use]
pub fn alarms(readings: &[Reading], rule: &DriftRule) -> Vec<bool> {
    let mean = readings.iter().map(|reading| reading.weight).sum::<f64>() / readings.len().max(1) as f64;
    let p_values: Vec<f64> = readings.iter().map(|reading| (reading.p * mean / reading.weight).min(1.0)).collect();
    let stand = discoveries(&p_values, rule.false_share_max);
    stand.into_iter().zip(readings).map(|(stands, reading)| stands && reading.matters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_of_more_weight_use_more_of_the_bound_and_what_does_not_matter_is_no_alarm() {
        let rule = DriftRule { false_share_max: 0.1, ..DriftRule::default() };
        let reading =
            |p, weight, matters| Reading { value: 0.0, expected: 0.0, limits: (0.0, 0.0), average: 0.0, p, weight, effect: 0.0, matters };
        // One of four with a weight of 3 among ones: its limit is 3 / 1.5 of a fourth of 0.1, the others' 1 / 1.5.
        let of = |p: f64, first: f64, matters| {
            let others = [reading(if first > 1.0 { 1.0 } else { p }, 1.0, matters), reading(1.0, 1.0, true), reading(1.0, 1.0, true)];
            let all: Vec<_> = [reading(if first > 1.0 { p } else { 1.0 }, 3.0, matters)].into_iter().chain(others).collect();
            alarms(&all, &rule)
        };
        assert_eq!(of(0.049, 3.0, true), [true, false, false, false]);
        assert_eq!(of(0.051, 3.0, true), [false; 4]);
        assert_eq!(of(0.016, 1.0, true), [false, true, false, false]);
        assert_eq!(of(0.017, 1.0, true), [false; 4]);
        assert_eq!(of(0.001, 3.0, false), [false; 4]);
        assert!(alarms(&[], &rule).is_empty());
    }
}
