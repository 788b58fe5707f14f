//! Acquisition: frames in, one instruction at a time out, then the best samples or the reason there are none.
//!
//! [`Acquisition`] is given every frame with the face found in it, its quality, and the present moment. It
//! counts only fresh frames (recent, and not seen before: a frozen camera repeats itself) that pass the gate,
//! all from one uninterrupted presence, and ends with the best of them: as many as the recipe fuses, however
//! much time is left. Size, pose, eyes and mask are asked for and, after a while, let go down to a floor. A mask is
//! asked about once; where it stays on and covers too much, acquisition ends so that another way can be
//! offered. It ends by itself at the deadline, and earlier when no fresh frame arrives at all. Each step takes
//! the machine and gives it back only when it goes on, so that nothing can follow an end.
//!
//! Not here: where frames come from, how faces are found and measured, what instructions look like.

mod candidates;
mod failure;
mod instruction;
mod rule;

use std::collections::VecDeque;

use models_core::{Component, DetectedFace, FaceRefusal, Gate, Quality};

pub use candidates::GoodFrame;
pub use failure::AcquisitionFailure;
pub use instruction::Instruction;
pub use rule::{AcquisitionRule, RuleError};

use crate::Moment;
use candidates::Candidates;
use instruction::Shortfall;

/// How many of the latest shortfalls are weighed when acquisition fails.
const RECENT_SHORTFALLS: usize = 8;
/// How many of the latest frames a new one is held against.
const RECENT_FRAMES: usize = 64;
/// A face this much of the frame's height fills the picture.
const FILLS_THE_PICTURE: f32 = 0.6;
/// A face that moved further than this many of its widths between two frames is another one.
const SAME_FACE_SHIFT_MAX: f32 = 1.0;
/// A face that grew or shrank by more than this factor between two frames is another one.
const SAME_FACE_GROWTH_MAX: f32 = 1.8;

/// Tells two frames apart; made by whatever took them. Two exposures of one still scene differ, one
/// exposure delivered twice does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u64);

/// Where the next frame is to be searched for faces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Search {
    /// Everywhere.
    Whole,
    /// Around this face of the frame before; everywhere when it is not found there.
    Around(DetectedFace),
}

/// The face that counts, and its quality.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The face.
    pub face: DetectedFace,
    /// What was measured of it.
    pub quality: Quality,
}

/// One frame and what was found in it. `frame` is whatever the caller wants back for the chosen ones.
#[derive(Debug, Clone)]
pub struct Observation<F> {
    /// When the frame was taken.
    pub taken_at: Moment,
    /// Tells it from other frames.
    pub fingerprint: Fingerprint,
    /// Whether all of it was searched.
    pub whole: bool,
    /// The face that counts, or why none does.
    pub seen: Result<Seen, FaceRefusal>,
    /// The frame itself.
    pub frame: F,
}

/// What a step led to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one machine, moved a few times a second")]
pub enum Progress<F> {
    /// Not done: the machine, and what the person is asked to do now.
    Continue(Acquisition<F>, Instruction),
    /// As many good frames as the recipe fuses, the best first.
    Acquired(Vec<GoodFrame<F>>),
    /// Failure to acquire.
    Failed(AcquisitionFailure),
    /// The camera gave no fresh frame for as long as the rule allows: nothing is known about the person.
    CameraStalled,
}

/// The state machine of one acquisition.
#[derive(Debug)]
pub struct Acquisition<F> {
    rule: AcquisitionRule,
    relaxed_gate: Gate,
    started_at: Moment,
    last_fresh_at: Moment,
    recent_frames: VecDeque<Fingerprint>,
    recent_shortfalls: VecDeque<Shortfall>,
    /// Frames that pass the gate.
    good: Candidates<F>,
    /// Frames that fall short of it in nothing but size, pose, eyes or mask, and not below the floor.
    passable: Candidates<F>,
    last_face: Option<DetectedFace>,
    last_whole_at: Option<Moment>,
    mask_asked_at: Option<Moment>,
    wanted: Instruction,
    shown: Option<(Instruction, Moment)>,
}

