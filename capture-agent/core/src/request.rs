//! The words of a request to verify, each checked where it is made.
//!
//! Here: form only. Whether a card exists, and how its number is normalised, is the center's business.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A field of a request breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: expected {expected}")]
pub struct FieldError {
    /// The field's name in the local API.
    pub field: &'static str,
    /// What was expected of it.
    pub expected: &'static str,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $expected:literal, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Takes ", $expected, ".")]
            ///
            /// # Errors
            /// When the text breaks that rule.
            pub fn new(text: &str) -> Result<Self, FieldError> {
                let rule: fn(&str) -> bool = $rule;
                if rule(text) { Ok(Self(text.to_owned())) } else { Err(FieldError { field: $field, expected: $expected }) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                Self::new(text)
            }
        }
    };
}

macro_rules! shown {
    ($($name:ident),*) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )* };
}

macro_rules! redacted {
    ($($name:ident),*) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}([redacted])", stringify!($name))
            }
        }
    )* };
}

text! {
    /// The institution's name for one settlement or visit.
    TransactionId, "transaction", "1 to 64 printable ASCII characters without spaces",
    |text| (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}
text! {
    /// Number of a card or document, as typed or read. Never shown.
    IdentifierNumber, "card", "1 to 64 characters, none of them a control character",
    |text| (1..=64).contains(&text.trim().chars().count()) && text.chars().count() <= 64 && !text.chars().any(char::is_control)
}
text! {
    /// Administrative division that issued a card (GB/T 2260), or empty for the center's own.
    Region, "region", "6 digits, or nothing for the center's own region",
    |text| text.is_empty() || (text.len() == 6 && text.chars().all(|c| c.is_ascii_digit()))
}
text! {
    /// Who operates the counter, as the institution names them. Never shown: it may be a name.
    Operator, "operator", "at most 64 characters, none of them a control character",
    |text| text.chars().count() <= 64 && !text.chars().any(char::is_control)
}
text! {
    /// Version of the notice shown.
    Notice, "notice", "at most 128 characters, none of them a control character",
    |text| text.chars().count() <= 128 && !text.chars().any(char::is_control)
}
text! {
    /// Version of the consent the person gave.
    Consent, "consent", "at most 64 characters, none of them a control character",
    |text| text.chars().count() <= 64 && !text.chars().any(char::is_control)
}
text! {
    /// Number of an identity document, as typed or read. Never shown.
    DocumentNumber, "document_number", "4 to 64 characters, none of them a control character",
    |text| (4..=64).contains(&text.trim().chars().count()) && text.chars().count() <= 64 && !text.chars().any(char::is_control)
}
text! {
    /// A name, as in a document; may be empty. Never shown.
    PersonName, "name", "at most 64 characters, none of them a control character",
    |text| text.chars().count() <= 64 && !text.chars().any(char::is_control)
}
text! {
    /// The institution's name for a settlement.
    Settlement, "settlement", "1 to 64 printable ASCII characters without spaces",
    |text| (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}
impl Operator {
    /// Nobody is named.
    #[must_use]
    pub fn nobody() -> Self {
        Self(String::new())
    }
}
shown!(Settlement, TransactionId, Region, Notice, Consent);
redacted!(IdentifierNumber, Operator, DocumentNumber, PersonName);

/// Number of an attempt within its transaction, 1–99.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt(u32);

impl Attempt {
    /// The first attempt.
    pub const FIRST: Self = Self(1);

    /// Takes a number from 1 to 99.
    ///
    /// # Errors
    /// When it is outside.
    pub fn new(number: u32) -> Result<Self, FieldError> {
        if (1..=99).contains(&number) { Ok(Self(number)) } else { Err(FieldError { field: "attempt", expected: "a number from 1 to 99" }) }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Attempt {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::new(text.parse().unwrap_or(0))
    }
}

/// Where in the visit a face is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scene {
    /// Registration, before the visit.
    Registration,
    /// Reception at a clinic, before the patient is seen.
    Reception,
    /// Paying at a pharmacy till or a cashier's desk.
    Settlement,
    /// Admission to a ward.
    Admission,
    /// Discharge from it.
    Discharge,
    /// Transfer to another institution.
    Transfer,
}

impl Scene {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Registration, Self::Reception, Self::Settlement, Self::Admission, Self::Discharge, Self::Transfer];

    /// The word for it in requests and records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Reception => "reception",
            Self::Settlement => "settlement",
            Self::Admission => "admission",
            Self::Discharge => "discharge",
            Self::Transfer => "transfer",
        }
    }
}

