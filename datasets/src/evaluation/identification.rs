//! Identification: each probe against the whole gallery, by exact comparison.

use models::{Template, compare};
use rayon::prelude::*;
use serde::Serialize;

use super::{Acquired, AcquisitionError, FPIR_TARGETS, Failures, Provenance, Setup, Wanted, acquire};
use crate::{
    metrics::{Bootstrap, Comparison, Interval, Rate, Scores},
    trials::{Probe, SearchTrials},
};

/// Error rates at the threshold for one false positive identification rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchPoint {
    /// The largest share of non-mated searches that may return a candidate.
    pub fpir_target: f64,
    /// The smallest threshold that keeps it; null where not one non-mated search reaches so far.
    pub threshold: Option<f32>,
    /// Non-mated searches that return a candidate.
    pub false_positives: u64,
    /// Share of mated searches whose mate is not the first candidate with at least that score.
    pub fnir: Option<f64>,
    /// 95 % interval over subjects; the threshold is set anew in each replicate.
    pub ci95: Option<Interval>,
    /// Non-mated searches that were executed.
    pub nonmated_searches: usize,
}

/// Figures of a gallery and its probes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IdentificationResult {
    /// What it was made with.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Share of mated searches whose first candidate is the mate. A probe or a mate without a template is a miss.
    pub rank1: Option<f64>,
    /// 95 % interval over subjects.
    pub rank1_ci95: Option<Interval>,
    /// Mated searches.
    pub mated_searches: usize,
    /// Non-mated searches.
    pub nonmated_searches: usize,
    /// At false positive identification rates.
    pub points: Vec<SearchPoint>,
    /// References in the gallery.
    pub gallery_size: usize,
    /// References without a template.
    pub gallery_failures: usize,
    /// Mated searches missed because the probe, or every reference of its mate, has no template.
    pub missed_by_failure: usize,
    /// Subjects of gallery and probes.
    pub subjects: usize,
    /// Pictures, each once.
    pub pictures: usize,
    /// Share of pictures without a template.
    pub failure_to_acquire: f64,
    /// Which, and why.
    pub failures: Failures,
    /// Mated searches with another first candidate, by id of the probe.
    pub misses: Vec<Miss>,
    /// Scores of mates at rank 1, for pages.
    #[serde(skip)]
    pub mated: Vec<f32>,
    /// Highest scores of non-mated searches, for pages.
    #[serde(skip)]
    pub nonmated: Vec<f32>,
}

/// A mated search whose mate is not first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Miss {
    /// The probe.
    pub probe: String,
    /// The candidate in the mate's place; null when the probe has no template.
    pub candidate: Option<String>,
    /// That candidate's score.
    pub score: Option<f32>,
}

/// The first candidate of a search.
#[derive(Debug, Clone, Copy)]
struct Top {
    subject: usize,
    picture: usize,
    score: f32,
}

/// Processes the pictures, makes every search and computes the figures.
///
/// # Errors
/// When a picture cannot be read or a network fails.
pub fn evaluate_identification(
    setup: &Setup,
    trials: &SearchTrials,
    done: &(dyn Fn() + Sync),
) -> Result<IdentificationResult, AcquisitionError> {
    let acquired = acquire(setup, &trials.pictures, Wanted::default(), done)?;
    let template =
        |picture: usize| acquired.get(picture).and_then(|outcome| outcome.as_ref().ok()).map(|acquired: &Acquired| &acquired.template);
    let tops: Vec<Option<Top>> = trials.probes.par_iter().map(|probe| search(trials, &template, probe)).collect();
    let searches: Vec<(&Probe, Option<Top>)> = trials.probes.iter().zip(tops).collect();
    let bootstrap = Bootstrap { replicates: setup.replicates, seed: setup.seed, subjects: trials.subjects };
    let figures = Figures::of(&searches);
    let failures = Failures::of(&trials.pictures, &acquired);
    let enrolled = |subject: usize| trials.gallery.iter().any(|entry| entry.subject == subject && template(entry.picture).is_some());
    let (rank1, rank1_ci95) = figures.rank1(&bootstrap);
    let mated: Vec<&(&Probe, Option<Top>)> = searches.iter().filter(|(probe, _)| probe.mated).collect();
    let misses = mated.iter().filter(|(probe, top)| top.is_none_or(|top| top.subject != probe.subject));
    Ok(IdentificationResult {
        provenance: setup.provenance(),
        rank1,
        rank1_ci95,
        mated_searches: mated.len(),
        nonmated_searches: searches.len() - mated.len(),
        points: FPIR_TARGETS.iter().map(|target| figures.point(&bootstrap, *target)).collect(),
        gallery_size: trials.gallery.len(),
        gallery_failures: trials.gallery.iter().filter(|entry| template(entry.picture).is_none()).count(),
        missed_by_failure: mated.iter().filter(|(probe, top)| top.is_none() || !enrolled(probe.subject)).count(),
        subjects: trials.subjects,
        pictures: trials.pictures.len(),
        failure_to_acquire: failures.count() as f64 / trials.pictures.len().max(1) as f64,
        failures,
        misses: misses
            .map(|(probe, top)| Miss {
                probe: trials.pictures.id(probe.picture).to_owned(),
                candidate: top.map(|top| trials.pictures.id(top.picture).to_owned()),
                score: top.map(|top| top.score),
            })
            .collect(),
        mated: figures.mated.iter().map(|comparison| comparison.score).filter(|score| score.is_finite()).collect(),
        nonmated: figures.nonmated.iter().map(|comparison| comparison.score).collect(),
    })
}

