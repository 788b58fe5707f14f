//! One message to the one address that the settings name: HTTPS with an authority that is named too, or HTTP to this very machine.
//!
//! A connection for each message, bounded in time and in what is read of the answer. An answer that leads elsewhere is a failure:
//! nothing is sent to any other place.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::body::Body;
use hyper::{
    Request, StatusCode, Uri,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, HeaderName, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::signature::Secret;
use crate::store::{RecordId, TimeMs};

/// Longest head of an answer, in bytes.
const HEAD_LEN_MAX: usize = 16 * 1024;

/// An address or authority that is not taken.
#[derive(Debug, Error)]
pub enum ReceiverError {
    /// The address is none, or is not safe.
    #[error("url: expected https://…, or http:// to this machine alone (127.0.0.1, [::1]), without a user or a fragment")]
    Url,
    /// The authority's certificate is missing or none.
    #[error("authority: expected the certificate (PEM) of who has certified the receiver")]
    Authority,
}

/// A message that was not taken.
#[derive(Debug, Error)]
pub enum SendError {
    /// Nobody could be reached.
    #[error("the receiver could not be reached")]
    Connect(#[source] std::io::Error),
    /// The receiver is not whom the authority certified, or speaks no TLS.
    #[error("the receiver's certificate was not taken")]
    Tls(#[source] std::io::Error),
    /// The exchange broke off.
    #[error("the exchange broke off")]
    Exchange(#[source] hyper::Error),
    /// It could not be put into a request.
    #[error("the request could not be made")]
    Request,
    /// It took too long.
    #[error("the receiver took longer than {} s", .0.as_secs())]
    Late(Duration),
    /// The receiver answered something else than that it took the message.
    #[error("the receiver answered {0}")]
    Answer(StatusCode),
}

impl SendError {
    /// Whether another try is of no use: the receiver says that it is gone.
    #[must_use]
    pub fn for_good(&self) -> bool {
        matches!(self, Self::Answer(StatusCode::GONE))
    }
}

/// Who is told.
pub struct Receiver {
    host: String,
    port: u16,
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    secret: Secret,
    timeout: Duration,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({}:{})", self.host, self.port)
    }
}

impl Receiver {
    /// The receiver at an address; `authority` is who has certified it, in PEM.
    ///
    /// # Errors
    /// When the address or the authority is not taken.
    pub fn new(url: &str, authority: Option<&[u8]>, secret: Secret, timeout: Duration) -> Result<Self, ReceiverError> {
        let uri: Uri = url.parse().map_err(|_| ReceiverError::Url)?;
        let named = uri.authority().ok_or(ReceiverError::Url)?;
        if named.as_str().contains('@') || url.contains('#') {
            return Err(ReceiverError::Url);
        }
        let host = named.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let (tls, usual) = match uri.scheme_str() {
            Some("https") => (Some(encryption(&host, authority.ok_or(ReceiverError::Authority)?)?), 443),
            Some("http") if host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) => (None, 80),
            Some(_) | None => return Err(ReceiverError::Url),
        };
        Ok(Self { host, port: named.port_u16().unwrap_or(usual), path, tls, secret, timeout })
    }

    /// How long one message may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a message; it was taken when this gives nothing back.
    ///
    /// # Errors
    /// When it was not taken, or nobody knows.
    pub async fn send(&self, id: RecordId, body: &str, now: TimeMs) -> Result<(), SendError> {
        let request = self.request(id, body, now).ok_or(SendError::Request)?;
        tokio::time::timeout(self.timeout, self.exchange(request)).await.unwrap_or(Err(SendError::Late(self.timeout)))
    }

    fn request(&self, id: RecordId, body: &str, now: TimeMs) -> Option<Request<Body>> {
        let (id, timestamp_s) = (format!("msg_{id}"), now.div_euclid(1_000));
        let host = if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) };
        Request::post(&self.path)
            .header(HOST, host)
            .header(USER_AGENT, concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(HeaderName::from_static("webhook-signature"), self.secret.sign(&id, timestamp_s, body))
            .header(HeaderName::from_static("webhook-timestamp"), timestamp_s)
            .header(HeaderName::from_static("webhook-id"), id)
            .body(Body::from(body.to_owned()))
            .ok()
    }

    async fn exchange(&self, request: Request<Body>) -> Result<(), SendError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(SendError::Connect)?;
        match &self.tls {
            None => answered(stream, request).await,
            Some((connector, name)) => answered(connector.connect(name.clone(), stream).await.map_err(SendError::Tls)?, request).await,
        }
    }
}

/// The status alone is read; the connection ends with it.
async fn answered(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, request: Request<Body>) -> Result<(), SendError> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_LEN_MAX).handshake(TokioIo::new(stream)).await.map_err(SendError::Exchange)?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(SendError::Exchange);
    connection.abort();
    let status = answer?.status();
    if status.is_success() { Ok(()) } else { Err(SendError::Answer(status)) }
}

fn encryption(host: &str, authority: &[u8]) -> Result<(TlsConnector, ServerName<'static>), ReceiverError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority) {
        roots.add(certificate.map_err(|_| ReceiverError::Authority)?).map_err(|_| ReceiverError::Authority)?;
    }
    if roots.is_empty() {
        return Err(ReceiverError::Authority);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|_| ReceiverError::Authority)?;
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ReceiverError::Url)?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<(&str, u16, &str), &str>) {
        let secret = Secret::read(&Secret::written([7; 32])).unwrap();
        let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
        let receiver = Receiver::new(url, Some(authority.as_bytes()), secret, Duration::from_secs(1));
        let made = receiver.as_ref().map(|of| (of.host.as_str(), of.port, of.path.as_str()));
        assert_eq!(made.map_err(|error| error.to_string().chars().take(3).collect::<String>()), expected.map_err(str::to_owned), "{url}");
    }

    #[test]
    fn nothing_is_sent_in_clear_to_another_machine() {
        check("https://fund.example/told?x=1", Ok(("fund.example", 443, "/told?x=1")));
        check("https://10.0.0.7:8443", Ok(("10.0.0.7", 8443, "/")));
        check("http://127.0.0.1:9000/told", Ok(("127.0.0.1", 9000, "/told")));
        check("http://[::1]:9000/", Ok(("::1", 9000, "/")));
        for url in [
            "http://fund.example/",
            "http://localhost/",
            "http://10.0.0.7/",
            "ftp://127.0.0.1/",
            "",
            "/told",
            "https://a:b@fund.example/",
            "https://fund.example/#x",
        ] {
            check(url, Err("url"));
        }
    }

    #[test]
    fn https_needs_an_authority() {
        for authority in [None, Some(&b""[..]), Some(&b"words"[..])] {
            let secret = Secret::read(&Secret::written([7; 32])).unwrap();
            assert!(matches!(Receiver::new("https://fund.example/", authority, secret, Duration::ZERO), Err(ReceiverError::Authority)));
        }
    }
}
