//! Whether enrolment keeps all cores busy: `matcher enrol` with all of them, against one photo at a time.
//!
//! Workload: the pictures of `registry-mini` that enrol, each on several cards, through the real command: list,
//! photos, networks, encryption, durable commits. Peer: the same photos from bytes to template, one after the
//! other, in this process, in the same run. The limit is a share of `cores ÷ time of one photo`. Rounds
//! alternate and the medians count, so that a busy machine disturbs both alike. Exits 1 below the limit.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use benches::load::costs;
use clap::Parser;
use datasets::PackPicture;
use models::{FaceRule, pipeline::Pipeline};
use serde_json::Value;
use tests::{process::run, site::Site};

#[derive(Parser)]
struct Arguments {
    /// Cards for each picture in one run of the command; in short runs the start of the networks weighs.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    copies: u32,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Smallest share of the ideal rate.
    #[arg(long, default_value_t = 0.85)]
    share_min: f64,
    /// Write the unit cost that was measured into this file
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let (pipeline, pack) = (benches::pipeline()?, benches::registry_mini()?);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // Also makes the plans for all shapes of picture, which happens on first use.
    let enrols = |picture: &&PackPicture| picture.read().is_ok_and(|photo| enrol(&pipeline, &photo).unwrap_or(false));
    let pictures: Vec<&PackPicture> = pack.pictures.iter().filter(enrols).collect();
    let photos = pictures.iter().map(|picture| Ok(picture.read()?)).collect::<Result<Vec<_>>>()?;
    let (mut single, mut all) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        single.push(time(|| photos.iter().try_for_each(|photo| enrol(&pipeline, photo).map(drop)))? / photos.len() as f64);
        all.push(rate_of_command(&pictures, arguments.copies)?);
    }
    let (single, rate) = (median(&mut single), median(&mut all));
    let share = rate * single / cores as f64;
    benches::print(&format!(
        "matcher enrol, {} cards, {} pictures, {} rounds, medians\n\
         one at a time   {:.1} ms a photo\n\
         {cores} cores         {rate:.1} photos/s\n\
         share of ideal  {share:.2} of {cores} ÷ {:.1} ms (limit {:.2})\n",
        pictures.len() * arguments.copies as usize,
        pictures.len(),
        arguments.rounds,
        single * 1e3,
        single * 1e3,
        arguments.share_min
    ))?;
    if let Some(file) = &arguments.write {
        // What decoding, networks, encryption and commits take together, on all cores.
        let core_ms = cores as f64 * 1e3 / rate;
        costs::write(file, &format!("enrolment_rate --copies {}", arguments.copies), &BTreeMap::from([("enrolment_core_ms", core_ms)]))?;
    }
    Ok(if share >= arguments.share_min { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Photos per second, as the command prints it.
fn rate_of_command(pictures: &[&PackPicture], copies: u32) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let site = Site::new(folder.path())?;
    site.init_center()?;
    let photos = pictures.first().and_then(|picture| picture.path.parent()).context("no pictures")?;
    let mut list = "card,photo\n".to_owned();
    for copy in 0..copies {
        for (number, picture) in pictures.iter().enumerate() {
            let name = picture.path.file_name().context("no file name")?.to_string_lossy();
            list += &format!("B{copy:04}{number:04},{name}\n");
        }
    }
    let manifest = folder.path().join("people.csv");
    fs::write(&manifest, list)?;
    let mut command =
        site.matcher(&["enrol", "--json", "--manifest", &manifest.to_string_lossy(), "--photos", &photos.to_string_lossy()])?;
    let summary: Value = serde_json::from_str(&run(&mut command)?)?;
    summary.get("rows_per_second").and_then(Value::as_f64).context("no rate in the summary")
}

/// Whether a photo enrols.
fn enrol(pipeline: &Pipeline, photo: &[u8]) -> Result<bool> {
    Ok(pipeline.enrol(photo, &FaceRule::default(), &models::quality::reference_gate()).context("a network failed")?.is_ok())
}

fn time(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().max(Duration::from_nanos(1)).as_secs_f64())
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
