//! Settings: the shipped file, the data folder's file over it, the environment over both.
//!
//! The shipped file is the default of every setting. Unknown keys are refused, and everything is checked
//! before a port, the store or a model is opened. Not here: the policy, which is a file of its own.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use matcher_core::{RecheckRule, RetentionRule};
use models::manifest::{Manifest, ManifestError};
use serde::Deserialize;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

use crate::{data_dir::DataDir, keys::source::KeySource};

mod batch;
mod cases;
mod console;
mod identification;
mod joining;
mod overload;
mod receipts;
mod store;
mod tampering;
mod webhook;

pub use batch::BatchConfig;
pub use cases::CasesConfig;
pub use console::ConsoleConfig;
pub use identification::IdentificationConfig;
pub use joining::JoiningConfig;
pub use overload::OverloadConfig;
pub use receipts::{PublishedConfig, ReceiptsConfig};
pub use store::StoreConfig;
pub use tampering::TamperingConfig;
pub use webhook::WebhookConfig;

/// The shipped settings; `matcher init` writes them into the data folder.
pub const SHIPPED: &str = include_str!("../config/matcher.toml");

/// Settings that are not in order. The message names the setting.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file is not TOML, or a key is unknown or of another type.
    #[error("configuration: {0}")]
    Read(String),
    /// A value is out of range.
    #[error("configuration: {field}: expected {expected}")]
    Field {
        /// Path of the setting.
        field: &'static str,
        /// What was expected of it.
        expected: String,
    },
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The gRPC service.
    pub server: ServerConfig,
    /// What is let in under overload.
    pub overload: OverloadConfig,
    /// The store.
    pub store: StoreConfig,
    /// How old a capture may be.
    pub freshness: FreshnessConfig,
    /// Devices.
    pub devices: DevicesConfig,
    /// Letting devices join.
    pub joining: JoiningConfig,
    /// Making agents' templates again.
    pub recheck: RecheckConfig,
    /// Keys.
    pub keys: KeysConfig,
    /// The audit log.
    pub audit: AuditConfig,
    /// Receipts.
    pub receipts: ReceiptsConfig,
    /// Published keys.
    pub published: PublishedConfig,
    /// Captures that come late and re-comparisons.
    pub batch: BatchConfig,
    /// Signs of tampering.
    pub tampering: TamperingConfig,
    /// Evidence and cases.
    pub cases: CasesConfig,
    /// Telling the center's own systems.
    pub webhook: WebhookConfig,
    /// The review console.
    pub console: ConsoleConfig,
    /// Searching faces.
    pub identification: IdentificationConfig,
    /// How long what is kept.
    pub retention: RetentionConfig,
    /// Models.
    pub models: ModelsConfig,
    /// What the law asks.
    pub law: LawConfig,
    /// Logs.
    pub log: LogConfig,
}

/// Settings of the gRPC service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Where it listens; port 0 takes any free port.
    pub listen: SocketAddr,
    /// How long calls under way may take after a stop was asked for, in seconds.
    drain_seconds: u64,
    /// Connections held open at once.
    pub connections_max: usize,
    /// Calls worked on at once.
    pub requests_max: usize,
    /// Calls open at once on one connection.
    pub requests_per_connection_max: u32,
    /// How long one call may take, in seconds.
    request_timeout_seconds: u64,
    /// How long a TLS handshake may take, in seconds.
    handshake_timeout_seconds: u64,
}

impl ServerConfig {
    /// How long calls under way may take after a stop was asked for.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// How long one call may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }

    /// How long a TLS handshake may take.
    #[must_use]
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_seconds)
    }
}

/// How old a capture may be when it is verified live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshnessConfig {
    /// Oldest age, in seconds.
    pub past_max_seconds: u32,
    /// Furthest ahead of the center's clock, in seconds.
    pub future_max_seconds: u32,
}

/// Settings of devices.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevicesConfig {
    /// How long a device's certificate holds, in days.
    pub certificate_days: u32,
    /// How long after its end a certificate may still be renewed, in days.
    pub renew_late_days: u32,
}

/// Settings of making agents' templates again.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecheckConfig {
    /// Share of the captures that are not mismatches, 0–1.
    pub share: f64,
    /// Cosine at and above which two templates agree, 0–1.
    pub agreement_min: f32,
    /// Whether this process does it.
    pub here: bool,
}

impl RecheckConfig {
    /// The rule of these settings.
    #[must_use]
    pub fn rule(self) -> RecheckRule {
        RecheckRule { share: self.share, agreement_min: self.agreement_min }
    }
}

/// Settings of keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// Where the key-encryption key comes from.
    pub key_encryption: KeySource,
    /// The longest a counter may hold an envelope, in days.
    pub spool_days: u32,
}

