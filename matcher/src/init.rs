//! `matcher init`: the data folder of a new center.
//!
//! Every secret is made once and never overwritten. The folder counts as initialised when its marker stands,
//! which is written last; until then the command can be run again and goes on where it stopped. The
//! server's certificate holds for years; its end is printed here, and `matcher keys renew` makes another.

use std::{io, path::Path, path::PathBuf};

use clap::Args;
use matcher_core::policy::{Policy, PolicyError};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    center::open_store,
    config::{self, Config, ConfigError},
    data_dir::DataDir,
    durable,
    keys::{self, KeyError},
    pki::{self, Authority, PkiError},
    policy::PolicyKey,
    receipt_keys,
    store::{Policies, StoreError, TimeMs},
};

/// Version of the folder's layout.
pub(crate) const LAYOUT: &str = "1\n";

/// Arguments of `matcher init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Host name or address that counters reach this matcher under; give it once for each
    #[arg(long = "server-name", value_name = "NAME", default_values_t = ["localhost".to_owned(), "127.0.0.1".to_owned()])]
    pub server_names: Vec<String>,
    /// Begin with a policy that tells its decisions although nothing was calibrated, to show and to rehearse; without it
    /// the center begins in shadow mode
    #[arg(long)]
    pub demonstration: bool,
    /// Keep records in PostgreSQL from the start: `postgres://USER@HOST:PORT/DATABASE`, an empty database; otherwise they are
    /// in a file of the folder
    #[arg(long, value_name = "URL")]
    pub store_url: Option<String>,
}

