//! The two clocks of the machine: one that only goes forward, and the date.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use capture_core::Moment;

/// Gives the present moment, and the date of moments of this process.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts counting.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::from_ms(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The date now: milliseconds since 1970-01-01 UTC, by this machine.
    #[must_use]
    pub fn date_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// The date of an earlier moment of this process.
    #[must_use]
    pub fn date_ms_of(&self, moment: Moment) -> i64 {
        self.date_ms().saturating_sub_unsigned(self.now().ms_since(moment))
    }
}
