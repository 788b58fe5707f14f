//! The registries' clients, pip and npm, as child processes with a bounded time.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use thiserror::Error;

use crate::package::{Package, Registry};

/// How often a running client is looked at.
const POLL: Duration = Duration::from_millis(50);
/// How long asking a client for its version may take.
const VERSION_TIMEOUT: Duration = Duration::from_secs(30);
/// Lines of a client's complaint that are passed on.
const COMPLAINT_LINES: usize = 4;

/// A client could not deliver a package.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no such client.
    #[error(
        "expected the {client} client, found none ({tried}): install {install}, then run this again. On a machine without network, \
         copy the cache folder from one where this has run: it is checked the same way"
    )]
    Missing {
        /// Which one.
        client: &'static str,
        /// What was tried.
        tried: String,
        /// What to install.
        install: &'static str,
    },
    /// It ran and failed: no network, no such version, or its own settings.
    #[error(
        "{package}: {command} failed ({status}): {complaint}. Check the network, and the client's settings for proxy and mirror, \
         then run this again: what is there already stays"
    )]
    Failed {
        /// Registry, name and version.
        package: String,
        /// What ran.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines it wrote.
        complaint: String,
    },
    /// It did not finish in time and was stopped.
    #[error("{package}: {command} did not finish within {seconds} s and was stopped. Allow more by --timeout-seconds, then run this again")]
    TimedOut {
        /// Registry, name and version.
        package: String,
        /// What ran.
        command: String,
        /// The time it had.
        seconds: u64,
    },
    /// It finished and delivered another file.
    #[error("{package}: expected {expected} from the client, got {got}. Another build of the package is served to this machine")]
    Delivered {
        /// Registry, name and version.
        package: String,
        /// Name of the archive.
        expected: String,
        /// What is in the folder.
        got: String,
    },
    /// It could not be started or watched.
    #[error("could not run {command}")]
    Run {
        /// What should run.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Brings a package's archive into `folder` and returns its path.
pub(super) fn download(package: &Package, folder: &Path, timeout: Duration) -> Result<PathBuf, ClientError> {
    let inbox = folder.join("inbox");
    fs::create_dir_all(&inbox).map_err(|source| ClientError::Run { command: "the client".into(), source })?;
    match package.registry {
        Registry::Npm => npm(package, &inbox, timeout)?,
        Registry::Pypi => pip(package, &inbox, timeout)?,
    }
    let archive = inbox.join(&package.archive);
    if archive.is_file() {
        return Ok(archive);
    }
    let names = fs::read_dir(&inbox).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let got = names.collect::<Vec<_>>().join(", ");
    let got = if got.is_empty() { "nothing".to_owned() } else { got };
    Err(ClientError::Delivered { package: package.label(), expected: package.archive.clone(), got })
}

fn npm(package: &Package, inbox: &Path, timeout: Duration) -> Result<(), ClientError> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let client =
        first_that_runs(&[&[program]]).ok_or(ClientError::Missing { client: "npm", tried: program.into(), install: "Node.js with npm" })?;
    // The archive is only read: nothing in it may run.
    let arguments = ["pack", "--silent", "--ignore-scripts"].map(OsString::from);
    let mut command = Command::new(program);
    command.args(arguments).arg(format!("{}@{}", package.name, package.version));
    run(package, &client, command, inbox, timeout)
}

fn pip(package: &Package, inbox: &Path, timeout: Duration) -> Result<(), ClientError> {
    const CLIENTS: [&[&str]; 5] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"], &["py", "-m", "pip"]];
    let client = first_that_runs(&CLIENTS).ok_or(ClientError::Missing {
        client: "pip",
        tried: CLIENTS.map(|words| words.join(" ")).join(", "),
        install: "Python 3 with pip (Debian: python3-pip)",
    })?;
    let result = run(package, &client, pip_command(package, &client, &[]), inbox, timeout);
    if package.is_sdist() && result.is_err() {
        // For a source distribution pip asks its build script for metadata, and first obtains setuptools for
        // that. Where it cannot, the setuptools of this Python may do.
        let second = run(package, &client, pip_command(package, &client, &["--no-build-isolation"]), inbox, timeout);
        return second.or(result);
    }
    result
}

