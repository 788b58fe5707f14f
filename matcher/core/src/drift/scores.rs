//! Mean scores by an exponentially weighted moving average (Roberts, Technometrics 1 (1959) 239; its limits widen from a known
//! start as in Lucas and Saccucci, Technometrics 32 (1990) 1) and by the mean of the last three days beside it, which finds a
//! sudden change soonest. The two share a chart's false alarms: each is held against its part of them.
//!
//! What is looked at is a place's mean less that of everybody else on the same day (a regression control chart: Mandel, Journal of
//! Quality Technology 1 (1969) 1), so that holidays, seasons and weather are nobody's drift; a change of all is found by the
//! chart of the whole center. It is held against the last weeks' level, and against weekdays, which last longer and are pulled
//! towards the level by what is likely chance in them. A day varies by its count and by something of the day itself (light,
//! staff), which the past tells apart: variance = σ²/n + τ², of which τ lasts a little into the next day. As both are
//! estimates, Student's t with the past's degrees of freedom judges.
//!
//! One strange day is no drift. A day counts for no more than a few of its own deviations (winsorised, as Lucas and Crosier,
//! Communications in Statistics 11 (1982) 2669, made cumulative sums robust), and what must be large enough to matter is the
//! middle one of the last days.

use std::collections::BTreeSet;

use super::{
    Day, DriftRule, Reading,
    baseline::split,
    tails::student_both,
    traffic::{self, Traffic},
};

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

    /// What is left of these scores without some of them.
    fn less(&self, other: &Self) -> Self {
        Self { count: self.count.saturating_sub(other.count), sum: self.sum - other.sum, squares: self.squares - other.squares }
    }

    /// Their mean; nothing of fewer than so many.
    fn mean_of(&self, count_min: u64) -> Option<f64> {
        self.mean().filter(|_| self.count >= count_min)
    }

    /// The sum of squared distances from the mean.
    fn scatter(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares - self.sum * self.sum / self.count as f64).max(0.0) }
    }
}

/// A day as it is judged: its mean beside that of everybody else.
#[derive(Clone, Copy)]
struct Seen {
    day: Day,
    sums: Sums,
    /// Mean of the day's scores, less `others`.
    value: f64,
    /// Mean of everybody else's scores; 0 where the place stands alone.
    others: f64,
}

/// Everybody else's days: those of the whole center less the place's own.
struct Others<'a> {
    center: &'a [(Day, Sums)],
}

impl<'a> Others<'a> {
    /// Nobody, where the others have too few scores on these days to be steadier than the place itself.
    fn of(center: &'a [(Day, Sums)], days: &[&(Day, Sums)], rule: &DriftRule) -> Self {
        let many = Self { center };
        let (own, all) = days.iter().fold((0, 0), |(own, all), (day, sums)| (own + sums.count, all + many.on(*day, sums).count));
        if all as f64 >= rule.others_ratio_min * own as f64 { many } else { Self { center: &[] } }
    }

    fn on(&self, day: Day, own: &Sums) -> Sums {
        let found = self.center.binary_search_by_key(&day, |(day, _)| *day).ok().and_then(|place| self.center.get(place));
        found.map_or_else(Sums::default, |(_, all)| all.less(own))
    }

    /// A day beside the others'; nothing where it has too few scores, or they have fewer than it.
    fn beside(&self, (day, sums): &(Day, Sums), rule: &DriftRule) -> Option<Seen> {
        let mean = sums.mean().filter(|_| sums.count >= rule.trials_min)?;
        let others = if self.center.is_empty() { 0.0 } else { self.on(*day, sums).mean_of(sums.count)? };
        Some(Seen { day: *day, sums: *sums, value: mean - others, others })
    }
}

/// What the past says of a day.
pub(super) struct Past {
    level: f64,
    /// How far each weekday is from the level, as far as it is known, and the variance that is left of it.
    weekdays: [(f64, f64); 7],
    /// Variance of single scores within days.
    pub(super) within: f64,
    /// Variance of days beyond what their counts explain.
    between: f64,
    /// Variance of the level.
    pub(super) of_level: f64,
    pub(super) degrees: f64,
    /// Scores of an ordinary day: the harmonic mean.
    pub(super) count: f64,
}

