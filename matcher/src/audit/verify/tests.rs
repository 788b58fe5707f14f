//! A database administrator at work: every way to change the log that the database allows, with and without the
//! pains of making all hashes anew, against checkpoints they cannot reach.

use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use matcher_core::audit::{EntryContent, Head};
use rusqlite::{Connection, params};

use super::*;
use crate::store::{
    NewVerification, RecordId, Store, SubjectId, Subjects,
    audit::Process,
    contract::{device, enrolment, flag, verification},
    sql::{Location, SqlStore},
};

const NOW: TimeMs = 10_000_000;

/// A center whose log was signed, and then written to once more.
struct Site {
    dir: tempfile::TempDir,
    store: SqlStore,
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Self { store: open(&dir, "serve"), dir };
        site.store.put_device(device("till-1")).await.unwrap();
        site.store.put_enrolments(vec![enrolment(1, &[1], 4)]).await.unwrap();
        for number in 1..=4 {
            let mut new = NewVerification { flags: vec![flag(number, 1_000)], ..verification(&format!("T{number}"), number) };
            if number == 4 {
                new.record.subject = Some(SubjectId([1; 16]));
            }
            site.store.record_verification(new).await.unwrap();
        }
        site.seal().await;
        open(&site.dir, "device revoke").revoke_device("till-1", 1_500).await.unwrap();
        site.seal().await;
        site.store.record_verification(verification("T9", 9)).await.unwrap();
        site
    }

    async fn seal(&self) {
        let heads = self.store.audit_heads().await.unwrap();
        self.folder().lock().unwrap().add(&heads, &key(), None, NOW, false).unwrap().unwrap();
    }

    fn folder(&self) -> Folder {
        Folder::new(self.dir.path().join("checkpoints"))
    }

    fn database(&self) -> Connection {
        let connection = Connection::open(self.dir.path().join("center.db")).unwrap();
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        connection
    }

    fn verifier(&self) -> Verifier<'_> {
        let keys = vec![key().verifying_key()];
        Verifier { store: &self.store, folder: self.folder(), keys, kept_since: 0, now: NOW, records: true }
    }
}

fn open(dir: &tempfile::TempDir, command: &str) -> SqlStore {
    let process = Process { command: command.into(), user: "1 center".into(), host: "h".into(), pid: 7 };
    SqlStore::open_as(&Location::File(dir.path().join("center.db")), process).unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// Makes every digest and every link anew, as somebody with this program's source and the database would.
fn make_anew(connection: &Connection) {
    let rows = |sql: &str| -> Vec<(Vec<u8>, i64, i64)> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap().map(Result::unwrap).collect()
    };
    for (epoch, link, place) in rows("SELECT epoch, link, place FROM audit_entry") {
        let sql = "SELECT salt, action, actor, object, detail FROM audit_entry WHERE epoch = ?1 AND link = ?2 AND place = ?3";
        let digest = connection
            .query_row(sql, params![epoch, link, place], |row| {
                let texts: [String; 4] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
                let content = EntryContent { action: &texts[0], by: &texts[1], object: &texts[2], detail: &texts[3] };
                Ok(content.digest(&row.get(0)?))
            })
            .unwrap();
        let sql = "UPDATE audit_entry SET digest = ?4 WHERE epoch = ?1 AND link = ?2 AND place = ?3";
        connection.execute(sql, params![epoch, link, place, digest]).unwrap();
    }
    connection.execute("UPDATE audit_link SET hash = zeroblob(32)", []).unwrap();
    let mut head: Option<Head> = None;
    for (epoch, link, _) in rows("SELECT epoch, link, entries FROM audit_link ORDER BY epoch, link") {
        let before = head.filter(|head| head.epoch == *epoch).unwrap_or_else(|| opening(connection, &epoch));
        let mut statement = connection.prepare("SELECT at, digest FROM audit_entry WHERE epoch = ?1 AND link = ?2 ORDER BY place").unwrap();
        let entries = statement.query_map(params![epoch, link], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let next = before.next(&entries.map(Result::unwrap).collect::<Vec<_>>());
        let sql = "UPDATE audit_link SET link = ?3, entries = ?4, hash = ?5 WHERE epoch = ?1 AND link = ?2";
        let (number, entries) = (i64::try_from(next.link).unwrap(), i64::try_from(next.entries).unwrap());
        connection.execute(sql, params![epoch, link, number, entries, next.hash]).unwrap();
        let sql = "UPDATE audit_entry SET link = ?3 WHERE epoch = ?1 AND link = ?2";
        connection.execute(sql, params![epoch, link, number]).unwrap();
        head = Some(next);
    }
}

fn opening(connection: &Connection, epoch: &[u8]) -> Head {
    let sql = "SELECT started_at, command, os_user, host, pid FROM audit_epoch WHERE epoch = ?1";
    let row = |row: &rusqlite::Row<'_>| {
        let process = Process { command: row.get(1)?, user: row.get(2)?, host: row.get(3)?, pid: row.get(4)? };
        Ok(StoredEpoch { epoch: epoch.try_into().unwrap(), started_at: row.get(0)?, process }.opening().head())
    };
    connection.query_row(sql, [epoch], row).unwrap()
}

