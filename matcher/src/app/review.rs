//! What reviewers do with a case, in an order that the center keeps: claim, look at the faces and judge them, see the rest,
//! decide; a second person likewise, who is shown nothing of the first; and the parties are heard before anything follows.
//!
//! Not here: pages (`crate::console`), and the rules (`matcher_core::console`, `matcher_core::evidence::case`).

use std::sync::Arc;

use matcher_core::{
    console::{Hearing, HearingError, Judgement, SecondLook, Statement, StatementKind},
    evidence::{Case, CaseEvent, CaseState, CaseStep, CaseVerdict},
};
use thiserror::Error;

use super::cases::desk::{self, CaseView, DeskError};
use crate::{
    center::Center,
    store::{
        RecordId, StoreError, SubjectId, TimeMs,
        desk::{CasePictures, CaseSheet, Judged},
    },
    surroundings::Surroundings,
};

pub mod faces;
pub mod story;
pub mod words;

/// Longest words of a decision or a statement, in characters.
pub const WORDS_MAX: usize = 2_000;

/// A step that was not taken.
#[derive(Debug, Error)]
pub enum ReviewError {
    /// It does not follow from where the case stands.
    #[error(transparent)]
    Desk(DeskError),
    /// Somebody else works on the case, or nobody.
    #[error("the case is not yours")]
    NotYours,
    /// The faces are to be judged first.
    #[error("the faces are to be judged first")]
    NotJudged,
    /// They were judged before; a judgement stays.
    #[error("a judgement is given once")]
    JudgedBefore,
    /// The verdict waits for a second person.
    #[error("the verdict waits for a second person")]
    SecondDue,
    /// Somebody is to be heard first.
    #[error(transparent)]
    Hearing(HearingError),
    /// The words are too long.
    #[error("text: expected at most {WORDS_MAX} characters")]
    TooLong,
    /// The institution has nothing to do with the case.
    #[error("institution: expected one of the case's")]
    Institution,
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
}

/// How cases are reviewed.
#[derive(Debug, Clone)]
pub struct ReviewRules {
    /// Which verdicts a second person looks at.
    pub second: SecondLook,
    /// How long a store has for its reply, in milliseconds.
    pub reply_ms: i64,
    /// Within what time a complaint is answered, in milliseconds.
    pub complaint_ms: i64,
}

/// Reviews cases of a center.
#[derive(Clone)]
pub struct Review {
    /// Store, vault and policy.
    pub center: Center,
    /// Clock and randomness.
    pub surroundings: Arc<dyn Surroundings>,
    /// How.
    pub rules: ReviewRules,
}

impl std::fmt::Debug for Review {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Review").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// A case with what was seen and said in it.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// The case and where it stands.
    pub view: CaseView,
    /// What was seen, by time.
    pub judgements: Vec<Judged>,
    /// What was said, in order.
    pub statements: Vec<Statement>,
    /// Whether the verdict waits for a second look.
    pub second_due: bool,
}

impl CaseFile {
    /// The case.
    #[must_use]
    pub fn case(&self) -> &Case {
        &self.view.case
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.view.stored.case.id
    }

    /// Whose card.
    #[must_use]
    pub fn subject(&self) -> SubjectId {
        self.view.stored.case.subject
    }

    /// What somebody saw in it.
    #[must_use]
    pub fn judged_by(&self, name: &str) -> Option<&Judged> {
        self.judgements.iter().find(|judged| judged.by == name)
    }

    /// Whether somebody works on it now.
    #[must_use]
    pub fn held_by(&self, name: &str) -> bool {
        self.case().claimed_by() == Some(name)
    }

    /// Whether somebody may see more than faces: they judged them, or nobody is to judge them next.
    #[must_use]
    pub fn told_to(&self, name: &str) -> bool {
        self.judged_by(name).is_some() || !self.blind_to(name)
    }

    /// Whether what others saw and decided is kept from somebody: whoever may judge next does not know it.
    #[must_use]
    pub fn blind_to(&self, name: &str) -> bool {
        let to_be_judged = match self.case().state() {
            CaseState::Open | CaseState::Claimed => true,
            CaseState::Decided => self.second_due,
            CaseState::SecondReview | CaseState::Closed => false,
        };
        to_be_judged && !self.case().judges().iter().any(|judge| judge == name)
    }

    /// Who was heard.
    #[must_use]
    pub fn hearing(&self) -> Hearing {
        Hearing::of(&self.statements)
    }
}

