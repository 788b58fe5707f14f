//! What is told to the center's own systems, as the store keeps it: written with the step it tells of, sent afterwards.
//!
//! Not here: what is told (`matcher_core::console::told`), and how it is sent (`crate::app::webhook`).

use async_trait::async_trait;
use matcher_core::console::Told;

use super::{RecordId, StoreError, TimeMs};

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToTell {
    /// Its id: the same however often it is sent.
    pub id: RecordId,
    /// The case.
    pub case: RecordId,
    /// Its place among what is told of the case, from 1.
    pub number: u32,
    /// What.
    pub kind: Told,
    /// What is sent, JSON: the same bytes however often.
    pub body: String,
    /// When the step was taken.
    pub made_at: TimeMs,
    /// When it may be sent next.
    pub due_at: TimeMs,
    /// How often it was sent, this time included; the fence of whoever is too slow.
    pub tries: u32,
    /// When it was taken.
    pub delivered_at: Option<TimeMs>,
    /// When it was given up.
    pub dead_at: Option<TimeMs>,
    /// What was said to the last try that failed.
    pub said: String,
}

/// Which of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToTellIn {
    /// All.
    #[default]
    Any,
    /// Not taken yet.
    Waiting,
    /// Given up.
    Dead,
    /// Taken.
    Delivered,
}

/// How a try ended that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// When the next may be made; none when it is given up.
    pub due_at: Option<TimeMs>,
    /// When this one ended.
    pub at: TimeMs,
    /// What was said.
    pub said: String,
}

/// What is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// This one.
    One(RecordId),
    /// All that were given up.
    Dead,
    /// All that were made at or after a time.
    Since(TimeMs),
}

/// What is told.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes what is due, the first of each case that was not taken before; nobody else takes it for `lease_ms`.
    async fn take_to_tell(&self, now: TimeMs, lease_ms: i64, limit: u32) -> Result<Vec<ToTell>, StoreError>;
    /// Notes that it was taken; false when somebody else has had it meanwhile.
    async fn told(&self, id: RecordId, tries: u32, at: TimeMs) -> Result<bool, StoreError>;
    /// Notes that a try failed; false when somebody else has had it meanwhile.
    async fn not_told(&self, id: RecordId, tries: u32, failed: Failed) -> Result<bool, StoreError>;
    /// What there is, newest first.
    async fn to_tell(&self, which: ToTellIn, since: TimeMs, limit: u32) -> Result<Vec<ToTell>, StoreError>;
    /// Lets them be sent again, in their order; says how many.
    async fn tell_again(&self, which: Replay, by: &str, at: TimeMs) -> Result<u64, StoreError>;
}
