//! What is assumed of the city. Printed with every result.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that was not measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assumptions {
    /// People, each with one card.
    pub people: u32,
    /// Days simulated.
    pub days: u16,
    /// Captures per person and day, on average; 1 million a day in a city of nine million.
    pub visits_a_day: f64,
    /// Spread of visiting rates between people: standard deviation of their logarithm.
    pub visits_spread: f64,
    /// Share of visits with a second settlement the same day.
    pub second_settlement: f64,
    /// Share of captures in which somebody else uses the card against the rules.
    pub misuse: f64,
    /// Share of those captures that stay the only one on their card.
    pub misuse_once: f64,
    /// Days between two misuses of a card that is misused repeatedly, on average.
    pub misuse_every_days: f64,
    /// Share of repeatedly misused cards whose holder goes on visiting; the others are never shown by their holder.
    pub holder_stays: f64,
    /// Share of repeatedly misused cards that three people use in turn.
    pub several_users: f64,
    /// Share of misusers who are the holder's relatives.
    pub relatives: f64,
    /// How much higher relatives score than strangers.
    pub relatives_higher: f64,
    /// Share of misusers who are the holder's twin, who scores a little below the holder.
    pub twins: f64,
    /// How much lower a twin scores than the holder.
    pub twins_lower: f64,
    /// Share of cards whose visits are, every second time, made by somebody who collects for the holder.
    pub proxies: f64,
    /// Share of those visits where nobody recorded it. They are no misuse, and look like one.
    pub proxies_unrecorded: f64,
    /// Share of cards with a photo so old that scores are lower throughout.
    pub stale: f64,
    /// How much lower.
    pub stale_lower: f64,
    /// False non-match rate of a live capture against a photo that is not stale, at a false match rate of 1e-3. Measured
    /// scores are lowered to reach it: identity photos are harder than the pictures that were measured.
    pub fnmr_photo: f64,
    /// The same of two live captures; none was missed when it was measured, on eight people.
    pub fnmr_live: f64,
    /// Share of a score's variance that belongs to face and photo (or to the two faces) and repeats at every visit.
    pub repeats: f64,
    /// Share of a score's variance that belongs to the capture and is common to all its comparisons.
    pub capture: f64,
    /// Trials that the center's calibration rests on: mated, then ten times as many non-mated.
    pub calibration_trials: u32,
    /// Cases a desk reads per million captures.
    pub desk_per_million: f64,
    /// Days of visits that are looked at together.
    pub window_days: u16,
    /// Share of cards somebody else uses, as the center believes beforehand.
    pub prior: f64,
    /// How alike two days' evidence is held to be, 0–1.
    pub correlation: f64,
    /// Probability from which a case may be opened.
    pub posterior_min: f64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            people: 50_000,
            days: 90,
            visits_a_day: 0.11,
            visits_spread: 1.0,
            second_settlement: 0.1,
            misuse: 0.005,
            misuse_once: 0.25,
            misuse_every_days: 9.0,
            holder_stays: 0.7,
            several_users: 0.2,
            relatives: 0.25,
            relatives_higher: 0.10,
            twins: 0.01,
            twins_lower: 0.10,
            proxies: 0.06,
            proxies_unrecorded: 0.03,
            stale: 0.01,
            stale_lower: 0.3,
            fnmr_photo: 0.06,
            fnmr_live: 0.005,
            repeats: 0.5,
            capture: 0.2,
            calibration_trials: 3_000,
            desk_per_million: 1_800.0,
            window_days: 30,
            prior: 0.005,
            correlation: 0.5,
            posterior_min: 0.5,
        }
    }
}

impl Assumptions {
    /// A city of a tenth, for tests.
    #[must_use]
    pub fn small() -> Self {
        Self { people: 5_000, ..Self::default() }
    }

    /// The same with some of them changed: texts such as `fnmr_photo=0.25`.
    ///
    /// # Errors
    /// When there is no such assumption, or its value is not of its kind.
    pub fn with(&self, changes: &[String]) -> Result<Self> {
        let mut all = serde_json::to_value(self)?;
        for change in changes {
            let (name, value) = change.split_once('=').context("an assumption: expected NAME=VALUE")?;
            let slot = all.get_mut(name).with_context(|| format!("{name}: expected the name of an assumption"))?;
            *slot = value.parse::<serde_json::Number>().map(Value::Number).with_context(|| format!("{name}: expected a number"))?;
        }
        serde_json::from_value(all).context("an assumption")
    }

    /// Captures there will be, about.
    #[must_use]
    pub fn captures(&self) -> f64 {
        f64::from(self.people) * f64::from(self.days) * self.visits_a_day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumption_is_changed_by_its_name() {
        let shipped = Assumptions::default();
        let changed = shipped.with(&["fnmr_photo=0.25".into(), "people=70".into()]).unwrap();
        assert_eq!(changed, Assumptions { fnmr_photo: 0.25, people: 70, ..shipped.clone() });
        for wrong in ["fnmr_photo", "fnmr=1", "people=many", "people=0.5"] {
            assert!(shipped.with(&[wrong.into()]).is_err(), "{wrong}");
        }
    }
}
