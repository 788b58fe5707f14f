//! The command line: what can be asked of `matcher`.

use std::{ffi::OsString, path::PathBuf};

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use clap_complete::Shell;

use crate::{
    audit::AuditCommand,
    backup::{BackupArgs, RestoreArgs},
    batch_command::BatchCommand,
    cases::{CasesCommand, OperatorsArgs},
    coverage::CoverageArgs,
    device::{InviteArgs, IssueArgs},
    import::EnrolArgs,
    index_command::IndexCommand,
    init::InitArgs,
    keyring::KeysCommand,
    law::LawCommand,
    listing::ListingArgs,
    plan::PlanArgs,
    policy::command::PolicyCommand,
    proxies::ProxiesCommand,
    receipt_command::ReceiptCommand,
    reconcile::ReconcileArgs,
    references::ReferencesCommand,
    retention::RetentionCommand,
    seeds_command::SeedsCommand,
    statistics_command::StatisticsCommand,
    store_command::StoreCommand,
    subject::SubjectCommand,
    user_command::UserCommand,
    webhook_command::WebhookCommand,
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
    /// Data folder of the center; every command but plan and completions needs it
    #[arg(long, env = "COUNTERSIGN_DATA", value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The data folder, which must be given one way or the other. Ends the program as any other misuse does
    /// where it is not.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        let missing =
            || Self::command().error(ErrorKind::MissingRequiredArgument, "give the data folder: --data DIR, or COUNTERSIGN_DATA=DIR");
        self.data.clone().unwrap_or_else(|| missing().exit())
    }
}

/// The words of the command that a command line asks for, without its arguments; empty when it asks for none.
#[must_use]
pub fn command_words(arguments: impl IntoIterator<Item = OsString>) -> String {
    let Ok(matches) = Cli::command().try_get_matches_from(arguments) else { return String::new() };
    let mut words = vec!["matcher"];
    let mut matches = &matches;
    while let Some((word, below)) = matches.subcommand() {
        words.push(word);
        matches = below;
    }
    words.join(" ")
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the data folder of a new center: keys, certificates, settings, policy, store
    Init(InitArgs),
    /// Let devices in, list them, put them out
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Enrol people from a table and a folder of photos
    Enrol(EnrolArgs),
    /// Captures that came late and re-comparisons: run, list, show, try again, call off
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Cases: gather evidence, list, look, complain, decide, draws for a blind look
    #[command(subcommand)]
    Cases(CasesCommand),
    /// Operators and institutions beside their peers: the other way, documents, no face, missing captures
    Operators(OperatorsArgs),
    /// Figures of days, and what drifts: count anew, show, list
    #[command(subcommand)]
    Statistics(StatisticsCommand),
    /// What scores mean and what tills do about it: show, compare, try, apply
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// What the law asks: the notice, the count of stored faces, the impact assessment
    #[command(subcommand)]
    Law(LawCommand),
    /// Serve counters over gRPC by mutual TLS until stopped (SIGTERM, Ctrl-C)
    Serve,
    /// List flags, newest first
    Flags(ListingArgs),
    /// List verifications, newest first
    Verifications(ListingArgs),
    /// List keys, put new ones in their place, back them up
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Move all records to another engine
    #[command(subcommand)]
    Store(StoreCommand),
    /// Copy the store into a folder, consistently and without keys
    Backup(BackupArgs),
    /// Put a copy of the store into a data folder that has none
    Restore(RestoreArgs),
    /// Check the audit log, hand it out, sign it
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Show, export, forget or hold what is stored about a person
    #[command(subcommand)]
    Subject(SubjectCommand),
    /// Who came in a holder's place: list, hand out the register
    #[command(subcommand)]
    Proxies(ProxiesCommand),
    /// Let people in to the review console: add, list, change, put out
    #[command(subcommand)]
    User(UserCommand),
    /// What is told to the center's own systems: list, send again, try, make the secret
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Pairs of faces whose answer is known, which reviewers are measured by: add, list, retire
    #[command(subcommand)]
    Seeds(SeedsCommand),
    /// Indexes of faces: show them, build them again, list what searches found
    #[command(subcommand)]
    Index(IndexCommand),
    /// Count people with a reference by region and age
    Coverage(CoverageArgs),
    /// Count references by model, make them again under another, retire old ones
    #[command(subcommand)]
    References(ReferencesCommand),
    /// Delete what is kept no longer, and report about it
    #[command(subcommand)]
    Retention(RetentionCommand),
    /// Check and show receipts
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Hold a day's settlements against the receipts
    Reconcile(ReconcileArgs),
    /// Say what a center of some size takes: disks, memory, processes, hours
    Plan(PlanArgs),
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
    Issue(IssueArgs),
    /// Make a code that one device may join with, once
    Invite(InviteArgs),
    /// List the devices of the registry, what they last said, and what to look at
    List {
        /// As one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show a device with its last health reports
    Show {
        /// Name of the device.
        #[arg(value_name = "ID")]
        device: String,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Put a device out; its next call is refused
    Revoke {
        /// Name of the device.
        #[arg(value_name = "ID")]
        device: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_words_of_a_command_are_without_its_arguments() {
        let line = ["matcher", "--data", "/d", "device", "revoke", "till-1"];
        assert_eq!(command_words(line.map(OsString::from)), "matcher device revoke");
        assert_eq!(command_words(["something-else", "--at-all"].map(OsString::from)), "");
    }

    #[test]
    fn the_data_folder_stands_before_or_after_the_command() {
        for line in [["matcher", "--data", "/d", "serve"], ["matcher", "serve", "--data", "/d"]] {
            assert_eq!(Cli::try_parse_from(line).unwrap().data(), PathBuf::from("/d"));
        }
    }
}
