//! Figures of days, what stood out in them, and what was accepted as a new state. What is derived can be deleted and comes back.

use async_trait::async_trait;
use matcher_core::{
    drift::{Chart, Day, Reading},
    figures::{Dimension, Figures, Observed, Place},
};

use super::{StoreError, TimeMs};

/// A day's figures of one place.
#[derive(Debug, Clone, PartialEq)]
pub struct DayFigures {
    /// The day.
    pub day: Day,
    /// Of what.
    pub place: Place,
    /// The model its scores are of; empty without scores.
    pub model: String,
    /// The counts.
    pub figures: Figures,
}

/// How far a day is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedDay {
    /// The day.
    pub day: Day,
    /// When it was counted last.
    pub counted_at: TimeMs,
    /// Whether nothing more comes.
    pub complete: bool,
    /// Readings that were judged together; nothing before they were.
    pub charts: Option<u64>,
}

/// What stands beside decisions: provisional receipts and flags of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Institution; may be empty.
    pub institution: String,
    /// Device; may be empty.
    pub device: String,
    /// Provisional receipts.
    pub provisional: u64,
    /// Flags.
    pub flags: u64,
}

/// One chart of one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChartOf {
    /// Of a camera or an institution.
    pub place: Place,
    /// Which.
    pub chart: Chart,
}

/// A chart that was an alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// On which day.
    pub day: Day,
    /// Which chart.
    pub of: ChartOf,
    /// What was seen.
    pub value: f64,
    /// What was to be expected.
    pub expected: f64,
    /// How large the change is (`Reading::effect`).
    pub effect: f64,
    /// How likely so much is where nothing changed.
    pub p: f64,
}

impl Alarm {
    /// An alarm of a reading.
    #[must_use]
    pub fn new(day: Day, of: ChartOf, reading: &Reading) -> Self {
        Self { day, of, value: reading.value, expected: reading.expected, effect: reading.effect, p: reading.p }
    }
}

/// Somebody said that a chart's state from a day on is the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Which chart.
    pub of: ChartOf,
    /// From which day on.
    pub from: Day,
    /// When it was said.
    pub at: TimeMs,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Statistics.
#[async_trait]
pub trait Statistics: Send + Sync {
    /// When the first verification that is there was decided.
    async fn first_decided(&self) -> Result<Option<TimeMs>, StoreError>;
    /// The decisions of a span, as far as they are counted; hours are left at 0, which depend on the calendar.
    async fn observed(&self, from: TimeMs, until: TimeMs) -> Result<Vec<(TimeMs, Observed)>, StoreError>;
    /// What stands beside the decisions of a span.
    async fn beside(&self, from: TimeMs, until: TimeMs) -> Result<Vec<Beside>, StoreError>;
    /// Writes a day's figures in place of those that are there.
    async fn put_statistics(&self, counted: CountedDay, figures: Vec<DayFigures>) -> Result<(), StoreError>;
    /// Writes a day's alarms in place of those that are there, and how many readings were judged.
    async fn put_alarms(&self, day: Day, charts: u64, alarms: Vec<Alarm>) -> Result<(), StoreError>;
    /// Deletes all that is derived, from a day on.
    async fn delete_statistics(&self, from: Day) -> Result<u64, StoreError>;
    /// Deletes figures and alarms of days before one: what is kept no longer.
    async fn delete_statistics_before(&self, day: Day) -> Result<u64, StoreError>;
    /// Days that are counted, from one on, rising.
    async fn counted_days(&self, from: Day) -> Result<Vec<CountedDay>, StoreError>;
    /// Sums of days by place, the largest first: of one institution, or of all.
    async fn figures(
        &self,
        dimension: Dimension,
        days: (Day, Day),
        institution: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(Place, Figures)>, StoreError>;
    /// Figures of places day by day, rising: of one place, or of all of a dimension.
    async fn series(&self, dimension: Dimension, days: (Day, Day), place: Option<&Place>) -> Result<Vec<DayFigures>, StoreError>;
    /// Alarms of days, by day.
    async fn drift_alarms(&self, days: (Day, Day)) -> Result<Vec<Alarm>, StoreError>;
    /// Alarms of a camera or an institution, by day.
    async fn drift_alarms_of(&self, place: &Place) -> Result<Vec<Alarm>, StoreError>;
    /// Writes that a state is the new one; it is in the audit log.
    async fn accept_drift(&self, accepted: Accepted) -> Result<(), StoreError>;
    /// All states that were accepted.
    async fn accepted_drifts(&self) -> Result<Vec<Accepted>, StoreError>;
}
