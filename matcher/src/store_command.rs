//! `matcher store`: where the records are, and moving them to another engine.

use std::{io, process::ExitCode};

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use matcher_core::AuditAction;
use serde_json::json;
use thiserror::Error;

use crate::{
    config::Config,
    data_dir::DataDir,
    listing, out,
    store::{
        AuditLog, StoreError, TimeMs,
        audit::AuditEvent,
        sql::{Copied, Location, PostgresUrl, SqlStore, TransferError, UrlError},
    },
};

/// What can be asked about the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copy all records into an empty store, and compare counts and digests of every table
    ///
    /// Nobody writes meanwhile: counters are answered that the center is unavailable, and try again. The settings are not
    /// changed: put the new URL into `store.url` of every matcher once the copy is done.
    Copy(CopyArgs),
}

/// Arguments of `matcher store copy`.
#[derive(Debug, Clone, Args)]
pub struct CopyArgs {
    /// Where to: `postgres://USER@HOST:PORT/DATABASE` (an empty database), or `file:PATH` (a file that is made).
    /// `store.password_file` and `store.authority` of the settings hold for it
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// Copy this store instead of the one the settings name; written in the same way
    #[arg(long, value_name = "URL")]
    pub from: Option<String>,
    /// Print the tables as JSON
    #[arg(long)]
    pub json: bool,
}

/// A command about the store that failed.
#[derive(Debug, Error)]
pub enum StoreCommandError {
    /// The URL is none.
    #[error("{option}: expected file:PATH, or a URL: {source}")]
    Url {
        /// Where it was given.
        option: &'static str,
        /// What is wrong with it.
        source: UrlError,
    },
    /// A store cannot be opened.
    #[error("could not open the store")]
    Store(#[source] StoreError),
    /// The file exists.
    #[error("--to: expected a file that does not exist yet")]
    Exists,
    /// The file does not exist.
    #[error("--from: expected the file of a store")]
    Missing,
    /// It was not copied.
    #[error("nothing was copied")]
    Transfer(#[source] TransferError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs `matcher store`.
///
/// # Errors
/// When a store cannot be opened or the copy fails.
pub async fn run(dir: &DataDir, config: &Config, command: &StoreCommand, now: TimeMs) -> Result<ExitCode, StoreCommandError> {
    let StoreCommand::Copy(args) = command;
    let from = match &args.from {
        Some(from) => place(dir, config, ("--from", from))?,
        None => config.store.location(&dir.store()).map_err(StoreCommandError::Store)?,
    };
    let to = place(dir, config, ("--to", &args.to))?;
    match (&from, &to) {
        (_, Location::File(path)) if path.exists() => return Err(StoreCommandError::Exists),
        (Location::File(path), _) if !path.exists() => return Err(StoreCommandError::Missing),
        _ => {}
    }
    let bar = ProgressBar::new_spinner().with_message("rows");
    let steps = bar.clone();
    let copy = {
        let (from, to) = (from.clone(), to.clone());
        move || {
            let mut told = |table: &'static str, rows: u64| {
                steps.set_message(format!("rows, {table}"));
                steps.inc(rows);
            };
            SqlStore::transfer(&from, &to, &mut told)
        }
    };
    let copied =
        tokio::task::spawn_blocking(copy).await.map_err(|error| StoreCommandError::Store(StoreError::Unavailable(Box::new(error))))?;
    bar.finish_and_clear();
    let copied = copied.map_err(StoreCommandError::Transfer)?;
    let store = tokio::task::spawn_blocking(move || SqlStore::open_at(&to));
    let store = store.await.map_err(|error| StoreError::Unavailable(Box::new(error))).flatten().map_err(StoreCommandError::Store)?;
    let rows: u64 = copied.iter().map(|copied| copied.rows).sum();
    let detail = json!({ "tables": copied.len(), "rows": rows }).to_string();
    let event = AuditEvent { at: now, action: AuditAction::StoreCopied, by: String::new(), object: "store".into(), detail };
    store.record_audit(event).await.map_err(StoreCommandError::Store)?;
    let text = if args.json { json!(copied).to_string() } else { table(&copied) };
    out::line(&text).map_err(StoreCommandError::Print)?;
    Ok(ExitCode::SUCCESS)
}

fn place(dir: &DataDir, config: &Config, (option, text): (&'static str, &str)) -> Result<Location, StoreCommandError> {
    if let Some(path) = text.strip_prefix("file:") {
        return Ok(Location::File(dir.path().join(path)));
    }
    let _: PostgresUrl = text.parse().map_err(|source| StoreCommandError::Url { option, source })?;
    config.store.clone().at(text).location(&dir.store()).map_err(StoreCommandError::Store)
}

fn table(copied: &[Copied]) -> String {
    let mut table = listing::table::table(["table", "rows", "SHA-256 on both sides"]);
    for Copied { table: name, rows, sha256 } in copied.iter().filter(|copied| copied.rows > 0) {
        table.add_row([(*name).to_owned(), rows.to_string(), sha256.get(..16).unwrap_or_default().to_owned()]);
    }
    let rows: u64 = copied.iter().map(|copied| copied.rows).sum();
    format!("{table}\n{rows} rows of {} tables are the same on both sides.", copied.len())
}
