//! The center behind the simulator: gRPC with mutual TLS on loopback, which opens every envelope, answers each attempt once as
//! the script says, signs receipts of its own, and keeps what comes late.

mod judged;

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ed25519_dalek::{SigningKey, VerifyingKey};
use prost::Message;
use proto::{
    acknowledgement,
    envelope::{OpeningKey, Parsed},
    lease,
    v1::{
        self, Acknowledgement, BodyKind, Capture, ConfirmReceiptRequest, ConfirmReceiptResponse, DeferredEnvelope, Envelope,
        FetchLeaseRequest, FetchLeaseResponse, FetchPolicyRequest, FetchPolicyResponse, FindReceiptRequest, FindReceiptResponse,
        RenewCertificateRequest, RenewCertificateResponse, ReportHealthRequest, ReportHealthResponse, ReverseReceiptRequest,
        ReverseReceiptResponse, SignedAcknowledgement, UploadOutcome, VerifyRequest, VerifyResponse,
        deferred_service_server::{DeferredService, DeferredServiceServer},
        device_service_server::{DeviceService, DeviceServiceServer},
        lease_service_server::{LeaseService, LeaseServiceServer},
        receipt_service_server::{ReceiptService, ReceiptServiceServer},
        verification_service_server::{VerificationService, VerificationServiceServer},
    },
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use tonic_types::{ErrorDetails, StatusExt};

use super::{
    DEVICE, INSTITUTION, POLICY, SimulateError,
    receipt::{ISSUER, Receipts},
    script::{Outcome, Planned, Script},
    stage::MODEL,
};
use crate::clock::Clock;

/// How long a lease lasts, in milliseconds.
const LEASE_MS: i64 = 12 * 3_600_000;
/// Captures that it allows.
const LEASE_CAPTURES: u32 = 100_000;
/// What a line that is down asks to wait: longer than anybody does.
const DOWN_FOR: Duration = Duration::from_secs(86_400);

/// After which time a lost answer may be asked for again.
const LOST_FOR: Duration = Duration::from_millis(100);

/// An answer that was given, and the envelope it was given to.
type Answers = HashMap<(String, u32), ([u8; 32], VerifyResponse)>;

struct State {
    answers: Answers,
    receipts: Receipts,
    leases: u32,
}

/// What the center is made of.
pub(super) struct Keys {
    /// Opens envelopes.
    pub(super) opening: OpeningKey,
    /// Signs policies, leases and acknowledgements.
    pub(super) center: SigningKey,
    /// Signs receipts.
    pub(super) receipts: SigningKey,
    /// The device's.
    pub(super) device: VerifyingKey,
}

/// Certificate and key of the server, and the authority of devices (PEM).
pub(super) struct Papers {
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) authority: String,
}

#[derive(Clone)]
struct Service {
    keys: Arc<Keys>,
    script: Arc<Script>,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

/// Starts serving on a port of its own; within a tokio runtime. It ends with the runtime.
pub(super) fn start(keys: Keys, script: Arc<Script>, papers: Papers) -> Result<SocketAddr, SimulateError> {
    let failed = |error: String| SimulateError::SetUp(format!("its center: {error}"));
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(papers.certificate, papers.key))
        .client_ca_root(Certificate::from_pem(papers.authority));
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).map_err(|error| failed(error.to_string()))?;
    let address = incoming.local_addr().map_err(|error| failed(error.to_string()))?;
    let receipts = Receipts::new(keys.receipts.clone());
    let state = Arc::new(Mutex::new(State { answers: HashMap::new(), receipts, leases: 0 }));
    let service = Service { keys: Arc::new(keys), script, clock: Clock::start(), state };
    let server = Server::builder()
        .tls_config(tls)
        .map_err(|error| failed(error.to_string()))?
        .add_service(VerificationServiceServer::new(service.clone()))
        .add_service(DeferredServiceServer::new(service.clone()))
        .add_service(LeaseServiceServer::new(service.clone()))
        .add_service(ReceiptServiceServer::new(service.clone()))
        .add_service(DeviceServiceServer::new(service));
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(address)
}

