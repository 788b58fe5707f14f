//! Two recipes on the same trials: the difference, resampled together.

use serde::Serialize;

use super::{FMR_TARGETS, Scored, verification::scores};
use crate::metrics::{Bootstrap, Interval, Scores, equal_error_rate, separation};

/// False non-match rates of both at one false match rate, each at its own threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedPoint {
    /// The largest false match rate allowed.
    pub fmr_target: f64,
    /// Of the shipped recipe; null where the trials do not reach so far.
    pub fnmr: Option<f64>,
    /// Of the other.
    pub fnmr_against: Option<f64>,
    /// The shipped recipe's less the other's: below zero it is better.
    pub difference: Option<f64>,
    /// 95 % interval of the difference over subjects, both resampled together.
    pub ci95: Option<Interval>,
}

/// The shipped recipe against another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paired {
    /// What it is compared with.
    pub against: &'static str,
    /// Difference of the equal error rates, shipped less other.
    pub eer_difference: Option<f64>,
    /// Its 95 % interval.
    pub eer_ci95: Option<Interval>,
    /// How far mated and non-mated scores lie apart (d′): shipped less other; above zero it is better.
    pub separation_difference: Option<f64>,
    /// Its 95 % interval.
    pub separation_ci95: Option<Interval>,
    /// At false match rates.
    pub points: Vec<PairedPoint>,
}

/// Comparisons of one recipe: mated, non-mated.
struct Sides(Scores, Scores);

/// The shipped recipe against a plain single crop.
pub(super) fn paired(bootstrap: &Bootstrap, scored: &[Scored<'_>]) -> Paired {
    let shipped = Sides(scores(scored, true, |scored| scored.score), scores(scored, false, |scored| scored.score));
    let plain = Sides(scores(scored, true, |scored| scored.plain), scores(scored, false, |scored| scored.plain));
    let whole = |sides: &Sides| Rates::of(&sides.0.ranked(), &sides.1.ranked());
    let (ours, theirs) = (whole(&shipped), whole(&plain));
    let replicates = bootstrap.run(|drawn| {
        let rates = |sides: &Sides| Rates::of(&sides.0.resampled(drawn), &sides.1.resampled(drawn));
        (rates(&shipped), rates(&plain))
    });
    let interval = |of: &dyn Fn(&Rates) -> Option<f64>| {
        let differences: Vec<Option<f64>> = replicates.iter().map(|(ours, theirs)| difference(of(ours), of(theirs))).collect();
        bootstrap.plain_interval(&differences)
    };
    let point = |(at, fmr_target): (usize, f64)| {
        let of = |rates: &Rates| rates.fnmr.get(at).copied().flatten();
        // Where no non-mated comparison may match, the threshold is that of the highest score alone.
        let reached = fmr_target * shipped.1.len() as f64 >= 1.0;
        let (fnmr, fnmr_against) = (of(&ours).filter(|_| reached), of(&theirs).filter(|_| reached));
        PairedPoint { fmr_target, fnmr, fnmr_against, difference: difference(fnmr, fnmr_against), ci95: fnmr.and_then(|_| interval(&of)) }
    };
    Paired {
        against: "plain",
        eer_difference: difference(ours.eer, theirs.eer),
        eer_ci95: interval(&|rates| rates.eer),
        separation_difference: difference(ours.separation, theirs.separation),
        separation_ci95: interval(&|rates| rates.separation),
        points: FMR_TARGETS.into_iter().enumerate().map(point).collect(),
    }
}

struct Rates {
    eer: Option<f64>,
    separation: Option<f64>,
    fnmr: Vec<Option<f64>>,
}

impl Rates {
    fn of(mated: &crate::metrics::Ranked<'_>, nonmated: &crate::metrics::Ranked<'_>) -> Self {
        let fnmr = |target: f64| mated.below(nonmated.threshold_for_at_or_above(target)).share();
        Self {
            eer: equal_error_rate(mated, nonmated),
            separation: separation(mated, nonmated),
            fnmr: FMR_TARGETS.into_iter().map(fnmr).collect(),
        }
    }
}

fn difference(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    Some(ours? - theirs?)
}
