//! Figures of a day: how often what was decided, by institution, counter, camera, operator, scene, hour and band of age.
//!
//! [`Tally`] counts observations of one day into [`Figures`] of each [`Place`]. They are derived from the log of decisions and
//! name nobody but operators, as their institutions do. Not here: where they are kept, and what they say (`drift`).

use std::collections::HashMap;

use crate::{
    birth::AgeBand,
    decision::{Decision, NoDecision, Scene},
    drift::{
        Chart,
        latency::{CLASSES, CLASSES_MS, WAITED_MS_MAX},
        rates::Rate,
        scores::Sums,
    },
    words::words,
};

words! {
    /// By what figures are parted.
    Dimension {
        /// Not at all.
        Total = "total",
        /// By institution.
        Store = "store",
        /// By counter of an institution.
        Counter = "counter",
        /// By camera: the device of a counter.
        Camera = "camera",
        /// By operator of an institution, as it names them.
        Operator = "operator",
        /// By scene.
        Scene = "scene",
        /// By hour of the day.
        Hour = "hour",
        /// By band of age at the capture, where something was compared and the age is known.
        Age = "age",
    }
}

impl Dimension {
    /// Whether the figures of all institutions stand beside those of each, under an empty name.
    #[must_use]
    pub fn has_all(self) -> bool {
        matches!(self, Self::Total | Self::Scene | Self::Hour | Self::Age)
    }
}

/// One decision, as far as it is counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Institution.
    pub institution: String,
    /// Its counter.
    pub counter: String,
    /// Its device.
    pub device: String,
    /// Operator; may be empty.
    pub operator: String,
    /// Scene.
    pub scene: Scene,
    /// Hour of the day, 0–23.
    pub hour: u8,
    /// Band of age, where it is known.
    pub age: AgeBand,
    /// What was decided.
    pub decision: Decision,
    /// Whether somebody came in the holder's place.
    pub proxy: bool,
    /// The score, where the probe was compared with a reference of the center.
    pub score: Option<f32>,
    /// Model of the score; empty without one.
    pub model: String,
    /// From the capture to the decision, in milliseconds.
    pub waited_ms: i64,
}

/// What figures are of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// By what.
    pub dimension: Dimension,
    /// Institution; empty for all of them.
    pub institution: String,
    /// Counter, camera, operator, scene, hour or band; empty for totals and institutions.
    pub key: String,
}

/// Counts of a place.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Answers.
    pub captures: u64,
    /// Matches.
    pub matched: u64,
    /// Reviews.
    pub review: u64,
    /// Non-matches.
    pub non_match: u64,
    /// No reference.
    pub no_reference: u64,
    /// Failures to acquire a face, several faces among them.
    pub no_face: u64,
    /// Attacks suspected, or not ruled out.
    pub attack: u64,
    /// Another way was chosen.
    pub other_way: u64,
    /// Documents that were checked and the holder's.
    pub document: u64,
    /// Documents that were not the person's.
    pub not_the_person: u64,
    /// Somebody came in the holder's place.
    pub proxy: u64,
    /// No decision for another reason.
    pub other: u64,
    /// Provisional receipts: settled without the center.
    pub provisional: u64,
    /// Flags raised.
    pub flags: u64,
    /// Scores of the day's model.
    pub scores: Sums,
    /// Answers by the time people waited (`drift::latency`).
    pub waits: [u64; CLASSES],
}

impl Figures {
    fn count(&mut self, observed: &Observed) {
        self.captures += 1;
        let slot = match observed.decision {
            _ if observed.proxy => &mut self.proxy,
            Decision::Match => &mut self.matched,
            Decision::Review => &mut self.review,
            Decision::NonMatch => &mut self.non_match,
            Decision::NoDecision(reason) => match reason {
                NoDecision::NoReference => &mut self.no_reference,
                NoDecision::FailureToAcquire | NoDecision::SeveralFaces => &mut self.no_face,
                NoDecision::AttackSuspected | NoDecision::LiveUnclear => &mut self.attack,
                NoDecision::OtherWay => &mut self.other_way,
                NoDecision::DocumentChecked => &mut self.document,
                NoDecision::DocumentNotThePerson => &mut self.not_the_person,
                NoDecision::Proxy | NoDecision::ProxyNotCompared | NoDecision::ProxyNotAllowed | NoDecision::ProxyLimit => &mut self.proxy,
                NoDecision::LiveNotAssessed
                | NoDecision::ModelMismatch
                | NoDecision::ReferenceUnreadable
                | NoDecision::ReferenceTooOld
                | NoDecision::ConsentMissing
                | NoDecision::ConsentWithdrawn
                | NoDecision::CenterUnreachable => &mut self.other,
            },
        };
        *slot += 1;
        let waited = u32::try_from(observed.waited_ms.max(0)).unwrap_or(u32::MAX);
        if waited <= WAITED_MS_MAX
            && let Some(class) = self.waits.get_mut(CLASSES_MS.partition_point(|end| *end < waited))
        {
            *class += 1;
        }
    }

