//! The HTTPS front: one listener with the server's certificate, bounded in connections, sizes and time.
//!
//! Here: sockets, TLS and stopping. What is served is in the files below; a request that nothing serves is not
//! found. Callers show no certificate: nothing here may need one. Not here: gRPC (`crate::grpc`).

pub mod keys;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use crate::data_dir::DataDir;

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
    /// A certificate or key cannot be read.
    #[error("could not read {}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate or key is no PEM.
    #[error("{}: expected PEM", .path.display())]
    Pem {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not make a TLS server.
    #[error("the server's certificate or key is not in order")]
    Tls(#[source] rustls::Error),
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

/// A listener that is bound and ready to run.
pub struct Bound {
    listener: TcpListener,
    acceptor: TlsAcceptor,
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
    /// Binds an address with the server certificate of a data folder.
    ///
    /// # Errors
    /// When the certificate, its key or the address cannot be had.
    pub async fn bind(dir: &DataDir, listen: SocketAddr, connections_max: usize, router: Router) -> Result<Self, WebError> {
        let acceptor = TlsAcceptor::from(Arc::new(tls(dir)?));
        let no_port = |source| WebError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        let router = router.layer(map_response(careful));
        Ok(Self { listener, acceptor, router, places: Arc::new(Semaphore::new(connections_max)), address })
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
                Ok((stream, _)) => {
                    let (acceptor, router, stopped) = (self.acceptor.clone(), self.router.clone(), stopped.clone());
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

fn tls(dir: &DataDir) -> Result<rustls::ServerConfig, WebError> {
    let (path, pem) = read(dir.server_certificate())?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|source| WebError::Pem { path, source })?;
    let (path, pem) = read(dir.server_key())?;
    let key = PrivateKeyDer::from_pem_slice(&zeroize::Zeroizing::new(pem)).map_err(|source| WebError::Pem { path, source })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(WebError::Tls)?;
    let mut config = builder.with_no_client_auth().with_single_cert(certificates, key).map_err(WebError::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read(path: PathBuf) -> Result<(PathBuf, Vec<u8>), WebError> {
    match std::fs::read(&path) {
        Ok(bytes) => Ok((path, bytes)),
        Err(source) => Err(WebError::File { path, source }),
    }
}
