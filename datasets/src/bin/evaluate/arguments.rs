//! Arguments of the command.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use datasets::evaluation::{Gated, Setup};
use matcher_core::{Policy, policy::Source};
use models::{FaceChoice, cache, manifest::Manifest, pipeline::Pipeline};

use crate::{
    calibrate,
    failure::{EXIT_UNUSABLE, Exit, Failure},
    measure, output,
};

/// Measure the pipeline that this release ships, and calibrate policies.
///
/// Definitions after ISO/IEC 19795-1 and 30107-3, over executed comparisons; a score at the threshold is a match.
/// Exit codes: 0 done; 1 the trials do not resolve what was asked, or a picture could not be processed; 2 wrong
/// arguments, or a file of trials that is not in order or lists a missing picture; 64 models or policy cannot be used.
#[derive(Parser)]
#[command(name = "evaluate", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Error rates of verification on pairs of pictures.
    Verification(Verification),
    /// Error rates of presentation attack detection on labelled presentations.
    Attacks(Attacks),
    /// Error rates of searches in a gallery.
    Identification(Identification),
    /// A policy's bands from trials.
    Calibrate(Calibrate),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
pub(crate) struct Common {
    /// Which face of a picture counts.
    #[arg(long, value_enum, default_value_t = Face::Dominant)]
    face: Face,
    /// Which quality a picture must reach; one that falls short is a failure to acquire.
    #[arg(long, value_enum, default_value_t = GateName::None)]
    gate: GateName,
    /// Write the figures as JSON; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with drawings into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// A manifest of your own: its models take the place of ours in their roles.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Folder with the models' files [default: $COUNTERSIGN_MODELS, else ~/.cache/countersign/models].
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// A policy of your own [default: the shipped one].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Start of the generator for resampling and sampling.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How often subjects are resampled for intervals.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    bootstrap: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Face {
    /// The one that is clearly the person's.
    Dominant,
    /// The one nearest the middle.
    Central,
    /// The only one; two are a failure.
    Only,
}

/// Whose faces trials are of.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SourceArg {
    /// Public data.
    Public,
    /// Your own people, cameras and photos.
    Local,
}

