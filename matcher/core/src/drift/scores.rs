//! Mean scores by an exponentially weighted moving average (Roberts, Technometrics 1 (1959) 239; its limits widen from a known
//! start as in Lucas and Saccucci, Technometrics 32 (1990) 1).
//!
//! A day's mean is held against the same weekdays of the past: weeks have their own people. It varies by its count and by
//! something of the day itself (light, staff), which the past tells apart: variance = σ²/n + τ². As both are estimates, the
//! average is judged by Student's t with the past's degrees of freedom, and a weekday's mean of `k` days adds 1/k to the
//! variance.

use std::collections::BTreeSet;

use super::{Day, DriftRule, Reading, baseline::split, tails::student_both};

/// Scores of a day, summed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sums {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub squares: f64,
}

impl Sums {
    /// Their mean; nothing without scores.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Adds one score.
    pub fn add(&mut self, score: f64) {
        self.count += 1;
        self.sum += score;
        self.squares += score * score;
    }

    /// The sum of squared distances from the mean.
    fn scatter(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares - self.sum * self.sum / self.count as f64).max(0.0) }
    }
}

/// What the past says of a day.
struct Past {
    weekdays: [(f64, u32); 7],
    /// Variance of single scores within days.
    within: f64,
    /// Variance of days beyond what their counts explain.
    between: f64,
    degrees: f64,
}

/// The weekday of a day, from 0.
fn weekday(day: Day) -> usize {
    usize::try_from(day.rem_euclid(7)).unwrap_or_default()
}

impl Past {
    fn of(days: &[&(Day, Sums)]) -> Option<Self> {
        let mut weekdays = [(0.0, 0_u32); 7];
        let (mut scatter, mut degrees_within, mut inverse) = (0.0, 0.0, 0.0);
        for (day, sums) in days {
            let slot = weekdays.get_mut(weekday(*day))?;
            (slot.0, slot.1) = (slot.0 + sums.mean()?, slot.1 + 1);
            scatter += sums.scatter();
            degrees_within += sums.count as f64 - 1.0;
            inverse += 1.0 / sums.count as f64;
        }
        for (mean, count) in &mut weekdays {
            *mean /= f64::from((*count).max(1));
        }
        let used = weekdays.iter().filter(|(_, count)| *count > 0).count() as f64;
        let degrees = days.len() as f64 - used;
        let residual = |(day, sums): &(Day, Sums)| {
            let mean = weekdays.get(weekday(*day)).map_or(0.0, |(mean, _)| *mean);
            sums.mean().map_or(0.0, |value| (value - mean) * (value - mean))
        };
        let of_days = days.iter().map(|day| residual(day)).sum::<f64>() / degrees;
        let within = scatter / degrees_within;
        let between = (of_days - within * inverse / days.len() as f64).max(0.0);
        (degrees >= 1.0 && degrees_within >= 1.0 && within > 0.0).then_some(Self { weekdays, within, between, degrees })
    }

    /// Expected mean of a day, and the variance of what is seen around it; nothing where too few such weekdays are known.
    fn expected(&self, day: Day, count: u64) -> Option<(f64, f64)> {
        let (mean, known) = self.weekdays.get(weekday(day)).copied().filter(|(_, known)| *known >= 3)?;
        Some((mean, (self.within / count as f64 + self.between) * (1.0 + 1.0 / f64::from(known))))
    }
}