    /// Adds the counts of another day or place. Scores are added, too, whatever their models.
    pub fn add(&mut self, other: &Self) {
        let counts = [
            (&mut self.captures, other.captures),
            (&mut self.matched, other.matched),
            (&mut self.review, other.review),
            (&mut self.non_match, other.non_match),
            (&mut self.no_reference, other.no_reference),
            (&mut self.no_face, other.no_face),
            (&mut self.attack, other.attack),
            (&mut self.other_way, other.other_way),
            (&mut self.document, other.document),
            (&mut self.not_the_person, other.not_the_person),
            (&mut self.proxy, other.proxy),
            (&mut self.other, other.other),
            (&mut self.provisional, other.provisional),
            (&mut self.flags, other.flags),
            (&mut self.scores.count, other.scores.count),
        ];
        for (to, from) in counts.into_iter().chain(self.waits.iter_mut().zip(other.waits)) {
            *to += from;
        }
        self.scores.sum += other.scores.sum;
        self.scores.squares += other.scores.squares;
    }

    /// Comparisons that were decided.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.matched + self.review + self.non_match
    }

    /// The share that a chart looks at; nothing for mean scores.
    #[must_use]
    pub fn rate(&self, chart: Chart) -> Option<Rate> {
        match chart {
            Chart::Score => None,
            Chart::NoFace => Some(Rate { events: self.no_face, trials: self.captures }),
            Chart::NotMatched => Some(Rate { events: self.review + self.non_match, trials: self.compared() }),
            Chart::OtherWay => Some(Rate { events: self.other_way, trials: self.captures }),
        }
    }
}

/// A place while it is counted: its scores by model.
#[derive(Debug, Default)]
struct Counting {
    figures: Figures,
    scores: Vec<(String, Sums)>,
}

/// The value of a name, made where there is none; a name that is there is not copied.
fn entry<'a, T: Default>(map: &'a mut HashMap<String, T>, name: &str) -> &'a mut T {
    if !map.contains_key(name) {
        map.insert(name.to_owned(), T::default());
    }
    map.entry(name.to_owned()).or_default()
}

/// Counts the observations of one day.
#[derive(Debug, Default)]
pub struct Tally {
    places: HashMap<Dimension, HashMap<String, HashMap<String, Counting>>>,
}

impl Tally {
    fn at(&mut self, dimension: Dimension, institution: &str, key: &str) -> &mut Counting {
        let institutions = self.places.entry(dimension).or_default();
        entry(entry(institutions, institution), key)
    }

    /// Counts a decision.
    pub fn take(&mut self, observed: &Observed) {
        let hour = format!("{:02}", observed.hour);
        let places = [
            (Dimension::Total, ""),
            (Dimension::Store, ""),
            (Dimension::Counter, observed.counter.as_str()),
            (Dimension::Camera, observed.device.as_str()),
            (Dimension::Operator, observed.operator.as_str()),
            (Dimension::Scene, observed.scene.word()),
            (Dimension::Hour, hour.as_str()),
            (Dimension::Age, observed.age.word()),
        ];
        for (dimension, key) in places {
            let own = (dimension != Dimension::Total).then_some(observed.institution.as_str());
            for institution in own.into_iter().chain(dimension.has_all().then_some("")) {
                let counting = self.at(dimension, institution, key);
                counting.figures.count(observed);
                let Some(score) = observed.score.filter(|_| !observed.proxy) else { continue };
                match counting.scores.iter_mut().find(|(model, _)| *model == observed.model) {
                    Some((_, sums)) => sums.add(score.into()),
                    None => {
                        let mut sums = Sums::default();
                        sums.add(score.into());
                        counting.scores.push((observed.model.clone(), sums));
                    }
                }
            }
        }
    }

    /// Counts what stands beside decisions: of a device, or of an institution where it is empty.
    pub fn beside(&mut self, institution: &str, device: &str, provisional: u64, flags: u64) {
        let camera = (!device.is_empty()).then_some((Dimension::Camera, institution, device));
        for (dimension, institution, key) in [(Dimension::Total, "", ""), (Dimension::Store, institution, "")].into_iter().chain(camera) {
            let figures = &mut self.at(dimension, institution, key).figures;
            figures.provisional += provisional;
            figures.flags += flags;
        }
    }

