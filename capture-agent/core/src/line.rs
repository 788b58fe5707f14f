//! Which way to the center is taken: over the endpoint that answers, the better one first.
//!
//! Endpoints are numbered in the order in which they are wanted. What is known of them comes from calls that were made
//! for something else. One failure is enough to go over to another endpoint; the way back to a better one is taken only
//! when it has answered for some time, so that a line that comes and goes is not followed. Not here: calls, and clocks.

use crate::Moment;

/// How patient [`Endpoints`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRule {
    /// An endpoint that failed rests this long, in milliseconds; twice as long after each further failure.
    pub rest_ms: u64,
    /// Longest rest, in milliseconds.
    pub rest_max_ms: u64,
    /// A better endpoint is gone back to when it has answered for this long without a failure, in milliseconds.
    pub steady_ms: u64,
    /// And at least so often.
    pub steady_answers: u32,
}

impl Default for LineRule {
    fn default() -> Self {
        Self { rest_ms: 500, rest_max_ms: 15_000, steady_ms: 30_000, steady_answers: 3 }
    }
}

/// What is known of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Known {
    /// Failures since the last answer.
    failures: u32,
    /// It is left alone until then.
    rests_until: Option<Moment>,
    /// The first answer since the last failure.
    answers_since: Option<Moment>,
    /// Answers since then.
    answers: u32,
}

/// The endpoint to take for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Over this one.
    Over(usize),
    /// All of them failed a short while ago; this one would be the next to try.
    Down(usize),
}

impl Way {
    /// The endpoint, whether or not it rests.
    #[must_use]
    pub fn endpoint(self) -> usize {
        match self {
            Self::Over(endpoint) | Self::Down(endpoint) => endpoint,
        }
    }
}

/// What is known of all endpoints, and which one is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    rule: LineRule,
    known: Vec<Known>,
    in_use: usize,
}

impl Endpoints {
    /// So many endpoints, the best first; nothing is known of them. With none there is one.
    #[must_use]
    pub fn new(rule: LineRule, count: usize) -> Self {
        Self { rule, known: vec![Known::default(); count.max(1)], in_use: 0 }
    }

    /// The endpoint in use.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// Whether the last call over an endpoint was answered; nothing when none was made.
    #[must_use]
    pub fn answers(&self, endpoint: usize) -> Option<bool> {
        let known = self.known.get(endpoint)?;
        if known.failures > 0 { Some(false) } else { known.answers_since.map(|_| true) }
    }

    /// The way for a call: the endpoint in use, unless it rests; otherwise the best that does not.
    #[must_use]
    pub fn way(&self, now: Moment) -> Way {
        let awake = |endpoint: &usize| !self.rests(*endpoint, now);
        if awake(&self.in_use) {
            return Way::Over(self.in_use);
        }
        (0..self.known.len()).find(awake).map_or(Way::Down(self.soonest()), Way::Over)
    }

    /// A better endpoint than the one in use that should be asked by a call nobody waits for: how else would it be known
    /// that it answers again?
    #[must_use]
    pub fn trial(&self, now: Moment) -> Option<usize> {
        (0..self.in_use).find(|endpoint| !self.rests(*endpoint, now))
    }

    /// Notes that a call over an endpoint was answered, whatever the answer.
    pub fn answered(&mut self, endpoint: usize, now: Moment) {
        let Some(known) = self.known.get_mut(endpoint) else { return };
        known.failures = 0;
        known.rests_until = None;
        let since = *known.answers_since.get_or_insert(now);
        known.answers = known.answers.saturating_add(1);
        let steady = now.ms_since(since) >= self.rule.steady_ms && known.answers >= self.rule.steady_answers;
        let failing = self.known.get(self.in_use).is_some_and(|known| known.failures > 0);
        if failing || (endpoint < self.in_use && steady) {
            self.in_use = endpoint;
        }
    }

    /// Notes that a call over an endpoint was not answered.
    pub fn failed(&mut self, endpoint: usize, now: Moment) {
        let rule = self.rule;
        let Some(known) = self.known.get_mut(endpoint) else { return };
        let doubled = 1_u64.checked_shl(known.failures).unwrap_or(u64::MAX);
        known.failures = known.failures.saturating_add(1);
        known.rests_until = Some(now.plus_ms(rule.rest_ms.saturating_mul(doubled).min(rule.rest_max_ms)));
        known.answers_since = None;
        known.answers = 0;
        if endpoint == self.in_use
            && let Way::Over(other) = self.way(now)
        {
            self.in_use = other;
        }
    }

    fn rests(&self, endpoint: usize, now: Moment) -> bool {
        self.known.get(endpoint).and_then(|known| known.rests_until).is_some_and(|until| now < until)
    }

    fn soonest(&self) -> usize {
        (0..self.known.len()).min_by_key(|endpoint| self.known.get(*endpoint).and_then(|known| known.rests_until)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
