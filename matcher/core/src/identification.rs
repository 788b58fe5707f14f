//! Searching one face among many people's: what may be reported, and the arithmetic of false alarms.
//!
//! A comparison of two people reaches a threshold with probability FMR; a search among `N` people reports somebody by mistake
//! with FPIR = 1 − (1 − FMR)^N. So a threshold belongs to the size of its scope ([`FmrTable::threshold`]), and where the
//! trials behind it do not reach far enough there is none: then nothing is reported, and the reason is said. The figures to
//! keep in mind, for a city with a million captures a day and stores with 6,000 visits in 30 days:
//!
//! | what is flagged | false alarms a day at FMR 1e-6 |
//! |---|---|
//! | one face on two cards of a store | about 1e6 × 6,000 × 1e-6 = 6,000 |
//! | one face on three cards of a store | about 1e6 × (6,000 × 1e-6)² ÷ 2 = 18 |
//! | the same, and it fails two of the cards' references | fewer still: the cards' own holders are out |
//!
//! (Two at once are counted as independent, which they are not quite: faces that resemble many come more often.) Hence
//! [`SameFaceRule`] asks for three cards. Nothing here refuses anybody anything: what is found is a flag that somebody
//! looks at. Not here: how candidates are found (`matcher-index`) and whose they are (`matcher`).

use std::collections::{BTreeMap, BTreeSet};

use models_core::{ModelId, RecipeId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::{Source, thresholds::ERRORS_MIN};

/// Points of a table, at most.
const POINTS_MAX: usize = 64;

/// A table of false match rates that is not in order. The message names the field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: expected {expected}")]
pub struct FmrTableError {
    /// Which field.
    pub field: String,
    /// What was expected of it.
    pub expected: &'static str,
}

/// A table as a file has it: scores, and how many non-mated comparisons reached them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FmrTableFile {
    /// Feature model whose scores these are.
    pub model: String,
    /// Recipe whose scores these are.
    pub recipe: String,
    /// Whose faces the trials were of: `local` or `public`.
    pub source: String,
    /// Non-mated comparisons.
    pub nonmated: u64,
    /// Scores, rising, each with the comparisons that reached it.
    pub points: Vec<(f32, u64)>,
}

/// How often comparisons of two people reach which score, by one model and recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct FmrTable {
    model: ModelId,
    recipe: RecipeId,
    source: Source,
    nonmated: u64,
    points: Vec<(f32, u64)>,
}

/// Why no threshold can be given.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum NoThreshold {
    /// The trials are of other people and cameras.
    #[error("the false match rates are not of local trials")]
    NotLocal,
    /// There are too few trials to know so small a rate.
    #[error("the trials fix false match rates down to {reached:e}, and {wanted:e} is needed")]
    TooFewTrials {
        /// The smallest rate the trials fix; 1 where they fix none.
        reached: f64,
        /// The rate that was needed.
        wanted: f64,
    },
}

impl FmrTableFile {
    /// Checks the table.
    ///
    /// # Errors
    /// With the field that is not in order.
    pub fn check(&self) -> Result<FmrTable, FmrTableError> {
        let wrong = |field: &str, expected| FmrTableError { field: field.to_owned(), expected };
        let model = ModelId::new(&self.model).map_err(|_| wrong("model", "the id of a model in the manifest"))?;
        let recipe = RecipeId::new(&self.recipe).map_err(|_| wrong("recipe", "the id of a recipe in the manifest"))?;
        let source = Source::from_word(&self.source).ok_or_else(|| wrong("source", "local or public"))?;
        if !(1..=POINTS_MAX).contains(&self.points.len()) {
            return Err(wrong("points", "1 to 64 points"));
        }
        let mut before = (-1.0 - f32::EPSILON, self.nonmated);
        for (at, &(score, reached)) in self.points.iter().enumerate() {
            if !(score > before.0 && score <= 1.0) {
                return Err(wrong(&format!("points[{at}]"), "a score from -1 to 1 that is larger than the one before"));
            }
            if reached > before.1 {
                return Err(wrong(&format!("points[{at}]"), "no more comparisons than reached the score before"));
            }
            before = (score, reached);
        }
        Ok(FmrTable { model, recipe, source, nonmated: self.nonmated, points: self.points.clone() })
    }
}

impl FmrTable {
    /// Whether it speaks about templates of this model and recipe.
    #[must_use]
    pub fn is_of(&self, model: &ModelId, recipe: &RecipeId) -> bool {
        self.model == *model && self.recipe == *recipe
    }

