//! A false match rate without labels: live captures against *other* cards' references.
//!
//! Impostors who lend a card resemble its holder, so a capture is compared with references of the same sex and
//! district, born within five years. People of one household share cards honestly and resemble each other, so they
//! are kept apart. The group with the highest threshold governs, among those with enough comparisons to set one.
//!
//! What is not known here: whether two cards belong to one person. Such pairs count as false matches and raise the
//! threshold; the result says how many comparisons reach the policy in force, so that they can be looked into.

use std::collections::{BTreeMap, HashMap};

use matcher_core::Scene;
use models::{Template, compare};
use serde::Serialize;

use super::{Acquired, AcquisitionError, Calibration, CalibrationError, Failures, Provenance, Setup, Target, Wanted, acquire, calibrate};
use crate::{
    metrics::{Comparison, RESOLVED_ERRORS, Scores},
    trials::{Capture, Reference, Stock},
};

/// Years of birth that may lie between a capture's holder and a reference.
const YEARS: u16 = 5;

/// How the comparisons are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossOptions {
    /// Most references that one capture is compared with; drawn at random where there are more.
    pub per_capture: usize,
}

/// Comparisons of one sex, district and age band.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CrossGroup {
    /// Sex, as the stock writes it.
    pub sex: String,
    /// District, as the stock writes it.
    pub district: String,
    /// Decade of birth, by its first year.
    pub born_from: u16,
    /// Cards whose captures were compared.
    pub cards: usize,
    /// Comparisons.
    pub comparisons: usize,
    /// The smallest threshold that keeps the target in this group; null where it allows no false match.
    pub threshold: Option<f32>,
    /// Comparisons that reach it.
    pub false_matches: u64,
    /// Whether at least 30 do.
    pub resolved: bool,
}

/// What the stock says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CrossResult {
    /// What it was made with.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Captures.
    pub captures: usize,
    /// References.
    pub references: usize,
    /// Comparisons made.
    pub comparisons: usize,
    /// Captures or references whose household is not known: relatives among them are not kept apart.
    pub without_household: usize,
    /// Share of pictures without a template.
    pub failure_to_acquire: f64,
    /// Why; without ids, which may hold card numbers.
    pub failures: Failures,
    /// By sex, district and decade of birth.
    pub groups: Vec<CrossGroup>,
    /// The group that governs, by its place in `groups`; null when none has enough comparisons and all together do.
    pub governed_by: Option<usize>,
    /// Comparisons that reach the upper band of the policy in force: two cards of one person are among them.
    pub reaching_policy: Option<u64>,
    /// The band.
    pub calibration: Calibration,
}

/// Either step may fail.
#[derive(Debug, thiserror::Error)]
pub enum CrossError {
    /// Processing.
    #[error(transparent)]
    Acquisition(AcquisitionError),
    /// Calibration.
    #[error(transparent)]
    Calibration(CalibrationError),
}

type Key = (String, String, u16);

/// Processes the pictures, draws the comparisons and sets the upper band.
///
/// # Errors
/// When a picture cannot be read, a network fails, or the comparisons do not resolve the target.
pub fn calibrate_cross(
    setup: &Setup,
    stock: &Stock,
    options: CrossOptions,
    target: Target,
    done: &(dyn Fn() + Sync),
) -> Result<CrossResult, CrossError> {
    let acquired = acquire(setup, &stock.pictures, Wanted::default(), done).map_err(CrossError::Acquisition)?;
    let template =
        |picture: usize| acquired.get(picture).and_then(|outcome| outcome.as_ref().ok()).map(|acquired: &Acquired| &acquired.template);
    let mut by_group: BTreeMap<Key, Vec<Comparison>> = BTreeMap::new();
    for (capture, reference) in drawn(stock, options, setup.seed) {
        if let (Some(own), Some(score)) = (stock.references.get(capture.own), score(&template, capture, reference)) {
            let comparison = Comparison { score, subjects: [own.card, reference.card] };
            by_group.entry((own.sex.clone(), own.district.clone(), own.born / 10 * 10)).or_default().push(comparison);
        }
    }
    let all = Scores::new(by_group.values().flatten().copied().collect());
    let groups: Vec<CrossGroup> = by_group.iter().map(|(key, comparisons)| group(key, comparisons, target.per_comparison())).collect();
    let governed_by = govern(&groups);
    let governing = governed_by.and_then(|at| by_group.values().nth(at)).map(|comparisons| Scores::new(comparisons.clone()));
    let calibration = calibrate(&Scores::default(), governing.as_ref().unwrap_or(&all), target).map_err(CrossError::Calibration)?;
    let failures = Failures { pictures: Vec::new(), ..Failures::of(&stock.pictures, &acquired) };
    let in_force = setup.policy.thresholds(Scene::Settlement, setup.pipeline.feature_model(), setup.pipeline.recipe());
    let unknown =
        stock.references.iter().map(|reference| reference.household).chain(stock.captures.iter().map(|capture| capture.household));
    Ok(CrossResult {
        provenance: setup.provenance(),
        captures: stock.captures.len(),
        references: stock.references.len(),
        comparisons: all.len(),
        without_household: unknown.filter(Option::is_none).count(),
        failure_to_acquire: failures.count() as f64 / stock.pictures.len().max(1) as f64,
        failures,
        groups,
        governed_by,
        reaching_policy: in_force.map(|bands| all.ranked().at_or_above(bands.match_at_least).errors),
        calibration,
    })
}

