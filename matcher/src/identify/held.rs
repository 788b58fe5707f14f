//! One index in memory: built from the store, kept up to date by the feed, searched and compared again.

use std::collections::HashMap;

use matcher_index::{Entry, FaceIndex, Features, IndexError, Settings};
use models_core::{Template, compare};

use super::{IdentifyError, Opened, busy};
use crate::{
    center::Center,
    store::{
        MadeBy, RecordId, SubjectId, TimeMs,
        feed::{Change, Position, SearchRecord, Searchable},
    },
    vault::Vault,
};

/// Records read at a time.
const PAGE: u32 = 1_000;
/// Probes an index is tuned with at least: with fewer, one miss is too many.
const TUNED_WITH_MIN: usize = 100;

/// What an index is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What {
    /// References or probes.
    pub kind: Searchable,
    /// What made the templates.
    pub made_by: MadeBy,
    /// Only records that came at or after this time.
    pub since: TimeMs,
}

/// Names of scopes by number, and how many records each has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    counts: Vec<u64>,
}

impl Scopes {
    /// The scopes of these names, in the order of their numbers, none with a record yet.
    #[must_use]
    pub fn of(names: Vec<String>) -> Self {
        let mut scopes = Self::default();
        for name in names {
            scopes.number(&name);
        }
        scopes
    }

    /// Their names, in the order of their numbers.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        self.counts.push(0);
        number
    }

    pub(super) fn count(&mut self, scope: u32, records: i64) {
        if let Some(count) = self.counts.get_mut(scope as usize) {
            *count = count.saturating_add_signed(records);
        }
    }

    fn size(&self, name: &str) -> u64 {
        self.numbers.get(name).and_then(|number| self.counts.get(*number as usize)).copied().unwrap_or_default()
    }
}

/// An index, and how far it has read.
#[derive(Debug)]
pub struct Held {
    /// What it is of.
    pub what: What,
    /// Everything up to here is in it.
    pub position: Position,
    /// Whether something was removed that a saved form may still hold.
    pub removed: bool,
    /// Whether it was tuned with real probes since it was built.
    pub tuned: bool,
    pub(super) scopes: Scopes,
    /// Absent only while it is worked with; who fails in between drops the whole.
    pub(super) index: Option<FaceIndex>,
}

/// A candidate, compared exactly.
#[derive(Debug, Clone)]
pub struct Found {
    /// The record.
    pub record: Opened,
    /// Its score.
    pub score: f32,
}

impl Held {
    /// Builds an index of all there is. `progress` hears how many of how many are in it.
    ///
    /// # Errors
    /// When the store fails or the index refuses, for want of memory for example.
    pub async fn build(
        center: &Center,
        what: What,
        settings: Settings,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Self, IdentifyError> {
        let store = &center.store;
        // First the place in the feed, then what is there: what comes in between is met twice.
        let position = store.feed_head().await.map_err(IdentifyError::Store)?;
        let expected = store.searchable_count(what.kind, &what.made_by, what.since).await.map_err(IdentifyError::Store)?;
        let settings = Settings { expected: usize::try_from(expected).unwrap_or(usize::MAX).max(settings.expected), ..settings };
        let index = FaceIndex::new(settings).map_err(IdentifyError::Index)?;
        let mut held = Self { what, position, removed: false, tuned: false, scopes: Scopes::default(), index: Some(index) };
        let (mut after, mut read) = (None, 0);
        loop {
            let What { kind, made_by, since } = &held.what;
            let page = store.searchable(*kind, made_by, *since, after, PAGE).await.map_err(IdentifyError::Store)?;
            let Some(last) = page.last() else { break };
            after = Some((last.subject, last.record));
            read += page.len() as u64;
            held.add(center, page).await?;
            progress(read, expected.max(read));
        }
        let (index, ()) = busy(held.take()?, FaceIndex::compact).await?;
        held.index = Some(index);
        Ok(held)
    }

    fn take(&mut self) -> Result<FaceIndex, IdentifyError> {
        self.index.take().ok_or(IdentifyError::Interrupted)
    }

    /// How many records it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.index.as_ref().map_or(0, |index| index.len() as u64)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its index, to look at.
    #[must_use]
    pub fn index(&self) -> Option<&FaceIndex> {
        self.index.as_ref()
    }

    /// How many records a scope has.
    #[must_use]
    pub fn scope_size(&self, scope: &str) -> u64 {
        self.scopes.size(scope)
    }

    /// Adds records that are not in it yet; those that do not open are left out.
    async fn add(&mut self, center: &Center, records: Vec<SearchRecord>) -> Result<(), IdentifyError> {
        let (vault, kind) = (std::sync::Arc::clone(&center.vault), self.what.kind);
        let index = self.take()?;
        let known: Vec<bool> = records.iter().map(|record| index.has(&record.record.0)).collect();
        let scopes: Vec<u32> = records.iter().map(|record| self.scopes.number(&record.scope)).collect();
        let (index, added) = busy(index, move |index| {
            let new = records.iter().zip(scopes).zip(known).filter(|(_, known)| !known).map(|(record, _)| record);
            add_opened(index, &vault, kind, new)
        })
        .await?;
        self.index = Some(index);
        added.into_iter().for_each(|scope| self.scopes.count(scope, 1));
        Ok(())
    }

    /// Reads what changed since; says how many changes.
    ///
    /// # Errors
    /// [`IdentifyError::Behind`] when it must be built again; else as [`Held::build`].
    pub async fn catch_up(&mut self, center: &Center) -> Result<u64, IdentifyError> {
        let mut all = 0;
        loop {
            let changes = center.store.feed_after(self.position, PAGE).await.map_err(IdentifyError::Store)?.ok_or(IdentifyError::Behind)?;
            let Some(last) = changes.last() else { return Ok(all) };
            let position = last.position;
            all += changes.len() as u64;
            self.apply(center, &changes).await?;
            self.position = position;
        }
    }

    /// Applies changes: what came and is still there comes in, the rest goes out.
    async fn apply(&mut self, center: &Center, changes: &[Change]) -> Result<(), IdentifyError> {
        let kind = self.what.kind;
        let mut last: HashMap<(SubjectId, RecordId), bool> = HashMap::new();
        for change in changes.iter().filter(|change| change.kind == kind) {
            last.insert((change.subject, change.record), change.added);
        }
        let gone: Vec<[u8; 16]> = last.iter().filter(|(_, added)| !**added).map(|((_, record), _)| record.0).collect();
        let came: Vec<_> = last.into_iter().filter(|(_, added)| *added).map(|(which, _)| which).collect();
        self.remove(gone).await?;
        if !came.is_empty() {
            let mut records = center.store.searchable_of(kind, came).await.map_err(IdentifyError::Store)?;
            records.retain(|record| record.made_by == self.what.made_by && record.at >= self.what.since);
            self.add(center, records).await?;
        }
        Ok(())
    }

    async fn remove(&mut self, records: Vec<[u8; 16]>) -> Result<(), IdentifyError> {
        let index = self.take()?;
        let scopes: Vec<u32> = records.iter().filter_map(|record| index.entry(record)).map(|entry| entry.scope).collect();
        let index = if scopes.is_empty() { index } else { busy(index, move |index| index.remove(&records)).await?.0 };
        self.removed |= !scopes.is_empty();
        scopes.into_iter().for_each(|scope| self.scopes.count(scope, -1));
        self.index = Some(index);
        Ok(())
    }

    /// Tunes the index with probes like those that will come, once; without enough of them it stays as it is.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn tune(&mut self, probes: &[Template]) -> Result<(), IdentifyError> {
        if self.tuned || probes.len() < TUNED_WITH_MIN {
            return Ok(());
        }
        let index = self.take()?;
        let mut features = Features::new(index.settings().dimension).map_err(IdentifyError::Index)?;
        // Those of another length tell nothing here.
        probes.iter().for_each(|probe| drop(features.push(&probe.to_f32())));
        let (index, ()) = busy(index, move |index| index.tune_with(&features)).await?;
        (self.index, self.tuned) = (Some(index), true);
        Ok(())
    }

