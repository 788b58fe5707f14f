//! A line that comes and goes while a counter works: nothing is lost, nothing doubled, every provisional receipt resolved.
//!
//! The real agent, but for its eyes, verifies over two lines that fail as a seed says, against a center of its own. Nobody
//! stands before the camera: what matters here is how captures travel, and a failure to acquire travels as a face does. At
//! the end the center's records are asked for with its own commands. Not here: how lines fail ([`fault_proxy`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use capture_agent::{
    camera::Camera,
    clock::Clock,
    command::{By, VerifyCommand},
    config,
    identity::{self, Identity},
    line::spool::Spool,
    rehearse::NoEyes,
    verify::Verifier,
};
use capture_core::{Attempt, Consent, IdentifierKind, Notice, Operator, Region, Scene};
use matcher::{
    data_dir::DataDir,
    device::{IssueArgs, Role, issue},
    surroundings::{Surroundings, System},
};
use serde_json::Value;
use tests::process::run;

use crate::{
    fault_proxy::{FaultProxy, Line},
    load::{center::Place, people::MadeBy},
};

/// What a run is like.
#[derive(Debug, Clone, Copy)]
pub struct Flapping {
    /// Transactions, one after another.
    pub transactions: u32,
    /// How long the run lasts; the pace follows from it.
    pub lasts: Duration,
    /// Which faults come when.
    pub seed: u64,
}

/// What became of the transactions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Transactions asked for.
    pub asked: u32,
    /// Answered by the center.
    pub by_center: u32,
    /// Answered by the device, with a provisional receipt.
    pub alone: u32,
    /// Offered the other way: nobody was captured, or the till asked again until the center answered.
    pub otherwise: u32,
    /// How often the line changed.
    pub changes: u32,
    /// Answered transactions that the center has no record of.
    pub lost: u32,
    /// Records beyond one for a transaction.
    pub doubled: u32,
    /// Provisional receipts that the center cannot resolve.
    pub unresolved: u32,
    /// Flags: the counter is honest, so there should be none.
    pub flags: u32,
}

impl Outcome {
    /// Whether it is as it must be.
    #[must_use]
    pub fn holds(&self) -> bool {
        (self.lost, self.doubled, self.unresolved, self.flags) == (0, 0, 0, 0) && self.asked == self.by_center + self.alone + self.otherwise
    }
}

/// What a till was told.
#[derive(Debug, Default)]
struct Told {
    /// Transactions the center answered, and the ids of their records.
    by_center: BTreeMap<String, String>,
    /// Transactions the device answered, and the numbers of their receipts.
    alone: BTreeMap<String, String>,
}

/// Runs in a folder.
///
/// # Errors
/// When center or counter cannot be set up. What is lost or doubled is no error: it is in the outcome.
pub async fn flap(settings: Flapping, folder: &Path) -> Result<Outcome> {
    let place = Place::new(folder, None);
    place.prepare().await?;
    let server = place.serve("127.0.0.1:0")?;
    let target: SocketAddr = server.address().trim_start_matches("https://").parse().context("the center's address")?;
    let lines = [FaultProxy::start(target).await?, FaultProxy::start(target).await?];
    let counter = folder.join("counter");
    join(&place, &counter).await?;
    configure(&counter, &lines)?;
    let agent = Arc::new(agent(&counter)?);
    agent.report_health().await.context("the first report of a line that is up")?;
    let background = {
        let agent = Arc::clone(&agent);
        tokio::spawn(async move { tokio::join!(agent.keep_reporting(), agent.keep_forwarding()) })
    };
    let failing = fail(&lines, settings);
    let mut outcome = Outcome { asked: settings.transactions, ..Outcome::default() };
    let mut told = Told::default();
    tokio::select! {
        otherwise = work(&agent, settings, &mut told) => outcome.otherwise = otherwise,
        never = failing => match never {},
    }
    lines.iter().for_each(|line| line.set(Line::Up));
    settle(&agent).await?;
    background.abort();
    outcome.changes = changes(settings);
    (outcome.by_center, outcome.alone) = (u32::try_from(told.by_center.len())?, u32::try_from(told.alone.len())?);
    check(&place, &told, &mut outcome)?;
    server.stop()?;
    Ok(outcome)
}

