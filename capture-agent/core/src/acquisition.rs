//! Acquisition: frames in, one instruction at a time out, then a face or the reason there is none.
//!
//! [`Acquisition`] is given every frame with the faces found in it and the present moment. It counts only
//! fresh frames (recent, and not seen before: a frozen camera repeats itself), wants several good ones in
//! a row from one uninterrupted presence, and then ends with the best of them. It ends by itself at the
//! deadline, and earlier when no fresh frame arrives at all. Each step takes the machine and gives it back
//! only when it goes on, so that nothing can follow an end.
//!
//! Not here: where frames come from, how faces are found, what instructions look like on a screen.

mod rule;

use std::collections::VecDeque;

use models_core::{DetectedFace, FaceRefusal, dominant_face};

pub use rule::{AcquisitionRule, RuleError};

use crate::Moment;

/// How many of the latest refusals are weighed when acquisition fails.
const RECENT_REFUSALS: usize = 8;
/// How many of the latest frames a new one is held against.
const RECENT_FRAMES: usize = 64;

/// Tells two frames apart; made by whatever took them. Two exposures of one still scene differ, one
/// exposure delivered twice does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u64);

/// One frame and what was found in it. `frame` is whatever the caller wants back for the chosen one.
#[derive(Debug, Clone)]
pub struct Observation<F> {
    /// When the frame was taken.
    pub taken_at: Moment,
    /// Tells it from other frames.
    pub fingerprint: Fingerprint,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Faces found in it, in no particular order.
    pub faces: Vec<DetectedFace>,
    /// The frame itself.
    pub frame: F,
}

/// What the person at the counter is asked to do now; exactly one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Instruction {
    /// No face is seen.
    LookAtCamera,
    /// Several people stand before the camera.
    OnePersonOnly,
    /// The face is too small.
    ComeCloser,
    /// The face is cut off by the edge of the picture.
    MoveToMiddle,
    /// The face is blurred, dark or covered.
    FaceTheLight,
    /// All is well; a few frames more.
    HoldStill,
    /// The camera gives no fresh frames.
    WaitForCamera,
}

impl Instruction {
    /// The word for it in the local API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::LookAtCamera => "look_at_camera",
            Self::OnePersonOnly => "one_person_only",
            Self::ComeCloser => "come_closer",
            Self::MoveToMiddle => "move_to_middle",
            Self::FaceTheLight => "face_the_light",
            Self::HoldStill => "hold_still",
            Self::WaitForCamera => "wait_for_camera",
        }
    }
}

/// Why acquisition ended without a face. An outcome, not a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcquisitionFailure {
    /// No face.
    NoFace,
    /// Several faces of similar size.
    SeveralFaces,
    /// A face, but never large enough.
    TooSmall,
    /// A face, but cut off by the edge of the picture.
    CutOff,
    /// A face, but the detector was never sure enough of it.
    LowQuality,
}

impl AcquisitionFailure {
    /// The word for it in records and in the local API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoFace => "no_face",
            Self::SeveralFaces => "several_faces",
            Self::TooSmall => "too_small",
            Self::CutOff => "cut_off",
            Self::LowQuality => "low_quality",
        }
    }

    fn instruction(self) -> Instruction {
        match self {
            Self::NoFace => Instruction::LookAtCamera,
            Self::SeveralFaces => Instruction::OnePersonOnly,
            Self::TooSmall => Instruction::ComeCloser,
            Self::CutOff => Instruction::MoveToMiddle,
            Self::LowQuality => Instruction::FaceTheLight,
        }
    }

    /// Whether it leaves open that another person stands there now.
    fn breaks_presence(self) -> bool {
        matches!(self, Self::NoFace | Self::SeveralFaces)
    }
}

impl From<FaceRefusal> for AcquisitionFailure {
    fn from(refusal: FaceRefusal) -> Self {
        match refusal {
            FaceRefusal::NoFace => Self::NoFace,
            FaceRefusal::SeveralFaces => Self::SeveralFaces,
            FaceRefusal::TooSmall => Self::TooSmall,
            FaceRefusal::CutOff => Self::CutOff,
        }
    }
}

/// The chosen face and its frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Acquired<F> {
    /// When the frame was taken.
    pub taken_at: Moment,
    /// The face.
    pub face: DetectedFace,
    /// The frame it is in.
    pub frame: F,
}

impl<F> Acquired<F> {
    /// Detection score × inter-eye distance in pixels: larger is better, until quality is measured.
    fn worth(&self) -> f32 {
        self.face.score * self.face.landmarks.inter_eye_distance()
    }
}

/// What a step led to.
#[derive(Debug)]
pub enum Progress<F> {
    /// Not done: the machine, and what the person is asked to do now.
    Continue(Acquisition<F>, Instruction),
    /// A face was acquired.
    Acquired(Acquired<F>),
    /// Failure to acquire.
    Failed(AcquisitionFailure),
    /// The camera gave no fresh frame for as long as the rule allows: nothing is known about the person.
    CameraStalled,
}

