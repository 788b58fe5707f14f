//! How much a camera's traffic can show: after how many days a change of half a standard deviation of single scores is found.
//!
//! Few scores a day say little, however they are looked at: the mean of three days of 20 varies by 0.13 standard deviations and
//! more, and a few alarms a month among thousands of charts ask for four of these and more. So each camera is told what its own past
//! (how many, and how much its days differ) lets the charts of [`scores`](super::scores) find in nine of ten cases, where nothing
//! else drifts. The figures are those of the two looks there: what a day is expected to say, of which one counts no more than
//! [`DriftRule::day_max`], against the limit that one chart alone among the day's must reach.

use super::{DriftRule, scores::Past, tails::student_both};

/// The change that is looked for, in standard deviations of single scores.
pub const SHIFT: f64 = 0.5;
/// Days that are looked at; what takes longer is said to take longer.
pub const DAYS_MAX: u32 = 30;
/// Standard deviations that nine of ten are above.
const NINE_OF_TEN: f64 = 1.282;

/// What a place's traffic can show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Scores of an ordinary day.
    pub scores: f64,
    /// Days of traffic after which a change of [`SHIFT`] is found in nine of ten cases, at least 1; nothing where [`DAYS_MAX`] are too few.
    pub days: Option<u32>,
}

/// How much ordinary days differ beyond their counts, in standard deviations of single scores: an assumption for a camera of which
/// nothing is known, between the 0.03 and 0.15 that healthy counters are simulated with.
pub const DAYS_DIFFER: f64 = 0.09;

/// What so many scores a day can show with half a year behind them, where days differ by [`DAYS_DIFFER`], of as many charts as were
/// judged together on a day. A camera with a past is told by its own ([`scores::traffic`](super::scores::traffic)).
#[must_use]
pub fn typical(scores: f64, charts: u64, rule: &DriftRule) -> Traffic {
    traffic(&Past::typical(scores.max(1.0), DAYS_DIFFER, rule.past_days_max, rule), charts, rule)
}

/// What a past lets the charts show, of as many charts as were judged together on a day.
pub(super) fn traffic(past: &Past, charts: u64, rule: &DriftRule) -> Traffic {
    // One chart of four is of scores; the others' weights make room for it.
    let weight = rule.score_weight * 4.0 / (rule.score_weight + 3.0 * rule.rate_weight);
    let p_max = rule.false_share_max * weight / charts.max(1) as f64;
    let fast_min = student_limit(p_max * rule.recent_share, past.degrees) + NINE_OF_TEN;
    let slow_min = student_limit(p_max * (1.0 - rule.recent_share), past.degrees) + NINE_OF_TEN;
    let day = past.of_day();
    let a_day = capped(SHIFT * (past.within / day).sqrt(), rule.day_max);
    let level = past.of_level / day;
    let found = |days: &u32| {
        let recent = f64::from(*days).min(rule.recent_days as f64);
        let fast = a_day * recent / (rule.recent_days as f64 + level * (rule.recent_days as f64).powi(2)).sqrt();
        let begun = 1.0 - (1.0 - rule.lambda).powi(days.cast_signed());
        let slow = a_day * begun / (rule.lambda / (2.0 - rule.lambda) + level).sqrt();
        // Most of the last days must be days of the change.
        2.0 * recent > rule.recent_days as f64 && (fast >= fast_min || slow >= slow_min)
    };
    Traffic { scores: past.count, days: (1..=DAYS_MAX).find(found) }
}

/// How far Student's t is from 0, or farther, with this probability.
fn student_limit(p: f64, degrees: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1_000.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if student_both(middle, degrees) > p { low = middle } else { high = middle }
    }
    high
}

/// Mean of a normal around `mean` with a deviation of 1, of which nothing above `most` is counted.
fn capped(mean: f64, most: f64) -> f64 {
    let above = mean - most;
    let density = (-0.5 * above * above).exp() / std::f64::consts::TAU.sqrt();
    let share = 0.5 * statrs::function::erf::erfc(-above / std::f64::consts::SQRT_2);
    mean - above * share - density
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_tables_and_caps_cut() {
        assert!((student_limit(0.05, 10.0) - 2.228).abs() < 1e-3 && (student_limit(0.001, 10.0) - 4.587).abs() < 1e-3);
        assert!((capped(0.0, 0.0) + 0.3989).abs() < 1e-3 && (capped(1.0, 9.0) - 1.0).abs() < 1e-9 && capped(9.0, 3.0) <= 3.0);
    }
}

/// A day's series of a place with so many scores each day, whose days differ by so much.
#[cfg(test)]
mod of_places {
    use std::collections::BTreeSet;

    use super::{
        super::{Day, scores},
        *,
    };

    fn days_told(count: u64, days_differ: f64, charts: u64) -> Option<u32> {
        let noise = |day: Day| ((day * 7_919 + 13).rem_euclid(101) as f64 - 50.0) / 29.2;
        let spread = 0.1 * (days_differ * days_differ + 1.0 / count as f64).sqrt();
        let n = count as f64;
        let series: Vec<_> = (0..150)
            .map(|day| {
                let mean = 0.6 + spread * noise(day);
                (day, scores::Sums { count, sum: n * mean, squares: n * mean * mean + 0.01 * (n - 1.0) })
            })
            .collect();
        scores::traffic(&series, &[], 149, &BTreeSet::new(), charts, &DriftRule::default()).unwrap().days
    }

    #[test]
    fn typical_days_are_never_sooner_with_fewer_scores_or_more_charts() {
        let rule = DriftRule::default();
        let of = |scores: f64, charts| typical(scores, charts, &rule).days.unwrap_or(99);
        for charts in [6, 100, 6_000, 60_000] {
            let days: Vec<u32> = [10.0, 20.0, 40.0, 60.0, 80.0, 120.0, 200.0, 400.0].map(|scores| of(scores, charts)).into();
            println!("{charts} charts: {days:?}");
            assert!(days.is_sorted_by(|fewer, more| fewer >= more) && days.iter().all(|days| *days >= 2), "{days:?}");
            assert!(of(40.0, charts) <= of(40.0, charts * 10));
        }
        assert!(of(20.0, 6_000) > 5 && of(200.0, 6_000) <= 3);
    }

    #[test]
    fn small_counters_are_told_that_they_take_longer() {
        let [small, middle, large] = [20, 80, 400].map(|count| days_told(count, 0.06, 6_000).unwrap_or(99));
        assert!(small >= 5 && (2..=6).contains(&middle) && (2..=3).contains(&large), "{small} {middle} {large}");
        assert!(days_told(80, 0.4, 6_000).unwrap_or(99) > middle, "restless days take longer");
        assert!(days_told(40, 0.06, 6).unwrap_or(99) < days_told(40, 0.06, 6_000).unwrap_or(99), "few charts ask for less");
        assert_eq!(days_told(10, 0.9, 6_000), None);
    }
}
