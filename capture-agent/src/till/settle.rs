//! Confirming after the settlement, reversing on a refund: durable here first, then told to the center, now or when it answers.

use capture_core::{Settlement, TransactionError};
use proto::v1;

use super::{
    book::{PROVISIONAL, Step},
    *,
};
use crate::line::client::CallError;

impl Till {
    /// The settlement was made: binds it to the receipt of the answer that said so.
    ///
    /// # Errors
    /// When the center did not say to settle, or the disk fails. What the center makes of it stands in the view.
    pub async fn confirm(
        &self,
        id: &str,
        settlement: &Settlement,
        amount_fen: u64,
        document_checked_by: &Operator,
    ) -> Result<TransactionView, TillError> {
        let (by_document, now) = (!document_checked_by.as_str().is_empty(), self.clock.now());
        let confirm = move |transaction: &mut Transaction, receipts: &BTreeMap<u32, Issued>| {
            let answer = transaction.told().ok_or(TillError::Transaction(TransactionError::NotSettled))?;
            let mut confirmed = transaction.clone();
            confirmed.confirm(by_document, now).map_err(TillError::Transaction)?;
            let issued = receipts.get(&answer.attempt.get()).cloned().filter(|issued| !issued.number.is_empty());
            let issued = issued.ok_or(TillError::NoReceipt)?;
            *transaction = confirmed;
            Ok(issued)
        };
        let Issued { number: receipt_number, provisional } = self.change(id, confirm).await?;
        let step = Step::Confirm {
            receipt_number,
            settlement: settlement.to_string(),
            amount_fen,
            document_checked_by: document_checked_by.as_str().to_owned(),
        };
        self.put(id, step, provisional).await
    }

    /// The settlement was taken back, or all of them where none is named.
    ///
    /// # Errors
    /// When it was not confirmed, or the disk fails. What the center makes of it stands in the view.
    pub async fn reverse(&self, id: &str, settlement: Option<&Settlement>) -> Result<TransactionView, TillError> {
        let name = id.to_owned();
        let steps = self.with_book(move |book| book.steps_of(&name)).await?;
        let confirmed: Vec<(&String, &String, bool)> = steps
            .iter()
            .filter_map(|standing| match &standing.step {
                Step::Confirm { receipt_number, settlement, .. } => {
                    Some((receipt_number, settlement, standing.answered.as_deref() == Some(PROVISIONAL)))
                }
                Step::Reverse { .. } => None,
            })
            .collect();
        let named = settlement.map_or("", |settlement| settlement.as_str());
        let of = confirmed.iter().find(|(_, settlement, _)| named.is_empty() || *settlement == named);
        let (receipt_number, _, provisional) = of.ok_or(TillError::Transaction(TransactionError::NotConfirmed))?;
        let step = Step::Reverse { receipt_number: (*receipt_number).clone(), settlement: named.to_owned() };
        if named.is_empty() || confirmed.len() == 1 {
            let now = self.clock.now();
            self.change(id, move |transaction, _| transaction.reverse(now).map_err(TillError::Transaction)).await?;
        }
        self.put(id, step, *provisional).await
    }

    /// Changes a transaction, whether this process knows it whole or not: refunds come days later.
    async fn change<T>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Transaction, &BTreeMap<u32, Issued>) -> Result<T, TillError>,
    ) -> Result<T, TillError> {
        if let Ok(live) = self.known(id) {
            self.pass(&live).await;
            let changed = {
                let inner = &mut *live.lock();
                change(&mut inner.transaction, &inner.receipts)?
            };
            self.save(&live).await?;
            return Ok(changed);
        }
        let name = id.to_owned();
        let (digest, record) = self.with_book(move |book| book.entry(&name)).await?.ok_or(TillError::Unknown)?;
        let rule = TransactionRule { faces_max: self.transactions().faces_max, time_out_ms: self.time_out_ms() };
        let (mut transaction, receipts) = restored(rule, &record, self.clock.now());
        let changed = change(&mut transaction, &receipts)?;
        let state = transaction.state();
        let end = (state.is_terminal() || state == State::Confirmed).then(|| state.word().to_owned());
        let (name, now_ms, record) = (id.to_owned(), self.clock.date_ms(), Record { end, ..record });
        self.with_book(move |book| book.keep(&name, &digest, &record, now_ms)).await?;
        Ok(changed)
    }

    /// A settlement on a provisional receipt is not the center's to confirm: the settlement side holds the receipt against the
    /// capture when that has arrived.
    async fn put(&self, id: &str, step: Step, provisional: bool) -> Result<TransactionView, TillError> {
        let (name, now_ms) = (id.to_owned(), self.clock.date_ms());
        let put = move |book: &Book| {
            let standing = book.put_step(&name, &step, now_ms)?;
            if provisional { book.step_done(standing.id, PROVISIONAL, now_ms) } else { Ok(()) }
        };
        self.with_book(put).await?;
        self.tell().await;
        if let Ok(live) = self.known(id) {
            self.announce(&live);
        }
        self.show(id).await
    }

    /// Tells the center what it was not told, in order; stops where it does not answer.
    pub(super) async fn tell(&self) {
        let _turn = self.telling.lock().await;
        let steps = match self.with_book(Book::waiting_steps).await {
            Ok(steps) => steps,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "till.db could not be read");
                return;
            }
        };
        for standing in steps {
            let refusal = match self.told_center(standing.step.clone()).await {
                Ok(refusal) => refusal,
                Err(CallError::Refused(_, status)) => {
                    warn!(error = &*status as &dyn std::error::Error, "the center refuses a settlement");
                    "center_refused".to_owned()
                }
                Err(CallError::Unreachable(_) | CallError::Failed(_)) => return,
            };
            let (id, now_ms, said) = (standing.id, self.clock.date_ms(), refusal.clone());
            if self.with_book(move |book| book.step_done(id, &said, now_ms)).await.is_err() {
                return;
            }
            if let Ok(live) = self.known(&standing.entry) {
                live.events.add(EventKind::Settlement, json!({ "refusal": refusal }));
            }
        }
    }

    async fn told_center(&self, step: Step) -> Result<String, CallError> {
        match step {
            Step::Confirm { receipt_number, settlement, amount_fen, document_checked_by } => {
                let request = v1::ConfirmReceiptRequest { receipt_number, settlement, amount_fen, document_checked_by };
                self.verifier.confirm_receipt(request).await.map(|answer| answer.refusal)
            }
            Step::Reverse { receipt_number, settlement } => {
                let request = v1::ReverseReceiptRequest { receipt_number, settlement };
                self.verifier.reverse_receipt(request).await.map(|answer| answer.refusal)
            }
        }
    }
}