/// Settings of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// Folder that checkpoints are appended to.
    pub checkpoints: PathBuf,
    /// How often one is made while the center serves, in seconds.
    checkpoint_seconds: u64,
    /// How long the content of an entry must be there, in days.
    content_days: u32,
}

impl AuditConfig {
    /// How often a checkpoint is made while the center serves.
    #[must_use]
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.checkpoint_seconds)
    }

    /// How long the content of an entry must be there, in milliseconds.
    #[must_use]
    pub fn content_ms(&self) -> i64 {
        i64::from(self.content_days).saturating_mul(86_400_000)
    }
}

/// Settings of how long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    match_sample_days: u32,
    evidence_days: u32,
    disputed_days: u32,
    superseded_days: u32,
    decision_days: u32,
    forgotten_days: u32,
    every_minutes: u32,
    /// Whether this process does it.
    pub here: bool,
}

impl RetentionConfig {
    /// The rule of these settings.
    #[must_use]
    pub fn rule(self) -> RetentionRule {
        RetentionRule {
            match_sample_days: self.match_sample_days,
            evidence_days: self.evidence_days,
            disputed_days: self.disputed_days,
            superseded_days: self.superseded_days,
            decision_days: self.decision_days,
            forgotten_days: self.forgotten_days,
        }
    }

    /// Time from one run to the next.
    #[must_use]
    pub fn every(self) -> Duration {
        Duration::from_secs(u64::from(self.every_minutes) * 60)
    }
}

/// Settings of models.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelsConfig {
    /// A manifest of the center's own.
    manifest: Option<PathBuf>,
    /// Where model files are.
    cache_dir: Option<PathBuf>,
}

impl ModelsConfig {
    /// The shipped models with the center's own.
    ///
    /// # Errors
    /// When the center's own manifest cannot be read or is not in order.
    pub fn manifest(&self) -> Result<Manifest, ManifestError> {
        self.manifest.as_ref().map_or_else(|| Ok(Manifest::shipped()), |path| Manifest::load(path))
    }

    /// Where model files are.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.cache_dir.clone().unwrap_or_else(models::cache::default_dir)
    }
}

/// Settings of what the law asks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LawConfig {
    /// Who answers for the processing, by name; empty leaves a line to fill in.
    pub controller: String,
    /// How to reach them.
    pub contact: String,
    /// Where to complain, and within what time an answer comes.
    pub complaints: String,
    /// Persons of whom a face is stored, from which number on processing is to be filed.
    pub filing_threshold: u64,
}

