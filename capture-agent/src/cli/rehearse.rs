//! `capture-agent rehearse`.

use std::{fs::File, path::Path};

use anyhow::Context;
use clap::Args;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use models_core::{ModelId, RecipeId};
use std::sync::Arc;

use crate::{
    config::{self, Config},
    output::{self, exit},
    rehearse::{self, NoEyes, Rehearsal},
    screen::DRILL_FILE,
    vision::{self, FaceReader},
};

/// How to rehearse.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 every step worked; 1 one did not, or the drill could not be set up.")]
pub struct RehearseArgs {
    /// Does without camera and networks: nobody is seen.
    #[arg(long)]
    without_camera: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the drill and says what worked.
pub(super) fn run(dir: &Path, args: &RehearseArgs) -> anyhow::Result<u8> {
    let config = config::load(dir)?;
    let _held = hold(dir);
    let pictures = tempfile::tempdir().context("the drill's folder cannot be made")?;
    let (config, reader): (Config, Arc<dyn FaceReader>) = if args.without_camera {
        let eyes = NoEyes::new(ModelId::new("drill@1")?, RecipeId::new("drill@1")?);
        (rehearse::without_camera(&config, pictures.path())?, Arc::new(eyes))
    } else {
        let reader = vision::load(&config.models)?;
        (config, reader)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime could not be started")?;
    let rehearsal = runtime.block_on(rehearse::rehearse(&config, reader))?;
    // A camera's driver may still hang; nobody waits for it.
    runtime.shutdown_background();
    output::line(&if args.json { serde_json::to_string(&rehearsal)? } else { table(&rehearsal) })?;
    Ok(if rehearsal.worked { exit::DONE } else { exit::FAILED })
}

/// Lets the counter's screen say that a drill is under way, for as long as the file is held.
fn hold(dir: &Path) -> Option<File> {
    let file = File::options().write(true).create(true).truncate(false).open(dir.join(DRILL_FILE)).ok()?;
    // Whether one is held is looked at for a moment, and drills may run beside each other.
    file.lock_shared().ok().map(|()| file)
}

fn table(rehearsal: &Rehearsal) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["step", "worked", "what came of it"]);
    for step in &rehearsal.steps {
        table.add_row([step.step, if step.worked { "yes" } else { "NO" }, &step.detail]);
    }
    table.to_string()
}
