//! `capture-agent simulate`.

use std::{fs, net::SocketAddr, path::PathBuf};

use anyhow::Context;
use clap::Args;

use crate::{
    output::{self, exit},
    serve,
    simulate::{
        self, Simulation,
        script::{SHIPPED, Script},
    },
};

/// What to simulate.
#[derive(Debug, Args)]
#[command(after_help = "The end of the card number says what comes of an attempt: 0000 match, 0001 review, 0002 non-match, … \
                        (--print-script shows all of it).\nExit codes: 0 stopped; 1 could not run; 2 wrong command line.")]
pub struct SimulateArgs {
    /// What comes of attempts; the shipped script when left out.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Prints the shipped script, to change it, and ends.
    #[arg(long)]
    print_script: bool,
    /// Folder for api.addr, api.token and jwks.json: empty, or made by an earlier simulation, which is deleted. A temporary
    /// one when left out.
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Loopback address of the local API; port 0 lets the system choose.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Requests that one program may make in a second, 1 to 1000; as at a counter when left out.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    requests_per_s: u32,
}

/// Simulates until it is stopped.
pub(super) fn run(args: &SimulateArgs) -> anyhow::Result<u8> {
    if args.print_script {
        output::line(SHIPPED.trim_end())?;
        return Ok(exit::DONE);
    }
    let text = match &args.script {
        Some(path) => fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?,
        None => SHIPPED.to_owned(),
    };
    let script = Script::read(&text)?;
    let temporary = tempfile::tempdir().context("a temporary folder cannot be made")?;
    let folder = args.state.clone().unwrap_or_else(|| temporary.path().join("simulator"));
    let simulation = Simulation { folder: folder.clone(), listen: args.listen, requests_per_s: args.requests_per_s, script };
    let runtime = super::run::runtime()?;
    runtime.block_on(async {
        let stop = serve::stop_signal().context("signals cannot be received")?;
        simulate::simulate(simulation, stop, |address| {
            output::line(&format!("simulating on http://{address}\nstate in {}", folder.display()))
        })
        .await?;
        anyhow::Ok(())
    })?;
    runtime.shutdown_background();
    Ok(exit::DONE)
}
