//! Configuration: one struct per subject, from the shipped defaults, the state folder's `agent.toml` and the
//! environment, in this order.
//!
//! [`load`] checks everything before a port, camera or model is opened. Not here: secrets (they are files of
//! the state folder, see [`identity`](crate::identity)).

pub(crate) mod center;

use std::{collections::BTreeMap, net::SocketAddr, path::Path, path::PathBuf};

use capture_core::AcquisitionRule;
use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use models_core::{Component, FaceRule, Gate};
use serde::Deserialize;
use thiserror::Error;

mod device;
mod log;

pub use center::{CenterConfig, EndpointConfig};
pub use device::DeviceConfig;
pub use log::{LogConfig, LogFormat};

/// The shipped, commented configuration: the defaults.
pub const SHIPPED: &str = include_str!("../agent.toml");
/// Name of the configuration file in the state folder.
pub const FILE: &str = "agent.toml";
/// Environment variables that begin so set keys.
pub const ENV_PREFIX: &str = "COUNTERSIGN_AGENT__";

/// The configuration cannot be worked by.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file or the environment does not have the form of the configuration.
    #[error("configuration: {0}")]
    Form(Box<figment::Error>),
    /// A value is outside its range.
    #[error("configuration: {key}: expected {expected}")]
    Value {
        /// Table and key.
        key: String,
        /// What was expected.
        expected: String,
    },
}

pub(crate) fn value(key: impl Into<String>, expected: impl Into<String>) -> ConfigError {
    ConfigError::Value { key: key.into(), expected: expected.into() }
}

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The center.
    pub center: CenterConfig,
    /// The certificate and the machine.
    pub device: DeviceConfig,
    /// The camera.
    pub camera: CameraConfig,
    /// Acquisition.
    pub acquisition: AcquisitionConfig,
    /// Models.
    pub models: ModelsConfig,
    /// The local API.
    pub api: ApiConfig,
    /// The reader of documents.
    pub reader: ReaderConfig,
    /// Transactions.
    pub transactions: TransactionsConfig,
    /// The outbox.
    pub outbox: OutboxConfig,
    /// Logs.
    pub log: LogConfig,
}

/// Which source of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CameraKind {
    /// A camera of this machine.
    Device,
    /// Pictures of a folder.
    Playback,
}

/// `[camera]`: which one, and how patient to be with it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// Which source.
    pub kind: CameraKind,
    /// Number of the device.
    pub device: u32,
    /// Wanted width.
    pub width_px: u32,
    /// Wanted height.
    pub height_px: u32,
    /// Wanted rate.
    pub rate_fps: u32,
    /// Pictures to play.
    pub folder: String,
    /// Interval of played frames.
    pub frame_interval_ms: u64,
    /// Bound of opening.
    pub open_timeout_ms: u64,
    /// How often a failing camera is opened again in one verification.
    pub reopen_max: u32,
    /// Pause before that.
    pub reopen_pause_ms: u64,
    /// How many verifications may wait for the camera.
    pub waiting_max: usize,
    /// For how long.
    pub wait_for_ms: u64,
}

/// `[acquisition]`: the rule of `capture-core`, flat.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcquisitionConfig {
    deadline_ms: u64,
    good_frames: usize,
    frame_gap_ms: u64,
    relax_after_ms: u64,
    whole_every_ms: u64,
    dwell_ms: u64,
    stale_after_ms: u64,
    stall_after_ms: u64,
    detection_score_min: f32,
    inter_eye_distance_min_px: f32,
    rival_area_min: f32,
    share_inside_min: f32,
    gate: BTreeMap<String, u8>,
    floor: BTreeMap<String, u8>,
}

/// `[models]`: where they are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelsConfig {
    /// Cache folder; empty: the default one.
    pub dir: PathBuf,
    /// The user's manifest; empty: the shipped one alone.
    pub manifest: PathBuf,
}

/// `[api]`: the loopback HTTP API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// Loopback address and port.
    pub listen: SocketAddr,
    /// Origins of web pages that may call it.
    pub allowed_origins: Vec<String>,
    /// Bound of one request.
    pub request_timeout_ms: u64,
    /// Requests that one program may make in a second, on average.
    pub requests_per_s: u32,
    /// Bound of a graceful stop.
    pub stop_within_ms: u64,
}

/// Which reader of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReaderKind {
    /// None.
    None,
    /// A folder in its place.
    Simulator,
}

/// `[reader]`: the reader of documents.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderConfig {
    /// Which one.
    pub kind: ReaderKind,
    /// The simulator's folder.
    pub folder: String,
}

/// `[transactions]`: how long they stay open.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionsConfig {
    /// Without an event for so long an unsettled one ends.
    pub time_out_s: u64,
    /// Attempts with a face while no policy was fetched.
    pub faces_max: u32,
    /// Transactions at a time.
    pub open_max: usize,
    /// What is over is forgotten after so many days.
    pub keep_days: u32,
}

