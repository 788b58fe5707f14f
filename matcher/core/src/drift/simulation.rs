//! Simulated cities: how often healthy counters alarm, and how soon a camera that drifts is found.
//!
//! Counters have 20 to 400 captures a day, weekdays of their own, scores around a level of their own, days that differ beyond
//! chance (0.03 to 0.15 standard deviations of single scores; shares with 1.2 to 2 times binomial variance), and closed days.
//! `COUNTERSIGN_DRIFT_COUNTERS` sets the number of counters (1,000 for the figures in the documents).

use std::collections::{BTreeMap, BTreeSet};

use super::{Chart, Day, DriftRule, Reading, alarms, rates, rates::Rate, scores, scores::Sums};

/// Days before the year that is counted: the past that the rule asks for at least.
const RUN_UP: Day = 43;

fn normal(random: &mut fastrand::Rng) -> f64 {
    let (u, v) = (random.f64().max(1e-300), random.f64());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// A share that varies from day to day, with the mean of `share` and a correlation (Beta by two gammas of normals' squares would
/// be exact; a logistic normal is as over-dispersed and as skewed).
fn daily(random: &mut fastrand::Rng, share: f64, spread: f64) -> f64 {
    let odds = (share / (1.0 - share)).ln() + spread * normal(random);
    1.0 / (1.0 + (-odds).exp())
}

fn binomial(random: &mut fastrand::Rng, trials: u64, share: f64) -> u64 {
    (0..trials).filter(|_| random.f64() < share).count() as u64
}

/// A counter with its habits.
struct Counter {
    random: fastrand::Rng,
    volume: f64,
    level: f64,
    day_spread: f64,
    weekdays: [f64; 7],
    rates: [(Chart, f64, f64); 3],
    closed: bool,
}

/// A day of a counter.
#[derive(Clone, Copy, Default)]
struct Figures {
    scores: Sums,
    rates: [Rate; 3],
}

const DEVIATION: f64 = 0.12;

impl Counter {
    fn new(seed: u64, volume: Option<f64>) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let between = |random: &mut fastrand::Rng, low: f64, high: f64| low + (high - low) * random.f64();
        // As many small ones as large ones by their logarithm.
        let volume = volume.unwrap_or_else(|| between(&mut random, 20_f64.ln(), 400_f64.ln()).exp());
        let weekdays = std::array::from_fn(|_| 0.1 * normal(&mut random));
        let rates = [(Chart::NoFace, 0.02), (Chart::NotMatched, 0.06), (Chart::OtherWay, 0.03)]
            .map(|(chart, share)| (chart, daily(&mut random, share, 0.4), between(&mut random, 0.1, 0.35)));
        Self {
            level: 0.6 + 0.03 * normal(&mut random),
            day_spread: between(&mut random, 0.03, 0.15),
            closed: random.f64() < 0.3,
            volume,
            weekdays,
            rates,
            random,
        }
    }

    /// A day, drifted by so many standard deviations of single scores.
    fn day(&mut self, day: Day, drift: f64) -> Option<Figures> {
        let weekday = day.rem_euclid(7) as usize;
        if self.closed && weekday == 3 {
            return None;
        }
        let busy = self.volume * (1.0 + 0.2 * (self.weekdays[weekday] * 10.0).tanh());
        let count = (busy + busy.sqrt() * normal(&mut self.random)).round().max(1.0) as u64;
        let shift = self.weekdays[weekday] + self.day_spread * normal(&mut self.random) + drift;
        // The sums of so many normal scores, drawn at once: mean and scatter of a sample are independent.
        let mean = self.level + DEVIATION * (shift + normal(&mut self.random) / (count as f64).sqrt());
        let degrees = count as f64 - 1.0;
        let scatter = DEVIATION * DEVIATION * (degrees + (2.0 * degrees).sqrt() * normal(&mut self.random)).max(0.0);
        let n = count as f64;
        let scores = Sums { count, sum: n * mean, squares: scatter + n * mean * mean };
        let mut figures = Figures { scores, rates: Default::default() };
        for (place, (_, share, spread)) in self.rates.into_iter().enumerate() {
            let today = daily(&mut self.random, share, spread);
            figures.rates[place] = Rate { events: binomial(&mut self.random, count, today), trials: count };
        }
        Some(figures)
    }
}

/// The days of one camera or store, as charts see them.
#[derive(Default)]
struct Watched {
    scores: Vec<(Day, Sums)>,
    rates: [Vec<(Day, Rate)>; 3],
    alarmed: BTreeMap<usize, BTreeSet<Day>>,
}

impl Watched {
    fn push(&mut self, day: Day, figures: &Figures) {
        self.scores.push((day, figures.scores));
        for (series, rate) in self.rates.iter_mut().zip(figures.rates) {
            series.push((day, rate));
        }
    }

    fn judge(&self, day: Day, rule: &DriftRule) -> [Option<Reading>; 4] {
        let none = BTreeSet::new();
        let alarmed = |chart: usize| self.alarmed.get(&chart).unwrap_or(&none);
        std::array::from_fn(|chart| match chart {
            0 => scores::judge(&self.scores, day, alarmed(0), rule),
            rate => rates::judge(&self.rates[rate - 1], day, alarmed(rate), rule),
        })
    }
}

