//! Verification: mated and non-mated comparisons, and the error rates they give.

use std::collections::{BTreeMap, BTreeSet};

use matcher_core::{
    AcquisitionFailure, Decision, Earlier, Evidence, NoDecision, Policy, Reference, ReferenceFacts, ReferenceState, Scene, decide,
};
use models::compare;
use serde::Serialize;

use super::{Acquired, AcquisitionError, FMR_TARGETS, Failures, Paired, Provenance, Setup, Wanted, acquire, paired::paired};
use crate::{
    metrics::{
        Bootstrap, Comparison, FoldTrial, Interval, RESOLVED_ERRORS, Rate, Scores, accuracy_by_folds, combined_false_accept,
        combined_false_reject, equal_error_rate,
    },
    trials::{Pairs, SubjectSource, Trial},
};

/// Points of a curve between the smallest false match rate and 1.
const CURVE_POINTS: usize = 60;
/// How many of the worst errors of each kind are listed.
const WORST: usize = 20;

/// The equal error rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Eer {
    /// The rate, 0–1.
    pub value: f64,
    /// 95 % interval over subjects.
    pub ci95: Option<Interval>,
}

/// Error rates at the threshold for one false match rate. Without a single false match the trials do not reach
/// as far as the target, and nothing but the target and that zero is stated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The largest false match rate allowed.
    pub fmr_target: f64,
    /// The smallest threshold that keeps it.
    pub threshold: Option<f32>,
    /// Non-mated comparisons at or above it.
    pub false_matches: u64,
    /// Their share.
    pub fmr: Option<f64>,
    /// Mated comparisons below it.
    pub false_non_matches: Option<u64>,
    /// Their share.
    pub fnmr: Option<f64>,
    /// 95 % interval of `fnmr` over subjects; the threshold is set anew in each replicate.
    pub ci95: Option<Interval>,
    /// FTA + (1 − FTA) · FNMR.
    pub frr: Option<f64>,
    /// FMR · (1 − FTA).
    pub far: Option<f64>,
    /// Whether at least 30 false matches fix the threshold; null without any.
    pub resolved: Option<bool>,
}

/// Accuracy by folds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoldAccuracy {
    /// Mean over folds, 0–1.
    pub mean: f64,
    /// Standard deviation over folds.
    pub sd: f64,
    /// How many folds.
    pub folds: usize,
    /// Each fold's accuracy.
    pub by_fold: Vec<f64>,
}

/// Shares of trials by what the policy makes of them; they add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Shares {
    /// Decided as a match.
    #[serde(rename = "match")]
    pub matched: f64,
    /// Between the bands.
    pub review: f64,
    /// Decided as a non-match.
    pub non_match: f64,
    /// The probe looks like an attack, or would when it came again.
    pub attack_suspected: f64,
    /// No template of probe or reference, or no part of the probe that could be assessed for attacks.
    pub failure_to_acquire: f64,
}

/// What the policy makes of the trials. A side without trials is null.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtPolicy {
    /// Of the mated trials.
    pub mated: Option<Shares>,
    /// Of the non-mated trials.
    pub nonmated: Option<Shares>,
}

/// Error rates of a group at a threshold that was set on all trials.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupPoint {
    /// The target that the threshold belongs to.
    pub fmr_target: f64,
    /// The threshold for all trials.
    pub threshold: f32,
    /// False matches of the group.
    pub false_matches: u64,
    /// Their share in the group.
    pub fmr: Option<f64>,
    /// False non-matches of the group.
    pub false_non_matches: u64,
    /// Their share in the group.
    pub fnmr: Option<f64>,
}

/// Trials with one value of one column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The column.
    pub by: &'static str,
    /// Its value.
    pub name: String,
    /// Mated trials of the group.
    pub trials_mated: usize,
    /// Non-mated trials of the group.
    pub trials_nonmated: usize,
    /// Subjects in them.
    pub subjects: usize,
    /// The group's own equal error rate, where it has trials of both kinds.
    pub eer: Option<f64>,
    /// At the thresholds set on all trials.
    pub points: Vec<GroupPoint>,
    /// What the policy makes of its trials.
    pub at_policy: Option<AtPolicy>,
}

