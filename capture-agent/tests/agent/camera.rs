//! Cameras that fail: each fault is told within three seconds, to the counter and to the center, and is over when it is cured.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use capture_agent::{answer::Decision, verify::Verifier};
use proto::v1::CameraState;

use crate::{
    center::Center,
    eyes::{NOBODY, ONE_PERSON},
    folder::Folder,
    verify::{agent, ask, command, refused},
};

/// Within which a fault is told.
const TOLD_WITHIN: Duration = Duration::from_secs(3);
/// A deadline that no fault waits for; frames as a real camera gives them.
const PATIENT: &str = "[api]\nrequest_timeout_ms = 60000\n";

/// Starts a verification and waits until the counter is told of this state of the camera.
async fn check(folder: &Folder, center: &str, state: CameraState, code: &str) -> Arc<Verifier> {
    let agent = Arc::new(agent(folder, center, PATIENT));
    let asking = {
        let agent = Arc::clone(&agent);
        tokio::spawn(async move { ask(&agent, &command("T1", "100")).await })
    };
    let started = Instant::now();
    while agent.camera_state() != state {
        assert!(started.elapsed() < TOLD_WITHIN, "{state:?} is told too late; said: {:?}", agent.camera_state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    refused(asking.await.unwrap(), code);
    agent
}

/// The fault is told, the center hears of it, and once it is cured the camera is well without anybody's doing.
async fn check_cured(fault: impl FnOnce(&Folder), state: CameraState, code: &str) {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    folder.show(NOBODY);
    folder.longer();
    fault(&folder);
    let agent = check(&folder, &address, state, code).await;
    agent.report_health().await.unwrap();
    agent.look_at_failed_camera().await;
    assert_eq!(agent.camera_state(), state, "it is not cured yet");
    folder.cure();
    folder.show(ONE_PERSON);
    agent.look_at_failed_camera().await;
    assert_eq!(agent.camera_state(), CameraState::Ready);
    assert_eq!(ask(&agent, &command("T2", "100")).await.unwrap().decision, Decision::Match);
    let records = center.records.lock().unwrap();
    let told = records.health.last().unwrap();
    assert_eq!(told.camera(), state);
    let faults = &told.state.as_ref().unwrap().camera_faults;
    assert!(faults.iter().any(|faults| faults.state() == state && faults.count == 1), "{faults:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn absent() {
    check_cured(|folder| folder.opens("absent"), CameraState::Absent, "camera_absent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy() {
    check_cured(|folder| folder.opens("busy"), CameraState::Busy, "camera_busy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unplugged() {
    check_cured(|folder| folder.at_end("unplug"), CameraState::Unplugged, "camera_lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled() {
    check_cured(|folder| folder.at_end("stall"), CameraState::Stalled, "camera_stalled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen() {
    check_cured(|folder| folder.at_end("freeze"), CameraState::Frozen, "camera_frozen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_picture_as_many_frames() {
    check_cured(|folder| folder.at_end("copy"), CameraState::Frozen, "camera_frozen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn black() {
    check_cured(|folder| folder.show([2, 3, 2]), CameraState::Black, "camera_black").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upside_down() {
    check_cured(|folder| folder.show_turned(ONE_PERSON, NOBODY), CameraState::UpsideDown, "camera_upside_down").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_counter_is_no_fault() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), PATIENT);
    folder.show(NOBODY);
    folder.longer();
    let answer = ask(&agent, &command("T1", "100")).await.unwrap();
    assert_eq!((answer.decision, answer.reasons), (Decision::NoDecision, vec!["no_face".to_owned()]));
    assert_eq!(agent.camera_state(), CameraState::Ready);
}
