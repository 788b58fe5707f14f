//! Reporting the device's health, and what the center's answer is used for: the clock's offset, the opening
//! key, the model and recipe to make, and the numbers it has already seen.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use proto::v1::ReportHealthRequest;
use thiserror::Error;
use tracing::{info, warn};

use super::{Verifier, VerifyError};
use crate::{
    line::{
        client::CallError,
        spool::{CenterFacts, SpoolError},
    },
    policy::{DevicePolicy, PolicyError},
};

/// An offset of the clocks beyond this is worth a line in the log, in milliseconds.
const CLOCK_OFFSET_LOGGED_MS: u64 = 2_000;
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
        let sent_at_ms = self.clock.date_ms();
        let report = ReportHealthRequest {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            feature_models: vec![self.reader.feature_model().to_string()],
            camera: self.camera_state().into(),
            device_clock_ms: sent_at_ms,
            unanswered_envelopes: self.waiting().await.map_err(HealthError::Outbox)?,
        };
        let answer = self.client.report_health(report).await.map_err(HealthError::Call)?;
        let installed = &self.identity.registration.device;
        if answer.device != *installed {
            return Err(HealthError::OtherDevice { center: answer.device, installed: installed.clone() });
        }
        let facts = CenterFacts::from_answer(&answer, sent_at_ms, self.clock.date_ms()).map_err(|_| HealthError::OpeningKey)?;
        if facts.clock_offset_ms.unsigned_abs() > CLOCK_OFFSET_LOGGED_MS {
            warn!(clock.offset_ms = facts.clock_offset_ms, "this machine's clock differs from the center's");
        }
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
            let pause = if reachable == Some(true) { self.health_every } else { self.health_every.min(WHEN_UNREACHABLE) };
            tokio::time::sleep(pause).await;
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
