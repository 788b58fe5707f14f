//! What happens to a transaction while somebody watches: numbered events, each once, in order.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

/// Events of one transaction; later instructions are left out, later states and verdicts never.
const INSTRUCTIONS_MAX: usize = 1_000;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The transaction's state changed: `state`, `ways`, `next_attempt`.
    State,
    /// What the person before the camera should do: `instruction`, `text_en`, `text_zh`.
    Instruction,
    /// An attempt was answered: the answer, as an attempt gives it.
    Verdict,
    /// An attempt came to nothing: an error, as an attempt gives it.
    Error,
    /// The operator changed: how often so far.
    Shift,
    /// What became of a confirmation or reversal.
    Settlement,
}

impl EventKind {
    /// The word for it, the event's name on the stream.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Instruction => "instruction",
            Self::Verdict => "verdict",
            Self::Error => "error",
            Self::Shift => "shift",
            Self::Settlement => "settlement",
        }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number, from 1.
    pub id: u64,
    /// What it is about.
    pub kind: EventKind,
    /// What it says.
    pub data: Value,
}

/// The events of one transaction.
#[derive(Debug)]
pub struct Events {
    list: Mutex<Vec<Event>>,
    last_at: Mutex<Instant>,
    count: watch::Sender<u64>,
}

impl Default for Events {
    fn default() -> Self {
        Self { list: Mutex::default(), last_at: Mutex::new(Instant::now()), count: watch::Sender::new(0) }
    }
}

impl Events {
    /// Adds an event.
    pub fn add(&self, kind: EventKind, data: Value) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if kind == EventKind::Instruction && list.len() >= INSTRUCTIONS_MAX {
            return;
        }
        let id = list.len() as u64 + 1;
        list.push(Event { id, kind, data });
        *self.last_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.count.send_replace(id);
    }

    /// The event after the one of a number, if it has happened.
    #[must_use]
    pub fn after(&self, id: u64) -> Option<Event> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        usize::try_from(id).ok().and_then(|place| list.get(place)).cloned()
    }

    /// The events from the last that `begins` names, it left out; all where there is none.
    #[must_use]
    pub fn since(&self, begins: impl Fn(&Event) -> bool) -> Vec<Event> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let from = list.iter().rposition(begins).map_or(0, |place| place + 1);
        list.iter().skip(from).cloned().collect()
    }

    /// How long nothing happened.
    #[must_use]
    pub fn quiet_for(&self) -> Duration {
        self.last_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Told how many there are, when one is added.
    #[must_use]
    pub fn count(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_once_in_order_and_instructions_are_bounded() {
        let events = Events::default();
        for _ in 0..INSTRUCTIONS_MAX + 5 {
            events.add(EventKind::Instruction, Value::Null);
        }
        events.add(EventKind::State, Value::Null);
        let last = events.after(INSTRUCTIONS_MAX as u64).unwrap();
        assert_eq!((last.id, last.kind), (INSTRUCTIONS_MAX as u64 + 1, EventKind::State));
        assert_eq!((events.after(last.id), events.after(u64::MAX)), (None, None));
        assert_eq!(*events.count().borrow(), last.id);
        assert_eq!(serde_json::to_value(EventKind::Verdict).unwrap(), EventKind::Verdict.word());
    }
}
