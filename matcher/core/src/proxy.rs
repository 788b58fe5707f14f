//! Proxies: who comes in a holder's place, by which document, and for how many holders.
//!
//! One person for one holder at a time, and for so many holders a day as the policy says, over all stores. Who is who is
//! told by keyed hashes. Not here: where they are kept (`matcher::store`), and how a proxy's face is judged ([`decide`](crate::decide)).

use std::fmt;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use crate::{
    decision::{NoDecision, words},
    identifier::{Identifier, IdentifierKind, Region},
    policy::ProxyRule,
};

words! {
    /// Which document somebody is identified by.
    DocumentKind {
        /// Resident identity card.
        ResidentIdentity = "resident_identity",
        /// Social-security card.
        SocialSecurityCard = "social_security_card",
        /// Passport.
        Passport = "passport",
        /// Travel or residence permit of residents of Hong Kong, Macao or Taiwan.
        TravelPermit = "travel_permit",
        /// Permanent residence card of a foreigner.
        PermanentResidence = "permanent_residence",
        /// Household register, or birth certificate of a child.
        HouseholdRegister = "household_register",
        /// Military or police document.
        Service = "service",
        /// Another identity document.
        Other = "other",
    }
}

/// A text that is no number of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected the number of a document: 4 to 32 letters and digits, for a resident identity card 17 digits and a check character")]
pub struct DocumentNumberError;

/// A document's number, normalised.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DocumentNumber {
    kind: DocumentKind,
    value: String,
}

impl fmt::Debug for DocumentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentNumber({}, {})", self.kind.word(), self.masked())
    }
}

impl DocumentNumber {
    /// Normalises a number as typed or read, and checks it.
    ///
    /// # Errors
    /// When the rest is no number of a document of this kind.
    pub fn new(kind: DocumentKind, text: &str) -> Result<Self, DocumentNumberError> {
        if kind == DocumentKind::ResidentIdentity {
            let number = Identifier::new(IdentifierKind::ResidentIdentity, Region::default(), text).map_err(|_| DocumentNumberError)?;
            return Ok(Self { kind, value: number.value().to_owned() });
        }
        let skipped = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '-' | '‐' | '‑' | '–' | '(' | ')');
        let value: String = text.nfkc().take(128).filter(|c| !skipped(*c)).flat_map(char::to_uppercase).collect();
        let fits = (4..=32).contains(&value.chars().count()) && value.chars().all(char::is_alphanumeric);
        if fits { Ok(Self { kind, value }) } else { Err(DocumentNumberError) }
    }

    /// Which document.
    #[must_use]
    pub fn kind(&self) -> DocumentKind {
        self.kind
    }

    /// The normalised number.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The number with all but its last four characters starred, and never more than half of it shown.
    #[must_use]
    pub fn masked(&self) -> String {
        let len = self.value.chars().count();
        let hidden = len.saturating_sub(4).max(len.div_ceil(2));
        self.value.chars().enumerate().map(|(i, c)| if i < hidden { '*' } else { c }).collect()
    }
}

/// Why somebody may not come in a holder's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyRefusal {
    /// Not in this scene.
    NotAllowed,
    /// For more holders than the policy allows in a day, or in the same transaction as another.
    Limit,
}

impl From<ProxyRefusal> for NoDecision {
    fn from(refusal: ProxyRefusal) -> Self {
        match refusal {
            ProxyRefusal::NotAllowed => Self::ProxyNotAllowed,
            ProxyRefusal::Limit => Self::ProxyLimit,
        }
    }
}

/// A place among the holders one proxy came for in a day, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The proxy came for this holder before.
    Held,
    /// The next place is to be taken.
    Next(u32),
}

