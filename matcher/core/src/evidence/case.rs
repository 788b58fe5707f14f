//! Cases: what the desk works on, as a state machine over events that are only ever added.
//!
//! `open → claimed → decided → second_review → closed`, and open again. A verdict that accuses somebody is
//! looked at by a second person before the case can close; where the two differ, the case is open again for a
//! third. Not here: which cards become cases (`card`, `desk`).

use thiserror::Error;

use crate::words::words;

words! {
    /// What a case is about.
    CaseKind {
        /// Two faces used the card, and one is like the photo.
        CardShared = "card_shared",
        /// One face used the card and was never like the photo: the photo is old, or a stranger has the card.
        ReferenceStale = "reference_stale",
        /// Several faces used the card, none like the photo.
        SeveralFaces = "several_faces",
        /// A match that a blind review doubts.
        RandomAudit = "random_audit",
        /// Somebody complained.
        Complaint = "complaint",
        /// An operator works otherwise than their peers.
        OperatorPattern = "operator_pattern",
        /// An institution works otherwise than its peers.
        StorePattern = "store_pattern",
        /// One face used several people's cards.
        SameFace = "same_face",
        /// Two people's references seem to show one person.
        DuplicateReference = "duplicate_reference",
    }
}

words! {
    /// Why a case was opened.
    Opening {
        /// Evidence added up.
        Evidence = "evidence",
        /// A random match was doubted in a blind review.
        RandomAudit = "random_audit",
        /// Somebody complained.
        Complaint = "complaint",
        /// A search among other people's faces found something.
        Identification = "identification",
    }
}

words! {
    /// What a reviewer found.
    CaseVerdict {
        /// Somebody else used the card.
        Confirmed = "confirmed",
        /// Nothing is wrong.
        FalseAlarm = "false_alarm",
        /// Somebody collected for the holder, as the rules allow, and it was not recorded.
        Proxy = "proxy",
        /// It cannot be told.
        Inconclusive = "inconclusive",
    }
}

impl CaseVerdict {
    /// Whether a second person must agree before the case can close.
    #[must_use]
    pub fn asks_for_second_review(self) -> bool {
        match self {
            Self::Confirmed => true,
            Self::FalseAlarm | Self::Proxy | Self::Inconclusive => false,
        }
    }
}

words! {
    /// Where a case stands.
    CaseState {
        /// Nobody works on it.
        Open = "open",
        /// Somebody does.
        Claimed = "claimed",
        /// There is a verdict.
        Decided = "decided",
        /// A second person agreed with it.
        SecondReview = "second_review",
        /// Done, until it is opened again.
        Closed = "closed",
    }
}

/// Something that happened to a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseEvent {
    /// Somebody works on it from now on.
    Claimed,
    /// Whoever worked on it does no longer.
    Released,
    /// A verdict, with the reason in a few words.
    Decided(CaseVerdict, String),
    /// A second person's verdict, with the reason.
    Reviewed(CaseVerdict, String),
    /// It is done.
    Closed,
    /// It is open again: a complaint, an appeal, something new.
    Reopened(String),
}

impl CaseEvent {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Released => "released",
            Self::Decided(..) => "decided",
            Self::Reviewed(..) => "reviewed",
            Self::Closed => "closed",
            Self::Reopened(_) => "reopened",
        }
    }

    /// Its verdict and its reason, where it has them.
    #[must_use]
    pub fn said(&self) -> (Option<CaseVerdict>, &str) {
        match self {
            Self::Decided(verdict, reason) | Self::Reviewed(verdict, reason) => (Some(*verdict), reason),
            Self::Reopened(reason) => (None, reason),
            Self::Claimed | Self::Released | Self::Closed => (None, ""),
        }
    }

    /// The event of a word, as it is stored; none when the parts do not make one.
    #[must_use]
    pub fn from_parts(word: &str, verdict: Option<CaseVerdict>, reason: &str) -> Option<Self> {
        match (word, verdict) {
            ("claimed", None) => Some(Self::Claimed),
            ("released", None) => Some(Self::Released),
            ("closed", None) => Some(Self::Closed),
            ("reopened", None) => Some(Self::Reopened(reason.to_owned())),
            ("decided", Some(verdict)) => Some(Self::Decided(verdict, reason.to_owned())),
            ("reviewed", Some(verdict)) => Some(Self::Reviewed(verdict, reason.to_owned())),
            _ => None,
        }
    }
}

/// An event, who made it, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseStep {
    /// Milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// Who.
    pub by: String,
    /// What.
    pub event: CaseEvent,
}

/// A step that does not follow from where the case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CaseError {
    /// The case stands elsewhere.
    #[error("a case that is {} cannot be {event}", .state.word())]
    Order {
        /// Where it stands.
        state: CaseState,
        /// The event's word.
        event: &'static str,
    },
    /// Somebody else works on it.
    #[error("the case is claimed by somebody else")]
    NotYours,
    /// Whoever decided a case does not judge it again.
    #[error("by: expected somebody who has not judged this case")]
    JudgedBefore,
    /// A verdict or a reopening without a reason.
    #[error("reason: expected a few words")]
    NoReason,
    /// A step without a name.
    #[error("by: expected a name")]
    NoName,
    /// The verdict waits for a second person.
    #[error("the verdict {} waits for a second review", .0.word())]
    SecondReviewDue(CaseVerdict),
}

