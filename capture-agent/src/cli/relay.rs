//! `capture-agent relay`: the commands of a relay.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use proto::invitation::InvitationCode;
use serde_json::Value;

use super::run::runtime;
use crate::{
    clock::Clock,
    identity::{self, Identity, REQUEST_FILE},
    join,
    output::{self, exit},
    relay::{
        config,
        serve::{Bound, Relay, STATUS_FILE},
    },
    serve::{self, Lease},
    service::{
        log::Log,
        reload::{self, AtOnce},
    },
};

/// The relay's commands. It has a state folder of its own: give --dir.
#[derive(Debug, Subcommand)]
pub enum RelayCommand {
    /// Makes the state folder: key, certificate request, commented relay.toml.
    Init,
    /// Takes in what the center issued for this relay (`matcher device issue --role relay --counter HOST`).
    Install {
        /// Folder with device.toml, device.crt and ca.crt.
        #[arg(long, value_name = "FOLDER")]
        bundle: PathBuf,
    },
    /// Joins the center with a one-time code (`matcher device invite --role relay --counter HOST`).
    Join {
        /// Where the center lets devices join, https://host:port.
        #[arg(long, value_name = "URL")]
        center: String,
        /// The code, as the center's operator read it out.
        #[arg(long, value_name = "CODE", env = "COUNTERSIGN_AGENT_CODE", hide_env_values = true)]
        code: String,
    },
    /// Serves counters until it is stopped.
    Serve,
    /// Says how the relay and its counters stand. Exit code 0 when it runs, has a line, and no counter is silent; 10 when
    /// something should be looked at; 1 when it does not run.
    Status {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Carries out a command.
pub(super) fn run(dir: &Path, command: RelayCommand) -> anyhow::Result<u8> {
    match command {
        RelayCommand::Init => {
            identity::init_with(dir, (config::FILE, config::SHIPPED))?;
            let (folder, request) = (dir.display(), dir.join(REQUEST_FILE));
            output::line(&format!(
                "{folder} is ready\nnext: give {} to the center, then `capture-agent relay install --dir {folder} --bundle FOLDER` with what it gives back",
                request.display()
            ))?;
            Ok(exit::DONE)
        }
        RelayCommand::Install { bundle } => {
            let registration = identity::install(dir, &bundle)?;
            ready(&registration)
        }
        RelayCommand::Join { center, code } => {
            let code = match InvitationCode::parse(&code) {
                Ok(code) => code,
                Err(error) => {
                    output::note(&format!("error: {error}"));
                    return Ok(exit::USAGE);
                }
            };
            let registration = runtime()?.block_on(join::join_with(dir, &center, &code, (config::FILE, config::SHIPPED)))?;
            ready(&registration)
        }
        RelayCommand::Serve => serve(dir),
        RelayCommand::Status { json } => status(dir, json),
    }
}

fn ready(registration: &identity::Registration) -> anyhow::Result<u8> {
    let identity::Registration { device, institution, counter, .. } = registration;
    output::line(&format!(
        "relay {device} of institution {institution} is ready; counters reach it as {counter}\nnext: capture-agent relay serve"
    ))?;
    Ok(exit::DONE)
}

fn serve(dir: &Path) -> anyhow::Result<u8> {
    let config = config::load(dir)?;
    let identity = Identity::load(dir)?;
    let _lease = Lease::take(dir)?;
    let log = Log::start(&config.log, dir).context("the log cannot be written")?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let stop = serve::stop_signal().context("signals cannot be received")?;
        let relay = Relay::open(dir, config, identity, Clock::start())?;
        let source = (config::SHIPPED, config::FILE, config::ENV_PREFIX);
        let ready = |bound: Bound| output::line(&format!("listening on https://{}", bound.counters));
        tokio::select! {
            served = relay.serve(stop, ready) => served?,
            () = reload::keep(dir, (source, AtOnce::FILTER), &log, || config::load(dir).map(drop), async |()| {}) => {}
        }
        anyhow::Ok(())
    })?;
    runtime.shutdown_background();
    Ok(exit::DONE)
}

/// Reads what the running relay writes every few seconds.
fn status(dir: &Path, json: bool) -> anyhow::Result<u8> {
    let is_running = Lease::is_taken(dir);
    let text = std::fs::read_to_string(dir.join(STATUS_FILE)).unwrap_or_default();
    let Some(status) = serde_json::from_str::<Value>(&text).ok().filter(|_| is_running) else {
        if json {
            output::line("{\"running\":false}")?;
        } else {
            output::line("the relay does not run")?;
        }
        return Ok(exit::FAILED);
    };
    let counters = status.get("counters").and_then(Value::as_array).cloned().unwrap_or_default();
    let flag = |value: &Value, key: &str| value.get(key).and_then(Value::as_bool).unwrap_or_default();
    let refused = |counter: &Value| counter.get("let_in").and_then(Value::as_bool) == Some(false);
    let is_well = !flag(&status, "is_down") && !counters.iter().any(|counter| flag(counter, "is_silent") || refused(counter));
    if json {
        let mut status = status;
        if let Some(fields) = status.as_object_mut() {
            fields.insert("running".to_owned(), true.into());
        }
        output::line(&serde_json::to_string(&status)?)?;
    } else {
        output::line(&table(&status, &counters))?;
    }
    Ok(if is_well { exit::DONE } else { exit::REVIEW })
}

fn table(status: &Value, counters: &[Value]) -> String {
    let at = status.get("at_ms").and_then(Value::as_i64).unwrap_or_default();
    let text = |value: &Value, key: &str| match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let age = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_i64).map_or_else(String::new, |then| format!("{} s", (at - then).max(0) / 1000))
    };
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "counter",
        "let in",
        "last seen",
        "waiting here",
        "oldest here",
        "waiting there",
        "line",
        "version",
    ]);
    for counter in counters {
        table.add_row([
            text(counter, "device"),
            text(counter, "let_in"),
            age(counter, "last_seen_ms"),
            text(counter, "waiting_here"),
            age(counter, "oldest_here_ms"),
            text(counter, "waiting_there"),
            text(counter, "line"),
            text(counter, "version"),
        ]);
    }
    let line = if status.get("is_down").and_then(Value::as_bool) == Some(true) { "none answers".to_owned() } else { text(status, "line") };
    format!(
        "relay {} ({}), line: {line}, {} envelopes wait\n{table}",
        text(status, "relay"),
        text(status, "version"),
        text(status, "waiting")
    )
}
