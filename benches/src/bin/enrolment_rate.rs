//! Whether enrolment keeps all cores busy: photos per second with all of them, against one at a time.
//!
//! Workload: every picture of `registry-mini` from file bytes to template (or refusal), several copies over,
//! one photo per task. Peer: the same work one photo after the other in the same run. The limit is a share of
//! `cores ÷ time of one photo`. Rounds alternate and their sums count. Exits 1 below the limit.
//!
//! Other programs that take processor time spoil a ratio of wall times. Where the system tells (Linux), their
//! part is stated, and when it is more than a twentieth the share is computed from processor time instead:
//! `processor time of a photo alone ÷ among others × the part of the machine that was not idle`, which on a
//! quiet machine is the same number.

use std::{fs, process::ExitCode, thread, time::Instant};

use anyhow::Context;
use clap::Parser;
use models::{FaceRule, pipeline::Pipeline};
use rayon::prelude::*;

/// Part of the machine that others may take before wall time says nothing.
const OTHERS_MAX: f64 = 0.05;

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

/// What rounds of one kind took, summed.
#[derive(Default)]
struct Spent {
    photos: f64,
    seconds: f64,
    ticks: Ticks,
}

/// Processor time in the system's clock ticks.
#[derive(Default, Clone, Copy)]
struct Ticks {
    own: f64,
    idle: f64,
    all: f64,
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
    let (mut single, mut all) = (Spent::default(), Spent::default());
    for _ in 0..arguments.rounds {
        single.add(photos.len(), || photos.iter().try_for_each(|photo| enrol(&pipeline, photo)))?;
        all.add(many.len(), || pool.install(|| many.par_iter().try_for_each(|photo| enrol(&pipeline, photo))))?;
    }
    let share = report(&single, &all, cores, arguments.share_min)?;
    Ok(if share >= arguments.share_min { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the figures and returns the share that counts.
fn report(single: &Spent, all: &Spent, cores: usize, share_min: f64) -> anyhow::Result<f64> {
    let (one, rate) = (single.seconds / single.photos, all.photos / all.seconds);
    let by_wall = rate * one / cores as f64;
    benches::print(&format!(
        "enrolment of registry-mini\n\
         one at a time        {:.1} ms a photo ({:.0} photos)\n\
         {cores} cores              {rate:.1} photos/s ({:.0} photos)\n\
         share by wall time   {by_wall:.2} of {cores} ÷ {:.1} ms (limit {share_min})\n",
        one * 1e3,
        single.photos,
        all.photos,
        one * 1e3,
    ))?;
    let others = single.ticks.others().max(all.ticks.others());
    if others <= OTHERS_MAX {
        return Ok(by_wall);
    }
    let alone = single.ticks.own / single.photos;
    let among = all.ticks.own / all.photos;
    let busy = 1.0 - all.ticks.idle / all.ticks.all;
    let share = alone / among * busy;
    benches::print(&format!(
        "other programs took {:.0} % of the processors, so wall time says little\n\
         share by processor time {share:.2}: a photo took {:.2} times as much as alone, {:.0} % of the machine was busy\n",
        others * 100.0,
        among / alone,
        busy * 100.0
    ))?;
    Ok(share)
}

fn enrol(pipeline: &Pipeline, photo: &[u8]) -> anyhow::Result<()> {
    // A refusal is an answer and costs time like any other.
    pipeline.enrol(photo, &FaceRule::default()).map(|_| ()).context("a network failed")
}

impl Spent {
    fn add(&mut self, photos: usize, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let (before, started) = (Ticks::now(), Instant::now());
        work()?;
        self.seconds += started.elapsed().as_secs_f64();
        self.photos += photos as f64;
        if let (Some(before), Some(after)) = (before, Ticks::now()) {
            self.ticks.own += after.own - before.own;
            self.ticks.idle += after.idle - before.idle;
            self.ticks.all += after.all - before.all;
        }
        Ok(())
    }
}

impl Ticks {
    /// Where the system does not tell, nothing is known of others.
    fn now() -> Option<Self> {
        // "cpu  user nice system idle iowait irq softirq steal guest guest_nice"; guests are counted in user.
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let fields: Vec<f64> = machine.lines().next()?.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
        // After "pid (name) ": state is field 3, user and system time fields 14 and 15.
        let process = fs::read_to_string("/proc/self/stat").ok()?;
        let mut times = process.rsplit_once(") ")?.1.split_whitespace().skip(11);
        let own = times.next()?.parse::<f64>().ok()? + times.next()?.parse::<f64>().ok()?;
        Some(Self { own, idle: fields.get(3)? + fields.get(4)?, all: fields.iter().sum() })
    }

    /// Part of the machine that other programs had.
    fn others(&self) -> f64 {
        if self.all > 0.0 { ((self.all - self.idle - self.own) / self.all).max(0.0) } else { 0.0 }
    }
}
