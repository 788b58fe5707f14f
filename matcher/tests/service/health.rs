//! What devices say about themselves: kept, shown, and held against what they said before.

use matcher::{
    device::health,
    surroundings::{Surroundings, System},
};
use proto::v1::{self, CameraState};

use crate::support::{TestCenter, TestDevice, capture};

const CARD: &str = "A10020001";

fn report(state: v1::DeviceState) -> v1::ReportHealthRequest {
    v1::ReportHealthRequest {
        agent_version: "0.1.0".into(),
        device_clock_ms: System.now_ms(),
        camera: CameraState::Black.into(),
        unanswered_envelopes: 3,
        state: Some(state),
        ..Default::default()
    }
}

fn named(name: u8) -> v1::DeviceState {
    v1::DeviceState { instance: vec![name; 16], disk_free_bytes: 20 << 30, ..Default::default() }
}

async fn say(device: &TestDevice, report: v1::ReportHealthRequest) {
    device.report(report).await.unwrap();
    // Reports of one millisecond are one.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
}

#[tokio::test]
async fn the_last_report_is_shown_with_its_age_and_what_to_do() {
    let (center, device) = TestCenter::with_device().await;
    let faults = vec![v1::CameraFaults { state: CameraState::Unplugged.into(), count: 2 }];
    let state = v1::DeviceState { camera_faults: faults, findings: vec!["light:dark".into()], spool_bytes: 5_000_000, ..named(1) };
    say(&device, report(state)).await;
    let store = center.center.store.as_ref();
    let rows = health::rows(store, System.now_ms()).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&health::json(&rows).unwrap()).unwrap();
    let last = &json[0]["last_report"];
    assert_eq!((&last["camera"], &last["unanswered_envelopes"]), (&"black".into(), &3.into()), "{json}");
    assert_eq!(last["state"]["camera_faults"], serde_json::json!([["unplugged", 2]]));
    let found: Vec<_> = json[0]["findings"].as_array().unwrap().iter().map(|finding| finding["what"].as_str().unwrap()).collect();
    assert_eq!(found, ["certificate_ends_soon", "camera_black", "model_missing", "doctor"]);
    let shown = health::show(store, "P1-1", false, System.now_ms()).await.unwrap();
    assert!(shown.contains("light:dark") && shown.contains("4 MB") && shown.contains("take the cover off the lens"), "{shown}");
    assert!(health::show(store, "nobody", false, 0).await.is_err());
}

#[tokio::test]
async fn fields_of_a_state_are_bounded() {
    let (_center, device) = TestCenter::with_device().await;
    let wrong = [
        (v1::DeviceState { instance: vec![1; 15], ..named(1) }, "state.instance: expected 16 bytes"),
        (v1::DeviceState { findings: vec!["x".into(); 17], ..named(1) }, "state.findings: expected at most 16"),
        (v1::DeviceState { findings: vec!["x".repeat(65)], ..named(1) }, "state.findings[0]: expected"),
        (v1::DeviceState { camera_faults: vec![v1::CameraFaults::default(); 17], ..named(1) }, "state.camera_faults: expected"),
        (v1::DeviceState { camera_faults: vec![v1::CameraFaults { state: 99, count: 1 }], ..named(1) }, "state.camera_faults[0].state"),
    ];
    for (state, expected) in wrong {
        let status = device.report(report(state)).await.unwrap_err();
        assert!(status.message().starts_with(expected), "{}", status.message());
    }
}

#[tokio::test]
async fn a_clock_that_was_moved_is_flagged_once_a_day_and_a_wrong_one_is_not() {
    let (center, device) = TestCenter::with_device().await;
    let at = |offset: i64| v1::ReportHealthRequest { device_clock_ms: System.now_ms() + offset, ..report(named(1)) };
    say(&device, at(-7_200_000)).await;
    say(&device, at(-7_200_000)).await;
    assert!(center.flags().await.is_empty());
    say(&device, at(-10_800_000)).await;
    say(&device, at(-7_200_000)).await;
    let flags = center.flags().await;
    assert_eq!(center.flag_names().await, ["clock_moved"]);
    assert_eq!((flags[0].device.as_str(), flags[0].institution.as_str()), ("P1-1", "P1"));
}

#[tokio::test]
async fn two_agents_with_one_key_are_flagged_and_one_that_starts_anew_is_not() {
    let (center, device) = TestCenter::with_device().await;
    for name in [1, 1, 2, 2, 3] {
        say(&device, report(named(name))).await;
    }
    assert!(center.flags().await.is_empty());
    say(&device, report(named(2))).await;
    assert_eq!(center.flag_names().await, ["key_copied"]);
}

#[tokio::test]
async fn an_envelope_that_was_altered_or_is_another_devices_is_flagged_for_whoever_brought_it() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let (other, third) = (center.device("2").await, center.device("3").await);
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
    other.send(envelope.clone()).await.unwrap_err();
    other.send(envelope.clone()).await.unwrap_err();
    let mut altered = third.seal(&third.address("T-2", 1), &capture(CARD, 0.8));
    *altered.ciphertext.last_mut().unwrap() ^= 1;
    third.send(altered).await.unwrap_err();
    device.send(envelope).await.unwrap();
    let mut flagged: Vec<_> = center.flags().await.into_iter().map(|flag| (flag.device, flag.reason)).collect();
    flagged.sort();
    let word = "envelope_altered";
    assert_eq!(flagged, [("P1-2".to_owned(), word.to_owned()), ("P1-3".to_owned(), word.to_owned())]);
}
