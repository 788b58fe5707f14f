//! What a cashier and an operator meet on the command line: exit codes, a dead line, a revoked device, bad lists.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking; indexing a JSON value never does"
)]

use std::{fs, process::Output};

use serde_json::Value;
use tests::{
    people,
    process::{Server, run},
    site::Site,
};

const OWN: &str = "A10020001";

struct Shop {
    _folder: tempfile::TempDir,
    site: Site,
    center: Server,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).unwrap();
        site.init_center().unwrap();
        site.join_counter("P330212", "1").unwrap();
        site.enrol(&[(OWN, people::picture("cl_franck_01829.jpg").unwrap())]).unwrap();
        let center = site.start_center("127.0.0.1:0").unwrap();
        Self { _folder: folder, site, center }
    }

    fn stands(&self, picture: &str) -> &Self {
        self.site.stand_before_the_camera(&[people::picture(picture).unwrap()]).unwrap();
        self
    }

    fn verify(&self, card: &str, transaction: &str) -> Output {
        let mut command =
            self.site.agent(&["verify", "--card", card, "--scene", "settlement", "--transaction", transaction, "--json"]).unwrap();
        command.env("COUNTERSIGN_AGENT__CENTER__ADDRESS", self.center.address());
        command.env("COUNTERSIGN_AGENT__CENTER__RETRY_FOR_MS", "500");
        command.output().unwrap()
    }

    #[track_caller]
    fn check(&self, card: &str, transaction: &str, code: i32, decision: &str) -> Value {
        let output = self.verify(card, transaction);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
        let answer: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(answer["decision"].as_str().unwrap_or_default(), decision, "{answer}");
        assert!(!format!("{stdout}{stderr}").contains(card), "the card's number is shown");
        answer
    }
}

#[test]
fn every_decision_has_its_exit_code() {
    let shop = Shop::open();
    shop.stands("cl_franck_02221.jpg").check(OWN, "T-1", 0, "match");
    shop.stands("fr_biden.jpg").check(OWN, "T-2", 11, "non_match");
    shop.stands("pf_multi_face.jpg").check(OWN, "T-3", 12, "no_decision");
    let again = shop.stands("cl_franck_02221.jpg").check(OWN, "T-2", 11, "non_match");
    assert_eq!(again["repeated_answer"], true);
}

#[test]
fn a_dead_line_is_said_and_the_capture_is_not_lost() {
    let shop = Shop::open();
    shop.stands("cl_franck_02221.jpg").check(OWN, "T-1", 0, "match");
    let listen = shop.center.address().trim_start_matches("https://").to_owned();
    let Shop { _folder, site, center } = shop;
    let dead = Shop { center: site.start_center("127.0.0.1:0").unwrap(), site, _folder };
    center.kill().unwrap();
    // The agent is told the address of the center that died.
    let mut command = dead.site.agent(&["verify", "--card", OWN, "--scene", "settlement", "--transaction", "T-2", "--json"]).unwrap();
    command.env("COUNTERSIGN_AGENT__CENTER__ADDRESS", format!("https://{listen}")).env("COUNTERSIGN_AGENT__CENTER__RETRY_FOR_MS", "300");
    let output = command.output().unwrap();
    // Under its lease the counter answers by itself.
    assert_eq!(output.status.code(), Some(12), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["degraded"], &said["reasons"][0]), (&true.into(), &"center_unreachable".into()), "{said}");
    // The person has left; whoever asks again is told the same, with the same receipt.
    let again = dead.stands("pf_free-mountain-vector-01.jpg").check(OWN, "T-2", 12, "no_decision");
    assert_eq!(again["receipt"], said["receipt"]);
}

#[test]
fn a_revoked_device_is_refused_on_the_next_call() {
    let shop = Shop::open();
    shop.stands("cl_franck_02221.jpg").check(OWN, "T-1", 0, "match");
    let devices: Value = serde_json::from_str(&run(&mut shop.site.matcher(&["device", "list", "--json"]).unwrap()).unwrap()).unwrap();
    let device = devices[0]["device"].as_str().unwrap().to_owned();
    run(&mut shop.site.matcher(&["device", "revoke", &device]).unwrap()).unwrap();
    let output = shop.verify(OWN, "T-2");
    assert_eq!(output.status.code(), Some(1));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("revoked"), "{said}");
}

#[test]
fn a_bad_list_names_row_and_field_and_the_rest_is_enrolled() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).unwrap();
    site.init_center().unwrap();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::copy(people::picture("fr_obama.jpg").unwrap(), photos.join("a.jpg")).unwrap();
    fs::copy(people::picture("pf_free-mountain-vector-01.jpg").unwrap(), photos.join("nobody.jpg")).unwrap();
    fs::write(photos.join("broken.jpg"), b"\xff\xd8\xff not a picture").unwrap();
    let enrol = |csv: &str| {
        let manifest = folder.path().join("people.csv");
        fs::write(&manifest, csv).unwrap();
        let mut command =
            site.matcher(&["enrol", "--manifest", &manifest.to_string_lossy(), "--photos", &photos.to_string_lossy()]).unwrap();
        let output = command.output().unwrap();
        (output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    };

    let (code, said) = enrol("card,picture\nA10020001,a.jpg\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("photo") && said.contains("picture"), "{said}");

    let rows =
        "card,photo\nA10020001,a.jpg\n12,a.jpg\nA10020003,nobody.jpg\nA10020004,broken.jpg\nA10020005,missing.jpg\nA10020001,a.jpg\n";
    let (code, said) = enrol(rows);
    assert_eq!(code, Some(2), "{said}");
    for expected in ["row 3", "row 4", "no_face", "row 5", "row 6", "row 7"] {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
    assert!(!said.contains("A10020003"), "{said}");
}
