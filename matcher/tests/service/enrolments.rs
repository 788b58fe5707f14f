//! Submissions for enrolment: what is refused without networks, and one photo's way with them.

use matcher::{
    device::Role,
    surroundings::{Surroundings, System},
};
use proto::v1;
use tonic::Code;

use crate::support::{TestCenter, TestDevice};

async fn desk() -> (TestCenter, TestDevice) {
    // A folder without models, whatever this machine has.
    let center = TestCenter::init().await;
    let settings = center.dir.config();
    let folder = center.stop().await;
    let text = std::fs::read_to_string(&settings).unwrap().replace("# cache_dir = ", "cache_dir = \"nothing-here\" # ");
    std::fs::write(&settings, text).unwrap();
    let center = TestCenter::reopen(folder, |_| {}).await;
    let device = center.device_as("desk", Role::Enrolment, System.now_ms()).await;
    (center, device)
}

fn submission() -> v1::EnrolmentSubmission {
    let identifier =
        v1::Identifier { kind: v1::IdentifierKind::SocialSecurityCard.into(), value: "A10020001".into(), region: String::new() };
    v1::EnrolmentSubmission {
        identifiers: vec![identifier],
        photo: vec![1; 100],
        photo_taken_on: "2024-02-29".into(),
        submitted_at_ms: System.now_ms(),
    }
}

type Spoil = fn(&mut v1::EnrolmentSubmission);

const CASES: &[(Code, &str, Spoil)] = &[
    (Code::InvalidArgument, "submission.identifiers: expected 1 to 8 identifiers, got 0", |s| s.identifiers.clear()),
    (Code::InvalidArgument, "submission.identifiers: expected 1 to 8 identifiers, got 9", |s| {
        s.identifiers = vec![v1::Identifier::default(); 9];
    }),
    (Code::InvalidArgument, "submission.identifiers[1].kind: expected one of", |s| s.identifiers.push(v1::Identifier::default())),
    (Code::InvalidArgument, "submission.photo: expected 1 to 200000 bytes, got 0", |s| s.photo.clear()),
    (Code::InvalidArgument, "submission.photo: expected 1 to 200000 bytes, got 200001", |s| s.photo = vec![0; 200_001]),
    (Code::InvalidArgument, "submission.photo_taken_on: expected a day, YYYY-MM-DD", |s| s.photo_taken_on = "2023-02-29".into()),
    (Code::InvalidArgument, "submission.photo_taken_on: expected a day, YYYY-MM-DD", |s| s.photo_taken_on = "2024-2-9".into()),
    (Code::FailedPrecondition, "submission.submitted_at_ms: expected a time at most", |s| s.submitted_at_ms = 0),
];

#[tokio::test]
async fn fields_of_a_submission_are_named() {
    let (_center, device) = desk().await;
    for (code, expected, spoil) in CASES {
        let mut submission = submission();
        spoil(&mut submission);
        let status = device.enrol(&submission).await.expect_err(expected);
        assert_eq!(status.code(), *code, "{}", status.message());
        assert!(status.message().starts_with(expected), "{}", status.message());
    }
}

#[tokio::test]
async fn without_networks_it_is_said_what_to_do() {
    let (_center, device) = desk().await;
    let status = device.enrol(&submission()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "the center has no networks to enrol with; its operator runs `models fetch`");
}

#[tokio::test]
async fn a_desk_may_verify_too() {
    let (_center, device) = desk().await;
    let answer = device.verify("T-1", &crate::support::capture("A10020001", 0.9)).await.unwrap();
    assert_eq!(answer.reasons, ["no_reference"]);
}

/// A desk at a center with networks, and two photos of one person; nothing where they are not fetched.
async fn desk_with_networks() -> Option<(TestCenter, TestDevice, [Vec<u8>; 2])> {
    let pack = datasets::Pack::registry_mini(&datasets::default_dir());
    let photo = |id| pack.picture(id).and_then(|picture| picture.read().ok());
    let (Some(first), Some(second)) = (photo("cl_franck_01829.jpg"), photo("cl_franck_02221.jpg")) else {
        assert!(std::env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "the pictures are not fetched");
        eprintln!("SKIPPED: the pictures are not fetched; run: datasets fetch registry-mini");
        return None;
    };
    let center = TestCenter::init().await;
    let device = center.device_as("desk", Role::Enrolment, System.now_ms()).await;
    Some((center, device, [first, second]))
}

#[tokio::test]
async fn a_photo_is_enrolled_once_replaced_by_a_newer_one_and_never_brought_back() {
    let Some((_center, device, [first, second])) = desk_with_networks().await else { return };
    let with = |photo: &[u8]| v1::EnrolmentSubmission { photo: photo.to_vec(), ..submission() };

    let envelope = device.seal(&device.enrolment_address(), &with(&first));
    let answer = device.send_enrolment(envelope.clone()).await.unwrap();
    assert_eq!(answer.outcome(), v1::EnrolmentOutcome::Enrolled);
    let answer = device.enrol(&with(&second)).await.unwrap();
    assert_eq!(answer.outcome(), v1::EnrolmentOutcome::Replaced);

    let status = device.send_enrolment(envelope).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert!(status.message().starts_with("envelope: expected one that was not submitted before"), "{}", status.message());
}

#[tokio::test]
async fn a_sequence_number_serves_one_submission() {
    let Some((center, device, [first, second])) = desk_with_networks().await else { return };
    let address = device.enrolment_address();
    let with = |photo: &[u8]| v1::EnrolmentSubmission { photo: photo.to_vec(), ..submission() };
    device.send_enrolment(device.seal(&address, &with(&first))).await.unwrap();
    let status = device.send_enrolment(device.seal(&address, &with(&second))).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(center.flag_words().await, ["tampering_suspected"]);
}

#[tokio::test]
async fn a_photo_without_a_face_is_answered_with_its_reason() {
    let Some((_center, device, _)) = desk_with_networks().await else { return };
    let pack = datasets::Pack::registry_mini(&datasets::default_dir());
    let Some(nobody) = pack.picture("cl_vendetta.jpg").and_then(|picture| picture.read().ok()) else { return };
    let answer = device.enrol(&v1::EnrolmentSubmission { photo: nobody, ..submission() }).await.unwrap();
    assert_eq!((answer.outcome(), answer.reason.as_str()), (v1::EnrolmentOutcome::Refused, "no_face"));
}
