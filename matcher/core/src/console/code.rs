//! A case's code, as it stands on a slip: short, without letters that look alike, and with a check character.

use std::fmt;

/// Crockford's base 32.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS: usize = 8;

/// Names a case to people: the first 40 bits of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CaseCode([u8; 5]);

impl CaseCode {
    /// The code of a case.
    #[must_use]
    pub fn of(id: &[u8; 16]) -> Self {
        let [a, b, c, d, e, ..] = *id;
        Self([a, b, c, d, e])
    }

    /// How ids of this code begin.
    #[must_use]
    pub fn prefix(&self) -> [u8; 5] {
        self.0
    }

    /// Reads a code in whatever form somebody typed it; nothing when it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.chars().filter(|c| !matches!(c, ' ' | '-')).map(digit).collect::<Option<_>>()?;
        let (check, digits) = digits.split_last().filter(|(_, digits)| digits.len() == CHARACTERS)?;
        let number = digits.iter().fold(0_u64, |number, digit| number << 5 | u64::from(*digit));
        let [_, _, _, code @ ..] = number.to_be_bytes();
        (check_digit(number) == *check).then_some(Self(code))
    }

    fn number(self) -> u64 {
        self.0.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// As `ABCD-EFGH-J`.
impl fmt::Display for CaseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        let letter = |digit: u64| char::from(ALPHABET.get(digit as usize & 31).copied().unwrap_or(b'0'));
        for place in 0..CHARACTERS {
            if place == CHARACTERS / 2 {
                f.write_str("-")?;
            }
            write!(f, "{}", letter(number >> (5 * (CHARACTERS - 1 - place))))?;
        }
        write!(f, "-{}", letter(check_digit(number).into()))
    }
}

/// Catches every single wrong character and nearly every swap: 31 is prime and each place weighs otherwise.
fn check_digit(number: u64) -> u8 {
    (number % 31) as u8
}

fn digit(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        letter => letter,
    };
    ALPHABET.iter().position(|known| char::from(*known) == letter).and_then(|place| u8::try_from(place).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_are_read_however_they_are_typed() {
        let code = CaseCode::of(&[0x12; 16]);
        let text = code.to_string();
        assert_eq!(text.len(), 11);
        for typed in [text.clone(), text.to_lowercase(), text.replace('-', ""), text.replace('-', " ")] {
            assert_eq!(CaseCode::read(&typed), Some(code), "{typed}");
        }
        for wrong in ["", "T-100200", "ABCD-EFGH", "ABCD-EFGH-JK", "A10020001", "UUUU-UUUU-U"] {
            assert_eq!(CaseCode::read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_code_comes_back_and_a_wrong_character_is_noticed(id: [u8; 16], place in 0_usize..8, other in 0_usize..32) {
            let code = CaseCode::of(&id);
            let text = code.to_string();
            prop_assert_eq!(CaseCode::read(&text), Some(code));
            prop_assert!(id.starts_with(&code.prefix()));
            let at = place + usize::from(place >= 4);
            let mut changed: Vec<char> = text.chars().collect();
            let letter = char::from(ALPHABET[other]);
            // 31 characters of 32 are told apart by the check: 0 and Z (31) weigh the same.
            let same = changed[at] == letter || (matches!(changed[at], '0' | 'Z') && matches!(letter, '0' | 'Z'));
            changed[at] = letter;
            let read = CaseCode::read(&changed.iter().collect::<String>());
            prop_assert!(same || read.is_none());
        }
    }
}
