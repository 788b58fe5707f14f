//! A center for a run: its folder, its synthetic people, its devices, and the server that answers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use ::tests::{
    clock::Clock,
    process::{Server, binary},
};
use anyhow::{Context, Result, bail};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePrivateKey, spki::der::pem::LineEnding},
};
use matcher::{
    center::Center,
    data_dir::DataDir,
    device::{IssueArgs, Role, issue},
    init::{InitArgs, init},
    policy::PolicyKey,
    surroundings::{Surroundings, System},
};
use matcher_core::Policy;
use proto::envelope::OpeningPublicKey;
use tests_postgres::Postgres;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::{
    costs::Held,
    people::{self, MadeBy},
};

/// Enrolments that are written in one commit.
const BATCH: u64 = 256;

/// A device of a run.
pub struct Device {
    /// Its name in the registry.
    pub id: String,
    /// Its institution.
    pub institution: String,
    /// Signs envelopes, and the connection.
    pub key: SigningKey,
    /// The center's key that envelopes are sealed to.
    pub opening_key: OpeningPublicKey,
    identity: Identity,
    ca: Certificate,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.id)
    }
}

impl Device {
    /// A connection of its own to a server of the center.
    ///
    /// # Errors
    /// When address or certificates are refused.
    pub fn connect(&self, address: &str) -> Result<Channel> {
        let tls = ClientTlsConfig::new().ca_certificate(self.ca.clone()).domain_name("localhost").identity(self.identity.clone());
        Ok(Endpoint::from_shared(address.to_owned())?.tls_config(tls)?.tcp_nodelay(true).connect_lazy())
    }
}

/// Where a run keeps its records.
#[derive(Debug)]
pub struct Kept {
    /// The address of a PostgreSQL database; nothing for a file in the center's folder.
    pub url: Option<String>,
    /// A server of the run's own, which ends with it.
    pub own: Option<Postgres>,
}

impl Kept {
    /// `sqlite`, `postgres` for a server of the run's own, or the address of an empty PostgreSQL database.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn of(word: &str) -> Result<Self> {
        Ok(match word {
            "sqlite" => Self { url: None, own: None },
            "postgres" => {
                // As a server is set up that keeps its hot rows in memory.
                let own = Postgres::start_with(&["shared_buffers=512MB"])?;
                Self { url: Some(own.database("load")?), own: Some(own) }
            }
            url => Self { url: Some(url.to_owned()), own: None },
        })
    }

    /// The engine's name.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        if self.url.is_some() { "PostgreSQL" } else { "SQLite" }
    }
}

/// The folder of a run's center.
#[derive(Debug, Clone)]
pub struct Place {
    root: PathBuf,
    /// Where the store is; nothing for the file in the folder.
    store: Option<String>,
    clock: Option<Clock>,
}

impl Place {
    /// In a folder, with the store at an address or in the folder.
    #[must_use]
    pub fn new(root: &Path, store: Option<String>) -> Self {
        Self { root: root.to_owned(), store, clock: None }
    }

    /// Lets the center's programs run under a clock that can be set.
    #[must_use]
    pub fn under(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The center's data folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.root.join("center")
    }

