//! New software and models, from a signed bundle, with the way back.
//!
//! A bundle is one file, signed with an update key whose public half is pinned in the state folder. It is checked whole
//! ([`bundle`]), unpacked beside what runs ([`unpack`]), tried there, and then put in its place by moving one symbolic link
//! ([`versions`]). What does not come up healthy in time is taken back by itself; `rollback` does the same by hand. Nothing here
//! comes over the network: somebody brings the file, and the center's policy cannot start it.

pub mod bundle;
pub mod unpack;
pub mod versions;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use ed25519_dalek::VerifyingKey;
use thiserror::Error;
use tracing::{info, warn};

use bundle::{Bundle, BundleError};
use unpack::UnpackError;
use versions::{Version, Versions};

use crate::durable::{self, Readers, WriteError};

/// Name of the file with the pinned update key, in the state folder.
pub const KEY_FILE: &str = "update.pub";
/// The program that a bundle must hold.
pub const PROGRAM: &str = "capture-agent";
/// Pause between two looks at whether the new version is well.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// An update was not made; what ran before is in its place.
#[derive(Debug, Error)]
pub enum UpdateError {
    /// No key is pinned.
    #[error("{KEY_FILE}: expected the update key, pinned with `capture-agent update pin`")]
    NoKey,
    /// Another key is pinned.
    #[error("{KEY_FILE}: another update key is pinned; give --replace to put this one in its place")]
    OtherKey,
    /// A file or folder cannot be read or written.
    #[error("{}: could not be used", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the state folder cannot be written.
    #[error(transparent)]
    Write(WriteError),
    /// The bundle is not in order.
    #[error(transparent)]
    Bundle(BundleError),
    /// What it holds is not in order.
    #[error(transparent)]
    Unpack(UnpackError),
    /// It is not newer than what runs.
    #[error("bundle.version: expected a version after {running}, got {offered}; give --allow-downgrade to go back")]
    NotNewer {
        /// What runs.
        running: Version,
        /// What came.
        offered: Version,
    },
    /// The new version does not work on this machine.
    #[error("the new version was tried beside the running one and does not work here: {0}; nothing was changed")]
    SelfTest(String),
    /// The service could not be started again.
    #[error("the service could not be started again: {0}")]
    Restart(String),
    /// The new version did not come up.
    #[error("version {version} was not healthy within {within_s} s; version {back} was put back in its place")]
    Unhealthy {
        /// The new one.
        version: Version,
        /// How long was waited.
        within_s: u64,
        /// The one before, which runs again.
        back: Version,
    },
    /// There is nothing to go back to.
    #[error("expected a version before the running one to go back to; there is none")]
    NoWayBack,
}

impl UpdateError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// Pins an update key in a state folder.
///
/// # Errors
/// When another one is pinned already, unless it is to be replaced, or the folder cannot be written.
pub fn pin(dir: &Path, key: &VerifyingKey, replace: bool) -> Result<(), UpdateError> {
    let known = pinned(dir).ok();
    if known.is_some_and(|known| known != *key) && !replace {
        return Err(UpdateError::OtherKey);
    }
    durable::write(&dir.join(KEY_FILE), bundle::to_hex(key.as_bytes()).as_bytes(), Readers::Everyone).map_err(UpdateError::Write)
}

/// The key that is pinned.
///
/// # Errors
/// When none is.
pub fn pinned(dir: &Path) -> Result<VerifyingKey, UpdateError> {
    let text = std::fs::read_to_string(dir.join(KEY_FILE)).map_err(|_| UpdateError::NoKey)?;
    bundle::key_from_hex(text.trim()).ok_or(UpdateError::NoKey)
}

/// What is run on the way; a test puts its own in their place.
#[derive(Debug, Clone)]
pub struct Steps {
    /// Arguments with which the new program examines the machine before it is put in its place; exit codes 0 and 10 are well.
    pub self_test: Vec<String>,
    /// The program, with its arguments, that starts the service again; empty where somebody does it by hand.
    pub restart: Vec<String>,
    /// Arguments with which the program in its place says whether it is well: exit code 0.
    pub health: Vec<String>,
    /// How long it may take until it is.
    pub healthy_within: Duration,
}

