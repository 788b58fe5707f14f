//! One center and one counter, set up by the very commands an operator types.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    clock::Clock,
    power_cut::Disk,
    process::{Server, binary, run},
};

/// Folders of a center and a counter. Nothing runs yet.
#[derive(Debug)]
pub struct Site {
    root: PathBuf,
    center_disk: Option<Disk>,
    counter_disk: Option<Disk>,
    clock: Option<Clock>,
    counter: String,
    camera: String,
}

impl Site {
    /// Takes an empty folder.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn new(root: &Path) -> Result<Self> {
        let root = root.canonicalize()?;
        for folder in ["center", "counter", "before-the-camera", "exchange"] {
            fs::create_dir_all(root.join(folder))?;
        }
        Ok(Self { root, center_disk: None, counter_disk: None, clock: None, counter: "counter".into(), camera: "before-the-camera".into() })
    }

    /// Lets the center and the counter run on disks that lose what was not fsynced.
    #[must_use]
    pub fn on_disks(mut self, center: Option<Disk>, counter: Option<Disk>) -> Self {
        (self.center_disk, self.counter_disk) = (center, counter);
        self
    }

    /// Lets everything run under a clock that can be set.
    #[must_use]
    pub fn under_clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// A second counter of the same center, with a state folder of its own and the same people before its camera.
    #[must_use]
    pub fn second_counter(&self) -> Self {
        self.another_counter("counter-2", "before-the-camera")
    }

    /// Another counter of the same center, with a state folder and a camera of these names.
    #[must_use]
    pub fn another_counter(&self, counter: &str, camera: &str) -> Self {
        let (root, clock) = (self.root.clone(), self.clock.clone());
        Self { root, center_disk: None, counter_disk: None, clock, counter: counter.into(), camera: camera.into() }
    }

    /// The relay's state folder.
    #[must_use]
    pub fn relay_folder(&self) -> PathBuf {
        self.root.join("relay")
    }

    /// A `capture-agent relay` command on the relay's folder.
    ///
    /// # Errors
    /// When the binary has not been built.
    pub fn relay(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("capture-agent")?);
        command.arg("relay").args(arguments).arg("--dir").arg(self.relay_folder()).env_remove("RUST_LOG");
        if let Some(clock) = &self.clock {
            clock.under(&mut command)?;
        }
        Ok(command)
    }

    /// The center's data folder.
    #[must_use]
    pub fn center_folder(&self) -> PathBuf {
        self.root.join("center")
    }

    /// The counter's state folder.
    #[must_use]
    pub fn counter_folder(&self) -> PathBuf {
        self.root.join(&self.counter)
    }

    /// The file a server's messages go to.
    #[must_use]
    pub fn log(&self, server: &str) -> PathBuf {
        self.root.join(format!("{server}.log"))
    }

    /// A `matcher` command on the center's folder.
    ///
    /// # Errors
    /// When the binary has not been built.
    pub fn matcher(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("matcher")?);
        command.args(arguments).env("COUNTERSIGN_DATA", self.center_folder()).env_remove("RUST_LOG");
        if let Some(disk) = &self.center_disk {
            disk.under(&mut command)?;
        }
        if let Some(clock) = &self.clock {
            clock.under(&mut command)?;
        }
        Ok(command)
    }

    /// A `capture-agent` command on the counter's folder, with the playback camera.
    ///
    /// # Errors
    /// When the binary has not been built.
    pub fn agent(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("capture-agent")?);
        command.args(arguments).arg("--dir").arg(self.counter_folder()).env_remove("RUST_LOG");
        let folder = self.root.join(&self.camera);
        let settings = [
            ("CAMERA__KIND", "playback".into()),
            ("CAMERA__FOLDER", folder.to_string_lossy().into_owned()),
            ("ACQUISITION__GOOD_FRAMES", "3".into()),
            ("ACQUISITION__FRAME_GAP_MS", "0".into()),
            ("CAMERA__FRAME_INTERVAL_MS", "15".into()),
            ("ACQUISITION__DEADLINE_MS", "1500".into()),
        ];
        for (key, value) in settings {
            command.env(format!("COUNTERSIGN_AGENT__{key}"), value);
        }
        if let Some(disk) = &self.counter_disk {
            disk.under(&mut command)?;
        }
        if let Some(clock) = &self.clock {
            clock.under(&mut command)?;
        }
        Ok(command)
    }

    /// `matcher init`.
    ///
    /// # Errors
    /// When the command fails.
    pub fn init_center(&self) -> Result<()> {
        run(&mut self.matcher(&["init", "--demonstration", "--server-name", "localhost", "--server-name", "127.0.0.1"])?).map(drop)
    }

    /// Joins the counter: its key is made there, its request signed by the center.
    ///
    /// # Errors
    /// When a command fails.
    pub fn join_counter(&self, institution: &str, counter: &str) -> Result<()> {
        run(&mut self.agent(&["init"])?)?;
        let request = self.counter_folder().join("device.csr");
        let bundle = self.root.join(format!("exchange/bundle-{}", self.counter));
        let (request, bundle) = (request.to_string_lossy(), bundle.to_string_lossy());
        run(&mut self.matcher(&[
            "device",
            "issue",
            "--csr",
            &request,
            "--institution",
            institution,
            "--counter",
            counter,
            "--out",
            &bundle,
        ])?)?;
        run(&mut self.agent(&["install", "--bundle", &bundle])?).map(drop)
    }

    /// Invites a counter and gives the code.
    ///
    /// # Errors
    /// When the command fails.
    pub fn invite_counter(&self, institution: &str, counter: &str) -> Result<String> {
        let arguments = ["device", "invite", "--institution", institution, "--counter", counter, "--json"];
        let invited: Value = serde_json::from_str(&run(&mut self.matcher(&arguments)?)?)?;
        Ok(invited.get("code").and_then(Value::as_str).context("no code")?.to_owned())
    }

    /// Where devices join, while the center runs.
    ///
    /// # Errors
    /// When it does not run.
    pub fn joining_address(&self) -> Result<String> {
        Ok(fs::read_to_string(self.center_folder().join("joining.addr"))?.trim().to_owned())
    }

    /// `matcher enrol` of cards and photos (paths of pictures).
    ///
    /// # Errors
    /// When the command fails or refuses a photo.
    pub fn enrol(&self, people: &[(&str, PathBuf)]) -> Result<String> {
        let photos = self.root.join("exchange/photos");
        fs::create_dir_all(&photos)?;
        let mut csv = "card,photo\n".to_owned();
        for (card, picture) in people {
            let name = picture.file_name().context("no file name")?.to_string_lossy();
            let target = photos.join(&*name);
            if !target.exists() {
                fs::copy(picture, target)?;
            }
            csv += &format!("{card},{name}\n");
        }
        let manifest = self.root.join("exchange/people.csv");
        fs::write(&manifest, csv)?;
        run(&mut self.matcher(&["enrol", "--manifest", &manifest.to_string_lossy(), "--photos", &photos.to_string_lossy()])?)
    }

    /// Starts the center; `listen` is an address with a port, 0 to let the system choose.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_center(&self, listen: &str) -> Result<Server> {
        self.start_center_with(listen, &[])
    }

    /// Starts the center with settings, as `TABLE__KEY` and value.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_center_with(&self, listen: &str, settings: &[(&str, &str)]) -> Result<Server> {
        let mut command = self.matcher(&["serve"])?;
        command.env("COUNTERSIGN_MATCHER__SERVER__LISTEN", listen);
        command.env("COUNTERSIGN_MATCHER__PUBLISHED__LISTEN", "127.0.0.1:0");
        command.env("COUNTERSIGN_MATCHER__JOINING__LISTEN", "127.0.0.1:0");
        for (key, value) in settings {
            command.env(format!("COUNTERSIGN_MATCHER__{key}"), value);
        }
        Server::start(&mut command, &self.log("center"))
    }

    /// Starts the counter's agent against a center.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_counter(&self, center: &str) -> Result<Counter> {
        self.start_counter_with(center, &[])
    }

    /// Starts the counter's agent with settings, as `TABLE__KEY` and value.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_counter_with(&self, center: &str, settings: &[(&str, &str)]) -> Result<Counter> {
        let mut command = self.agent(&["serve"])?;
        for (key, value) in settings {
            command.env(format!("COUNTERSIGN_AGENT__{key}"), value);
        }
        command.env("COUNTERSIGN_AGENT__CENTER__ADDRESS", center);
        let server = Server::start(&mut command, &self.log(&self.counter))?;
        let token = fs::read_to_string(self.counter_folder().join("api.token"))?.trim().to_owned();
        Ok(Counter { server, token })
    }

    /// Puts pictures before the camera, in this order; none leaves an empty counter.
    ///
    /// # Errors
    /// When the folder cannot be changed.
    pub fn stand_before_the_camera(&self, pictures: &[PathBuf]) -> Result<()> {
        let (folder, next) = (self.root.join(&self.camera), self.root.join(format!("next-{}", self.camera)));
        let _ = fs::remove_dir_all(&next);
        fs::create_dir_all(&next)?;
        for (i, picture) in pictures.iter().enumerate() {
            let name = picture.file_name().context("no file name")?.to_string_lossy().into_owned();
            symlink(picture, next.join(format!("{i:03}-{name}")))?;
        }
        let _ = fs::remove_dir_all(&folder);
        fs::rename(next, folder)?;
        Ok(())
    }

    /// What a listing command prints with `--json`.
    ///
    /// # Errors
    /// When the command fails or prints no JSON list.
    pub fn listing(&self, command: &str) -> Result<Vec<Value>> {
        self.listing_of(&[command])
    }

    /// The same for a command of several words.
    ///
    /// # Errors
    /// When the command fails or prints no JSON list.
    pub fn listing_of(&self, command: &[&str]) -> Result<Vec<Value>> {
        let printed = run(&mut self.matcher(&[command, &["--json", "--limit", "100000"]].concat())?)?;
        let value: Value = serde_json::from_str(&printed).with_context(|| format!("{command:?} --json printed no JSON"))?;
        Ok(value.as_array().with_context(|| format!("{command:?} --json printed no list"))?.clone())
    }
}

