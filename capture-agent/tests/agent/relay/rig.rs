//! A center that takes the envelopes of many devices, counters that sign them, and the relay between them, as a process or
//! within this one.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{BufRead, BufReader},
    net::IpAddr,
    path::Path,
    pin::Pin,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use capture_agent::{
    identity,
    relay::config::{self, RelayConfig},
};
use ed25519_dalek::{SigningKey, VerifyingKey, pkcs8::EncodePrivateKey};
use proto::{
    acknowledgement,
    envelope::{Address, OpeningKey, OpeningPublicKey, Parsed, seal},
    relayed,
    v1::{
        Acknowledgement, BodyKind, Capture, DeferredEnvelope, Envelope, FetchPolicyRequest, FetchPolicyResponse, Identifier,
        RenewCertificateRequest, RenewCertificateResponse, ReportHealthRequest, ReportHealthResponse, SignedAcknowledgement, UploadOutcome,
        VerifyRequest, VerifyResponse,
        deferred_service_client::DeferredServiceClient,
        deferred_service_server::{DeferredService, DeferredServiceServer},
        device_service_client::DeviceServiceClient,
        device_service_server::{DeviceService, DeviceServiceServer},
        verification_service_client::VerificationServiceClient,
        verification_service_server::{VerificationService, VerificationServiceServer},
    },
};
use rcgen::{CertificateSigningRequestParams, KeyPair};
use tempfile::TempDir;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

use crate::folder::{Authority, policy_key};

/// The number in every capture: what a thief of the relay's disk would look for.
pub(crate) const CARD: &str = "330203194910010027";
const RELAY: &str = "P001-relay";

/// What the center has taken, by digest, and how often it was brought.
#[derive(Clone, Default)]
pub(crate) struct Taken(Arc<Mutex<HashMap<[u8; 32], u32>>>);

impl Taken {
    pub(crate) fn all(&self) -> HashSet<[u8; 32]> {
        self.0.lock().unwrap().keys().copied().collect()
    }

    fn take(&self, digest: [u8; 32]) -> bool {
        let mut taken = self.0.lock().unwrap();
        let times = taken.entry(digest).or_default();
        *times += 1;
        *times == 1
    }
}

pub(crate) struct Rig {
    pub(crate) authority: Authority,
    pub(crate) opening: OpeningKey,
    pub(crate) taken: Taken,
    is_down: Arc<AtomicBool>,
    keys: Arc<Mutex<HashMap<String, VerifyingKey>>>,
    center: String,
    pub(crate) dir: TempDir,
}

