//! `capture-agent join`: from a one-time code to a device that works.
//!
//! The key is made here first and stays, so that an interruption at any point is mended by the same command: the same key with
//! the same code gets the same answer. The code says which center is the right one, by a fingerprint of its authority: it is
//! looked for in the certificates that the other side shows, and nothing else is trusted; the secret is sent only then.
//! Not here: what a bundle must be (`identity`).

use std::{
    fs,
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::http::Uri;
use base64::{Engine, engine::general_purpose::STANDARD};
use proto::{
    invitation::InvitationCode,
    v1::{JoinRequest, JoinResponse, RenewCertificateResponse, RenewLateRequest, join_service_client::JoinServiceClient},
};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use thiserror::Error;
use tonic::{
    Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    config,
    durable::{self, Readers, WriteError},
    identity::{self, CA_FILE, CERTIFICATE_FILE, Identity, IdentityError, REGISTRATION_FILE, REQUEST_FILE, Registration},
};

/// Bound of a connection and of each call.
const PATIENCE: Duration = Duration::from_secs(15);
/// Where the bundle is put together, in the state folder.
const BUNDLE_FOLDER: &str = "joining";

/// The device could not join, or not renew late.
#[derive(Debug, Error)]
pub enum JoinError {
    /// The address is none.
    #[error("--center: expected https://host:port, as the center's operator gave it")]
    Address,
    /// The center does not answer.
    #[error("the center does not answer at {address}; look at the line and the address, then give the same command again")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another center answers, or somebody in between.
    #[error("who answers at {0} is not the center that made the code; nothing was sent. Ask the center's operator")]
    OtherCenter(String),
    /// The center refuses.
    #[error("the center refuses: {}", .0.message())]
    Refused(#[source] Box<Status>),
    /// The answer cannot be used.
    #[error("the center's answer: {0}")]
    Answer(&'static str),
    /// Key or bundle are not in order.
    #[error(transparent)]
    Identity(IdentityError),
    /// The state folder cannot be read or written.
    #[error("the state folder cannot be written")]
    Write(#[source] WriteError),
    /// A file of the state folder cannot be read.
    #[error("the state folder cannot be read")]
    Read(#[source] std::io::Error),
    /// The configuration is no TOML.
    #[error("{}: expected a file that `capture-agent` can add the center's address to", config::FILE)]
    Configuration,
}

/// Joins with a code and writes all the device needs; what it is now.
///
/// # Errors
/// When the center does not answer, is another one, refuses, or the folder cannot be written. The same command may be given
/// again.
pub async fn join(dir: &Path, center: &str, code: &InvitationCode) -> Result<Registration, JoinError> {
    join_with(dir, center, code, (config::FILE, config::SHIPPED)).await
}

/// As [`join`], with a configuration of another name and content.
///
/// # Errors
/// As [`join`].
pub async fn join_with(dir: &Path, center: &str, code: &InvitationCode, configuration: (&str, &str)) -> Result<Registration, JoinError> {
    identity::init_with(dir, configuration).map_err(JoinError::Identity)?;
    let csr_pem = fs::read_to_string(dir.join(REQUEST_FILE)).map_err(JoinError::Read)?;
    let place = Place::parse(center)?;
    let authority = authority(&place, code).await?;
    let mut client = JoinServiceClient::new(place.channel(&authority)?);
    let (locator, secret) = (code.locator().to_owned(), code.secret().to_owned());
    let answer = client.join(JoinRequest { locator, secret, csr_pem }).await.map_err(|status| place.refused(status))?.into_inner();
    let port = u16::try_from(answer.port).ok().filter(|port| *port > 0).ok_or(JoinError::Answer("port: expected 1 to 65535"))?;
    let registration = install(dir, &answer)?;
    configure(dir, configuration, &format!("https://{}:{port}", place.host), center)?;
    Ok(registration)
}

/// Gets the next certificate after the last one ended.
///
/// # Errors
/// When the center does not answer or refuses, or the answer is not for this device.
pub async fn renew_late(identity: &Identity, join_address: &str) -> Result<Identity, JoinError> {
    let csr_pem = fs::read_to_string(identity.dir.join(REQUEST_FILE)).map_err(JoinError::Read)?;
    let place = Place::parse(join_address)?;
    let signed = proto::invitation::late_renewal(&identity.certificate_sha256, &csr_pem);
    let signature = ed25519_dalek::Signer::sign(identity.key.signing(), &signed).to_bytes().to_vec();
    let request = RenewLateRequest { certificate_sha256: identity.certificate_sha256.to_vec(), csr_pem, signature };
    let mut client = JoinServiceClient::new(place.channel(&identity.ca_pem)?);
    let answer: RenewCertificateResponse = client.renew_late(request).await.map_err(|status| place.refused(status))?.into_inner();
    identity::papers::take(&identity.dir, &answer.certificate_pem, &answer.authority_pem).map_err(JoinError::Identity)
}

/// Where the center listens.
struct Place {
    address: String,
    host: String,
    port: u16,
}

impl Place {
    fn parse(address: &str) -> Result<Self, JoinError> {
        let uri: Uri = address.parse().map_err(|_| JoinError::Address)?;
        let (host, port) = (uri.host().filter(|host| !host.is_empty()), uri.port_u16());
        match (uri.scheme_str(), host.zip(port)) {
            (Some("https"), Some((host, port))) => Ok(Self { address: address.to_owned(), host: host.to_owned(), port }),
            _ => Err(JoinError::Address),
        }
    }

    /// A connection to whoever this authority (PEM) vouches for.
    fn channel(&self, authority_pem: &str) -> Result<Channel, JoinError> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority_pem)).domain_name(self.bare_host());
        let endpoint = Endpoint::from_shared(self.address.clone()).and_then(|endpoint| endpoint.tls_config(tls));
        let endpoint = endpoint.map_err(|error| self.unreachable(error))?;
        Ok(endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect_lazy())
    }

    /// The host without the brackets of an IPv6 address.
    fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    fn unreachable(&self, source: impl std::error::Error + Send + Sync + 'static) -> JoinError {
        JoinError::Unreachable { address: self.address.clone(), source: Box::new(source) }
    }

    fn refused(&self, status: Status) -> JoinError {
        let passes = matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded | tonic::Code::Unknown);
        if passes { self.unreachable(status) } else { JoinError::Refused(Box::new(status)) }
    }
}

/// The authority (PEM) whose fingerprint is in the code, among the certificates that the other side shows.
async fn authority(place: &Place, code: &InvitationCode) -> Result<String, JoinError> {
    let (host, port) = (place.bare_host().to_owned(), place.port);
    let shown = tokio::task::spawn_blocking(move || shown(&host, port)).await;
    let shown = shown.map_err(|error| place.unreachable(error))?.map_err(|error| place.unreachable(error))?;
    let found = shown.iter().find(|der| code.is_of_authority(der)).ok_or_else(|| JoinError::OtherCenter(place.address.clone()))?;
    Ok(pem(found))
}

/// The certificates that the other side shows. It is believed nothing yet: whoever it is, only a certificate is taken.
fn shown(host: &str, port: u16) -> std::io::Result<Vec<CertificateDer<'static>>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let looking = Arc::new(Looking(Arc::clone(&provider)));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(std::io::Error::other)?;
    let mut config = config.dangerous().with_custom_certificate_verifier(looking).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let address = (host, port).to_socket_addrs()?.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(connection.peer_certificates().unwrap_or_default().iter().map(|der| der.clone().into_owned()).collect())
}

