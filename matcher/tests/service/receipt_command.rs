//! `matcher receipt` and `matcher reconcile` as an operator types them, on the folder of a center that serves.

use std::{
    fs,
    process::{Command, Output},
};

use proto::v1;
use serde_json::Value;

use crate::support::{TestCenter, TestDevice, capture};

const CARD: &str = "A10020001";

fn run(center: &TestCenter, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_matcher")).args(arguments).env("COUNTERSIGN_DATA", center.dir.path()).output().unwrap()
}

/// Exit code and output of a command.
#[track_caller]
fn check(center: &TestCenter, arguments: &[&str], code: i32, says: &str) -> String {
    let output = run(center, arguments);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(says), "{says}\n{text}");
    assert!(!text.contains(CARD), "the card's number is shown: {text}");
    String::from_utf8(output.stdout).unwrap()
}

async fn confirm(device: &TestDevice, number: &str) {
    let (receipt_number, settlement) = (number.to_owned(), "S-1".to_owned());
    let request = v1::ConfirmReceiptRequest { receipt_number, settlement, amount_fen: 1_250, document_checked_by: String::new() };
    assert_eq!(device.confirm(request).await.unwrap().0, "");
}

#[tokio::test]
async fn a_receipt_is_checked_against_the_store_and_with_a_key_set_alone() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let answer = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let (receipt, number) = (answer.receipt.as_str(), answer.receipt_number.as_str());
    check(&center, &["receipt", "verify", number], 0, "not compared: institution, transaction, scene, card, amount");
    let own = ["--institution", "P1", "--transaction", "T-1", "--scene", "settlement", "--card", CARD, "--amount", "12.50"];
    check(&center, &[&["receipt", "verify", receipt, "--settlement", "S-1"], &own[..]].concat(), 0, "holds for this settlement");
    check(&center, &["receipt", "verify", receipt, "--card", "A10020002"], 1, "does not hold, other_card: it is of another card");
    check(&center, &["receipt", "verify", "28T5CY4TQKFF00938NKRG0"], 1, "unknown_number");
    confirm(&device, number).await;
    check(&center, &["receipt", "verify", receipt], 1, "does not hold, used");
    check(&center, &["receipt", "verify", receipt, "--settlement", "S-1"], 0, "confirmed");
    check(&center, &["receipt", "verify", receipt, "--settlement", "S-1", "--amount", "12.51"], 1, "other_amount");
    device.reverse(number, "S-1").await.unwrap();
    let json = check(&center, &["receipt", "verify", number, "--settlement", "S-1", "--json"], 1, "");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["holds"], &json["refusal"], &json["state"]), (&false.into(), &"reversed".into(), &"reversed".into()));
    let keys = center.dir.path().join("jwks.json");
    let set = matcher::receipt_keys::ReceiptKeys::load(&center.dir, &matcher::config::Config::load(&center.dir).unwrap().receipts).unwrap();
    fs::write(&keys, set.verifying(matcher::receipt_keys::ReceiptKind::Production).to_jwks()).unwrap();
    let (keys, settlement_key) = (keys.display().to_string(), center.dir.settlement_key().display().to_string());
    let offline = ["receipt", "verify", receipt, "--keys", &keys];
    check(&center, &offline, 0, "whether it was used or reversed, only the center knows");
    check(&center, &[&offline[..], &["--card", CARD]].concat(), 1, "--settlement-key: expected");
    check(&center, &[&offline[..], &["--card", CARD, "--settlement-key", &settlement_key]].concat(), 0, "holds as far");
    check(&center, &[&offline[..], &["--audience", "x"]].concat(), 1, "foreign_audience");
    check(&center, &[&offline[..], &["--at", "2099-01-01T00:00:00Z"]].concat(), 1, "expired");
    check(&center, &["receipt", "verify", number, "--keys", &keys], 1, "RECEIPT: expected the receipt itself");
}

#[tokio::test]
async fn a_receipt_is_shown_with_what_became_of_it() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let number = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap().receipt_number;
    confirm(&device, &number).await;
    let text = check(&center, &["receipt", "show", &number.to_lowercase()], 0, "S-1: 12.50 yuan, confirmed");
    assert!(text.contains("confirmed") && text.contains("T-1"), "{text}");
    let json: Value = serde_json::from_str(&check(&center, &["receipt", "show", &number, "--json"], 0, "")).unwrap();
    assert_eq!((&json["state"], &json["uses"][0]["amount_fen"]), (&"confirmed".into(), &1_250.into()));
    assert_eq!(json["claims"]["transaction"], "T-1");
    let short = receipt_form::short::of(number.parse().unwrap());
    check(&center, &["receipt", "find", &short, "--institution", "P1"], 0, "S-1: 12.50 yuan, confirmed");
    assert!(check(&center, &["receipt", "find", &short, "--json"], 0, "").contains(&number));
    check(&center, &["receipt", "find", &short, "--institution", "P2"], 1, "there is no receipt of this number");
    check(&center, &["receipt", "find", "1234567890123456"], 1, "short number: expected 16 digits");
    check(&center, &["receipt", "show", "28T5CY4TQKFF00938NKRG0"], 1, "there is no receipt of this number");
    check(&center, &["receipt", "show", "28T5CY4TQKFF00938NKRG1"], 1, "the check characters do not follow");
}

#[tokio::test]
async fn a_day_is_reconciled() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let number = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap().receipt_number;
    let list = center.dir.path().join("day.csv");
    let now = jiff::Timestamp::now();
    let header = "settlement,institution,transaction,card,amount,settled_at,receipt";
    fs::write(&list, format!("{header}\nS-1,P1,T-1,{CARD},12.50,{now},{number}\n")).unwrap();
    let path = list.display().to_string();
    check(&center, &["reconcile", "--settlements", &path], 0, "1 settlements: 1 hold");
    fs::write(&list, format!("{header}\nS-1,P1,T-1,{CARD},12.50,{now},\n")).unwrap();
    let json: Value = serde_json::from_str(&check(&center, &["reconcile", "--settlements", &path, "--json"], 1, "")).unwrap();
    assert_eq!((&json["found"]["no_receipt"], &json["found"]["unused"]), (&1.into(), &1.into()));
    assert_eq!(json["findings"][0]["card"], "*****0001");
    check(&center, &["reconcile", "--settlements", "/nowhere.csv"], 1, "could not read the list /nowhere.csv");
}
