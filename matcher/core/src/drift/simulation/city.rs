//! What a healthy counter's days are made of, and what all counters of a city have in common.
//!
//! Counters have 20 to 400 captures a day, a level and weekdays (0.1 standard deviations of single scores) of their own, and days
//! that differ beyond chance by 0.03 to 0.15 standard deviations, as Student's t with five degrees of freedom (heavier tails than a
//! normal); in a harder city a fifth of that lasts into the next day. Their shares vary by 1.2 to 2 times binomial variance. Each
//! has a slow season of its own (0.05), three stores in ten close once a week, a third on holidays. The city adds weekdays (0.05), days
//! (weather, 0.05), a season of the year (0.1, winter clothes) and holidays: 31 days in seven spells, as in China's calendar, on
//! which six in ten people come, and others than usual (0.15, and each counter half to one and a half times as much).

use super::super::{Day, rates::Rate, scores::Sums};

/// Standard deviation of single scores.
const DEVIATION: f64 = 0.12;
/// Holidays: first day of the year, and days.
const HOLIDAYS: [(Day, Day); 7] = [(0, 3), (44, 8), (94, 3), (120, 5), (159, 3), (263, 3), (273, 6)];

fn normal(random: &mut fastrand::Rng) -> f64 {
    let (u, v) = (random.f64().max(1e-300), random.f64());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Student's t with five degrees of freedom, scaled to a variance of 1.
fn heavy(random: &mut fastrand::Rng) -> f64 {
    let squares: f64 = (0..5).map(|_| normal(random).powi(2)).sum();
    normal(random) / (squares / 5.0).sqrt() * 0.6_f64.sqrt()
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

fn between(random: &mut fastrand::Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * random.f64()
}

/// The season of a day: between −1 and 1 over a year.
fn season(day: Day, phase: f64) -> f64 {
    (std::f64::consts::TAU * (day as f64 / 365.0 + phase)).sin()
}

/// What all counters have in common.
pub(super) struct City {
    weekdays: [f64; 7],
    days: Vec<f64>,
    holidays: [f64; 7],
    /// How much of what a counter's day has of its own lasts into the next.
    lasts: f64,
}

impl City {
    pub(super) fn new(seed: u64, lasts: f64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self {
            weekdays: std::array::from_fn(|_| 0.05 * normal(&mut random)),
            days: (0..800).map(|_| 0.05 * normal(&mut random)).collect(),
            holidays: std::array::from_fn(|_| 0.15 * normal(&mut random)),
            lasts,
        }
    }

    /// The holiday that a day is.
    pub(super) fn holiday(&self, day: Day) -> Option<usize> {
        let day = day.rem_euclid(365);
        HOLIDAYS.iter().position(|(first, days)| (*first..first + days).contains(&day))
    }

    fn shift(&self, day: Day, holidays: f64) -> f64 {
        let of_holiday = self.holiday(day).map_or(0.0, |holiday| holidays * self.holidays[holiday]);
        self.weekdays[day.rem_euclid(7) as usize] + self.days[day as usize] + 0.1 * season(day, 0.2) + of_holiday
    }
}

/// A day of a counter.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) scores: Sums,
    pub(super) rates: [Rate; 3],
}

impl Figures {
    pub(super) fn add(&mut self, other: &Self) {
        self.scores.count += other.scores.count;
        self.scores.sum += other.scores.sum;
        self.scores.squares += other.scores.squares;
        for (all, one) in self.rates.iter_mut().zip(other.rates) {
            all.events += one.events;
            all.trials += one.trials;
        }
    }
}

/// A counter with its habits.
pub(super) struct Counter {
    random: fastrand::Rng,
    volume: f64,
    level: f64,
    day_spread: f64,
    yesterday: f64,
    weekdays: [f64; 7],
    /// Size and phase of its own season.
    season: (f64, f64),
    /// How much holidays change its people, and whether it is open.
    holidays: Option<f64>,
    rates: [(f64, f64); 3],
    closed: bool,
}

impl Counter {
    pub(super) fn new(seed: u64, volume: Option<f64>) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        // Two counters make a store, which closes as one.
        let mut store = fastrand::Rng::with_seed(7_000_000 + seed / 2);
        // As many small ones as large ones by their logarithm.
        let volume = volume.unwrap_or_else(|| between(&mut random, 20_f64.ln(), 400_f64.ln()).exp());
        let rates = [0.02, 0.06, 0.03].map(|share| (daily(&mut random, share, 0.4), between(&mut random, 0.1, 0.35)));
        Self {
            level: 0.6 + 0.03 * normal(&mut random),
            day_spread: between(&mut random, 0.03, 0.15),
            yesterday: 0.0,
            weekdays: std::array::from_fn(|_| 0.1 * normal(&mut random)),
            season: (0.05 * normal(&mut random), random.f64()),
            holidays: (store.f64() > 0.33).then(|| between(&mut random, 0.5, 1.5)),
            closed: store.f64() < 0.3,
            volume,
            rates,
            random,
        }
    }

    /// A day, drifted by so many standard deviations of single scores.
    pub(super) fn day(&mut self, city: &City, day: Day, drift: f64) -> Option<Figures> {
        let weekday = day.rem_euclid(7) as usize;
        let holiday = city.holiday(day).is_some();
        if (self.closed && weekday == 3) || (holiday && self.holidays.is_none()) {
            return None;
        }
        let busy = self.volume * (1.0 + 0.2 * (self.weekdays[weekday] * 10.0).tanh()) * if holiday { 0.6 } else { 1.0 };
        let count = (busy + busy.sqrt() * normal(&mut self.random)).round().max(1.0) as u64;
        self.yesterday = city.lasts * self.yesterday + (1.0 - city.lasts * city.lasts).sqrt() * heavy(&mut self.random);
        let own = self.weekdays[weekday] + self.day_spread * self.yesterday + self.season.0 * season(day, self.season.1);
        let shift = own + city.shift(day, self.holidays.unwrap_or(0.0)) + drift;
        // The sums of so many normal scores, drawn at once: mean and scatter of a sample are independent.
        let n = count as f64;
        let mean = self.level + DEVIATION * (shift + normal(&mut self.random) / n.sqrt());
        let degrees = n - 1.0;
        let scatter = DEVIATION * DEVIATION * (degrees + (2.0 * degrees).sqrt() * normal(&mut self.random)).max(0.0);
        let scores = Sums { count, sum: n * mean, squares: scatter + n * mean * mean };
        let rates = self.rates.map(|(share, spread)| {
            let today = daily(&mut self.random, share, spread);
            Rate { events: binomial(&mut self.random, count, today), trials: count }
        });
        Some(Figures { scores, rates })
    }
}
