//! What the counter's screen shows of the running transaction, and how it is followed.
//!
//! Read from the transaction and its events, the same that `GET …/events` gives. No card number, but its last digits; no name.

use std::time::Duration;

use capture_core::Instruction;

use super::*;
use crate::problem;

/// How long a screen shows that somebody may settle, who has probably left.
const SETTLED_SHOWN: Duration = Duration::from_secs(60);
/// How long it shows what waits for the center: the till sends it again, too.
const WAITING_SHOWN: Duration = Duration::from_secs(300);
/// How long is waited for an attempt that is given up.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(2);
/// How long it shows that a transaction has ended.
const END_SHOWN: Duration = Duration::from_secs(8);
/// Digits of a card that are shown, and how many more it must have.
const SHOWN_DIGITS: usize = 4;

/// The running transaction, as a screen may show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub transaction: String,
    /// How far it is.
    pub state: State,
    /// The way of the attempt that is under way or waits for an answer.
    pub way: Option<Way>,
    /// Ways that are open now.
    pub ways: Vec<Way>,
    /// What the till was told last.
    pub told: Option<Told>,
    /// Whether the device answered by itself.
    pub degraded: bool,
    /// What the person was asked last in the attempt under way.
    pub instruction: Option<Instruction>,
    /// The code of what the last attempt came to nothing by; nothing where it did not.
    pub problem: Option<&'static str>,
    /// Whether somebody came in the holder's place.
    pub proxy: bool,
    /// Whether somebody may still be named who did.
    pub proxy_may_come: bool,
    /// The card's last digits; empty where it has too few.
    pub card_ends: String,
    /// Version of the consent that is still to be asked for; empty where none is.
    pub consent_asked: String,
    /// Whether it is known who operates the counter.
    pub operator_known: bool,
}

impl Till {
    /// Makes a transaction the one that a screen is about.
    pub(super) fn is_current(&self, live: &Arc<Live>) {
        self.current.send_replace(Some(Arc::clone(live)));
    }

    /// The running transaction; nothing where none is, or it ended a while ago.
    #[must_use]
    pub fn shown(&self) -> Option<Shown> {
        let live = self.current.borrow().clone()?;
        let shown = self.shown_of(&live);
        let over = shown_for(shown.state, shown.told).is_some_and(|long| live.events.quiet_for() >= long);
        (!over).then_some(shown)
    }

    /// Makes an attempt in place of one that still looks for a face: nobody has to wait for the camera to take another way.
    ///
    /// # Errors
    /// As of any attempt.
    pub async fn attempt_instead(&self, id: &str, asked: Asked) -> Result<VerifyAnswer, TillError> {
        let live = self.opened(id).await?;
        self.give_up(&live).await;
        self.attempt(id, asked).await
    }

