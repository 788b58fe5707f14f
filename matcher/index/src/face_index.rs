//! An index of faces: adding, removing, searching, and growing from one form into the other.

use std::fmt;

use crate::{
    Entry, Features, IndexError,
    engine::{Exact, Hits, Inverted},
    machine,
    slots::Slots,
};

/// Candidates a search may ask for.
const CANDIDATES_MAX: usize = 1_024;
/// Templates that are added or searched at a time: what the engine needs beside the index stays small.
const AT_ONCE: usize = 4_096;
/// Sampled templates for each list of an inverted file.
const SAMPLE_A_LIST: usize = 32;
/// An inverted file that has grown to so many times what it was trained for is to be built again.
const OUTGROWN: usize = 4;
/// Templates that the number of lists looked into is tuned with.
const TUNED_WITH: usize = 512;
/// Templates that the change of one is mixed of.
const MIXED: usize = 8;

/// How an index is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Numbers of each template.
    pub dimension: usize,
    /// Templates it is expected to have: sets the number of lists.
    pub expected: usize,
    /// Templates up to which every search compares with all of them.
    pub exact_max: usize,
    /// Bytes of memory it may take.
    pub bytes_max: u64,
    /// Share of searches that must find whom an exact one finds, above 0 and below 1.
    pub recall: f64,
    /// The score from which that counts: nobody below it is reported anyway. 0–1.
    pub recall_above: f32,
}

/// A record that may be the one, by an approximate score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Which.
    pub entry: Entry,
    /// Cosine, approximately: to be compared again.
    pub score: f32,
}

pub(crate) enum Form {
    Exact(Exact),
    Inverted(Inverted),
}

/// An index of faces.
pub struct FaceIndex {
    pub(crate) settings: Settings,
    pub(crate) slots: Slots,
    pub(crate) form: Form,
    /// Templates the lists were trained for.
    pub(crate) trained_for: usize,
}

