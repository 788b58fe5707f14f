//! The place between a camera's thread and who reads it: one frame, one phase, one stop sign.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{CameraError, Frame, Pixels};

/// Frames are kept for showing until nobody asked for so long.
const SHOWN_FOR: Duration = Duration::from_secs(1);

/// How far a camera's thread is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// In the driver's opening.
    #[default]
    Opening,
    /// Giving frames.
    Reading,
    /// Over, and why if not because it was asked to.
    Ended(Option<CameraError>),
}

/// A sign that a source should end soon.
#[derive(Debug, Default)]
pub struct Stop {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.lock()
    }

    /// Sleeps this long, or until the sign is set.
    pub fn sleep(&self, patience: Duration) {
        drop(self.changed.wait_timeout_while(self.lock(), patience, |set| !*set));
    }

    /// Sleeps until the sign is set.
    pub fn wait(&self) {
        drop(self.changed.wait_while(self.lock(), |set| !*set));
    }

    pub(super) fn set(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    frame: Option<Frame>,
    number: u64,
    /// The latest frame once more, for showing.
    shown: Option<Pixels>,
    /// When somebody asked for it last.
    asked_at: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    changed: Condvar,
    stop: Stop,
}

impl Slot {
    pub(super) fn stop(&self) {
        self.stop.set();
    }

    pub(super) fn stop_flag(&self) -> &Stop {
        &self.stop
    }

    pub(super) fn reading(&self) {
        self.change(|state| state.phase = Phase::Reading);
    }

    /// The first end counts.
    pub(super) fn end(&self, error: Option<CameraError>) {
        self.change(|state| {
            if !matches!(state.phase, Phase::Ended(_)) {
                state.phase = Phase::Ended(error);
            }
            (state.frame, state.shown) = (None, None);
        });
    }

    pub(super) fn put(&self, frame: Frame) {
        self.change(|state| {
            let asked = state.asked_at.is_some_and(|at| at.elapsed() < SHOWN_FOR);
            state.shown = asked.then(|| frame.grabbed.pixels.clone());
            state.frame = Some(frame);
            state.number += 1;
        });
    }

    pub(super) fn is_open(&self) -> bool {
        !self.stop.is_set() && !matches!(self.lock().phase, Phase::Ended(_))
    }

    pub(super) fn glimpse(&self) -> Option<Pixels> {
        if !self.is_open() {
            return None;
        }
        let mut state = self.lock();
        state.asked_at = Some(Instant::now());
        state.shown.clone()
    }

    /// The phase once it is not `Opening` any more, or `Opening` at `until`.
    pub(super) fn wait_opened(&self, until: Instant) -> Phase {
        self.wait_while(until, |state| state.phase == Phase::Opening).phase.clone()
    }

    /// Whether it has ended by `until`.
    pub(super) fn wait_ended(&self, until: Instant) -> bool {
        matches!(self.wait_while(until, |state| !matches!(state.phase, Phase::Ended(_))).phase, Phase::Ended(_))
    }

    /// The latest frame and its number, once that is beyond `seen`; no frame when none came by `until`.
    pub(super) fn wait_frame(&self, seen: u64, until: Instant) -> Result<(u64, Option<Frame>), CameraError> {
        let mut state = self.wait_while(until, |state| state.number <= seen && !matches!(state.phase, Phase::Ended(_)));
        if state.number > seen {
            return Ok((state.number, state.frame.take()));
        }
        match &state.phase {
            Phase::Opening | Phase::Reading => Ok((seen, None)),
            Phase::Ended(error) => Err(error.clone().unwrap_or(CameraError::Lost("it was closed".into()))),
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait_while(&self, until: Instant, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let patience = until.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(self.lock(), patience, |state| condition(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
