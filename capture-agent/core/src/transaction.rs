//! One transaction at a counter: from opening to the settlement's end, whatever ways of verifying are tried.
//!
//! A state machine without clocks, cameras or lines: [`Transaction::begin`] numbers an attempt, [`Transaction::answered`] takes
//! the center's word on it, and nothing that was answered is ever lost or replaced, even when the transaction has ended since.
//! Faces are capped by the device's policy; the document and the other way stay open. Not here: who is verified, and how.

use std::fmt;

use thiserror::Error;

use crate::{Attempt, Moment};

#[cfg(test)]
mod tests;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word for it in the local API and in records.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// What opened a transaction.
    OpenedBy {
        /// The till's software.
        Till = "till",
        /// A card that was swiped or put in.
        CardSwipe = "card_swipe",
        /// The cashier, by hand.
        Cashier = "cashier",
    }
}

words! {
    /// How an attempt verifies.
    Way {
        /// A face, against the enrolled photo.
        Face = "face",
        /// A face, against the photo in a document's chip.
        Chip = "chip",
        /// The operator's eyes, on a document.
        DocumentCheck = "document_check",
        /// Another way. No reason is asked.
        OtherWay = "other_way",
    }
}

words! {
    /// What the center told the till to do after an attempt.
    Told {
        /// Settle.
        Settle = "settle",
        /// Settle; the center looks at it afterwards.
        SettleFlagged = "settle_flagged",
        /// The operator looks at a document.
        DocumentCheck = "document_check",
        /// Offer another way.
        OtherWay = "other_way",
        /// Do not settle on insurance.
        Hold = "hold",
        /// Try once more.
        Retry = "retry",
    }
}

words! {
    /// How far a transaction is.
    State {
        /// Nothing was tried yet, or what was tried came to nothing.
        Open = "open",
        /// An attempt is being made.
        Capturing = "capturing",
        /// An attempt was made and the center has not answered.
        Waiting = "waiting",
        /// The center has answered the last attempt.
        Answered = "answered",
        /// The settlement was made.
        Confirmed = "confirmed",
        /// The settlement was taken back.
        Reversed = "reversed",
        /// It was called off.
        Cancelled = "cancelled",
        /// Nothing happened for too long.
        Expired = "expired",
    }
}

impl State {
    /// Whether nothing follows it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Reversed | Self::Cancelled | Self::Expired => true,
            Self::Open | Self::Capturing | Self::Waiting | Self::Answered | Self::Confirmed => false,
        }
    }
}

/// What bounds a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionRule {
    /// Attempts with a face against the enrolled photo, 1–99; more numbers are left for the other ways.
    pub faces_max: u32,
    /// After so long without an event an unsettled transaction ends, in milliseconds.
    pub time_out_ms: u64,
}

/// Attempts beyond the cap at which a document's chip may still be tried. The center has the same bounds.
const CHIPS_MORE: u32 = 2;
/// Attempts beyond the cap at which a way without a face may still be taken.
const FACELESS_MORE: u32 = 16;

impl TransactionRule {
    /// The highest number an attempt by this way may have, at most 99.
    #[must_use]
    pub fn attempt_max(&self, way: Way) -> u32 {
        let more = match way {
            Way::Face => 0,
            Way::Chip => CHIPS_MORE,
            Way::DocumentCheck | Way::OtherWay => FACELESS_MORE,
        };
        self.faces_max.saturating_add(more).min(99)
    }
}

/// An answer to one attempt; final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Which attempt.
    pub attempt: Attempt,
    /// By which way.
    pub way: Way,
    /// What the till was told.
    pub told: Told,
}

/// Something that cannot be done with a transaction as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TransactionError {
    /// It has ended.
    #[error("the transaction is {0}: nothing follows")]
    Over(State),
    /// An attempt is under way.
    #[error("an attempt of this transaction is under way")]
    Busy,
    /// The center already said to settle.
    #[error("the center said to settle: confirm, or open another transaction")]
    Settled,
    /// The attempts of this way are used up.
    #[error("attempt: expected at most {max} by this way")]
    AttemptsSpent {
        /// The bound.
        max: u32,
    },
    /// An attempt's number is not the next one.
    #[error("attempt: expected {next}, the next number, or one that was made before")]
    OutOfOrder {
        /// The next number.
        next: u32,
    },
    /// There is nothing to confirm: the center did not say to settle.
    #[error("the center did not say to settle")]
    NotSettled,
    /// There is nothing to reverse.
    #[error("the transaction was not confirmed")]
    NotConfirmed,
}

