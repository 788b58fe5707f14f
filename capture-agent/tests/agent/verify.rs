//! The use case: what reaches the center, and what comes back.

use std::sync::{Arc, Mutex};

use capture_agent::{
    answer::{Decision, Disposition, VerifyAnswer},
    camera::Camera,
    clock::Clock,
    command::{By, VerifyCommand},
    line::spool::Spool,
    verify::{Verifier, VerifyError},
};
use capture_core::{Attempt, Consent, IdentifierKind, Instruction, Notice, Operator, Region, Scene};
use proto::v1::{self, CameraState, capture::Outcome};

use crate::{
    center::Center,
    eyes::{ColourEyes, MASKED, NOBODY, ONE_PERSON, TWO_PEOPLE},
    folder::Folder,
};

pub(crate) fn command(transaction: &str, card: &str) -> VerifyCommand {
    VerifyCommand {
        transaction: transaction.parse().unwrap(),
        attempt: Attempt::FIRST,
        scene: Scene::Settlement,
        id_kind: IdentifierKind::SocialSecurityCard,
        number: card.parse().unwrap(),
        region: Region::new("330200").unwrap(),
        operator: Operator::new("0417").unwrap(),
        notice: Notice::new("N1").unwrap(),
        consent: Consent::new("").unwrap(),
        by: By::Face,
        proxy: None,
    }
}

/// An agent on this folder, with everything but the networks its own.
pub(crate) fn agent(folder: &Folder, center: &str, more: &str) -> Verifier {
    let config = folder.configure(center, more);
    let (identity, clock) = (folder.identity(), Clock::start());
    let outbox = Arc::new(Spool::open(folder.path(), config.outbox).unwrap());
    Verifier::new(&config, identity, outbox, Camera::from_config(&config.camera, clock), Arc::new(ColourEyes::new()), clock).unwrap()
}

pub(crate) async fn ask(agent: &Verifier, command: &VerifyCommand) -> Result<VerifyAnswer, VerifyError> {
    agent.verify(command, Arc::new(|_| {})).await
}

