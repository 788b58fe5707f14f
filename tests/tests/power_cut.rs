//! The power fails at the center and at the counter at once: what was answered is still there, and both go on.
//!
//! Runs on disks that lose whatever was not fsynced. The last test takes the fsyncs away, one path after
//! another, and expects the loss to be noticed: so none can be removed without a test failing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking; indexing a JSON value never does"
)]

use std::{collections::BTreeSet, path::Path};

use anyhow::{Result, ensure};
use tests::{people, power_cut::Disk, process::run, site::Site};

const CARD: &str = "A10020001";

/// SQLite's rollback journal is there only while an empty database is given its first page and its log; power that
/// fails in that very moment leaves an empty database, and nothing was answered yet.
const BEFORE_ANYTHING_WAS_ANSWERED: [&str; 2] = ["center.db-journal", "state.db-journal"];

/// The till's book: nothing of this work is kept in it.
const NOT_TRIED_HERE: [&str; 3] = ["till.db", "till.db-journal", "till.db-wal"];

/// Which fsyncs are swallowed.
#[derive(Debug, Clone, Copy, Default)]
struct Swallowed<'a> {
    center: Option<&'a str>,
    counter: Option<&'a str>,
}

/// What was fsynced where.
struct Synced {
    center: BTreeSet<String>,
    counter: BTreeSet<String>,
}

/// Works for a while, with one clean restart of both in the middle, cuts the power, and checks what is left.
fn work_and_lose_power(swallowed: Swallowed<'_>) -> Result<Synced> {
    let folder = tempfile::tempdir()?;
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    for folder in [&before, &after] {
        std::fs::create_dir_all(folder)?;
    }
    let site = Site::new(&before)?;
    let watch = |folder: &Path, name: &str| Disk::watch(folder, &before.join(name));
    let disks = || -> Result<(Disk, Disk)> {
        let center = watch(&site.center_folder(), "center-disk")?.ignoring(swallowed.center);
        Ok((center, watch(&site.counter_folder(), "counter-disk")?.ignoring(swallowed.counter)))
    };
    let (center_disk, counter_disk) = disks()?;
    let done = work(Site::new(&before)?.on_disks(Some(center_disk), Some(counter_disk)))?;

    let (center_disk, counter_disk) = disks()?;
    let left = Site::new(&after)?;
    center_disk.after_power_cut(&left.center_folder())?;
    counter_disk.after_power_cut(&left.counter_folder())?;
    check_what_is_left(&left, &done)?;
    Ok(Synced { center: center_disk.synced(), counter: counter_disk.synced() })
}

/// What was done before the power failed.
struct Done {
    /// Transactions and the ids of their answers.
    answered: Vec<(String, String)>,
    /// A transaction that the counter answered by itself, and the number of its provisional receipt.
    alone: (String, String),
    /// Checkpoints of the audit log that commands had made when they ended.
    sealed: usize,
}

/// Lines of the folder of checkpoints.
fn checkpoints(site: &Site) -> Result<usize> {
    let mut lines = 0;
    for entry in std::fs::read_dir(site.center_folder().join("checkpoints"))? {
        lines += std::fs::read_to_string(entry?.path())?.lines().count();
    }
    Ok(lines)
}

fn work(site: Site) -> Result<Done> {
    site.init_center()?;
    site.join_counter("P330212", "1")?;
    site.enrol(&[(CARD, people::picture("cl_franck_01829.jpg")?)])?;
    site.stand_before_the_camera(&[people::picture("cl_franck_02221.jpg")?])?;
    let (mut answered, mut sealed, mut alone) = (Vec::new(), 0, (String::new(), String::new()));
    for day in 1..=2 {
        let center = site.start_center("127.0.0.1:0")?;
        let counter = site.start_counter(center.address())?;
        for number in 1..=3 {
            let transaction = format!("D{day}-{number}");
            let answer = counter.verified(CARD, "settlement", &transaction)?;
            ensure!(answer["decision"] == "match", "{transaction}: {answer}");
            answered.push((transaction, answer["verification_id"].as_str().unwrap_or_default().to_owned()));
        }
        if day == 1 {
            counter.stop()?;
            center.stop()?;
            sealed = checkpoints(&site)?;
        } else {
            center.kill()?;
            let answer = counter.verified(CARD, "settlement", "D2-4")?;
            ensure!(answer["degraded"] == true, "the counter answered by itself: {answer}");
            alone = ("D2-4".to_owned(), answer["receipt_number"].as_str().unwrap_or_default().to_owned());
            counter.kill()?;
        }
    }
    Ok(Done { answered, alone, sealed })
}

