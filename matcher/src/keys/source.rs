//! Where the key-encryption key comes from: a file, the environment, or a command that prints it.
//!
//! What it gives is read once, bounded in size and time, and never logged. Not here: what it holds
//! ([`secrets`](super::secrets)).

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

/// A command's time.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);
/// A source's length, in bytes.
const LEN_MAX: u64 = 64 * 1024;

/// Where a key comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum KeySource {
    /// A file; relative to the data folder.
    File(PathBuf),
    /// A variable of the environment; keys in it are parted by commas.
    Env(String),
    /// A command line of the shell, which prints the keys.
    Command(String),
}

/// A text that names no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected file:PATH, env:NAME or command:COMMAND LINE")]
pub struct KeySourceError;

impl FromStr for KeySource {
    type Err = KeySourceError;

    fn from_str(text: &str) -> Result<Self, KeySourceError> {
        match text.split_once(':') {
            Some((_, "")) | None => Err(KeySourceError),
            Some(("file", path)) => Ok(Self::File(path.into())),
            Some(("env", name)) => Ok(Self::Env(name.to_owned())),
            Some(("command", line)) => Ok(Self::Command(line.to_owned())),
            Some(_) => Err(KeySourceError),
        }
    }
}

impl TryFrom<String> for KeySource {
    type Error = KeySourceError;

    fn try_from(text: String) -> Result<Self, KeySourceError> {
        text.parse()
    }
}

/// A source that gives no key. Never holds what it gave.
#[derive(Debug, Error)]
pub enum ReadKeyError {
    /// The file cannot be read.
    #[error("could not read the key file {}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The variable is not set, or no text.
    #[error("the environment variable {0} is not set, or is no text")]
    Env(String),
    /// The command could not be run.
    #[error("the command that prints the key could not be run")]
    Command(#[source] io::Error),
    /// The command failed, or printed no text.
    #[error("the command that prints the key failed, printed more than {LEN_MAX} bytes, or no text")]
    CommandFailed,
    /// The command took too long.
    #[error("the command that prints the key took longer than {} s", COMMAND_TIME_MAX.as_secs())]
    CommandTime,
}

impl KeySource {
    /// The same with a file's path under a folder.
    #[must_use]
    pub fn under(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            other @ (Self::Env(_) | Self::Command(_)) => other,
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it gives nothing within its bounds.
    pub fn read(&self) -> Result<Zeroizing<String>, ReadKeyError> {
        match self {
            Self::File(path) => {
                std::fs::read_to_string(path).map(Zeroizing::new).map_err(|source| ReadKeyError::File { path: path.clone(), source })
            }
            Self::Env(name) => {
                let value = std::env::var(name).map(Zeroizing::new).map_err(|_| ReadKeyError::Env(name.clone()))?;
                Ok(Zeroizing::new(value.replace(',', "\n")))
            }
            Self::Command(line) => printed(line, COMMAND_TIME_MAX),
        }
    }
}

fn printed(line: &str, time_max: Duration) -> Result<Zeroizing<String>, ReadKeyError> {
    let mut command = Command::new("sh");
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(ReadKeyError::Command)?;
    let reader = child.stdout.take().map(|out| {
        thread::spawn(move || {
            let mut bytes = Zeroizing::new(Vec::new());
            out.take(LEN_MAX + 1).read_to_end(&mut bytes).map(|_| bytes)
        })
    });
    let ended = wait(&mut child, time_max);
    if !matches!(ended, Ok(Some(_))) {
        // Nothing of it is used; that it ends is all that is left to do.
        let _ = child.kill().and_then(|()| child.wait());
    }
    let status = ended.map_err(ReadKeyError::Command)?.ok_or(ReadKeyError::CommandTime)?;
    let bytes = reader.and_then(|reader| reader.join().ok()).and_then(Result::ok).ok_or(ReadKeyError::CommandFailed)?;
    let text = std::str::from_utf8(&bytes).ok().filter(|text| status.success() && text.len() as u64 <= LEN_MAX);
    text.map(|text| Zeroizing::new(text.to_owned())).ok_or(ReadKeyError::CommandFailed)
}

fn wait(child: &mut Child, time_max: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let end = Instant::now() + time_max;
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= end {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_files_variables_and_commands() {
        assert_eq!("file:keys/a.key".parse(), Ok(KeySource::File("keys/a.key".into())));
        assert_eq!("env:KEY".parse(), Ok(KeySource::Env("KEY".into())));
        assert_eq!("command:vault read a:b".parse(), Ok(KeySource::Command("vault read a:b".into())));
        for wrong in ["", "file:", "keys/a.key", "http://x"] {
            assert_eq!(wrong.parse::<KeySource>(), Err(KeySourceError), "{wrong}");
        }
    }

    #[test]
    fn a_command_prints_the_key_in_time() {
        assert_eq!(*KeySource::Command("printf '# key\\nabc\\n'".into()).read().unwrap(), "# key\nabc\n");
        assert!(matches!(KeySource::Command("exit 3".into()).read(), Err(ReadKeyError::CommandFailed)));
        assert!(matches!(KeySource::Command("head -c 70000 /dev/zero".into()).read(), Err(ReadKeyError::CommandFailed)));
        assert!(matches!(printed("exec sleep 60", Duration::from_millis(50)), Err(ReadKeyError::CommandTime)));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = KeySource::Env("COUNTERSIGN_NO_SUCH_KEY".into()).read().unwrap_err();
        assert!(error.to_string().contains("COUNTERSIGN_NO_SUCH_KEY"), "{error}");
    }
}
