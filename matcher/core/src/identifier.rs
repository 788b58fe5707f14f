//! Numbers that people are known by: normalised, checked, masked, and looked up by keyed hash.
//!
//! Card number, identity number and region are separate identifiers that resolve to one person. The
//! number itself is stored nowhere in the clear: a look-up goes by [`Identifier::keyed_hash`], and people
//! see [`Identifier::masked`].

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use crate::{
    birth::Birth,
    proxy::DocumentNumber,
    receipt::{CardMac, SettlementKey},
};

/// Which kind of number an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentifierKind {
    /// Number of a social-security card: 6 to 32 letters and digits.
    SocialSecurityCard,
    /// Number of a resident identity card: 18 characters with a check digit (GB 11643).
    ResidentIdentity,
}

impl IdentifierKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::SocialSecurityCard, Self::ResidentIdentity];

    /// The word for it in files, records and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SocialSecurityCard => "social_security_card",
            Self::ResidentIdentity => "resident_identity",
        }
    }

    /// The kind that a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A number that is no identifier. The number itself is not in the message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentifierError {
    /// Too short, too long, or with other characters than letters and digits.
    #[error("identifier.value: expected 6 to 32 letters and digits, got {0} characters")]
    CardNumber(usize),
    /// Not 17 digits and a digit or X.
    #[error("identifier.value: expected an identity number of 17 digits and a digit or X, got {0} characters")]
    IdentityNumber(usize),
    /// The last character is not the check digit of the others.
    #[error("identifier.value: the identity number's check digit is wrong; expected the last character to follow from the others")]
    CheckDigit,
    /// The region is not six digits.
    #[error("identifier.region: expected 6 digits (GB/T 2260) or nothing")]
    Region,
}

/// Administrative division that issued a card (six digits), or the center's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Region(Option<[u8; 6]>);

impl Region {
    /// Takes six digits, or nothing for the center's own region.
    ///
    /// # Errors
    /// [`IdentifierError::Region`].
    pub fn new(text: &str) -> Result<Self, IdentifierError> {
        let folded: String = text.nfkc().filter(|c| !c.is_whitespace()).collect();
        if folded.is_empty() {
            return Ok(Self(None));
        }
        let digits = <[u8; 6]>::try_from(folded.as_bytes()).map_err(|_| IdentifierError::Region)?;
        if digits.iter().all(u8::is_ascii_digit) { Ok(Self(Some(digits))) } else { Err(IdentifierError::Region) }
    }

    /// The six digits, or an empty text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref().and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
    }
}

/// Secret under which identifiers are hashed for look-up.
pub struct LookupKey {
    bytes: [u8; 32],
    id: String,
}

impl LookupKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let id = parts_mac(&bytes, &[b"lookup key id"]).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { bytes, id }
    }

    /// Names the key in records, 16 hexadecimal digits; says nothing about it.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// What is left of an identifier whose person was forgotten: tells a capture of that card again, and is not the
    /// hash that other records or older backups have.
    #[must_use]
    pub fn tombstone(&self, hash: &[u8; 32]) -> [u8; 32] {
        parts_mac(&self.bytes, &[b"forgotten", hash])
    }

    /// Names the bearer of a document over all stores, without saying who it is.
    #[must_use]
    pub fn document_hash(&self, document: &DocumentNumber) -> [u8; 32] {
        parts_mac(&self.bytes, &[b"document", document.kind().word().as_bytes(), document.value().as_bytes()])
    }

    /// Names a holder for one day, so that a day's holders can be told apart and no two days be linked.
    #[must_use]
    pub fn holder_of_day(&self, holder: &[u8], day: i32) -> [u8; 32] {
        parts_mac(&self.bytes, &[b"holder of day", holder, &day.to_be_bytes()])
    }
}

impl fmt::Debug for LookupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupKey([redacted])")
    }
}

/// A checked number of one kind and region.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identifier {
    kind: IdentifierKind,
    region: Region,
    value: String,
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({}, {})", self.kind.word(), self.masked())
    }
}

