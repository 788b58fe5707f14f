//! What every store must do for what is told to the center's own systems: written with its step, taken in order by one at a time.

use std::{future::Future, sync::Arc};

use matcher_core::{
    console::Told,
    evidence::{CaseEvent, CaseStep, CaseVerdict, Opening},
};

use super::console::case;
use crate::store::{
    RecordId, Store,
    webhook::{Failed, Replay, ToTellIn},
};

pub(super) async fn check<F: Future<Output = Arc<dyn Store>>>(fresh: &impl Fn() -> F) {
    only_confirmed_cases_are_told_and_in_order(fresh().await).await;
    what_is_given_up_waits_for_somebody(fresh().await).await;
}

/// Takes a case of a person to its end; `from` steps were taken before.
async fn end(store: &dyn Store, id: RecordId, from: usize, verdict: CaseVerdict) -> usize {
    let mut events = vec![(CaseEvent::Claimed, "anna"), (CaseEvent::Decided(verdict, "so".into()), "anna")];
    if verdict == CaseVerdict::Confirmed {
        events.push((CaseEvent::Reviewed(verdict, "so".into()), "ben"));
    }
    events.push((CaseEvent::Closed, "ben"));
    take(store, id, from, events).await
}

async fn take(store: &dyn Store, id: RecordId, mut from: usize, events: Vec<(CaseEvent, &str)>) -> usize {
    for (event, by) in events {
        let by = format!("{by}{from}");
        let by = if matches!(event, CaseEvent::Decided(..)) { format!("anna{}", from - 1) } else { by };
        assert!(store.add_case_step(id, from, CaseStep { at: 1_000 + from as i64, by, event }).await.unwrap(), "{from}");
        from += 1;
    }
    from
}

async fn only_confirmed_cases_are_told_and_in_order(store: Arc<dyn Store>) {
    let store = store.as_ref();
    let alarm = case(store, 1, (Opening::Evidence, 1.0), 10).await;
    end(store, alarm, 0, CaseVerdict::FalseAlarm).await;
    assert!(store.take_to_tell(9_000, 100, 9).await.unwrap().is_empty());
    let id = case(store, 2, (Opening::Evidence, 1.0), 10).await;
    let steps = end(store, id, 0, CaseVerdict::Confirmed).await;
    let steps = take(store, id, steps, vec![(CaseEvent::Reopened("an appeal".into()), "susan")]).await;
    end(store, id, steps, CaseVerdict::FalseAlarm).await;
    let taken = store.take_to_tell(9_000, 100, 9).await.unwrap();
    assert_eq!(taken.iter().map(|of| (of.case, of.number, of.kind, of.tries)).collect::<Vec<_>>(), [(id, 1, Told::Confirmed, 1)]);
    let body: serde_json::Value = serde_json::from_str(&taken[0].body).unwrap();
    assert_eq!((body["type"].as_str(), body["data"]["captures"][0]["transaction"].as_str()), (Some("case.confirmed"), Some("T2")));
    assert!(!taken[0].body.contains("****"), "no number, not even masked: {}", taken[0].body);
    assert!(store.take_to_tell(9_050, 100, 9).await.unwrap().is_empty(), "leased");
    let again = store.take_to_tell(9_100, 100, 9).await.unwrap();
    assert_eq!((again[0].id, again[0].tries, &again[0].body), (taken[0].id, 2, &taken[0].body));
    assert!(!store.told(taken[0].id, 1, 9_110).await.unwrap(), "somebody else has it");
    assert!(store.told(again[0].id, 2, 9_110).await.unwrap());
    for (number, kind) in [(2, Told::Withdrawn), (3, Told::Reversed)] {
        let next = store.take_to_tell(9_200, 100, 9).await.unwrap();
        assert_eq!(next.iter().map(|of| (of.number, of.kind)).collect::<Vec<_>>(), [(number, kind)]);
        assert!(store.told(next[0].id, 1, 9_201).await.unwrap());
    }
    assert!(store.take_to_tell(99_000, 100, 9).await.unwrap().is_empty());
    assert_eq!(store.to_tell(ToTellIn::Delivered, 0, 9).await.unwrap().len(), 3);
    assert_eq!(store.tell_again(Replay::One(taken[0].id), "adam", 9_300).await.unwrap(), 1);
    assert_eq!(store.take_to_tell(9_300, 100, 9).await.unwrap()[0].id, taken[0].id, "with the same id");
}

async fn what_is_given_up_waits_for_somebody(store: Arc<dyn Store>) {
    let store = store.as_ref();
    let id = case(store, 2, (Opening::Evidence, 1.0), 10).await;
    let steps = end(store, id, 0, CaseVerdict::Confirmed).await;
    take(store, id, steps, vec![(CaseEvent::Reopened("an appeal".into()), "susan")]).await;
    let taken = store.take_to_tell(9_000, 100, 9).await.unwrap();
    let failed = |due_at| Failed { due_at, at: 9_010, said: "the receiver answered 500".into() };
    assert!(store.not_told(taken[0].id, 1, failed(Some(9_020))).await.unwrap());
    assert!(!store.not_told(taken[0].id, 9, failed(None)).await.unwrap());
    let again = store.take_to_tell(9_020, 100, 9).await.unwrap();
    assert_eq!((again.len(), again[0].said.as_str()), (1, "the receiver answered 500"));
    assert!(store.not_told(taken[0].id, 2, failed(None)).await.unwrap());
    assert!(store.take_to_tell(99_000, 100, 9).await.unwrap().is_empty(), "nobody hears of a withdrawal before what is withdrawn");
    assert_eq!(store.to_tell(ToTellIn::Dead, 0, 9).await.unwrap().len(), 1);
    assert_eq!(store.to_tell(ToTellIn::Waiting, 0, 9).await.unwrap().len(), 1);
    assert_eq!(store.tell_again(Replay::Dead, "adam", 99_000).await.unwrap(), 1);
    assert_eq!(store.take_to_tell(99_000, 100, 9).await.unwrap()[0].number, 1);
    assert_eq!(store.tell_again(Replay::Since(0), "adam", 99_001).await.unwrap(), 2);
}
