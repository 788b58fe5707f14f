//! A token bucket: so many calls a second on average, so many at once.

use std::time::Duration;

/// What one device may ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Calls a second on average, above 0.
    pub per_second: f64,
    /// Calls at once after a rest, at least 1.
    pub burst: u32,
}

/// How much of its rate a device has left. Times are since some moment that stays, and need not be a wall clock's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    tokens: f64,
    at: Duration,
}

impl Bucket {
    /// A bucket of a device that has rested.
    #[must_use]
    pub fn full(rate: Rate, now: Duration) -> Self {
        Self { tokens: f64::from(rate.burst.max(1)), at: now }
    }

    /// Takes a call.
    ///
    /// # Errors
    /// When there is none left: the time until there is.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Result<(), Duration> {
        self.refill(rate, now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::try_from_secs_f64((1.0 - self.tokens) / rate.per_second).unwrap_or(Duration::MAX))
    }

    /// Whether the device has rested so long that nothing need be remembered of it.
    #[must_use]
    pub fn is_full(&mut self, rate: Rate, now: Duration) -> bool {
        self.refill(rate, now);
        self.tokens >= f64::from(rate.burst.max(1))
    }

    /// A time before the last one adds nothing.
    fn refill(&mut self, rate: Rate, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate.per_second).min(f64::from(rate.burst.max(1)));
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate { per_second: 2.0, burst: 3 };

    #[test]
    fn a_rested_device_may_ask_a_burst_and_then_its_rate() {
        let mut bucket = Bucket::full(RATE, Duration::ZERO);
        for _ in 0..3 {
            assert_eq!(bucket.take(RATE, Duration::ZERO), Ok(()));
        }
        assert_eq!(bucket.take(RATE, Duration::ZERO), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(RATE, Duration::from_millis(500)), Ok(()));
        assert!(bucket.take(RATE, Duration::from_millis(999)).is_err());
        assert!(!bucket.is_full(RATE, Duration::from_millis(1999)) && bucket.is_full(RATE, Duration::from_millis(2001)));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(steps in prop::collection::vec(0_u64..400, 1..200)) {
            let mut bucket = Bucket::full(RATE, Duration::ZERO);
            let (mut now, mut taken) = (0, 0_u32);
            for step in steps {
                now += step;
                taken += u32::from(bucket.take(RATE, Duration::from_millis(now)).is_ok());
                prop_assert!(f64::from(taken) <= 3.0 + 2.0 * now as f64 / 1000.0 + 1e-9);
            }
        }

        #[test]
        fn whoever_waits_as_told_is_let_in(used in 3_u32..10) {
            let mut bucket = Bucket::full(RATE, Duration::ZERO);
            let mut wait = Duration::ZERO;
            for _ in 0..=used {
                if let Err(told) = bucket.take(RATE, Duration::ZERO) { wait = told; }
            }
            prop_assert_eq!(bucket.take(RATE, wait + Duration::from_nanos(10)), Ok(()));
        }

        #[test]
        fn a_clock_that_stands_or_goes_back_gives_nothing(back in 0_u64..5_000) {
            let at = Duration::from_secs(10);
            let mut bucket = Bucket::full(RATE, at);
            for _ in 0..3 { bucket.take(RATE, at).unwrap(); }
            prop_assert!(bucket.take(RATE, at - Duration::from_millis(back)).is_err());
        }
    }
}
