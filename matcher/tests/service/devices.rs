//! Who is let in, and what a device is told.

use std::time::Duration;

use matcher::{
    device::{IssueArgs, Role, issue, revoke},
    keys::OpeningKeys,
    surroundings::{Surroundings, System},
};
use proto::v1;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

use crate::support::{TestCenter, TestDevice, capture, models};

const CARD: &str = "A10020001";
const DAY_MS: i64 = 86_400_000;

#[track_caller]
fn check_denied<T: std::fmt::Debug>(answer: Result<T, tonic::Status>, message: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{}", status.message());
    assert!(status.message().contains(message), "{}", status.message());
}

/// The connection itself is refused: TLS gives the caller no status of ours.
#[track_caller]
fn check_no_connection<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) {
    let status = answer.unwrap_err();
    assert!(matches!(status.code(), Code::Unavailable | Code::Unknown), "{status:?}");
}

fn health() -> v1::ReportHealthRequest {
    v1::ReportHealthRequest { agent_version: "0.1.0".into(), ..Default::default() }
}

#[tokio::test]
async fn a_caller_without_a_certificate_reaches_nothing() {
    let center = TestCenter::init().await;
    let device = TestDevice::new(center.dir.path(), "P1-1");
    center.issue(&device, "1", Role::Counter, System.now_ms()).await;
    let bare = device.connect_bare(&center.address);
    check_no_connection(bare.verify("T-1", &capture(CARD, 0.8)).await);
    check_no_connection(HealthClient::new(bare.channel()).check(HealthCheckRequest::default()).await);
}

#[tokio::test]
async fn an_expired_certificate_reaches_nothing() {
    let center = TestCenter::init().await;
    let expired = center.device_as("1", Role::Counter, System.now_ms() - 31 * DAY_MS).await;
    check_no_connection(expired.report(health()).await);
    let holds = center.device_as("2", Role::Counter, System.now_ms() - 29 * DAY_MS).await;
    holds.report(health()).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_another_center_reaches_nothing() {
    let (center, other) = (TestCenter::init().await, TestCenter::init().await);
    let foreign = other.device("1").await.connect_to(&center.address, &center.dir.authority_certificate());
    check_no_connection(foreign.verify("T-1", &capture(CARD, 0.8)).await);
}

#[tokio::test]
async fn a_device_does_not_talk_to_a_center_it_does_not_know() {
    let (center, other) = (TestCenter::init().await, TestCenter::init().await);
    let device = other.device("1").await.connect(&center.address);
    check_no_connection(device.report(health()).await);
}

#[tokio::test]
async fn a_revoked_device_is_out_at_once_and_on_an_open_connection() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
    device.send(envelope.clone()).await.unwrap();
    revoke(center.center.store.as_ref(), &device.id, System.now_ms()).await.unwrap();
    check_denied(device.verify("T-2", &capture(CARD, 0.8)).await, "the device is revoked");
    check_denied(device.send(envelope).await, "the device is revoked");
    check_denied(device.report(health()).await, "the device is revoked");
}

#[tokio::test]
async fn a_renewed_certificate_puts_the_old_one_out() {
    let (center, device) = TestCenter::with_device().await;
    center.issue(&device, "1", Role::Counter, System.now_ms()).await;
    check_denied(device.report(health()).await, "has a newer certificate");
    let renewed = device.connect(&center.address);
    renewed.report(health()).await.unwrap();
}

#[tokio::test]
async fn a_device_is_told_what_it_must_know() {
    let (center, device) = TestCenter::with_device().await;
    let report = v1::ReportHealthRequest { device_clock_ms: 1, feature_models: vec!["other@1".into()], ..health() };
    let briefing = device.report(report.clone()).await.unwrap();
    let (models, opening) = (models(), OpeningKeys::load(&center.dir.opening_keys()).unwrap());
    assert_eq!((briefing.device.as_str(), briefing.institution.as_str()), ("P1-1", "P1"));
    assert_eq!(briefing.opening_key, opening.current().public().as_bytes());
    assert_eq!(
        (briefing.feature_model.as_str(), briefing.recipe.as_str()),
        (models.current().model.as_str(), models.current().recipe.as_str())
    );
    assert_eq!((briefing.policy_version.as_str(), briefing.next_sequence), ("demonstration-1", 1));
    assert!((System.now_ms() - briefing.center_clock_ms).abs() < 60_000);
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    assert_eq!(device.report(report).await.unwrap().next_sequence, 2);
}

