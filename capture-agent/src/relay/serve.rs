//! Running the relay: lock, listeners, forwarding, upkeep of its own certificate, and a stop that lets calls end.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::serve::Listener as PageListener;
use ed25519_dalek::VerifyingKey;
use proto::v1::{
    CameraState, DeviceState, RenewCertificateRequest, ReportHealthRequest, deferred_service_server::DeferredServiceServer,
    device_service_server::DeviceServiceServer, lease_service_server::LeaseServiceServer, receipt_service_server::ReceiptServiceServer,
    verification_service_server::VerificationServiceServer,
};
use thiserror::Error;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::transport::Server;
use tracing::{info, warn};

use super::{
    carrier::Carrier,
    config::RelayConfig,
    counters::Counters,
    forwarding::Forwarding,
    listener::{Callers, Connection, Listener, RelayTls, TlsError},
    page::{self, Line, PageCertificateError, Row, SILENT_AFTER_MS, Status},
    peer,
    store::{Store, StoreError},
    upload::Uploads,
};
use crate::{
    clock::Clock,
    doctor::machine::disk_free_bytes,
    durable::{self, Readers, WriteError},
    identity::{self, Identity, IdentityError, REQUEST_FILE, Standing},
    join,
    line::client::{CenterClient, SetUpError},
    service::notify,
    web::Token,
};

/// Name of the file with the page's address.
pub const PAGE_FILE: &str = "page.addr";
/// Name of the file with the page's password, where it asks for one.
pub const TOKEN_FILE: &str = "page.token";
/// Name of the file with how the running relay stands.
pub const STATUS_FILE: &str = "relay.status";

