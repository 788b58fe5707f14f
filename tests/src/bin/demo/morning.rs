//! A morning at a pharmacy: people come to one till, and every decision must be the expected one.
//!
//! Not here: the week before it (`week`), how a site is set up (`tests::site`).

#![expect(clippy::indexing_slicing, reason = "indexing a JSON value gives null where there is nothing; it never panics")]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::{Context, Result};
use comfy_table::{Attribute, Cell, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::Value;
use tests::{people, process::run, site::Site};

use crate::{Running, say};

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

/// Enrols the people of the morning.
///
/// # Errors
/// When a photo is refused.
pub(crate) fn enrol(site: &Site) -> Result<String> {
    let people = CARDS.iter().map(|(card, _, photo)| Ok((*card, people::picture(photo)?))).collect::<Result<Vec<_>>>()?;
    site.enrol(&people)
}

/// Plays the morning and says whether all was as expected; an interruption ends it after the visit that is under way.
///
/// # Errors
/// When the agent or a command fails.
pub(crate) fn play(running: &Running, interrupted: &AtomicBool) -> Result<bool> {
    let before = mismatches(&running.site)?;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(
        ["visit", "whose card", "who stood there", "score", "decision", "disposition", "reason", "time", "expected"]
            .map(|title| Cell::new(title).add_attribute(Attribute::Bold)),
    );
    let mut as_expected = true;
    for visit in &MORNING {
        if interrupted.load(Ordering::Relaxed) {
            return Ok(false);
        }
        as_expected &= visited(running, visit, &mut table)?;
    }
    say(&format!("\nThis morning at pharmacy P330212, counter 1\n{table}"))?;
    say("\nFlags of this morning, as the center's staff see them (matcher flags --since 1h):")?;
    say(&run(&mut running.site.matcher(&["flags", "--since", "1h"])?)?)?;
    as_expected &= mismatches(&running.site)? - before == 2;
    Ok(as_expected & accounts(running)?)
}

fn mismatches(site: &Site) -> Result<usize> {
    Ok(site.listing("flags")?.iter().filter(|flag| flag["kind"] == "card_person_mismatch").count())
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

/// Plays one visit, adds its row, and says whether it ended as expected.
fn visited(running: &Running, visit: &Visit, table: &mut Table) -> Result<bool> {
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
