//! A camera that failed is looked at while nobody uses it, until it is well again: nobody has to press anything.

use std::{sync::Arc, time::Duration};

use proto::v1::CameraState;
use tracing::info;

use super::Verifier;
use crate::camera::look;

/// How often a camera that failed is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// How long it must be well: longer than the faults that only show after a while.
const WELL_FOR_MS: u64 = 2_200;

impl Verifier {
    /// Watches for as long as the agent runs.
    pub async fn keep_watching_camera(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.look_at_failed_camera().await;
        }
    }

    /// Looks at the camera once, if it failed and nobody uses it.
    pub async fn look_at_failed_camera(&self) {
        if matches!(self.camera_state(), CameraState::Unspecified | CameraState::Ready) {
            return;
        }
        // Whoever verifies meanwhile waits no longer than a look takes.
        let Ok(_turn) = self.camera_turn.try_acquire() else { return };
        let (camera, reader, clock) = (self.camera(), Arc::clone(&self.reader), self.clock);
        let looked = tokio::task::spawn_blocking(move || look::examine(&camera, Some(&*reader), clock, WELL_FOR_MS)).await;
        match looked {
            Ok(Ok(_)) => {
                info!("the camera is well again");
                self.standing.camera_is(CameraState::Ready);
            }
            Ok(Err(error)) => self.standing.camera_is(error.state()),
            Err(_) => {}
        }
    }
}
