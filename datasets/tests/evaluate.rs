//! The `evaluate` command: complaints about files, and a small evaluation on the pictures of `registry-mini`.
//!
//! The latter needs the files of `models fetch` and `datasets fetch registry-mini`; without them its tests print
//! SKIPPED and pass, unless `COUNTERSIGN_REQUIRE_MODELS=1`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
};

use datasets::{Identity, Pack, PackPicture};
use matcher_core::Policy;
use models::{cache, manifest::Manifest};
use serde_json::Value;

fn evaluate(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_evaluate")).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn check(files: &[(&str, &str)], arguments: &[&str], code: i32, said: &str) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let output = evaluate(folder.path(), arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(said), "{said:?} is not in {text:?}");
}

#[test]
fn files_that_are_not_in_order_end_with_2_and_name_line_and_column() {
    let pairs = ["verification", "--pairs", "p.csv"];
    check(&[("p.csv", "label,image_a,image_b\nmaybe,a,b\n")], &pairs, 2, "p.csv: line 2: label: expected 1 or 0, got \"maybe\"");
    check(&[("p.csv", "label,image_a,image_b\n1,a.jpg,b.jpg\n")], &pairs, 2, "p.csv: line 2: image_a: expected a picture at a.jpg");
    check(&[], &pairs, 2, "could not read p.csv");
    check(&[("l.csv", "image,attack\n")], &["attacks", "--labels", "l.csv"], 2, "l.csv: line 1: bona_fide: expected a column");
    let searches = ["identification", "--gallery", "g.csv", "--probes", "p.csv"];
    check(&[("g.csv", "identity,image\nA,gone.jpg\n"), ("p.csv", "image\n")], &searches, 2, "g.csv: line 2: image: expected a picture");
}

#[test]
fn arguments_that_do_not_go_together_end_with_2() {
    check(&[], &["verification"], 2, "--pairs");
    check(&[], &["calibrate"], 2, "--pairs");
    check(&[], &["calibrate", "--cross"], 2, "--captures");
    check(&[], &["calibrate", "--pairs", "p.csv", "--fmr", "0"], 2, "expected a number above 0 and below 1");
}

#[test]
fn completions_are_printed_for_a_shell() {
    let output = evaluate(Path::new("."), &["completions", "bash"]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("identification"));
}

/// The pictures, or a loud skip.
fn ready() -> Option<Pack> {
    let pack = Pack::registry_mini(&datasets::default_dir());
    let folder = cache::default_dir();
    let weights = Manifest::shipped().models().iter().all(|model| model.path(&folder).is_file());
    if weights && pack.missing.is_empty() {
        return Some(pack);
    }
    let reason = "models or pictures are not in the cache";
    assert!(env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "{reason}");
    eprintln!("SKIPPED: {reason}");
    None
}

fn path(picture: &PackPicture) -> String {
    picture.path.display().to_string()
}

/// Ten pairs of one person and ten of two, none of them with a picture that shows nobody in particular.
fn twenty_pairs(pack: &Pack) -> String {
    let all = pack.pairs();
    let plain = || all.iter().filter(|pair| pair.a.note.is_empty() && pair.b.note.is_empty());
    let mated = plain().filter(|pair| pair.mated).take(10);
    let nonmated = plain().filter(|pair| !pair.mated).step_by(7).take(10);
    let rows = mated.chain(nonmated).map(|pair| {
        let (label, kind) = if pair.mated { (1, "one") } else { (0, "two") };
        format!("{label},{},{},{kind}\n", path(pair.a), path(pair.b))
    });
    let text = format!("label,image_a,image_b,kind\n{}", rows.collect::<String>());
    assert_eq!(text.lines().count(), 21);
    text
}

