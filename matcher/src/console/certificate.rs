//! The console's certificate: one of the settings, or one that the center makes.
//!
//! The center's authority and all it certifies are Ed25519, which browsers do not take. So the console has a small authority
//! of its own with P-256, whose certificate staff's browsers are to trust, and which certifies nothing else.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use thiserror::Error;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{config::ConsoleConfig, data_dir::DataDir, durable, store::TimeMs};

const AUTHORITY_DAYS: i64 = 10 * 365;
const CERTIFICATE_DAYS: i64 = 397;
/// A certificate with fewer days left is made again when the server starts.
const RENEW_DAYS: i64 = 60;
const DAY_MS: i64 = 86_400_000;

/// A certificate that cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error("could not read or write {}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be made.
    #[error("the console's certificate could not be made")]
    Make(#[source] rcgen::Error),
    /// A file holds no certificate or key.
    #[error("{}: expected a certificate or a key in PEM", .0.display())]
    Pem(PathBuf),
    /// Certificate and key do not fit together.
    #[error("the console's certificate and key do not fit together")]
    Tls(#[source] rustls::Error),
}

/// The certificate that the settings name, or the center's own, made or renewed where that is due.
///
/// # Errors
/// When it cannot be read, made or used.
pub fn load(dir: &DataDir, config: &ConsoleConfig, now: TimeMs) -> Result<Arc<ServerConfig>, CertificateError> {
    let (certificate, key) = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => own(dir, &config.names, now)?,
    };
    let pem = |path: &PathBuf| std::fs::read(path).map_err(|source| CertificateError::File { path: path.clone(), source });
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(&certificate)?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| CertificateError::Pem(certificate.clone()))?;
    let private = PrivateKeyDer::from_pem_slice(&pem(&key)?).map_err(|_| CertificateError::Pem(key.clone()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(CertificateError::Tls)?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, private).map_err(CertificateError::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn own(dir: &DataDir, names: &[String], now: TimeMs) -> Result<(PathBuf, PathBuf), CertificateError> {
    let (certificate, key) = (dir.console_certificate(), dir.console_key());
    if !still_good(&certificate, names, now) {
        let folder = dir.path().join("console");
        std::fs::create_dir_all(&folder).map_err(|source| CertificateError::File { path: folder, source })?;
        let issuer = authority(dir, now)?;
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(CertificateError::Make)?;
        let mut params = params("Countersign review console", now, CERTIFICATE_DAYS);
        params.subject_alt_names = CertificateParams::new(names).map_err(CertificateError::Make)?.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let made = params.signed_by(&pair, &issuer).map_err(CertificateError::Make)?;
        write(&key, &pair.serialize_pem())?;
        write(&certificate, &made.pem())?;
    }
    Ok((certificate, key))
}

/// The console's authority, made the first time.
fn authority(dir: &DataDir, now: TimeMs) -> Result<Issuer<'static, KeyPair>, CertificateError> {
    let (certificate, key) = (dir.console_authority_certificate(), dir.console_authority_key());
    if !certificate.exists() {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(CertificateError::Make)?;
        let mut params = params("Countersign review console authority", now, AUTHORITY_DAYS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let made = params.self_signed(&pair).map_err(CertificateError::Make)?;
        write(&key, &pair.serialize_pem())?;
        write(&certificate, &made.pem())?;
    }
    let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(|source| CertificateError::File { path: path.clone(), source });
    let pair = KeyPair::from_pem(&read(&key)?).map_err(CertificateError::Make)?;
    Issuer::from_ca_cert_pem(&read(&certificate)?, pair).map_err(CertificateError::Make)
}

fn params(name: &str, now: TimeMs, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let at = |ms: TimeMs| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(ms / 1000).unwrap_or_default());
    params.not_before = at(now - DAY_MS);
    params.not_after = at(now + days * DAY_MS);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params
}

fn write(path: &Path, text: &str) -> Result<(), CertificateError> {
    durable::write(path, text.as_bytes()).map_err(|source| CertificateError::File { path: path.to_owned(), source })
}

/// Whether a certificate is for these names, and for a while yet.
fn still_good(path: &Path, names: &[String], now: TimeMs) -> bool {
    let Ok(der) = CertificateDer::from_pem_file(path) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return false };
    let names_of = certificate.subject_alternative_name().ok().flatten();
    let of: Vec<String> = names_of.map(|of| of.value.general_names.iter().filter_map(name).collect()).unwrap_or_default();
    let ends = certificate.validity().not_after.timestamp().saturating_mul(1000);
    of.len() == names.len() && names.iter().all(|name| of.contains(name)) && ends - now > RENEW_DAYS * DAY_MS
}

fn name(name: &GeneralName<'_>) -> Option<String> {
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
    use super::*;

    const NOW: TimeMs = 1_800_000_000_000;

    #[test]
    fn a_certificate_is_kept_until_names_change_or_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::new(folder.path());
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let made = |names: &[String], now| {
            let (certificate, _) = own(&dir, names, now).unwrap();
            std::fs::read_to_string(certificate).unwrap()
        };
        let first = made(&names(&["localhost", "127.0.0.1", "::1"]), NOW);
        let authority = std::fs::read_to_string(dir.console_authority_certificate()).unwrap();
        assert_eq!(made(&names(&["::1", "localhost", "127.0.0.1"]), NOW + 300 * DAY_MS), first);
        let second = made(&names(&["::1", "localhost", "127.0.0.1"]), NOW + 350 * DAY_MS);
        assert_ne!(second, first);
        assert_ne!(made(&names(&["console.center.example"]), NOW + 350 * DAY_MS), second);
        assert_eq!(std::fs::read_to_string(dir.console_authority_certificate()).unwrap(), authority, "browsers trust it still");
    }
}