    /// What the store's file holds; nothing where it is not in the folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn held(&self) -> Result<Option<Held>> {
        if self.store.is_some() { Ok(None) } else { Held::of_file(&DataDir::new(self.folder()).store()).map(Some) }
    }

    /// Bytes of the store's file and its log; 0 where it is not in the folder.
    #[must_use]
    pub fn store_bytes(&self) -> u64 {
        let file = DataDir::new(self.folder()).store();
        let log = file.with_extension("db-wal");
        [file, log].iter().filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum()
    }

    /// Makes the center where it is not made yet, with a policy whose decisions count.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn prepare(&self) -> Result<()> {
        let dir = DataDir::new(self.folder());
        if dir.marker().exists() {
            return Ok(());
        }
        let args =
            InitArgs { server_names: vec!["localhost".into(), "127.0.0.1".into()], demonstration: true, store_url: self.store.clone() };
        init(&dir, &args, System.now_ms()).await?;
        let center = self.open().await?;
        let text = live_policy();
        let signed = PolicyKey::load(&dir.policy_key())?.sign(&Policy::from_toml(&text)?, &text, System.now_ms(), "a bench", "a bench");
        let after = center.store.policy_number().await?;
        center.store.apply_policy(after, signed).await?;
        Ok(())
    }

    /// The center, for what is done beside the server.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(&self) -> Result<Center> {
        Ok(Center::open(&DataDir::initialised(self.folder())?).await?)
    }

    /// Enrols synthetic people until there are so many; people are numbered from 0.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enrol(&self, center: &Center, people: u64, photo_len: usize, mut each: impl FnMut(u64)) -> Result<()> {
        let made_by = Arc::new(MadeBy::shipped()?);
        let mut next = center.store.holdings().await?.references;
        let mut written: Option<tokio::task::JoinHandle<Result<u64>>> = None;
        while next < people {
            let range = next..(next + BATCH).min(people);
            next = range.end;
            let (sealing, made_by) = (center.clone(), Arc::clone(&made_by));
            let at = System.now_ms();
            let sealed = tokio::task::spawn_blocking(move || {
                range.map(|person| people::enrolment(&sealing, &made_by, person, photo_len, at)).collect::<Result<Vec<_>>>()
            });
            let batch = sealed.await??;
            // The next batch is sealed while this one is written.
            if let Some(before) = written.take() {
                each(before.await??);
            }
            let store = Arc::clone(&center.store);
            written = Some(tokio::spawn(async move {
                for done in store.put_enrolments(batch).await? {
                    done?;
                }
                Ok(next)
            }));
        }
        if let Some(last) = written {
            each(last.await??);
        }
        Ok(())
    }

    /// Joins devices: so many institutions with so many counters each.
    ///
    /// # Errors
    /// When a device cannot be joined.
    pub async fn devices(&self, center: &Center, institutions: usize, counters: usize) -> Result<Vec<Device>> {
        let mut devices = Vec::new();
        for counter in 0..counters {
            for institution in 0..institutions {
                devices.push(self.device(center, &format!("L{institution:04}"), &counter.to_string()).await?);
            }
        }
        Ok(devices)
    }

    async fn device(&self, center: &Center, institution: &str, counter: &str) -> Result<Device> {
        let folder = self.root.join("devices").join(format!("{institution}-{counter}"));
        fs::create_dir_all(&folder)?;
        let secret: [u8; 32] = [System.random_id(), System.random_id()].concat().try_into().unwrap_or([0; 32]);
        let key = SigningKey::from_bytes(&secret);
        let key_pem = key.to_pkcs8_pem(LineEnding::LF)?;
        let request = rcgen::CertificateParams::default().serialize_request(&rcgen::KeyPair::from_pem(&key_pem)?)?;
        fs::write(folder.join("device.csr"), request.pem()?)?;
        let bundle = folder.join("bundle");
        let args = IssueArgs {
            csr: folder.join("device.csr"),
            institution: institution.to_owned(),
            counter: counter.to_owned(),
            role: Role::Counter,
            id: None,
            replace: true,
            out: bundle.clone(),
        };
        let issued = issue(&DataDir::new(self.folder()), center.store.as_ref(), &args, 30, System.now_ms()).await?;
        let said: toml::Table = fs::read_to_string(bundle.join("device.toml"))?.parse()?;
        let opening_key = said.get("opening_key").and_then(toml::Value::as_str).context("the bundle names no opening key")?;
        Ok(Device {
            id: issued.id,
            institution: institution.to_owned(),
            key,
            opening_key: OpeningPublicKey::from_bytes(&unhex(opening_key)?)?,
            identity: Identity::from_pem(fs::read(bundle.join("device.crt"))?, key_pem.as_bytes()),
            ca: Certificate::from_pem(fs::read(bundle.join("ca.crt"))?),
        })
    }

    /// A `matcher` command on the center.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn matcher(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("matcher")?);
        command.args(arguments).env("COUNTERSIGN_DATA", self.folder()).env_remove("RUST_LOG");
        if let Some(clock) = &self.clock {
            clock.under(&mut command)?;
        }
        Ok(command)
    }

    /// Starts the server on a free port. The rate of devices is lifted: a few stand for thousands here. Templates are
    /// not made again: there are no pictures behind them.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn serve(&self, listen: &str) -> Result<Server> {
        let mut command = self.matcher(&["serve"])?;
        let settings = [
            ("SERVER__LISTEN", listen),
            ("PUBLISHED__LISTEN", "127.0.0.1:0"),
            ("JOINING__LISTEN", "127.0.0.1:0"),
            ("OVERLOAD__DEVICE_PER_SECOND", "100000"),
            ("OVERLOAD__DEVICE_BURST", "100000"),
            ("RECHECK__HERE", "false"),
            ("LOG__FILTER", "warn"),
        ];
        for (key, value) in settings {
            command.env(format!("COUNTERSIGN_MATCHER__{key}"), value);
        }
        Server::start(&mut command, &self.root.join("center.log"))
    }
}

/// The shipped policy as if it had been calibrated and accepted: decisions count and receipts settle.
fn live_policy() -> String {
    let shipped = "trials = { source = \"public\", nonmated = 19420, nonmated_errors = 1, mated = 281, mated_errors = 0 }";
    let local = "trials = { source = \"local\", nonmated = 100000, nonmated_errors = 33, mated = 40000, mated_errors = 40 }";
    let chips = "trials = { source = \"public\", nonmated = 0, nonmated_errors = 0, mated = 0, mated_errors = 0 }";
    let accepted = "[accepted]\nby = \"a bench\"\non = \"2026-11-22\"";
    Policy::demonstration()
        .replacen("demonstration-1", "live-1", 1)
        .replacen("mode = \"demonstration\"", "mode = \"live\"", 1)
        .replacen("# [accepted]\n# by = \"name\"\n# on = \"2026-11-22\"", accepted, 1)
        .replacen(shipped, local, 1)
        .replacen(chips, local, 1)
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    if !text.is_ascii() {
        bail!("expected hexadecimal digits");
    }
    let pairs = (0..text.len() / 2).map(|i| text.get(2 * i..2 * i + 2).unwrap_or_default());
    pairs.map(|pair| u8::from_str_radix(pair, 16).context("expected hexadecimal digits")).collect()
}

#[cfg(test)]
mod tests {
    use matcher_core::Mode;

    use super::*;

    #[test]
    fn the_policy_of_a_run_decides() {
        assert_eq!(Policy::from_toml(&live_policy()).unwrap().mode(), Mode::Live);
    }
}
