//! Carrying out the commands: configuration first, then the state folder, then everything else.

use std::{error::Error, path::Path, sync::Arc, sync::Mutex, sync::PoisonError};

use anyhow::Context;
use clap::CommandFactory;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use tracing::warn;

use super::{Action, Cli, VerifyArgs, join};
use crate::{
    camera::{Camera, device},
    clock::Clock,
    config::{self, Config, ConfigError},
    identity::{self, Identity, IdentityError, REQUEST_FILE},
    line::spool::Spool,
    output::{self, exit},
    problem::ErrorBody,
    relay::serve::RelayError,
    serve::{self, Lease, ServeError},
    service::{
        log::Log,
        notify,
        reload::{self, AtOnce},
    },
    verify::{self as verification, Guide, Verifier},
    vision,
};

/// Carries out a command and gives its exit code. What went wrong has then been said on standard error.
#[must_use]
pub fn run(cli: Cli) -> u8 {
    let json = matches!(&cli.action, Action::Verify(args) if args.json);
    match act(cli) {
        Ok(code) => code,
        Err(error) => {
            let (code, word) = sort(&error);
            if json {
                let _ = output::line(&to_json(&ErrorBody::new(word, format!("{error:#}"))));
            } else {
                output::note(&format!("error: {error:#}"));
            }
            code
        }
    }
}

/// The one table from errors outside of verification to exit code and word.
fn sort(error: &anyhow::Error) -> (u8, &'static str) {
    if error.is::<ConfigError>() {
        (exit::CONFIGURATION, "configuration")
    } else if error.is::<IdentityError>() {
        (exit::CONFIGURATION, "state_folder")
    } else if error.is::<vision::ModelsError>() {
        (exit::FAILED, "models_missing")
    } else if error.is::<ServeError>() || error.is::<RelayError>() {
        (exit::FAILED, "not_served")
    } else {
        (exit::FAILED, "failed")
    }
}

fn act(cli: Cli) -> anyhow::Result<u8> {
    let dir = cli.dir;
    match cli.action {
        Action::Init => init(&dir),
        Action::Install { bundle } => install(&dir, &bundle),
        Action::Join { center, code } => join::join(&dir, &center, &code),
        Action::Renew => join::renew(&dir),
        Action::Status { json } => join::status(&dir, json),
        Action::Doctor { json } => join::doctor(&dir, json),
        Action::Verify(args) => verify(&dir, args),
        Action::Serve => serve(&dir),
        Action::Screen => super::screen::run(&dir),
        Action::Simulate(args) => super::simulate::run(&args),
        Action::Rehearse(args) => super::rehearse::run(&dir, &args),
        Action::Update(command) => super::update::run(&dir, command),
        Action::Relay(command) => super::relay::run(&dir, command),
        Action::ApiKey(command) => super::api_key::run(&dir, command),
        Action::Cameras { json } => cameras(json),
        Action::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "capture-agent", &mut script);
            output::line(String::from_utf8_lossy(&script).trim_end())?;
            Ok(exit::DONE)
        }
    }
}

fn init(dir: &Path) -> anyhow::Result<u8> {
    identity::init(dir)?;
    let (folder, request) = (dir.display(), dir.join(REQUEST_FILE));
    output::line(&format!(
        "{folder} is ready\nnext: give {} to the center, then `capture-agent install --dir {folder} --bundle FOLDER` with what it gives back",
        request.display()
    ))?;
    Ok(exit::DONE)
}

fn install(dir: &Path, bundle: &Path) -> anyhow::Result<u8> {
    let config = config::load(dir)?;
    let registration = identity::install(dir, bundle)?;
    // What an earlier key of the center was is of no use beside the new bundle.
    Identity::load(dir)?;
    Spool::open(dir, config.outbox)?.forget_center()?;
    let (device, institution, counter) = (registration.device, registration.institution, registration.counter);
    output::line(&format!("device {device} of institution {institution}, counter {counter}, is ready"))?;
    Ok(exit::DONE)
}

