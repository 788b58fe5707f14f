//! The simulated city: evidence beside plain thresholding at the same desk. Exits 1 when a limit is missed.

use std::process::ExitCode;

use anyhow::{Context, Result};
use benches::city::{Assumptions, Report, captures::Scores, run, scores::Measured};
use clap::Parser;
use rayon::prelude::*;

/// Simulate a city and see whether the desk reads the right cases.
///
/// Exit codes: 0 the limits are reached; 1 they are missed, or it could not be run; 2 wrong arguments.
#[derive(Parser)]
struct Arguments {
    /// Cities, each of its own seed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// First seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// People
    #[arg(long, default_value_t = Assumptions::default().people, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    people: u32,
    /// Change an assumption, such as fnmr_photo=0.25; may be given several times. All are printed with their names
    #[arg(long, value_name = "NAME=VALUE")]
    assume: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let measured = Measured::shipped().context("the measured scores")?;
    let assumptions = Assumptions { people: arguments.people, ..Assumptions::default() }.with(&arguments.assume)?;
    let seeds: Vec<u64> = (arguments.seed..arguments.seed.saturating_add(arguments.seeds)).collect();
    let outcomes = seeds.par_iter().map(|seed| run(&measured, &assumptions, *seed)).collect::<Result<Vec<_>>>()?;
    let lowered = Scores::new(&measured, &assumptions, 0).lowered(&measured);
    let report = Report::new(measured, assumptions, lowered, outcomes);
    benches::print(&if arguments.json { format!("{:#}\n", report.json()) } else { report.text() })?;
    Ok(if report.reached() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
