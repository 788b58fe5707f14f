//! Cards with one face, two and several; days and clamps; and what must hold for any card.

use proptest::prelude::*;

use super::*;
use crate::evidence::file::{EvidenceFile, tests::text};

fn model() -> EvidenceModel {
    toml::from_str::<EvidenceFile>(text()).unwrap().check().unwrap()
}

fn rule() -> CardRule {
    CardRule::new(0.005, 0.5, 0.5).unwrap()
}

/// A visit of a person on a day: who it is decides the scores.
#[derive(Debug, Clone, Copy)]
struct Seen {
    id: u8,
    day: i32,
    person: u8,
    to_reference: f32,
    explained: bool,
}

fn seen(id: u8, day: i32, person: u8, to_reference: f32) -> Seen {
    Seen { id, day, person, to_reference, explained: false }
}

fn judged(seen: &[Seen]) -> CardFinding {
    let visits: Vec<Visit> =
        seen.iter().map(|s| Visit { id: [s.id; 16], day: s.day, to_reference: Some(s.to_reference), explained: s.explained }).collect();
    judge_card(&model(), &rule(), &visits, &|a, b| if seen[a].person == seen[b].person { 0.8 } else { 0.0 })
}

#[track_caller]
fn check(seen: &[Seen], kind: Option<CaseKind>, opens: bool, days: usize) -> CardFinding {
    let finding = judged(seen);
    assert_eq!((finding.kind, rule().opens(finding.log_odds), finding.days), (kind, opens, days), "{finding:?}");
    finding
}

#[test]
fn an_honest_card_is_no_case() {
    check(&[], None, false, 0);
    let finding = check(&[seen(1, 1, 1, 0.7), seen(2, 5, 1, 0.5), seen(3, 9, 1, 0.2)], None, false, 3);
    assert!(finding.log_odds < rule().prior());
    assert_eq!(finding.suspects().len(), 3);
}

#[test]
fn one_face_never_like_the_photo_is_a_stale_reference() {
    check(&[seen(1, 1, 1, 0.1)], Some(CaseKind::ReferenceStale), false, 1);
    check(&[seen(1, 1, 1, 0.1), seen(2, 2, 1, 0.1)], Some(CaseKind::ReferenceStale), true, 2);
}

#[test]
fn two_faces_one_like_the_photo_share_a_card() {
    let holder = [seen(1, 1, 1, 0.7), seen(2, 5, 1, 0.7)];
    check(&[&holder[..], &[seen(3, 6, 2, 0.0)]].concat(), Some(CaseKind::CardShared), false, 1);
    let finding = check(&[&holder[..], &[seen(3, 6, 2, 0.0), seen(4, 8, 2, 0.0)]].concat(), Some(CaseKind::CardShared), true, 2);
    assert_eq!(finding.faces, [vec![[1; 16], [2; 16]], vec![[3; 16], [4; 16]]]);
    assert_eq!(finding.suspects(), [[3; 16], [4; 16]]);
    // Two strangers, a visit each, weigh like one stranger twice.
    check(&[&holder[..], &[seen(3, 6, 2, 0.0), seen(4, 8, 3, 0.0)]].concat(), Some(CaseKind::CardShared), true, 2);
}

#[test]
fn several_faces_none_like_the_photo() {
    check(&[seen(1, 1, 1, 0.1), seen(2, 2, 2, 0.1), seen(3, 3, 3, 0.1)], Some(CaseKind::SeveralFaces), true, 2);
}

#[test]
fn a_twin_who_looks_like_the_photo_but_not_like_the_anchor_weighs_less() {
    let with = |score| judged(&[seen(1, 1, 1, 0.7), seen(2, 2, 2, score), seen(3, 3, 2, score)]).log_odds;
    assert!(with(0.55) < with(0.3), "{} {}", with(0.55), with(0.3));
}

#[test]
fn one_day_counts_once_whatever_happens_on_it() {
    let once = judged(&[seen(1, 1, 1, 0.7), seen(2, 6, 2, 0.0)]);
    let often: Vec<Seen> = (2..20).map(|id| seen(id, 6, 2, 0.0)).collect();
    let often = judged(&[&[seen(1, 1, 1, 0.7)][..], &often].concat());
    assert!(often.days == 1 && (often.log_odds - once.log_odds).abs() < 1e-9, "{often:?}");
    let mixed = judged(&[seen(1, 1, 1, 0.15), seen(2, 1, 1, 0.25)]);
    assert!((mixed.log_odds - rule().after(&[3.0])).abs() < 1e-5, "the mean of 4 and 2");
}

#[test]
fn what_a_document_explains_is_no_evidence() {
    let proxy = |id, day| Seen { explained: true, ..seen(id, day, 2, 0.0) };
    let finding = check(&[seen(1, 1, 1, 0.7), proxy(2, 2), proxy(3, 3)], None, false, 1);
    assert_eq!(finding.faces, [vec![[1; 16]]]);
}

#[test]
fn a_card_without_a_reference_speaks_only_through_its_faces() {
    let without = |visits: &[Visit]| judge_card(&model(), &rule(), visits, &|_, _| 0.0);
    let visit = |id, day| Visit { id: [id; 16], day, to_reference: None, explained: false };
    assert_eq!(without(&[visit(1, 1)]).days, 0);
    let two = without(&[visit(1, 1), visit(2, 2)]);
    assert_eq!((two.kind, two.days, two.log_odds), (Some(CaseKind::SeveralFaces), 1, rule().after(&[9.0])));
}

