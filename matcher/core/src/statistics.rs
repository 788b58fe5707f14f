//! Intervals of shares.

/// A two-sided 95 % interval of a share, within 0–1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's score interval of a share (Wilson 1927), for counts that may be weighted. Without trials it is 0–1.
#[must_use]
pub fn wilson(successes: f64, trials: f64) -> Interval {
    if trials <= 0.0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let share = (successes / trials).clamp(0.0, 1.0);
    let z2 = Z * Z;
    let centre = share + z2 / (2.0 * trials);
    let half = Z * (share * (1.0 - share) / trials + z2 / (4.0 * trials * trials)).sqrt();
    let scale = 1.0 + z2 / trials;
    Interval { low: ((centre - half) / scale).clamp(0.0, 1.0), high: ((centre + half) / scale).clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(successes: f64, trials: f64, low: f64, high: f64) {
        let interval = wilson(successes, trials);
        assert!((interval.low - low).abs() < 5e-4 && (interval.high - high).abs() < 5e-4, "{interval:?}");
    }

    #[test]
    fn intervals_are_those_of_the_textbook() {
        // Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
        check(81.0, 263.0, 0.2553, 0.3662);
        check(15.0, 148.0, 0.0624, 0.1605);
        check(0.0, 20.0, 0.0, 0.1611);
        check(1.0, 29.0, 0.0061, 0.1718);
        check(0.0, 0.0, 0.0, 1.0);
    }
}
