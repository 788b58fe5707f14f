//! The certificate of the page, where it is HTTPS: made by the relay for itself, with a P-256 key, and trusted by whoever
//! takes up `page.crt`.
//!
//! The certificate with which the relay serves counters is Ed25519, which browsers do not take; and whoever reads a page need
//! not trust the center's authority.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use thiserror::Error;
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use crate::durable::{self, Readers, WriteError};

/// Name of the page's certificate in the state folder, for those who are to trust it (PEM).
pub const CERTIFICATE_FILE: &str = "page.crt";
/// Name of its key (PKCS #8, PEM, 0600).
pub const KEY_FILE: &str = "page.key";

/// The longest that any maker's browsers take from whoever trusts it is 825 (Apple's rule for TLS servers, HT210176).
const DAYS: i64 = 820;
/// One with fewer days left is made again when the relay starts.
const RENEW_DAYS: i64 = 60;
/// Names of one certificate.
const NAMES_MAX: usize = 16;
const DAY_MS: i64 = 86_400_000;

/// The page has no certificate.
#[derive(Debug, Error)]
pub enum PageCertificateError {
    /// It cannot be made.
    #[error("the page's certificate could not be made")]
    Make(#[source] rcgen::Error),
    /// It cannot be kept.
    #[error(transparent)]
    Write(WriteError),
    /// A file cannot be read.
    #[error("{file}: could not be read")]
    Read {
        /// Which one.
        file: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{0}: expected PEM; remove {CERTIFICATE_FILE} and {KEY_FILE}, and they are made anew")]
    Pem(&'static str),
    /// Key and certificate are not each other's.
    #[error("{CERTIFICATE_FILE}: expected a certificate of {KEY_FILE}; remove both, and they are made anew")]
    Tls(#[source] rustls::Error),
}

/// Checks the names of a configuration.
///
/// # Errors
/// What is expected of them.
pub fn check(names: &[String]) -> Result<(), String> {
    let expected = || format!("at most {NAMES_MAX} host names and addresses, in ASCII");
    (names.len() <= NAMES_MAX && CertificateParams::new(names).is_ok()).then_some(()).ok_or_else(expected)
}

/// TLS of the page, with the certificate of the state folder; made where there is none for these names and the address, or
/// it ends soon.
///
/// # Errors
/// When it cannot be made, kept or used.
pub fn tls(dir: &Path, names: &[String], listen: SocketAddr, now_ms: i64) -> Result<Arc<ServerConfig>, PageCertificateError> {
    let mut names = names.to_vec();
    if !listen.ip().is_unspecified() && !names.contains(&listen.ip().to_string()) {
        names.push(listen.ip().to_string());
    }
    if !still_good(&dir.join(CERTIFICATE_FILE), &names, now_ms) {
        make(dir, &names, now_ms)?;
    }
    let read = |file| fs::read(dir.join(file)).map_err(|source| PageCertificateError::Read { file, source });
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(CERTIFICATE_FILE)?).collect();
    let chain = chain.map_err(|_| PageCertificateError::Pem(CERTIFICATE_FILE))?;
    let key = PrivateKeyDer::from_pem_slice(&read(KEY_FILE)?).map_err(|_| PageCertificateError::Pem(KEY_FILE))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(PageCertificateError::Tls)?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(PageCertificateError::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn make(dir: &Path, names: &[String], now_ms: i64) -> Result<(), PageCertificateError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PageCertificateError::Make)?;
    let mut params = CertificateParams::new(names).map_err(PageCertificateError::Make)?;
    let at = |ms: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    (params.not_before, params.not_after) = (at(now_ms - DAY_MS), at(now_ms + DAYS * DAY_MS));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Countersign relay page");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let made = params.self_signed(&key).map_err(PageCertificateError::Make)?;
    durable::write(&dir.join(KEY_FILE), key.serialize_pem().as_bytes(), Readers::Owner).map_err(PageCertificateError::Write)?;
    durable::write(&dir.join(CERTIFICATE_FILE), made.pem().as_bytes(), Readers::Everyone).map_err(PageCertificateError::Write)
}

/// Whether a certificate is for just these names, and for a while yet.
fn still_good(path: &Path, names: &[String], now_ms: i64) -> bool {
    let Ok(der) = CertificateDer::from_pem_file(path) else { return false };
    let Ok((_, certificate)) = parse_x509_certificate(&der) else { return false };
    let of = certificate.subject_alternative_name().ok().flatten();
    let of: Vec<String> = of.map(|of| of.value.general_names.iter().filter_map(text).collect()).unwrap_or_default();
    let ends_ms = certificate.validity().not_after.timestamp().saturating_mul(1000);
    of.len() == names.len() && names.iter().all(|name| of.contains(name)) && ends_ms.saturating_sub(now_ms) > RENEW_DAYS * DAY_MS
}

fn text(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some((*name).to_owned());
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    match <[u8; 4]>::try_from(*bytes) {
        Ok(v4) => Some(std::net::Ipv4Addr::from(v4).to_string()),
        Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    /// One who trusts `page.crt` and asks for this name.
    fn shakes_hands(dir: &Path, server: Arc<ServerConfig>, name: &str) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(dir.join(CERTIFICATE_FILE)).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        let mut client = ClientConnection::new(config, name.to_owned().try_into().unwrap()).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            let mut bytes = &bytes[..];
            while !bytes.is_empty() {
                server.read_tls(&mut bytes).unwrap();
                server.process_new_packets()?;
            }
            let mut bytes = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut bytes).unwrap();
            }
            let mut bytes = &bytes[..];
            while !bytes.is_empty() {
                client.read_tls(&mut bytes).unwrap();
                client.process_new_packets()?;
            }
        }
        Ok(())
    }

    #[test]
    fn who_trusts_the_file_is_at_the_relay_under_its_names_alone() {
        let folder = tempfile::tempdir().unwrap();
        let now_ms = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
        let server = tls(folder.path(), &["relay.example".into()], "10.0.0.7:7480".parse().unwrap(), now_ms).unwrap();
        for name in ["relay.example", "10.0.0.7"] {
            shakes_hands(folder.path(), Arc::clone(&server), name).unwrap();
        }
        assert!(shakes_hands(folder.path(), server, "other.example").is_err());
    }

    #[test]
    fn it_is_kept_until_names_change_or_it_ends_and_what_is_damaged_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let made = |names: &[&str], listen: &str, now_ms| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            tls(dir, &names, listen.parse().unwrap(), now_ms).map(|_| fs::read_to_string(dir.join(CERTIFICATE_FILE)).unwrap())
        };
        let first = made(&["localhost"], "10.0.0.7:7480", NOW_MS).unwrap();
        assert_eq!(made(&["10.0.0.7", "localhost"], "10.0.0.7:0", NOW_MS + 700 * DAY_MS).unwrap(), first);
        let later = made(&["localhost"], "10.0.0.7:7480", NOW_MS + 770 * DAY_MS).unwrap();
        assert_ne!(later, first);
        assert_ne!(made(&["relay.example"], "[::]:7480", NOW_MS + 770 * DAY_MS).unwrap(), later);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.join(KEY_FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(dir.join(KEY_FILE), "no key").unwrap();
        assert!(matches!(made(&["relay.example"], "[::]:7480", NOW_MS + 770 * DAY_MS), Err(PageCertificateError::Pem(KEY_FILE))));
    }
}
