//! Certificates: the center's own authority, its server, and the devices it lets in.
//!
//! Everything is Ed25519. The authority signs two kinds of certificate: one for the server, with the names
//! counters connect to, and one for each device, which may only act as a client; a relay's may also act as a server of the
//! one name in the registry. A device's private key is
//! made on the device; only its certificate request comes here. Not here: which devices are let in (the
//! registry in the store decides on every call), and when the server's certificate is renewed (`crate::keyring`).

use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, SanType, SerialNumber,
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{store::TimeMs, surroundings::os_random};

/// How long the authority's certificate holds, in days.
pub const AUTHORITY_DAYS: u32 = 20 * 365;
/// How long the server's certificate holds, in days.
pub const SERVER_DAYS: u32 = 5 * 365;

const DAY_MS: TimeMs = 24 * 60 * 60 * 1000;
/// Certificates hold from a little before they are made: clocks at counters are not exact.
const BACKDATE_MS: TimeMs = 60 * 60 * 1000;

/// A certificate that cannot be made.
#[derive(Debug, Error)]
pub enum PkiError {
    /// The request is no certificate request, or its signature is not by the key it asks for.
    #[error("csr: expected a PEM certificate request signed with its own key and without unusual extensions")]
    Request(#[source] rcgen::Error),
    /// The key is of another kind.
    #[error("csr: expected an Ed25519 key")]
    RequestKey,
    /// A name of the server is neither a host name nor an address.
    #[error("server-name: expected host names and addresses")]
    ServerName(#[source] rcgen::Error),
    /// The name of a relay is neither a host name nor an address.
    #[error("counter: expected, for a relay, the host name or IPv4 address under which counters reach it")]
    RelayName(#[source] rcgen::Error),
    /// The authority's files are not in order.
    #[error("the authority's certificate or key is not in order")]
    Authority(#[source] rcgen::Error),
    /// The certificate could not be signed.
    #[error("the certificate could not be signed")]
    Sign(#[source] rcgen::Error),
}

/// A certificate for a device, and what the registry keeps of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// The certificate in PEM.
    pub pem: String,
    /// SHA-256 of its DER form.
    pub sha256: [u8; 32],
    /// The device's public key.
    pub public_key: [u8; 32],
    /// When it ends.
    pub expires_at: TimeMs,
}

/// The center's certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority([redacted])")
    }
}

/// A new Ed25519 private key in PEM, for an authority or a server.
///
/// # Errors
/// When the key cannot be made.
pub fn new_key() -> Result<Zeroizing<String>, PkiError> {
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(PkiError::Sign)?;
    Ok(Zeroizing::new(key.serialize_pem()))
}

impl Authority {
    /// Makes the authority's certificate for its key.
    ///
    /// # Errors
    /// When the key is not in order.
    pub fn new_certificate(key_pem: &str, now: TimeMs) -> Result<String, PkiError> {
        let key = KeyPair::from_pem(key_pem).map_err(PkiError::Authority)?;
        let mut params = params("Countersign center", now, now + days(AUTHORITY_DAYS));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params.self_signed(&key).map_err(PkiError::Sign)?.pem())
    }

    /// Takes an authority from its certificate and key.
    ///
    /// # Errors
    /// When they are not in order.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(key_pem).map_err(PkiError::Authority)?;
        Ok(Self { issuer: Issuer::from_ca_cert_pem(certificate_pem, key).map_err(PkiError::Authority)? })
    }

    /// Makes a server's certificate for its key and the names it is reached under.
    ///
    /// # Errors
    /// When a name is none, or the key is not in order.
    pub fn server_certificate(&self, key_pem: &str, names: &[String], now: TimeMs) -> Result<String, PkiError> {
        let key = KeyPair::from_pem(key_pem).map_err(PkiError::Authority)?;
        let mut params = params("Countersign matcher", now, now + days(SERVER_DAYS));
        params.subject_alt_names = CertificateParams::new(names).map_err(PkiError::ServerName)?.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Ok(params.signed_by(&key, &self.issuer).map_err(PkiError::Sign)?.pem())
    }

    /// Signs a device's certificate request. Only the key is taken from it: names and uses are the center's.
    ///
    /// # Errors
    /// When the request is not in order, not signed by its own key, or for another kind of key.
    pub fn device_certificate(&self, csr_pem: &str, device: &str, now: TimeMs, valid_days: u32) -> Result<DeviceCertificate, PkiError> {
        self.sign_request(csr_pem, (device, None), now, valid_days)
    }

