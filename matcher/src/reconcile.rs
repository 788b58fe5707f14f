//! `matcher reconcile`: a day's settlements held against the receipts that were issued.
//!
//! The list is read as a stream, a few hundred rows at a time; only which receipt served which settlement is kept in
//! memory. Every row ends as settled on a receipt, waiting for the center's answer, or as a finding with a closed
//! word; a row that cannot be read is a finding too, by line and column. Not here: what a receipt is worth
//! (`matcher_core::receipt`).

mod finding;
mod judge;
mod report;
mod rows;

use std::{io, path::PathBuf, process::ExitCode};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use matcher_core::receipt::ReceiptNumber;
use thiserror::Error;

use crate::{
    app::tampering,
    center::Center,
    config::{Config, ReceiptsConfig},
    data_dir::DataDir,
    import::Encoding,
    keys::KeyError,
    listing::Since,
    out,
    receipt_keys::{ReceiptKeys, load_settlement},
    store::{Store, StoreError, TimeMs, receipts::ReceiptPage},
};

pub use finding::{Finding, FindingKind};
pub use report::Summary;
pub use rows::RowsError;

use judge::Judge;
use rows::{Row, Rows};

/// Rows judged at a time.
const BATCH: usize = 500;
/// Receipts read at a time.
const PAGE: u32 = 1_000;
/// How long before its settlement a receipt may have been issued.
const ISSUED_BEFORE_MS: TimeMs = 15 * 60 * 1000;

/// What to hold against the receipts.
#[derive(Debug, Args)]
#[command(after_help = "The list is a CSV file in UTF-8 or GB18030 with a row for each settlement, and these columns in any order:\n\
                        \x20 settlement           its name at the institution\n\
                        \x20 institution          the institution\n\
                        \x20 transaction          what was verified: the transaction, or the visit\n\
                        \x20 card                 the card it was charged to\n\
                        \x20 amount               in yuan, with at most two decimals\n\
                        \x20 settled_at           2026-01-31T08:00:00+08:00, or 2026-01-31 08:00:00 in this machine's time zone\n\
                        \x20 receipt              the receipt or its number; empty where there was none\n\
                        and it may have\n\
                        \x20 scene                settlement where it is missing or empty\n\
                        \x20 id_kind, region      of the card: social_security_card and none where they are missing or empty\n\
                        \x20 document_checked_by  the operator who looked at the patient's document\n\
                        Other columns are not read.\n\n\
                        Exit codes: 0 nothing was found, 1 something was, or the command failed.")]
pub struct ReconcileArgs {
    /// List of settlements
    #[arg(long, value_name = "CSV")]
    pub settlements: PathBuf,
    /// How the list's characters are written
    #[arg(long, value_enum, default_value_t)]
    pub encoding: Encoding,
    /// Look for receipts that no settlement used from this time on; a quarter of an hour before the first settlement without it
    #[arg(long, value_name = "TIME")]
    pub from: Option<Since>,
    /// Look for receipts that no settlement used before this time; until the last settlement without it
    #[arg(long, value_name = "TIME")]
    pub until: Option<Since>,
    /// How long a receipt may stay provisional, in hours (1 to 720)
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
    pub provisional_hours: u32,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

/// A reconciliation that could not be made.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The list cannot be read.
    #[error("could not read the list {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The list is not in order.
    #[error(transparent)]
    Rows(RowsError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(KeyError),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs the command.
///
/// # Errors
/// When the list, a key, the store or the output cannot be used. Findings are no error: they are in the report and in
/// the exit code.
pub async fn run(args: &ReconcileArgs, dir: &DataDir, config: &Config, center: &Center, now: TimeMs) -> Result<ExitCode, ReconcileError> {
    let store = center.store.as_ref();
    let summary = reconcile(args, dir, &config.receipts, store, now).await?;
    let devices = store.heard_devices().await.map_err(ReconcileError::Store)?;
    // How long anything may wait in a spool does not matter here.
    let rule = config.tampering.rule(i64::MAX);
    tampering::flag_silence(store, &devices, &summary.settled_at, now, &rule).await.map_err(ReconcileError::Store)?;
    let text = if args.json { summary.json().map_err(io::Error::other) } else { Ok(summary.text()) };
    text.and_then(|text| out::line(&text)).map_err(ReconcileError::Print)?;
    Ok(if summary.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn reconcile(
    args: &ReconcileArgs,
    dir: &DataDir,
    config: &ReceiptsConfig,
    store: &dyn Store,
    now: TimeMs,
) -> Result<Summary, ReconcileError> {
    let keys = ReceiptKeys::load(dir, config).map_err(ReconcileError::Key)?;
    let settlement_key = load_settlement(dir).map_err(ReconcileError::Key)?;
    let unreadable = |source| ReconcileError::Read { path: args.settlements.clone(), source };
    let mut rows = Rows::open(&args.settlements, args.encoding).map_err(|error| match error {
        rows::OpenError::Read(source) => unreadable(source),
        rows::OpenError::Rows(error) => ReconcileError::Rows(error),
    })?;
    let provisional_ms = TimeMs::from(args.provisional_hours) * 3_600_000;
    let mut judge = Judge::new(store, config, &keys, settlement_key, now - provisional_ms).await.map_err(ReconcileError::Store)?;
    let progress = bar(rows.len_bytes());
    loop {
        let batch: Vec<Result<Row, Box<Finding>>> = rows.by_ref().take(BATCH).collect::<Result<_, _>>().map_err(ReconcileError::Rows)?;
        if batch.is_empty() {
            break;
        }
        judge.batch(batch).await.map_err(ReconcileError::Store)?;
        progress.set_position(rows.at_byte());
    }
    progress.finish_and_clear();
    let (first, last) = judge.times();
    let from = args.from.map(|from| at(from, now)).or(first.map(|first| first - ISSUED_BEFORE_MS));
    let until = args.until.map(|until| at(until, now)).or(last);
    if let (Some(from), Some(until)) = (from, until) {
        unused(&mut judge, store, from, until).await.map_err(ReconcileError::Store)?;
    }
    Ok(judge.finish())
}

/// Looks for receipts of a time that no settlement used.
async fn unused(judge: &mut Judge<'_>, store: &dyn Store, from: TimeMs, until: TimeMs) -> Result<(), StoreError> {
    let mut after: Option<(TimeMs, ReceiptNumber)> = None;
    loop {
        let page = store.receipts_issued(ReceiptPage { from, until, after, limit: PAGE }).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.receipt.issued_at, last.receipt.number));
        page.iter().for_each(|stored| judge.issued(stored));
    }
}

fn at(since: Since, now: TimeMs) -> TimeMs {
    match since {
        Since::Ago(ms) => now.saturating_sub(ms),
        Since::At(at) => at,
    }
}

/// A bar over the bytes of the list; it draws itself only where somebody watches.
fn bar(len: u64) -> ProgressBar {
    let bar = ProgressBar::new(len);
    match ProgressStyle::with_template("{bar:30} {percent} % · {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests;
