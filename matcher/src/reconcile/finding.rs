//! What a reconciliation finds, in closed words.

use matcher_core::receipt::Refusal;
use serde::Serialize;

use crate::receipt_command::says;

/// Why something is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// The row cannot be read.
    BadRow,
    /// The settlement came without a receipt.
    NoReceipt,
    /// Its receipt does not hold for it.
    Refused(Refusal),
    /// The settlement stands in the list twice.
    SettlementTwice,
    /// Its receipt was provisional, and the center has not answered for too long.
    ProvisionalTooLong,
    /// Its receipt was provisional, and the center has decided since: not the card's holder.
    ProvisionalNonMatch,
    /// Its receipt was provisional, and the capture was made for another card.
    ProvisionalOtherCard,
    /// A receipt that no settlement used.
    Unused,
}

impl FindingKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BadRow => "bad_row",
            Self::NoReceipt => "no_receipt",
            Self::Refused(refusal) => refusal.word(),
            Self::SettlementTwice => "settlement_twice",
            Self::ProvisionalTooLong => "provisional_too_long",
            Self::ProvisionalNonMatch => "provisional_non_match",
            Self::ProvisionalOtherCard => "provisional_other_card",
            Self::Unused => "unused",
        }
    }

    /// What it says to people.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            Self::BadRow => "the row cannot be read",
            Self::NoReceipt => "the settlement came without a receipt",
            Self::Refused(refusal) => says(refusal),
            Self::SettlementTwice => "the settlement stands in the list twice",
            Self::ProvisionalTooLong => "its receipt was provisional, and the center has had no capture for too long",
            Self::ProvisionalNonMatch => "its receipt was provisional, and the face turned out not to be the card holder's",
            Self::ProvisionalOtherCard => "its receipt was provisional, and the capture was made for another card",
            Self::Unused => "no settlement used this receipt",
        }
    }
}

/// Something to look at. Cards are masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Why.
    #[serde(serialize_with = "word")]
    pub kind: FindingKind,
    /// Line of the list, from 1, the line of column names; nothing for a receipt without a settlement.
    pub line: Option<u64>,
    /// The settlement.
    pub settlement: String,
    /// The institution.
    pub institution: String,
    /// The transaction.
    pub transaction: String,
    /// The card, masked.
    pub card: String,
    /// Number of the receipt, where there is one.
    pub receipt_number: String,
    /// More about it, for people.
    pub detail: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn word<S: serde::Serializer>(kind: &FindingKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.word())
}

impl Finding {
    /// A row that cannot be read.
    pub(super) fn bad_row(line: u64, column: &str, expected: &str) -> Box<Self> {
        Box::new(Self {
            kind: FindingKind::BadRow,
            line: Some(line),
            settlement: String::new(),
            institution: String::new(),
            transaction: String::new(),
            card: String::new(),
            receipt_number: String::new(),
            detail: format!("line {line}, column {column}: expected {expected}"),
        })
    }
}
