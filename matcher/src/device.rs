//! `matcher device`: the registry of devices, and the bundle each one is sent home with.
//!
//! A device makes its key and a certificate request; here the request is signed, the device entered in the
//! registry, and a bundle written that holds all it needs to find and trust the center. The private key
//! never comes here. [`invite`] makes a code instead, with which a device does the same over the network.

pub mod health;
mod invite;

use std::{io, path::PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use thiserror::Error;

use crate::{
    data_dir::DataDir,
    durable,
    keys::{KeyError, OpeningKeys, hex},
    pki::{Authority, DeviceCertificate, PkiError},
    policy::PolicyKey,
    store::{Device, DeviceRole, Store, StoreError, TimeMs},
};

pub use invite::{InviteArgs, Invited, invite};

/// Arguments of `matcher device issue`.
#[derive(Debug, Clone, Args)]
pub struct IssueArgs {
    /// The device's certificate request, PEM, made by the agent
    #[arg(long, value_name = "FILE")]
    pub csr: PathBuf,
    /// Institution the device stands in, 1 to 64 of A-Z a-z 0-9 . _ -
    #[arg(long, value_name = "ID", value_parser = name)]
    pub institution: String,
    /// Counter the device stands at, 1 to 64 of A-Z a-z 0-9 . _ -
    #[arg(long, value_name = "ID", value_parser = name)]
    pub counter: String,
    /// What the device may do
    #[arg(long, value_enum, default_value_t = Role::Counter)]
    pub role: Role,
    /// Name of the device; without it, institution and counter joined by a hyphen
    #[arg(long, value_name = "ID", value_parser = name)]
    pub id: Option<String>,
    /// Let this device take the place of one of the same name with another key, or of a revoked one
    #[arg(long)]
    pub replace: bool,
    /// Folder to write the bundle into
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}

/// What a device may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Verify at a counter
    Counter,
    /// Enrol people
    Enrolment,
    /// Carry the calls of its institution's counters; --counter is the host name or IPv4 address they reach it under
    Relay,
}

impl From<Role> for DeviceRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Counter => Self::Counter,
            Role::Enrolment => Self::Enrolment,
            Role::Relay => Self::Relay,
        }
    }
}

impl From<DeviceRole> for Role {
    fn from(role: DeviceRole) -> Self {
        match role {
            DeviceRole::Counter => Self::Counter,
            DeviceRole::Enrolment => Self::Enrolment,
            DeviceRole::Relay => Self::Relay,
        }
    }
}

/// A command about devices that failed.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// A file cannot be read.
    #[error("could not read {}", .path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bundle cannot be written.
    #[error("could not write {}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name made of institution and counter is too long.
    #[error("id: expected 1 to 64 of A-Z a-z 0-9 . _ -; institution and counter together are too long, give --id")]
    Name,
    /// Another device has the name.
    #[error("device {0} exists with another key or is revoked; give another --id, or --replace to put this device in its place")]
    Exists(String),
    /// There is no such device.
    #[error("there is no device {0}")]
    Unknown(String),
    /// The authority's certificate is none.
    #[error("the authority's certificate is not in order")]
    Authority,
    /// The certificate cannot be made.
    #[error(transparent)]
    Pki(PkiError),
    /// The opening keys cannot be read.
    #[error(transparent)]
    Key(KeyError),
    /// The store failed.
    #[error("the registry could not be read or written")]
    Store(#[source] StoreError),
}

/// What the agent reads first.
#[derive(Debug, Serialize)]
struct Bundle<'a> {
    device: &'a str,
    institution: &'a str,
    counter: &'a str,
    opening_key: String,
    policy_key: String,
}

