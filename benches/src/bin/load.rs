//! Load on a real center: throughput beside the empty call, latency at a stated rate, and nothing lost. Exits 1 when a
//! limit is missed or an acknowledged answer is not in the store.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use benches::load::{
    arrivals::{Spread, schedule},
    center::{Device, Kept, Place},
    costs,
    drive::{self, Outcome, Stock},
    empty,
    envelopes::{self, Form, Ready},
    ledger::Ledger,
    machine::{Machine, core_time, resident_bytes_of},
    people::MadeBy,
    plainest,
    report::{Report, Run},
};
use clap::Parser;
use prost::Message;
use proto::v1::VerifyRequest;
use tests::process::Server;
use tonic::transport::Channel;

/// Put load on a center and hold every answer against its store.
///
/// Exit codes: 0 the limits are reached; 1 they are missed, or it could not be run; 2 wrong arguments.
#[derive(Debug, Parser)]
struct Arguments {
    /// People enrolled before
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    enrolled: u64,
    /// Callers of closed runs
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    callers: u16,
    /// Seconds of each run
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Closed rounds of each kind, in turns; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Captures a second of the open run; 0 leaves it out
    #[arg(long, default_value_t = 350.0)]
    rate: f64,
    /// How captures of the open run are spread
    #[arg(long, value_enum, default_value_t = Spread::Poisson)]
    spread: Spread,
    /// Bytes of a sample
    #[arg(long, default_value_t = 20_480, value_parser = clap::value_parser!(u32).range(16..=61_440))]
    sample_bytes: u32,
    /// Institutions
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    institutions: u16,
    /// Counters of each institution, with a connection each
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    counters: u16,
    /// Captures made for a closed round, per second of it; a round that uses them up ends early
    #[arg(long, default_value_t = 2_000)]
    made_per_second: usize,
    /// Where the store is: "sqlite", "postgres" for a server of this run's own, or the address of an empty PostgreSQL database
    #[arg(long, default_value = "sqlite")]
    store: String,
    /// Folder of the center, kept and used again; without it a new one that is removed
    #[arg(long)]
    data: Option<PathBuf>,
    /// Least ratio to the empty call
    #[arg(long, default_value_t = 0.3)]
    ratio_min: f64,
    /// Longest p99 of the open run, in milliseconds
    #[arg(long, default_value_t = 100.0)]
    p99_max_ms: f64,
    /// Write the unit costs that were measured over those of this file; of SQLite alone
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Serve empty calls with the certificates of this center (the program calls itself)
    #[arg(long, hide = true)]
    serve_empty: Option<PathBuf>,
    /// Serve the plainest calls with the certificates and keys of this center (the program calls itself)
    #[arg(long, hide = true)]
    serve_plainest: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(folder) = &arguments.serve_empty {
        return runtime.block_on(empty::serve(folder)).map(|()| ExitCode::SUCCESS);
    }
    if let Some(folder) = &arguments.serve_plainest {
        let url = Some(arguments.store.as_str()).filter(|store| *store != "sqlite");
        return runtime.block_on(plainest::serve(folder, url)).map(|()| ExitCode::SUCCESS);
    }
    let folder = tempfile::tempdir()?;
    let root = arguments.data.clone().unwrap_or_else(|| folder.path().to_owned());
    std::fs::create_dir_all(&root)?;
    let report = runtime.block_on(measure(&arguments, &root))?;
    benches::print(&if arguments.json { format!("{}\n", serde_json::to_string_pretty(&report)?) } else { report.text() })?;
    let in_time = report.open.as_ref().is_none_or(|open| open.latency_ms.p99 <= arguments.p99_max_ms && open.failed + open.refused == 0);
    let reached = report.ratio >= arguments.ratio_min && in_time && report.ledger.holds();
    Ok(if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What all runs share.
struct Bench<'a> {
    arguments: &'a Arguments,
    form: Form,
    made_by: MadeBy,
    devices: Vec<Device>,
    made: usize,
    process: u32,
    core_time: Duration,
    ledger: Arc<Ledger>,
}

impl Bench<'_> {
    /// The next captures, numbered on from the last.
    fn captures(&mut self, count: usize) -> Result<Vec<Ready>> {
        let first = self.made;
        self.made += count;
        envelopes::make(&self.form, &self.made_by, &self.devices, first, count)
    }

    /// What an envelope adds to its sample.
    fn envelope_bytes(&mut self) -> Result<f64> {
        let ready = self.captures(1)?.pop().context("a capture")?;
        let whole = VerifyRequest { envelope: Some(ready.envelope) }.encoded_len();
        Ok(whole as f64 - f64::from(self.arguments.sample_bytes))
    }

    fn connect(&self, server: &Server) -> Result<Vec<Channel>> {
        self.devices.iter().map(|device| device.connect(server.address())).collect()
    }

    /// Connects all devices and lets everything be used once.
    async fn warm(&mut self, channels: &[Channel]) -> Result<()> {
        let captures = Arc::new(self.captures(channels.len() * 2)?);
        let lasting = Duration::from_secs(60);
        let stock = Stock { captures, again: false };
        drive::closed(channels, stock, channels.len(), lasting, Some(&self.ledger)).await.map(drop)
    }

