//! The contract of receipts: written with their verification, used once, reversed for good.

use std::{future::Future, sync::Arc};

use matcher_core::{
    Disposition,
    receipt::{ReceiptNumber, ReceiptState, Refusal, Step},
};

use super::verification;
use crate::store::{
    NewVerification, Recorded, RequestKey, Store,
    receipts::{ConfirmReceipt, Receipt, ReceiptPage, ReverseReceipt, StoredReceipt},
};

pub(super) async fn check_all<F: Future<Output = Arc<dyn Store>>>(fresh: &impl Fn() -> F) {
    a_receipt_is_written_with_its_verification_and_found_both_ways(fresh().await).await;
    a_second_envelope_gets_no_second_receipt(fresh().await).await;
    a_receipt_is_confirmed_once_and_reversed_for_good(fresh().await).await;
    many_tills_at_once_get_as_many_uses_as_there_are(fresh().await).await;
    receipts_come_page_by_page(fresh().await).await;
}

/// A verification with its receipt.
pub(crate) fn with_receipt(transaction: &str, byte: u8) -> NewVerification {
    let new = verification(transaction, byte);
    let receipt = Receipt {
        number: number(byte),
        request: new.record.request.clone(),
        verification: new.record.id,
        device: new.record.device.clone(),
        drill: false,
        disposition: Disposition::Settle,
        uses_max: 1,
        amount_max_fen: Some(1_000_000),
        issued_at: new.record.decided_at,
        expires_at: new.record.decided_at + 900_000,
        compact: format!("header.claims-{byte}.signature"),
    };
    NewVerification { receipt: Some(receipt), ..new }
}

fn number(byte: u8) -> ReceiptNumber {
    ReceiptNumber::from_random([byte; 16])
}

fn confirm(byte: u8, settlement: &str) -> ConfirmReceipt {
    ConfirmReceipt {
        number: number(byte),
        institution: "pharmacy-1".into(),
        device: "counter-1".into(),
        settlement: settlement.into(),
        amount_fen: 500,
        document_checked_by: "0417".into(),
        at: 2_000,
    }
}

fn reverse(byte: u8, settlement: Option<&str>) -> ReverseReceipt {
    let (institution, device) = ("pharmacy-1".into(), "counter-1".into());
    ReverseReceipt { number: number(byte), institution, device, settlement: settlement.map(Into::into), at: 3_000 }
}

async fn a_receipt_is_written_with_its_verification_and_found_both_ways(store: Arc<dyn Store>) {
    let new = with_receipt("T1", 1);
    assert_eq!(store.record_verification(new.clone()).await.unwrap(), Recorded::Stored);
    let expected = StoredReceipt { receipt: new.receipt.unwrap(), reversed_at: None, uses: Vec::new() };
    assert_eq!(store.receipt_of(&new.record.request).await.unwrap().as_ref(), Some(&expected));
    assert_eq!(store.receipt(number(1)).await.unwrap(), Some(expected));
    assert_eq!(store.receipt(number(2)).await.unwrap(), None);
    assert_eq!(store.receipt_of(&RequestKey { attempt: 2, ..new.record.request }).await.unwrap(), None);
}

async fn a_second_envelope_gets_no_second_receipt(store: Arc<dyn Store>) {
    store.record_verification(with_receipt("T1", 1)).await.unwrap();
    let mut again = with_receipt("T1", 1);
    again.receipt.as_mut().unwrap().number = number(2);
    assert!(matches!(store.record_verification(again).await.unwrap(), Recorded::AlreadyAnswered(_)));
    assert_eq!(store.receipt(number(2)).await.unwrap(), None);
}

