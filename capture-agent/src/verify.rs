//! The use case: verify who stands at the counter against a card.
//!
//! Look in the outbox (the same transaction and attempt is never captured twice) → wait for the camera →
//! acquire → seal → keep → send → answer. Capture and sending are apart: the camera is free for the next
//! person while an answer is awaited, and an envelope that got no answer is there to be sent again.

mod error;
mod health;
mod renewal;
pub(crate) mod standing;
mod watching;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use capture_core::{AcquisitionRule, Instruction, acquisition::RuleError};
use proto::{
    envelope::{self, OpeningPublicKey},
    v1::{self, CameraState},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::{info, instrument};

pub use error::VerifyError;
pub use renewal::RenewError;
pub use standing::INSTANCE_FILE;
use standing::Standing;

use crate::{
    acquire::{self, Capture, Reopening},
    answer::VerifyAnswer,
    camera::Camera,
    client::{CallError, CenterClient, SetUpError},
    clock::Clock,
    command::VerifyCommand,
    config::Config,
    identity::Identity,
    outbox::{CenterFacts, Kept, Outbox, OutboxError},
    policy::{DevicePolicy, SceneRules},
    vision::FaceReader,
};

/// Told what the person should do, when that changes.
pub type Guide = Arc<dyn Fn(Instruction) + Send + Sync>;

/// Everything one agent verifies with.
pub struct Verifier {
    identity: Identity,
    outbox: Arc<Outbox>,
    client: CenterClient,
    camera: Arc<Camera>,
    reader: Arc<dyn FaceReader>,
    clock: Clock,
    rule: AcquisitionRule,
    reopening: Reopening,
    /// One permit: who holds it has the camera.
    camera_turn: Semaphore,
    /// One permit for each verification that has the camera or waits for it.
    queue: Semaphore,
    wait_for: Duration,
    health_every: Duration,
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
        outbox: Arc<Outbox>,
        camera: Camera,
        reader: Arc<dyn FaceReader>,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let client = CenterClient::new(&config.center, &identity).map_err(StartError::Client)?;
        let center = outbox.center().map_err(StartError::Outbox)?;
        let kept = outbox.policy().map_err(StartError::Outbox)?;
        let policy = identity.registration.policy_key.zip(kept).and_then(|(key, signed)| DevicePolicy::verify(&signed, &key).ok());
        Ok(Self {
            standing: Arc::new(Standing::new(&identity, &config.device, clock)),
            identity,
            outbox,
            client,
            policy: Mutex::new(policy.map(Arc::new)),
            camera: Arc::new(camera),
            rule: config.acquisition.rule(reader.frames()).checked().map_err(StartError::Rule)?,
            reader,
            clock,
            reopening: Reopening { max: config.camera.reopen_max, pause: Duration::from_millis(config.camera.reopen_pause_ms) },
            camera_turn: Semaphore::new(1),
            queue: Semaphore::new(config.camera.waiting_max + 1),
            wait_for: Duration::from_millis(config.camera.wait_for_ms),
            health_every: Duration::from_secs(config.center.health_every_s),
            center: Mutex::new(center),
        })
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
        let kept = match self.find(command).await? {
            Some(kept) => kept,
            None => self.capture(command, guide).await?,
        };
        tracing::Span::current().record("envelope.sequence", kept.sequence);
        let answer = self.send(kept).await?;
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

    /// The device's identifier in the center's registry.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.identity.registration.device
    }

    /// How many envelopes the center has not answered.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub async fn waiting(&self) -> Result<u32, OutboxError> {
        self.with_outbox(Outbox::waiting).await
    }

    async fn find(&self, command: &VerifyCommand) -> Result<Option<Kept>, VerifyError> {
        let command = command.clone();
        self.with_outbox(move |outbox| outbox.find(&command)).await.map_err(VerifyError::Outbox)
    }

    async fn capture(&self, command: &VerifyCommand, guide: Guide) -> Result<Kept, VerifyError> {
        self.check_model().await?;
        let policy = self.policy();
        let scene = policy.as_ref().and_then(|policy| policy.scene(command.scene));
        check_scene(command, policy.as_deref(), scene)?;
        let _place = self.queue.try_acquire().map_err(|_| VerifyError::QueueFull)?;
        let _turn = self.wait_for_camera().await?;
        // While this request waited, an equal one may have been captured.
        if let Some(kept) = self.find(command).await? {
            return Ok(kept);
        }
        let rule = scene.map_or_else(|| self.rule.clone(), |scene| scene.rule(&self.rule));
        let capture = self.acquire(rule, guide).await?;
        self.keep(command, capture).await
    }

    async fn wait_for_camera(&self) -> Result<SemaphorePermit<'_>, VerifyError> {
        match tokio::time::timeout(self.wait_for, self.camera_turn.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(VerifyError::QueueFull),
        }
    }

    async fn acquire(&self, rule: AcquisitionRule, guide: Guide) -> Result<Capture, VerifyError> {
        let (camera, reader) = (Arc::clone(&self.camera), Arc::clone(&self.reader));
        let (reopening, clock, standing) = (self.reopening, self.clock, Arc::clone(&self.standing));
        let report = move |state| standing.camera_is(state);
        let job = tokio::task::spawn_blocking(move || acquire::acquire(&camera, &*reader, &rule, reopening, clock, (&*guide, &report)));
        job.await.map_err(|_| VerifyError::Internal("acquisition"))?.map_err(VerifyError::Acquire)
    }

    async fn keep(&self, command: &VerifyCommand, capture: Capture) -> Result<Kept, VerifyError> {
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
            captured_at_ms: capture.captured_at_ms,
            clock_offset_ms: facts.as_ref().map_or(0, |facts| measured(facts.clock_offset_ms)),
            policy_version: policy.map(|policy| policy.version.clone()).unwrap_or_default(),
            notice: notice.to_owned(),
            consent: command.consent.as_str().to_owned(),
            outcome: Some(capture.into_wire()),
        };
        let opening_key = self.opening_key(facts);
        let (command, now_ms) = (command.clone(), self.clock.date_ms());
        let (device, key) = (self.identity.registration.device.clone(), self.identity.key.signing().clone());
        self.with_outbox(move |outbox| {
            outbox.keep(&command, now_ms, |sequence| {
                let (transaction, attempt) = (command.transaction.to_string(), command.attempt.get());
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

    async fn send(&self, kept: Kept) -> Result<v1::VerifyResponse, VerifyError> {
        let outcome = self.client.verify(&kept.envelope).await;
        let now_ms = self.clock.date_ms();
        match outcome {
            Ok(answer) => {
                self.with_outbox(move |outbox| outbox.answered(kept.sequence, now_ms)).await.map_err(VerifyError::Outbox)?;
                Ok(answer)
            }
            Err(error @ CallError::Refused(..)) => {
                let error = VerifyError::Call(error);
                let code = error.code();
                self.with_outbox(move |outbox| outbox.refused(kept.sequence, now_ms, code)).await.map_err(VerifyError::Outbox)?;
                Err(error)
            }
            Err(error @ (CallError::Unreachable(_) | CallError::Failed(_))) => Err(VerifyError::Call(error)),
        }
    }

    async fn with_outbox<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Outbox) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let outbox = Arc::clone(&self.outbox);
        tokio::task::spawn_blocking(move || work(&outbox)).await.unwrap_or(Err(OutboxError::Interrupted))
    }
}

/// 0 says that the clock was never compared with the center's.
fn measured(clock_offset_ms: i64) -> i64 {
    if clock_offset_ms == 0 { 1 } else { clock_offset_ms }
}

/// What the policy asks before anybody is captured.
fn check_scene(command: &VerifyCommand, policy: Option<&DevicePolicy>, scene: Option<&SceneRules>) -> Result<(), VerifyError> {
    let (Some(policy), Some(scene)) = (policy, scene) else { return Ok(()) };
    if scene.asks_consent && command.consent.as_str().is_empty() {
        return Err(VerifyError::ConsentMissing { expected: policy.consent_version.clone() });
    }
    if command.attempt.get() > scene.attempts_max {
        return Err(VerifyError::TooManyAttempts { max: scene.attempts_max });
    }
    Ok(())
}

/// The agent cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The connection to the center.
    #[error("the client of the center cannot be made")]
    Client(#[source] SetUpError),
    /// The configuration of acquisition does not suit the recipe of the models.
    #[error("the configuration does not suit the recipe of the models in use")]
    Rule(#[source] RuleError),
    /// The outbox.
    #[error("the outbox cannot be read")]
    Outbox(#[source] OutboxError),
}
