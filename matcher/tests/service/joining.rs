//! Joining with a code, and certificates that follow one another, through the public gRPC.

use matcher::{
    device::{InviteArgs, Role, invite, revoke},
    store::Device,
    surroundings::{Surroundings, System},
};
use proto::{
    invitation::{InvitationCode, late_renewal},
    v1::{self, device_service_client::DeviceServiceClient, join_service_client::JoinServiceClient},
};
use tonic::{Code, Status};

use crate::support::{TestCenter, TestDevice, capture};

const CARD: &str = "A10020001";
const DAY_MS: i64 = 86_400_000;

fn args(counter: &str) -> InviteArgs {
    InviteArgs {
        institution: "P1".into(),
        counter: counter.into(),
        role: Role::Counter,
        id: None,
        replace: false,
        valid_hours: 24,
        json: false,
    }
}

async fn code_at(center: &TestCenter, args: &InviteArgs, made_at: i64) -> InvitationCode {
    let invited = invite(&center.dir, center.center.store.as_ref(), args, made_at).await.unwrap();
    InvitationCode::parse(&invited.code).unwrap()
}

async fn code(center: &TestCenter, counter: &str) -> InvitationCode {
    code_at(center, &args(counter), System.now_ms()).await
}

async fn join(center: &TestCenter, device: &TestDevice, code: &InvitationCode) -> Result<v1::JoinResponse, Status> {
    join_with(center, device, code.locator(), code.secret()).await
}

async fn join_with(center: &TestCenter, device: &TestDevice, locator: &str, secret: &str) -> Result<v1::JoinResponse, Status> {
    let request = v1::JoinRequest { locator: locator.into(), secret: secret.into(), csr_pem: device.csr_pem() };
    let mut client = JoinServiceClient::new(TestDevice::stranger(&center.joining, &center.dir.authority_certificate()));
    client.join(request).await.map(tonic::Response::into_inner)
}

fn newcomer(center: &TestCenter, name: &str) -> TestDevice {
    TestDevice::new(&center.dir.path().join(name), "P1-1")
}

#[track_caller]
fn check<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, message: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{}", status.message());
    assert!(status.message().contains(message), "{}", status.message());
}

#[tokio::test]
async fn a_device_joins_with_a_code_and_works() {
    let center = TestCenter::init().await;
    center.enrol(CARD).await;
    let (code, device) = (code(&center, "1").await, newcomer(&center, "a"));
    let answer = join(&center, &device, &code).await.unwrap();
    assert_eq!([answer.device.as_str(), &answer.institution, &answer.counter], ["P1-1", "P1", "1"]);
    assert_eq!(center.address, format!("https://127.0.0.1:{}", answer.port));
    let device = device.take(&answer).connect(&center.address);
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let stored = std::fs::read(center.dir.store()).unwrap();
    assert!(!stored.windows(code.secret().len()).any(|bytes| bytes == code.secret().as_bytes()), "the secret is not kept");
}

#[tokio::test]
async fn the_same_key_and_code_bring_the_same_answer_and_another_key_none() {
    let center = TestCenter::init().await;
    let (code, device) = (code(&center, "1").await, newcomer(&center, "a"));
    let first = join(&center, &device, &code).await.unwrap();
    assert_eq!(join(&center, &device, &code).await.unwrap(), first, "an answer that was lost costs no second code");
    check(join(&center, &newcomer(&center, "b"), &code).await, Code::PermissionDenied, "code: expected one that was handed out");
    assert_eq!(join(&center, &device, &code).await.unwrap(), first);
    revoke(center.center.store.as_ref(), "P1-1", System.now_ms()).await.unwrap();
    check(join(&center, &device, &code).await, Code::PermissionDenied, "code: expected");
}

