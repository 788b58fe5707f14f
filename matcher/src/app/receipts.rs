//! Receipts: issued with an answer, looked up, confirmed and reversed for the institution they are of.
//!
//! What the till is *told* makes the receipt, whatever else was recorded. Not here: what a receipt is worth
//! (`matcher_core::receipt`).

use std::{fmt, sync::Arc};

use matcher_core::{
    Decision, Identifier, Mode,
    policy::ReceiptRule,
    receipt::{Claims, ReceiptDecision, ReceiptNumber, Refusal, Step},
    told,
};

use crate::{
    config::ReceiptsConfig,
    receipt_keys::{ReceiptKeys, ReceiptKind},
    store::{
        Device, Store, StoreError, TimeMs, Verification,
        receipts::{ConfirmReceipt, Receipt, ReverseReceipt, Stepped, StoredReceipt},
    },
};

/// Issues receipts.
#[derive(Clone)]
pub struct Issuer {
    /// Names.
    pub config: ReceiptsConfig,
    /// Keys.
    pub keys: Arc<ReceiptKeys>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuer([redacted])")
    }
}

impl Issuer {
    /// Signs what the till is told about a verification, for as long and as many settlements as the policy's rule says.
    #[must_use]
    pub fn issue(&self, record: &Verification, rule: &ReceiptRule, identifier: &Identifier, random: [u8; 16]) -> Receipt {
        let (kind, now) = (self.kind(record.mode), record.decided_at);
        let issued_at = now.div_euclid(1000);
        let claims = Claims {
            issuer: match kind {
                ReceiptKind::Production => self.config.issuer.clone(),
                ReceiptKind::Drill => self.config.drill_issuer.clone(),
            },
            audience: self.config.audience.clone(),
            number: ReceiptNumber::from_random(random),
            issued_at,
            expires_at: issued_at + i64::from(rule.valid_seconds),
            institution: record.request.institution.clone(),
            transaction: record.request.transaction.clone(),
            attempt: record.request.attempt,
            scene: record.scene,
            scenes: rule.serves.iter().copied().filter(|scene| *scene != record.scene).collect(),
            decision: told_decision(record.mode, record.decision),
            disposition: told(record.mode, record.disposition),
            policy: record.policy_version.clone(),
            card: identifier.card_mac(self.keys.settlement()),
            uses: rule.settlements_max,
            amount_max_fen: None,
        };
        Receipt {
            number: claims.number,
            request: record.request.clone(),
            verification: record.id,
            device: record.device.clone(),
            drill: kind == ReceiptKind::Drill,
            disposition: claims.disposition,
            uses_max: claims.uses,
            amount_max_fen: claims.amount_max_fen,
            issued_at: now,
            expires_at: claims.expires_at * 1000,
            compact: self.keys.sign(kind, now, |key| claims.sign(key)),
        }
    }

    /// A demonstration settles nothing, and neither does a center that rehearses.
    fn kind(&self, mode: Mode) -> ReceiptKind {
        match mode {
            Mode::Demonstration => ReceiptKind::Drill,
            Mode::Shadow | Mode::Live if self.config.drill => ReceiptKind::Drill,
            Mode::Shadow | Mode::Live => ReceiptKind::Production,
        }
    }
}

/// In shadow mode the till is told of no decision.
fn told_decision(mode: Mode, decision: Decision) -> ReceiptDecision {
    match mode {
        Mode::Shadow => ReceiptDecision::NoDecision,
        Mode::Live | Mode::Demonstration => decision.into(),
    }
}

/// Keeps receipts.
#[derive(Clone)]
pub struct Receipts {
    /// Where they are.
    pub store: Arc<dyn Store>,
}

impl Receipts {
    /// A receipt of a device's institution.
    ///
    /// # Errors
    /// When the store cannot be asked; a refusal is no error.
    pub async fn find(&self, device: &Device, number: ReceiptNumber) -> Result<Result<StoredReceipt, Refusal>, StoreError> {
        let found = self.store.receipt(number).await?;
        Ok(match found {
            None => Err(Refusal::UnknownNumber),
            Some(stored) if stored.receipt.request.institution != device.institution => Err(Refusal::OtherInstitution),
            Some(stored) => Ok(stored),
        })
    }

    /// Confirms a receipt for a settlement of the device's institution.
    ///
    /// # Errors
    /// When the store fails; a refusal is no error.
    pub async fn confirm(&self, device: Device, asked: Confirm, now: TimeMs) -> Result<Stepped, StoreError> {
        let confirm = ConfirmReceipt {
            number: asked.number,
            institution: device.institution,
            device: device.id,
            settlement: asked.settlement,
            amount_fen: asked.amount_fen,
            document_checked_by: asked.document_checked_by,
            at: now,
        };
        self.store.confirm_receipt(confirm).await
    }

    /// Reverses a receipt of the device's institution, or one settlement on it.
    ///
    /// # Errors
    /// When the store fails; a refusal is no error.
    pub async fn reverse(&self, device: Device, asked: Reverse, now: TimeMs) -> Result<Stepped, StoreError> {
        let (institution, device) = (device.institution, device.id);
        let reverse = ReverseReceipt { number: asked.number, institution, device, settlement: asked.settlement, at: now };
        self.store.reverse_receipt(reverse).await
    }
}

/// A settlement to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    /// Which receipt.
    pub number: ReceiptNumber,
    /// The settlement, as the institution names it.
    pub settlement: String,
    /// Its amount, in hundredths of a yuan.
    pub amount_fen: u64,
    /// Who says that they looked at the patient's document; may be empty.
    pub document_checked_by: String,
}

/// A receipt or settlement to reverse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverse {
    /// Which receipt.
    pub number: ReceiptNumber,
    /// The settlement; nothing for the whole receipt.
    pub settlement: Option<String>,
}

/// Whether a step was made before.
#[must_use]
pub fn repeated(step: Step) -> bool {
    match step {
        Step::New => false,
        Step::Before => true,
    }
}