#[track_caller]
pub(crate) fn refused(outcome: Result<VerifyAnswer, VerifyError>, code: &str) {
    assert_eq!(outcome.map_err(|error| error.code()).unwrap_err(), code);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_captured_sealed_and_answered() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(ONE_PERSON);
    agent.report_health().await.unwrap();
    let answer = ask(&agent, &command("T1", "330203194910010027")).await.unwrap();
    assert_eq!((answer.decision, answer.score, answer.repeated_answer), (Decision::Match, Some(0.75), false));
    let records = center.records.lock().unwrap();
    let capture = &records.captures[0];
    let identifier = capture.identifier.as_ref().unwrap();
    assert_eq!((identifier.value.as_str(), identifier.region.as_str()), ("330203194910010027", "330200"));
    assert_eq!((capture.scene(), capture.operator.as_str(), capture.notice.as_str()), (v1::Scene::Settlement, "0417", "N1"));
    assert!(capture.clock_offset_ms > 50_000 && capture.policy_version.is_empty(), "{capture:?}");
    let Some(Outcome::Sample(probe)) = &capture.outcome else { panic!("{capture:?}") };
    assert!(probe.template.is_some());
    let samples: Vec<_> = probe.sample.iter().chain(&probe.further_samples).collect();
    assert_eq!(samples.len(), 2, "one for each frame the recipe fuses");
    assert!(samples.iter().all(|sample| sample.quality[0].component == "mouth_occlusion_prevention"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_is_asked_about_and_where_it_stays_another_way_is_offered() {
    let mut center = Center::new();
    let folder = center.folder();
    let gates = "[acquisition.gate]\nmouth_occlusion_prevention = 50\n[acquisition.floor]\nmouth_occlusion_prevention = 10\n";
    let agent = agent(&folder, &center.start(&folder), gates);
    folder.show(MASKED);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let guide = {
        let heard = Arc::clone(&heard);
        Arc::new(move |instruction| heard.lock().unwrap().push(instruction))
    };
    let answer = agent.verify(&command("T1", "100"), guide).await.unwrap();
    assert_eq!((answer.decision, answer.disposition), (Decision::NoDecision, Disposition::OtherWay));
    assert!(heard.lock().unwrap().contains(&Instruction::TakeOffMask), "{heard:?}");
    let records = center.records.lock().unwrap();
    let Some(Outcome::FailureToAcquire(failure)) = &records.captures[0].outcome else { panic!("{records:?}", records = records.captures) };
    assert_eq!((failure.reason(), failure.component.as_str()), (v1::AcquisitionFailure::FaceCovered, "mouth_occlusion_prevention"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_decisions_are_answers_too() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(ONE_PERSON);
    assert_eq!(ask(&agent, &command("T1", "other")).await.unwrap().decision, Decision::NonMatch);
    assert_eq!(ask(&agent, &command("T2", "unsure")).await.unwrap().decision, Decision::Review);
    for (transaction, colour, reason) in [("T3", NOBODY, "no_face"), ("T4", TWO_PEOPLE, "several_faces")] {
        folder.show(colour);
        let answer = ask(&agent, &command(transaction, "100")).await.unwrap();
        assert_eq!((answer.decision, answer.reasons), (Decision::NoDecision, vec![reason.to_owned()]));
    }
    assert_eq!(center.records.lock().unwrap().sequences, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_transaction_again_sends_the_same_bytes_and_captures_nothing() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    folder.show(ONE_PERSON);
    ask(&agent(&folder, &address, ""), &command("T1", "100")).await.unwrap();
    std::fs::remove_file(folder.pictures.path().join("a.ppm")).unwrap();
    let again = ask(&agent(&folder, &address, ""), &command("T1", "100")).await.unwrap();
    assert!(again.repeated_answer && again.decision == Decision::Match);
    let records = center.records.lock().unwrap();
    assert_eq!(records.captures.len(), 1);
    assert_eq!(records.received[0], records.received[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_card_under_the_same_transaction_is_refused_here() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(ONE_PERSON);
    ask(&agent, &command("T1", "100")).await.unwrap();
    refused(ask(&agent, &command("T1", "101")).await, "transaction_conflict");
    refused(ask(&agent, &VerifyCommand { scene: Scene::Reception, ..command("T1", "100") }).await, "transaction_conflict");
    assert_eq!(center.records.lock().unwrap().received.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_requests_at_once_make_one_capture() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(ONE_PERSON);
    let command = command("T1", "100");
    let (a, b) = tokio::join!(ask(&agent, &command), ask(&agent, &command));
    assert!(a.unwrap().decision == Decision::Match && b.unwrap().decision == Decision::Match);
    let records = center.records.lock().unwrap();
    assert_eq!((records.captures.len(), records.received.len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_or_one_too_many_is_told() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(NOBODY);
    let commands: Vec<_> = (0..6).map(|number| command(&format!("T{number}"), "100")).collect();
    let outcomes = tokio::join!(
        ask(&agent, &commands[0]),
        ask(&agent, &commands[1]),
        ask(&agent, &commands[2]),
        ask(&agent, &commands[3]),
        ask(&agent, &commands[4]),
        ask(&agent, &commands[5]),
    );
    let outcomes = [outcomes.0, outcomes.1, outcomes.2, outcomes.3, outcomes.4, outcomes.5];
    let (answered, told): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(answered.len(), 5);
    told.into_iter().for_each(|outcome| refused(outcome, "camera_queue_full"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_center_says_about_itself_is_heeded() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(ONE_PERSON);
    center.says(|facts| facts.next_sequence = 40);
    agent.report_health().await.unwrap();
    ask(&agent, &command("T1", "100")).await.unwrap();
    assert_eq!(center.records.lock().unwrap().sequences, [40]);

    center.says(|facts| facts.feature_model = "another@1".into());
    agent.report_health().await.unwrap();
    let error = ask(&agent, &command("T2", "100")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the center compares with model another@1, recipe colour-recipe@1, this device makes model colour@1, recipe colour-recipe@1"
    );
    refused(Err(error), "model_mismatch");

    center.says(|facts| facts.feature_model = "colour@1".into());
    ask(&agent, &command("T3", "100")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_opening_key_of_the_center_is_sealed_to() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    center.stop().await;
    center.opening_key = Arc::new(proto::envelope::OpeningKey::generate());
    let key = center.opening_key.public().as_bytes().to_vec();
    center.says(|facts| facts.opening_key = key);
    center.start(&folder);
    let agent = agent(&folder, &address, "");
    folder.show(ONE_PERSON);
    agent.report_health().await.unwrap();
    assert_eq!(ask(&agent, &command("T1", "100")).await.unwrap().decision, Decision::Match);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_stalls_or_is_unplugged_is_an_error_within_its_bound() {
    let mut center = Center::new();
    let folder = center.folder();
    let agent = agent(&folder, &center.start(&folder), "");
    folder.show(NOBODY);
    for (end, code, state) in [("stall", "camera_stalled", CameraState::Stalled), ("unplug", "camera_lost", CameraState::Absent)] {
        folder.at_end(end);
        let started = std::time::Instant::now();
        refused(ask(&agent, &command("T1", "100")).await, code);
        assert!(started.elapsed().as_millis() < 6_000, "{end}: {:?}", started.elapsed());
        assert_eq!(agent.camera_state(), state);
    }
    std::fs::remove_file(folder.pictures.path().join("playback.toml")).unwrap();
    folder.show(ONE_PERSON);
    ask(&agent, &command("T1", "100")).await.unwrap();
    agent.report_health().await.unwrap();
    let records = center.records.lock().unwrap();
    assert_eq!(records.sequences, [1], "a camera's failure uses no number");
    assert_eq!(records.health.last().unwrap().camera(), CameraState::Ready);
}
