//! Presentation attacks: how many pass, and how many live people do not, after ISO/IEC 30107-3.

use std::collections::{BTreeMap, BTreeSet};

use matcher_core::Scene;
use models::{
    compare,
    manifest::{Claim, Model},
};
use serde::Serialize;

use super::{Acquired, AcquisitionError, Failures, Provenance, Setup, Wanted, acquire};
use crate::{
    metrics::{Bootstrap, Interval, Rate},
    trials::{Presentation, Presentations},
};

/// Shares of the bona fide scores that are reported.
const QUANTILES: [(&str, f64); 9] = [
    ("0", 0.0),
    ("0.001", 0.001),
    ("0.01", 0.01),
    ("0.05", 0.05),
    ("0.25", 0.25),
    ("0.5", 0.5),
    ("0.75", 0.75),
    ("0.95", 0.95),
    ("1", 1.0),
];

/// Share of attack presentations taken for bona fide ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Apcer {
    /// That of the worst species; null without attacks.
    pub worst: Option<f64>,
    /// For each species.
    pub by_species: BTreeMap<String, BySpecies>,
}

/// One species.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BySpecies {
    /// Share taken for bona fide, of those that gave a score.
    pub apcer: Option<f64>,
    /// 95 % interval over subjects.
    pub ci95: Option<Interval>,
    /// Taken for bona fide.
    pub passed: u64,
    /// Presentations.
    pub presentations: usize,
    /// Presentations that gave no score: no face, or too little around it.
    pub no_response: usize,
}

/// Rates at one threshold of the live score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtThreshold {
    /// What the threshold is for: `retry`, `suspect`, `policy`, `given`.
    pub purpose: String,
    /// Scores below it are taken for attacks.
    pub threshold: f32,
    /// Attacks that pass.
    pub apcer: Apcer,
    /// Bona fide presentations that do not.
    pub bpcer: Option<f64>,
    /// 95 % interval over subjects.
    pub bpcer_ci95: Option<Interval>,
    /// Share of attacks that pass **and** match their target's bona fide reference at the policy's threshold; of the worst
    /// species. Null without identities.
    pub iapar: Option<f64>,
}

/// Figures of a set of presentations. The rates at the top are those at the retry threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttackResult {
    /// What it was made with.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Attacks that pass.
    pub apcer: Apcer,
    /// Bona fide presentations that do not.
    pub bpcer: Option<f64>,
    /// 95 % interval over subjects.
    pub bpcer_ci95: Option<Interval>,
    /// Attacks that pass and match.
    pub iapar: Option<f64>,
    /// Share of attacks that match their target's reference, were there no attack detection. Null without identities.
    pub attacks_that_match: Option<f64>,
    /// The retry threshold.
    pub threshold: f32,
    /// The same at every threshold.
    pub thresholds: Vec<AtThreshold>,
    /// Attack presentations.
    pub attacks: usize,
    /// Bona fide presentations.
    pub bona_fide: usize,
    /// People the attacks pass for, where named.
    pub attack_subjects: usize,
    /// People of the bona fide presentations, where named.
    pub bona_fide_subjects: usize,
    /// Bona fide scores below which these shares of them lie; null without scores.
    pub bona_fide_score_quantiles: Option<BTreeMap<&'static str, f32>>,
    /// Share of bona fide presentations without a face that counts. Attacks without one do not pass: each species has
    /// them in `no_response`.
    pub failure_to_acquire: f64,
    /// Which, and why.
    pub failures: Failures,
    /// Pictures with a face around which there is too little for a score.
    pub not_assessable: usize,
    /// Species about which the manifest claims nothing, whatever the figures here.
    pub not_claimed: Vec<String>,
    /// Bona fide scores, for pages.
    #[serde(skip)]
    pub bona_fide_scores: Vec<f32>,
    /// Scores by species, for pages.
    #[serde(skip)]
    pub attack_scores: BTreeMap<String, Vec<f32>>,
}

