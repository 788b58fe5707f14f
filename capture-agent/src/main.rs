//! The capture agent's command.

use std::process::ExitCode;

use capture_agent::cli::{Cli, run};
use clap::Parser;

fn main() -> ExitCode {
    ExitCode::from(run(Cli::parse()))
}