/// What a request for an attempt comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It is made now, under this number.
    New(Attempt),
    /// It was made before under this number, or is: its answer is asked for again.
    Again(Attempt),
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    rule: TransactionRule,
    opened_by: OpenedBy,
    state: State,
    /// The attempt under way, while there is one.
    current: Option<(Attempt, Way)>,
    /// Attempts that were made, by number from 1.
    made: Vec<Way>,
    answers: Vec<Answered>,
    shifts: u32,
    touched_at: Moment,
}

impl Transaction {
    /// Opens a transaction.
    #[must_use]
    pub fn open(rule: TransactionRule, opened_by: OpenedBy, now: Moment) -> Self {
        Self { rule, opened_by, state: State::Open, current: None, made: Vec::new(), answers: Vec::new(), shifts: 0, touched_at: now }
    }

    /// A transaction as it was before a restart: the ways of its attempts by number, and their answers. An attempt without an
    /// answer waits for one. `end` is how it ended, if it had.
    #[must_use]
    pub fn restore(
        rule: TransactionRule,
        opened_by: OpenedBy,
        now: Moment,
        (made, answers): (Vec<Way>, Vec<Answered>),
        end: Option<State>,
    ) -> Self {
        let mut transaction = Self { made, answers, ..Self::open(rule, opened_by, now) };
        let resting = transaction.resting();
        transaction.state = end.unwrap_or(resting);
        transaction
    }

