//! Captures that come late: uploaded, acknowledged, compared by what was in force when they were made.

use std::{
    process::{Command, Stdio},
    sync::atomic::Ordering,
};

use matcher::surroundings::{Surroundings, System};
use matcher_core::{Decision, NoDecision, Policy};
use proto::{
    acknowledgement::{self, AcknowledgementError, may_delete},
    v1::{self, UploadOutcome, deferred_service_client::DeferredServiceClient},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::support::{TestCenter, TestDevice, capture, failure, live, models, template};

const CARD: &str = "A10020001";
const MINUTE: i64 = 60_000;

/// A capture of so many minutes ago by a clock that was compared with the center's.
fn ago(minutes: i64, capture: v1::Capture) -> v1::Capture {
    v1::Capture { captured_at_ms: System.now_ms() - minutes * MINUTE, clock_offset_ms: -1, ..capture }
}

fn seal(device: &TestDevice, transaction: &str, capture: &v1::Capture) -> v1::Envelope {
    device.seal(&device.address(transaction, 1), capture)
}

async fn upload_one(device: &TestDevice, envelope: v1::Envelope) -> v1::Acknowledgement {
    device.upload(vec![envelope]).await.unwrap().remove(0)
}

#[track_caller]
fn check_refused(said: &v1::Acknowledgement, outcome: UploadOutcome, reason: &str, detail: &str) {
    assert_eq!((said.outcome(), said.reason.as_str()), (outcome, reason), "{said:?}");
    assert!(said.detail.contains(detail), "{said:?}");
    assert!(!may_delete(said));
}

fn decisions(records: &[matcher::store::Verification]) -> Vec<(&str, Decision)> {
    let mut decisions: Vec<_> = records.iter().map(|record| (record.request.transaction.as_str(), record.decision)).collect();
    decisions.sort_unstable_by_key(|(transaction, _)| *transaction);
    decisions
}

#[tokio::test]
async fn what_was_spooled_is_stored_first_and_compared_as_live() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    center.apply_at(&live().replacen("live-1", "live-2", 1), System.now_ms() - 600 * MINUTE).await;
    let captures = [("T-1", 0.8), ("T-2", 0.1), ("T-3", 0.35)];
    let envelopes: Vec<_> = captures.map(|(transaction, cosine)| seal(&device, transaction, &ago(59, capture(CARD, cosine)))).into();
    let said = device.upload(envelopes.clone()).await.unwrap();
    for (i, said) in said.iter().enumerate() {
        assert_eq!((said.outcome(), said.reason.as_str(), said.device.as_str()), (UploadOutcome::Stored, "", device.id.as_str()));
        assert_eq!(said.sequence, i as u64 + 1);
        assert!(may_delete(said));
    }
    assert_eq!(center.verifications().await, [], "nothing is decided yet");
    assert_eq!(center.count("SELECT count(*) FROM deferred JOIN deferred_sample USING (subject_id, verification_id)"), 3);
    center.work().await;
    let late = center.verifications().await;
    for (transaction, cosine) in captures {
        device.verify(&format!("L{transaction}"), &capture(CARD, cosine)).await.unwrap();
    }
    let all = center.verifications().await;
    let of = |name: &str| all.iter().find(|record| record.request.transaction == name).unwrap();
    for (transaction, _) in captures {
        let (late, live) = (of(transaction), of(&format!("L{transaction}")));
        assert_eq!(
            (late.decision, late.score, late.disposition, late.subject),
            (live.decision, live.score, live.disposition, live.subject)
        );
        assert_eq!((&late.reasons, late.facts, late.reference), (&live.reasons, live.facts, live.reference));
    }
    assert_eq!(late.len(), 3);
    assert_eq!(center.flag_words().await, ["card_person_mismatch", "card_person_mismatch"]);
    assert_eq!(center.count("SELECT count(*) FROM deferred"), 0);
    assert_eq!(center.count("SELECT count(*) FROM probe"), 6);
    assert_eq!(center.count("SELECT count(*) FROM receipt"), 3, "nobody at a counter waits for a receipt");
}

