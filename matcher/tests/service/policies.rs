//! Policies in force: told, fetched, changed while serving; and what they say about consent.

use ed25519_dalek::{Signature, Verifier};
use matcher_core::{Decision, Mode, NoDecision, Policy};
use prost::Message;
use proto::v1;
use tonic::Code;

use crate::support::{TestCenter, capture};

const CARD: &str = "A10020001";

#[tokio::test]
async fn in_shadow_mode_everything_is_recorded_and_nobody_is_told() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    center.apply(Policy::SHIPPED).await;
    for (transaction, cosine, decision) in [("T-1", 0.8, Decision::Match), ("T-2", 0.0, Decision::Review)] {
        let told = device.verify(transaction, &capture(CARD, cosine)).await.unwrap();
        assert_eq!((told.decision(), told.disposition()), (v1::Decision::NoDecision, v1::Disposition::Settle));
        assert_eq!(
            (told.reasons.as_slice(), told.score, told.match_threshold, told.model_id.as_str()),
            (&["shadow".to_owned()][..], None, None, "")
        );
        assert!(told.provisional);
        let record = center.verifications().await.remove(0);
        assert_eq!((record.decision, record.mode, record.policy_version.as_str()), (decision, Mode::Shadow, "shadow-1"));
        assert!(record.score.is_some());
    }
    let unknown = device.verify("T-3", &capture("A10029999", 0.8)).await.unwrap();
    assert_eq!((unknown.disposition(), unknown.reasons.as_slice()), (v1::Disposition::Settle, &["shadow".to_owned()][..]));
    assert_eq!(center.verifications().await[0].decision, Decision::NoDecision(NoDecision::NoReference));
    assert_eq!(center.flag_words().await, [] as [&str; 0]);
}

#[tokio::test]
async fn an_answer_stays_what_it_was_when_the_policy_changes() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.4));
    let first = device.send(envelope.clone()).await.unwrap();
    assert_eq!((first.decision(), first.policy_version.as_str()), (v1::Decision::Review, "demonstration-1"));
    let lower = Policy::demonstration().replace("demonstration-1", "lower-1").replace("match_at_least = 0.50", "match_at_least = 0.35");
    center.apply(&lower).await;
    let now = device.verify("T-2", &capture(CARD, 0.4)).await.unwrap();
    assert_eq!((now.decision(), now.policy_version.as_str()), (v1::Decision::Match, "lower-1"));
    let again = device.send(envelope).await.unwrap();
    assert_eq!(again, v1::VerifyResponse { repeated_answer: true, ..first });
}

#[tokio::test]
async fn a_device_fetches_what_it_must_know_under_the_centers_signature() {
    let (center, device) = TestCenter::with_device().await;
    let signed = device.policy().await;
    let message = [b"countersign device policy v1\0".as_slice(), &signed.policy].concat();
    center.center.policies.key().verify(&message, &Signature::from_slice(&signed.signature).unwrap()).unwrap();
    let policy = v1::DevicePolicy::decode(signed.policy.as_slice()).unwrap();
    assert_eq!((policy.version.as_str(), policy.scenes.len(), policy.shadow), ("demonstration-1", 6, false));
    center.apply(Policy::SHIPPED).await;
    let policy = v1::DevicePolicy::decode(device.policy().await.policy.as_slice()).unwrap();
    assert!(policy.shadow && policy.version == "shadow-1");
}

#[tokio::test]
async fn without_the_consent_a_scene_rests_on_a_face_is_neither_looked_at_nor_kept() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let consent = Policy::demonstration()
        .replace("demonstration-1", "consent-1")
        .replace("basis = \"legal_duty\"", "basis = \"consent\"")
        .replace("consent_version = \"\"", "consent_version = \"c-1\"");
    center.apply(&consent).await;
    let without = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    assert_eq!((without.decision(), without.disposition()), (v1::Decision::NoDecision, v1::Disposition::OtherWay));
    assert_eq!((without.reasons.as_slice(), without.score), (&["consent_missing".to_owned()][..], None));
    center.meddle("CREATE TABLE kept AS SELECT count(*) AS n FROM probe");
    let kept: i64 = rusqlite::Connection::open(center.dir.store()).unwrap().query_row("SELECT n FROM kept", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 0);
    let with = device.verify("T-2", &v1::Capture { consent: "c-1".into(), ..capture(CARD, 0.8) }).await.unwrap();
    assert_eq!(with.decision(), v1::Decision::Match);
    assert_eq!(center.verifications().await[0].consent, "c-1");
    assert_eq!(center.flag_words().await, [] as [&str; 0]);
}

#[tokio::test]
async fn attempts_are_capped_by_the_policy_of_the_scene() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let once = Policy::demonstration().replace("demonstration-1", "once-1").replace("attempts_max = 3", "attempts_max = 1");
    center.apply(&once).await;
    let refused = device.verify_attempt("T-1", 2, &capture(CARD, 0.8)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("at most 1 in the scene settlement"), "{}", refused.message());
}
