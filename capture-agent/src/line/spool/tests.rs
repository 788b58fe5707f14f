//! What the spool keeps, over restarts and between processes.

use tempfile::TempDir;

use super::*;

const CONFIG: OutboxConfig =
    OutboxConfig { answered_keep_hours: 1, refused_keep_days: 2, record_keep_days: 3, waiting_max: 5, waiting_mb: 1, waiting_hours: 1 };

const CONFIG_LARGE: OutboxConfig = OutboxConfig { waiting_max: 100, ..CONFIG };

struct Folder {
    dir: TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> Spool {
        Spool::open(self.dir.path(), CONFIG).unwrap()
    }
}

/// A request for a card under a transaction.
fn command(transaction: &str, card: &str) -> Entry {
    let mut digest = [0; 32];
    digest.iter_mut().zip(card.bytes()).for_each(|(to, from)| *to = from);
    Entry { transaction: transaction.to_owned(), attempt: 1, digest }
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
    assert!(matches!(outbox.find(&command("T1", "101")), Err(SpoolError::AnotherRequest)));
    assert!(matches!(outbox.keep(&command("T1", "101"), 0, seal), Err(SpoolError::AnotherRequest)));
    let second = Entry { attempt: 2, ..command("T1", "101") };
    assert_eq!(outbox.find(&second).unwrap(), None);
}

#[test]
fn a_failure_to_seal_uses_no_number() {
    let outbox = Folder::new().open();
    assert!(matches!(outbox.keep(&command("T1", "100"), 0, |_| Err(EnvelopeError::NoRandomness)), Err(SpoolError::Seal(_))));
    assert_eq!(outbox.keep(&command("T1", "100"), 0, seal).unwrap().sequence, 1);
}

