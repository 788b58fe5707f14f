//! What every store must do for the review console: users and sessions, the queue, judgements, statements.

use std::{future::Future, sync::Arc};

use matcher_core::{
    Scene,
    console::{Judgement, LockRule, Role, Statement, StatementKind},
    evidence::{CaseEvent, CaseKind, CaseState, CaseStep, CaseVerdict, Opening},
};

use super::{enrolment, verification};
use crate::store::{
    NewVerification, RecordId, Sealed, Store, StoreError, SubjectId,
    accounts::{Session, User, UserChange},
    cases::{CaseMember, NewCase},
    desk::{Judged, QueueFilter, QueueRow, QueueState, SealedWords, StoredStatement},
};

pub(super) async fn check<F: Future<Output = Arc<dyn Store>>>(fresh: &impl Fn() -> F) {
    users_are_added_once_changed_and_locked(fresh().await).await;
    sessions_begin_with_a_code_once_and_end_with_their_user(fresh().await).await;
    the_queue_is_read_page_by_page_in_one_order(fresh().await).await;
    the_queue_follows_what_happens_to_cases(fresh().await).await;
    judgements_and_statements_are_only_added(fresh().await).await;
    figures_count_pairs_of_verdicts(fresh().await).await;
}

fn user(name: &str) -> User {
    User {
        name: name.into(),
        id: SubjectId(std::array::from_fn(|i| name.as_bytes().get(i).copied().unwrap_or(7))),
        data_key: Sealed(vec![3; 70]),
        role: Role::StoreManager,
        institution: "P1".into(),
        password: "$argon2id$".into(),
        must_change: true,
        totp: None,
        totp_step: 0,
        failures: 0,
        locked_until: 0,
        created_at: 5,
        disabled_at: None,
    }
}

fn session(of: &str, token: u8) -> Session {
    Session { token_hash: [token; 32], user: of.into(), created_at: 100, seen_at: 100, address: "::1".into() }
}

async fn users_are_added_once_changed_and_locked(store: Arc<dyn Store>) {
    store.add_user(user("anna"), "adam").await.unwrap();
    store.add_user(user("ben"), "adam").await.unwrap();
    assert!(matches!(store.add_user(user("anna"), "adam").await, Err(StoreError::Conflict(_))));
    assert_eq!(store.user("anna").await.unwrap(), Some(user("anna")));
    assert_eq!(store.users().await.unwrap(), [user("anna"), user("ben")]);
    let change = async |change| store.change_user("anna", change, None, "adam", 9).await.unwrap();
    assert!(change(UserChange::Role(Role::Auditor, String::new())).await);
    assert!(change(UserChange::Totp(Some(Sealed(vec![8])))).await && change(UserChange::Disabled(true)).await);
    let anna = store.user("anna").await.unwrap().unwrap();
    assert_eq!((anna.role, anna.institution.as_str(), anna.totp, anna.disabled_at), (Role::Auditor, "", Some(Sealed(vec![8])), Some(9)));
    assert!(!store.change_user("nobody", UserChange::Unlocked, None, "adam", 9).await.unwrap());
    let rule = LockRule { free: 1, first_ms: 50, max_ms: 60 };
    for (at, locked_until) in [(10, 0), (20, 70), (30, 90)] {
        store.sign_in_refused("ben", rule, "::1", at).await.unwrap();
        assert_eq!(store.user("ben").await.unwrap().unwrap().locked_until, locked_until);
    }
    store.sign_in_refused("nobody", rule, "::1", 40).await.unwrap();
    assert!(store.change_user("ben", UserChange::Unlocked, None, "adam", 9).await.unwrap());
    let ben = store.user("ben").await.unwrap().unwrap();
    assert_eq!((ben.failures, ben.locked_until), (0, 0));
}