impl fmt::Debug for FaceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaceIndex").field("settings", &self.settings).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl FaceIndex {
    /// An empty index.
    ///
    /// # Errors
    /// When the processor or the dimension does not fit.
    pub fn new(settings: Settings) -> Result<Self, IndexError> {
        machine::check()?;
        Features::new(settings.dimension)?;
        let form = Form::Exact(Exact::new(settings.dimension).map_err(IndexError::Engine)?);
        Ok(Self { settings, slots: Slots::default(), form, trained_for: 0 })
    }

    /// How many records it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every search compares with all templates.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        matches!(self.form, Form::Exact(_))
    }

    /// How it was made.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Lists, and how many of them a search looks into; nothing while it is exact.
    #[must_use]
    pub fn lists(&self) -> Option<(u32, u32)> {
        match &self.form {
            Form::Exact(_) => None,
            Form::Inverted(inverted) => Some((inverted.lists(), inverted.looks_into())),
        }
    }

    /// Whether it has grown out of what it was trained for, and would be smaller or faster built again.
    #[must_use]
    pub fn is_outgrown(&self) -> bool {
        self.trained_for > 0 && self.len() > self.trained_for.saturating_mul(OUTGROWN)
    }

    /// Whether a record is in it.
    #[must_use]
    pub fn has(&self, record: &[u8; 16]) -> bool {
        self.slots.find(record).is_some()
    }

    /// The entry of a record.
    #[must_use]
    pub fn entry(&self, record: &[u8; 16]) -> Option<Entry> {
        self.slots.get(u64::from(self.slots.find(record)?))
    }

    /// All records, in no particular order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.slots.entries()
    }

    /// Bytes of memory it takes: templates, numbers, centres and the table of records.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes_of(self.len()) + self.slots.bytes()
    }

    /// Bytes of so many templates in the present form.
    fn bytes_of(&self, templates: usize) -> u64 {
        let (d, n) = (self.settings.dimension as u64, templates as u64);
        match &self.form {
            Form::Exact(_) => n * (4 * d + 8),
            Form::Inverted(inverted) => n * (d + 8) + u64::from(inverted.lists()) * 4 * d,
        }
    }

    /// Adds records with their templates. An exact index that passes its size becomes an inverted file.
    ///
    /// # Errors
    /// When their numbers differ, a record is there already, the memory does not suffice, or the engine fails; unless the
    /// engine failed, nothing was added.
    pub fn add(&mut self, features: &Features, entries: &[Entry]) -> Result<(), IndexError> {
        self.fits(features)?;
        if features.len() != entries.len() {
            return Err(IndexError::Entries { features: features.len(), entries: entries.len() });
        }
        let after = self.len() + entries.len();
        let bytes = self.bytes_of(after) + self.slots.bytes();
        if bytes > self.settings.bytes_max {
            return Err(IndexError::Memory { entries: after, bytes, max: self.settings.bytes_max });
        }
        let mut slots = Vec::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            let Some(slot) = self.slots.insert(*entry) else {
                for entry in entries.iter().take(at) {
                    self.slots.remove(&entry.record);
                }
                return Err(IndexError::Duplicate(at));
            };
            slots.push(slot);
        }
        self.add_slots(features.values(), &slots)?;
        if let Form::Exact(_) = self.form
            && self.len() > self.settings.exact_max.max(self.sample())
        {
            self.become_inverted()?;
        }
        Ok(())
    }

    fn add_slots(&mut self, values: &[f32], slots: &[u32]) -> Result<(), IndexError> {
        let d = self.settings.dimension;
        for (values, slots) in values.chunks(AT_ONCE * d).zip(slots.chunks(AT_ONCE)) {
            match &mut self.form {
                Form::Exact(exact) => exact.add(values, slots),
                Form::Inverted(inverted) => inverted.add(values, slots),
            }
            .map_err(IndexError::Engine)?;
        }
        Ok(())
    }

    fn fits(&self, features: &Features) -> Result<(), IndexError> {
        let (expected, got) = (self.settings.dimension, features.dimension());
        if expected == got { Ok(()) } else { Err(IndexError::Length { expected, got }) }
    }

    /// Removes records; says how many there were.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn remove(&mut self, records: &[[u8; 16]]) -> Result<usize, IndexError> {
        let slots: Vec<u32> = records.iter().filter_map(|record| self.slots.remove(record)).collect();
        if slots.is_empty() {
            return Ok(0);
        }
        let removed = match &mut self.form {
            Form::Exact(exact) => exact.remove(&slots),
            Form::Inverted(inverted) => inverted.remove(&slots),
        };
        let removed = removed.map_err(IndexError::Engine)?;
        if removed == slots.len() { Ok(removed) } else { Err(IndexError::Saved { field: "entries", expected: "a template for each" }) }
    }

    /// For each probe, the records most like it, the likest first: `candidates` of them (1 to 1024) or as many as there are.
    ///
    /// # Errors
    /// When the probes or the number do not fit, or the engine fails.
    pub fn search(&mut self, probes: &Features, candidates: usize) -> Result<Vec<Vec<Candidate>>, IndexError> {
        self.fits(probes)?;
        if !(1..=CANDIDATES_MAX).contains(&candidates) {
            return Err(IndexError::Candidates { max: CANDIDATES_MAX, got: candidates });
        }
        if self.is_empty() || probes.is_empty() {
            return Ok(vec![Vec::new(); probes.len()]);
        }
        let hits = self.hits(probes.values(), candidates)?;
        let candidate = |(slot, score): (u64, f32)| Some(Candidate { entry: self.slots.get(slot)?, score });
        Ok(hits.into_iter().map(|hits| hits.into_iter().filter_map(candidate).collect()).collect())
    }

    fn hits(&mut self, probes: &[f32], candidates: usize) -> Result<Vec<Hits>, IndexError> {
        let k = candidates.min(self.len());
        let mut all = Vec::with_capacity(probes.len() / self.settings.dimension);
        for probes in probes.chunks(AT_ONCE * self.settings.dimension) {
            let hits = match &mut self.form {
                Form::Exact(exact) => exact.search(probes, k),
                Form::Inverted(inverted) => inverted.search(probes, k),
            };
            all.extend(hits.map_err(IndexError::Engine)?);
        }
        Ok(all)
    }

    /// Lists for the expected size: four for each unit of its root, so that lists and centres cost alike.
    fn list_count(&self) -> usize {
        let expected = self.settings.expected.max(self.settings.exact_max) as f64;
        ((4.0 * expected.sqrt()) as usize).clamp(16, 65_536)
    }

    /// Templates the lists are trained on.
    fn sample(&self) -> usize {
        self.list_count() * SAMPLE_A_LIST
    }

    fn become_inverted(&mut self) -> Result<(), IndexError> {
        let (d, lists, sample) = (self.settings.dimension, self.list_count(), self.sample());
        let empty = Form::Exact(Exact::new(d).map_err(IndexError::Engine)?);
        let Form::Exact(exact) = std::mem::replace(&mut self.form, empty) else { return Ok(()) };
        let (values, slots) = exact.into_parts();
        let sampled: Vec<f32> = every(slots.len(), sample).filter_map(|at| values.get(at * d..(at + 1) * d)).flatten().copied().collect();
        let lists = u32::try_from(lists).unwrap_or(u32::MAX);
        self.form = Form::Inverted(Inverted::train(d, lists, &sampled).map_err(IndexError::Engine)?);
        self.trained_for = self.settings.expected.max(slots.len());
        drop(sampled);
        self.add_slots(&values, &slots)?;
        let rows: Vec<&[f32]> = every(slots.len(), TUNED_WITH).filter_map(|at| values.get(at * d..(at + 1) * d)).collect();
        let mut random = fastrand::Rng::with_seed(7);
        let probes: Vec<f32> = rows.iter().flat_map(|row| blurred(row, &rows, self.settings.recall_above, &mut random)).collect();
        drop(values);
        self.tune(&probes)
    }

    /// Tunes how many lists a search looks into, again: with probes like those that will come. Does nothing while it is exact.
    ///
    /// # Errors
    /// When the probes do not fit or the engine fails.
    pub fn tune_with(&mut self, probes: &Features) -> Result<(), IndexError> {
        self.fits(probes)?;
        if self.is_empty() || probes.is_empty() { Ok(()) } else { self.tune(probes.values()) }
    }

    /// The fewest lists with which enough probes find whom they find in all lists.
    fn tune(&mut self, probes: &[f32]) -> Result<(), IndexError> {
        let Form::Inverted(inverted) = &mut self.form else { return Ok(()) };
        let all = inverted.lists();
        inverted.look_into(all);
        let least = self.settings.recall_above;
        let first = |hits: &Hits| hits.first().filter(|(_, score)| *score >= least).map(|(slot, _)| *slot);
        let truth: Vec<Option<u64>> = inverted.search(probes, 1).map_err(IndexError::Engine)?.iter().map(first).collect();
        let wanted = (self.settings.recall * truth.iter().flatten().count() as f64).ceil() as usize;
        let mut enough = |lists: u32| {
            inverted.look_into(lists);
            let hits = inverted.search(probes, 1).map_err(IndexError::Engine)?;
            Ok(truth.iter().zip(&hits).filter(|(truth, hits)| truth.is_some() && **truth == first(hits)).count() >= wanted)
        };
        let (mut too_few, mut suffice) = (0, 1);
        while suffice < all && !enough(suffice)? {
            (too_few, suffice) = (suffice, (suffice * 2).min(all));
        }
        // Within a tenth is near enough.
        while suffice - too_few > 1 + suffice / 10 {
            let middle = too_few + (suffice - too_few) / 2;
            if enough(middle)? { suffice = middle } else { too_few = middle }
        }
        inverted.look_into(suffice);
        Ok(())
    }

    /// Gives back memory that growing left; for a moment it needs as much again.
    ///
    /// # Errors
    /// When the engine fails; the index is empty then and to be built again.
    pub fn compact(&mut self) -> Result<(), IndexError> {
        self.slots.shrink();
        let empty = Form::Exact(Exact::new(self.settings.dimension).map_err(IndexError::Engine)?);
        self.form = match std::mem::replace(&mut self.form, empty) {
            Form::Exact(exact) => Form::Exact(exact),
            Form::Inverted(inverted) => Form::Inverted(inverted.compact().map_err(IndexError::Engine)?),
        };
        Ok(())
    }
}

