//! A center: gRPC with mutual TLS that authenticates and opens every envelope, answers each (transaction,
//! attempt) once, and does as a test tells it for the next calls.

pub(crate) mod late;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use prost::Message;
use proto::{
    envelope::{OpeningKey, Parsed},
    v1::{
        BodyKind, Capture, ConfirmReceiptRequest, ConfirmReceiptResponse, Decision, DeferredEnvelope, DevicePolicy, Disposition, Envelope,
        FetchPolicyRequest, FetchPolicyResponse, FindReceiptRequest, FindReceiptResponse, RenewCertificateRequest,
        RenewCertificateResponse, ReportHealthRequest, ReportHealthResponse, ReverseReceiptRequest, ReverseReceiptResponse, SignedPolicy,
        VerifyRequest, VerifyResponse,
        capture::Outcome,
        deferred_service_server::DeferredServiceServer,
        device_service_server::{DeviceService, DeviceServiceServer},
        lease_service_server::LeaseServiceServer,
        receipt_service_server::{ReceiptService, ReceiptServiceServer},
        verification_service_server::{VerificationService, VerificationServiceServer},
    },
};
use tokio::runtime::Runtime;
use tonic::{
    Code, Request, Response, Status,
    transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

use crate::folder::{Authority, Folder, policy_key};

/// What the center does to a call instead of answering.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Fails with this code before reading the envelope.
    Code(Code),
    /// Keeps its record, and the answer is lost.
    AnswerLost,
    /// Does not answer for this long.
    Silent(Duration),
}

#[derive(Default)]
pub(crate) struct Records {
    /// Envelopes as they came, every repetition.
    pub(crate) received: Vec<Vec<u8>>,
    /// Captures, once for each transaction and attempt.
    pub(crate) captures: Vec<Capture>,
    pub(crate) sequences: Vec<u64>,
    pub(crate) health: Vec<ReportHealthRequest>,
    /// Certificates that were asked for.
    pub(crate) renewals: usize,
    pub(crate) confirmed: Vec<ConfirmReceiptRequest>,
    pub(crate) reversed: Vec<ReverseReceiptRequest>,
    answers: HashMap<(String, u32), (Vec<u8>, VerifyResponse)>,
    faults: VecDeque<Fault>,
    lease: Option<(u32, i64)>,
    leases_given: u32,
    late: VecDeque<late::Late>,
    pub(crate) uploaded: Vec<DeferredEnvelope>,
    /// An opening key that somebody on the way puts in the place of the center's.
    pub(crate) slipped_in: Option<Vec<u8>>,
    facts: ReportHealthResponse,
    policy: Option<SignedPolicy>,
}

pub(crate) struct Center {
    pub(crate) authority: Arc<Authority>,
    pub(crate) opening_key: Arc<OpeningKey>,
    pub(crate) records: Arc<Mutex<Records>>,
    /// The server's own threads, so that stopping it cuts its connections as killing it would.
    running: Option<Runtime>,
    address: Option<SocketAddr>,
}

#[derive(Clone)]
struct Service {
    opening_key: Arc<OpeningKey>,
    device: VerifyingKey,
    authority: Arc<Authority>,
    records: Arc<Mutex<Records>>,
}

impl Center {
    pub(crate) fn new() -> Self {
        let opening_key = Arc::new(OpeningKey::generate());
        let facts = ReportHealthResponse {
            device: "counter-1".into(),
            institution: "P001".into(),
            center_clock_ms: 0,
            opening_key: opening_key.public().as_bytes().to_vec(),
            feature_model: "colour@1".into(),
            recipe: "colour-recipe@1".into(),
            policy_version: "test-1".into(),
            next_sequence: 1,
            signature: Vec::new(),
        };
        let records = Arc::new(Mutex::new(Records { facts, ..Records::default() }));
        Self { authority: Arc::new(Authority::new()), opening_key, records, running: None, address: None }
    }

    pub(crate) fn folder(&self) -> Folder {
        Folder::installed(&self.authority, self.opening_key.public())
    }

    /// Starts serving for the device of this folder; on the same port as before, after a stop.
    pub(crate) fn start(&mut self, folder: &Folder) -> String {
        let authority_pem = self.authority.pem.clone();
        self.start_trusting(folder, &authority_pem)
    }

