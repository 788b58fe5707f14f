//! `capture-agent update`: bundles made, taken in, and taken back.

use std::{fs, io::BufWriter, path::Path, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ed25519_dalek::SigningKey;
use flate2::{Compression, write::GzEncoder};
use zeroize::Zeroizing;

use crate::{
    durable::{self, Readers},
    output::{self, exit},
    update::{self, PROGRAM, Steps, bundle, versions::Version, versions::Versions},
};

/// New software and models. Versions stand beside one another below --root; the service runs `ROOT/current/capture-agent`.
#[derive(Debug, Subcommand)]
pub enum UpdateCommand {
    /// Takes a bundle in: checks its signature, unpacks it beside what runs, examines this machine with it, puts it in its
    /// place, starts the service again, and takes it back by itself when it does not come up.
    Apply(ApplyArgs),
    /// Puts the version before in its place again.
    Rollback {
        /// What runs, and how it is started again.
        #[command(flatten)]
        site: SiteArgs,
    },
    /// Says which version runs, and which ran before.
    Show {
        /// Folder of the versions.
        #[arg(long, value_name = "FOLDER", default_value = "/opt/countersign")]
        root: PathBuf,
    },
    /// Pins the key that bundles must be signed with, in the state folder.
    Pin {
        /// The public key, 64 hexadecimal digits.
        #[arg(long, value_name = "HEX")]
        key: String,
        /// Put it in the place of another one.
        #[arg(long)]
        replace: bool,
    },
    /// For whoever makes bundles: makes a signing key, and prints its public half.
    Key {
        /// File to write the private half to; it must not be there yet.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// For whoever makes bundles: signs the files of a folder.
    Make {
        /// The folder: the program, models, and what else belongs to them.
        #[arg(long, value_name = "FOLDER")]
        from: PathBuf,
        /// Which version that is, such as 1.2.3.
        #[arg(long)]
        version: Version,
        /// File with the private key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// File to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// What is taken in.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The bundle.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// What runs, and how it is started again.
    #[command(flatten)]
    site: SiteArgs,
    /// Take a version that is not newer.
    #[arg(long)]
    allow_downgrade: bool,
    /// How long the new version may take until it is well, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    healthy_within: u64,
    /// The state folder is a relay's.
    #[arg(long)]
    relay: bool,
}

/// What runs.
#[derive(Debug, Args)]
pub struct SiteArgs {
    /// Folder of the versions.
    #[arg(long, value_name = "FOLDER", default_value = "/opt/countersign")]
    root: PathBuf,
    /// The systemd service to start again; without it, start it again by hand: nothing is taken back by itself then.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

impl SiteArgs {
    fn restart(&self) -> Vec<String> {
        self.service.iter().flat_map(|name| ["systemctl".to_owned(), "restart".to_owned(), name.clone()]).collect()
    }
}

/// Carries out a command.
pub(super) fn run(dir: &Path, command: UpdateCommand) -> anyhow::Result<u8> {
    match command {
        UpdateCommand::Apply(args) => apply(dir, &args),
        UpdateCommand::Rollback { site } => {
            let back = update::rollback(&site.root, &site.restart())?;
            output::line(&format!("version {back} is in its place"))?;
            Ok(exit::DONE)
        }
        UpdateCommand::Show { root } => {
            let versions = Versions::of(&root);
            let said = |version: Option<Version>| version.map_or_else(|| "none".to_owned(), |version| version.to_string());
            output::line(&format!("current {}, previous {}", said(versions.current()?), said(versions.previous()?)))?;
            Ok(exit::DONE)
        }
        UpdateCommand::Pin { key, replace } => {
            let key = bundle::key_from_hex(&key).context("--key: expected 64 lower-case hexadecimal digits of an Ed25519 public key")?;
            update::pin(dir, &key, replace)?;
            output::line("the update key is pinned")?;
            Ok(exit::DONE)
        }
        UpdateCommand::Key { out } => {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *seed).map_err(|error| anyhow::anyhow!("the operating system gave no random numbers: {error}"))?;
            let key = SigningKey::from_bytes(&seed);
            durable::write_new(&out, Zeroizing::new(bundle::to_hex(&*seed)).as_bytes(), Readers::Owner)?;
            output::line(&bundle::to_hex(key.verifying_key().as_bytes()))?;
            Ok(exit::DONE)
        }
        UpdateCommand::Make { from, version, key, out } => make(&from, version, &key, &out),
    }
}

fn apply(dir: &Path, args: &ApplyArgs) -> anyhow::Result<u8> {
    let key = update::pinned(dir)?;
    let at = dir.to_string_lossy().into_owned();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).chain(["--dir".to_owned(), at.clone()]).collect();
    let steps = Steps {
        // A relay has neither camera nor models to examine.
        self_test: if args.relay { Vec::new() } else { words(&["doctor", "--json"]) },
        restart: args.site.restart(),
        health: if args.relay { words(&["relay", "status"]) } else { words(&["status"]) },
        healthy_within: Duration::from_secs(args.healthy_within),
    };
    let version = update::apply(&args.site.root, &args.bundle, &key, args.allow_downgrade, &steps)?;
    output::line(&format!("version {version} is in its place"))?;
    Ok(exit::DONE)
}

fn make(from: &Path, version: Version, key: &Path, out: &Path) -> anyhow::Result<u8> {
    if !from.join(PROGRAM).is_file() {
        bail!("{}: expected the program {PROGRAM} in it", from.display());
    }
    let seed = Zeroizing::new(fs::read_to_string(key).with_context(|| format!("{}: could not be read", key.display()))?);
    let seed = bundle::from_hex(seed.trim()).context("--key: expected a file made by `capture-agent update key`")?;
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    archive.mode(tar::HeaderMode::Deterministic);
    archive.append_dir_all("", from).with_context(|| format!("{}: could not be read", from.display()))?;
    let archive = archive.into_inner()?.finish()?;
    let mut file = BufWriter::new(fs::File::create(out).with_context(|| format!("{}: could not be written", out.display()))?);
    bundle::seal(&mut file, version, &archive, &SigningKey::from_bytes(&seed))?;
    file.into_inner()?.sync_all()?;
    output::line(&format!("{} is version {version}", out.display()))?;
    Ok(exit::DONE)
}