#[derive(Clone)]
struct Center {
    taken: Taken,
    is_down: Arc<AtomicBool>,
    keys: Arc<Mutex<HashMap<String, VerifyingKey>>>,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap()).await
    }

    /// With the relay's folder in a place of its own.
    pub(crate) async fn within(dir: TempDir) -> Self {
        let (authority, opening) = (Authority::new(), OpeningKey::generate());
        let center = Center { taken: Taken::default(), is_down: Arc::default(), keys: Arc::default() };
        let (certificate, key) = authority.server();
        let tls =
            ServerTlsConfig::new().identity(Identity::from_pem(certificate, key)).client_ca_root(Certificate::from_pem(&authority.pem));
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = format!("https://{}", incoming.local_addr().unwrap());
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(VerificationServiceServer::new(center.clone()).max_decoding_message_size(proto::MESSAGE_LEN_MAX))
            .add_service(DeviceServiceServer::new(center.clone()))
            .add_service(DeferredServiceServer::new(center.clone()).max_decoding_message_size(proto::MESSAGE_LEN_MAX));
        tokio::spawn(server.serve_with_incoming(incoming));
        let Center { taken, is_down, keys } = center;
        let rig = Self { authority, opening, taken, is_down, keys, center: address, dir };
        rig.install();
        rig
    }

    fn install(&self) {
        identity::init_with(self.dir.path(), (config::FILE, config::SHIPPED)).unwrap();
        let request = fs::read_to_string(self.dir.path().join(identity::REQUEST_FILE)).unwrap();
        let key = CertificateSigningRequestParams::from_pem(&request).unwrap().public_key;
        let bundle = tempfile::tempdir().unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let registration = format!(
            "device = \"{RELAY}\"\ninstitution = \"P001\"\ncounter = \"127.0.0.1\"\nopening_key = \"{}\"\npolicy_key = \"{}\"\n",
            hex(self.opening.public().as_bytes()),
            hex(policy_key().verifying_key().as_bytes())
        );
        let certificate = self.authority.device(&key, RELAY, Some(IpAddr::from([127, 0, 0, 1])));
        for (name, text) in [("device.toml", &registration), ("device.crt", &certificate), ("ca.crt", &self.authority.pem)] {
            fs::write(bundle.path().join(name), text).unwrap();
        }
        identity::install(self.dir.path(), bundle.path()).unwrap();
    }

    /// Writes the relay's configuration.
    pub(crate) fn configure(&self, more: &str) -> RelayConfig {
        let text = format!(
            "[center]\naddress = \"{}\"\nconnect_timeout_ms = 500\ncall_timeout_ms = 3000\n[relay]\nlisten = \"127.0.0.1:0\"\n{more}",
            self.center
        );
        fs::write(self.dir.path().join(config::FILE), text).unwrap();
        config::load(self.dir.path()).unwrap()
    }

    /// The line to the center is dead, or is not.
    pub(crate) fn down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    pub(crate) fn counter(&self, device: &str) -> Counter {
        let mut seed = [7; 32];
        seed[..device.len().min(32)].copy_from_slice(&device.as_bytes()[..device.len().min(32)]);
        let key = SigningKey::from_bytes(&seed);
        self.keys.lock().unwrap().insert(device.to_owned(), key.verifying_key());
        let key_pem = key.to_pkcs8_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF).unwrap().to_string();
        let certificate = self.authority.device(&KeyPair::from_pem(&key_pem).unwrap(), device, None);
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.authority.pem))
            .identity(Identity::from_pem(certificate, key_pem));
        Counter { device: device.to_owned(), key, opening: self.opening.public().clone(), tls, sequence: 0, channel: None }
    }
}

impl Center {
    /// Who calls, unless the line is dead: the relay names the counter.
    fn up<T>(&self, request: &Request<T>) -> Result<(), Status> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Status::unavailable("as told"));
        }
        let named = request.metadata().get(relayed::FOR_CERTIFICATE).and_then(|text| relayed::from_text(text.to_str().ok()?));
        named.map(drop).ok_or_else(|| Status::permission_denied("nobody is named"))
    }

    fn digest(&self, envelope: Envelope) -> [u8; 32] {
        let parsed = Parsed::new(envelope).unwrap();
        let key = self.keys.lock().unwrap()[&parsed.header().device];
        parsed.authenticate(&key).expect("a relay passes on nothing that is not its counter's").digest()
    }
}

#[tonic::async_trait]
impl VerificationService for Center {
    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        self.up(&request)?;
        self.taken.take(self.digest(request.into_inner().envelope.unwrap()));
        Ok(Response::new(VerifyResponse { verification_id: "v".into(), ..VerifyResponse::default() }))
    }
}

#[tonic::async_trait]
impl DeviceService for Center {
    async fn fetch_policy(&self, request: Request<FetchPolicyRequest>) -> Result<Response<FetchPolicyResponse>, Status> {
        self.up(&request)?;
        Ok(Response::new(FetchPolicyResponse::default()))
    }

    async fn renew_certificate(&self, _: Request<RenewCertificateRequest>) -> Result<Response<RenewCertificateResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn report_health(&self, _: Request<ReportHealthRequest>) -> Result<Response<ReportHealthResponse>, Status> {
        if self.is_down.load(Ordering::SeqCst) {
            Err(Status::unavailable("as told"))
        } else {
            Ok(Response::new(ReportHealthResponse::default()))
        }
    }
}

#[tonic::async_trait]
impl DeferredService for Center {
    type UploadStream = Pin<Box<dyn Stream<Item = Result<SignedAcknowledgement, Status>> + Send>>;

