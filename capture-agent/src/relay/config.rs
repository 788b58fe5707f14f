//! The relay's configuration: the shipped defaults, the state folder's `relay.toml`, the environment, in this order.

use std::{net::SocketAddr, path::Path, time::Duration};

use serde::Deserialize;

use super::page;
use crate::config::{CenterConfig, ConfigError, DeviceConfig, LogConfig, center, merged, ranges, value};

/// The shipped, commented configuration: the defaults.
pub const SHIPPED: &str = include_str!("../../relay.toml");
/// Name of the configuration file in the state folder.
pub const FILE: &str = "relay.toml";
/// Environment variables that begin so set keys.
pub const ENV_PREFIX: &str = "COUNTERSIGN_RELAY__";

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// The center and the lines to it.
    pub center: CenterConfig,
    /// The certificate and the machine.
    pub device: DeviceConfig,
    /// Counters' connections.
    pub relay: ListenConfig,
    /// What waits here.
    pub spool: SpoolConfig,
    /// The page.
    pub page: PageConfig,
    /// Logs.
    pub log: LogConfig,
}

/// `[relay]`: connections of counters, and what they may take.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections of one counter at a time.
    pub counter_connections_max: usize,
    /// Calls of one connection at a time.
    pub calls_per_connection_max: u32,
    /// Streams of deferred envelopes at a time.
    pub uploads_max: usize,
    /// Bound of a handshake and of a silent stream.
    pub idle_timeout_ms: u64,
}

impl ListenConfig {
    /// Bound of a handshake and of a silent stream.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }
}

/// `[spool]`: what waits for the center.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpoolConfig {
    /// Room, in MiB.
    pub max_mb: u64,
    /// Share of it that one counter may take, in percent.
    pub counter_share_percent: u64,
    /// Free disk below which no more is kept, in MiB.
    pub disk_free_min_mb: u64,
    /// How long an envelope may wait, in days.
    pub keep_days: u32,
    /// How long acknowledgements are kept, in days.
    pub acknowledged_keep_days: u32,
}

impl SpoolConfig {
    /// Room in all, in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.max_mb << 20
    }

    /// Room of one counter, in bytes.
    #[must_use]
    pub fn counter_bytes_max(&self) -> u64 {
        self.bytes_max() / 100 * self.counter_share_percent
    }
}

/// `[page]`: the page with the counters' health.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Whether it is by HTTPS and asks for the password on loopback too.
    pub always_protected: bool,
    /// Names and addresses of its certificate, besides the address it listens on.
    pub names: Vec<String>,
}

/// Reads and checks the configuration of a state folder.
///
/// # Errors
/// The first key that is unknown, missing, of another type or outside its range.
pub fn load(dir: &Path) -> Result<RelayConfig, ConfigError> {
    let config: RelayConfig = merged(dir, (SHIPPED, FILE, ENV_PREFIX)).extract().map_err(|error| ConfigError::Form(Box::new(error)))?;
    check(&config)?;
    Ok(config)
}

fn check(config: &RelayConfig) -> Result<(), ConfigError> {
    center::check(&config.center)?;
    config.device.check()?;
    page::certificate::check(&config.page.names).map_err(|expected| value("page.names", expected))?;
    let (relay, spool) = (&config.relay, &config.spool);
    ranges(&[
        ("relay.connections_max", relay.connections_max as u64, 1, 10_000),
        ("relay.counter_connections_max", relay.counter_connections_max as u64, 1, 64),
        ("relay.calls_per_connection_max", u64::from(relay.calls_per_connection_max), 1, 64),
        ("relay.uploads_max", relay.uploads_max as u64, 1, 256),
        ("relay.idle_timeout_ms", relay.idle_timeout_ms, 100, 120_000),
        ("spool.max_mb", spool.max_mb, 1, 1_000_000),
        ("spool.counter_share_percent", spool.counter_share_percent, 1, 100),
        ("spool.disk_free_min_mb", spool.disk_free_min_mb, 1, 1_000_000),
        ("spool.keep_days", u64::from(spool.keep_days), 1, 365),
        ("spool.acknowledged_keep_days", u64::from(spool.acknowledged_keep_days), 1, 365),
    ])?;
    config.log.check()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, expected: Result<(), &str>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), file).unwrap();
        let outcome = load(dir.path()).map(|_| ()).map_err(|error| error.to_string());
        match (&outcome, expected) {
            (Ok(()), Ok(())) => {}
            (Err(shown), Err(part)) => assert!(shown.contains(part), "{shown}"),
            _ => panic!("{outcome:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_shipped_file_is_the_default_and_what_is_wrong_is_named() {
        check(SHIPPED, Ok(()));
        check("", Ok(()));
        check("[relay]\nlisten = \"nowhere\"", Err("listen"));
        check("[spool]\nmax_mb = 0", Err("spool.max_mb: expected 1 to 1000000, got 0"));
        check("[spool]\ncounter_share_percent = 101", Err("spool.counter_share_percent"));
        check("[center]\naddress = \"http://x:1\"", Err("center.address: expected https://host:port"));
        check("[page]\nnames = [\"r\u{e9}lay\"]", Err("page.names: expected"));
        check("[camera]\nkind = \"device\"", Err("camera"));
    }

    #[test]
    fn a_counters_share_is_a_part_of_the_room() {
        let spool = load(tempfile::tempdir().unwrap().path()).unwrap().spool;
        assert_eq!(spool.bytes_max(), 4096 << 20);
        assert!(spool.counter_bytes_max() * 5 <= spool.bytes_max());
    }
}