/// One presentation as it came out.
struct Seen<'a> {
    presentation: &'a Presentation,
    subject: usize,
    live: Option<f32>,
    /// Whether it matches its target's bona fide reference; none without one.
    matches: Option<bool>,
}

/// Processes the pictures and computes the figures at the attack model's thresholds and at `given`.
///
/// # Errors
/// When a picture cannot be read or a network fails.
pub fn evaluate_attacks(
    setup: &Setup,
    model: &Model,
    presentations: &Presentations,
    given: Option<f32>,
    done: &(dyn Fn() + Sync),
) -> Result<AttackResult, AcquisitionError> {
    let acquired = acquire(setup, &presentations.pictures, Wanted { plain: false, live: true }, done)?;
    let (seen, subjects) = look(setup, presentations, &acquired);
    let bootstrap = Bootstrap { replicates: setup.replicates, seed: setup.seed, subjects };
    let thresholds: Vec<AtThreshold> =
        thresholds(model, given).into_iter().map(|(purpose, threshold)| at(&bootstrap, &seen, purpose, threshold)).collect();
    let failures = Failures::of(&presentations.pictures, &acquired);
    let (attacks, bona_fide): (Vec<&Seen<'_>>, Vec<&Seen<'_>>) = seen.iter().partition(|seen| seen.presentation.species.is_some());
    let people = |seen: &[&Seen<'_>]| seen.iter().filter_map(|seen| seen.presentation.identity.as_deref()).collect::<BTreeSet<_>>().len();
    let bona_fide_scores: Vec<f32> = bona_fide.iter().filter_map(|seen| seen.live).collect();
    let mut attack_scores: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for seen in &attacks {
        if let (Some(species), Some(live)) = (&seen.presentation.species, seen.live) {
            attack_scores.entry(species.clone()).or_default().push(live);
        }
    }
    let first = thresholds.first().cloned().unwrap_or_else(|| at(&bootstrap, &seen, "retry".into(), 0.5));
    let unclaimed = model.species.iter().filter(|species| species.claim == Claim::NotClaimed);
    let missed = bona_fide.iter().filter(|seen| acquired.get(seen.presentation.picture).is_some_and(Result::is_err)).count();
    Ok(AttackResult {
        provenance: setup.provenance(),
        apcer: first.apcer,
        bpcer: first.bpcer,
        bpcer_ci95: first.bpcer_ci95,
        iapar: first.iapar,
        attacks_that_match: Rate::of(attacks.iter().filter_map(|seen| seen.matches)).share(),
        threshold: first.threshold,
        thresholds,
        attacks: attacks.len(),
        bona_fide: bona_fide.len(),
        attack_subjects: people(&attacks),
        bona_fide_subjects: people(&bona_fide),
        bona_fide_score_quantiles: quantiles(&bona_fide_scores),
        failure_to_acquire: missed as f64 / bona_fide.len().max(1) as f64,
        not_assessable: seen.iter().filter(|seen| seen.live.is_none()).count().saturating_sub(failures.count()),
        failures,
        not_claimed: unclaimed.map(|species| species.name.clone()).collect(),
        bona_fide_scores,
        attack_scores,
    })
}

/// The retry threshold first (an older manifest calls it `live`), then the others, then the caller's.
fn thresholds(model: &Model, given: Option<f32>) -> Vec<(String, f32)> {
    let of = |purpose: &str| model.threshold(purpose).map(|threshold| threshold.score);
    let retry = of("retry").or_else(|| of("live")).map(|score| ("retry".to_owned(), score));
    let suspect = of("suspect").map(|score| ("suspect".to_owned(), score));
    retry.into_iter().chain(suspect).chain(given.map(|score| ("given".to_owned(), score))).collect()
}

/// Presentations with their scores; those without an identity are each a subject of their own.
fn look<'a>(setup: &Setup, presentations: &'a Presentations, acquired: &[Result<Acquired, &'static str>]) -> (Vec<Seen<'a>>, usize) {
    let of = |picture: usize| acquired.get(picture).and_then(|outcome| outcome.as_ref().ok());
    let match_at_least = setup
        .policy
        .thresholds(Scene::Settlement, setup.pipeline.feature_model(), setup.pipeline.recipe())
        .map(|thresholds| thresholds.match_at_least);
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut references: BTreeMap<&str, &Acquired> = BTreeMap::new();
    for presentation in presentations.presentations.iter().filter(|presentation| presentation.species.is_none()) {
        if let (Some(identity), Some(acquired)) = (&presentation.identity, of(presentation.picture)) {
            references.entry(identity).or_insert(acquired);
        }
    }
    let mut next = 0;
    let mut fresh = || {
        next += 1;
        next - 1
    };
    let one = |presentation: &'a Presentation| {
        let subject = match &presentation.identity {
            Some(identity) => *numbers.entry(identity).or_insert_with(&mut fresh),
            None => fresh(),
        };
        let acquired = of(presentation.picture);
        let reference = presentation.identity.as_deref().and_then(|identity| references.get(identity));
        let score = acquired.zip(reference).and_then(|(probe, reference)| compare(&probe.template, &reference.template).ok());
        let matches = score.zip(match_at_least).map(|(score, threshold)| score.get() >= threshold);
        // An attack that gives no template matches nobody.
        let matches = matches.or_else(|| reference.and(match_at_least).filter(|_| acquired.is_none()).map(|_| false));
        Seen { presentation, subject, live: acquired.and_then(|acquired| acquired.live), matches }
    };
    let seen = presentations.presentations.iter().map(one).collect();
    (seen, next)
}

