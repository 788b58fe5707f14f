//! One run through the city's days: evidence at a desk, beside plain thresholding at the same desk.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use matcher_core::evidence::{
    Candidate, CardRule, CaseKind, EvidenceModel, Opening, Visit,
    file::{CalibrationFile, EvidenceFile},
    fill_desk, judge_card,
};
use serde::Serialize;

use super::{
    assumptions::Assumptions,
    captures::{Capture, Card, Scores, cards},
    scores::Measured,
};

/// A case on a card is not opened again for as many days.
const QUIET_DAYS: u16 = 30;
/// Within so many days a repeat misuser is to be found.
const FOUND_WITHIN_DAYS: u16 = 30;

/// What cases came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Desk {
    /// Cases opened.
    pub opened: u32,
    /// Of those, on cards that somebody else used against the rules within the window.
    pub misused: u32,
    /// Of the others, on cards with a stale photo.
    pub stale: u32,
    /// Of the others, on cards of somebody for whom another collected and nobody recorded it.
    pub proxy: u32,
    /// By kind: opened, and on misused cards.
    pub kinds: BTreeMap<&'static str, [u32; 2]>,
    /// Repeat misusers who could be found within the days.
    pub repeaters: u32,
    /// Of those, found.
    pub found: u32,
    /// Findings above the threshold that did not fit on the desk, summed over days.
    pub left: u32,
}

impl Desk {
    /// Share of opened cases on misused cards, 0–1.
    #[must_use]
    pub fn ppv(&self) -> f64 {
        f64::from(self.misused) / f64::from(self.opened.max(1))
    }

    /// Share of repeat misusers found in time, 0–1.
    #[must_use]
    pub fn found_share(&self) -> f64 {
        f64::from(self.found) / f64::from(self.repeaters.max(1))
    }
}

/// What one city came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Captures.
    pub captures: u32,
    /// Captures against the rules.
    pub misuses: u32,
    /// Cases the desk could read.
    pub capacity: u32,
    /// False non-match rate of all holders' captures at a false match rate of 1e-3, stale photos included.
    pub fnmr_all: f64,
    /// By evidence.
    pub evidence: Desk,
    /// By the lowest scores.
    pub plain: Desk,
}

/// Runs a city.
///
/// # Errors
/// When the assumptions give no calibration or no rule.
pub fn run(measured: &Measured, assumptions: &Assumptions, seed: u64) -> Result<Outcome> {
    let scores = Scores::new(measured, assumptions, seed);
    let city = City {
        assumptions,
        model: model(measured, assumptions, &scores)?,
        rule: rule(assumptions)?,
        cards: cards(assumptions, seed),
        scores,
    };
    let captures: u32 = city.cards.iter().map(|card| card.captures.len() as u32).sum();
    let a_day = f64::from(captures) / f64::from(assumptions.days) * assumptions.desk_per_million / 1e6;
    let (mut evidence, mut plain) = (Cases::default(), Cases::default());
    let mut waiting = BTreeSet::new();
    for day in 0..assumptions.days {
        let capacity = (a_day * f64::from(day + 1)) as usize - (a_day * f64::from(day)) as usize;
        let visited = city.visited(day);
        waiting.extend(&visited);
        evidence.day(day, capacity, city.judged(day, &waiting, &evidence));
        waiting.retain(|card| evidence.may_open(*card, day) && city.is_above(*card, day));
        plain.day(day, capacity, city.lowest(day, &visited, &plain));
    }
    Ok(Outcome {
        seed,
        captures,
        misuses: city.cards.iter().flat_map(|card| &card.captures).filter(|capture| capture.misuse).count() as u32,
        capacity: (a_day * f64::from(assumptions.days)) as u32,
        fnmr_all: city.fnmr(),
        evidence: city.desk(&evidence),
        plain: city.desk(&plain),
    })
}

fn rule(assumptions: &Assumptions) -> Result<CardRule> {
    CardRule::new(assumptions.prior, assumptions.correlation, assumptions.posterior_min).context("assumptions")
}

/// What a center would learn from its own trials.
fn model(measured: &Measured, assumptions: &Assumptions, scores: &Scores) -> Result<EvidenceModel> {
    let [photo, live] = scores.trials(assumptions);
    let file = EvidenceFile {
        model: measured.model.clone(),
        recipe: measured.recipe.clone(),
        same_face_at_least: scores.live_threshold(1e-3) as f32,
        probe_reference: CalibrationFile::from_scores(&photo[0], &photo[1])?,
        probe_probe: CalibrationFile::from_scores(&live[0], &live[1])?,
    };
    Ok(file.check()?)
}

struct City<'a> {
    assumptions: &'a Assumptions,
    scores: Scores,
    model: EvidenceModel,
    rule: CardRule,
    cards: Vec<Card>,
}

