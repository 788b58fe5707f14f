//! From pictures to templates, each picture once, on all threads.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use models::{
    FaceRule, Gate, Template, choose_face,
    picture::Picture,
    pipeline::RunError,
    quality::{probe_gate, reference_gate, reference_rule},
};
use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

use super::Setup;
use crate::trials::Pictures;

/// What a picture must reach before its template is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gated {
    /// Nothing.
    None,
    /// What is asked of a probe.
    Probe,
    /// What is asked of a reference.
    Reference,
}

impl Gated {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Probe => "probe",
            Self::Reference => "reference",
        }
    }

    fn gate(self) -> Option<Gate> {
        match self {
            Self::None => None,
            Self::Probe => Some(probe_gate()),
            Self::Reference => Some(reference_gate()),
        }
    }

    /// Size of the face and how much of it is in the picture are quality too: without a gate they are not asked for,
    /// and only which face counts is.
    fn rule(self) -> FaceRule {
        let product = FaceRule::default();
        match self {
            Self::None => FaceRule { inter_eye_distance_min_px: 0.0, share_inside_min: 0.0, ..product },
            Self::Probe => product,
            // Chip photos are small: enrolment asks for less than the counter does.
            Self::Reference => reference_rule(),
        }
    }
}

/// Processing cannot go on. A picture that cannot be used is no such case.
#[derive(Debug, Error)]
pub enum AcquisitionError {
    /// A picture that was there cannot be read any more.
    #[error("could not read the picture {}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A network failed.
    #[error("could not process the picture {}", path.display())]
    Run {
        /// Where it is.
        path: PathBuf,
        /// What failed.
        #[source]
        source: RunError,
    },
}

/// What is to be made of a picture beside its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The template of a single unmirrored crop.
    pub plain: bool,
    /// How live the face looks.
    pub live: bool,
}

/// What was made of one picture. Pixels are not kept.
#[derive(Debug, Clone)]
pub struct Acquired {
    /// The template by the shipped recipe.
    pub template: Template,
    /// The template of a single unmirrored crop, where asked for.
    pub plain: Option<Template>,
    /// How live the face looks, 0 (attack) to 1; none when it cannot be assessed.
    pub live: Option<f32>,
}

/// Pictures without a template, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Failures {
    /// How many for each reason.
    pub by_reason: BTreeMap<&'static str, usize>,
    /// Which, with the reason. Empty where ids may hold card numbers.
    pub pictures: Vec<FailedPicture>,
}

/// A picture without a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedPicture {
    /// What the file of trials calls it.
    pub id: String,
    /// Why: `unreadable`, a word of the rule for faces, or the component of quality that fell short.
    pub reason: &'static str,
}

impl Failures {
    /// Sorts out what went wrong.
    #[must_use]
    pub fn of(pictures: &Pictures, acquired: &[Result<Acquired, &'static str>]) -> Self {
        let failed = acquired.iter().enumerate().filter_map(|(number, outcome)| Some((number, *outcome.as_ref().err()?)));
        let mut failures = Self::default();
        for (number, reason) in failed {
            *failures.by_reason.entry(reason).or_default() += 1;
            failures.pictures.push(FailedPicture { id: pictures.id(number).to_owned(), reason });
        }
        failures
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_reason.values().sum()
    }
}

/// Processes each picture once: decode, find faces, choose the one that counts, check its quality, make its
/// template and its attack score. The inner `Err` is the word for why there is no template. At any time each
/// thread holds one picture. `done` is called after each picture.
///
/// # Errors
/// When a picture cannot be read or a network fails.
pub fn acquire(
    setup: &Setup,
    pictures: &Pictures,
    wanted: Wanted,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<Result<Acquired, &'static str>>, AcquisitionError> {
    let gate = setup.gate.gate();
    let one = |path: &PathBuf| {
        let bytes = fs::read(path).map_err(|source| AcquisitionError::Read { path: path.clone(), source })?;
        let outcome = acquire_one(setup, gate.as_ref(), wanted, &bytes).map_err(|source| failed(path, source));
        done();
        outcome
    };
    pictures.paths().par_iter().map(one).collect()
}

fn failed(path: &Path, source: RunError) -> AcquisitionError {
    AcquisitionError::Run { path: path.into(), source }
}

fn acquire_one(setup: &Setup, gate: Option<&Gate>, wanted: Wanted, bytes: &[u8]) -> Result<Result<Acquired, &'static str>, RunError> {
    let pipeline = &setup.pipeline;
    let Ok(picture) = Picture::decode(bytes) else { return Ok(Err("unreadable")) };
    let faces = pipeline.detect(&picture)?;
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let face = match choose_face(&faces, width, height, &setup.gate.rule(), setup.choice) {
        Ok(face) => face,
        Err(refusal) => return Ok(Err(refusal.word())),
    };
    if let Some(gate) = gate
        && let Err(refusal) = gate.check(&pipeline.quality(&picture, &faces, &face)?)
    {
        return Ok(Err(refusal.component.word()));
    }
    Ok(Ok(Acquired {
        template: pipeline.template(&picture, &face)?,
        plain: if wanted.plain { Some(pipeline.plain_template(&picture, &face)?) } else { None },
        live: if wanted.live { pipeline.attack_score_of_frames(&[(&picture, &face)])?.map(|score| score.live) } else { None },
    }))
}
