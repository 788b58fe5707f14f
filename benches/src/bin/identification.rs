//! Searching many templates: recall, time and memory of the index against comparing with all, and against its engine alone.
//!
//! Workload: real features enlarged by noise of the shape and size it has between two pictures of one person
//! (`benches::enlarge`). Every probe is another picture of somebody in the index. Exact: the engine's flat index over single
//! precision numbers. Ours: the index as the center uses it, ten candidates compared again with the half-precision
//! templates. The engine alone: the very same inverted file, searched without our layer. All in one process, one after the
//! other, three rounds in turns, medians. Exits 1 where a limit is not kept.

use std::{collections::BTreeMap, fs::File, io::Write, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, Result, bail};
use benches::{
    enlarge::{Real, dot},
    load::costs,
};
use clap::Parser;
use faiss::{
    ConcurrentIndex, Index,
    index::{flat::FlatIndexImpl, io::read_index},
};
use matcher_index::{Entry, FaceIndex, Features, Settings};
use rayon::prelude::*;

/// Candidates that are compared again.
const CANDIDATES: usize = 10;
const ROUNDS: usize = 3;

#[derive(Parser)]
struct Arguments {
    /// Templates in the index
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(20_000..=20_000_000))]
    templates: u64,
    /// 200,000 templates
    #[arg(long, conflicts_with = "templates")]
    fast: bool,
    /// A folder of pictures, one folder for each person in it, beside `registry-mini`; may be given several times
    #[arg(long, value_name = "DIR")]
    pictures: Vec<PathBuf>,
    /// Pictures of those folders at most
    #[arg(long, default_value_t = 1_000)]
    pictures_max: usize,
    /// Probes that are searched one by one, and together
    #[arg(long, default_value_t = 1_000)]
    probes: u64,
    /// Share of searches that must find whom an exact one finds
    #[arg(long, default_value_t = 0.99)]
    recall: f64,
    /// The score from which the index is tuned to find: nobody below it is reported
    #[arg(long, default_value_t = 0.6)]
    recall_above: f32,
    /// Write the unit costs that were measured into this file
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let count = if arguments.fast { 200_000 } else { arguments.templates };
    let real = Real::extract(&arguments.pictures, arguments.pictures_max)?;
    let (templates, pairs) = real.counts();
    say(&format!(
        "{templates} real templates, {pairs} pairs of one person (cosine: 5 % below {:.2}, half below {:.2}); threads {:?} (OpenMP, OpenBLAS)",
        real.quantile(0.05),
        real.quantile(0.5),
        matcher_index::machine::threads(),
    ))?;
    let settings = Settings {
        dimension: real.dimension,
        expected: usize::try_from(count)?,
        exact_max: 20_000,
        bytes_max: 64 << 30,
        recall: arguments.recall,
        recall_above: arguments.recall_above,
    };
    let before = resident()?;
    let (mut index, seconds) = build(&real, count, settings)?;
    // As the center does it: with other probes than those that are measured.
    let started = Instant::now();
    index.tune_with(&checked(&probes(&real, count, 256, 7_777_777), real.dimension)?)?;
    let seconds = seconds + started.elapsed().as_secs_f64();
    let memory = (resident()?.saturating_sub(before)) as f64 / count as f64;
    let (lists, looks_into) = index.lists().context("the index is exact: expected more templates")?;
    say(&format!(
        "{count} templates in {seconds:.0} s; {looks_into} of {lists} lists looked into; {:.0} bytes a template ({memory:.0} resident)",
        index.bytes() as f64 / count as f64
    ))?;
    if let Some(file) = &arguments.write {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let values = BTreeMap::from([
            ("index_core_ms", seconds * 1e3 * cores as f64 / count as f64),
            ("index_bytes", (index.bytes() as f64 / count as f64).ceil()),
        ]);
        costs::write(file, &format!("identification --templates {count}"), &values)?;
    }
    let mut flat = FlatIndexImpl::new_ip(u32::try_from(real.dimension)?)?;
    for first in (0..count).step_by(50_000) {
        flat.add(&rows(&real, first, 50_000.min(count - first)).concat())?;
    }
    let probes = probes(&real, count, arguments.probes, 0);
    compare(&real, &mut index, &flat, &probes, &arguments)
}

fn say(line: &str) -> Result<()> {
    benches::print(&format!("{line}\n"))
}