#[tokio::test]
async fn sending_again_is_harmless_before_and_after_the_comparison() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let envelopes: Vec<_> = (0..5).map(|i| seal(&device, &format!("T-{i}"), &ago(1, capture(CARD, 0.8)))).collect();
    let outcomes = |said: Vec<v1::Acknowledgement>| said.iter().map(v1::Acknowledgement::outcome).collect::<Vec<_>>();
    // The line broke after the second; the device does not know what of it arrived.
    assert_eq!(outcomes(device.upload(envelopes[..2].to_vec()).await.unwrap()), [UploadOutcome::Stored; 2]);
    let expected = [[UploadOutcome::StoredBefore; 2].as_slice(), &[UploadOutcome::Stored; 3]].concat();
    assert_eq!(outcomes(device.upload(envelopes.clone()).await.unwrap()), expected);
    center.work().await;
    assert_eq!(outcomes(device.upload(envelopes.clone()).await.unwrap()), [UploadOutcome::StoredBefore; 5]);
    let twice = seal(&device, "T-9", &ago(1, capture(CARD, 0.8)));
    assert_eq!(outcomes(device.upload(vec![twice.clone(), twice]).await.unwrap()), [UploadOutcome::Stored, UploadOutcome::StoredBefore]);
    center.work().await;
    assert_eq!((center.verifications().await.len(), center.flags().await.len()), (6, 0));
    let answer = device.send(envelopes[0].clone()).await.unwrap();
    assert!(answer.repeated_answer && answer.receipt.is_empty(), "a till that asks later gets the record's answer");
}

#[tokio::test]
async fn a_backlog_larger_than_a_batch_is_taken_in_one_stream() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let envelopes: Vec<_> = (0..150).map(|i| seal(&device, &format!("T-{i}"), &ago(1, capture(CARD, 0.8)))).collect();
    let said = device.upload(envelopes).await.unwrap();
    let sequences: Vec<u64> = said.iter().map(|said| said.sequence).collect();
    assert_eq!(sequences, (1..=150).collect::<Vec<u64>>(), "in the order in which they came");
    assert!(said.iter().all(may_delete));
    center.work().await;
    assert_eq!(center.verifications().await.len(), 150);
}

#[tokio::test]
async fn refusals_are_final_and_hold_nobody_up() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let other = center.device("2").await;
    let mut altered = seal(&device, "T-2", &ago(1, capture(CARD, 0.8)));
    altered.signature[3] ^= 1;
    let mut unreadable = seal(&device, "T-3", &ago(1, capture(CARD, 0.8)));
    unreadable.header = vec![0xff; 40];
    let mut cut = seal(&device, "T-4", &ago(1, capture(CARD, 0.8)));
    cut.ciphertext[50] ^= 1;
    let stranger = proto::envelope::OpeningKey::generate();
    let late = System.now_ms() - 91 * 24 * 60 * MINUTE;
    let envelopes = vec![
        seal(&other, "T-1", &ago(1, capture(CARD, 0.8))),
        altered,
        unreadable,
        cut,
        device.seal_to(&device.address("T-5", 1), &ago(1, capture(CARD, 0.8)), stranger.public()),
        seal(&device, "T-6", &v1::Capture { captured_at_ms: late, clock_offset_ms: 1, ..capture(CARD, 0.8) }),
        seal(&device, "T-7", &ago(-3, capture(CARD, 0.8))),
        seal(&device, "T-8", &v1::Capture { identifier: None, ..ago(1, capture(CARD, 0.8)) }),
        device.seal(&device.address("T-9", 99), &ago(1, capture(CARD, 0.8))),
        seal(&device, "T-10", &ago(1, capture(CARD, 0.8))),
    ];
    let said = device.upload(envelopes).await.unwrap();
    let refused = UploadOutcome::Refused;
    check_refused(&said[0], refused, "foreign_device", "envelope.header.device");
    check_refused(&said[1], refused, "bad_signature", "envelope.signature");
    check_refused(&said[2], refused, "not_in_order", "envelope.");
    assert_eq!((said[2].device.as_str(), said[2].sequence), ("", 0));
    check_refused(&said[3], refused, "does_not_open", "envelope.ciphertext");
    check_refused(&said[4], refused, "unknown_recipient", "envelope.header.recipient_key");
    check_refused(&said[5], refused, "too_old", "capture.captured_at_ms");
    check_refused(&said[6], refused, "of_the_future", "the device's clock is wrong");
    check_refused(&said[7], refused, "field", "capture.identifier: expected an identifier");
    check_refused(&said[8], refused, "too_many_attempts", "envelope.header.attempt: expected at most");
    assert_eq!(said[9].outcome(), UploadOutcome::Stored);
    center.work().await;
    assert_eq!((center.verifications().await.len(), center.flags().await.len()), (1, 0));
}

