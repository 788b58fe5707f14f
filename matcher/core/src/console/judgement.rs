//! What somebody sees in two faces before anything else is shown: −3 to +3, once.

use thiserror::Error;

/// A number that is no judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("judgement: expected a whole number from -3 to 3")]
pub struct JudgementError;

/// −3 (certainly two people) to +3 (certainly one person); 0 is undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Judgement(i8);

impl Judgement {
    /// All of them, from −3 on.
    pub const ALL: [Self; 7] = [Self(-3), Self(-2), Self(-1), Self(0), Self(1), Self(2), Self(3)];

    /// Takes a number.
    ///
    /// # Errors
    /// Outside −3 to 3.
    pub fn new(number: i64) -> Result<Self, JudgementError> {
        i8::try_from(number).ok().filter(|number| (-3..=3).contains(number)).map(Self).ok_or(JudgementError)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i8 {
        self.0
    }

    /// Whether one person, two people, or neither was seen.
    #[must_use]
    pub fn one_person(self) -> Option<bool> {
        (self.0 != 0).then_some(self.0 > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: i64, expected: Option<Option<bool>>) {
        assert_eq!(Judgement::new(number).ok().map(Judgement::one_person), expected);
    }

    #[test]
    fn seven_numbers_are_judgements() {
        check(-4, None);
        check(-3, Some(Some(false)));
        check(0, Some(None));
        check(1, Some(Some(true)));
        check(3, Some(Some(true)));
        check(4, None);
        check(i64::MAX, None);
        assert_eq!(Judgement::ALL.map(Judgement::get), [-3, -2, -1, 0, 1, 2, 3]);
    }
}
