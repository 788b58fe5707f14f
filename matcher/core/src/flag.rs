//! Flags: what the center's staff should look at. A flag is not a case, and accuses nobody.

use crate::decision::{Decision, NoDecision, words};

words! {
    /// Why a verification was flagged.
    FlagKind {
        /// Card and person do not seem to agree.
        CardPersonMismatch = "card_person_mismatch",
        /// A match after a non-match within one transaction: somebody else may have stepped in.
        MatchAfterNonMatch = "match_after_non_match",
        /// The sample looks like a presentation attack.
        AttackSuspected = "attack_suspected",
        /// One transaction and attempt was submitted with two different captures.
        TransactionReused = "transaction_reused",
        /// A device used one sequence number twice, or a stored record does not belong to its row.
        TamperingSuspected = "tampering_suspected",
        /// The photo is too old for a low score to say anything: it should be renewed.
        ReferenceTooOld = "reference_too_old",
        /// An operator works otherwise than their peers: a reason to ask (`evidence::operators`).
        OperatorPattern = "operator_pattern",
        /// An institution does.
        StorePattern = "store_pattern",
        /// A reference is very like another person's: one person enrolled twice, or two photos mixed up.
        DuplicateReference = "duplicate_reference",
        /// One face was seen with several people's cards in one institution.
        SameFaceSeveralCards = "same_face_several_cards",
        /// Several faces were seen with one card.
        ManyFacesOneCard = "many_faces_one_card",
        /// An operator overruled more non-matches in a day, by looking at documents, than the policy takes for granted.
        OverrideUsed = "override_used",
        /// One person came for more holders than the policy allows, or for two at a time.
        ProxyLimit = "proxy_limit",
    }
}

/// The flags a decision raises, given the earlier decisions of its transaction.
#[must_use]
pub fn flags_for(decision: Decision, earlier: &[Decision]) -> Vec<FlagKind> {
    match decision {
        Decision::NonMatch | Decision::NoDecision(NoDecision::DocumentNotThePerson) => vec![FlagKind::CardPersonMismatch],
        Decision::NoDecision(NoDecision::ProxyLimit) => vec![FlagKind::ProxyLimit],
        Decision::Match if earlier.contains(&Decision::NonMatch) => vec![FlagKind::MatchAfterNonMatch],
        Decision::NoDecision(NoDecision::AttackSuspected) => vec![FlagKind::AttackSuspected],
        Decision::NoDecision(NoDecision::ReferenceUnreadable) => vec![FlagKind::TamperingSuspected],
        Decision::NoDecision(NoDecision::ReferenceTooOld) => vec![FlagKind::ReferenceTooOld],
        Decision::Match
        | Decision::Review
        | Decision::NoDecision(
            NoDecision::NoReference
            | NoDecision::FailureToAcquire
            | NoDecision::SeveralFaces
            | NoDecision::LiveUnclear
            | NoDecision::LiveNotAssessed
            | NoDecision::ModelMismatch
            | NoDecision::ConsentMissing
            | NoDecision::ConsentWithdrawn
            | NoDecision::CenterUnreachable
            | NoDecision::OtherWay
            | NoDecision::DocumentChecked
            | NoDecision::Proxy
            | NoDecision::ProxyNotCompared
            | NoDecision::ProxyNotAllowed,
        ) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(decision: Decision, earlier: &[Decision], expected: &[FlagKind]) {
        assert_eq!(flags_for(decision, earlier), expected);
    }

    #[test]
    fn a_mismatch_raises_a_flag_and_a_review_does_not() {
        check(Decision::NonMatch, &[], &[FlagKind::CardPersonMismatch]);
        check(Decision::Review, &[], &[]);
        check(Decision::NoDecision(NoDecision::NoReference), &[], &[]);
    }

    #[test]
    fn an_attack_a_record_that_was_changed_and_an_old_photo_are_looked_at() {
        check(Decision::NoDecision(NoDecision::AttackSuspected), &[], &[FlagKind::AttackSuspected]);
        check(Decision::NoDecision(NoDecision::ReferenceUnreadable), &[], &[FlagKind::TamperingSuspected]);
        check(Decision::NoDecision(NoDecision::ReferenceTooOld), &[], &[FlagKind::ReferenceTooOld]);
    }

    #[test]
    fn what_an_operator_says_by_name_is_looked_at_and_another_way_is_not() {
        let no = Decision::NoDecision;
        check(no(NoDecision::DocumentNotThePerson), &[], &[FlagKind::CardPersonMismatch]);
        check(no(NoDecision::ProxyLimit), &[], &[FlagKind::ProxyLimit]);
        for reason in [NoDecision::OtherWay, NoDecision::DocumentChecked, NoDecision::Proxy] {
            check(no(reason), &[Decision::NonMatch], &[]);
        }
    }

    #[test]
    fn a_match_after_a_non_match_is_looked_at() {
        check(Decision::Match, &[], &[]);
        check(Decision::Match, &[Decision::Review], &[]);
        check(Decision::Match, &[Decision::NonMatch], &[FlagKind::MatchAfterNonMatch]);
    }
}
