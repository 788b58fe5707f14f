//! A funnel plot of institutions beside their peers (Spiegelhalter, Statistics in Medicine 24 (2005) 1185).
//!
//! Shares are looked at as y = arcsin √share, whose variance is 1/(4n) whatever the share. Institutions differ for good
//! reasons, too: the over-dispersion φ is the mean square of their standard scores, winsorised so that those who stand out
//! do not make room for themselves, and a variance τ² between institutions takes it up (the additive model of
//! the paper's section 5). Limits are drawn around the peers' share for every size. Who is outside has a history to explain, be it
//! ever so steady; it is no accusation.

use super::rates::Rate;

/// Share of the standard scores that is pulled in at each end.
const WINSORISED: f64 = 0.1;
/// Standard deviations of the limits drawn: 95 % and 99.8 %, as in the paper.
pub const LIMITS: (f64, f64) = (1.96, 3.09);
/// Peers without which nothing is said.
pub const PEERS_MIN: usize = 5;

/// The peers, as far as limits follow from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Funnel {
    /// arcsin √ of the peers' share.
    target: f64,
    /// Variance between institutions, on that scale.
    between: f64,
    /// φ: 1 where institutions differ by their counts alone.
    pub dispersion: f64,
}

fn scale(share: f64) -> f64 {
    share.clamp(0.0, 1.0).sqrt().asin()
}

fn back(y: f64) -> f64 {
    y.clamp(0.0, std::f64::consts::FRAC_PI_2).sin().powi(2)
}

/// arcsin √ with the correction of Anscombe (1948), for counts near none.
fn scaled(rate: &Rate) -> f64 {
    scale((rate.events as f64 + 0.375) / (rate.trials as f64 + 0.75))
}

fn variance(trials: f64) -> f64 {
    1.0 / (4.0 * trials + 2.0)
}

impl Funnel {
    /// The funnel of these institutions; nothing of fewer than [`PEERS_MIN`] with trials. Its middle is the median institution's,
    /// so that a few large ones do not move it.
    #[must_use]
    pub fn of(rates: &[Rate]) -> Option<Self> {
        let counted: Vec<&Rate> = rates.iter().filter(|rate| rate.trials > 0).collect();
        if counted.len() < PEERS_MIN {
            return None;
        }
        let mut places: Vec<f64> = counted.iter().map(|rate| scaled(rate)).collect();
        places.sort_by(f64::total_cmp);
        let target = places.get(places.len() / 2).copied()?;
        let mut scores: Vec<f64> = counted.iter().map(|rate| (scaled(rate) - target) / variance(rate.trials as f64).sqrt()).collect();
        scores.sort_by(f64::total_cmp);
        let cut = (scores.len() as f64 * WINSORISED).ceil() as usize;
        let (low, high) = (scores.get(cut).copied()?, scores.get(scores.len() - 1 - cut).copied()?);
        let count = scores.len() as f64;
        let dispersion = scores.iter().map(|z| z.clamp(low.min(high), high.max(low)).powi(2)).sum::<f64>() / count;
        let weights: Vec<f64> = counted.iter().map(|rate| 1.0 / variance(rate.trials as f64)).collect();
        let (sum, squares) = (weights.iter().sum::<f64>(), weights.iter().map(|weight| weight * weight).sum::<f64>());
        let between = ((count * dispersion - (count - 1.0)) / (sum - squares / sum)).max(0.0);
        Some(Self { target, between, dispersion: dispersion.max(1.0) })
    }

    /// The peers' share.
    #[must_use]
    pub fn target(&self) -> f64 {
        back(self.target)
    }

    /// How far an institution is from its peers, in standard deviations.
    #[must_use]
    pub fn z(&self, rate: &Rate) -> f64 {
        (scaled(rate) - self.target) / (variance(rate.trials as f64) + self.between).sqrt()
    }

    /// The limits for so many trials at so many standard deviations, lower and upper, 0–1.
    #[must_use]
    pub fn limits(&self, trials: f64, deviations: f64) -> (f64, f64) {
        let distance = deviations * (variance(trials) + self.between).sqrt();
        (back(self.target - distance), back(self.target + distance))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peers() -> Vec<Rate> {
        (0..40).map(|place| Rate { events: 40 + (place * 7) % 21, trials: 1_000 }).collect()
    }

    #[test]
    fn who_is_unlike_everybody_is_outside_and_makes_no_room_for_itself() {
        let mut rates = peers();
        rates.push(Rate { events: 160, trials: 1_000 });
        let funnel = Funnel::of(&rates).unwrap();
        assert!((0.045..0.055).contains(&funnel.target()));
        let outside: Vec<usize> = (0..rates.len()).filter(|place| funnel.z(&rates[*place]).abs() > LIMITS.1).collect();
        assert_eq!(outside, [40]);
        assert!(funnel.z(&Rate { events: 2, trials: 12 }).abs() < LIMITS.1, "few trials say little");
    }

    #[test]
    fn institutions_that_all_differ_widen_the_funnel() {
        let wide: Vec<Rate> = (0..40).map(|place| Rate { events: 20 + place * 4, trials: 1_000 }).collect();
        let (narrow, wide) = (Funnel::of(&peers()).unwrap(), Funnel::of(&wide).unwrap());
        assert!(narrow.dispersion < 1.5 && wide.dispersion > 5.0, "{narrow:?} {wide:?}");
        let far = |funnel: &Funnel| funnel.limits(1e6, 3.09).1 - funnel.target();
        assert!(far(&wide) > 4.0 * far(&narrow));
        assert_eq!(Funnel::of(&peers()[..4]), None);
    }

    proptest! {
        #[test]
        fn limits_narrow_with_size_and_hold_the_target(
            rates in proptest::collection::vec((0_u64..300, 300_u64..3_000), 5..40), trials in 10.0_f64..1e4,
        ) {
            let rates: Vec<Rate> = rates.into_iter().map(|(events, trials)| Rate { events, trials }).collect();
            let funnel = Funnel::of(&rates).unwrap();
            let (low, high) = funnel.limits(trials, 3.09);
            let (inner_low, inner_high) = funnel.limits(trials * 2.0, 3.09);
            prop_assert!(low <= inner_low && inner_high <= high && low <= funnel.target() && funnel.target() <= high);
            prop_assert!(funnel.dispersion >= 1.0);
        }
    }
}
