//! The same again, another under the same name, too late, too often.

use std::sync::{Arc, atomic::Ordering};

use matcher::surroundings::{Surroundings, System};
use proto::v1;
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::{TestCenter, capture};

const CARD: &str = "A10020001";

#[track_caller]
fn check<T: std::fmt::Debug>(answer: Result<T, tonic::Status>, code: Code, message: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{}", status.message());
    assert!(status.message().contains(message), "{}", status.message());
}

#[tokio::test]
async fn the_same_envelope_gets_the_same_answer() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.1));
    let first = device.send(envelope.clone()).await.unwrap();
    let again = device.send(envelope).await.unwrap();
    assert_eq!(again, v1::VerifyResponse { repeated_answer: true, ..first });
    assert_eq!((center.verifications().await.len(), center.flags().await.len()), (1, 1));
}

#[tokio::test]
async fn the_same_envelope_many_times_at_once_is_judged_once() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.1));
    let device = Arc::new(device);
    let mut calls = JoinSet::new();
    for _ in 0..6 {
        let (device, envelope) = (Arc::clone(&device), envelope.clone());
        calls.spawn(async move { device.send(envelope).await.unwrap() });
    }
    let fresh = calls.join_all().await.iter().filter(|answer| !answer.repeated_answer).count();
    assert_eq!((fresh, center.verifications().await.len(), center.flags().await.len()), (1, 1, 1));
}

#[tokio::test]
async fn a_stored_answer_is_given_back_whatever_its_age() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let capture = v1::Capture { captured_at_ms: System.now_ms() - 599_000, ..capture(CARD, 0.8) };
    let envelope = device.seal(&device.address("T-1", 1), &capture);
    device.send(envelope.clone()).await.unwrap();
    // The clock does not move in a test: a center with a shorter memory stands in for a later hour.
    let folder = center.stop().await;
    let later = TestCenter::reopen(folder, |config| config.freshness.past_max_seconds = 1).await;
    let device = device.connect(&later.address);
    assert!(device.send(envelope).await.unwrap().repeated_answer);
}

#[tokio::test]
async fn another_device_cannot_send_it() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let other = center.device("2").await;
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
    check(other.send(envelope.clone()).await, Code::PermissionDenied, "envelope.header.device: expected the device of the connection");
    device.send(envelope.clone()).await.unwrap();
    check(other.send(envelope).await, Code::PermissionDenied, "envelope.header.device");
}

#[tokio::test]
async fn another_capture_under_an_answered_attempt_is_refused_and_flagged_once() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let first = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let second = device.seal(&device.address("T-1", 1), &capture(CARD, 0.9));
    for _ in 0..3 {
        check(device.send(second.clone()).await, Code::AlreadyExists, "envelope.header.attempt");
    }
    let flags = center.flags().await;
    assert_eq!(flags.iter().map(|flag| flag.kind.word()).collect::<Vec<_>>(), ["transaction_reused"]);
    let record = &center.verifications().await[0];
    assert_eq!(flags[0].verification, Some(record.id));
    assert_eq!(record.decided_at, first.decided_at_ms);
}

#[tokio::test]
async fn a_sequence_number_used_twice_is_refused_and_flagged() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    device.sequence.store(0, Ordering::SeqCst);
    check(device.verify("T-2", &capture(CARD, 0.8)).await, Code::FailedPrecondition, "envelope.header.sequence: expected");
    assert_eq!(center.flag_words().await, ["tampering_suspected"]);
    assert_eq!(center.verifications().await.len(), 1);
}

#[tokio::test]
async fn stale_captures_and_those_of_the_future_are_refused() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let at = |offset| v1::Capture { captured_at_ms: System.now_ms() + offset, ..capture(CARD, 0.8) };
    check(
        device.verify("T-1", &at(-660_000)).await,
        Code::FailedPrecondition,
        "capture.captured_at_ms: expected a time at most 600000 ms ago",
    );
    check(
        device.verify("T-1", &at(180_000)).await,
        Code::FailedPrecondition,
        "capture.captured_at_ms: expected a time at most 120000 ms ahead",
    );
    let corrected = v1::Capture { clock_offset_ms: 3_600_000, ..at(-3_600_000) };
    device.verify("T-1", &corrected).await.unwrap();
    let record = &center.verifications().await[0];
    assert!((System.now_ms() - record.captured_at).abs() < 60_000);
}

#[tokio::test]
async fn a_transaction_has_as_many_attempts_as_the_policy_says() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    device.verify_attempt("T-1", 3, &capture(CARD, 0.8)).await.unwrap();
    let message = "envelope.header.attempt: expected at most 3 in the scene settlement under the policy in force, got 4";
    check(device.verify_attempt("T-1", 4, &capture(CARD, 0.8)).await, Code::FailedPrecondition, message);
}
