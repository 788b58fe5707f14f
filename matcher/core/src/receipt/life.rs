//! A receipt's life: issued → confirmed → reversed, each step as often as it is asked for.
//!
//! Confirming binds a settlement and its amount to the receipt and takes one of its uses; reversing undoes a
//! settlement, or the whole receipt. A use that was reversed is not given back: another settlement takes another
//! verification. The same step again changes nothing and is no refusal. Not here: the records (a store keeps them).

use crate::{decision::Disposition, words::words};

use super::Refusal;

words! {
    /// How far a receipt is.
    ReceiptState {
        /// It may be used.
        Issued = "issued",
        /// A settlement used it.
        Confirmed = "confirmed",
        /// It, or every settlement that used it up, was reversed.
        Reversed = "reversed",
    }
}

/// One settlement on a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptUse {
    /// The settlement, as the institution names it.
    pub settlement: String,
    /// Its amount, in hundredths of a yuan.
    pub amount_fen: u64,
    /// Who says that they looked at the patient's document and it was the same person; empty where nobody had to.
    pub document_checked_by: String,
    /// When it was confirmed: milliseconds since 1970-01-01 UTC.
    pub confirmed_at: i64,
    /// When it was reversed, if it was.
    pub reversed_at: Option<i64>,
}

/// Whether a step was made now or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is to be made.
    New,
    /// It was made before; nothing changes.
    Before,
}

/// What a receipt allows, and what became of it so far.
#[derive(Debug, Clone, Copy)]
pub struct Life<'a> {
    /// Settlements it serves.
    pub uses_max: u32,
    /// When the whole receipt was reversed, if it was.
    pub reversed_at: Option<i64>,
    /// The settlements so far.
    pub uses: &'a [ReceiptUse],
}

impl Life<'_> {
    /// How far it is.
    #[must_use]
    pub fn state(&self) -> ReceiptState {
        let spent = self.uses.len() >= self.uses_max as usize;
        if self.reversed_at.is_some() {
            ReceiptState::Reversed
        } else if self.uses.iter().any(|taken| taken.reversed_at.is_none()) {
            ReceiptState::Confirmed
        } else if spent {
            ReceiptState::Reversed
        } else {
            ReceiptState::Issued
        }
    }

    /// Takes a use for a settlement of an amount.
    ///
    /// # Errors
    /// [`Refusal::Reversed`] when the receipt or this settlement was reversed, [`Refusal::OtherAmount`] when the
    /// settlement was confirmed with another amount, [`Refusal::Used`] when no use is left.
    pub fn confirm(&self, settlement: &str, amount_fen: u64) -> Result<Step, Refusal> {
        let taken = self.uses.iter().find(|taken| taken.settlement == settlement);
        match taken {
            _ if self.reversed_at.is_some() => Err(Refusal::Reversed),
            Some(taken) if taken.reversed_at.is_some() => Err(Refusal::Reversed),
            Some(taken) if taken.amount_fen == amount_fen => Ok(Step::Before),
            Some(_) => Err(Refusal::OtherAmount),
            None if self.uses.len() < self.uses_max as usize => Ok(Step::New),
            None if self.state() == ReceiptState::Reversed => Err(Refusal::Reversed),
            None => Err(Refusal::Used),
        }
    }

    /// Reverses a settlement, or with nothing the whole receipt.
    ///
    /// # Errors
    /// [`Refusal::NotConfirmed`] when the settlement never used the receipt.
    pub fn reverse(&self, settlement: Option<&str>) -> Result<Step, Refusal> {
        if self.reversed_at.is_some() {
            return Ok(Step::Before);
        }
        let Some(settlement) = settlement else { return Ok(Step::New) };
        let taken = self.uses.iter().find(|taken| taken.settlement == settlement).ok_or(Refusal::NotConfirmed)?;
        Ok(if taken.reversed_at.is_some() { Step::Before } else { Step::New })
    }
}

/// What a receipt was issued for, as far as confirming asks.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Whose it is.
    pub institution: &'a str,
    /// What the till was told to do.
    pub disposition: Disposition,
    /// The largest amount of one settlement, in hundredths of a yuan, where one was set.
    pub amount_max_fen: Option<u64>,
    /// When it ends: milliseconds since 1970-01-01 UTC.
    pub expires_at: i64,
}

/// A settlement that asks to be confirmed.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The institution that asks.
    pub institution: &'a str,
    /// The settlement, as the institution names it.
    pub settlement: &'a str,
    /// Its amount, in hundredths of a yuan.
    pub amount_fen: u64,
    /// Who says that they looked at the patient's document; empty where nobody does.
    pub document_checked_by: &'a str,
    /// When it asks: milliseconds since 1970-01-01 UTC.
    pub at: i64,
}

