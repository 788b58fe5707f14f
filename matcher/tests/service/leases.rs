//! Leases, what was answered under them, and what looks like somebody tampered with it.

use std::{sync::Arc, time::Duration};

use matcher::{
    app::tampering::Watch,
    config::Config,
    receipt_command::{ShowArgs, show},
    surroundings::{Surroundings, System},
};
use matcher_core::{FlagKind, NoDecision};
use proto::v1::{self, AcquisitionFailure, UploadOutcome};

use crate::support::{TestCenter, TestDevice, capture, failure, live};

const CARD: &str = "A10020001";
const MINUTE: i64 = 60_000;

/// A clock that is so many milliseconds ahead.
struct Ahead(i64);

impl Surroundings for Ahead {
    fn now_ms(&self) -> i64 {
        System.now_ms() + self.0
    }

    fn random_id(&self) -> [u8; 16] {
        System.random_id()
    }
}

/// A center whose leases allow two captures at settlement.
async fn center() -> (TestCenter, TestDevice) {
    let (center, device) = TestCenter::live().await;
    let two = live().replacen("live-1", "live-2", 1).replace("captures_max = 200", "captures_max = 2");
    center.apply(&two).await;
    (center, device)
}

/// A capture of so many minutes ago, without a face.
fn late(minutes: i64) -> v1::Capture {
    let capture = failure(CARD, AcquisitionFailure::NoFace);
    v1::Capture { captured_at_ms: System.now_ms() - minutes * MINUTE, clock_offset_ms: -1, ..capture }
}

/// An envelope and its provisional receipt, answered so many minutes ago under a lease.
fn answered(device: &TestDevice, transaction: &str, lease: &str, minutes: i64) -> (v1::Envelope, String) {
    let envelope = device.seal(&device.address(transaction, 1), &late(minutes.max(0)));
    let form = device.provisional(&envelope, lease, System.now_ms() - minutes * MINUTE);
    let receipt = device.sign_provisional(&form);
    (envelope, receipt)
}

/// Looks for signs with a clock so far ahead.
pub(crate) async fn look(center: &TestCenter, ahead: i64) -> usize {
    let config = Config::load(&center.dir).unwrap();
    let rule = config.tampering.rule(24 * 60 * MINUTE);
    let (store, surroundings) = (Arc::clone(&center.center.store), Arc::new(Ahead(ahead)));
    let watch = Watch { store, surroundings, rule, neighbours_share: 1, every: Duration::from_secs(1) };
    watch.look().await.unwrap()
}

async fn report(device: &TestDevice, unanswered: u32) {
    let health = v1::ReportHealthRequest { agent_version: "0.1.0".into(), unanswered_envelopes: unanswered, ..Default::default() };
    device.report(health).await.unwrap();
}

/// Reasons of all flags of tampering, and their devices.
async fn reasons(center: &TestCenter) -> Vec<(String, String)> {
    let flags = center.flags().await;
    let tampering = flags.iter().filter(|flag| flag.kind == FlagKind::TamperingSuspected);
    let mut reasons: Vec<_> = tampering.map(|flag| (flag.reason.clone(), flag.device.clone())).collect();
    reasons.sort();
    reasons
}