/// The weekday of a day, from 0.
fn weekday(day: Day) -> usize {
    usize::try_from(day.rem_euclid(7)).unwrap_or_default()
}

impl Past {
    fn of(days: &[Seen], rule: &DriftRule) -> Option<Self> {
        let mut weekdays = [(0.0, 0.0); 7];
        let (mut level, mut scatter, mut degrees_within, mut inverse) = (0.0, 0.0, 0.0, 0.0);
        let total = days.len() as f64;
        for seen in days {
            let slot = weekdays.get_mut(weekday(seen.day))?;
            (slot.0, slot.1) = (slot.0 + seen.value, slot.1 + 1.0);
            level += seen.value / total;
            scatter += seen.sums.scatter();
            degrees_within += seen.sums.count as f64 - 1.0;
            inverse += 1.0 / seen.sums.count as f64 / total;
        }
        for (mean, known) in &mut weekdays {
            *mean = if *known > 0.0 { *mean / *known - level } else { 0.0 };
        }
        let used = weekdays.iter().filter(|(_, known)| *known > 0.0).count() as f64;
        let degrees = total - used;
        let residual = |seen: &Seen| seen.value - level - weekdays.get(weekday(seen.day)).map_or(0.0, |(mean, _)| *mean);
        let of_days = days.iter().map(|seen| residual(seen).powi(2)).sum::<f64>() / degrees;
        let within = scatter / degrees_within;
        let between = (of_days - within * inverse).max(0.0);
        let of_day = between + within * inverse;
        let weekdays = shrunk(weekdays, of_day);
        // Weekdays last, but a level wanders: it is that of the last weeks.
        let late = days.iter().rev().take(rule.level_days);
        let of_late: f64 = late.clone().map(|seen| seen.value - weekdays.get(weekday(seen.day)).map_or(0.0, |(effect, _)| *effect)).sum();
        let level = of_late / late.len() as f64;
        let lasts = (1.0 + rule.lasting) / (1.0 - rule.lasting);
        let of_level = (between * lasts + within * inverse) / late.len() as f64;
        (degrees >= 1.0 && degrees_within >= 1.0 && within > 0.0).then_some(Self {
            level,
            weekdays,
            within,
            between,
            of_level,
            degrees,
            count: 1.0 / inverse,
        })
    }

    /// A past of so many days that differ by so much (in standard deviations of single scores), with so many scores each.
    pub(super) fn typical(count: f64, days_differ: f64, days: usize, rule: &DriftRule) -> Self {
        let (total, between) = (days as f64, days_differ * days_differ);
        let of_level = (between + 1.0 / count) / (days.min(rule.level_days)) as f64;
        Self { level: 0.0, weekdays: [(0.0, 0.0); 7], within: 1.0, between, of_level, degrees: total - 7.0, count }
    }

    /// Variance of an ordinary day.
    pub(super) fn of_day(&self) -> f64 {
        self.between + self.within / self.count
    }

    /// Expected value of a day, and the variance of what is seen around it but for the level's.
    fn expected(&self, day: Day, count: u64) -> (f64, f64) {
        let (effect, left) = self.weekdays.get(weekday(day)).copied().unwrap_or_default();
        (self.level + effect, self.within / count as f64 + self.between + left)
    }

    /// How far a day is from what was expected, in its own standard deviations and at most so many, and that deviation.
    fn z(&self, seen: &Seen, rule: &DriftRule) -> (f64, f64) {
        let (expected, variance) = self.expected(seen.day, seen.sums.count);
        let deviation = variance.sqrt();
        (((seen.value - expected) / deviation).clamp(-rule.day_max, rule.day_max), deviation)
    }
}

