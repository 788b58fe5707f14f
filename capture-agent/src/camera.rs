//! Cameras: a source of frames, opened for one acquisition at a time and read on a thread of its own.
//!
//! Drivers may block for ever, so nobody waits for them: the thread puts its latest frame in a slot, and
//! [`Session::next`] waits for the slot, never longer than it is told. A thread that hangs in its driver is
//! left behind; until it comes back the camera answers "stalled" instead of hanging another one.
//!
//! Not here: which frame is good (`capture-core`), and what is in it (`models`).

pub mod device;
pub mod look;
mod pixels;
pub mod playback;
mod slot;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use capture_core::{CameraFault, Fingerprint, Moment};
use proto::v1::CameraState;
use thiserror::Error;

pub use pixels::{PixelError, Pixels};
pub use slot::Stop;
use slot::{Phase, Slot};

use crate::{
    clock::Clock,
    config::{CameraConfig, CameraKind},
};

/// The camera gave no frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CameraError {
    /// There is no such camera.
    #[error("no camera: {0}")]
    Absent(String),
    /// Another program has it.
    #[error("the camera is used by another program")]
    Busy,
    /// It was there and is no longer.
    #[error("the camera was lost while it was read: {0}")]
    Lost(String),
    /// It gives no fresh frames.
    #[error("the camera has given no fresh frame for {0} ms")]
    Stalled(u64),
    /// It did not open, or has not let go of an earlier use, in time.
    #[error("the camera did not open within {0} ms")]
    OpenTimeout(u64),
    /// The driver refuses.
    #[error("the camera failed: {0}")]
    Failed(String),
    /// It gives one picture again and again.
    #[error("the camera shows one picture again and again")]
    Frozen,
    /// Its pictures are black.
    #[error("the camera's pictures are black")]
    Black,
    /// Its pictures stand on their head.
    #[error("the camera's pictures stand on their head")]
    UpsideDown,
    /// Who stood before it is verified in another way, or not at all.
    #[error("the attempt was given up")]
    GivenUp,
    /// The folder of pictures cannot be played.
    #[error("{}: expected {expected}", path.display())]
    Playback {
        /// Folder or file.
        path: PathBuf,
        /// What was expected of it.
        expected: String,
    },
}

impl From<CameraFault> for CameraError {
    fn from(fault: CameraFault) -> Self {
        match fault {
            CameraFault::Frozen => Self::Frozen,
            CameraFault::Black => Self::Black,
            CameraFault::UpsideDown => Self::UpsideDown,
        }
    }
}

impl CameraError {
    /// Whether opening it again may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Absent(_) | Self::Busy | Self::Lost(_) | Self::Stalled(_) | Self::OpenTimeout(_) | Self::Frozen => true,
            Self::Black | Self::UpsideDown | Self::GivenUp | Self::Failed(_) | Self::Playback { .. } => false,
        }
    }

    /// How the device reports it to the center.
    #[must_use]
    pub fn state(&self) -> CameraState {
        match self {
            Self::Absent(_) | Self::Failed(_) | Self::Playback { .. } => CameraState::Absent,
            Self::Lost(_) => CameraState::Unplugged,
            Self::Frozen => CameraState::Frozen,
            Self::Black => CameraState::Black,
            Self::UpsideDown => CameraState::UpsideDown,
            Self::GivenUp => CameraState::Ready,
            Self::Busy => CameraState::Busy,
            Self::Stalled(_) | Self::OpenTimeout(_) => CameraState::Stalled,
        }
    }
}

/// One frame as the source gave it.
#[derive(Debug, Clone)]
pub struct Grabbed {
    /// Tells it from other frames.
    pub fingerprint: Fingerprint,
    /// What it shows.
    pub pixels: Pixels,
    /// Whether a picture stands in for a live scene, as in a playback: then it may stay the same.
    pub stands_in: bool,
}

/// One frame with its time.
#[derive(Debug, Clone)]
pub struct Frame {
    /// When it arrived from the source.
    pub taken_at: Moment,
    /// The frame.
    pub grabbed: Grabbed,
}

/// Something that can be opened and then gives frames.
pub trait Source: Send + Sync + 'static {
    /// Opens it. Called on the thread that will read it, and may block.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self) -> Result<Box<dyn Grabber>, CameraError>;
}

/// An opened source.
pub trait Grabber {
    /// Waits for the next frame. Drivers may block for longer than is good; sources of our own heed `stop`.
    ///
    /// # Errors
    /// When no frame will come any more.
    fn grab(&mut self, stop: &Stop) -> Result<Grabbed, CameraError>;
}

