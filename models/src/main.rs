//! The `models` command: obtain, list and verify the files of weights.

use std::process::ExitCode;

use clap::Parser;

mod cli;

fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&format!("models: {error:#}"));
            ExitCode::from(cli::EXIT_UNUSABLE)
        }
    }
}