#[track_caller]
fn check(found: &[(String, String)], expected: &[(&str, &str)]) {
    let found: Vec<_> = found.iter().map(|(reason, device)| (reason.as_str(), device.as_str())).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_lease_says_what_the_policy_allows_and_is_recorded() {
    let (center, device) = center().await;
    let lease = device.lease().await.unwrap().unwrap();
    assert_eq!((lease.device.as_str(), lease.policy_version.as_str(), lease.audience.as_str()), ("P1-1", "live-2", "settlement"));
    let settlement = lease.scenes.iter().find(|scene| scene.scene() == v1::Scene::Settlement).unwrap();
    assert_eq!((settlement.captures_max, settlement.until_ms - lease.issued_at_ms), (2, 24 * 60 * MINUTE));
    assert_ne!(device.lease().await.unwrap().unwrap().serial, lease.serial);
    assert_eq!(center.count("SELECT count(*) FROM lease WHERE device_id = 'P1-1'"), 2);
    let nothing = live().replacen("live-1", "live-3", 1).replace("captures_max = 200", "captures_max = 0");
    center.apply(&nothing).await;
    assert_eq!(device.lease().await.unwrap(), None);
}

#[tokio::test]
async fn a_provisional_receipt_resolves_to_what_is_decided_later() {
    let (center, device) = center().await;
    center.enrol(CARD).await;
    let serial = device.lease().await.unwrap().unwrap().serial;
    let face = v1::Capture { captured_at_ms: System.now_ms(), clock_offset_ms: -1, ..capture(CARD, 0.8) };
    let envelope = device.seal(&device.address("T-1", 1), &face);
    let form = device.provisional(&envelope, &serial, System.now_ms());
    let message = (envelope, device.sign_provisional(&form));
    assert_eq!(device.upload_with(vec![message.clone()]).await, [UploadOutcome::Stored]);
    let store = &center.center.store;
    let kept = store.provisional(&form.jti).await.unwrap().unwrap();
    assert_eq!((kept.sequence, kept.lease_serial, kept.compact), (1, serial.clone(), message.1.clone()));
    let waiting = store.resolved(&kept.request).await.unwrap().unwrap();
    assert_eq!(waiting.decision, None);
    center.work().await;
    let decided = store.resolved(&kept.request).await.unwrap().unwrap();
    assert_eq!((decided.decision, decided.verification), (Some(matcher_core::Decision::Match), waiting.verification));
    show(&ShowArgs { number: form.jti.clone(), json: true }, store.as_ref()).await.unwrap();
    // Again, after an acknowledgement was lost: nothing changes.
    assert_eq!(device.upload_with(vec![message]).await, [UploadOutcome::StoredBefore]);
    // One that the center had live, and whose answer was lost.
    let envelope = device.seal(&device.address("T-2", 1), &late(0));
    device.send(envelope.clone()).await.unwrap();
    let form = device.provisional(&envelope, &serial, System.now_ms());
    let receipt = device.sign_provisional(&form);
    assert_eq!(device.upload_with(vec![(envelope, receipt)]).await, [UploadOutcome::StoredBefore]);
    let kept = store.provisional(&form.jti).await.unwrap().unwrap();
    let decision = store.resolved(&kept.request).await.unwrap().unwrap().decision;
    assert_eq!(decision, Some(matcher_core::Decision::NoDecision(NoDecision::FailureToAcquire)));
    assert_eq!((center.verifications().await.len(), reasons(&center).await), (2, Vec::new()));
}

/// What a dishonest store does with its counter, with a lease for two captures.
#[derive(Debug, Clone, Copy)]
enum Attack {
    OneTooMany,
    WithoutALease,
    AnothersLease,
    ClockSetBack,
    ClockSetBackBetween,
    ReceiptOfAnotherCapture,
    SpoolReplayed,
    SpoolDeleted,
    NumbersLeftOut,
}

async fn attack(center: &TestCenter, device: &TestDevice, attack: Attack) {
    let serial = device.lease().await.unwrap().unwrap().serial;
    let upload = |messages| async move { device.upload_with(messages).await };
    match attack {
        Attack::OneTooMany => {
            let messages = (0..3).map(|number| answered(device, &format!("T-{number}"), &serial, 0)).collect();
            assert_eq!(upload(messages).await, [UploadOutcome::Stored; 3], "a patient has gone home with each");
        }
        Attack::WithoutALease => drop(upload(vec![answered(device, "T-1", "no-such-lease", 0)]).await),
        Attack::AnothersLease => {
            let other = center.device("9").await.lease().await.unwrap().unwrap().serial;
            upload(vec![answered(device, "T-1", &other, 0)]).await;
        }
        Attack::ClockSetBack => drop(upload(vec![answered(device, "T-1", &serial, 90)]).await),
        Attack::ClockSetBackBetween => {
            let (first, second) = (answered(device, "T-1", &serial, 0), answered(device, "T-2", &serial, 2));
            upload(vec![first, second]).await;
        }
        Attack::ReceiptOfAnotherCapture => {
            let (first, second) = (answered(device, "T-1", &serial, 0), answered(device, "T-2", &serial, 0));
            upload(vec![(first.0, second.1)]).await;
        }
        Attack::SpoolReplayed => {
            device.verify("T-1", &late(0)).await.unwrap();
            device.sequence.store(0, std::sync::atomic::Ordering::SeqCst);
            device.verify("T-2", &late(0)).await.unwrap_err();
        }
        Attack::SpoolDeleted => {
            device.verify("T-1", &late(0)).await.unwrap();
            report(device, 0).await;
            look(center, 0).await;
            device.sequence.fetch_add(2, std::sync::atomic::Ordering::SeqCst);
            device.verify("T-4", &late(0)).await.unwrap();
            look(center, 0).await;
            assert_eq!(look(center, 24 * 60 * MINUTE - MINUTE).await, 0, "it may still come");
            look(center, 24 * 60 * MINUTE + MINUTE).await;
        }
        Attack::NumbersLeftOut => {
            device.verify("T-1", &late(0)).await.unwrap();
            report(device, 0).await;
            look(center, -10 * MINUTE).await;
            device.sequence.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            device.verify("T-3", &late(0)).await.unwrap();
            // The gap is seen; then the device says that nothing waits.
            look(center, -10 * MINUTE).await;
            center.center.store.heard(&device.id, System.now_ms(), Some(3)).await.unwrap();
            look(center, 0).await;
        }
    }
}

#[tokio::test]
async fn what_a_dishonest_store_does_is_a_named_flag_once() {
    let cases = [
        (Attack::OneTooMany, "lease_overrun"),
        (Attack::WithoutALease, "lease_overrun"),
        (Attack::AnothersLease, "lease_overrun"),
        (Attack::ClockSetBack, "clock_set_back"),
        (Attack::ClockSetBackBetween, "clock_set_back"),
        (Attack::ReceiptOfAnotherCapture, "receipt_altered"),
        (Attack::SpoolReplayed, "sequence_repeated"),
        (Attack::SpoolDeleted, "spool_deleted"),
        (Attack::NumbersLeftOut, "sequence_gap"),
    ];
    for (number, (what, reason)) in cases.into_iter().enumerate() {
        let (center, device) = center().await;
        attack(&center, &device, what).await;
        let found = reasons(&center).await;
        assert_eq!(found, [(reason.to_owned(), "P1-1".to_owned())], "{number}: {what:?}");
        look(&center, 0).await;
        assert_eq!(reasons(&center).await.len(), 1, "{what:?}: once");
    }
}

#[tokio::test]
async fn a_device_that_is_silent_while_its_store_settles_stands_out() {
    let (center, device) = center().await;
    let second = center.device("2").await;
    report(&device, 0).await;
    report(&second, 0).await;
    let hours = |hours: i64| hours * 60 * MINUTE;
    // The second one was last heard five hours ago, and the first settles.
    center.center.store.heard("P1-2", System.now_ms() - hours(5), None).await.unwrap();
    center.enrol(CARD).await;
    let answer = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let confirm = v1::ConfirmReceiptRequest {
        receipt_number: answer.receipt_number,
        settlement: "S-1".into(),
        amount_fen: 100,
        document_checked_by: "0417".into(),
    };
    look(&center, 0).await;
    check(&reasons(&center).await, &[]);
    assert_eq!(device.confirm(confirm).await.unwrap().0, "", "the receipt holds");
    look(&center, 0).await;
    look(&center, MINUTE).await;
    check(&reasons(&center).await, &[("device_silent", "P1-2")]);
}

#[tokio::test]
async fn a_store_that_is_offline_while_its_neighbours_are_not_stands_out() {
    let (center, device) = center().await;
    report(&device, 0).await;
    let mut neighbours = Vec::new();
    for institution in ["P2", "P3", "P4"] {
        let neighbour = center.device_of(institution).await;
        report(&neighbour, 0).await;
        neighbours.push(neighbour);
    }
    look(&center, 0).await;
    check(&reasons(&center).await, &[]);
    center.center.store.heard("P1-1", System.now_ms() - 3 * 60 * MINUTE, None).await.unwrap();
    look(&center, 0).await;
    look(&center, 0).await;
    check(&reasons(&center).await, &[("offline_alone", "")]);
    // At night all are silent.
    look(&center, 5 * 60 * MINUTE).await;
    check(&reasons(&center).await, &[("offline_alone", "")]);
}
