//! A running simulator.

use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    thread::JoinHandle,
};

use capture_agent::simulate::{
    Simulation,
    script::{SHIPPED, Script},
    simulate,
};
use tempfile::TempDir;
use tokio::sync::watch;

pub(crate) struct Simulator {
    folder: TempDir,
    pub(crate) address: String,
    stop: watch::Sender<bool>,
    running: Option<JoinHandle<()>>,
}

impl Simulator {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = mpsc::channel();
        let simulation = Simulation {
            folder: folder.path().join("state"),
            listen: ([127, 0, 0, 1], 0).into(),
            requests_per_s: 1_000,
            script: Script::read(SHIPPED).unwrap(),
        };
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let ready = |address: std::net::SocketAddr| {
                tell.send(address.to_string()).unwrap();
                Ok(())
            };
            runtime.block_on(simulate(simulation, stopped, ready)).unwrap();
            runtime.shutdown_background();
        });
        let address = told.recv().unwrap();
        Self { folder, address, stop, running: Some(running) }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.state().join("api.token")).unwrap()
    }

    /// The configuration of a library that calls it.
    pub(crate) fn config(&self) -> String {
        format!(r#"{{"dir": "{}"}}"#, self.state().display())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}
