//! `matcher subject`: what is stored about one person, and what becomes of it.
//!
//! A number never stands on the command line, where other users of the machine could read it: it comes from a file or
//! from the standard input, or the person is named by id. Not here: what is done (`crate::app::subjects`).

use std::{
    io::{self, BufRead, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand, ValueEnum};
use matcher_core::{Identifier, IdentifierError, IdentifierKind, Region};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    app::subjects::{self, SubjectError, export, export::ExportError},
    center::{Center, OpenError},
    data_dir::DataDir,
    durable,
    index_command::{self, IndexCommandError, SearchArgs},
    listing::Until,
    out,
    store::{RecordId, StoreError, SubjectId, audit::events, subjects::Hold},
    surroundings::{Surroundings, System},
};

mod show;

/// Bytes of a number that are read, at most.
const NUMBER_LEN_MAX: u64 = 512;

/// What can be done for a person.
#[derive(Debug, Subcommand)]
pub enum SubjectCommand {
    /// Show what is stored, numbers masked
    Show {
        /// Who.
        #[command(flatten)]
        who: Who,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write everything that is stored into a ZIP archive, opened, for the person who asks for it
    Export {
        /// Who.
        #[command(flatten)]
        who: Who,
        /// The archive; it must not exist yet and is made for its owner alone
        #[arg(long, value_name = "ZIP")]
        out: PathBuf,
    },
    /// Forget the person: destroy the data key, delete biometrics and numbers, and prove it
    #[command(
        after_help = "Prints the proof as JSON. Exit codes: 0 forgotten and nothing left, 1 not forgotten (a hold, nobody found), or\n\
                            the proof does not hold. Decisions are kept for their legal time, without the number. Backups that were\n\
                            made before still hold the person; the proof is about the data folder."
    )]
    Forget {
        /// Who.
        #[command(flatten)]
        who: Who,
        /// Leave out the search of all files, which reads the whole database; the proof then does not hold
        #[arg(long)]
        no_search: bool,
        /// Write the proof to this file as well
        #[arg(long, value_name = "JSON")]
        proof: Option<PathBuf>,
    },
    /// Note that consent was withdrawn: biometrics are destroyed, the counter offers the other way
    Withdraw(Who),
    /// Note that consent was given again, so that the person can be enrolled again
    Consent(Who),
    /// Let the number of somebody who was forgotten be enrolled again
    Readmit(Number),
    /// Forbid deletion, for a case or a court
    Hold {
        /// Who.
        #[command(flatten)]
        who: Who,
        /// Why
        #[arg(long, value_parser = reason)]
        reason: String,
        /// Until when (2027-01-31T00:00:00+08:00, or 90d from now); without it until it is released
        #[arg(long, value_name = "TIME")]
        until: Option<Until>,
        /// Who places it
        #[arg(long, env = "USER", default_value = "")]
        by: String,
    },
    /// Release all holds
    Release {
        /// Who.
        #[command(flatten)]
        who: Who,
        /// Who releases them
        #[arg(long, env = "USER", default_value = "")]
        by: String,
    },
    /// Search who else somebody is, within a region or an institution; needs a reason, and is written down
    Search(SearchArgs),
    /// Revoke a photo that was wrong: its references are never compared with again
    RevokeReference {
        /// Who.
        #[command(flatten)]
        who: Who,
        /// The photo's id, as `subject show` gives it
        #[arg(long, value_name = "ID")]
        photo: RecordId,
    },
}

/// A person, by id or by number.
#[derive(Debug, Clone, Args)]
pub struct Who {
    /// The person's id; without it a number is read
    #[arg(long, value_name = "ID", conflicts_with = "identifier_file")]
    pub subject: Option<SubjectId>,
    /// The number.
    #[command(flatten)]
    number: Number,
}

/// A number that is read, never given on the command line.
#[derive(Debug, Clone, Args)]
pub struct Number {
    /// File whose first line is the number; without it the number is read from the standard input
    #[arg(long, value_name = "FILE")]
    pub identifier_file: Option<PathBuf>,
    /// Which kind of number it is
    #[arg(long, value_enum, default_value_t)]
    pub kind: Kind,
    /// Region that issued the card, six digits
    #[arg(long, default_value = "")]
    pub region: String,
}