    /// Verifications, plainest and empty calls in turns: the medians by rate, and the center's core time for one, in milliseconds.
    async fn rounds(&mut self, center: &[Channel], plainest: &[Channel], empty: &[Channel]) -> Result<Rounds> {
        let (callers, lasting) = (self.arguments.callers.into(), Duration::from_secs(self.arguments.seconds));
        let made = self.arguments.made_per_second * usize::try_from(self.arguments.seconds)?;
        let (mut verified, mut plain, mut answered) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.arguments.rounds {
            let captures = Arc::new(self.captures(made)?);
            let stock = Stock { captures: Arc::clone(&captures), again: false };
            let before = core_time(self.process);
            verified.push(drive::closed(center, stock, callers, lasting, Some(&self.ledger)).await?);
            self.core_time += core_time(self.process).saturating_sub(before);
            let again = || Stock { captures: Arc::clone(&captures), again: true };
            plain.push(drive::closed(plainest, again(), callers, lasting, None).await?);
            answered.push(drive::closed(empty, again(), callers, lasting, None).await?);
        }
        let number: u64 = verified.iter().map(|round| round.answered).sum();
        let core_ms = self.core_time.as_secs_f64() * 1000.0 / number.max(1) as f64;
        Ok(Rounds { verify: median(verified)?, plainest: median(plain)?, empty: median(answered)?, core_ms })
    }

    async fn open(&mut self, center: &[Channel]) -> Result<Option<Outcome>> {
        if self.arguments.rate <= 0.0 {
            return Ok(None);
        }
        let due = schedule(self.arguments.spread, self.arguments.rate, Duration::from_secs(self.arguments.seconds), fastrand::u64(..));
        let captures = self.captures(due.len())?;
        let captures = due.into_iter().zip(captures).collect();
        drive::open(center, captures, &self.ledger).await.map(Some)
    }
}

/// The medians of closed rounds, and the center's core time for a verification.
struct Rounds {
    verify: Outcome,
    plainest: Outcome,
    empty: Outcome,
    core_ms: f64,
}

async fn measure(arguments: &Arguments, root: &Path) -> Result<Report> {
    let kept = Kept::of(&arguments.store)?;
    let place = Place::new(root, kept.url.clone());
    place.prepare().await?;
    let center = place.open().await?;
    place.enrol(&center, arguments.enrolled, 512, |_| {}).await?;
    let devices = place.devices(&center, arguments.institutions.into(), arguments.counters.into()).await?;
    // Its connections would keep the store's log from being written back.
    drop(center);
    let before = place.store_bytes();
    let run = format!("R{:x}", fastrand::u64(..));
    let (people, sample_len) = (arguments.enrolled, arguments.sample_bytes as usize);
    let form = Form { people, sample_len, non_mated: 0.02, clock_offset_ms: 0, run };
    let (held, flush_ms) = (place.held()?, costs::flush_ms(root)?);
    let server = place.serve("127.0.0.1:0")?;
    let (made_by, process) = (MadeBy::shipped()?, server.id());
    let mut bench = Bench { arguments, form, made_by, devices, made: 0, process, core_time: Duration::ZERO, ledger: Arc::default() };
    let (own, program) = (std::env::current_exe()?, Command::new);
    let nothing = Server::start(program(&own).arg("--serve-empty").arg(place.folder()), &root.join("empty.log"))?;
    let store = kept.url.as_deref().unwrap_or("sqlite");
    let plain = Server::start(program(&own).args(["--store", store, "--serve-plainest"]).arg(place.folder()), &root.join("plainest.log"))?;
    let (to_center, to_plain, to_nothing) = (bench.connect(&server)?, bench.connect(&plain)?, bench.connect(&nothing)?);
    bench.warm(&to_center).await?;
    let Rounds { verify, plainest, empty, core_ms } = bench.rounds(&to_center, &to_plain, &to_nothing).await?;
    drop((nothing, plain));
    let open = bench.open(&to_center).await?;
    let resident_bytes = resident_bytes_of(server.id());
    server.stop()?;
    let center = place.open().await?;
    let checked = bench.ledger.check(&place, center.store.as_ref()).await?;
    drop(center);
    if let (Some(file), Some(before), Some(after)) = (&arguments.write, held, place.held()?) {
        let one = |bytes: u64| bytes as f64 / checked.acknowledged.max(1) as f64;
        let values = BTreeMap::from([
            ("verification_core_ms", core_ms),
            ("commit_ms", flush_ms),
            ("verification_bytes", one(after.records - before.records)),
            ("template_bytes", (one(after.probes - before.probes) - sample_len as f64).max(1.0)),
            ("audit_bytes", one(after.audit - before.audit)),
            ("envelope_bytes", bench.envelope_bytes()?),
            ("process_bytes", resident_bytes as f64),
        ]);
        costs::write(file, &format!("load --enrolled {} --callers {}", arguments.enrolled, arguments.callers), &values)?;
    }
    let added = place.store_bytes().saturating_sub(before);
    Ok(Report {
        machine: Machine::here(),
        store: kept.engine().to_owned(),
        enrolled: arguments.enrolled,
        callers: arguments.callers.into(),
        sample_bytes: sample_len,
        ratio: verify.rate() / empty.rate(),
        plainest_ratio: plainest.rate() / empty.rate(),
        empty: Run::from(&empty),
        plainest: Run::from(&plainest),
        verify: Run::from(&verify),
        open_rate: arguments.rate,
        open: open.as_ref().map(Run::from),
        core_ms,
        resident_bytes,
        bytes_per_verification: added / checked.acknowledged.max(1),
        ledger: checked,
    })
}

fn median(mut rounds: Vec<Outcome>) -> Result<Outcome> {
    rounds.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    let middle = rounds.len() / 2;
    rounds.into_iter().nth(middle).context("no rounds")
}
