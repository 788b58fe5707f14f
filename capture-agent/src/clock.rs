//! The two clocks of the machine: one that only goes forward, and the date.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use capture_core::Moment;

/// Gives the present moment, and the date of moments of this process.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    ahead_ms: &'static AtomicU64,
}

/// A clock that nobody set.
static RIGHT: AtomicU64 = AtomicU64::new(0);

impl Clock {
    /// Starts counting.
    #[must_use]
    pub fn start() -> Self {
        Self::ahead(&RIGHT)
    }

    /// Starts counting so many milliseconds ahead, which may grow: time that passes faster than it does.
    #[must_use]
    pub fn ahead(ahead_ms: &'static AtomicU64) -> Self {
        Self { started: Instant::now(), ahead_ms }
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        let passed_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Moment::from_ms(passed_ms.saturating_add(self.ahead_ms.load(Ordering::Relaxed)))
    }

    /// The date now: milliseconds since 1970-01-01 UTC, by this machine.
    #[must_use]
    pub fn date_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add_unsigned(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Names this run of the system and says how long it has lasted, in milliseconds, suspension included; empty and 0
    /// where the system does not tell.
    #[must_use]
    pub fn boot(&self) -> (String, u64) {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (boot, uptime) = (read("/proc/sys/kernel/random/boot_id").trim().to_owned(), read("/proc/uptime"));
        let seconds = uptime.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
        match seconds {
            Some(seconds) if !boot.is_empty() => (boot, Duration::try_from_secs_f64(seconds).map_or(0, |time| time.as_millis() as u64)),
            Some(_) | None => (String::new(), 0),
        }
    }

    /// The date of an earlier moment of this process.
    #[must_use]
    pub fn date_ms_of(&self, moment: Moment) -> i64 {
        self.date_ms().saturating_sub_unsigned(self.now().ms_since(moment))
    }
}
