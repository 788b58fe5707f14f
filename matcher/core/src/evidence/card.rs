//! One card over a window of days: which faces used it, what they say together, and which case that would be.
//!
//! The question is whether somebody else than its holder used the card. Visits are told apart by face
//! ([`clusters`](super::clusters)). Where there is one face, only its likeness to the photo can speak. Where
//! there are several, the one most like the photo is the *anchor*, and each visit of another face speaks twice:
//! how little it is like the photo, and how little like the anchor, which live against live is far easier to
//! tell. Each is a log-likelihood ratio; a visit's are added, the visits of a day are averaged, and a day is
//! clamped so that **one visit can never open a case**.
//!
//! A day counts once, as the mean of its visits: tries of one visit are near copies, and the strongest of them
//! would grow with the number of tries. Days add up, less than in full: scores of one face against one photo
//! resemble each other, so `m` days count as `m / (1 + (m − 1)·ρ)`. For normal scores of equal variance and
//! correlation ρ that is exact.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{case::CaseKind, clusters::clusters, file::EvidenceModel};

/// Visits of one card that are looked at, at most: the latest.
pub const VISITS_MAX: usize = 32;

/// Names a visit: the id of its verification.
pub type VisitId = [u8; 16];

/// One visit with a probe, compared by the model and recipe that the evidence is calibrated for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visit {
    /// Which.
    pub id: VisitId,
    /// Day since 1970-01-01, by the center's calendar.
    pub day: i32,
    /// Score with the reference; none where there is none that compares.
    pub to_reference: Option<f32>,
    /// Whether a document explains another face: a recorded proxy, or a guardian. It is no evidence at all.
    pub explained: bool,
}

/// Settings of a [`CardRule`] that are not in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field}: expected {expected}")]
pub struct CardRuleError {
    /// Which setting.
    pub field: &'static str,
    /// What was expected of it.
    pub expected: &'static str,
}

/// How evidence adds up and when it opens a case.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CardRule {
    prior: f64,
    visit_max: f64,
    correlation: f64,
    open_at: f64,
}

/// How far below the threshold the largest evidence of one day stays.
const MARGIN: f64 = 0.5;

impl CardRule {
    /// A rule. `prevalence`: share of cards in a window that somebody else uses, as the center believes before it
    /// looks (above 0, at most 0.1). `correlation`: of two days' evidence of one face, 0–1 (1 excluded).
    /// `posterior_min`: probability from which a case may be opened, 0.1–0.99.
    ///
    /// # Errors
    /// With the setting that is out of order.
    pub fn new(prevalence: f64, correlation: f64, posterior_min: f64) -> Result<Self, CardRuleError> {
        let wrong = |field, expected| Err(CardRuleError { field, expected });
        if !(prevalence > 0.0 && prevalence <= 0.1) {
            return wrong("prevalence", "a share above 0 and at most 0.1");
        }
        if !(0.0..1.0).contains(&correlation) {
            return wrong("correlation", "a number from 0 to below 1");
        }
        if !(0.1..=0.99).contains(&posterior_min) {
            return wrong("posterior_min", "a probability from 0.1 to 0.99");
        }
        let (prior, open_at) = (log_odds(prevalence), log_odds(posterior_min));
        // Two days at the clamp must be able to open a case, one must not.
        let visit_max = open_at - prior - MARGIN;
        if visit_max <= 0.0 || effective(visit_max, 2, correlation) + prior < open_at {
            return wrong("prevalence", "so small, or a correlation so small, that two days can open a case where one cannot");
        }
        Ok(Self { prior, visit_max, correlation, open_at })
    }

    /// Log-odds before any evidence.
    #[must_use]
    pub fn prior(&self) -> f64 {
        self.prior
    }

    /// Largest size of what one day may add.
    #[must_use]
    pub fn visit_max(&self) -> f64 {
        self.visit_max
    }

    /// Log-odds from which a case may be opened.
    #[must_use]
    pub fn open_at(&self) -> f64 {
        self.open_at
    }

    /// Whether a card with these log-odds may open a case.
    #[must_use]
    pub fn opens(&self, log_odds: f64) -> bool {
        log_odds >= self.open_at
    }

    /// Log-odds after the evidence of these days.
    #[must_use]
    pub fn after(&self, days: &[f64]) -> f64 {
        let clamped = days.iter().map(|day| day.clamp(-self.visit_max, self.visit_max));
        let mean = clamped.sum::<f64>() / days.len().max(1) as f64;
        self.prior + effective(mean, days.len(), self.correlation)
    }
}

/// What `count` days of this mean evidence say together.
fn effective(mean: f64, count: usize, correlation: f64) -> f64 {
    let count = count as f64;
    if count < 1.0 { 0.0 } else { mean * count / (1.0 + (count - 1.0) * correlation) }
}

