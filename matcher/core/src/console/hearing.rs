//! Who was heard: the store's reply and the patient's complaint, before anything follows from a case.
//!
//! Statements are only ever added. A confirmed case ends only after the store was asked and replied, or let its time pass;
//! no case ends while a complaint waits for its answer.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{evidence::CaseVerdict, words::words};

words! {
    /// What is said in a case.
    StatementKind {
        /// A note of whoever works on it.
        Note = "note",
        /// The store is asked, with a deadline.
        StoreAsked = "store_asked",
        /// The store's reply.
        StoreReply = "store_reply",
        /// The patient's complaint, with the time by which it is answered.
        Complaint = "complaint",
        /// The answer to the patient.
        ComplaintAnswered = "complaint_answered",
    }
}

/// Something that was said in a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// Who wrote it.
    pub by: String,
    /// What it is.
    pub kind: StatementKind,
    /// The institution that is asked or replies; empty for all other kinds.
    pub institution: String,
    /// Its words.
    pub text: String,
    /// By when something is due; none where nothing is.
    pub due_at: Option<i64>,
}

/// Why a case cannot end, or a statement not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HearingError {
    /// Nobody asked the store.
    #[error("the store has not been asked")]
    NotAsked,
    /// The store may still reply.
    #[error("the store may still reply")]
    ReplyDue(i64),
    /// A complaint waits for its answer.
    #[error("a complaint waits for its answer")]
    ComplaintOpen(i64),
    /// There is nothing to answer.
    #[error("there is nothing to answer")]
    NothingAsked,
    /// It says nothing.
    #[error("text: expected a few words")]
    Empty,
}

/// Where hearing the parties stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hearing {
    /// By when each institution is to reply; none once it has.
    asked: BTreeMap<String, Option<i64>>,
    complaint_until: Option<i64>,
}

impl Hearing {
    /// What statements, in their order, make.
    #[must_use]
    pub fn of<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> Self {
        let mut hearing = Self::default();
        for statement in statements {
            let due = statement.due_at.unwrap_or(statement.at);
            match statement.kind {
                StatementKind::Note => {}
                StatementKind::StoreAsked => drop(hearing.asked.insert(statement.institution.clone(), Some(due))),
                StatementKind::StoreReply => drop(hearing.asked.insert(statement.institution.clone(), None)),
                StatementKind::Complaint => hearing.complaint_until = Some(due),
                StatementKind::ComplaintAnswered => hearing.complaint_until = None,
            }
        }
        hearing
    }

    /// By when the last institution is to reply, while one has not.
    #[must_use]
    pub fn reply_due(&self) -> Option<i64> {
        self.asked.values().copied().flatten().max()
    }

    /// Whether an institution was asked.
    #[must_use]
    pub fn was_asked(&self, institution: &str) -> bool {
        self.asked.contains_key(institution)
    }

    /// By when the complaint is to be answered, while it is not.
    #[must_use]
    pub fn complaint_due(&self) -> Option<i64> {
        self.complaint_until
    }

    /// Whether a case may end with a verdict.
    ///
    /// # Errors
    /// When somebody is still to be heard.
    pub fn may_end(&self, verdict: CaseVerdict, now: i64) -> Result<(), HearingError> {
        if let Some(until) = self.complaint_until {
            return Err(HearingError::ComplaintOpen(until));
        }
        if verdict != CaseVerdict::Confirmed {
            return Ok(());
        }
        match self.reply_due() {
            _ if self.asked.is_empty() => Err(HearingError::NotAsked),
            Some(until) if now < until => Err(HearingError::ReplyDue(until)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether something may be said now.
    ///
    /// # Errors
    /// When it answers nothing, or says nothing.
    pub fn may_say(&self, kind: StatementKind, institution: &str, text: &str) -> Result<(), HearingError> {
        if text.trim().is_empty() {
            return Err(HearingError::Empty);
        }
        let answers = match kind {
            StatementKind::Note | StatementKind::StoreAsked | StatementKind::Complaint => true,
            StatementKind::StoreReply => self.was_asked(institution),
            StatementKind::ComplaintAnswered => self.complaint_until.is_some(),
        };
        if answers { Ok(()) } else { Err(HearingError::NothingAsked) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CaseVerdict::{Confirmed, FalseAlarm};
    use StatementKind::{Complaint, ComplaintAnswered, Note, StoreAsked, StoreReply};

    /// Statements at 10, 20, …, each with what is due; asked at 100.
    #[track_caller]
    fn check(said: &[(StatementKind, Option<i64>)], verdict: CaseVerdict, expected: Result<(), HearingError>) {
        let statement = |(at, (kind, due_at)): (i64, &(StatementKind, Option<i64>))| Statement {
            at: at * 10,
            by: "anna".into(),
            kind: *kind,
            institution: if matches!(kind, StoreAsked | StoreReply) { "P1".into() } else { String::new() },
            text: "words".into(),
            due_at: *due_at,
        };
        let statements: Vec<Statement> = (1..).zip(said).map(statement).collect();
        assert_eq!(Hearing::of(&statements).may_end(verdict, 100), expected);
    }

    #[test]
    fn a_confirmed_case_ends_after_the_store_was_heard() {
        check(&[], FalseAlarm, Ok(()));
        check(&[], Confirmed, Err(HearingError::NotAsked));
        check(&[(Note, None)], Confirmed, Err(HearingError::NotAsked));
        check(&[(StoreAsked, Some(101))], Confirmed, Err(HearingError::ReplyDue(101)));
        check(&[(StoreAsked, Some(100))], Confirmed, Ok(()));
        check(&[(StoreAsked, Some(200)), (StoreReply, None)], Confirmed, Ok(()));
        check(&[(StoreAsked, Some(90)), (StoreReply, None), (StoreAsked, Some(200))], Confirmed, Err(HearingError::ReplyDue(200)));
    }

    #[test]
    fn no_case_ends_while_a_complaint_waits() {
        for verdict in CaseVerdict::ALL {
            check(&[(Complaint, Some(90))], *verdict, Err(HearingError::ComplaintOpen(90)));
        }
        check(&[(Complaint, Some(90)), (ComplaintAnswered, None)], FalseAlarm, Ok(()));
        check(
            &[(Complaint, Some(90)), (ComplaintAnswered, None), (Complaint, Some(150))],
            FalseAlarm,
            Err(HearingError::ComplaintOpen(150)),
        );
    }

    #[test]
    fn answers_need_something_to_answer() {
        let nobody = Hearing::default();
        assert_eq!(nobody.may_say(StoreReply, "P1", "it was his son"), Err(HearingError::NothingAsked));
        assert_eq!(nobody.may_say(ComplaintAnswered, "", "we looked again"), Err(HearingError::NothingAsked));
        assert_eq!(nobody.may_say(Note, "", " "), Err(HearingError::Empty));
        for kind in [Note, StoreAsked, Complaint] {
            assert_eq!(nobody.may_say(kind, "", "words"), Ok(()));
        }
        let asked = Hearing { asked: BTreeMap::from([("P1".to_owned(), Some(1)), ("P2".to_owned(), None)]), complaint_until: Some(2) };
        assert_eq!((asked.may_say(StoreReply, "P1", "words"), asked.may_say(ComplaintAnswered, "", "words")), (Ok(()), Ok(())));
        assert_eq!(asked.may_say(StoreReply, "P3", "words"), Err(HearingError::NothingAsked));
        assert_eq!((asked.reply_due(), asked.complaint_due(), asked.was_asked("P2")), (Some(1), Some(2), true));
    }
}
