//! The line at the door: a call waits for its turn, or is told at once when to come again.
//!
//! A call holds its [`Place`] while it is worked on. It is refused when its device asks too much, when the line is
//! full, and when it could not be served before its deadline: then nothing was begun. Who is next is said by
//! `matcher_core::overload`; how a refusal travels, by `crate::grpc`.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use matcher_core::overload::{Arrival, Bucket, Class, Limits, Line, Rate, Ticket, retry_after};
use thiserror::Error;
use tokio::{sync::oneshot, time::Instant};

use crate::{app::batch::Pressure, surroundings::os_random};

/// Devices whose rate is remembered; more are forgotten once they have rested.
const DEVICES_MAX: usize = 65_536;
/// What a call is believed to take before any has ended.
const FIRST_GUESS: Duration = Duration::from_millis(10);
/// Share of a call that ended in what calls are believed to take.
const WEIGHT: f64 = 1.0 / 32.0;

/// Who calls, as far as turns and rates go; not whether they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The institution, or whatever else takes turns as one.
    pub institution: Arc<str>,
    /// The device.
    pub device: Arc<str>,
}

/// Why a call is refused although nothing is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Busy {
    /// The device asked more than one device may.
    #[error("the device calls more often than a device may")]
    Device,
    /// As many calls wait as may.
    #[error("as many calls wait as may")]
    Full,
    /// The calls before it take longer than it can wait.
    #[error("the call could not be served before its deadline")]
    Deadline,
}

/// A refusal, and when to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub why: Busy,
    /// After which time to come again.
    pub retry_after: Duration,
}

/// The line of one process.
#[derive(Clone)]
pub struct Queue {
    state: Arc<Mutex<State>>,
    limits: Limits,
    rate: Rate,
    began: Instant,
    pressure: Pressure,
}

struct State {
    line: Line,
    /// Those who wait, to be told that they start (dropped: that they are refused).
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
    buckets: HashMap<Arc<str>, Bucket>,
    call_seconds: f64,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Queue").field("working", &state.line.working()).field("waiting", &state.line.waiting()).finish_non_exhaustive()
    }
}

impl Queue {
    /// An empty line with these limits for calls, and this rate for each device.
    #[must_use]
    pub fn new(limits: Limits, rate: Rate) -> Self {
        let state =
            State { line: Line::new(limits), waiting: HashMap::new(), buckets: HashMap::new(), call_seconds: FIRST_GUESS.as_secs_f64() };
        Self { state: Arc::new(Mutex::new(state)), limits, rate, began: Instant::now(), pressure: Pressure::default() }
    }

    /// With somebody who is to feel when live calls wait or are refused.
    #[must_use]
    pub fn felt_by(self, pressure: Pressure) -> Self {
        Self { pressure, ..self }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// When the call is not to be served, or not before its deadline.
    pub async fn enter(&self, caller: &Caller, class: Class, deadline: Instant) -> Result<Place, Refused> {
        let arrived = self.arrive(caller, class, deadline);
        if class == Class::Live && !matches!(&arrived, Ok((_, None)) | Err(Refused { why: Busy::Device, .. })) {
            self.pressure.felt();
        }
        let (mut place, turn) = arrived?;
        let Some(turn) = turn else { return Ok(place) };
        match tokio::time::timeout_at(deadline, turn).await {
            Ok(Ok(())) => {
                place.since = Some(Instant::now());
                Ok(place)
            }
            // Another call that asks less took the place in the line.
            Ok(Err(_)) => Err(self.refused(Busy::Full)),
            Err(_) => Err(self.refused(Busy::Deadline)),
        }
    }

    /// When a caller whose answer cannot be recorded now should come again.
    #[must_use]
    pub fn later(&self) -> Duration {
        self.refused(Busy::Full).retry_after
    }

    /// Takes a place, or one in the line with the message that it starts.
    fn arrive(&self, caller: &Caller, class: Class, deadline: Instant) -> Result<(Place, Option<oneshot::Receiver<()>>), Refused> {
        let now = Instant::now();
        let mut state = self.state();
        if let Err(wait) = state.take(&caller.device, self.rate, now - self.began) {
            return Err(Refused { why: Busy::Device, retry_after: retry_after(wait, draw()) });
        }
        match state.line.arrive(&caller.institution, class) {
            Arrival::Starts(ticket) => Ok((Place { queue: self.clone(), ticket, since: Some(now) }, None)),
            Arrival::Waits(ticket, loser) => {
                // Its sender goes with it, which tells it.
                loser.and_then(|loser| state.waiting.remove(&loser));
                if now + state.wait(ticket, self.limits) > deadline {
                    state.leave(ticket);
                    return Err(self.refusal(&state, Busy::Deadline));
                }
                let (start, turn) = oneshot::channel();
                state.waiting.insert(ticket, start);
                Ok((Place { queue: self.clone(), ticket, since: None }, Some(turn)))
            }
            Arrival::Refused => Err(self.refusal(&state, Busy::Full)),
        }
    }

    fn refused(&self, why: Busy) -> Refused {
        self.refusal(&self.state(), why)
    }

    fn refusal(&self, state: &State, why: Busy) -> Refused {
        let backlog = Duration::try_from_secs_f64(state.call_seconds * state.line.waiting() as f64 / self.limits.working_max as f64);
        Refused { why, retry_after: retry_after(backlog.unwrap_or(Duration::MAX), draw()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, device: &Arc<str>, rate: Rate, now: Duration) -> Result<(), Duration> {
        if let Some(bucket) = self.buckets.get_mut(device) {
            return bucket.take(rate, now);
        }
        if self.buckets.len() >= DEVICES_MAX {
            self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
        }
        let mut bucket = Bucket::full(rate, now);
        let taken = bucket.take(rate, now);
        self.buckets.insert(Arc::clone(device), bucket);
        taken
    }

    /// How long a waiting call is likely to wait: as many turns as come before it, at the pace of all places, or of
    /// those its institution may hold.
    fn wait(&self, ticket: Ticket, limits: Limits) -> Duration {
        let Some((ahead, own)) = self.line.ahead(ticket) else { return Duration::ZERO };
        let turns = |ahead: usize, places: usize| (ahead + 1) as f64 / places as f64;
        let turns = turns(ahead, limits.working_max).max(turns(own, limits.institution_max));
        Duration::try_from_secs_f64(turns * self.call_seconds).unwrap_or(Duration::MAX)
    }

    fn leave(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
        for started in self.line.leave(ticket) {
            // One who went away meanwhile leaves by dropping the place.
            let _ = self.waiting.remove(&started).map(|start| start.send(()));
        }
    }
}

/// A call's place, or its place in the line; given up when this is dropped.
#[derive(Debug)]
pub struct Place {
    queue: Queue,
    ticket: Ticket,
    since: Option<Instant>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if let Some(since) = self.since {
            state.call_seconds += (since.elapsed().as_secs_f64() - state.call_seconds) * WEIGHT;
        }
        state.leave(self.ticket);
    }
}

/// A random number from 0 to below 1.
fn draw() -> f64 {
    f64::from(u32::from_be_bytes(os_random())) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests;
