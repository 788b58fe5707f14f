//! Decisions, and what is kept of them.

use std::sync::Arc;

use matcher::{app::sample::samples_from_bytes, store::Sealed, vault::RecordContext};
use matcher_core::{Decision, Disposition, NoDecision};
use proto::v1::{self, AcquisitionFailure};
use tokio::task::JoinSet;

use crate::support::{TestCenter, attempt, capture, failure, models, probe, template};

const CARD: &str = "A10020001";

#[track_caller]
fn check(answer: &v1::VerifyResponse, decision: v1::Decision, disposition: v1::Disposition, reasons: &[&str]) {
    assert_eq!((answer.decision(), answer.disposition()), (decision, disposition));
    assert_eq!(answer.reasons, reasons);
}

#[tokio::test]
async fn scores_fall_into_three_bands_and_a_non_match_is_an_answer() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let ask = async |transaction: &str, cosine| device.verify(transaction, &capture(CARD, cosine)).await.unwrap();
    let matched = ask("T-1", 0.8).await;
    check(&matched, v1::Decision::Match, v1::Disposition::Settle, &[]);
    assert!((matched.score.unwrap() - 0.8).abs() < 2e-3);
    assert_eq!((matched.match_threshold, matched.non_match_threshold), (Some(0.5), Some(0.3)));
    assert_eq!(matched.model_id, models().current().model.as_str());
    assert!(matched.provisional && !matched.repeated_answer && matched.decided_at_ms > 0);
    assert_eq!(matched.policy_version, "demonstration-1");
    check(&ask("T-2", 0.4).await, v1::Decision::Review, v1::Disposition::SettleFlagged, &[]);
    assert_eq!(center.flag_words().await, [] as [&str; 0]);
    check(&ask("T-3", 0.1).await, v1::Decision::NonMatch, v1::Disposition::DocumentCheck, &[]);
    assert_eq!(center.flag_words().await, ["card_person_mismatch"]);
}

#[tokio::test]
async fn what_is_missing_is_an_answer_with_its_reason() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let unknown = device.verify("T-1", &capture("B999999", 0.8)).await.unwrap();
    check(&unknown, v1::Decision::NoDecision, v1::Disposition::DocumentCheck, &["no_reference"]);
    assert_eq!((unknown.score, unknown.match_threshold, unknown.model_id.as_str()), (None, None, ""));
    let nobody = device.verify("T-2", &failure(CARD, AcquisitionFailure::NoFace)).await.unwrap();
    check(&nobody, v1::Decision::NoDecision, v1::Disposition::OtherWay, &["failure_to_acquire", "no_face"]);
    let reason = AcquisitionFailure::LowQuality.into();
    let blurred = v1::FailureToAcquire { reason, component: "sharpness".to_owned() };
    let blurred = attempt(CARD, v1::capture::Outcome::FailureToAcquire(blurred));
    let unusable = device.verify("T-4", &blurred).await.unwrap();
    check(&unusable, v1::Decision::NoDecision, v1::Disposition::OtherWay, &["failure_to_acquire", "low_quality", "sharpness"]);
    let several = device.verify("T-3", &failure(CARD, AcquisitionFailure::SeveralFaces)).await.unwrap();
    check(&several, v1::Decision::NoDecision, v1::Disposition::OtherWay, &["several_faces"]);
    assert_eq!(center.flag_words().await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_reference_of_another_model_is_never_compared() {
    let (center, device) = TestCenter::with_device().await;
    let models = models();
    center.enrol_with(CARD, &template("older@1", models.current().recipe.as_str(), 1.0)).await;
    let answer = device.verify("T-1", &capture(CARD, 1.0)).await.unwrap();
    check(&answer, v1::Decision::NoDecision, v1::Disposition::OtherWay, &["model_mismatch"]);
    center.enrol_with("A10020002", &template(models.current().model.as_str(), "older@1", 1.0)).await;
    let answer = device.verify("T-2", &capture("A10020002", 1.0)).await.unwrap();
    check(&answer, v1::Decision::NoDecision, v1::Disposition::OtherWay, &["model_mismatch"]);
}

#[tokio::test]
async fn a_match_after_a_non_match_is_flagged() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    device.verify_attempt("T-1", 1, &capture(CARD, 0.1)).await.unwrap();
    let second = device.verify_attempt("T-1", 2, &capture(CARD, 0.9)).await.unwrap();
    assert_eq!(second.decision(), v1::Decision::Match);
    assert_eq!(center.flag_words().await, ["card_person_mismatch", "match_after_non_match"]);
    device.verify("T-2", &capture(CARD, 0.9)).await.unwrap();
    assert_eq!(center.flags().await.len(), 2);
}

/// A matching probe with this live score.
fn presented(live: Option<f32>) -> v1::Capture {
    let mut probe = probe(0.8);
    probe.attack = live.map(|live| v1::AttackScore { model_id: models().attack_id().to_owned(), live });
    attempt(CARD, v1::capture::Outcome::Sample(probe))
}