impl From<SourceArg> for Source {
    fn from(source: SourceArg) -> Self {
        match source {
            SourceArg::Public => Self::Public,
            SourceArg::Local => Self::Local,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum GateName {
    /// Nothing is asked.
    None,
    /// What is asked at the counter.
    Probe,
    /// What is asked at enrolment.
    Reference,
}

/// What `--against` compares with.
#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum Against {
    /// One unmirrored crop.
    Plain,
}

#[derive(Args)]
pub(crate) struct Verification {
    /// Pairs: CSV with label, image_a, image_b (and fold, kind, group, `subject_a`, `subject_b`), or LFW's pairs.txt.
    #[arg(long, value_name = "FILE")]
    pub(crate) pairs: PathBuf,
    /// Compare with another recipe on the same trials.
    #[arg(long, value_enum)]
    pub(crate) against: Option<Against>,
    /// Write the score of each trial as CSV: `label,image_a,image_b,score`, in the order of the pairs.
    #[arg(long, value_name = "FILE")]
    pub(crate) scores: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct Attacks {
    /// Presentations: CSV with image, `bona_fide`, attack (or species), and identity and session where known.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: PathBuf,
    /// Also report at this threshold of the live score.
    #[arg(long, value_name = "SCORE", value_parser = share)]
    pub(crate) threshold: Option<f64>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct Identification {
    /// References: CSV with identity, image.
    #[arg(long, value_name = "FILE")]
    pub(crate) gallery: PathBuf,
    /// Probes: CSV with image, identity (empty when the gallery does not have the person).
    #[arg(long, value_name = "FILE")]
    pub(crate) probes: PathBuf,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
#[group(skip)]
pub(crate) struct Calibrate {
    /// Trials: pairs as for `verification`.
    #[arg(long, value_name = "FILE", required_unless_present = "cross", conflicts_with = "cross")]
    pub(crate) pairs: Option<PathBuf>,
    /// Set the upper band on your own stock without labels: captures against other cards' references.
    #[arg(long, requires = "captures", requires = "references")]
    pub(crate) cross: bool,
    /// Live captures: CSV with image, card, and household where known.
    #[arg(long, value_name = "FILE", requires = "cross")]
    pub(crate) captures: Option<PathBuf>,
    /// References: CSV with image, card, sex, born (year), district, and household where known.
    #[arg(long, value_name = "FILE", requires = "cross")]
    pub(crate) references: Option<PathBuf>,
    /// Most references that one capture is compared with.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) per_capture: u32,
    /// Largest false match rate of a transaction.
    #[arg(long, value_name = "RATE", default_value_t = 0.001, value_parser = rate)]
    pub(crate) fmr: f64,
    /// Attempts a transaction may have: its rate is 1 − (1 − FMR)^attempts [default: the policy's, at settlement].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) attempts: Option<u32>,
    /// Largest false non-match rate at the lower band.
    #[arg(long, value_name = "RATE", default_value_t = 0.001, value_parser = rate)]
    pub(crate) fnmr: f64,
    /// Whose faces the trials are of: only local ones give a non-match band, or a policy that may be made live.
    #[arg(long, value_enum, default_value = "public")]
    pub(crate) source: SourceArg,
    /// Take bands that rest on fewer than 30 errors; the policy may not be made live with them.
    #[arg(long)]
    pub(crate) accept_unresolved: bool,
    /// Write the policy here [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Version of the new policy [default: the number at the end of the old one goes up].
    #[arg(long, value_name = "VERSION")]
    pub(crate) policy_version: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Parses a share of 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "expected a number from 0 to 1".into())
}

/// Parses a rate above 0 and below 1.
fn rate(text: &str) -> Result<f64, String> {
    let inside = |rate: &f64| *rate > 0.0 && *rate < 1.0;
    text.parse().ok().filter(inside).ok_or_else(|| "expected a number above 0 and below 1".into())
}

/// Models, policy and options, loaded and checked.
pub(crate) struct Ready {
    pub(crate) setup: Setup,
    pub(crate) manifest: Manifest,
    pub(crate) policy_text: String,
}

impl Common {
    /// Loads what an evaluation is made with.
    pub(crate) fn ready(&self, plain: bool) -> Result<Ready, Failure> {
        let policy_text = match &self.policy {
            Some(path) => {
                std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display())).exit(EXIT_UNUSABLE)?
            }
            None => Policy::SHIPPED.to_owned(),
        };
        let policy = Policy::from_toml(&policy_text).exit(EXIT_UNUSABLE)?;
        let manifest = match &self.manifest {
            Some(path) => Manifest::load(path).exit(EXIT_UNUSABLE)?,
            None => Manifest::shipped(),
        };
        let pipeline = Pipeline::load(&manifest, &self.models.clone().unwrap_or_else(cache::default_dir)).exit(EXIT_UNUSABLE)?;
        let choice = match self.face {
            Face::Dominant => FaceChoice::Dominant,
            Face::Central => FaceChoice::Central,
            Face::Only => FaceChoice::Only,
        };
        let gate = match self.gate {
            GateName::None => Gated::None,
            GateName::Probe => Gated::Probe,
            GateName::Reference => Gated::Reference,
        };
        let setup = Setup { pipeline, policy, choice, gate, plain, seed: self.seed, replicates: self.bootstrap as usize };
        Ok(Ready { setup, manifest, policy_text })
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::Verification(command) => measure::verification(command),
        Command::Attacks(command) => measure::attacks(command),
        Command::Identification(command) => measure::identification(command),
        Command::Calibrate(command) => calibrate::run(command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "evaluate", &mut script);
            output::print(&String::from_utf8_lossy(&script))
        }
    }
}
