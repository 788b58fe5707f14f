//! Settings of captures that come late and of re-comparisons.

use jiff::civil::Time;
use matcher_core::RetryRule;
use serde::Deserialize;

use super::{ConfigError, within};

/// Settings of captures that come late and of re-comparisons.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchConfig {
    /// Whether this process compares what waits.
    pub here: bool,
    /// Chunks compared at once.
    pub workers: u32,
    /// Captures of one chunk.
    pub chunk: u32,
    /// How long a chunk is kept from others, in seconds.
    lease_seconds: u32,
    /// Tries before something is put aside.
    attempts_max: u32,
    /// When the captures of the last day are compared again, `HH:MM`; empty for never.
    nightly_at: String,
    /// Uploads open at once.
    pub uploads_max: u32,
}

impl BatchConfig {
    /// How often something is tried.
    #[must_use]
    pub fn rule(&self) -> RetryRule {
        RetryRule { attempts_max: self.attempts_max, lease_ms: i64::from(self.lease_seconds) * 1_000 }
    }

    /// When the captures of the last day are compared again, in local time.
    #[must_use]
    pub fn nightly_at(&self) -> Option<Time> {
        Time::strptime("%H:%M", &self.nightly_at).ok()
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// With the setting and what was expected of it.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("batch.workers", self.workers, 1..=256)?;
        within("batch.chunk", self.chunk, 1..=4_096)?;
        within("batch.lease_seconds", self.lease_seconds, 5..=3_600)?;
        within("batch.attempts_max", self.attempts_max, 1..=100)?;
        within("batch.uploads_max", self.uploads_max, 1..=10_000)?;
        if !self.nightly_at.is_empty() && self.nightly_at().is_none() {
            return Err(ConfigError::Field { field: "batch.nightly_at", expected: "a time such as 02:30, or nothing".into() });
        }
        Ok(())
    }
}
