//! A card's visits told apart by face: average-link clustering of their comparisons with each other.
//!
//! Deterministic: the same visits in any order give the same groups. Two groups are joined while the mean of
//! all scores between them reaches the threshold, the nearest first; one odd capture then neither joins two
//! faces nor parts one.

/// Parts `count` items into groups. `score` compares two of them and does not depend on their order; items are
/// expected in an order of their own (by time and id), which settles ties. Groups come by their first item.
pub fn clusters(count: usize, at_least: f32, score: &dyn Fn(usize, usize) -> f32) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = (0..count).map(|item| vec![item]).collect();
    // Sums of scores between groups; merging adds rows, so nothing is compared twice.
    let mut sums: Vec<Vec<f64>> = (0..count).map(|a| (0..a).map(|b| f64::from(score(a, b))).collect()).collect();
    while let Some((first, second)) = nearest(&groups, &sums, f64::from(at_least)) {
        let moved = groups.remove(second);
        if let Some(group) = groups.get_mut(first) {
            group.extend(moved);
        }
        merge(&mut sums, first, second);
    }
    for group in &mut groups {
        group.sort_unstable();
    }
    groups.sort();
    groups
}

/// Mean of the scores between two groups.
fn mean(groups: &[Vec<usize>], sums: &[Vec<f64>], first: usize, second: usize) -> Option<f64> {
    let pairs = groups.get(first)?.len() * groups.get(second)?.len();
    Some(sums.get(second)?.get(first)? / pairs as f64)
}

/// The two groups with the highest mean that reaches the threshold, the earlier of equals.
fn nearest(groups: &[Vec<usize>], sums: &[Vec<f64>], at_least: f64) -> Option<(usize, usize)> {
    let mut best: Option<(f64, (usize, usize))> = None;
    for second in 0..groups.len() {
        for first in 0..second {
            let Some(mean) = mean(groups, sums, first, second).filter(|mean| *mean >= at_least) else { continue };
            if best.is_none_or(|(highest, _)| mean > highest) {
                best = Some((mean, (first, second)));
            }
        }
    }
    best.map(|(_, pair)| pair)
}

/// Adds the row and column of `second` to those of `first`, and takes them out. `first` comes before `second`.
fn merge(sums: &mut Vec<Vec<f64>>, first: usize, second: usize) {
    let at = |sums: &[Vec<f64>], a: usize, b: usize| sums.get(a.max(b)).and_then(|row| row.get(a.min(b))).copied().unwrap_or_default();
    for other in (0..sums.len()).filter(|other| *other != first && *other != second) {
        let sum = at(sums, first, other) + at(sums, second, other);
        if let Some(slot) = sums.get_mut(first.max(other)).and_then(|row| row.get_mut(first.min(other))) {
            *slot = sum;
        }
    }
    sums.remove(second);
    for row in sums.iter_mut().skip(second) {
        row.remove(second);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Items on a line; near ones score high.
    fn check(places: &[f32], at_least: f32, expected: &[&[usize]]) {
        let score = |a: usize, b: usize| 1.0 - (places[a] - places[b]).abs();
        assert_eq!(clusters(places.len(), at_least, &score), expected);
    }

    #[test]
    fn near_items_are_one_group() {
        check(&[], 0.5, &[]);
        check(&[0.0], 0.5, &[&[0]]);
        check(&[0.0, 0.1, 5.0, 0.2, 5.1], 0.5, &[&[0, 1, 3], &[2, 4]]);
        check(&[0.0, 3.0, 6.0], 0.5, &[&[0], &[1], &[2]]);
    }

    #[test]
    fn a_mean_at_the_threshold_joins() {
        check(&[0.0, 0.5], 0.5, &[&[0, 1]]);
        check(&[0.0, 0.75], 0.5, &[&[0], &[1]]);
        // The last item is 0.5 from the middle and 1.0 from the first: 0.25 on average.
        check(&[0.0, 0.25, 0.75], 0.5, &[&[0, 1], &[2]]);
        check(&[0.0, 0.25, 0.75], 0.25, &[&[0, 1, 2]]);
    }

    #[test]
    fn means_stay_right_after_several_joins() {
        // Two tight groups of three, 0.6 apart: no single pair is below 0.3, their mean is 0.4.
        check(&[0.0, 0.05, 0.1, 0.6, 0.65, 0.7], 0.45, &[&[0, 1, 2], &[3, 4, 5]]);
        check(&[0.0, 0.05, 0.1, 0.6, 0.65, 0.7], 0.39, &[&[0, 1, 2, 3, 4, 5]]);
    }

    proptest! {
        #[test]
        fn every_item_is_in_one_group_and_order_does_not_matter(places in prop::collection::vec(0_u8..40, 0..12), turn in 0_usize..12) {
            // Distinct distances, so that ties cannot hide a difference.
            let places: Vec<f32> = places.iter().enumerate().map(|(i, p)| f32::from(*p) / 10.0 + (1 << i) as f32 * 1e-5).collect();
            let count = places.len();
            let turned = |i: usize| (i + turn) % count.max(1);
            let score = |a: f32, b: f32| 1.0 - (a - b).abs();
            let plain = clusters(count, 0.5, &|a, b| score(places[a], places[b]));
            let other = clusters(count, 0.5, &|a, b| score(places[turned(a)], places[turned(b)]));
            let mut back: Vec<Vec<usize>> = other.into_iter().map(|group| group.into_iter().map(turned).collect()).collect();
            back.iter_mut().for_each(|group| group.sort_unstable());
            back.sort();
            prop_assert_eq!(&plain, &back);
            let mut items: Vec<usize> = plain.into_iter().flatten().collect();
            items.sort_unstable();
            prop_assert_eq!(items, (0..count).collect::<Vec<_>>());
        }
    }
}