    /// What opened it.
    #[must_use]
    pub fn opened_by(&self) -> OpenedBy {
        self.opened_by
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The ways of its attempts, by number from 1.
    #[must_use]
    pub fn made(&self) -> &[Way] {
        &self.made
    }

    /// The attempt that is being made, while nothing of it is durable.
    #[must_use]
    pub fn under_way(&self) -> Option<(Attempt, Way)> {
        self.current.filter(|_| self.state == State::Capturing)
    }

    /// Its answers, in the order in which they came.
    #[must_use]
    pub fn answers(&self) -> &[Answered] {
        &self.answers
    }

    /// How often the operator changed while it was open.
    #[must_use]
    pub fn shifts(&self) -> u32 {
        self.shifts
    }

    /// What was answered to an attempt.
    #[must_use]
    pub fn answer_to(&self, attempt: Attempt) -> Option<Answered> {
        self.answers.iter().find(|answer| answer.attempt == attempt).copied()
    }

    /// What the till was told last: the answer to the latest attempt that has one.
    #[must_use]
    pub fn told(&self) -> Option<Answered> {
        self.answers.iter().max_by_key(|answer| answer.attempt).copied()
    }

    /// The number of the next attempt.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        u32::try_from(self.made.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The ways that are open now. The other way is among them from the start.
    #[must_use]
    pub fn ways(&self) -> Vec<Way> {
        let open = |way: &Way| self.may_begin().is_ok() && self.next_number() <= self.rule.attempt_max(*way);
        Way::ALL.iter().copied().filter(open).collect()
    }

    fn may_begin(&self) -> Result<(), TransactionError> {
        match self.state {
            State::Reversed | State::Cancelled | State::Expired | State::Confirmed => Err(TransactionError::Over(self.state)),
            State::Capturing => Err(TransactionError::Busy),
            State::Answered if self.settles() => Err(TransactionError::Settled),
            // An attempt that waits for a dead line does not keep the other ways shut.
            State::Open | State::Waiting | State::Answered => Ok(()),
        }
    }

    fn settles(&self) -> bool {
        matches!(self.told().map(|answer| answer.told), Some(Told::Settle | Told::SettleFlagged))
    }

    /// Begins an attempt, of the number that the till names or of the next one. A number that was used gives its answer again,
    /// and so does the attempt that waits, when none is named.
    ///
    /// # Errors
    /// When the transaction is over or settled, an attempt is under way, the number is not the next, or the way's are spent.
    pub fn begin(&mut self, way: Way, number: Option<Attempt>, now: Moment) -> Result<Begun, TransactionError> {
        let next = self.next_number();
        if let Some(number) = number
            && number.get() < next
        {
            return if self.made.get(number.get() as usize - 1) == Some(&way) {
                Ok(Begun::Again(number))
            } else {
                Err(TransactionError::OutOfOrder { next })
            };
        }
        if let (State::Waiting, Some((waiting, by)), None) = (self.state, self.current, number)
            && by == way
        {
            return Ok(Begun::Again(waiting));
        }
        self.may_begin()?;
        if number.is_some_and(|number| number.get() != next) {
            return Err(TransactionError::OutOfOrder { next });
        }
        let max = self.rule.attempt_max(way);
        let number = Attempt::new(next).ok().filter(|_| next <= max).ok_or(TransactionError::AttemptsSpent { max })?;
        self.current = Some((number, way));
        self.state = State::Capturing;
        self.touched_at = now;
        Ok(Begun::New(number))
    }

    /// An attempt is durable: its number is used, and an answer is awaited. One that was being made when the transaction was
    /// called off has its place, too, so that its answer is not lost.
    pub fn captured(&mut self, attempt: Attempt, way: Way, now: Moment) {
        let under_way = self.state == State::Capturing && self.current == Some((attempt, way));
        if under_way {
            self.state = State::Waiting;
            self.touched_at = now;
        }
        if attempt.get() == self.next_number() && (under_way || self.state.is_terminal()) {
            self.made.push(way);
        }
    }

    /// The attempt under way came to nothing and left nothing: its number is free again.
    pub fn failed(&mut self, now: Moment) {
        if self.state == State::Capturing {
            self.state = self.resting();
            self.touched_at = now;
        }
    }

    fn resting(&mut self) -> State {
        let last = self.made.last().copied().zip(Attempt::new(self.next_number().saturating_sub(1)).ok());
        self.current = last.map(|(way, number)| (number, way)).filter(|(number, _)| self.answer_to(*number).is_none());
        match (self.current, self.made.is_empty()) {
            (Some(_), _) => State::Waiting,
            (None, true) => State::Open,
            (None, false) => State::Answered,
        }
    }

    /// The center answered an attempt. The first answer stands, and is kept whatever the transaction's state; true when it is the
    /// first.
    pub fn answered(&mut self, attempt: Attempt, told: Told, now: Moment) -> bool {
        let Some(way) = self.made.get((attempt.get() as usize).wrapping_sub(1)).copied() else { return false };
        if self.answer_to(attempt).is_some() {
            return false;
        }
        self.answers.push(Answered { attempt, way, told });
        if self.state == State::Waiting && self.current.is_some_and(|(number, _)| number == attempt) {
            self.current = None;
            self.state = State::Answered;
            self.touched_at = now;
        }
        true
    }

    /// The operator changed. Recorded while the transaction is open; between transactions it is nobody's business here.
    pub fn shift(&mut self, now: Moment) -> bool {
        let open = !self.state.is_terminal() && self.state != State::Confirmed;
        if open {
            self.shifts = self.shifts.saturating_add(1);
            self.touched_at = now;
        }
        open
    }

    /// The settlement was made. Where the document was to be checked, `by_document` says that an operator did, by name. Again is
    /// no error.
    ///
    /// # Errors
    /// When the center did not say to settle, or the transaction is over.
    pub fn confirm(&mut self, by_document: bool, now: Moment) -> Result<(), TransactionError> {
        match (self.state, self.told().map(|answer| answer.told)) {
            (State::Confirmed, _) => Ok(()),
            (State::Reversed | State::Cancelled | State::Expired, _) => Err(TransactionError::Over(self.state)),
            (State::Capturing | State::Waiting, _) => Err(TransactionError::Busy),
            (State::Answered, Some(Told::Settle | Told::SettleFlagged)) => self.end(State::Confirmed, now),
            (State::Answered, Some(Told::DocumentCheck)) if by_document => self.end(State::Confirmed, now),
            (State::Open | State::Answered, _) => Err(TransactionError::NotSettled),
        }
    }

    /// The settlement was taken back. Again is no error.
    ///
    /// # Errors
    /// When it was not confirmed.
    pub fn reverse(&mut self, now: Moment) -> Result<(), TransactionError> {
        match self.state {
            State::Reversed => Ok(()),
            State::Confirmed => self.end(State::Reversed, now),
            State::Open | State::Capturing | State::Waiting | State::Answered | State::Cancelled | State::Expired => {
                Err(TransactionError::NotConfirmed)
            }
        }
    }

    /// The till or the operator calls it off. Again is no error.
    ///
    /// # Errors
    /// When it was confirmed or has ended otherwise.
    pub fn cancel(&mut self, now: Moment) -> Result<(), TransactionError> {
        match self.state {
            State::Cancelled => Ok(()),
            State::Open | State::Capturing | State::Waiting | State::Answered => self.end(State::Cancelled, now),
            State::Confirmed | State::Reversed | State::Expired => Err(TransactionError::Over(self.state)),
        }
    }

    /// Lets time pass; true when it ended the transaction. What may still be settled, or waits for an answer, does not end so.
    pub fn pass(&mut self, now: Moment) -> bool {
        let idle = now.ms_since(self.touched_at) >= self.rule.time_out_ms;
        let ends = match self.state {
            State::Open => idle,
            State::Answered => idle && !self.settles(),
            State::Capturing | State::Waiting | State::Confirmed | State::Reversed | State::Cancelled | State::Expired => false,
        };
        if ends {
            self.state = State::Expired;
        }
        ends
    }

    fn end(&mut self, state: State, now: Moment) -> Result<(), TransactionError> {
        self.state = state;
        self.touched_at = now;
        self.current = None;
        Ok(())
    }
}
