//! Without the center: under a lease the device answers by itself, in the attempt that is under way, and what it captured
//! is forwarded when the line is back.

use std::time::{Duration, Instant};

use capture_agent::{
    answer::{Decision, Disposition},
    command::{By, VerifyCommand},
    line::{
        client::{CenterClient, Credentials},
        forwarder::{Forwarder, Pass},
        spool::Spool,
    },
    verify::Verifier,
};
use capture_core::degraded::KnownTime;
use proto::v1::{self, UploadOutcome};
use receipt_form::{jws, provisional::ProvisionalForm};
use tonic::Code;

use crate::{
    center::{Center, Fault, late::Late},
    eyes::{FEATURES, ONE_PERSON, PICTURE},
    folder::{Folder, policy_key},
    verify::{agent, ask, command, refused},
};

const HOUR_MS: i64 = 3_600_000;
const SHORT: &str = "";

/// A policy that settles, flagged, while the center cannot be asked.
fn policy() -> v1::DevicePolicy {
    v1::DevicePolicy {
        version: "p1".into(),
        scenes: vec![v1::DeviceScene {
            scene: v1::Scene::Settlement.into(),
            attempts_max: 3,
            center_unreachable: v1::Disposition::SettleFlagged.into(),
            ..v1::DeviceScene::default()
        }],
        ..v1::DevicePolicy::default()
    }
}

/// A center with a lease to give, and an agent that has it.
async fn leased(captures_max: u32, lasts_ms: i64) -> (Center, Folder, String, Verifier) {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    center.applies(&policy(), &policy_key());
    center.leases(captures_max, lasts_ms);
    folder.show(ONE_PERSON);
    let agent = agent(&folder, &address, SHORT);
    agent.report_health().await.unwrap();
    (center, folder, address, agent)
}

