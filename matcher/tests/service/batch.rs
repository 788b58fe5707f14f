//! Captures compared again: with today's references, by today's policy; records stay as they are.

use matcher::{
    app::recompare::Asked,
    store::{
        RecordId,
        batch::{Recomparison, Tally},
    },
    surroundings::{Surroundings, System},
};
use matcher_core::{Decision, JobKind, JobState};

use crate::support::{TestCenter, capture, live, models, template};

const CARD: &str = "A10020001";

async fn run(center: &TestCenter, kind: JobKind) -> RecordId {
    let asked = Asked { kind, name: String::new(), since: 0, until: System.now_ms() + 1, by: "陈静".into(), reason: "a test".into() };
    let id = center.runner().recomparer.request(asked).await.unwrap().unwrap();
    center.work().await;
    id
}

#[tokio::test]
async fn a_rematch_says_what_todays_references_would_have_said_and_changes_no_record() {
    let (center, device) = TestCenter::live().await;
    let current = models().current().clone();
    let of = |cosine| template(current.model.as_str(), current.recipe.as_str(), cosine);
    center.enrol_at(CARD, &of(1.0), System.now_ms() - 3_600_000).await;
    center.enrol("B10020001").await;
    for (transaction, card, cosine) in [("T-1", CARD, 0.8), ("T-2", CARD, 0.1), ("T-3", "B10020001", 0.8)] {
        device.verify(transaction, &capture(card, cosine)).await.unwrap();
    }
    let before = center.verifications().await;
    let same = run(&center, JobKind::Rematch).await;
    let job = center.center.store.job(same).await.unwrap().unwrap();
    assert_eq!((job.state, job.probes, job.tally), (JobState::Done, 3, Tally { compared: 3, differing: 0, unreadable: 0 }));

    // The photo was of somebody else: as of now it is another one.
    center.replace(CARD, &of(-0.6)).await;
    let changed = run(&center, JobKind::Rematch).await;
    let job = center.center.store.job(changed).await.unwrap().unwrap();
    assert_eq!(job.tally, Tally { compared: 3, differing: 2, unreadable: 0 });
    let rows = center.center.store.recomparisons(changed, 10).await.unwrap();
    let mut decisions: Vec<_> = rows.iter().map(|row| row.decision).collect();
    decisions.sort_unstable_by_key(|decision| decision.word());
    assert_eq!(decisions, [Decision::Match, Decision::NonMatch]);
    assert!(rows.iter().all(|row| row.policy_version == "live-1" && row.score.is_some() && row.reference.is_some()));
    assert_eq!(center.verifications().await, before);

    // Probes from before an update, one or all, have nothing beside them: their records are asked.
    for older in
        ["UPDATE probe SET facts = NULL WHERE verification_id = (SELECT max(verification_id) FROM probe)", "UPDATE probe SET facts = NULL"]
    {
        center.meddle(older);
        let again = run(&center, JobKind::Rematch).await;
        assert_eq!(center.center.store.job(again).await.unwrap().unwrap().tally, job.tally);
        let same = center.center.store.recomparisons(again, 10).await.unwrap();
        let of = |rows: &[Recomparison]| rows.iter().map(|row| (row.verification, row.decision, row.score)).collect::<Vec<_>>();
        assert_eq!(of(&same), of(&rows));
    }
}

#[tokio::test]
async fn a_recomparison_says_what_todays_policy_would_have_said() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    device.verify("T-2", &capture(CARD, 0.95)).await.unwrap();
    let strict = live().replacen("live-1", "strict-1", 1).replacen("match_at_least = 0.50", "match_at_least = 0.90", 1);
    center.apply(&strict).await;
    let rematch = run(&center, JobKind::Rematch).await;
    assert_eq!(center.center.store.recomparisons(rematch, 10).await.unwrap(), [], "by the policy of its time nothing differs");
    let job = run(&center, JobKind::Recompare).await;
    let rows = center.center.store.recomparisons(job, 10).await.unwrap();
    let first = center.verifications().await.pop().unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.verification, row.decision, row.policy_version.as_str())).collect::<Vec<_>>(),
        [(first.id, Decision::Review, "strict-1")]
    );
}

#[tokio::test]
async fn probes_that_do_not_open_are_counted_and_people_who_are_forgotten_are_left_out() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    device.verify("T-2", &capture(CARD, 0.8)).await.unwrap();
    center.meddle("UPDATE probe SET template = sample WHERE verification_id = (SELECT max(verification_id) FROM probe)");
    let job = run(&center, JobKind::Rematch).await;
    let job = center.center.store.job(job).await.unwrap().unwrap();
    assert_eq!(job.tally, Tally { compared: 1, differing: 0, unreadable: 1 });
}
