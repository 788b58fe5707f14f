//! When somebody was born, as far as it is known, and what follows for a face that grew.
//!
//! Faces of children change: whoever is under [`ADULT_AT`], or was on the photo, is judged with that in mind. Where
//! only the year is known, the younger age of that year counts. Not here: what a decision makes of it.

use std::fmt;

use jiff::{ToSpan, civil::Date};
use thiserror::Error;

use crate::words::words;

/// Age in years from which a face is taken to be grown.
pub const ADULT_AT: i16 = 16;

/// A text that is no day or year of birth. The text itself is not in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("birth: expected a year from 1850 (YYYY) or a day (YYYY-MM-DD)")]
pub struct BirthError;

/// A day or a year of birth.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Birth {
    /// The day is known.
    Day(Date),
    /// Only the year is.
    Year(i16),
}

impl fmt::Debug for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Birth([redacted])")
    }
}

impl Birth {
    /// Reads `YYYY` or `YYYY-MM-DD`.
    ///
    /// # Errors
    /// When it is neither, or long ago.
    pub fn new(text: &str) -> Result<Self, BirthError> {
        let birth = match text.len() {
            4 => text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok().map(Self::Year)).flatten(),
            10 => text.parse::<Date>().ok().filter(|day| day.to_string() == text).map(Self::Day),
            _ => None,
        };
        birth.filter(|birth| birth.year() >= 1850).ok_or(BirthError)
    }

    /// As [`Birth::new`] reads it.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Day(day) => day.to_string(),
            Self::Year(year) => format!("{year:04}"),
        }
    }

    /// The year.
    #[must_use]
    pub fn year(self) -> i16 {
        match self {
            Self::Day(day) => day.year(),
            Self::Year(year) => year,
        }
    }

    /// Full years at a day; the fewer where only the year is known, and never below 0.
    #[must_use]
    pub fn age_on(self, day: Date) -> i16 {
        let birthday_passed = match self {
            Self::Day(born) => (day.month(), day.day()) >= (born.month(), born.day()),
            Self::Year(_) => false,
        };
        (day.year() - self.year() - i16::from(!birthday_passed)).max(0)
    }

    /// Whether the person was a child on a day.
    #[must_use]
    pub fn is_child_on(self, day: Date) -> bool {
        self.age_on(day) < ADULT_AT
    }

    /// The last day on which the person is a child: photos of that day or before show one.
    #[must_use]
    pub fn last_day_as_child(self) -> Date {
        let grown = match self {
            Self::Day(born) => born.checked_add(i64::from(ADULT_AT).years()).unwrap_or(Date::MAX),
            Self::Year(year) => Date::new(year + ADULT_AT + 1, 1, 1).unwrap_or(Date::MAX),
        };
        grown.yesterday().unwrap_or(Date::MIN)
    }
}

words! {
    /// Bands of age in reports.
    #[derive(Default)]
    AgeBand {
        /// Under 16.
        Child = "0-15",
        /// 16 to 29.
        Young = "16-29",
        /// 30 to 44.
        Thirties = "30-44",
        /// 45 to 59.
        Fifties = "45-59",
        /// 60 to 74.
        Sixties = "60-74",
        /// 75 and over.
        Old = "75+",
        /// Nobody said.
        #[default]
        Unknown = "unknown",
    }
}
impl AgeBand {
    /// The band of an age in years.
    #[must_use]
    pub fn of(age: Option<i16>) -> Self {
        match age {
            None => Self::Unknown,
            Some(..16) => Self::Child,
            Some(16..30) => Self::Young,
            Some(30..45) => Self::Thirties,
            Some(45..60) => Self::Fifties,
            Some(60..75) => Self::Sixties,
            Some(75..) => Self::Old,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn day(year: i16, month: i8, day: i8) -> Date {
        Date::constant(year, month, day)
    }

    #[test]
    fn a_birth_is_a_year_or_a_day() {
        assert_eq!(Birth::new("1949"), Ok(Birth::Year(1949)));
        assert_eq!(Birth::new("1949-12-31"), Ok(Birth::Day(day(1949, 12, 31))));
        for wrong in ["", "49", "1849", "1949-13-01", "1949-1-1", "１９４９", "+949", "1949-12-31T", "194912311"] {
            assert_eq!(Birth::new(wrong), Err(BirthError), "{wrong}");
        }
        assert_eq!(format!("{:?}", Birth::Year(1949)), "Birth([redacted])");
    }

    #[track_caller]
    fn check(birth: &str, on: Date, age: i16, child: bool) {
        let birth = Birth::new(birth).unwrap();
        assert_eq!((birth.age_on(on), birth.is_child_on(on)), (age, child));
    }

    #[test]
    fn a_child_grows_up_on_the_birthday_or_at_the_end_of_the_year() {
        check("2010-06-15", day(2026, 6, 14), 15, true);
        check("2010-06-15", day(2026, 6, 15), 16, false);
        check("2010", day(2026, 12, 31), 15, true);
        check("2010", day(2027, 1, 1), 16, false);
        check("2012-02-29", day(2028, 2, 28), 15, true);
        check("2012-02-29", day(2028, 2, 29), 16, false);
        check("2030", day(2026, 1, 1), 0, true);
    }

    #[test]
    fn bands_meet() {
        let words = [0, 15, 16, 29, 30, 44, 45, 59, 60, 74, 75, 120].map(|age| AgeBand::of(Some(age)).word());
        let expected = ["0-15", "0-15", "16-29", "16-29", "30-44", "30-44", "45-59", "45-59", "60-74", "60-74", "75+", "75+"];
        assert_eq!(words, expected);
        assert_eq!(AgeBand::of(None), AgeBand::Unknown);
    }

    proptest! {
        #[test]
        fn a_birth_comes_back(year in 1850_i16..2030, month in 1_i8..=12, of_month in 1_i8..=28) {
            for birth in [Birth::Year(year), Birth::Day(day(year, month, of_month))] {
                prop_assert_eq!(Birth::new(&birth.text()), Ok(birth));
                let last = birth.last_day_as_child();
                prop_assert!(birth.is_child_on(last) && !birth.is_child_on(last.tomorrow().unwrap()));
            }
        }
    }
}
