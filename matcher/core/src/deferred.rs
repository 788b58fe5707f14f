//! Captures that come late: by which policy they are judged, what is left open about them, and how often they are tried.
//!
//! A capture from a spool is judged as it would have been at the counter: by the policy and the references of its time.
//! Where that cannot be known, nothing is held against anybody: what was compared is `review`. Not here: the decision
//! itself ([`decide`](crate::decide), the same for all), and who works on what (`matcher`).

use crate::{Decision, Policy, Scene, Verdict, words::words};

words! {
    /// What cannot be known about a capture that came late.
    Doubt {
        /// It is older than the center's first policy.
        PolicyUnknown = "policy_unknown",
        /// The device had never compared its clock with the center's.
        TimeUnknown = "time_unknown",
    }
}

words! {
    /// Why a capture that comes late is not taken.
    UploadRefusal {
        /// The envelope, or the message in it, is not in order.
        NotInOrder = "not_in_order",
        /// It is another device's than the connection's.
        ForeignDevice = "foreign_device",
        /// The device did not sign it.
        BadSignature = "bad_signature",
        /// It is sealed to a key that the center does not have.
        UnknownRecipient = "unknown_recipient",
        /// It does not open, or is not what the device signed for.
        DoesNotOpen = "does_not_open",
        /// A field of the capture is out of order.
        Field = "field",
        /// It is older than anything may wait in a spool.
        TooOld = "too_old",
        /// It claims to be of the future.
        OfTheFuture = "of_the_future",
        /// The transaction has had its attempts.
        TooManyAttempts = "too_many_attempts",
        /// Another capture came under the same transaction and attempt.
        RequestReused = "request_reused",
        /// The device used the sequence number for another envelope.
        SequenceReused = "sequence_reused",
        /// The center cannot take it now.
        Unavailable = "unavailable",
    }
}

impl UploadRefusal {
    /// Whether sending it again cannot help.
    #[must_use]
    pub fn is_final(self) -> bool {
        self != Self::Unavailable
    }
}

words! {
    /// What a re-comparison of many captures compares.
    JobKind {
        /// Captures with the references in force now, by the policy of their time.
        Rematch = "rematch",
        /// Captures with the references of their time, by the policy in force now.
        Recompare = "recompare",
    }
}

words! {
    /// How a re-comparison stands.
    JobState {
        /// There is something left to do.
        Running = "running",
        /// All of it is done.
        Done = "done",
        /// All that could be done is done; some chunks were put aside.
        Incomplete = "incomplete",
        /// It was called off; what was done stays.
        Cancelled = "cancelled",
    }
}

/// The place of the policy that was in force at a time, among policies in the order in which they were applied, each with
/// the time of it; nothing before the first. Where a clock was set back in between, the later applied one counts.
#[must_use]
pub fn in_force_at(applied_at: &[i64], at: i64) -> Option<usize> {
    applied_at.iter().rposition(|applied| *applied <= at)
}

/// What is left of a verdict under doubt: what was compared is looked at. Where nothing could be decided, nothing changes
/// but that the doubt is named.
#[must_use]
pub fn doubted(verdict: Verdict, policy: &Policy, scene: Scene, doubts: &[Doubt]) -> Verdict {
    if doubts.is_empty() {
        return verdict;
    }
    let (decision, disposition) = match verdict.decision {
        Decision::Match | Decision::Review | Decision::NonMatch => (Decision::Review, policy.scene(scene).disposition(Decision::Review)),
        Decision::NoDecision(_) => (verdict.decision, verdict.disposition),
    };
    let mut reasons = verdict.reasons;
    reasons.extend(doubts.iter().map(|doubt| doubt.word()));
    Verdict { decision, disposition, reasons, comparison: verdict.comparison }
}

/// How often something is tried, and how long after a failure it rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRule {
    /// Tries, the first included; then it is put aside until somebody asks for it.
    pub attempts_max: u32,
    /// How long nobody else takes it, in milliseconds.
    pub lease_ms: i64,
}

impl RetryRule {
    /// Longest rest, in milliseconds.
    pub const REST_MAX_MS: i64 = 3_600_000;
    /// From this try on something is taken alone, so that it cannot take its neighbours with it.
    pub const ALONE_FROM: u32 = 3;

