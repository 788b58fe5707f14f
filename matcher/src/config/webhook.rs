//! Settings of the webhook.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{ConfigError, within};
use crate::app::webhook::{
    Patience,
    send::{Receiver, ReceiverError},
    signature::Secret,
};

/// Settings of the webhook.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Whether this process sends.
    pub here: bool,
    /// Where to; empty where nobody is told.
    pub url: String,
    /// The file with the secret; relative to the data folder.
    pub secret: PathBuf,
    /// Who has certified the receiver (PEM); relative to the data folder.
    pub authority: Option<PathBuf>,
    timeout_seconds: u32,
    tries_max: u32,
    first_seconds: u32,
    longest_minutes: u32,
}

impl WebhookConfig {
    /// How often it is tried.
    #[must_use]
    pub fn patience(&self) -> Patience {
        let first = Duration::from_secs(self.first_seconds.into());
        Patience { tries_max: self.tries_max, first, longest: Duration::from_secs(60 * u64::from(self.longest_minutes)) }
    }

    /// Who is told; nobody where no address is set.
    ///
    /// # Errors
    /// With the setting and what was expected of it.
    pub fn receiver(&self) -> Result<Option<Receiver>, ConfigError> {
        if self.url.is_empty() {
            return Ok(None);
        }
        let field = |field, expected: String| ConfigError::Field { field, expected };
        let no_secret = |expected| field("webhook.secret", expected);
        let text = std::fs::read_to_string(&self.secret)
            .map_err(|error| no_secret(format!("a file that can be read ({}: {error})", self.secret.display())))?;
        let secret = Secret::read(&text).map_err(|error| no_secret(error.to_string()))?;
        let authority = self.authority.as_ref().map(std::fs::read);
        let authority = authority.transpose().map_err(|error| field("webhook.authority", format!("a file that can be read ({error})")))?;
        let timeout = Duration::from_secs(self.timeout_seconds.into());
        let made = Receiver::new(&self.url, authority.as_deref(), secret, timeout);
        made.map(Some).map_err(|error| match error {
            ReceiverError::Url => field("webhook.url", error.to_string()),
            ReceiverError::Authority => field("webhook.authority", error.to_string()),
        })
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("webhook.timeout_seconds", self.timeout_seconds, 1..=120)?;
        within("webhook.tries_max", self.tries_max, 1..=1_000)?;
        within("webhook.first_seconds", self.first_seconds, 1..=3_600)?;
        within("webhook.longest_minutes", self.longest_minutes, 1..=1_440)
    }
}
