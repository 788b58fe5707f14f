//! The past that a day is held against: which days belong to it, and which never do.

use std::collections::BTreeSet;

use super::{Day, DriftRule};

/// The past of a series and the days that are watched, for a day.
#[derive(Debug, Clone)]
pub struct Split<'a, T> {
    /// The past, oldest first.
    pub past: Vec<&'a (Day, T)>,
    /// The last days up to the one that is judged, oldest first.
    pub window: Vec<&'a (Day, T)>,
}

/// Parts a series (by day, rising) as of a day; nothing where the past is too short. `alarmed` are days on which this chart was
/// an alarm: they and the days before them are in no past. The last days that are left count, however long ago they are: a past
/// freezes while an alarm lasts.
#[must_use]
pub fn split<'a, T>(series: &'a [(Day, T)], today: Day, alarmed: &BTreeSet<Day>, rule: &DriftRule) -> Option<Split<'a, T>> {
    let ends = today - rule.window_days;
    let spoiled = |day: Day| alarmed.range(day..=day + rule.before_alarm_days).next().is_some();
    let upto = series.partition_point(|(day, _)| *day <= ends);
    let (older, newer) = series.split_at(upto);
    let mut past: Vec<_> = older.iter().rev().filter(|(day, _)| !spoiled(*day)).take(rule.past_days_max).collect();
    past.reverse();
    let window: Vec<_> = newer.iter().take_while(|(day, _)| *day <= today).collect();
    (past.len() >= rule.past_days_min && !window.is_empty()).then_some(Split { past, window })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn days(until: Day) -> Vec<(Day, ())> {
        (0..=until).map(|day| (day, ())).collect()
    }

    #[test]
    fn the_past_ends_before_the_window_and_an_alarm_never_enters_it() {
        let (series, rule) = (days(60), DriftRule::default());
        let none = BTreeSet::new();
        let split_at = |today, alarmed: &BTreeSet<Day>| {
            split(&series, today, alarmed, &rule).map(|split| {
                let ends = |days: &[&(Day, ())]| (days[0].0, days[days.len() - 1].0, days.len());
                (ends(&split.past), ends(&split.window))
            })
        };
        assert_eq!(split_at(60, &none), Some(((0, 46, 47), (47, 60, 14))));
        assert_eq!(split_at(40, &none), None, "27 days of past");
        assert_eq!(split_at(41, &none), Some(((0, 27, 28), (28, 41, 14))));
        assert_eq!(split_at(60, &BTreeSet::from([40])), Some(((0, 46, 39), (47, 60, 14))), "days 33 to 40 are out");
        assert_eq!(split_at(60, &(20..60).collect()), None);
    }

    proptest! {
        #[test]
        fn no_day_of_the_past_is_within_the_window_or_near_an_alarm(
            alarmed in proptest::collection::btree_set(0_i64..400, 0..40),
            today in 0_i64..400,
        ) {
            let (series, rule) = (days(400), DriftRule::default());
            if let Some(split) = split(&series, today, &alarmed, &rule) {
                prop_assert!(split.past.len() <= rule.past_days_max);
                for (day, ()) in split.past {
                    prop_assert!(*day <= today - rule.window_days);
                    prop_assert!(alarmed.iter().all(|alarm| *day > *alarm || *day < alarm - rule.before_alarm_days));
                }
            }
        }
    }
}