    /// Lets the camera go where it is looked into for this transaction, and waits until the attempt has ended.
    pub(super) async fn give_up(&self, live: &Live) {
        let shown = self.shown_of(live);
        let by_camera = matches!(shown.way, Some(Way::Face | Way::Chip));
        if shown.state != State::Capturing || !by_camera || shown.instruction.is_none() {
            return;
        }
        let mut count = live.events.count();
        self.verifier.camera().give_up();
        let goes_on = || live.lock().transaction.state() == State::Capturing;
        let ended = async { while goes_on() && count.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(GIVEN_UP_WITHIN, ended).await;
    }

    fn shown_of(&self, live: &Live) -> Shown {
        let policy = self.verifier.policy();
        let attempt = live.events.since(|event| event.kind == EventKind::State && word(event, &["state"]) == Some(State::Capturing.word()));
        let inner = live.lock();
        let (opening, transaction) = (&inner.opening, &inner.transaction);
        let rules = policy.as_ref().and_then(|policy| policy.scene(opening.scene));
        let asks = rules.is_some_and(|rules| rules.asks_consent) && opening.consent.as_str().is_empty();
        let last = transaction.made().last().copied();
        let waiting = last.filter(|_| transaction.state() == State::Waiting);
        let told = transaction.told();
        let degraded = told.and_then(|told| inner.verdicts.get(&told.attempt.get())).is_some_and(|verdict| verdict.degraded);
        Shown {
            transaction: opening.transaction.to_string(),
            state: transaction.state(),
            way: transaction.under_way().map(|(_, way)| way).or(waiting),
            ways: transaction.ways(),
            told: told.map(|told| told.told),
            degraded,
            instruction: attempt.iter().rev().find_map(instruction),
            problem: attempt.iter().rfind(|event| matches!(event.kind, EventKind::Verdict | EventKind::Error)).and_then(code),
            proxy: inner.proxy.is_some(),
            proxy_may_come: inner.proxy.is_none() && transaction.made().is_empty() && rules.is_none_or(|rules| rules.proxy_allowed),
            card_ends: ends(opening.number.as_str().trim()),
            consent_asked: policy.as_ref().filter(|_| asks).map(|policy| policy.consent_version.clone()).unwrap_or_default(),
            operator_known: !opening.operator.as_str().is_empty(),
        }
    }

    /// Follows the running transaction, whichever that is.
    #[must_use]
    pub fn follow(&self) -> Follower {
        let current = self.current.subscribe();
        let count = current.borrow().as_ref().map(|live| live.events.count());
        Follower { current, count, stopping: self.stopping.subscribe() }
    }
}

/// How long a transaction is shown that nothing happens to; nothing where it stays until it ends, as everything does that somebody
/// is still to do something about.
fn shown_for(state: State, told: Option<Told>) -> Option<Duration> {
    match (state, told) {
        (State::Confirmed | State::Reversed | State::Cancelled | State::Expired, _) => Some(END_SHOWN),
        (State::Answered, Some(Told::Settle | Told::SettleFlagged)) => Some(SETTLED_SHOWN),
        (State::Waiting, _) => Some(WAITING_SHOWN),
        (State::Answered, Some(Told::DocumentCheck | Told::OtherWay | Told::Hold | Told::Retry) | None)
        | (State::Open | State::Capturing, _) => None,
    }
}

fn word<'a>(event: &'a events::Event, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(&event.data, |value, name| value.get(name))?.as_str()
}

fn instruction(event: &events::Event) -> Option<Instruction> {
    let word = word(event, &["instruction"]).filter(|_| event.kind == EventKind::Instruction)?;
    Instruction::ALL.into_iter().find(|instruction| instruction.word() == word)
}

fn code(event: &events::Event) -> Option<&'static str> {
    let code = word(event, &["error", "code"]).filter(|_| event.kind == EventKind::Error)?;
    Some(problem::of(code).code)
}

/// The last digits of a number that has at least as many again.
fn ends(number: &str) -> String {
    let count = number.chars().count();
    if count < SHOWN_DIGITS * 2 { String::new() } else { number.chars().skip(count - SHOWN_DIGITS).collect() }
}

/// Somebody who follows whatever transaction runs.
pub struct Follower {
    current: watch::Receiver<Option<Arc<Live>>>,
    count: Option<watch::Receiver<u64>>,
    stopping: watch::Receiver<bool>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Follower {
    /// Waits until something happened since the last wait, at most so long; false when the agent stops.
    pub async fn wait(&mut self, patience: Duration) -> bool {
        let Self { current, count, stopping } = self;
        let happened = async {
            match count {
                Some(count) => drop(count.changed().await),
                None => std::future::pending().await,
            }
        };
        let another = tokio::select! {
            changed = current.changed() => changed.is_ok(),
            () = happened => false,
            () = tokio::time::sleep(patience) => false,
            _ = stopping.wait_for(|stop| *stop) => return false,
        };
        if another {
            self.count = self.current.borrow_and_update().as_ref().map(|live| live.events.count());
        }
        !*self.stopping.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_is_still_to_act_on_stays() {
        for told in [Told::DocumentCheck, Told::OtherWay, Told::Hold, Told::Retry] {
            assert_eq!(shown_for(State::Answered, Some(told)), None);
        }
        for told in [Told::Settle, Told::SettleFlagged] {
            assert_eq!(shown_for(State::Answered, Some(told)), Some(SETTLED_SHOWN), "flagged or not");
        }
        for state in State::ALL {
            assert_eq!(shown_for(*state, None).is_none(), matches!(state, State::Open | State::Capturing | State::Answered));
        }
    }

    #[track_caller]
    fn check(number: &str, expected: &str) {
        assert_eq!(ends(number), expected);
    }

    #[test]
    fn a_card_shows_its_last_digits_alone() {
        check("330203194910010027", "0027");
        check("A1002000", "2000");
        check("A100200", "");
        check("100", "");
        check("", "");
    }
}
