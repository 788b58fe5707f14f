//! Settings of the listener that devices join at.

use std::net::SocketAddr;

use serde::Deserialize;

use super::{ConfigError, within};

/// Settings of joining.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoiningConfig {
    /// Whether this process lets devices join; it needs the authority's key.
    pub here: bool,
    /// Where it listens; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Connections held open at once.
    pub connections_max: usize,
}

impl JoiningConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("joining.connections_max", self.connections_max, 1..=1_000)
    }
}