/// The device policy of the simulator: every scene, the line may be down in a settlement.
fn policy(now_ms: i64, center: &SigningKey) -> v1::SignedPolicy {
    let scenes = [
        v1::Scene::Registration,
        v1::Scene::Reception,
        v1::Scene::Settlement,
        v1::Scene::Admission,
        v1::Scene::Discharge,
        v1::Scene::Transfer,
    ];
    let scene = |scene: v1::Scene| v1::DeviceScene {
        scene: scene.into(),
        attempts_max: 3,
        center_unreachable: v1::Disposition::SettleFlagged.into(),
        proxy_allowed: true,
        ..v1::DeviceScene::default()
    };
    let policy = v1::DevicePolicy {
        version: POLICY.to_owned(),
        applied_at_ms: now_ms,
        model_id: MODEL.to_owned(),
        recipe_id: MODEL.to_owned(),
        notice_version: "N1".to_owned(),
        consent_version: "C1".to_owned(),
        scenes: scenes.map(scene).to_vec(),
        shadow: false,
    };
    crate::policy::sign(&policy.encode_to_vec(), center)
}

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an envelope; whose it is and what was captured.
    fn open(&self, envelope: Envelope) -> Result<(String, u32, Capture), Status> {
        let denied = |error: proto::envelope::EnvelopeError| Status::permission_denied(error.to_string());
        let authentic = Parsed::new(envelope).and_then(|parsed| parsed.authenticate(&self.keys.device)).map_err(denied)?;
        let (transaction, attempt) = (authentic.header().transaction.clone(), authentic.header().attempt);
        let capture = authentic.open(&self.keys.opening).and_then(|opened| opened.message(BodyKind::Capture)).map_err(denied)?;
        Ok((transaction, attempt, capture))
    }

    /// The answer to an envelope; the same again for the same one.
    fn answer(&self, envelope: Envelope) -> Result<(Planned, VerifyResponse), Status> {
        let digest = acknowledgement::digest(&envelope);
        let (transaction, attempt, capture) = self.open(envelope)?;
        let card = capture.identifier.as_ref().map_or("", |identifier| identifier.value.as_str());
        let planned = self.script.planned(card, &transaction, attempt);
        if let Some(refused) = refused(planned.outcome) {
            return Err(refused);
        }
        let mut state = self.state();
        if let Some((known, answer)) = state.answers.get(&(transaction.clone(), attempt)) {
            let repeated = VerifyResponse { repeated_answer: true, ..answer.clone() };
            return if *known == digest { Ok((planned, repeated)) } else { Err(Status::already_exists("transaction")) };
        }
        let random = || {
            let mut random = [0; 16];
            getrandom::fill(&mut random).map_err(|error| Status::internal(error.to_string()))?;
            Ok::<_, Status>(random)
        };
        let judged = judged::of(&capture, planned.outcome);
        let about = judged.about(&capture, (&transaction, attempt), self.clock.date_ms());
        let (receipt, receipt_number) = state.receipts.issue(about, random()?);
        let id = random()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let answer =
            VerifyResponse { verification_id: id, receipt, receipt_number, decided_at_ms: self.clock.date_ms(), ..judged.answer() };
        state.answers.insert((transaction, attempt), (digest, answer.clone()));
        Ok((planned, answer))
    }

    fn acknowledged(&self, message: &DeferredEnvelope) -> SignedAcknowledgement {
        let envelope = message.envelope.clone().unwrap_or_default();
        let digest = acknowledgement::digest(&envelope);
        let outcome = if self.open(envelope).is_ok() { UploadOutcome::Stored } else { UploadOutcome::Refused };
        let said = Acknowledgement {
            device: DEVICE.to_owned(),
            envelope_sha256: digest.to_vec(),
            outcome: outcome.into(),
            acknowledged_at_ms: self.clock.date_ms(),
            ..Acknowledgement::default()
        };
        acknowledgement::sign(&said, &self.keys.center)
    }
}

/// What the script has the center say instead of an answer.
fn refused(outcome: Outcome) -> Option<Status> {
    let said = "by the simulator's script";
    let refusals = [
        (Outcome::LineDown, down()),
        (Outcome::Refused, Status::invalid_argument(said)),
        (Outcome::DeviceRefused, Status::permission_denied(said)),
        (Outcome::CenterFails, Status::internal(said)),
    ];
    refusals.into_iter().find_map(|(of, status)| (of == outcome).then_some(status))
}

/// As if the line were down, for this envelope alone: nobody waits so long, and the line itself counts as well.
fn down() -> Status {
    later("the simulator's line is down", DOWN_FOR)
}

/// No answer now; another try is welcome after this time.
fn later(why: &str, after: Duration) -> Status {
    Status::with_error_details(Code::Unavailable, why, ErrorDetails::with_retry_info(Some(after)))
}

