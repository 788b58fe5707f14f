//! The `datasets` command: obtain and list packs of pictures.

use std::process::ExitCode;

use clap::Parser;

mod cli;

fn main() -> ExitCode {
    match cli::run(&cli::Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&format!("datasets: {error:#}"));
            ExitCode::from(cli::EXIT_UNUSABLE)
        }
    }
}