/// Verifies at the pace of the run; says how many transactions were neither answered by the center nor by the device.
async fn work(agent: &Verifier, settings: Flapping, told: &mut Told) -> u32 {
    let (started, mut otherwise) = (Instant::now(), 0);
    for number in 0..settings.transactions {
        let due = settings.lasts.mul_f64(f64::from(number) / f64::from(settings.transactions.max(1)));
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
        let name = format!("F{number}");
        let Ok(command) = command(&name) else { continue };
        // Every fourth till loses the answer and asks again.
        let asked = if number % 4 == 3 { 2 } else { 1 };
        let mut answered = false;
        for _ in 0..asked {
            if let Ok(answer) = agent.verify(&command, Arc::new(|_| {})).await {
                answered = true;
                if answer.degraded {
                    told.alone.insert(name.clone(), answer.receipt_number);
                } else {
                    told.by_center.insert(name.clone(), answer.verification_id);
                }
            }
        }
        otherwise += u32::from(!answered);
    }
    otherwise
}

fn command(transaction: &str) -> Result<VerifyCommand> {
    Ok(VerifyCommand {
        transaction: transaction.parse()?,
        attempt: Attempt::FIRST,
        scene: Scene::Settlement,
        id_kind: IdentifierKind::SocialSecurityCard,
        number: "A10020001".parse()?,
        region: Region::new("330200")?,
        operator: Operator::new("0417")?,
        notice: Notice::new("")?,
        consent: Consent::new("")?,
        by: By::Face,
        proxy: None,
    })
}

/// One fault after another, on one line, the other or both.
async fn fail(lines: &[FaultProxy; 2], settings: Flapping) -> std::convert::Infallible {
    let mut faults = Faults::new(settings);
    loop {
        let (on, line, lasts) = faults.next();
        for (number, proxy) in lines.iter().enumerate() {
            if on & (1 << number) != 0 {
                proxy.set(line);
            }
        }
        tokio::time::sleep(lasts).await;
    }
}

/// The faults of a seed.
struct Faults(fastrand::Rng);

impl Faults {
    fn new(settings: Flapping) -> Self {
        Self(fastrand::Rng::with_seed(settings.seed))
    }

    /// On which lines (bits), what, and for how long.
    fn next(&mut self) -> (u8, Line, Duration) {
        let on = [1, 2, 3, 3].get(self.0.usize(..4)).copied().unwrap_or(3);
        let line = match self.0.u8(..7) {
            0 => Line::Dropped,
            1 => Line::Slow(Duration::from_millis(self.0.u64(100..1_500))),
            2 => Line::HalfOpen,
            3 => Line::Reset,
            _ => Line::Up,
        };
        (on, line, Duration::from_millis(self.0.u64(200..3_000)))
    }
}

/// How often the line changes in a run.
fn changes(settings: Flapping) -> u32 {
    let (mut faults, mut elapsed, mut changes) = (Faults::new(settings), Duration::ZERO, 0);
    while elapsed < settings.lasts {
        elapsed += faults.next().2;
        changes += 1;
    }
    changes
}