/// What is buffered of one connection and of one call before it is read, in bytes.
const CONNECTION_WINDOW: u32 = 512 << 10;
const CALL_WINDOW: u32 = 128 << 10;
/// The largest list of headers, in bytes.
const HEADER_LIST_LEN_MAX: u32 = 16 << 10;
/// A connection on which nothing answers is closed.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Readers of the page at a time.
const READERS_MAX: usize = 16;
/// How often the status file is written.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// How long calls may run on after a stop.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// The relay cannot serve.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The certificate is a counter's.
    #[error("device.crt: expected a relay's certificate; issue or invite it with --role relay at the center")]
    NotARelay,
    /// The center's key is not known.
    #[error("device.toml: policy_key: expected the center's key; without it no acknowledgement can be checked")]
    NoKey,
    /// Key and certificate cannot be used.
    #[error(transparent)]
    Identity(IdentityError),
    /// They make no server.
    #[error(transparent)]
    Tls(TlsError),
    /// The page has no certificate.
    #[error(transparent)]
    Page(PageCertificateError),
    /// The connection to the center cannot be set up.
    #[error(transparent)]
    SetUp(SetUpError),
    /// The spool cannot be used.
    #[error(transparent)]
    Store(StoreError),
    /// A port cannot be opened.
    #[error("{address}: could not be listened on")]
    Listen {
        /// Address of the configuration.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No random numbers for the page's password.
    #[error("the operating system gave no random numbers: {0}")]
    Token(getrandom::Error),
    /// The state folder cannot be written.
    #[error("the state folder cannot be written")]
    Write(#[source] WriteError),
    /// The services failed.
    #[error("the services failed")]
    Serve(#[source] tonic::transport::Error),
    /// Standard output is closed.
    #[error("the listener failed")]
    Run(#[source] io::Error),
}

/// A relay with its parts, before it listens.
#[derive(Debug)]
pub struct Relay {
    dir: PathBuf,
    config: RelayConfig,
    identity: Identity,
    clock: Clock,
    started_at_ms: i64,
    store: Arc<Store>,
    carrier: Carrier,
    tls: RelayTls,
}

/// Where a relay listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Counters.
    pub counters: SocketAddr,
    /// The page.
    pub page: SocketAddr,
}

impl Relay {
    /// Opens the spool and prepares the lines. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When identity, spool or lines are not in order.
    pub fn open(dir: &Path, config: RelayConfig, identity: Identity, clock: Clock) -> Result<Self, RelayError> {
        if !peer::may_serve(&identity.certificate_der()) {
            return Err(RelayError::NotARelay);
        }
        let key: VerifyingKey = identity.registration.policy_key.ok_or(RelayError::NoKey)?;
        let credentials = identity.credentials().map_err(RelayError::Identity)?;
        let tls = RelayTls::new(&credentials).map_err(RelayError::Tls)?;
        let client = CenterClient::new(&config.center, &credentials, clock).map_err(RelayError::SetUp)?;
        let store = Arc::new(Store::open(dir, config.spool).map_err(RelayError::Store)?);
        let counters = Counters::load(Arc::clone(&store), clock).map_err(RelayError::Store)?;
        let forwarding = Arc::new(Forwarding::new(Arc::clone(&store), client.clone(), counters.clone(), key, clock));
        let carrier = Carrier { client, counters, forwarding };
        Ok(Self { dir: dir.to_owned(), config, identity, clock, started_at_ms: clock.date_ms(), store, carrier, tls })
    }

    /// What forwards what is kept.
    #[must_use]
    pub fn forwarding(&self) -> &Arc<Forwarding> {
        &self.carrier.forwarding
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let (at_ms, usage) = (self.clock.date_ms(), self.store.usage());
        let row = |(device, counter): (String, super::counters::Counter)| {
            let here = usage.get(&device).copied().unwrap_or_default();
            let since = counter.last_seen_ms.unwrap_or(self.started_at_ms);
            let is_silent = at_ms.saturating_sub(since) > SILENT_AFTER_MS;
            Row { waiting_here: here.envelopes, oldest_here_ms: here.oldest_ms, is_silent, device, counter }
        };
        let lines = self.carrier.client.endpoints().into_iter();
        Status {
            relay: self.identity.registration.device.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at_ms,
            started_at_ms: self.started_at_ms,
            line: self.carrier.client.line_in_use(),
            is_down: self.carrier.client.is_down(),
            lines: lines.map(|line| Line { name: line.name, answers: line.answers }).collect(),
            waiting: usage.values().map(|usage| usage.envelopes).sum(),
            waiting_bytes: usage.values().map(|usage| usage.bytes).sum(),
            room_bytes: self.config.spool.bytes_max(),
            oldest_ms: usage.values().filter_map(|usage| usage.oldest_ms).min(),
            disk_free_bytes: disk_free_bytes(&self.dir),
            certificate_until_ms: self.identity.validity.until_ms,
            counters: self.carrier.counters.all().into_iter().map(row).collect(),
        }
    }

    /// Serves until `stop` says so, and then lets calls end for a while. `ready` is called once counters are served.
    ///
    /// # Errors
    /// When a port cannot be opened or the state folder not be written.
    pub async fn serve(self, stop: watch::Receiver<bool>, ready: impl FnOnce(Bound) -> io::Result<()>) -> Result<(), RelayError> {
        let relay = Arc::new(self);
        let (listen, idle) = (relay.config.relay, relay.config.relay.idle_timeout());
        let bind = async |address, max, callers| {
            let bound = Listener::bind(address, max, callers, idle).await;
            bound.and_then(|listener| listener.address().map(|at| (listener, at))).map_err(|source| RelayError::Listen { address, source })
        };
        let callers = Callers::Counters(relay.tls.clone(), listen.counter_connections_max);
        let (counters, counters_at) = bind(listen.listen, listen.connections_max, callers).await?;
        let page_at = relay.serve_page(stop.clone()).await?;
        let upkeep = tokio::spawn({
            let relay = Arc::clone(&relay);
            async move { tokio::join!(relay.carrier.forwarding.run(), relay.keep_up(), relay.keep_status()) }
        });
        let uploads = Uploads::new(relay.carrier.clone(), listen.uploads_max, idle);
        let server = services(&relay.config, relay.carrier.clone(), uploads);
        let mut asked = stop.clone();
        let served = server.serve_with_incoming_shutdown(counters.into_stream(), async move {
            let _ = asked.wait_for(|stop| *stop).await;
        });
        info!(relay.address = %counters_at, page.address = %page_at, "serving");
        notify::ready();
        ready(Bound { counters: counters_at, page: page_at }).map_err(RelayError::Run)?;
        let mut stop = stop;
        let bound = async {
            let _ = stop.wait_for(|stop| *stop).await;
            notify::stopping();
            tokio::time::sleep(STOP_WITHIN).await;
        };
        let outcome = tokio::select! {
            outcome = served => outcome.map_err(RelayError::Serve),
            () = bound => {
                warn!("calls still ran when the time to stop was over; what was kept stays");
                Ok(())
            }
        };
        upkeep.abort();
        if let Err(error) = relay.store.flush() {
            warn!(error = &error as &dyn std::error::Error, "the spool's log could not be written back; it is read at the next start");
        }
        for name in [PAGE_FILE, TOKEN_FILE, STATUS_FILE] {
            let _ = fs::remove_file(relay.dir.join(name));
        }
        info!("stopped");
        outcome
    }

    async fn serve_page(self: &Arc<Self>, mut stop: watch::Receiver<bool>) -> Result<SocketAddr, RelayError> {
        let config = &self.config.page;
        let address = config.listen;
        let listen_error = |source| RelayError::Listen { address, source };
        let looking = Arc::clone(self);
        let look: page::Look = Arc::new(move || looking.status());
        let stopped = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let (at, scheme) = if address.ip().is_loopback() && !config.always_protected {
            let listener = tokio::net::TcpListener::bind(address).await.map_err(listen_error)?;
            let at = listener.local_addr().map_err(listen_error)?;
            tokio::spawn(axum::serve(listener, page::router(look, at, None)).with_graceful_shutdown(stopped).into_future());
            (at, "http")
        } else {
            let idle = self.config.relay.idle_timeout();
            let tls = page::certificate::tls(&self.dir, &config.names, address, self.clock.date_ms()).map_err(RelayError::Page)?;
            let listener = Listener::bind(address, READERS_MAX, Callers::Page(tls), idle).await.map_err(listen_error)?;
            let at = listener.address().map_err(listen_error)?;
            let token = Token::make().map_err(RelayError::Token)?;
            durable::write(&self.dir.join(TOKEN_FILE), token.text().as_bytes(), Readers::Owner).map_err(RelayError::Write)?;
            let incoming = Secured { stream: listener.into_stream(), at };
            tokio::spawn(axum::serve(incoming, page::router(look, at, Some(token))).with_graceful_shutdown(stopped).into_future());
            (at, "https")
        };
        let text = format!("{scheme}://{at}");
        durable::write(&self.dir.join(PAGE_FILE), text.as_bytes(), Readers::Owner).map_err(RelayError::Write)?;
        Ok(at)
    }

    /// Renews the relay's certificate when it is due, reports its health, and deletes what has been kept long enough.
    async fn keep_up(&self) {
        let mut validity = self.identity.validity;
        let every = Duration::from_secs(self.config.center.health_every_s);
        loop {
            let standing = validity.at(self.clock.date_ms(), self.config.device.renew_after_share);
            if matches!(standing, Standing::Due | Standing::Ended) {
                match self.renew(standing).await {
                    Ok(renewed) => validity = renewed.validity,
                    Err(error) => warn!(error = &*error as &dyn std::error::Error, "the relay's certificate could not be renewed"),
                }
            }
            if let Err(error) = self.carrier.client.report_health(self.report()).await {
                warn!(error = &error as &dyn std::error::Error, "the relay's health could not be reported");
            }
            self.carrier.forwarding.prune().await;
            tokio::time::sleep(every).await;
        }
    }

    async fn renew(&self, standing: Standing) -> Result<Identity, Box<dyn std::error::Error + Send + Sync>> {
        let renewed = if standing == Standing::Ended {
            join::renew_late(&self.identity, &self.config.device.join_address).await?
        } else {
            let csr_pem = fs::read_to_string(self.dir.join(REQUEST_FILE))?;
            let answer = self.carrier.client.renew_certificate(RenewCertificateRequest { csr_pem }).await?;
            identity::papers::take(&self.dir, &answer.certificate_pem, &answer.authority_pem)?
        };
        let credentials = renewed.credentials()?;
        self.tls.replace(&credentials)?;
        self.carrier.client.replace_credentials(&credentials)?;
        info!(certificate.until_ms = renewed.validity.until_ms, "the relay's certificate was renewed");
        Ok(renewed)
    }

    fn report(&self) -> ReportHealthRequest {
        let status = self.status();
        let state = DeviceState {
            started_at_ms: self.started_at_ms,
            spool_bytes: status.waiting_bytes,
            spool_oldest_ms: status.oldest_ms.unwrap_or_default(),
            certificate_expires_at_ms: self.identity.validity.until_ms,
            disk_free_bytes: status.disk_free_bytes.unwrap_or_default(),
            ..DeviceState::default()
        };
        ReportHealthRequest {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            feature_models: Vec::new(),
            camera: CameraState::Unspecified.into(),
            device_clock_ms: self.clock.date_ms(),
            unanswered_envelopes: u32::try_from(status.waiting).unwrap_or(u32::MAX),
            state: Some(state),
        }
    }

    /// Writes how it stands, for `relay status`. Nothing rests on this file: it is not made durable.
    async fn keep_status(&self) {
        let (path, next) = (self.dir.join(STATUS_FILE), self.dir.join("relay.status.next"));
        loop {
            let text = serde_json::to_vec(&self.status()).unwrap_or_default();
            let (path, next) = (path.clone(), next.clone());
            let _ = tokio::task::spawn_blocking(move || fs::write(&next, text).and_then(|()| fs::rename(&next, &path))).await;
            tokio::time::sleep(STATUS_EVERY).await;
        }
    }
}

fn services(config: &RelayConfig, carrier: Carrier, uploads: Uploads) -> tonic::transport::server::Router {
    let max = proto::MESSAGE_LEN_MAX;
    let calls = config.relay.calls_per_connection_max;
    Server::builder()
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(CALL_WINDOW)
        .max_concurrent_streams(calls)
        .concurrency_limit_per_connection(calls as usize)
        // This bounds a message that trickles in.
        .timeout(config.center.call_timeout() * 2)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .http2_max_header_list_size(HEADER_LIST_LEN_MAX)
        .add_service(VerificationServiceServer::new(carrier.clone()).max_decoding_message_size(max))
        .add_service(DeviceServiceServer::new(carrier.clone()).max_decoding_message_size(max))
        .add_service(LeaseServiceServer::new(carrier.clone()).max_decoding_message_size(max))
        .add_service(ReceiptServiceServer::new(carrier).max_decoding_message_size(max))
        .add_service(DeferredServiceServer::new(uploads).max_decoding_message_size(max))
}

/// The page's connections by HTTPS.
struct Secured {
    stream: ReceiverStream<io::Result<TlsStream<Connection>>>,
    at: SocketAddr,
}

impl PageListener for Secured {
    type Io = TlsStream<Connection>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.stream.next().await {
                Some(Ok(stream)) => return (stream, self.at),
                Some(Err(_)) => {}
                // The listener is gone: the server stops.
                None => std::future::pending::<()>().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.at)
    }
}