/// `[outbox]`: how long envelopes are kept.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxConfig {
    /// Answered envelopes, in hours.
    pub answered_keep_hours: u32,
    /// Refused envelopes, in days.
    pub refused_keep_days: u32,
    /// What remains of either, in days.
    pub record_keep_days: u32,
    /// Unanswered envelopes at most.
    pub waiting_max: u32,
    /// What unanswered envelopes take at most, in MiB.
    pub waiting_mb: u32,
    /// How long an envelope may wait before no more are made without the center, in hours.
    pub waiting_hours: u32,
}

impl AcquisitionConfig {
    /// The rule these values make for a recipe that fuses so many frames; checked by [`load`], but for the frames.
    #[must_use]
    pub fn rule(&self, frames: usize) -> AcquisitionRule {
        AcquisitionRule {
            deadline_ms: self.deadline_ms,
            frames,
            good_frames: self.good_frames,
            frame_gap_ms: self.frame_gap_ms,
            face: FaceRule {
                inter_eye_distance_min_px: self.inter_eye_distance_min_px,
                detection_score_min: self.detection_score_min,
                rival_area_min: self.rival_area_min,
                share_inside_min: self.share_inside_min,
            },
            gate: gate(&self.gate),
            floor: gate(&self.floor),
            relax_after_ms: self.relax_after_ms,
            whole_every_ms: self.whole_every_ms,
            dwell_ms: self.dwell_ms,
            stale_after_ms: self.stale_after_ms,
            stall_after_ms: self.stall_after_ms,
        }
    }
}

/// The gate of a table whose words were checked.
fn gate(table: &BTreeMap<String, u8>) -> Gate {
    table.iter().filter_map(|(word, at_least)| Some((Component::from_word(word)?, *at_least))).collect()
}

fn check_gate(at: &str, table: &BTreeMap<String, u8>) -> Result<(), ConfigError> {
    let words = || Component::ALL.iter().map(|component| component.word()).collect::<Vec<_>>().join(", ");
    for (word, at_least) in table {
        if Component::from_word(word).is_none() {
            return Err(value(format!("{at}.{word}"), format!("a component of quality: {}", words())));
        }
        ranges(&[(&format!("{at}.{word}"), u64::from(*at_least), 0, 100)])?;
    }
    Ok(())
}

/// Reads and checks the configuration of a state folder.
///
/// # Errors
/// The first key that is unknown, missing, of another type or outside its range.
pub fn load(dir: &Path) -> Result<Config, ConfigError> {
    let config: Config = merged(dir, (SHIPPED, FILE, ENV_PREFIX)).extract().map_err(|error| ConfigError::Form(Box::new(error)))?;
    check(&config)?;
    Ok(config)
}

/// What a state folder says: shipped defaults, the file, the environment.
pub(crate) fn merged(dir: &Path, (shipped, file, prefix): (&str, &str, &str)) -> Figment {
    let (shipped, file) = (Figment::from(Toml::string(shipped)), dir.join(file));
    let filed = if file.exists() { shipped.merge(Toml::file_exact(file)) } else { shipped };
    filed.merge(Env::prefixed(prefix).split("__"))
}

fn check(config: &Config) -> Result<(), ConfigError> {
    check_gate("acquisition.gate", &config.acquisition.gate)?;
    check_gate("acquisition.floor", &config.acquisition.floor)?;
    config.acquisition.rule(1).checked().map_err(|error| value(format!("acquisition.{}", error.field), error.expected))?;
    config.device.check()?;
    center::check(&config.center)?;
    check_camera(&config.camera)?;
    check_api(&config.api)?;
    let outbox = &config.outbox;
    ranges(&[
        ("outbox.answered_keep_hours", u64::from(outbox.answered_keep_hours), 1, 720),
        ("outbox.refused_keep_days", u64::from(outbox.refused_keep_days), 1, 365),
        ("outbox.record_keep_days", u64::from(outbox.record_keep_days), 1, 3650),
        ("outbox.waiting_max", u64::from(outbox.waiting_max), 1, 1_000_000),
        ("outbox.waiting_mb", u64::from(outbox.waiting_mb), 1, 1_000_000),
        ("outbox.waiting_hours", u64::from(outbox.waiting_hours), 1, 720),
    ])?;
    if config.reader.kind == ReaderKind::Simulator && config.reader.folder.is_empty() {
        return Err(value("reader.folder", "a folder where reader.kind is simulator"));
    }
    let transactions = &config.transactions;
    ranges(&[
        ("transactions.time_out_s", transactions.time_out_s, 10, 86_400),
        ("transactions.faces_max", u64::from(transactions.faces_max), 1, 10),
        ("transactions.open_max", transactions.open_max as u64, 1, 1_000),
        ("transactions.keep_days", u64::from(transactions.keep_days), 1, 3_650),
        ("api.requests_per_s", u64::from(config.api.requests_per_s), 1, 1_000),
    ])?;
    config.log.check()
}

