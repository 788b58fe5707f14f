//! A PostgreSQL of one test's own: a real server on loopback, in a folder that goes away with it.
//!
//! The server's programs are Debian's (`/usr/lib/postgresql/*/bin`). It refuses to run as root; there it runs as the user
//! `postgres`. It writes durably, since the store asks for that. Not here: what is tested with it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// How long a server may take to answer.
const START: Duration = Duration::from_secs(60);

/// How often it is looked whether the server still runs.
const LOOK: Duration = Duration::from_millis(20);

/// A server; it is killed when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    port: u16,
    folder: TempDir,
    settings: Vec<String>,
    keeper: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Postgres {
    /// Makes an empty server and starts it.
    ///
    /// # Errors
    /// When the programs are missing, or the server does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// Makes an empty server with settings (`NAME=VALUE`) and starts it.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start_with(settings: &[&str]) -> Result<Self> {
        let programs = programs().context("no PostgreSQL under /usr/lib/postgresql: install the package postgresql")?;
        let folder = tempfile::Builder::new().prefix("countersign-postgres-").tempdir()?;
        if is_root() {
            run(Command::new("chown").arg("postgres:postgres").arg(folder.path()))?;
        }
        let data = folder.path().join("data");
        let mut initdb = as_owner(&programs.join("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-sync", "-D"]);
        run(initdb.arg(&data))?;
        let mut postgres =
            Self { programs, port: free_port()?, folder, settings: settings.iter().map(ToString::to_string).collect(), keeper: None };
        postgres.run_again()?;
        Ok(postgres)
    }

    /// Starts the server on its data again, after [`Postgres::kill`].
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn run_again(&mut self) -> Result<()> {
        ensure!(self.keeper.is_none(), "the server is running");
        let mut command = as_owner(&self.programs.join("postgres"));
        command.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", "max_connections=60", "-c", "shared_buffers=64MB"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let log = fs::File::create(self.folder.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.keeper = Some(keep(command)?);
        let since = Instant::now();
        while self.query("postgres", "SELECT 1").is_err() {
            if since.elapsed() > START {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("the server did not answer in {START:?}: {log}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Kills the server as a loss of power would, but for the operating system's cache.
    pub fn kill(&mut self) {
        if let Some((stop, thread)) = self.keeper.take() {
            drop(stop);
            let _ = thread.join();
        }
    }

    /// Makes an empty database; gives its URL.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn database(&self, name: &str) -> Result<String> {
        self.query("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(format!("postgres://postgres@127.0.0.1:{}/{name}", self.port))
    }

    /// Makes an empty schema in a database, which is quicker than another database; gives its URL.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn schema(&self, database: &str, name: &str) -> Result<String> {
        self.query(database, &format!("CREATE SCHEMA {name}"))?;
        Ok(format!("postgres://postgres@127.0.0.1:{}/{database}?options=-c%20search_path%3D{name}", self.port))
    }

    /// What the server has written to its log.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// Runs SQL in a database; gives what it prints, one line a row, columns by `|`.
    ///
    /// # Errors
    /// When it fails.
    pub fn query(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres", "-d", database, "-c", sql]);
        run(command.arg("-p").arg(self.port.to_string()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a program on a thread that lives as long as it is wanted: the kernel kills the program when that thread ends, so
/// that a test that is killed leaves nothing behind. A server refuses to start while processes of the one before still end;
/// then it is started once more.
fn keep(mut command: Command) -> Result<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = mpsc::channel::<()>();
    let (started, starting) = mpsc::channel();
    let thread = thread::spawn(move || {
        loop {
            let mut child: Child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Some(error.to_string()))),
            };
            let _ = started.send(None);
            while matches!(child.try_wait(), Ok(None)) {
                if stopped.recv_timeout(LOOK) != Err(mpsc::RecvTimeoutError::Timeout) {
                    let _ = child.kill();
                    let _ = child.wait();
                    return;
                }
            }
            if stopped.recv_timeout(LOOK) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
        }
    });
    match starting.recv()? {
        None => Ok((stop, thread)),
        Some(error) => bail!("the server could not be started: {error}"),
    }
}

/// The newest installed server's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<_> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    found.retain(|folder| folder.join("postgres").exists());
    found.sort();
    found.pop()
}

/// A program run as somebody the server runs as, and killed with its parent.
fn as_owner(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).current_dir("/");
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn run(command: &mut Command) -> Result<String> {
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
}
