//! A morning at a pharmacy: enrols real faces, runs center and counter as processes of their own over mutual
//! TLS, lets people come to the till, and shows what was decided and flagged.
//!
//! Exits with 1 when a decision is not the expected one. Not here: how a site is set up (`tests::site`).

#![expect(clippy::indexing_slicing, reason = "indexing a JSON value gives null where there is nothing; it never panics")]

use std::{
    io::Write,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result};
use clap::Parser;
use comfy_table::{Attribute, Cell, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::Value;
use tests::{
    people,
    process::{Server, run},
    site::{Counter, Site},
};
use tokio::signal::unix::{SignalKind, signal};

/// A morning at a pharmacy, end to end, on real faces.
#[derive(Debug, Parser)]
struct Args {
    /// End when the morning is over, instead of leaving center and agent up to try.
    #[arg(long)]
    once: bool,
}

/// Ended by Ctrl-C, as a shell says it.
const INTERRUPTED: u8 = 130;

/// One visit to the till, and what must come of it.
#[derive(Clone, Copy)]
struct Visit {
    what: &'static str,
    card: &'static str,
    whose: &'static str,
    who: &'static str,
    picture: &'static str,
    scene: &'static str,
    transaction: &'static str,
    expected: Expected,
}

/// What a visit must end with.
#[derive(Clone, Copy)]
struct Expected {
    decisions: &'static [&'static str],
    reason: Option<&'static str>,
    dispositions: &'static [&'static str],
    repeated: bool,
}

/// Cards, whose they are in this story, and the photo the center enrols.
const CARDS: [(&str, &str, &str); 5] = [
    ("A10020001", "A", "cl_franck_01829.jpg"),
    ("A10020002", "B", "fr_obama.jpg"),
    ("A10020003", "C", "cl_SeanConnery.jpg"),
    ("A10020004", "D", "sk_astronaut.png"),
    ("A10020005", "E", "cl_cage.jpg"),
];

const SETTLES: Expected = Expected { decisions: &["match"], reason: None, dispositions: &["settle"], repeated: false };
const ASKS_FOR_A_DOCUMENT: Expected =
    Expected { decisions: &["non_match"], reason: None, dispositions: &["document_check"], repeated: false };
const NO_DECISION: Expected = Expected { decisions: &["no_decision"], reason: None, dispositions: &["other_way"], repeated: false };
const VISIT: Visit = Visit {
    what: "own card",
    card: CARDS[0].0,
    whose: "A",
    who: "A",
    picture: "cl_franck_02221.jpg",
    scene: "settlement",
    transaction: "P7-0001",
    expected: SETTLES,
};

const MORNING: [Visit; 11] = [
    VISIT,
    Visit {
        what: "own card, at reception",
        card: "Ａ１００２ ０００２",
        whose: "B",
        who: "B",
        picture: "fr_obama2.jpg",
        scene: "reception",
        transaction: "P7-0002",
        ..VISIT
    },
    Visit {
        what: "own card, too close",
        card: CARDS[2].0,
        whose: "C",
        who: "C",
        picture: "cl_sean_guru2_crop.jpg",
        transaction: "P7-0003",
        expected: Expected { reason: Some("failure_to_acquire"), ..NO_DECISION },
        ..VISIT
    },
    Visit {
        what: "another person's card",
        card: CARDS[1].0,
        whose: "B",
        who: "F",
        picture: "fr_biden.jpg",
        transaction: "P7-0004",
        expected: ASKS_FOR_A_DOCUMENT,
        ..VISIT
    },
    Visit {
        what: "another person's card",
        card: CARDS[3].0,
        whose: "D",
        who: "G",
        picture: "pf_single_face.jpg",
        transaction: "P7-0005",
        expected: ASKS_FOR_A_DOCUMENT,
        ..VISIT
    },
    Visit {
        what: "nobody in frame",
        who: "nobody",
        picture: "pf_free-mountain-vector-01.jpg",
        transaction: "P7-0006",
        expected: Expected { reason: Some("failure_to_acquire"), ..NO_DECISION },
        ..VISIT
    },
    Visit {
        what: "several people",
        who: "five people",
        picture: "pf_multi_face.jpg",
        transaction: "P7-0007",
        expected: Expected { reason: Some("several_faces"), ..NO_DECISION },
        ..VISIT
    },
    Visit {
        what: "a masked face",
        who: "a mask",
        picture: "cl_vendetta.jpg",
        transaction: "P7-0008",
        expected: Expected { decisions: &["review", "no_decision"], dispositions: &["settle_flagged", "other_way"], ..NO_DECISION },
        ..VISIT
    },
    Visit {
        what: "a card nobody enrolled",
        card: "A10029999",
        whose: "unknown",
        who: "D",
        picture: "sk_astronaut.png",
        transaction: "P7-0009",
        expected: Expected { reason: Some("no_reference"), dispositions: &["document_check"], ..NO_DECISION },
        ..VISIT
    },
    Visit { picture: "cl_franck_04117.jpg", transaction: "P7-0010", ..VISIT },
    Visit {
        what: "the same transaction again",
        who: "F (not captured)",
        picture: "fr_biden.jpg",
        transaction: "P7-0010",
        expected: Expected { repeated: true, ..SETTLES },
        ..VISIT
    },
];