fn at(bootstrap: &Bootstrap, seen: &[Seen<'_>], purpose: String, threshold: f32) -> AtThreshold {
    let species: BTreeSet<&str> = seen.iter().filter_map(|seen| seen.presentation.species.as_deref()).collect();
    let passes = |seen: &Seen<'_>| seen.live.map(|live| live >= threshold);
    let of = |wanted: Option<&str>| seen.iter().filter(|seen| seen.presentation.species.as_deref() == wanted).collect::<Vec<_>>();
    let mut by_species = BTreeMap::new();
    let mut iapar: Option<f64> = None;
    for name in species {
        let members = of(Some(name));
        let (rate, ci95) = rate_over_subjects(bootstrap, &members, &passes);
        let no_response = members.iter().filter(|seen| seen.live.is_none()).count();
        by_species.insert(
            name.to_owned(),
            BySpecies { apcer: rate.share(), ci95, passed: rate.errors, presentations: members.len(), no_response },
        );
        let accepted = members.iter().filter_map(|seen| Some(seen.matches? && passes(seen).unwrap_or(false)));
        iapar = iapar.into_iter().chain(Rate::of(accepted).share()).reduce(f64::max);
    }
    let worst = by_species.values().filter_map(|species| species.apcer).reduce(f64::max);
    let (bpcer, bpcer_ci95) = rate_over_subjects(bootstrap, &of(None), &|seen| passes(seen).map(|passes| !passes));
    AtThreshold { purpose, threshold, apcer: Apcer { worst, by_species }, bpcer: bpcer.share(), bpcer_ci95, iapar }
}

/// A rate over presentations that gave an answer, with its interval over the subjects among them.
fn rate_over_subjects(bootstrap: &Bootstrap, members: &[&Seen<'_>], wrong: &dyn Fn(&Seen<'_>) -> Option<bool>) -> (Rate, Option<Interval>) {
    let answers: Vec<(usize, bool)> = members.iter().filter_map(|seen| Some((seen.subject, wrong(seen)?))).collect();
    let rate = Rate::of(answers.iter().map(|(_, wrong)| *wrong));
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for (subject, _) in &answers {
        let next = places.len();
        places.entry(*subject).or_insert(next);
    }
    if places.is_empty() {
        return (rate, None);
    }
    let bootstrap = Bootstrap { subjects: places.len(), ..*bootstrap };
    let replicates = bootstrap.run(|drawn| {
        let times = |subject: &usize| places.get(subject).and_then(|place| drawn.get(*place)).map_or(0, |times| u64::from(*times));
        let counted = answers.iter().fold(Rate::default(), |rate, (subject, wrong)| {
            Rate::new(rate.errors + times(subject) * u64::from(*wrong), rate.trials + times(subject))
        });
        counted.share()
    });
    let interval = bootstrap.interval(&replicates, rate.errors);
    // All wrong is as far from certain as none wrong.
    let all_wrong = rate.errors == rate.trials;
    let interval = if all_wrong { bootstrap.interval(&[], 0).map(|[_, upper]| [1.0 - upper, 1.0]) } else { interval };
    (rate, interval)
}

/// The score at each share of the sorted scores, the next lower one where it falls between two.
fn quantiles(scores: &[f32]) -> Option<BTreeMap<&'static str, f32>> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f32::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    QUANTILES.into_iter().map(|(name, share)| Some((name, *sorted.get((share * last as f64).floor() as usize)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presentation(species: Option<&str>) -> Presentation {
        Presentation { picture: 0, species: species.map(str::to_owned), identity: None, session: None }
    }

    const FEW: Bootstrap = Bootstrap { replicates: 200, seed: 1, subjects: 8 };

    #[test]
    fn each_species_is_counted_apart_and_the_worst_counts() {
        let (print, screen, live) = (presentation(Some("print")), presentation(Some("screen")), presentation(None));
        let seen = |presentation, subject, live, matches| Seen { presentation, subject, live, matches };
        let all = [
            // Of three prints with a score one passes; it matches. A fourth gives no score and counts in neither.
            seen(&print, 0, Some(0.9), Some(true)),
            seen(&print, 1, Some(0.1), Some(true)),
            seen(&print, 2, Some(0.2), Some(false)),
            seen(&print, 3, None, Some(false)),
            // Of two screens one passes; it does not match.
            seen(&screen, 4, Some(0.5), Some(false)),
            seen(&screen, 5, Some(0.4), Some(true)),
            // Of two live people one does not pass.
            seen(&live, 6, Some(0.49), None),
            seen(&live, 7, Some(0.99), None),
        ];
        let at = at(&FEW, &all, "given".into(), 0.5);
        let apcer = |species: &str| at.apcer.by_species.get(species).map(|found| (found.apcer, found.passed, found.no_response));
        assert_eq!(apcer("print"), Some((Some(1.0 / 3.0), 1, 1)));
        assert_eq!(apcer("screen"), Some((Some(0.5), 1, 0)));
        // One of four prints passes and matches, no screen does.
        assert_eq!((at.apcer.worst, at.bpcer, at.iapar), (Some(0.5), Some(0.5), Some(0.25)));
    }

    #[test]
    fn nothing_presented_gives_no_rate_and_nothing_seen_no_certainty() {
        let live = presentation(None);
        let all: Vec<Seen<'_>> = (0..8).map(|subject| Seen { presentation: &live, subject, live: Some(1.0), matches: None }).collect();
        let at = at(&FEW, &all, "given".into(), 0.5);
        assert_eq!((at.apcer.worst, at.iapar, at.bpcer), (None, None, Some(0.0)));
        // 1 − 0.025^(1/8) = 0.369.
        assert!((at.bpcer_ci95.unwrap()[1] - 0.369).abs() < 1e-3);
    }

    #[test]
    fn quantiles_are_scores_that_occur() {
        let scores: Vec<f32> = (0..=100_u8).rev().map(|i| f32::from(i) / 100.0).collect();
        let got = quantiles(&scores).unwrap();
        assert_eq!((got["0"], got["0.001"], got["0.01"], got["0.5"], got["1"]), (0.0, 0.0, 0.01, 0.5, 1.0));
        assert_eq!(quantiles(&[]), None);
    }
}
