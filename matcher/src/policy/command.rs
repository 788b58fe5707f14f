//! `matcher policy`: show, compare, try and apply policies.
//!
//! A policy is a text that people write; applying it checks it, shows what changes, signs it and appends it to all that
//! were applied before. A running server takes it up within seconds. Not here: what a policy may say
//! (`matcher_core::policy`).

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use matcher_core::{Policy, PolicyError, policy::difference::Change};
use thiserror::Error;

use super::{InForce, InForceError, PolicyKey, dry_run, read, signatures_hold};
use crate::{
    center::open_store,
    config::Config,
    data_dir::DataDir,
    keys::KeyError,
    listing::Since,
    out,
    store::{AppliedPolicy, Store, StoreError, sql::SqlStore},
    surroundings::{self, Surroundings, System},
};

mod print;

/// The largest policy file, in bytes.
const FILE_LEN_MAX: u64 = 256 * 1024;

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Print the policy in force, or an earlier one, as the text that was applied
    Show(ShowArgs),
    /// Show what a file would change, field by field; exit code 1 when anything does
    Diff(FileArgs),
    /// Decide the past again under a file, without touching it: what would flip, how many cases a day, how many right
    Try(TryArgs),
    /// Check a file, sign it, and put it in force
    Apply(ApplyArgs),
    /// List all policies that were applied, the last one first
    History(HistoryArgs),
}

/// Which policy to show.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// Number of the policy, as `matcher policy history` lists it; without it the one in force
    #[arg(long, value_name = "N")]
    pub number: Option<u64>,
    /// Print a JSON object with the text and who applied it
    #[arg(long)]
    pub json: bool,
}

/// A policy in a file.
#[derive(Debug, Clone, Args)]
pub struct FileArgs {
    /// The policy's text (TOML)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

/// A dry run.
#[derive(Debug, Clone, Args)]
pub struct TryArgs {
    /// The policy's text (TOML)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// From when on: so long ago (24h, 30d), or a time (2026-01-31T08:00:00+08:00)
    #[arg(long, value_name = "TIME", default_value = "30d")]
    pub since: Since,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

/// A policy to be applied.
#[derive(Debug, Clone, Args)]
pub struct ApplyArgs {
    /// The policy's text (TOML)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Who applies it; without it, the operating system's user
    #[arg(long, value_name = "NAME", value_parser = line_of_64)]
    pub by: Option<String>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", value_parser = line_of_200)]
    pub reason: String,
}

/// How to list policies.
#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

fn line_of_64(text: &str) -> Result<String, String> {
    line(text, 64)
}

fn line_of_200(text: &str) -> Result<String, String> {
    line(text, 200)
}

fn line(text: &str, max: usize) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=max).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("expected 1 to {max} characters on one line")) }
}

