//! Rolling the certificate authority over.
//!
//! The new authority's certificate stands above the older one: servers that start from then on take devices of both,
//! and bundles that are issued from then on trust both. When every device has such a bundle, `--finish` gives the
//! server a certificate of the new authority and drops the older one. Not here: bringing bundles to devices
//! (`crate::device`), and servers, which take certificates when they start.

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use super::{Rotated, Rotation, failed, read, write};
use crate::{
    data_dir::DataDir,
    keyring::{KeyKind, KeyringError},
    keys::hex,
    pki::{Authority, certificate_sha256, new_key},
    store::{Store, TimeMs},
};

const KIND: KeyKind = KeyKind::Authority;
const MADE: &str = "# made ";
/// Devices that a refusal names.
const NAMED: usize = 5;

/// The authorities of a center, newest first.
#[derive(Debug)]
pub(in crate::keyring) struct Authorities {
    /// When the newest was made; nothing for the first of a center.
    pub(in crate::keyring) made: Option<Timestamp>,
    text: String,
    certificates: Vec<CertificateDer<'static>>,
}

impl Authorities {
    pub(in crate::keyring) fn load(dir: &DataDir) -> Result<Self, KeyringError> {
        let text = read(&dir.authority_certificate())?.to_string();
        let certificates = certificates(&text)?;
        let made = text.lines().next().and_then(|line| line.strip_prefix(MADE)?.parse().ok());
        if certificates.is_empty() { Err(KeyringError::Certificate) } else { Ok(Self { made, text, certificates }) }
    }

    /// Names of the certificates, newest first.
    pub(in crate::keyring) fn ids(&self) -> Vec<String> {
        self.certificates.iter().map(|certificate| hex(certificate_sha256(certificate).get(..8).unwrap_or_default())).collect()
    }

    fn newest(&self) -> String {
        self.ids().into_iter().next().unwrap_or_default()
    }

    /// Devices whose bundle is older than the newest authority and whose certificate still holds.
    pub(in crate::keyring) async fn behind(&self, store: &dyn Store, now: TimeMs) -> Result<Vec<String>, KeyringError> {
        let made = self.made.map_or(TimeMs::MAX, Timestamp::as_millisecond);
        let devices = store.devices().await.map_err(KeyringError::Store)?;
        let behind = devices
            .into_iter()
            .filter(|device| device.revoked_at.is_none() && device.certificate_expires_at > now && device.issued_at < made);
        Ok(behind.map(|device| device.id).collect())
    }
}

impl Rotation<'_> {
    /// A new authority beside the older one, whose key nothing needs any more. Its key waits in a file of its own
    /// until its certificate is in place: a run that was broken off goes on.
    pub(super) fn new_authority(&self) -> Result<Rotated, KeyringError> {
        let (waiting, path) = (self.dir.authority_next_key(), self.dir.authority_key());
        let current = Authorities::load(self.dir)?;
        let made = current.certificates.len() == 1;
        if made {
            let key = new_key().map_err(KeyringError::Pki)?;
            let certificate = Authority::new_certificate(&key, self.now).map_err(KeyringError::Pki)?;
            write(&waiting, &key)?;
            write(&self.dir.authority_certificate(), &format!("{MADE}{}\n{certificate}{}", self.made_at(), current.text))?;
        }
        if waiting.exists() {
            let key = read(&waiting)?;
            write(&path, &key)?;
            std::fs::remove_file(&waiting).map_err(failed(&waiting))?;
        }
        Ok(Rotated { made, ..Rotated::of(KIND, Authorities::load(self.dir)?.newest()) })
    }

    pub(super) async fn finish_authority(&self, force: bool) -> Result<Rotated, KeyringError> {
        let current = Authorities::load(self.dir)?;
        let ids = current.ids();
        if ids.len() == 1 {
            return Err(KeyringError::NothingOlder(KIND.word()));
        }
        if self.dir.authority_next_key().exists() {
            let why = "the new authority's key is not in place; run this without --finish first".to_owned();
            return Err(KeyringError::StillNeeded { kind: KIND.word(), why });
        }
        let behind = current.behind(self.store, self.now).await?;
        if !force && !behind.is_empty() {
            let named = behind.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let why = format!(
                "{} devices have a bundle that does not trust the new authority ({named}); issue theirs again. --force locks them out",
                behind.len()
            );
            return Err(KeyringError::StillNeeded { kind: KIND.word(), why });
        }
        let names = server_names(&read(&self.dir.server_certificate())?)?;
        let newest = current.text.find(END).and_then(|at| current.text.get(..at + END.len())).ok_or(KeyringError::Certificate)?;
        let authority = Authority::load(newest, &read(&self.dir.authority_key())?).map_err(KeyringError::Pki)?;
        let server = authority.server_certificate(&read(&self.dir.server_key())?, &names, self.now).map_err(KeyringError::Pki)?;
        write(&self.dir.server_certificate(), &server)?;
        write(&self.dir.authority_certificate(), &format!("{newest}\n"))?;
        Ok(Rotated { dropped: ids.into_iter().skip(1).collect(), ..Rotated::of(KIND, current.newest()) })
    }
}

const END: &str = "-----END CERTIFICATE-----";

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, KeyringError> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|_| KeyringError::Certificate)
}

/// Names and addresses of a server's certificate.
fn server_names(pem: &str) -> Result<Vec<String>, KeyringError> {
    let certificates = certificates(pem)?;
    let certificate = certificates.first().ok_or(KeyringError::Certificate)?;
    let (_, certificate) = parse_x509_certificate(certificate).map_err(|_| KeyringError::Certificate)?;
    let names = certificate.subject_alternative_name().map_err(|_| KeyringError::Certificate)?.ok_or(KeyringError::Certificate)?;
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(four) => Some(std::net::Ipv4Addr::from(four).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|sixteen| std::net::Ipv6Addr::from(sixteen).to_string()),
        },
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    };
    names.value.general_names.iter().map(|found| name(found).ok_or(KeyringError::Certificate)).collect()
}
