//! Whether enrolment keeps all cores busy: photos per second with all of them, against one at a time.
//!
//! Workload: every picture of `registry-mini` from file bytes to template (or refusal), several copies over,
//! one photo per task. Peer: the same work one photo after the other in the same run. The limit is a share of
//! `cores ÷ time of one photo`. Rounds alternate and the medians count, so that a busy machine disturbs both
//! alike. Exits 1 below the limit.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Parser;
use models::{FaceRule, pipeline::Pipeline};
use rayon::prelude::*;

#[derive(Parser)]
struct Arguments {
    /// Copies of the pictures for one round on all cores.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    copies: u32,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Smallest share of the ideal rate.
    #[arg(long, default_value_t = 0.85)]
    share_min: f64,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let (pipeline, pack) = (benches::pipeline()?, benches::registry_mini()?);
    let photos: Vec<Vec<u8>> = pack.pictures.iter().map(datasets::PackPicture::read).collect::<Result<_, _>>()?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(cores).build().context("could not start threads")?;
    let many: Vec<&[u8]> = (0..arguments.copies).flat_map(|_| photos.iter().map(Vec::as_slice)).collect();

    // Plans for all shapes of picture are made on first use.
    photos.iter().try_for_each(|photo| enrol(&pipeline, photo))?;
    let (mut single, mut all) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        single.push(time(|| photos.iter().try_for_each(|photo| enrol(&pipeline, photo)))? / photos.len() as f64);
        all.push(many.len() as f64 / time(|| pool.install(|| many.par_iter().try_for_each(|photo| enrol(&pipeline, photo))))?);
    }
    let (single, rate) = (median(&mut single), median(&mut all));
    let share = rate * single / cores as f64;
    benches::print(&format!(
        "enrolment of registry-mini, {} photos a round, {} rounds\n\
         one at a time   {:.1} ms a photo\n\
         {cores} cores         {rate:.1} photos/s\n\
         share of ideal  {share:.2} of {cores} ÷ {:.1} ms (limit {:.2})\n",
        many.len(),
        arguments.rounds,
        single * 1e3,
        single * 1e3,
        arguments.share_min
    ))?;
    Ok(if share >= arguments.share_min { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn enrol(pipeline: &Pipeline, photo: &[u8]) -> anyhow::Result<()> {
    // A refusal is an answer and costs time like any other.
    pipeline.enrol(photo, &FaceRule::default()).map(|_| ()).context("a network failed")
}

fn time(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().max(Duration::from_nanos(1)).as_secs_f64())
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
