//! Tails of distributions: how likely so much or more is.

use statrs::function::{beta::beta_reg, erf::erfc, gamma::ln_gamma};

/// Probability that a standard normal is this far from 0, or farther.
#[must_use]
pub fn normal_both(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2).clamp(0.0, 1.0)
}

/// Probability that Student's t is this far from 0, or farther; 1 without degrees of freedom.
#[must_use]
pub fn student_both(t: f64, degrees: f64) -> f64 {
    if degrees.is_nan() || degrees <= 0.0 || !t.is_finite() {
        return 1.0;
    }
    beta_reg(degrees / 2.0, 0.5, degrees / (degrees + t * t)).clamp(0.0, 1.0)
}

/// Probability of at least `events` among `trials` where each has probability `share`, and the count varies `dispersion` times
/// as much as a binomial one (a beta-binomial; binomial for 1).
#[must_use]
pub fn beta_binomial_upper(events: u64, trials: u64, share: f64, dispersion: f64) -> f64 {
    if events == 0 || trials == 0 {
        return 1.0;
    }
    if share <= 0.0 || share >= 1.0 || events > trials {
        return if share >= 1.0 { 1.0 } else { 0.0 };
    }
    let n = trials as f64;
    let correlation = if trials > 1 { ((dispersion - 1.0) / (n - 1.0)).clamp(0.0, 0.5) } else { 0.0 };
    if correlation < 1e-9 {
        return crate::evidence::interval::binomial_tail(events, trials, share);
    }
    let weight = 1.0 / correlation - 1.0;
    let (a, b) = (share * weight, (1.0 - share) * weight);
    let ln_beta = |a: f64, b: f64| ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    let of_none = ln_beta(a, b);
    let ln_choose = |k: f64| ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    // The terms fall fast beyond the mean: the first is by far not the last that counts, but soon they add nothing.
    let (mut total, mut term) = (0.0, 0.0);
    for events in events..=trials {
        let k = events as f64;
        // Each follows from the one before, but where that is too small to be told from 0.
        term = if term > 1e-280 {
            term * (n - k + 1.0) * (k - 1.0 + a) / (k * (n - k + b))
        } else {
            (ln_choose(k) + ln_beta(k + a, n - k + b) - of_none).exp()
        };
        total += term;
        if k > n * share && term < total * 1e-9 {
            break;
        }
    }
    total.min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-3, "{found} is not {expected}");
    }

    #[test]
    fn tails_are_those_of_the_tables() {
        check(normal_both(1.959_964), 0.05);
        check(normal_both(4.0), 6.334e-5);
        check(student_both(2.228, 10.0), 0.05);
        check(student_both(4.587, 10.0), 0.001);
        check(student_both(-2.228, 10.0), 0.05);
        // Ten trials of one half, seven or more: 176 of 1,024.
        check(beta_binomial_upper(7, 10, 0.5, 1.0), 176.0 / 1024.0);
        // A uniform share: each count is as likely as any other.
        check(beta_binomial_upper(7, 10, 0.5, 1.0 + 9.0 / 3.0), 4.0 / 11.0);
        assert_eq!((beta_binomial_upper(0, 10, 0.1, 2.0), beta_binomial_upper(3, 10, 0.0, 2.0), student_both(1.0, 0.0)), (1.0, 0.0, 1.0));
    }

    proptest! {
        #[test]
        fn more_events_are_less_likely_and_more_dispersion_makes_many_likelier(
            trials in 10_u64..400, share in 0.01_f64..0.3, dispersion in 1.0_f64..4.0, more in 1_u64..5,
        ) {
            let many = ((trials as f64 * share) * 2.0) as u64 + 3;
            prop_assume!(many + more <= trials);
            let tail = |events, dispersion| beta_binomial_upper(events, trials, share, dispersion);
            prop_assert!(tail(many + more, dispersion) <= tail(many, dispersion) + 1e-12);
            prop_assert!(tail(many, 1.0) <= tail(many, dispersion + 0.5) + 1e-9);
        }
    }
}