/// Judges the last day of a series (by day, rising); nothing where there is no such day or too little past.
#[must_use]
pub fn judge(series: &[(Day, Sums)], today: Day, alarmed: &BTreeSet<Day>, rule: &DriftRule) -> Option<Reading> {
    let split = split(series, today, alarmed, rule)?;
    let enough: Vec<_> = split.past.into_iter().filter(|(_, sums)| sums.count >= rule.trials_min).collect();
    if enough.len() < rule.past_days_min {
        return None;
    }
    let past = Past::of(&enough)?;
    let (keep, mut average, mut effect, mut steps) = (1.0 - rule.lambda, 0.0, 0.0, 0);
    let mut last = None;
    for (day, sums) in split.window.into_iter().filter(|(_, sums)| sums.count >= rule.trials_min) {
        let (Some((expected, variance)), Some(mean)) = (past.expected(*day, sums.count), sums.mean()) else { continue };
        average = keep * average + rule.lambda * (mean - expected) / variance.sqrt();
        effect = keep * effect + rule.lambda * (mean - expected) / past.within.sqrt();
        steps += 1;
        last = Some((*day, mean, expected, variance.sqrt()));
    }
    let (_, value, expected, deviation) = last.filter(|(day, ..)| *day == today)?;
    let begun = 1.0 - keep.powi(steps);
    let spread = (rule.lambda / (2.0 - rule.lambda) * (1.0 - keep.powi(2 * steps))).sqrt();
    let effect = effect / begun;
    Some(Reading {
        value,
        expected,
        limits: (expected - rule.limit * spread * deviation, expected + rule.limit * spread * deviation),
        average: expected + average * deviation,
        p: student_both(average / spread, past.degrees),
        effect,
        matters: effect.abs() >= rule.score_effect_min,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(day: Day) -> f64 {
        // Between −1 and 1, without a pattern over weekdays.
        ((day * 7_919 + 13).rem_euclid(101) as f64 - 50.0) / 50.0
    }

    /// Days of 100 scores around a mean with a deviation of 0.1.
    fn series(days: Day, mean: impl Fn(Day) -> f64) -> Vec<(Day, Sums)> {
        let day = |day: Day| {
            let mean = mean(day) + 0.01 * noise(day);
            (day, Sums { count: 100, sum: 100.0 * mean, squares: 100.0 * (mean * mean + 0.01) })
        };
        (0..days).map(day).collect()
    }

    fn last(series: &[(Day, Sums)]) -> Option<Reading> {
        judge(series, series.last().unwrap().0, &BTreeSet::new(), &DriftRule::default())
    }

    #[test]
    fn weekdays_are_not_a_drift_and_a_shift_is() {
        let weekly = |day: Day| 0.6 + if day % 7 == 5 { 0.05 } else { 0.0 };
        let steady = last(&series(90, weekly)).unwrap();
        assert!(steady.p > 0.01 && !steady.matters, "{steady:?}");
        let shifted = last(&series(90, |day| weekly(day) - if day >= 87 { 0.05 } else { 0.0 })).unwrap();
        assert!(shifted.p < 1e-6 && shifted.matters && (-0.5..-0.3).contains(&shifted.effect), "{shifted:?}");
        assert!(shifted.average < shifted.limits.0 && shifted.value < shifted.expected);
    }

    #[test]
    fn nothing_is_said_of_little() {
        assert_eq!(last(&series(41, |_| 0.6)), None);
        assert!(last(&series(42, |_| 0.6)).is_some());
        let mut few = series(90, |_| 0.6);
        few.last_mut().unwrap().1 = Sums { count: 9, sum: 9.0, squares: 9.0 };
        assert_eq!(last(&few), None);
    }

    proptest! {
        #[test]
        fn a_scale_of_scores_changes_no_verdict(shift in -0.1_f64..0.1, scale in 0.5_f64..3.0, lift in -1.0_f64..1.0) {
            let plain = series(90, |day| 0.6 + if day > 86 { shift } else { 0.0 });
            let other = |sums: Sums| Sums {
                count: sums.count,
                sum: scale * sums.sum + lift * sums.count as f64,
                squares: scale * scale * sums.squares + 2.0 * scale * lift * sums.sum + lift * lift * sums.count as f64,
            };
            let scaled: Vec<_> = plain.iter().map(|(day, sums)| (*day, other(*sums))).collect();
            let (a, b) = (last(&plain).unwrap(), last(&scaled).unwrap());
            prop_assert!((a.effect - b.effect).abs() < 1e-6 && (a.p - b.p).abs() < 1e-6, "{a:?} {b:?}");
        }
    }
}