/// Whether a receipt can be confirmed for a settlement. What was confirmed before is so again, however late.
///
/// # Errors
/// With the reason why not.
pub fn confirm(terms: &Terms<'_>, life: &Life<'_>, asking: &Asking<'_>) -> Result<Step, Refusal> {
    if terms.institution != asking.institution {
        return Err(Refusal::OtherInstitution);
    }
    let step = life.confirm(asking.settlement, asking.amount_fen)?;
    if step == Step::Before {
        return Ok(step);
    }
    if asking.at >= terms.expires_at {
        return Err(Refusal::Expired);
    }
    if terms.amount_max_fen.is_some_and(|max| asking.amount_fen > max) {
        return Err(Refusal::OtherAmount);
    }
    settles(terms.disposition, asking.document_checked_by).map(|()| step)
}

/// Whether a disposition lets a settlement go on. A document check does where somebody put their name to it: a
/// machine's non-match alone refuses nothing.
///
/// # Errors
/// [`Refusal::DocumentNotChecked`] and [`Refusal::NotForSettlement`].
pub fn settles(disposition: Disposition, document_checked_by: &str) -> Result<(), Refusal> {
    match disposition {
        Disposition::Settle | Disposition::SettleFlagged => Ok(()),
        Disposition::DocumentCheck if document_checked_by.is_empty() => Err(Refusal::DocumentNotChecked),
        Disposition::DocumentCheck => Ok(()),
        Disposition::OtherWay | Disposition::Hold | Disposition::Retry => Err(Refusal::NotForSettlement),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A receipt that remembers, with the machine above as its only rule.
    #[derive(Debug, Default)]
    struct Kept {
        uses_max: u32,
        reversed_at: Option<i64>,
        uses: Vec<ReceiptUse>,
    }

    impl Kept {
        fn new(uses_max: u32) -> Self {
            Self { uses_max, ..Self::default() }
        }

        fn life(&self) -> Life<'_> {
            Life { uses_max: self.uses_max, reversed_at: self.reversed_at, uses: &self.uses }
        }

        fn confirm(&mut self, settlement: &str, amount_fen: u64) -> Result<Step, Refusal> {
            let step = self.life().confirm(settlement, amount_fen)?;
            if step == Step::New {
                let settlement = settlement.to_owned();
                self.uses.push(ReceiptUse {
                    settlement,
                    amount_fen,
                    document_checked_by: String::new(),
                    confirmed_at: 1,
                    reversed_at: None,
                });
            }
            Ok(step)
        }

        fn reverse(&mut self, settlement: Option<&str>) -> Result<Step, Refusal> {
            let step = self.life().reverse(settlement)?;
            match settlement {
                _ if step == Step::Before => {}
                None => self.reversed_at = Some(2),
                Some(settlement) => {
                    self.uses.iter_mut().filter(|taken| taken.settlement == settlement).for_each(|taken| taken.reversed_at = Some(2));
                }
            }
            Ok(step)
        }
    }

    #[test]
    fn a_receipt_is_issued_confirmed_and_reversed_once_however_often_it_is_asked() {
        let mut receipt = Kept::new(1);
        assert_eq!(receipt.life().state(), ReceiptState::Issued);
        assert_eq!(receipt.confirm("S1", 100), Ok(Step::New));
        assert_eq!(receipt.confirm("S1", 100), Ok(Step::Before));
        assert_eq!(receipt.life().state(), ReceiptState::Confirmed);
        assert_eq!(receipt.confirm("S1", 101), Err(Refusal::OtherAmount));
        assert_eq!(receipt.confirm("S2", 100), Err(Refusal::Used));
        assert_eq!(receipt.reverse(Some("S2")), Err(Refusal::NotConfirmed));
        assert_eq!(receipt.reverse(Some("S1")), Ok(Step::New));
        assert_eq!(receipt.reverse(Some("S1")), Ok(Step::Before));
        assert_eq!(receipt.life().state(), ReceiptState::Reversed);
        assert_eq!(receipt.confirm("S1", 100), Err(Refusal::Reversed));
        assert_eq!(receipt.confirm("S2", 100), Err(Refusal::Reversed));
    }

    #[test]
    fn a_receipt_of_a_visit_serves_so_many_settlements_and_gives_none_back() {
        let mut receipt = Kept::new(2);
        assert_eq!(receipt.confirm("S1", 1), Ok(Step::New));
        assert_eq!(receipt.reverse(Some("S1")), Ok(Step::New));
        assert_eq!(receipt.life().state(), ReceiptState::Issued);
        assert_eq!(receipt.confirm("S2", 2), Ok(Step::New));
        assert_eq!(receipt.confirm("S3", 3), Err(Refusal::Used));
        assert_eq!(receipt.reverse(None), Ok(Step::New));
        assert_eq!(receipt.reverse(None), Ok(Step::Before));
        assert_eq!(receipt.confirm("S2", 2), Err(Refusal::Reversed));
    }

    #[test]
    fn a_receipt_that_was_never_used_can_be_taken_back() {
        let mut receipt = Kept::new(1);
        assert_eq!(receipt.reverse(None), Ok(Step::New));
        assert_eq!(receipt.life().state(), ReceiptState::Reversed);
        assert_eq!(receipt.confirm("S1", 1), Err(Refusal::Reversed));
    }

    #[track_caller]
    fn check(disposition: Disposition, operator: &str, expected: Result<(), Refusal>) {
        assert_eq!(settles(disposition, operator), expected, "{disposition:?} {operator}");
    }

    #[test]
    fn a_document_check_settles_when_somebody_puts_their_name_to_it() {
        for operator in ["", "0417"] {
            check(Disposition::Settle, operator, Ok(()));
            check(Disposition::SettleFlagged, operator, Ok(()));
            for never in [Disposition::OtherWay, Disposition::Hold, Disposition::Retry] {
                check(never, operator, Err(Refusal::NotForSettlement));
            }
        }
        check(Disposition::DocumentCheck, "", Err(Refusal::DocumentNotChecked));
        check(Disposition::DocumentCheck, "0417", Ok(()));
    }

    #[track_caller]
    fn check_terms(change: fn(&mut Terms<'_>, &mut Asking<'_>), expected: Result<Step, Refusal>) {
        let mut terms = Terms { institution: "P1", disposition: Disposition::Settle, amount_max_fen: Some(100), expires_at: 1_000 };
        let mut asking = Asking { institution: "P1", settlement: "S2", amount_fen: 100, document_checked_by: "", at: 999 };
        change(&mut terms, &mut asking);
        let mut receipt = Kept::new(2);
        receipt.confirm("S1", 100).unwrap();
        assert_eq!(confirm(&terms, &receipt.life(), &asking), expected);
    }

    #[test]
    fn a_receipt_is_confirmed_under_its_terms_and_again_however_late() {
        check_terms(|_, _| (), Ok(Step::New));
        check_terms(|_, asking| asking.at = 1_000, Err(Refusal::Expired));
        check_terms(|_, asking| asking.amount_fen = 101, Err(Refusal::OtherAmount));
        check_terms(|terms, _| terms.institution = "P2", Err(Refusal::OtherInstitution));
        check_terms(|terms, _| terms.disposition = Disposition::Hold, Err(Refusal::NotForSettlement));
        check_terms(|terms, _| terms.disposition = Disposition::DocumentCheck, Err(Refusal::DocumentNotChecked));
        check_terms(|_, asking| (asking.settlement, asking.at) = ("S1", 9_999_999), Ok(Step::Before));
    }

    proptest! {
        /// Whatever tills do, in whatever order: never more uses than allowed, each step again is no change, and
        /// what was reversed stays so.
        #[test]
        fn no_order_of_steps_gives_a_use_too_many(uses_max in 1_u32..4, steps in prop::collection::vec((0_u8..3, 0_u8..5, 1_u64..3), 0..40)) {
            let mut receipt = Kept::new(uses_max);
            for (step, settlement, amount) in steps {
                let settlement = format!("S{settlement}");
                let before = (receipt.reversed_at, receipt.uses.clone());
                let done = match step {
                    0 => receipt.confirm(&settlement, amount),
                    1 => receipt.reverse(Some(&settlement)),
                    _ => receipt.reverse(None),
                };
                if done != Ok(Step::New) {
                    prop_assert_eq!(&before, &(receipt.reversed_at, receipt.uses.clone()));
                } else {
                    let again = match step {
                        0 => receipt.life().confirm(&settlement, amount),
                        1 => receipt.life().reverse(Some(&settlement)),
                        _ => receipt.life().reverse(None),
                    };
                    prop_assert_eq!(again, Ok(Step::Before));
                }
                prop_assert!(receipt.uses.len() <= uses_max as usize);
                prop_assert!(before.0.is_none() || receipt.life().state() == ReceiptState::Reversed);
            }
        }
    }
}
