//! What a policy may say the till does about each decision. These bounds protect people from a policy.

use crate::decision::{Decision, Disposition, NoDecision};

/// What a policy may make of a decision. A center that cannot be asked may hold a settlement back, and so may what an
/// operator says by name and the rule about proxies: nobody is held for what a machine thinks of their face. A retry is
/// for what may pass. Another way is never a reason to look afterwards.
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
            NoDecision::OtherWay => &[Settle, DocumentCheck],
            NoDecision::DocumentChecked => &[Settle, SettleFlagged],
            NoDecision::DocumentNotThePerson => &[SettleFlagged, OtherWay, Hold],
            NoDecision::Proxy | NoDecision::ProxyNotCompared => &[Settle, SettleFlagged, DocumentCheck],
            NoDecision::ProxyNotAllowed | NoDecision::ProxyLimit => &[SettleFlagged, DocumentCheck, OtherWay, Hold],
        },
    }
}

/// What a policy that is older than the ways without a face makes of them; nothing for a row that every policy has.
#[must_use]
pub fn of_older(decision: Decision) -> Option<Disposition> {
    let Decision::NoDecision(reason) = decision else { return None };
    match reason {
        NoDecision::OtherWay | NoDecision::DocumentChecked | NoDecision::Proxy => Some(Disposition::Settle),
        NoDecision::ProxyNotCompared => Some(Disposition::DocumentCheck),
        NoDecision::DocumentNotThePerson | NoDecision::ProxyNotAllowed | NoDecision::ProxyLimit => Some(Disposition::Hold),
        NoDecision::NoReference
        | NoDecision::FailureToAcquire
        | NoDecision::SeveralFaces
        | NoDecision::AttackSuspected
        | NoDecision::LiveUnclear
        | NoDecision::LiveNotAssessed
        | NoDecision::ModelMismatch
        | NoDecision::ReferenceUnreadable
        | NoDecision::ReferenceTooOld
        | NoDecision::ConsentMissing
        | NoDecision::ConsentWithdrawn
        | NoDecision::CenterUnreachable => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_held_for_their_face() {
        for decision in Decision::all() {
            let holds = allowed(decision).contains(&Disposition::Hold);
            let people_say_so =
                [NoDecision::CenterUnreachable, NoDecision::DocumentNotThePerson, NoDecision::ProxyNotAllowed, NoDecision::ProxyLimit];
            assert_eq!(holds, people_say_so.map(Decision::NoDecision).contains(&decision), "{decision:?}");
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
    fn another_way_is_never_looked_at_for_itself() {
        assert_eq!(allowed(Decision::NoDecision(NoDecision::OtherWay)), [Disposition::Settle, Disposition::DocumentCheck]);
    }

    #[test]
    fn older_policies_make_something_allowed_of_every_way() {
        for decision in Decision::all() {
            assert!(of_older(decision).is_none_or(|disposition| allowed(decision).contains(&disposition)), "{decision:?}");
        }
    }

    #[test]
    fn withdrawn_consent_is_never_a_flag() {
        for reason in [NoDecision::ConsentMissing, NoDecision::ConsentWithdrawn] {
            assert!(!allowed(Decision::NoDecision(reason)).contains(&Disposition::SettleFlagged));
        }
    }
}