fn check_what_is_left(site: &Site, Done { answered, alone, sealed }: &Done) -> Result<()> {
    let settings = std::fs::read_to_string(site.center_folder().join("matcher.toml"))?;
    ensure!(settings.contains("[server]"), "the center's settings are gone");
    let left = checkpoints(site)?;
    ensure!(*sealed > 0 && left >= *sealed, "{left} of {sealed} checkpoints are left");
    run(&mut site.matcher(&["audit", "verify", "--records"])?)?;
    let stored = site.listing("verifications")?;
    ensure!(stored.len() == answered.len(), "{} of {} answered verifications are left", stored.len(), answered.len());
    // Another person stands there now: an answer that is given again is not a new capture.
    site.stand_before_the_camera(&[people::picture("fr_biden.jpg")?])?;
    let center = site.start_center("127.0.0.1:0")?;
    let counter = site.start_counter(center.address())?;
    for (transaction, id) in answered {
        let again = counter.verified(CARD, "settlement", transaction)?;
        ensure!(again["verification_id"] == id.as_str() && again["repeated_answer"] == true, "{transaction} has another answer: {again}");
    }
    let (transaction, number) = alone;
    let again = counter.verified(CARD, "settlement", transaction)?;
    ensure!(again["receipt_number"] == number.as_str() && again["degraded"] == true, "{transaction} has another answer: {again}");
    until_decided(site, number)?;
    let new = counter.verified(CARD, "settlement", "D3-1")?;
    ensure!(new["decision"] == "non_match", "{new}");
    counter.stop()?;
    center.stop()?;
    let flags = site.listing("flags")?;
    ensure!(flags.len() == 1, "one mismatch, and {} flags", flags.len());
    Ok(())
}

/// The counter brings what it answered by itself, and the center decides it.
fn until_decided(site: &Site, number: &str) -> Result<()> {
    let started = std::time::Instant::now();
    loop {
        let shown = run(&mut site.matcher(&["receipt", "show", number, "--json"])?).unwrap_or_default();
        if shown.contains("\"decided\"") {
            return Ok(());
        }
        ensure!(started.elapsed().as_secs() < 60, "the provisional receipt {number} is not resolved: {shown}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

#[test]
fn what_was_answered_outlives_a_power_cut() {
    work_and_lose_power(Swallowed::default()).unwrap();
}

#[test]
fn without_any_one_of_the_fsyncs_something_is_lost() {
    let synced = work_and_lose_power(Swallowed::default()).unwrap();
    assert!(synced.center.len() >= 4 && synced.counter.len() >= 3, "{:?} {:?}", synced.center, synced.counter);
    let mut unnoticed = Vec::new();
    let is_left_out = |path: &str| BEFORE_ANYTHING_WAS_ANSWERED.contains(&path) || NOT_TRIED_HERE.contains(&path);
    let matters = |path: &&String| !is_left_out(path);
    for path in synced.center.iter().filter(matters) {
        if work_and_lose_power(Swallowed { center: Some(path), counter: None }).is_ok() {
            unnoticed.push(format!("center: {path}"));
        }
    }
    for path in synced.counter.iter().filter(matters) {
        if work_and_lose_power(Swallowed { center: None, counter: Some(path) }).is_ok() {
            unnoticed.push(format!("counter: {path}"));
        }
    }
    assert!(unnoticed.is_empty(), "fsyncs that nothing depends on, or that no test covers: {unnoticed:#?}");
}
