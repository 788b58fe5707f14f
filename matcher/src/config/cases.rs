//! Settings of evidence and cases.

use std::time::Duration;

use matcher_core::evidence::CardRule;
use serde::Deserialize;

use super::{ConfigError, within};
use crate::app::cases::CaseSettings;

/// Settings of evidence and cases.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CasesConfig {
    /// Whether this process gathers evidence.
    pub here: bool,
    /// Minutes between two turns.
    every_minutes: u32,
    /// Cases the desk reads in a day.
    desk_a_day: u32,
    /// Matches drawn a day.
    draws_a_day: u32,
    /// Other ways drawn a day.
    other_way_draws_a_day: u32,
    /// Share of cards somebody else uses, as the center believes before it looks.
    pub prevalence: f64,
    /// How alike two days' evidence of one face is, 0–1.
    correlation: f64,
    /// Probability from which a case may be opened.
    posterior_min: f64,
    /// Days of visits that are looked at together.
    window_days: u32,
    /// A person with a case gets no other for as many days.
    quiet_days: u32,
    /// Whether cases open while the policy tells nobody anything.
    pub open_in_shadow: bool,
    /// Share of the desk's cases whose answer is known.
    seed_share: f64,
}

impl CasesConfig {
    /// The settings, checked.
    ///
    /// # Errors
    /// With the setting and what was expected of it.
    pub fn settings(&self) -> Result<CaseSettings, ConfigError> {
        within("cases.every_minutes", self.every_minutes, 1..=1_440)?;
        within("cases.desk_a_day", self.desk_a_day, 0..=100_000)?;
        within("cases.draws_a_day", self.draws_a_day, 0..=100_000)?;
        within("cases.other_way_draws_a_day", self.other_way_draws_a_day, 0..=100_000)?;
        within("cases.window_days", self.window_days, 2..=366)?;
        within("cases.quiet_days", self.quiet_days, 0..=366)?;
        let rule = CardRule::new(self.prevalence, self.correlation, self.posterior_min).map_err(|error| ConfigError::Field {
            field: match error.field {
                "correlation" => "cases.correlation",
                "posterior_min" => "cases.posterior_min",
                _ => "cases.prevalence",
            },
            expected: error.expected.to_owned(),
        })?;
        if !(0.0..=0.2).contains(&self.seed_share) {
            let expected = format!("a number from 0 to 0.2, got {}", self.seed_share);
            return Err(ConfigError::Field { field: "cases.seed_share", expected });
        }
        Ok(CaseSettings {
            rule,
            desk_a_day: self.desk_a_day,
            draws_a_day: self.draws_a_day,
            other_way_draws_a_day: self.other_way_draws_a_day,
            window_days: self.window_days,
            quiet_days: self.quiet_days,
            open_in_shadow: self.open_in_shadow,
            seed_share: self.seed_share,
            every: Duration::from_secs(u64::from(self.every_minutes) * 60),
        })
    }
}