/// Kinds of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// Number of a social-security card
    #[default]
    SocialSecurityCard,
    /// Number of a resident identity card
    ResidentIdentity,
}

/// A command that could not be carried out.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The number cannot be read.
    #[error("could not read the number")]
    ReadNumber(#[source] io::Error),
    /// It is none.
    #[error("the number that was read: {}", without_field(.0))]
    Number(#[source] IdentifierError),
    /// It could not be done.
    #[error(transparent)]
    Subject(SubjectError),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The search was not made.
    #[error(transparent)]
    Search(IndexCommandError),
    /// The archive cannot be made.
    #[error(transparent)]
    Export(ExportError),
    /// A file cannot be written.
    #[error("could not write {}", .path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// The message without the name of the wire's field.
fn without_field(error: &IdentifierError) -> String {
    let message = error.to_string();
    message.split_once(": ").map_or(message.clone(), |(_, rest)| rest.to_owned())
}

impl Number {
    fn read(&self) -> Result<Identifier, CommandError> {
        let mut line = Zeroizing::new(String::new());
        let read = match &self.identifier_file {
            Some(path) => std::fs::File::open(path).and_then(|file| io::BufReader::new(file.take(NUMBER_LEN_MAX)).read_line(&mut line)),
            None => io::stdin().lock().take(NUMBER_LEN_MAX).read_line(&mut line),
        };
        read.map_err(CommandError::ReadNumber)?;
        let kind = match self.kind {
            Kind::SocialSecurityCard => IdentifierKind::SocialSecurityCard,
            Kind::ResidentIdentity => IdentifierKind::ResidentIdentity,
        };
        let region = Region::new(&self.region).map_err(CommandError::Number)?;
        Identifier::new(kind, region, &line).map_err(CommandError::Number)
    }
}

impl Who {
    async fn find(&self, center: &Center) -> Result<SubjectId, CommandError> {
        match self.subject {
            Some(subject) => Ok(subject),
            None => subjects::find(center, &self.number.read()?).await.map_err(CommandError::Subject),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the center cannot be opened, nobody is found, a hold forbids it, or a file cannot be written.
pub async fn run(command: &SubjectCommand, dir: &DataDir) -> Result<ExitCode, CommandError> {
    let center = &Center::open(dir).await.map_err(CommandError::Open)?;
    match command {
        SubjectCommand::Show { who, json } => {
            let (file, key) = subjects::open(center, who.find(center).await?).await.map_err(CommandError::Subject)?;
            let text = if *json { show::json(&file, &key) } else { show::text(&file, &key) };
            print(&text)?;
        }
        SubjectCommand::Export { who, out } => write_archive(center, who, out).await?,
        SubjectCommand::Forget { who, no_search, proof } => {
            return forget(center, dir, who.find(center).await?, *no_search, proof.as_ref()).await;
        }
        SubjectCommand::Withdraw(who) => {
            let subject = who.find(center).await?;
            let deleted = subjects::withdraw(center, &System, subject).await.map_err(CommandError::Subject)?;
            let rows: u64 = deleted.iter().map(|(_, rows)| rows).sum();
            print(&format!("Consent of {subject} is withdrawn; {rows} biometric records were destroyed"))?;
        }
        SubjectCommand::Consent(who) => {
            let subject = who.find(center).await?;
            subjects::consent_again(center, subject).await.map_err(CommandError::Subject)?;
            print(&format!("Consent of {subject} is noted; enrol the person again"))?;
        }
        SubjectCommand::Readmit(number) => {
            subjects::readmit(center, &number.read()?).await.map_err(CommandError::Subject)?;
            print("The number can be enrolled again")?;
        }
        SubjectCommand::Hold { who, reason, until, by } => {
            let now = System.now_ms();
            let until = until.map(|until| until.at(now));
            let (id, placed_by) = (System.new_record(), by.clone());
            let hold = Hold { id, reason: reason.clone(), placed_by, placed_at: now, until, released: None };
            let subject = who.find(center).await?;
            let placed = center.store.place_hold(subject, hold).await.map_err(CommandError::Store)?;
            if !placed {
                return Err(CommandError::Subject(SubjectError::Unknown));
            }
            print(&format!("Records about {subject} are held; `matcher subject release` ends it"))?;
        }
        SubjectCommand::Release { who, by } => {
            let subject = who.find(center).await?;
            let released = center.store.release_holds(subject, by, System.now_ms()).await.map_err(CommandError::Store)?;
            print(&format!("{released} holds on records about {subject} are released"))?;
        }
        SubjectCommand::Search(args) => index_command::search(center, dir, args).await.map_err(CommandError::Search)?,
        SubjectCommand::RevokeReference { who, photo } => {
            let subject = who.find(center).await?;
            subjects::revoke(center, &System, subject, *photo).await.map_err(CommandError::Subject)?;
            print(&format!("Photo {photo} is revoked; nothing is compared with it again"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn write_archive(center: &Center, who: &Who, out: &Path) -> Result<(), CommandError> {
    let (file, key) = subjects::open(center, who.find(center).await?).await.map_err(CommandError::Subject)?;
    let models: Vec<String> = center.policies.current().policy.models().map(|(model, _)| model.to_string()).collect();
    let (archive, unreadable) = export::archive(&file, &key, &models, System.now_ms()).map_err(CommandError::Export)?;
    // Written down before it is handed out: nobody gets everything about a person unnoticed.
    center.store.record_audit(events::subject_exported(file.subject.subject, System.now_ms())).await.map_err(CommandError::Store)?;
    durable::write_new(out, &archive).map_err(|source| CommandError::Write { path: out.to_owned(), source })?;
    let unreadable = if unreadable == 0 { String::new() } else { format!("; {unreadable} records did not open, see person.json") };
    print(&format!("Wrote {}{unreadable}. It is readable: hand it over and delete it", out.display()))
}

async fn forget(
    center: &Center,
    dir: &DataDir,
    subject: SubjectId,
    no_search: bool,
    path: Option<&PathBuf>,
) -> Result<ExitCode, CommandError> {
    let folder = Some(dir.path()).filter(|_| !no_search);
    let proof = subjects::forget(center, &System, subject, folder).await.map_err(CommandError::Subject)?;
    let text = serde_json::to_string_pretty(&proof).map_err(|error| CommandError::Print(io::Error::other(error)))?;
    if let Some(path) = path {
        durable::write(path, text.as_bytes()).map_err(|source| CommandError::Write { path: path.clone(), source })?;
    }
    print(&text)?;
    Ok(if proof.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(text: &str) -> Result<(), CommandError> {
    out::line(text).map_err(CommandError::Print)
}

/// The reason of a hold.
fn reason(text: &str) -> Result<String, &'static str> {
    let fits = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("expected 1 to 200 characters in one line") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<Identifier, CommandError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Number { identifier_file: Some(file.path().to_owned()), kind: Kind::SocialSecurityCard, region: "330200".into() }.read()
    }

    #[test]
    fn a_number_is_the_first_line_of_a_file_and_never_in_a_message() {
        let read = number("330203001\nanything else").unwrap();
        assert_eq!((read.expose(), read.region().as_str()), ("330203001", "330200"));
        let error = number("330203 194910/010027").unwrap_err().to_string();
        assert_eq!(error, "the number that was read: expected 6 to 32 letters and digits, got 19 characters");
        assert_eq!(number("").unwrap_err().to_string(), "the number that was read: expected 6 to 32 letters and digits, got 0 characters");
    }

    #[test]
    fn reasons_are_one_line() {
        assert!(reason("court 2026/17").is_ok());
        for wrong in ["", "two\nlines", &"x".repeat(201)] {
            assert!(reason(wrong).is_err(), "{wrong:?}");
        }
    }
}
