//! Who is at the other end of a counter's connection: what its certificate says.
//!
//! TLS has checked the certificate against the center's authority before anything is read from it here. It names the device
//! and holds its key, which is the key that signs the device's envelopes.

use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

const DEVICE_URI: &str = "urn:countersign:device:";

/// A counter by its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The device's identifier.
    pub device: String,
    /// The device's key.
    pub key: VerifyingKey,
    /// SHA-256 of the certificate.
    pub certificate_sha256: [u8; 32],
}

impl Peer {
    /// Reads a certificate (DER); nothing when it is no device's.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let device = names
            .value
            .general_names
            .iter()
            .find_map(|name| if let GeneralName::URI(uri) = name { uri.strip_prefix(DEVICE_URI) } else { None })?;
        let name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !(1..=64).contains(&device.len()) || !device.chars().all(name_char) {
            return None;
        }
        let key = <[u8; 32]>::try_from(&*certificate.public_key().subject_public_key.data).ok()?;
        let key = VerifyingKey::from_bytes(&key).ok()?;
        Some(Self { device: device.to_owned(), key, certificate_sha256: Sha256::digest(der).into() })
    }
}

/// Whether a certificate (DER) may be shown by a server: a relay's may, a counter's may not.
#[must_use]
pub fn may_serve(der: &[u8]) -> bool {
    let Ok((_, certificate)) = parse_x509_certificate(der) else { return false };
    matches!(certificate.extended_key_usage(), Ok(Some(usage)) if usage.value.server_auth)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, PKCS_ED25519, SanType};

    use super::*;

    fn certificate(uri: &str, usage: ExtendedKeyUsagePurpose) -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![usage];
        (params.self_signed(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn device_and_key_are_those_of_the_certificate() {
        let (der, key) = certificate("urn:countersign:device:till-1", ExtendedKeyUsagePurpose::ClientAuth);
        let peer = Peer::of(&der).unwrap();
        assert_eq!((peer.device.as_str(), &peer.key.as_bytes()[..]), ("till-1", key.public_key_raw()));
        assert!(!may_serve(&der));
        assert!(may_serve(&certificate("urn:countersign:device:r", ExtendedKeyUsagePurpose::ServerAuth).0));
    }

    #[test]
    fn what_is_no_devices_certificate_is_nobody() {
        for uri in ["urn:countersign:device:", "urn:countersign:device:a b", "urn:other:till-1"] {
            assert_eq!(Peer::of(&certificate(uri, ExtendedKeyUsagePurpose::ClientAuth).0), None, "{uri}");
        }
        assert_eq!(Peer::of(b"certificate"), None);
    }
}