/// What came of a city.
#[derive(Debug, Default)]
struct Outcome {
    /// Alarms that began, by chart (the score first), none of which is true.
    false_alarms: [u64; 4],
    charts: u64,
}

/// Runs a healthy city for some days after the run-up. Two counters make a store.
fn run(counters: &mut [Counter], days: Day, rule: &DriftRule) -> Outcome {
    let stores = counters.len().div_ceil(2);
    let mut watched: Vec<Watched> = (0..counters.len() + stores).map(|_| Watched::default()).collect();
    let mut outcome = Outcome::default();
    let of_counters = counters.len();
    for day in 0..RUN_UP + days {
        let mut sums: Vec<Figures> = vec![Figures::default(); stores];
        for (place, counter) in counters.iter_mut().enumerate() {
            let Some(figures) = counter.day(day, 0.0) else { continue };
            watched[place].push(day, &figures);
            let store = &mut sums[place / 2];
            store.scores.count += figures.scores.count;
            store.scores.sum += figures.scores.sum;
            store.scores.squares += figures.scores.squares;
            for (all, one) in store.rates.iter_mut().zip(figures.rates) {
                all.events += one.events;
                all.trials += one.trials;
            }
        }
        for (store, figures) in sums.iter().enumerate().filter(|(_, figures)| figures.scores.count > 0) {
            watched[of_counters + store].push(day, figures);
        }
        if day < RUN_UP {
            continue;
        }
        let mut places = Vec::new();
        let mut readings = Vec::new();
        for (place, watched) in watched.iter().enumerate() {
            for (chart, reading) in watched.judge(day, rule).into_iter().enumerate() {
                if let Some(reading) = reading {
                    places.push((place, chart));
                    readings.push(reading);
                }
            }
        }
        outcome.charts += readings.len() as u64;
        for ((place, chart), alarm) in places.into_iter().zip(alarms(&readings, rule)) {
            if !alarm {
                continue;
            }
            let before = watched[place].alarmed.entry(chart).or_default();
            let begins = before.range(day - 7..day).next().is_none();
            before.insert(day);
            if begins {
                outcome.false_alarms[chart] += 1;
            }
        }
    }
    outcome
}

fn counters() -> usize {
    std::env::var("COUNTERSIGN_DRIFT_COUNTERS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

#[test]
fn a_healthy_year_has_at_most_one_false_alarm_a_week() {
    let rule = DriftRule::default();
    let mut city: Vec<Counter> = (0..counters()).map(|place| Counter::new(1_000 + place as u64, None)).collect();
    let outcome = run(&mut city, 365, &rule);
    let total: u64 = outcome.false_alarms.iter().sum();
    println!("{} counters: {total} false alarms in a year {:?}, of {} readings", city.len(), outcome.false_alarms, outcome.charts);
    assert!(total <= 52, "{outcome:?}");
    assert!(outcome.charts > city.len() as u64 * 1_000, "the charts were read: {}", outcome.charts);
}

/// Charts of a center with 1,000 counters in 500 stores, each with four.
const CHARTS: usize = 6_000;

/// After how many days of traffic cameras are found that drift by half a standard deviation of single scores, where nothing else
/// drifts: Benjamini and Hochberg's rule is then as strict as it gets. 99 where they are not found within a week.
fn found_after(volume: f64, past: Day, cameras: u64) -> Vec<Day> {
    let rule = DriftRule::default();
    let one = |camera: u64| {
        let mut counter = Counter::new(90_000 + camera * 1_000 + volume as u64, Some(volume));
        let mut watched = Watched::default();
        let mut traffic = 0;
        for day in 0..past + 9 {
            let drifts = day >= past;
            let Some(figures) = counter.day(day, if drifts { -0.5 } else { 0.0 }) else { continue };
            watched.push(day, &figures);
            traffic += Day::from(drifts);
            let reading = watched.judge(day, &rule)[0].filter(|_| drifts);
            if reading.is_some_and(|reading| reading.matters && reading.p <= rule.false_share_max / CHARTS as f64) {
                return traffic;
            }
        }
        99
    };
    (0..cameras).map(one).collect()
}

/// The share found within three days of traffic, by captures a day and days of past.
#[track_caller]
fn check_found(volume: f64, past: Day, expected: std::ops::RangeInclusive<f64>) {
    let after = found_after(volume, past, 200);
    let within = |days: Day| after.iter().filter(|found| **found <= days).count() as f64 / after.len() as f64;
    println!(
        "{volume} captures a day, {past} days of past: found after 1, 2, 3, 5 days: {:.3} {:.3} {:.3} {:.3}",
        within(1),
        within(2),
        within(3),
        within(5)
    );
    assert!(expected.contains(&within(3)), "{volume} captures a day, {past} days of past: {}", within(3));
}

#[test]
fn a_camera_that_drifts_by_half_a_deviation_is_found_within_three_days() {
    // What so few captures say in three days is little: a third of all cameras with 40 a day, and nearly all within a week.
    check_found(20.0, 120, 0.05..=0.3);
    check_found(40.0, 120, 0.3..=0.6);
    check_found(80.0, 120, 0.65..=0.9);
    check_found(120.0, 120, 0.8..=1.0);
    check_found(200.0, 120, 0.85..=1.0);
    check_found(400.0, 120, 0.9..=1.0);
    check_found(200.0, 60, 0.7..=1.0);
}
