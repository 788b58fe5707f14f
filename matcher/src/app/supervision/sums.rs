//! Sums of days that are asked for again and again: kept in this process until one of their days is counted anew.
//!
//! A quarter of a thousand institutions is tens of thousands of rows, and the same for everybody who opens the page; a day that is over
//! is counted once. When each day was counted says whether what is kept still holds: whoever recounts, rebuilds or deletes days,
//! in whatever process, changes that.

use std::sync::{Arc, Mutex, PoisonError};

use matcher_core::{
    drift::Day,
    figures::{Dimension, Figures, Place},
};

use crate::store::{Store, StoreError, TimeMs, statistics::CountedDay};

/// Rows that are kept at most: some twenty MiB.
const ROWS_MAX: usize = 50_000;

/// What is summed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// By what.
    pub dimension: Dimension,
    /// The first and last day.
    pub days: (Day, Day),
    /// Of one institution, or of all.
    pub institution: Option<String>,
    /// Places at most, the largest first.
    pub limit: u32,
}

/// Sums by place, the largest first.
pub type Summed = Arc<Vec<(Place, Figures)>>;

struct Kept {
    asked: Asked,
    /// The days as they were counted when the sums were made.
    counted: Vec<(Day, TimeMs)>,
    rows: Summed,
}

/// Sums that are kept, those asked for last at the end.
#[derive(Default)]
pub struct Sums(Mutex<Vec<Kept>>);

impl std::fmt::Debug for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sums")
    }
}

impl Sums {
    /// Sums of days, of which `counted` are those that the store has counted: they must have been read before this is called.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of(&self, store: &dyn Store, counted: &[CountedDay], asked: Asked) -> Result<Summed, StoreError> {
        let (from, until) = asked.days;
        let stamp: Vec<(Day, TimeMs)> =
            counted.iter().filter(|day| (from..=until).contains(&day.day)).map(|day| (day.day, day.counted_at)).collect();
        if let Some(rows) = self.kept(&asked, &stamp) {
            return Ok(rows);
        }
        let rows = Arc::new(store.figures(asked.dimension, asked.days, asked.institution.as_deref(), asked.limit).await?);
        self.keep(Kept { asked, counted: stamp, rows: Arc::clone(&rows) });
        Ok(rows)
    }

    fn kept(&self, asked: &Asked, stamp: &[(Day, TimeMs)]) -> Option<Summed> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = all.iter().position(|kept| kept.asked == *asked)?;
        let kept = all.remove(place);
        if kept.counted != stamp {
            return None;
        }
        let rows = Arc::clone(&kept.rows);
        all.push(kept);
        Some(rows)
    }

    fn keep(&self, new: Kept) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|kept| kept.asked != new.asked);
        all.push(new);
        let mut rows: usize = all.iter().map(|kept| kept.rows.len() + 1).sum();
        while rows > ROWS_MAX && !all.is_empty() {
            rows -= all.remove(0).rows.len() + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(until: Day) -> Asked {
        Asked { dimension: Dimension::Store, days: (1, until), institution: None, limit: 9 }
    }

    fn rows(count: usize) -> Summed {
        let place = |n: usize| Place { dimension: Dimension::Store, institution: format!("P{n}"), key: String::new() };
        Arc::new((0..count).map(|n| (place(n), Figures::default())).collect())
    }

    #[test]
    fn what_is_kept_holds_until_a_day_is_counted_anew() {
        let sums = Sums::default();
        sums.keep(Kept { asked: asked(2), counted: vec![(1, 10), (2, 10)], rows: rows(3) });
        assert_eq!(sums.kept(&asked(2), &[(1, 10), (2, 10)]).map(|rows| rows.len()), Some(3));
        assert_eq!(sums.kept(&asked(3), &[(1, 10), (2, 10)]), None, "other days");
        assert_eq!(sums.kept(&asked(2), &[(1, 10), (2, 11)]), None, "counted anew");
        assert_eq!(sums.kept(&asked(2), &[(1, 10), (2, 10)]), None, "and gone");
    }

    #[test]
    fn what_was_asked_for_longest_ago_goes_first() {
        let sums = Sums::default();
        for until in 1..=3 {
            sums.keep(Kept { asked: asked(until), counted: vec![], rows: rows(ROWS_MAX / 4) });
        }
        assert!(sums.kept(&asked(1), &[]).is_some());
        sums.keep(Kept { asked: asked(4), counted: vec![], rows: rows(ROWS_MAX / 4) });
        let there = [1, 2, 3, 4].map(|until| sums.kept(&asked(until), &[]).is_some());
        assert_eq!(there, [true, false, true, true]);
        sums.keep(Kept { asked: asked(5), counted: vec![], rows: rows(ROWS_MAX) });
        assert!(sums.kept(&asked(5), &[]).is_none(), "what is too large is not kept");
    }
}
