//! `[overload]`: what is let in when more calls come than can be worked on.

use matcher_core::overload::{Limits, Rate};
use serde::Deserialize;

use super::{ConfigError, ServerConfig, within};

/// Settings of the line at the door.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverloadConfig {
    /// Calls that may wait.
    pub waiting_max: usize,
    /// Calls worked on at once for one institution.
    pub institution_max: usize,
    /// Calls a second of one device, on average.
    pub device_per_second: f64,
    /// Calls of one device at once, after a rest.
    pub device_burst: u32,
}

impl OverloadConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("overload.waiting_max", self.waiting_max, 1..=100_000)?;
        within("overload.institution_max", self.institution_max, 1..=100_000)?;
        within("overload.device_per_second", self.device_per_second, 0.01..=100_000.0)?;
        within("overload.device_burst", self.device_burst, 1..=100_000)
    }

    /// The limits of calls.
    #[must_use]
    pub fn limits(&self, server: &ServerConfig) -> Limits {
        let institution_max = self.institution_max.min(server.requests_max);
        Limits { working_max: server.requests_max, waiting_max: self.waiting_max, institution_max }
    }

    /// The rate of a device.
    #[must_use]
    pub fn rate(&self) -> Rate {
        Rate { per_second: self.device_per_second, burst: self.device_burst }
    }
}
