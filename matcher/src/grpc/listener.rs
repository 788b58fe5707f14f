//! Connections by TLS, of which only so many are open at once.
//!
//! Each accepted connection holds a place until it is closed. When none is free the next ones wait in the
//! operating system's queue: a flood of connections costs a bounded amount of memory.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::debug;

use crate::tls::ServerTls;

/// Wait after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Whose certificate is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Counters', by the center's authorities.
    Counters,
    /// Nobody's: those who come have none that holds.
    Joining,
}

/// A bound listener with a limited number of places.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    places: Arc<Semaphore>,
    tls: Arc<ServerTls>,
    callers: Callers,
    handshake_timeout: Duration,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        connections_max: usize,
        tls: Arc<ServerTls>,
        callers: Callers,
        handshake_timeout: Duration,
    ) -> io::Result<Self> {
        let inner = TcpListener::bind(address).await?;
        Ok(Self { inner, places: Arc::new(Semaphore::new(connections_max)), tls, callers, handshake_timeout })
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

    /// Gives the connection on once both sides have shown their certificates; otherwise it is closed.
    fn shake_hands(
        &self,
        connection: Connection,
        sender: mpsc::Sender<io::Result<TlsStream<Connection>>>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let tls = match self.callers {
            Callers::Counters => self.tls.for_counters(),
            Callers::Joining => self.tls.for_joining(),
        };
        let (acceptor, timeout) = (TlsAcceptor::from(tls), self.handshake_timeout);
        async move {
            match tokio::time::timeout(timeout, acceptor.accept(connection)).await {
                Ok(Ok(stream)) => drop(sender.send(Ok(stream)).await),
                Ok(Err(error)) => debug!(error = &error as &dyn std::error::Error, "a handshake failed"),
                Err(_) => debug!("a handshake took too long"),
            }
        }
    }

    async fn accept(&self) -> io::Result<Connection> {
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let (stream, _) = self.inner.accept().await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, _place: place })
    }
}

/// A TCP connection that gives its place back when it is closed.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
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