async fn fault(site: &Site) -> String {
    report::text(&site.verifier().run(|_| {}).await, false)
}

/// Changes a signed log by some SQL and expects it to be named.
async fn check(sql: &str, anew: bool, expected: &str) {
    let site = Site::new().await;
    let connection = site.database();
    connection.execute_batch(sql).unwrap();
    assert!(connection.changes() > 0, "nothing was changed by {sql}");
    if anew {
        make_anew(&connection);
    }
    let fault = fault(&site).await;
    assert!(fault.starts_with("NOT IN ORDER: ") && fault.contains(expected), "{sql}: {fault}");
}

/// The epoch of the process that serves.
const SERVE: &str = "epoch = (SELECT epoch FROM audit_epoch WHERE command = 'serve')";

#[tokio::test]
async fn a_log_that_nobody_changed_is_in_order() {
    let site = Site::new().await;
    let done = site.verifier().run(|_| {}).await.unwrap();
    let expected =
        Verified { epochs: 2, links: 8, entries: 12, emptied: 0, unsealed: 1, checkpoint: 2, checkpoint_at: Some(NOW), records: 9 };
    assert_eq!(done, expected);
    make_anew(&site.database());
    assert_eq!(site.verifier().run(|_| {}).await.unwrap(), expected, "the test's hashes are the program's");
}

#[tokio::test]
async fn a_rewritten_entry_is_named() {
    let rewrite = format!("UPDATE audit_entry SET object = 'another' WHERE {SERVE} AND link = 4 AND place = 1");
    check(&rewrite, false, "rewritten entry: link 4").await;
    check(&rewrite, true, "rewritten history: link 6 of epoch").await;
    check(&format!("UPDATE audit_entry SET at = at + 1 WHERE {SERVE} AND link = 4"), false, "broken link 4").await;
    check("UPDATE audit_epoch SET os_user = '0 root' WHERE command = 'device revoke'", false, "broken link 1").await;
    check("UPDATE audit_epoch SET os_user = '0 root' WHERE command = 'device revoke'", true, "rewritten history: link 1").await;
}

#[tokio::test]
async fn swapped_entries_are_named() {
    let contents = format!(
        "CREATE TEMP TABLE copy AS SELECT * FROM audit_entry WHERE {SERVE} AND link = 4;
         UPDATE audit_entry SET (digest, salt, action, actor, object, detail) =
             (SELECT digest, salt, action, actor, object, detail FROM temp.copy AS c WHERE c.place = 3 - audit_entry.place)
         WHERE {SERVE} AND link = 4"
    );
    check(&contents, false, "broken link 4").await;
    check(&contents, true, "rewritten history: link 6").await;
}

#[tokio::test]
async fn what_is_taken_out_is_named() {
    let entry = format!("DELETE FROM audit_entry WHERE {SERVE} AND link = 4 AND place = 2");
    check(&entry, false, "missing or added entry: link 4").await;
    check(&entry, true, "rewritten history: link 6").await;
    let link = format!("DELETE FROM audit_entry WHERE {SERVE} AND link = 4; DELETE FROM audit_link WHERE {SERVE} AND link = 4");
    check(&link, false, "missing link 4").await;
    check(&link, true, "rewritten history: link 6").await;
    let tail = format!("DELETE FROM audit_entry WHERE {SERVE} AND link > 4; DELETE FROM audit_link WHERE {SERVE} AND link > 4");
    check(&tail, false, "truncated tail: epoch").await;
    check(&tail, true, "ends at link 4, checkpoint 1 names link 6").await;
    let epoch = "DELETE FROM audit_entry WHERE epoch = (SELECT epoch FROM audit_epoch WHERE command = 'device revoke');
         DELETE FROM audit_link WHERE epoch = (SELECT epoch FROM audit_epoch WHERE command = 'device revoke');
         DELETE FROM audit_epoch WHERE command = 'device revoke'";
    check(epoch, false, "missing epoch").await;
}

