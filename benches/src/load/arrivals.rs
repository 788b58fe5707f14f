//! When captures are due: fixed before the first is sent.

use std::time::Duration;

use clap::ValueEnum;

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spread {
    /// As people come: independent of each other (exponential gaps).
    Poisson,
    /// At equal distances.
    Uniform,
}

/// Times from the start at which captures are due, at a rate per second, for so long.
#[must_use]
pub fn schedule(spread: Spread, per_second: f64, lasting: Duration, seed: u64) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut at = 0.0;
    let mut times = Vec::new();
    loop {
        at += match spread {
            Spread::Poisson => -(1.0 - random.f64()).ln() / per_second,
            Spread::Uniform => 1.0 / per_second,
        };
        match Duration::try_from_secs_f64(at) {
            Ok(due) if due < lasting => times.push(due),
            Ok(_) | Err(_) => return times,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spread: Spread, expected: std::ops::RangeInclusive<usize>) {
        let times = schedule(spread, 350.0, Duration::from_secs(60), 1);
        assert!(expected.contains(&times.len()), "{spread:?}: {}", times.len());
        assert!(times.is_sorted());
    }

    #[test]
    fn the_rate_is_what_was_asked_for() {
        check(Spread::Uniform, 20_999..=21_000);
        // Four standard deviations of a Poisson count.
        check(Spread::Poisson, 20_420..=21_580);
    }

    #[test]
    fn people_do_not_come_in_step() {
        let times = schedule(Spread::Poisson, 100.0, Duration::from_secs(20), 2);
        let close = times.windows(2).filter(|pair| matches!(pair, [a, b] if *b - *a < Duration::from_millis(2))).count();
        // 1 − e^−0.2 of the gaps are below a fifth of the mean.
        assert!((280..450).contains(&close), "{close}");
    }
}