/// Takes any certificate, to look at it.
#[derive(Debug)]
struct Looking(Arc<CryptoProvider>);

impl ServerCertVerifier for Looking {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<String> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Takes the answer in as a bundle, with all that is checked of one.
fn install(dir: &Path, answer: &JoinResponse) -> Result<Registration, JoinError> {
    let bundle = dir.join(BUNDLE_FOLDER);
    durable::make_folder(&bundle).map_err(JoinError::Write)?;
    let mut registration = toml_edit::DocumentMut::new();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let fields = [
        ("device", answer.device.clone()),
        ("institution", answer.institution.clone()),
        ("counter", answer.counter.clone()),
        ("opening_key", hex(&answer.opening_key)),
        ("policy_key", hex(&answer.policy_key)),
    ];
    for (key, value) in fields {
        registration.insert(key, toml_edit::value(value));
    }
    let registration = registration.to_string();
    let files = [(CA_FILE, &answer.authority_pem), (CERTIFICATE_FILE, &answer.certificate_pem), (REGISTRATION_FILE, &registration)];
    for (name, text) in files {
        durable::write(&bundle.join(name), text.as_bytes(), Readers::Everyone).map_err(JoinError::Write)?;
    }
    let installed = identity::install(dir, &bundle).map_err(JoinError::Identity)?;
    // What is left of it after a power cut is overwritten next time.
    let _ = fs::remove_dir_all(&bundle);
    Ok(installed)
}

/// Writes where the center is into the configuration, whose comments stay.
fn configure(dir: &Path, (file, shipped): (&str, &str), address: &str, join_address: &str) -> Result<(), JoinError> {
    let path = dir.join(file);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => shipped.to_owned(),
        Err(error) => return Err(JoinError::Read(error)),
    };
    let mut document: toml_edit::DocumentMut = text.parse().map_err(|_| JoinError::Configuration)?;
    for (table, key, value) in [("center", "address", address), ("device", "join_address", join_address)] {
        let table = document.entry(table).or_insert(toml_edit::table()).as_table_mut().ok_or(JoinError::Configuration)?;
        // In its place, so that what is said above it stays.
        match table.get_mut(key) {
            Some(item) => *item = toml_edit::value(value),
            None => drop(table.insert(key, toml_edit::value(value))),
        }
    }
    durable::write(&path, document.to_string().as_bytes(), Readers::Everyone).map_err(JoinError::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centers_address_is_added_and_comments_stay() {
        let dir = tempfile::tempdir().unwrap();
        configure(dir.path(), (config::FILE, config::SHIPPED), "https://center:7443", "https://center:7445").unwrap();
        let config = config::load(dir.path()).unwrap();
        assert_eq!((config.center.address.as_str(), config.device.join_address.as_str()), ("https://center:7443", "https://center:7445"));
        let text = fs::read_to_string(dir.path().join(config::FILE)).unwrap();
        assert_eq!(text.matches('#').count(), config::SHIPPED.matches('#').count());
        fs::write(dir.path().join(config::FILE), "[camera]\ndevice = 2 # left\n").unwrap();
        configure(dir.path(), (config::FILE, config::SHIPPED), "https://other:1", "https://other:2").unwrap();
        let config = config::load(dir.path()).unwrap();
        assert_eq!((config.camera.device, config.center.address.as_str()), (2, "https://other:1"));
    }

    #[test]
    fn addresses_have_host_and_port() {
        for wrong in ["", "center:7445", "http://center:7445", "https://center", "https://:1"] {
            assert!(matches!(Place::parse(wrong), Err(JoinError::Address)), "{wrong}");
        }
        assert_eq!(
            Place::parse("https://[::1]:7445").map(|place| (place.bare_host().to_owned(), place.port)).ok(),
            Some(("::1".into(), 7445))
        );
    }
}