fn cameras(json: bool) -> anyhow::Result<u8> {
    let cameras = device::list()?;
    if json {
        output::line(&to_json(&cameras))?;
    } else if cameras.is_empty() {
        output::line("no camera")?;
    } else {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(["device", "name", "description"]);
        for camera in cameras {
            table.add_row([camera.device.to_string(), camera.name, camera.description]);
        }
        output::line(&table.to_string())?;
    }
    Ok(exit::DONE)
}

/// What both ways of verifying start with.
struct Prepared {
    config: Config,
    identity: Identity,
    clock: Clock,
}

fn prepare(dir: &Path, serves: bool) -> anyhow::Result<(Prepared, Log)> {
    let config = config::load(dir)?;
    let log = if serves { Log::start(&config.log, dir) } else { Log::of_command(&config.log) };
    let log = log.context("the log cannot be written")?;
    let identity = Identity::load(dir)?;
    Ok((Prepared { config, identity, clock: Clock::start() }, log))
}

impl Prepared {
    /// Loads the models, and asks the center once for what is needed of it; goes on without, if it must.
    async fn verifier(self, dir: &Path) -> anyhow::Result<Verifier> {
        let Self { config, identity, clock } = self;
        let models = config.models.clone();
        let reader = tokio::task::spawn_blocking(move || vision::load(&models)).await??;
        let outbox = Arc::new(Spool::open(dir, config.outbox)?);
        let camera = Camera::from_config(&config.camera, clock);
        let verifier = Verifier::new(&config, identity, outbox, camera, reader, clock)?;
        if let Err(error) = verifier.report_health().await {
            warn!(error = &error as &dyn Error, "health could not be reported");
        }
        Ok(verifier)
    }
}

fn verify(dir: &Path, args: VerifyArgs) -> anyhow::Result<u8> {
    let (prepared, _log) = prepare(dir, false)?;
    let (command, json) = args.command();
    let guide: Guide = if json { Arc::new(|_| {}) } else { guide_on_stderr() };
    let outcome = runtime()?.block_on(async {
        let verifier = prepared.verifier(dir).await?;
        anyhow::Ok(verifier.verify(&command, guide).await)
    })?;
    match &outcome {
        Ok(answer) if json => output::line(&to_json(answer))?,
        Ok(answer) => output::line(&output::answer_text(answer))?,
        Err(error) => {
            warn!(error.code = error.code(), error = error as &dyn Error, "verification gave no answer");
            let body = ErrorBody::of(error);
            if json { output::line(&to_json(&body))? } else { output::note(&format!("error: {}", body.text())) }
        }
    }
    Ok(output::exit_code(&outcome))
}

fn serve(dir: &Path) -> anyhow::Result<u8> {
    let _lease = if dir.is_dir() { Some(Lease::take(dir)?) } else { None };
    let (prepared, log) = prepare(dir, true)?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let stop = serve::stop_signal().context("signals cannot be received")?;
        let config = prepared.config.clone();
        let verifier = Arc::new(prepared.verifier(dir).await?);
        verifier.prune().await;
        let ready = |address| {
            notify::ready();
            output::line(&format!("listening on http://{address}"))
        };
        tokio::select! {
            served = serve::serve(dir, &config, Arc::clone(&verifier), stop, ready) => served?,
            () = keep_reading(dir, &log, &verifier) => {}
        }
        anyhow::Ok(())
    })?;
    // A camera's driver may still hang; nobody waits for it.
    runtime.shutdown_background();
    Ok(exit::DONE)
}

/// Reads the configuration again when the system asks for it.
async fn keep_reading(dir: &Path, log: &Log, verifier: &Verifier) {
    let source = (config::SHIPPED, config::FILE, config::ENV_PREFIX);
    let at_once = AtOnce { keys: &verification::KEYS, except: &[verification::EXCEPT] };
    let read = || config::load(dir).and_then(|config| verifier.fits(&config).map(|()| config));
    let apply = async |config: Config| {
        if let Err(error) = verifier.tune(&config).await {
            warn!(error = &error as &dyn Error, "the configuration was not taken");
        }
    };
    reload::keep(dir, (source, at_once), log, read, apply).await;
}

pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime could not be started")
}

fn guide_on_stderr() -> Guide {
    let last = Mutex::new("");
    Arc::new(move |instruction| {
        let text = output::instruction_text(instruction);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != text {
            *last = text;
            output::note(text);
        }
    })
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
