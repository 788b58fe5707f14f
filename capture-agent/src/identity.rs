//! Who this device is: its key, its certificate request, and what the center issued for it.
//!
//! The Ed25519 key is made here by [`init`] and never leaves the state folder; it signs envelopes and proves
//! the device in TLS. [`install`] takes the bundle the center gives back and checks that it is for this key.
//! A certificate that ended is still an identity: it signs envelopes, and the next one is asked for with it ([`papers`]).
//! Not here: the center's registry, which alone says what the device may do.

mod bundle;
mod key;
pub mod papers;

use std::path::{Path, PathBuf};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use thiserror::Error;

pub use bundle::{CA_FILE, CERTIFICATE_FILE, REGISTRATION_FILE, Registration, install};
pub use key::{DeviceKey, KEY_FILE};
pub use papers::{Standing, Validity};

use crate::{
    config,
    durable::{self, Readers, WriteError},
    line::client::Credentials,
};

/// Name of the certificate request in the state folder.
pub const REQUEST_FILE: &str = "device.csr";

/// The device's identity is missing or not in order.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The state folder has no key.
    #[error("{}: expected the device's key; make it with `capture-agent init`", .0.display())]
    NotInitialised(PathBuf),
    /// The center has issued nothing yet.
    #[error("{}: expected what the center issued; send it {REQUEST_FILE} and take its answer in with `capture-agent install`, or join with a code: `capture-agent join`", .0.display())]
    NotIssued(PathBuf),
    /// A file cannot be read.
    #[error("{}: could not be read", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: expected {expected}", path.display())]
    Malformed {
        /// Which one.
        path: PathBuf,
        /// What was expected of it.
        expected: String,
    },
    /// The certificate is for another key.
    #[error("{}: expected a certificate for this device's key; it was issued for another request", .0.display())]
    ForeignCertificate(PathBuf),
    /// The certificate does not lead to the center's authority, or not today.
    #[error("{}: expected a valid certificate by the authority in {CA_FILE}: {reason}", path.display())]
    Untrusted {
        /// The certificate.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The state folder belongs to another device.
    #[error(
        "the state folder is device {present}'s: expected a bundle for it, got one for {offered}; use another folder for another device"
    )]
    OtherDevice {
        /// Whose it is.
        present: String,
        /// Whose bundle came.
        offered: String,
    },
    /// A file cannot be written.
    #[error("the state folder cannot be written")]
    Write(#[source] WriteError),
    /// The key or the request could not be made.
    #[error("the device's key could not be made: {0}")]
    Make(String),
}

impl IdentityError {
    fn malformed(path: &Path, expected: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), expected: expected.into() }
    }
}

/// A device that the center knows: everything needed to sign, seal and connect.
#[derive(Debug)]
pub struct Identity {
    /// The device's key.
    pub key: DeviceKey,
    /// What the registry says about it.
    pub registration: Registration,
    /// Its certificate (PEM).
    pub certificate_pem: String,
    /// The center's authority (PEM).
    pub ca_pem: String,
    /// From when to when the certificate holds.
    pub validity: Validity,
    /// SHA-256 of the certificate.
    pub certificate_sha256: [u8; 32],
    /// The state folder it was read from.
    pub dir: PathBuf,
}

impl Identity {
    /// What connections are made with.
    ///
    /// # Errors
    /// When the key cannot be encoded.
    pub fn credentials(&self) -> Result<Credentials, IdentityError> {
        Ok(Credentials { key_pem: self.key.pem()?, certificate_pem: self.certificate_pem.clone(), ca_pem: self.ca_pem.clone() })
    }

    /// Reads and checks the identity in a state folder.
    ///
    /// # Errors
    /// When a file is missing, malformed, or the certificate is not for the key.
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        let key = DeviceKey::read(dir)?;
        if !dir.join(REGISTRATION_FILE).exists() {
            return Err(IdentityError::NotIssued(dir.join(REGISTRATION_FILE)));
        }
        bundle::read(dir, key)
    }

    /// Its certificate in DER form; empty where it is not in order, which [`load`](Self::load) refuses.
    #[must_use]
    pub fn certificate_der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).map(|der| der.to_vec()).unwrap_or_default()
    }
}

/// Makes a state folder: key, certificate request and commented configuration. What is there stays, so that
/// it can be repeated after an interruption; the key above all is never replaced.
///
/// # Errors
/// When the folder cannot be written or its key cannot be read.
pub fn init(dir: &Path) -> Result<(), IdentityError> {
    init_with(dir, (config::FILE, config::SHIPPED))
}

/// As [`init`], with a configuration of another name and content.
///
/// # Errors
/// As [`init`].
pub fn init_with(dir: &Path, (file, shipped): (&str, &str)) -> Result<(), IdentityError> {
    durable::make_folder(dir).map_err(IdentityError::Write)?;
    let key = if dir.join(KEY_FILE).exists() { DeviceKey::read(dir)? } else { DeviceKey::make(dir)? };
    let files = [(REQUEST_FILE, key.request_pem()?), (file, shipped.to_owned())];
    for (name, text) in files {
        let path = dir.join(name);
        if !path.exists() {
            durable::write_new(&path, text.as_bytes(), Readers::Everyone).map_err(IdentityError::Write)?;
        }
    }
    Ok(())
}

fn read_text(path: &Path) -> Result<String, IdentityError> {
    std::fs::read_to_string(path).map_err(|source| IdentityError::Read { path: path.to_owned(), source })
}
