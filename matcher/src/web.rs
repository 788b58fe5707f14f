//! The HTTPS front: one listener with the server's certificate, bounded in connections, sizes and time.
//!
//! Here: sockets, TLS and stopping. What is served is in the files below; a request that nothing serves is not
//! found. Callers show no certificate: nothing here may need one. Not here: gRPC (`crate::grpc`).

pub mod keys;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use crate::tls::ServerTls;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection ends after this long, whatever it is doing.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a request under way may take after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(3);
/// Wait after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);
const HEADERS_MAX: usize = 64;
const BUFFER_LEN_MAX: usize = 16 * 1024;

/// A listener that cannot be had.
#[derive(Debug, Error)]
pub enum WebError {
    /// The address cannot be had.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Where a request comes from: the other end of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// What connections are encrypted with.
#[derive(Clone)]
pub enum Encryption {
    /// The center's server certificate, which may be exchanged.
    Center(Arc<ServerTls>),
    /// Another certificate.
    Own(Arc<rustls::ServerConfig>),
}

impl Encryption {
    fn config(&self) -> Arc<rustls::ServerConfig> {
        match self {
            Self::Center(tls) => tls.for_published(),
            Self::Own(config) => Arc::clone(config),
        }
    }
}

/// A listener that is bound and ready to run.
pub struct Bound {
    listener: TcpListener,
    encryption: Encryption,
    router: Router,
    places: Arc<Semaphore>,
    address: SocketAddr,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bound({})", self.address)
    }
}

impl Bound {
    /// Binds an address.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn bind(encryption: Encryption, listen: SocketAddr, connections_max: usize, router: Router) -> Result<Self, WebError> {
        let no_port = |source| WebError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        let router = router.layer(map_response(careful));
        Ok(Self { listener, encryption, router, places: Arc::new(Semaphore::new(connections_max)), address })
    }

    /// The address in use.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done, then lets requests under way end.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { break };
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let acceptor = TlsAcceptor::from(self.encryption.config());
                    let router = self.router.clone().layer(Extension(Peer(peer.ip())));
                    let stopped = stopped.clone();
                    connections.spawn(async move {
                        let _place = place;
                        let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection(acceptor, router, stream, stopped)).await;
                    });
                }
                // Out of file descriptors, perhaps: others must close before this can succeed.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
            while connections.try_join_next().is_some() {}
        }
        drop(self.listener);
        let _ = stopping.send(true);
        let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    }
}

async fn connection(acceptor: TlsAcceptor, router: Router, stream: TcpStream, mut stopped: watch::Receiver<bool>) {
    // A page's last packet does not wait until the reader has confirmed the one before.
    if let Err(error) = stream.set_nodelay(true) {
        return debug!(error = &error as &dyn std::error::Error, "an HTTPS connection broke off");
    }
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await else { return };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT).max_headers(HEADERS_MAX).max_buf_size(BUFFER_LEN_MAX);
    let serving = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let done = tokio::select! {
        done = &mut serving => done,
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = done {
        debug!(error = &error as &dyn std::error::Error, "an HTTPS connection broke off");
    }
}

/// What every answer says to browsers.
async fn careful(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
