//! Policies: fetched, checked, kept, and worked by.

use ed25519_dalek::SigningKey;
use proto::v1;

use crate::{
    center::Center,
    eyes::MASKED,
    folder::policy_key,
    verify::{agent, ask, command, refused},
};

/// A policy for settlement that asks for nothing more than consent, or for a mouth that is seen.
fn policy(version: &str, asks_consent: bool, mouth: u32) -> v1::DevicePolicy {
    let minimum = v1::QualityMinimum { component: "mouth_occlusion_prevention".into(), at_least: mouth };
    v1::DevicePolicy {
        version: version.into(),
        notice_version: "notice-7".into(),
        consent_version: "consent-7".into(),
        scenes: vec![v1::DeviceScene {
            scene: v1::Scene::Settlement.into(),
            attempts_max: 2,
            gate: vec![minimum],
            asks_consent,
            ..v1::DeviceScene::default()
        }],
        ..v1::DevicePolicy::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_captured_without_the_consent_a_scene_rests_on() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(crate::eyes::ONE_PERSON);
    center.applies(&policy("p1", true, 1), &policy_key());
    agent.report_health().await.unwrap();
    refused(ask(&agent, &command("T1", "100")).await, "consent_missing");
    assert!(center.records.lock().unwrap().received.is_empty());
    let consenting = capture_agent::command::VerifyCommand {
        consent: "consent-7".parse().unwrap(),
        notice: "".parse().unwrap(),
        ..command("T1", "100")
    };
    ask(&agent, &consenting).await.unwrap();
    let third = capture_agent::command::VerifyCommand { attempt: "3".parse().unwrap(), ..consenting };
    refused(ask(&agent, &third).await, "attempts_spent");
    let records = center.records.lock().unwrap();
    let capture = &records.captures[0];
    assert_eq!((capture.consent.as_str(), capture.notice.as_str(), capture.policy_version.as_str()), ("consent-7", "notice-7", "p1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policys_gate_takes_the_place_of_the_files_and_stays_over_a_restart() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    folder.show(MASKED);
    let first = agent(&folder, &address, "");
    first.report_health().await.unwrap();
    assert_eq!(ask(&first, &command("T1", "100")).await.unwrap().reasons, ["face_covered"], "the file's gate");
    center.applies(&policy("p1", false, 0), &policy_key());
    first.report_health().await.unwrap();
    assert_eq!(ask(&first, &command("T2", "100")).await.unwrap().score, Some(0.75), "the policy's gate asks for no mouth");
    drop(first);
    let second = agent(&folder, &address, "");
    assert_eq!(second.policy().unwrap().version, "p1");
    assert_eq!(ask(&second, &command("T3", "100")).await.unwrap().score, Some(0.75));
}

/// From afar a counter is changed by the signed policy alone, and by nothing that says where it connects, what it runs or what
/// it logs: a field that is added to the policy has to be added here too.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_changes_what_is_in_it_and_no_file() {
    let v1::DevicePolicy {
        version: _,
        applied_at_ms: _,
        model_id: _,
        recipe_id: _,
        notice_version: _,
        consent_version: _,
        scenes,
        shadow: _,
    } = policy("p1", true, 1);
    let v1::DeviceScene {
        scene: _,
        attempts_max: _,
        gate: _,
        floor: _,
        asks_consent: _,
        center_unreachable: _,
        degraded_captures_max: _,
        degraded_hours_max: _,
        proxy_allowed: _,
        proxy_principals_per_day_max: _,
        proxy_face_against_document: _,
    } = scenes[0].clone();
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with("state.db"))
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = files();
    center.applies(&policy("p1", true, 1), &policy_key());
    agent.report_health().await.unwrap();
    assert_eq!(agent.policy().unwrap().version, "p1");
    assert!(files() == before, "the policy is in state.db alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_another_key_signed_is_not_worked_by() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    center.applies(&policy("p1", true, 1), &SigningKey::from_bytes(&[8; 32]));
    agent.report_health().await.unwrap();
    assert!(agent.policy().is_none());
}
