//! What the center's own systems are told of a case: that it ended confirmed, that this was taken back, and that it ended otherwise
//! then. Nothing before the whole process is over. Not here: how it is sent (`matcher::app::webhook`).

use crate::{
    evidence::{CaseEvent, CaseVerdict},
    words::words,
};

words! {
    /// What is told.
    Told {
        /// A case ended confirmed: a second person agreed, and the store was heard or let its time pass.
        Confirmed = "case.confirmed",
        /// A confirmed case was opened again: what was told does not hold for now.
        Withdrawn = "case.withdrawn",
        /// It ended with another verdict.
        Reversed = "case.reversed",
    }
}

/// What follows from a step that was taken, after what was told last; `verdict` is the one that stands before the step.
#[must_use]
pub fn told_after(last: Option<Told>, event: &CaseEvent, verdict: Option<CaseVerdict>) -> Option<Told> {
    match (event, last) {
        (CaseEvent::Closed, Some(Told::Confirmed)) => None,
        (CaseEvent::Closed, last) if verdict == Some(CaseVerdict::Confirmed) => {
            debug_assert!(last != Some(Told::Confirmed), "told once");
            Some(Told::Confirmed)
        }
        (CaseEvent::Closed, Some(Told::Withdrawn)) => Some(Told::Reversed),
        (CaseEvent::Reopened(_), Some(Told::Confirmed)) => Some(Told::Withdrawn),
        (CaseEvent::Closed | CaseEvent::Reopened(_), _)
        | (CaseEvent::Claimed | CaseEvent::Released | CaseEvent::Decided(..) | CaseEvent::Reviewed(..), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use CaseVerdict::{Confirmed, FalseAlarm};

    /// The ends of a case, each a verdict, with its opening again between them.
    #[track_caller]
    fn check(ends: &[CaseVerdict], expected: &[Told]) {
        let mut told: Vec<Told> = Vec::new();
        for (place, verdict) in ends.iter().enumerate() {
            if place > 0 {
                told.extend(told_after(told.last().copied(), &CaseEvent::Reopened("an appeal".into()), None));
            }
            for event in [CaseEvent::Claimed, CaseEvent::Decided(*verdict, "so".into())] {
                assert_eq!(told_after(told.last().copied(), &event, None), None);
            }
            told.extend(told_after(told.last().copied(), &CaseEvent::Closed, Some(*verdict)));
        }
        assert_eq!(told, expected);
    }

    #[test]
    fn only_what_ended_confirmed_is_told_and_what_becomes_of_it() {
        check(&[FalseAlarm], &[]);
        check(&[FalseAlarm, Confirmed], &[Told::Confirmed]);
        check(&[Confirmed, FalseAlarm], &[Told::Confirmed, Told::Withdrawn, Told::Reversed]);
        check(&[Confirmed, Confirmed], &[Told::Confirmed, Told::Withdrawn, Told::Confirmed]);
        check(&[Confirmed, FalseAlarm, FalseAlarm], &[Told::Confirmed, Told::Withdrawn, Told::Reversed]);
    }

    proptest! {
        #[test]
        fn whoever_follows_what_is_told_knows_how_each_case_ended(ends in prop::collection::vec(any::<bool>(), 1..8)) {
            let mut last = None;
            for (place, confirmed) in ends.iter().enumerate() {
                if place > 0 {
                    last = told_after(last, &CaseEvent::Reopened("an appeal".into()), None).or(last);
                }
                prop_assert_ne!(last, Some(Told::Confirmed), "while it is open nothing holds");
                let verdict = if *confirmed { Confirmed } else { FalseAlarm };
                last = told_after(last, &CaseEvent::Closed, Some(verdict)).or(last);
                prop_assert_eq!(last == Some(Told::Confirmed), *confirmed);
            }
        }
    }
}
