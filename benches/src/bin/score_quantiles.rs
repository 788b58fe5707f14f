//! From files of scores (`evaluate verification --scores`) to quantiles, which the simulated city draws from, or to
//! the evidence table that a center adds up with, or the table of false match rates that its searches rest on.
//!
//! Aggregates only: quantiles or ratios, and how many trials they rest on, no names.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use benches::city::scores::{Distribution, Measured, Pair};
use clap::Parser;
use matcher_core::{
    evidence::{EvidenceFile, file::CalibrationFile},
    identification::{FmrTable, FmrTableFile},
    policy::thresholds::ERRORS_MIN,
};
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
    /// Write a table of false match rates (TOML) instead, from all scores of two people; whose faces they are of: local or
    /// public
    #[arg(long, value_name = "SOURCE", conflicts_with = "evidence")]
    false_matches: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    label: u8,
    score: Option<f64>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (photo, live) = (read(&arguments.probe_reference)?, read(&arguments.probe_probe)?);
    if let Some(source) = arguments.false_matches {
        let [[_, photo], [_, live]] = [photo, live];
        let file = false_matches([photo, live].concat(), arguments.model, arguments.recipe, source);
        let _: FmrTable = file.check()?;
        let text = toml::to_string(&BTreeMap::from([("false_matches", [file])]))?;
        return benches::print(&text);
    }
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

/// How many comparisons reach the scores that thirty of them reach, a hundred, three hundred and so on.
fn false_matches(mut scores: Vec<f64>, model: String, recipe: String, source: String) -> FmrTableFile {
    scores.sort_by(|a, b| b.total_cmp(a));
    let mut points: Vec<(f32, u64)> = Vec::new();
    let mut wanted = ERRORS_MIN as usize;
    while let Some(score) = scores.get(wanted - 1) {
        // Rounded up, so that no more reach it than are said to.
        let score = ((score * 1e4).ceil() / 1e4) as f32;
        let reached = scores.partition_point(|other| *other >= f64::from(score)) as u64;
        if points.last().is_none_or(|(last, _)| score < *last) {
            points.push((score, reached));
        }
        wanted = wanted * 10 / 3;
    }
    points.reverse();
    FmrTableFile { model, recipe, source, nonmated: scores.len() as u64, points }
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