fn rows(real: &Real, first: u64, count: u64) -> Vec<Vec<f32>> {
    (first..first + count).into_par_iter().map(|number| real.template(number)).collect()
}

/// Another picture of people in the index, evenly.
fn probes(real: &Real, count: u64, wanted: u64, seed: u64) -> Vec<Vec<f32>> {
    let changed = |template: &[f32], probe: u64| real.changed(template, &mut fastrand::Rng::with_seed((seed + probe) * 2 + 1));
    let of = |probe: u64| changed(&real.template((probe * (count / wanted) + seed) % count), probe);
    (0..wanted).into_par_iter().map(of).collect()
}

fn checked(rows: &[Vec<f32>], dimension: usize) -> Result<Features> {
    let mut features = Features::new(dimension)?;
    rows.iter().try_for_each(|row| features.push(row))?;
    Ok(features)
}

fn entry(number: u64) -> Entry {
    let record = (u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64) | u128::from(number + 1);
    Entry { subject: u128::from(number).to_be_bytes(), record: record.to_be_bytes(), scope: 0 }
}

fn build(real: &Real, count: u64, settings: Settings) -> Result<(FaceIndex, f64)> {
    let mut index = FaceIndex::new(settings)?;
    let mut seconds = 0.0;
    for first in (0..count).step_by(4_096) {
        let rows = rows(real, first, 4_096.min(count - first));
        let entries: Vec<Entry> = (first..).take(rows.len()).map(entry).collect();
        let started = Instant::now();
        index.add(&checked(&rows, settings.dimension)?, &entries)?;
        seconds += started.elapsed().as_secs_f64();
    }
    let started = Instant::now();
    index.compact()?;
    Ok((index, seconds + started.elapsed().as_secs_f64()))
}

/// Bytes of memory this process has in use.
fn resident() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Milliseconds a probe, one by one and all together.
#[derive(Debug, Default)]
struct Times {
    single: Vec<f64>,
    together: Vec<f64>,
}

impl Times {
    fn take(&mut self, probes: &[Vec<f32>], mut search: impl FnMut(&[Vec<f32>]) -> Result<()>) -> Result<()> {
        let few = probes.get(..200.min(probes.len())).unwrap_or(probes);
        let started = Instant::now();
        few.iter().try_for_each(|probe| search(std::slice::from_ref(probe)))?;
        self.single.push(started.elapsed().as_secs_f64() * 1e3 / few.len() as f64);
        let started = Instant::now();
        search(probes)?;
        self.together.push(started.elapsed().as_secs_f64() * 1e3 / probes.len() as f64);
        Ok(())
    }

    fn medians(&self) -> [f64; 2] {
        [benches::median(&self.single), benches::median(&self.together)]
    }
}