async fn sessions_begin_with_a_code_once_and_end_with_their_user(store: Arc<dyn Store>) {
    store.add_user(user("anna"), "").await.unwrap();
    assert!(store.sign_in(session("anna", 1), None).await.unwrap());
    let (found, of) = store.session([1; 32]).await.unwrap().unwrap();
    assert_eq!((found, of.name.as_str()), (session("anna", 1), "anna"));
    store.session_seen([1; 32], 150).await.unwrap();
    assert_eq!(store.session([1; 32]).await.unwrap().unwrap().0.seen_at, 150);
    let change = async |change, keep| store.change_user("anna", change, keep, "", 9).await.unwrap();
    assert!(change(UserChange::Totp(Some(Sealed(vec![8]))), Some([1; 32])).await);
    assert!(!store.sign_in(session("anna", 2), None).await.unwrap(), "there is a second factor meanwhile");
    assert!(store.sign_in(session("anna", 2), Some(7)).await.unwrap());
    assert!(!store.sign_in(session("anna", 3), Some(7)).await.unwrap(), "a code is taken once");
    assert!(store.session([1; 32]).await.unwrap().is_some() && store.session([3; 32]).await.unwrap().is_none());
    assert!(change(UserChange::Password("other".into(), false), Some([2; 32])).await);
    assert!(store.session([1; 32]).await.unwrap().is_none() && store.session([2; 32]).await.unwrap().is_some());
    assert_eq!(store.sweep_sessions(100, 100).await.unwrap(), 0);
    assert_eq!(store.sweep_sessions(100, 101).await.unwrap(), 1);
    assert!(store.sign_in(session("anna", 4), Some(8)).await.unwrap());
    store.end_session([4; 32]).await.unwrap();
    assert!(store.session([4; 32]).await.unwrap().is_none());
}

/// A person with a capture and a case about it.
pub(super) async fn case(store: &dyn Store, person: u8, (opening, log_odds): (Opening, f64), opened_at: i64) -> RecordId {
    store.put_enrolments(vec![enrolment(person, &[person], person)]).await.unwrap();
    let mut new: NewVerification = verification(&format!("T{person}"), person);
    new.record.subject = Some(SubjectId([person; 16]));
    new.record.scene = if person.is_multiple_of(2) { Scene::Settlement } else { Scene::Reception };
    let member = CaseMember { verification: new.record.id, face: 1, suspect: true };
    store.record_verification(new).await.unwrap();
    let id = RecordId([person; 16]);
    let kind = if opening == Opening::Complaint { CaseKind::Complaint } else { CaseKind::CardShared };
    let (subject, members) = (SubjectId([person; 16]), vec![member]);
    let by = String::new();
    store
        .open_case(NewCase { subject, id, kind, opening, opened_at, log_odds, days: 2, reason: String::new(), by, members })
        .await
        .unwrap();
    id
}

fn ids(rows: &[QueueRow]) -> Vec<u8> {
    rows.iter().map(|row| row.id.0[0]).collect()
}

async fn the_queue_is_read_page_by_page_in_one_order(store: Arc<dyn Store>) {
    for (person, opening, log_odds) in [
        (1, Opening::Evidence, 1.5),
        (2, Opening::Evidence, 3.0),
        (3, Opening::Complaint, -5.0),
        (4, Opening::Evidence, 1.5),
        (5, Opening::RandomAudit, -1.0),
    ] {
        case(store.as_ref(), person, (opening, log_odds), i64::from(person) * 10).await;
    }
    let queue = async |filter: QueueFilter, after, limit| store.queue(filter, after, limit).await.unwrap();
    let all = queue(QueueFilter::default(), None, 9).await;
    assert_eq!(ids(&all), [3, 5, 2, 4, 1]);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = queue(QueueFilter::default(), after, 2).await;
        let Some(last) = page.last() else { break };
        after = Some((last.rank, last.id));
        paged.extend(ids(&page));
    }
    assert_eq!(paged, [3, 5, 2, 4, 1]);
    let institution = all[0].institutions.clone();
    assert_eq!((all[0].captures, institution.1, all[0].identifier_masked.is_empty()), (1, 1, false));
    let of = QueueFilter::default;
    let filters = [
        (QueueFilter { kind: Some(CaseKind::Complaint), ..of() }, vec![3]),
        (QueueFilter { scene: Some(Scene::Settlement), ..of() }, vec![2, 4]),
        (QueueFilter { institution: Some(institution.0.clone()), scene: Some(Scene::Reception), ..of() }, vec![3, 5, 1]),
        (QueueFilter { institution: Some("elsewhere".into()), ..of() }, vec![]),
        (QueueFilter { opened_from: Some(20), opened_before: Some(50), ..of() }, vec![3, 2, 4]),
        (QueueFilter { state: QueueState::In(CaseState::Closed), ..of() }, vec![]),
        (QueueFilter { assignee: Some("anna".into()), ..of() }, vec![]),
    ];
    for (filter, expected) in filters {
        assert_eq!(ids(&queue(filter.clone(), None, 9).await), expected, "{filter:?}");
    }
    assert_eq!(store.queue_page((QueueFilter::default(), None, 9), ("anna", 5), 9).await.unwrap().institutions, [institution.0]);
    assert_eq!(ids(&store.cases_of_transaction("T4", 9).await.unwrap()), [4]);
    assert_eq!(ids(&store.cases_of_subject(SubjectId([2; 16]), 9).await.unwrap()), [2]);
    assert_eq!(ids(&store.cases_of_prefix([5; 5]).await.unwrap()), [5]);
    assert!(store.cases_of_prefix([9; 5]).await.unwrap().is_empty());
}