impl Review {
    /// A case with all of it.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn file(&self, id: RecordId) -> Result<CaseFile, ReviewError> {
        let sheet = self.center.store.case_sheet(id).await.map_err(ReviewError::Store)?;
        let CaseSheet { stored, judgements, statements, second_due } = sheet.ok_or(ReviewError::Desk(DeskError::UnknownCase))?;
        let view = CaseView::of(stored).map_err(ReviewError::Desk)?;
        let subject = view.stored.case.subject;
        let statements =
            (1..).zip(statements).map(|(number, stored)| words::opened(&self.center.vault, (subject, id, number), stored)).collect();
        Ok(CaseFile { view, judgements, statements, second_due })
    }

    /// Takes a case to work on: an open one, or one that waits for a second look.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub async fn claim(&self, id: RecordId, by: &str) -> Result<(), ReviewError> {
        let file = self.file(id).await?;
        if file.case().state() == CaseState::Decided && !file.second_due {
            return Err(ReviewError::NotYours);
        }
        self.step(id, by, CaseEvent::Claimed).await
    }

    /// Gives a case back.
    ///
    /// # Errors
    /// When it is somebody else's.
    pub async fn release(&self, id: RecordId, by: &str) -> Result<(), ReviewError> {
        self.step(id, by, CaseEvent::Released).await
    }

    /// Writes down what somebody sees in the faces; once.
    ///
    /// # Errors
    /// When the case is not theirs, or they judged it before.
    pub async fn judge(&self, id: RecordId, by: &str, judgement: Judgement, shown: Option<RecordId>) -> Result<(), ReviewError> {
        let file = self.file(id).await?;
        if !file.held_by(by) {
            return Err(ReviewError::NotYours);
        }
        let is_member = |id: &RecordId| file.view.stored.case.members.iter().any(|member| member.verification == *id);
        let verification = shown.filter(is_member);
        let [high, low, ..] = self.surroundings.random_id();
        let draw = f64::from(u16::from_be_bytes([high, low])) / 65_536.0;
        let judged = Judged { by: by.to_owned(), at: self.surroundings.now_ms(), verification, judgement, draw };
        let put = self.center.store.put_judgement(file.subject(), id, judged).await.map_err(ReviewError::Store)?;
        if put { Ok(()) } else { Err(ReviewError::JudgedBefore) }
    }

    /// Gives a verdict: the first, or the second where one waits.
    ///
    /// # Errors
    /// When the case is not theirs, the faces were not judged, or there is no reason.
    pub async fn decide(&self, id: RecordId, by: &str, verdict: CaseVerdict, reason: &str) -> Result<(), ReviewError> {
        let reason = trimmed(reason)?;
        let file = self.file(id).await?;
        if !file.held_by(by) {
            return Err(ReviewError::NotYours);
        }
        if file.judged_by(by).is_none() {
            return Err(ReviewError::NotJudged);
        }
        if file.case().state() == CaseState::Decided {
            return self.step(id, by, CaseEvent::Reviewed(verdict, reason)).await;
        }
        let draw = file.judgements.first().map_or(1.0, |judged| judged.draw);
        let second_due = self.rules.second.asked(verdict, draw);
        let step = CaseStep { at: self.surroundings.now_ms(), by: by.to_owned(), event: CaseEvent::Decided(verdict, reason) };
        file.case().clone().apply(step.clone()).map_err(|error| ReviewError::Desk(DeskError::Step(error)))?;
        let before = file.case().steps().len();
        let done = self.center.store.decide_case(id, before, step, second_due).await.map_err(ReviewError::Store)?;
        if done { Ok(()) } else { Err(ReviewError::Desk(DeskError::Changed)) }
    }

    /// Closes a case, once nobody waits for anything.
    ///
    /// # Errors
    /// When a second person or a party is to be heard first.
    pub async fn close(&self, id: RecordId, by: &str) -> Result<(), ReviewError> {
        let done = self.step(id, by, CaseEvent::Closed).await;
        match done {
            Err(ReviewError::Desk(DeskError::SecondDue)) => Err(ReviewError::SecondDue),
            Err(ReviewError::Desk(DeskError::Hearing(error))) => Err(ReviewError::Hearing(error)),
            done => done,
        }
    }

    /// Opens a case again, for somebody who has not judged it.
    ///
    /// # Errors
    /// When it is not decided, or there is no reason.
    pub async fn reopen(&self, id: RecordId, by: &str, reason: &str) -> Result<(), ReviewError> {
        self.step(id, by, CaseEvent::Reopened(trimmed(reason)?)).await
    }

    /// Adds a statement.
    ///
    /// # Errors
    /// When it answers nothing, says nothing, or its institution has nothing to do with the case.
    pub async fn say(&self, id: RecordId, by: &str, kind: StatementKind, institution: &str, text: &str) -> Result<(), ReviewError> {
        let text = trimmed(text)?;
        let file = self.file(id).await?;
        let of_store = matches!(kind, StatementKind::StoreAsked | StatementKind::StoreReply);
        if of_store != file.view.stored.institutions.iter().any(|of_case| of_case == institution) {
            return Err(ReviewError::Institution);
        }
        file.hearing().may_say(kind, institution, &text).map_err(ReviewError::Hearing)?;
        let at = self.surroundings.now_ms();
        let due_at = match kind {
            StatementKind::StoreAsked => Some(at + self.rules.reply_ms),
            StatementKind::Complaint => Some(at + self.rules.complaint_ms),
            StatementKind::Note | StatementKind::StoreReply | StatementKind::ComplaintAnswered => None,
        };
        let statement = Statement { at, by: by.to_owned(), kind, institution: institution.to_owned(), text, due_at };
        let before = file.statements.len();
        let number = u32::try_from(before + 1).unwrap_or(u32::MAX);
        let new = words::sealed(&self.center.vault, (file.subject(), id, number), statement);
        let done = self.center.store.add_statement(file.subject(), id, before, new).await.map_err(ReviewError::Store)?;
        if done { Ok(()) } else { Err(ReviewError::Desk(DeskError::Changed)) }
    }

    /// The pictures of a case, and nothing else of it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn pictures_of(&self, file: &CaseFile) -> Result<CasePictures, ReviewError> {
        self.center.store.case_pictures(file.subject(), file.id()).await.map_err(ReviewError::Store)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        self.surroundings.now_ms()
    }

    async fn step(&self, id: RecordId, by: &str, event: CaseEvent) -> Result<(), ReviewError> {
        let step = CaseStep { at: self.surroundings.now_ms(), by: by.to_owned(), event };
        desk::step(self.center.store.as_ref(), id, step).await.map(drop).map_err(ReviewError::Desk)
    }
}

fn trimmed(text: &str) -> Result<String, ReviewError> {
    let text = text.trim().replace("\r\n", "\n");
    if text.chars().count() > WORDS_MAX { Err(ReviewError::TooLong) } else { Ok(text) }
}
