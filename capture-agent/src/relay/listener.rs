//! Connections of counters by mutual TLS, and of the page's readers by HTTPS; so many at once, and so many of one counter.
//!
//! The relay's certificate is taken up anew when it was renewed: connections that stand keep what they began with.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, RwLock},
    task::{Context, Poll},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::{debug, warn};

use super::peer::Peer;
use crate::line::client::Credentials;

/// Wait after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// The relay's certificate makes no server.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Certificate, key or authority is no PEM.
    #[error("the relay's certificate, key or authority: expected PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// They do not belong together.
    #[error("the relay's certificate makes no server")]
    Server(#[source] rustls::Error),
    /// The authority's certificates cannot be asked for.
    #[error("the authority's certificate is not in order")]
    Authority(#[source] rustls::server::VerifierBuilderError),
}

/// Mutual TLS with counters, as the relay's certificate has it now.
#[derive(Debug, Clone)]
pub struct RelayTls(Arc<RwLock<Arc<ServerConfig>>>);

impl RelayTls {
    /// Of these credentials.
    ///
    /// # Errors
    /// When they make no server.
    pub fn new(credentials: &Credentials) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(configure(credentials)?))))
    }

    /// Takes up others.
    ///
    /// # Errors
    /// When they make no server; those before stay.
    pub fn replace(&self, credentials: &Credentials) -> Result<(), TlsError> {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = configure(credentials)?;
        Ok(())
    }

    fn now(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Mutual TLS with the center's devices.
fn configure(credentials: &Credentials) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(credentials.ca_pem.as_bytes()) {
        roots.add(authority.map_err(TlsError::Pem)?).map_err(TlsError::Server)?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().map_err(TlsError::Authority)?;
    let chain =
        CertificateDer::pem_slice_iter(credentials.certificate_pem.as_bytes()).collect::<Result<Vec<_>, _>>().map_err(TlsError::Pem)?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key_pem.as_bytes()).map_err(TlsError::Pem)?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(TlsError::Server)?;
    let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).map_err(TlsError::Server)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Who connects, and how it is encrypted.
#[derive(Debug, Clone)]
pub enum Callers {
    /// Counters, each with so many connections at most.
    Counters(RelayTls, usize),
    /// Readers of the page.
    Page(Arc<ServerConfig>),
}

/// A bound listener with a limited number of places.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    places: Arc<Semaphore>,
    callers: Callers,
    handshake_timeout: Duration,
    by_counter: Arc<Mutex<HashMap<String, usize>>>,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(address: SocketAddr, connections_max: usize, callers: Callers, handshake_timeout: Duration) -> io::Result<Self> {
        let (inner, places) = (TcpListener::bind(address).await?, Arc::new(Semaphore::new(connections_max)));
        Ok(Self { inner, places, callers, handshake_timeout, by_counter: Arc::default() })
    }

    /// The address in use.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The connections, one after the other. Dropping the stream closes the port.
    #[must_use]
    pub fn into_stream(self) -> ReceiverStream<io::Result<TlsStream<Connection>>> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = sender.closed() => break,
                    accepted = self.accept() => accepted,
                };
                match accepted {
                    // Whoever is slow to shake hands holds a place, and nobody else up.
                    Ok(connection) => drop(tokio::spawn(self.shake_hands(connection, sender.clone()))),
                    // Out of file descriptors, perhaps: others must close before this can succeed.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        });
        ReceiverStream::new(receiver)
    }

    fn shake_hands(
        &self,
        connection: Connection,
        sender: mpsc::Sender<io::Result<TlsStream<Connection>>>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (tls, own_max) = match &self.callers {
            Callers::Counters(tls, own_max) => (tls.now(), Some(*own_max)),
            Callers::Page(tls) => (Arc::clone(tls), None),
        };
        let (acceptor, timeout) = (TlsAcceptor::from(tls), self.handshake_timeout);
        let by_counter = Arc::clone(&self.by_counter);
        async move {
            let mut stream = match tokio::time::timeout(timeout, acceptor.accept(connection)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return debug!(error = &error as &dyn std::error::Error, "a handshake failed"),
                Err(_) => return debug!("a handshake took too long"),
            };
            if let Some(own_max) = own_max {
                let shown = stream.get_ref().1.peer_certificates().and_then(|certificates| Peer::of(certificates.first()?));
                let Some(peer) = shown else { return debug!("a certificate is no device's") };
                match Own::take(by_counter, peer.device, own_max) {
                    Ok(own) => stream.get_mut().0.own = Some(own),
                    Err(device) => return warn!(device.id = device, "a counter opens more connections than it may"),
                }
            }
            drop(sender.send(Ok(stream)).await);
        }
    }

    async fn accept(&self) -> io::Result<Connection> {
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let (stream, _) = self.inner.accept().await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, _place: place, own: None })
    }
}

/// One of the connections of a counter; given back when it is dropped.
#[derive(Debug)]
struct Own {
    counters: Arc<Mutex<HashMap<String, usize>>>,
    device: String,
}

impl Own {
    fn take(counters: Arc<Mutex<HashMap<String, usize>>>, device: String, max: usize) -> Result<Self, String> {
        {
            let mut open = counters.lock().unwrap_or_else(PoisonError::into_inner);
            let open = open.entry(device.clone()).or_default();
            if *open >= max {
                return Err(device);
            }
            *open += 1;
        }
        Ok(Self { counters, device })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut open = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.device) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.device);
            }
        }
    }
}

/// A TCP connection that gives its place back when it is closed.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    own: Option<Own>,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_has_so_many_connections_and_gives_them_back() {
        let open: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
        let take = |device: &str| Own::take(Arc::clone(&open), device.to_owned(), 2);
        let first = take("till-1").unwrap();
        let _second = take("till-1").unwrap();
        assert_eq!(take("till-1").unwrap_err(), "till-1");
        let other = take("till-2").unwrap();
        drop((first, other));
        assert!(take("till-1").is_ok());
        assert_eq!(open.lock().unwrap().len(), 1, "what is closed is forgotten");
    }
}
