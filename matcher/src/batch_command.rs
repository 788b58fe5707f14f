//! `matcher batch …`: captures that came late and re-comparisons, for people and programs: run, list, show, try again,
//! call off.

use std::{
    io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use matcher_core::{JobKind, JobState};
use thiserror::Error;
use tokio::task::JoinSet;

use crate::{
    app::{
        batch::{Pressure, Runner},
        deferred::worker::WorkError,
        recompare::Asked,
    },
    center::{Center, OpenError},
    config::Config,
    data_dir::DataDir,
    import::stop_on_ctrl_c,
    listing::Since,
    out,
    policy::history::History,
    serve,
    store::{RecordId, StoreError},
    surroundings::{Surroundings, System},
};

mod show;

/// How long to wait when nothing is due.
const IDLE: Duration = Duration::from_millis(500);
/// Stopped by Ctrl-C, as a shell says it.
const INTERRUPTED: u8 = 130;

/// What can be done with work that waits.
#[derive(Debug, Subcommand)]
pub enum BatchCommand {
    /// Compare captures that came late, or captures of the past again
    #[command(
        after_help = "deferred   what devices kept while the line was down; works until stopped, or with --once until nothing is due\n\
                      rematch    captures of --since to --until with the references of now, by the policy of their time\n\
                      recompare  captures of --since to --until with the references of their time, by the policy of now\n\
                      A re-comparison adds rows where the outcome differs, and changes no record. Without --here it is left to\n\
                      servers and to `matcher batch run deferred`, and its id is printed. Live verifications of a server go first.\n\
                      Exit codes: 0 done, 1 failed or something was put aside, 130 stopped by Ctrl-C: what was in hand is done later."
    )]
    Run(RunArgs),
    /// List what waits and the re-comparisons, newest first
    List {
        /// At most so many, 1 to 100,000
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a re-comparison and the outcomes that differ from the records
    Show {
        /// Its id
        id: RecordId,
        /// Outcomes, at most so many, 1 to 100,000
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Try again what was put aside: captures that came late, or chunks of a re-comparison
    Retry {
        /// The re-comparison; nothing for captures that came late
        id: Option<RecordId>,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Call a re-comparison off; what is done stays
    Cancel {
        /// Its id
        id: RecordId,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
    },
}

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Captures that came late.
    Deferred,
    /// With the references of now.
    Rematch,
    /// By the policy of now.
    Recompare,
}

/// How it is run.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// What
    #[arg(value_enum)]
    what: What,
    /// Captures decided from this time on: so long ago (90m, 24h, 30d), or a time (2026-01-31T08:00:00+08:00)
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: Since,
    /// Captures decided before this time; without it until now
    #[arg(long, value_name = "TIME")]
    until: Option<Since>,
    /// Do a re-comparison in this process, with progress
    #[arg(long)]
    here: bool,
    /// Chunks compared at once in this process, 1 to 256; without it as in the settings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    workers: Option<u32>,
    /// End when nothing is due
    #[arg(long)]
    once: bool,
    /// Who asks for a re-comparison
    #[arg(long, value_name = "NAME", default_value = "", required_if_eq_any([("what", "rematch"), ("what", "recompare")]))]
    by: String,
    /// Why, in a few words
    #[arg(long, default_value = "")]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A command that could not be carried out.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The span has no length.
    #[error("--until: expected a time after --since")]
    Span,
    /// There is none.
    #[error("there is no re-comparison {0} that runs")]
    Unknown(RecordId),
    /// A chunk could not be worked on.
    #[error("the work broke off; start the same command again to go on")]
    Work(#[source] WorkError),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs the command.
///
/// # Errors
/// When the center cannot be opened, or the store or the output fails.
pub async fn run(command: &BatchCommand, dir: &DataDir, config: &Config) -> Result<ExitCode, CommandError> {
    let center = Center::open(dir).await.map_err(CommandError::Open)?;
    let store = Arc::clone(&center.store);
    let now = System.now_ms();
    match command {
        BatchCommand::Run(args) => return work(args, &center, config).await,
        BatchCommand::List { limit, json } => {
            let (backlog, jobs) =
                (store.backlog().await.map_err(CommandError::Store)?, store.jobs(*limit).await.map_err(CommandError::Store)?);
            print(&if *json { show::list_json(&backlog, &jobs) } else { show::list_table(&backlog, &jobs) })?;
        }
        BatchCommand::Show { id, limit, json } => {
            let job = store.job(*id).await.map_err(CommandError::Store)?.ok_or(CommandError::Unknown(*id))?;
            let rows = store.recomparisons(*id, *limit).await.map_err(CommandError::Store)?;
            print(&if *json { show::job_json(&job, &rows) } else { show::job_table(&job, &rows) })?;
        }
        BatchCommand::Retry { id: None, by } => {
            let captures = store.retry_deferred(by, now).await.map_err(CommandError::Store)?;
            print(&format!("{captures} captures are tried again"))?;
        }
        BatchCommand::Retry { id: Some(id), by } => {
            let chunks = store.retry_job(*id, by, now).await.map_err(CommandError::Store)?;
            print(&format!("{chunks} chunks are tried again"))?;
        }
        BatchCommand::Cancel { id, by } => {
            if !store.cancel_job(*id, by, now).await.map_err(CommandError::Store)? {
                return Err(CommandError::Unknown(*id));
            }
            print("it is called off; what was done stays")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn work(args: &RunArgs, center: &Center, config: &Config) -> Result<ExitCode, CommandError> {
    let history = Arc::new(History::new(Arc::clone(&center.store), *center.policies.key()));
    let runner = serve::runner(center, config, history, Pressure::default());
    let workers = args.workers.unwrap_or(config.batch.workers);
    let kind = match args.what {
        What::Deferred => return deferred(args, center, runner, workers).await,
        What::Rematch => JobKind::Rematch,
        What::Recompare => JobKind::Recompare,
    };
    let now = System.now_ms();
    let (since, until) = (args.since.time(now), args.until.map_or(now, |until| until.time(now)));
    if since >= until {
        return Err(CommandError::Span);
    }
    let asked = Asked { kind, name: String::new(), since, until, by: args.by.clone(), reason: args.reason.clone() };
    let id = runner.recomparer.request(asked).await.map_err(CommandError::Store)?;
    let id = id.ok_or(CommandError::Store(StoreError::Conflict("job")))?;
    if !args.here {
        print(&if args.json { format!("{:#}", serde_json::json!({ "id": id.to_string() })) } else { id.to_string() })?;
        return Ok(ExitCode::SUCCESS);
    }
    job_here(args, center, &runner, workers, id).await
}

/// Works on what comes late until stopped; with `--once` until nothing is due.
async fn deferred(args: &RunArgs, center: &Center, runner: Runner, workers: u32) -> Result<ExitCode, CommandError> {
    let backlog = center.store.backlog().await.map_err(CommandError::Store)?;
    let bar = progress(backlog.waiting, "captures");
    let (stop, once) = (stop_on_ctrl_c(), args.once);
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let (runner, stop, bar) = (runner.clone(), Arc::clone(&stop), bar.clone());
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                match runner.worker.next().await? {
                    Some(done) => bar.inc(done.decided + done.parked),
                    None if once => break,
                    // Whoever works on has the re-comparisons to do as well.
                    None if !runner.recomparer.next(None).await?.is_empty() => {}
                    None => tokio::time::sleep(IDLE).await,
                }
            }
            Ok(())
        });
    }
    let ended = all(tasks).await;
    bar.finish_and_clear();
    ended?;
    let backlog = center.store.backlog().await.map_err(CommandError::Store)?;
    print(&if args.json { show::list_json(&backlog, &[]) } else { show::backlog_line(&backlog) })?;
    Ok(end(&stop, backlog.parked.is_empty()))
}

async fn job_here(args: &RunArgs, center: &Center, runner: &Runner, workers: u32, id: RecordId) -> Result<ExitCode, CommandError> {
    let find = || async { center.store.job(id).await.map_err(CommandError::Store)?.ok_or(CommandError::Unknown(id)) };
    let bar = progress(find().await?.probes, "captures");
    let stop = stop_on_ctrl_c();
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let (runner, stop, bar) = (runner.clone(), Arc::clone(&stop), bar.clone());
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let done = runner.recomparer.next(Some(id)).await?;
                if done.is_empty() {
                    break;
                }
                bar.inc(done.iter().map(|(_, tally)| tally.compared + tally.unreadable).sum());
            }
            Ok(())
        });
    }
    all(tasks).await?;
    // Servers may have some of its chunks in hand.
    while !stop.load(Ordering::Relaxed) && find().await?.state == JobState::Running {
        if runner.recomparer.next(Some(id)).await.map_err(CommandError::Work)?.is_empty() {
            tokio::time::sleep(IDLE).await;
        }
    }
    bar.finish_and_clear();
    let job = find().await?;
    let rows = center.store.recomparisons(id, 50).await.map_err(CommandError::Store)?;
    print(&if args.json { show::job_json(&job, &rows) } else { show::job_table(&job, &rows) })?;
    Ok(end(&stop, job.state == JobState::Done))
}

async fn all(mut tasks: JoinSet<Result<(), WorkError>>) -> Result<(), CommandError> {
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap_or(Err(WorkError::Interrupted)).map_err(CommandError::Work)?;
    }
    Ok(())
}

fn end(stop: &AtomicBool, whole: bool) -> ExitCode {
    match (stop.load(Ordering::Relaxed), whole) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    }
}

fn progress(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template(&format!("{{bar:30}} {{pos}}/{{len}} {what} · {{per_sec}} · {{eta}} left")) {
        bar.set_style(style);
    }
    bar
}

fn print(text: &str) -> Result<(), CommandError> {
    out::line(text).map_err(CommandError::Print)
}