#[tokio::test]
async fn what_is_put_in_is_named() {
    let entry = format!(
        "INSERT INTO audit_entry SELECT epoch, link, 3, at, digest, salt, action, actor, object, detail FROM audit_entry
         WHERE {SERVE} AND link = 4 AND place = 2"
    );
    check(&entry, false, "missing or added entry: link 4").await;
    check(&entry, true, "rewritten history: link 6").await;
    let epoch = "INSERT INTO audit_epoch SELECT zeroblob(16), started_at, command, os_user, host, pid FROM audit_epoch LIMIT 1";
    check(epoch, true, "was put in afterwards").await;
    let stray = "INSERT INTO audit_entry SELECT epoch, 99, 1, at, digest, salt, action, actor, object, detail FROM audit_entry LIMIT 1";
    check(stray, false, "belong to no link").await;
}

#[tokio::test]
async fn content_that_is_deleted_too_early_is_named() {
    let empty = "UPDATE audit_entry SET (salt, action, actor, object, detail) = (NULL, NULL, NULL, NULL, NULL) WHERE at = 1000";
    check(empty, false, "deleted content").await;
    let site = Site::new().await;
    site.database().execute_batch(empty).unwrap();
    let done = Verifier { kept_since: 1_001, ..site.verifier() }.run(|_| {}).await.unwrap();
    // The device, and a flag of each of the four.
    assert_eq!((done.emptied, done.records), (5, 5));
}

#[tokio::test]
async fn a_record_that_is_not_what_its_entry_covers_is_named() {
    let of = |byte: u8| RecordId([byte; 16]).to_string();
    let score = "UPDATE verification SET score = 0.9, decision = 'match' WHERE sequence = 2";
    check(score, true, &format!("changed record: the verification {}", of(2))).await;
    check("UPDATE verification SET disposition = 'settle' WHERE sequence = 4", false, &format!("verification {}", of(4))).await;
    check("UPDATE verification SET identifier_hash = CAST(zeroblob(31) || x'01' AS BLOB) WHERE sequence = 3", false, "changed record")
        .await;
    check("UPDATE flag SET kind = 'attack_suspected' WHERE id = x'03030303030303030303030303030303'", false, "changed record: the flag")
        .await;
    check("DELETE FROM flag WHERE id = x'03030303030303030303030303030303'", false, "missing record: the flag").await;
    let added = "INSERT INTO flag SELECT zeroblob(16), kind, raised_at, verification_id, institution, device_id, transaction_id,
         identifier_masked, reason FROM flag LIMIT 1";
    check(added, false, &format!("no entry covers the flag {}", of(0))).await;
    let added = "CREATE TEMP TABLE copy AS SELECT * FROM verification WHERE sequence = 2;
         UPDATE temp.copy SET id = zeroblob(16), subject_id = zeroblob(16);
         INSERT INTO verification SELECT * FROM temp.copy";
    check(added, false, &format!("no entry covers the verification {}", of(0))).await;
}

#[tokio::test]
async fn a_store_put_back_from_an_older_copy_is_named() {
    let site = Site::new().await;
    let old: PathBuf = site.dir.path().join("old.db");
    site.database().execute("VACUUM INTO ?1", [old.to_str().unwrap()]).unwrap();
    site.store.record_verification(verification("T10", 10)).await.unwrap();
    site.seal().await;
    let put_back = SqlStore::open(&old).unwrap();
    let outcome = Verifier { store: &put_back, ..site.verifier() }.run(|_| {}).await;
    let text = report::text(&outcome, false);
    assert!(text.contains("truncated tail") && text.contains("ends at link 7, checkpoint 3 names link 8"), "{text}");
    site.verifier().run(|_| {}).await.unwrap();
}

/// The limit that is stated: nobody has signed what came after the last checkpoint.
#[tokio::test]
async fn what_came_after_the_last_checkpoint_can_be_cut_unnoticed() {
    let site = Site::new().await;
    let cut = format!(
        "DELETE FROM audit_entry WHERE {SERVE} AND link = 7; DELETE FROM audit_link WHERE {SERVE} AND link = 7;
         DELETE FROM request WHERE transaction_id = 'T9'; DELETE FROM verification WHERE transaction_id = 'T9'"
    );
    site.database().execute_batch(&cut).unwrap();
    site.verifier().run(|_| {}).await.unwrap();
}

#[tokio::test]
async fn checkpoints_of_another_key_and_none_at_all_prove_nothing() {
    let site = Site::new().await;
    let other = SigningKey::from_bytes(&[2; 32]).verifying_key();
    let error = Verifier { keys: vec![other], ..site.verifier() }.run(|_| {}).await.unwrap_err();
    assert!(report::text(&Err(error), true).contains("is not trusted"));
    let elsewhere = Folder::new(site.dir.path().join("elsewhere"));
    let error = Verifier { folder: elsewhere, ..site.verifier() }.run(|_| {}).await.unwrap_err();
    assert!(matches!(error, VerifyError::NoCheckpoints(_)), "{error}");
}