/// A case as its steps made it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Case {
    steps: Vec<CaseStep>,
    state: CaseState,
    claimed_by: Option<String>,
    judges: Vec<String>,
    verdict: Option<CaseVerdict>,
}

/// A case starts open.
impl Default for CaseState {
    fn default() -> Self {
        Self::Open
    }
}

impl Case {
    /// The case these steps make.
    ///
    /// # Errors
    /// When a step does not follow from those before it.
    pub fn replay(steps: impl IntoIterator<Item = CaseStep>) -> Result<Self, CaseError> {
        let mut case = Self::default();
        steps.into_iter().try_for_each(|step| case.apply(step))?;
        Ok(case)
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> CaseState {
        self.state
    }

    /// Who works on it, or on its second review.
    #[must_use]
    pub fn claimed_by(&self) -> Option<&str> {
        self.claimed_by.as_deref()
    }

    /// The verdict that stands; none while the case is open or two differ.
    #[must_use]
    pub fn verdict(&self) -> Option<CaseVerdict> {
        self.verdict
    }

    /// Who gave a verdict on it; they do not judge it again.
    #[must_use]
    pub fn judges(&self) -> &[String] {
        &self.judges
    }

    /// All that happened, in order.
    #[must_use]
    pub fn steps(&self) -> &[CaseStep] {
        &self.steps
    }

    /// Adds a step.
    ///
    /// # Errors
    /// When it does not follow from where the case stands; the case is as it was.
    pub fn apply(&mut self, step: CaseStep) -> Result<(), CaseError> {
        if step.by.trim().is_empty() {
            return Err(CaseError::NoName);
        }
        let order = CaseError::Order { state: self.state(), event: step.event.word() };
        match (&step.event, self.state()) {
            (CaseEvent::Claimed, CaseState::Open) => self.claim(&step.by)?,
            (CaseEvent::Claimed, CaseState::Decided) if self.claimed_by.is_none() => self.claim_review(&step.by)?,
            (CaseEvent::Released, CaseState::Claimed | CaseState::Decided) => self.release(&step.by)?,
            (CaseEvent::Decided(verdict, reason), CaseState::Claimed) => self.decide(&step.by, *verdict, reason)?,
            (CaseEvent::Reviewed(verdict, reason), CaseState::Decided) => self.review(&step.by, *verdict, reason)?,
            (CaseEvent::Closed, CaseState::Decided | CaseState::SecondReview) => self.close()?,
            (CaseEvent::Reopened(reason), CaseState::Decided | CaseState::SecondReview | CaseState::Closed) => {
                given(reason)?;
                self.state = CaseState::Open;
                self.claimed_by = None;
                self.verdict = None;
            }
            _ => return Err(order),
        }
        self.steps.push(step);
        Ok(())
    }

    fn claim(&mut self, by: &str) -> Result<(), CaseError> {
        self.fresh(by)?;
        self.claimed_by = Some(by.to_owned());
        self.state = CaseState::Claimed;
        Ok(())
    }

    /// Claims the second review; the case stays decided.
    fn claim_review(&mut self, by: &str) -> Result<(), CaseError> {
        self.fresh(by)?;
        self.claimed_by = Some(by.to_owned());
        Ok(())
    }

    fn release(&mut self, by: &str) -> Result<(), CaseError> {
        self.own(by)?;
        self.claimed_by = None;
        if self.state == CaseState::Claimed {
            self.state = CaseState::Open;
        }
        Ok(())
    }

    fn decide(&mut self, by: &str, verdict: CaseVerdict, reason: &str) -> Result<(), CaseError> {
        self.own(by)?;
        given(reason)?;
        self.claimed_by = None;
        self.judges.push(by.to_owned());
        self.verdict = Some(verdict);
        self.state = CaseState::Decided;
        Ok(())
    }

    /// A second verdict: the same lets the case go on, another opens it for a third person.
    fn review(&mut self, by: &str, verdict: CaseVerdict, reason: &str) -> Result<(), CaseError> {
        self.fresh(by)?;
        if self.claimed_by.as_deref().is_some_and(|claimer| claimer != by) {
            return Err(CaseError::NotYours);
        }
        given(reason)?;
        self.claimed_by = None;
        self.judges.push(by.to_owned());
        let agrees = self.verdict == Some(verdict);
        self.state = if agrees { CaseState::SecondReview } else { CaseState::Open };
        self.verdict = self.verdict.filter(|_| agrees);
        Ok(())
    }

    fn close(&mut self) -> Result<(), CaseError> {
        match self.verdict.filter(|verdict| verdict.asks_for_second_review()) {
            Some(verdict) if self.state() == CaseState::Decided => Err(CaseError::SecondReviewDue(verdict)),
            _ => {
                self.claimed_by = None;
                self.state = CaseState::Closed;
                Ok(())
            }
        }
    }

    fn own(&self, by: &str) -> Result<(), CaseError> {
        if self.claimed_by.as_deref() == Some(by) { Ok(()) } else { Err(CaseError::NotYours) }
    }

    fn fresh(&self, by: &str) -> Result<(), CaseError> {
        if self.judges.iter().any(|judge| judge == by) { Err(CaseError::JudgedBefore) } else { Ok(()) }
    }
}

fn given(reason: &str) -> Result<(), CaseError> {
    if reason.trim().is_empty() { Err(CaseError::NoReason) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
