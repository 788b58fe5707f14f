//! From files of scores (`evaluate verification --scores`) to quantiles, which the simulated city draws from, or to
//! the evidence table that a center adds up with.
//!
//! Aggregates only: quantiles or ratios, and how many trials they rest on, no names.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use benches::city::scores::{Distribution, Measured, Pair};
use clap::Parser;
use matcher_core::evidence::{EvidenceFile, file::CalibrationFile};
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
    /// Write an evidence table (TOML) instead; visits are taken for one face at the score this share of captures of two
    /// people reach
    #[arg(long, value_name = "FMR")]
    evidence: Option<f64>,
}

#[derive(Deserialize)]
struct Row {
    label: u8,
    score: Option<f64>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (photo, live) = (read(&arguments.probe_reference)?, read(&arguments.probe_probe)?);
    let Some(fmr) = arguments.evidence else {
        let [probe_reference, probe_probe] = [(arguments.probe_reference_from, photo), (arguments.probe_probe_from, live)].map(pair);
        let measured = Measured { model: arguments.model, recipe: arguments.recipe, probe_reference, probe_probe };
        return benches::print(&format!("{}\n", serde_json::to_string(&measured)?));
    };
    let calibration = |[mated, nonmated]: &[Vec<f64>; 2]| {
        let single = |scores: &[f64]| scores.iter().map(|score| *score as f32).collect::<Vec<_>>();
        CalibrationFile::from_scores(&single(mated), &single(nonmated))
    };
    let [probe_reference, probe_probe] = [calibration(&photo)?, calibration(&live)?];
    let [_, nonmated] = live;
    let same_face_at_least = (Distribution::of(nonmated).quantile(1.0 - fmr) * 1e4).ceil() / 1e4;
    let same_face_at_least = same_face_at_least as f32;
    let file = EvidenceFile { model: arguments.model, recipe: arguments.recipe, same_face_at_least, probe_reference, probe_probe };
    file.check()?;
    benches::print(&toml::to_string(&file)?)
}

fn pair((from, [mated, nonmated]): (String, [Vec<f64>; 2])) -> Pair {
    Pair { from, mated: Distribution::of(mated), nonmated: Distribution::of(nonmated) }
}

/// Scores of one person and of two.
fn read(path: &PathBuf) -> Result<[Vec<f64>; 2]> {
    let text = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    let rows: Vec<Row> = csv::Reader::from_reader(text.as_slice()).deserialize().collect::<Result<_, _>>()?;
    let of = |label: u8| {
        let scores: Vec<f64> = rows.iter().filter(|row| row.label == label).filter_map(|row| row.score).collect();
        ensure!(scores.len() >= 100, "{}: expected at least 100 scores with label {label}, got {}", path.display(), scores.len());
        Ok(scores)
    };
    Ok([of(1)?, of(0)?])
}