    async fn upload(&self, request: Request<Streaming<DeferredEnvelope>>) -> Result<Response<Self::UploadStream>, Status> {
        self.up(&request)?;
        let (sender, answers) = tokio::sync::mpsc::channel(64);
        let (center, mut stream) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let digest = center.digest(message.envelope.unwrap());
                let outcome = if center.taken.take(digest) { UploadOutcome::Stored } else { UploadOutcome::StoredBefore };
                let said = Acknowledgement { envelope_sha256: digest.to_vec(), outcome: outcome.into(), ..Acknowledgement::default() };
                if sender.send(Ok(acknowledgement::sign(&said, &policy_key()))).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

/// A counter: signs envelopes, and deletes one on the center's word alone.
pub(crate) struct Counter {
    pub(crate) device: String,
    key: SigningKey,
    opening: OpeningPublicKey,
    tls: ClientTlsConfig,
    sequence: u64,
    channel: Option<Channel>,
}

/// What a relay said on an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The center has it, by its signature.
    Acknowledged,
    /// The relay keeps it.
    Held,
}

impl Counter {
    /// Seals a capture of about so many bytes.
    pub(crate) fn seal(&mut self, bytes: usize) -> Envelope {
        self.sequence += 1;
        let address = Address {
            device: self.device.clone(),
            sequence: self.sequence,
            transaction: format!("T-{}", self.sequence),
            attempt: 1,
            body: BodyKind::Capture,
        };
        let identifier = Identifier { kind: 1, value: CARD.into(), region: String::new() };
        let capture = Capture { identifier: Some(identifier), operator: "x".repeat(bytes), ..Capture::default() };
        seal(&address, &capture, &self.key, &self.opening).unwrap()
    }

    pub(crate) fn connect(&mut self, relay: &str) {
        let endpoint = Endpoint::from_shared(relay.to_owned()).unwrap().tls_config(self.tls.clone()).unwrap();
        self.channel = Some(endpoint.connect_timeout(Duration::from_secs(10)).connect_lazy());
    }

    fn channel(&self) -> Channel {
        self.channel.clone().unwrap()
    }

    pub(crate) async fn verify(&self, envelope: Envelope) -> Result<VerifyResponse, Status> {
        let mut request = Request::new(VerifyRequest { envelope: Some(envelope) });
        request.set_timeout(Duration::from_secs(4));
        VerificationServiceClient::new(self.channel()).verify(request).await.map(Response::into_inner)
    }

    pub(crate) async fn fetch_policy(&self) -> Result<(), Status> {
        DeviceServiceClient::new(self.channel()).fetch_policy(FetchPolicyRequest {}).await.map(drop)
    }

    /// Uploads envelopes; what was said on each, up to the first on which nothing was.
    pub(crate) async fn upload(&self, envelopes: &[Envelope]) -> (Vec<Said>, Option<Status>) {
        let message = |envelope: &Envelope| DeferredEnvelope { envelope: Some(envelope.clone()), provisional_receipt: String::new() };
        let messages: Vec<_> = envelopes.iter().map(message).collect();
        let mut request = Request::new(tokio_stream::iter(messages));
        request.set_timeout(Duration::from_secs(20));
        let mut answers = match DeferredServiceClient::new(self.channel()).upload(request).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return (Vec::new(), Some(status)),
        };
        let mut said = Vec::new();
        for envelope in envelopes {
            match answers.message().await {
                Ok(Some(answer)) if acknowledgement::is_held(&answer) => said.push(Said::Held),
                Ok(Some(answer)) => {
                    let digest = acknowledgement::digest(envelope);
                    let checked = acknowledgement::check(&answer, &policy_key().verifying_key(), &digest);
                    assert!(acknowledgement::may_delete(&checked.unwrap()));
                    said.push(Said::Acknowledged);
                }
                Ok(None) => break,
                Err(status) => return (said, Some(status)),
            }
        }
        (said, None)
    }
}

/// The relay as a process; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
}

impl Process {
    pub(crate) fn start(dir: &Path, listen: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_capture-agent"));
        command.args(["relay", "serve", "--dir"]).arg(dir).env("COUNTERSIGN_RELAY__RELAY__LISTEN", listen);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect("the relay comes up").to_owned();
        Self { child, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once, and starts it again where it was.
    pub(crate) fn kill_and_start(&mut self, dir: &Path) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        *self = Self::start(dir, self.address.trim_start_matches("https://"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