/// An error, by ids.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorstError {
    /// The reference.
    pub image_a: String,
    /// The probe.
    pub image_b: String,
    /// Their score.
    pub score: f32,
}

/// Points of the curve of false non-match over false match rate, with a band. For pages, not for the JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve {
    /// False match rate, false non-match rate.
    pub points: Vec<[f64; 2]>,
    /// False match rate, lower and upper end of the 95 % interval of the false non-match rate.
    pub band: Vec<[f64; 3]>,
}

/// Figures of a verification protocol.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerificationResult {
    /// What it was made with.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Mated trials of the protocol.
    pub trials_mated: usize,
    /// Non-mated trials of the protocol.
    pub trials_nonmated: usize,
    /// Mated comparisons that were executed: both pictures gave a template.
    pub comparisons_mated: usize,
    /// Non-mated comparisons that were executed.
    pub comparisons_nonmated: usize,
    /// Subjects.
    pub subjects: usize,
    /// How subjects were told apart.
    pub subjects_from: SubjectSource,
    /// Pictures, each once.
    pub pictures: usize,
    /// Share of pictures without a template.
    pub failure_to_acquire: f64,
    /// Which pictures, and why.
    pub failures: Failures,
    /// The equal error rate; null without comparisons of both kinds.
    pub eer: Option<Eer>,
    /// Error rates at false match rates.
    pub points: Vec<Point>,
    /// Accuracy by folds; null without folds.
    pub accuracy_folds: Option<FoldAccuracy>,
    /// What the policy makes of the trials; null when it has no thresholds for the model and recipe.
    pub at_policy: Option<AtPolicy>,
    /// The same by groups.
    pub groups: Vec<Group>,
    /// The shipped recipe against a plain single crop on the same trials, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paired: Option<Paired>,
    /// Non-mated comparisons with the highest scores: label errors are often among them.
    pub worst_nonmated: Vec<WorstError>,
    /// Mated comparisons with the lowest scores.
    pub worst_mated: Vec<WorstError>,
    /// For pages.
    #[serde(skip)]
    pub curve: Curve,
    /// Scores of mated comparisons, for pages.
    #[serde(skip)]
    pub mated: Vec<f32>,
    /// Scores of non-mated comparisons, for pages.
    #[serde(skip)]
    pub nonmated: Vec<f32>,
    /// The score of each trial in their order, for files of scores; none where nothing was compared.
    #[serde(skip)]
    pub scores: Vec<Option<f32>>,
}

/// One trial as it came out.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// The trial.
    pub trial: &'a Trial,
    /// Its score; none when a side has no template.
    pub score: Option<f32>,
    /// Its score with plain templates.
    pub plain: Option<f32>,
    /// What the policy makes of it; none when the policy has no thresholds for the model.
    pub decision: Option<Decision>,
}

