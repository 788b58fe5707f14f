//! Settings of receipts, and of the HTTPS listener that publishes their keys.

use std::net::SocketAddr;

use matcher_core::receipt::{Overlap, VALID_SECONDS_MAX};
use serde::Deserialize;

use super::{ConfigError, within};

/// How long after their last receipt's end retired keys stay published: checkers' clocks differ.
const KEEP_LONGER_MS: i64 = 60_000;

/// Settings of receipts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptsConfig {
    /// `iss` of receipts.
    pub issuer: String,
    /// `iss` of receipts of drills, simulators and demonstrations.
    pub drill_issuer: String,
    /// `aud` of receipts.
    pub audience: String,
    /// Whether every receipt of this center is of a drill, whatever the policy's mode.
    pub drill: bool,
    /// How long a new key is published before it signs, in minutes.
    publish_ahead_minutes: u32,
}

impl ReceiptsConfig {
    /// How keys follow one another.
    #[must_use]
    pub fn overlap(&self) -> Overlap {
        let keep_ms = VALID_SECONDS_MAX * 1000 + KEEP_LONGER_MS;
        Overlap { publish_ahead_ms: i64::from(self.publish_ahead_minutes) * 60_000, keep_ms }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (field, name) in
            [("receipts.issuer", &self.issuer), ("receipts.drill_issuer", &self.drill_issuer), ("receipts.audience", &self.audience)]
        {
            if !(1..=128).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(ConfigError::Field { field, expected: "1 to 128 printable ASCII characters without spaces".into() });
            }
        }
        if self.issuer == self.drill_issuer {
            return Err(ConfigError::Field { field: "receipts.drill_issuer", expected: "another name than receipts.issuer".into() });
        }
        within("receipts.publish_ahead_minutes", self.publish_ahead_minutes, 0..=10_080)
    }
}

/// Settings of the HTTPS listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedConfig {
    /// Where it listens; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Connections held open at once.
    pub connections_max: usize,
}

impl PublishedConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("published.connections_max", self.connections_max, 1..=10_000)
    }
}
