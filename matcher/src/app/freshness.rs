//! How old a capture may be when it is judged live.

use thiserror::Error;

use crate::store::TimeMs;

/// A time too far from the center's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AgeError {
    /// It is too long ago.
    #[error("{field}: expected a time at most {max_ms} ms ago by the center's clock, it is {age_ms} ms ago")]
    Past {
        /// The field.
        field: &'static str,
        /// Oldest age.
        max_ms: TimeMs,
        /// Its age.
        age_ms: TimeMs,
    },
    /// It is of the future.
    #[error(
        "{field}: expected a time at most {max_ms} ms ahead of the center's clock, it is {ahead_ms} ms ahead; the device's clock is wrong"
    )]
    Future {
        /// The field.
        field: &'static str,
        /// Furthest ahead.
        max_ms: TimeMs,
        /// How far it is ahead.
        ahead_ms: TimeMs,
    },
}

/// How old a capture may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Oldest age, in milliseconds.
    pub past_max_ms: TimeMs,
    /// Furthest ahead of the center's clock, in milliseconds.
    pub future_max_ms: TimeMs,
}

impl Freshness {
    /// Checks a field's time against the center's clock.
    ///
    /// # Errors
    /// When it is too long ago or too far ahead.
    pub fn check(&self, field: &'static str, at: TimeMs, now: TimeMs) -> Result<(), AgeError> {
        let age_ms = now.saturating_sub(at);
        if age_ms > self.past_max_ms {
            Err(AgeError::Past { field, max_ms: self.past_max_ms, age_ms })
        } else if age_ms < -self.future_max_ms {
            Err(AgeError::Future { field, max_ms: self.future_max_ms, ahead_ms: age_ms.saturating_neg() })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeMs = 1_800_000_000_000;

    #[track_caller]
    fn check(at: TimeMs, expected: Result<(), &str>) {
        let freshness = Freshness { past_max_ms: 600_000, future_max_ms: 120_000 };
        let got = freshness.check("capture.captured_at_ms", at, NOW).map_err(|error| error.to_string());
        match (got, expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(expected)) => assert!(error.starts_with("capture.captured_at_ms: ") && error.contains(expected), "{error}"),
            (got, expected) => panic!("{got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_frame_may_be_neither_too_old_nor_of_the_future() {
        check(NOW, Ok(()));
        check(NOW - 600_000, Ok(()));
        check(NOW - 600_001, Err("expected a time at most 600000 ms ago by the center's clock, it is 600001 ms ago"));
        check(NOW + 120_000, Ok(()));
        check(NOW + 120_001, Err("expected a time at most 120000 ms ahead"));
    }

    #[test]
    fn absurd_times_are_refused_and_do_not_overflow() {
        check(i64::MIN, Err("ms ago"));
        check(i64::MAX, Err("ms ahead"));
    }
}