/// A command about policies that failed.
#[derive(Debug, Error)]
pub enum PolicyCommandError {
    /// The file cannot be read.
    #[error("could not read {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no policy that may be applied.
    #[error("{}: {source}", .path.display())]
    Policy {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: PolicyError,
    },
    /// The version was applied before with another text.
    #[error("policy: version: expected one that was not applied before; {version} was, with another text")]
    VersionTaken {
        /// The version.
        version: String,
    },
    /// Somebody else applied a policy meanwhile.
    #[error("another policy was applied meanwhile; look at it and try again")]
    Overtaken,
    /// There is no policy of this number.
    #[error("number: expected that of an applied policy, got {0}")]
    Unknown(u64),
    /// The policy in force cannot be had.
    #[error(transparent)]
    InForce(InForceError),
    /// The policy key cannot be read.
    #[error(transparent)]
    Key(KeyError),
    /// The store failed.
    #[error("the store could not be read or written")]
    Store(#[source] StoreError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs `matcher policy`.
///
/// # Errors
/// When a file is not in order, or something cannot be read or written.
pub async fn run(dir: &DataDir, config: &Config, command: &PolicyCommand) -> Result<ExitCode, PolicyCommandError> {
    let store = open_store(dir, &config.store).map_err(PolicyCommandError::Store)?;
    let key = PolicyKey::load(&dir.policy_key()).map_err(PolicyCommandError::Key)?;
    let (text, code) = match command {
        PolicyCommand::Show(args) => (show(&store, &key, args).await?, ExitCode::SUCCESS),
        PolicyCommand::Diff(args) => diff(&store, &key, args).await?,
        PolicyCommand::Try(args) => (attempt(&store, args).await?, ExitCode::SUCCESS),
        PolicyCommand::Apply(args) => (apply(&store, &key, args).await?, ExitCode::SUCCESS),
        PolicyCommand::History(args) => {
            let policies = store.policies_with_signatures(&key).await?;
            (if args.json { print::history_json(&policies) } else { print::history(&policies) }, ExitCode::SUCCESS)
        }
    };
    out::line(text.trim_end()).map_err(PolicyCommandError::Print)?;
    Ok(code)
}

async fn show(store: &dyn Store, key: &PolicyKey, args: &ShowArgs) -> Result<String, PolicyCommandError> {
    let applied = match args.number {
        None => in_force(store, key).await?.applied,
        Some(number) => {
            let policies = store.policies().await.map_err(PolicyCommandError::Store)?;
            policies.into_iter().find(|policy| policy.number == number).ok_or(PolicyCommandError::Unknown(number))?
        }
    };
    Ok(if args.json { print::policy_json(&applied) } else { applied.policy.text })
}

async fn diff(store: &dyn Store, key: &PolicyKey, args: &FileArgs) -> Result<(String, ExitCode), PolicyCommandError> {
    let (_, text) = policy_of(&args.file)?;
    let changes = changes(&in_force(store, key).await?.applied, &text, &args.file)?;
    let code = if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    Ok((if args.json { print::changes_json(&changes) } else { print::changes(&changes) }, code))
}

async fn attempt(store: &dyn Store, args: &TryArgs) -> Result<String, PolicyCommandError> {
    let (policy, _) = policy_of(&args.file)?;
    let since = args.since.time(System.now_ms());
    let outcome = dry_run::run(store, &policy, since).await.map_err(PolicyCommandError::Store)?;
    Ok(if args.json { print::outcome_json(&policy, &outcome) } else { print::outcome(&policy, &outcome) })
}

async fn apply(store: &dyn Store, key: &PolicyKey, args: &ApplyArgs) -> Result<String, PolicyCommandError> {
    let (policy, text) = policy_of(&args.file)?;
    // A text that was changed in the store is no reason to leave it in force.
    let before = store.policy_in_force().await.map_err(PolicyCommandError::Store)?;
    let by = args.by.clone().unwrap_or_else(|| surroundings::process().user);
    let changes = before.as_ref().map(|before| changes(before, &text, &args.file)).transpose()?.unwrap_or_default();
    let after = before.map_or(0, |before| before.number);
    let signed = key.sign(&policy, &text, System.now_ms(), &by, &args.reason);
    let number = store.apply_policy(after, signed).await.map_err(|error| match error {
        StoreError::Conflict("policy number") => PolicyCommandError::Overtaken,
        StoreError::Conflict(_) => PolicyCommandError::VersionTaken { version: policy.version().to_owned() },
        StoreError::Unavailable(_) | StoreError::Busy | StoreError::Corrupt { .. } | StoreError::TooNew { .. } => {
            PolicyCommandError::Store(error)
        }
    })?;
    let mode = policy.mode().word();
    Ok(format!(
        "{}\nPolicy {} is in force (number {number}, {mode}); servers take it up within seconds",
        print::changes(&changes),
        policy.version()
    ))
}

async fn in_force(store: &dyn Store, key: &PolicyKey) -> Result<InForce, PolicyCommandError> {
    let applied = store.policy_in_force().await.map_err(PolicyCommandError::Store)?;
    let applied = applied.ok_or(PolicyCommandError::InForce(InForceError::None))?;
    read(&key.public(), applied).map_err(PolicyCommandError::InForce)
}

fn policy_of(path: &Path) -> Result<(Policy, String), PolicyCommandError> {
    let failed = |source| PolicyCommandError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_LEN_MAX {
        return Err(failed(io::Error::other(format!("expected at most {FILE_LEN_MAX} bytes"))));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let policy = Policy::from_toml(&text).map_err(|source| PolicyCommandError::Policy { path: path.to_owned(), source })?;
    Ok((policy, text))
}

fn changes(before: &AppliedPolicy, after: &str, path: &Path) -> Result<Vec<Change>, PolicyCommandError> {
    matcher_core::policy::difference::difference(&before.policy.text, after)
        .map_err(|source| PolicyCommandError::Policy { path: path.to_owned(), source })
}

/// A policy of the history, and whether its signatures hold.
struct Signed {
    applied: AppliedPolicy,
    holds: bool,
}

impl SqlStore {
    async fn policies_with_signatures(&self, key: &PolicyKey) -> Result<Vec<Signed>, PolicyCommandError> {
        let store: &dyn Store = self;
        let policies = store.policies().await.map_err(PolicyCommandError::Store)?;
        let signed = |applied: AppliedPolicy| Signed { holds: signatures_hold(&key.public(), &applied.policy), applied };
        Ok(policies.into_iter().map(signed).collect())
    }
}
