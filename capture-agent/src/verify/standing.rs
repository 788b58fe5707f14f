//! How this device stands: its running name, its certificate, its clocks, its camera. What a health report says of them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use capture_core::ClockWatch;
use proto::v1::{self, CameraState};
use tokio::sync::Notify;

use crate::{
    clock::Clock,
    config::DeviceConfig,
    durable::{self, Readers, WriteError},
    identity::{Identity, Validity},
    line::spool::Holdings,
};

/// Name of the file with the running agent's name; commands beside it report under the same.
pub const INSTANCE_FILE: &str = "agent.instance";

/// What the last report measured.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    clock_offset_ms: i64,
    round_trip_ms: u32,
}

/// The camera as it was last seen.
#[derive(Debug, Clone, Default)]
struct Camera {
    state: CameraState,
    since_ms: i64,
    faults: BTreeMap<i32, u32>,
}

#[derive(Debug)]
struct State {
    instance: Vec<u8>,
    validity: Validity,
    measured: Measured,
    watch: ClockWatch,
    camera: Camera,
}

/// How this device stands.
#[derive(Debug)]
pub(crate) struct Standing {
    dir: PathBuf,
    config: DeviceConfig,
    clock: Clock,
    started_at_ms: i64,
    state: Mutex<State>,
    /// Told when something changed that the center should hear of soon.
    changed: Notify,
}

impl Standing {
    pub(crate) fn new(identity: &Identity, config: &DeviceConfig, clock: Clock) -> Self {
        let instance = fs::read(identity.dir.join(INSTANCE_FILE)).ok().filter(|name| name.len() == 16).unwrap_or_default();
        let state = State {
            instance,
            validity: identity.validity,
            measured: Measured::default(),
            watch: ClockWatch::new(clock.now(), clock.date_ms()),
            camera: Camera::default(),
        };
        let (dir, config) = (identity.dir.clone(), config.clone());
        Self { dir, config, clock, started_at_ms: clock.date_ms(), state: Mutex::new(state), changed: Notify::new() }
    }

    /// Gives the running agent a name of its own; it is written down for commands beside it.
    pub(crate) fn begin(&self) -> Result<(), WriteError> {
        let mut name = [0; 16];
        let path = self.dir.join(INSTANCE_FILE);
        getrandom::fill(&mut name).map_err(|error| WriteError { path: path.clone(), source: std::io::Error::other(error) })?;
        durable::write(&path, &name, Readers::Owner)?;
        self.lock().instance = name.to_vec();
        Ok(())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn config(&self) -> &DeviceConfig {
        &self.config
    }

    pub(crate) fn validity(&self) -> Validity {
        self.lock().validity
    }

    pub(crate) fn renewed(&self, validity: Validity) {
        self.lock().validity = validity;
        self.changed.notify_one();
    }

    /// The camera's state, as last seen.
    pub(crate) fn camera_state(&self) -> CameraState {
        self.lock().camera.state
    }

    /// Takes what was seen of the camera.
    pub(crate) fn camera_is(&self, state: CameraState) {
        let now_ms = self.clock.date_ms();
        let mut held = self.lock();
        let camera = &mut held.camera;
        if camera.state == state {
            return;
        }
        let known = camera.state != CameraState::Unspecified || state != CameraState::Ready;
        (camera.state, camera.since_ms) = (state, now_ms);
        if state != CameraState::Ready {
            let count = camera.faults.entry(state.into()).or_default();
            *count = count.saturating_add(1);
        }
        drop(held);
        // Read by commands beside the agent; where it cannot be written they say that they do not know.
        let _ = fs::write(self.dir.join(crate::serve::CAMERA_FILE), crate::web::camera_word(state));
        if known {
            self.changed.notify_one();
        }
    }

    /// Waits until the center should hear of something.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Looks at the clocks.
    pub(crate) fn look_at_clocks(&self) {
        let (now, date_ms) = (self.clock.now(), self.clock.date_ms());
        self.lock().watch.look(now, date_ms);
    }

    /// Keeps what a report measured, and that the center heard of a step of the clock.
    pub(crate) fn reported(&self, clock_offset_ms: i64, round_trip_ms: u64, told_step_ms: i64) {
        let mut held = self.lock();
        held.measured = Measured { clock_offset_ms, round_trip_ms: u32::try_from(round_trip_ms).unwrap_or(u32::MAX) };
        held.watch.taken(told_step_ms);
    }

    /// What the health report says.
    pub(crate) fn wire(&self, holdings: &Holdings, findings: Vec<String>) -> v1::DeviceState {
        self.look_at_clocks();
        let held = self.lock();
        let faults = held.camera.faults.iter().map(|(state, count)| v1::CameraFaults { state: *state, count: *count });
        v1::DeviceState {
            instance: held.instance.clone(),
            started_at_ms: self.started_at_ms,
            clock_offset_ms: held.measured.clock_offset_ms,
            round_trip_ms: held.measured.round_trip_ms,
            clock_step_ms: held.watch.back_ms(),
            spool_bytes: holdings.bytes,
            spool_oldest_ms: holdings.oldest_ms.unwrap_or_default(),
            next_sequence: holdings.next_sequence,
            certificate_expires_at_ms: held.validity.until_ms,
            disk_free_bytes: crate::doctor::machine::disk_free_bytes(&self.dir).unwrap_or_default(),
            camera_faults: faults.collect(),
            camera_since_ms: held.camera.since_ms,
            findings,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
