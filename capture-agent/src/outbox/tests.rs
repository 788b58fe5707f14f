//! What the outbox keeps, over restarts and between processes.

use tempfile::TempDir;

use super::*;
use crate::command::tests::command;

const CONFIG: OutboxConfig = OutboxConfig { answered_keep_hours: 1, refused_keep_days: 2, record_keep_days: 3, waiting_max: 5 };

struct Folder {
    dir: TempDir,
    key: DeviceKey,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = DeviceKey::make(dir.path()).unwrap();
        Self { dir, key }
    }

    fn open(&self) -> Outbox {
        Outbox::open(self.dir.path(), &self.key, CONFIG).unwrap()
    }
}

/// An envelope that says which number it was given.
fn seal(sequence: u64) -> Result<Envelope, EnvelopeError> {
    Ok(Envelope { header: sequence.to_be_bytes().to_vec(), ..Envelope::default() })
}

#[test]
fn numbers_start_at_one_grow_by_one_and_outlive_the_process() {
    let folder = Folder::new();
    for number in 1..=3 {
        let kept = folder.open().keep(&command(&format!("T{number}"), "100"), 0, seal).unwrap();
        assert_eq!((kept.sequence, kept.envelope), (number, seal(number).unwrap()));
    }
}

#[test]
fn the_same_request_gets_the_same_bytes_and_no_new_number() {
    let folder = Folder::new();
    let first = folder.open().keep(&command("T1", "100"), 0, seal).unwrap();
    assert_eq!(folder.open().find(&command("T1", "100")).unwrap(), Some(first.clone()));
    assert_eq!(folder.open().keep(&command("T1", "100"), 0, |_| panic!("sealed twice")).unwrap(), first);
    assert_eq!(folder.open().keep(&command("T2", "100"), 0, seal).unwrap().sequence, 2);
}

#[test]
fn another_card_under_the_same_transaction_is_refused() {
    let outbox = Folder::new().open();
    outbox.keep(&command("T1", "100"), 0, seal).unwrap();
    assert!(matches!(outbox.find(&command("T1", "101")), Err(OutboxError::AnotherRequest)));
    assert!(matches!(outbox.keep(&command("T1", "101"), 0, seal), Err(OutboxError::AnotherRequest)));
    let second = VerifyCommand { attempt: "2".parse().unwrap(), ..command("T1", "101") };
    assert_eq!(outbox.find(&second).unwrap(), None);
}

#[test]
fn a_failure_to_seal_uses_no_number() {
    let outbox = Folder::new().open();
    assert!(matches!(outbox.keep(&command("T1", "100"), 0, |_| Err(EnvelopeError::NoRandomness)), Err(OutboxError::Seal(_))));
    assert_eq!(outbox.keep(&command("T1", "100"), 0, seal).unwrap().sequence, 1);
}

#[test]
fn unanswered_envelopes_are_bounded_and_never_pruned() {
    let outbox = Folder::new().open();
    for number in 0..5 {
        outbox.keep(&command(&format!("T{number}"), "100"), 0, seal).unwrap();
    }
    assert!(matches!(outbox.keep(&command("T9", "100"), 0, seal), Err(OutboxError::Full(5))));
    outbox.prune(i64::MAX / 2).unwrap();
    assert_eq!(outbox.waiting().unwrap(), 5);
    assert!(outbox.find(&command("T0", "100")).unwrap().is_some());
    outbox.answered(1, 0).unwrap();
    outbox.keep(&command("T9", "100"), 0, seal).unwrap();
}

#[test]
fn bodies_go_after_their_time_and_the_transaction_stays_taken() {
    let outbox = Folder::new().open();
    let (answered, refused) = (command("T1", "100"), command("T2", "100"));
    outbox.keep(&answered, 0, seal).unwrap();
    outbox.keep(&refused, 0, seal).unwrap();
    outbox.answered(1, 0).unwrap();
    outbox.refused(2, 0, "device_refused").unwrap();
    outbox.prune(HOUR_MS).unwrap();
    assert!(outbox.find(&answered).unwrap().is_some());
    outbox.prune(HOUR_MS + 1).unwrap();
    assert!(matches!(outbox.find(&answered), Err(OutboxError::Forgotten)));
    assert!(matches!(outbox.keep(&answered, 0, seal), Err(OutboxError::Forgotten)));
    assert!(outbox.find(&refused).unwrap().is_some());
    outbox.prune(48 * HOUR_MS + 1).unwrap();
    assert!(matches!(outbox.find(&refused), Err(OutboxError::Forgotten)));
    outbox.prune(72 * HOUR_MS + 1).unwrap();
    assert_eq!(outbox.find(&answered).unwrap(), None);
}