#[test]
fn unanswered_envelopes_are_bounded_and_never_pruned() {
    let outbox = Folder::new().open();
    for number in 0..5 {
        outbox.keep(&command(&format!("T{number}"), "100"), 0, seal).unwrap();
    }
    assert!(matches!(outbox.keep(&command("T9", "100"), 0, seal), Err(SpoolError::Full(5))));
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
    assert!(matches!(outbox.find(&answered), Err(SpoolError::Forgotten)));
    assert!(matches!(outbox.keep(&answered, 0, seal), Err(SpoolError::Forgotten)));
    assert!(outbox.find(&refused).unwrap().is_some());
    outbox.prune(48 * HOUR_MS + 1).unwrap();
    assert!(matches!(outbox.find(&refused), Err(SpoolError::Forgotten)));
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
    assert!(matches!(outbox.find(&command("T1", "100")), Err(SpoolError::Forgotten)));
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
fn commits_wait_for_the_disk() {
    let outbox = Folder::new().open();
    let pragma = |name: &str| outbox.lock().pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".into()));
    assert_eq!(pragma("synchronous"), rusqlite::types::Value::Integer(2));
}

#[test]
fn a_later_versions_database_is_refused() {
    let folder = Folder::new();
    folder.open().lock().pragma_update(None, "user_version", 4).unwrap();
    let error = Spool::open(folder.dir.path(), CONFIG).unwrap_err();
    assert!(matches!(error, SpoolError::Version { expected: 3, got: 4 }), "{error}");
}

fn given(receipt: &str) -> Given {
    Given { disposition: "settle_flagged".into(), receipt: receipt.into(), receipt_number: "N".into() }
}

#[test]
fn what_waits_is_bounded_in_bytes() {
    let spool = Folder::new().open();
    let large = |sequence: u64| seal(sequence).map(|envelope| Envelope { ciphertext: vec![1; 1 << 20], ..envelope });
    spool.keep(&command("T1", "100"), 0, large).unwrap();
    assert!(matches!(spool.keep(&command("T2", "100"), 0, seal), Err(SpoolError::FullBytes(bytes)) if bytes > 1 << 20));
    spool.answered(1, 0).unwrap();
    spool.keep(&command("T2", "100"), 0, seal).unwrap();
}

#[test]
fn an_envelope_is_answered_on_ones_own_once_and_the_lease_counts_it() {
    let folder = Folder::new();
    let spool = folder.open();
    for number in 1..=2 {
        spool.keep(&command(&format!("T{number}"), "100"), 0, seal).unwrap();
    }
    let first = spool.provide(1, "L1", "settlement", 7, |used| Ok::<_, ()>(given(&used.to_string()))).unwrap().unwrap();
    assert_eq!((first.given.receipt.as_str(), first.repeated), ("0", false));
    let again = folder.open().provide(1, "L2", "settlement", 8, |_| -> Result<Given, ()> { panic!("answered twice") }).unwrap().unwrap();
    assert_eq!(again, Provisional { repeated: true, ..first.clone() });
    assert_eq!(folder.open().provided(&command("T1", "100")).unwrap(), Some(again));
    assert!(matches!(spool.provided(&command("T1", "101")), Err(SpoolError::AnotherRequest)));
    assert_eq!(spool.provide(2, "L1", "settlement", 9, Err::<Given, u32>).unwrap(), Err(1), "one was used");
    assert_eq!(spool.provided(&command("T2", "100")).unwrap(), None);
    assert_eq!((spool.used("L1", "settlement").unwrap(), spool.used("L1", "reception").unwrap()), (1, 0));
}

#[test]
fn what_was_answered_on_ones_own_or_by_nobody_for_long_is_forwarded_in_order_and_deleted_when_acknowledged() {
    let folder = Folder::new();
    let spool = folder.open();
    for number in 1..=4_i64 {
        spool.keep(&command(&format!("T{number}"), "100"), number, seal).unwrap();
    }
    for sequence in [4, 3] {
        spool.provide(sequence, "L1", "settlement", 9, |_| Ok::<_, ()>(given("r"))).unwrap().unwrap();
    }
    let forwarded = |beyond, before| -> Vec<(u64, String)> {
        spool.to_forward(beyond, before, 9).unwrap().into_iter().map(|waiting| (waiting.sequence, waiting.receipt)).collect()
    };
    assert_eq!(forwarded(0, 2), [(1, String::new()), (3, "r".into()), (4, "r".into())]);
    assert_eq!(forwarded(3, 0), [(4, "r".into())]);
    spool.acknowledged(3, 10).unwrap();
    spool.refused(4, 11, "too_old").unwrap();
    assert_eq!(forwarded(0, 0), []);
    assert!(matches!(spool.find(&command("T3", "100")), Err(SpoolError::Forgotten)), "its body is gone");
    assert!(spool.provided(&command("T3", "100")).unwrap().is_some(), "what was answered stays");
    let put = spool.put_aside(9).unwrap();
    assert_eq!(put, [Put { sequence: 4, transaction: "T4".into(), attempt: 1, refusal: "too_old".into(), refused_at_ms: 11 }]);
    assert_eq!((spool.waiting().unwrap(), spool.oldest_ms().unwrap()), (2, Some(1)));
}

#[test]
fn lease_and_latest_time_outlive_the_process() {
    let folder = Folder::new();
    let lease = proto::v1::SignedLease { lease: vec![1], signature: vec![2], key_id: "k".into() };
    let time = capture_core::degraded::KnownTime { date_ms: 5, boot: "b".into(), uptime_ms: 6 };
    assert_eq!((folder.open().lease().unwrap(), folder.open().latest().unwrap()), (None, None));
    folder.open().remember_lease(&lease).unwrap();
    folder.open().remember_latest(&time).unwrap();
    assert_eq!((folder.open().lease().unwrap(), folder.open().latest().unwrap()), (Some(lease), Some(time)));
}

/// The power fails while something is written: the log ends anywhere, as it was synced or with less of the last write.
#[test]
fn whatever_is_left_of_the_last_write_nothing_that_was_kept_is_lost_and_no_number_comes_twice() {
    let folder = Folder::new();
    let spool = Spool::open(folder.dir.path(), CONFIG_LARGE).unwrap();
    let log = folder.dir.path().join("state.db-wal");
    let len = || std::fs::metadata(&log).unwrap().len();
    let large = |sequence: u64| seal(sequence).map(|envelope| Envelope { ciphertext: vec![1; 9_000], ..envelope });
    // What was durable when the log was so long.
    let mut durable = vec![(len(), 0_u64, 0_u64)];
    for number in 1..=6_u64 {
        spool.keep(&command(&format!("T{number}"), "100"), 0, large).unwrap();
        durable.push((len(), number, number - 1));
        spool.provide(number, "L1", "settlement", 7, |_| Ok::<_, ()>(given("r"))).unwrap().unwrap();
        durable.push((len(), number, number));
    }
    let whole = std::fs::read(&log).unwrap();
    for cut in (0..whole.len()).step_by(1_531).chain([whole.len()]) {
        let left = tempfile::tempdir().unwrap();
        std::fs::copy(folder.dir.path().join("state.db"), left.path().join("state.db")).unwrap();
        std::fs::write(left.path().join("state.db-wal"), &whole[..cut]).unwrap();
        let Some((_, kept, answered)) = durable.iter().rfind(|(len, ..)| *len <= cut as u64).copied() else { continue };
        let spool = Spool::open(left.path(), CONFIG_LARGE).unwrap();
        for number in 1..=kept {
            let entry = command(&format!("T{number}"), "100");
            assert_eq!(spool.find(&entry).unwrap().unwrap().sequence, number, "cut at {cut}");
            assert_eq!(spool.provided(&entry).unwrap().is_some(), number <= answered, "cut at {cut}");
        }
        assert_eq!(spool.used("L1", "settlement").unwrap(), u32::try_from(answered).unwrap());
        let next = spool.keep(&command("T9", "100"), 0, seal).unwrap().sequence;
        assert_eq!(next, kept + 1, "cut at {cut}");
    }
    // A page of the log that was torn counts for nothing, and neither does what comes after it.
    let (torn, left) = (durable[6].0 as usize, tempfile::tempdir().unwrap());
    let mut bytes = whole.clone();
    bytes[torn + 100] ^= 1;
    std::fs::copy(folder.dir.path().join("state.db"), left.path().join("state.db")).unwrap();
    std::fs::write(left.path().join("state.db-wal"), &bytes).unwrap();
    let spool = Spool::open(left.path(), CONFIG_LARGE).unwrap();
    assert_eq!((spool.waiting().unwrap(), spool.used("L1", "settlement").unwrap()), (3, 3));
}
