//! The `evaluate` command: error rates on trials, and policies calibrated from them.

use std::process::ExitCode;

use clap::Parser;

mod arguments;
mod calibrate;
mod failure;
mod measure;
mod output;

fn main() -> ExitCode {
    match arguments::run(&arguments::Arguments::parse()) {
        Ok(code) => code,
        Err(failure) => {
            output::complain(&format!("evaluate: {:#}", failure.error));
            ExitCode::from(failure.code)
        }
    }
}
