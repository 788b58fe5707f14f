//! The use case: verify who stands at the counter against a card.
//!
//! Look in the outbox (the same transaction and attempt is never captured twice) → wait for the camera →
//! acquire → seal → keep → send → answer. Capture and sending are apart: the camera is free for the next
//! person while an answer is awaited, and an envelope that got no answer is there to be sent again.

mod alone;
mod error;
mod health;
mod renewal;
pub(crate) mod standing;
mod state;
mod tuned;
mod watching;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use capture_core::{AcquisitionRule, Instruction, TransactionRule, Way, acquisition::RuleError};
use models::picture::Picture;
use proto::{
    envelope::{self, OpeningPublicKey},
    v1::{self, CameraState},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::{info, instrument};
use zeroize::Zeroizing;

pub use error::VerifyError;
pub use renewal::RenewError;
pub use standing::INSTANCE_FILE;
use standing::Standing;
pub use state::LineState;
pub use tuned::{EXCEPT, KEYS, Tuned};

use crate::{
    acquire::{self, Capture, Reopening},
    answer::VerifyAnswer,
    camera::Camera,
    clock::Clock,
    command::VerifyCommand,
    config::Config,
    document,
    identity::{Identity, IdentityError},
    lease::Lease,
    line::{
        client::{CallError, CenterClient, Patience, SetUpError},
        forwarder::Forwarder,
        spool::{CenterFacts, Entry, Kept, Spool, SpoolError},
    },
    policy::{DevicePolicy, SceneRules},
    vision::FaceReader,
};

/// Told what the person should do, when that changes.
pub type Guide = Arc<dyn Fn(Instruction) + Send + Sync>;

/// Told what is about to be captured, once the camera is its own.
pub type BeforeCapture = Arc<dyn Fn(&VerifyCommand) + Send + Sync>;

/// Everything one agent verifies with.
pub struct Verifier {
    identity: Identity,
    outbox: Arc<Spool>,
    /// Makes digests of requests, by which they are known again.
    digest_key: Zeroizing<[u8; 32]>,
    client: CenterClient,
    camera: RwLock<Arc<Camera>>,
    reader: Arc<dyn FaceReader>,
    before_capture: Option<BeforeCapture>,
    clock: Clock,
    tuned: RwLock<Arc<Tuned>>,
    /// One permit: who holds it has the camera.
    camera_turn: Semaphore,
    /// One permit for each verification that has the camera or waits for it.
    queue: Semaphore,
    /// The device's certificate, as provisional receipts show it.
    certificate_der: Mutex<Vec<u8>>,
    /// Brings what waits to the center; nothing while the center's key is not known.
    forwarder: Option<Forwarder>,
    lease: Mutex<Option<Arc<Lease>>>,
    center: Mutex<Option<CenterFacts>>,
    policy: Mutex<Option<Arc<DevicePolicy>>>,
    standing: Arc<Standing>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("device", &self.identity.registration.device).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Puts an agent together; must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the connection to the center cannot be set up or the outbox cannot be read.
    pub fn new(
        config: &Config,
        identity: Identity,
        outbox: Arc<Spool>,
        camera: Camera,
        reader: Arc<dyn FaceReader>,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let credentials = identity.credentials().map_err(StartError::Key)?;
        let client = CenterClient::new(&config.center, &credentials, clock).map_err(StartError::Client)?;
        let center = outbox.center().map_err(StartError::Outbox)?;
        let kept = outbox.policy().map_err(StartError::Outbox)?;
        let policy = identity.registration.policy_key.zip(kept).and_then(|(key, signed)| DevicePolicy::verify(&signed, &key).ok());
        let lease = outbox.lease().map_err(StartError::Outbox)?;
        let device = &identity.registration.device;
        let lease = identity.registration.policy_key.zip(lease).and_then(|(key, signed)| Lease::read(&signed, &key, device).ok());
        let forward = |key| Forwarder::new(Arc::clone(&outbox), client.clone(), key, clock);
        Ok(Self {
            standing: Arc::new(Standing::new(&identity, &config.device, clock)),
            forwarder: identity.registration.policy_key.map(forward),
            lease: Mutex::new(lease.map(Arc::new)),
            certificate_der: Mutex::new(identity.certificate_der()),
            digest_key: identity.key.derived("request digests"),
            identity,
            outbox,
            client,
            policy: Mutex::new(policy.map(Arc::new)),
            camera: RwLock::new(Arc::new(camera)),
            tuned: RwLock::new(Arc::new(Tuned::of(config, reader.frames())?)),
            reader,
            before_capture: None,
            clock,
            camera_turn: Semaphore::new(1),
            queue: Semaphore::new(config.camera.waiting_max + 1),
            center: Mutex::new(center),
        })
    }

    /// Tells what is about to be captured: a simulated camera shows another scene for each.
    #[must_use]
    pub fn told_before_capture(self, told: BeforeCapture) -> Self {
        Self { before_capture: Some(told), ..self }
    }

    /// Verifies, or gives the answer to the same request again.
    ///
    /// # Errors
    /// When nothing could be captured, kept, or answered. A failure to acquire a face is no such error: the
    /// center decides about it too.
    #[instrument(
        skip_all,
        fields(
            transaction.id = %command.transaction,
            transaction.attempt = command.attempt.get(),
            transaction.scene = command.scene.word(),
            envelope.sequence,
            decision,
        )
    )]
    pub async fn verify(&self, command: &VerifyCommand, guide: Guide) -> Result<VerifyAnswer, VerifyError> {
        let started = self.clock.now();
        if let Some(given) = self.provided(command).await? {
            return Ok(self.provisional_answer(command, given, self.clock.now().ms_since(started)));
        }
        let kept = match self.find(command).await? {
            Some(kept) => kept,
            None => self.capture(command, guide).await?,
        };
        tracing::Span::current().record("envelope.sequence", kept.sequence);
        let answer = match self.send(command, &kept).await {
            Ok(answer) => answer,
            Err(VerifyError::Call(error @ CallError::Unreachable(_))) => {
                let given = self.answer_alone(command, kept, error).await?;
                return Ok(self.provisional_answer(command, given, self.clock.now().ms_since(started)));
            }
            Err(error) => return Err(error),
        };
        let answer = VerifyAnswer::decode(command, answer, self.clock.now().ms_since(started)).map_err(VerifyError::Answer)?;
        tracing::Span::current().record("decision", answer.decision.word());
        info!(disposition = answer.disposition.word(), elapsed_ms = answer.elapsed_ms, repeated = answer.repeated_answer, "verified");
        Ok(answer)
    }

    /// The camera's state, as last seen.
    #[must_use]
    pub fn camera_state(&self) -> CameraState {
        self.standing.camera_state()
    }

    /// The camera of the counter.
    #[must_use]
    pub fn camera(&self) -> Arc<Camera> {
        Arc::clone(&self.camera.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the center last said about itself.
    #[must_use]
    pub fn center(&self) -> Option<CenterFacts> {
        self.center.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The policy this device works by; nothing until the center gave one.
    #[must_use]
    pub fn policy(&self) -> Option<Arc<DevicePolicy>> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A key of this device for one purpose of its own.
    pub(crate) fn derived_key(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        self.identity.key.derived(purpose)
    }

    /// The device's identifier in the center's registry.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.identity.registration.device
    }

    /// Whether an attempt was captured and its envelope is durable, answered or not.
    pub async fn is_kept(&self, command: &VerifyCommand) -> bool {
        matches!(self.find(command).await, Ok(Some(_)) | Err(VerifyError::Outbox(SpoolError::Forgotten)))
    }

    /// The template of a photo from a document's chip; nothing where no face is clearly on it.
    ///
    /// # Errors
    /// When a network fails.
    pub async fn chip_template(&self, photo: Picture) -> Result<Option<v1::Template>, VerifyError> {
        let reader = Arc::clone(&self.reader);
        let job = tokio::task::spawn_blocking(move || document::template_of(&*reader, &photo));
        let template = job.await.map_err(|_| VerifyError::Internal("chip"))?;
        template.map_err(|error| VerifyError::Acquire(acquire::AcquireError::Vision(error)))
    }

    /// Binds a settlement to a receipt at the center, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn confirm_receipt(&self, request: v1::ConfirmReceiptRequest) -> Result<v1::ConfirmReceiptResponse, CallError> {
        self.client.confirm_receipt(request).await
    }

    /// Reverses a settlement on a receipt at the center, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn reverse_receipt(&self, request: v1::ReverseReceiptRequest) -> Result<v1::ReverseReceiptResponse, CallError> {
        self.client.reverse_receipt(request).await
    }

    /// How many envelopes the center has not answered.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub async fn waiting(&self) -> Result<u32, SpoolError> {
        self.with_outbox(Spool::waiting).await
    }

    async fn find(&self, command: &VerifyCommand) -> Result<Option<Kept>, VerifyError> {
        let entry = self.entry(command);
        self.with_outbox(move |outbox| outbox.find(&entry)).await.map_err(VerifyError::Outbox)
    }

    fn entry(&self, command: &VerifyCommand) -> Entry {
        let digest = command.digest(&self.digest_key);
        Entry { transaction: command.transaction.to_string(), attempt: command.attempt.get(), digest }
    }

    async fn capture(&self, command: &VerifyCommand, guide: Guide) -> Result<Kept, VerifyError> {
        let policy = self.policy();
        let scene = policy.as_ref().and_then(|policy| policy.scene(command.scene));
        check_scene(command, policy.as_deref(), scene)?;
        if let Some(outcome) = command.by.without_camera() {
            return self.keep(command, self.clock.date_ms(), outcome).await;
        }
        self.check_model().await?;
        self.check_line(command.scene).await?;
        let _place = self.queue.try_acquire().map_err(|_| VerifyError::QueueFull)?;
        let _turn = self.wait_for_camera().await?;
        // While this request waited, an equal one may have been captured.
        if let Some(kept) = self.find(command).await? {
            return Ok(kept);
        }
        if let Some(told) = &self.before_capture {
            told(command);
        }
        let tuned = self.tuned();
        let rule = scene.map_or_else(|| tuned.rule.clone(), |scene| scene.rule(&tuned.rule));
        let capture = self.acquire(rule, tuned.reopening, guide).await?;
        self.keep(command, capture.captured_at_ms, capture.into_wire()).await
    }

    async fn wait_for_camera(&self) -> Result<SemaphorePermit<'_>, VerifyError> {
        match tokio::time::timeout(self.tuned().wait_for, self.camera_turn.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(VerifyError::QueueFull),
        }
    }

    async fn acquire(&self, rule: AcquisitionRule, reopening: Reopening, guide: Guide) -> Result<Capture, VerifyError> {
        let (camera, reader) = (self.camera(), Arc::clone(&self.reader));
        let (clock, standing) = (self.clock, Arc::clone(&self.standing));
        let report = move |state| standing.camera_is(state);
        let job = tokio::task::spawn_blocking(move || acquire::acquire(&camera, &*reader, &rule, reopening, clock, (&*guide, &report)));
        job.await.map_err(|_| VerifyError::Internal("acquisition"))?.map_err(VerifyError::Acquire)
    }

    async fn keep(&self, command: &VerifyCommand, captured_at_ms: i64, outcome: v1::capture::Outcome) -> Result<Kept, VerifyError> {
        let (facts, policy) = (self.center(), self.policy());
        let notice = match (command.notice.as_str(), &policy) {
            ("", Some(policy)) => policy.notice_version.as_str(),
            (notice, _) => notice,
        };
        let policy = policy.as_ref();
        let body = v1::Capture {
            scene: command.wire_scene().into(),
            identifier: Some(command.identifier()),
            operator: command.operator.as_str().to_owned(),
            captured_at_ms,
            clock_offset_ms: facts.as_ref().map_or(0, |facts| measured(facts.clock_offset_ms)),
            policy_version: policy.map(|policy| policy.version.clone()).unwrap_or_default(),
            notice: notice.to_owned(),
            consent: command.consent.as_str().to_owned(),
            lease_serial: self.lease().map(|lease| lease.terms.serial.clone()).unwrap_or_default(),
            degraded: self.client.is_down(),
            outcome: Some(outcome),
            proxy: command.wire_proxy(),
            chip: command.wire_chip(),
        };
        let opening_key = self.opening_key(facts);
        let (entry, now_ms) = (self.entry(command), self.clock.date_ms());
        let (device, key) = (self.identity.registration.device.clone(), self.identity.key.signing().clone());
        self.with_outbox(move |outbox| {
            outbox.keep(&entry, now_ms, |sequence| {
                let (transaction, attempt) = (entry.transaction.clone(), entry.attempt);
                let address = envelope::Address { device, sequence, transaction, attempt, body: v1::BodyKind::Capture };
                envelope::seal(&address, &body, &key, &opening_key)
            })
        })
        .await
        .map_err(VerifyError::Outbox)
    }

    /// The center's own word counts over the bundle's.
    fn opening_key(&self, facts: Option<CenterFacts>) -> OpeningPublicKey {
        facts.map_or_else(|| self.identity.registration.opening_key.clone(), |facts| facts.opening_key)
    }

    async fn send(&self, command: &VerifyCommand, kept: &Kept) -> Result<v1::VerifyResponse, VerifyError> {
        let alone = self.may_answer_alone(command.scene).await.map_err(VerifyError::Outbox)?;
        let patience = if alone.is_ok() { Patience::Short(self.tuned().degrade_after) } else { Patience::Long };
        let outcome = self.client.verify(&kept.envelope, patience).await;
        let (sequence, now_ms) = (kept.sequence, self.clock.date_ms());
        match outcome {
            Ok(answer) => {
                self.with_outbox(move |outbox| outbox.answered(sequence, now_ms)).await.map_err(VerifyError::Outbox)?;
                Ok(answer)
            }
            Err(error @ CallError::Refused(..)) => {
                let error = VerifyError::Call(error);
                let code = error.code();
                self.with_outbox(move |outbox| outbox.refused(sequence, now_ms, code)).await.map_err(VerifyError::Outbox)?;
                Err(error)
            }
            Err(error @ (CallError::Unreachable(_) | CallError::Failed(_))) => Err(VerifyError::Call(error)),
        }
    }

    async fn with_outbox<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let outbox = Arc::clone(&self.outbox);
        tokio::task::spawn_blocking(move || work(&outbox)).await.unwrap_or(Err(SpoolError::Interrupted))
    }
}

