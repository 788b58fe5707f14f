//! `capture-agent api-key …`: who may call the local API.

use std::path::Path;

use clap::Subcommand;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::json;

use crate::{
    keys,
    output::{self, exit},
};

/// What can be done with keys of programs.
#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Makes a key for a program; it is shown once and kept as a hash
    Add {
        /// The program: 1 to 64 of a-z, 0-9, - and _.
        #[arg(long, value_name = "NAME")]
        program: String,
        /// Origin of the program's web pages, as http://127.0.0.1:8080; may be given several times.
        #[arg(long, value_name = "ORIGIN")]
        origin: Vec<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lists the programs that have a key
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Takes a program's key back; it is out with its next call
    Revoke {
        /// The program.
        #[arg(long, value_name = "NAME")]
        program: String,
    },
}

pub(super) fn run(dir: &Path, command: ApiKeyCommand) -> anyhow::Result<u8> {
    match command {
        ApiKeyCommand::Add { program, origin, json } => {
            let key = keys::add(dir, &program, &origin, &jiff::Timestamp::now().to_string())?;
            let text = if json {
                json!({ "program": program, "key": key.text() }).to_string()
            } else {
                format!("{}\nkeep it in {program}: it is not shown again", key.text())
            };
            output::line(&text)?;
        }
        ApiKeyCommand::List { json: true } => {
            let programs =
                keys::load(dir)?.into_iter().map(|key| json!({ "program": key.program, "origins": key.origins, "added_at": key.added_at }));
            output::line(&serde_json::Value::from_iter(programs).to_string())?;
        }
        ApiKeyCommand::List { json: false } => {
            let mut table = Table::new();
            table.load_style(UTF8_FULL_CONDENSED).set_header(["program", "origins", "since"]);
            for key in keys::load(dir)? {
                table.add_row([key.program, key.origins.join(" "), key.added_at]);
            }
            output::line(&table.to_string())?;
        }
        ApiKeyCommand::Revoke { program } => {
            keys::revoke(dir, &program)?;
            output::line(&format!("the key of {program} is no longer taken"))?;
        }
    }
    Ok(exit::DONE)
}