/// The reference with the highest score; the earlier one among equals.
fn search<'a>(trials: &SearchTrials, template: &(impl Fn(usize) -> Option<&'a Template> + Sync), probe: &Probe) -> Option<Top> {
    let features = template(probe.picture)?;
    let scored = trials.gallery.iter().filter_map(|entry| {
        let score = compare(features, template(entry.picture)?).ok()?.get();
        Some(Top { subject: entry.subject, picture: entry.picture, score })
    });
    scored.reduce(|best, next| if next.score > best.score { next } else { best })
}

/// Searches as comparisons: mated ones with the mate's score where it came first, non-mated ones with the first
/// candidate's.
struct Figures {
    mated: Scores,
    nonmated: Scores,
}

impl Figures {
    fn of(searches: &[(&Probe, Option<Top>)]) -> Self {
        let comparison = |probe: &Probe, score| Comparison { score, subjects: [probe.subject, probe.subject] };
        let mated = searches.iter().filter(|(probe, _)| probe.mated).map(|(probe, top)| {
            let hit = top.filter(|top| top.subject == probe.subject);
            comparison(probe, hit.map_or(f32::NEG_INFINITY, |top| top.score))
        });
        let nonmated = searches.iter().filter(|(probe, _)| !probe.mated);
        Self {
            mated: Scores::new(mated.collect()),
            nonmated: Scores::new(nonmated.filter_map(|(probe, top)| Some(comparison(probe, (*top)?.score))).collect()),
        }
    }

    fn rank1(&self, bootstrap: &Bootstrap) -> (Option<f64>, Option<Interval>) {
        let misses = self.mated.ranked().below(f32::MIN);
        let replicates = bootstrap.run(|drawn| self.mated.resampled(drawn).below(f32::MIN).share());
        let interval = bootstrap.interval(&replicates, misses.errors).filter(|_| misses.trials > 0);
        (misses.share().map(|share| 1.0 - share), interval.map(|[lower, upper]| [1.0 - upper, 1.0 - lower]))
    }

    fn point(&self, bootstrap: &Bootstrap, fpir_target: f64) -> SearchPoint {
        let ranked = self.nonmated.ranked();
        let threshold = ranked.threshold_for_at_or_above(fpir_target);
        let false_positives = ranked.at_or_above(threshold).errors;
        let reached = false_positives > 0;
        let missed: Rate = self.mated.ranked().below(threshold);
        let replicates = || {
            bootstrap.run(|drawn| {
                let threshold = self.nonmated.resampled(drawn).threshold_for_at_or_above(fpir_target);
                self.mated.resampled(drawn).below(threshold).share()
            })
        };
        let fnir = missed.share().filter(|_| reached);
        SearchPoint {
            fpir_target,
            threshold: reached.then_some(threshold),
            false_positives,
            fnir,
            ci95: fnir.and_then(|_| bootstrap.interval(&replicates(), missed.errors)),
            nonmated_searches: self.nonmated.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Bootstrap = Bootstrap { replicates: 100, seed: 1, subjects: 6 };

    #[test]
    fn misses_are_other_people_failures_and_scores_below_the_threshold() {
        let probe = |subject, mated| Probe { picture: subject, subject, mated };
        let top = |subject, score| Some(Top { subject, picture: subject, score });
        let (a, b, c, d, e, f) = (probe(0, true), probe(1, true), probe(2, true), probe(3, true), probe(4, false), probe(5, false));
        // Of four mated searches: right at 0.9, right at 0.5, another person first, no template.
        // Of two non-mated: first candidates at 0.6 and 0.3.
        let searches = [(&a, top(0, 0.9)), (&b, top(1, 0.5)), (&c, top(0, 0.8)), (&d, None), (&e, top(0, 0.6)), (&f, top(1, 0.3))];
        let figures = Figures::of(&searches);
        assert_eq!(figures.rank1(&FEW).0, Some(0.5));
        // One of two may return a candidate: just above 0.3. Both right ones reach it: 2 of 4 missed.
        let point = figures.point(&FEW, 0.5);
        assert_eq!((point.false_positives, point.fnir, point.nonmated_searches), (1, Some(0.5), 2));
        // None of two may: the trials do not reach so far.
        let point = figures.point(&FEW, 0.1);
        assert_eq!((point.threshold, point.false_positives, point.fnir), (None, 0, None));
    }

    #[test]
    fn searches_that_all_fail_are_all_missed() {
        let probe = Probe { picture: 0, subject: 0, mated: true };
        let figures = Figures::of(&[(&probe, None)]);
        assert_eq!((figures.rank1(&FEW).0, figures.nonmated.len()), (Some(0.0), 0));
        assert_eq!(Figures::of(&[]).rank1(&FEW).0, None);
    }
}
