//! Device health: what a counter says about itself, and what it must know to work.

use std::sync::Arc;

use models_core::ModelId;
use tracing::{info, warn};

use crate::{
    policy::Policies,
    store::{Device, StoreError, TimeMs},
};

use super::admission::Admission;

/// That a device was heard is not written more often than this, in milliseconds.
const HEARD_EVERY_MS: TimeMs = 240_000;

/// State of a counter's camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Camera {
    /// Not said.
    Unknown,
    /// Frames arrive.
    Ready,
    /// No device found.
    Absent,
    /// Used by another program.
    Busy,
    /// Stopped giving frames.
    Stalled,
}

/// What a device reports.
#[derive(Debug, Clone)]
pub struct Report {
    /// Version of its software.
    pub agent_version: String,
    /// Feature models it can run.
    pub feature_models: Vec<ModelId>,
    /// Its camera.
    pub camera: Camera,
    /// Its clock.
    pub device_clock: TimeMs,
    /// Envelopes made and not yet answered.
    pub unanswered_envelopes: u32,
}

/// What a device must know to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Briefing {
    /// Its id in the registry.
    pub device: String,
    /// Its institution in the registry.
    pub institution: String,
    /// The center's clock.
    pub center_clock: TimeMs,
    /// The key envelopes are sealed to.
    pub opening_key: [u8; 32],
    /// The feature model the center compares with.
    pub feature_model: String,
    /// The recipe the center compares with.
    pub recipe: String,
    /// The policy in force.
    pub policy_version: String,
    /// The next sequence number the center has not seen.
    pub next_sequence: u64,
}

/// Receives health reports.
#[derive(Clone)]
pub struct Health {
    /// Registry, keys and clock.
    pub admission: Admission,
    /// The policy in force.
    pub policies: Arc<Policies>,
}

impl Health {
    /// Notes that a device was heard, where that says more than what is known.
    async fn hear(&self, device: &Device, report: &Report, last_sequence: u64, now: TimeMs) -> Result<(), StoreError> {
        let nothing_waits = (report.unanswered_envelopes == 0).then_some(last_sequence);
        let lately = |at: TimeMs| now.saturating_sub(at) < HEARD_EVERY_MS;
        let known = self.admission.store.last_heard(&device.id).await?;
        let says_more = match known {
            Some((heard_at, nothing_waited_at)) => !lately(heard_at) || (nothing_waits.is_some() && !nothing_waited_at.is_some_and(lately)),
            None => true,
        };
        if says_more { self.admission.store.heard(&device.id, now, nothing_waits).await } else { Ok(()) }
    }

    /// Takes a device's report and briefs it.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn report(&self, device: Device, report: &Report) -> Result<Briefing, StoreError> {
        let last_sequence = self.admission.store.last_sequence(&device.id).await?;
        let center_clock = self.admission.surroundings.now_ms();
        self.hear(&device, report, last_sequence, center_clock).await?;
        let in_force = self.policies.current();
        let policy = &in_force.policy;
        let clock_behind_ms = center_clock.saturating_sub(report.device_clock);
        info!(
            device.id, agent.version = report.agent_version, camera = ?report.camera, clock.behind_ms = clock_behind_ms,
            envelopes.unanswered = report.unanswered_envelopes, "device health"
        );
        if !report.feature_models.contains(policy.model()) {
            warn!(device.id, model.id = %policy.model(), "the device cannot run the center's feature model");
        }
        Ok(Briefing {
            center_clock,
            opening_key: *self.admission.opening.current().public().as_bytes(),
            feature_model: policy.model().to_string(),
            recipe: policy.recipe().to_string(),
            policy_version: policy.version().to_owned(),
            next_sequence: last_sequence.saturating_add(1),
            device: device.id,
            institution: device.institution,
        })
    }
}
