//! What every store must do with ways beside the holder's face.

use std::sync::Arc;

use matcher_core::{Decision, NoDecision};

use super::{enrolment, verification};
use crate::store::{
    NewVerification, RecordId, Recorded, Sealed, Store, StoreError, SubjectId,
    keys::Rewrap,
    proxies::{NewProxy, ProxyStanding},
    subjects::{Forget, Forgotten},
};

const DAY: i32 = 20_000;

fn proxied(transaction: &str, envelope: u8, holder: u8, slot: Option<u32>) -> NewVerification {
    let mut new = verification(transaction, envelope);
    new.record.decision = Decision::NoDecision(NoDecision::Proxy);
    new.record.reasons = vec!["proxy".into()];
    let wrapped = Sealed([&[0x80_u8; 9][..], &[envelope; 61]].concat());
    let sealed = Sealed(vec![envelope; 40]);
    new.proxy = Some(NewProxy { proxy: [9; 32], holder: [holder; 32], day: DAY, slot, wrapped, sealed });
    new
}

/// Each holder of a day takes the next place; who comes to a place that is taken has to look again, and nothing of it is kept.
pub(super) async fn a_proxy_takes_one_place_for_each_holder_of_a_day(store: Arc<dyn Store>) {
    assert_eq!(store.record_verification(proxied("T1", 1, 1, Some(0))).await.unwrap(), Recorded::Stored);
    assert_eq!(store.record_verification(proxied("T2", 2, 1, None)).await.unwrap(), Recorded::Stored);
    let taken = store.record_verification(proxied("T3", 3, 2, Some(0))).await;
    assert!(matches!(taken, Err(StoreError::Conflict("person"))), "{taken:?}");
    assert_eq!(store.record_verification(proxied("T3", 3, 2, Some(1))).await.unwrap(), Recorded::Stored);
    let standing = async |day, transaction| store.proxy_standing(day, [9; 32], "pharmacy-1", transaction).await.unwrap();
    let today = vec![[1; 32], [2; 32]];
    assert_eq!(standing(DAY, "T2").await, ProxyStanding { today, transaction: vec![([9; 32], [1; 32])] });
    assert_eq!(standing(DAY + 1, "T9").await, ProxyStanding::default());
    let listed = store.proxies(902, Some("pharmacy-1".into()), 10).await.unwrap();
    assert_eq!(listed.iter().map(|stored| stored.record.request.transaction.as_str()).collect::<Vec<_>>(), ["T3", "T2"]);
    assert_eq!((listed[1].leading, &listed[1].sealed), (SubjectId([2; 16]), &Sealed(vec![2; 40])));
    assert_eq!(store.proxies(0, Some("pharmacy-2".into()), 10).await.unwrap(), []);
    store.proxies_exported("chen", 3, 5_000).await.unwrap();
}

/// Entries have data keys of their own, which a rotation finds; they go with a person who is forgotten.
pub(super) async fn the_register_goes_with_the_person_and_its_keys_are_rewrapped(store: Arc<dyn Store>) {
    store.put_enrolments(vec![enrolment(1, &[1], 11)]).await.unwrap();
    let mut known = proxied("T1", 1, 1, Some(0));
    known.record.subject = Some(SubjectId([1; 16]));
    for new in [known, proxied("T2", 2, 2, Some(1))] {
        assert_eq!(store.record_verification(new).await.unwrap(), Recorded::Stored);
    }
    let newest = [0x80, 7, 7, 7, 7, 7, 7, 7, 7];
    let old = store.data_keys_not_of(newest, None, 10).await.unwrap();
    assert_eq!(old.iter().map(|(subject, _)| subject.0[0]).collect::<Vec<_>>(), [1, 1, 2], "the person's, and one of each entry");
    let to = Sealed([&newest[..], &[1; 61]].concat());
    let rewrap = old.into_iter().map(|(subject, from)| Rewrap { subject, from, to: to.clone() }).collect();
    assert_eq!(store.rewrap_data_keys(rewrap).await.unwrap(), 3);
    assert!(store.data_keys_not_of(newest, None, 10).await.unwrap().is_empty());
    assert!(store.proxies(0, None, 10).await.unwrap().iter().all(|stored| stored.wrapped == to));
    let forget = Forget { subject: SubjectId([1; 16]), at: 9_000, tombstones: Vec::new(), pseudonym: [8; 32] };
    assert!(matches!(store.forget(forget).await.unwrap(), Forgotten::Done { .. }));
    let left = store.proxies(0, None, 10).await.unwrap();
    assert_eq!(left.iter().map(|stored| stored.leading).collect::<Vec<_>>(), [SubjectId([2; 16])]);
}

/// Document checks after a non-match are counted by operator and time; other ways are found for a draw.
pub(super) async fn overruled_non_matches_and_other_ways_are_found(store: Arc<dyn Store>) {
    let decided = |transaction: &str, envelope: u8, attempt: u32, decision| {
        let mut new = verification(transaction, envelope);
        (new.record.request.attempt, new.record.decision) = (attempt, decision);
        new
    };
    let checked = Decision::NoDecision(NoDecision::DocumentChecked);
    for new in [
        decided("T1", 1, 1, Decision::NonMatch),
        decided("T1", 2, 2, checked),
        decided("T2", 3, 1, Decision::Match),
        decided("T2", 4, 2, checked),
        decided("T3", 5, 1, Decision::NoDecision(NoDecision::OtherWay)),
    ] {
        assert_eq!(store.record_verification(new).await.unwrap(), Recorded::Stored);
    }
    let count = async |operator, from, to| store.overrides_of("pharmacy-1", operator, from, to).await.unwrap();
    assert_eq!(count("收银员 3", 0, 2_000).await, 1, "nothing was overruled in the other transaction");
    assert_eq!((count("收银员 3", 903, 2_000).await, count("收银员 4", 0, 2_000).await), (0, 0));
    let drawn = store.other_ways_between(0, 2_000).await.unwrap();
    assert_eq!(drawn, [(SubjectId([5; 16]), RecordId([5; 16]))]);
    assert_eq!(store.other_ways_between(0, 1_005).await.unwrap(), []);
}