#[tokio::test]
async fn a_code_is_worth_nothing_after_five_wrong_tries_or_its_time() {
    let center = TestCenter::init().await;
    let device = newcomer(&center, "a");
    let spoilt = code(&center, "1").await;
    for _ in 0..5 {
        check(join_with(&center, &device, spoilt.locator(), "0000000000000").await, Code::PermissionDenied, "code: expected");
    }
    check(join(&center, &device, &spoilt).await, Code::PermissionDenied, "code: expected");
    let late = code_at(&center, &args("2"), System.now_ms() - 25 * 3_600_000).await;
    check(join(&center, &device, &late).await, Code::FailedPrecondition, "not out of date");
    check(join_with(&center, &device, "0000", "0000000000000").await, Code::PermissionDenied, "code: expected");
    check(join_with(&center, &device, "o", "0000000000000").await, Code::InvalidArgument, "locator: expected 4 capital letters");
    assert!(center.center.store.devices().await.unwrap().is_empty());
}

#[tokio::test]
async fn strangers_are_let_try_so_often() {
    let center = TestCenter::init().await;
    let device = newcomer(&center, "a");
    let mut refused = None;
    for _ in 0..60 {
        let status = join_with(&center, &device, "0000", "0000000000000").await.unwrap_err();
        if status.code() == Code::ResourceExhausted {
            refused = Some(status);
            break;
        }
    }
    assert!(refused.is_some_and(|status| status.message().contains("try again later")));
}

#[tokio::test]
async fn a_code_does_not_take_a_name_unless_it_was_made_to() {
    let (center, device) = TestCenter::with_device().await;
    let store = center.center.store.as_ref();
    let error = invite(&center.dir, store, &args("1"), System.now_ms()).await.unwrap_err();
    assert!(error.to_string().contains("device P1-1 exists"), "{error}");
    let code = code_at(&center, &InviteArgs { replace: true, ..args("1") }, System.now_ms()).await;
    let other = newcomer(&center, "b");
    let answer = join(&center, &other, &code).await.unwrap();
    check(device.report(v1::ReportHealthRequest::default()).await, Code::PermissionDenied, "has a newer certificate");
    other.take(&answer).connect(&center.address).renew().await.unwrap();
}

#[tokio::test]
async fn only_joining_is_served_where_nobody_shows_a_certificate() {
    let center = TestCenter::init().await;
    let stranger = TestDevice::stranger(&center.joining, &center.dir.authority_certificate());
    let answer = DeviceServiceClient::new(stranger).report_health(v1::ReportHealthRequest::default()).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    let at_counters = TestDevice::stranger(&center.address, &center.dir.authority_certificate());
    let answer = JoinServiceClient::new(at_counters).join(v1::JoinRequest::default()).await;
    assert!(matches!(answer.unwrap_err().code(), Code::Unavailable | Code::Unknown));
}

async fn entry(center: &TestCenter) -> Device {
    center.center.store.device("P1-1").await.unwrap().unwrap()
}

#[tokio::test]
async fn a_renewed_certificate_and_the_one_before_are_both_let_in_and_a_lost_answer_is_given_again() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let before = entry(&center).await;
    let papers = device.renew().await.unwrap();
    assert_eq!(device.renew().await.unwrap(), papers, "asked again by the old one");
    let after = entry(&center).await;
    assert_ne!(after.certificate_sha256, before.certificate_sha256);
    assert_eq!(after.issued_at, before.issued_at, "it was let in when it was");
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let renewed = device.also_with(&papers.certificate_pem, &center.address);
    renewed.verify("T-2", &capture(CARD, 0.8)).await.unwrap();
    let third = renewed.renew().await.unwrap();
    assert_ne!(third, papers);
    check(device.report(v1::ReportHealthRequest::default()).await, Code::PermissionDenied, "has a newer certificate");
    revoke(center.center.store.as_ref(), "P1-1", System.now_ms()).await.unwrap();
    check(renewed.renew().await, Code::PermissionDenied, "the device is revoked");
}