/// A camera of the counter.
pub struct Camera {
    source: Arc<dyn Source>,
    clock: Clock,
    open_timeout: Duration,
    latest: Mutex<Option<Arc<Slot>>>,
}

impl std::fmt::Debug for Camera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Camera").finish_non_exhaustive()
    }
}

impl Camera {
    /// A camera that reads this source.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, clock: Clock, open_timeout: Duration) -> Self {
        Self { source, clock, open_timeout, latest: Mutex::new(None) }
    }

    /// The camera the configuration asks for; opens nothing yet.
    #[must_use]
    pub fn from_config(config: &CameraConfig, clock: Clock) -> Self {
        let source: Arc<dyn Source> = match config.kind {
            CameraKind::Device => Arc::new(device::Device::from_config(config)),
            CameraKind::Playback => Arc::new(playback::Playback::from_config(config)),
        };
        Self::new(source, clock, Duration::from_millis(config.open_timeout_ms))
    }

    /// Opens the camera; dropping the session closes it.
    ///
    /// # Errors
    /// When it cannot be opened, or not in time.
    pub fn open(&self) -> Result<Session, CameraError> {
        let until = Instant::now() + self.open_timeout;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = latest.as_ref() {
            earlier.stop();
            if !earlier.wait_ended(until) {
                return Err(self.open_timed_out());
            }
        }
        let slot = Arc::new(Slot::default());
        *latest = Some(Arc::clone(&slot));
        drop(latest);
        let session = Session { slot: Arc::clone(&slot), seen: 0 };
        let (source, clock) = (Arc::clone(&self.source), self.clock);
        let thread = std::thread::Builder::new().name("camera".into());
        if let Err(error) = thread.spawn({
            let slot = Arc::clone(&slot);
            move || read(&*source, clock, &slot)
        }) {
            slot.end(Some(CameraError::Failed(error.to_string())));
        }
        match slot.wait_opened(until) {
            Phase::Opening => Err(self.open_timed_out()),
            Phase::Reading => Ok(session),
            Phase::Ended(error) => Err(error.unwrap_or(CameraError::Failed("it closed at once".into()))),
        }
    }

    /// Whether somebody has it open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.slot().is_some_and(|slot| slot.is_open())
    }

    /// The latest frame while somebody has it open, for showing; it is taken from nobody. Frames are kept for this only while they
    /// are asked for, so the first call gives nothing.
    #[must_use]
    pub fn glimpse(&self) -> Option<Pixels> {
        self.slot()?.glimpse()
    }

    /// Closes it for whoever has it open: they wanted a face, and are to look for none any more.
    pub fn give_up(&self) {
        if let Some(slot) = self.slot() {
            slot.end(Some(CameraError::GivenUp));
            slot.stop();
        }
    }

    fn slot(&self) -> Option<Arc<Slot>> {
        // Whoever opens the camera holds the lock for as long as that takes: nothing is shown meanwhile.
        self.latest.try_lock().ok().and_then(|latest| latest.clone())
    }

    fn open_timed_out(&self) -> CameraError {
        CameraError::OpenTimeout(u64::try_from(self.open_timeout.as_millis()).unwrap_or(u64::MAX))
    }
}

/// An open camera.
#[derive(Debug)]
pub struct Session {
    slot: Arc<Slot>,
    seen: u64,
}

impl Session {
    /// The latest frame not given before, or nothing when none comes within `patience`.
    ///
    /// # Errors
    /// When the camera has ended.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Frame>, CameraError> {
        let (number, frame) = self.slot.wait_frame(self.seen, Instant::now() + patience)?;
        self.seen = number;
        Ok(frame)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.slot.stop();
    }
}

/// Ends the slot however its thread ends, a panicking driver included.
struct EndOf<'a>(&'a Slot);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.end(Some(CameraError::Failed("its driver broke down".into())));
    }
}

fn read(source: &dyn Source, clock: Clock, slot: &Slot) {
    let end = EndOf(slot);
    let outcome = read_until_stopped(source, clock, slot);
    slot.end(outcome.err());
    drop(end);
}

fn read_until_stopped(source: &dyn Source, clock: Clock, slot: &Slot) -> Result<(), CameraError> {
    let mut grabber = source.open()?;
    slot.reading();
    while !slot.stop_flag().is_set() {
        let grabbed = grabber.grab(slot.stop_flag())?;
        slot.put(Frame { taken_at: clock.now(), grabbed });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
