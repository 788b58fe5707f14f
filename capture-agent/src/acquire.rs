//! One acquisition: the camera opened, frames read until `capture-core` is content, the probe made.
//!
//! A camera that fails is opened again a bounded number of times; then its error is the outcome. Nothing
//! here waits longer than the rule and the camera's own bounds allow. Blocking: call it off the async
//! threads.

use std::time::Duration;

use capture_core::{
    Acquisition, AcquisitionFailure, AcquisitionRule, CameraWatch, GoodFrame, Instruction, Observation, Progress, Search, Seen, WatchRule,
};
use models::{picture::Picture, side_by_side::side_by_side};
use models_core::{DetectedFace, FaceRefusal, dominant_face};
use proto::v1::{self, CameraState};
use thiserror::Error;
use tracing::{debug, info, warn};

use crate::{
    camera::{Camera, CameraError, Frame, Session, look},
    clock::Clock,
    vision::{Chosen, FaceReader, VisionError},
};

/// Share of the union of two boxes that they have in common, at least, when they are of one face.
const SAME_FACE_OVERLAP_MIN: f32 = 0.4;

/// Acquisition could not be carried out. Failure to acquire a face is no such error, but an outcome.
#[derive(Debug, Error)]
pub enum AcquireError {
    /// The camera failed.
    #[error("{0}")]
    Camera(CameraError),
    /// A network failed.
    #[error("the face could not be read")]
    Vision(#[source] VisionError),
}

/// How often, and after what pause, a failing camera is opened again.
#[derive(Debug, Clone, Copy)]
pub struct Reopening {
    /// At most this often.
    pub max: u32,
    /// After this pause.
    pub pause: Duration,
}

/// What acquisition ended with.
#[derive(Debug)]
pub struct Capture {
    /// The device's date of the chosen frame, or of the end without one: milliseconds since 1970-01-01 UTC.
    pub captured_at_ms: i64,
    /// The probe, or why there is none.
    pub outcome: Result<v1::ProbeSample, AcquisitionFailure>,
}

impl Capture {
    /// The outcome as it travels.
    #[must_use]
    pub fn into_wire(self) -> v1::capture::Outcome {
        match self.outcome {
            Ok(probe) => v1::capture::Outcome::Sample(probe),
            Err(failure) => v1::capture::Outcome::FailureToAcquire(v1::FailureToAcquire {
                reason: wire_reason(failure).into(),
                component: failure.component().map(|component| component.word().to_owned()).unwrap_or_default(),
            }),
        }
    }
}

fn wire_reason(failure: AcquisitionFailure) -> v1::AcquisitionFailure {
    match failure {
        AcquisitionFailure::NoFace => v1::AcquisitionFailure::NoFace,
        AcquisitionFailure::SeveralFaces => v1::AcquisitionFailure::SeveralFaces,
        AcquisitionFailure::TooSmall => v1::AcquisitionFailure::TooSmall,
        AcquisitionFailure::CutOff => v1::AcquisitionFailure::CutOff,
        AcquisitionFailure::FaceCovered => v1::AcquisitionFailure::FaceCovered,
        AcquisitionFailure::LowQuality(_) => v1::AcquisitionFailure::LowQuality,
        AcquisitionFailure::TooFewFrames => v1::AcquisitionFailure::TooFewFrames,
    }
}

/// Who is told what the person should do; called when the instruction changes.
pub type Guide<'a> = &'a (dyn Fn(Instruction) + Send + Sync);

/// Who is told how the camera is, at once and not only when acquisition ends.
pub type CameraReport<'a> = &'a (dyn Fn(CameraState) + Send + Sync);

/// Acquires one face, or finds that none can be had.
///
/// # Errors
/// When the camera keeps failing, or a network does.
pub fn acquire(
    camera: &Camera,
    reader: &dyn FaceReader,
    rule: &AcquisitionRule,
    reopening: Reopening,
    clock: Clock,
    (guide, report): (Guide<'_>, CameraReport<'_>),
) -> Result<Capture, AcquireError> {
    let mut reopened = 0;
    loop {
        let outcome = once(camera, reader, rule, clock, guide);
        match &outcome {
            Ok(_) | Err(AcquireError::Vision(_)) => report(CameraState::Ready),
            Err(AcquireError::Camera(error)) => report(error.state()),
        }
        match outcome {
            Err(AcquireError::Camera(error)) if error.may_pass() && reopened < reopening.max => {
                reopened += 1;
                warn!(camera.error = %error, camera.reopened = reopened, "camera failed and is opened again");
                std::thread::sleep(reopening.pause);
            }
            ended => return ended,
        }
    }
}

/// Where the time of an acquisition went, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    open_ms: u64,
    decode_ms: u64,
    detect_ms: u64,
    quality_ms: u64,
    frames: u64,
}

