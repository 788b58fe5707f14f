//! How fast the review console answers with a city in its store. Exits 1 when a page is beyond a limit.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use benches::console::{
    fill::Size,
    run::{Plan, measure},
};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Fill a center with made-up verifications, flags and cases, sign in to its console and read every page.
///
/// Exit codes: 0 all pages are within the limits; 1 one is not, or it could not be run; 2 wrong arguments.
#[derive(Debug, Parser)]
struct Arguments {
    /// Verifications
    #[arg(long, default_value_t = 1_000_000)]
    verifications: usize,
    /// Flags
    #[arg(long, default_value_t = 100_000)]
    flags: usize,
    /// Cases
    #[arg(long, default_value_t = 100_000)]
    cases: usize,
    /// Institutions
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u16).range(1..=9_999))]
    institutions: u16,
    /// Reads of each page, in turns with the empty page
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Where the store is: "sqlite", "postgres" for a server of this run's own, or the address of an empty PostgreSQL database
    #[arg(long, default_value = "sqlite")]
    store: String,
    /// Longest 95th percentile of a page, in milliseconds
    #[arg(long, default_value_t = 150.0)]
    p95_max_ms: f64,
    /// Most that a page's 95th percentile may be of the empty page's
    #[arg(long, default_value_t = 10.0)]
    ratio_max: f64,
    /// Most that the share of a known-answer case's longer reads may be away from a half
    #[arg(long, default_value_t = 0.1)]
    apart_max: f64,
    /// Folder of the center; without it a new one that is removed
    #[arg(long)]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    ensure!(arguments.cases * 3 <= arguments.verifications, "verifications: expected three for each case");
    ensure!(arguments.cases >= 200, "cases: expected at least 200");
    let folder = tempfile::tempdir()?;
    let root = arguments.data.clone().unwrap_or_else(|| folder.path().to_owned());
    std::fs::create_dir_all(&root)?;
    let (verifications, flags, cases) = (arguments.verifications, arguments.flags, arguments.cases);
    let size = Size { verifications, flags, cases, institutions: arguments.institutions.into() };
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg}")?);
    let plan = Plan { size, rounds: arguments.rounds, store: arguments.store.clone() };
    let report = measure(&plan, &root, |what| {
        bar.set_message(what.to_owned());
        bar.tick();
    })
    .await?;
    bar.finish_and_clear();
    benches::print(&if arguments.json { format!("{}\n", serde_json::to_string_pretty(&report)?) } else { report.text() })?;
    let within = report.within(arguments.p95_max_ms, arguments.ratio_max, arguments.apart_max);
    Ok(if within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
