//! Shares by Laney's p′ chart (Laney, Quality Engineering 14 (2002) 531): a share varies by its count and by something of the day,
//! and the moving ranges of the past say how much.
//!
//! z of a day is its distance from the past's share in binomial standard deviations; σ_z is the mean moving range of z over
//! 1.128 (of two neighbours), here at least 1. Limits are drawn at so many σ_z. As few events are not normal, the p-value
//! is the upper tail of a beta-binomial with that variance, which also counts that the past's share is an estimate.
//! Only more is a drift: fewer faces that cannot be used, or fewer other ways, are what everybody wants.

use std::collections::BTreeSet;

use super::{Day, DriftRule, Reading, baseline::split, tails::beta_binomial_upper};

/// Events among trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// Events.
    pub events: u64,
    /// Trials, at least as many.
    pub trials: u64,
}

impl Rate {
    /// The share; nothing without trials.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.trials > 0).then(|| self.events as f64 / self.trials as f64)
    }
}

/// Mean range of two values of a standard normal.
const RANGE_OF_TWO: f64 = 1.128;

/// Judges the last day of a series (by day, rising); nothing where there is no such day or too little past.
#[must_use]
pub fn judge(series: &[(Day, Rate)], today: Day, alarmed: &BTreeSet<Day>, rule: &DriftRule) -> Option<Reading> {
    let split = split(series, today, alarmed, rule)?;
    let last = split.window.last().filter(|(day, rate)| *day == today && rate.trials >= rule.trials_min)?.1;
    let past: Vec<Rate> = split.past.iter().map(|(_, rate)| *rate).filter(|rate| rate.trials >= rule.trials_min).collect();
    if past.len() < rule.past_days_min {
        return None;
    }
    let (events, trials) = past.iter().fold((0, 0), |(events, trials), rate| (events + rate.events, trials + rate.trials));
    // Half an event more, so that a past without any has a share, too.
    let share = (events as f64 + 0.5) / (trials as f64 + 1.0);
    let binomial = |trials: u64| (share * (1.0 - share) / trials as f64).sqrt();
    let z = |rate: &Rate| rate.share().map_or(0.0, |value| (value - share) / binomial(rate.trials));
    let ranges: f64 = past.iter().zip(past.iter().skip(1)).map(|(a, b)| (z(b) - z(a)).abs()).sum();
    let count = past.len() as f64;
    let spread = (ranges / (count - 1.0) / RANGE_OF_TWO).max(1.0);
    // The spread and the share are estimates of so many days and trials.
    let dispersion = spread * spread * (1.0 + 4.0 / count.sqrt()) * (1.0 + last.trials as f64 / trials as f64);
    let value = last.share()?;
    let distance = rule.limit * spread * binomial(last.trials);
    // A day as ever needs no exact tail.
    let p = if value <= share { 1.0 } else { beta_binomial_upper(last.events, last.trials, share, dispersion) };
    let effect = value - share;
    Some(Reading {
        value,
        expected: share,
        limits: ((share - distance).max(0.0), (share + distance).min(1.0)),
        average: value,
        p,
        weight: rule.rate_weight,
        effect,
        matters: effect >= rule.rate_effect_min && value >= share * rule.rate_ratio_min,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(days: Day, events: impl Fn(Day) -> u64) -> Vec<(Day, Rate)> {
        (0..days).map(|day| (day, Rate { events: events(day), trials: 100 })).collect()
    }

    fn last(series: &[(Day, Rate)]) -> Option<Reading> {
        judge(series, series.last().unwrap().0, &BTreeSet::new(), &DriftRule::default())
    }

    #[test]
    fn limits_are_those_of_the_p_chart_where_days_vary_by_their_counts_alone() {
        // Moving ranges of a tenth of a deviation: σ_z is below 1, and 1 is taken.
        let reading = last(&series(80, |_| 10)).unwrap();
        let deviation = (0.1_f64 * 0.9 / 100.0).sqrt();
        assert!((reading.limits.0 - (0.1 - 3.0 * deviation)).abs() < 1e-3 && (reading.limits.1 - (0.1 + 3.0 * deviation)).abs() < 1e-3);
        assert!(reading.p > 0.4 && !reading.matters);
    }

    #[test]
    fn days_that_always_vary_widen_their_limits() {
        let restless = |day: Day| if day % 2 == 0 { 4 } else { 16 };
        let reading = last(&series(80, |day| if day == 79 { 22 } else { restless(day) })).unwrap();
        let steady = last(&series(80, |day| if day == 79 { 22 } else { 10 })).unwrap();
        assert!(reading.limits.1 > 0.3 && steady.limits.1 < 0.2, "{reading:?}");
        assert!(reading.p > 20.0 * steady.p && steady.matters);
    }

    #[test]
    fn fewer_are_no_drift() {
        let reading = last(&series(80, |day| if day == 79 { 0 } else { 10 })).unwrap();
        assert_eq!((reading.p, reading.matters), (1.0, false));
    }

    proptest! {
        #[test]
        fn more_events_are_never_likelier(events in 0_u64..99, past in 0_u64..30) {
            let p = |events| last(&series(80, |day| if day == 79 { events } else { past + (day as u64 % 3) })).unwrap().p;
            prop_assert!(p(events + 1) <= p(events) + 1e-12);
        }
    }
}
