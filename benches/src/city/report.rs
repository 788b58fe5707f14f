//! Results over several seeds, as a table for people and as JSON, and whether the limits were reached.

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::json;

use super::{
    assumptions::Assumptions,
    run::{Desk, Outcome},
    scores::{Distribution, Measured, Pair},
};

/// Smallest share of opened cases that are right.
pub const PPV_MIN: f64 = 0.5;
/// Smallest share of repeat misusers that are found in time.
pub const FOUND_MIN: f64 = 0.8;
/// Two-sided 95 % quantiles of Student's distribution, by degrees of freedom from 1.
const STUDENT: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/// A mean over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// 95 % interval of it over seeds; none for one seed.
    pub ci95: Option<[f64; 2]>,
}

impl Mean {
    /// Of some values, one for each seed.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        let quantile = values.len().checked_sub(2).map(|at| STUDENT.get(at).copied().unwrap_or(1.96));
        let half = quantile.map(|quantile| quantile * (variance / count).sqrt());
        Self { mean, ci95: half.map(|half| [(mean - half).max(0.0), mean + half]) }
    }

    fn percent(self) -> String {
        let interval = self.ci95.map_or_else(String::new, |[lower, upper]| format!(" ({:.1} to {:.1})", lower * 100.0, upper * 100.0));
        format!("{:.1} %{interval}", self.mean * 100.0)
    }

    /// Whether the whole interval (or the mean, where there is none) reaches a limit.
    #[must_use]
    pub fn reaches(self, limit: f64) -> bool {
        self.ci95.map_or(self.mean, |[lower, _]| lower) >= limit
    }
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Report {
    assumptions: Assumptions,
    lowered: [f64; 2],
    measured: Measured,
    outcomes: Vec<Outcome>,
}

impl Report {
    /// Of outcomes under one set of assumptions; `lowered` is by how much mated scores were lowered.
    #[must_use]
    pub fn new(measured: Measured, assumptions: Assumptions, lowered: [f64; 2], outcomes: Vec<Outcome>) -> Self {
        Self { assumptions, lowered, measured, outcomes }
    }

    fn mean(&self, of: impl Fn(&Outcome) -> f64) -> Mean {
        Mean::of(&self.outcomes.iter().map(of).collect::<Vec<f64>>())
    }

    /// Positive predictive value of opened cases.
    #[must_use]
    pub fn ppv(&self) -> Mean {
        self.mean(|outcome| outcome.evidence.ppv())
    }

    /// Share of repeat misusers found in time.
    #[must_use]
    pub fn found(&self) -> Mean {
        self.mean(|outcome| outcome.evidence.found_share())
    }

