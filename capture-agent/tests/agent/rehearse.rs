//! The drill: every step works, and nothing of it is left.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use capture_agent::rehearse::rehearse;

use crate::{
    center::Center,
    eyes::{ColourEyes, ONE_PERSON},
    verify::{agent, ask, command},
};

/// The files of a folder and their bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_works_and_leaves_no_trace() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    folder.show(ONE_PERSON);
    let working = agent(&folder, &address, "");
    ask(&working, &command("T1", "100")).await.unwrap();
    drop(working);
    let (before, received) = (files(folder.path()), center.records.lock().unwrap().received.len());
    let config = folder.configure(&address, "");
    let rehearsal = rehearse(&config, Arc::new(ColourEyes::new())).await.unwrap();
    assert!(rehearsal.worked && rehearsal.steps.len() == 8, "{rehearsal:#?}");
    assert!(rehearsal.steps[0].detail.starts_with("settle_flagged"), "{rehearsal:#?}");
    assert_eq!(files(folder.path()), before, "spool, numbers and keys are as they were");
    let seen = {
        let records = center.records.lock().unwrap();
        (records.received.len(), records.uploaded.len(), records.health.len())
    };
    assert_eq!(seen, (received, 0, 0));
    let working = agent(&folder, &address, "");
    ask(&working, &command("T2", "100")).await.unwrap();
    assert_eq!(center.records.lock().unwrap().sequences, [1, 2], "no number was used");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_what_worked() {
    let center = Center::new();
    let folder = center.folder();
    folder.configure("https://127.0.0.1:9", "");
    let run = |more: &[&str]| {
        let program = env!("CARGO_BIN_EXE_capture-agent");
        let output = std::process::Command::new(program).arg("--dir").arg(folder.path()).arg("rehearse").args(more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, table) = run(&["--without-camera"]);
    assert!(code == Some(0) && table.contains("the counter answers by itself") && !table.contains("NO"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&run(&["--without-camera", "--json"]).1).unwrap();
    assert!(json["worked"] == true && json["steps"].as_array().unwrap().len() == 8, "{json}");
}