impl Identifier {
    /// Normalises a number as typed or read (full-width characters, spaces, hyphens, lower case) and
    /// checks it.
    ///
    /// # Errors
    /// When the rest is no number of its kind.
    pub fn new(kind: IdentifierKind, region: Region, text: &str) -> Result<Self, IdentifierError> {
        let skipped = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '-' | '‐' | '‑' | '–' | '\u{200b}' | '\u{feff}');
        let value: String = text.nfkc().take(128).filter(|c| !skipped(*c)).flat_map(char::to_uppercase).collect();
        match kind {
            IdentifierKind::SocialSecurityCard => check_card_number(&value)?,
            IdentifierKind::ResidentIdentity => check_identity_number(&value)?,
        }
        // An identity number is the nation's; where its card was issued says nothing about who bears it.
        let region = if kind == IdentifierKind::ResidentIdentity { Region::default() } else { region };
        Ok(Self { kind, region, value })
    }

    /// The normalised number.
    #[must_use]
    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// Which kind of number it is.
    #[must_use]
    pub fn kind(&self) -> IdentifierKind {
        self.kind
    }

    /// Who issued it.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// HMAC-SHA-256 of kind, region and number: the only form in which the number is looked up.
    #[must_use]
    pub fn keyed_hash(&self, key: &LookupKey) -> [u8; 32] {
        parts_mac(&key.bytes, &self.parts("identifier"))
    }

    /// HMAC-SHA-256 of `card`, kind, region and number, each followed by a zero byte: how receipts name the card to
    /// the settlement side, which has the same key.
    #[must_use]
    pub fn card_mac(&self, key: &SettlementKey) -> CardMac {
        CardMac(parts_mac(key.bytes(), &self.parts("card")))
    }

    fn parts<'a>(&'a self, purpose: &'a str) -> [&'a [u8]; 4] {
        [purpose.as_bytes(), self.kind.word().as_bytes(), self.region.as_str().as_bytes(), self.value.as_bytes()]
    }

    /// The number itself, for sealing it and for handing a person what is held about them; never to be printed or
    /// logged.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// The day of birth that an identity number holds.
    #[must_use]
    pub fn birth(&self) -> Option<Birth> {
        match self.kind {
            IdentifierKind::SocialSecurityCard => None,
            IdentifierKind::ResidentIdentity => {
                let digits = |range| self.value.get(range);
                Birth::new(&format!("{}-{}-{}", digits(6..10)?, digits(10..12)?, digits(12..14)?)).ok()
            }
        }
    }

    /// The number with all but its last four characters starred, and never more than half of it shown.
    #[must_use]
    pub fn masked(&self) -> String {
        let len = self.value.chars().count();
        let hidden = len.saturating_sub(4).max(len.div_ceil(2));
        self.value.chars().enumerate().map(|(i, c)| if i < hidden { '*' } else { c }).collect()
    }
}

/// HMAC-SHA-256 of parts, each with a zero byte behind it.
pub(crate) fn parts_mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC takes keys of any length") };
    for part in parts {
        mac.update(part);
        mac.update(&[0]);
    }
    mac.finalize().into_bytes().into()
}

fn check_card_number(value: &str) -> Result<(), IdentifierError> {
    let fits = (6..=32).contains(&value.len()) && value.bytes().all(|c| c.is_ascii_alphanumeric());
    if fits { Ok(()) } else { Err(IdentifierError::CardNumber(value.chars().count())) }
}