#[tokio::test]
async fn another_capture_under_one_request_or_number_is_refused_and_flagged_once() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let first = seal(&device, "T-1", &ago(0, capture(CARD, 0.8)));
    let second = seal(&device, "T-1", &ago(0, capture(CARD, 0.9)));
    assert_eq!(upload_one(&device, first).await.outcome(), UploadOutcome::Stored);
    for _ in 0..2 {
        check_refused(&upload_one(&device, second.clone()).await, UploadOutcome::Refused, "request_reused", "envelope.header.attempt");
    }
    let live = device.send(second.clone()).await.unwrap_err();
    assert_eq!(live.code(), Code::AlreadyExists, "{live:?}");
    device.sequence.store(0, Ordering::Relaxed);
    let reused = seal(&device, "T-2", &ago(1, capture(CARD, 0.8)));
    check_refused(&upload_one(&device, reused).await, UploadOutcome::Refused, "sequence_reused", "envelope.header.sequence");
    center.work().await;
    check_refused(&upload_one(&device, second).await, UploadOutcome::Refused, "request_reused", "");
    assert_eq!(center.flag_words().await, ["tampering_suspected", "transaction_reused"]);
    assert_eq!(decisions(&center.verifications().await), [("T-1", Decision::Match)]);
}

#[tokio::test]
async fn an_unknown_or_revoked_device_uploads_nothing() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let envelope = seal(&device, "T-1", &ago(1, capture(CARD, 0.8)));
    center.center.store.revoke_device(&device.id, System.now_ms()).await.unwrap();
    let status = device.upload(vec![envelope]).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "the device is revoked"));
    assert_eq!(center.count("SELECT count(*) FROM request"), 0);
}

#[tokio::test]
async fn a_device_that_is_revoked_while_it_uploads_is_heard_no_further() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let (sender, envelopes) = tokio::sync::mpsc::channel(1);
    let send = async |transaction| {
        let envelope = seal(&device, transaction, &ago(0, capture(CARD, 0.8)));
        sender.send(v1::DeferredEnvelope { envelope: Some(envelope), ..v1::DeferredEnvelope::default() }).await.unwrap();
    };
    send("T-1").await;
    let mut client = DeferredServiceClient::new(device.channel());
    let mut answers = client.upload(ReceiverStream::new(envelopes)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some(), "an answer comes while the stream goes on");
    center.center.store.revoke_device(&device.id, System.now_ms()).await.unwrap();
    send("T-2").await;
    assert_eq!(answers.message().await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(center.count("SELECT count(*) FROM request"), 1);
}

