//! Measured distributions of scores, as quantiles, and the draws of scores from them.

use serde::{Deserialize, Serialize};

/// Shares at which quantiles are kept: a hundredth apart, and finer towards both ends.
const TAIL: [f64; 7] = [0.0, 1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3];

/// What was measured, of one model and recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Feature model.
    pub model: String,
    /// Recipe.
    pub recipe: String,
    /// Live captures against references.
    pub probe_reference: Pair,
    /// Live captures against live captures.
    pub probe_probe: Pair,
}

impl Measured {
    /// What is kept beside this program.
    ///
    /// # Errors
    /// Only when that file is not in order, which a test rules out.
    pub fn shipped() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("../../data/score_quantiles.json"))
    }
}

/// Scores of one person and of two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Which pack, and which of its trials.
    pub from: String,
    /// Of one person.
    pub mated: Distribution,
    /// Of two.
    pub nonmated: Distribution,
}

/// A distribution by its quantiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Trials it rests on.
    pub trials: usize,
    /// Shares and scores, both rising.
    pub quantiles: Vec<[f64; 2]>,
}

impl Distribution {
    /// The distribution of some scores, at least one.
    #[must_use]
    pub fn of(mut scores: Vec<f64>) -> Self {
        scores.sort_by(f64::total_cmp);
        let middle = (1..100).map(|percent| f64::from(percent) / 100.0);
        let shares = TAIL.into_iter().chain(middle).chain(TAIL.into_iter().rev().map(|share| 1.0 - share));
        let quantile = |share: f64| {
            let at = share * (scores.len() as f64 - 1.0);
            let of = |at: f64| scores.get(at as usize).copied().unwrap_or_default();
            let score = of(at.floor()) + (of(at.ceil()) - of(at.floor())) * at.fract();
            [share, (score * 1e4).round() / 1e4]
        };
        Self { trials: scores.len(), quantiles: shares.map(quantile).collect() }
    }

    /// The score below which this share lies (0–1).
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        between(&self.quantiles, share)
    }

    /// The share that lies below a score.
    #[must_use]
    pub fn share_below(&self, score: f64) -> f64 {
        let turned: Vec<[f64; 2]> = self.quantiles.iter().map(|[share, score]| [*score, *share]).collect();
        between(&turned, score)
    }

    /// The same scores, this much lower.
    #[must_use]
    pub fn lowered(&self, by: f64) -> Self {
        Self { quantiles: self.quantiles.iter().map(|[share, score]| [*share, score - by]).collect(), ..self.clone() }
    }
}

fn between(points: &[[f64; 2]], x: f64) -> f64 {
    let above = points.partition_point(|point| point[0] <= x);
    match (above.checked_sub(1).and_then(|below| points.get(below)), points.get(above)) {
        (Some([from, low]), Some([to, high])) => low + (high - low) * (x - from) / (to - from),
        (Some([_, y]), None) | (None, Some([_, y])) => *y,
        (None, None) => 0.0,
    }
}

/// Share of a standard normal below `z`: Abramowitz and Stegun 7.1.26, within 1.5e-7.
#[must_use]
pub fn share_of_normal(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let tail = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592].into_iter().fold(0.0, |sum, a| (sum + a) * t);
    let below = 0.5 * tail * (-x * x).exp();
    if z < 0.0 { below } else { 1.0 - below }
}

/// A standard normal from two numbers of one seed (Box and Muller). The same seed gives the same.
#[must_use]
pub fn normal(seed: u64) -> f64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// A seed of several, well mixed (SplitMix64's finaliser after each).
#[must_use]
pub fn mixed(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |hash, part| {
        let mut x = (hash ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_quantiles_rise() {
        let measured = Measured::shipped().unwrap();
        for pair in [&measured.probe_reference, &measured.probe_probe] {
            for distribution in [&pair.mated, &pair.nonmated] {
                assert!(distribution.trials >= 100 && distribution.quantiles.len() > 100);
                assert!(distribution.quantiles.windows(2).all(|two| two[0][0] < two[1][0] && two[0][1] <= two[1][1]));
            }
            assert!(pair.mated.quantile(0.5) > pair.nonmated.quantile(0.99));
        }
    }

    #[test]
    fn quantiles_and_shares_are_two_ways_of_one_line() {
        let even = Distribution::of((0..=1_000).map(f64::from).map(|i| i / 1_000.0).collect());
        for share in [0.0, 0.001, 0.05, 0.5, 0.999, 1.0] {
            assert!((even.quantile(share) - share).abs() < 1e-3 && (even.share_below(share) - share).abs() < 1e-3, "{share}");
        }
        assert!((even.lowered(0.2).quantile(0.5) - 0.3).abs() < 1e-9);
    }

    #[test]
    fn normals_are_normal() {
        for (z, share) in [(0.0, 0.5), (1.0, 0.841_345), (-1.959_964, 0.025), (3.0, 0.998_650)] {
            assert!((share_of_normal(z) - share).abs() < 1e-5, "{z}");
        }
        let draws: Vec<f64> = (0..20_000).map(|i| normal(mixed(&[i, 7]))).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        assert_ne!(mixed(&[1, 2]), mixed(&[2, 1]));
    }
}
