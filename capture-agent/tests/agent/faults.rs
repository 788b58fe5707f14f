//! Lines and centers that fail: the envelope stays, and the very same bytes are sent again.

use std::time::{Duration, Instant};

use capture_agent::answer::Decision;
use tonic::Code;

use crate::{
    center::{Center, Fault},
    eyes::ONE_PERSON,
    folder::Authority,
    verify::{agent, ask, command, refused},
};

#[tokio::test(flavor = "multi_thread")]
async fn repetitions_send_identical_bytes_until_the_answer_comes() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(ONE_PERSON);
    center.next(&[Fault::Code(Code::Unavailable), Fault::Code(Code::ResourceExhausted), Fault::AnswerLost]);
    let answer = ask(&agent, &command("T1", "100")).await.unwrap();
    assert!(answer.decision == Decision::Match && answer.repeated_answer, "the record of the lost answer is repeated");
    let records = center.records.lock().unwrap();
    assert_eq!((records.received.len(), records.captures.len()), (4, 1));
    assert!(records.received.iter().all(|bytes| *bytes == records.received[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_center_that_is_silent_is_asked_again_after_the_calls_deadline() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(ONE_PERSON);
    center.next(&[Fault::Silent(Duration::from_secs(60))]);
    assert_eq!(ask(&agent, &command("T1", "100")).await.unwrap().decision, Decision::Match);
    assert_eq!(center.records.lock().unwrap().received.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_center_missed_it_gets_when_it_is_back() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    let agent = agent(&folder, &address, "");
    folder.show(ONE_PERSON);
    ask(&agent, &command("T1", "100")).await.unwrap();
    center.stop().await;
    let started = Instant::now();
    refused(ask(&agent, &command("T2", "100")).await, "center_unreachable");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(agent.waiting().await.unwrap(), 1);
    center.start(&folder);
    let answer = ask(&agent, &command("T2", "100")).await.unwrap();
    assert!(answer.decision == Decision::Match && !answer.repeated_answer);
    assert_eq!(agent.waiting().await.unwrap(), 0);
    assert_eq!(center.records.lock().unwrap().sequences, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_center_killed_in_mid_call_is_found_again() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    let agent = agent(&folder, &address, "");
    folder.show(ONE_PERSON);
    center.next(&[Fault::Silent(Duration::from_secs(60))]);
    let command = command("T1", "100");
    let restart = async {
        while center.records.lock().unwrap().received.is_empty() {
            tokio::task::yield_now().await;
        }
        center.stop().await;
        center.start(&folder);
    };
    let (answer, ()) = tokio::join!(ask(&agent, &command), restart);
    assert_eq!(answer.unwrap().decision, Decision::Match);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_center_refuses_for_good_is_sent_once() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(ONE_PERSON);
    let cases = [
        (Code::PermissionDenied, "device_refused"),
        (Code::InvalidArgument, "request_refused"),
        (Code::AlreadyExists, "transaction_conflict"),
        (Code::FailedPrecondition, "envelope_stale"),
    ];
    for (number, (code, word)) in cases.into_iter().enumerate() {
        center.next(&[Fault::Code(code)]);
        refused(ask(&agent, &command(&format!("T{number}"), "100")).await, word);
    }
    assert_eq!(center.records.lock().unwrap().received.len(), cases.len());
    assert_eq!(agent.waiting().await.unwrap(), 0, "what is refused waits no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn centers_and_devices_of_another_authority_do_not_talk() {
    let mut center = Center::new();
    let folder = center.folder();
    folder.show(ONE_PERSON);
    // The center trusts devices of another authority only.
    let address = center.start_trusting(&folder, &Authority::new().pem);
    refused(ask(&agent(&folder, &address, ""), &command("T1", "100")).await, "center_unreachable");
    // A center with a certificate by another authority than the bundle's.
    let mut foreign = Center::new();
    let address = foreign.start_trusting(&folder, &center.authority.pem);
    refused(ask(&agent(&folder, &address, ""), &command("T2", "100")).await, "center_unreachable");
    assert!(center.records.lock().unwrap().received.is_empty() && foreign.records.lock().unwrap().received.is_empty());
}