/// Weekdays' means pulled towards the level by what is likely chance in them (one-way random effects: the variance of weekdays by
/// the mean squares, then the best linear predictor), each with the variance that is left.
fn shrunk(weekdays: [(f64, f64); 7], of_day: f64) -> [(f64, f64); 7] {
    let used = weekdays.iter().filter(|(_, known)| *known > 0.0).count() as f64;
    let total: f64 = weekdays.iter().map(|(_, known)| known).sum();
    let squares: f64 = weekdays.iter().map(|(mean, known)| known * mean * mean).sum();
    let each = (total - weekdays.iter().map(|(_, known)| known * known).sum::<f64>() / total) / (used - 1.0).max(1.0);
    let variance = if used > 1.0 { ((squares / (used - 1.0) - of_day) / each).max(0.0) } else { 0.0 };
    weekdays.map(|(mean, known)| {
        let kept = if variance > 0.0 { variance / (variance + of_day / known.max(1e-9)) } else { 0.0 };
        (kept * mean, (1.0 - kept) * variance)
    })
}

/// What stands of a window: a mean, and how far it is from the past.
struct Stand {
    /// In standard deviations of the mean itself.
    z: f64,
    /// In units of scores.
    distance: f64,
}

/// The mean of the last few days, each weighted by what it tells.
fn recent(days: &[Seen], past: &Past, rule: &DriftRule) -> Stand {
    let (mut sum, mut weight, mut distances) = (0.0, 0.0, Vec::new());
    for seen in days.iter().rev().take(rule.recent_days) {
        let (z, deviation) = past.z(seen, rule);
        (sum, weight) = (sum + z / deviation, weight + 1.0 / (deviation * deviation));
        distances.push(seen.value - past.expected(seen.day, seen.sums.count).0);
    }
    // A mean of k days that last by ρ varies by 1 + 2 Σ (1 − i/k) ρⁱ times as much as one of days that do not.
    let k = days.len().min(rule.recent_days);
    let lasts = 2.0 * (1..k).map(|i| (1.0 - i as f64 / k as f64) * rule.lasting.powi(i as i32)).sum::<f64>();
    let variance = 1.0 / weight + past.of_level + lasts * past.between / k as f64;
    Stand { z: sum / weight / variance.sqrt(), distance: middle(distances) }
}

/// The middle one, or the mean of the middle two; 0 of none.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or_default();
    f64::midpoint(at(values.len() / 2), at(values.len().saturating_sub(1) / 2))
}

/// The moving average, in standard deviations of single days, where it stands, and its own standard deviation.
fn moving(days: &[Seen], past: &Past, rule: &DriftRule) -> (f64, f64, Stand) {
    let (keep, mut average, mut distance, mut steps) = (1.0 - rule.lambda, 0.0, 0.0, 0);
    for seen in days {
        let (z, _) = past.z(seen, rule);
        average = keep * average + rule.lambda * z;
        distance = keep * distance + rule.lambda * (seen.value - past.expected(seen.day, seen.sums.count).0);
        steps += 1;
    }
    let begun = 1.0 - keep.powi(steps);
    let own = rule.lambda / (2.0 - rule.lambda) * (1.0 - keep.powi(2 * steps));
    let of_day = past.of_day();
    let lasting = rule.lasting * keep;
    let lasts = 2.0 * lasting / (1.0 - lasting) * past.between / of_day;
    let spread = (own * (1.0 + lasts) + begun * begun * past.of_level / of_day).sqrt();
    (average, spread, Stand { z: average / spread, distance: distance / begun })
}

/// Judges the last day of a series (by day, rising); nothing where there is no such day or too little past. `center` are the days of
/// all scores of the center, the series' own among them; empty for a series that stands alone.
#[must_use]
pub fn judge(series: &[(Day, Sums)], center: &[(Day, Sums)], today: Day, alarmed: &BTreeSet<Day>, rule: &DriftRule) -> Option<Reading> {
    let (past, days) = past_and_days(series, center, today, alarmed, rule)?;
    let last = days.last().copied().filter(|seen| seen.day == today)?;
    let (average, spread, slow) = moving(&days, &past, rule);
    let fast = recent(&days, &past, rule);
    // Two looks share one probability of a false alarm.
    let of_fast = student_both(fast.z, past.degrees) / rule.recent_share;
    let of_slow = student_both(slow.z, past.degrees) / (1.0 - rule.recent_share);
    let stand = if of_fast <= of_slow { fast } else { slow };
    let effect = stand.distance / past.within.sqrt();
    let (expected, variance) = past.expected(today, last.sums.count);
    let (expected, deviation) = (expected + last.others, variance.sqrt());
    Some(Reading {
        value: last.value + last.others,
        expected,
        limits: (expected - rule.limit * spread * deviation, expected + rule.limit * spread * deviation),
        average: expected + average * deviation,
        p: of_fast.min(of_slow).min(1.0),
        weight: rule.score_weight,
        effect,
        matters: effect.abs() >= rule.score_effect_min,
    })
}