/// ln(p / (1 − p)).
#[must_use]
pub fn log_odds(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

/// The probability of log-odds.
#[must_use]
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// What a card's visits say.
#[derive(Debug, Clone, PartialEq)]
pub struct CardFinding {
    /// Which case it would be; none where nothing speaks against the card's holder.
    pub kind: Option<CaseKind>,
    /// Log-odds that somebody else than the holder used the card.
    pub log_odds: f64,
    /// Days that the evidence rests on.
    pub days: usize,
    /// Visits by face, each face's by time; the one most like the photo first.
    pub faces: Vec<Vec<VisitId>>,
}

impl CardFinding {
    /// The visits that speak against the holder: those of the other faces, or of the only one.
    #[must_use]
    pub fn suspects(&self) -> Vec<VisitId> {
        let others = if self.faces.len() > 1 { 1 } else { 0 };
        self.faces.iter().skip(others).flatten().copied().collect()
    }
}

/// Judges a card by its visits, in any order. `score` compares the probes of two of them, by their places in
/// `visits`, and does not depend on which comes first. Explained visits are left out; of the rest, the latest
/// [`VISITS_MAX`] count.
pub fn judge_card(model: &EvidenceModel, rule: &CardRule, visits: &[Visit], score: &dyn Fn(usize, usize) -> f32) -> CardFinding {
    let mut places: Vec<(usize, &Visit)> = visits.iter().enumerate().filter(|(_, visit)| !visit.explained).collect();
    places.sort_by_key(|(_, visit)| (visit.day, visit.id));
    let places = places.split_off(places.len().saturating_sub(VISITS_MAX));
    let place = |at: usize| places.get(at).map_or(0, |(place, _)| *place);
    let between = |a: usize, b: usize| score(place(a), place(b));
    let mut faces: Vec<Face<'_>> = clusters(places.len(), model.same_face_at_least(), &between)
        .into_iter()
        .map(|members| Face { members: members.iter().filter_map(|at| places.get(*at).copied()).collect() })
        .collect();
    // The face most like the photo comes first; of equals, the one seen more often, then the one seen first.
    faces.sort_by(|a, b| a.likeness(model).total_cmp(&b.likeness(model)).then(b.members.len().cmp(&a.members.len())));
    let days = evidence_by_day(model, rule, &faces, score);
    let log_odds = rule.after(&days);
    let ids = |face: &Face<'_>| face.members.iter().map(|(_, visit)| visit.id).collect();
    CardFinding { kind: kind(model, rule, &faces, log_odds), log_odds, days: days.len(), faces: faces.iter().map(ids).collect() }
}

/// The visits of one face, by time, with their places.
struct Face<'a> {
    members: Vec<(usize, &'a Visit)>,
}

impl Face<'_> {
    /// Mean evidence against the photo: the less, the more the face is like it.
    fn likeness(&self, model: &EvidenceModel) -> f64 {
        mean(self.members.iter().map(|(_, visit)| reference_ratio(model, visit)))
    }
}

fn reference_ratio(model: &EvidenceModel, visit: &Visit) -> f64 {
    visit.to_reference.map_or(0.0, |score| model.probe_reference().ratio(score))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

/// For each day with a visit that can speak, by day: the mean of what its visits say.
fn evidence_by_day(model: &EvidenceModel, rule: &CardRule, faces: &[Face<'_>], score: &dyn Fn(usize, usize) -> f32) -> Vec<f64> {
    let Some((anchor, others)) = faces.split_first() else { return Vec::new() };
    let mut days: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
    if others.is_empty() {
        for (_, visit) in anchor.members.iter().filter(|(_, visit)| visit.to_reference.is_some()) {
            days.entry(visit.day).or_default().push(reference_ratio(model, visit));
        }
    }
    for (place, visit) in others.iter().flat_map(|face| &face.members) {
        let live = mean(anchor.members.iter().map(|(other, _)| model.probe_probe().ratio(score(*place, *other))));
        let both = (reference_ratio(model, visit) + live).clamp(-rule.visit_max, rule.visit_max);
        days.entry(visit.day).or_default().push(both);
    }
    days.into_values().map(|visits| mean(visits.into_iter())).collect()
}

fn kind(model: &EvidenceModel, rule: &CardRule, faces: &[Face<'_>], log_odds: f64) -> Option<CaseKind> {
    let anchor = faces.first()?;
    // A finding is what makes misuse likelier than it was before anybody looked; a case asks for more.
    if log_odds <= rule.prior {
        return None;
    }
    Some(match (faces.len(), anchor.likeness(model) < 0.0) {
        (1, _) => CaseKind::ReferenceStale,
        (_, true) => CaseKind::CardShared,
        (_, false) => CaseKind::SeveralFaces,
    })
}

#[cfg(test)]
mod tests;
