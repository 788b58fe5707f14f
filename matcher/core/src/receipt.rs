//! Receipts: what a verification told the till, signed, so that the settlement side can hold the till to it.
//!
//! A receipt is a compact JWS over [`Claims`]. A valid signature alone says only that the center wrote it: a
//! [`Checker`] compares every claim with the settlement at hand and burns the number, and each way to fail has a
//! [`Refusal`] of its own. A check without the center cannot see that a receipt was reversed later.
//! Here: claims, numbers, keys, the check and the life of a receipt. Not here: where they are kept and published.

pub mod check;
pub mod keys;
pub mod life;
pub mod provisional;

use std::fmt;

use ed25519_dalek::SigningKey;
use receipt_form::jws::{self, JwsError};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::{
    decision::{Decision, Disposition, Scene},
    words::words,
};

pub use check::{Burn, Burned, CheckError, Checker, Drill, Settlement, Take};
pub use keys::{DatedKey, KeySet, KeySetError, Overlap, SigningKeys, key_id};
pub use life::{Asking, Life, ReceiptState, ReceiptUse, Step, Terms};
pub use receipt_form::number::{NumberError, ReceiptNumber};

/// The `typ` of a receipt's header.
pub const TYPE: &str = "countersign-receipt+jwt";
/// Longest life of a receipt, in seconds.
pub const VALID_SECONDS_MAX: i64 = 15 * 60;
/// Settlements that one receipt serves at most.
pub const USES_MAX: u32 = 99;

/// Characters of a name (issuer, audience, institution, transaction, policy) at most.
const NAME_LEN_MAX: usize = 128;
const ATTEMPT_MAX: u32 = 99;

words! {
    /// Why a receipt does not hold for a settlement.
    Refusal {
        /// Not a compact JWS of a receipt: parts, header, claims or their values are not in order.
        Malformed = "malformed",
        /// Its header names another algorithm than EdDSA.
        WrongAlgorithm = "wrong_algorithm",
        /// It is a token of another type.
        WrongType = "wrong_type",
        /// It was signed by a device while the line was down, and the center has not answered yet.
        Provisional = "provisional",
        /// Its key is not in the key set.
        UnknownKey = "unknown_key",
        /// The signature is not by its key.
        BadSignature = "bad_signature",
        /// It is of a drill, a simulator or a demonstration.
        Drill = "drill",
        /// Another center made it.
        ForeignIssuer = "foreign_issuer",
        /// It is meant for somebody else.
        ForeignAudience = "foreign_audience",
        /// It claims a longer life than receipts have.
        TooLongLived = "too_long_lived",
        /// It is of the future.
        NotYetValid = "not_yet_valid",
        /// It has expired.
        Expired = "expired",
        /// It is of another institution.
        OtherInstitution = "other_institution",
        /// It is of another transaction.
        OtherTransaction = "other_transaction",
        /// It is of another scene, and does not serve this one.
        OtherScene = "other_scene",
        /// It is of another card.
        OtherCard = "other_card",
        /// It is for another amount: above its maximum, or this settlement was confirmed with another.
        OtherAmount = "other_amount",
        /// The till was told to look at the document, and nobody says that they did.
        DocumentNotChecked = "document_not_checked",
        /// The till was told not to settle on it.
        NotForSettlement = "not_for_settlement",
        /// Other settlements used it up.
        Used = "used",
        /// It, or this settlement on it, was reversed.
        Reversed = "reversed",
        /// The settlement to reverse never used it.
        NotConfirmed = "not_confirmed",
        /// There is no receipt of this number.
        UnknownNumber = "unknown_number",
    }
}

words! {
    /// What was decided, as a receipt says it: all kinds of no decision share one word.
    ReceiptDecision {
        /// The person is the card's.
        Match = "match",
        /// Neither a match nor a mismatch.
        Review = "review",
        /// The person is not the card's.
        NonMatch = "non_match",
        /// Nothing could be decided.
        NoDecision = "no_decision",
    }
}

impl From<Decision> for ReceiptDecision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Match => Self::Match,
            Decision::Review => Self::Review,
            Decision::NonMatch => Self::NonMatch,
            Decision::NoDecision(_) => Self::NoDecision,
        }
    }
}

/// Secret that center and settlement side share to name cards to one another; never the look-up key.
pub struct SettlementKey([u8; 32]);

impl SettlementKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Names the key in listings, 16 hexadecimal digits; says nothing about it.
    #[must_use]
    pub fn id(&self) -> String {
        crate::identifier::parts_mac(&self.0, &[b"settlement key id"]).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SettlementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SettlementKey([redacted])")
    }
}

/// A card as center and settlement side name it: HMAC-SHA-256 of kind, region and number under a [`SettlementKey`]
/// (`Identifier::card_mac`). Compared in constant time.
#[derive(Clone, Copy)]
pub struct CardMac(pub [u8; 32]);