    /// Whose faces the trials were of.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// The lowest score that keeps a false match rate, by local trials with at least 30 comparisons that reach it.
    ///
    /// # Errors
    /// When the trials are not local or fix no rate as small.
    pub fn at_fmr(&self, fmr: f64) -> Result<f32, NoThreshold> {
        if self.source != Source::Local {
            return Err(NoThreshold::NotLocal);
        }
        let rate = |reached: u64| reached as f64 / self.nonmated.max(1) as f64;
        let mut fixed = self.points.iter().filter(|(_, reached)| *reached >= ERRORS_MIN);
        let fits = fixed.clone().find(|(_, reached)| rate(*reached) <= fmr);
        let mut reached = || fixed.next_back().map_or(1.0, |(_, reached)| rate(*reached));
        fits.map(|(score, _)| *score).ok_or_else(|| NoThreshold::TooFewTrials { reached: reached(), wanted: fmr })
    }

    /// The lowest score that a search among so many people may report somebody with, so that at most this share of searches
    /// for somebody who is not among them reports anybody.
    ///
    /// # Errors
    /// As [`FmrTable::at_fmr`].
    pub fn threshold(&self, people: u64, fpir: f64) -> Result<f32, NoThreshold> {
        self.at_fmr(fmr_for(people, fpir))
    }
}

/// The false match rate with which a search among so many people has this false positive identification rate:
/// 1 − (1 − FPIR)^(1/N).
#[must_use]
pub fn fmr_for(people: u64, fpir: f64) -> f64 {
    // By logarithms: the rate is far below what 1 − x keeps of it.
    -f64::exp_m1(f64::ln_1p(-fpir.clamp(0.0, 1.0)) / people.max(1) as f64)
}

/// The share of searches among so many people that report somebody by mistake: 1 − (1 − FMR)^N.
#[must_use]
pub fn fpir_of(people: u64, fmr: f64) -> f64 {
    -f64::exp_m1(people as f64 * f64::ln_1p(-fmr.clamp(0.0, 1.0)))
}

/// When one face on several cards of a store is flagged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SameFaceRule {
    /// Different people's cards, at least 3.
    pub cards_min: usize,
    /// Days in which they were used.
    pub days: u32,
    /// Largest local false match rate of two visits that are taken for one face.
    pub fmr_max: f64,
    /// Cards among them whose reference the face does not match, at least.
    pub fails_min: usize,
}

/// The rule as it is shipped: three cards, 30 days, FMR 1e-6, two failed references.
impl Default for SameFaceRule {
    fn default() -> Self {
        Self { cards_min: 3, days: 30, fmr_max: 1e-6, fails_min: 2 }
    }
}

/// A visit of a store that may show the same face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting<P> {
    /// Whose card.
    pub person: P,
    /// Whether the probe matched that card's reference: then the face may be the holder's.
    pub matched: bool,
    /// Whether a recorded proxy explains another face than the holder's.
    pub proxy: bool,
}

impl SameFaceRule {
    /// Whether one face, seen in these visits of one store within the days, is to be looked at. A card where any visit of the
    /// face matched the reference is not failed: it may be the holder's own.
    pub fn flags<P: Ord + Copy>(&self, sightings: &[Sighting<P>]) -> bool {
        let mut cards: BTreeMap<P, bool> = BTreeMap::new();
        for sighting in sightings.iter().filter(|sighting| !sighting.proxy) {
            *cards.entry(sighting.person).or_default() |= sighting.matched;
        }
        cards.len() >= self.cards_min && cards.values().filter(|matched| !**matched).count() >= self.fails_min
    }
}

/// Whether many faces used one card: by the faces that its visits were told apart into, of those nothing explains. Two are
/// what every lent card shows; evidence judges those.
#[must_use]
pub fn is_many_faces(faces: usize, faces_min: usize) -> bool {
    faces >= faces_min.max(3)
}

/// The people whose reference a new one may be a duplicate of: scores at or above the threshold, of others, each once,
/// the likest first.
pub fn duplicates<P: Ord + Copy>(own: P, candidates: &[(P, f32)], threshold: f32) -> Vec<(P, f32)> {
    let mut found: Vec<(P, f32)> = candidates.iter().copied().filter(|(person, score)| *person != own && *score >= threshold).collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut seen = BTreeSet::new();
    found.retain(|(person, _)| seen.insert(*person));
    found
}

#[cfg(test)]
mod tests;
