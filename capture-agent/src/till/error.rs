//! Why nothing came of what a till asked for.

use capture_core::TransactionError;
use thiserror::Error;

use super::book::BookError;
use crate::{document::ReaderError, verify::VerifyError};

/// Nothing came of it. Its code stands in [`problem`](crate::problem) with what to do about it.
#[derive(Debug, Error)]
pub enum TillError {
    /// The verification gave no answer.
    #[error("{0}")]
    Verify(VerifyError),
    /// The transaction's rules do not let it be.
    #[error("{0}")]
    Transaction(TransactionError),
    /// There is no transaction of the name.
    #[error("transaction: expected the name of one that was opened here")]
    Unknown,
    /// One of the name is about another card or scene.
    #[error("transaction: expected the card and scene it was opened with")]
    Conflict,
    /// The agent was restarted since it was opened.
    #[error("the agent was started anew since the transaction was opened")]
    NotOpen,
    /// Too many are open.
    #[error("expected at most {0} open transactions")]
    TooManyOpen(usize),
    /// A document check needs a name.
    #[error("operator: expected who looked at the document")]
    OperatorMissing,
    /// Nobody may come in the holder's place in this scene.
    #[error("nobody may come in the holder's place in this scene")]
    ProxyNotAllowed,
    /// Another proxy was named before.
    #[error("proxy: expected the one that was named before: one person for one holder")]
    OtherProxy,
    /// The reader.
    #[error("{0}")]
    Reader(ReaderError),
    /// No face is clearly on the chip's photo.
    #[error("no face is clearly on the photo in the document's chip")]
    NoFaceOnChip,
    /// The document is somebody else's.
    #[error("the document on the reader is of another number than the card's or the proxy's")]
    OtherDocument,
    /// There is no receipt to confirm.
    #[error("the answer came without a receipt")]
    NoReceipt,
    /// The book failed.
    #[error("{0}")]
    Book(BookError),
}

impl TillError {
    /// The stable word for it in the local API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Verify(error) => error.code(),
            Self::Transaction(error) => match error {
                TransactionError::Over(_) => "transaction_over",
                TransactionError::Busy => "attempt_under_way",
                TransactionError::Settled => "already_settles",
                TransactionError::AttemptsSpent { .. } => "attempts_spent",
                TransactionError::OutOfOrder { .. } => "attempt_out_of_order",
                TransactionError::NotSettled => "not_to_be_settled",
                TransactionError::NotConfirmed => "not_confirmed",
            },
            Self::Unknown => "transaction_unknown",
            Self::Conflict => "transaction_conflict",
            Self::NotOpen => "transaction_not_open",
            Self::TooManyOpen(_) => "too_many_transactions",
            Self::OperatorMissing => "operator_missing",
            Self::ProxyNotAllowed => "proxy_not_allowed",
            Self::OtherProxy => "proxy_conflict",
            Self::Reader(ReaderError::Absent) => "reader_absent",
            Self::Reader(ReaderError::NoDocument) => "no_document",
            Self::Reader(ReaderError::Unreadable(_)) => "document_unreadable",
            Self::NoFaceOnChip => "no_face_on_chip",
            Self::OtherDocument => "document_of_another",
            Self::NoReceipt => "no_receipt",
            Self::Book(_) => "book_failed",
        }
    }
}