impl<F> Acquisition<F> {
    /// Starts an acquisition: the camera is open and the person may look at it.
    #[must_use]
    pub fn start(rule: AcquisitionRule, now: Moment) -> Self {
        let candidates = || Candidates::new(rule.frame_gap_ms, rule.good_frames);
        Self {
            relaxed_gate: rule.relaxed_gate(),
            started_at: now,
            last_fresh_at: now,
            recent_frames: VecDeque::with_capacity(RECENT_FRAMES),
            recent_shortfalls: VecDeque::with_capacity(RECENT_SHORTFALLS),
            good: candidates(),
            passable: candidates(),
            last_face: None,
            last_whole_at: None,
            mask_asked_at: None,
            wanted: Instruction::WaitForCamera,
            shown: None,
            rule,
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

    /// Where to search the next frame: around the last face, and now and then everywhere.
    #[must_use]
    pub fn search(&self, now: Moment) -> Search {
        match (self.last_face, self.last_whole_at) {
            (Some(face), Some(at)) if now.ms_since(at) < self.rule.whole_every_ms => Search::Around(face),
            _ => Search::Whole,
        }
    }

    /// The rule it works by.
    #[must_use]
    pub fn rule(&self) -> &AcquisitionRule {
        &self.rule
    }

    /// Takes a frame that arrived at `now`. A frame that is not fresh counts for nothing.
    #[must_use]
    pub fn observe(mut self, now: Moment, observation: Observation<F>) -> Progress<F> {
        let Observation { taken_at, fingerprint, whole, seen, frame } = observation;
        if !self.is_fresh(now, taken_at, fingerprint) {
            return self.wait(now);
        }
        self.last_fresh_at = now;
        push_bounded(&mut self.recent_frames, fingerprint, RECENT_FRAMES);
        if whole {
            self.last_whole_at = Some(now);
        }
        match seen {
            Err(refusal) => {
                self.last_face = None;
                self.fall_short(now, Shortfall::Face(refusal), false)
            }
            Ok(Seen { face, quality }) => {
                if self.last_face.replace(face).is_some_and(|last| !is_same_face(&last, &face)) {
                    self.forget();
                }
                self.weigh(now, GoodFrame { taken_at, face, quality, frame })
            }
        }
    }

    /// Lets time pass without a frame.
    #[must_use]
    pub fn wait(mut self, now: Moment) -> Progress<F> {
        if now >= self.deadline() {
            self.end(now)
        } else if now.ms_since(self.last_fresh_at) >= self.rule.stall_after_ms {
            Progress::CameraStalled
        } else {
            let instruction = self.instruct(now);
            Progress::Continue(self, instruction)
        }
    }

    fn deadline(&self) -> Moment {
        self.started_at.plus_ms(self.rule.deadline_ms)
    }

    /// Holds a frame against the gate, and against what is left of it after a while.
    fn weigh(mut self, now: Moment, frame: GoodFrame<F>) -> Progress<F> {
        let too_large = frame.quality.get(Component::HeadSize).is_some_and(|size| size.raw > FILLS_THE_PICTURE);
        match (self.rule.gate.check(&frame.quality), self.relaxed_gate.check(&frame.quality)) {
            (Ok(()), _) => {
                self.good.keep(frame);
                self.recent_shortfalls.clear();
                self.wanted = Instruction::HoldStill;
                if self.counted(now) >= self.rule.good_frames { self.end(now) } else { self.wait(now) }
            }
            (Err(advice), Ok(())) => {
                self.passable.keep(frame);
                if self.counted(now) >= self.rule.good_frames {
                    return self.end(now);
                }
                self.fall_short(now, Shortfall::Quality(advice), too_large)
            }
            (Err(_), Err(refusal)) => self.fall_short(now, Shortfall::Quality(refusal), too_large),
        }
    }

    fn fall_short(mut self, now: Moment, shortfall: Shortfall, too_large: bool) -> Progress<F> {
        push_bounded(&mut self.recent_shortfalls, shortfall, RECENT_SHORTFALLS);
        if shortfall.breaks_presence() {
            self.forget();
        }
        self.wanted = shortfall.instruction(too_large);
        if self.wanted == Instruction::TakeOffMask {
            let asked_at = *self.mask_asked_at.get_or_insert(now);
            let below_floor = matches!(shortfall, Shortfall::Quality(refusal)
                if self.relaxed_gate.at_least(refusal.component).is_some_and(|floor| refusal.score < floor));
            if below_floor && now.ms_since(asked_at) >= self.rule.relax_after_ms {
                return Progress::Failed(AcquisitionFailure::FaceCovered);
            }
        }
        if self.relaxes(now) && shortfall_is_advice(shortfall, &self.relaxed_gate) {
            self.wanted = Instruction::HoldStill;
        }
        self.wait(now)
    }

    /// Whoever stands there now may be another person.
    fn forget(&mut self) {
        self.good.clear();
        self.passable.clear();
    }

    /// Whether size, pose, eyes and mask have been asked for long enough.
    fn relaxes(&self, now: Moment) -> bool {
        let since = self.mask_asked_at.map_or(self.started_at, |asked_at| asked_at.max(self.started_at));
        now.ms_since(since) >= self.rule.relax_after_ms
    }

    /// How many frames count by now.
    fn counted(&self, now: Moment) -> usize {
        self.good.len() + if self.relaxes(now) { self.passable.len() } else { 0 }
    }

    fn end(self, now: Moment) -> Progress<F> {
        if self.counted(now) >= self.rule.frames {
            let relaxes = self.relaxes(now);
            let mut passable = self.passable;
            if !relaxes {
                passable.clear();
            }
            return Progress::Acquired(self.good.best(passable, self.rule.frames));
        }
        match (commonest(&self.recent_shortfalls), self.good.len() + self.passable.len()) {
            (Some(shortfall), _) => Progress::Failed(shortfall.into()),
            (None, 0) => Progress::CameraStalled,
            (None, _) => Progress::Failed(AcquisitionFailure::TooFewFrames),
        }
    }

    /// What is asked for now; what was asked for a moment ago stays until it could be read.
    fn instruct(&mut self, now: Moment) -> Instruction {
        match self.shown {
            Some((shown, since)) if shown != self.wanted && !is_passing(shown) && now.ms_since(since) < self.rule.dwell_ms => shown,
            Some((shown, _)) if shown == self.wanted => shown,
            Some(_) | None => {
                self.shown = Some((self.wanted, now));
                self.wanted
            }
        }
    }
}

/// An instruction that nobody needs time to read.
fn is_passing(instruction: Instruction) -> bool {
    matches!(instruction, Instruction::WaitForCamera | Instruction::HoldStill)
}

fn shortfall_is_advice(shortfall: Shortfall, relaxed: &Gate) -> bool {
    match shortfall {
        Shortfall::Face(_) => false,
        Shortfall::Quality(refusal) => {
            instruction::is_advice(refusal.component) && relaxed.at_least(refusal.component).is_none_or(|floor| refusal.score >= floor)
        }
    }
}

/// Whether two faces of consecutive frames can be one person's: people do not jump or swell.
fn is_same_face(last: &DetectedFace, face: &DetectedFace) -> bool {
    let (from, to) = (last.face_box.center(), face.face_box.center());
    let (width, grown) = (last.face_box.width().max(1.0), face.face_box.width().max(1.0) / last.face_box.width().max(1.0));
    (to.x - from.x).hypot(to.y - from.y) <= SAME_FACE_SHIFT_MAX * width
        && (1.0 / SAME_FACE_GROWTH_MAX..=SAME_FACE_GROWTH_MAX).contains(&grown)
}

/// The commonest of the latest shortfalls by what they are reported as, the later one of two equally common.
fn commonest(shortfalls: &VecDeque<Shortfall>) -> Option<Shortfall> {
    let word = |shortfall: &Shortfall| AcquisitionFailure::from(*shortfall);
    let count = |wanted: &Shortfall| shortfalls.iter().filter(|shortfall| word(shortfall) == word(wanted)).count();
    shortfalls.iter().copied().max_by_key(count)
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, len_max: usize) {
    if queue.len() == len_max {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests;