    /// Whether both limits are reached, by the lower ends of the intervals.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.ppv().reaches(PPV_MIN) && self.found().reaches(FOUND_MIN)
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let desk = |of: fn(&Outcome) -> &Desk| {
            json!({ "ppv": self.mean(|o| of(o).ppv()), "repeat_misusers_found": self.mean(|o| of(o).found_share()),
                    "opened": self.mean(|o| of(o).opened.into()) })
        };
        let from = |pair: &Pair| json!({ "from": pair.from, "mated": pair.mated.trials, "nonmated": pair.nonmated.trials });
        json!({
            "reached": self.reached(),
            "limits": { "ppv": PPV_MIN, "repeat_misusers_found": FOUND_MIN },
            "evidence": desk(|o| &o.evidence),
            "plain": desk(|o| &o.plain),
            "assumptions": self.assumptions,
            "mated_scores_lowered": { "photo": self.lowered[0], "live": self.lowered[1] },
            "measured": { "model": self.measured.model, "recipe": self.measured.recipe,
                          "probe_reference": from(&self.measured.probe_reference), "probe_probe": from(&self.measured.probe_probe) },
            "seeds": self.outcomes,
        })
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}{}", self.sources(), self.assumed(), self.table(), self.kinds())
    }

    fn sources(&self) -> String {
        let Measured { model, recipe, probe_reference, probe_probe } = &self.measured;
        let trials = |d: &Distribution| d.trials;
        let line = |what: &str, pair: &Pair, lowered: f64| {
            let (mated, nonmated) = (trials(&pair.mated), trials(&pair.nonmated));
            format!("  {what}: {}; {mated} mated, {nonmated} non-mated trials; mated scores lowered by {lowered:.3}\n", pair.from)
        };
        let [photo, live] = self.lowered;
        let (photo, live) = (line("probe and reference", probe_reference, photo), line("probe and probe", probe_probe, live));
        format!("measured, {model}, {recipe}:\n{photo}{live}")
    }

    fn assumed(&self) -> String {
        let mut text = "assumed:\n".to_owned();
        if let Ok(serde_json::Value::Object(assumptions)) = serde_json::to_value(&self.assumptions) {
            for (name, value) in assumptions {
                text += &format!("  {name} = {value}\n");
            }
        }
        text
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["", "evidence", "plain threshold, same desk"]);
        let mut row = |name: &str, of: &dyn Fn(&Desk) -> f64, percent: bool| {
            let cell = |mean: Mean| if percent { mean.percent() } else { format!("{:.0}", mean.mean) };
            table.add_row([name.to_owned(), cell(self.mean(|o| of(&o.evidence))), cell(self.mean(|o| of(&o.plain)))]);
        };
        row("cases opened", &|desk| desk.opened.into(), false);
        row("of those, somebody else used the card (PPV)", &Desk::ppv, true);
        row("repeat misusers", &|desk| desk.repeaters.into(), false);
        row("of those, found within 30 days", &Desk::found_share, true);
        row("cases on stale photos, no misuse", &|desk| desk.stale.into(), false);
        row("cases on proxies nobody recorded", &|desk| desk.proxy.into(), false);
        row("left for another day (card-days)", &|desk| desk.left.into(), false);
        let [captures, misuses, capacity] =
            [|o: &Outcome| o.captures, |o: &Outcome| o.misuses, |o: &Outcome| o.capacity].map(|of| self.mean(|o| of(o).into()).mean);
        let fnmr = self.mean(|o| o.fnmr_all).percent();
        format!(
            "{} cities: {captures:.0} captures, {misuses:.0} against the rules, desk of {capacity:.0} cases; holders below the threshold of \
             FMR 1e-3: {fnmr}\n{table}\nintervals: 95 % of the mean over seeds\n",
            self.outcomes.len()
        )
    }

    fn kinds(&self) -> String {
        let mut text = "by kind, all seeds: opened, on misused cards\n".to_owned();
        let mut kinds: std::collections::BTreeMap<&str, [u32; 2]> = std::collections::BTreeMap::new();
        for (kind, [all, right]) in self.outcomes.iter().flat_map(|outcome| &outcome.evidence.kinds) {
            let [sum, sum_right] = kinds.entry(kind).or_default();
            *sum += all;
            *sum_right += right;
        }
        for (kind, [all, right]) in kinds {
            text += &format!("  {kind:16} {all:5}, {right:5} ({:.0} %)\n", f64::from(right) / f64::from(all.max(1)) * 100.0);
        }
        let verdict = if self.reached() { "reached" } else { "MISSED" };
        text + &format!("limits (PPV {:.0} %, found {:.0} %, by the lower ends): {verdict}\n", PPV_MIN * 100.0, FOUND_MIN * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_the_interval_of_students_distribution() {
        // Mean 3, standard deviation 1.581, of five: ± 2.776 · 0.7071.
        let mean = Mean::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        let [lower, upper] = mean.ci95.unwrap();
        assert!((lower - 1.037).abs() < 1e-3 && (upper - 4.963).abs() < 1e-3, "{mean:?}");
        assert!(mean.reaches(1.03) && !mean.reaches(1.04));
        assert_eq!(Mean::of(&[0.6]), Mean { mean: 0.6, ci95: None });
        assert!(Mean::of(&[0.6]).reaches(0.6));
    }

    #[test]
    fn a_small_city_is_the_same_again_and_prefers_evidence() {
        let measured = Measured::shipped().unwrap();
        let assumptions = Assumptions::small();
        let [first, again] = [1, 1].map(|seed| super::super::run(&measured, &assumptions, seed).unwrap());
        assert_eq!((&first.evidence, &first.plain, first.captures), (&again.evidence, &again.plain, again.captures));
        let share = f64::from(first.misuses) / f64::from(first.captures);
        assert!((share - assumptions.misuse).abs() < 0.001, "{share}");
        assert!(first.evidence.opened <= first.capacity && first.evidence.opened > 0);
        assert!(first.evidence.ppv() > first.plain.ppv(), "{first:?}");
        let report = Report::new(measured, assumptions, [0.0, 0.0], vec![first]);
        assert!(report.text().contains("misuse_every_days = 9.0") && report.json()["assumptions"]["misuse"] == 0.005);
    }
}