#[tokio::test]
async fn the_bundle_names_the_device_and_the_opening_key() {
    let (center, device) = TestCenter::with_device().await;
    let bundle = device.bundle_toml();
    let text = |key: &str| bundle[key].as_str().unwrap().to_owned();
    assert_eq!([text("device"), text("institution"), text("counter")], ["P1-1", "P1", "1"].map(str::to_owned));
    let opening = OpeningKeys::load(&center.dir.opening_keys()).unwrap();
    assert_eq!(device.opening_key().as_bytes(), opening.current().public().as_bytes());
    let policy = center.center.policies.key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!((text("policy_key"), bundle.len()), (policy, 5));
}

#[tokio::test]
async fn one_device_does_not_take_the_name_of_another() {
    let (center, device) = TestCenter::with_device().await;
    let other = TestDevice::new(&center.dir.path().join("elsewhere"), "P1-1");
    let args = |replace| IssueArgs {
        csr: other.csr(),
        institution: "P1".into(),
        counter: "1".into(),
        role: Role::Counter,
        id: None,
        replace,
        out: other.bundle(),
    };
    let store = center.center.store.as_ref();
    let error = issue(&center.dir, store, &args(false), 30, System.now_ms()).await.unwrap_err();
    assert!(error.to_string().contains("device P1-1 exists with another key"), "{error}");
    device.report(health()).await.unwrap();
    issue(&center.dir, store, &args(true), 30, System.now_ms()).await.unwrap();
    check_denied(device.report(health()).await, "has a newer certificate");
    assert!(revoke(store, "nobody", System.now_ms()).await.is_err());
}

#[tokio::test]
async fn a_counter_may_not_enrol() {
    let (_center, device) = TestCenter::with_device().await;
    check_denied(device.enrol(&v1::EnrolmentSubmission::default()).await, "the role `enrolment`");
}

#[tokio::test]
async fn health_is_served_per_service() {
    let (_center, device) = TestCenter::with_device().await;
    let mut client = HealthClient::new(device.channel());
    for service in ["", "countersign.v1.VerificationService", "countersign.v1.EnrolmentService", "countersign.v1.DeviceService"] {
        let answer = client.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = client.check(HealthCheckRequest { service: "other".into() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_lists_the_services_of_the_contract() {
    let (_center, device) = TestCenter::with_device().await;
    let ask = ServerReflectionRequest { host: String::new(), message_request: Some(MessageRequest::ListServices(String::new())) };
    let mut answers =
        ServerReflectionClient::new(device.channel()).server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.next().await.unwrap().unwrap().message_response else {
        panic!("no list")
    };
    let mut names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    let expected =
        ["countersign.v1.DeviceService", "countersign.v1.EnrolmentService", "countersign.v1.VerificationService", "grpc.health.v1.Health"];
    assert!(expected.iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
}

#[tokio::test]
async fn two_servers_may_serve_one_folder() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
    device.send(envelope.clone()).await.unwrap();
    let mut config = matcher::config::Config::load(&center.dir).unwrap();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.published.listen = "127.0.0.1:0".parse().unwrap();
    config.joining.listen = "127.0.0.1:0".parse().unwrap();
    let second = matcher::serve::bind(&center.dir, &config).await.unwrap();
    let address = format!("https://{}", second.address());
    let server = tokio::spawn(second.run(std::future::pending()));
    let device = device.connect(&address);
    assert!(device.send(envelope).await.unwrap().repeated_answer);
    server.abort();
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_their_turn() {
    let center = TestCenter::init_with(|config| config.server.connections_max = 1).await;
    let first = center.device("1").await;
    first.report(health()).await.unwrap();
    let second = center.device("2").await;
    let waiting = tokio::time::timeout(Duration::from_millis(300), second.report(health())).await;
    assert!(waiting.is_err(), "{waiting:?}");
    drop(first);
    second.report(health()).await.unwrap();
}
