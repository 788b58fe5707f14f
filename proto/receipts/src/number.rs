//! The receipt number: 22 characters that a till's short field holds and a person can read out.
//!
//! Twenty characters carry 100 random bits, two are check characters. The alphabet is Crockford's (no I, L, O
//! and U), and what looks alike is folded when a number is read. The check characters make a Reed–Solomon code
//! over GF(32) with the roots α and α²: any two wrong characters, and so any two that changed places, are found.
//! The number is the receipt's `jti`, so there is one name for one receipt.

use std::{fmt, str::FromStr};

use thiserror::Error;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DATA_LEN: u32 = 20;
const BITS: u32 = DATA_LEN * 5;

/// A number that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NumberError {
    /// Too few or too many characters.
    #[error("receipt number: expected 22 letters and digits, got {0}")]
    Length(usize),
    /// A character that is in no number.
    #[error("receipt number: expected letters other than U, and digits")]
    Character,
    /// The check characters do not follow from the others.
    #[error("receipt number: the check characters do not follow from the others; is a character wrong, or are two exchanged?")]
    Check,
}

/// Names one receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiptNumber(u128);

impl ReceiptNumber {
    /// Characters of a number without hyphens.
    pub const LEN: usize = 22;

    /// The number of random bytes, of which the first 100 bits count.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes) >> (128 - BITS))
    }

    /// With hyphens, as people read it: 26 characters.
    #[must_use]
    pub fn grouped(self) -> String {
        let text = self.to_string();
        let groups: Vec<&str> = text.as_bytes().chunks(5).filter_map(|group| std::str::from_utf8(group).ok()).collect();
        groups.join("-")
    }

    fn symbols(self) -> impl Iterator<Item = u8> {
        (0..DATA_LEN).rev().map(move |place| (self.0 >> (place * 5) & 31) as u8)
    }
}

impl fmt::Display for ReceiptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let check = remainder(self.symbols());
        for symbol in self.symbols().chain(check) {
            f.write_str(
                ALPHABET.get(usize::from(symbol)).map_or("", |c| std::str::from_utf8(std::slice::from_ref(c)).unwrap_or_default()),
            )?;
        }
        Ok(())
    }
}

impl FromStr for ReceiptNumber {
    type Err = NumberError;

    /// Reads a number in large or small letters, with or without hyphens and spaces.
    fn from_str(text: &str) -> Result<Self, NumberError> {
        let mut symbols = Vec::with_capacity(Self::LEN);
        for c in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
            if symbols.len() == Self::LEN {
                return Err(NumberError::Length(text.chars().count()));
            }
            symbols.push(symbol(c).ok_or(NumberError::Character)?);
        }
        let Some((data, check)) = symbols.split_last_chunk::<2>() else { return Err(NumberError::Length(symbols.len())) };
        if data.len() != DATA_LEN as usize {
            return Err(NumberError::Length(symbols.len()));
        }
        if remainder(data.iter().copied()) != *check {
            return Err(NumberError::Check);
        }
        Ok(Self(data.iter().fold(0, |number, symbol| number << 5 | u128::from(*symbol))))
    }
}

fn symbol(c: char) -> Option<u8> {
    let folded = match c.to_ascii_uppercase() {
        'O' => b'0',
        'I' | 'L' => b'1',
        other => u8::try_from(other).ok()?,
    };
    ALPHABET.iter().position(|known| *known == folded).and_then(|at| u8::try_from(at).ok())
}

/// The remainder of data · x² by g(x) = (x + α)(x + α²) = x² + 6x + 8 over GF(32).
fn remainder(data: impl Iterator<Item = u8>) -> [u8; 2] {
    data.fold([0, 0], |[high, low], symbol| {
        let feedback = high ^ symbol;
        [low ^ multiply(feedback, 6), multiply(feedback, 8)]
    })
}

/// The product in GF(32), reduced by x⁵ + x² + 1.
fn multiply(a: u8, b: u8) -> u8 {
    let product = (0..5).filter(|bit| b >> bit & 1 == 1).fold(0_u16, |sum, bit| sum ^ u16::from(a) << bit);
    let reduced = (5..9).rev().fold(product, |rest, bit| if rest >> bit & 1 == 1 { rest ^ 0b10_0101 << (bit - 5) } else { rest });
    (reduced & 31) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<ReceiptNumber, NumberError>) {
        assert_eq!(text.parse::<ReceiptNumber>(), expected, "{text}");
    }

    fn number() -> ReceiptNumber {
        ReceiptNumber::from_random(*b"\x12\x34\x56\x78\x9a\xbc\xde\xf0\x01\x23\x45\x67\x89\xab\xcd\xef")
    }

    #[test]
    fn a_number_is_read_as_people_write_it() {
        let (plain, grouped) = (number().to_string(), number().grouped());
        assert_eq!((plain.len(), grouped.len()), (ReceiptNumber::LEN, 26));
        assert_eq!(grouped.replace('-', ""), plain);
        assert_eq!(plain, "28T5CY4TQKFF00938NKRG0");
        check(&plain, Ok(number()));
        check(&grouped.to_lowercase(), Ok(number()));
        check(&plain.replace('0', "o"), Ok(number()));
        let ones = ReceiptNumber::from_random([0x08; 16]);
        check(&ones.to_string().replace('1', "l"), Ok(ones));
        check(&ones.to_string().replace('1', "I"), Ok(ones));
    }

    #[test]
    fn what_is_no_number_says_why() {
        check("", Err(NumberError::Length(0)));
        check(&number().to_string()[1..], Err(NumberError::Length(21)));
        check(&format!("{}0", number()), Err(NumberError::Length(23)));
        check(&number().to_string().replace('2', "U"), Err(NumberError::Character));
        check(&number().to_string().replace('2', "中"), Err(NumberError::Character));
        check(&"2".repeat(10_000), Err(NumberError::Length(10_000)));
    }

    /// Every pair of places gets every pair of wrong characters: the code is linear, so one number stands for all.
    #[test]
    fn any_one_or_two_wrong_characters_are_found() {
        let right: Vec<u8> = number().to_string().chars().filter_map(symbol).collect();
        let text = |symbols: &[u8]| symbols.iter().map(|s| char::from(ALPHABET[usize::from(*s)])).collect::<String>();
        for (first, second) in (0..right.len()).flat_map(|first| (first..right.len()).map(move |second| (first, second))) {
            for (a, b) in (1..32).flat_map(|a| (0..32).map(move |b| (a, b))).filter(|(_, b)| first != second || *b == 0) {
                let mut wrong = right.clone();
                wrong[first] ^= a;
                wrong[second] ^= b;
                check(&text(&wrong), Err(NumberError::Check));
            }
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(bytes in any::<[u8; 16]>()) {
            let number = ReceiptNumber::from_random(bytes);
            prop_assert_eq!(number.to_string().parse(), Ok(number));
            prop_assert_eq!(number.grouped().parse(), Ok(number));
        }

        #[test]
        fn neighbours_that_changed_places_are_found(bytes in any::<[u8; 16]>(), at in 0_usize..21) {
            let number = ReceiptNumber::from_random(bytes);
            let mut text = number.to_string().into_bytes();
            prop_assume!(text[at] != text[at + 1]);
            text.swap(at, at + 1);
            prop_assert_eq!(String::from_utf8(text).unwrap().parse::<ReceiptNumber>(), Err(NumberError::Check));
        }

        #[test]
        fn any_text_is_taken_or_refused(text in ".{0,80}") {
            let _ = text.parse::<ReceiptNumber>();
        }
    }
}
