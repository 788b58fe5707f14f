//! What of the configuration counts without another start: how people are guided, which camera, and how long is waited.
//!
//! Each attempt works by what stood when it began. Not here: reading the file ([`reload`](crate::service::reload)).

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use capture_core::AcquisitionRule;

use super::{StartError, Verifier};
use crate::{
    acquire::Reopening,
    camera::Camera,
    config::{CameraConfig, Config, ConfigError, TransactionsConfig, value},
};

/// Keys that [`Verifier::tune`] lets count at once: a key, or a table with its dot.
pub const KEYS: [&str; 7] = [
    "acquisition.",
    "camera.",
    "center.degrade_after_ms",
    "center.health_every_s",
    "outbox.waiting_hours",
    "transactions.",
    // Which no verifier has, but everybody who reads a configuration again.
    "log.filter",
];

/// The key among them that does not: places in a queue are given out.
pub const EXCEPT: &str = "camera.waiting_max";

/// What the verifier works by.
#[derive(Debug, Clone)]
pub struct Tuned {
    pub(super) rule: AcquisitionRule,
    pub(super) reopening: Reopening,
    pub(super) wait_for: Duration,
    pub(super) health_every: Duration,
    /// How long a live call may take where this device may answer by itself.
    pub(super) degrade_after: Duration,
    /// How long an envelope may wait before this device answers nothing by itself any more, in hours.
    pub(super) waiting_hours: u32,
    camera: CameraConfig,
    /// How long transactions stay open, and how many.
    pub transactions: TransactionsConfig,
}

impl Tuned {
    /// What a configuration says, for a recipe that fuses so many frames.
    pub(super) fn of(config: &Config, frames: usize) -> Result<Self, StartError> {
        Ok(Self {
            rule: config.acquisition.rule(frames).checked().map_err(StartError::Rule)?,
            reopening: Reopening { max: config.camera.reopen_max, pause: Duration::from_millis(config.camera.reopen_pause_ms) },
            wait_for: Duration::from_millis(config.camera.wait_for_ms),
            health_every: Duration::from_secs(config.center.health_every_s),
            degrade_after: Duration::from_millis(config.center.degrade_after_ms),
            waiting_hours: config.outbox.waiting_hours,
            camera: config.camera.clone(),
            transactions: config.transactions,
        })
    }
}

impl Verifier {
    /// What it works by now.
    #[must_use]
    pub fn tuned(&self) -> Arc<Tuned> {
        Arc::clone(&self.tuned.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a configuration suits the models in use, so that [`tune`](Self::tune) can take it.
    ///
    /// # Errors
    /// The first key that does not.
    pub fn fits(&self, config: &Config) -> Result<(), ConfigError> {
        let rule = config.acquisition.rule(self.reader.frames()).checked();
        rule.map(drop).map_err(|error| value(format!("acquisition.{}", error.field), error.expected))
    }

    /// Works by a configuration from now on, as far as [`KEYS`] goes; another camera from the next attempt.
    ///
    /// # Errors
    /// When the configuration does not suit the models; then nothing changed.
    pub async fn tune(&self, config: &Config) -> Result<(), StartError> {
        let tuned = Arc::new(Tuned::of(config, self.reader.frames())?);
        // Whoever has the camera keeps it until the attempt ends.
        let _turn = self.camera_turn.acquire().await;
        if self.tuned().camera != tuned.camera {
            let camera = Arc::new(Camera::from_config(&config.camera, self.clock));
            *self.camera.write().unwrap_or_else(PoisonError::into_inner) = camera;
        }
        *self.tuned.write().unwrap_or_else(PoisonError::into_inner) = tuned;
        Ok(())
    }
}
