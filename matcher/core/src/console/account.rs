//! Accounts: names, passwords, how long a session lasts, how sign-in is slowed down after failures.

use thiserror::Error;

/// Longest password, in characters: more is work for nothing.
pub const PASSWORD_LEN_MAX: usize = 128;
/// Shortest password, in characters.
pub const PASSWORD_LEN_MIN: usize = 12;

/// A name or password that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// The name is not in order.
    #[error("name: expected 2 to 32 of a–z, 0–9, '.', '_' and '-', the first a letter")]
    Name,
    /// The password is too short or too long.
    #[error("password: expected {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX} characters")]
    Length,
    /// The password is easily guessed.
    #[error("password: expected at least five different characters, and not the name")]
    Guessable,
}

/// Whether a text can be a user's name.
///
/// # Errors
/// When it cannot.
pub fn check_name(name: &str) -> Result<(), PasswordError> {
    let letters = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    let fits = (2..=32).contains(&name.len()) && name.starts_with(|first: char| first.is_ascii_lowercase());
    if letters && fits { Ok(()) } else { Err(PasswordError::Name) }
}

/// Whether a password may be a user's.
///
/// # Errors
/// When it is too short, too long or easily guessed.
pub fn check_password(name: &str, password: &str) -> Result<(), PasswordError> {
    if !(PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX).contains(&password.chars().count()) {
        return Err(PasswordError::Length);
    }
    let mut characters: Vec<char> = password.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    let lower = password.to_lowercase();
    if characters.len() < 5 || (name.len() > 2 && lower.contains(name)) { Err(PasswordError::Guessable) } else { Ok(()) }
}

/// How sign-in is slowed down after failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockRule {
    /// Failures in a row that lock nothing.
    pub free: u32,
    /// How long the account is locked after the next, in milliseconds; doubles with each further one.
    pub first_ms: i64,
    /// The longest it is locked, in milliseconds.
    pub max_ms: i64,
}

impl LockRule {
    /// How long an account is locked after so many failures in a row, in milliseconds.
    #[must_use]
    pub fn lock_ms(&self, failures: u32) -> i64 {
        let Some(beyond) = failures.checked_sub(self.free).filter(|beyond| *beyond > 0) else { return 0 };
        let doubled = self.first_ms.saturating_mul(1_i64.checked_shl(beyond.min(32) - 1).unwrap_or(i64::MAX));
        doubled.min(self.max_ms)
    }
}

/// How long a session lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRule {
    /// Without a request, in milliseconds.
    pub idle_ms: i64,
    /// At all, in milliseconds.
    pub absolute_ms: i64,
}

impl SessionRule {
    /// Whether a session still holds.
    #[must_use]
    pub fn holds(&self, created_at: i64, seen_at: i64, now: i64) -> bool {
        now.saturating_sub(created_at) < self.absolute_ms && now.saturating_sub(seen_at) < self.idle_ms
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(name: &str, password: &str, expected: Result<(), PasswordError>) {
        assert_eq!(check_name(name).and_then(|()| check_password(name, password)), expected);
    }

    #[test]
    fn names_and_passwords_are_checked() {
        check("anna", "a long pass phrase", Ok(()));
        check("li.wei-2", "雨后春笋层出不穷天长地久", Ok(()));
        for name in ["", "a", "Anna", "1anna", "anna b", "安娜", &"a".repeat(33)] {
            check(name, "a long pass phrase", Err(PasswordError::Name));
        }
        check("anna", "short", Err(PasswordError::Length));
        check("anna", &"ab cd ".repeat(30), Err(PasswordError::Length));
        check("anna", "aaaaaaaaaaaaaaaa", Err(PasswordError::Guessable));
        check("anna", "I am Anna and nobody else", Err(PasswordError::Guessable));
    }

    #[test]
    fn locks_double_from_the_sixth_failure_on() {
        let rule = LockRule { free: 5, first_ms: 30_000, max_ms: 3_600_000 };
        let locks: Vec<i64> = [0, 5, 6, 7, 8, 12, 13, 40, u32::MAX].iter().map(|failures| rule.lock_ms(*failures)).collect();
        assert_eq!(locks, [0, 0, 30_000, 60_000, 120_000, 1_920_000, 3_600_000, 3_600_000, 3_600_000]);
    }

    #[test]
    fn a_session_ends_when_it_idles_and_when_it_is_old() {
        let rule = SessionRule { idle_ms: 10, absolute_ms: 100 };
        let holds = |seen, now| rule.holds(0, seen, now);
        assert_eq!([holds(0, 9), holds(0, 10), holds(95, 99), holds(99, 100)], [true, false, true, false]);
    }

    proptest! {
        #[test]
        fn more_failures_never_lock_for_less(failures in 0_u32..200, free in 0_u32..10) {
            let rule = LockRule { free, first_ms: 1_000, max_ms: 3_600_000 };
            prop_assert!(rule.lock_ms(failures) <= rule.lock_ms(failures + 1) && rule.lock_ms(failures) <= rule.max_ms);
        }
    }
}
