//! Child processes: started with their output watched, stopped by pid, never left behind.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take until it says that it listens.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How long a server may take to end after it was asked to.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// The path of one of the workspace's binaries, built in the same profile as this program.
///
/// # Errors
/// When it has not been built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let found = here.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built beside {}; build it first: cargo build --workspace --bins", here.display()))
}

/// Runs a command to its end and gives its standard output.
///
/// # Errors
/// When it does not exit with 0; the message has its standard error.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?} does not start"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} {:?} ended with {}:\n{stderr}", name(command), arguments(command), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn arguments(command: &Command) -> Vec<String> {
    command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts a server and waits for its line `listening on ADDRESS`. It has a process group of its own: Ctrl-C
    /// in a terminal reaches whoever started it, who stops it in order.
    ///
    /// # Errors
    /// When it ends or stays silent instead.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let stderr = std::fs::File::options().create(true).append(true).open(log)?;
        let mut child = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let started = Instant::now();
        let mut server = Self { child, address: String::new() };
        while started.elapsed() < START_WITHIN {
            match lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => {
                    if let Some(address) = line.strip_prefix("listening on ") {
                        address.trim().clone_into(&mut server.address);
                        return Ok(server);
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        bail!("{} did not come up: {}", name(command), std::fs::read_to_string(log).unwrap_or_default())
    }

    /// Where it listens, as a URL.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once, as a power cut or an out-of-memory killer would (SIGKILL).
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, Signal::TERM)?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("process {pid:?} did not end within {STOP_WITHIN:?} after SIGTERM")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing to be done when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
