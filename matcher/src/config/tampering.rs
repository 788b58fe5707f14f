//! Settings of looking for signs of tampering.

use std::time::Duration;

use matcher_core::tampering::TamperingRule;
use serde::Deserialize;

use super::{ConfigError, within};

const MINUTE_MS: i64 = 60_000;

/// Settings of looking for signs of tampering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TamperingConfig {
    /// Whether this process looks.
    pub here: bool,
    /// Minutes between two looks.
    every_minutes: u32,
    /// Minutes a device may be silent while its institution settles.
    silent_minutes: u32,
    /// Minutes an institution may be offline while its neighbours are not.
    offline_minutes: u32,
    /// Days after which an institution that is not heard is closed.
    closed_days: u32,
    /// Neighbours that say something about an institution.
    neighbours_min: u32,
    /// Characters at the start of its name that an institution shares with its neighbours.
    pub neighbours_share: u32,
}

impl TamperingConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("tampering.every_minutes", self.every_minutes, 1..=1_440)?;
        within("tampering.silent_minutes", self.silent_minutes, 1..=100_000)?;
        within("tampering.offline_minutes", self.offline_minutes, 1..=100_000)?;
        within("tampering.closed_days", self.closed_days, 1..=366)?;
        within("tampering.neighbours_min", self.neighbours_min, 1..=1_000)?;
        within("tampering.neighbours_share", self.neighbours_share, 0..=64)
    }

    /// Time from one look to the next.
    #[must_use]
    pub fn every(&self) -> Duration {
        Duration::from_secs(u64::from(self.every_minutes) * 60)
    }

    /// The rule, where nothing may wait in a spool for longer than so many milliseconds.
    #[must_use]
    pub fn rule(&self, spool_ms: i64) -> TamperingRule {
        TamperingRule {
            spool_ms,
            silent_ms: i64::from(self.silent_minutes) * MINUTE_MS,
            offline_ms: i64::from(self.offline_minutes) * MINUTE_MS,
            closed_ms: i64::from(self.closed_days) * 24 * 60 * MINUTE_MS,
            neighbours_min: self.neighbours_min as usize,
        }
    }
}
