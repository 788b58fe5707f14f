//! The contract of statistics.

use std::{future::Future, sync::Arc};

use matcher_core::{
    AgeBand, Decision,
    drift::Chart,
    figures::{Dimension, Figures, Place},
};

use super::{flag, verification};
use crate::store::{
    Store,
    statistics::{Accepted, Alarm, ChartOf, CountedDay, DayFigures},
};

pub(super) async fn check_all<F: Future<Output = Arc<dyn Store>>>(fresh: &impl Fn() -> F) {
    decisions_are_observed_as_they_were_recorded(fresh().await).await;
    a_day_is_replaced_and_summed(fresh().await).await;
    alarms_and_accepted_states_are_kept(fresh().await).await;
}

async fn decisions_are_observed_as_they_were_recorded(store: Arc<dyn Store>) {
    assert_eq!(store.first_decided().await.unwrap(), None);
    for (transaction, envelope) in [("T1", 1), ("T2", 2), ("T3", 3)] {
        let mut new = verification(transaction, envelope);
        if envelope == 2 {
            new.record.reasons = vec!["proxy".into(), "chip_reference".into()];
        }
        store.record_verification(new).await.unwrap();
    }
    store.record_flag(flag(7, 1_001)).await.unwrap();
    assert_eq!(store.first_decided().await.unwrap(), Some(1_001));
    let mut seen = store.observed(1_001, 1_003).await.unwrap();
    seen.sort_by_key(|(at, _)| *at);
    assert_eq!(seen.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1_001, 1_002]);
    let first = &seen[0].1;
    assert_eq!((first.decision, first.age, first.waited_ms, first.proxy), (Decision::NonMatch, AgeBand::Sixties, 100, false));
    assert_eq!((first.score.map(|score| score > 0.12), first.device.as_str()), (Some(true), "counter-1"));
    assert_eq!((seen[1].1.proxy, seen[1].1.score), (true, None));
    let beside = store.beside(0, 2_000).await.unwrap();
    assert_eq!(beside.iter().map(|beside| beside.flags).sum::<u64>(), 1);
}

fn place(dimension: Dimension, institution: &str, key: &str) -> Place {
    Place { dimension, institution: institution.into(), key: key.into() }
}

fn figures(captures: u64) -> Figures {
    let mut figures = Figures { captures, matched: captures, ..Figures::default() };
    figures.waits[3] = captures;
    figures.scores.add(0.5);
    figures
}

async fn a_day_is_replaced_and_summed(store: Arc<dyn Store>) {
    let row = |day, place: Place, captures| DayFigures { day, place, model: "m@1".into(), figures: figures(captures) };
    let counted = |day, complete| CountedDay { day, counted_at: 5, complete, charts: None };
    let rows = |day, captures| {
        vec![
            row(day, place(Dimension::Store, "P1", ""), captures),
            row(day, place(Dimension::Store, "P2", ""), 1),
            row(day, place(Dimension::Scene, "P1", "settlement"), captures),
            row(day, place(Dimension::Scene, "", "settlement"), captures + 1),
        ]
    };
    store.put_statistics(counted(10, false), rows(10, 99)).await.unwrap();
    store.put_statistics(counted(10, true), rows(10, 3)).await.unwrap();
    store.put_statistics(counted(11, true), rows(11, 4)).await.unwrap();
    let sums = store.figures(Dimension::Store, (10, 11), None, 9).await.unwrap();
    let short: Vec<_> = sums.iter().map(|(place, figures)| (place.institution.as_str(), figures.captures, figures.waits[3])).collect();
    assert_eq!(short, [("P1", 7, 7), ("P2", 2, 2)]);
    assert!((sums[0].1.scores.sum - 1.0).abs() < 1e-9 && sums[0].1.scores.count == 2);
    let scenes = |institution: Option<&'static str>| {
        let store = Arc::clone(&store);
        async move { store.figures(Dimension::Scene, (10, 10), institution, 9).await.unwrap()[0].1.captures }
    };
    assert_eq!((scenes(None).await, scenes(Some("P1")).await), (4, 3));
    let one = store.series(Dimension::Store, (0, 99), Some(&place(Dimension::Store, "P1", ""))).await.unwrap();
    assert_eq!(one.iter().map(|row| (row.day, row.figures.captures)).collect::<Vec<_>>(), [(10, 3), (11, 4)]);
    assert_eq!(one[0], row(10, place(Dimension::Store, "P1", ""), 3));
    assert_eq!(store.series(Dimension::Store, (11, 99), None).await.unwrap().len(), 2);
    assert_eq!(store.counted_days(10).await.unwrap(), [counted(10, true), counted(11, true)]);
    assert!(store.delete_statistics_before(11).await.unwrap() > 0);
    assert!(store.delete_statistics(11).await.unwrap() > 0);
    assert_eq!(store.counted_days(0).await.unwrap(), []);
}

async fn alarms_and_accepted_states_are_kept(store: Arc<dyn Store>) {
    let of = ChartOf { place: place(Dimension::Camera, "P1", "till-1"), chart: Chart::Score };
    let alarm = |day, p| Alarm { day, of: of.clone(), value: 0.5, expected: 0.6, effect: -0.5, p };
    store.put_statistics(CountedDay { day: 10, counted_at: 1, complete: true, charts: None }, Vec::new()).await.unwrap();
    store.put_alarms(10, 40, vec![alarm(10, 0.5)]).await.unwrap();
    store.put_alarms(10, 44, vec![alarm(10, 1e-6)]).await.unwrap();
    store.put_alarms(11, 44, Vec::new()).await.unwrap();
    assert_eq!(store.drift_alarms((10, 11)).await.unwrap(), [alarm(10, 1e-6)]);
    assert_eq!(store.drift_alarms_of(&of.place).await.unwrap(), [alarm(10, 1e-6)]);
    assert_eq!(store.drift_alarms_of(&place(Dimension::Camera, "P2", "till-1")).await.unwrap(), []);
    assert_eq!(store.counted_days(0).await.unwrap()[0].charts, Some(44));
    let accepted = Accepted { of, from: 10, at: 99, by: "susan".into(), reason: "another camera".into() };
    store.accept_drift(accepted.clone()).await.unwrap();
    assert_eq!(store.accepted_drifts().await.unwrap(), [accepted]);
}