#[tokio::test]
async fn a_renewal_is_for_the_devices_own_key() {
    let (center, device) = TestCenter::with_device().await;
    let other = newcomer(&center, "b");
    let request = v1::RenewCertificateRequest { csr_pem: other.csr_pem() };
    let answer = DeviceServiceClient::new(device.channel()).renew_certificate(request).await;
    check(answer, Code::InvalidArgument, "csr_pem: expected a request by the device's key");
}

/// Asks for a late renewal of a certificate with this device's key.
async fn renew_late(center: &TestCenter, device: &TestDevice, sha256: [u8; 32]) -> Result<v1::RenewCertificateResponse, Status> {
    let csr_pem = device.csr_pem();
    let signature = device.sign(&late_renewal(&sha256, &csr_pem));
    let request = v1::RenewLateRequest { certificate_sha256: sha256.to_vec(), csr_pem, signature };
    let mut client = JoinServiceClient::new(TestDevice::stranger(&center.joining, &center.dir.authority_certificate()));
    client.renew_late(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_certificate_that_ended_is_renewed_for_a_while_by_the_devices_signature() {
    let center = TestCenter::init().await;
    let device = center.device_as("1", Role::Counter, System.now_ms() - 80 * DAY_MS).await;
    let ended = entry(&center).await.certificate_sha256;
    check(renew_late(&center, &newcomer(&center, "b"), ended).await, Code::PermissionDenied, "signature: expected the device's");
    check(renew_late(&center, &device, [7; 32]).await, Code::PermissionDenied, "not in the registry");
    let papers = renew_late(&center, &device, ended).await.unwrap();
    assert_eq!(renew_late(&center, &device, ended).await.unwrap(), papers, "an answer that was lost");
    let renewed = device.also_with(&papers.certificate_pem, &center.address);
    renewed.renew().await.unwrap();
    check(renew_late(&center, &device, ended).await, Code::PermissionDenied, "has a newer certificate");
}

#[tokio::test]
async fn a_certificate_that_ended_long_ago_or_of_a_revoked_device_is_not_renewed() {
    let center = TestCenter::init().await;
    let device = center.device_as("1", Role::Counter, System.now_ms() - 91 * DAY_MS).await;
    let ended = entry(&center).await.certificate_sha256;
    check(renew_late(&center, &device, ended).await, Code::FailedPrecondition, "ended at most 60 days ago");
    let center = TestCenter::init().await;
    let other = center.device_as("1", Role::Counter, System.now_ms() - 31 * DAY_MS).await;
    let ended = entry(&center).await.certificate_sha256;
    revoke(center.center.store.as_ref(), "P1-1", System.now_ms()).await.unwrap();
    check(renew_late(&center, &other, ended).await, Code::PermissionDenied, "the device is revoked");
}

#[tokio::test]
async fn a_revoked_device_is_out_of_every_service_at_its_next_call() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let answer = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let deferred = device.seal(&device.address("T-2", 1), &capture(CARD, 0.8));
    revoke(center.center.store.as_ref(), "P1-1", System.now_ms()).await.unwrap();
    let revoked = "the device is revoked";
    check(device.verify("T-3", &capture(CARD, 0.8)).await, Code::PermissionDenied, revoked);
    check(device.upload_raw(vec![deferred]).await, Code::PermissionDenied, revoked);
    check(device.enrol(&v1::EnrolmentSubmission::default()).await, Code::PermissionDenied, revoked);
    check(
        device.report(v1::ReportHealthRequest { agent_version: "1".into(), ..Default::default() }).await,
        Code::PermissionDenied,
        revoked,
    );
    check(device.renew().await, Code::PermissionDenied, revoked);
    let policy = DeviceServiceClient::new(device.channel()).fetch_policy(v1::FetchPolicyRequest {}).await;
    check(policy, Code::PermissionDenied, revoked);
    check(device.find_receipt(&answer.receipt_number).await, Code::PermissionDenied, revoked);
    check(device.reverse(&answer.receipt_number, "").await, Code::PermissionDenied, revoked);
}