fn check_camera(camera: &CameraConfig) -> Result<(), ConfigError> {
    if camera.kind == CameraKind::Playback && camera.folder.is_empty() {
        return Err(value("camera.folder", "a folder of pictures when camera.kind is \"playback\""));
    }
    ranges(&[
        ("camera.width_px", u64::from(camera.width_px), 160, 7_680),
        ("camera.height_px", u64::from(camera.height_px), 120, 4_320),
        ("camera.rate_fps", u64::from(camera.rate_fps), 1, 120),
        ("camera.frame_interval_ms", camera.frame_interval_ms, 1, 10_000),
        ("camera.open_timeout_ms", camera.open_timeout_ms, 100, 60_000),
        ("camera.reopen_max", u64::from(camera.reopen_max), 0, 5),
        ("camera.reopen_pause_ms", camera.reopen_pause_ms, 0, 10_000),
        ("camera.waiting_max", camera.waiting_max as u64, 0, 64),
        ("camera.wait_for_ms", camera.wait_for_ms, 0, 120_000),
    ])
}

fn check_api(api: &ApiConfig) -> Result<(), ConfigError> {
    if !api.listen.ip().is_loopback() {
        return Err(value("api.listen", "a loopback address such as 127.0.0.1:0"));
    }
    let origin = |text: &String| text.split_once("://").is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'));
    if !api.allowed_origins.iter().all(origin) {
        return Err(value("api.allowed_origins", "origins such as http://127.0.0.1:8080, without a path"));
    }
    ranges(&[("api.request_timeout_ms", api.request_timeout_ms, 1_000, 300_000), ("api.stop_within_ms", api.stop_within_ms, 0, 120_000)])
}

pub(crate) fn ranges(rules: &[(&str, u64, u64, u64)]) -> Result<(), ConfigError> {
    match rules.iter().find(|(_, number, min, max)| !(min..=max).contains(&number)) {
        Some((key, number, min, max)) => Err(value(*key, format!("{min} to {max}, got {number}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, expected: Result<(), &str>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), file).unwrap();
        let outcome = load(dir.path()).map(|_| ()).map_err(|error| error.to_string());
        match (&outcome, expected) {
            (Ok(()), Ok(())) => {}
            (Err(shown), Err(part)) => assert!(shown.contains(part), "{shown}"),
            _ => panic!("{outcome:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_shipped_file_is_the_default_and_is_in_order() {
        check(SHIPPED, Ok(()));
        check("", Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("[center]\nadress = \"https://x:1\"", Err("adress"));
        check("[center]\naddress = \"http://x:1\"", Err("center.address: expected https://host:port"));
        check("[center]\naddress = \"https://x:1/path\"", Err("center.address"));
        check("[center]\ncall_timeout_ms = 1", Err("center.call_timeout_ms: expected 50 to 60000, got 1"));
        check("[[center.endpoint]]\nname = \"primary\"\naddress = \"https://x:1\"", Ok(()));
        check("[[center.endpoint]]\nname = \"primary\"\naddress = \"x:1\"", Err("center.endpoint[0].address: expected https://host:port"));
        let twice = "[[center.endpoint]]\nname = \"a\"\naddress = \"https://x:1\"\n".repeat(2);
        check(&twice, Err("center.endpoint[1].name: expected 1 to 32 characters, and each name once"));
        check("[camera]\nkind = \"playback\"", Err("camera.folder"));
        check("[camera]\nkind = \"phone\"", Err("phone"));
        check("[acquisition]\ngood_frames = 0", Err("acquisition.good_frames: expected at least the recipe's frames"));
        check("[acquisition.gate]\nbeauty = 5", Err("acquisition.gate.beauty: expected a component of quality: single_face_present,"));
        check("[acquisition.gate]\nsharpness = 101", Err("acquisition.gate.sharpness: expected 0 to 100, got 101"));
        check("[acquisition.floor]\neyes_open = 99", Err("acquisition.floor: expected nothing above the gate"));
        check("[api]\nlisten = \"0.0.0.0:80\"", Err("api.listen: expected a loopback address"));
        check("[api]\nallowed_origins = [\"example\"]", Err("api.allowed_origins"));
        check("[log]\nfilter = \"a=b=c\"", Err("log.filter"));
        check("[extra]", Err("extra"));
        check("not toml", Err("configuration: "));
    }

    #[test]
    fn the_shipped_file_states_the_defaults_and_relaxes_to_the_probe_gate() {
        let dir = tempfile::tempdir().unwrap();
        let rule = load(dir.path()).unwrap().acquisition.rule(AcquisitionRule::default().frames);
        assert_eq!(rule.relaxed_gate(), models::quality::probe_gate());
        assert_eq!(AcquisitionRule { gate: Gate::none(), floor: Gate::none(), ..rule }, AcquisitionRule::default());
    }
}