/// A finding that may become a case.
type Found = Candidate<(u32, &'static str)>;

impl City<'_> {
    fn visited(&self, day: u16) -> Vec<u32> {
        let visited = |card: &Card| card.captures.iter().any(|capture| capture.day == day);
        self.cards.iter().zip(0..).filter(|(card, _)| visited(card)).map(|(_, number)| number).collect()
    }

    fn card(&self, number: u32) -> Option<&Card> {
        self.cards.get(number as usize)
    }

    /// Captures of a card within the window that ends with a day.
    fn window(&self, number: u32, day: u16) -> Vec<Capture> {
        let inside = |capture: &&Capture| capture.day <= day && capture.day + self.assumptions.window_days > day;
        self.card(number).map_or_else(Vec::new, |card| card.captures.iter().filter(inside).copied().collect())
    }

    fn photo_score(&self, number: u32, capture: &Capture) -> f32 {
        self.scores.with_photo(self.assumptions, number, self.card(number).is_some_and(|card| card.stale), capture)
    }

    fn finding(&self, number: u32, day: u16) -> (Option<CaseKind>, f64) {
        let window = self.window(number, day);
        let visit = |capture: &Capture| Visit {
            id: u128::from(capture.id).to_be_bytes(),
            day: capture.day.into(),
            to_reference: Some(self.photo_score(number, capture)),
            explained: capture.explained,
        };
        let visits: Vec<Visit> = window.iter().map(visit).collect();
        let live = |a: usize, b: usize| match (window.get(a), window.get(b)) {
            (Some(a), Some(b)) => self.scores.live(self.assumptions, number, a, b),
            _ => 0.0,
        };
        let finding = judge_card(&self.model, &self.rule, &visits, &live);
        (finding.kind, finding.log_odds)
    }

    fn is_above(&self, number: u32, day: u16) -> bool {
        self.rule.opens(self.finding(number, day).1)
    }

    fn judged(&self, day: u16, numbers: &BTreeSet<u32>, cases: &Cases) -> Vec<Found> {
        let found = |number: &u32| {
            let (kind, log_odds) = self.finding(*number, day);
            let kind = kind.filter(|_| self.rule.opens(log_odds))?;
            Some(Candidate { about: (*number, kind.word()), opening: Opening::Evidence, log_odds })
        };
        numbers.iter().filter(|number| cases.may_open(**number, day)).filter_map(found).collect()
    }

    /// The lowest score of each card of a day, below the threshold of a match.
    fn lowest(&self, day: u16, numbers: &[u32], cases: &Cases) -> Vec<Found> {
        let threshold = self.scores.photo_threshold(1e-3);
        let found = |number: &u32| {
            let today = self.window(*number, day).into_iter().filter(|capture| capture.day == day && !capture.explained);
            let lowest = today.map(|capture| f64::from(self.photo_score(*number, &capture))).min_by(f64::total_cmp)?;
            (lowest < threshold).then_some(Candidate { about: (*number, "low_score"), opening: Opening::Evidence, log_odds: -lowest })
        };
        numbers.iter().filter(|number| cases.may_open(**number, day)).filter_map(found).collect()
    }

    fn fnmr(&self) -> f64 {
        let threshold = self.scores.photo_threshold(1e-3) as f32;
        let holders = self.cards.iter().zip(0..).flat_map(|(card, number)| card.captures.iter().map(move |capture| (number, capture)));
        let holders = holders.filter(|(_, capture)| capture.face == 0);
        let (missed, all) = holders.fold((0_u32, 0_u32), |(missed, all), (number, capture)| {
            (missed + u32::from(self.photo_score(number, capture) < threshold), all + 1)
        });
        f64::from(missed) / f64::from(all.max(1))
    }

    fn desk(&self, cases: &Cases) -> Desk {
        let mut desk = Desk { left: cases.left, ..Desk::default() };
        for (day, number, kind) in &cases.opened {
            let window = self.window(*number, *day);
            let misused = window.iter().any(|capture| capture.misuse);
            let stale = self.card(*number).is_some_and(|card| card.stale);
            let proxy = window.iter().any(|capture| capture.face == 1 && !capture.explained);
            desk.opened += 1;
            desk.misused += u32::from(misused);
            desk.stale += u32::from(!misused && stale);
            desk.proxy += u32::from(!misused && !stale && proxy);
            let [all, right] = desk.kinds.entry(kind).or_default();
            *all += 1;
            *right += u32::from(misused);
        }
        for (card, number) in self.cards.iter().zip(0..) {
            let Some(first) = self.repeats_from(card) else { continue };
            desk.repeaters += 1;
            let in_time = |(day, about, _): &&(u16, u32, &str)| *about == number && (first..first + FOUND_WITHIN_DAYS).contains(day);
            desk.found += u32::from(cases.opened.iter().any(|case| in_time(&case)));
        }
        desk
    }

    /// The first misuse of a card that is misused on another day within the time it is to be found in; none where that
    /// time goes beyond the days simulated.
    fn repeats_from(&self, card: &Card) -> Option<u16> {
        let mut days = card.captures.iter().filter(|capture| capture.misuse).map(|capture| capture.day);
        let first = days.next().filter(|first| first + FOUND_WITHIN_DAYS <= self.assumptions.days)?;
        days.any(|day| day > first && day < first + FOUND_WITHIN_DAYS).then_some(first)
    }
}

/// Cases as they were opened.
#[derive(Debug, Default)]
struct Cases {
    opened: Vec<(u16, u32, &'static str)>,
    last: BTreeMap<u32, u16>,
    left: u32,
}

impl Cases {
    fn may_open(&self, number: u32, day: u16) -> bool {
        self.last.get(&number).is_none_or(|last| day >= last + QUIET_DAYS)
    }

    fn day(&mut self, day: u16, capacity: usize, found: Vec<Found>) {
        let filled = fill_desk(found, capacity, 0);
        self.left += filled.recorded.len() as u32;
        for candidate in filled.opened {
            let (number, kind) = candidate.about;
            self.opened.push((day, number, kind));
            self.last.insert(number, day);
        }
    }
}