/// Processes the pictures, makes the comparisons and computes the figures.
///
/// # Errors
/// When a picture cannot be read or a network fails.
pub fn evaluate_verification(setup: &Setup, pairs: &Pairs, done: &(dyn Fn() + Sync)) -> Result<VerificationResult, AcquisitionError> {
    // A policy without a threshold for attacks suspects nothing: the score would be in vain.
    let wanted = Wanted { plain: setup.plain, live: setup.policy.scene(Scene::Settlement).attack.is_some() };
    let acquired = acquire(setup, &pairs.pictures, wanted, done)?;
    let scored = score(&setup.policy, pairs, &acquired);
    let bootstrap = Bootstrap { replicates: setup.replicates, seed: setup.seed, subjects: pairs.subjects };
    let [mated, nonmated] = [true, false].map(|side| scores(&scored, side, |scored| scored.score));
    let failures = Failures::of(&pairs.pictures, &acquired);
    let failure_to_acquire = failures.count() as f64 / pairs.pictures.len().max(1) as f64;
    let replicates = Replicates::of(&bootstrap, &mated, &nonmated);
    let points = points(&bootstrap, &mated, &nonmated, &replicates, failure_to_acquire);
    let of = |side: bool| pairs.trials.iter().filter(|trial| trial.mated == side).count();
    let paired = setup.plain.then(|| paired(&bootstrap, &scored));
    Ok(VerificationResult {
        provenance: setup.provenance(),
        trials_mated: of(true),
        trials_nonmated: of(false),
        comparisons_mated: mated.len(),
        comparisons_nonmated: nonmated.len(),
        subjects: pairs.subjects,
        subjects_from: pairs.subject_source,
        pictures: pairs.pictures.len(),
        failure_to_acquire,
        failures,
        eer: equal_error_rate(&mated.ranked(), &nonmated.ranked())
            .map(|value| Eer { value, ci95: bootstrap.interval(&replicates.eer, u64::from(value > 0.0)) }),
        accuracy_folds: folds(&scored),
        at_policy: at_policy(&scored),
        groups: groups(&scored, &points),
        paired,
        worst_nonmated: worst(pairs, &scored, false),
        worst_mated: worst(pairs, &scored, true),
        curve: curve(&bootstrap, &mated, &nonmated, &replicates),
        mated: mated.iter().map(|comparison| comparison.score).collect(),
        nonmated: nonmated.iter().map(|comparison| comparison.score).collect(),
        scores: scored.iter().map(|scored| scored.score).collect(),
        points,
    })
}

/// Compares and decides each trial with the product's own functions.
fn score<'a>(policy: &Policy, pairs: &'a Pairs, acquired: &[Result<Acquired, &'static str>]) -> Vec<Scored<'a>> {
    let of = |picture: usize| acquired.get(picture).and_then(|outcome| outcome.as_ref().ok());
    let one = |trial: &'a Trial| {
        let (reference, probe) = (of(trial.reference), of(trial.probe));
        let score = reference.zip(probe).and_then(|(reference, probe)| compare(&probe.template, &reference.template).ok());
        let plain = reference.zip(probe).and_then(|(reference, probe)| compare(probe.plain.as_ref()?, reference.plain.as_ref()?).ok());
        let evidence = match probe {
            Some(probe) => Evidence::Probe { template: &probe.template, live: probe.live },
            None => Evidence::FailureToAcquire(AcquisitionFailure::LowQuality, None),
        };
        let references = reference.map(|reference| Reference { template: &reference.template, facts: ReferenceFacts::default() });
        let state = if references.is_some() { ReferenceState::Present(references.as_slice()) } else { ReferenceState::None };
        let decision = decide(policy, Scene::Settlement, evidence, state, Earlier::NOTHING).decision;
        let known = decision != Decision::NoDecision(NoDecision::ModelMismatch);
        Scored {
            trial,
            score: score.map(models::SimilarityScore::get),
            plain: plain.map(models::SimilarityScore::get),
            decision: known.then_some(decision),
        }
    };
    pairs.trials.iter().map(one).collect()
}

/// The executed comparisons of one kind.
pub(super) fn scores<'a>(scored: &'a [Scored<'a>], mated: bool, of: impl Fn(&Scored<'a>) -> Option<f32>) -> Scores {
    let side = scored.iter().filter(|scored| scored.trial.mated == mated);
    Scores::new(side.filter_map(|scored| Some(Comparison { score: of(scored)?, subjects: scored.trial.subjects })).collect())
}

/// What each replicate of the bootstrap gave.
struct Replicates {
    eer: Vec<Option<f64>>,
    /// For each target: the false non-match rates.
    fnmr: Vec<Vec<Option<f64>>>,
    /// For each point of the curve: the false non-match rates.
    curve: Vec<Vec<Option<f64>>>,
}

