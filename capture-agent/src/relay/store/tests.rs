//! The relay's spool: bounds, order, and what takes an envelope's place.

use ed25519_dalek::SigningKey;
use proto::{
    acknowledgement,
    v1::{Acknowledgement, UploadOutcome},
};

use super::*;

fn config(max_mb: u64, counter_share_percent: u64) -> SpoolConfig {
    SpoolConfig { max_mb, counter_share_percent, disk_free_min_mb: 1, keep_days: 90, acknowledged_keep_days: 30 }
}

fn item(number: u64, bytes: usize) -> Item {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    let envelope = Envelope { ciphertext: vec![7; bytes], ..Envelope::default() };
    Item { digest, sequence: number, message: DeferredEnvelope { envelope: Some(envelope), provisional_receipt: "r".into() } }
}

fn stored(digest: [u8; 32]) -> SignedAcknowledgement {
    let said = Acknowledgement { envelope_sha256: digest.to_vec(), outcome: UploadOutcome::Stored.into(), ..Acknowledgement::default() };
    acknowledgement::sign(&said, &SigningKey::from_bytes(&[1; 32]))
}

#[test]
fn an_envelope_is_there_until_the_center_has_spoken_and_then_its_word_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), config(4, 100)).unwrap();
    let items = [item(2, 10), item(1, 10)];
    assert_eq!(store.keep("till-1", &items, 5).unwrap(), [Taken::Kept, Taken::Kept]);
    assert_eq!(store.keep("till-1", &items, 6).unwrap(), [Taken::Kept, Taken::Kept], "again");
    drop(store);
    let store = Store::open(dir.path(), config(4, 100)).unwrap();
    let waiting = store.waiting("till-1", 0, 10, 1 << 20).unwrap();
    assert_eq!(waiting.iter().map(|waiting| waiting.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(waiting[0].message, items[1].message, "the same bytes");
    assert_eq!(store.waiting("till-1", 1, 10, 1 << 20).unwrap().len(), 1);
    assert_eq!(store.usage()["till-1"].envelopes, 2);
    assert_eq!(store.acknowledgement(&items[0].digest).unwrap(), None);
    store.settle("till-1", &items[0].digest, &stored(items[0].digest), 7).unwrap();
    assert_eq!(store.acknowledgement(&items[0].digest).unwrap(), Some(stored(items[0].digest)));
    assert_eq!((store.usage()["till-1"].envelopes, store.usage()["till-1"].oldest_ms), (1, Some(5)));
    assert_eq!(store.keep("till-1", &items[..1], 8).unwrap(), [Taken::Kept]);
    assert_eq!(store.waiting("till-1", 0, 10, 1 << 20).unwrap().len(), 1, "what was settled does not come back");
}

#[test]
fn one_counter_does_not_take_all_the_room() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), config(1, 50)).unwrap();
    let quarter = 250_000;
    let first = [item(1, quarter), item(2, quarter), item(3, quarter)];
    assert_eq!(store.keep("till-1", &first, 0).unwrap(), [Taken::Kept, Taken::Kept, Taken::CounterFull]);
    let second = [item(11, quarter), item(12, quarter), item(13, 10)];
    assert_eq!(store.keep("till-2", &second, 0).unwrap(), [Taken::Kept, Taken::Kept, Taken::Kept]);
    assert_eq!(store.keep("till-3", &[item(21, 100_000)], 0).unwrap(), [Taken::Full]);
    store.settle("till-1", &first[0].digest, &stored(first[0].digest), 1).unwrap();
    assert_eq!(store.keep("till-3", &[item(21, 100_000)], 0).unwrap(), [Taken::Kept]);
}

#[test]
fn an_upload_is_bounded_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), config(4, 100)).unwrap();
    store.keep("till-1", &[item(1, 1_000), item(2, 1_000), item(3, 1_000)], 0).unwrap();
    assert_eq!(store.waiting("till-1", 0, 10, 1_500).unwrap().len(), 2);
    assert_eq!(store.waiting("till-1", 0, 1, 1 << 20).unwrap().len(), 1);
}

#[test]
fn what_is_older_than_the_center_takes_is_given_up_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), config(4, 100)).unwrap();
    store.keep("till-1", &[item(1, 10)], 0).unwrap();
    store.keep("till-1", &[item(2, 10)], 80 * DAY_MS).unwrap();
    store.settle("till-1", &item(2, 10).digest, &stored(item(2, 10).digest), 80 * DAY_MS).unwrap();
    assert_eq!(store.prune(91 * DAY_MS).unwrap(), 1);
    assert!(store.usage().is_empty());
    assert!(store.acknowledgement(&item(2, 10).digest).unwrap().is_some());
    assert_eq!(store.prune(111 * DAY_MS).unwrap(), 0);
    assert!(store.acknowledgement(&item(2, 10).digest).unwrap().is_none());
}

#[test]
fn counters_are_remembered_by_their_last_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), config(4, 100)).unwrap();
    let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
    let peer = |byte| Peer { device: "till-1".into(), key, certificate_sha256: [byte; 32] };
    store.remember(&peer(1), true).unwrap();
    store.remember(&peer(2), false).unwrap();
    assert_eq!(store.known().unwrap(), [Known { device: "till-1".into(), certificate_sha256: [2; 32], let_in: false }]);
}

#[test]
fn a_disk_with_little_left_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), config(4, 100)).unwrap();
    store.keep("till-1", &[item(1, 10)], 0).unwrap();
    drop(store);
    let greedy = SpoolConfig { disk_free_min_mb: u64::MAX >> 20, ..config(4, 100) };
    let store = Store::open(dir.path(), greedy).unwrap();
    assert_eq!(store.keep("till-1", &[item(1, 10), item(2, 10)], 0).unwrap(), [Taken::Kept, Taken::DiskFull]);
}