#[tonic::async_trait]
impl VerificationService for Service {
    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        let envelope = request.into_inner().envelope.ok_or_else(|| Status::invalid_argument("envelope"))?;
        let (planned, answer) = self.answer(envelope)?;
        if planned.outcome == Outcome::AnswerLost && !answer.repeated_answer {
            return Err(later("the answer is lost by the simulator's script", LOST_FOR));
        }
        if !answer.repeated_answer {
            tokio::time::sleep(Duration::from_millis(planned.delay_ms)).await;
        }
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl DeviceService for Service {
    async fn fetch_policy(&self, _: Request<FetchPolicyRequest>) -> Result<Response<FetchPolicyResponse>, Status> {
        Ok(Response::new(FetchPolicyResponse { policy: Some(policy(self.clock.date_ms(), &self.keys.center)) }))
    }

    async fn renew_certificate(&self, _: Request<RenewCertificateRequest>) -> Result<Response<RenewCertificateResponse>, Status> {
        Err(Status::unimplemented("the simulator's certificate is made at each start"))
    }

    async fn report_health(&self, request: Request<ReportHealthRequest>) -> Result<Response<ReportHealthResponse>, Status> {
        let answer = ReportHealthResponse {
            device: DEVICE.to_owned(),
            institution: INSTITUTION.to_owned(),
            center_clock_ms: self.clock.date_ms(),
            opening_key: self.keys.opening.public().as_bytes().to_vec(),
            feature_model: MODEL.to_owned(),
            recipe: MODEL.to_owned(),
            policy_version: POLICY.to_owned(),
            next_sequence: 1,
            signature: Vec::new(),
        };
        Ok(Response::new(proto::briefing::sign(answer, request.into_inner().device_clock_ms, &self.keys.center)))
    }
}

#[tonic::async_trait]
impl LeaseService for Service {
    async fn fetch_lease(&self, _: Request<FetchLeaseRequest>) -> Result<Response<FetchLeaseResponse>, Status> {
        let number = {
            let mut state = self.state();
            state.leases = state.leases.saturating_add(1);
            state.leases
        };
        let now = self.clock.date_ms();
        let scene = |scene: v1::Scene, until_ms| v1::LeaseScene { scene: scene.into(), captures_max: LEASE_CAPTURES, until_ms };
        let lease = v1::Lease {
            serial: format!("SIM-{number}"),
            device: DEVICE.to_owned(),
            policy_version: POLICY.to_owned(),
            issued_at_ms: now,
            // The one of reception has ended, so that an integrator meets that too.
            scenes: vec![
                scene(v1::Scene::Settlement, now.saturating_add(LEASE_MS)),
                scene(v1::Scene::Reception, now.saturating_sub(1_000)),
            ],
            audience: ISSUER.to_owned(),
        };
        Ok(Response::new(FetchLeaseResponse { lease: Some(lease::sign(&lease, &self.keys.center)) }))
    }
}

#[tonic::async_trait]
impl DeferredService for Service {
    type UploadStream = Pin<Box<dyn Stream<Item = Result<SignedAcknowledgement, Status>> + Send>>;

    async fn upload(&self, request: Request<Streaming<DeferredEnvelope>>) -> Result<Response<Self::UploadStream>, Status> {
        let (sender, answers) = tokio::sync::mpsc::channel(16);
        let (service, mut stream) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if sender.send(Ok(service.acknowledged(&message))).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

#[tonic::async_trait]
impl ReceiptService for Service {
    async fn confirm_receipt(&self, request: Request<ConfirmReceiptRequest>) -> Result<Response<ConfirmReceiptResponse>, Status> {
        let (refusal, state, repeated) = self.state().receipts.confirm(request.get_ref(), self.clock.date_ms());
        Ok(Response::new(ConfirmReceiptResponse { refusal: refusal.to_owned(), state: state.into(), repeated }))
    }

    async fn reverse_receipt(&self, request: Request<ReverseReceiptRequest>) -> Result<Response<ReverseReceiptResponse>, Status> {
        let (refusal, state, repeated) = self.state().receipts.reverse(request.get_ref());
        Ok(Response::new(ReverseReceiptResponse { refusal: refusal.to_owned(), state: state.into(), repeated }))
    }

    async fn find_receipt(&self, request: Request<FindReceiptRequest>) -> Result<Response<FindReceiptResponse>, Status> {
        Ok(Response::new(self.state().receipts.find(&request.get_ref().receipt_number)))
    }
}