fn pip_command(package: &Package, client: &[String], more: &[&str]) -> Command {
    let mut words = client.iter();
    let mut command = Command::new(words.next().map_or("pip", String::as_str));
    command.args(words).args(["--disable-pip-version-check", "--no-input", "download", "--quiet", "--no-deps", "--dest", "."]);
    if package.is_sdist() {
        command.arg(format!("--no-binary={}", package.name));
    } else {
        command.arg("--only-binary=:all:");
    }
    if let Some(platform) = &package.platform {
        command.args(["--platform", platform, "--implementation", "cp"]);
    }
    if let Some(python) = &package.python {
        command.args(["--python-version", python, "--abi", &format!("cp{}", python.replace('.', ""))]);
    }
    command.args(more).arg(format!("{}=={}", package.name, package.version));
    command
}

/// The first of several ways to call a client that answers when asked for its version.
fn first_that_runs(clients: &[&[&str]]) -> Option<Vec<String>> {
    clients.iter().find_map(|words| {
        let (program, arguments) = words.split_first()?;
        let mut command = Command::new(program);
        command.args(arguments).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let answered = finish(&mut command, VERSION_TIMEOUT).ok()?.is_some_and(|status| status.success());
        answered.then(|| words.iter().map(ToString::to_string).collect())
    })
}

fn run(package: &Package, client: &[String], mut command: Command, inbox: &Path, timeout: Duration) -> Result<(), ClientError> {
    let words = client.join(" ");
    let fail = |source| ClientError::Run { command: words.clone(), source };
    let said = inbox.with_extension("log");
    let log = File::create(&said).map_err(fail)?;
    command.current_dir(inbox).stdin(Stdio::null()).stdout(log.try_clone().map_err(fail)?).stderr(log);
    match finish(&mut command, timeout).map_err(fail)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(ClientError::Failed {
            package: package.label(),
            command: words,
            status: status.to_string(),
            complaint: complaint(&fs::read_to_string(&said).unwrap_or_default()),
        }),
        None => Err(ClientError::TimedOut { package: package.label(), command: words, seconds: timeout.as_secs() }),
    }
}

/// Waits for a command; none when it had to be stopped.
fn finish(command: &mut Command, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + timeout;
    let mut child = command.spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// The last lines a client wrote, on one line.
fn complaint(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(COMPLAINT_LINES)..).unwrap_or_default();
    if last.is_empty() { "it said nothing".into() } else { last.join(" | ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_stopped() {
        let started = Instant::now();
        let status = finish(Command::new("sleep").arg("60"), Duration::from_millis(200)).unwrap();
        assert_eq!(status, None);
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_client_that_is_not_there_is_not_found() {
        assert_eq!(first_that_runs(&[&["countersign-no-such-client"]]), None);
    }

    #[test]
    fn the_last_lines_of_a_complaint_are_kept() {
        assert_eq!(complaint("one\ntwo\n\nthree\nfour\nfive\n"), "two | three | four | five");
        assert_eq!(complaint(" \n"), "it said nothing");
    }

    #[test]
    fn a_wheel_for_one_platform_is_asked_for_by_name_on_any_machine() {
        let package = Package {
            id: "p".into(),
            registry: Registry::Pypi,
            name: "p".into(),
            version: "1.0".into(),
            archive: "p-1.0-cp311-cp311-manylinux_2_28_x86_64.whl".into(),
            archive_sha256: None,
            platform: Some("manylinux_2_28_x86_64".into()),
            python: Some("3.11".into()),
        };
        let command = pip_command(&package, &["pip".into()], &[]);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        let text = arguments.join(" ");
        assert!(text.contains("--platform manylinux_2_28_x86_64 --implementation cp --python-version 3.11 --abi cp311"), "{text}");
        assert!(text.ends_with("--only-binary=:all: p==1.0") || text.ends_with("p==1.0"), "{text}");
    }
}