/// Settings of logs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// What is logged.
    pub filter: String,
    /// In which form.
    pub format: LogFormat,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the settings of a data folder and of the environment, and checks them.
    ///
    /// # Errors
    /// With the setting and what was expected of it.
    pub fn load(dir: &DataDir) -> Result<Self, ConfigError> {
        let config = Self::from_figment(&layers().merge(Toml::file_exact(dir.config())).merge(environment()))?;
        Ok(config.relative_to(dir))
    }

    /// The shipped settings.
    ///
    /// # Errors
    /// Only when the shipped file is not in order, which a test rules out.
    pub fn shipped() -> Result<Self, ConfigError> {
        Self::from_figment(&layers())
    }

    fn from_figment(figment: &Figment) -> Result<Self, ConfigError> {
        let config: Self = figment.extract().map_err(|error| ConfigError::Read(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn relative_to(mut self, dir: &DataDir) -> Self {
        self.store = self.store.under(dir.path());
        self.keys.key_encryption = self.keys.key_encryption.under(dir.path());
        self.audit.checkpoints = dir.path().join(self.audit.checkpoints);
        self.console.certificate = self.console.certificate.map(|path| dir.path().join(path));
        self.console.key = self.console.key.map(|path| dir.path().join(path));
        self.webhook.secret = dir.path().join(self.webhook.secret);
        self.webhook.authority = self.webhook.authority.map(|path| dir.path().join(path));
        self.models.manifest = self.models.manifest.map(|path| dir.path().join(path));
        self.models.cache_dir = self.models.cache_dir.map(|path| dir.path().join(path));
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
        let (server, freshness) = (&self.server, &self.freshness);
        within("server.drain_seconds", server.drain_seconds, 1..=300)?;
        within("server.connections_max", server.connections_max, 1..=100_000)?;
        within("server.requests_max", server.requests_max, 1..=100_000)?;
        within("server.requests_per_connection_max", server.requests_per_connection_max, 1..=10_000)?;
        within("server.request_timeout_seconds", server.request_timeout_seconds, 1..=300)?;
        within("server.handshake_timeout_seconds", server.handshake_timeout_seconds, 1..=60)?;
        within("freshness.past_max_seconds", freshness.past_max_seconds, 1..=86_400)?;
        within("freshness.future_max_seconds", freshness.future_max_seconds, 0..=3_600)?;
        within("devices.certificate_days", self.devices.certificate_days, 1..=3_650)?;
        within("devices.renew_late_days", self.devices.renew_late_days, 0..=3_650)?;
        self.joining.check()?;
        self.webhook.check()?;
        self.store.check()?;
        within("keys.spool_days", self.keys.spool_days, 1..=3_650)?;
        within("audit.checkpoint_seconds", self.audit.checkpoint_seconds, 1..=3_600)?;
        within("audit.content_days", self.audit.content_days, 1..=36_500)?;
        within("retention.every_minutes", self.retention.every_minutes, 1..=1_440)?;
        self.retention.rule().check().map_err(|(name, expected)| ConfigError::Field { field: retention_field(name), expected })?;
        for (field, share) in [("recheck.share", self.recheck.share), ("recheck.agreement_min", self.recheck.agreement_min.into())] {
            if !(0.0..=1.0).contains(&share) {
                return Err(ConfigError::Field { field, expected: format!("0 to 1, got {share}") });
            }
        }
        self.batch.check()?;
        self.overload.check()?;
        self.receipts.check()?;
        self.published.check()?;
        self.tampering.check()?;
        self.cases.settings()?;
        self.console.check()?;
        self.identification.check()?;
        if EnvFilter::try_new(&self.log.filter).is_err() {
            return Err(ConfigError::Field { field: "log.filter", expected: "a level, or rules such as info,matcher::grpc=debug".into() });
        }
        Ok(())
    }
}

/// The path of a setting of `[retention]`.
fn retention_field(name: &'static str) -> &'static str {
    match name {
        "match_sample_days" => "retention.match_sample_days",
        "evidence_days" => "retention.evidence_days",
        "disputed_days" => "retention.disputed_days",
        "superseded_days" => "retention.superseded_days",
        "decision_days" => "retention.decision_days",
        _ => "retention.forgotten_days",
    }
}

fn layers() -> Figment {
    Figment::from(Toml::string(SHIPPED))
}

fn environment() -> Env {
    Env::prefixed("COUNTERSIGN_MATCHER__").split("__")
}

fn within<T: PartialOrd + std::fmt::Display>(field: &'static str, value: T, range: RangeInclusive<T>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::Field { field, expected: format!("a number from {} to {}, got {value}", range.start(), range.end()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<Config, ConfigError> {
        Config::from_figment(&layers().merge(Toml::string(text)))
    }

    #[test]
    fn the_shipped_file_is_in_order_and_is_the_default() {
        let shipped = Config::shipped().unwrap();
        assert_eq!(shipped.server.listen.to_string(), "127.0.0.1:7443");
        assert_eq!(shipped.freshness, FreshnessConfig { past_max_seconds: 600, future_max_seconds: 120 });
        assert_eq!(with("").unwrap(), shipped);
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = with(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn settings_that_are_not_in_order_are_named() {
        check("[server]\nlisten = 'here'", "server.listen");
        check("[server]\nlisten_on = '127.0.0.1:1'", "listen_on");
        check("[sever]\nlisten = '127.0.0.1:1'", "sever");
        check("[server]\nrequests_max = 0", "server.requests_max: expected a number from 1 to 100000, got 0");
        check("[overload]\ndevice_per_second = 0", "overload.device_per_second: expected a number from 0.01 to 100000, got 0");
        check("[freshness]\npast_max_seconds = -1", "past_max_seconds");
        check("[receipts]\nissuer = 'a center'", "receipts.issuer: expected 1 to 128 printable ASCII characters");
        check("[receipts]\ndrill_issuer = 'countersign-center'", "receipts.drill_issuer: expected another name");
        check("[receipts]\npublish_ahead_minutes = 10081", "receipts.publish_ahead_minutes");
        check("[published]\nconnections_max = 0", "published.connections_max");
        check("[retention]\ndecision_days = 365", "retention.decision_days: expected a number from 1095 to 36500, got 365");
        check("[batch]\nnightly_at = '25:00'", "batch.nightly_at: expected a time such as 02:30");
        check("[batch]\nchunk = 0", "batch.chunk: expected a number from 1 to 4096, got 0");
        check("[console]\nsecond_look = ['guilty']", "console.second_look: expected verdicts (confirmed, ");
        check("[console]\nsecond_look_share = 1.5", "console.second_look_share: expected a number from 0 to 1, got 1.5");
        check("[console]\nidle_minutes = 0", "console.idle_minutes: expected a number from 1 to 480, got 0");
        check("[console]\ncertificate = 'a.crt'", "console.certificate: expected a certificate and a key, or neither");
        check("[log]\nfilter = 'a=b=c'", "log.filter: expected");
        check("[log]\nformat = 'xml'", "format");
        check("[log", "configuration:");
    }
}
