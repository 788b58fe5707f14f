//! What people do with cases: complain, take a step, look at draws, watch operators.

use matcher_core::console::{Hearing, HearingError};
use matcher_core::evidence::{
    Case, CaseError, CaseEvent, CaseKind, CaseState, CaseStep, CaseVerdict, Drawn, MissEstimate, Opening, Reviewed,
    card::log_odds,
    estimate_misses,
    operators::{WatchRule, Watched, watch},
};
use thiserror::Error;

use crate::{
    store::{
        RecordId, Store, StoreError, SubjectId, TimeMs,
        cases::{CaseMember, NewCase, StoredCase},
    },
    surroundings::Surroundings,
};

/// A step that was not taken.
#[derive(Debug, Error)]
pub enum DeskError {
    /// There is no such case.
    #[error("case: expected the id of a case")]
    UnknownCase,
    /// There is no such draw, or somebody judged it.
    #[error("draw: expected the id of a drawn verification that nobody has judged")]
    UnknownDraw,
    /// There is nothing to complain about: no verification of that transaction or card.
    #[error("complaint: expected a transaction or a card with a verification")]
    NothingKnown,
    /// A complaint without a reason or a name.
    #[error("{0}: expected a few words")]
    Missing(&'static str),
    /// The step does not follow.
    #[error(transparent)]
    Step(CaseError),
    /// The verdict waits for a second person.
    #[error("the verdict waits for a second person")]
    SecondDue,
    /// Somebody is to be heard before the case ends.
    #[error(transparent)]
    Hearing(HearingError),
    /// Somebody else was faster.
    #[error("the case has changed meanwhile; look at it again")]
    Changed,
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
}

/// A case with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseView {
    /// The case as stored.
    pub stored: StoredCase,
    /// Where it stands.
    pub case: Case,
}

impl CaseView {
    /// A stored case, where its steps lead.
    ///
    /// # Errors
    /// When they do not follow from each other.
    pub fn of(stored: StoredCase) -> Result<Self, DeskError> {
        let case = Case::replay(stored.steps.iter().cloned()).map_err(DeskError::Step)?;
        Ok(Self { stored, case })
    }
}

/// Cases opened since a time, newest first.
///
/// # Errors
/// When the store fails, or a stored case's steps do not follow from each other.
pub async fn cases(store: &dyn Store, since: TimeMs, limit: u32) -> Result<Vec<CaseView>, DeskError> {
    let stored = store.cases(since, limit).await.map_err(DeskError::Store)?;
    stored.into_iter().map(CaseView::of).collect()
}

/// The case of an id.
///
/// # Errors
/// When there is none, or the store fails.
pub async fn case(store: &dyn Store, id: RecordId) -> Result<CaseView, DeskError> {
    let stored = store.case(id).await.map_err(DeskError::Store)?.ok_or(DeskError::UnknownCase)?;
    CaseView::of(stored)
}

/// Takes a step with a case.
///
/// # Errors
/// When the step does not follow from where the case stands, or somebody else was faster.
pub async fn step(store: &dyn Store, id: RecordId, step: CaseStep) -> Result<CaseView, DeskError> {
    let mut view = case(store, id).await?;
    let before = view.case.steps().len();
    let verdict = view.case.verdict();
    view.case.apply(step.clone()).map_err(DeskError::Step)?;
    if let (CaseEvent::Closed, Some(verdict)) = (&step.event, verdict) {
        may_end(store, &view.stored, verdict, step.at).await?;
    }
    if !store.add_case_step(id, before, step).await.map_err(DeskError::Store)? {
        return Err(DeskError::Changed);
    }
    case(store, id).await
}

/// Whether nobody is to look or to be heard before a case ends.
async fn may_end(store: &dyn Store, stored: &StoredCase, verdict: CaseVerdict, at: TimeMs) -> Result<(), DeskError> {
    let (subject, id) = (stored.case.subject, stored.case.id);
    if store.second_due(subject, id).await.map_err(DeskError::Store)? {
        return Err(DeskError::SecondDue);
    }
    let statements = store.statements(subject, id).await.map_err(DeskError::Store)?;
    Hearing::of(statements.iter().map(|stored| &stored.said)).may_end(verdict, at).map_err(DeskError::Hearing)
}

