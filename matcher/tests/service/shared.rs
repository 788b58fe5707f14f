//! A center on PostgreSQL: several servers share one store, and the log of all of them checks.

use std::{process::Command, sync::Arc};

use proto::v1;
use tokio::task::JoinSet;

use crate::support::{TestCenter, capture};

const CARD: &str = "A10020001";

/// Runs `matcher` on a center; gives what it printed.
fn matcher(center: &TestCenter, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_matcher"));
    let done = command.arg("--data").arg(center.dir.path()).args(words).output().unwrap();
    assert!(done.status.success(), "{words:?}: {}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_database_answer_as_one() {
    let center = TestCenter::on_postgres().await;
    center.enrol(CARD).await;
    let device = center.device("1").await;
    let (_bystander, address) = center.beside().await;
    let there = device.also_at(&address);
    let first = device.send(device.seal(&device.address("T-1", 1), &capture(CARD, 0.9))).await.unwrap();
    assert_eq!((first.decision, first.receipt_number.len()), (v1::Decision::Match.into(), 22));
    // The same envelope at both at once, time and again: one answer each.
    let (device, there) = (Arc::new(device), Arc::new(there));
    for n in 2..8 {
        let envelope = device.seal(&device.address(&format!("T-{n}"), 1), &capture(CARD, 0.1));
        let mut calls = JoinSet::new();
        for at in [&device, &there, &device, &there] {
            let (at, envelope) = (Arc::clone(at), envelope.clone());
            calls.spawn(async move { at.send(envelope).await.unwrap() });
        }
        let answers = calls.join_all().await;
        assert_eq!(answers.iter().filter(|answer| !answer.repeated_answer).count(), 1, "T-{n}");
        assert!(answers.iter().all(|answer| answer.verification_id == answers[0].verification_id && answer.receipt == answers[0].receipt));
    }
    assert_eq!((center.verifications().await.len(), center.count("SELECT count(*) FROM receipt")), (7, 7));
    assert_eq!(center.count("SELECT count(*) FROM verification_other"), 0, "the log's parts take what comes now");
    // Both servers' chains, and those of commands, check with every record.
    matcher(&center, &["audit", "checkpoint"]);
    let checked = matcher(&center, &["audit", "verify", "--records"]);
    assert!(checked.contains("in order") || checked.contains("whole"), "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_center_moves_to_postgres_and_its_log_still_checks() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.1));
    let first = device.send(envelope.clone()).await.unwrap();
    let postgres = tests_postgres::Postgres::start().unwrap();
    let url = postgres.database("center").unwrap();
    let copied = matcher(&center, &["store", "copy", "--to", &url, "--json"]);
    let copied: serde_json::Value = serde_json::from_str(&copied).unwrap();
    let rows = |table: &str| copied.as_array().unwrap().iter().find(|each| each["table"] == table).unwrap()["rows"].clone();
    assert_eq!((rows("reference"), rows("verification"), rows("receipt")), (1.into(), 1.into(), 1.into()));
    let settings = center.dir.config();
    let folder = center.stop().await;
    let text = std::fs::read_to_string(&settings).unwrap().replacen("url = \"file\"", &format!("url = \"{url}\""), 1);
    std::fs::write(&settings, text).unwrap();
    let center = TestCenter::reopen(folder, |_| {}).await;
    let again = device.connect(&center.address).send(envelope).await.unwrap();
    assert_eq!(again, v1::VerifyResponse { repeated_answer: true, ..first });
    matcher(&center, &["audit", "checkpoint"]);
    matcher(&center, &["audit", "verify", "--records"]);
    // A backup is a file whatever the engine is.
    let out = tempfile::tempdir().unwrap();
    let backup = out.path().join("backup");
    matcher(&center, &["backup", "--out", backup.to_str().unwrap()]);
    let kept: i64 = rusqlite::Connection::open(backup.join("center.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM verification", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 1);
}