/// The state machine of one acquisition.
#[derive(Debug)]
pub struct Acquisition<F> {
    rule: AcquisitionRule,
    started_at: Moment,
    last_fresh_at: Moment,
    recent_frames: VecDeque<Fingerprint>,
    recent_refusals: VecDeque<AcquisitionFailure>,
    good_frames: u32,
    best: Option<Acquired<F>>,
}

impl<F> Acquisition<F> {
    /// Starts an acquisition: the camera is open and the person may look at it.
    #[must_use]
    pub fn start(rule: AcquisitionRule, now: Moment) -> Self {
        Self {
            rule,
            started_at: now,
            last_fresh_at: now,
            recent_frames: VecDeque::with_capacity(RECENT_FRAMES),
            recent_refusals: VecDeque::with_capacity(RECENT_REFUSALS),
            good_frames: 0,
            best: None,
        }
    }

    /// When the machine wants to be stepped at the latest, with or without a frame.
    #[must_use]
    pub fn wake_at(&self) -> Moment {
        self.deadline().min(self.last_fresh_at.plus_ms(self.rule.stall_after_ms))
    }

    /// Whether a frame would count now: callers spare themselves the search for faces in one that would not.
    #[must_use]
    pub fn is_fresh(&self, now: Moment, taken_at: Moment, fingerprint: Fingerprint) -> bool {
        now.ms_since(taken_at) <= self.rule.stale_after_ms && !self.recent_frames.contains(&fingerprint)
    }

    /// Takes a frame that arrived at `now`. A frame that is not fresh counts for nothing.
    #[must_use]
    pub fn observe(mut self, now: Moment, seen: Observation<F>) -> Progress<F> {
        if !self.is_fresh(now, seen.taken_at, seen.fingerprint) {
            return self.wait(now);
        }
        self.last_fresh_at = now;
        push_bounded(&mut self.recent_frames, seen.fingerprint, RECENT_FRAMES);
        match self.judge(&seen) {
            Ok(face) => self.keep(now, Acquired { taken_at: seen.taken_at, face, frame: seen.frame }),
            Err(refusal) => self.refuse(now, refusal),
        }
    }

    /// Lets time pass without a frame.
    #[must_use]
    pub fn wait(self, now: Moment) -> Progress<F> {
        if now >= self.deadline() {
            self.end()
        } else if now.ms_since(self.last_fresh_at) >= self.rule.stall_after_ms {
            Progress::CameraStalled
        } else {
            let instruction = self.instruction();
            Progress::Continue(self, instruction)
        }
    }

    fn deadline(&self) -> Moment {
        self.started_at.plus_ms(self.rule.deadline_ms)
    }

    fn judge(&self, seen: &Observation<F>) -> Result<DetectedFace, AcquisitionFailure> {
        #[expect(clippy::cast_precision_loss, reason = "frames are far smaller than 2^24 pixels wide")]
        let (width, height) = (seen.width as f32, seen.height as f32);
        let face = dominant_face(&seen.faces, width, height, &self.rule.face)?;
        if face.score < self.rule.good_detection_score_min { Err(AcquisitionFailure::LowQuality) } else { Ok(face) }
    }

    fn keep(mut self, now: Moment, candidate: Acquired<F>) -> Progress<F> {
        self.good_frames += 1;
        self.recent_refusals.clear();
        if self.best.as_ref().is_none_or(|best| candidate.worth() > best.worth()) {
            self.best = Some(candidate);
        }
        if self.good_frames >= self.rule.good_frames { self.end() } else { self.wait(now) }
    }

    fn refuse(mut self, now: Moment, refusal: AcquisitionFailure) -> Progress<F> {
        push_bounded(&mut self.recent_refusals, refusal, RECENT_REFUSALS);
        if refusal.breaks_presence() {
            self.good_frames = 0;
            self.best = None;
        }
        self.wait(now)
    }

    fn end(self) -> Progress<F> {
        let failure = self.failure();
        match (self.best, failure) {
            (Some(best), _) => Progress::Acquired(best),
            (None, Some(failure)) => Progress::Failed(failure),
            (None, None) => Progress::CameraStalled,
        }
    }

    /// The commonest of the latest refusals, the later one of two equally common.
    fn failure(&self) -> Option<AcquisitionFailure> {
        let count = |wanted| self.recent_refusals.iter().filter(|refusal| **refusal == wanted).count();
        self.recent_refusals.iter().copied().max_by_key(|refusal| count(*refusal))
    }

    fn instruction(&self) -> Instruction {
        match (self.recent_refusals.back(), &self.best) {
            (Some(refusal), _) => refusal.instruction(),
            (None, Some(_)) => Instruction::HoldStill,
            (None, None) => Instruction::WaitForCamera,
        }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, len_max: usize) {
    if queue.len() == len_max {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests;