/// Takes the steps from wherever a case stands to a verdict: claims it first where nobody has, and is the second
/// review where a first verdict waits for one.
///
/// # Errors
/// As [`step`].
pub async fn decide(
    store: &dyn Store,
    id: RecordId,
    by: &str,
    at: TimeMs,
    (verdict, reason): (CaseVerdict, &str),
) -> Result<CaseView, DeskError> {
    let make = |event| CaseStep { at, by: by.to_owned(), event };
    let view = case(store, id).await?;
    if view.case.state() == CaseState::Decided {
        return self::step(store, id, make(CaseEvent::Reviewed(verdict, reason.to_owned()))).await;
    }
    if view.case.state() == CaseState::Open {
        self::step(store, id, make(CaseEvent::Claimed)).await?;
    }
    self::step(store, id, make(CaseEvent::Decided(verdict, reason.to_owned()))).await
}

/// Opens a case on a complaint about a person and these verifications, whatever the desk's capacity.
///
/// # Errors
/// When there are none, the reason or the name is missing, or the store fails.
pub async fn complain(
    store: &dyn Store,
    surroundings: &dyn Surroundings,
    about: Option<(SubjectId, Vec<RecordId>)>,
    (by, reason): (&str, &str),
    prevalence: f64,
) -> Result<CaseView, DeskError> {
    for (name, text) in [("by", by), ("reason", reason)] {
        if text.trim().is_empty() {
            return Err(DeskError::Missing(name));
        }
    }
    let (subject, records) = about.filter(|(_, records)| !records.is_empty()).ok_or(DeskError::NothingKnown)?;
    let member = |verification| CaseMember { verification, face: 0, suspect: false };
    let id = surroundings.new_record();
    let case = NewCase {
        subject,
        id,
        kind: CaseKind::Complaint,
        opening: Opening::Complaint,
        opened_at: surroundings.now_ms(),
        log_odds: log_odds(prevalence),
        days: 0,
        reason: reason.to_owned(),
        by: by.to_owned(),
        members: records.into_iter().map(member).collect(),
    };
    store.open_case(case).await.map_err(DeskError::Store)?;
    self::case(store, id).await
}

/// Writes what a reviewer saw in a draw; two people open a case, whatever the desk's capacity.
///
/// # Errors
/// When there is no such draw or it was judged, or the store fails.
pub async fn judge_draw(
    store: &dyn Store,
    surroundings: &dyn Surroundings,
    verification: RecordId,
    (by, two_people): (&str, bool),
    prevalence: f64,
) -> Result<Option<CaseView>, DeskError> {
    if by.trim().is_empty() {
        return Err(DeskError::Missing("by"));
    }
    let draws = store.draws(i32::MIN).await.map_err(DeskError::Store)?;
    let draw = draws.into_iter().find(|draw| draw.verification == verification).ok_or(DeskError::UnknownDraw)?;
    let now = surroundings.now_ms();
    if !store.judge_draw(verification, two_people, by.to_owned(), now).await.map_err(DeskError::Store)? {
        return Err(DeskError::UnknownDraw);
    }
    if !two_people {
        return Ok(None);
    }
    let id = surroundings.new_record();
    let case = NewCase {
        subject: draw.subject,
        id,
        kind: CaseKind::RandomAudit,
        opening: Opening::RandomAudit,
        opened_at: now,
        log_odds: log_odds(prevalence),
        days: 1,
        reason: String::new(),
        by: by.to_owned(),
        members: vec![CaseMember { verification, face: 0, suspect: true }],
    };
    store.open_case(case).await.map_err(DeskError::Store)?;
    self::case(store, id).await.map(Some)
}

/// How many matches are false, by the draws that were judged since a day.
///
/// # Errors
/// When the store fails.
pub async fn misses(store: &dyn Store, from_day: i32) -> Result<MissEstimate, DeskError> {
    let draws = store.draws(from_day).await.map_err(DeskError::Store)?;
    let judged = draws
        .iter()
        .filter(|draw| draw.drawn == Drawn::Match)
        .filter_map(|draw| Some(Reviewed { inclusion: draw.inclusion, two_people: draw.two_people? }));
    Ok(estimate_misses(&judged.collect::<Vec<_>>()))
}

/// Operators and institutions beside their peers since a time.
///
/// # Errors
/// When the store fails.
pub async fn operators(store: &dyn Store, since: TimeMs) -> Result<Vec<Watched>, DeskError> {
    Ok(watch(&WatchRule::default(), &store.tallies(since).await.map_err(DeskError::Store)?))
}