/// Waits until everything that was answered without the center is there.
async fn settle(agent: &Verifier) -> Result<()> {
    let started = Instant::now();
    while agent.waiting_alone().await? > 0 {
        ensure!(started.elapsed() < Duration::from_secs(120), "captures still wait two minutes after the line came back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Asks the center for its records, with its own commands.
fn check(place: &Place, told: &Told, outcome: &mut Outcome) -> Result<()> {
    let listed = |command: &str| -> Result<Vec<Value>> {
        let printed = run(&mut place.matcher(&[command, "--json", "--limit", "100000"])?)?;
        Ok(serde_json::from_str::<Value>(&printed)?.as_array().cloned().unwrap_or_default())
    };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut records: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in listed("verifications")? {
        records.entry(text(&record, "transaction")).or_default().push(text(&record, "verification_id"));
    }
    outcome.doubled = u32::try_from(records.values().map(|ids| ids.len().saturating_sub(1)).sum::<usize>())?;
    let answered: BTreeSet<&String> = told.by_center.keys().chain(told.alone.keys()).collect();
    let same = |name: &String, ids: &Vec<String>| told.by_center.get(name).is_none_or(|id| ids.contains(id));
    let kept = answered.iter().filter(|name| records.get(**name).is_some_and(|ids| same(name, ids))).count();
    outcome.lost = u32::try_from(answered.len() - kept)?;
    for (name, number) in &told.alone {
        let printed = run(&mut place.matcher(&["receipt", "show", number, "--json"])?);
        let shown: Value = printed.ok().and_then(|printed| serde_json::from_str(&printed).ok()).unwrap_or_default();
        let id = text(&shown, "verification_id");
        let resolved = text(&shown, "state") == "decided" && records.get(name).is_some_and(|ids| ids.contains(&id));
        outcome.unresolved += u32::from(!resolved);
    }
    outcome.flags = u32::try_from(listed("flags")?.len())?;
    Ok(())
}

/// Joins a counter as its keeper would.
async fn join(place: &Place, counter: &Path) -> Result<()> {
    identity::init(counter)?;
    let center = place.open().await?;
    let args = IssueArgs {
        csr: counter.join(identity::REQUEST_FILE),
        institution: "F0001".to_owned(),
        counter: "1".to_owned(),
        role: Role::Counter,
        id: None,
        replace: false,
        out: counter.join("bundle"),
    };
    issue(&DataDir::new(place.folder()), center.store.as_ref(), &args, 30, System.now_ms()).await?;
    identity::install(counter, &counter.join("bundle"))?;
    Ok(())
}

fn configure(counter: &Path, lines: &[FaultProxy; 2]) -> Result<()> {
    let pictures = counter.join("pictures");
    fs::create_dir_all(&pictures)?;
    fs::write(pictures.join("a.ppm"), [b"P6\n64 48\n255\n".as_slice(), &[90; 64 * 48 * 3]].concat())?;
    let [primary, backup] = [0, 1].map(|number| lines.get(number).map(FaultProxy::address));
    let (primary, backup) = (primary.context("a line")?, backup.context("a line")?);
    let text = format!(
        "[center]\nconnect_timeout_ms = 500\ncall_timeout_ms = 1000\nretry_for_ms = 2000\ndegrade_after_ms = 1200\nreturn_after_ms = 3000\n\
         health_every_s = 2\n\
         [[center.endpoint]]\nname = \"primary\"\naddress = \"https://{primary}\"\nserver_name = \"localhost\"\n\
         [[center.endpoint]]\nname = \"backup\"\naddress = \"https://{backup}\"\nserver_name = \"localhost\"\n\
         [camera]\nkind = \"playback\"\nfolder = '{}'\nframe_interval_ms = 20\n\
         [acquisition]\ndeadline_ms = 100\nwhole_every_ms = 20\nstall_after_ms = 1000\n",
        pictures.display()
    );
    Ok(fs::write(counter.join(config::FILE), text)?)
}

fn agent(counter: &Path) -> Result<Verifier> {
    let (config, identity, clock) = (config::load(counter)?, Identity::load(counter)?, Clock::start());
    let made_by = MadeBy::shipped()?;
    let eyes = NoEyes::new(made_by.model.clone(), made_by.recipe.clone());
    let spool = Arc::new(Spool::open(counter, config.outbox)?);
    let camera = Camera::from_config(&config.camera, clock);
    Ok(Verifier::new(&config, identity, spool, camera, Arc::new(eyes), clock)?)
}