/// Whether a proxy may come for a holder: `proxy` and `holder` are keyed hashes, `today` the holders the proxy came for, and
/// `transaction` the proxy and holder whom the transaction's other attempts were about.
///
/// # Errors
/// When the scene allows no proxy, or the proxy stands in for too many.
pub fn admit(
    rule: ProxyRule,
    (proxy, holder): (&[u8; 32], &[u8; 32]),
    today: &[[u8; 32]],
    transaction: &[([u8; 32], [u8; 32])],
) -> Result<Slot, ProxyRefusal> {
    if !rule.allowed {
        return Err(ProxyRefusal::NotAllowed);
    }
    if transaction.iter().any(|(other, for_whom)| other != proxy || for_whom != holder) {
        return Err(ProxyRefusal::Limit);
    }
    if today.contains(holder) {
        return Ok(Slot::Held);
    }
    let taken = u32::try_from(today.len()).unwrap_or(u32::MAX);
    if taken < rule.principals_per_day_max { Ok(Slot::Next(taken)) } else { Err(ProxyRefusal::Limit) }
}

/// The day of a time, of UTC+8, the time of all of China: days since 1970-01-01.
#[must_use]
pub fn day_of(at_ms: i64) -> i32 {
    i32::try_from(at_ms.saturating_add(8 * 3_600_000).div_euclid(86_400_000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: ProxyRule = ProxyRule { allowed: true, principals_per_day_max: 2, face_against_document: false };
    const A: [u8; 32] = [1; 32];
    const B: [u8; 32] = [2; 32];

    #[track_caller]
    fn check(today: &[[u8; 32]], transaction: &[([u8; 32], [u8; 32])], expected: Result<Slot, ProxyRefusal>) {
        assert_eq!(admit(RULE, (&[9; 32], &A), today, transaction), expected);
    }

    #[test]
    fn one_person_comes_for_one_holder_at_a_time_and_for_so_many_a_day() {
        check(&[], &[], Ok(Slot::Next(0)));
        check(&[B], &[], Ok(Slot::Next(1)));
        check(&[B, [3; 32]], &[], Err(ProxyRefusal::Limit));
        check(&[B, A], &[], Ok(Slot::Held));
        check(&[A], &[([9; 32], A)], Ok(Slot::Held));
        check(&[], &[([9; 32], B)], Err(ProxyRefusal::Limit));
        check(&[], &[([8; 32], A)], Err(ProxyRefusal::Limit));
        let none = ProxyRule { allowed: false, ..RULE };
        assert_eq!(admit(none, (&[9; 32], &A), &[], &[]), Err(ProxyRefusal::NotAllowed));
    }

    #[test]
    fn numbers_are_normalised_checked_and_not_shown() {
        let number = |kind, text| DocumentNumber::new(kind, text).map(|number| number.value().to_owned());
        assert_eq!(number(DocumentKind::Passport, " ｅ1234-5678 "), Ok("E12345678".to_owned()));
        assert_eq!(number(DocumentKind::Passport, "E1"), Err(DocumentNumberError));
        assert_eq!(number(DocumentKind::ResidentIdentity, "33020319491001002x"), Err(DocumentNumberError));
        let shown = format!("{:?}", DocumentNumber::new(DocumentKind::Passport, "E12345678").unwrap());
        assert_eq!(shown, "DocumentNumber(passport, *****5678)");
    }

    #[test]
    fn days_begin_at_midnight_in_china() {
        assert_eq!([-8 * 3_600_000 - 1, -8 * 3_600_000, 16 * 3_600_000 - 1, 16 * 3_600_000].map(day_of), [-1, 0, 0, 1]);
    }

    proptest! {
        #[test]
        fn nobody_takes_a_place_beyond_the_limit(holders in prop::collection::vec(0_u8..6, 0..12)) {
            let mut today: Vec<[u8; 32]> = Vec::new();
            for holder in holders {
                if let Ok(Slot::Next(place)) = admit(RULE, (&[9; 32], &[holder; 32]), &today, &[]) {
                    prop_assert_eq!(place as usize, today.len());
                    today.push([holder; 32]);
                }
            }
            prop_assert!(today.len() <= 2);
        }

        #[test]
        fn any_text_is_taken_or_refused(text: String) {
            let _ = DocumentNumber::new(DocumentKind::Other, &text);
        }
    }
}
