//! The days of one camera or store, as its charts see them.

use std::collections::BTreeSet;

use super::{Chart, Day, DriftRule, Reading, rates, rates::Rate, scores, scores::Sums, traffic::Traffic};
use crate::figures::Figures;

/// Days of one place, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    model: String,
    scores: Vec<(Day, Sums)>,
    rates: [Vec<(Day, Rate)>; 3],
}

/// The charts of shares, in the order of [`History`]'s series.
const RATES: [Chart; 3] = [Chart::NoFace, Chart::NotMatched, Chart::OtherWay];

impl History {
    /// Adds a day behind those that are there. Scores of another model are not comparable: with another one the past of the
    /// scores begins anew.
    pub fn push(&mut self, day: Day, model: &str, figures: &Figures) {
        if figures.scores.count > 0 {
            if self.model != model {
                model.clone_into(&mut self.model);
                self.scores.clear();
            }
            self.scores.push((day, figures.scores));
        }
        for (series, chart) in self.rates.iter_mut().zip(RATES) {
            series.extend(figures.rate(chart).filter(|rate| rate.trials > 0).map(|rate| (day, rate)));
        }
    }

    /// Judges a day by a chart. `alarmed` are days on which it was an alarm; what was before `begins` is another state, which
    /// somebody said is over. `center` are the days of the whole center; empty for one that stands alone.
    #[must_use]
    pub fn judge(
        &self,
        chart: Chart,
        day: Day,
        center: &Self,
        alarmed: &BTreeSet<Day>,
        begins: Option<Day>,
        rule: &DriftRule,
    ) -> Option<Reading> {
        match chart {
            Chart::Score => scores::judge(since(&self.scores, begins), &center.scores, day, alarmed, rule),
            Chart::NoFace | Chart::NotMatched | Chart::OtherWay => {
                let (_, series) = RATES.into_iter().zip(&self.rates).find(|(of, _)| *of == chart)?;
                rates::judge(since(series, begins), day, alarmed, rule)
            }
        }
    }

    /// What the traffic can show of the scores, as of a day on which so many charts were judged together.
    #[must_use]
    pub fn traffic(
        &self,
        day: Day,
        center: &Self,
        alarmed: &BTreeSet<Day>,
        begins: Option<Day>,
        charts: u64,
        rule: &DriftRule,
    ) -> Option<Traffic> {
        scores::traffic(since(&self.scores, begins), &center.scores, day, alarmed, charts, rule)
    }
}

fn since<T>(series: &[(Day, T)], begins: Option<Day>) -> &[(Day, T)] {
    let from = begins.map_or(0, |begins| series.partition_point(|(day, _)| *day < begins));
    series.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(day: Day, mean: f64) -> Figures {
        let mean = mean + 0.01 * ((day * 37 % 11) as f64 - 5.0) / 5.0;
        let scores = Sums { count: 100, sum: 100.0 * mean, squares: 100.0 * (mean * mean + 0.01) };
        Figures { captures: 110, matched: 95, review: 5, no_face: 4, other_way: 3, scores, ..Figures::default() }
    }

    fn judged(history: &History, chart: Chart, begins: Option<Day>) -> Option<Reading> {
        history.judge(chart, 90, &History::default(), &BTreeSet::new(), begins, &DriftRule::default())
    }

    #[test]
    fn a_new_model_and_an_accepted_state_begin_anew() {
        let mut history = History::default();
        for day in 0..=90 {
            history.push(day, "m@1", &figures(day, if day < 88 { 0.6 } else { 0.5 }));
        }
        assert!(judged(&history, Chart::Score, None).is_some_and(|reading| reading.p < 1e-6));
        assert_eq!(judged(&history, Chart::Score, Some(88)), None);
        for chart in RATES {
            let reading = judged(&history, chart, None).unwrap();
            assert!(reading.p > 0.1 && !reading.matters, "{chart:?} {reading:?}");
        }
        history.push(91, "m@2", &figures(91, 0.9));
        assert_eq!(history.judge(Chart::Score, 91, &History::default(), &BTreeSet::new(), None, &DriftRule::default()), None);
        assert!(history.judge(Chart::NoFace, 91, &History::default(), &BTreeSet::new(), None, &DriftRule::default()).is_some());
    }

    #[test]
    fn a_drift_that_lasts_stays_an_alarm_and_never_becomes_its_own_past() {
        let (mut history, mut alarmed, rule) = (History::default(), BTreeSet::new(), DriftRule::default());
        for day in 0..=300 {
            history.push(day, "m@1", &figures(day, if day < 100 { 0.6 } else { 0.5 }));
            let reading = history.judge(Chart::Score, day, &History::default(), &alarmed, None, &rule);
            if reading.is_some_and(|reading| reading.p < 1e-5 && reading.matters) {
                alarmed.insert(day);
            }
        }
        let first = *alarmed.first().unwrap();
        assert!((100..103).contains(&first) && alarmed.len() as Day == 301 - first, "{alarmed:?}");
        let last = history.judge(Chart::Score, 300, &History::default(), &alarmed, None, &rule).unwrap();
        assert!((last.expected - 0.6).abs() < 0.01 && (last.value - 0.5).abs() < 0.02, "{last:?}");
    }
}
