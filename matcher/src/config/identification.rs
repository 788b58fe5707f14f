//! Settings of searching faces.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, within};

/// Settings of searching faces.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentificationConfig {
    /// Whether this process keeps the indexes and searches what comes.
    pub here: bool,
    /// Threads of one search.
    pub threads: u32,
    /// Memory of both indexes, in MiB.
    memory_mib: u64,
    /// Templates up to which every search compares with all of them.
    exact_max: usize,
    /// Share of searches that must find whom an exact one finds.
    recall: f64,
    /// The score from which that counts.
    recall_above: f32,
    /// Days of visits that can be searched.
    probe_days: u32,
    /// Seconds from one look at what changed to the next.
    every_seconds: u32,
    /// Minutes from one saving of an index to the next.
    save_minutes: u32,
    /// Largest share of searches for somebody who is not there that may report anybody.
    fpir: f64,
    /// Faces on one card from which it is flagged.
    pub many_faces: u32,
}

impl IdentificationConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// With the setting and what was expected of it.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("identification.threads", self.threads, 1..=1_024)?;
        within("identification.memory_mib", self.memory_mib, 16..=16_777_216)?;
        within("identification.exact_max", self.exact_max, 1..=1_000_000)?;
        within("identification.probe_days", self.probe_days, 1..=366)?;
        within("identification.every_seconds", self.every_seconds, 1..=3_600)?;
        within("identification.save_minutes", self.save_minutes, 1..=1_440)?;
        within("identification.many_faces", self.many_faces, 3..=1_000)?;
        for (field, share, range) in [
            ("identification.recall", self.recall, 0.5..=0.999_9),
            ("identification.recall_above", self.recall_above.into(), 0.0..=1.0),
            ("identification.fpir", self.fpir, 0.000_001..=0.5),
        ] {
            within(field, share, range)?;
        }
        Ok(())
    }

    /// How an index of so many templates is made; each of the two may take half of the memory.
    #[must_use]
    pub fn settings(&self, dimension: usize, expected: u64) -> matcher_index::Settings {
        matcher_index::Settings {
            dimension,
            expected: usize::try_from(expected).unwrap_or(usize::MAX),
            exact_max: self.exact_max,
            bytes_max: self.memory_mib.saturating_mul(1 << 19),
            recall: self.recall,
            recall_above: self.recall_above,
        }
    }

    /// How far back visits can be searched, in milliseconds.
    #[must_use]
    pub fn probe_window_ms(&self) -> i64 {
        i64::from(self.probe_days) * 86_400_000
    }

    /// From one look at what changed to the next.
    #[must_use]
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.every_seconds.into())
    }

    /// From one saving of an index to the next, in milliseconds.
    #[must_use]
    pub fn save_every_ms(&self) -> i64 {
        i64::from(self.save_minutes) * 60_000
    }

    /// Largest share of searches for somebody who is not there that may report anybody.
    #[must_use]
    pub fn fpir(&self) -> f64 {
        self.fpir
    }
}