    /// Starts serving for devices of this authority.
    pub(crate) fn start_trusting(&mut self, folder: &Folder, clients_pem: &str) -> String {
        let (certificate, key) = self.authority.server();
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key)).client_ca_root(Certificate::from_pem(clients_pem));
        let address = self.address.unwrap_or(([127, 0, 0, 1], 0).into());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let incoming = {
            let _inside = runtime.enter();
            TcpIncoming::bind(address).unwrap()
        };
        let address = incoming.local_addr().unwrap();
        let device = folder.identity().key.public();
        let (authority, records) = (Arc::clone(&self.authority), Arc::clone(&self.records));
        let service = Service { opening_key: Arc::clone(&self.opening_key), device, authority, records };
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(VerificationServiceServer::new(service.clone()))
            .add_service(DeferredServiceServer::new(service.clone()))
            .add_service(LeaseServiceServer::new(service.clone()))
            .add_service(ReceiptServiceServer::new(service.clone()))
            .add_service(DeviceServiceServer::new(service));
        runtime.spawn(server.serve_with_incoming(incoming));
        self.running = Some(runtime);
        self.address = Some(address);
        format!("https://{address}")
    }

    /// Where it serves, or served last.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    pub(crate) async fn stop(&mut self) {
        let runtime = self.running.take().unwrap();
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5))).await.unwrap();
    }

    pub(crate) fn next(&self, faults: &[Fault]) {
        self.records.lock().unwrap().faults.extend(faults);
    }

    /// Puts a policy in force, signed by a key.
    pub(crate) fn applies(&self, policy: &DevicePolicy, key: &SigningKey) {
        let bytes = policy.encode_to_vec();
        let signature = key.sign(&[b"countersign device policy v1\0".as_slice(), &bytes].concat()).to_bytes().to_vec();
        let mut records = self.records.lock().unwrap();
        records.facts.policy_version.clone_from(&policy.version);
        records.policy = Some(SignedPolicy { policy: bytes, signature, key_id: String::new() });
    }

    /// Changes what the center says about itself.
    pub(crate) fn says(&self, change: impl FnOnce(&mut ReportHealthResponse)) {
        change(&mut self.records.lock().unwrap().facts);
    }
}

impl Drop for Center {
    fn drop(&mut self) {
        if let Some(runtime) = self.running.take() {
            runtime.shutdown_background();
        }
    }
}