    /// The figures, and the model whose scores they hold: the one most scores of the day are of.
    #[must_use]
    pub fn figures(&self) -> (String, Vec<(Place, Figures)>) {
        let total = self.places.get(&Dimension::Total).and_then(|all| all.get("")).and_then(|all| all.get(""));
        let most = total.and_then(|total| total.scores.iter().max_by_key(|(_, sums)| sums.count));
        let model = most.map_or_else(String::new, |(model, _)| model.clone());
        let mut all = Vec::new();
        for (dimension, institutions) in &self.places {
            for (institution, keys) in institutions {
                for (key, counting) in keys {
                    let scores = counting.scores.iter().find(|(of, _)| *of == model).map(|(_, sums)| *sums).unwrap_or_default();
                    let place = Place { dimension: *dimension, institution: institution.clone(), key: key.clone() };
                    all.push((place, Figures { scores, ..counting.figures }));
                }
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        (model, all)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn observed(institution: &str, decision: Decision, score: Option<f32>, waited_ms: i64) -> Observed {
        Observed {
            institution: institution.into(),
            counter: "1".into(),
            device: format!("{institution}-1"),
            operator: String::new(),
            scene: Scene::Settlement,
            hour: 9,
            age: AgeBand::Sixties,
            decision,
            proxy: false,
            score,
            model: if score.is_some() { "m@1".into() } else { String::new() },
            waited_ms,
        }
    }

    fn of(all: &[(Place, Figures)], dimension: Dimension, institution: &str, key: &str) -> Figures {
        let place = Place { dimension, institution: institution.into(), key: key.into() };
        all.iter().find(|(of, _)| *of == place).unwrap().1
    }

    #[test]
    fn a_day_is_counted_by_every_dimension() {
        let mut tally = Tally::default();
        tally.take(&observed("P1", Decision::Match, Some(0.7), 400));
        tally.take(&observed("P1", Decision::Review, Some(0.4), 90_000));
        tally.take(&Observed { model: "m@0".into(), ..observed("P2", Decision::NonMatch, Some(0.1), 100) });
        tally.take(&observed("P2", Decision::NoDecision(NoDecision::OtherWay), None, 101));
        tally.take(&Observed { proxy: true, ..observed("P2", Decision::NonMatch, Some(0.0), 10_001) });
        tally.beside("P2", "P2-1", 2, 1);
        let (model, all) = tally.figures();
        assert_eq!(model, "m@1");
        let total = of(&all, Dimension::Total, "", "");
        assert_eq!((total.captures, total.matched, total.review, total.non_match, total.other_way, total.proxy), (5, 1, 1, 1, 1, 1));
        assert_eq!((total.scores.count, total.provisional, total.flags, total.compared()), (2, 2, 1, 3));
        assert_eq!(total.waits, [1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        let camera = of(&all, Dimension::Camera, "P1", "P1-1");
        assert!((camera.scores.mean().unwrap() - 0.55).abs() < 1e-6);
        assert_eq!(camera.rate(Chart::NotMatched), Some(Rate { events: 1, trials: 2 }));
        for (dimension, key) in [(Dimension::Scene, "settlement"), (Dimension::Hour, "09"), (Dimension::Age, "60-74")] {
            assert_eq!((of(&all, dimension, "", key).captures, of(&all, dimension, "P2", key).captures), (5, 3));
        }
        assert_eq!(of(&all, Dimension::Camera, "P2", "P2-1").scores.count, 0, "another model's scores, and a stranger's");
    }

    proptest! {
        #[test]
        fn every_answer_is_in_one_class_and_parts_sum_to_the_whole(
            answers in proptest::collection::vec((0_usize..3, 0_usize..22, proptest::option::of(0.0_f32..1.0)), 0..60),
        ) {
            let decisions: Vec<Decision> = [Decision::Match, Decision::Review, Decision::NonMatch]
                .into_iter()
                .chain(NoDecision::ALL.iter().map(|reason| Decision::NoDecision(*reason)))
                .collect();
            let mut tally = Tally::default();
            for (store, decision, score) in &answers {
                tally.take(&observed(&format!("P{store}"), decisions[*decision % decisions.len()], *score, 500));
            }
            let (_, all) = tally.figures();
            for dimension in Dimension::ALL {
                let mut sum = Figures::default();
                for (_, figures) in all.iter().filter(|(place, _)| place.dimension == *dimension && (place.institution.is_empty() == dimension.has_all())) {
                    sum.add(figures);
                    let Figures { matched, review, non_match, no_reference, no_face, attack, other_way, document, not_the_person, proxy, other, .. } = *figures;
                    let parts = matched + review + non_match + no_reference + no_face + attack + other_way + document + not_the_person + proxy + other;
                    prop_assert_eq!(parts, figures.captures);
                }
                prop_assert_eq!(sum.captures, answers.len() as u64);
            }
        }
    }
}