#[test]
fn only_the_latest_visits_count() {
    let old = seen(1, 0, 2, 0.0);
    let new: Vec<Seen> = (2..34).map(|id| seen(id, i32::from(id), 1, 0.7)).collect();
    let finding = judged(&[&[old][..], &new].concat());
    assert_eq!((finding.faces.len(), finding.faces[0].len()), (1, VISITS_MAX));
}

#[test]
fn days_of_one_mind_count_for_less_than_their_number() {
    let rule = rule();
    assert_eq!(rule.after(&[]), rule.prior());
    assert!((rule.after(&[2.0]) - rule.prior() - 2.0).abs() < 1e-12);
    // 2 days at ρ = 0.5: 2 / 1.5 = 1.333 days.
    assert!((rule.after(&[2.0, 4.0]) - rule.prior() - 4.0).abs() < 1e-12);
    // 3 days: 3 / 2 = 1.5 days.
    assert!((rule.after(&[2.0, 4.0, 3.0]) - rule.prior() - 4.5).abs() < 1e-12);
    assert!((rule.visit_max() + rule.prior() + 0.5).abs() < 1e-12, "half a unit below the threshold at 0.5");
}

#[track_caller]
fn check_refused(prevalence: f64, correlation: f64, posterior_min: f64, field: &str) {
    assert_eq!(CardRule::new(prevalence, correlation, posterior_min).unwrap_err().field, field);
}

#[test]
fn rules_out_of_order_are_named() {
    check_refused(0.0, 0.5, 0.5, "prevalence");
    check_refused(0.11, 0.5, 0.5, "prevalence");
    check_refused(f64::NAN, 0.5, 0.5, "prevalence");
    check_refused(0.005, -0.1, 0.5, "correlation");
    check_refused(0.005, 1.0, 0.5, "correlation");
    check_refused(0.005, 0.5, 0.09, "posterior_min");
    check_refused(0.005, 0.5, 1.0, "posterior_min");
    // At a prior as high as the threshold one visit would do.
    check_refused(0.1, 0.5, 0.1, "prevalence");
    // Days so alike that a second adds nothing.
    check_refused(0.005, 0.99, 0.5, "prevalence");
    assert!(CardRule::new(0.1, 0.0, 0.5).is_ok());
}

#[test]
fn odds_and_probabilities_are_two_views_of_one_thing() {
    assert!((probability(log_odds(0.005)) - 0.005).abs() < 1e-12 && log_odds(0.5).abs() < 1e-12);
    assert!(rule().opens(0.0) && !rule().opens(-1e-9));
}

fn any_seen() -> impl Strategy<Value = Vec<Seen>> {
    let one = (0..12_i32, 0..4_u8, -0.2_f32..0.9, prop::bool::weighted(0.1));
    prop::collection::vec(one, 0..14).prop_map(|seen| {
        let numbered = seen.into_iter().zip(0_u8..);
        numbered.map(|((day, person, to_reference, explained), id)| Seen { id, day, person, to_reference, explained }).collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_visits_does_not_matter(seen in any_seen(), seed in any::<u64>()) {
        let mut other = seen.clone();
        let mut state = seed;
        for at in (1..other.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            other.swap(at, (state >> 33) as usize % (at + 1));
        }
        prop_assert_eq!(judged(&seen), judged(&other));
    }

    #[test]
    fn one_day_never_opens_a_case(seen in any_seen()) {
        let one_day: Vec<Seen> = seen.iter().map(|s| Seen { day: 7, ..*s }).collect();
        let finding = judged(&one_day);
        prop_assert!(finding.days <= 1 && !rule().opens(finding.log_odds), "{finding:?}");
    }

    #[test]
    fn more_evidence_on_a_day_never_lowers_the_sum(days in prop::collection::vec(-9.0_f64..9.0, 1..20), at in any::<prop::sample::Index>(), more in 0.0_f64..5.0) {
        let mut raised = days.clone();
        raised[at.index(days.len())] += more;
        prop_assert!(rule().after(&raised) >= rule().after(&days) - 1e-12);
    }

    #[test]
    fn another_day_as_strong_as_the_mean_adds(day in 0.01_f64..9.0, count in 1_usize..20) {
        let sum = |count| rule().after(&vec![day; count]);
        prop_assert!(sum(count + 1) > sum(count));
    }

    #[test]
    fn sums_stay_within_what_clamps_allow(days in prop::collection::vec(-1e6_f64..1e6, 0..40)) {
        let most = rule().visit_max() / 0.5;
        prop_assert!((rule().after(&days) - rule().prior()).abs() <= most + 1e-9);
    }

    #[test]
    fn every_visit_that_counts_has_one_face(seen in any_seen()) {
        let mut ids: Vec<VisitId> = judged(&seen).faces.into_iter().flatten().collect();
        ids.sort_unstable();
        let expected: Vec<VisitId> = seen.iter().filter(|s| !s.explained).map(|s| [s.id; 16]).collect();
        prop_assert_eq!(ids, expected);
    }
}
