//! Looking at a camera: what is the matter with it, by the rules of `capture_core::camera_watch`.
//!
//! Acquisition does this with every frame; [`examine`] does it without acquiring anybody, for the doctor and for a camera that
//! failed and may be well again. Nothing of what is seen is kept.

use std::time::Duration;

use capture_core::{CameraFault, CameraWatch, Fingerprint, Glance, Moment, Sight, WatchRule};
use models::picture::Picture;
use models_core::DetectedFace;

use super::{Camera, CameraError, Frame, Grabbed};
use crate::{
    clock::Clock,
    vision::{FaceReader, VisionError},
};

/// Detection score that a face in a turned picture must have: what stands on its head is looked at twice.
const TURNED_SCORE_MIN: f32 = 0.7;
/// A camera that gives no frame for this long has stalled, in milliseconds.
const STALL_AFTER_MS: u64 = 2_000;

/// What an examination found.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// Mean brightness of the last picture, 0–255.
    pub brightness: f32,
    /// Frames a second.
    pub rate_fps: f32,
}

/// The very frame before came again.
pub(crate) fn again(watch: &mut CameraWatch, now: Moment, grabbed: &Grabbed) -> Result<(), CameraError> {
    let sight = Sight { fingerprint: grabbed.fingerprint, glance: None, stands_in: grabbed.stands_in };
    watch.see(now, sight).map_or(Ok(()), |fault| Err(fault.into()))
}

/// Looks at a new picture.
pub(crate) fn at_picture(
    watch: &mut CameraWatch,
    now: Moment,
    picture: &Picture,
    (fingerprint, stands_in): (Fingerprint, bool),
) -> Result<(), CameraError> {
    let glance = Glance::of(picture.width(), picture.height(), picture.pixels());
    watch.see(now, Sight { fingerprint, glance, stands_in }).map_or(Ok(()), |fault| Err(fault.into()))
}

/// Looks for a face in the picture turned round, now and then, where none was found upright.
pub(crate) fn for_turned(
    watch: &mut CameraWatch,
    now: Moment,
    picture: &Picture,
    faces: &[DetectedFace],
    reader: &dyn FaceReader,
) -> Result<Option<CameraFault>, VisionError> {
    if !faces.is_empty() {
        watch.upright();
        return Ok(None);
    }
    if !watch.wants_turned(now) {
        return Ok(None);
    }
    let found = reader.detect(&picture.turned())?.iter().any(|face| face.score >= TURNED_SCORE_MIN);
    Ok(watch.turned(now, found))
}

/// Opens the camera and looks at it for a while; with a reader, for faces on their head too. Blocking.
///
/// # Errors
/// What is the matter with it.
pub fn examine(camera: &Camera, reader: Option<&dyn FaceReader>, clock: Clock, for_ms: u64) -> Result<Examined, CameraError> {
    let mut session = camera.open()?;
    let started = clock.now();
    let mut watch = CameraWatch::new(WatchRule::default());
    let (mut last_at, mut frames) = (started, 0_u16);
    loop {
        let now = clock.now();
        if now.ms_since(started) >= for_ms {
            break;
        }
        if now.ms_since(last_at) >= STALL_AFTER_MS {
            return Err(CameraError::Stalled(STALL_AFTER_MS));
        }
        let left = for_ms.saturating_sub(now.ms_since(started)).min(STALL_AFTER_MS.saturating_sub(now.ms_since(last_at)));
        let Some(Frame { grabbed, .. }) = session.next(Duration::from_millis(left.max(1)))? else { continue };
        let now = clock.now();
        (last_at, frames) = (now, frames.saturating_add(1));
        if watch.is_last(grabbed.fingerprint) {
            again(&mut watch, now, &grabbed)?;
            continue;
        }
        let about = (grabbed.fingerprint, grabbed.stands_in);
        let Ok(picture) = grabbed.pixels.picture() else { continue };
        at_picture(&mut watch, now, &picture, about)?;
        if let Some(reader) = reader
            && watch.wants_turned(now)
        {
            let turned = reader.detect(&picture).and_then(|faces| for_turned(&mut watch, now, &picture, &faces, reader));
            // A network that fails is found by its self-test.
            turned.unwrap_or(None).map_or(Ok(()), |fault| Err(CameraError::from(fault)))?;
        }
    }
    let seconds = Duration::from_millis(last_at.ms_since(started).max(1)).as_secs_f32();
    match watch.brightness() {
        Some(brightness) => Ok(Examined { brightness, rate_fps: f32::from(frames) / seconds }),
        None => Err(CameraError::Stalled(for_ms)),
    }
}
