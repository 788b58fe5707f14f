//! Rotations beside a center that goes on working with the keys it was started with.

use matcher_core::audit::History;

use super::*;
use crate::{
    audit::verify::{Verifier, VerifyArgs},
    init::{self, InitArgs},
    keys::OpeningKeys,
    store::{
        NewEnrolment, StoreError, SubjectId, Subjects,
        contract::{card, enrolment},
        sql::SqlStore,
    },
};

const NOW: TimeMs = 1_800_000_000_000;

struct Site {
    _temp: tempfile::TempDir,
    dir: DataDir,
    config: Config,
    store: SqlStore,
}

impl Site {
    async fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(temp.path().join("data"));
        let args = InitArgs { server_names: vec!["localhost".into()], demonstration: false, store_url: None };
        init::init(&dir, &args, NOW).await.unwrap();
        let (config, store) = (Config::load(&dir).unwrap(), SqlStore::open(&dir.store()).unwrap());
        Self { _temp: temp, dir, config, store }
    }

    async fn rotate(&self, kind: KeyKind, finish: bool, now: TimeMs) -> Result<Rotated, KeyringError> {
        let args = RotateArgs { kind, finish, force: false, json: false };
        Rotation { dir: &self.dir, config: &self.config, store: &self.store, now }.run(&args, |_| {}).await
    }

    fn vault(&self) -> Vault {
        Vault::of(self.config.keys.key_encryption.clone()).unwrap()
    }

    async fn enrol(&self, vault: &Vault, person: u8) -> Result<(), StoreError> {
        let (_, data_key) = vault.new_data_key(SubjectId([person; 16]));
        let new = NewEnrolment { data_key, ..enrolment(person, &[person], person) };
        self.store.put_enrolments(vec![new]).await.unwrap().remove(0).map(drop)
    }

    /// Whether a vault opens the data key of a person.
    async fn opens(&self, vault: &Vault, person: u8) -> bool {
        let stored = self.store.subject_of(&card(person)).await.unwrap().unwrap();
        vault.unwrap_data_key(stored.subject, &stored.data_key).is_ok()
    }
}