async fn take(store: &dyn Store, id: RecordId, before: usize, by: &str, event: CaseEvent) {
    assert!(store.add_case_step(id, before, CaseStep { at: 1_000 + before as i64, by: by.into(), event }).await.unwrap());
}

async fn the_queue_follows_what_happens_to_cases(store: Arc<dyn Store>) {
    let id = case(store.as_ref(), 1, (Opening::Evidence, 1.0), 10).await;
    let other = case(store.as_ref(), 2, (Opening::Evidence, 1.0), 10).await;
    let counts = async || {
        let counts = store.queue_page((QueueFilter::default(), None, 9), ("anna", 5), 9).await.unwrap().counts;
        [counts.open, counts.claimed, counts.second_due, counts.decided, counts.closed, counts.mine, counts.opened_today]
    };
    assert_eq!(counts().await, [2, 0, 0, 0, 0, 0, 2]);
    take(store.as_ref(), id, 0, "anna", CaseEvent::Claimed).await;
    assert_eq!(counts().await, [1, 1, 0, 0, 0, 1, 2]);
    take(store.as_ref(), id, 1, "anna", CaseEvent::Decided(CaseVerdict::Confirmed, "two".into())).await;
    assert!(store.second_due(SubjectId([1; 16]), id).await.unwrap());
    assert_eq!(counts().await, [1, 0, 1, 0, 0, 0, 2]);
    let due = QueueFilter { state: QueueState::SecondDue, ..QueueFilter::default() };
    assert_eq!(ids(&store.queue(due, None, 9).await.unwrap()), [1]);
    take(store.as_ref(), id, 2, "ben", CaseEvent::Claimed).await;
    take(store.as_ref(), id, 3, "ben", CaseEvent::Reviewed(CaseVerdict::Confirmed, "so do I".into())).await;
    assert_eq!(counts().await, [1, 0, 0, 1, 0, 0, 2]);
    take(store.as_ref(), id, 4, "ben", CaseEvent::Closed).await;
    assert_eq!(counts().await, [1, 0, 0, 0, 1, 0, 2]);
    take(store.as_ref(), other, 0, "anna", CaseEvent::Claimed).await;
    let verdict = CaseEvent::Decided(CaseVerdict::FalseAlarm, "a haircut".into());
    let step = CaseStep { at: 9, by: "anna".into(), event: verdict };
    assert!(!store.decide_case(other, 0, step.clone(), true).await.unwrap(), "it has had another step");
    assert!(store.decide_case(other, 1, step, true).await.unwrap());
    assert_eq!(counts().await, [0, 0, 1, 0, 1, 0, 2]);
    let again = case_again(store.as_ref(), 1).await;
    let ranks: Vec<f64> = store.cases_of_subject(SubjectId([1; 16]), 9).await.unwrap().iter().map(|row| row.rank).collect();
    assert!(ranks.len() == 2 && ranks[0] > ranks[1], "a repeat comes before a first: {again} {ranks:?}");
}

async fn case_again(store: &dyn Store, person: u8) -> RecordId {
    let id = RecordId([person + 100; 16]);
    let new = NewCase {
        subject: SubjectId([person; 16]),
        id,
        kind: CaseKind::CardShared,
        opening: Opening::Evidence,
        opened_at: 99,
        log_odds: 1.0,
        days: 2,
        reason: String::new(),
        by: String::new(),
        members: Vec::new(),
    };
    store.open_case(new).await.unwrap();
    id
}

