//! The device's Ed25519 key: made, kept and used on this machine only.

use std::{fmt, path::Path};

use ed25519_dalek::{
    SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding},
};
use zeroize::Zeroizing;

use super::{IdentityError, read_text};
use crate::{
    durable::{self, Readers},
    mac,
};

/// Name of the key in the state folder (PKCS #8, PEM, 0600).
pub const KEY_FILE: &str = "device.key";

/// The device's private key.
pub struct DeviceKey(SigningKey);

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey([redacted])")
    }
}

impl DeviceKey {
    /// Makes a key and keeps it in the state folder, which must have none.
    ///
    /// # Errors
    /// When there is one, or no random numbers, or the folder cannot be written.
    pub fn make(dir: &Path) -> Result<Self, IdentityError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *seed).map_err(|error| IdentityError::Make(error.to_string()))?;
        let key = Self(SigningKey::from_bytes(&seed));
        let pem = key.pem()?;
        durable::write_new(&dir.join(KEY_FILE), pem.as_bytes(), Readers::Owner).map_err(IdentityError::Write)?;
        Ok(key)
    }

    /// Reads the key of a state folder.
    ///
    /// # Errors
    /// When there is none or it is malformed.
    pub fn read(dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(KEY_FILE);
        if !path.exists() {
            return Err(IdentityError::NotInitialised(path));
        }
        let pem = Zeroizing::new(read_text(&path)?);
        SigningKey::from_pkcs8_pem(&pem).map(Self).map_err(|_| IdentityError::malformed(&path, "an Ed25519 private key (PKCS #8, PEM)"))
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.0
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> VerifyingKey {
        self.0.verifying_key()
    }

    /// The key as PKCS #8 in PEM.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn pem(&self) -> Result<Zeroizing<String>, IdentityError> {
        self.0.to_pkcs8_pem(LineEnding::LF).map_err(|error| IdentityError::Make(error.to_string()))
    }

    /// A request for a certificate, signed by the key (PKCS #10, PEM). It names no device: the center does.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn request_pem(&self) -> Result<String, IdentityError> {
        let make = || {
            let pair = rcgen::KeyPair::from_pem_and_sign_algo(&self.pem().unwrap_or_default(), &rcgen::PKCS_ED25519)?;
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, "countersign device");
            params.serialize_request(&pair)?.pem()
        };
        make().map_err(|error: rcgen::Error| IdentityError::Make(error.to_string()))
    }

    /// A key for another purpose on this device, from which the device's key cannot be found.
    #[must_use]
    pub fn derived(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(mac::of_fields(self.0.as_bytes(), &[b"countersign agent derived key", purpose.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(DeviceKey::read(dir.path()), Err(IdentityError::NotInitialised(_))));
        let made = DeviceKey::make(dir.path()).unwrap();
        assert_eq!(DeviceKey::read(dir.path()).unwrap().public(), made.public());
        assert!(DeviceKey::make(dir.path()).is_err(), "a key is never replaced");
    }

    #[test]
    fn the_request_is_for_this_key_and_holds_no_private_half() {
        let dir = tempfile::tempdir().unwrap();
        let key = DeviceKey::make(dir.path()).unwrap();
        let request = rcgen::CertificateSigningRequestParams::from_pem(&key.request_pem().unwrap()).unwrap();
        assert_eq!(rcgen::PublicKeyData::der_bytes(&request.public_key), key.public().as_bytes());
    }

    #[test]
    fn debug_shows_no_key() {
        let key = DeviceKey(SigningKey::from_bytes(&[7; 32]));
        assert_eq!(format!("{key:?}"), "DeviceKey([redacted])");
    }

    #[test]
    fn derived_keys_differ_by_purpose() {
        let key = DeviceKey(SigningKey::from_bytes(&[7; 32]));
        assert_ne!(*key.derived("a"), *key.derived("b"));
        assert_eq!(*key.derived("a"), *key.derived("a"));
    }
}
