//! A desk reads so many cases a day: which of the candidates become cases, and which stay recorded.
//!
//! Complaints are opened whatever the capacity, because they have a deadline, and count against it. Then
//! doubted matches of random audits, then evidence, the strongest first. What does not fit stays what it was, a
//! recorded finding, and competes again the next day with whatever was added to it.

use super::case::Opening;

/// Something that may become a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<T> {
    /// What it is about; the order of these settles ties.
    pub about: T,
    /// Why it would be opened.
    pub opening: Opening,
    /// Log-odds of misuse.
    pub log_odds: f64,
}

/// What a day's candidates became.
#[derive(Debug, Clone, PartialEq)]
pub struct DeskDay<T> {
    /// Opened, the most pressing first.
    pub opened: Vec<Candidate<T>>,
    /// Left as recorded findings, in the same order.
    pub recorded: Vec<Candidate<T>>,
}

/// Fills what is left of a desk's day: `capacity` cases a day, of which `opened_today` are opened already.
#[must_use]
pub fn fill_desk<T: Ord>(mut candidates: Vec<Candidate<T>>, capacity: usize, opened_today: usize) -> DeskDay<T> {
    candidates.sort_by(|a, b| {
        urgency(a.opening).cmp(&urgency(b.opening)).then(b.log_odds.total_cmp(&a.log_odds)).then_with(|| a.about.cmp(&b.about))
    });
    let complaints = candidates.iter().filter(|candidate| candidate.opening == Opening::Complaint).count();
    let left = capacity.saturating_sub(opened_today).max(complaints);
    let recorded = candidates.split_off(left.min(candidates.len()));
    DeskDay { opened: candidates, recorded }
}

fn urgency(opening: Opening) -> u8 {
    match opening {
        Opening::Complaint => 0,
        Opening::RandomAudit => 1,
        Opening::Evidence | Opening::Identification => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(about: u32, opening: Opening, log_odds: f64) -> Candidate<u32> {
        Candidate { about, opening, log_odds }
    }

    #[track_caller]
    fn check(candidates: &[Candidate<u32>], capacity: usize, opened_today: usize, opened: &[u32], recorded: &[u32]) {
        let day = fill_desk(candidates.to_vec(), capacity, opened_today);
        let about = |list: &[Candidate<u32>]| list.iter().map(|candidate| candidate.about).collect::<Vec<_>>();
        assert_eq!((about(&day.opened), about(&day.recorded)), (opened.to_vec(), recorded.to_vec()));
    }

    #[test]
    fn the_strongest_evidence_is_opened_within_the_capacity() {
        let candidates = [1, 2, 3].map(|about| candidate(about, Opening::Evidence, f64::from(about % 3)));
        check(&candidates, 9, 0, &[2, 1, 3], &[]);
        check(&candidates, 2, 0, &[2, 1], &[3]);
        check(&candidates, 3, 2, &[2], &[1, 3]);
        check(&candidates, 3, 4, &[], &[2, 1, 3]);
        check(&candidates, 0, 0, &[], &[2, 1, 3]);
    }

    #[test]
    fn equals_are_taken_in_their_order() {
        check(&[4, 2, 3].map(|about| candidate(about, Opening::Evidence, 1.0)), 2, 0, &[2, 3], &[4]);
    }

    #[test]
    fn complaints_come_first_and_whatever_the_capacity() {
        let candidates = [
            candidate(1, Opening::Evidence, 9.0),
            candidate(2, Opening::Complaint, -5.0),
            candidate(3, Opening::RandomAudit, -5.0),
            candidate(4, Opening::Complaint, -4.0),
        ];
        check(&candidates, 1, 1, &[4, 2], &[3, 1]);
        check(&candidates, 3, 0, &[4, 2, 3], &[1]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_capacity_holds(odds in prop::collection::vec(-9.0_f64..9.0, 0..40), capacity in 0_usize..30, opened_today in 0_usize..30) {
            let all: Vec<Candidate<u32>> = odds.iter().zip(0..).map(|(odds, about)| candidate(about, Opening::Evidence, *odds)).collect();
            let day = fill_desk(all.clone(), capacity, opened_today);
            prop_assert_eq!(day.opened.len() + day.recorded.len(), all.len());
            prop_assert_eq!(day.opened.len(), all.len().min(capacity.saturating_sub(opened_today)));
            let weakest = day.opened.iter().map(|c| c.log_odds).fold(f64::INFINITY, f64::min);
            prop_assert!(day.recorded.iter().all(|c| c.log_odds <= weakest));
        }
    }
}
