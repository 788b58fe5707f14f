//! The command line: what can be asked of `matcher`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    device::IssueArgs,
    import::EnrolArgs,
    init::InitArgs,
    listing::{FlagsArgs, VerificationsArgs},
};

/// The center of Countersign: enrols references, verifies captures, flags mismatches.
#[derive(Debug, Parser)]
#[command(
    name = "matcher",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 failed, 2 not understood, 64 the configuration is not in order.\n\
                  A new center: matcher init, matcher device issue, matcher enrol, matcher serve."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The data folder.
#[derive(Debug, Clone, Args)]
pub struct DataArg {
    /// Data folder of the center
    #[arg(long = "data", env = "COUNTERSIGN_DATA", value_name = "DIR")]
    pub dir: PathBuf,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the data folder of a new center: keys, certificates, settings, policy, store
    Init {
        /// Where.
        #[command(flatten)]
        data: DataArg,
        /// How.
        #[command(flatten)]
        args: InitArgs,
    },
    /// Let devices in, list them, put them out
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Enrol people from a table and a folder of photos
    Enrol {
        /// Where.
        #[command(flatten)]
        data: DataArg,
        /// What.
        #[command(flatten)]
        args: EnrolArgs,
    },
    /// Serve counters over gRPC by mutual TLS until stopped (SIGTERM, Ctrl-C)
    Serve {
        /// Where.
        #[command(flatten)]
        data: DataArg,
    },
    /// List flags, newest first
    Flags {
        /// Where.
        #[command(flatten)]
        data: DataArg,
        /// Which.
        #[command(flatten)]
        args: FlagsArgs,
    },
    /// List verifications, newest first
    Verifications {
        /// Where.
        #[command(flatten)]
        data: DataArg,
        /// Which.
        #[command(flatten)]
        args: VerificationsArgs,
    },
    /// Print completions for a shell
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// What can be done with devices.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Sign a device's certificate request and write its bundle
    Issue {
        /// Where.
        #[command(flatten)]
        data: DataArg,
        /// What.
        #[command(flatten)]
        args: IssueArgs,
    },
    /// List the devices of the registry
    List {
        /// Where.
        #[command(flatten)]
        data: DataArg,
        /// As one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Put a device out; its next call is refused
    Revoke {
        /// Where.
        #[command(flatten)]
        data: DataArg,
        /// Name of the device.
        #[arg(value_name = "ID")]
        device: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