#[tokio::test]
async fn as_many_uploads_are_open_as_may_and_others_come_again() {
    let center = TestCenter::live_with(|config| config.batch.uploads_max = 1).await;
    let (first, second) = (center.device("1").await, center.device("2").await);
    let (sender, envelopes) = tokio::sync::mpsc::channel(1);
    let open = DeferredServiceClient::new(first.channel()).upload(ReceiverStream::new(envelopes)).await.unwrap();
    let refused = second.upload(Vec::new()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    drop((sender, open));
    while second.upload(Vec::new()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_acknowledgement_is_the_centers_word_about_one_envelope() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let envelope = seal(&device, "T-1", &ago(1, capture(CARD, 0.8)));
    let digest = acknowledgement::digest(&envelope);
    let signed = device.upload_raw(vec![envelope]).await.unwrap().remove(0);
    let key = device.policy_key();
    assert!(acknowledgement::check(&signed, &key, &digest).is_ok());
    assert_eq!(acknowledgement::check(&signed, &key, &[0; 32]), Err(AcknowledgementError::OtherEnvelope));
    let mut forged = signed.clone();
    *forged.acknowledgement.last_mut().unwrap() ^= 1;
    assert_eq!(acknowledgement::check(&forged, &key, &digest), Err(AcknowledgementError::BadSignature));
    assert_eq!(signed.key_id, device.policy().await.key_id, "the key that signs policies");
}

#[tokio::test]
async fn a_capture_is_judged_by_the_policy_and_the_references_of_its_time() {
    let (center, device) = TestCenter::live().await;
    let now = System.now_ms();
    // Half an hour ago the threshold went up; as of now the card's photo is another one.
    center.apply_at(&Policy::demonstration().replacen("demonstration-1", "old", 1), now - 100 * MINUTE).await;
    let strict =
        Policy::demonstration().replacen("demonstration-1", "strict", 1).replacen("match_at_least = 0.50", "match_at_least = 0.90", 1);
    assert!(strict.contains("0.90"));
    center.apply_at(&strict, now - 30 * MINUTE).await;
    let current = models().current().clone();
    let of = |cosine| template(current.model.as_str(), current.recipe.as_str(), cosine);
    center.enrol_at(CARD, &of(1.0), now - 90 * MINUTE).await;
    center.replace(CARD, &of(-0.6)).await;
    center.enrol_at("B10020001", &of(1.0), now - 5 * MINUTE).await;
    let envelopes = vec![
        seal(&device, "T-1", &ago(40, capture(CARD, 0.8))),
        seal(&device, "T-2", &ago(10, capture(CARD, 0.8))),
        seal(&device, "T-3", &ago(40, capture("B10020001", 0.8))),
        seal(&device, "T-4", &ago(40, capture("C10020001", 0.8))),
        // By its own clock it was made before, by the center's afterwards.
        seal(&device, "T-5", &v1::Capture { clock_offset_ms: 30 * MINUTE, ..ago(40, capture(CARD, 0.8)) }),
    ];
    device.upload(envelopes).await.unwrap();
    center.work().await;
    let records = center.verifications().await;
    let none = Decision::NoDecision(NoDecision::NoReference);
    let expected =
        [("T-1", Decision::Match), ("T-2", Decision::Review), ("T-3", Decision::Match), ("T-4", none), ("T-5", Decision::Review)];
    assert_eq!(decisions(&records), expected);
    let version = |name: &str| records.iter().find(|record| record.request.transaction == name).unwrap().policy_version.clone();
    assert_eq!([version("T-1"), version("T-2"), version("T-5")], ["old", "strict", "strict"]);
}

#[tokio::test]
async fn what_cannot_be_known_is_held_against_nobody() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let envelopes = vec![
        seal(&device, "T-1", &v1::Capture { clock_offset_ms: 0, ..ago(0, capture(CARD, 0.1)) }),
        // Before the center's first policy.
        seal(&device, "T-2", &ago(45, capture(CARD, 0.1))),
    ];
    device.upload(envelopes).await.unwrap();
    center.work().await;
    let records = center.verifications().await;
    assert_eq!(decisions(&records), [("T-1", Decision::Review), ("T-2", Decision::Review)]);
    let mut reasons: Vec<_> = records.iter().map(|record| record.reasons.join(" ")).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["policy_unknown", "time_unknown"]);
    assert_eq!(center.flags().await, []);
}

#[tokio::test]
async fn captures_without_a_face_or_of_nobody_are_decided_as_they_arrive_and_keep_no_face() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let envelopes = vec![
        seal(&device, "T-1", &ago(0, capture("B10020001", 0.8))),
        seal(&device, "T-2", &ago(0, failure(CARD, v1::AcquisitionFailure::NoFace))),
    ];
    let said = device.upload(envelopes.clone()).await.unwrap();
    assert!(said.iter().all(may_delete));
    let records = center.verifications().await;
    let none = [NoDecision::NoReference, NoDecision::FailureToAcquire].map(Decision::NoDecision);
    assert_eq!(decisions(&records), [("T-1", none[0]), ("T-2", none[1])]);
    assert_eq!(center.count("SELECT count(*) FROM deferred_sample") + center.count("SELECT count(*) FROM probe"), 0);
    let again = device.upload(envelopes).await.unwrap();
    assert!(again.iter().all(|said| said.outcome() == UploadOutcome::StoredBefore));
}

