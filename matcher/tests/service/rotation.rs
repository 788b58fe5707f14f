//! Look-up keys exchanged under a center that serves: whoever was enrolled is found at every moment, and whoever was
//! forgotten stays told. The certificate authority rolled over, device by device.

use matcher::{
    app::subjects,
    audit::{
        folder::Folder,
        seal,
        verify::{Verifier, VerifyArgs},
    },
    config::Config,
    device::Role,
    keyring::{
        KeyKind, KeyringError, RotateArgs,
        rotate::{Rotated, Rotation},
        status,
    },
    store::{BoundIdentifier, SubjectId},
    surroundings::{Surroundings, System},
};
use matcher_core::{Identifier, IdentifierKind, Region};
use proto::v1;

use crate::support::{TestCenter, TestDevice, capture};

const CARD: &str = "A10020001";
const LATER: &str = "B70020007";
const STRANGER: &str = "C30030003";

fn card(number: &str) -> Identifier {
    Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), number).unwrap()
}

async fn rotate_with(center: &TestCenter, finish: bool, force: bool) -> Result<Rotated, KeyringError> {
    rotate_of(KeyKind::Lookup, center, finish, force).await
}

async fn rotate_of(kind: KeyKind, center: &TestCenter, finish: bool, force: bool) -> Result<Rotated, KeyringError> {
    let config = Config::load(&center.dir).unwrap();
    let args = RotateArgs { kind, finish, force, json: false };
    Rotation { dir: &center.dir, config: &config, store: center.center.store.as_ref(), now: System.now_ms() }.run(&args, |_| {}).await
}

async fn rotate(center: &TestCenter, finish: bool) -> Result<Rotated, KeyringError> {
    rotate_with(center, finish, false).await
}

async fn check_found(device: &TestDevice, transaction: &str, number: &str) {
    let answer = device.verify(transaction, &capture(number, 0.8)).await.unwrap();
    assert_eq!((answer.decision(), answer.reasons), (v1::Decision::Match, vec![]), "{transaction}");
}

#[track_caller]
fn check_refused(outcome: Result<Rotated, KeyringError>, expected: &str) {
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[tokio::test]
async fn whoever_is_enrolled_is_found_before_during_and_after_a_rotation() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    check_found(&device, "T-1", CARD).await;
    check_refused(rotate(&center, true).await, "there is no older key to drop");
    let old = center.center.lookup.id();
    let done = rotate(&center, false).await.unwrap();
    assert_eq!((done.made, done.rehashed, done.left), (true, 1, 0));
    assert_ne!(done.key, old);
    check_found(&device, "T-2", CARD).await;
    center.enrol(LATER).await;
    check_found(&device, "T-3", LATER).await;
    assert_eq!(center.count("SELECT count(*) FROM identifier"), 3);
    assert_eq!(rotate(&center, true).await.unwrap().dropped, std::slice::from_ref(&old));
    assert_eq!(center.count("SELECT count(DISTINCT lookup_key_id) FROM identifier"), 1);
    for (transaction, number) in [("T-4", CARD), ("T-5", LATER)] {
        check_found(&device, transaction, number).await;
    }
    let text = std::fs::read_to_string(center.dir.lookup_key()).unwrap();
    assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 1);
    // A process that slept through it cannot write what nobody finds.
    let whose = subjects::find(&center.center, &card(CARD)).await.unwrap();
    let row = BoundIdentifier { key: center.center.lookup.row(&card(STRANGER)), lookup_key_id: old, number: None };
    assert!(center.center.store.add_identifiers(whose, vec![row]).await.is_err());
}

#[tokio::test]
async fn a_rotation_that_was_killed_goes_on_and_is_not_finished_before() {
    let (center, device) = TestCenter::with_device().await;
    for number in [CARD, LATER] {
        center.enrol(number).await;
    }
    rotate(&center, false).await.unwrap();
    // As if it had been killed after the first of them.
    let whose = subjects::find(&center.center, &card(LATER)).await.unwrap();
    let id = center.center.lookup.id();
    center.meddle(&format!("DELETE FROM identifier WHERE lookup_key_id = '{id}' AND subject_id = x'{}'", hex(whose)));
    check_found(&device, "T-1", LATER).await;
    check_refused(rotate(&center, true).await, "1 persons have a number under an older key alone");
    let again = rotate(&center, false).await.unwrap();
    assert_eq!((again.made, again.rehashed, again.key), (false, 1, id));
    rotate(&center, true).await.unwrap();
    check_found(&device, "T-2", LATER).await;
}