fn score<'a>(template: &impl Fn(usize) -> Option<&'a Template>, capture: &Capture, reference: &Reference) -> Option<f32> {
    Some(compare(template(capture.picture)?, template(reference.picture)?).ok()?.get())
}

/// Which capture is compared with which reference.
fn drawn<'a>(stock: &'a Stock, options: CrossOptions, seed: u64) -> Vec<(&'a Capture, &'a Reference)> {
    let mut alike: HashMap<(&str, &str), Vec<&'a Reference>> = HashMap::new();
    for reference in &stock.references {
        alike.entry((&reference.sex, &reference.district)).or_default().push(reference);
    }
    let mut generator = fastrand::Rng::with_seed(seed);
    let mut pairs = Vec::new();
    for capture in &stock.captures {
        let Some(own) = stock.references.get(capture.own) else { continue };
        let others = alike.get(&(own.sex.as_str(), own.district.as_str())).into_iter().flatten();
        let mut fitting: Vec<&Reference> = others.copied().filter(|other| comparable(capture, own, other)).collect();
        generator.shuffle(&mut fitting);
        pairs.extend(fitting.into_iter().take(options.per_capture).map(|other| (capture, other)));
    }
    pairs
}

/// Another card of nearly the same age, and not of the same household.
fn comparable(capture: &Capture, own: &Reference, other: &Reference) -> bool {
    let relatives = capture.household.is_some() && capture.household == other.household;
    other.card != own.card && other.born.abs_diff(own.born) <= YEARS && !relatives
}

fn group((sex, district, born_from): &Key, comparisons: &[Comparison], target: f64) -> CrossGroup {
    let scores = Scores::new(comparisons.to_vec());
    let ranked = scores.ranked();
    let threshold = ranked.threshold_for_at_or_above(target);
    let false_matches = ranked.at_or_above(threshold).errors;
    let mut cards: Vec<usize> = comparisons.iter().map(|comparison| comparison.subjects[0]).collect();
    cards.sort_unstable();
    cards.dedup();
    CrossGroup {
        sex: sex.clone(),
        district: district.clone(),
        born_from: *born_from,
        cards: cards.len(),
        comparisons: comparisons.len(),
        threshold: (false_matches > 0).then_some(threshold),
        false_matches,
        resolved: false_matches >= RESOLVED_ERRORS,
    }
}

/// The group with the highest threshold among those that resolve theirs.
fn govern(groups: &[CrossGroup]) -> Option<usize> {
    let resolved = groups.iter().enumerate().filter(|(_, group)| group.resolved);
    resolved.max_by(|(_, a), (_, b)| a.threshold.unwrap_or(-1.0).total_cmp(&b.threshold.unwrap_or(-1.0))).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::Pictures;

    fn reference(card: usize, sex: &str, born: u16, district: &str, household: Option<usize>) -> Reference {
        Reference { picture: card, card, sex: sex.into(), born, district: district.into(), household }
    }

    fn stock(references: Vec<Reference>) -> Stock {
        let cards = references.len();
        let captures = vec![Capture { picture: 0, own: 0, household: Some(1) }];
        Stock { pictures: Pictures::default(), references, captures, cards }
    }

    #[test]
    fn a_capture_meets_others_like_its_holder_and_no_relative() {
        let stock = stock(vec![
            reference(0, "f", 1950, "north", Some(1)),
            reference(1, "f", 1955, "north", Some(2)),
            reference(2, "f", 1945, "north", None),
            reference(3, "f", 1956, "north", None),
            reference(4, "m", 1950, "north", None),
            reference(5, "f", 1950, "south", None),
            reference(6, "f", 1950, "north", Some(1)),
        ]);
        let cards = |per_capture, seed| {
            let mut cards: Vec<usize> = drawn(&stock, CrossOptions { per_capture }, seed).iter().map(|(_, other)| other.card).collect();
            cards.sort_unstable();
            cards
        };
        assert_eq!(cards(10, 1), [1, 2]);
        assert_eq!(cards(1, 1).len(), 1);
        assert_eq!(cards(1, 7), cards(1, 7));
    }

    #[test]
    fn the_worst_group_with_enough_comparisons_governs() {
        let scores = |lowest: f32, count: u16| -> Vec<Comparison> {
            (0..count).map(|i| Comparison { score: lowest + f32::from(i) / 100_000.0, subjects: [usize::from(i), 9_999] }).collect()
        };
        let key = |sex: &str| (sex.to_owned(), "north".to_owned(), 1950);
        // At a target of 1 %: 50 of 5,000 false matches; 50 of 5,000 at higher scores; 1 of 100 at the highest.
        let groups = [
            group(&key("f"), &scores(0.1, 5_000), 0.01),
            group(&key("m"), &scores(0.3, 5_000), 0.01),
            group(&key("x"), &scores(0.9, 100), 0.01),
        ];
        assert_eq!(groups.each_ref().map(|group| (group.false_matches, group.resolved)), [(50, true), (50, true), (1, false)]);
        assert_eq!(govern(&groups), Some(1));
        assert_eq!(govern(&groups[2..]), None);
    }
}
