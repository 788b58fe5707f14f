//! Reporting the device's health, and what the center's answer is used for: the clock's offset, the opening
//! key, the model and recipe to make, and the numbers it has already seen.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use proto::{
    briefing::{self, BriefingError},
    v1::ReportHealthRequest,
};
use thiserror::Error;
use tracing::{info, warn};

use super::{Verifier, VerifyError};
use crate::{
    doctor,
    durable::WriteError,
    line::{
        client::CallError,
        spool::{CenterFacts, Holdings, Spool, SpoolError},
    },
    policy::{DevicePolicy, PolicyError},
};

/// An offset of the clocks beyond this is worth a line in the log, in milliseconds.
const CLOCK_OFFSET_LOGGED_MS: u64 = 2_000;
/// How often the machine's clocks are looked at.
const LOOK_AT_CLOCKS: Duration = Duration::from_secs(5);
/// Changes are reported at most this often.
const SOONEST: Duration = Duration::from_secs(1);
/// A center that did not answer is asked again after this long.
const WHEN_UNREACHABLE: Duration = Duration::from_secs(5);

/// The health could not be reported.
#[derive(Debug, Error)]
pub enum HealthError {
    /// The center did not answer or refused.
    #[error("{0}")]
    Call(CallError),
    /// The center's answer has no opening key.
    #[error("the center's answer: opening_key: expected an X25519 public key")]
    OpeningKey,
    /// The answer is not signed by the center: somebody on the way changed it.
    #[error("the center's answer: {0}")]
    Foreign(BriefingError),
    /// The answer could not be kept.
    #[error("the center's answer could not be kept")]
    Outbox(#[source] SpoolError),
    /// The center knows the device by another name.
    #[error("the center knows this device as {center}: expected {installed}, as installed")]
    OtherDevice {
        /// What the center says.
        center: String,
        /// What the bundle says.
        installed: String,
    },
}

impl Verifier {
    /// Reports once and takes in what the center answers.
    ///
    /// # Errors
    /// When the center does not answer, or its answer cannot be used.
    pub async fn report_health(&self) -> Result<CenterFacts, HealthError> {
        let holdings = self.with_outbox(Spool::holdings).await.map_err(HealthError::Outbox)?;
        let state = self.standing.wire(&holdings, self.findings(&holdings));
        let told_step_ms = state.clock_step_ms;
        let (sent_at, sent_at_ms) = (self.clock.now(), self.clock.date_ms());
        let report = ReportHealthRequest {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            feature_models: vec![self.reader.feature_model().to_string()],
            camera: self.camera_state().into(),
            device_clock_ms: sent_at_ms,
            unanswered_envelopes: holdings.waiting,
            state: Some(state),
        };
        let answer = self.client.report_health(report).await.map_err(HealthError::Call)?;
        if let Some(key) = &self.identity.registration.policy_key {
            briefing::check(&answer, sent_at_ms, key).map_err(HealthError::Foreign)?;
        }
        let installed = &self.identity.registration.device;
        if answer.device != *installed {
            return Err(HealthError::OtherDevice { center: answer.device, installed: installed.clone() });
        }
        let facts = CenterFacts::from_answer(&answer, sent_at_ms, self.clock.date_ms()).map_err(|_| HealthError::OpeningKey)?;
        if facts.clock_offset_ms.unsigned_abs() > CLOCK_OFFSET_LOGGED_MS {
            warn!(clock.offset_ms = facts.clock_offset_ms, "this machine's clock differs from the center's");
        }
        self.standing.reported(facts.clock_offset_ms, self.clock.now().ms_since(sent_at), told_step_ms);
        let kept = facts.clone();
        self.with_outbox(move |outbox| {
            outbox.advance_to(answer.next_sequence)?;
            outbox.remember_center(&kept)
        })
        .await
        .map_err(HealthError::Outbox)?;
        *self.center.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts.clone());
        self.set_time().await;
        self.refresh_lease(&facts.policy_version).await;
        if let Some(forwarder) = &self.forwarder {
            forwarder.wake();
        }
        if let Err(error) = self.refresh_policy(&facts.policy_version).await {
            warn!(error = &error as &dyn std::error::Error, "the center's policy could not be taken; the last one stays");
        }
        Ok(facts)
    }

