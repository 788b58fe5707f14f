//! What the center issues for a device: a folder with `device.toml`, `device.crt` and `ca.crt`.

use std::{path::Path, sync::Arc, time::Duration};

use ed25519_dalek::VerifyingKey;
use proto::envelope::OpeningPublicKey;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::{ParsedCertificate, WebPkiClientVerifier},
};
use serde::Deserialize;

use super::{DeviceKey, Identity, IdentityError, Validity, papers, read_text};
use crate::{
    clock::Clock,
    durable::{self, Readers},
};

/// What the registry has for the device.
pub const REGISTRATION_FILE: &str = "device.toml";
/// The device's certificate.
pub const CERTIFICATE_FILE: &str = "device.crt";
/// The center's certificate authority.
pub const CA_FILE: &str = "ca.crt";

/// What the center's registry has for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The device's identifier, 1–64 of `A–Z a–z 0–9 . _ -`.
    pub device: String,
    /// The institution it stands in.
    pub institution: String,
    /// The counter it stands on.
    pub counter: String,
    /// The key envelopes are sealed to, until the center says another.
    pub opening_key: OpeningPublicKey,
    /// The key the center signs policies with; without it this device takes none.
    pub policy_key: Option<VerifyingKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrationFile {
    device: String,
    institution: String,
    counter: String,
    opening_key: String,
    policy_key: Option<String>,
}

impl Registration {
    fn parse(path: &Path, text: &str) -> Result<Self, IdentityError> {
        let malformed = |expected: &str| IdentityError::malformed(path, expected);
        let file: RegistrationFile =
            toml::from_str(text).map_err(|error| malformed(&format!("the center's registration: {}", error.message())))?;
        let name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !(1..=64).contains(&file.device.len()) || !file.device.chars().all(name_char) {
            return Err(malformed("device: 1 to 64 of A–Z a–z 0–9 . _ -"));
        }
        let opening_key = from_hex(&file.opening_key)
            .and_then(|bytes| OpeningPublicKey::from_bytes(&bytes).ok())
            .ok_or_else(|| malformed("opening_key: 64 hexadecimal digits of an X25519 public key"))?;
        let policy_key = file.policy_key.as_deref().map(|hex| {
            let bytes = from_hex(hex).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
            key.ok_or_else(|| malformed("policy_key: 64 hexadecimal digits of an Ed25519 public key"))
        });
        let policy_key = policy_key.transpose()?;
        Ok(Self { device: file.device, institution: file.institution, counter: file.counter, opening_key, policy_key })
    }
}

/// Takes a bundle of the center into the state folder, after checking that it is for this device's key. A
/// renewed certificate or opening key comes the same way.
///
/// # Errors
/// When the bundle is incomplete, malformed, for another key or another device.
pub fn install(dir: &Path, bundle: &Path) -> Result<Registration, IdentityError> {
    let offered = read(bundle, DeviceKey::read(dir)?)?;
    if offered.validity.until_ms < Clock::start().date_ms() {
        let (path, reason) = (bundle.join(CERTIFICATE_FILE), "it has expired".to_owned());
        return Err(IdentityError::Untrusted { path, reason });
    }
    let present = dir.join(REGISTRATION_FILE);
    if present.exists() {
        let present = Registration::parse(&present, &read_text(&present)?)?;
        if present.device != offered.registration.device {
            return Err(IdentityError::OtherDevice { present: present.device, offered: offered.registration.device });
        }
    }
    // The registration comes last: a folder that has it has everything.
    for name in [CA_FILE, CERTIFICATE_FILE, REGISTRATION_FILE] {
        let text = read_text(&bundle.join(name))?;
        durable::write(&dir.join(name), text.as_bytes(), Readers::Everyone).map_err(IdentityError::Write)?;
    }
    Ok(offered.registration)
}

/// Reads a bundle and checks it against the device's key.
pub(super) fn read(folder: &Path, key: DeviceKey) -> Result<Identity, IdentityError> {
    let [registration, certificate, ca] = [REGISTRATION_FILE, CERTIFICATE_FILE, CA_FILE].map(|name| folder.join(name));
    let registration = Registration::parse(&registration, &read_text(&registration)?)?;
    let (certificate_pem, ca_pem) = (read_text(&certificate)?, read_text(&ca)?);
    let (validity, certificate_sha256) = check(&key, (&certificate, &certificate_pem), (&ca, &ca_pem))?;
    Ok(Identity { key, registration, certificate_pem, ca_pem, validity, certificate_sha256, dir: folder.to_owned() })
}

/// Checks that a certificate is for a key and by one of the authorities, at whatever time it holds.
pub(super) fn check(
    key: &DeviceKey,
    (certificate, certificate_pem): (&Path, &str),
    (ca, ca_pem): (&Path, &str),
) -> Result<(Validity, [u8; 32]), IdentityError> {
    let malformed = || IdentityError::malformed(certificate, "a certificate (PEM)");
    let der = one_certificate(certificate, certificate_pem)?;
    let parsed = ParsedCertificate::try_from(&der).map_err(|_| malformed())?;
    // The subject's key information of an Ed25519 certificate ends with the 32 bytes of the key.
    if !parsed.subject_public_key_info().ends_with(key.public().as_bytes()) {
        return Err(IdentityError::ForeignCertificate(certificate.to_owned()));
    }
    let validity = Validity::of(&der).ok_or_else(malformed)?;
    check_trust(certificate, &der, certificates(ca, ca_pem)?, &validity)?;
    Ok((validity, papers::sha256(&der)))
}

fn one_certificate(path: &Path, pem: &str) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| IdentityError::malformed(path, "a certificate (PEM)"))
}

/// The center's authorities: two, while it rolls one over.
fn certificates(path: &Path, pem: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| IdentityError::malformed(path, "certificates (PEM)"))
}

fn check_trust(
    path: &Path,
    certificate: &CertificateDer<'_>,
    authorities: Vec<CertificateDer<'static>>,
    validity: &Validity,
) -> Result<(), IdentityError> {
    let untrusted = |reason: String| IdentityError::Untrusted { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|error| untrusted(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|error| untrusted(error.to_string()))?;
    // Whether it holds now is a state that passes, not a fault of the bundle.
    let when = UnixTime::since_unix_epoch(Duration::from_secs(validity.nearest_s(Clock::start().date_ms())));
    verifier.verify_client_cert(certificate, &[], when).map_err(|error| untrusted(error.to_string()))?;
    Ok(())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok())).collect()
}

#[cfg(test)]
mod tests;
