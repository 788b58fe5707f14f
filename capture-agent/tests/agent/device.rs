//! The device itself: certificates that follow one another, what it says of itself, and its doctor.

use capture_agent::{
    doctor::{self, Grade},
    identity::{self, Identity, Standing},
    verify::INSTANCE_FILE,
};
use serde_json::Value;

use crate::{
    center::Center,
    eyes::ONE_PERSON,
    verify::{agent, ask, command},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_due_is_renewed_and_the_connection_goes_on() {
    let mut center = Center::new();
    let folder = center.folder();
    // Certificates of this center hold for thousands of years: any share of that is long over or far away.
    let address = center.start(&folder);
    let agent = agent(&folder, &address, "");
    folder.show(ONE_PERSON);
    let before = Identity::load(folder.path()).unwrap();
    assert_eq!(before.validity.at(now_ms(), 0.66), Standing::Holds);
    assert!(!agent.renew_when_due().await.unwrap());
    agent.renew().await.unwrap();
    let after = Identity::load(folder.path()).unwrap();
    assert_ne!(after.certificate_sha256, before.certificate_sha256);
    assert_eq!(after.key.public(), before.key.public(), "the key stays");
    ask(&agent, &command("T1", "100")).await.unwrap();
    assert_eq!(center.records.lock().unwrap().renewals, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_for_another_key_changes_nothing() {
    let mut center = Center::new();
    let (folder, other) = (center.folder(), center.folder());
    center.start(&folder);
    let before = Identity::load(folder.path()).unwrap();
    let foreign = Identity::load(other.path()).unwrap();
    let error = identity::papers::take(folder.path(), &foreign.certificate_pem, &foreign.ca_pem).unwrap_err();
    assert!(error.to_string().contains("for this device's key"), "{error}");
    assert_eq!(Identity::load(folder.path()).unwrap().certificate_sha256, before.certificate_sha256);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_who_runs_what_waits_and_how_the_clocks_differ() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(ONE_PERSON);
    agent.report_health().await.unwrap();
    agent.begin_instance().unwrap();
    ask(&agent, &command("T1", "100")).await.unwrap();
    agent.report_health().await.unwrap();
    let beside = crate::verify::agent(&folder, &center_address(&center), "");
    beside.report_health().await.unwrap();
    let records = center.records.lock().unwrap();
    let states: Vec<_> = records.health.iter().map(|report| report.state.clone().unwrap()).collect();
    assert!(states[0].instance.is_empty() && states[1].instance.len() == 16);
    assert_eq!(states[2].instance, states[1].instance, "a command beside the agent says its name");
    assert_eq!(std::fs::read(folder.path().join(INSTANCE_FILE)).unwrap(), states[1].instance);
    assert_eq!((states[0].next_sequence, states[1].next_sequence), (1, 2));
    assert!(states[1].clock_offset_ms > 50_000 && states[1].spool_bytes > 0 && states[1].disk_free_bytes > 0, "{:?}", states[1]);
    assert!(states[1].certificate_expires_at_ms > 0 && states[1].clock_step_ms == 0);
    assert!(states[1].findings.contains(&"clock:wrong".to_owned()), "{:?}", states[1].findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_each_thing_with_its_remedy() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    folder.show(ONE_PERSON);
    folder.configure(&address, "[models]\ndir = \"/nowhere\"\n");
    let (text, grade) = doctor::command::doctor(folder.path(), true).await;
    let json: Value = serde_json::from_str(&text).unwrap();
    let found = |name: &str| {
        let checks = json["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("no {name}: {text}"));
        (check["grade"].as_str().unwrap().to_owned(), check["word"].as_str().unwrap().to_owned())
    };
    let ok = |name: &str| assert_eq!(found(name), ("ok".to_owned(), "ok".to_owned()));
    for name in ["configuration", "identity", "camera", "light", "line", "certificate", "spool", "permissions"] {
        ok(name);
    }
    assert_eq!((grade, found("models").1.as_str(), found("lease").1.as_str()), (Grade::Fail, "bad", "none"));
    center.stop().await;
    folder.opens("absent");
    let (text, _) = doctor::command::doctor(folder.path(), false).await;
    assert!(text.contains("FAIL  camera") && text.contains("请连接摄像头") && text.contains("FAIL  line"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_of_a_folder_that_is_none_says_how_to_begin() {
    let dir = tempfile::tempdir().unwrap();
    let (text, grade) = doctor::command::doctor(dir.path(), false).await;
    assert!(grade == Grade::Fail && text.contains("capture-agent join"), "{text}");
    let (text, well) = doctor::command::status(dir.path(), false);
    assert!(!well && text.contains("does not run"), "{text}");
}

fn now_ms() -> i64 {
    i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

fn center_address(center: &Center) -> String {
    format!("https://{}", center.address().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_on_the_way_changes_the_key_captures_are_sealed_to() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(ONE_PERSON);
    agent.report_health().await.unwrap();
    let other = proto::envelope::OpeningKey::generate();
    center.records.lock().unwrap().slipped_in = Some(other.public().as_bytes().to_vec());
    let error = agent.report_health().await.unwrap_err().to_string();
    assert!(error.contains("expected the center's signature over its answer to this report"), "{error}");
    // What is captured goes on to the key that was known before: this center opens it.
    ask(&agent, &command("T1", "100")).await.unwrap();
    assert_eq!(center.records.lock().unwrap().captures.len(), 1);
}