#[test]
fn an_answer_replaces_a_refusal_and_not_the_other_way() {
    let outbox = Folder::new().open();
    outbox.keep(&command("T1", "100"), 0, seal).unwrap();
    outbox.refused(1, 0, "device_refused").unwrap();
    outbox.answered(1, HOUR_MS).unwrap();
    outbox.refused(1, 0, "device_refused").unwrap();
    outbox.prune(2 * HOUR_MS).unwrap();
    assert!(outbox.find(&command("T1", "100")).unwrap().is_some());
    outbox.prune(2 * HOUR_MS + 1).unwrap();
    assert!(matches!(outbox.find(&command("T1", "100")), Err(OutboxError::Forgotten)));
}

#[test]
fn numbers_go_on_from_the_centers_and_never_back() {
    let outbox = Folder::new().open();
    outbox.advance_to(40).unwrap();
    assert_eq!(outbox.keep(&command("T1", "100"), 0, seal).unwrap().sequence, 40);
    outbox.advance_to(7).unwrap();
    assert_eq!(outbox.keep(&command("T2", "100"), 0, seal).unwrap().sequence, 41);
}

#[test]
fn what_the_center_said_is_kept_until_a_new_bundle() {
    let folder = Folder::new();
    let facts = CenterFacts {
        opening_key: proto::envelope::OpeningKey::generate().public().clone(),
        clock_offset_ms: -250,
        feature_model: "m@1".into(),
        recipe: "r@1".into(),
        policy_version: "p1".into(),
    };
    assert_eq!(folder.open().center().unwrap(), None);
    folder.open().remember_center(&facts).unwrap();
    assert_eq!(folder.open().center().unwrap(), Some(facts));
    folder.open().forget_center().unwrap();
    assert_eq!(folder.open().center().unwrap(), None);
}

#[test]
fn two_processes_never_share_a_number() {
    let folder = Folder::new();
    let opened = [folder.open(), folder.open()];
    std::thread::scope(|scope| {
        for (name, outbox) in ["A", "B"].iter().zip(&opened) {
            scope.spawn(move || {
                for number in 0..2 {
                    let kept = outbox.keep(&command(&format!("{name}{number}"), "100"), 0, seal).unwrap();
                    assert_eq!(kept.envelope, seal(kept.sequence).unwrap());
                }
            });
        }
    });
    assert_eq!(opened[0].keep(&command("C", "100"), 0, seal).unwrap().sequence, 5);
}

#[test]
fn no_card_number_and_no_plain_digest_of_it_is_in_the_files() {
    let folder = Folder::new();
    let outbox = folder.open();
    outbox.keep(&command("T1", "330203194910010027"), 0, seal).unwrap();
    let plain: [u8; 32] =
        sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), b"330203194910010027")).into();
    for entry in std::fs::read_dir(folder.dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(18).any(|part| part == b"330203194910010027"));
        assert!(!bytes.windows(32).any(|part| part == plain));
    }
}

#[test]
fn commits_wait_for_the_disk() {
    let outbox = Folder::new().open();
    let pragma = |name: &str| outbox.lock().pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".into()));
    assert_eq!(pragma("synchronous"), rusqlite::types::Value::Integer(2));
}

#[test]
fn a_later_versions_database_is_refused() {
    let folder = Folder::new();
    folder.open().lock().pragma_update(None, "user_version", 3).unwrap();
    let error = Outbox::open(folder.dir.path(), &folder.key, CONFIG).unwrap_err();
    assert!(matches!(error, OutboxError::Version { expected: 2, got: 3 }), "{error}");
}
