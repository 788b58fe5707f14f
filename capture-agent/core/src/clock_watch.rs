//! Whether the date of this machine was set back, held against a clock that only goes forward.
//!
//! A step forward is not told from a machine that slept, so that only steps back are kept; the center sees the others by the
//! offset of the clocks. Not here: what becomes of a step.

use crate::Moment;

/// Clocks are read one after the other, and a date is moved by less than this to keep it right, in milliseconds.
const ROUNDING_MS: i64 = 1_000;

/// Holds the date against the steady clock.
#[derive(Debug, Clone, Copy)]
pub struct ClockWatch {
    last: (Moment, i64),
    back_ms: i64,
}

impl ClockWatch {
    /// Starts watching, at a moment with its date in milliseconds.
    #[must_use]
    pub fn new(now: Moment, date_ms: i64) -> Self {
        Self { last: (now, date_ms), back_ms: 0 }
    }

    /// Looks at both clocks.
    pub fn look(&mut self, now: Moment, date_ms: i64) {
        let (then, date_then) = self.last;
        let passed = i64::try_from(now.ms_since(then)).unwrap_or(i64::MAX);
        let step = date_ms.saturating_sub(date_then).saturating_sub(passed);
        if step < -ROUNDING_MS {
            self.back_ms = self.back_ms.min(step);
        }
        self.last = (now, date_ms);
    }

    /// The largest step back since [`taken`](Self::taken), in milliseconds: negative, or 0 where there was none.
    #[must_use]
    pub fn back_ms(&self) -> i64 {
        self.back_ms
    }

    /// A step was told to the center: only later ones count.
    pub fn taken(&mut self, told_ms: i64) {
        if self.back_ms >= told_ms {
            self.back_ms = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_is_kept_until_it_was_told() {
        let at = Moment::from_ms;
        let mut watch = ClockWatch::new(at(0), 1_000_000);
        watch.look(at(5_000), 1_004_500);
        assert_eq!(watch.back_ms(), 0);
        watch.look(at(10_000), 1_004_500 - 3_600_000);
        watch.look(at(15_000), 1_015_000);
        assert_eq!(watch.back_ms(), -3_605_000, "setting it right again does not undo it");
        watch.taken(-3_605_000);
        assert_eq!(watch.back_ms(), 0);
        watch.look(at(20_000), 9_000_000);
        assert_eq!(watch.back_ms(), 0, "a machine that slept");
    }
}
