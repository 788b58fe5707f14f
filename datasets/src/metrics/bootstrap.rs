//! Intervals by resampling subjects.

/// Lower and upper end.
pub type Interval = [f64; 2];

/// Draws as many subjects as there are, with replacement, again and again. A comparison of two subjects then
/// occurs as often as the product of the two draws, so both sides of it are resampled. The same seed gives the
/// same draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// How many times.
    pub replicates: usize,
    /// Start of the generator.
    pub seed: u64,
    /// How many subjects there are.
    pub subjects: usize,
}

impl Bootstrap {
    /// What a statistic is in each replicate; it is given how often each subject was drawn.
    pub fn run<T>(&self, mut statistic: impl FnMut(&[u32]) -> T) -> Vec<T> {
        let mut generator = fastrand::Rng::with_seed(self.seed);
        let replicates = (0..self.replicates).map(|_| {
            let mut drawn = vec![0; self.subjects];
            for _ in 0..self.subjects {
                if let Some(times) = drawn.get_mut(generator.usize(..self.subjects)) {
                    *times += 1;
                }
            }
            statistic(&drawn)
        });
        replicates.collect()
    }

    /// The middle 95 % of a statistic's replicates. None when fewer than 20 of them have a value.
    ///
    /// Where not one error was seen every replicate is 0 as well, which says nothing about how many there may
    /// be. `errors == 0` gives the exact binomial bound over subjects instead: 0 to 1 − 0.025^(1/subjects).
    #[must_use]
    pub fn interval(&self, replicates: &[Option<f64>], errors: u64) -> Option<Interval> {
        if errors == 0 && self.subjects > 0 {
            return Some([0.0, 1.0 - 0.025_f64.powf(1.0 / self.subjects as f64)]);
        }
        middle(replicates.iter().flatten().copied().filter(|value| value.is_finite()).collect())
    }

    /// The middle 95 % of a statistic that may have either sign, such as a difference.
    #[must_use]
    pub fn plain_interval(&self, replicates: &[Option<f64>]) -> Option<Interval> {
        middle(replicates.iter().flatten().copied().filter(|value| value.is_finite()).collect())
    }
}

fn middle(mut values: Vec<f64>) -> Option<Interval> {
    if values.len() < 20 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    Some([quantile(&values, 0.025)?, quantile(&values, 0.975)?])
}

/// Between the two nearest of sorted values, in proportion.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * sorted.len().checked_sub(1)? as f64;
    let (lower, upper) = (sorted.get(at.floor() as usize)?, sorted.get(at.ceil() as usize)?);
    Some(lower + (upper - lower) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Bootstrap = Bootstrap { replicates: 400, seed: 1, subjects: 10 };

    #[test]
    fn each_replicate_draws_as_many_subjects_as_there_are() {
        let draws = TEN.run(<[u32]>::to_vec);
        assert_eq!(draws.len(), 400);
        assert!(draws.iter().all(|drawn| drawn.len() == 10 && drawn.iter().sum::<u32>() == 10));
        assert_eq!(draws, TEN.run(<[u32]>::to_vec));
        assert_ne!(draws, Bootstrap { seed: 2, ..TEN }.run(<[u32]>::to_vec));
        // On average a subject is drawn once.
        let first: u32 = draws.iter().filter_map(|drawn| drawn.first()).sum();
        assert!((300..500).contains(&first), "{first}");
    }

    #[test]
    fn the_interval_is_the_middle_95_percent() {
        // 0, 1, …, 1000: the 2.5 % and 97.5 % quantiles are 25 and 975.
        let values: Vec<Option<f64>> = (0..=1000).map(|i| Some(f64::from(i))).collect();
        assert_eq!(TEN.interval(&values, 5), Some([25.0, 975.0]));
        assert_eq!(TEN.interval(&[None, Some(1.0)], 5), None);
    }

    #[test]
    fn no_error_seen_is_not_no_error_possible() {
        // 1 − 0.025^(1/10) = 0.3085 for ten subjects, the exact two-sided 95 % bound for 0 of 10.
        let [lower, upper] = TEN.interval(&vec![Some(0.0); 400], 0).unwrap();
        assert!(lower.abs() < 1e-12 && (upper - 0.3085).abs() < 1e-4, "{upper}");
    }

    #[test]
    fn the_interval_of_a_mean_has_the_width_theory_gives() {
        // Ten subjects, five of them errors: a share of 0.5 with a standard error of √(0.25 / 10) = 0.158.
        let many = Bootstrap { replicates: 4000, ..TEN };
        let share = many.run(|drawn| Some(f64::from(drawn.iter().take(5).sum::<u32>()) / 10.0));
        let [lower, upper] = many.interval(&share, 5).unwrap();
        assert!((lower - 0.2).abs() < 0.11 && (upper - 0.8).abs() < 0.11, "{lower} {upper}");
    }
}