fn now_ms() -> i64 {
    i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

impl Service {
    fn answer(&self, envelope: Envelope) -> Result<VerifyResponse, Status> {
        let denied = |error: proto::envelope::EnvelopeError| Status::permission_denied(error.to_string());
        let authentic = Parsed::new(envelope).and_then(|parsed| parsed.authenticate(&self.device)).map_err(denied)?;
        let key = (authentic.header().transaction.clone(), authentic.header().attempt);
        let (digest, sequence) = (authentic.digest().to_vec(), authentic.header().sequence);
        let mut records = self.records.lock().unwrap();
        if let Some((known, answer)) = records.answers.get(&key) {
            let repeated = VerifyResponse { repeated_answer: true, ..answer.clone() };
            return if *known == digest { Ok(repeated) } else { Err(Status::already_exists("transaction")) };
        }
        let capture: Capture = authentic.open(&self.opening_key).and_then(|opened| opened.message(BodyKind::Capture)).map_err(denied)?;
        let answer = decide(&capture);
        records.captures.push(capture);
        records.sequences.push(sequence);
        records.answers.insert(key, (digest, answer.clone()));
        Ok(answer)
    }
}

fn decide(capture: &Capture) -> VerifyResponse {
    let base = VerifyResponse {
        verification_id: "00000000-0000-4000-8000-000000000001".into(),
        policy_version: "test-1".into(),
        decided_at_ms: now_ms(),
        receipt: "header.claims.signature".into(),
        receipt_number: "28T5CY4TQKFF00938NKRG0".into(),
        ..VerifyResponse::default()
    };
    let compared = |decision: Decision, disposition: Disposition, score: f32| VerifyResponse {
        decision: decision.into(),
        disposition: disposition.into(),
        score: Some(score),
        match_threshold: Some(0.5),
        non_match_threshold: Some(0.25),
        ..base.clone()
    };
    match (capture.outcome.as_ref().unwrap(), capture.identifier.as_ref().unwrap().value.as_str()) {
        (Outcome::FailureToAcquire(failure), _) => VerifyResponse {
            decision: Decision::NoDecision.into(),
            disposition: Disposition::OtherWay.into(),
            reasons: vec![failure.reason().as_str_name().trim_start_matches("ACQUISITION_FAILURE_").to_lowercase()],
            ..base
        },
        (Outcome::DocumentCheck(check), _) => {
            let (reason, disposition) =
                if check.same_person { ("document_checked", Disposition::Settle) } else { ("document_not_the_person", Disposition::Hold) };
            VerifyResponse { decision: Decision::NoDecision.into(), disposition: disposition.into(), reasons: vec![reason.into()], ..base }
        }
        (Outcome::OtherWay(_), _) => VerifyResponse {
            decision: Decision::NoDecision.into(),
            disposition: Disposition::Settle.into(),
            reasons: vec!["other_way".into()],
            ..base
        },
        (Outcome::Sample(_), "other") => compared(Decision::NonMatch, Disposition::DocumentCheck, 0.125),
        (Outcome::Sample(_), "again") => compared(Decision::Review, Disposition::Retry, 0.375),
        (Outcome::Sample(_), "unsure") => compared(Decision::Review, Disposition::SettleFlagged, 0.375),
        (Outcome::Sample(_), _) => compared(Decision::Match, Disposition::Settle, 0.75),
    }
}

#[tonic::async_trait]
impl VerificationService for Service {
    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        let envelope = request.into_inner().envelope.unwrap();
        let fault = {
            let mut records = self.records.lock().unwrap();
            records.received.push(envelope.encode_to_vec());
            records.faults.pop_front()
        };
        match fault {
            Some(Fault::Code(code)) => Err(Status::new(code, "as told")),
            Some(Fault::AnswerLost) => {
                self.answer(envelope)?;
                Err(Status::unavailable("as told"))
            }
            Some(Fault::Silent(time)) => {
                tokio::time::sleep(time).await;
                self.answer(envelope).map(Response::new)
            }
            None => self.answer(envelope).map(Response::new),
        }
    }
}

#[tonic::async_trait]
impl DeviceService for Service {
    async fn fetch_policy(&self, _: Request<FetchPolicyRequest>) -> Result<Response<FetchPolicyResponse>, Status> {
        Ok(Response::new(FetchPolicyResponse { policy: self.records.lock().unwrap().policy.clone() }))
    }

    async fn renew_certificate(&self, request: Request<RenewCertificateRequest>) -> Result<Response<RenewCertificateResponse>, Status> {
        let mut records = self.records.lock().unwrap();
        records.renewals += 1;
        let certificate_pem = self.authority.issue(&request.into_inner().csr_pem);
        Ok(Response::new(RenewCertificateResponse { certificate_pem, authority_pem: self.authority.pem.clone() }))
    }

    async fn report_health(&self, request: Request<ReportHealthRequest>) -> Result<Response<ReportHealthResponse>, Status> {
        let mut records = self.records.lock().unwrap();
        let clock = request.get_ref().device_clock_ms;
        records.health.push(request.into_inner());
        let answer = ReportHealthResponse { center_clock_ms: now_ms() + 60_000, ..records.facts.clone() };
        let mut answer = proto::briefing::sign(answer, clock, &policy_key());
        if let Some(key) = &records.slipped_in {
            answer.opening_key.clone_from(key);
        }
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl ReceiptService for Service {
    async fn confirm_receipt(&self, request: Request<ConfirmReceiptRequest>) -> Result<Response<ConfirmReceiptResponse>, Status> {
        let request = request.into_inner();
        let refusal = if request.settlement == "S-used" { "used" } else { "" };
        self.records.lock().unwrap().confirmed.push(request);
        Ok(Response::new(ConfirmReceiptResponse { refusal: refusal.into(), ..ConfirmReceiptResponse::default() }))
    }

    async fn reverse_receipt(&self, request: Request<ReverseReceiptRequest>) -> Result<Response<ReverseReceiptResponse>, Status> {
        self.records.lock().unwrap().reversed.push(request.into_inner());
        Ok(Response::new(ReverseReceiptResponse::default()))
    }

    async fn find_receipt(&self, _: Request<FindReceiptRequest>) -> Result<Response<FindReceiptResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }
}