#[tokio::test]
async fn what_was_changed_in_the_database_is_put_aside() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let envelopes = (0..3).map(|i| seal(&device, &format!("T-{i}"), &ago(0, capture(CARD, 0.1)))).collect();
    device.upload(envelopes).await.unwrap();
    center.meddle(
        "UPDATE deferred SET captured_at = captured_at - 1 WHERE transaction_id = 'T-0';
         UPDATE deferred SET template = facts WHERE transaction_id = 'T-1'",
    );
    center.work().await;
    assert_eq!(decisions(&center.verifications().await), [("T-2", Decision::NonMatch)]);
    assert_eq!(center.center.store.backlog().await.unwrap().parked, [("unreadable".to_owned(), 2)]);
}

#[tokio::test]
async fn a_worker_that_was_killed_loses_nothing_and_one_that_wakes_late_doubles_nothing() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let envelopes: Vec<_> = (0..4).map(|i| seal(&device, &format!("T-{i}"), &ago(0, capture(CARD, 0.8)))).collect();
    device.upload(envelopes).await.unwrap();
    let runner = center.runner();
    let taken = center.center.store.take_deferred(System.now_ms(), 3, runner.worker.rule).await.unwrap();
    assert_eq!(taken.len(), 3, "a worker has these, and is killed");
    center.work().await;
    assert_eq!(center.verifications().await.len(), 1, "the others are leased");
    center.meddle("UPDATE deferred SET due_at = 0");
    center.work().await;
    assert_eq!(center.verifications().await.len(), 4);
    assert_eq!(center.count("SELECT count(*) FROM probe"), 4);
}

/// `matcher …` on the center's folder, in small chunks.
fn matcher(center: &TestCenter, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_matcher"));
    let settings = [("COUNTERSIGN_DATA", center.dir.path().as_os_str()), ("COUNTERSIGN_MATCHER__BATCH__CHUNK", "4".as_ref())];
    command.args(arguments).envs(settings).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_in_the_midst_lose_and_double_nothing() {
    const CAPTURES: i64 = 240;
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let envelopes = (0..CAPTURES).map(|i| seal(&device, &format!("T-{i}"), &ago(0, capture(CARD, 0.8)))).collect();
    assert!(device.upload(envelopes).await.unwrap().iter().all(may_delete));
    let decided = || center.count("SELECT count(*) FROM verification");
    for round in 1..=5 {
        let mut worker = matcher(&center, &["batch", "run", "deferred", "--workers", "2"]).spawn().unwrap();
        while decided() < round * CAPTURES / 8 {
            assert_eq!(worker.try_wait().unwrap(), None, "it works until it is stopped");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        worker.kill().unwrap();
        worker.wait().unwrap();
        // Time passes, and the leases of the dead run out.
        center.meddle("UPDATE deferred SET due_at = 0");
    }
    assert!(decided() < CAPTURES, "the last kill came before the end");
    assert!(matcher(&center, &["batch", "run", "deferred", "--once"]).status().unwrap().success());
    assert_eq!((decided(), center.count("SELECT count(*) FROM deferred")), (CAPTURES, 0));
    for table in ["probe", "visit", "request", "device_sequence"] {
        assert_eq!(center.count(&format!("SELECT count(*) FROM {table}")), CAPTURES, "{table}");
    }
    assert_eq!(center.count("SELECT count(*) FROM audit_entry WHERE action = 'verified'"), CAPTURES);
    assert!(center.verifications().await.iter().all(|record| record.decision == Decision::Match));
    let verify = matcher(&center, &["audit", "verify", "--records"]).status().unwrap();
    assert!(verify.success(), "the audit log holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_compares_what_comes_by_itself() {
    let center = TestCenter::live_with(|config| config.batch.here = true).await;
    let device = center.device("1").await;
    center.enrol(CARD).await;
    let envelopes = (0..20).map(|i| seal(&device, &format!("T-{i}"), &ago(0, capture(CARD, 0.8)))).collect();
    assert!(device.upload(envelopes).await.unwrap().iter().all(may_delete));
    for _ in 0..200 {
        if center.verifications().await.len() == 20 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{} of 20", center.verifications().await.len());
}
