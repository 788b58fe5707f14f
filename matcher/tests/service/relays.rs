//! Relays: who may speak for whom.

use matcher::{
    device::{Role, revoke},
    surroundings::{Surroundings, System},
};
use proto::{
    relayed,
    v1::{
        self, FetchLeaseRequest, FetchPolicyRequest, VerifyRequest, deferred_service_client::DeferredServiceClient,
        device_service_client::DeviceServiceClient, lease_service_client::LeaseServiceClient,
        verification_service_client::VerificationServiceClient,
    },
};
use tonic::{Code, Request, Status};

use crate::support::{TestCenter, TestDevice, capture};

const CARD: &str = "A10020001";

async fn relay(center: &TestCenter) -> TestDevice {
    let relay = TestDevice::new(center.dir.path(), "P1-127.0.0.1");
    center.issue(&relay, "127.0.0.1", Role::Relay, System.now_ms()).await;
    relay.connect(&center.address)
}

/// A call that names a certificate.
fn naming<T>(message: T, certificate_sha256: &[u8; 32]) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(relayed::FOR_CERTIFICATE, relayed::to_text(certificate_sha256).parse().unwrap());
    request
}

async fn certificate(center: &TestCenter, device: &TestDevice) -> [u8; 32] {
    center.center.store.device(&device.id).await.unwrap().unwrap().certificate_sha256
}

async fn verify(relay: &TestDevice, certificate: &[u8; 32], envelope: v1::Envelope) -> Result<v1::VerifyResponse, Status> {
    let mut client = VerificationServiceClient::new(relay.channel());
    client.verify(naming(VerifyRequest { envelope: Some(envelope) }, certificate)).await.map(tonic::Response::into_inner)
}

#[track_caller]
fn check<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, message: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{}", status.message());
    assert!(status.message().contains(message), "{}", status.message());
}

#[tokio::test]
async fn a_relay_speaks_for_the_counters_of_its_institution() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let (relay, certificate) = (relay(&center).await, certificate(&center, &device).await);
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
    let answer = verify(&relay, &certificate, envelope.clone()).await.unwrap();
    assert!(!answer.receipt.is_empty());
    // The record is the device's, as if it had called by itself.
    assert!(device.send(envelope).await.unwrap().repeated_answer);
    assert_eq!(center.verifications().await[0].device, device.id);
    let late = device.seal(&device.address("T-2", 1), &capture(CARD, 0.8));
    let message = v1::DeferredEnvelope { envelope: Some(late), provisional_receipt: String::new() };
    let mut client = DeferredServiceClient::new(relay.channel());
    let said = client.upload(naming(tokio_stream::iter([message]), &certificate)).await.unwrap().into_inner().message().await;
    assert!(!said.unwrap().unwrap().acknowledgement.is_empty());
    let mut client = LeaseServiceClient::new(relay.channel());
    client.fetch_lease(naming(FetchLeaseRequest::default(), &certificate)).await.unwrap();
}

#[tokio::test]
async fn a_relay_speaks_for_nobody_else() {
    let (center, device) = TestCenter::with_device().await;
    let (relay, other) = (relay(&center).await, center.device_of("P2").await);
    let ask = async |by: &TestDevice, certificate: &[u8; 32]| {
        DeviceServiceClient::new(by.channel()).fetch_policy(naming(FetchPolicyRequest {}, certificate)).await
    };
    let (own, foreign) = (certificate(&center, &device).await, certificate(&center, &other).await);
    ask(&relay, &own).await.unwrap();
    check(ask(&relay, &foreign).await, Code::Unauthenticated, "its own institution alone");
    check(ask(&device, &own).await, Code::Unauthenticated, "may not speak for other devices");
    check(ask(&relay, &certificate(&center, &relay).await).await, Code::PermissionDenied, "role");
    check(ask(&relay, &[7; 32]).await, Code::PermissionDenied, "not in the registry");
    let mut request = Request::new(FetchPolicyRequest {});
    request.metadata_mut().insert(relayed::FOR_CERTIFICATE, "no digest".parse().unwrap());
    check(DeviceServiceClient::new(relay.channel()).fetch_policy(request).await, Code::Unauthenticated, "64 lower-case");
    // What one counter signed is not another's, whoever brings it.
    let second = center.device("2").await;
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
    check(verify(&relay, &certificate(&center, &second).await, envelope).await, Code::PermissionDenied, "envelope.header.device");
}

#[tokio::test]
async fn a_relay_verifies_nothing_by_itself() {
    let (center, _) = TestCenter::with_device().await;
    let relay = relay(&center).await;
    check(relay.verify("T-1", &capture(CARD, 0.8)).await, Code::PermissionDenied, "role");
    check(LeaseServiceClient::new(relay.channel()).fetch_lease(FetchLeaseRequest::default()).await, Code::PermissionDenied, "role");
    let envelope = relay.seal(&relay.address("T-2", 1), &capture(CARD, 0.8));
    check(relay.upload(vec![envelope]).await, Code::PermissionDenied, "role");
    // Its own state and certificate are its own affair.
    relay.report(v1::ReportHealthRequest { agent_version: "0.1.0".into(), ..Default::default() }).await.unwrap();
}

#[tokio::test]
async fn either_of_them_is_out_at_once_when_it_is_revoked() {
    let (center, device) = TestCenter::with_device().await;
    let (relay, certificate) = (relay(&center).await, certificate(&center, &device).await);
    let store = center.center.store.as_ref();
    let seal = |transaction| device.seal(&device.address(transaction, 1), &capture(CARD, 0.8));
    verify(&relay, &certificate, seal("T-1")).await.unwrap();
    revoke(store, &device.id, System.now_ms()).await.unwrap();
    check(verify(&relay, &certificate, seal("T-2")).await, Code::PermissionDenied, "the device is revoked");
    let other = center.device("2").await;
    let its = self::certificate(&center, &other).await;
    let envelope = || other.seal(&other.address("T-3", 1), &capture(CARD, 0.8));
    verify(&relay, &its, envelope()).await.unwrap();
    revoke(store, &relay.id, System.now_ms()).await.unwrap();
    // Said of the relay: the counter is refused nothing.
    check(verify(&relay, &its, envelope()).await, Code::Unauthenticated, "not revoked");
}
