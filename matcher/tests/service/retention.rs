//! Retention on records as the service writes them, at a chosen hour.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use matcher::{
    app::{
        retention::{Retainer, RetentionError},
        subjects,
    },
    config::Config,
    store::subjects::Hold,
    surroundings::{Surroundings, System},
};
use matcher_core::{Identifier, IdentifierKind, Region};
use proto::v1;

use crate::support::{TestCenter, capture};

const CARD: &str = "A10020001";
const DAY_MS: i64 = 86_400_000;

/// The machine's clock, moved ahead.
struct Ahead(AtomicI64);

impl Surroundings for Ahead {
    fn now_ms(&self) -> i64 {
        System.now_ms() + self.0.load(Ordering::SeqCst)
    }

    fn random_id(&self) -> [u8; 16] {
        System.random_id()
    }
}

struct Years {
    center: TestCenter,
    clock: Arc<Ahead>,
    retainer: Retainer,
}

impl Years {
    /// A match, a match in a flagged transaction, a review and a non-match of one person, today.
    async fn begin() -> Self {
        // Mismatches alone are checked again, so that their number is known.
        let center = TestCenter::init_with(|config| config.recheck.share = 0.0).await;
        let device = center.device("1").await;
        center.enrol(CARD).await;
        for (transaction, cosine) in [("T-match", 0.8), ("T-review", 0.4), ("T-none", 0.1)] {
            device.verify(transaction, &capture(CARD, cosine)).await.unwrap();
        }
        device.verify_attempt("T-two", 1, &capture(CARD, 0.1)).await.unwrap();
        let second = device.verify_attempt("T-two", 2, &capture(CARD, 0.8)).await.unwrap();
        assert_eq!(second.decision(), v1::Decision::Match);
        let clock = Arc::new(Ahead(0.into()));
        let rule = Config::shipped().unwrap().retention.rule();
        let every = Duration::from_secs(3_600);
        let surroundings = Arc::clone(&clock) as Arc<dyn Surroundings>;
        let retainer = Retainer { center: center.center.clone(), surroundings, rule, every };
        Self { center, clock, retainer }
    }

    /// What a run so many days from the start deletes, by kind, without those it deletes nothing of.
    async fn run_after(&self, days: i64) -> Vec<(String, u64)> {
        self.clock.0.store(days * DAY_MS, Ordering::SeqCst);
        let expected = self.retainer.dry_run().await.unwrap();
        let counts = self.retainer.run_now().await.unwrap();
        assert_eq!(counts[..2], expected[..2], "a dry run counts the same");
        counts.into_iter().filter(|(_, rows)| *rows > 0).collect()
    }
}

fn counts(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(kind, rows)| ((*kind).to_owned(), *rows)).collect()
}

fn card() -> Identifier {
    Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), CARD).unwrap()
}

#[tokio::test]
async fn faces_go_first_and_decisions_last() {
    let years = Years::begin().await;
    let count = |sql: &str| years.center.count(&format!("SELECT count(*) FROM {sql}"));
    assert_eq!(years.run_after(6).await, []);
    assert_eq!(years.run_after(8).await, counts(&[("match_samples", 1)]));
    assert_eq!((count("probe"), count("probe WHERE length(sample) = 0")), (5, 1));
    assert_eq!(years.run_after(9).await, [], "once");
    assert_eq!(years.run_after(31).await, counts(&[("match_templates", 1)]));
    assert_eq!((count("probe"), count("verification"), count("recheck")), (4, 5, 2));
    assert_eq!(years.run_after(91).await, counts(&[("disputed_probes", 4)]));
    assert_eq!((count("probe"), count("recheck"), count("verification"), count("flag")), (0, 0, 5, 3));
    assert_eq!(years.run_after(1_094).await, []);
    assert_eq!(years.run_after(1_096).await, counts(&[("decisions", 5)]));
    assert_eq!((count("verification"), count("request"), count("flag"), count("reference")), (0, 0, 0, 1));
    let runs = years.center.center.store.retention_runs(100).await.unwrap();
    assert_eq!((runs.len(), runs.iter().filter(|run| run.finished_at.is_some()).count()), (7, 7));
    assert_eq!(count("audit_entry WHERE action = 'retention_run'"), 7);
}

#[tokio::test]
async fn what_a_hold_is_about_stays_until_it_ends() {
    let years = Years::begin().await;
    let who = subjects::find(&years.center.center, &card()).await.unwrap();
    let (now, until) = (System.now_ms(), Some(System.now_ms() + 2_000 * DAY_MS));
    let (id, reason, placed_by) = (System.new_record(), "appeal".to_owned(), "auditor".to_owned());
    years.center.center.store.place_hold(who, Hold { id, reason, placed_by, placed_at: now, until, released: None }).await.unwrap();
    assert_eq!(years.run_after(1_999).await, []);
    let after = years.run_after(2_001).await;
    assert_eq!(after, counts(&[("match_samples", 1), ("match_templates", 1), ("disputed_probes", 4), ("decisions", 5)]));
}

#[tokio::test]
async fn superseded_photos_and_tombstones_end_too() {
    let years = Years::begin().await;
    years.center.meddle("UPDATE enrolment SET state = 'superseded'");
    assert_eq!(years.run_after(29).await, counts(&[("match_samples", 1)]));
    let after = years.run_after(32).await;
    assert_eq!(after, counts(&[("match_templates", 1), ("ended_photos", 1)]));
    let count = |table: &str| years.center.count(&format!("SELECT count(*) FROM {table}"));
    assert_eq!((count("reference"), count("enrolment_photo"), count("identifier")), (0, 0, 1));
    let who = subjects::find(&years.center.center, &card()).await.unwrap();
    subjects::forget(&years.center.center, years.clock.as_ref(), who, None).await.unwrap();
    assert_eq!(years.run_after(32 + 364).await, []);
    assert_eq!(years.run_after(32 + 366).await, counts(&[("tombstones", 1)]));
}

#[tokio::test]
async fn one_run_at_a_time_and_whoever_is_too_slow_deletes_nothing_more() {
    let years = Years::begin().await;
    let store = &years.center.center.store;
    let now = System.now_ms();
    let (slow, lease_ms) = (System.new_record(), 1_000);
    assert!(store.begin_retention(slow, now, lease_ms).await.unwrap());
    assert!(!store.begin_retention(System.new_record(), now, lease_ms).await.unwrap());
    assert!(matches!(years.retainer.run_now().await, Err(RetentionError::UnderWay)));
    assert_eq!(years.run_after(8).await, counts(&[("match_samples", 1)]), "a lease that is over holds nobody up");
    let kind = matcher_core::RetentionKind::DisputedProbes;
    let batch = matcher::store::retention::Batch { run: slow, kind, before: i64::MAX, now: now + 2_000, lease_ms, limit: 10 };
    assert_eq!(store.retain(batch).await.unwrap(), None);
    assert!(!store.finish_retention(slow, now + 2_000, Vec::new()).await.unwrap());
    assert_eq!(years.center.count("SELECT count(*) FROM probe"), 5);
    assert!(years.retainer.run_if_due().await.unwrap().is_none(), "the last run was just now");
    years.clock.0.fetch_add(3_600_001, Ordering::SeqCst);
    assert!(years.retainer.run_if_due().await.unwrap().is_some());
}