#[track_caller]
fn check_refused(outcome: Result<Rotated, KeyringError>, expected: &str) {
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[tokio::test]
async fn data_keys_are_wrapped_anew_while_the_center_works() {
    let site = Site::new().await;
    let (running, asleep) = (site.vault(), site.vault());
    for person in 1..=3 {
        site.enrol(&running, person).await.unwrap();
    }
    check_refused(site.rotate(KeyKind::KeyEncryption, true, NOW).await, "there is no older key to drop");
    let rotated = site.rotate(KeyKind::KeyEncryption, false, NOW).await.unwrap();
    assert_eq!((rotated.made, rotated.rewrapped), (true, 3));
    for person in 1..=3 {
        assert!(site.opens(&running, person).await, "a server that was not told looks for the new key by itself");
    }
    site.enrol(&asleep, 4).await.unwrap();
    check_refused(site.rotate(KeyKind::KeyEncryption, true, NOW).await, "1 data keys are still wrapped by an older key");
    assert_eq!(site.rotate(KeyKind::KeyEncryption, false, NOW).await.unwrap().rewrapped, 1);
    let finished = site.rotate(KeyKind::KeyEncryption, true, NOW).await.unwrap();
    assert_eq!(finished.dropped, [asleep.newest().to_string()]);
    assert!(matches!(site.enrol(&asleep, 5).await, Err(StoreError::Conflict("data key"))), "nobody could unwrap it any more");
    assert_eq!(site.vault().key_ids().len(), 1);
    for person in 1..=4 {
        assert!(site.opens(&site.vault(), person).await);
    }
}

#[tokio::test]
async fn a_rotation_that_was_broken_off_goes_on_with_the_key_it_made() {
    let site = Site::new().await;
    site.enrol(&site.vault(), 1).await.unwrap();
    let first = site.rotate(KeyKind::KeyEncryption, false, NOW).await.unwrap();
    let second = site.rotate(KeyKind::KeyEncryption, false, NOW).await.unwrap();
    assert_eq!((&second.key, second.made, second.rewrapped), (&first.key, false, 0));
}

#[tokio::test]
async fn older_opening_keys_open_until_no_counter_can_hold_an_envelope_to_them() {
    let site = Site::new().await;
    let running = OpeningKeys::load(&site.dir.opening_keys()).unwrap();
    let old = running.current().public().id();
    let rotated = site.rotate(KeyKind::Opening, false, NOW).await.unwrap();
    assert!(running.find(&rotated.key).is_some(), "an envelope to the new key opens at once");
    assert!(running.find(&old).is_some());
    check_refused(site.rotate(KeyKind::Opening, true, NOW).await, "opening: what the older key is for may still arrive until");
    let later = NOW + TimeMs::from(site.config.keys.spool_days) * DAY_MS;
    assert_eq!(site.rotate(KeyKind::Opening, true, later).await.unwrap().dropped, std::slice::from_ref(&old));
    running.refresh();
    assert!(running.find(&old).is_none() && running.current().public().id() == rotated.key);
}

#[tokio::test]
async fn a_new_audit_key_is_introduced_by_the_older_one() {
    let site = Site::new().await;
    let folder = Folder::new(&site.config.audit.checkpoints);
    let old = signing::SigningKeys::load(&site.dir.audit_key()).unwrap().newest().key.verifying_key();
    let rotated = site.rotate(KeyKind::Audit, false, NOW).await.unwrap();
    assert!(!site.rotate(KeyKind::Audit, false, NOW).await.unwrap().made);
    site.rotate(KeyKind::Audit, true, NOW).await.unwrap();
    crate::audit::seal(&site.store, &site.dir, &folder, NOW, true).await.unwrap();
    let mut history = History::new(vec![old]);
    let take = |line: &str| {
        history.take(line).unwrap();
        Ok::<(), crate::audit::folder::FolderError>(())
    };
    folder.read(take).unwrap();
    assert_eq!(history.number(), 2, "whoever trusts the first key alone follows to the second");
    assert_eq!(id(signing::SigningKeys::load(&site.dir.audit_key()).unwrap().newest()), rotated.key);
    let args = VerifyArgs { checkpoints: None, public_keys: None, records: true, json: false };
    let verifier = Verifier::new(&site.store, &site.dir, &site.config.audit, &args, NOW).unwrap();
    assert_eq!(verifier.run(|_| {}).await.unwrap().checkpoint, 2, "what a dropped key signed still counts");
}

#[tokio::test]
async fn receipt_keys_overlap() {
    let site = Site::new().await;
    let rotated = site.rotate(KeyKind::Receipt, false, NOW).await.unwrap();
    assert_eq!(signing::SigningKeys::load(&site.dir.receipt_key()).unwrap().all().count(), 2);
    check_refused(site.rotate(KeyKind::Receipt, true, NOW).await, "receipt: ");
    let finished = site.rotate(KeyKind::Receipt, true, NOW + TimeMs::from(RECEIPT_DAYS) * DAY_MS).await.unwrap();
    assert_eq!((finished.key, finished.dropped.len()), (rotated.key, 1));
}

#[tokio::test]
async fn every_rotation_is_in_the_audit_log_and_no_listing_shows_a_key() {
    let site = Site::new().await;
    for kind in [KeyKind::KeyEncryption, KeyKind::Opening, KeyKind::Receipt, KeyKind::Audit] {
        site.rotate(kind, false, NOW).await.unwrap();
    }
    site.rotate(KeyKind::KeyEncryption, true, NOW).await.unwrap();
    let connection = rusqlite::Connection::open(site.dir.store()).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM audit_entry WHERE action = 'key_rotated'"), 5);
    let rows = crate::keyring::status::rows(&site.dir, &site.config, &site.store, NOW).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.in_use).count(), 9);
    for kind in ["lookup", "policy", "settlement", "receipt_drill"] {
        assert!(rows.iter().any(|row| row.kind == kind && row.id.len() >= 8), "{kind}");
    }
    let text = format!("{}{}", serde_json::to_string(&rows).unwrap(), crate::keyring::status::table(&rows));
    for path in [site.dir.key_encryption_key(), site.dir.lookup_key(), site.dir.opening_keys()] {
        for line in std::fs::read_to_string(path).unwrap().lines().filter(|line| !line.starts_with('#')) {
            assert!(!text.contains(&line[..16]), "a part of a key is shown");
        }
    }
}
