//! Device health: what a counter says about itself, and what it must know to work.
//!
//! A bounded number of reports is kept of each device. How one follows those before it may raise a flag
//! (`matcher_core::device_health`), at most one of a kind for a device and day.

use std::sync::Arc;

use matcher_core::device_health::{self, REPORTS_LOOKED_AT, Said};
use models_core::ModelId;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::{
    policy::Policies,
    store::{self, Device, StoreError, TimeMs},
};

use super::{admission::Admission, flags};

/// Reports of a device that are kept.
pub const REPORTS_KEPT: u32 = 100;

/// That a device was heard is not written more often than this, in milliseconds.
const HEARD_EVERY_MS: TimeMs = 240_000;

/// State of a counter's camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// Unplugged while it was read.
    Unplugged,
    /// Gives one picture again and again.
    Frozen,
    /// Gives black pictures.
    Black,
    /// Gives pictures that stand on their head.
    UpsideDown,
}

/// What else a device knows of itself. Times are by its clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceState {
    /// When its agent started; 0 unknown.
    pub started_at: TimeMs,
    /// The center's clock minus its own, half a round trip taken off; 0 unknown.
    pub clock_offset_ms: i64,
    /// The round trip of that measurement.
    pub round_trip_ms: u32,
    /// Bytes of envelopes on its disk.
    pub spool_bytes: u64,
    /// When the oldest envelope that waits was made; 0 when none waits.
    pub spool_oldest: TimeMs,
    /// The next sequence number it will use.
    pub next_sequence: u64,
    /// When its certificate ends.
    pub certificate_expires_at: TimeMs,
    /// Free bytes of its disk; 0 unknown.
    pub disk_free_bytes: u64,
    /// How often its camera failed, and how.
    pub camera_faults: Vec<(Camera, u32)>,
    /// When its camera's present state began; 0 unknown.
    pub camera_since: TimeMs,
    /// What its own examination found, as `check:word`.
    pub findings: Vec<String>,
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
    /// Random name of the running agent.
    pub instance: Option<[u8; 16]>,
    /// The largest step of its clock it noticed, in milliseconds.
    pub clock_step_ms: i64,
    /// Everything else; absent from agents of earlier releases.
    pub state: Option<DeviceState>,
}

/// A report as it is kept and shown, without what rules look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Version of the device's software.
    pub agent_version: String,
    /// Feature models it can run.
    pub feature_models: Vec<String>,
    /// Whether the center's own is among them.
    pub runs_the_model: bool,
    /// Its camera.
    pub camera: Camera,
    /// Envelopes made and not yet answered.
    pub unanswered_envelopes: u32,
    /// Everything else.
    #[serde(default)]
    pub state: Option<DeviceState>,
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
        let said = Said {
            received_at: center_clock,
            behind_ms: center_clock.saturating_sub(report.device_clock),
            step_ms: report.clock_step_ms,
            instance: report.instance,
            next_sequence: report.state.as_ref().and_then(next_sequence),
        };
        info!(
            device.id, agent.version = report.agent_version, camera = ?report.camera, clock.behind_ms = said.behind_ms,
            envelopes.unanswered = report.unanswered_envelopes, "device health"
        );
        let runs_the_model = report.feature_models.contains(policy.model());
        if !runs_the_model {
            warn!(device.id, model.id = %policy.model(), "the device cannot run the center's feature model");
        }
        self.keep(&device, report, said, runs_the_model).await?;
        Ok(Briefing {
            center_clock: self.admission.surroundings.now_ms(),
            opening_key: *self.admission.opening.current().public().as_bytes(),
            feature_model: policy.model().to_string(),
            recipe: policy.recipe().to_string(),
            policy_version: policy.version().to_owned(),
            next_sequence: last_sequence.saturating_add(1),
            device: device.id,
            institution: device.institution,
        })
    }

    /// Holds a report against those before it, and keeps it.
    async fn keep(&self, device: &Device, report: &Report, said: Said, runs_the_model: bool) -> Result<(), StoreError> {
        let store = &self.admission.store;
        let earlier: Vec<Said> = store.reports(&device.id, REPORTS_LOOKED_AT).await?.iter().map(of_stored).collect();
        for suspicion in device_health::suspicions(&earlier, &said) {
            warn!(device.id, suspicion = suspicion.word(), "a device's reports do not follow one another as they should");
            self.admission.raise(flags::of_device(suspicion.reason(), device, said.received_at)).await?;
        }
        let kept = Kept {
            agent_version: report.agent_version.clone(),
            feature_models: report.feature_models.iter().map(ToString::to_string).collect(),
            runs_the_model,
            camera: report.camera,
            unanswered_envelopes: report.unanswered_envelopes,
            state: report.state.clone(),
        };
        let stored = store::registry::Report {
            device: device.id.clone(),
            received_at: said.received_at,
            behind_ms: said.behind_ms,
            step_ms: said.step_ms,
            instance: said.instance,
            detail: serde_json::to_string(&kept).unwrap_or_default(),
        };
        store.put_report(stored, REPORTS_KEPT).await
    }
}

fn of_stored(stored: &store::registry::Report) -> Said {
    let kept = serde_json::from_str::<Kept>(&stored.detail).ok();
    Said {
        received_at: stored.received_at,
        behind_ms: stored.behind_ms,
        step_ms: stored.step_ms,
        instance: stored.instance,
        next_sequence: kept.and_then(|kept| kept.state).as_ref().and_then(next_sequence),
    }
}

/// Numbers begin with 1; 0 says nothing.
fn next_sequence(state: &DeviceState) -> Option<u64> {
    Some(state.next_sequence).filter(|next| *next > 0)
}
