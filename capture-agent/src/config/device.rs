//! `[device]`: the certificate and the machine.

use serde::Deserialize;

use super::{ConfigError, ranges, value};

/// `[device]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// Where the device joined, and renews late; empty where it was installed from a bundle.
    pub join_address: String,
    /// The next certificate is asked for when this share of the present one's time is over.
    pub renew_after_share: f64,
    /// Less free disk than this is a finding.
    pub disk_free_min_mb: u64,
    /// A clock further from the center's than this is a finding.
    pub clock_offset_max_ms: u64,
}

impl DeviceConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !self.join_address.is_empty() && !self.join_address.starts_with("https://") {
            return Err(value("device.join_address", "https://host:port, or nothing"));
        }
        if !(0.1..=0.95).contains(&self.renew_after_share) {
            return Err(value("device.renew_after_share", "0.1 to 0.95"));
        }
        ranges(&[
            ("device.disk_free_min_mb", self.disk_free_min_mb, 1, 1_000_000),
            ("device.clock_offset_max_ms", self.clock_offset_max_ms, 100, 600_000),
        ])
    }
}
