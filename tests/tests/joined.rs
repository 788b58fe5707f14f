//! A counter joins with a one-time code, is examined, renews its certificate, and goes on: the real programs.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking; indexing a JSON value never does"
)]

use std::{fs, process::Output};

use serde_json::Value;
use tests::{
    clock::Clock,
    people,
    process::{Server, run},
    site::Site,
};

const CARD: &str = "A10020001";

struct Place {
    _folder: tempfile::TempDir,
    site: Site,
    center: Option<Server>,
}

impl Place {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).unwrap();
        site.init_center().unwrap();
        let center = Some(site.start_center("127.0.0.1:0").unwrap());
        Self { _folder: folder, site, center }
    }

    fn agent(&self, arguments: &[&str]) -> Output {
        self.site.agent(arguments).unwrap().output().unwrap()
    }

    fn join(&self, code: &str) -> Output {
        self.agent(&["join", "--center", &self.site.joining_address().unwrap(), "--code", code])
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn check(output: &Output, code: i32, expected: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    assert!(said(output).contains(expected), "{}", said(output));
}

#[test]
fn a_counter_joins_is_examined_renews_and_verifies() {
    let place = Place::open();
    place.site.enrol(&[(CARD, people::picture("cl_franck_01829.jpg").unwrap())]).unwrap();
    let code = place.site.invite_counter("P330212", "1").unwrap();
    // Typed as people do, and with a slip first.
    let slip = if code.starts_with('7') { code.replacen('7', "8", 1) } else { format!("7{}", &code[1..]) };
    check(&place.join(&slip), 2, "a character is wrong");
    check(&place.join(&code.to_lowercase().replace('-', " ")), 0, "device P330212-1 of institution P330212, counter 1, is ready");
    place.site.stand_before_the_camera(&[people::picture("cl_franck_02221.jpg").unwrap()]).unwrap();

    // The configuration has the center's address now: nothing else is needed.
    let doctor = place.agent(&["doctor", "--json"]);
    let examined: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let grades: Vec<_> = examined["checks"].as_array().unwrap().iter().map(|check| (&check["check"], &check["word"])).collect();
    for name in ["configuration", "identity", "models", "camera", "line", "certificate", "spool", "permissions"] {
        assert!(grades.iter().any(|(check, word)| *check == name && *word == "ok"), "{name}: {grades:?}");
    }
    check(&place.agent(&["status"]), 1, "does not run");
    let verify = ["verify", "--card", CARD, "--scene", "settlement", "--transaction", "T-1"];
    check(&place.agent(&verify), 0, "MATCH");

    let certificate = || fs::read(place.site.counter_folder().join("device.crt")).unwrap();
    let before = certificate();
    check(&place.agent(&["renew"]), 0, "the certificate holds until");
    assert_ne!(certificate(), before);
    check(&place.agent(&["verify", "--card", CARD, "--scene", "settlement", "--transaction", "T-2"]), 0, "MATCH");

    let shown = run(&mut place.site.matcher(&["device", "show", "P330212-1", "--json"]).unwrap()).unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["last_report"]["camera"], "unknown", "each command reports before it uses the camera: {shown}");
    assert!(shown["last_report"]["state"]["disk_free_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn an_interruption_anywhere_costs_no_second_code() {
    let place = Place::open();
    let code = place.site.invite_counter("P330212", "1").unwrap();
    check(&place.join(&code), 0, "is ready");
    let counter = place.site.counter_folder();
    let certificate = fs::read(counter.join("device.crt")).unwrap();
    // As if the power had failed before a file was written: each in turn, and all of them.
    for lost in [vec!["device.toml"], vec!["device.crt", "device.toml"], vec!["ca.crt", "device.crt", "device.toml", "agent.toml"]] {
        for name in lost {
            fs::remove_file(counter.join(name)).unwrap();
        }
        check(&place.join(&code), 0, "is ready");
        assert_eq!(fs::read(counter.join("device.crt")).unwrap(), certificate, "the same answer");
    }
    // Another counter finds it spent.
    fs::rename(&counter, counter.with_extension("away")).unwrap();
    check(&place.join(&code), 1, "code: expected one that was handed out for this counter");
}

/// A counter whose certificate ended while it was switched off. The clock of both is moved on in between.
#[test]
fn a_counter_that_was_off_for_too_long_says_so_and_renews_late() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new(folder.path().join("clock")).unwrap();
    let site = Site::new(folder.path()).unwrap().under_clock(clock.clone());
    site.init_center().unwrap();
    let settings = "[devices]\ncertificate_days = 2\nrenew_late_days = 10\n[server]\nlisten = \"127.0.0.1:0\"\n";
    fs::write(site.center_folder().join("matcher.toml"), settings).unwrap();
    site.enrol(&[(CARD, people::picture("cl_franck_01829.jpg").unwrap())]).unwrap();
    site.stand_before_the_camera(&[people::picture("cl_franck_02221.jpg").unwrap()]).unwrap();
    let center = site.start_center("127.0.0.1:0").unwrap();
    let agent = |arguments: &[&str]| {
        let mut command = site.agent(arguments).unwrap();
        command.env("COUNTERSIGN_AGENT__CENTER__RETRY_FOR_MS", "0").output().unwrap()
    };
    let code = site.invite_counter("P330212", "1").unwrap();
    check(&agent(&["join", "--center", &site.joining_address().unwrap(), "--code", &code]), 0, "is ready");
    let listen = center.address().trim_start_matches("https://").to_owned();
    let joining = site.joining_address().unwrap();
    center.stop().unwrap();

    let days = |days: i64| days * 86_400;
    clock.set(days(5)).unwrap();
    let mut command = site.matcher(&["serve"]).unwrap();
    for (key, value) in [("SERVER", listen.as_str()), ("JOINING", joining.trim_start_matches("https://")), ("PUBLISHED", "127.0.0.1:0")] {
        command.env(format!("COUNTERSIGN_MATCHER__{key}__LISTEN"), value);
    }
    let center = Server::start(&mut command, &site.log("center")).unwrap();
    let verify = ["verify", "--card", CARD, "--scene", "settlement", "--transaction", "T-1"];
    check(&agent(&verify), 20, "center_unreachable");
    check(&agent(&["doctor"]), 1, "FAIL  certificate   has ended");
    check(&agent(&["renew"]), 0, "the certificate holds until");
    check(&agent(&verify), 0, "MATCH");

    clock.set(days(5 + 2 + 11)).unwrap();
    check(&agent(&["renew"]), 1, "ended at most 10 days ago; the device joins anew with a code");
    center.stop().unwrap();
}

#[test]
fn a_code_is_told_to_no_other_center() {
    let (mut place, other) = (Place::open(), Place::open());
    let code = place.site.invite_counter("P330212", "1").unwrap();
    let output = place.agent(&["join", "--center", &other.site.joining_address().unwrap(), "--code", &code]);
    check(&output, 1, "is not the center that made the code; nothing was sent");
    let log = fs::read_to_string(other.site.log("center")).unwrap_or_default();
    assert!(!log.contains("code was tried"), "{log}");
    place.center.take().unwrap().stop().unwrap();
    check(&place.agent(&["join", "--center", "https://127.0.0.1:1", "--code", &code]), 1, "does not answer");
}