fn forwarder(folder: &Folder, address: &str) -> Forwarder {
    let config = folder.configure(address, SHORT);
    let (identity, clock) = (folder.identity(), capture_agent::clock::Clock::start());
    let credentials =
        Credentials { key_pem: identity.key.pem().unwrap(), certificate_pem: identity.certificate_pem.clone(), ca_pem: identity.ca_pem };
    let client = CenterClient::new(&config.center, &credentials, clock).unwrap();
    let spool = std::sync::Arc::new(Spool::open(folder.path(), config.outbox).unwrap());
    Forwarder::new(spool, client, policy_key().verifying_key(), clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_call_that_fails_is_answered_in_the_same_attempt_with_the_same_envelope() {
    let (mut center, folder, address, agent) = leased(9, HOUR_MS).await;
    center.stop().await;
    let answer = ask(&agent, &command("T1", "100")).await.unwrap();
    assert_eq!((answer.decision, answer.disposition, answer.degraded), (Decision::NoDecision, Disposition::SettleFlagged, true));
    assert_eq!((answer.reasons.as_slice(), answer.repeated_answer), (&["center_unreachable".to_owned()][..], false));
    // The receipt is the device's, names the capture, and says for how long.
    let parts = jws::Parts::new(&answer.receipt).unwrap();
    let form: ProvisionalForm = parts.claims(&folder.identity().key.public()).unwrap();
    assert_eq!((form.sequence, form.transaction.as_str(), form.jti), (1, "T1", answer.receipt_number.clone()));
    assert_eq!((form.lease.as_str(), form.aud.as_str(), form.exp - form.iat), ("L-1", "settlement", 900));
    assert!(parts.header.typ.as_deref() == Some("countersign-provisional-receipt+jwt") && parts.header.x5c.is_some());
    // Asked again, also after the line is back, it is the same answer, and nobody is captured anew.
    let again = ask(&agent, &command("T1", "100")).await.unwrap();
    assert!(again.repeated_answer && again.receipt == answer.receipt);
    refused(ask(&agent, &command("T1", "101")).await, "transaction_conflict");
    center.start(&folder);
    assert_eq!(ask(&agent, &command("T1", "100")).await.unwrap().receipt, answer.receipt);
    assert_eq!(forwarder(&folder, &address).pass().await.unwrap(), Pass { stored: 1, ..Pass::default() });
    let uploaded = center.records.lock().unwrap().uploaded.clone();
    assert_eq!((uploaded.len(), uploaded[0].provisional_receipt.as_str()), (1, answer.receipt.as_str()));
    assert_eq!(agent.waiting().await.unwrap(), 0);
    assert_eq!(ask(&agent, &command("T1", "100")).await.unwrap().receipt, answer.receipt, "what was answered stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_center_that_answers_too_late_is_not_waited_for_and_has_one_record() {
    let (center, folder, address, _) = leased(9, HOUR_MS).await;
    let agent = agent(&folder, &address, SHORT);
    center.next(&[Fault::Silent(Duration::from_secs(60)); 8]);
    let config_says = Duration::from_secs(4);
    let started = Instant::now();
    let answer = ask(&agent, &command("T1", "100")).await.unwrap();
    assert!(answer.degraded && started.elapsed() < config_says + Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(forwarder(&folder, &address).pass().await.unwrap().stored, 1);
    let records = center.records.lock().unwrap();
    let sent = prost::Message::encode_to_vec(records.uploaded[0].envelope.as_ref().unwrap());
    assert!(!records.received.is_empty() && records.received.iter().all(|bytes| *bytes == sent), "the very same envelope");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_used_up_or_over_says_so_before_anybody_is_captured() {
    let (mut center, folder, address, agent) = leased(1, HOUR_MS).await;
    center.stop().await;
    assert!(ask(&agent, &command("T1", "100")).await.unwrap().degraded);
    refused(ask(&agent, &command("T2", "100")).await, "lease_used_up");
    assert_eq!(agent.waiting().await.unwrap(), 1, "nobody was captured in vain");
    // The count outlives the process.
    drop(agent);
    let agent = crate::verify::agent(&folder, &address, SHORT);
    refused(ask(&agent, &command("T3", "100")).await, "lease_used_up");
    // Another way is not sent round in a circle: it is kept for the center, and that is said.
    let before = agent.waiting().await.unwrap();
    refused(ask(&agent, &VerifyCommand { by: By::OtherWay, ..command("T9", "100") }).await, "recorded_only");
    assert_eq!(agent.waiting().await.unwrap(), before + 1);
    let state = agent.line_state().await.unwrap();
    let lease = state.lease.unwrap();
    assert_eq!((lease.serial.as_str(), lease.scenes[0].captures_left, lease.scenes[0].alone), ("L-1", 0, "lease_used_up"));
    assert!(state.degraded && state.waiting >= 1 && state.endpoints[0].answers == Some(false));
    // The line is back: another lease is fetched, and the answer is the center's again.
    center.start(&folder);
    agent.report_health().await.unwrap();
    assert_eq!(ask(&agent, &command("T4", "100")).await.unwrap().decision, Decision::Match);
    assert_eq!(agent.lease().unwrap().terms.serial, "L-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_with_its_time_and_a_clock_that_was_set_back_does_not_lengthen_it() {
    let (mut center, folder, address, agent) = leased(9, 0).await;
    center.stop().await;
    refused(ask(&agent, &command("T1", "100")).await, "lease_expired");
    drop(agent);
    let spool = Spool::open(folder.path(), folder.configure(&address, SHORT).outbox).unwrap();
    let later = spool.latest().unwrap().unwrap();
    // As if the clock had been an hour ahead, in another run of the system.
    spool.remember_latest(&KnownTime { date_ms: later.date_ms + HOUR_MS, boot: "before".into(), uptime_ms: 1 }).unwrap();
    let agent = crate::verify::agent(&folder, &address, SHORT);
    refused(ask(&agent, &command("T2", "100")).await, "clock_set_back");
    center.start(&folder);
    center.leases(9, HOUR_MS);
    agent.report_health().await.unwrap();
    assert_eq!(agent.may_answer_alone(capture_core::Scene::Settlement).await.unwrap(), Ok(()), "the center said what time it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_lease_nothing_is_answered() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    folder.show(ONE_PERSON);
    let agent = agent(&folder, &address, SHORT);
    agent.report_health().await.unwrap();
    center.stop().await;
    refused(ask(&agent, &command("T1", "100")).await, "center_unreachable");
    let state = agent.line_state().await.unwrap();
    assert!(state.degraded && state.lease.is_none() && state.waiting == 1, "{state:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_forwarded_in_order_and_deleted_on_the_centers_word_alone() {
    let (mut center, folder, address, agent) = leased(9, HOUR_MS).await;
    center.stop().await;
    for number in 1..=4 {
        ask(&agent, &command(&format!("T{number}"), "100")).await.unwrap();
    }
    let forwarder = forwarder(&folder, &address);
    assert!(forwarder.pass().await.is_err(), "nobody is there");
    center.start(&folder);
    tokio::time::sleep(Duration::from_millis(600)).await;
    center.late(&[Late::Forged; 4]);
    assert!(forwarder.pass().await.unwrap_err().to_string().contains("signature"));
    assert_eq!(agent.waiting().await.unwrap(), 4);
    tokio::time::sleep(Duration::from_millis(200)).await;
    // An acknowledgement is lost: what it was of comes again. One that is kept holds up nobody; one that is refused is put
    // aside and shown.
    let (stored, kept, refused) = (UploadOutcome::Stored, UploadOutcome::TryAgain, UploadOutcome::Refused);
    let first = center.late_anew(&[Late::Outcome(stored), Late::Lost, Late::Outcome(kept), Late::Outcome(refused)]);
    assert_eq!(forwarder.pass().await.unwrap(), Pass { stored: 2, refused: 1, kept: 1, held: 0 });
    assert_eq!(center.uploaded().split_off(first), ["T1", "T2", "T2", "T3", "T4"]);
    let state = agent.line_state().await.unwrap();
    assert_eq!((state.waiting, state.put_aside[0].transaction.as_str(), state.put_aside[0].refusal.as_str()), (1, "T3", "too_old"));
    assert_eq!(forwarder.pass().await.unwrap(), Pass { stored: 1, ..Pass::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_over_the_next_endpoint_at_once_when_one_fails() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    folder.show(ONE_PERSON);
    // Nobody listens at the first.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoints = format!(
        "[[center.endpoint]]\nname = \"primary\"\naddress = \"https://{nobody}\"\n[[center.endpoint]]\nname = \"backup\"\naddress = \"{address}\"\n"
    );
    let agent = agent(&folder, &address, &endpoints);
    let answer = ask(&agent, &command("T1", "100")).await.unwrap();
    assert_eq!(answer.decision, Decision::Match);
    let state = agent.line_state().await.unwrap();
    let shown: Vec<_> = state.endpoints.iter().map(|endpoint| (endpoint.name.as_str(), endpoint.in_use, endpoint.answers)).collect();
    assert_eq!(shown, [("primary", false, Some(false)), ("backup", true, Some(true))]);
    center.next(&[Fault::Code(Code::ResourceExhausted)]);
    assert_eq!(ask(&agent, &command("T2", "100")).await.unwrap().decision, Decision::Match, "a busy center is no dead line");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_disk_shows_no_card_no_template_and_no_picture() {
    let (mut center, folder, _, agent) = leased(9, HOUR_MS).await;
    let card = "330203194910010027";
    ask(&agent, &command("T1", card)).await.unwrap();
    center.stop().await;
    assert!(ask(&agent, &command("T2", card)).await.unwrap().degraded);
    let plain: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(card.as_bytes()).into();
    // Card, features and picture as they are known, and words of the capture around them.
    let needles: [&[u8]; 6] = [card.as_bytes(), &plain, &FEATURES, &PICTURE[..20], b"colour-recipe@1\x1a", b"mouth_occlusion"];
    let mut read = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.extension().is_some_and(|end| end == "toml") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        read += bytes.len();
        for needle in needles {
            assert!(!bytes.windows(needle.len()).any(|part| part == needle), "{}: {needle:?}", path.display());
        }
    }
    assert!(read > 4_096, "the spool was read");
}
