//! Which pair of known faces stands in for a case: the nearest score among those that were used least, so that neither score nor
//! repetition tells a known-answer case from another.

/// A pair that could be taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DonorScore {
    /// Its place in the caller's list.
    pub place: usize,
    /// How often it was used.
    pub uses: u64,
    /// Its score.
    pub score: f32,
}

/// The place of the pair to take; none where there is none.
#[must_use]
pub fn choose_pair(pairs: impl IntoIterator<Item = DonorScore>, score: f32) -> Option<usize> {
    let far = |pair: &DonorScore| (pair.score - score).abs();
    let least = |a: &DonorScore, b: &DonorScore| a.uses.cmp(&b.uses).then(far(a).total_cmp(&far(b)));
    pairs.into_iter().min_by(least).map(|pair| pair.place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(u64, f32)], score: f32, expected: Option<usize>) {
        let pairs = pairs.iter().enumerate().map(|(place, (uses, score))| DonorScore { place, uses: *uses, score: *score });
        assert_eq!(choose_pair(pairs, score), expected);
    }

    #[test]
    fn the_nearest_score_among_the_least_used_is_taken() {
        check(&[], 0.5, None);
        check(&[(0, 0.1), (0, 0.45), (0, 0.9)], 0.5, Some(1));
        check(&[(0, 0.2), (1, 0.5), (0, 0.9)], 0.5, Some(0));
        check(&[(2, 0.1), (1, 0.9)], 0.1, Some(1));
        check(&[(0, f32::NAN), (0, 0.9)], 0.1, Some(1));
    }
}
