//! The contract on SQLite, and what only SQLite has: its file, its settings, and other processes beside it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};

use super::*;
use crate::{
    store::{
        Listing, RecordId, Store, SubjectId, Subjects,
        contract::{self, card, enrolment, flag, verification},
        sql::SqlStore,
    },
    vault::{KeyEncryptionKey, RecordContext, Vault},
};

fn file() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("center.db");
    (dir, path)
}

#[test]
fn a_statement_is_planned_once_whatever_is_bound_to_it() {
    let (_dir, path) = file();
    let connection = super::open(&path).unwrap();
    connection.execute_batch("CREATE TEMP TABLE t (a, b); CREATE INDEX temp.i ON t (a) WHERE b = 'x'").unwrap();
    let planned_again = || {
        let mut statement = connection.prepare("SELECT a FROM t WHERE a = ?1 AND b = ?2").unwrap();
        for word in ["x", "y", "z"] {
            assert!(!statement.exists([word, word]).unwrap());
        }
        statement.get_status(rusqlite::StatementStatus::RePrepare)
    };
    assert_eq!(planned_again(), 0);
    // It would be otherwise.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, false).unwrap();
    assert!(planned_again() > 0);
}

#[tokio::test]
async fn the_contract_of_stores_holds() {
    let dir = tempfile::tempdir().unwrap();
    let made = std::sync::atomic::AtomicUsize::new(0);
    let fresh = || {
        let path = dir.path().join(format!("{}.db", made.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
        async move { Arc::new(SqlStore::open(&path).unwrap()) as Arc<dyn Store> }
    };
    contract::check_all(fresh).await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_opening_again() {
    let (_dir, path) = file();
    let store = SqlStore::open(&path).unwrap();
    store.put_enrolments(vec![enrolment(1, &[1], 4)]).await.unwrap();
    store.record_verification(verification("T1", 1)).await.unwrap();
    drop(store);
    let store = SqlStore::open(&path).unwrap();
    assert!(store.subject_of(&card(1)).await.unwrap().is_some());
    assert!(store.answer(&verification("T1", 1).record.request).await.unwrap().is_some());
}

#[tokio::test]
async fn a_commit_is_read_at_once_by_a_store_of_another_process() {
    let (_dir, path) = file();
    let (here, there) = (SqlStore::open(&path).unwrap(), SqlStore::open(&path).unwrap());
    here.record_flag(flag(1, 1)).await.unwrap();
    there.record_flag(flag(2, 2)).await.unwrap();
    let listing = Listing { limit: 10, ..Listing::default() };
    assert_eq!(here.flags(&listing).await.unwrap().len(), 2);
    assert_eq!(there.flags(&listing).await.unwrap().len(), 2);
}

#[tokio::test]
async fn files_are_the_owners_alone() {
    let (dir, path) = file();
    let store = SqlStore::open(&path).unwrap();
    store.record_flag(flag(1, 1)).await.unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["center.db", "center.db-shm", "center.db-wal"]);
}

#[test]
fn every_commit_is_fsynced_and_foreign_keys_hold() {
    let (_dir, path) = file();
    drop(SqlStore::open(&path).unwrap());
    let connection = connect(&path).unwrap();
    prepare_for_writing(&connection).unwrap();
    let value = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((value("synchronous"), value("foreign_keys"), value("secure_delete")), (2, 1, 1));
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_newer_store_and_a_foreign_file_are_refused() {
    let (dir, path) = file();
    drop(SqlStore::open(&path).unwrap());
    connect(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(SqlStore::open(&path), Err(StoreError::TooNew { found: 99, known: schema::VERSION })));
    let foreign = dir.path().join("foreign.db");
    fs::write(&foreign, "no database, only text that is long enough to be looked at".repeat(40)).unwrap();
    assert!(matches!(SqlStore::open(&foreign), Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_word_of_a_later_version_is_named() {
    let (_dir, path) = file();
    let store = SqlStore::open(&path).unwrap();
    store.record_verification(verification("T1", 1)).await.unwrap();
    connect(&path).unwrap().execute("UPDATE verification SET decision = 'perhaps'", []).unwrap();
    let error = store.verifications(&Listing { limit: 1, ..Listing::default() }).await.unwrap_err();
    assert_eq!(error.to_string(), "a stored verification record is not in order: decision");
}

#[tokio::test]
async fn references_swapped_in_the_database_open_for_nobody() {
    let (_dir, path) = file();
    let store = SqlStore::open(&path).unwrap();
    let vault = Vault::new(KeyEncryptionKey::new([7; 32]));
    for person in [1, 2] {
        let mut new = enrolment(person, &[person], person);
        let (key, wrapped) = vault.new_data_key(new.reference.subject);
        new.reference.template = key.seal(&place(new.reference.subject, new.reference.record), &[person; 1024]);
        new.data_key = wrapped;
        store.put_enrolments(vec![new]).await.unwrap().remove(0).unwrap();
    }
    assert_eq!([open(&store, &vault, 1).await, open(&store, &vault, 2).await], [true, true]);
    let swapped = "UPDATE reference SET (record_id, template) = (SELECT record_id, template FROM reference AS other
         WHERE other.subject_id <> reference.subject_id)";
    let connection = connect(&path).unwrap();
    // One statement would see its own first change; a copy does not.
    connection.execute_batch("CREATE TEMP TABLE copy AS SELECT * FROM reference").unwrap();
    let swapped = swapped.replace("FROM reference AS other", "FROM temp.copy AS other");
    assert_eq!(connection.execute(&swapped, []).unwrap(), 2);
    assert_eq!([open(&store, &vault, 1).await, open(&store, &vault, 2).await], [false, false]);
}

async fn open(store: &SqlStore, vault: &Vault, person: u8) -> bool {
    let found = store.subject_of(&card(person)).await.unwrap().unwrap();
    let key = vault.unwrap_data_key(found.subject, &found.data_key).unwrap();
    let reference = found.references.into_iter().next().unwrap();
    key.open(&place(found.subject, reference.record), &reference.template).is_ok_and(|template| *template == [person; 1024])
}

fn place(subject: SubjectId, record: RecordId) -> RecordContext<'static> {
    RecordContext::reference_template(subject, record, "m@1")
}
