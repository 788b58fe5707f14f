//! A week of seven counters and a morning at one of them, end to end, on real faces: center and counters run as processes of
//! their own over mutual TLS, the week under a clock that is set, and console and counter screen stay up to look at.
//!
//! Exits with 1 when a decision of the morning is not the expected one. Not here: how a site is set up (`tests::site`).

mod morning;
mod week;

use std::{
    fs,
    io::Write,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use clap::Parser;
use tests::{
    clock::Clock,
    process::{Server, run},
    site::{Counter, Site},
};
use tokio::signal::unix::{SignalKind, signal};

/// A week of seven counters and a morning at one of them, end to end, on real faces.
#[derive(Debug, Parser)]
struct Args {
    /// End when the morning is over, instead of leaving center, console and counter up to look at.
    #[arg(long)]
    once: bool,
    /// Days of the week before that are lived through (0 to 7).
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u8).range(0..=7))]
    days: u8,
}

/// Ended by Ctrl-C, as a shell says it.
const INTERRUPTED: u8 = 130;
/// The console, without a second factor: whoever looks has no device that was enrolled.
const CONSOLE: [(&str, &str); 2] = [("CONSOLE__LISTEN", "127.0.0.1:0"), ("CONSOLE__SECOND_FACTOR", "false")];

/// The running parts. Stopped in this order: counter, center.
struct Running {
    site: Site,
    pass_phrase: String,
    center: Option<Server>,
    counter: Option<Counter>,
}

impl Running {
    fn stop(&mut self) -> Result<()> {
        self.counter.take().map_or(Ok(()), Counter::stop)?;
        if let Some(center) = self.center.take() {
            center.stop()?;
        }
        Ok(())
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(demo(args))
}

async fn demo(args: Args) -> Result<ExitCode> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let folder = tempfile::Builder::new().prefix("countersign-demo-").tempdir()?;
    let (root, interrupted) = (folder.path().to_owned(), Arc::new(AtomicBool::new(false)));
    let mut story = tokio::task::spawn_blocking({
        let interrupted = Arc::clone(&interrupted);
        move || tell(&root, args.days, &interrupted)
    });
    let ended = tokio::select! {
        ended = &mut story => ended,
        _ = interrupt.recv() => { interrupted.store(true, Ordering::Relaxed); story.await }
        _ = terminate.recv() => { interrupted.store(true, Ordering::Relaxed); story.await }
    };
    let (mut running, as_expected) = match ended? {
        Err(_) if interrupted.load(Ordering::Relaxed) => return Ok(ExitCode::from(INTERRUPTED)),
        story => story?,
    };
    if interrupted.load(Ordering::Relaxed) {
        running.stop()?;
        say("Interrupted; everything is stopped.")?;
        return Ok(ExitCode::from(INTERRUPTED));
    }
    show(&running)?;
    if !args.once && as_expected {
        say("\nEverything stays up. Ctrl-C stops it.")?;
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    }
    running.stop()?;
    say("Everything is stopped.")?;
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

/// The week, then the morning; an interruption ends it after the visit that is under way.
fn tell(root: &Path, days: u8, interrupted: &AtomicBool) -> Result<(Running, bool)> {
    let mut running = set_up(root, days, interrupted)?;
    let as_expected = morning::play(&running, interrupted)?;
    say(if as_expected { "Every decision is the expected one." } else { "Not every decision is the expected one." })?;
    if !as_expected {
        running.stop()?;
    }
    Ok((running, as_expected))
}

fn set_up(root: &Path, days: u8, interrupted: &AtomicBool) -> Result<Running> {
    let clock = Clock::new(root.join("clock"))?;
    clock.set(-86_400 * (i64::from(days) + 1))?;
    let then = Site::new(root)?.under_clock(clock.clone());
    say("1/5  matcher init: data folder, certificate authority, keys, policy")?;
    then.init_center()?;
    say("2/5  capture-agent init, matcher device issue, capture-agent install: the counter joins with a key of its own")?;
    then.join_counter("P330212", "1")?;
    if days > 0 {
        say("3/5  the week before, under a clock that is set: seven counters, a center, every visit through all of it")?;
        let lived = week::live(root, &clock, usize::from(days), interrupted)?;
        say(&format!("     {} visits, {} settled, {} cases opened for the desk", lived.visits, lived.settled, lived.cases))?;
    }
    let site = Site::new(root)?;
    let pass_phrase: String = (0..4).map(|_| format!("-{:04}", fastrand::u16(0..10_000))).collect();
    let pass_phrase = format!("look{pass_phrase}");
    week::staff(&site, &pass_phrase)?;
    say("4/5  matcher enrol: references from photos")?;
    say(morning::enrol(&site)?.trim_end())?;
    say("5/5  matcher serve, capture-agent serve: two processes, mutual TLS between them")?;
    let center = site.start_center_with("127.0.0.1:0", &CONSOLE)?;
    let counter = site.start_counter(center.address())?;
    say(&format!("     center {}   counter {}", center.address(), counter.address()))?;
    Ok(Running { site, pass_phrase, center: Some(center), counter: Some(counter) })
}

/// Where to look.
fn show(running: &Running) -> Result<()> {
    let counter = running.counter.as_ref().context("no agent")?;
    let console = fs::read_to_string(running.site.center_folder().join("console.addr"))?;
    let names: Vec<String> = week::STAFF.iter().map(|(name, role, _)| format!("{name} ({role})")).collect();
    let screen = run(&mut running.site.agent(&["screen"])?)?;
    say(&format!(
        "\nReview console: {}\n  sign in as {}\n  pass phrase of all: {} (the first sign-in of each asks for one of their own)\n  its authority: {}\nCounter screen (the link works once): {}\nLocal API of the counter: {}\n  token: {}",
        console.trim(),
        names.join(", "),
        running.pass_phrase,
        running.site.center_folder().join("console/ca.crt").display(),
        screen.trim(),
        counter.address(),
        running.site.counter_folder().join("api.token").display()
    ))
}
