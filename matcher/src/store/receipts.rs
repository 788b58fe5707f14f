//! Receipts as the store keeps them: written with their verification, then confirmed and reversed.
//!
//! The rules are `matcher_core::receipt::life`'s; an engine applies them inside one write, so that two tills that
//! ask at once are told apart. Not here: what a receipt says (its signed form has it).

use async_trait::async_trait;
use matcher_core::{
    Disposition,
    receipt::{Life, ReceiptNumber, ReceiptState, ReceiptUse, Refusal, Step, Terms},
};

use super::{RecordId, RequestKey, StoreError, TimeMs};

/// A receipt as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its number.
    pub number: ReceiptNumber,
    /// What it is the receipt of.
    pub request: RequestKey,
    /// The verification's record.
    pub verification: RecordId,
    /// The device that was answered.
    pub device: String,
    /// Whether it is of a drill, a simulator or a demonstration.
    pub drill: bool,
    /// What the till was told to do.
    pub disposition: Disposition,
    /// Settlements it serves.
    pub uses_max: u32,
    /// The largest amount of one settlement, in hundredths of a yuan, where one was set.
    pub amount_max_fen: Option<u64>,
    /// When it was issued.
    pub issued_at: TimeMs,
    /// When it ends.
    pub expires_at: TimeMs,
    /// Its signed form.
    pub compact: String,
}

/// A receipt, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// As it was issued.
    pub receipt: Receipt,
    /// When the whole of it was reversed, if it was.
    pub reversed_at: Option<TimeMs>,
    /// The settlements that used it, in the order of their confirmation.
    pub uses: Vec<ReceiptUse>,
}

impl StoredReceipt {
    /// What it allows, and what became of it so far.
    #[must_use]
    pub fn life(&self) -> Life<'_> {
        Life { uses_max: self.receipt.uses_max, reversed_at: self.reversed_at, uses: &self.uses }
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> ReceiptState {
        self.life().state()
    }

    /// What it was issued for.
    #[must_use]
    pub fn terms(&self) -> Terms<'_> {
        Terms {
            institution: &self.receipt.request.institution,
            disposition: self.receipt.disposition,
            amount_max_fen: self.receipt.amount_max_fen,
            expires_at: self.receipt.expires_at,
        }
    }
}

/// A settlement that asks for a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmReceipt {
    /// Which receipt.
    pub number: ReceiptNumber,
    /// The institution of the device that asks.
    pub institution: String,
    /// That device.
    pub device: String,
    /// The settlement, as the institution names it.
    pub settlement: String,
    /// Its amount, in hundredths of a yuan.
    pub amount_fen: u64,
    /// Who says that they looked at the patient's document; empty where nobody does.
    pub document_checked_by: String,
    /// When.
    pub at: TimeMs,
}

/// A reversal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReverseReceipt {
    /// Which receipt.
    pub number: ReceiptNumber,
    /// The institution of the device that asks.
    pub institution: String,
    /// That device.
    pub device: String,
    /// The settlement to reverse; nothing for the whole receipt.
    pub settlement: Option<String>,
    /// When.
    pub at: TimeMs,
}

/// What became of a step in a receipt's life.
pub type Stepped = Result<(StoredReceipt, Step), Refusal>;

/// Receipts of a time, in the order they were issued, page by page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptPage {
    /// From this time on.
    pub from: TimeMs,
    /// Before this time.
    pub until: TimeMs,
    /// Only after this one, the last of the page before.
    pub after: Option<(TimeMs, ReceiptNumber)>,
    /// At most so many.
    pub limit: u32,
}

/// The operations on receipts.
#[async_trait]
pub trait Receipts: Send + Sync {
    /// The receipt of a request.
    async fn receipt_of(&self, request: &RequestKey) -> Result<Option<StoredReceipt>, StoreError>;
    /// The receipts of some numbers, those that there are, in any order.
    async fn receipts(&self, numbers: Vec<ReceiptNumber>) -> Result<Vec<StoredReceipt>, StoreError>;
    /// Receipts by the time they were issued.
    async fn receipts_issued(&self, page: ReceiptPage) -> Result<Vec<StoredReceipt>, StoreError>;
    /// Confirms a receipt for a settlement, once.
    async fn confirm_receipt(&self, confirm: ConfirmReceipt) -> Result<Stepped, StoreError>;
    /// Reverses a receipt, or one settlement on it, once.
    async fn reverse_receipt(&self, reverse: ReverseReceipt) -> Result<Stepped, StoreError>;

    /// The receipt of a number.
    async fn receipt(&self, number: ReceiptNumber) -> Result<Option<StoredReceipt>, StoreError> {
        Ok(self.receipts(vec![number]).await?.pop())
    }
}
