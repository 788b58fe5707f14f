//! Settings of the review console.

use std::{net::SocketAddr, path::PathBuf};

use matcher_core::{
    console::{LockRule, SecondLook, SessionRule},
    evidence::CaseVerdict,
};
use serde::Deserialize;

use super::{ConfigError, within};
use crate::app::review::ReviewRules;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// Settings of the review console.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleConfig {
    /// Where it listens; none where it does not.
    pub listen: Option<SocketAddr>,
    /// Connections held open at once.
    pub connections_max: usize,
    /// Names of its own certificate.
    pub names: Vec<String>,
    /// A certificate (PEM) in the place of its own.
    pub certificate: Option<PathBuf>,
    /// That certificate's key (PEM).
    pub key: Option<PathBuf>,
    /// Whether everybody needs a second factor.
    pub second_factor: bool,
    idle_minutes: u32,
    session_hours: u32,
    /// Tries to sign in from one address in a minute.
    pub sign_ins_a_minute: u32,
    failures_free: u32,
    lock_seconds: u32,
    lock_minutes_max: u32,
    second_look: Vec<String>,
    second_look_share: f64,
    store_reply_days: u32,
    complaint_days: u32,
}

impl ConsoleConfig {
    /// How long sessions last.
    #[must_use]
    pub fn session(&self) -> SessionRule {
        SessionRule { idle_ms: i64::from(self.idle_minutes) * MINUTE_MS, absolute_ms: i64::from(self.session_hours) * 60 * MINUTE_MS }
    }

    /// How sign-in is slowed down.
    #[must_use]
    pub fn lock(&self) -> LockRule {
        let max_ms = i64::from(self.lock_minutes_max) * MINUTE_MS;
        LockRule { free: self.failures_free, first_ms: i64::from(self.lock_seconds) * 1_000, max_ms }
    }

    /// How cases are reviewed.
    ///
    /// # Errors
    /// With the setting and what was expected of it.
    pub fn review(&self) -> Result<ReviewRules, ConfigError> {
        let verdict = |word: &String| {
            let words: Vec<&str> = CaseVerdict::ALL.iter().map(|verdict| verdict.word()).collect();
            let expected = || format!("verdicts ({}), got {word}", words.join(", "));
            CaseVerdict::from_word(word).ok_or_else(|| ConfigError::Field { field: "console.second_look", expected: expected() })
        };
        let verdicts = self.second_look.iter().map(verdict).collect::<Result<_, _>>()?;
        let second = SecondLook::new(verdicts, self.second_look_share).map_err(|_| ConfigError::Field {
            field: "console.second_look_share",
            expected: format!("a number from 0 to 1, got {}", self.second_look_share),
        })?;
        let days = |days: u32| i64::from(days) * DAY_MS;
        Ok(ReviewRules { second, reply_ms: days(self.store_reply_days), complaint_ms: days(self.complaint_days) })
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("console.connections_max", self.connections_max, 1..=10_000)?;
        within("console.idle_minutes", self.idle_minutes, 1..=480)?;
        within("console.session_hours", self.session_hours, 1..=24)?;
        within("console.sign_ins_a_minute", self.sign_ins_a_minute, 1..=1_000)?;
        within("console.failures_free", self.failures_free, 1..=20)?;
        within("console.lock_seconds", self.lock_seconds, 1..=3_600)?;
        within("console.lock_minutes_max", self.lock_minutes_max, 1..=1_440)?;
        within("console.store_reply_days", self.store_reply_days, 1..=90)?;
        within("console.complaint_days", self.complaint_days, 1..=90)?;
        if self.certificate.is_some() != self.key.is_some() {
            return Err(ConfigError::Field { field: "console.certificate", expected: "a certificate and a key, or neither".into() });
        }
        if self.certificate.is_none() && self.names.is_empty() {
            return Err(ConfigError::Field { field: "console.names", expected: "at least one name or address".into() });
        }
        self.review().map(drop)
    }
}
