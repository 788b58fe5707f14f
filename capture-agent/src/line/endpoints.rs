//! The ways to the center: a connection for each, and which one is taken.
//!
//! What is known of an endpoint comes from real calls alone; the rule is `capture-core`'s. A connection over which a call
//! ran out of time is given up with it: a line that is half open would keep the next call waiting too.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capture_core::line::{Endpoints, LineRule, Way};
use thiserror::Error;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as TlsIdentity};
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::{clock::Clock, config::CenterConfig};

/// A connection that answers no ping for this long is given up, so that a dead line is noticed between calls.
const PING_EVERY: Duration = Duration::from_secs(5);

/// The client cannot be made.
#[derive(Debug, Error)]
pub enum SetUpError {
    /// Address or certificates are refused by the transport.
    #[error("the connection to the center over {endpoint} cannot be set up")]
    Transport {
        /// The endpoint's name.
        endpoint: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

/// Who connects, and whom they believe.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Private key (PKCS #8, PEM).
    pub key_pem: Zeroizing<String>,
    /// Certificate (PEM).
    pub certificate_pem: String,
    /// The center's authorities (PEM).
    pub ca_pem: String,
}

/// How an endpoint stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointState {
    /// Its name in the configuration.
    pub name: String,
    /// Whether calls go over it.
    pub in_use: bool,
    /// Whether the last call over it was answered; nothing when none was made.
    pub answers: Option<bool>,
}

/// What a call over an endpoint says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was answered, whatever the answer.
    Answered,
    /// It was not.
    Failed,
    /// Nothing came in time.
    Silent,
}

/// All endpoints, the wanted one first.
#[derive(Debug)]
pub(super) struct Ways {
    ways: Vec<Connection>,
    known: Mutex<Endpoints>,
    clock: Clock,
}

#[derive(Debug)]
struct Connection {
    name: String,
    endpoint: Endpoint,
    channel: Mutex<Channel>,
}

impl Ways {
    /// Prepares the connections; each is made with its first call. Must be called within a tokio runtime.
    pub(super) fn new(config: &CenterConfig, credentials: &Credentials, clock: Clock) -> Result<Self, SetUpError> {
        let ways = config.endpoints().into_iter().map(|endpoint| {
            let name = endpoint.name;
            let made = connect(&endpoint.address, &endpoint.server_name, config, credentials);
            let endpoint = made.map_err(|source| SetUpError::Transport { endpoint: name.clone(), source })?;
            let channel = Mutex::new(endpoint.connect_lazy());
            Ok(Connection { name, endpoint, channel })
        });
        let ways: Vec<Connection> = ways.collect::<Result<_, SetUpError>>()?;
        let known = Mutex::new(Endpoints::new(LineRule { steady_ms: config.return_after_ms, ..LineRule::default() }, ways.len()));
        Ok(Self { ways, known, clock })
    }

    pub(super) fn way(&self) -> Way {
        self.known().way(self.clock.now())
    }

    pub(super) fn trial(&self) -> Option<usize> {
        self.known().trial(self.clock.now())
    }

    /// The connection of an endpoint.
    pub(super) fn channel(&self, endpoint: usize) -> Option<Channel> {
        let way = self.ways.get(endpoint)?;
        Some(way.channel.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub(super) fn count(&self) -> usize {
        self.ways.len()
    }

    pub(super) fn states(&self) -> Vec<EndpointState> {
        let known = self.known();
        let state = |(number, way): (usize, &Connection)| EndpointState {
            name: way.name.clone(),
            in_use: known.in_use() == number,
            answers: known.answers(number),
        };
        self.ways.iter().enumerate().map(state).collect()
    }

    /// Takes in what a call says about an endpoint.
    pub(super) fn heard(&self, endpoint: usize, heard: Heard) {
        let now = self.clock.now();
        let (before, after) = {
            let mut known = self.known();
            let before = known.in_use();
            match heard {
                Heard::Answered => known.answered(endpoint, now),
                Heard::Failed | Heard::Silent => known.failed(endpoint, now),
            }
            (before, known.in_use())
        };
        if heard == Heard::Silent
            && let Some(way) = self.ways.get(endpoint)
        {
            *way.channel.lock().unwrap_or_else(PoisonError::into_inner) = way.endpoint.connect_lazy();
        }
        if let (Some(before), Some(after)) = (self.ways.get(before), self.ways.get(after))
            && before.name != after.name
        {
            match heard {
                Heard::Answered => info!(line.from = before.name, line.to = after.name, "back to the better line"),
                Heard::Failed | Heard::Silent => {
                    warn!(line.from = before.name, line.to = after.name, "the line failed; another one is used")
                }
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Endpoints> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(
    address: &str,
    server_name: &str,
    config: &CenterConfig,
    credentials: &Credentials,
) -> Result<Endpoint, tonic::transport::Error> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&credentials.ca_pem))
        .identity(TlsIdentity::from_pem(&credentials.certificate_pem, credentials.key_pem.as_bytes()));
    if !server_name.is_empty() {
        tls = tls.domain_name(server_name);
    }
    let endpoint = Endpoint::from_shared(address.to_owned())?.tls_config(tls)?;
    Ok(endpoint
        .connect_timeout(config.connect_timeout())
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(config.call_timeout())
        .keep_alive_while_idle(true))
}