/// So many of `count` numbers, evenly.
fn every(count: usize, wanted: usize) -> impl Iterator<Item = usize> {
    let wanted = wanted.min(count);
    (0..wanted).map(move |at| at * count / wanted.max(1))
}

/// A template changed so that its cosine with what it was is `score`. The change is a mixture of other templates: pictures of
/// one person differ in what tells faces apart, not in all directions alike, and lists are missed more often that way.
pub(crate) fn blurred(features: &[f32], others: &[&[f32]], score: f32, random: &mut fastrand::Rng) -> Vec<f32> {
    let mut noise = vec![0.0_f32; features.len()];
    for _ in 0..MIXED.min(others.len()) {
        let Some(other) = others.get(random.usize(..others.len())) else { continue };
        // The sum of twelve even numbers is normal enough.
        let weight = (0..12).map(|_| random.f32()).sum::<f32>() - 6.0;
        noise.iter_mut().zip(*other).for_each(|(noise, other)| *noise += weight * other);
    }
    let along: f32 = noise.iter().zip(features).map(|(a, b)| a * b).sum();
    let across: Vec<f32> = noise.iter().zip(features).map(|(a, b)| a - along * b).collect();
    let length = across.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    let share = (1.0 - score * score).max(0.0).sqrt() / length;
    features.iter().zip(&across).map(|(a, b)| a * score + b * share).collect()
}

#[cfg(test)]
mod tests;