impl PartialEq for CardMac {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CardMac {}

impl fmt::Debug for CardMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardMac([redacted])")
    }
}

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`: the center that made it; a drill has an issuer of its own.
    pub issuer: String,
    /// `aud`: whom it is meant for.
    pub audience: String,
    /// `jti`: its number.
    pub number: ReceiptNumber,
    /// `iat`: when it was made, in seconds since 1970-01-01 UTC.
    pub issued_at: i64,
    /// `exp`: when it ends, in seconds; at most [`VALID_SECONDS_MAX`] later.
    pub expires_at: i64,
    /// Whose counter it was, by the device registry.
    pub institution: String,
    /// What was verified, as the institution names it; for a visit, the visit.
    pub transaction: String,
    /// Which attempt of it.
    pub attempt: u32,
    /// Where it was verified.
    pub scene: Scene,
    /// Further scenes it serves, where the policy says so.
    pub scenes: Vec<Scene>,
    /// What was decided.
    pub decision: ReceiptDecision,
    /// What the till was told to do.
    pub disposition: Disposition,
    /// Version of the policy that decided.
    pub policy: String,
    /// Whose card.
    pub card: CardMac,
    /// How many settlements it serves, 1 to [`USES_MAX`].
    pub uses: u32,
    /// The largest amount one settlement may have, in hundredths of a yuan; nothing where none was set.
    pub amount_max_fen: Option<u64>,
}

/// [`Claims`] as they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimsFile {
    iss: String,
    aud: String,
    jti: String,
    iat: i64,
    exp: i64,
    institution: String,
    transaction: String,
    attempt: u32,
    scene: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scenes: Vec<String>,
    decision: String,
    disposition: String,
    policy: String,
    card_mac: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uses: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount_max_fen: Option<u64>,
}

impl Claims {
    /// Signs the claims: the receipt.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        let header = jws::Header::new(TYPE, Some(key_id(&key.verifying_key())), None);
        jws::sign(&header, &self.file(), key)
    }

    /// What a receipt claims, whoever signed it: for showing, never for deciding.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::WrongAlgorithm`].
    pub fn unverified(compact: &str) -> Result<Self, Refusal> {
        jws::Parts::new(compact)?.unverified::<ClaimsFile>()?.check()
    }

    /// The claims of a receipt that a key of the set signed. That alone does not make it hold.
    ///
    /// # Errors
    /// When it is no receipt, or not signed by such a key.
    pub fn verified(compact: &str, keys: &KeySet) -> Result<Self, Refusal> {
        let parts = jws::Parts::new(compact)?;
        let kid = receipt_key(&parts.header)?;
        parts.claims::<ClaimsFile>(keys.get(kid).ok_or(Refusal::UnknownKey)?)?.check()
    }

    /// The claims as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Ok(text) = serde_json::to_string(&self.file()) else { unreachable!("texts and numbers become JSON") };
        text
    }

    fn file(&self) -> ClaimsFile {
        ClaimsFile {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            jti: self.number.to_string(),
            iat: self.issued_at,
            exp: self.expires_at,
            institution: self.institution.clone(),
            transaction: self.transaction.clone(),
            attempt: self.attempt,
            scene: self.scene.word().to_owned(),
            scenes: self.scenes.iter().map(|scene| scene.word().to_owned()).collect(),
            decision: self.decision.word().to_owned(),
            disposition: self.disposition.word().to_owned(),
            policy: self.policy.clone(),
            card_mac: jws::encode(&self.card.0),
            uses: (self.uses != 1).then_some(self.uses),
            amount_max_fen: self.amount_max_fen,
        }
    }
}

impl ClaimsFile {
    fn check(self) -> Result<Claims, Refusal> {
        let uses = self.uses.unwrap_or(1);
        let names = [&self.iss, &self.aud, &self.institution, &self.transaction, &self.policy];
        let in_order = names.iter().all(|name| is_name(name))
            && (1..=ATTEMPT_MAX).contains(&self.attempt)
            && (1..=USES_MAX).contains(&uses)
            && self.scenes.len() <= Scene::ALL.len()
            && self.exp > self.iat;
        if !in_order {
            return Err(Refusal::Malformed);
        }
        let scenes = self.scenes.iter().map(|word| known(Scene::from_word(word)));
        Ok(Claims {
            number: number(&self.jti)?,
            issued_at: self.iat,
            expires_at: self.exp,
            attempt: self.attempt,
            scene: known(Scene::from_word(&self.scene))?,
            scenes: scenes.collect::<Result<_, _>>()?,
            decision: known(ReceiptDecision::from_word(&self.decision))?,
            disposition: known(Disposition::from_word(&self.disposition))?,
            card: CardMac(<[u8; 32]>::try_from(jws::decode(&self.card_mac)?).map_err(|_| Refusal::Malformed)?),
            uses,
            amount_max_fen: self.amount_max_fen,
            issuer: self.iss,
            audience: self.aud,
            institution: self.institution,
            transaction: self.transaction,
            policy: self.policy,
        })
    }
}

/// The name of the key of a receipt's header.
fn receipt_key(header: &jws::Header) -> Result<&str, Refusal> {
    match header.typ.as_deref() {
        Some(TYPE) => {}
        Some(provisional::TYPE) => return Err(Refusal::Provisional),
        Some(_) | None => return Err(Refusal::WrongType),
    }
    if header.x5c.is_some() {
        return Err(Refusal::Malformed);
    }
    header.kid.as_deref().ok_or(Refusal::Malformed)
}

fn is_name(text: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn known<T>(word: Option<T>) -> Result<T, Refusal> {
    word.ok_or(Refusal::Malformed)
}

/// A number as tokens write it: in its one form.
impl From<JwsError> for Refusal {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Malformed => Self::Malformed,
            JwsError::WrongAlgorithm => Self::WrongAlgorithm,
            JwsError::BadSignature => Self::BadSignature,
        }
    }
}

fn number(text: &str) -> Result<ReceiptNumber, Refusal> {
    let number: ReceiptNumber = text.parse().map_err(|_| Refusal::Malformed)?;
    if number.to_string() == text { Ok(number) } else { Err(Refusal::Malformed) }
}

#[cfg(test)]
pub(crate) mod tests;
