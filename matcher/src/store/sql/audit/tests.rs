//! Entries and links as writes leave them in the file.

use std::path::{Path, PathBuf};

use super::*;
use crate::store::{
    NewVerification, Store, Subjects,
    contract::{device, enrolment, flag, verification},
    sql::{Location, sqlite::connect},
};

fn file() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("center.db");
    (dir, path)
}

/// Action and link of every entry.
fn entries(path: &Path) -> Vec<(String, i64)> {
    let connection = connect(path).unwrap();
    let mut statement = connection.prepare("SELECT action, link FROM audit_entry ORDER BY link, place").unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[track_caller]
fn check(path: &Path, expected: &[(&str, i64)]) {
    let expected: Vec<_> = expected.iter().map(|(action, link)| ((*action).to_owned(), *link)).collect();
    assert_eq!(entries(path), expected);
}

#[tokio::test]
async fn every_write_leaves_its_entries_in_the_link_of_its_commit() {
    let (_dir, path) = file();
    let store = SqlStore::open(&path).unwrap();
    store.put_device(device("till-1")).await.unwrap();
    store.put_enrolments(vec![enrolment(1, &[10], 4), enrolment(2, &[10], 5)]).await.unwrap();
    store.record_verification(NewVerification { flags: vec![flag(1, 1)], ..verification("T1", 1) }).await.unwrap();
    store.revoke_device("till-2", 9).await.unwrap();
    store.revoke_device("till-1", 9).await.unwrap();
    check(&path, &[("device_issued", 1), ("enrolled", 2), ("flag_raised", 3), ("verified", 3), ("device_revoked", 4)]);
}

#[tokio::test]
async fn what_is_undone_leaves_no_entry() {
    let (_dir, path) = file();
    let store = SqlStore::open(&path).unwrap();
    store.record_flag(flag(1, 1)).await.unwrap();
    let taken = NewVerification { flags: vec![flag(2, 1), flag(1, 1)], ..verification("T1", 1) };
    store.record_verification(taken).await.unwrap_err();
    store.record_verification(verification("T2", 2)).await.unwrap();
    store.record_verification(verification("T2", 2)).await.unwrap();
    check(&path, &[("flag_raised", 1), ("verified", 2)]);
}

#[tokio::test]
async fn a_process_that_writes_nothing_leaves_no_epoch_and_each_that_writes_its_own() {
    let (_dir, path) = file();
    let process = |pid| Process { command: "serve".into(), user: "1 center".into(), host: "h".into(), pid };
    drop(SqlStore::open_as(&Location::File(path.clone()), process(1)).unwrap());
    for pid in [2, 3] {
        SqlStore::open_as(&Location::File(path.clone()), process(pid))
            .unwrap()
            .record_flag(flag(u8::try_from(pid).unwrap(), 7))
            .await
            .unwrap();
    }
    let connection = connect(&path).unwrap();
    let mut statement = connection.prepare("SELECT pid, started_at, command FROM audit_epoch ORDER BY pid").unwrap();
    let epochs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let epochs: Vec<(u32, i64, String)> = epochs.map(Result::unwrap).collect();
    assert_eq!(epochs, [(2, 7, "serve".to_owned()), (3, 7, "serve".to_owned())]);
}

#[tokio::test]
async fn a_look_is_an_entry_of_its_own() {
    let (_dir, path) = file();
    let store = SqlStore::open(&path).unwrap();
    let event = AuditEvent {
        at: 5,
        action: matcher_core::AuditAction::FaceViewed,
        by: "reviewer-1".into(),
        object: "o".into(),
        detail: String::new(),
    };
    store.record_audit(event).await.unwrap();
    check(&path, &[("face_viewed", 1)]);
}
