//! From files of scores (`evaluate verification --scores`) to quantiles: what the simulated city draws from.
//!
//! Aggregates only: quantiles of mated and non-mated scores and how many trials they rest on, no names.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use benches::city::scores::{Distribution, Measured, Pair};
use clap::Parser;
use serde::Deserialize;

#[derive(Parser)]
struct Arguments {
    /// Scores of live captures against references
    #[arg(long, value_name = "CSV")]
    probe_reference: PathBuf,
    /// Where those come from
    #[arg(long, value_name = "TEXT")]
    probe_reference_from: String,
    /// Scores of live captures against live captures of another session
    #[arg(long, value_name = "CSV")]
    probe_probe: PathBuf,
    /// Where those come from
    #[arg(long, value_name = "TEXT")]
    probe_probe_from: String,
    /// Feature model
    #[arg(long)]
    model: String,
    /// Recipe
    #[arg(long)]
    recipe: String,
}

#[derive(Deserialize)]
struct Row {
    label: u8,
    score: Option<f64>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let measured = Measured {
        model: arguments.model,
        recipe: arguments.recipe,
        probe_reference: pair(&arguments.probe_reference, arguments.probe_reference_from)?,
        probe_probe: pair(&arguments.probe_probe, arguments.probe_probe_from)?,
    };
    benches::print(&format!("{}\n", serde_json::to_string(&measured)?))
}

fn pair(path: &PathBuf, from: String) -> Result<Pair> {
    let text = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    let rows: Vec<Row> = csv::Reader::from_reader(text.as_slice()).deserialize().collect::<Result<_, _>>()?;
    let of = |label: u8| {
        let scores: Vec<f64> = rows.iter().filter(|row| row.label == label).filter_map(|row| row.score).collect();
        ensure!(scores.len() >= 100, "{}: expected at least 100 scores with label {label}, got {}", path.display(), scores.len());
        Ok(Distribution::of(scores))
    };
    Ok(Pair { from, mated: of(1)?, nonmated: of(0)? })
}
