//! In which order cases are worked on: complaints, then doubted random matches, then the rest; within each by evidence, and
//! by how often the card had a case before.

use crate::evidence::Opening;

/// What parts one urgency from the next: more than any evidence reaches.
const STEP: f64 = 1_000.0;
/// Log-odds beyond this say nothing more about what to read first.
const LOG_ODDS_MAX: f64 = 100.0;

/// Where a case stands in the queue, the highest first. `before` counts the card's earlier cases; each tenfold of
/// suspicion and each doubling of cases weighs about the same.
#[must_use]
pub fn rank(opening: Opening, log_odds: f64, before: u32) -> f64 {
    let urgency = match opening {
        Opening::Complaint => 2.0,
        Opening::RandomAudit => 1.0,
        Opening::Evidence | Opening::Identification => 0.0,
    };
    let strength = if log_odds.is_nan() { 0.0 } else { log_odds.clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX) };
    urgency * STEP + strength + (f64::from(before) + 1.0).log2() * std::f64::consts::LN_10
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn complaints_come_first_and_repeats_before_equals() {
        let order = [
            rank(Opening::Complaint, -5.0, 0),
            rank(Opening::RandomAudit, 9.0, 0),
            rank(Opening::Evidence, 3.0, 1),
            rank(Opening::Identification, 3.0, 0),
            rank(Opening::Evidence, 2.9, 0),
            rank(Opening::Evidence, f64::NAN, 0),
            rank(Opening::Evidence, f64::NEG_INFINITY, 0),
        ];
        assert!(order.is_sorted_by(|a, b| a > b), "{order:?}");
    }

    proptest! {
        #[test]
        fn evidence_never_overtakes_urgency(weak in -200.0_f64..200.0, strong in -200.0_f64..200.0, before in 0_u32..1_000_000) {
            prop_assert!(rank(Opening::RandomAudit, weak, 0) > rank(Opening::Evidence, strong, before));
            prop_assert!(rank(Opening::Complaint, weak, 0) > rank(Opening::RandomAudit, strong, before));
        }
    }
}
