//! Overload: who is worked on next when more calls come than can be, and who is told to come back when.
//!
//! Three rules without a clock: a [`Line`] gives places to calls in turn (live verification first, institutions
//! one after the other), a [`Bucket`] bounds what one device may ask, and [`retry_after`] says when a refused
//! caller should come again. Not here: the calls themselves, and how a refusal travels (`matcher::overload`).

mod bucket;
mod line;

use std::time::Duration;

pub use bucket::{Bucket, Rate};
pub use line::{Arrival, Limits, Line, Ticket};

/// What a call is for, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A verification while somebody stands at a counter.
    Live,
    /// Everything else a device asks: receipts, policy, health, enrolment.
    Other,
    /// Captures that waited for the line to come back.
    Deferred,
}

impl Class {
    /// All classes, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Live, Self::Other, Self::Deferred];

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Live => 0,
            Self::Other => 1,
            Self::Deferred => 2,
        }
    }

    /// Places of so many that calls of this class may hold at once, at least 1: what is not urgent never holds all.
    #[must_use]
    pub fn share_of(self, places: usize) -> usize {
        match self {
            Self::Live => places,
            Self::Other => (places / 4 * 3).max(1),
            Self::Deferred => (places / 2).max(1),
        }
    }

    /// The word for it in logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Other => "other",
            Self::Deferred => "deferred",
        }
    }
}

/// The shortest time a refused caller is asked to wait, before jitter.
pub const RETRY_AFTER_MIN: Duration = Duration::from_millis(100);
/// The longest.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

/// When a refused caller should come again: after the time the backlog takes, within bounds, spread from half of it to
/// one and a half by a draw from 0 to 1, so that those who were refused together do not come back together.
#[must_use]
pub fn retry_after(backlog: Duration, draw: f64) -> Duration {
    backlog.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX).mul_f64(0.5 + draw.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_urgent_never_holds_all_places() {
        let shares = |places| Class::ALL.map(|class| class.share_of(places));
        assert_eq!(shares(128), [128, 96, 64]);
        assert_eq!(shares(1), [1, 1, 1]);
    }

    proptest! {
        #[test]
        fn a_longer_backlog_never_asks_for_a_shorter_wait(a in 0_u64..100_000, more in 0_u64..100_000, draw in 0.0_f64..=1.0) {
            let at = |ms| retry_after(Duration::from_millis(ms), draw);
            prop_assert!(at(a) <= at(a + more));
            prop_assert!(at(a) >= RETRY_AFTER_MIN / 2 && at(a) <= RETRY_AFTER_MAX * 3 / 2);
        }

        #[test]
        fn callers_refused_together_are_spread(ms in 0_u64..100_000) {
            let backlog = Duration::from_millis(ms);
            prop_assert!(retry_after(backlog, 1.0) >= retry_after(backlog, 0.0) * 3 - Duration::from_micros(1));
        }
    }
}
