//! Places are given back however a call ends, and refusals come at once.

use super::*;

const LIMITS: Limits = Limits { working_max: 2, waiting_max: 3, institution_max: 2 };
const RATE: Rate = Rate { per_second: 1.0, burst: 100 };

fn caller(institution: &str) -> Caller {
    Caller { institution: institution.into(), device: format!("{institution}-1").into() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn enter(queue: &Queue, institution: &str) -> Result<Place, Refused> {
    queue.enter(&caller(institution), Class::Live, soon()).await
}

fn waits(queue: &Queue, institution: &'static str) -> tokio::task::JoinHandle<Result<Place, Refused>> {
    let queue = queue.clone();
    tokio::spawn(async move { enter(&queue, institution).await })
}

async fn until_waiting(queue: &Queue, number: usize) {
    while queue.state().line.waiting() != number {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whoever_waits_is_let_in_when_a_place_is_given_back() {
    let queue = Queue::new(LIMITS, RATE);
    let (first, second) = (enter(&queue, "P1").await.unwrap(), enter(&queue, "P1").await.unwrap());
    let third = waits(&queue, "P1");
    until_waiting(&queue, 1).await;
    drop(first);
    let third = third.await.unwrap().unwrap();
    assert!(third.since.is_some(), "a call that waited is timed from its start");
    drop((second, third));
    let state = queue.state();
    assert_eq!((state.line.working(), state.line.waiting(), state.waiting.len()), (0, 0, 0));
}

#[tokio::test]
async fn whoever_goes_away_while_waiting_leaves_no_trace() {
    let queue = Queue::new(LIMITS, RATE);
    let places = (enter(&queue, "P1").await.unwrap(), enter(&queue, "P1").await.unwrap());
    let gone = waits(&queue, "P1");
    until_waiting(&queue, 1).await;
    gone.abort();
    until_waiting(&queue, 0).await;
    drop(places);
    assert_eq!(queue.state().line.working(), 0);
}

#[tokio::test]
async fn a_full_line_refuses_the_flood_and_lets_others_wait() {
    let queue = Queue::new(LIMITS, RATE);
    let _places = (enter(&queue, "P1").await.unwrap(), enter(&queue, "P1").await.unwrap());
    let flood: Vec<_> = (0..3).map(|_| waits(&queue, "P1")).collect();
    until_waiting(&queue, 3).await;
    assert_eq!(enter(&queue, "P1").await.unwrap_err().why, Busy::Full);
    let other = waits(&queue, "P2");
    let mut flood = flood.into_iter();
    let newest = flood.next_back().unwrap().await.unwrap();
    assert_eq!(newest.unwrap_err().why, Busy::Full, "the newest of the flood makes room");
    assert_eq!(queue.state().line.waiting(), 3);
    assert!(!other.is_finished());
}

#[tokio::test]
async fn a_call_that_cannot_be_served_in_time_is_refused_at_once() {
    let queue = Queue::new(LIMITS, RATE);
    let _places = (enter(&queue, "P1").await.unwrap(), enter(&queue, "P1").await.unwrap());
    queue.state().call_seconds = 30.0;
    let refused = queue.enter(&caller("P2"), Class::Live, Instant::now() + Duration::from_secs(5)).await.unwrap_err();
    assert_eq!((refused.why, queue.state().line.waiting()), (Busy::Deadline, 0));
    assert!(refused.retry_after > Duration::ZERO);
}

#[tokio::test]
async fn a_device_that_asks_too_much_is_told_when_it_may() {
    let queue = Queue::new(LIMITS, Rate { per_second: 1.0, burst: 2 });
    for _ in 0..2 {
        drop(enter(&queue, "P1").await.unwrap());
    }
    let refused = enter(&queue, "P1").await.unwrap_err();
    assert_eq!(refused.why, Busy::Device);
    assert!(refused.retry_after > Duration::from_millis(400) && refused.retry_after < Duration::from_millis(1501), "{refused:?}");
    drop(enter(&queue, "P2").await.unwrap());
}

#[tokio::test]
async fn what_calls_take_is_learned_from_those_that_end() {
    let queue = Queue::new(LIMITS, RATE);
    queue.state().call_seconds = 10.0;
    drop(enter(&queue, "P1").await.unwrap());
    let learned = queue.state().call_seconds;
    assert!(learned < 9.9 && learned > 9.0, "{learned}");
}

#[tokio::test]
async fn what_can_wait_feels_live_calls_that_have_to_and_no_others() {
    let pressure = Pressure::default();
    let queue = Queue::new(LIMITS, RATE).felt_by(pressure.clone());
    let _places = (enter(&queue, "P1").await.unwrap(), enter(&queue, "P1").await.unwrap());
    assert!(!pressure.is_felt(), "nobody waits");
    let late = tokio::spawn({
        let queue = queue.clone();
        async move { queue.enter(&caller("P1"), Class::Deferred, soon()).await }
    });
    until_waiting(&queue, 1).await;
    assert!(!pressure.is_felt(), "what came late may wait");
    let live = waits(&queue, "P2");
    until_waiting(&queue, 2).await;
    assert!(pressure.is_felt());
    late.abort();
    live.abort();
}