impl Replicates {
    fn of(bootstrap: &Bootstrap, mated: &Scores, nonmated: &Scores) -> Self {
        let grid = curve_grid(nonmated.len());
        let each = bootstrap.run(|drawn| {
            let (mated, nonmated) = (mated.resampled(drawn), nonmated.resampled(drawn));
            let fnmr = |target: &f64| mated.below(nonmated.threshold_for_at_or_above(*target)).share();
            let fnmr = |targets: &[f64]| -> Vec<Option<f64>> { targets.iter().map(fnmr).collect() };
            (equal_error_rate(&mated, &nonmated), fnmr(&FMR_TARGETS), fnmr(&grid))
        });
        Self {
            eer: each.iter().map(|(eer, ..)| *eer).collect(),
            fnmr: column(each.iter().map(|(_, fnmr, _)| fnmr), FMR_TARGETS.len()),
            curve: column(each.iter().map(|(.., curve)| curve), grid.len()),
        }
    }
}

/// For each place of rows of that width: what stands there in each row.
fn column<'a>(rows: impl Iterator<Item = &'a Vec<Option<f64>>> + Clone, width: usize) -> Vec<Vec<Option<f64>>> {
    (0..width).map(|at| rows.clone().map(|row| row.get(at).copied().flatten()).collect()).collect()
}

fn points(bootstrap: &Bootstrap, mated: &Scores, nonmated: &Scores, replicates: &Replicates, fta: f64) -> Vec<Point> {
    let (mated, nonmated) = (mated.ranked(), nonmated.ranked());
    let point = |(at, fmr_target): (usize, f64)| {
        let threshold = nonmated.threshold_for_at_or_above(fmr_target);
        let (fmr, fnmr) = (nonmated.at_or_above(threshold), mated.below(threshold));
        let reached = fmr.errors > 0;
        let fnmr_share = fnmr.share().filter(|_| reached);
        Point {
            fmr_target,
            threshold: reached.then_some(threshold),
            false_matches: fmr.errors,
            fmr: fmr.share().filter(|_| reached),
            false_non_matches: reached.then_some(fnmr.errors),
            fnmr: fnmr_share,
            ci95: fnmr_share.and(replicates.fnmr.get(at)).and_then(|values| bootstrap.interval(values, fnmr.errors)),
            frr: fnmr_share.map(|fnmr| combined_false_reject(fta, fnmr)),
            far: fmr.share().filter(|_| reached).map(|fmr| combined_false_accept(fta, fmr)),
            resolved: reached.then_some(fmr.errors >= RESOLVED_ERRORS),
        }
    };
    let mut points: Vec<Point> = FMR_TARGETS.into_iter().enumerate().map(point).collect();
    // A false non-match rate can only fall when more false matches are allowed: where no error was seen, what bounds the
    // stricter point bounds this one too.
    let mut bound: f64 = 1.0;
    for point in points.iter_mut().rev() {
        if let Some([_, upper]) = &mut point.ci95 {
            if point.false_non_matches == Some(0) {
                *upper = upper.min(bound);
            }
            bound = *upper;
        }
    }
    points
}

/// False match rates from one comparison in all of them to 1, evenly on a logarithmic axis.
fn curve_grid(nonmated: usize) -> Vec<f64> {
    let lowest = (1.0 / nonmated.max(1) as f64).ln();
    (0..CURVE_POINTS).map(|at| (lowest * (1.0 - at as f64 / (CURVE_POINTS - 1) as f64)).exp()).collect()
}

fn curve(bootstrap: &Bootstrap, mated: &Scores, nonmated: &Scores, replicates: &Replicates) -> Curve {
    if mated.is_empty() || nonmated.is_empty() {
        return Curve::default();
    }
    let (ranked_mated, ranked_nonmated) = (mated.ranked(), nonmated.ranked());
    let mut curve = Curve::default();
    let mut bound: f64 = 1.0;
    for (fmr, values) in curve_grid(nonmated.len()).into_iter().zip(&replicates.curve) {
        let rate = ranked_mated.below(ranked_nonmated.threshold_for_at_or_above(fmr));
        if let Some(fnmr) = rate.share() {
            curve.points.push([fmr, fnmr]);
            if let Some([lower, upper]) = bootstrap.interval(values, rate.errors) {
                // What bounds a stricter point bounds this one too.
                bound = upper.max(fnmr).min(bound);
                curve.band.push([fmr, lower.min(fnmr), bound]);
            }
        }
    }
    curve
}