/// The running parts. Stopped in this order: counter, center.
struct Running {
    site: Site,
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
        move || morning(&root, &interrupted)
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
    if !args.once && as_expected {
        let counter = running.counter.as_ref().context("no agent")?;
        say(&format!(
            "\nCenter and agent stay up. Local API of the counter: {}\n  token: {}\n  request: POST /v1/verifications; described in capture-agent/README.md\nCtrl-C stops everything.",
            counter.address(),
            running.site.counter_folder().join("api.token").display()
        ))?;
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    }
    running.stop()?;
    say("Everything is stopped.")?;
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

/// Plays the morning; an interruption ends it after the visit that is under way.
fn morning(root: &Path, interrupted: &AtomicBool) -> Result<(Running, bool)> {
    let mut running = set_up(root)?;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(
        ["visit", "whose card", "who stood there", "score", "decision", "disposition", "reason", "time", "expected"]
            .map(|title| Cell::new(title).add_attribute(Attribute::Bold)),
    );
    let mut as_expected = true;
    for visit in &MORNING {
        if interrupted.load(Ordering::Relaxed) {
            return Ok((running, false));
        }
        let fits = play(&running, visit, &mut table)?;
        as_expected &= fits;
    }
    say(&format!("\nA morning at pharmacy P330212, counter 1\n{table}"))?;
    say("\nFlags raised, as the center's staff see them (matcher flags):")?;
    say(&run(&mut running.site.matcher(&["flags"])?)?)?;
    let mismatches = running.site.listing("flags")?.iter().filter(|flag| flag["kind"] == "card_person_mismatch").count();
    as_expected &= mismatches == 2;
    as_expected &= accounts(&running)?;
    say(if as_expected { "Every decision is the expected one." } else { "Not every decision is the expected one." })?;
    if !as_expected {
        running.stop()?;
    }
    Ok((running, as_expected))
}

/// What the center can answer for: a receipt, the audit log, the faces it holds.
fn accounts(running: &Running) -> Result<bool> {
    let first = &MORNING[0];
    let answer = running.counter.as_ref().context("no agent")?.verified(first.card, first.scene, first.transaction)?;
    let (number, receipt) = (answer["receipt_number"].as_str().unwrap_or_default(), answer["receipt"].as_str().unwrap_or_default());
    say("\nThe receipt of the first visit (matcher receipt show), and what a production check says of a demonstration's:")?;
    say(run(&mut running.site.matcher(&["receipt", "show", number])?)?.trim_end())?;
    let checked = running.site.matcher(&["receipt", "verify", receipt, "--json"])?.output()?;
    let checked: Value = serde_json::from_slice(&checked.stdout).context("receipt verify --json printed no JSON")?;
    say(&format!("refused: {}", checked["refusal"].as_str().unwrap_or("–")))?;
    say("\nThe audit log against its signed checkpoints (matcher audit verify --records):")?;
    say(run(&mut running.site.matcher(&["audit", "verify", "--records"])?)?.trim_end())?;
    say("\nWhat is held about people (matcher law status):")?;
    say(run(&mut running.site.matcher(&["law", "status"])?)?.trim_end())?;
    Ok(checked["refusal"] == "drill")
}

fn set_up(root: &Path) -> Result<Running> {
    let site = Site::new(root)?;
    say("1/4  matcher init: data folder, certificate authority, keys, policy")?;
    site.init_center()?;
    say("2/4  capture-agent init, matcher device issue, capture-agent install: the counter joins with a key of its own")?;
    site.join_counter("P330212", "1")?;
    say("3/4  matcher enrol: references from photos")?;
    let people = CARDS.iter().map(|(card, _, photo)| Ok((*card, people::picture(photo)?))).collect::<Result<Vec<_>>>()?;
    say(site.enrol(&people)?.trim_end())?;
    say("4/4  matcher serve, capture-agent serve: two processes, mutual TLS between them")?;
    let center = site.start_center("127.0.0.1:0")?;
    let counter = site.start_counter(center.address())?;
    say(&format!("     center {}   counter {}", center.address(), counter.address()))?;
    Ok(Running { site, center: Some(center), counter: Some(counter) })
}

/// Plays one visit, adds its row, and says whether it ended as expected.
fn play(running: &Running, visit: &Visit, table: &mut Table) -> Result<bool> {
    running.site.stand_before_the_camera(&[people::picture(visit.picture)?])?;
    let started = Instant::now();
    let answer = running.counter.as_ref().context("no agent")?.verified(visit.card, visit.scene, visit.transaction)?;
    let elapsed = started.elapsed();
    let word = |key: &str| answer[key].as_str().unwrap_or("–").to_owned();
    let reasons: Vec<&str> = answer["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let repeated = answer["repeated_answer"] == true;
    let fits = visit.expected.decisions.contains(&word("decision").as_str())
        && visit.expected.dispositions.contains(&word("disposition").as_str())
        && visit.expected.reason.is_none_or(|reason| reasons.contains(&reason))
        && visit.expected.repeated == repeated;
    let score = answer["score"].as_f64().map_or_else(|| "–".to_owned(), |score| format!("{score:.2}"));
    let reason = if repeated { "answer repeated".to_owned() } else { reasons.join(", ") };
    let verdict = if fits { "yes".to_owned() } else { format!("NO: {}", visit.expected.decisions.join(" or ")) };
    table.add_row([
        visit.what.to_owned(),
        visit.whose.to_owned(),
        visit.who.to_owned(),
        score,
        word("decision"),
        word("disposition"),
        reason,
        format!("{} ms", elapsed.as_millis()),
        verdict,
    ]);
    Ok(fits)
}
