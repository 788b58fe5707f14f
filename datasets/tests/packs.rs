//! What the shipped pipeline must reach on the packs of pictures under `EVAL_DATA`; each pack is one test.
//!
//! Without `EVAL_DATA`, or without a pack there, the tests print SKIPPED and pass. A set of thousands of pictures
//! is cut to a fixed share, unless `EVAL_WHOLE=1`: `make evaluate` measures the whole.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The folder of a pack, or a loud skip.
fn pack(name: &str) -> Option<PathBuf> {
    let folder = env::var_os("EVAL_DATA").map(|root| Path::new(&root).join(name)).filter(|folder| folder.is_dir());
    if folder.is_none() {
        eprintln!("SKIPPED: EVAL_DATA has no folder {name}");
    }
    folder
}

/// A file of trials with only some of its lines: the header, and every `every`th line of each run of `run` lines. Paths in
/// it become absolute. The whole with `EVAL_WHOLE=1`.
fn share(file: &Path, columns: &[usize], every: usize, into: &Path) -> PathBuf {
    let every = if env::var_os("EVAL_WHOLE").is_some() { 1 } else { every };
    let text = fs::read_to_string(file).unwrap();
    let folder = file.parent().unwrap();
    let line = |line: &str| {
        let absolute =
            |(at, cell): (usize, &str)| if columns.contains(&at) { folder.join(cell).display().to_string() } else { cell.to_owned() };
        line.split(',').enumerate().map(absolute).collect::<Vec<_>>().join(",") + "\n"
    };
    let (header, rows) = text.split_once('\n').unwrap();
    let kept: String = rows.lines().step_by(every).map(line).collect();
    let path = into.join(file.file_name().unwrap());
    fs::write(&path, format!("{header}\n{kept}")).unwrap();
    path
}

#[track_caller]
fn figures(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_evaluate"))
        .args(arguments)
        .arg("--json")
        .arg(&json)
        .arg("--bootstrap")
        .arg("200")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let failure_to_acquire = figures["failure_to_acquire"].as_f64().unwrap();
    assert!(failure_to_acquire <= 0.005, "{failure_to_acquire}: {}", figures["failures"]["by_reason"]);
    figures
}

fn verification(pairs: &Path, more: &[&str]) -> Value {
    figures(&[&["verification", "--pairs", pairs.to_str().unwrap()], more].concat())
}

/// The false non-match rate at a false match rate of 1 in 1000.
#[track_caller]
fn fnmr(figures: &Value) -> f64 {
    let point = &figures["points"][1];
    assert_eq!(point["fmr_target"], 0.001);
    point["fnmr"].as_f64().unwrap()
}

#[test]
fn lfw_by_folds() {
    let Some(folder) = pack("lfw-view2") else { return };
    let work = tempfile::tempdir().unwrap();
    let pairs = share(&folder.join("pairs.csv"), &[1, 2], 3, work.path());
    let got = verification(&pairs, &["--face", "central"]);
    let accuracy = got["accuracy_folds"]["mean"].as_f64().unwrap();
    assert!(accuracy >= 0.994, "{accuracy}");
}

#[test]
fn east_asian_lfw() {
    let Some(folder) = pack("lfw-eastasian") else { return };
    let got = verification(&folder.join("pairs.csv"), &["--face", "central"]);
    assert!(fnmr(&got) <= 0.064, "{}", got["points"]);
}

#[test]
fn a_webcam_in_an_office() {
    let Some(folder) = pack("nuaa-verify") else { return };
    let got = verification(&folder.join("pairs.csv"), &[]);
    assert!(fnmr(&got) <= 0.005, "{}", got["points"]);
}

#[test]
fn id_photos_against_live_pictures() {
    let Some(folder) = pack("london-idsim") else { return };
    let got = verification(&folder.join("pairs.csv"), &[]);
    assert_eq!((&got["eer"]["value"], fnmr(&got)), (&0.0.into(), 0.0));
}

#[test]
fn printed_photos() {
    let Some(folder) = pack("nuaa-pad") else { return };
    let labels = folder.join("labels.csv");
    let work = tempfile::tempdir().unwrap();
    let labels = share(&labels, &[0], 2, work.path());
    let got = figures(&["attacks", "--labels", labels.to_str().unwrap()]);
    let (apcer, bpcer) = (got["apcer"]["worst"].as_f64().unwrap(), got["bpcer"].as_f64().unwrap());
    assert!(apcer <= 0.01 && bpcer <= 0.01, "{apcer} {bpcer}");
}

#[test]
fn other_attacks_are_reported_for_what_they_are() {
    let Some(folder) = pack("pad-extra") else { return };
    let got = figures(&["attacks", "--labels", folder.join("labels.csv").to_str().unwrap()]);
    assert!(got["apcer"]["by_species"]["screen-tablet"]["presentations"] == 1, "{}", got["apcer"]);
    assert!(!got["not_claimed"].as_array().unwrap().is_empty());
}

#[test]
fn a_gallery_of_a_thousand() {
    let Some(folder) = pack("lfw-1n") else { return };
    let work = tempfile::tempdir().unwrap();
    // A smaller gallery is an easier one: the gallery is whole, probes are a share.
    let gallery = share(&folder.join("gallery.csv"), &[1], 1, work.path());
    let probes = share(&folder.join("probes.csv"), &[0], 5, work.path());
    let (gallery, probes) = (gallery.to_str().unwrap(), probes.to_str().unwrap());
    let got = figures(&["identification", "--gallery", gallery, "--probes", probes, "--face", "central"]);
    assert!(got["rank1"].as_f64().unwrap() >= 0.98, "{}", got["rank1"]);
}