/// A running agent.
#[derive(Debug)]
pub struct Counter {
    server: Server,
    token: String,
}

impl Counter {
    /// Where its local API listens.
    #[must_use]
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// Verifies as a till does; gives the HTTP status and the answer.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub fn verify(&self, card: &str, scene: &str, transaction: &str) -> Result<(u16, Value)> {
        self.post("/v1/verifications", &json!({ "transaction": transaction, "scene": scene, "card": card, "operator": "0417" }))
    }

    /// Sends to a resource of the local API; gives the HTTP status and the answer.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub fn post(&self, path: &str, request: &Value) -> Result<(u16, Value)> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(90))).build().into();
        let mut response =
            agent.post(format!("{}{path}", self.address())).header("Authorization", format!("Bearer {}", self.token)).send_json(request)?;
        let status = response.status().as_u16();
        Ok((status, response.body_mut().read_json()?))
    }

    /// Verifies and expects an answer.
    ///
    /// # Errors
    /// When the agent answers with an error.
    pub fn verified(&self, card: &str, scene: &str, transaction: &str) -> Result<Value> {
        let (status, answer) = self.verify(card, scene, transaction)?;
        if status != 200 {
            bail!("the agent answered {status}: {answer}");
        }
        Ok(answer)
    }

    /// Stops the agent.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(self) -> Result<()> {
        self.server.stop().map(drop)
    }

    /// Kills the agent at once.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(self) -> Result<()> {
        self.server.kill()
    }
}