async fn judgements_and_statements_are_only_added(store: Arc<dyn Store>) {
    let id = case(store.as_ref(), 1, (Opening::Evidence, 1.0), 10).await;
    let subject = SubjectId([1; 16]);
    let judged = |by: &str, judgement| Judged {
        by: by.into(),
        at: 20,
        verification: Some(RecordId([1; 16])),
        judgement: Judgement::new(judgement).unwrap(),
        draw: 0.25,
    };
    assert!(store.put_judgement(subject, id, judged("anna", -3)).await.unwrap());
    assert!(!store.put_judgement(subject, id, judged("anna", 3)).await.unwrap(), "once");
    assert!(store.put_judgement(subject, id, judged("ben", 2)).await.unwrap());
    let sheet = store.case_sheet(id).await.unwrap().unwrap();
    assert_eq!(sheet.judgements, [judged("anna", -3), judged("ben", 2)]);
    assert_eq!((sheet.second_due, sheet.statements.len(), Some(sheet.stored)), (false, 0, store.case(id).await.unwrap()));
    assert!(store.case_sheet(RecordId([99; 16])).await.unwrap().is_none());
    let institution = store.cases_of_subject(subject, 9).await.unwrap()[0].institutions.0.clone();
    let said = |kind, at| StoredStatement {
        said: Statement { at, by: "anna".into(), kind, institution: institution.clone(), text: String::new(), due_at: Some(99) },
        words: Some(SealedWords { data_key: Sealed(vec![3; 70]), sealed: Sealed(vec![at as u8; 40]) }),
    };
    assert!(store.cases_asked(&institution, 9).await.unwrap().is_empty());
    assert!(store.add_statement(subject, id, 0, said(StatementKind::StoreAsked, 30)).await.unwrap());
    assert!(!store.add_statement(subject, id, 0, said(StatementKind::StoreAsked, 30)).await.unwrap());
    let asked = store.cases_asked(&institution, 9).await.unwrap();
    assert_eq!((asked.len(), asked[0].id, asked[0].asked_at, asked[0].due_at, asked[0].replied), (1, id, 30, Some(99), false));
    assert!(store.add_statement(subject, id, 1, said(StatementKind::StoreReply, 40)).await.unwrap());
    assert!(store.cases_asked(&institution, 9).await.unwrap()[0].replied);
    assert!(store.cases_asked("elsewhere", 9).await.unwrap().is_empty());
    let kinds: Vec<_> = store.statements(subject, id).await.unwrap().iter().map(|stored| stored.said.kind).collect();
    assert_eq!(store.statements(subject, id).await.unwrap(), [said(StatementKind::StoreAsked, 30), said(StatementKind::StoreReply, 40)]);
    assert!(store.clear_words(9).await.unwrap().is_empty());
    assert_eq!(kinds, [StatementKind::StoreAsked, StatementKind::StoreReply]);
    let around = store.case_surroundings(subject, id).await.unwrap();
    assert_eq!((around.photos.len(), around.cases.len(), around.with_sample.len()), (1, 0, 0));
    let contents = store.case_contents(subject, id, vec![RecordId([1; 16]), RecordId([99; 16])]).await.unwrap();
    assert_eq!((contents.around, contents.proxies), (around.clone(), Vec::new()));
    assert_eq!(contents.records, store.verifications_at(vec![(subject, RecordId([1; 16])), (subject, RecordId([99; 16]))]).await.unwrap());
    assert_eq!(contents.records.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
    assert_eq!(store.case_pictures(subject, id).await.unwrap().photos, around.photos);
    let (measures, sample) = store.sealed_pair(subject, Some(around.photos[0].photo), Some(RecordId([1; 16]))).await.unwrap();
    assert!(measures.is_some_and(|measures| measures.picture.sample.0.is_empty()) && sample.is_none());
    assert_eq!(store.sealed_pair(SubjectId([2; 16]), Some(around.photos[0].photo), None).await.unwrap(), (None, None));
    assert!(store.sealed_photo(subject, around.photos[0].photo).await.unwrap().is_some());
    assert!(store.sealed_photo(SubjectId([2; 16]), around.photos[0].photo).await.unwrap().is_none());
    assert!(store.sealed_sample(subject, RecordId([1; 16])).await.unwrap().is_none());
}

async fn figures_count_pairs_of_verdicts(store: Arc<dyn Store>) {
    for (person, second) in [(1, CaseVerdict::Confirmed), (2, CaseVerdict::FalseAlarm)] {
        let id = case(store.as_ref(), person, (Opening::Evidence, 1.0), 10).await;
        take(store.as_ref(), id, 0, "anna", CaseEvent::Claimed).await;
        take(store.as_ref(), id, 1, "anna", CaseEvent::Decided(CaseVerdict::Confirmed, "two".into())).await;
        take(store.as_ref(), id, 2, "ben", CaseEvent::Reviewed(second, "hm".into())).await;
    }
    let figures = store.reviewer_figures(0).await.unwrap();
    let counts: Vec<_> = figures.iter().map(|of| (of.name.as_str(), of.decided, of.confirmed, of.reviewed, of.twice, of.agreed)).collect();
    assert_eq!(counts, [("anna", 2, 2, 0, 2, 1), ("ben", 0, 0, 2, 2, 1)]);
    assert!(store.reviewer_figures(86_400_000).await.unwrap().is_empty());
}
