//! Matches drawn for a blind look, so that the false ones among them can be estimated.
//!
//! A day's matches are ranked by a keyed hash of their ids and the lowest are drawn, once the day is over: no
//! counter can foresee which, running again gives the same, and each had the same known chance. Not here: who
//! looks, and how (`matcher`).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    card::VisitId,
    interval::{Share, wilson},
};
use crate::words::words;

words! {
    /// What is drawn for a look.
    Drawn {
        /// A match: is it one person?
        Match = "match",
        /// Another way that was taken: was it in order?
        OtherWay = "other_way",
    }
}

/// The key of the ranking; secret, so that nobody can choose an id that is never drawn.
#[derive(Clone)]
pub struct DrawKey([u8; 32]);

impl DrawKey {
    /// Takes a key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    fn rank(&self, day: i32, id: &VisitId) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { unreachable!("a MAC takes keys of any length") };
        mac.update(b"countersign blind draw\0");
        mac.update(&day.to_be_bytes());
        mac.update(id);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for DrawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrawKey([redacted])")
    }
}

/// What was drawn of one day.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// The matches drawn, by their rank.
    pub ids: Vec<VisitId>,
    /// Matches there were.
    pub matches: usize,
    /// Chance of each to be drawn, 0–1; 0 where there were none.
    pub inclusion: f64,
}

/// Draws up to `count` of a day's matches. The same ids in any order give the same draw.
#[must_use]
pub fn draw(key: &DrawKey, day: i32, matches: &[VisitId], count: usize) -> Draw {
    let mut ranked: Vec<([u8; 32], VisitId)> = matches.iter().map(|id| (key.rank(day, id), *id)).collect();
    ranked.sort_unstable();
    ranked.dedup();
    let matches = ranked.len();
    ranked.truncate(count);
    let inclusion = if matches == 0 { 0.0 } else { ranked.len() as f64 / matches as f64 };
    Draw { ids: ranked.into_iter().map(|(_, id)| id).collect(), matches, inclusion }
}

/// A drawn match that was looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reviewed {
    /// Its chance to be drawn, above 0 and at most 1.
    pub inclusion: f64,
    /// Whether the reviewer saw two people.
    pub two_people: bool,
}

/// How many matches are false.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MissEstimate {
    /// Drawn matches that were looked at.
    pub reviewed: usize,
    /// How many of them showed two people.
    pub two_people: usize,
    /// Matches that those stand for.
    pub stands_for: f64,
    /// False matches among them (Horvitz and Thompson): each counts as often as its chance is small.
    pub false_matches: f64,
    /// Their share, with an interval by Wilson at the number of equally weighted reviews that say as much (Kish).
    pub share: Share,
}

/// Estimates the false matches from a blind review. Reviews without a usable chance are left out.
#[must_use]
pub fn estimate_misses(reviews: &[Reviewed]) -> MissEstimate {
    let usable: Vec<&Reviewed> = reviews.iter().filter(|review| review.inclusion > 0.0 && review.inclusion <= 1.0).collect();
    let weight = |review: &&Reviewed| 1.0 / review.inclusion;
    let two_people = usable.iter().filter(|review| review.two_people);
    let stands_for = usable.iter().map(weight).fold(0.0, |sum, weight| sum + weight);
    let false_matches = two_people.clone().map(weight).fold(0.0, |sum, weight| sum + weight);
    let squares = usable.iter().map(|review| weight(review).powi(2)).fold(0.0, |sum, square| sum + square);
    let equally_weighted = if squares > 0.0 { stands_for * stands_for / squares } else { 0.0 };
    let share = if stands_for > 0.0 { false_matches / stands_for } else { 0.0 };
    MissEstimate {
        reviewed: usable.len(),
        two_people: two_people.count(),
        stands_for,
        false_matches,
        share: wilson(share * equally_weighted, equally_weighted),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> DrawKey {
        DrawKey::new([byte; 32])
    }

    fn ids(count: u16) -> Vec<VisitId> {
        (0..count).map(|i| u128::from(i).to_be_bytes()).collect()
    }

    #[test]
    fn a_draw_is_the_same_again_and_another_under_another_key_or_day() {
        let first = draw(&key(1), 5, &ids(1_000), 20);
        assert_eq!((first.ids.len(), first.matches, first.inclusion), (20, 1_000, 0.02));
        assert_eq!(draw(&key(1), 5, &ids(1_000), 20), first);
        assert_ne!(draw(&key(2), 5, &ids(1_000), 20).ids, first.ids);
        assert_ne!(draw(&key(1), 6, &ids(1_000), 20).ids, first.ids);
        assert_eq!(draw(&key(1), 5, &ids(1_000), 30).ids[..20], first.ids, "a larger draw holds the smaller");
    }

    #[test]
    fn few_matches_are_all_drawn() {
        assert_eq!((draw(&key(1), 5, &ids(3), 20).ids.len(), draw(&key(1), 5, &ids(3), 20).inclusion), (3, 1.0));
        assert_eq!(draw(&key(1), 5, &[], 20), Draw { ids: Vec::new(), matches: 0, inclusion: 0.0 });
        let twice = [ids(3), ids(3)].concat();
        assert_eq!(draw(&key(1), 5, &twice, 20).matches, 3);
    }

    #[test]
    fn every_match_has_the_same_chance() {
        // 200 days, 10 of 100: each id is drawn 20 times on average, with a standard deviation of 4.2.
        let mut drawn = [0_u32; 100];
        for day in 0..200 {
            for id in draw(&key(9), day, &ids(100), 10).ids {
                drawn[usize::from(id[15])] += 1;
            }
        }
        assert!(drawn.iter().all(|count| (3..=40).contains(count)), "{drawn:?}");
    }

    #[track_caller]
    fn check(reviews: &[(f64, bool)], stands_for: f64, false_matches: f64, share: Share) {
        let reviews: Vec<Reviewed> =
            reviews.iter().map(|(inclusion, two_people)| Reviewed { inclusion: *inclusion, two_people: *two_people }).collect();
        let got = estimate_misses(&reviews);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(got.stands_for, stands_for) && near(got.false_matches, false_matches), "{got:?}");
        assert!(near(got.share.value, share.value) && near(got.share.lower, share.lower) && near(got.share.upper, share.upper), "{got:?}");
    }

    #[test]
    fn each_review_counts_as_often_as_its_chance_is_small() {
        check(&[], 0.0, 0.0, wilson(0.0, 0.0));
        check(&[(0.1, true), (0.1, false), (0.1, false), (0.1, false)], 40.0, 10.0, wilson(1.0, 4.0));
        // Weights 10 and 2: 144 / 104 equally weighted reviews, of which 10/12 are wrong.
        check(&[(0.1, true), (0.5, false)], 12.0, 10.0, wilson(10.0 / 12.0 * 144.0 / 104.0, 144.0 / 104.0));
        check(&[(0.0, true), (1.1, true), (-0.1, true), (1.0, false)], 1.0, 0.0, wilson(0.0, 1.0));
        let counted = estimate_misses(&[Reviewed { inclusion: 0.5, two_people: true }, Reviewed { inclusion: 0.0, two_people: true }]);
        assert_eq!((counted.reviewed, counted.two_people), (1, 1));
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", key(7)), "DrawKey([redacted])");
    }

    proptest! {
        #[test]
        fn the_order_of_matches_does_not_matter(turn in 0_usize..50, count in 0_usize..60) {
            let mut turned = ids(50);
            turned.rotate_left(turn);
            prop_assert_eq!(draw(&key(3), 1, &turned, count), draw(&key(3), 1, &ids(50), count));
        }
    }
}