    /// Takes the policy in force from the center, where this device works by another one.
    async fn refresh_policy(&self, version: &str) -> Result<(), PolicyError> {
        let Some(key) = self.identity.registration.policy_key else { return Ok(()) };
        if self.policy().is_some_and(|policy| policy.version == version) {
            return Ok(());
        }
        let signed = self.client.fetch_policy().await.map_err(PolicyError::Call)?.policy.ok_or(PolicyError::Missing)?;
        let policy = DevicePolicy::verify(&signed, &key)?;
        self.with_outbox(move |outbox| outbox.remember_policy(&signed)).await.map_err(PolicyError::Outbox)?;
        info!(policy.version = policy.version, "another policy is in force");
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(policy));
        Ok(())
    }

    /// Reports for as long as the agent runs, and deletes what has been kept long enough.
    pub async fn keep_reporting(&self) {
        let mut reachable = None;
        loop {
            let every = self.tuned().health_every;
            let pause = if reachable == Some(true) { every } else { every.min(WHEN_UNREACHABLE) };
            self.wait_for_report(pause).await;
            if let Err(error) = self.renew_when_due().await {
                warn!(error = &error as &dyn std::error::Error, "the certificate could not be renewed");
            }
            match self.report_health().await {
                Ok(facts) => {
                    if reachable.replace(true) == Some(false) {
                        info!(policy.version = facts.policy_version, "the center answers again");
                    }
                }
                Err(error) => {
                    if reachable.replace(false) != Some(false) {
                        warn!(error = &error as &dyn std::error::Error, "health could not be reported");
                    }
                }
            }
            if reachable == Some(false) {
                self.note_time().await;
            }
            self.prune().await;
        }
    }

    /// Waits for the next report's time, or until the center should hear of something; looks at the clocks meanwhile.
    async fn wait_for_report(&self, pause: Duration) {
        let waiting = async {
            tokio::time::sleep(pause.min(SOONEST)).await;
            self.standing.changed().await;
        };
        let looking = async {
            loop {
                tokio::time::sleep(LOOK_AT_CLOCKS).await;
                self.standing.look_at_clocks();
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = waiting => {}
            () = looking => {}
        }
    }

    /// What is not in order and costs nothing to find out, as `check:word`.
    fn findings(&self, holdings: &Holdings) -> Vec<String> {
        let facts = doctor::facts::Cheap {
            now_ms: self.clock.date_ms(),
            clock_offset_ms: self.center().map(|facts| facts.clock_offset_ms),
            validity: Some(self.validity()),
            holdings: Some(*holdings),
            config: self.standing.config().clone(),
            dir: self.standing.dir().to_owned(),
        };
        doctor::words(&doctor::cheap(&facts))
    }

    /// Gives this running agent a name of its own, by which the center tells it from another with the same key.
    ///
    /// # Errors
    /// When the state folder cannot be written.
    pub fn begin_instance(&self) -> Result<(), WriteError> {
        self.standing.begin()
    }

    /// Forwards what waits for as long as the agent runs.
    pub async fn keep_forwarding(&self) {
        match &self.forwarder {
            Some(forwarder) => forwarder.run().await,
            None => std::future::pending().await,
        }
    }

    /// Deletes what has been kept long enough.
    pub async fn prune(&self) {
        let now_ms = self.clock.date_ms();
        if let Err(error) = self.with_outbox(move |outbox| outbox.prune(now_ms)).await {
            warn!(error = &error as &dyn std::error::Error, "the outbox could not be pruned");
        }
    }

    /// Asks the center anew before refusing to work for a difference of models: it may have moved on.
    pub(super) async fn check_model(&self) -> Result<(), VerifyError> {
        if self.same_model().is_ok() {
            return Ok(());
        }
        if let Err(error) = self.report_health().await {
            warn!(error = &error as &dyn std::error::Error, "health could not be reported");
        }
        self.same_model()
    }

    fn same_model(&self) -> Result<(), VerifyError> {
        let Some(facts) = self.center() else { return Ok(()) };
        let (model, recipe) = (self.reader.feature_model().as_str(), self.reader.recipe().as_str());
        // A center that names no model accepts what comes and says so in its answer.
        let same = |center: &str, ours: &str| center.is_empty() || center == ours;
        if same(&facts.feature_model, model) && same(&facts.recipe, recipe) {
            return Ok(());
        }
        let pair = |model: &str, recipe: &str| format!("model {model}, recipe {recipe}");
        Err(VerifyError::ModelDiffers { center: pair(&facts.feature_model, &facts.recipe), device: pair(model, recipe) })
    }
}