/// ISO 7064 MOD 11-2 over the first 17 digits, as GB 11643 prescribes.
fn check_identity_number(value: &str) -> Result<(), IdentifierError> {
    let malformed = || IdentifierError::IdentityNumber(value.chars().count());
    let (last, digits) = value.as_bytes().split_last().ok_or_else(malformed)?;
    if digits.len() != 17 || !digits.iter().all(u8::is_ascii_digit) || !(last.is_ascii_digit() || *last == b'X') {
        return Err(malformed());
    }
    let sum = digits.iter().fold(0_u32, |sum, digit| (sum + u32::from(digit - b'0')) * 2 % 11);
    let expected = match (12 - sum) % 11 {
        10 => b'X',
        digit => b'0' + u8::try_from(digit).unwrap_or_default(),
    };
    if *last == expected { Ok(()) } else { Err(IdentifierError::CheckDigit) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(kind: IdentifierKind, text: &str, expected: Result<&str, IdentifierError>) {
        let value = Identifier::new(kind, Region::default(), text).map(|identifier| identifier.value);
        assert_eq!(value, expected.map(str::to_owned));
    }

    #[test]
    fn card_numbers_are_folded_to_one_form() {
        let card = IdentifierKind::SocialSecurityCard;
        check(card, "Ａ１２３ ４５６-７８x", Ok("A12345678X"));
        check(card, "12345", Err(IdentifierError::CardNumber(5)));
        check(card, "123456/7", Err(IdentifierError::CardNumber(8)));
        check(card, "", Err(IdentifierError::CardNumber(0)));
    }

    #[test]
    fn identity_numbers_must_keep_their_check_digit() {
        let identity = IdentifierKind::ResidentIdentity;
        check(identity, "11010519491231002x", Ok("11010519491231002X"));
        check(identity, "１１０１０５ 19491231 002X", Ok("11010519491231002X"));
        check(identity, "110105194912310021", Err(IdentifierError::CheckDigit));
        check(identity, "110105491231002", Err(IdentifierError::IdentityNumber(15)));
        check(identity, "1101051949123100ü2", Err(IdentifierError::IdentityNumber(18)));
    }

    #[test]
    fn an_identity_number_is_the_same_person_in_every_region() {
        let of = |region| Identifier::new(IdentifierKind::ResidentIdentity, Region::new(region).unwrap(), "11010519491231002X").unwrap();
        assert_eq!(of(""), of("330200"));
    }

    #[test]
    fn regions_are_six_digits() {
        assert_eq!(Region::new("３３０２００").unwrap().as_str(), "330200");
        assert_eq!(Region::new(" ").unwrap(), Region::default());
        assert_eq!(Region::new("33020"), Err(IdentifierError::Region));
    }

    #[test]
    fn people_see_no_more_than_the_last_four_characters() {
        let masked = |text| Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), text).unwrap().masked();
        assert_eq!(masked("330203194910010027"), "**************0027");
        assert_eq!(masked("123456"), "***456");
    }

    #[test]
    fn neither_debug_nor_errors_show_the_number() {
        let identifier = Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), "330203194910010027").unwrap();
        assert!(!format!("{identifier:?}").contains("33020319"));
        let error = Identifier::new(IdentifierKind::ResidentIdentity, Region::default(), "330203194910010028").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("3302"));
    }

    #[test]
    fn an_identity_number_holds_the_day_of_birth() {
        let identity = |text| Identifier::new(IdentifierKind::ResidentIdentity, Region::default(), text).unwrap();
        assert_eq!(identity("11010519491231002X").birth(), Some(Birth::new("1949-12-31").unwrap()));
        let card = Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), "11010519491231002X").unwrap();
        assert_eq!(card.birth(), None);
    }

    #[test]
    fn a_tombstone_is_no_look_up_hash_and_a_keys_name_is_not_the_key() {
        let (one, two) = (LookupKey::new([1; 32]), LookupKey::new([2; 32]));
        let card = Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), "330203001").unwrap();
        let hash = card.keyed_hash(&one);
        assert_eq!(one.tombstone(&hash), one.tombstone(&hash));
        assert!(one.tombstone(&hash) != hash && one.tombstone(&hash) != two.tombstone(&hash));
        assert_eq!((one.id().len(), one.id()), (16, LookupKey::new([1; 32]).id()));
        assert_ne!(one.id(), two.id());
    }

    #[test]
    fn hashes_differ_by_key_kind_and_region() {
        let hash = |kind, region, key| {
            Identifier::new(kind, Region::new(region).unwrap(), "11010519491231002X").unwrap().keyed_hash(&LookupKey::new([key; 32]))
        };
        let card = IdentifierKind::SocialSecurityCard;
        let base = hash(card, "", 1);
        assert_eq!(base, hash(card, "", 1));
        for other in [hash(card, "", 2), hash(card, "330200", 1), hash(IdentifierKind::ResidentIdentity, "", 1)] {
            assert_ne!(base, other);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in ".{0,200}") {
            for kind in IdentifierKind::ALL {
                let _ = Identifier::new(kind, Region::default(), &text);
            }
        }

        #[test]
        fn one_wrong_digit_of_an_identity_number_is_found(at in 0_usize..17, by in 1_u8..10) {
            let mut number = *b"11010519491231002X";
            number[at] = b'0' + (number[at] - b'0' + by) % 10;
            let text = String::from_utf8(number.to_vec()).unwrap();
            let result = Identifier::new(IdentifierKind::ResidentIdentity, Region::default(), &text);
            prop_assert_eq!(result, Err(IdentifierError::CheckDigit));
        }
    }
}