#[tokio::test]
async fn a_low_live_score_asks_for_a_retry_and_is_flagged_when_it_comes_again() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let unclear = device.verify_attempt("T-1", 1, &presented(Some(0.3))).await.unwrap();
    check(&unclear, v1::Decision::NoDecision, v1::Disposition::Retry, &["live_unclear"]);
    assert_eq!(center.flag_words().await, [] as [&str; 0], "one low score accuses nobody");
    let again = device.verify_attempt("T-1", 2, &presented(Some(0.3))).await.unwrap();
    check(&again, v1::Decision::NoDecision, v1::Disposition::DocumentCheck, &["attack_suspected"]);
    assert_eq!(center.flag_words().await, ["attack_suspected"]);
    // Another visit starts anew, and whoever looks live at the second try is compared.
    device.verify_attempt("T-2", 1, &presented(Some(0.3))).await.unwrap();
    check(&device.verify_attempt("T-2", 2, &presented(Some(0.9))).await.unwrap(), v1::Decision::Match, v1::Disposition::Settle, &[]);
    let unassessed = device.verify("T-3", &presented(None)).await.unwrap();
    check(&unassessed, v1::Decision::NoDecision, v1::Disposition::Retry, &["live_not_assessed"]);
    // The shipped policy suspects nobody on one score, however low: it was shown for no threshold.
    let lowest = device.verify("T-4", &presented(Some(0.0))).await.unwrap();
    check(&lowest, v1::Decision::NoDecision, v1::Disposition::Retry, &["live_unclear"]);
    assert_eq!(center.flags().await.len(), 1);
}

#[tokio::test]
async fn every_fused_frame_is_kept_with_its_quality_for_the_person_alone() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let record = &center.verifications().await[0];
    let subject = record.subject.unwrap();
    let database = rusqlite::Connection::open(center.dir.store()).unwrap();
    let bytes = |sql: &str| Sealed(database.query_row(sql, [], |row| row.get(0)).unwrap());
    let key = center.center.vault.unwrap_data_key(subject, &bytes("SELECT wrapped FROM data_key")).unwrap();
    let sample = key.open(&RecordContext::probe_sample(subject, record.id), &bytes("SELECT sample FROM probe")).unwrap();
    let samples = samples_from_bytes(&sample).unwrap();
    assert_eq!(samples.iter().map(|sample| sample.jpeg.len()).collect::<Vec<_>>(), [1000, 900, 800]);
    let sharpness = samples[0].quality.get(models_core::Component::Sharpness).unwrap();
    assert_eq!((sharpness.raw, sharpness.score), (0.5, 70));
}

#[tokio::test]
async fn the_record_holds_what_was_decided_and_nothing_readable_about_the_person() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let answer = device.verify("T-1", &v1::Capture { scene: v1::Scene::Reception.into(), ..capture(" ａ1002-0001", 0.8) }).await.unwrap();
    let records = center.verifications().await;
    let [record] = records.as_slice() else { panic!("{} records", records.len()) };
    assert_eq!((record.decision, record.disposition), (Decision::Match, Disposition::Settle));
    assert_eq!((record.request.institution.as_str(), record.counter.as_str(), record.device.as_str()), ("P1", "1", "P1-1"));
    assert_eq!((record.request.transaction.as_str(), record.request.attempt, record.sequence), ("T-1", 1, 1));
    assert_eq!((record.scene.word(), record.operator.as_str(), record.identifier_masked.as_str()), ("reception", "0417", "*****0001"));
    assert_eq!((record.decided_at, record.score, record.live), (answer.decided_at_ms, answer.score, Some(0.9)));
    for file in ["center.db", "center.db-wal"] {
        let bytes = std::fs::read(center.dir.path().join(file)).unwrap();
        for secret in [CARD.as_bytes(), &[0x55; 16][..], &template("m@1", "r@1", 0.8).to_f16_le_bytes()[..8]] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{file}");
        }
    }
}

#[tokio::test]
async fn an_unknown_card_leaves_no_face_behind() {
    let (center, device) = TestCenter::with_device().await;
    device.verify("T-1", &capture("B999999", 0.8)).await.unwrap();
    let records = center.verifications().await;
    assert_eq!(records[0].decision, Decision::NoDecision(NoDecision::NoReference));
    assert_eq!(records[0].subject, None);
    let probes: i64 =
        rusqlite::Connection::open(center.dir.store()).unwrap().query_row("SELECT count(*) FROM probe", [], |row| row.get(0)).unwrap();
    assert_eq!(probes, 0);
}

#[tokio::test]
async fn answers_outlive_the_server() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let dir = center.dir.clone();
    assert_eq!(std::fs::read_to_string(dir.serve_address()).unwrap().trim_end(), center.address);
    let _folder = center.stop().await;
    assert!(!dir.serve_address().exists());
    assert!(device.verify("T-2", &capture(CARD, 0.8)).await.is_err());
    let left = matcher::center::Center::open(&dir).await.unwrap();
    assert_eq!(left.store.decisions_of("P1", "T-1").await.unwrap(), [(1, Decision::Match)]);
}

#[tokio::test]
async fn many_captures_at_once_are_each_recorded_once() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let device = Arc::new(device);
    let mut calls = JoinSet::new();
    for i in 0..40 {
        let device = Arc::clone(&device);
        calls.spawn(async move { device.verify(&format!("T-{i}"), &capture(CARD, 0.8)).await.unwrap() });
    }
    assert!(calls.join_all().await.iter().all(|answer| answer.decision() == v1::Decision::Match));
    assert_eq!(center.verifications().await.len(), 40);
}
