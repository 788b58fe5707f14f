//! Shares, and the formulas that combine them.

/// Errors among trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// How many went wrong.
    pub errors: u64,
    /// How many there were.
    pub trials: u64,
}

impl Rate {
    /// Errors among trials.
    #[must_use]
    pub fn new(errors: u64, trials: u64) -> Self {
        Self { errors, trials }
    }

    /// Counts what went wrong.
    pub fn of(outcomes: impl IntoIterator<Item = bool>) -> Self {
        outcomes.into_iter().fold(Self::default(), |rate, wrong| Self::new(rate.errors + u64::from(wrong), rate.trials + 1))
    }

    /// The share, 0–1; none when there were no trials.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.trials > 0).then(|| self.errors as f64 / self.trials as f64)
    }
}

/// False reject rate of a transaction of one attempt: FTA + (1 − FTA) · FNMR (ISO/IEC 19795-1).
#[must_use]
pub fn combined_false_reject(failure_to_acquire: f64, fnmr: f64) -> f64 {
    failure_to_acquire + (1.0 - failure_to_acquire) * fnmr
}

/// False accept rate of a transaction of one attempt: FMR · (1 − FTA) (ISO/IEC 19795-1).
#[must_use]
pub fn combined_false_accept(failure_to_acquire: f64, fmr: f64) -> f64 {
    fmr * (1.0 - failure_to_acquire)
}

/// False match rate of a transaction in which an impostor may try `attempts` times, taken as independent:
/// 1 − (1 − FMR)^attempts. Attempts of one impostor resemble each other, so this is an upper figure.
#[must_use]
pub fn per_transaction_fmr(per_comparison: f64, attempts: u32) -> f64 {
    -(f64::from(attempts) * (-per_comparison).ln_1p()).exp_m1()
}

/// The false match rate of one comparison that gives a transaction this rate: 1 − (1 − FMR)^(1/attempts).
#[must_use]
pub fn per_comparison_fmr(per_transaction: f64, attempts: u32) -> f64 {
    -((-per_transaction).ln_1p() / f64::from(attempts.max(1))).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_none() {
        assert_eq!(Rate::new(0, 0).share(), None);
        assert_eq!(Rate::of([true, false, false, false]).share(), Some(0.25));
    }

    #[test]
    fn acquisition_failures_add_to_rejections_and_take_from_acceptances() {
        // 10 % are never acquired; of the 90 % that are, 20 % do not match: 0.1 + 0.9 · 0.2 = 0.28.
        assert!((combined_false_reject(0.1, 0.2) - 0.28).abs() < 1e-12);
        assert!((combined_false_accept(0.1, 0.2) - 0.18).abs() < 1e-12);
        assert!((combined_false_reject(1.0, 0.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn attempts_add_up() {
        // 1 − 0.9³ = 1 − 0.729.
        assert!((per_transaction_fmr(0.1, 3) - 0.271).abs() < 1e-12);
        assert!((per_comparison_fmr(0.271, 3) - 0.1).abs() < 1e-12);
        assert!((per_comparison_fmr(0.001, 1) - 0.001).abs() < 1e-15);
        assert!((per_transaction_fmr(1e-9, 3) - 3e-9).abs() < 1e-17);
    }
}
