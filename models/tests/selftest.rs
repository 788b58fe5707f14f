//! The self-test passes on what ships, and fails on every mistake in a manifest that raises no error.
//!
//! Needs the files of `models fetch`; without them the tests print SKIPPED and pass, unless
//! `COUNTERSIGN_REQUIRE_MODELS=1`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{env, path::Path, time::Instant};

use models::{
    cache,
    manifest::{Manifest, SHIPPED},
    pipeline::Pipeline,
    selftest::SelfTestFailure,
};

fn ready() -> bool {
    let cache_dir = cache::default_dir();
    let manifest = Manifest::shipped();
    let there = manifest.models().iter().all(|model| model.path(&cache_dir).is_file())
        && manifest.pictures().iter().all(|picture| picture.path(&cache_dir).is_file());
    assert!(there || env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "run `models fetch`");
    if !there {
        eprintln!("SKIPPED: run `models fetch`");
    }
    there
}

/// Names of the checks that fail with these changes to the shipped manifest.
#[track_caller]
fn failures(changes: &[(&str, &str)]) -> Vec<String> {
    let mut text = SHIPPED.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let manifest = Manifest::parse(&text, "test", Path::new("")).unwrap();
    let pipeline = Pipeline::load(&manifest, &cache::default_dir()).unwrap();
    match pipeline.self_test(&manifest, &cache::default_dir()) {
        Ok(_) => Vec::new(),
        Err(SelfTestFailure::Failed(report)) => {
            assert!(report.checks.iter().all(|check| !check.name.is_empty()));
            report.failed().map(|check| check.name.clone()).collect()
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn what_ships_passes_in_time_with_nothing_skipped() {
    if !ready() {
        return;
    }
    let manifest = Manifest::shipped();
    let pipeline = Pipeline::load(&manifest, &cache::default_dir()).unwrap();
    let start = Instant::now();
    let report = pipeline.self_test(&manifest, &cache::default_dir()).unwrap();
    eprintln!("{report} in {:?}", start.elapsed());
    assert_eq!((report.failed().count(), report.skipped().count()), (0, 0), "{report:?}");
    assert_eq!(report.checks.len(), 6 + 3 * 2 + 1);
}

#[test]
fn missing_pictures_are_skipped_and_listed() {
    if !ready() {
        return;
    }
    let manifest = Manifest::shipped();
    let pipeline = Pipeline::load(&manifest, &cache::default_dir()).unwrap();
    let report = pipeline.self_test(&manifest, tempfile::tempdir().unwrap().path()).unwrap();
    assert_eq!(report.skipped().count(), 4, "{report:?}");
}

const FEATURES: &str =
    "input = { name = \"input\", channels = \"bgr\", mean = [127.5, 127.5, 127.5], divisor = [127.5, 127.5, 127.5], width = 112";
const FEATURES_RGB: &str =
    "input = { name = \"input\", channels = \"rgb\", mean = [127.5, 127.5, 127.5], divisor = [127.5, 127.5, 127.5], width = 112";
const FEATURES_ONE: &str = "input = { name = \"input\", channels = \"bgr\", mean = [0, 0, 0], divisor = [1, 1, 1], width = 112";
const ATTACK: &str = "input = { name = \"input\", channels = \"bgr\", mean = [0, 0, 0], divisor = [1, 1, 1], width = 128";
const ATTACK_RGB: &str = "input = { name = \"input\", channels = \"rgb\", mean = [0, 0, 0], divisor = [1, 1, 1], width = 128";
const ATTACK_SHARE: &str = "input = { name = \"input\", channels = \"bgr\", mean = [0, 0, 0], divisor = [255, 255, 255], width = 128";
const DETECTOR: &str = "channels = \"rgb\", mean = [0, 0, 0], divisor = [1, 1, 1], multiple_of";
const DETECTOR_BGR: &str = "channels = \"bgr\", mean = [0, 0, 0], divisor = [1, 1, 1], multiple_of";
const DETECTOR_SHARE: &str = "channels = \"rgb\", mean = [0, 0, 0], divisor = [255, 255, 255], multiple_of";
const POINTS: &str = "[[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]";
const POINTS_OFF: &str = "[[30.2946, 33.6963], [65.5318, 33.5014], [48.0252, 53.7366], [33.5493, 74.3655], [62.7299, 74.2041]]";
/// The face at less than half its size: a crop for another network.
const POINTS_SMALL: &str = "[[15.3, 20.7], [29.4, 20.6], [22.4, 28.7], [16.6, 36.9], [28.3, 36.9]]";

#[test]
fn a_wrong_channel_order_scale_or_crop_of_a_shipped_model_fails() {
    if !ready() {
        return;
    }
    let golden = |model: &str| format!("{model} on the drawn picture");
    for (changes, model) in [
        (&[(FEATURES, FEATURES_RGB), ("arcface5x3-bgr", "arcface5x3-rgb")][..], "faceplugin-mfn512@1"),
        (&[(FEATURES, FEATURES_ONE)], "faceplugin-mfn512@1"),
        (&[(POINTS, POINTS_OFF)], "faceplugin-mfn512@1"),
        (&[(ATTACK, ATTACK_RGB)], "faceplugin-liveness@1"),
        (&[(ATTACK, ATTACK_SHARE)], "faceplugin-liveness@1"),
        (&[("factor = 2.7", "factor = 2.0")], "faceplugin-liveness@1"),
        (&[(DETECTOR, DETECTOR_BGR)], "centerface@1"),
        (&[(DETECTOR, DETECTOR_SHARE)], "centerface@1"),
        (&[("divisor = [256]", "divisor = [128]")], "faceplugin-landmark68@1"),
        (&[("crop = { kind = \"eyes\", factor = 1.6 }", "crop = { kind = \"eyes\", factor = 2.2 }")], "faceplugin-eyes@1"),
        (&[("factor = 1.35", "factor = 1.8")], "faceplugin-pose@1"),
    ] {
        let failed = failures(changes);
        assert!(failed.contains(&golden(model)), "{model} {changes:?}: {failed:?}");
    }
}

#[test]
fn a_model_without_a_record_still_fails_on_real_faces() {
    if !ready() {
        return;
    }
    let own_features = ("id = \"faceplugin-mfn512@1\"", "id = \"own-features@1\"");
    let own_attack = ("id = \"faceplugin-liveness@1\"", "id = \"own-attack@1\"");
    let own_detector = ("id = \"centerface@1\"", "id = \"own-detector@1\"");
    assert_eq!(failures(&[own_features, own_attack, own_detector]), Vec::<String>::new());
    let passed: Vec<_> = [
        (own_features, (POINTS, POINTS_SMALL)),
        (own_features, (FEATURES, FEATURES_ONE)),
        (own_attack, (ATTACK, ATTACK_SHARE)),
        (own_detector, (DETECTOR, DETECTOR_SHARE)),
    ]
    .into_iter()
    .filter(|(own, change)| failures(&[*own, *change]).is_empty())
    .collect();
    assert!(passed.is_empty(), "{passed:?}");
}
