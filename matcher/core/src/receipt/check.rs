//! The check at the settlement side: every claim against the settlement at hand, and the number burned.
//!
//! What burns numbers is behind a port: a table of the settlement side's own, or the center's store. Without the
//! center's, a receipt that was reversed after it was burned elsewhere still looks good.

use crate::decision::Scene;

use receipt_form::jws;

use super::{CardMac, Claims, ClaimsFile, KeySet, ReceiptNumber, Refusal, VALID_SECONDS_MAX, life, receipt_key};

/// How far ahead of the checker's clock a receipt may have been made, in seconds.
const CLOCK_AHEAD_MAX: i64 = 60;

/// A settlement that comes with a receipt.
#[derive(Debug, Clone, Copy)]
pub struct Settlement<'a> {
    /// Its name at the institution: the same settlement again is no second use.
    pub id: &'a str,
    /// The institution.
    pub institution: &'a str,
    /// The transaction that was verified; for a receipt of a visit, the visit.
    pub transaction: &'a str,
    /// Where it is made.
    pub scene: Scene,
    /// The card it is charged to.
    pub card: CardMac,
    /// Its amount, in hundredths of a yuan.
    pub amount_fen: u64,
    /// Who says that the patient's document was looked at and it was the same person; empty where nobody does.
    pub document_checked_by: &'a str,
    /// When it is made: milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
}

/// A use to be taken of a receipt.
#[derive(Debug, Clone, Copy)]
pub struct Take<'a> {
    /// Which receipt.
    pub number: ReceiptNumber,
    /// The settlement that takes it.
    pub settlement: &'a str,
    /// Its amount, in hundredths of a yuan.
    pub amount_fen: u64,
    /// Settlements the receipt serves.
    pub uses_max: u32,
    /// When the receipt ends, in seconds since 1970-01-01 UTC; it need not be remembered much longer.
    pub expires_at: i64,
}

/// What became of a use that was to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Burn {
    /// It is taken now.
    Now,
    /// The same settlement took it before.
    Before,
    /// It cannot be: [`Refusal::Used`], [`Refusal::Reversed`] or [`Refusal::OtherAmount`].
    Refused(Refusal),
}

/// Remembers which receipts were used.
pub trait Burned {
    /// Why it cannot be asked.
    type Error;

    /// Takes a use, at once or not at all: two that try are told apart.
    ///
    /// # Errors
    /// When nothing could be remembered; the settlement must not go on.
    fn burn(&mut self, take: &Take<'_>) -> Result<Burn, Self::Error>;
}

/// A receipt that does not hold, or that could not be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckError<E> {
    /// It does not hold.
    Refused(Refusal),
    /// The burned numbers could not be asked.
    Burned(E),
}

/// Issuer and keys of drills, so that theirs are told from forgeries.
#[derive(Debug, Clone, Copy)]
pub struct Drill<'a> {
    /// Their `iss`.
    pub issuer: &'a str,
    /// Their keys.
    pub keys: &'a KeySet,
}

/// Checks receipts.
#[derive(Debug, Clone, Copy)]
pub struct Checker<'a> {
    /// The `iss` to expect.
    pub issuer: &'a str,
    /// The `aud` to expect.
    pub audience: &'a str,
    /// The published keys of that issuer.
    pub keys: &'a KeySet,
    /// Drills, where they are known.
    pub drill: Option<Drill<'a>>,
}

impl Checker<'_> {
    /// Checks a receipt for a settlement, and takes a use of it.
    ///
    /// # Errors
    /// With the one reason why it does not hold, or what the burned numbers failed with.
    pub fn check<B: Burned>(&self, compact: &str, settlement: &Settlement<'_>, burned: &mut B) -> Result<Claims, CheckError<B::Error>> {
        let claims = self.verify(compact).map_err(CheckError::Refused)?;
        compare(&claims, settlement).map_err(CheckError::Refused)?;
        let take = Take {
            number: claims.number,
            settlement: settlement.id,
            amount_fen: settlement.amount_fen,
            uses_max: claims.uses,
            expires_at: claims.expires_at,
        };
        match burned.burn(&take).map_err(CheckError::Burned)? {
            Burn::Now | Burn::Before => Ok(claims),
            Burn::Refused(refusal) => Err(CheckError::Refused(refusal)),
        }
    }

    /// Checks who made a receipt, for whom, and for how long at most. What it says is not compared with anything.
    ///
    /// # Errors
    /// With the reason why it is not one to look at.
    pub fn verify(&self, compact: &str) -> Result<Claims, Refusal> {
        let parts = jws::Parts::new(compact)?;
        let kid = receipt_key(&parts.header)?;
        let Some(key) = self.keys.get(kid) else {
            let key = self.drill.and_then(|drill| drill.keys.get(kid)).ok_or(Refusal::UnknownKey)?;
            parts.claims::<ClaimsFile>(key)?;
            return Err(Refusal::Drill);
        };
        let claims = parts.claims::<ClaimsFile>(key)?.check()?;
        if claims.issuer != self.issuer {
            let drill = self.drill.is_some_and(|drill| drill.issuer == claims.issuer);
            return Err(if drill { Refusal::Drill } else { Refusal::ForeignIssuer });
        }
        if claims.audience != self.audience {
            return Err(Refusal::ForeignAudience);
        }
        if claims.expires_at.saturating_sub(claims.issued_at) > VALID_SECONDS_MAX {
            return Err(Refusal::TooLongLived);
        }
        Ok(claims)
    }
}

/// Compares a receipt's claims with a settlement; nothing is burned.
///
/// # Errors
/// With the first claim that does not agree.
pub fn compare(claims: &Claims, settlement: &Settlement<'_>) -> Result<(), Refusal> {
    let now = settlement.at_ms.div_euclid(1000);
    let scene = claims.scene == settlement.scene || claims.scenes.contains(&settlement.scene);
    let agrees = [
        (claims.issued_at <= now.saturating_add(CLOCK_AHEAD_MAX), Refusal::NotYetValid),
        (now < claims.expires_at, Refusal::Expired),
        (claims.institution == settlement.institution, Refusal::OtherInstitution),
        (claims.transaction == settlement.transaction, Refusal::OtherTransaction),
        (scene, Refusal::OtherScene),
        (claims.card == settlement.card, Refusal::OtherCard),
        (claims.amount_max_fen.is_none_or(|max| settlement.amount_fen <= max), Refusal::OtherAmount),
    ];
    match agrees.into_iter().find(|(agrees, _)| !agrees) {
        Some((_, refusal)) => Err(refusal),
        None => life::settles(claims.disposition, settlement.document_checked_by),
    }
}