fn folds(scored: &[Scored<'_>]) -> Option<FoldAccuracy> {
    let trials =
        scored.iter().filter_map(|scored| Some(FoldTrial { score: scored.score?, mated: scored.trial.mated, fold: scored.trial.fold? }));
    let folds = accuracy_by_folds(&trials.collect::<Vec<_>>())?;
    Some(FoldAccuracy { mean: folds.mean, sd: folds.sd, folds: folds.accuracies.len(), by_fold: folds.accuracies })
}

fn at_policy(scored: &[Scored<'_>]) -> Option<AtPolicy> {
    let decisions = |side: bool| scored.iter().filter(move |scored| scored.trial.mated == side).map(|scored| scored.decision);
    let [mated, nonmated] = [true, false].map(|side| decisions(side).collect::<Option<Vec<Decision>>>());
    Some(AtPolicy { mated: shares(&mated?), nonmated: shares(&nonmated?) })
}

fn shares(decisions: &[Decision]) -> Option<Shares> {
    let mut shares = Shares::default();
    let one = Rate::new(1, decisions.len() as u64).share()?;
    for decision in decisions {
        let slot = match decision {
            Decision::Match => &mut shares.matched,
            Decision::Review => &mut shares.review,
            Decision::NonMatch => &mut shares.non_match,
            // One picture cannot be taken again: what asks for a retry would be suspected when it comes again, and
            // what cannot be assessed would have to be acquired again.
            Decision::NoDecision(NoDecision::AttackSuspected | NoDecision::LiveUnclear) => &mut shares.attack_suspected,
            Decision::NoDecision(_) => &mut shares.failure_to_acquire,
        };
        *slot += one;
    }
    Some(shares)
}

fn groups(scored: &[Scored<'_>], points: &[Point]) -> Vec<Group> {
    let mut members: BTreeMap<(&'static str, &str), Vec<Scored<'_>>> = BTreeMap::new();
    for scored in scored {
        for (column, value) in &scored.trial.groups {
            members.entry((column, value)).or_default().push(*scored);
        }
    }
    let group = |((by, name), members): ((&'static str, &str), Vec<Scored<'_>>)| {
        let [mated, nonmated] = [true, false].map(|side| scores(&members, side, |scored| scored.score));
        let (ranked_mated, ranked_nonmated) = (mated.ranked(), nonmated.ranked());
        let point = |point: &Point| {
            let threshold = point.threshold?;
            let (fmr, fnmr) = (ranked_nonmated.at_or_above(threshold), ranked_mated.below(threshold));
            Some(GroupPoint {
                fmr_target: point.fmr_target,
                threshold,
                false_matches: fmr.errors,
                fmr: fmr.share(),
                false_non_matches: fnmr.errors,
                fnmr: fnmr.share(),
            })
        };
        let of = |side: bool| members.iter().filter(|scored| scored.trial.mated == side).count();
        Group {
            by,
            name: name.to_owned(),
            trials_mated: of(true),
            trials_nonmated: of(false),
            subjects: members.iter().flat_map(|scored| scored.trial.subjects).collect::<BTreeSet<_>>().len(),
            eer: equal_error_rate(&ranked_mated, &ranked_nonmated),
            points: points.iter().filter_map(point).collect(),
            at_policy: at_policy(&members),
        }
    };
    members.into_iter().map(group).collect()
}

fn worst(pairs: &Pairs, scored: &[Scored<'_>], mated: bool) -> Vec<WorstError> {
    let mut side: Vec<(f32, &Trial)> =
        scored.iter().filter(|scored| scored.trial.mated == mated).filter_map(|scored| Some((scored.score?, scored.trial))).collect();
    side.sort_by(|(a, _), (b, _)| if mated { a.total_cmp(b) } else { b.total_cmp(a) });
    let id = |picture: usize| pairs.pictures.id(picture).to_owned();
    side.into_iter()
        .take(WORST)
        .map(|(score, trial)| WorstError { image_a: id(trial.reference), image_b: id(trial.probe), score })
        .collect()
}