#[tokio::test]
async fn numbers_without_a_seal_hold_the_older_key_until_they_are_dropped_by_force() {
    let center = TestCenter::init().await;
    center.enrol(CARD).await;
    center.meddle("UPDATE identifier SET number = NULL, lookup_key_id = ''");
    assert_eq!(rotate(&center, false).await.unwrap().left, 1);
    let whose = subjects::find(&center.center, &card(CARD)).await.unwrap();
    check_refused(rotate(&center, true).await, &whose.to_string());
    rotate_with(&center, true, true).await.unwrap();
    assert_eq!(center.count("SELECT count(*) FROM identifier"), 0);
}

#[tokio::test]
async fn the_older_key_tells_the_cards_of_the_forgotten_and_nothing_else() {
    let (center, device) = TestCenter::with_device().await;
    device.verify("T-0", &capture(LATER, 0.8)).await.unwrap();
    for number in [CARD, LATER] {
        center.enrol(number).await;
    }
    let whose = subjects::find(&center.center, &card(CARD)).await.unwrap();
    subjects::forget(&center.center, &System, whose, None).await.unwrap();
    let old = center.center.lookup.id();
    rotate(&center, false).await.unwrap();
    let finished = rotate(&center, true).await.unwrap();
    assert_eq!((finished.dropped.len(), finished.kept), (0, vec![old.clone()]));
    assert_eq!(center.center.lookup.rows(&card(CARD)).len(), 1, "nobody is looked up under it");
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    assert_eq!(center.verifications().await[0].identifier_masked, "", "the card is still told");
    check_refused(rotate(&center, true).await, "cards of forgotten people");
    // What was decided about a number before it had a person loses it too, though its hash is of the dropped key.
    let whose = subjects::find(&center.center, &card(LATER)).await.unwrap();
    subjects::forget(&center.center, &System, whose, None).await.unwrap();
    let first = center.verifications().await.into_iter().find(|record| record.request.transaction == "T-0").unwrap();
    assert_eq!(first.identifier_masked, "");
    let config = Config::load(&center.dir).unwrap();
    let rows = status::rows(&center.dir, &config, center.center.store.as_ref(), System.now_ms()).await.unwrap();
    let lookup: Vec<_> = rows.iter().filter(|row| row.kind == "lookup").map(|row| (row.in_use, row.needed_by)).collect();
    assert_eq!(lookup, [(true, Some(1)), (false, Some(1))]);
    // A further rotation, and the end of the first tombstone.
    rotate(&center, false).await.unwrap();
    center.meddle(&format!("DELETE FROM forgotten WHERE lookup_key_id = '{old}'"));
    let finished = rotate(&center, true).await.unwrap();
    assert_eq!((finished.dropped, finished.kept.len()), (vec![old], 1));
    center.center.lookup.refresh();
    subjects::readmit(&center.center, &card(LATER)).await.unwrap();
}

#[tokio::test]
async fn records_of_the_forgotten_are_in_order_and_those_of_others_must_keep_their_number() {
    let (center, device) = TestCenter::with_device().await;
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    for number in [CARD, LATER] {
        center.enrol(number).await;
    }
    for (transaction, number) in [("T-2", CARD), ("T-3", LATER)] {
        check_found(&device, transaction, number).await;
    }
    let config = Config::load(&center.dir).unwrap();
    let verified = async || {
        let folder = Folder::new(&config.audit.checkpoints);
        seal(center.center.store.as_ref(), &center.dir, &folder, System.now_ms(), true).await.unwrap();
        let args = VerifyArgs { checkpoints: None, public_keys: None, records: true, json: false };
        let store = center.center.store.as_ref();
        let verifier = Verifier::new(store, &center.dir, &config.audit, &args, System.now_ms()).unwrap();
        verifier.run(|_| {}).await.map(|done| done.records)
    };
    assert_eq!(verified().await.unwrap(), 3);
    let blank = |whose: SubjectId| format!("UPDATE verification SET identifier_masked = '' WHERE subject_id = x'{}'", hex(whose));
    let whose = subjects::find(&center.center, &card(CARD)).await.unwrap();
    subjects::forget(&center.center, &System, whose, None).await.unwrap();
    assert_eq!(verified().await.unwrap(), 3);
    center.meddle(&blank(subjects::find(&center.center, &card(LATER)).await.unwrap()));
    let error = verified().await.unwrap_err().to_string();
    assert!(error.contains("changed record: the verification"), "{error}");
}

