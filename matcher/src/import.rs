//! `matcher enrol`: a library of photos becomes references, on all cores, in batches of one commit each.
//!
//! Every row of the list ends as enrolled, replaced, unchanged or refused with a reason; nothing else can
//! become of it. The store is in order after every commit, so that an import that was stopped, by Ctrl-C or
//! by a power cut, goes on where it was when it is started again: a photo that is enrolled is found by its
//! digest before any network runs. Not here: what an enrolment is (`crate::app::enrol`).

use std::{
    fs, io,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Args;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use models::pipeline::Pipeline;
use thiserror::Error;

use crate::{
    center::Center,
    durable, out,
    store::TimeMs,
    surroundings::{Surroundings, System},
};

mod manifest;
pub(crate) mod photos;
mod progress;
mod run;
mod summary;

pub use manifest::{Encoding, ManifestError};
pub use run::ImportFailure;
pub use summary::{Refused, Summary};

use manifest::Manifest;
use photos::Photos;
use progress::{Progress, say};
use run::Import;

/// Some rows were refused.
const SOME_REFUSED: u8 = 2;
/// Stopped by Ctrl-C, as a shell says it.
const INTERRUPTED: u8 = 130;

/// What to enrol.
#[derive(Debug, Args)]
#[command(after_help = "The list has the columns card and photo, and may have identity_number, region (six digits), further_cards\n\
                        (numbers or region/number, with ; in between), photo_taken_on, valid_from and valid_until\n\
                        (YYYY-MM-DD, the last day included), source (card_photo, document_chip, counter, other) and birth\n\
                        (YYYY or YYYY-MM-DD). Other columns are not read. Start the same command again to go on\n\
                        after a stop: what is enrolled is skipped.\n\n\
                        Exit codes: 0 every row is enrolled, 2 some were refused, 1 failed, 130 stopped by Ctrl-C.")]
pub struct EnrolArgs {
    /// List of persons: a CSV file with a row for each
    #[arg(long, value_name = "CSV")]
    pub manifest: PathBuf,
    /// Folder the list's photos are in
    #[arg(long, value_name = "DIR")]
    pub photos: PathBuf,
    /// How the list's characters are written
    #[arg(long, value_enum, default_value_t)]
    pub encoding: Encoding,
    /// Write the refused rows to this CSV file
    #[arg(long, value_name = "CSV")]
    pub report: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// An import that could not be made.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The list cannot be read.
    #[error("could not read the list {}", .path.display())]
    ReadManifest {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The list is not in order.
    #[error(transparent)]
    Manifest(ManifestError),
    /// The photos' folder cannot be opened.
    #[error("could not open the folder of photos {}", .path.display())]
    Photos {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The import broke off.
    #[error(transparent)]
    Run(ImportFailure),
    /// The report cannot be written.
    #[error("could not write the report {}", .path.display())]
    Report {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The summary cannot be printed.
    #[error("could not print the summary")]
    Print(#[source] io::Error),
}

/// Runs the command.
///
/// # Errors
/// When the list, the folder, the store or the output cannot be used. Refused rows are no error: they are in
/// the summary and in the exit code.
pub async fn run(args: &EnrolArgs, center: &Center, pipeline: &Pipeline) -> Result<ExitCode, ImportError> {
    let bytes = fs::read(&args.manifest).map_err(|source| ImportError::ReadManifest { path: args.manifest.clone(), source })?;
    let manifest = Manifest::read(&bytes, args.encoding, today(System.now_ms())).map_err(ImportError::Manifest)?;
    let photos = Photos::open(&args.photos).map_err(|source| ImportError::Photos { path: args.photos.clone(), source })?;
    if !manifest.unused.is_empty() {
        say(&format!("columns that are not read: {}", manifest.unused.join(", ")));
    }
    let stop = stop_on_ctrl_c();
    let mut progress = Progress::new((manifest.rows.len() + manifest.refused.len()) as u64);
    let import = Import { center: center.clone(), model: pipeline.clone(), surroundings: Arc::new(System), photos };
    let summary = import.run(manifest, &mut progress, stop).await;
    progress.finish();
    conclude(args, &summary.map_err(ImportError::Run)?)
}

fn conclude(args: &EnrolArgs, summary: &Summary) -> Result<ExitCode, ImportError> {
    if let Some(path) = &args.report {
        let written = summary.report().map_err(io::Error::other).and_then(|report| durable::write(path, &report));
        written.map_err(|source| ImportError::Report { path: path.clone(), source })?;
    }
    let text = if args.json { summary.json().map_err(io::Error::other) } else { Ok(summary.table()) };
    text.and_then(|text| out::line(&text)).map_err(ImportError::Print)?;
    if summary.not_reached > 0 {
        say(&format!("stopped; {} rows were not reached. Start the same command again to go on", summary.not_reached));
    }
    Ok(exit_code(summary))
}

fn exit_code(summary: &Summary) -> ExitCode {
    if summary.not_reached > 0 {
        ExitCode::from(INTERRUPTED)
    } else if summary.refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SOME_REFUSED)
    }
}

/// True from the first Ctrl-C on; rows that are begun are finished.
pub(crate) fn stop_on_ctrl_c() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopped.store(true, Ordering::Relaxed);
        }
    });
    stop
}

fn today(now: TimeMs) -> Date {
    let now = Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX);
    now.to_zoned(TimeZone::system()).date()
}

#[cfg(test)]
mod tests;
