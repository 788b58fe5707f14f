//! The command line.

mod api_key;
mod join;
mod rehearse;
mod relay;
mod run;
mod screen;
mod simulate;
mod update;

use std::path::PathBuf;

use capture_core::{Attempt, Consent, IdentifierKind, IdentifierNumber, Notice, Operator, Region, Scene, TransactionId};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::command::{By, VerifyCommand};

pub use api_key::ApiKeyCommand;
pub use relay::RelayCommand;
pub use run::run;
pub use update::UpdateCommand;

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 wrong command line; 64 wrong configuration or state folder.
`verify`: 0 match; 10 review; 11 non-match; 12 no decision; 20 the center does not answer.";

const VERIFY_HELP: &str = "Exit codes:
   0  match
  10  review
  11  non-match
  12  no decision (no face, several faces, no reference, …)
  20  the center does not answer; the same command again sends what was captured
   1  another failure (no camera, device refused, …)
   2  wrong command line
  64  wrong configuration or state folder

The same transaction and attempt again give the same answer and capture nothing anew.";

/// The capture agent of a counter: verifies the person before the camera against a card.
#[derive(Debug, Parser)]
#[command(name = "capture-agent", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// State folder: key, certificate, configuration and outbox of this device.
    #[arg(long, global = true, env = "COUNTERSIGN_AGENT_DIR", default_value_os_t = default_dir(), value_name = "FOLDER")]
    pub dir: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// The agent's commands.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Makes the state folder: device key, certificate request, commented configuration.
    Init,
    /// Takes in what the center issued for this device.
    Install {
        /// Folder with device.toml, device.crt and ca.crt.
        #[arg(long, value_name = "FOLDER")]
        bundle: PathBuf,
    },
    /// Joins the center with a one-time code: makes the key, gets the certificate, writes the configuration. The same
    /// command again goes on after an interruption.
    Join {
        /// Where the center lets devices join, https://host:port.
        #[arg(long, value_name = "URL")]
        center: String,
        /// The code, as the center's operator read it out.
        #[arg(long, value_name = "CODE", env = "COUNTERSIGN_AGENT_CODE", hide_env_values = true)]
        code: String,
    },
    /// Renews the device's certificate now; the running agent does it by itself in time.
    Renew,
    /// Says in a few lines how this counter stands. Exit code 0 when the agent runs and nothing is wrong.
    Status {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Examines camera, light, models, processor, clock, line, certificate, lease, spool, disk and configuration, each with
    /// what to do. Exit code 0 when all is in order, 10 when something should be looked at, 1 when something does not work.
    Doctor {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Verifies the person before the camera against a card, once.
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Serves the loopback HTTP API until it is stopped.
    Serve,
    /// A drill: answers without the center, in a folder of its own, and says what worked. Leaves no trace in real records.
    Rehearse(rehearse::RehearseArgs),
    /// Prints the link that opens the counter's screen in a browser of this machine. It works once; the next call gives another.
    Screen,
    /// Behaves like a counter and its center, for integrators: no camera, center or models. Its receipts are worth nothing.
    Simulate(simulate::SimulateArgs),
    /// The relay of a front-end server with two networks: carries the calls of counters to the center.
    #[command(subcommand)]
    Relay(RelayCommand),
    /// New software and models from a signed bundle, with the way back.
    #[command(subcommand)]
    Update(UpdateCommand),
    /// Keys of the programs that may call the local API.
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Lists the cameras of this machine.
    Cameras {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints a completion script.
    Completions {
        /// For this shell.
        shell: Shell,
    },
}

/// What to verify.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Number of the card or document.
    #[arg(long, value_name = "NUMBER")]
    card: IdentifierNumber,
    /// Kind of number: social_security_card or resident_identity.
    #[arg(long, value_name = "KIND", default_value = "social_security_card")]
    id_kind: IdentifierKind,
    /// Administrative division that issued the card, 6 digits; the center's own when left out.
    #[arg(long, value_name = "DIVISION", default_value = "")]
    region: Region,
    /// Where in the visit: registration, reception, settlement, admission, discharge or transfer.
    #[arg(long)]
    scene: Scene,
    /// The institution's transaction id, 1 to 64 printable ASCII characters.
    #[arg(long, value_name = "ID")]
    transaction: TransactionId,
    /// Which attempt within the transaction, 1 to 99.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    attempt: Attempt,
    /// Who operates the counter.
    #[arg(long, default_value = "")]
    operator: Operator,
    /// Version of the notice shown; the policy's when left out.
    #[arg(long, default_value = "")]
    notice: Notice,
    /// Version of the consent given, where the scene asks for one.
    #[arg(long, default_value = "")]
    consent: Consent,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    fn command(self) -> (VerifyCommand, bool) {
        let Self { card, id_kind, region, scene, transaction, attempt, operator, notice, consent, json } = self;
        (
            VerifyCommand {
                transaction,
                attempt,
                scene,
                id_kind,
                number: card,
                region,
                operator,
                notice,
                consent,
                by: By::Face,
                proxy: None,
            },
            json,
        )
    }
}

/// Where the system keeps the state of a user's programs.
fn default_dir() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base =
        if cfg!(windows) { from("LOCALAPPDATA") } else { from("XDG_STATE_HOME").or_else(|| Some(from("HOME")?.join(".local/state"))) };
    base.unwrap_or_default().join("countersign-agent")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_in_order() {
        Cli::command().debug_assert();
    }

    #[track_caller]
    fn check(args: &str, refused: bool) {
        let outcome = Cli::try_parse_from(args.split(' '));
        assert_eq!(outcome.as_ref().err().map(clap::Error::exit_code), refused.then_some(2), "{args}: {outcome:?}");
    }

    #[test]
    fn wrong_values_are_a_wrong_command_line() {
        let good = "capture-agent verify --card 100 --scene settlement --transaction T1";
        check(good, false);
        check(&good.replace("settlement", "ward"), true);
        check(&good.replace("--card 100 ", ""), true);
        check(&format!("{good} --attempt 0"), true);
        check(&format!("{good} --region 33"), true);
        check(&format!("{good} --id-kind resident_identity --region 330200 --operator 0417 --json"), false);
        check("capture-agent", true);
    }
}