/// A folder that cannot be initialised.
#[derive(Debug, Error)]
pub enum InitError {
    /// It is a center's already.
    #[error("{} is initialised already; nothing was changed", .0.display())]
    Initialised(PathBuf),
    /// There is a store without the key that opens it.
    #[error("{} holds a store but not its key-encryption key; put the key back from its backup", .0.display())]
    StoreWithoutKey(PathBuf),
    /// A file or folder cannot be written.
    #[error("could not write {}", .path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of an interrupted run cannot be read.
    #[error("could not read {}", .path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate cannot be made.
    #[error(transparent)]
    Pki(PkiError),
    /// A signing key cannot be encoded.
    #[error("a signing key could not be encoded")]
    SigningKey(#[source] ed25519_dalek::pkcs8::Error),
    /// The policy key cannot be read back.
    #[error(transparent)]
    PolicyKey(KeyError),
    /// The shipped policy is not in order, which a test rules out.
    #[error(transparent)]
    Policy(PolicyError),
    /// The settings are not in order.
    #[error(transparent)]
    Config(ConfigError),
    /// The store cannot be made.
    #[error("could not make the store")]
    Store(#[source] StoreError),
}

/// Initialises a data folder.
///
/// # Errors
/// When the folder is a center's already, or something cannot be written.
pub async fn init(dir: &DataDir, args: &InitArgs, now: TimeMs) -> Result<(), InitError> {
    if dir.marker().exists() {
        return Err(InitError::Initialised(dir.path().to_owned()));
    }
    if dir.store().exists() && !dir.key_encryption_key().exists() {
        return Err(InitError::StoreWithoutKey(dir.path().to_owned()));
    }
    make_folders(dir)?;
    make_keys(dir, now)?;
    make_certificates(dir, &args.server_names, now)?;
    write_once(&dir.config(), || Ok(Zeroizing::new(settings(args))))?;
    apply_first_policy(dir, args, now).await?;
    write_once(&dir.marker(), || Ok(Zeroizing::new(LAYOUT.to_owned())))
}

/// What was made, and what must be kept safe, for people.
#[must_use]
pub fn summary(dir: &DataDir, args: &InitArgs, now: TimeMs) -> String {
    let path = dir.path().display();
    let until = |days: u32| day(now + TimeMs::from(days) * 86_400_000);
    format!(
        "Initialised {path}

  matcher.toml                settings, with comments
  authority/ca.crt, ca.key    certificate authority of servers and devices, until {authority}
  server/server.crt, .key     certificate of the service for {names}, until {server}
  keys/key-encryption.key     wraps the data keys of persons
  keys/lookup.key             hashes card numbers for look-up
  keys/opening.key            opens envelopes from counters
  keys/receipt.pem            signs receipts; receipt-drill.pem those of drills
  keys/settlement.key         names cards in receipts; the settlement side needs it too
  keys/audit.pem              signs checkpoints of the audit log
  keys/policy.pem             signs policies
  center.db                   the store

Back up authority/ and keys/ now, apart from the store: without keys/key-encryption.key and keys/lookup.key
nothing in the store can be read or found, and whoever has them and the store has both. The server's
certificate is not renewed by itself: note the day it ends, and run `matcher keys renew` before.

{mode}

Next: matcher device issue --data {path} --csr FILE --institution I --counter C --out FOLDER",
        mode = if args.demonstration {
            "The policy in force is a demonstration: it tells decisions that rest on no calibration. Never settle by it."
        } else {
            "The center is in shadow mode: it records every decision and tells counters to settle. See `matcher policy show`."
        },
        names = args.server_names.join(", "),
        authority = until(pki::AUTHORITY_DAYS),
        server = until(pki::SERVER_DAYS),
    )
}

/// The shipped settings, with the store where it is wanted.
fn settings(args: &InitArgs) -> String {
    let url = args.store_url.as_deref().unwrap_or("file");
    config::SHIPPED.replacen("\nurl = \"file\"\n", &format!("\nurl = {}\n", toml::Value::from(url)), 1)
}

/// A new center begins in shadow mode: it records, and tells nobody.
async fn apply_first_policy(dir: &DataDir, args: &InitArgs, now: TimeMs) -> Result<(), InitError> {
    let settings = Config::load(dir).map_err(InitError::Config)?.store;
    let store = open_store(dir, &settings).map_err(InitError::Store)?;
    if store.policy_number().await.map_err(InitError::Store)? > 0 {
        return Ok(());
    }
    let text = if args.demonstration { Policy::demonstration() } else { Policy::SHIPPED.to_owned() };
    let policy = Policy::from_toml(&text).map_err(InitError::Policy)?;
    let key = PolicyKey::load(&dir.policy_key()).map_err(InitError::PolicyKey)?;
    store.apply_policy(0, key.sign(&policy, &text, now, "matcher init", "a new center")).await.map_err(InitError::Store)?;
    Ok(())
}

fn make_folders(dir: &DataDir) -> Result<(), InitError> {
    let files = [dir.marker(), dir.authority_key(), dir.server_key(), dir.lookup_key()];
    for folder in files.iter().filter_map(|file| file.parent()) {
        durable::create_dir(folder).map_err(|source| InitError::Write { path: folder.to_owned(), source })?;
    }
    Ok(())
}

fn make_keys(dir: &DataDir, now: TimeMs) -> Result<(), InitError> {
    write_once(&dir.key_encryption_key(), || Ok(keys::new_secret("Wraps the data keys of persons. Without it the store cannot be read.")))?;
    write_once(&dir.lookup_key(), || Ok(keys::new_secret("Hashes card numbers for look-up. Without it nobody can be found.")))?;
    let comment = "Opens envelopes. The first key seals new ones; keep older ones below until no counter holds an envelope to them.";
    write_once(&dir.opening_keys(), || Ok(keys::new_opening(comment)))?;
    let comment = "Names cards to the settlement side, which is given this key and no other.";
    write_once(&dir.settlement_key(), || Ok(keys::new_secret(comment)))?;
    write_once(&dir.policy_key(), || keys::new_signing().map_err(InitError::SigningKey))?;
    for path in [dir.receipt_key(), dir.receipt_drill_key(), dir.audit_key()] {
        write_once(&path, || receipt_keys::new_key(now).map_err(InitError::SigningKey))?;
    }
    write_once(&dir.authority_key(), || pki::new_key().map_err(InitError::Pki))?;
    write_once(&dir.server_key(), || pki::new_key().map_err(InitError::Pki))
}

/// Certificates follow from their keys and are made anew by each run, so that another run may have other names.
fn make_certificates(dir: &DataDir, names: &[String], now: TimeMs) -> Result<(), InitError> {
    let authority_key = read(&dir.authority_key())?;
    let certificate = Authority::new_certificate(&authority_key, now).map_err(InitError::Pki)?;
    let authority = Authority::load(&certificate, &authority_key).map_err(InitError::Pki)?;
    let server = authority.server_certificate(&read(&dir.server_key())?, names, now).map_err(InitError::Pki)?;
    for (path, pem) in [(dir.authority_certificate(), certificate), (dir.server_certificate(), server)] {
        durable::write(&path, pem.as_bytes()).map_err(|source| InitError::Write { path, source })?;
    }
    Ok(())
}

/// Writes a file that an earlier, interrupted run did not get to.
fn write_once(path: &Path, content: impl FnOnce() -> Result<Zeroizing<String>, InitError>) -> Result<(), InitError> {
    if path.exists() {
        return Ok(());
    }
    let content = content()?;
    durable::write_new(path, content.as_bytes()).map_err(|source| InitError::Write { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Zeroizing<String>, InitError> {
    let text = std::fs::read_to_string(path).map_err(|source| InitError::Read { path: path.to_owned(), source })?;
    Ok(Zeroizing::new(text))
}

/// A day for people, `YYYY-MM-DD` in UTC.
fn day(at: TimeMs) -> String {
    jiff::Timestamp::from_millisecond(at).map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