    /// How long after it was taken something may be taken again that was taken so often (1 is the first time): the lease,
    /// and a rest that doubles.
    #[must_use]
    pub fn again_after_ms(&self, attempt: u32) -> i64 {
        let doubled = 1_i64.checked_shl(attempt.saturating_sub(1)).filter(|factor| *factor > 0).unwrap_or(i64::MAX);
        let rest = if attempt <= 1 { 0 } else { self.lease_ms.saturating_mul(doubled).clamp(0, Self::REST_MAX_MS) };
        self.lease_ms.saturating_add(rest)
    }

    /// The furthest ahead a due time can lie. One further ahead was written before the clock was set back.
    #[must_use]
    pub fn ahead_max_ms(&self) -> i64 {
        self.lease_ms.saturating_add(Self::REST_MAX_MS)
    }

    /// Whether something that was taken so often is put aside.
    #[must_use]
    pub fn is_spent(&self, attempt: u32) -> bool {
        attempt >= self.attempts_max
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Disposition, NoDecision};

    #[track_caller]
    fn check_policy(applied_at: &[i64], at: i64, expected: Option<usize>) {
        assert_eq!(in_force_at(applied_at, at), expected, "{applied_at:?} at {at}");
    }

    #[test]
    fn a_capture_meets_the_policy_of_its_time() {
        check_policy(&[10, 20, 30], 9, None);
        check_policy(&[10, 20, 30], 10, Some(0));
        check_policy(&[10, 20, 30], 29, Some(1));
        check_policy(&[10, 20, 30], 30, Some(2));
        check_policy(&[], 30, None);
        check_policy(&[10, 30, 20], 25, Some(2));
    }

    fn verdict(decision: Decision) -> Verdict {
        Verdict { decision, reasons: Vec::new(), disposition: Disposition::Hold, comparison: None }
    }

    #[track_caller]
    fn check_doubted(decision: Decision, doubts: &[Doubt], expected: Decision, reasons: &[&str]) {
        let policy = Policy::from_toml(Policy::SHIPPED).unwrap();
        let got = doubted(verdict(decision), &policy, Scene::Settlement, doubts);
        assert_eq!((got.decision, got.reasons.as_slice()), (expected, reasons));
        let unchanged = decision == expected && decision != Decision::Review || doubts.is_empty();
        let expected = if unchanged { Disposition::Hold } else { policy.scene(Scene::Settlement).disposition(Decision::Review) };
        assert_eq!(got.disposition, expected);
    }

    #[test]
    fn what_was_compared_under_doubt_is_looked_at() {
        let none = Decision::NoDecision(NoDecision::NoReference);
        check_doubted(Decision::Match, &[], Decision::Match, &[]);
        check_doubted(Decision::Match, &[Doubt::PolicyUnknown], Decision::Review, &["policy_unknown"]);
        check_doubted(Decision::NonMatch, &[Doubt::TimeUnknown], Decision::Review, &["time_unknown"]);
        check_doubted(Decision::Review, Doubt::ALL, Decision::Review, &["policy_unknown", "time_unknown"]);
        check_doubted(none, &[Doubt::TimeUnknown], none, &["time_unknown"]);
    }

    #[test]
    fn a_failure_rests_longer_each_time_and_at_last_is_put_aside() {
        let rule = RetryRule { attempts_max: 4, lease_ms: 1_000 };
        assert_eq!([1, 2, 3, 4].map(|attempt| rule.again_after_ms(attempt)), [1_000, 3_000, 5_000, 9_000]);
        assert_eq!([3, 4, 5].map(|attempt| rule.is_spent(attempt)), [false, true, true]);
    }

    proptest! {
        #[test]
        fn a_due_time_is_never_further_ahead_than_its_bound(attempt: u32, lease_ms in 0_i64..86_400_000) {
            let rule = RetryRule { attempts_max: 5, lease_ms };
            let after = rule.again_after_ms(attempt);
            prop_assert!(after >= lease_ms && after <= rule.ahead_max_ms(), "{after}");
        }
    }
}