/// Takes an update in.
///
/// # Errors
/// When the bundle is not in order, not newer, does not work, or does not come up: what ran before is then in its place.
pub fn apply(root: &Path, file: &Path, key: &VerifyingKey, allow_downgrade: bool, steps: &Steps) -> Result<Version, UpdateError> {
    let versions = Versions::of(root);
    let mut opened = File::open(file).map_err(UpdateError::file(file))?;
    let bundle = Bundle::check(&mut opened, key).map_err(UpdateError::Bundle)?;
    let (offered, running) = (bundle.version, versions.current()?);
    if let Some(running) = running.filter(|running| !allow_downgrade && offered <= *running) {
        return Err(UpdateError::NotNewer { running, offered });
    }
    let beside = versions.beside(offered)?;
    unpack::unpack(&bundle.payload(&mut opened).map_err(UpdateError::Bundle)?, &beside).map_err(UpdateError::Unpack)?;
    self_test(&beside, offered, &steps.self_test)?;
    versions.take(&beside, offered)?;
    versions.switch(offered)?;
    info!(update.version = %offered, "a new version is in its place");
    if steps.restart.is_empty() {
        return Ok(offered);
    }
    let came_up = restart(&steps.restart).is_ok() && is_healthy(&versions, steps);
    match running.filter(|_| !came_up) {
        None if came_up => Ok(offered),
        None => Err(UpdateError::NoWayBack),
        Some(back) => {
            warn!(update.version = %offered, update.back = %back, "the new version is not healthy; the one before is put back");
            versions.switch(back)?;
            restart(&steps.restart)?;
            Err(UpdateError::Unhealthy { version: offered, within_s: steps.healthy_within.as_secs(), back })
        }
    }
}

/// Puts the version before in its place again.
///
/// # Errors
/// When there is none, or the service does not start again.
pub fn rollback(root: &Path, restart_by: &[String]) -> Result<Version, UpdateError> {
    let versions = Versions::of(root);
    let back = versions.previous()?.ok_or(UpdateError::NoWayBack)?;
    versions.switch(back)?;
    if !restart_by.is_empty() {
        restart(restart_by)?;
    }
    Ok(back)
}

fn self_test(beside: &Path, offered: Version, arguments: &[String]) -> Result<(), UpdateError> {
    let program = beside.join(PROGRAM);
    let run = |arguments: &[String]| {
        let output = Command::new(&program).args(arguments).stdin(Stdio::null()).output();
        output.map_err(|error| UpdateError::SelfTest(format!("{PROGRAM} does not start: {error}")))
    };
    let output = run(&["--version".to_owned()])?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if said.rsplit(' ').next() != Some(&offered.to_string()) {
        return Err(UpdateError::SelfTest(format!("expected it to be version {offered}, it says {said:?}")));
    }
    if arguments.is_empty() {
        return Ok(());
    }
    let output = run(arguments)?;
    match output.status.code() {
        Some(0 | 10) => Ok(()),
        Some(_) | None => {
            let said = String::from_utf8_lossy(&output.stdout);
            Err(UpdateError::SelfTest(said.chars().take(2_000).collect()))
        }
    }
}

fn restart(command: &[String]) -> Result<(), UpdateError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(UpdateError::Restart(format!("{program} ended with {status}"))),
        Err(error) => Err(UpdateError::Restart(format!("{program}: {error}"))),
    }
}

fn is_healthy(versions: &Versions, steps: &Steps) -> bool {
    let (program, until) = (versions.current_folder().join(PROGRAM), Instant::now() + steps.healthy_within);
    loop {
        let status = Command::new(&program).args(&steps.health).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if status.is_ok_and(|status| status.success()) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests;