fn health() -> v1::ReportHealthRequest {
    v1::ReportHealthRequest { agent_version: "0.1.0".into(), ..Default::default() }
}

#[tokio::test]
async fn the_authority_is_rolled_over_device_by_device() {
    let (center, old) = TestCenter::with_device().await;
    old.report(health()).await.unwrap();
    let first = std::fs::read_to_string(center.dir.authority_certificate()).unwrap();
    assert!(rotate_of(KeyKind::Authority, &center, false, false).await.unwrap().made);
    assert!(!rotate_of(KeyKind::Authority, &center, false, false).await.unwrap().made);
    let both = std::fs::read_to_string(center.dir.authority_certificate()).unwrap();
    assert!(both.ends_with(&first) && both.matches("BEGIN CERTIFICATE").count() == 2);
    center.look_at_certificates();
    old.report(health()).await.unwrap();
    let old = old.connect(&center.address);
    old.report(health()).await.unwrap();
    let new = center.device("2").await;
    new.report(health()).await.unwrap();
    check_refused(rotate_of(KeyKind::Authority, &center, true, false).await, "1 devices have a bundle that does not trust");
    // Issued again, it trusts both and works before the older authority is dropped and after.
    center.issue(&old, "1", Role::Counter, System.now_ms()).await;
    let (old, stranger) = (old.connect(&center.address), TestCenter::with_device().await);
    old.report(health()).await.unwrap();
    assert_eq!(rotate_of(KeyKind::Authority, &center, true, false).await.unwrap().dropped.len(), 1);
    check_refused(rotate_of(KeyKind::Authority, &center, true, false).await, "there is no older key to drop");
    center.look_at_certificates();
    for device in [old, new] {
        device.connect(&center.address).report(health()).await.unwrap();
    }
    let foreign = stranger.1.connect_to(&center.address, &center.dir.authority_certificate());
    assert!(matches!(foreign.report(health()).await.unwrap_err().code(), tonic::Code::Unavailable | tonic::Code::Unknown));
}

#[tokio::test]
async fn a_device_that_was_not_issued_again_is_locked_out_by_force_alone() {
    let center = TestCenter::init().await;
    let (key, next) = (center.dir.authority_key(), center.dir.authority_next_key());
    let older = std::fs::read(&key).unwrap();
    rotate_of(KeyKind::Authority, &center, false, false).await.unwrap();
    // As if it had been killed before the new key was in place: the older one signs once more.
    std::fs::rename(&key, &next).unwrap();
    std::fs::write(&key, older).unwrap();
    let device = center.device("1").await;
    check_refused(rotate_of(KeyKind::Authority, &center, true, false).await, "the new authority's key is not in place");
    assert!(!rotate_of(KeyKind::Authority, &center, false, false).await.unwrap().made);
    assert!(!next.exists());
    check_refused(rotate_of(KeyKind::Authority, &center, true, false).await, "(P1-1); issue theirs again");
    rotate_of(KeyKind::Authority, &center, true, true).await.unwrap();
    let center = TestCenter::reopen(center.stop().await, |_| {}).await;
    let status = device.connect(&center.address).report(health()).await.unwrap_err();
    assert!(matches!(status.code(), tonic::Code::Unavailable | tonic::Code::Unknown), "{status:?}");
    center.device("2").await.report(health()).await.unwrap();
}

fn hex(subject: SubjectId) -> String {
    subject.to_string().replace('-', "")
}
