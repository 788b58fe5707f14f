//! Who else is this?

use matcher_core::{
    AuditAction,
    evidence::{CaseKind, Opening},
};

use super::*;
use crate::{
    identify::ask::{AskError, Question, Scope},
    store::{
        Sealed,
        cases::{CaseMember, NewCase},
        desk::PhotoFacts,
        seeds::{NewSeedCase, SeedCapture, SeedPair, SeedPictures},
    },
};

fn question(record: u8, scope: Scope) -> Question {
    Question { subject: SubjectId([1; 16]), record: RecordId([record; 16]), scope, by: "anna".into(), reason: "appeal 2026/17".into() }
}

async fn searches(site: &Site) -> Vec<String> {
    let mut found = Vec::new();
    for epoch in site.store().audit_epochs().await.unwrap() {
        for (_, entries) in site.store().audit_links(epoch.epoch, 0, 100).await.unwrap() {
            let entries = entries.into_iter().filter_map(|entry| entry.content);
            found.extend(entries.filter(|content| content.action == AuditAction::FaceSearched.word()).map(|content| content.detail));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn others_of_the_scope_are_reported_by_id_and_the_search_is_written_down() {
    let site = Site::new();
    for person in 1..=4 {
        site.enrol(person, "330200", &face(person.into())).await;
    }
    site.enrol(5, "330200", &like(1, 1, 0.8)).await;
    site.enrol(6, "330300", &like(1, 2, 0.8)).await;
    site.visit(1, 11, "pharmacy-1", &like(1, 3, 0.9), Decision::Match, 99).await;
    site.visit(2, 12, "pharmacy-1", &like(1, 4, 0.9), Decision::NonMatch, 99).await;
    site.visit(2, 13, "pharmacy-1", &like(1, 5, 0.95), Decision::NonMatch, 99).await;
    let mut references = site.searcher.held(Searchable::Reference).await.unwrap();
    let mut probes = site.searcher.held(Searchable::Probe).await.unwrap();
    // By a reference and by a probe, among references.
    for record in [1, 11] {
        let answer = site.searcher.ask(&mut references, &question(record, Scope::Region("330200".into()))).await.unwrap();
        assert_eq!((answer.searched, answer.threshold), (5, 0.5));
        let people: Vec<_> = answer.candidates.iter().map(|candidate| candidate.person.clone()).collect();
        assert_eq!(people, [SubjectId([5; 16]).to_string()], "neither the person nor another region");
    }
    // Among visits: each person once, by the likest.
    let answer = site.searcher.ask(&mut probes, &question(11, Scope::Institution("pharmacy-1".into()))).await.unwrap();
    assert_eq!((answer.searched, answer.candidates.len()), (3, 1));
    assert_eq!(answer.candidates[0].record, RecordId([13; 16]).to_string());
    let written = searches(&site).await;
    assert_eq!(written.len(), 3);
    assert!(written[0].contains("appeal 2026/17") && written[0].contains("330200"), "{}", written[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_without_reason_record_or_rates_reports_nothing() {
    let site = Site::new();
    site.enrol(1, "330200", &face(1)).await;
    let mut held = site.searcher.held(Searchable::Reference).await.unwrap();
    let region = || Scope::Region("330200".into());
    let no_reason = Question { reason: " ".into(), ..question(1, region()) };
    assert!(matches!(site.searcher.ask(&mut held, &no_reason).await, Err(AskError::Empty("reason"))));
    let nobody = Question { by: String::new(), ..question(1, region()) };
    assert!(matches!(site.searcher.ask(&mut held, &nobody).await, Err(AskError::Empty("by"))));
    assert!(matches!(site.searcher.ask(&mut held, &question(9, region())).await, Err(AskError::UnknownRecord)));
    assert_eq!(searches(&site).await, [] as [String; 0]);
    let site = Site::with(&searching(&Policy::demonstration()));
    site.enrol(1, "330200", &face(1)).await;
    let mut held = site.searcher.held(Searchable::Reference).await.unwrap();
    let refused = site.searcher.ask(&mut held, &question(1, region())).await.unwrap_err();
    assert!(refused.to_string().starts_with("nothing is reported among 1 people: the policy in force carries no"), "{refused}");
    assert_eq!(searches(&site).await.len(), 1, "that it was tried is written down");
}

/// A known-answer case about a capture, as a store has it.
async fn seed(site: &Site, capture: u8) -> SubjectId {
    let subject = SubjectId([200; 16]);
    let sealed = || Sealed(vec![2; 100]);
    let picture = || SealedProbe { sample: sealed(), template: sealed() };
    let pair = SeedPair {
        id: RecordId([201; 16]),
        name: "pair".into(),
        licence: "CC0".into(),
        mated: false,
        score: 0.1,
        model: "m@1".into(),
        recipe: "r@1".into(),
        added_at: 1,
        added_by: "adam".into(),
        retired_at: None,
    };
    let captures = vec![SeedCapture { own: false, score: 0.1, live: None, sample: sealed() }];
    assert!(site.store().add_seed_pair(pair, SeedPictures { data_key: sealed(), photo: picture(), captures }).await.unwrap());
    let mut record = contract::verification(&format!("T{capture}"), capture).record;
    record.subject = Some(subject);
    let case = NewCase {
        subject,
        id: RecordId([202; 16]),
        kind: CaseKind::CardShared,
        opening: Opening::Evidence,
        opened_at: 1,
        log_odds: 1.0,
        days: 2,
        reason: String::new(),
        by: String::new(),
        members: vec![CaseMember { verification: record.id, face: 1, suspect: true }],
    };
    let facts =
        PhotoFacts { photo: RecordId([203; 16]), source: "card_photo".into(), state: "active".into(), enrolled_at: 1, taken_on: None };
    let (pair, captures) = (RecordId([201; 16]), vec![(record, sealed())]);
    let new = NewSeedCase { pair, case, data_key: sealed(), facts, photo: picture(), captures, flags: vec![] };
    assert!(site.store().open_seed_case(new).await.unwrap());
    subject
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_answer_case_is_answered_like_any_and_its_face_is_not_searched() {
    let site = Site::new();
    for person in 1..=3 {
        site.enrol(person, "330200", &face(person.into())).await;
    }
    let subject = seed(&site, 77).await;
    let mut held = site.searcher.held(Searchable::Reference).await.unwrap();
    let asked = Question { subject, ..question(77, Scope::Region("330200".into())) };
    let answer = site.searcher.ask(&mut held, &asked).await.unwrap();
    assert_eq!((answer.searched, answer.threshold, answer.candidates.len()), (3, 0.5, 0));
    let real = site.searcher.ask(&mut held, &question(1, Scope::Region("330200".into()))).await.unwrap();
    assert_eq!((real.searched, real.threshold, real.fpir, real.candidates.len()), (answer.searched, answer.threshold, answer.fpir, 0));
    assert_eq!(searches(&site).await.len(), 2, "both are written down alike");
}