    /// Signs a relay's certificate request: with it the relay acts as a client towards the center, and as a server of this
    /// name or address towards counters.
    ///
    /// # Errors
    /// As [`device_certificate`](Self::device_certificate), and when the name is neither a host name nor an address.
    pub fn relay_certificate(
        &self,
        csr_pem: &str,
        (device, server_name): (&str, &str),
        now: TimeMs,
        valid_days: u32,
    ) -> Result<DeviceCertificate, PkiError> {
        self.sign_request(csr_pem, (device, Some(server_name)), now, valid_days)
    }

    fn sign_request(
        &self,
        csr_pem: &str,
        (device, server_name): (&str, Option<&str>),
        now: TimeMs,
        valid_days: u32,
    ) -> Result<DeviceCertificate, PkiError> {
        let request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(PkiError::Request)?;
        if request.public_key.algorithm() != &PKCS_ED25519 {
            return Err(PkiError::RequestKey);
        }
        let public_key = <[u8; 32]>::try_from(rcgen::PublicKeyData::der_bytes(&request.public_key)).map_err(|_| PkiError::RequestKey)?;
        // Certificates count in whole seconds.
        let expires_at = (now + days(valid_days)) / 1000 * 1000;
        let mut params = params(device, now, expires_at);
        let uri = format!("urn:countersign:device:{device}").try_into().map_err(PkiError::Sign)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if let Some(name) = server_name {
            let names = CertificateParams::new([name.to_owned()]).map_err(PkiError::RelayName)?.subject_alt_names;
            params.subject_alt_names.extend(names);
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let certificate: Certificate =
            CertificateSigningRequestParams { params, public_key: request.public_key }.signed_by(&self.issuer).map_err(PkiError::Sign)?;
        Ok(DeviceCertificate { pem: certificate.pem(), sha256: certificate_sha256(certificate.der()), public_key, expires_at })
    }
}

/// SHA-256 of a certificate's DER form: what a device is recognised by.
#[must_use]
pub fn certificate_sha256(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

fn params(common_name: &str, now: TimeMs, until: TimeMs) -> CertificateParams {
    let mut params = CertificateParams::default();
    let at = |ms: TimeMs| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(ms / 1000).unwrap_or_default());
    params.not_before = at(now - BACKDATE_MS);
    params.not_after = at(until);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let mut serial: [u8; 16] = os_random();
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.use_authority_key_identifier_extension = true;
    params
}

fn days(n: u32) -> TimeMs {
    TimeMs::from(n) * DAY_MS
}

#[cfg(test)]
mod tests {
    use rcgen::PKCS_ECDSA_P256_SHA256;

    use super::*;

    const NOW: TimeMs = 1_800_000_000_000;

    fn authority() -> Authority {
        let key = new_key().unwrap();
        Authority::load(&Authority::new_certificate(&key, NOW).unwrap(), &key).unwrap()
    }

    fn csr(key: &KeyPair) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "a name the device would like");
        params.serialize_request(key).unwrap().pem().unwrap()
    }

    #[test]
    fn only_the_key_is_taken_from_a_request() {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let issued = authority().device_certificate(&csr(&key), "till-1", NOW, 30).unwrap();
        assert_eq!(issued.public_key[..], *key.public_key_raw());
        assert_eq!(issued.expires_at, NOW + 30 * DAY_MS);
        assert!(issued.pem.starts_with("-----BEGIN CERTIFICATE-----"));
    }

    #[track_caller]
    fn check_refused(csr: &str, expected: &str) {
        let error = authority().device_certificate(csr, "till-1", NOW, 30).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn requests_that_are_not_in_order_are_refused() {
        check_refused("", "csr: expected a PEM certificate request");
        check_refused(&csr(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()), "csr: expected an Ed25519 key");
    }

    #[test]
    fn a_request_whose_signature_does_not_hold_is_refused() {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let pem = csr(&key);
        // The last characters before the padding belong to the signature.
        let at = pem.rfind("\n-----END").unwrap() - 8;
        let mut spoilt = pem.into_bytes();
        spoilt[at] = if spoilt[at] == b'A' { b'B' } else { b'A' };
        check_refused(&String::from_utf8(spoilt).unwrap(), "signed with its own key");
    }

    #[test]
    fn names_of_the_server_are_host_names_and_addresses() {
        let (authority, key) = (authority(), new_key().unwrap());
        authority.server_certificate(&key, &["localhost".into(), "127.0.0.1".into()], NOW).unwrap();
        let error = authority.server_certificate(&key, &["höst".into()], NOW).unwrap_err();
        assert!(error.to_string().starts_with("server-name: expected"), "{error}");
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", authority()), "Authority([redacted])");
    }
}
