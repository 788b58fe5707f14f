//! What is found among what came.

use matcher_core::evidence::{CaseKind, Opening};

use super::*;
use crate::store::cases::Finding;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_enrolled_twice_in_a_region_is_flagged_once() {
    let site = Site::new();
    for person in 1..=4 {
        site.enrol(person, "330200", &face(person.into())).await;
    }
    let mut indexes = Indexes::default();
    assert_eq!(site.turn(&mut indexes).await.duplicates, 0);
    site.enrol(5, "330200", &like(2, 1, 0.8)).await;
    site.enrol(6, "330300", &like(3, 2, 0.8)).await;
    site.enrol(7, "330200", &like(4, 3, 0.3)).await;
    assert_eq!(site.turn(&mut indexes).await.duplicates, 1, "not in another region, and not by a low score");
    assert_eq!(site.turn(&mut indexes).await.duplicates, 0);
    assert_eq!(site.flags().await, [FlagKind::DuplicateReference]);
    let found = site.findings().await;
    let of: Vec<u8> = found.iter().map(|finding| finding.subject.0[0]).collect();
    assert_eq!((of, found[0].score.unwrap() > 0.7), (vec![2, 5], true));
    let cases = site.store().cases(0, 9).await.unwrap();
    assert_eq!(cases.len(), 1);
    let case = &cases[0].case;
    assert_eq!((case.subject.0[0], case.kind, case.opening), (5, CaseKind::DuplicateReference, Opening::Identification));
    // The other's photo is renewed: the pair is known.
    site.enrol(2, "330200", &like(2, 9, 0.9)).await;
    assert_eq!(site.turn(&mut indexes).await.duplicates, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_local_false_match_rates_nothing_is_found_and_nothing_is_lost() {
    let public = policy().replace("source = \"local\"", "source = \"public\"");
    for text in [searching(&Policy::demonstration()), public] {
        let site = Site::with(&text);
        let mut indexes = Indexes::default();
        site.enrol(1, "330200", &face(1)).await;
        site.enrol(2, "330200", &like(1, 1, 0.9)).await;
        for (person, envelope) in [(1, 11), (2, 12)] {
            site.visit(person, envelope, "pharmacy-1", &face(9), Decision::NonMatch, 99).await;
        }
        assert_eq!(site.turn(&mut indexes).await, Turn::default());
        assert_eq!((site.flags().await, site.findings().await.len()), (Vec::new(), 0));
        let turn = site.store().take_search("duplicates", site.surroundings.now_ms(), 1).await.unwrap().unwrap();
        assert_eq!((turn.fence, turn.position.number), (1, 0), "its place waits for a table");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_face_on_three_cards_of_an_institution_is_flagged_and_makes_a_case() {
    let site = Site::new();
    for person in 1..=5 {
        site.enrol(person, "330200", &face(person.into())).await;
    }
    let mut indexes = Indexes::default();
    let stranger = |other: u64| like(77, other, 0.85);
    // Two cards; a third elsewhere; a third long ago; holders of their own cards.
    site.visit(1, 11, "pharmacy-1", &stranger(1), Decision::NonMatch, 90).await;
    site.visit(2, 12, "pharmacy-1", &stranger(2), Decision::NonMatch, 91).await;
    site.visit(3, 13, "pharmacy-2", &stranger(3), Decision::NonMatch, 92).await;
    site.visit(4, 14, "pharmacy-1", &like(4, 4, 0.9), Decision::Match, 93).await;
    assert_eq!(site.turn(&mut indexes).await.same_faces, 0);
    advance(&site, DAY_MS);
    site.visit(5, 15, "pharmacy-1", &stranger(5), Decision::Review, 94).await;
    assert_eq!(site.turn(&mut indexes).await.same_faces, 1);
    site.visit(5, 16, "pharmacy-1", &stranger(6), Decision::Review, 95).await;
    assert_eq!(site.turn(&mut indexes).await.same_faces, 0, "known");
    assert_eq!(site.flags().await, [FlagKind::SameFaceSeveralCards]);
    let flag = &site.store().flags(&Listing { limit: 9, ..Listing::default() }).await.unwrap()[0];
    assert_eq!((flag.institution.as_str(), flag.verification), ("pharmacy-1", Some(RecordId([15; 16]))));
    let found = site.findings().await;
    assert_eq!(found.iter().map(|finding| finding.subject.0[0]).collect::<Vec<_>>(), [1, 2, 5]);
    let cases = site.store().cases(0, 9).await.unwrap();
    let case = &cases[0].case;
    assert_eq!((cases.len(), case.kind, case.subject.0[0]), (1, CaseKind::SameFace, 1));
    assert_eq!(case.members.iter().map(|member| (member.verification.0[0], member.suspect)).collect::<Vec<_>>(), [(11, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_face_that_matches_two_of_three_cards_is_not_flagged() {
    let site = Site::new();
    for person in 1..=3 {
        site.enrol(person, "330200", &face(person.into())).await;
    }
    let twins = |other: u64| like(77, other, 0.85);
    site.visit(1, 11, "pharmacy-1", &twins(1), Decision::Match, 90).await;
    site.visit(2, 12, "pharmacy-1", &twins(2), Decision::Match, 91).await;
    site.visit(3, 13, "pharmacy-1", &twins(3), Decision::NonMatch, 92).await;
    assert_eq!(site.turn(&mut Indexes::default()).await.same_faces, 0);
    assert_eq!(site.flags().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_faces_on_one_card_are_flagged_once_a_month() {
    let site = Site::new();
    site.enrol(1, "330200", &face(1)).await;
    let turn = site.store().take_case_run(1, 100).await.unwrap().unwrap();
    let judged =
        |at: i64| Finding { subject: SubjectId([1; 16]), judged_at: at, last_visit_at: at, kind: None, log_odds: 0.0, days: 3, faces: 3 };
    site.store().put_findings(turn.fence, vec![judged(100 * DAY_MS)]).await.unwrap();
    let mut indexes = Indexes::default();
    assert_eq!(site.turn(&mut indexes).await.many_faces, 1);
    advance(&site, DAY_MS);
    site.store().put_findings(turn.fence, vec![judged(101 * DAY_MS)]).await.unwrap();
    assert_eq!(site.turn(&mut indexes).await.many_faces, 0, "known");
    advance(&site, 40 * DAY_MS);
    site.store().put_findings(turn.fence, vec![judged(141 * DAY_MS)]).await.unwrap();
    assert_eq!(site.turn(&mut indexes).await.many_faces, 1);
    assert_eq!(site.flags().await, [FlagKind::ManyFacesOneCard; 2]);
}
