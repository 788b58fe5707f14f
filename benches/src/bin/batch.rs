//! Comparing many captures again, on PostgreSQL with two workers, beside the plainest queue and dot product on the same
//! database. Exits 1 when it does less than a stated share.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Context, Result, ensure};
use benches::{
    batch::{CHUNK, connect, fill, policy_key, raw_worker},
    load::{
        center::{Kept, Place},
        costs,
        machine::Machine,
        people::MadeBy,
    },
};
use clap::Parser;
use matcher::{
    app::recompare::{Asked, Recomparer},
    data_dir::DataDir,
    policy::history::History,
    surroundings::{Surroundings, System},
};
use matcher_core::{JobKind, RetryRule};
use serde::Serialize;
use tokio::task::JoinSet;

/// As the matcher has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Compare captures again, beside the plainest loop.
///
/// Exit codes: 0 the share is reached; 1 it is missed, or it could not be run; 2 wrong arguments.
#[derive(Debug, Parser)]
struct Arguments {
    /// People enrolled
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    people: u64,
    /// Captures compared
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    captures: u64,
    /// Workers of each
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Rounds of each, in turns; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Least share of the plain loop's rate
    #[arg(long, default_value_t = 0.7)]
    ratio_min: f64,
    /// Let the captures be a small part of all, as a night's are: chunks are then cut by time, and not by persons
    #[arg(long)]
    by_time: bool,
    /// Write the unit cost that was measured into this file
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    people: u64,
    captures: u64,
    workers: u16,
    by_time: bool,
    /// Captures a second, by round.
    plain: Vec<f64>,
    /// Captures a second, by round.
    job: Vec<f64>,
    /// Median of the rounds' ratios.
    ratio: f64,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let report = tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(&arguments))?;
    let Report { machine, people, captures, workers, by_time, plain, job, ratio } = &report;
    let text = if arguments.json {
        format!("{}\n", serde_json::to_string_pretty(&report)?)
    } else {
        let rates = |rates: &[f64]| rates.iter().map(|rate| format!("{rate:.0}")).collect::<Vec<_>>().join(" ");
        format!(
            "{}, {} cores{}; PostgreSQL, {captures} captures of {people} people, {workers} workers, chunks by {}\n\
             plain queue and dot product  {} captures/s\nre-comparison                {} captures/s\n\
             ratio of a round, median     {ratio:.2} (limit {})\n",
            machine.processor,
            machine.cores,
            if machine.optimised { "" } else { ", development build" },
            if *by_time { "time" } else { "persons" },
            rates(plain),
            rates(job),
            arguments.ratio_min
        )
    };
    if let Some(file) = &arguments.write {
        let mut rates = job.clone();
        rates.sort_by(f64::total_cmp);
        let rate = rates.get(rates.len() / 2).context("a round")?;
        // Of workers and database together: all cores are busy.
        let core_ms = machine.cores as f64 * 1e3 / rate;
        let by_time = if *by_time { " --by-time" } else { "" };
        let command = format!("batch --captures {captures} --workers {workers}{by_time}");
        costs::write(file, &command, &BTreeMap::from([("comparison_core_ms", core_ms)]))?;
    }
    benches::print(&text)?;
    Ok(if *ratio >= arguments.ratio_min { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(arguments: &Arguments) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let kept = Kept::of("postgres")?;
    let url = kept.url.clone().context("a database")?;
    let place = Place::new(folder.path(), Some(url.clone()));
    place.prepare().await?;
    let center = place.open().await?;
    place.enrol(&center, arguments.people, 512, |_| {}).await?;
    let from = System.now_ms();
    fill(&center, &connect(&url).await?, arguments.people, arguments.captures, from, arguments.by_time).await?;
    let mut workers = Vec::new();
    for _ in 0..arguments.workers {
        workers.push(worker(&place).await?);
    }
    let (mut plain, mut job) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        plain.push(run_plain(arguments, &url).await?);
        job.push(run_job(arguments, &workers, from).await?);
    }
    let mut ratios: Vec<f64> = job.iter().zip(&plain).map(|(job, plain)| job / plain).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
    let Arguments { people, captures, workers, by_time, .. } = *arguments;
    Ok(Report { machine: Machine::here(), people, captures, workers, by_time, plain, job, ratio })
}

async fn run_plain(arguments: &Arguments, url: &str) -> Result<f64> {
    connect(url).await?.execute("UPDATE raw_chunk SET done = false, due_at = 0", &[]).await?;
    let mut clients = Vec::new();
    for _ in 0..arguments.workers {
        clients.push(connect(url).await?);
    }
    let (made_by, began) = (Arc::new(MadeBy::shipped()?), Instant::now());
    let mut workers = JoinSet::new();
    for client in clients {
        let made_by = Arc::clone(&made_by);
        workers.spawn(async move { raw_worker(&client, &made_by).await });
    }
    let mut compared = 0;
    while let Some(done) = workers.join_next().await {
        compared += done??;
    }
    ensure!(compared == arguments.captures, "the plain loop compared {compared}");
    Ok(compared as f64 / began.elapsed().as_secs_f64())
}

/// A worker as a process of its own has it: its store, its policies.
async fn worker(place: &Place) -> Result<Recomparer> {
    let center = place.open().await?;
    let key = policy_key(&DataDir::new(place.folder()))?.public();
    let history = Arc::new(History::new(Arc::clone(&center.store), key));
    let rule = RetryRule { attempts_max: 5, lease_ms: 60_000 };
    Ok(Recomparer { center, surroundings: Arc::new(System), history, rule, chunk: CHUNK })
}

async fn run_job(arguments: &Arguments, recomparers: &[Recomparer], from: i64) -> Result<f64> {
    let first = recomparers.first().context("a worker")?;
    let until = from + i64::try_from(arguments.captures)?;
    let asked = Asked { kind: JobKind::Recompare, name: String::new(), since: from, until, by: "a bench".into(), reason: "a bench".into() };
    let job = first.request(asked).await?.context("a job")?;
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for recomparer in recomparers {
        let recomparer = recomparer.clone();
        workers.spawn(async move {
            let mut compared = 0;
            loop {
                let done = recomparer.next(Some(job)).await?;
                for (_, tally) in &done {
                    ensure!(tally.differing + tally.unreadable == 0, "expected the recorded outcome everywhere, got {tally:?}");
                    compared += tally.compared;
                }
                if done.is_empty() {
                    return Ok(compared);
                }
            }
        });
    }
    let mut compared = 0;
    while let Some(done) = workers.join_next().await {
        compared += done??;
    }
    ensure!(compared == arguments.captures, "the job compared {compared}");
    Ok(compared as f64 / began.elapsed().as_secs_f64())
}