fn compare(real: &Real, index: &mut FaceIndex, flat: &FlatIndexImpl, probes: &[Vec<f32>], arguments: &Arguments) -> Result<ExitCode> {
    let dimension = real.dimension;
    let (_, looks_into) = index.lists().context("the index is exact")?;
    let engine = {
        let file = tempfile::Builder::new().tempfile_in("/dev/shm")?;
        write_engine(index, file.as_file())?;
        let mut engine = read_index(file.path().to_string_lossy())?.into_ivf_scalar_quantizer()?;
        engine.set_nprobe(looks_into);
        engine
    };
    let mut engine = engine;
    let (mut exact, mut ours, mut alone, mut rescored) = (Times::default(), Times::default(), Times::default(), Times::default());
    let mut truth: Vec<(Option<u64>, f32)> = Vec::new();
    let mut found = Vec::new();
    for _ in 0..ROUNDS {
        exact.take(probes, |probes| {
            let first = flat.search(&probes.concat(), 1)?;
            truth = first.labels.iter().map(|label| label.get()).zip(first.distances).collect();
            Ok(())
        })?;
        // In turns probe by probe, so that a busy machine disturbs both alike.
        let (mut through, mut beside) = (0.0, 0.0);
        let few = probes.get(..200.min(probes.len())).unwrap_or(probes);
        for probe in few {
            through +=
                milliseconds(|| index.search(&checked(std::slice::from_ref(probe), dimension)?, CANDIDATES).map(drop).map_err(Into::into))?;
            beside += milliseconds(|| engine.search(probe, CANDIDATES).map(drop).map_err(Into::into))?;
        }
        ours.single.push(through / few.len() as f64);
        alone.single.push(beside / few.len() as f64);
        let each = probes.len() as f64;
        ours.together.push(milliseconds(|| index.search(&checked(probes, dimension)?, CANDIDATES).map(drop).map_err(Into::into))? / each);
        alone.together.push(milliseconds(|| engine.search(&probes.concat(), CANDIDATES).map(drop).map_err(Into::into))? / each);
        rescored.take(probes, |probes| {
            found = best(index, flat, probes, dimension)?;
            Ok(())
        })?;
    }
    let recalled = recalled(index.len(), &truth, &found, arguments.recall_above)?;
    let [exact, ours, alone, rescored] = [exact, ours, alone, rescored].map(|times| times.medians());
    for (how, at) in [("one by one", 0), ("together", 1)] {
        let of = |times: [f64; 2]| times.get(at).copied().unwrap_or_default();
        say(&format!(
            "{how}: exact {:.3} ms, index {:.3} ms, compared again {:.3} ms ({:.3} of exact); through our layer {:.3} of the engine alone",
            of(exact),
            of(ours),
            of(rescored),
            of(rescored) / of(exact),
            of(ours) / of(alone)
        ))?;
    }
    let bytes = index.bytes() as f64 / index.len() as f64;
    let kept = [
        ("mates found first, of those an exact search finds", recalled, recalled >= arguments.recall, "at least 0.99"),
        ("time of exact, one by one", rescored[0] / exact[0], rescored[0] <= 0.1 * exact[0], "at most 0.10"),
        ("bytes a template", bytes, bytes <= 600.0, "at most 600"),
        ("through our layer, one by one", ours[0] / alone[0], ours[0] <= 1.15 * alone[0], "at most 1.15"),
    ];
    for (what, figure, kept, limit) in kept {
        say(&format!("{what}: {figure:.3} ({limit}{})", if kept { "" } else { ": not kept" }))?;
    }
    Ok(if kept.iter().all(|(_, _, kept, _)| *kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Who is first among the candidates, compared again exactly; templates come from the flat index in the place of a store.
fn best(index: &mut FaceIndex, flat: &FlatIndexImpl, probes: &[Vec<f32>], dimension: usize) -> Result<Vec<Option<u64>>> {
    let all = flat.xb();
    let found = index.search(&checked(probes, dimension)?, CANDIDATES)?;
    let best = |(probe, candidates): (&Vec<f32>, Vec<matcher_index::Candidate>)| {
        let number = |entry: &Entry| u128::from_be_bytes(entry.subject) as usize;
        let score = |at: usize| all.get(at * dimension..(at + 1) * dimension).map_or(-1.0, |row| dot(probe, row));
        let scored = candidates.iter().map(|candidate| (score(number(&candidate.entry)), number(&candidate.entry) as u64));
        scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, number)| number)
    };
    Ok(probes.iter().zip(found).map(best).collect())
}

/// The engine's own part of a saved index, behind header and table.
fn write_engine(index: &FaceIndex, mut to: &File) -> Result<()> {
    let mut bytes = Vec::new();
    index.save(&mut bytes)?;
    let Some(engine) = bytes.get(FaceIndex::saved_head_len(index.len())..) else { bail!("the saved index is too short") };
    to.write_all(engine).context("could not write the engine's form")
}

/// Says who is first in which searches; gives how many mates are first, as a share of those that an exact search finds.
fn recalled(templates: usize, truth: &[(Option<u64>, f32)], found: &[Option<u64>], least: f32) -> Result<f64> {
    let mate = |probe: usize| Some(probe as u64 * (templates as u64 / truth.len() as u64));
    let of_exact = truth.iter().enumerate().filter(|(probe, (first, _))| *first == mate(*probe)).count();
    let of_ours = found.iter().enumerate().filter(|(probe, first)| **first == mate(*probe)).count();
    let agree = |least: f32| {
        let reported = || truth.iter().zip(found).filter(move |((_, score), _)| *score >= least);
        (reported().filter(|((first, _), found)| first == *found).count(), reported().count())
    };
    let ((same, all), (same_above, above)) = (agree(-1.0), agree(least));
    say(&format!(
        "the mate is first in {of_exact} exact searches of {all}, in {of_ours} of ours; the same is first in {same} of {all}, in \
         {same_above} of the {above} with a score from {} on",
        least
    ))?;
    Ok(of_ours as f64 / of_exact.max(1) as f64)
}

fn milliseconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}
