//! Where the center is, over which ways, and how long a call may take.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, ranges, value};

/// `[center]`: where it is and how long to try.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterConfig {
    /// `https://host:port`.
    pub address: String,
    /// Name its certificate must bear; empty: the host of the address.
    pub server_name: String,
    /// Endpoints in the order in which they are wanted; without any, `address` is the only one.
    #[serde(default)]
    pub endpoint: Vec<EndpointConfig>,
    /// Bound of one connection attempt.
    pub connect_timeout_ms: u64,
    /// Bound of one call.
    pub call_timeout_ms: u64,
    /// Bound of all repetitions together.
    pub retry_for_ms: u64,
    /// Pause before the first repetition.
    pub retry_pause_ms: u64,
    /// Bound of the live call where the device may answer on its own.
    pub degrade_after_ms: u64,
    /// How long a better endpoint must have answered before it is gone back to.
    pub return_after_ms: u64,
    /// Interval of health reports.
    pub health_every_s: u64,
}

/// `[[center.endpoint]]`: a way to the center.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// What it is called: primary, backup, relay, …
    pub name: String,
    /// `https://host:port`.
    pub address: String,
    /// Name its certificate must bear; empty: the host of the address.
    #[serde(default)]
    pub server_name: String,
}

impl CenterConfig {
    /// All endpoints, the wanted one first.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointConfig> {
        if self.endpoint.is_empty() {
            let (address, server_name) = (self.address.clone(), self.server_name.clone());
            return vec![EndpointConfig { name: "center".to_owned(), address, server_name }];
        }
        self.endpoint.clone()
    }

    /// Bound of one connection attempt.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// Bound of one call.
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}

/// Checks `[center]`.
pub(crate) fn check(center: &CenterConfig) -> Result<(), ConfigError> {
    check_address("center.address", &center.address)?;
    if center.endpoint.len() > 8 {
        return Err(value("center.endpoint", "at most 8 endpoints"));
    }
    for (number, endpoint) in center.endpoint.iter().enumerate() {
        check_address(&format!("center.endpoint[{number}].address"), &endpoint.address)?;
        let twice = center.endpoint.iter().take(number).any(|other| other.name == endpoint.name);
        if endpoint.name.is_empty() || endpoint.name.len() > 32 || twice {
            return Err(value(format!("center.endpoint[{number}].name"), "1 to 32 characters, and each name once"));
        }
    }
    ranges(&[
        ("center.connect_timeout_ms", center.connect_timeout_ms, 50, 60_000),
        ("center.call_timeout_ms", center.call_timeout_ms, 50, 60_000),
        ("center.retry_for_ms", center.retry_for_ms, 0, 120_000),
        ("center.retry_pause_ms", center.retry_pause_ms, 1, 10_000),
        ("center.degrade_after_ms", center.degrade_after_ms, 50, 60_000),
        ("center.return_after_ms", center.return_after_ms, 0, 600_000),
        ("center.health_every_s", center.health_every_s, 1, 3_600),
    ])
}

fn check_address(key: &str, address: &str) -> Result<(), ConfigError> {
    let expected = || value(key, "https://host:port");
    let uri: axum::http::Uri = address.parse().map_err(|_| expected())?;
    let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
    if uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty()) && plain { Ok(()) } else { Err(expected()) }
}