impl FromStr for Scene {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let expected = "registration, reception, settlement, admission, discharge or transfer";
        Self::ALL.into_iter().find(|scene| scene.word() == text).ok_or(FieldError { field: "scene", expected })
    }
}

/// Which kind of number an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentifierKind {
    /// Number of a social-security card.
    SocialSecurityCard,
    /// Number of a resident identity card.
    ResidentIdentity,
}

impl IdentifierKind {
    /// The word for it in requests and records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SocialSecurityCard => "social_security_card",
            Self::ResidentIdentity => "resident_identity",
        }
    }
}

impl FromStr for IdentifierKind {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        match text {
            "social_security_card" => Ok(Self::SocialSecurityCard),
            "resident_identity" => Ok(Self::ResidentIdentity),
            _ => Err(FieldError { field: "id_kind", expected: "social_security_card or resident_identity" }),
        }
    }
}

/// Which identity document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// Resident identity card.
    ResidentIdentity,
    /// Social-security card.
    SocialSecurityCard,
    /// Passport.
    Passport,
    /// Travel or residence permit of residents of Hong Kong, Macao or Taiwan.
    TravelPermit,
    /// Permanent residence card of a foreigner.
    PermanentResidence,
    /// Household register, or birth certificate of a child.
    HouseholdRegister,
    /// Military or police document.
    Service,
    /// Another identity document.
    Other,
}

impl DocumentKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ResidentIdentity,
        Self::SocialSecurityCard,
        Self::Passport,
        Self::TravelPermit,
        Self::PermanentResidence,
        Self::HouseholdRegister,
        Self::Service,
        Self::Other,
    ];

    /// The word for it in requests and records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ResidentIdentity => "resident_identity",
            Self::SocialSecurityCard => "social_security_card",
            Self::Passport => "passport",
            Self::TravelPermit => "travel_permit",
            Self::PermanentResidence => "permanent_residence",
            Self::HouseholdRegister => "household_register",
            Self::Service => "service",
            Self::Other => "other",
        }
    }
}

impl FromStr for DocumentKind {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let expected =
            "resident_identity, social_security_card, passport, travel_permit, permanent_residence, household_register, service or other";
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or(FieldError { field: "document_kind", expected })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check<T: FromStr<Err = FieldError>>(text: &str, refused_field: Option<&str>) {
        assert_eq!(text.parse::<T>().err().map(|error| error.field), refused_field, "{text:?}");
    }

    #[test]
    fn fields_are_named_when_they_break_their_rule() {
        check::<TransactionId>("2026-11-22/0001", None);
        check::<TransactionId>("", Some("transaction"));
        check::<TransactionId>("has space", Some("transaction"));
        check::<TransactionId>(&"x".repeat(65), Some("transaction"));
        check::<IdentifierNumber>("３３０２０３１９４９１００１００２７", None);
        check::<IdentifierNumber>("  ", Some("card"));
        check::<IdentifierNumber>("12\n34", Some("card"));
        check::<Region>("", None);
        check::<Region>("330200", None);
        check::<Region>("33020", Some("region"));
        check::<Operator>("", None);
        check::<Operator>(&"员".repeat(65), Some("operator"));
        check::<Notice>(&"x".repeat(129), Some("notice"));
        check::<Attempt>("99", None);
        check::<Attempt>("0", Some("attempt"));
        check::<Attempt>("100", Some("attempt"));
        check::<Attempt>("one", Some("attempt"));
        check::<Scene>("ward", Some("scene"));
        check::<IdentifierKind>("passport", Some("id_kind"));
        check::<DocumentKind>("library_card", Some("document_kind"));
        check::<DocumentNumber>("E12345678", None);
        check::<DocumentNumber>(" E1 ", Some("document_number"));
        check::<PersonName>("", None);
        check::<Settlement>("S 1", Some("settlement"));
    }

    #[test]
    fn words_are_read_back() {
        for scene in Scene::ALL {
            assert_eq!(scene.word().parse(), Ok(scene));
        }
        for kind in DocumentKind::ALL {
            assert_eq!(kind.word().parse(), Ok(kind));
        }
        for kind in [IdentifierKind::SocialSecurityCard, IdentifierKind::ResidentIdentity] {
            assert_eq!(kind.word().parse(), Ok(kind));
        }
    }

    #[test]
    fn debug_shows_neither_number_nor_operator() {
        let shown = format!("{:?} {:?}", IdentifierNumber::new("330203194910010027").unwrap(), Operator::new("Wang Li").unwrap());
        assert_eq!(shown, "IdentifierNumber([redacted]) Operator([redacted])");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text: String) {
            let _ = (TransactionId::new(&text), IdentifierNumber::new(&text), Region::new(&text), Operator::new(&text));
        }
    }
}
