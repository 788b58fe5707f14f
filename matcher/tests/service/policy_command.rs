//! `matcher policy` as a process of its own beside the server.

use std::{fs, path::Path, process::Command};

use matcher_core::Policy;
use serde_json::Value;

use crate::support::{TestCenter, capture};

const CARD: &str = "A10020001";

/// Runs `matcher policy …`: exit code, output, error output.
fn policy(center: &TestCenter, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_matcher"))
        .args(["policy"])
        .args(arguments)
        .env("COUNTERSIGN_DATA", center.dir.path())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn file(folder: &Path, text: &str) -> String {
    let path = folder.join("policy.toml");
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

/// Bands at 0.40 and 0.20 in place of 0.50 and 0.30.
fn lower() -> String {
    let text = Policy::demonstration().replace("demonstration-1", "lower-1").replace("match_at_least = 0.50", "match_at_least = 0.40");
    text.replace("non_match_below = 0.30", "non_match_below = 0.20")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_compared_tried_applied_and_remembered() {
    let (center, device) = TestCenter::with_device().await;
    let temp = tempfile::tempdir().unwrap();
    center.enrol(CARD).await;
    for (transaction, cosine) in [("T-1", 0.8), ("T-2", 0.45), ("T-3", 0.25), ("T-4", 0.1)] {
        device.verify(transaction, &capture(CARD, cosine)).await.unwrap();
    }
    device.verify("T-5", &capture("A10029999", 0.8)).await.unwrap();
    let records = center.verifications().await;
    let file = file(temp.path(), &lower());

    let (code, text, _) = policy(&center, &["diff", &file]);
    assert!(code == 1 && text.contains("match_at_least") && text.contains("0.4") && text.contains("lower-1"), "{text}");
    let (code, text, error) = policy(&center, &["try", &file, "--since", "1h", "--json"]);
    assert_eq!(code, 0, "{error}");
    let tried: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&tried["records"], &tried["replayed"], &tried["cases_per_day"]["before"], &tried["cases_per_day"]["after"]),
        (&5.into(), &5.into(), &1.0.into(), &1.0.into())
    );
    assert_eq!(tried["flips"].as_array().unwrap().len(), 2, "{tried}");
    assert_eq!((&tried["institutions"][0]["mismatches_before"], &tried["institutions"][0]["mismatches_after"]), (&2.into(), &1.into()));
    let (_, table, _) = policy(&center, &["try", &file, "--since", "1h"]);
    assert!(table.contains("5 judged again") && table.contains("right, by what reviewers found: not known"), "{table}");
    assert_eq!(center.verifications().await, records, "the past is as it was");

    let (code, text, error) = policy(&center, &["apply", &file, "--by", "陈静", "--reason", "fewer reviews"]);
    assert!(code == 0 && text.contains("Policy lower-1 is in force (number 2, demonstration)"), "{text}{error}");
    let (_, shown, _) = policy(&center, &["show"]);
    assert_eq!(shown.trim_end(), lower().trim_end());
    let (_, history, _) = policy(&center, &["history", "--json"]);
    let history: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!(
        (&history[0]["applied_by"], &history[0]["reason"], &history[0]["signature_holds"]),
        (&"陈静".into(), &"fewer reviews".into(), &true.into())
    );
    assert!(history[0]["text"].is_null());
    assert_eq!(policy(&center, &["diff", &file]).0, 0, "nothing changes any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_applied_is_refused_and_the_policy_in_force_stays() {
    let (center, _) = TestCenter::with_device().await;
    let temp = tempfile::tempdir().unwrap();
    let refused = |text: &str, expected: &str| {
        let file = file(temp.path(), text);
        let (code, _, error) = policy(&center, &["apply", &file, "--reason", "a test"]);
        assert!(code == 1 && error.contains(expected), "{code}: {error}");
    };
    refused("version = 'x'", "missing field");
    refused(&Policy::SHIPPED.replace("mode = \"shadow\"", "mode = \"live\""), "accepted: expected who accepted the calibration");
    refused(&Policy::SHIPPED.replace("# non_match_below", "non_match_below"), "thresholds[0].non_match_below: expected to be left out");
    refused(&lower().replace("lower-1", "demonstration-1"), "version: expected one that was not applied before");
    assert_eq!(policy(&center, &["apply", "/nonexistent", "--reason", "a test"]).0, 1);
    assert_eq!(policy(&center, &["apply", "/nonexistent"]).0, 2, "a reason is asked for");
    assert_eq!(policy(&center, &["show", "--number", "9"]).0, 1);
    assert_eq!(policy(&center, &["show"]).1.trim_end(), Policy::demonstration().trim_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_was_changed_in_the_database_is_not_worked_by() {
    let (center, _) = TestCenter::with_device().await;
    center.meddle("UPDATE policy SET text = replace(text, 'match_at_least = 0.50', 'match_at_least = 0.05')");
    let (code, _, error) = policy(&center, &["show"]);
    assert!(code == 1 && error.contains("does not carry the signature of this center's policy key"), "{error}");
    assert!(policy(&center, &["history"]).1.contains("DOES NOT HOLD"));
    assert!(matcher::center::Center::open(&center.dir).await.is_err());
}
