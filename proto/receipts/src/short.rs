//! The short receipt number: 16 digits for fields that hold no letters or not 22 characters.
//!
//! Fifteen digits follow from the receipt number (SHA-256, modulo 10¹⁵), the last is a check digit after Damm: any one wrong digit
//! and any two neighbours that changed places are found. It finds a receipt, it does not name one: among ten million receipts
//! there is about one chance in twenty that some two share theirs. Whoever looks it up compares institution, transaction and
//! day, and burns the receipt number, never this.

use sha2::{Digest, Sha256};

use crate::number::ReceiptNumber;

/// Digits of a short number.
pub const LEN: usize = 16;
const MODULUS: u64 = 1_000_000_000_000_000;

/// A totally anti-symmetric quasigroup of order 10 (Damm, 2004).
const DAMM: [[u8; 10]; 10] = [
    [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
    [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
    [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
    [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
    [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
    [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
    [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
    [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
    [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
    [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
];

/// The short number of a receipt.
#[must_use]
pub fn of(number: ReceiptNumber) -> String {
    let digest = Sha256::new_with_prefix(b"countersign short receipt number\0").chain_update(number.to_string()).finalize();
    let first = digest.iter().take(8).fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let digits = format!("{:015}", first % MODULUS);
    let check = interim(&digits).unwrap_or_default();
    format!("{digits}{check}")
}

/// Whether a text is a short number: 16 digits of which the last follows from the others. Hyphens and spaces do not matter.
#[must_use]
pub fn is_short(text: &str) -> bool {
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).take(LEN + 1).collect();
    digits.len() == LEN && interim(&digits) == Some(0)
}

/// What the quasigroup makes of digits; 0 where the last is their check digit, nothing where one is no digit.
fn interim(digits: &str) -> Option<u8> {
    digits.chars().try_fold(0_u8, |interim, c| {
        let digit = usize::try_from(c.to_digit(10)?).ok()?;
        DAMM.get(usize::from(interim))?.get(digit).copied()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_follows_from_the_number() {
        let number: ReceiptNumber = "28T5CY4TQKFF00938NKRG0".parse().unwrap();
        assert_eq!(of(number), "7887042625410172");
        assert!(is_short(&of(number)));
    }

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(is_short(text), expected, "{text}");
    }

    #[test]
    fn other_texts_are_none() {
        check("0000000000000000", true);
        check("0000-0000 0000-0000", true);
        check("000000000000000", false);
        check("00000000000000000", false);
        check("28T5CY4TQKFF0093", false);
        check("０000000000000000", false);
        check("", false);
    }

    proptest! {
        #[test]
        fn one_wrong_digit_and_exchanged_neighbours_are_found(bytes in any::<[u8; 16]>(), at in 0_usize..15, other in 0_u8..10) {
            let right = of(ReceiptNumber::from_random(bytes));
            prop_assert!(is_short(&right) && right.len() == LEN);
            let mut wrong = right.clone().into_bytes();
            wrong[at] = b'0' + other;
            let wrong = String::from_utf8(wrong).unwrap();
            prop_assert_eq!(is_short(&wrong), wrong == right);
            let mut swapped = right.clone().into_bytes();
            swapped.swap(at, at + 1);
            let swapped = String::from_utf8(swapped).unwrap();
            prop_assert_eq!(is_short(&swapped), swapped == right);
        }

        #[test]
        fn any_text_is_looked_at(text in ".{0,40}") {
            let _ = is_short(&text);
        }
    }
}