fn once(camera: &Camera, reader: &dyn FaceReader, rule: &AcquisitionRule, clock: Clock, guide: Guide<'_>) -> Result<Capture, AcquireError> {
    let started = clock.now();
    let mut session = camera.open().map_err(AcquireError::Camera)?;
    let mut spent = Spent { open_ms: clock.now().ms_since(started), ..Spent::default() };
    let mut machine = Acquisition::start(rule.clone(), clock.now());
    let mut watch = CameraWatch::new(WatchRule::default());
    let mut told = None;
    loop {
        machine = match step(machine, &mut watch, &mut session, (reader, clock, &mut spent))? {
            Progress::Continue(next, instruction) => {
                if told.replace(instruction) != Some(instruction) {
                    guide(instruction);
                }
                next
            }
            Progress::Acquired(frames) => {
                drop(session);
                let seen_ms = clock.now().ms_since(started);
                let capture = probe(&frames, reader, clock)?;
                let Spent { open_ms, decode_ms, detect_ms, quality_ms, frames } = spent;
                let features_ms = clock.now().ms_since(started) - seen_ms;
                info!(
                    stage.open_ms = open_ms,
                    stage.decode_ms = decode_ms,
                    stage.detect_ms = detect_ms,
                    stage.quality_ms = quality_ms,
                    stage.camera_ms = seen_ms.saturating_sub(open_ms + decode_ms + detect_ms + quality_ms),
                    stage.features_ms = features_ms,
                    frames,
                    "acquired"
                );
                return Ok(capture);
            }
            Progress::Failed(failure) => return Ok(Capture { captured_at_ms: clock.date_ms(), outcome: Err(failure) }),
            Progress::CameraStalled => return Err(AcquireError::Camera(CameraError::Stalled(rule.stall_after_ms))),
        };
    }
}

fn step(
    machine: Acquisition<Picture>,
    watch: &mut CameraWatch,
    session: &mut Session,
    (reader, clock, spent): (&dyn FaceReader, Clock, &mut Spent),
) -> Result<Progress<Picture>, AcquireError> {
    let patience = Duration::from_millis(machine.wake_at().ms_since(clock.now()));
    let frame = session.next(patience).map_err(AcquireError::Camera)?;
    let now = clock.now();
    match frame {
        Some(Frame { grabbed, .. }) if watch.is_last(grabbed.fingerprint) => {
            look::again(watch, now, &grabbed).map_err(AcquireError::Camera)?;
            Ok(machine.wait(now))
        }
        Some(Frame { taken_at, grabbed }) if machine.is_fresh(now, taken_at, grabbed.fingerprint) => {
            let (fingerprint, stands_in) = (grabbed.fingerprint, grabbed.stands_in);
            let picture = match grabbed.pixels.picture() {
                Ok(picture) => picture,
                Err(error) => {
                    debug!(error = &error as &dyn std::error::Error, "frame dropped");
                    return Ok(machine.wait(now));
                }
            };
            look::at_picture(watch, now, &picture, (fingerprint, stands_in)).map_err(AcquireError::Camera)?;
            let decoded = clock.now();
            spent.decode_ms += decoded.ms_since(now);
            let (faces, whole) = faces_of(&picture, machine.search(now), reader)?;
            look::for_turned(watch, now, &picture, &faces, reader)
                .map_err(AcquireError::Vision)?
                .map_or(Ok(()), |fault| Err(AcquireError::Camera(fault.into())))?;
            let found = clock.now();
            let seen = seen(&picture, &faces, machine.rule(), reader)?;
            spent.detect_ms += found.ms_since(decoded);
            spent.quality_ms += clock.now().ms_since(found);
            spent.frames += 1;
            // What was found is as old as the search took; the frame was fresh when it was taken up.
            Ok(machine.observe(now, Observation { taken_at, fingerprint, whole, seen, frame: picture }))
        }
        Some(_) | None => Ok(machine.wait(now)),
    }
}

/// The faces of a frame, and whether all of it was searched.
fn faces_of(picture: &Picture, search: Search, reader: &dyn FaceReader) -> Result<(Vec<DetectedFace>, bool), AcquireError> {
    if let Search::Around(last) = search {
        let near = reader.detect_near(picture, &last).map_err(AcquireError::Vision)?;
        if !near.is_empty() {
            return Ok((near, false));
        }
    }
    Ok((reader.detect(picture).map_err(AcquireError::Vision)?, true))
}

/// The face that counts, measured.
fn seen(
    picture: &Picture,
    faces: &[DetectedFace],
    rule: &AcquisitionRule,
    reader: &dyn FaceReader,
) -> Result<Result<Seen, FaceRefusal>, AcquireError> {
    #[expect(clippy::cast_precision_loss, reason = "frames are far smaller than 2^24 pixels wide")]
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    match dominant_face(faces, width, height, &rule.face) {
        Ok(face) => {
            let quality = reader.quality(picture, faces, &face).map_err(AcquireError::Vision)?;
            Ok(Ok(Seen { face, quality }))
        }
        Err(refusal) => Ok(Err(refusal)),
    }
}

fn probe(frames: &[GoodFrame<Picture>], reader: &dyn FaceReader, clock: Clock) -> Result<Capture, AcquireError> {
    let best = frames.first().map_or_else(|| clock.now(), |frame| frame.taken_at);
    let faces = side_by_side(frames, |frame| placed(frame, reader)).into_iter().collect::<Result<Vec<_>, _>>()?;
    let chosen: Vec<Chosen<'_>> = frames.iter().zip(&faces).map(|(frame, face)| (&frame.frame, face, &frame.quality)).collect();
    let probe = reader.probe(&chosen).map_err(AcquireError::Vision)?;
    Ok(Capture { captured_at_ms: clock.date_ms_of(best), outcome: Ok(probe) })
}

/// The face of a chosen frame, from a search of all of it: the search around the last face, which follows people
/// at the camera's rate, places landmarks less exactly than features want them.
fn placed(frame: &GoodFrame<Picture>, reader: &dyn FaceReader) -> Result<DetectedFace, AcquireError> {
    let faces = reader.detect(&frame.frame).map_err(AcquireError::Vision)?;
    let nearest = faces.iter().copied().max_by(|a, b| {
        let overlap = |face: &DetectedFace| face.face_box.overlap(&frame.face.face_box);
        overlap(a).total_cmp(&overlap(b))
    });
    Ok(nearest.filter(|face| face.face_box.overlap(&frame.face.face_box) >= SAME_FACE_OVERLAP_MIN).unwrap_or(frame.face))
}
