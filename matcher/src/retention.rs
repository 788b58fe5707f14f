//! `matcher retention`: delete what is over now, see what would be, and what was.

use std::{io, sync::Arc, time::Duration};

use clap::Subcommand;
use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::{
    app::retention::{Retainer, RetentionError},
    center::{Center, OpenError},
    config::Config,
    data_dir::DataDir,
    listing::json::utc,
    out,
    store::{StoreError, retention::RetentionRun, subjects::Count},
    surroundings::System,
};

/// What can be done about retention.
#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// Delete what is over, by the times in [retention] of matcher.toml
    Run {
        /// Only count what would be deleted
        #[arg(long)]
        dry_run: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the latest runs and what they deleted
    Report {
        /// At most so many runs
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
}

/// A command that could not be carried out.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The run could not be made.
    #[error(transparent)]
    Run(RetentionError),
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
/// When another run is under way, or the store or the output fails.
pub async fn run(command: &RetentionCommand, dir: &DataDir, config: &Config) -> Result<(), CommandError> {
    let center = Center::open(dir).await.map_err(CommandError::Open)?;
    let text = match command {
        RetentionCommand::Run { dry_run, json } => {
            let every = Duration::ZERO;
            let retainer = Retainer { center, surroundings: Arc::new(System), rule: config.retention.rule(), every };
            let counts = if *dry_run { retainer.dry_run().await } else { retainer.run_now().await };
            let counts = counts.map_err(CommandError::Run)?;
            if *json {
                format!("{:#}", object(&counts))
            } else {
                counts_table(&counts, if *dry_run { "would be deleted" } else { "deleted" })
            }
        }
        RetentionCommand::Report { limit, json } => {
            let runs = center.store.retention_runs(*limit).await.map_err(CommandError::Store)?;
            if *json { format!("{:#}", Value::from(runs.iter().map(run_json).collect::<Vec<_>>())) } else { runs_table(&runs) }
        }
    };
    out::line(&text).map_err(CommandError::Print)
}

fn object(counts: &[Count]) -> Value {
    Value::Object(counts.iter().map(|(kind, rows)| (kind.clone(), (*rows).into())).collect::<Map<_, _>>())
}

fn run_json(run: &RetentionRun) -> Value {
    json!({ "run": run.id.to_string(), "started_at": utc(run.started_at), "finished_at": run.finished_at.map(utc), "deleted": object(&run.counts) })
}

fn counts_table(counts: &[Count], what: &str) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["kind", what]);
    for (kind, rows) in counts {
        table.add_row([Cell::new(kind), Cell::new(rows).set_alignment(CellAlignment::Right)]);
    }
    table.to_string()
}

fn runs_table(runs: &[RetentionRun]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["started", "finished", "deleted"]);
    for run in runs {
        let deleted: Vec<String> = run.counts.iter().filter(|(_, rows)| *rows > 0).map(|(kind, rows)| format!("{kind} {rows}")).collect();
        let deleted = if deleted.is_empty() { "nothing".to_owned() } else { deleted.join(", ") };
        table.add_row([utc(run.started_at), run.finished_at.map_or_else(|| "–".to_owned(), utc), deleted]);
    }
    table.to_string()
}
