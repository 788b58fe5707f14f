//! What a policy may say the till does about each decision. These bounds protect people from a policy.

use crate::decision::{Decision, Disposition, NoDecision};

/// What a policy may make of a decision. Only a center that cannot be asked holds a settlement back: nobody is held for
/// what a machine thinks of their face. A retry is for what may pass.
#[must_use]
pub fn allowed(decision: Decision) -> &'static [Disposition] {
    use Disposition::{DocumentCheck, Hold, OtherWay, Retry, Settle, SettleFlagged};
    match decision {
        Decision::Match => &[Settle, SettleFlagged],
        Decision::Review => &[Settle, SettleFlagged, DocumentCheck],
        Decision::NonMatch => &[SettleFlagged, DocumentCheck],
        Decision::NoDecision(reason) => match reason {
            NoDecision::FailureToAcquire | NoDecision::SeveralFaces | NoDecision::LiveUnclear | NoDecision::LiveNotAssessed => {
                &[Settle, SettleFlagged, DocumentCheck, OtherWay, Retry]
            }
            NoDecision::AttackSuspected => &[SettleFlagged, DocumentCheck],
            NoDecision::NoReference | NoDecision::ModelMismatch | NoDecision::ReferenceUnreadable | NoDecision::ReferenceTooOld => {
                &[Settle, SettleFlagged, DocumentCheck, OtherWay]
            }
            NoDecision::ConsentMissing | NoDecision::ConsentWithdrawn => &[Settle, DocumentCheck, OtherWay],
            NoDecision::CenterUnreachable => &[Settle, SettleFlagged, DocumentCheck, OtherWay, Hold],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_held_for_their_face() {
        for decision in Decision::all() {
            let holds = allowed(decision).contains(&Disposition::Hold);
            assert_eq!(holds, decision == Decision::NoDecision(NoDecision::CenterUnreachable), "{decision:?}");
        }
    }

    #[test]
    fn a_non_match_neither_settles_unseen_nor_sends_away() {
        assert_eq!(allowed(Decision::NonMatch), [Disposition::SettleFlagged, Disposition::DocumentCheck]);
        assert_eq!(allowed(Decision::NoDecision(NoDecision::AttackSuspected)), [Disposition::SettleFlagged, Disposition::DocumentCheck]);
    }

    #[test]
    fn a_retry_is_for_what_may_pass() {
        let retried: Vec<&str> =
            Decision::all().filter(|decision| allowed(*decision).contains(&Disposition::Retry)).map(Decision::policy_key).collect();
        assert_eq!(retried, ["failure_to_acquire", "several_faces", "live_unclear", "live_not_assessed"]);
    }

    #[test]
    fn withdrawn_consent_is_never_a_flag() {
        for reason in [NoDecision::ConsentMissing, NoDecision::ConsentWithdrawn] {
            assert!(!allowed(Decision::NoDecision(reason)).contains(&Disposition::SettleFlagged));
        }
    }
}