    /// For each probe, the candidates' records with their exact scores, the highest first. Records that are gone since, or do
    /// not open, are left out.
    ///
    /// # Errors
    /// When the store or the index fails.
    pub async fn search(&mut self, center: &Center, probes: &[Template], candidates: usize) -> Result<Vec<Vec<Found>>, IdentifyError> {
        let index = self.take()?;
        let mut features = Features::new(index.settings().dimension).map_err(IdentifyError::Index)?;
        for probe in probes {
            if let Err(error) = features.push(&probe.to_f32()) {
                self.index = Some(index);
                return Err(IdentifyError::Index(error));
            }
        }
        let (index, hits) = busy(index, move |index| index.search(&features, candidates)).await?;
        self.index = Some(index);
        let mut wanted: Vec<(SubjectId, RecordId)> =
            hits.iter().flatten().map(|hit| (SubjectId(hit.entry.subject), RecordId(hit.entry.record))).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let records = center.store.searchable_of(self.what.kind, wanted).await.map_err(IdentifyError::Store)?;
        let open = |record: &SearchRecord| Opened::open(&center.vault, self.what.kind, record);
        let opened: HashMap<[u8; 16], Opened> = records.iter().filter_map(open).map(|opened| (opened.record.0, opened)).collect();
        let mut all = Vec::with_capacity(probes.len());
        for (probe, hits) in probes.iter().zip(hits) {
            let mut found = Vec::with_capacity(hits.len());
            for record in hits.iter().filter_map(|hit| opened.get(&hit.entry.record)) {
                let score = compare(probe, &record.template).map_err(IdentifyError::Compare)?.get();
                found.push(Found { record: record.clone(), score });
            }
            found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.record.record.cmp(&b.record.record)));
            all.push(found);
        }
        Ok(all)
    }
}

/// Adds those that open; says which scopes they are of.
fn add_opened<'a>(
    index: &mut FaceIndex,
    vault: &Vault,
    kind: Searchable,
    records: impl Iterator<Item = (&'a SearchRecord, u32)>,
) -> Result<Vec<u32>, IndexError> {
    let mut features = Features::new(index.settings().dimension)?;
    let (mut entries, mut scopes) = (Vec::new(), Vec::new());
    for (record, scope) in records {
        let Some(opened) = Opened::open(vault, kind, record) else { continue };
        // A template of another length than its model's is as good as none.
        if opened.template.dimension() == features.dimension() && features.push(&opened.template.to_f32()).is_ok() {
            entries.push(Entry { subject: record.subject.0, record: record.record.0, scope });
            scopes.push(scope);
        }
    }
    index.add(&features, &entries)?;
    Ok(scopes)
}
