//! How long people waited: counts in classes of time, and the quantiles that they tell.

/// Upper ends of the classes, in milliseconds; one more class holds what took longer.
pub const CLASSES_MS: [u32; 11] = [100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000];
/// Classes.
pub const CLASSES: usize = CLASSES_MS.len() + 1;
/// What took longer than this did not answer anybody who waited, and is in no class: a capture that came later.
pub const WAITED_MS_MAX: u32 = 60_000;

/// A quantile, 0–1, of counts by class, in milliseconds: within its class, spread evenly. Nothing without counts.
#[must_use]
pub fn quantile(counts: &[u64; CLASSES], share: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let wanted = share.clamp(0.0, 1.0) * total as f64;
    let (mut before, mut from) = (0.0, 0.0);
    let ends = CLASSES_MS.into_iter().chain([WAITED_MS_MAX]).map(f64::from);
    for (count, until) in counts.iter().map(|count| *count as f64).zip(ends) {
        if count > 0.0 && before + count >= wanted {
            return Some(from + (until - from) * ((wanted - before) / count).clamp(0.0, 1.0));
        }
        (before, from) = (before + count, until);
    }
    Some(f64::from(WAITED_MS_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(counts: &[(usize, u64)], share: f64, expected: Option<f64>) {
        let mut all = [0; CLASSES];
        for (place, count) in counts {
            all[*place] = *count;
        }
        assert_eq!(quantile(&all, share), expected);
    }

    #[test]
    fn quantiles_lie_within_their_class() {
        check(&[], 0.5, None);
        check(&[(0, 10)], 0.5, Some(50.0));
        check(&[(0, 10), (3, 10)], 0.5, Some(100.0));
        check(&[(0, 10), (3, 10)], 0.75, Some(400.0));
        check(&[(3, 10)], 0.0, Some(300.0));
        check(&[(11, 1)], 1.0, Some(60_000.0));
    }

    proptest! {
        #[test]
        fn quantiles_rise(counts in proptest::array::uniform12(0_u64..50), a in 0.0_f64..1.0, b in 0.0_f64..1.0) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(quantile(&counts, low) <= quantile(&counts, high));
        }
    }
}
