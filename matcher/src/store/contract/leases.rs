//! The contract of leases, provisional receipts, and when devices were heard.

use std::{future::Future, sync::Arc};

use matcher_core::{
    Decision, Scene,
    tampering::{LeaseScene, LeaseTerms, Tail},
};

use super::{device, flag, verification};
use crate::store::{
    RequestKey, Store,
    leases::{Beside, HeardDevice, NewLease, Provisional},
};

pub(super) async fn check_all<F: Future<Output = Arc<dyn Store>>>(fresh: &impl Fn() -> F) {
    a_provisional_receipt_is_kept_once_beside_what_is_known(fresh().await).await;
    a_provisional_receipt_resolves_to_its_capture(fresh().await).await;
    a_device_is_heard_and_its_numbers_are_followed(fresh().await).await;
    a_flag_keeps_its_reason(fresh().await).await;
}

fn terms() -> LeaseTerms {
    let scenes = vec![LeaseScene { scene: Scene::Settlement, captures_max: 2, until: 900 }];
    LeaseTerms { device: "counter-1".into(), issued_at: 10, scenes }
}

fn provisional(number: &str, sequence: u64, answered_at: i64) -> Provisional {
    Provisional {
        number: number.into(),
        request: RequestKey { institution: "pharmacy-1".into(), transaction: format!("T{sequence}"), attempt: 1 },
        device: "counter-1".into(),
        sequence,
        lease_serial: "L-1".into(),
        scene: Scene::Settlement,
        answered_at,
        received_at: 1_000,
        compact: "a.b.c".into(),
    }
}

async fn a_provisional_receipt_is_kept_once_beside_what_is_known(store: Arc<dyn Store>) {
    store.put_device(device("counter-1")).await.unwrap();
    let unknown = store.put_provisional(Provisional { lease_serial: "L-9".into(), ..provisional("N9", 1, 40) }).await.unwrap().unwrap();
    assert_eq!(unknown, Beside { answers: 1, ..Beside::default() });
    store.put_lease(NewLease { serial: "L-1".into(), terms: terms(), policy_version: "p1".into() }).await.unwrap();
    store.heard("counter-1", 30, Some(4)).await.unwrap();
    let first = store.put_provisional(provisional("N1", 5, 50)).await.unwrap().unwrap();
    assert_eq!(first, Beside { lease: Some(terms()), answers: 1, latest_before: Some(40), nothing_waited: Some((30, 4)) });
    assert_eq!(store.put_provisional(provisional("N1", 5, 50)).await.unwrap(), None);
    let second = store.put_provisional(provisional("N2", 6, 45)).await.unwrap().unwrap();
    assert_eq!((second.answers, second.latest_before), (2, Some(50)));
    let other = Provisional { scene: Scene::Reception, ..provisional("N3", 7, 60) };
    assert_eq!(store.put_provisional(other).await.unwrap().unwrap().answers, 1);
    assert_eq!(store.provisional("N1").await.unwrap(), Some(provisional("N1", 5, 50)));
    assert_eq!(store.provisional("N0").await.unwrap(), None);
}

async fn a_provisional_receipt_resolves_to_its_capture(store: Arc<dyn Store>) {
    store.put_device(device("counter-1")).await.unwrap();
    let new = verification("T1", 1);
    let record = new.record.clone();
    assert_eq!(store.resolved(&record.request).await.unwrap(), None);
    store.record_verification(new).await.unwrap();
    let resolved = store.resolved(&record.request).await.unwrap().unwrap();
    assert_eq!((resolved.verification, resolved.decision), (record.id, Some(record.decision)));
    assert_eq!(resolved.identifier_masked, record.identifier_masked);
    assert_ne!(resolved.decision, Some(Decision::Review));
}

async fn a_device_is_heard_and_its_numbers_are_followed(store: Arc<dyn Store>) {
    store.put_device(device("counter-1")).await.unwrap();
    assert_eq!(store.last_heard("counter-1").await.unwrap(), None);
    store.heard("counter-1", 10, Some(3)).await.unwrap();
    store.heard("counter-1", 20, None).await.unwrap();
    assert_eq!(store.last_heard("counter-1").await.unwrap(), Some((20, Some(10))));
    let heard = |tail| HeardDevice {
        device: "counter-1".into(),
        institution: "pharmacy-1".into(),
        heard_at: 20,
        nothing_waited_at: Some(10),
        tail,
    };
    assert_eq!(store.heard_devices().await.unwrap(), [heard(None)]);
    let tail = Tail { complete_up_to: 3, gap_since: Some(15) };
    store.put_tail("counter-1", tail).await.unwrap();
    store.heard("counter-1", 20, None).await.unwrap();
    assert_eq!(store.heard_devices().await.unwrap(), [heard(Some(tail))]);
    for sequence in [2, 9, 5] {
        store.take_sequence("counter-1", sequence, [7; 32]).await.unwrap();
    }
    assert_eq!(store.numbers_beyond("counter-1", 2, 9).await.unwrap(), [5, 9]);
    assert_eq!(store.numbers_beyond("counter-1", 0, 2).await.unwrap(), [2, 5]);
    assert_eq!(store.settled_since(0).await.unwrap(), []);
    store.revoke_device("counter-1", 30).await.unwrap();
    assert_eq!(store.heard_devices().await.unwrap(), []);
}

async fn a_flag_keeps_its_reason(store: Arc<dyn Store>) {
    let named = crate::store::Flag { reason: "lease_overrun".into(), ..flag(7, 5) };
    store.record_flag(named.clone()).await.unwrap();
    assert_eq!(store.flags(&crate::store::Listing { limit: 9, ..Default::default() }).await.unwrap(), [named]);
}