/// 0 says that the clock was never compared with the center's.
fn measured(clock_offset_ms: i64) -> i64 {
    if clock_offset_ms == 0 { 1 } else { clock_offset_ms }
}

/// What the policy asks before anybody is captured.
fn check_scene(command: &VerifyCommand, policy: Option<&DevicePolicy>, scene: Option<&SceneRules>) -> Result<(), VerifyError> {
    let (Some(policy), Some(scene)) = (policy, scene) else { return Ok(()) };
    let way = command.by.way();
    if scene.asks_consent && matches!(way, Way::Face | Way::Chip) && command.consent.as_str().is_empty() {
        return Err(VerifyError::ConsentMissing { expected: policy.consent_version.clone() });
    }
    let max = TransactionRule { faces_max: scene.attempts_max, time_out_ms: 0 }.attempt_max(way);
    if command.attempt.get() > max {
        return Err(VerifyError::TooManyAttempts { max });
    }
    Ok(())
}

/// The agent cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The device's key cannot be used.
    #[error("the device's key cannot be used")]
    Key(#[source] IdentityError),
    /// The connection to the center.
    #[error("the client of the center cannot be made")]
    Client(#[source] SetUpError),
    /// The configuration of acquisition does not suit the recipe of the models.
    #[error("the configuration does not suit the recipe of the models in use")]
    Rule(#[source] RuleError),
    /// The outbox.
    #[error("the outbox cannot be read")]
    Outbox(#[source] SpoolError),
}