/// Signs a device's request, enters it in the registry and writes its bundle: `device.toml`, `device.crt`
/// and `ca.crt`. The same device may come again for a new certificate; the old one then opens nothing.
///
/// # Errors
/// When the request is not in order, the name is another device's, or something cannot be read or written.
pub async fn issue(dir: &DataDir, store: &dyn Store, args: &IssueArgs, valid_days: u32, now: TimeMs) -> Result<Device, DeviceError> {
    let id = match &args.id {
        Some(id) => id.clone(),
        None => name(&format!("{}-{}", args.institution, args.counter)).map_err(|_| DeviceError::Name)?,
    };
    let ca = read(dir.authority_certificate())?;
    let authority = Authority::load(&ca, &read(dir.authority_key())?).map_err(DeviceError::Pki)?;
    let trusted = Trusted {
        opening: OpeningKeys::load(&dir.opening_keys()).map_err(DeviceError::Key)?,
        policy: PolicyKey::load(&dir.policy_key()).map_err(DeviceError::Key)?,
    };
    let csr = read(args.csr.clone())?;
    let certificate = match args.role {
        Role::Counter | Role::Enrolment => authority.device_certificate(&csr, &id, now, valid_days),
        Role::Relay => authority.relay_certificate(&csr, (&id, &args.counter), now, valid_days),
    };
    let certificate = certificate.map_err(DeviceError::Pki)?;
    let earlier = store.device(&id).await.map_err(DeviceError::Store)?;
    let same = |earlier: &Device| earlier.public_key == certificate.public_key && earlier.revoked_at.is_none();
    if !args.replace && earlier.as_ref().is_some_and(|earlier| !same(earlier)) {
        return Err(DeviceError::Exists(id));
    }
    let device = registered(id, args, &certificate, now);
    store.put_device(device.clone()).await.map_err(DeviceError::Store)?;
    write_bundle(args, &device, &certificate.pem, &ca, &trusted)?;
    Ok(device)
}

/// Puts a device out. Its next call is refused, whatever its certificate says.
///
/// # Errors
/// When there is no such device, or the store fails.
pub async fn revoke(store: &dyn Store, id: &str, now: TimeMs) -> Result<(), DeviceError> {
    let found = store.revoke_device(id, now).await.map_err(DeviceError::Store)?;
    if found { Ok(()) } else { Err(DeviceError::Unknown(id.to_owned())) }
}

/// The word of a role.
fn role_word(role: Role) -> String {
    role.to_possible_value().map(|role| role.get_name().to_owned()).unwrap_or_default()
}

fn registered(id: String, args: &IssueArgs, certificate: &DeviceCertificate, now: TimeMs) -> Device {
    Device {
        id,
        institution: args.institution.clone(),
        counter: args.counter.clone(),
        role: args.role.into(),
        public_key: certificate.public_key,
        certificate_sha256: certificate.sha256,
        certificate_expires_at: certificate.expires_at,
        issued_at: now,
        revoked_at: None,
    }
}

/// What a device trusts beside the authority.
struct Trusted {
    opening: OpeningKeys,
    policy: PolicyKey,
}

fn write_bundle(args: &IssueArgs, device: &Device, certificate: &str, ca: &str, trusted: &Trusted) -> Result<(), DeviceError> {
    let opening_key = hex(trusted.opening.current().public().as_bytes());
    let policy_key = hex(trusted.policy.public().as_bytes());
    let bundle = Bundle { device: &device.id, institution: &device.institution, counter: &device.counter, opening_key, policy_key };
    let write_error = |path: PathBuf| move |source| DeviceError::Write { path, source };
    let text = toml::to_string(&bundle).map_err(|error| write_error(args.out.join("device.toml"))(io::Error::other(error)))?;
    durable::create_dir(&args.out).map_err(write_error(args.out.clone()))?;
    for (file, content) in [("ca.crt", ca), ("device.crt", certificate), ("device.toml", &text)] {
        let path = args.out.join(file);
        durable::write(&path, content.as_bytes()).map_err(write_error(path))?;
    }
    Ok(())
}

fn read(path: PathBuf) -> Result<zeroize::Zeroizing<String>, DeviceError> {
    let text = std::fs::read_to_string(&path).map_err(|source| DeviceError::Read { path, source })?;
    Ok(zeroize::Zeroizing::new(text))
}

/// A name of a device, institution or counter.
fn name(text: &str) -> Result<String, &'static str> {
    let fits = (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if fits { Ok(text.to_owned()) } else { Err("expected 1 to 64 of A-Z a-z 0-9 . _ -") }
}

/// A time for people and programs: RFC 3339 in UTC.
fn time(at: TimeMs) -> String {
    jiff::Timestamp::from_millisecond(at).map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_an_envelope_can_carry() {
        assert!(name("P330200001.till_1-a").is_ok());
        for bad in ["", "till 1", "tíll", "a/b", &"x".repeat(65)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