/// Runs the command and reads its JSON.
#[track_caller]
fn figures(folder: &Path, arguments: &[&str]) -> Value {
    let output = evaluate(folder, &[arguments, &["--json", "figures.json", "--report", "pages", "--bootstrap", "50"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&fs::read_to_string(folder.join("figures.json")).unwrap()).unwrap()
}

/// A page is complete in itself: no script, no picture, nothing from elsewhere but the name of SVG's language.
#[track_caller]
fn check_page(path: &Path) {
    let page = fs::read_to_string(path).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<svg") && page.ends_with("</html>\n"));
    let without = page.replace("http://www.w3.org/2000/svg", "");
    for foreign in ["<script", "<img", "<link", "http:", "https:", "url(", "@import"] {
        assert!(!without.contains(foreign), "{foreign}");
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn verification_on_twenty_pairs() {
    let Some(pack) = ready() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pairs.csv"), twenty_pairs(&pack)).unwrap();
    let got = figures(folder.path(), &["verification", "--pairs", "pairs.csv", "--against", "plain"]);
    assert_eq!((&got["command"], &got["trials_mated"], &got["trials_nonmated"]), (&"verification".into(), &10.into(), &10.into()));
    assert!(got["failure_to_acquire"].as_f64().unwrap() < 0.2, "{}", got["failures"]);
    assert!(got["eer"]["value"].as_f64().unwrap() <= 0.1 && got["eer"]["ci95"].is_array());
    let points = got["points"].as_array().unwrap();
    let targets: Vec<f64> = points.iter().map(|point| point["fmr_target"].as_f64().unwrap()).collect();
    assert_eq!(targets, [0.01, 0.001, 0.0001, 0.000_01]);
    for name in ["threshold", "false_matches", "fnmr", "ci95", "frr", "far", "resolved"] {
        assert!(keys(&points[0]).contains(&name), "{name}");
    }
    // Ten non-mated pairs say nothing about one in a hundred.
    assert!(points[0]["threshold"].is_null() && points[0]["resolved"].is_null() && points[0]["false_matches"] == 0);
    assert!(got["accuracy_folds"].is_null());
    for side in ["mated", "nonmated"] {
        let shares = &got["at_policy"][side];
        assert_eq!(keys(shares), ["attack_suspected", "failure_to_acquire", "match", "non_match", "review"]);
        let sum: f64 = shares.as_object().unwrap().values().map(|share| share.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{shares}");
    }
    assert_eq!(got["groups"].as_array().unwrap().len(), 2);
    assert_eq!(got["paired"]["points"].as_array().unwrap().len(), 4);
    check_page(&folder.path().join("pages/verification.html"));
}

#[test]
fn attacks_on_a_few_presentations() {
    let Some(pack) = ready() else { return };
    let folder = tempfile::tempdir().unwrap();
    let people: Vec<&PackPicture> =
        pack.pictures.iter().filter(|picture| picture.note.is_empty() && matches!(picture.identity, Identity::Person(_))).take(6).collect();
    // Genuine pictures under a false label: what passes must be counted as an error.
    let rows = people.iter().enumerate().map(|(at, picture)| {
        let labels = if at < 3 { "1,none" } else { "0,print" };
        format!("{},{labels},{}\n", path(picture), picture.identity)
    });
    fs::write(folder.path().join("l.csv"), format!("image,bona_fide,attack,identity\n{}", rows.collect::<String>())).unwrap();
    let got = figures(folder.path(), &["attacks", "--labels", "l.csv", "--threshold", "0.9"]);
    assert_eq!((&got["attacks"], &got["bona_fide"]), (&3.into(), &3.into()));
    for name in ["apcer", "bpcer", "iapar", "attack_subjects", "bona_fide_score_quantiles", "failure_to_acquire"] {
        assert!(keys(&got).contains(&name), "{name}");
    }
    let print = &got["apcer"]["by_species"]["print"];
    assert_eq!((&print["presentations"], &got["apcer"]["worst"]), (&3.into(), &print["apcer"]));
    let purposes: Vec<&str> = got["thresholds"].as_array().unwrap().iter().map(|at| at["purpose"].as_str().unwrap()).collect();
    assert!(purposes.first() == Some(&"retry") && purposes.last() == Some(&"given"), "{purposes:?}");
    assert!(!got["not_claimed"].as_array().unwrap().is_empty());
    check_page(&folder.path().join("pages/attacks.html"));
}

#[test]
fn identification_in_a_small_gallery() {
    let Some(pack) = ready() else { return };
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| {
        let person = Identity::Person(name.into());
        pack.pictures.iter().filter(move |picture| picture.identity == person && picture.note.is_empty()).collect::<Vec<_>>()
    };
    let (franck, obama) = (of("franck"), of("obama"));
    let gallery = format!("identity,image\nfranck,{}\nobama,{}\n", path(franck[0]), path(obama[0]));
    let mated = franck.iter().skip(1).take(3).map(|picture| format!("{},franck\n", path(picture))).collect::<String>();
    let others = pack.pictures.iter().filter(|picture| {
        picture.note.is_empty() && matches!(&picture.identity, Identity::Person(name) if name != "franck" && name != "obama")
    });
    let nonmated = others.take(3).map(|picture| format!("{},\n", path(picture))).collect::<String>();
    fs::write(folder.path().join("g.csv"), gallery).unwrap();
    fs::write(folder.path().join("p.csv"), format!("image,identity_or_empty_if_not_enrolled\n{mated}{nonmated}")).unwrap();
    let got = figures(folder.path(), &["identification", "--gallery", "g.csv", "--probes", "p.csv"]);
    assert_eq!((&got["gallery_size"], &got["mated_searches"], &got["rank1"]), (&2.into(), &3.into(), &1.0.into()));
    let targets: Vec<f64> = got["points"].as_array().unwrap().iter().map(|point| point["fpir_target"].as_f64().unwrap()).collect();
    assert_eq!(targets, [0.1, 0.01, 0.001]);
    for name in ["threshold", "fnir", "nonmated_searches"] {
        assert!(keys(&got["points"][0]).contains(&name), "{name}");
    }
    check_page(&folder.path().join("pages/identification.html"));
}

#[test]
fn calibration_refuses_what_is_not_resolved_and_writes_a_policy_that_is_read() {
    let Some(pack) = ready() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pairs.csv"), twenty_pairs(&pack)).unwrap();
    let run = |more: &[&str]| {
        evaluate(
            folder.path(),
            &[&["calibrate", "--pairs", "pairs.csv", "--attempts", "1", "--out", "policy.toml", "--bootstrap", "20"], more].concat(),
        )
    };
    let refused = run(&["--fmr", "0.2"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.status.code() == Some(1) && said.contains("at least 30 false matches") && said.contains("--accept-unresolved"),
        "{said}"
    );
    assert!(!folder.path().join("policy.toml").exists());
    let taken = run(&["--fmr", "0.2", "--accept-unresolved", "--policy-version", "site-1"]);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    let policy = Policy::from_toml(&fs::read_to_string(folder.path().join("policy.toml")).unwrap()).unwrap();
    assert_eq!((policy.version(), policy.provisional()), ("site-1", true));
}

#[test]
fn a_stock_without_labels_is_compared_across_cards_and_no_card_is_shown() {
    let Some(pack) = ready() else { return };
    let folder = tempfile::tempdir().unwrap();
    let people: Vec<&PackPicture> =
        pack.pictures.iter().filter(|picture| picture.note.is_empty() && matches!(picture.identity, Identity::Person(_))).take(8).collect();
    let references = people.iter().enumerate().map(|(at, picture)| format!("{},CARD{at},f,{},north\n", path(picture), 1950 + at));
    let captures = people.iter().enumerate().map(|(at, picture)| format!("{},CARD{at}\n", path(picture)));
    fs::write(folder.path().join("r.csv"), format!("image,card,sex,born,district\n{}", references.collect::<String>())).unwrap();
    fs::write(folder.path().join("c.csv"), format!("image,card\n{}", captures.collect::<String>())).unwrap();
    let arguments =
        ["calibrate", "--cross", "--captures", "c.csv", "--references", "r.csv", "--fmr", "0.2", "--attempts", "1", "--accept-unresolved"];
    let output = evaluate(folder.path(), &[arguments.as_slice(), &["--json", "x.json", "--out", "policy.toml"]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let text = fs::read_to_string(folder.path().join("x.json")).unwrap();
    assert!(!text.contains("CARD") && !said.contains("CARD"));
    let got: Value = serde_json::from_str(&text).unwrap();
    // Born 1950 to 1957: each of 8 meets those within five years, 56 ordered pairs less those 6 and 7 years apart.
    assert_eq!((&got["comparisons"], &got["captures"]), (&50.into(), &8.into()));
    assert!(Policy::from_toml(&fs::read_to_string(folder.path().join("policy.toml")).unwrap()).is_ok());
}
