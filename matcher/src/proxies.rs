//! `matcher proxies …`: the register of who came in a holder's place, for people and for those who are to have it.
//!
//! A listing is masked. The register itself names documents and people: handing it out is written to the audit log with
//! who did it. Not here: how an entry comes about ([`crate::app::ways`]).

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::PathBuf};

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use serde::Serialize;
use thiserror::Error;

use crate::{
    app::ways::{Entry, masked_name},
    center::{Center, OpenError},
    data_dir::DataDir,
    listing::{
        ListingArgs,
        table::{local, table},
    },
    out,
    store::{StoreError, proxies::StoredProxy},
    surroundings::{Surroundings, System},
};

/// Entries that are handed out at once.
const EXPORT_MAX: u32 = 1_000_000;

/// What can be done with the register.
#[derive(Debug, Subcommand)]
pub enum ProxiesCommand {
    /// List who came in a holder's place, newest first, numbers masked
    List(ListingArgs),
    /// Write the register with whole numbers and names into a new file; the audit log says who did
    Export(ExportArgs),
}

/// What is handed out.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The file to make; only its owner can read it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Who takes it
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Only this institution
    #[arg(long, value_name = "ID")]
    institution: Option<String>,
    /// Only from this time on: so long ago (90m, 24h, 30d), or a time (2026-01-31T08:00:00+08:00)
    #[arg(long, value_name = "TIME")]
    since: Option<crate::listing::Since>,
    /// JSON in place of CSV
    #[arg(long)]
    json: bool,
}

/// A command that failed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// No name was given.
    #[error("by: expected a name of 1 to 64 characters")]
    Name,
    /// The file could not be written.
    #[error("the file could not be written: expected one that does not exist, in a folder that does")]
    File(#[source] io::Error),
    /// The rows could not be put into their form.
    #[error("the rows could not be written")]
    Rows(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// A row as it is handed out.
#[derive(Debug, Serialize)]
struct Row {
    recorded_at: String,
    institution: String,
    counter: String,
    operator: String,
    transaction: String,
    attempt: u32,
    scene: &'static str,
    holder: String,
    document_kind: String,
    document_number: String,
    name: String,
    decision: &'static str,
    reasons: String,
    disposition: &'static str,
    face_recorded: bool,
    verification: String,
}

impl Row {
    /// A row; where the entry does not open, what it said is empty.
    fn new(stored: &StoredProxy, entry: Option<&Entry>, whole: bool) -> Self {
        let record = &stored.record;
        let of = |read: fn(&Entry) -> String| entry.map(read).unwrap_or_default();
        Self {
            recorded_at: jiff::Timestamp::from_millisecond(record.captured_at).map(|at| at.to_string()).unwrap_or_default(),
            institution: record.request.institution.clone(),
            counter: record.counter.clone(),
            operator: record.operator.clone(),
            transaction: record.request.transaction.clone(),
            attempt: record.request.attempt,
            scene: record.scene.word(),
            holder: of(|entry| entry.holder_masked.clone()),
            document_kind: of(|entry| entry.document_kind.clone()),
            document_number: if whole { of(|entry| entry.document_number.clone()) } else { of(Entry::masked) },
            name: if whole { of(|entry| entry.name.clone()) } else { of(|entry| masked_name(&entry.name)) },
            decision: record.decision.word(),
            reasons: record.reasons.join(" "),
            disposition: record.disposition.word(),
            face_recorded: record.live.is_some() || record.score.is_some(),
            verification: record.id.to_string(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the center cannot be opened, or the store, the file or the output fails.
pub async fn run(command: &ProxiesCommand, dir: &DataDir) -> Result<(), CommandError> {
    let center = Center::open(dir).await.map_err(CommandError::Open)?;
    let now = System.now_ms();
    match command {
        ProxiesCommand::List(args) => {
            let since = args.since.map_or(0, |since| since.time(now));
            let rows = rows(&center, since, args.institution.clone(), args.limit, false).await?;
            let text = if args.json { json(&rows)? } else { text(&rows) };
            out::line(&text).map_err(CommandError::Print)
        }
        ProxiesCommand::Export(args) => {
            let by = args.by.trim();
            if !(1..=64).contains(&by.chars().count()) {
                return Err(CommandError::Name);
            }
            let since = args.since.map_or(0, |since| since.time(now));
            let rows = rows(&center, since, args.institution.clone(), EXPORT_MAX, true).await?;
            let bytes = if args.json { json(&rows)?.into_bytes() } else { csv(&rows)? };
            // Written down first: what was handed out unrecorded cannot be taken back.
            center.store.proxies_exported(by, rows.len() as u64, now).await.map_err(CommandError::Store)?;
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.out);
            file.and_then(|mut file| io::Write::write_all(&mut file, &bytes)).map_err(CommandError::File)?;
            out::line(&format!("{} entries are in {}", rows.len(), args.out.display())).map_err(CommandError::Print)
        }
    }
}

async fn rows(center: &Center, since: i64, institution: Option<String>, limit: u32, whole: bool) -> Result<Vec<Row>, CommandError> {
    let stored = center.store.proxies(since, institution, limit).await.map_err(CommandError::Store)?;
    Ok(stored.iter().map(|stored| Row::new(stored, Entry::open(&center.vault, stored).as_ref(), whole)).collect())
}

fn json(rows: &[Row]) -> Result<String, CommandError> {
    serde_json::to_string_pretty(rows).map_err(|error| CommandError::Rows(Box::new(error)))
}

fn csv(rows: &[Row]) -> Result<Vec<u8>, CommandError> {
    let wrong = |error: csv::Error| CommandError::Rows(Box::new(error));
    // The mark tells spreadsheets that it is UTF-8.
    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    for row in rows {
        writer.serialize(row).map_err(wrong)?;
    }
    writer.into_inner().map_err(|error| CommandError::Rows(Box::new(error.into_error())))
}

fn text(rows: &[Row]) -> String {
    let zone = TimeZone::system();
    let mut table = table(["time", "institution", "transaction", "card", "document", "name", "decision", "disposition"]);
    for row in rows {
        let at = row.recorded_at.parse::<jiff::Timestamp>().map(|at| at.as_millisecond()).unwrap_or_default();
        table.add_row([
            local(at, &zone),
            row.institution.clone(),
            format!("{}/{}", row.transaction, row.attempt),
            row.holder.clone(),
            format!("{} {}", row.document_kind, row.document_number),
            row.name.clone(),
            row.decision.to_owned(),
            row.disposition.to_owned(),
        ]);
    }
    format!("{table}\n{} entries", rows.len())
}