async fn a_receipt_is_confirmed_once_and_reversed_for_good(store: Arc<dyn Store>) {
    store.record_verification(with_receipt("T1", 1)).await.unwrap();
    let (confirmed, step) = store.confirm_receipt(confirm(1, "S1")).await.unwrap().unwrap();
    assert_eq!((confirmed.state(), step), (ReceiptState::Confirmed, Step::New));
    let taken = &confirmed.uses[0];
    assert_eq!((taken.settlement.as_str(), taken.amount_fen, taken.document_checked_by.as_str()), ("S1", 500, "0417"));
    let later = ConfirmReceipt { at: 9_999_999_999, ..confirm(1, "S1") };
    assert_eq!(store.confirm_receipt(later).await.unwrap(), Ok((confirmed.clone(), Step::Before)), "again, however late");
    for (asked, refusal) in [
        (confirm(1, "S2"), Refusal::Used),
        (ConfirmReceipt { amount_fen: 501, ..confirm(1, "S1") }, Refusal::OtherAmount),
        (ConfirmReceipt { institution: "pharmacy-2".into(), ..confirm(1, "S1") }, Refusal::OtherInstitution),
        (confirm(9, "S1"), Refusal::UnknownNumber),
    ] {
        assert_eq!(store.confirm_receipt(asked).await.unwrap(), Err(refusal));
    }
    assert_eq!(store.receipt(number(1)).await.unwrap(), Some(confirmed), "what is refused changes nothing");
    for (asked, refusal) in [
        (reverse(1, Some("S2")), Refusal::NotConfirmed),
        (ReverseReceipt { institution: "pharmacy-2".into(), ..reverse(1, None) }, Refusal::OtherInstitution),
        (reverse(9, None), Refusal::UnknownNumber),
    ] {
        assert_eq!(store.reverse_receipt(asked).await.unwrap(), Err(refusal));
    }
    let (reversed, step) = store.reverse_receipt(reverse(1, Some("S1"))).await.unwrap().unwrap();
    assert_eq!((reversed.state(), step, reversed.uses[0].reversed_at), (ReceiptState::Reversed, Step::New, Some(3_000)));
    let again = ReverseReceipt { at: 4_000, ..reverse(1, Some("S1")) };
    assert_eq!(store.reverse_receipt(again).await.unwrap(), Ok((reversed, Step::Before)), "the first time stays");
    assert_eq!(store.confirm_receipt(confirm(1, "S1")).await.unwrap(), Err(Refusal::Reversed));
    store.record_verification(with_receipt("T2", 2)).await.unwrap();
    let (whole, _) = store.reverse_receipt(reverse(2, None)).await.unwrap().unwrap();
    assert_eq!((whole.state(), whole.reversed_at), (ReceiptState::Reversed, Some(3_000)));
    assert_eq!(store.confirm_receipt(confirm(2, "S1")).await.unwrap(), Err(Refusal::Reversed));
}

async fn many_tills_at_once_get_as_many_uses_as_there_are(store: Arc<dyn Store>) {
    let mut new = with_receipt("T1", 1);
    new.receipt.as_mut().unwrap().uses_max = 3;
    store.record_verification(new).await.unwrap();
    let tills = (0..40).map(|till| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.confirm_receipt(confirm(1, &format!("S{till}"))).await.unwrap() })
    });
    let mut confirmed = 0;
    for till in tills.collect::<Vec<_>>() {
        match till.await.unwrap() {
            Ok(_) => confirmed += 1,
            Err(refusal) => assert_eq!(refusal, Refusal::Used),
        }
    }
    assert_eq!((confirmed, store.receipt(number(1)).await.unwrap().unwrap().uses.len()), (3, 3));
}

async fn receipts_come_page_by_page(store: Arc<dyn Store>) {
    for byte in 1..=5 {
        let mut new = with_receipt(&format!("T{byte}"), byte);
        new.receipt.as_mut().unwrap().issued_at = i64::from(byte / 2);
        store.record_verification(new).await.unwrap();
    }
    let mut page = ReceiptPage { from: 0, until: 2, after: None, limit: 2 };
    let mut found = Vec::new();
    loop {
        let receipts = store.receipts_issued(page.clone()).await.unwrap();
        let Some(last) = receipts.last() else { break };
        page.after = Some((last.receipt.issued_at, last.receipt.number));
        found.extend(receipts.iter().map(|stored| stored.receipt.number));
    }
    assert_eq!(found, [number(1), number(2), number(3)]);
    let later = ReceiptPage { from: 1, until: 9, after: None, limit: 9 };
    assert_eq!(store.receipts_issued(later).await.unwrap().len(), 4);
}