/// What the traffic of a series can show, as of a day; nothing with too little past. `charts` are judged together.
#[must_use]
pub fn traffic(
    series: &[(Day, Sums)],
    center: &[(Day, Sums)],
    today: Day,
    alarmed: &BTreeSet<Day>,
    charts: u64,
    rule: &DriftRule,
) -> Option<Traffic> {
    let (past, _) = past_and_days(series, center, today, alarmed, rule)?;
    Some(traffic::traffic(&past, charts, rule))
}

/// The past of a day, and the days that are watched.
fn past_and_days(
    series: &[(Day, Sums)],
    center: &[(Day, Sums)],
    today: Day,
    alarmed: &BTreeSet<Day>,
    rule: &DriftRule,
) -> Option<(Past, Vec<Seen>)> {
    let split = split(series, today, alarmed, rule)?;
    let others = Others::of(center, &split.past, rule);
    let seen = |days: &[&(Day, Sums)]| days.iter().filter_map(|day| others.beside(day, rule)).collect::<Vec<_>>();
    let past = seen(&split.past);
    if past.len() < rule.past_days_min {
        return None;
    }
    Some((Past::of(&past, rule)?, seen(&split.window)))
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
        judge(series, &[], series.last().unwrap().0, &BTreeSet::new(), &DriftRule::default())
    }

    #[test]
    fn weekdays_are_not_a_drift_and_a_shift_is() {
        let weekly = |day: Day| 0.6 + if day % 7 == 5 { 0.05 } else { 0.0 };
        let steady = last(&series(90, weekly)).unwrap();
        assert!(steady.p > 0.01 && !steady.matters, "{steady:?}");
        let shifted = last(&series(90, |day| weekly(day) - if day >= 87 { 0.05 } else { 0.0 })).unwrap();
        assert!(shifted.p < 1e-6 && shifted.matters && (-0.6..-0.4).contains(&shifted.effect), "{shifted:?}");
        assert!(shifted.average < shifted.limits.0 && shifted.value < shifted.expected);
    }

    #[test]
    fn what_everybody_has_on_a_day_is_nobodys_drift() {
        let holiday = |day: Day| if day >= 87 { -0.05 } else { 0.0 };
        let own = series(90, |day| 0.6 + holiday(day));
        let with = |others: u64, shift: &dyn Fn(Day) -> f64| -> Vec<(Day, Sums)> {
            let all = |(day, own): &(Day, Sums)| {
                let (count, mean) = (others * 100, 0.62 + shift(*day));
                (
                    *day,
                    Sums {
                        count: own.count + count,
                        sum: own.sum + count as f64 * mean,
                        squares: own.squares + count as f64 * mean * mean,
                    },
                )
            };
            own.iter().map(all).collect()
        };
        let beside = |center: &[(Day, Sums)]| judge(&own, center, 89, &BTreeSet::new(), &DriftRule::default()).unwrap();
        let among_many = beside(&with(10, &holiday));
        assert!(among_many.p > 0.01 && !among_many.matters && (among_many.value - 0.55).abs() < 0.02, "{among_many:?}");
        assert!(beside(&with(10, &|_| 0.0)).p < 1e-6, "the others have no such day");
        assert!(beside(&with(9, &holiday)).p < 1e-6, "too few others to be held against");
    }

    #[test]
    fn one_strange_day_is_no_drift_however_strange() {
        for strange in [0.1, 0.3, 1.0] {
            for after in 0..3 {
                let reading = last(&series(90, |day| 0.6 - if day == 89 - after { strange } else { 0.0 })).unwrap();
                assert!(reading.p > 1e-4 && !(reading.matters && reading.p < 1e-3), "{strange} {after} {reading:?}");
            }
        }
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
