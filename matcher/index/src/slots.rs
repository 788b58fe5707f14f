//! Which record stands behind each number that the engine knows: a compact table, 40 bytes an entry and 5 to 11 more to find it.

use crate::IndexError;

/// A record in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// Whose.
    pub subject: [u8; 16],
    /// Which; random, and only once in an index.
    pub record: [u8; 16],
    /// A number of the caller's for where it belongs: a district, an institution.
    pub scope: u32,
}

/// Bytes of an entry as it is saved.
const ENTRY_LEN: usize = 36;
/// A slot of the look-up that holds nothing.
const NOTHING: u32 = u32::MAX;

/// The table. Numbers of removed records are used again.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Open addressing by the record's id, which is random by itself; the size is a power of two.
    places: Vec<u32>,
}

impl Slots {
    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The entry of a number.
    pub(crate) fn get(&self, slot: u64) -> Option<Entry> {
        self.entries.get(usize::try_from(slot).ok()?).copied().flatten()
    }

    /// The number of a record.
    pub(crate) fn find(&self, record: &[u8; 16]) -> Option<u32> {
        let place = self.place(record)?;
        self.places.get(place).copied().filter(|slot| *slot != NOTHING)
    }

    /// Takes an entry in; nothing when its record is there, or there is no number left.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<u32> {
        if (self.len() + 1) * 4 > self.places.len() * 3 {
            self.rehash((self.places.len() * 2).max(8));
        }
        let place = self.place(&entry.record)?;
        let at = self.places.get_mut(place).filter(|slot| **slot == NOTHING)?;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => u32::try_from(self.entries.len()).ok().filter(|slot| *slot != NOTHING)?,
        };
        *at = slot;
        match self.entries.get_mut(slot as usize) {
            Some(old) => *old = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        Some(slot)
    }

    /// Takes a record out; says which number it had.
    pub(crate) fn remove(&mut self, record: &[u8; 16]) -> Option<u32> {
        let slot = self.find(record)?;
        *self.entries.get_mut(slot as usize)? = None;
        self.free.push(slot);
        self.close_gap(record);
        Some(slot)
    }

    /// Gives back room that is not used.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.free.shrink_to_fit();
        let needed = (self.len() * 4 / 3 + 1).next_power_of_two().max(8);
        if needed < self.places.len() {
            self.rehash(needed);
        }
    }

    /// Bytes it takes.
    pub(crate) fn bytes(&self) -> u64 {
        let entries = self.entries.capacity() * size_of::<Option<Entry>>();
        (entries + 4 * self.free.capacity() + 4 * self.places.capacity()) as u64
    }

    /// All entries, in the order of their numbers.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.entries.iter().copied().flatten()
    }

    /// Numbers that were given out, removed ones among them.
    pub(crate) fn numbers(&self) -> usize {
        self.entries.len()
    }

    /// What is saved of one number: its entry, or zeroes.
    pub(crate) fn saved(&self, slot: usize) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        if let Some(entry) = self.entries.get(slot).copied().flatten() {
            let parts = entry.subject.iter().chain(&entry.record).copied().chain(entry.scope.to_le_bytes());
            bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        }
        bytes
    }

    /// Takes back what was saved of the next number.
    pub(crate) fn restore(&mut self, bytes: &[u8; ENTRY_LEN]) -> Result<(), IndexError> {
        let wrong = IndexError::Saved { field: "entries", expected: "each record once" };
        let slot = u32::try_from(self.entries.len()).map_err(|_| IndexError::Saved { field: "entries", expected: "fewer of them" })?;
        let (subject, rest) = bytes.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        let (record, rest) = rest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        let scope = rest.first_chunk::<4>().map_or(0, |scope| u32::from_le_bytes(*scope));
        if *record == [0; 16] {
            self.entries.push(None);
            self.free.push(slot);
            return Ok(());
        }
        // Numbers come in order, so none is taken from those that are free.
        let free = std::mem::take(&mut self.free);
        let taken = self.insert(Entry { subject: *subject, record: *record, scope });
        self.free = free;
        if taken == Some(slot) { Ok(()) } else { Err(wrong) }
    }

    /// Where a record stands in the look-up, or the gap where it would.
    fn place(&self, record: &[u8; 16]) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let mut place = home(record) & mask;
        for _ in 0..self.places.len() {
            let slot = *self.places.get(place)?;
            let is_it = || self.get(u64::from(slot)).is_some_and(|entry| entry.record == *record);
            if slot == NOTHING || is_it() {
                return Some(place);
            }
            place = (place + 1) & mask;
        }
        None
    }

    /// Takes a record's place out of the look-up and moves those behind it up, so that none becomes unreachable.
    fn close_gap(&mut self, record: &[u8; 16]) {
        let Some(mask) = self.places.len().checked_sub(1) else { return };
        let home_of = |slots: &Self, slot: u32| slots.get(u64::from(slot)).map(|entry| home(&entry.record) & mask);
        // Its entry is gone already, so that it is found as the one slot on the way whose entry is missing.
        let mut gap = home(record) & mask;
        while let Some(slot) = self.places.get(gap).copied() {
            if slot == NOTHING {
                return;
            }
            if home_of(self, slot).is_none() {
                break;
            }
            gap = (gap + 1) & mask;
        }
        let mut next = (gap + 1) & mask;
        while let Some(slot) = self.places.get(next).copied().filter(|slot| *slot != NOTHING) {
            let from_home = home_of(self, slot).map_or(0, |home| next.wrapping_sub(home) & mask);
            if from_home >= (next.wrapping_sub(gap) & mask) {
                self.put(gap, slot);
                gap = next;
            }
            next = (next + 1) & mask;
        }
        self.put(gap, NOTHING);
    }

    fn put(&mut self, place: usize, slot: u32) {
        if let Some(at) = self.places.get_mut(place) {
            *at = slot;
        }
    }

    fn rehash(&mut self, size: usize) {
        self.places = vec![NOTHING; size];
        for slot in 0..self.entries.len() {
            let Some(entry) = self.entries.get(slot).copied().flatten() else { continue };
            if let (Some(place), Ok(slot)) = (self.place(&entry.record), u32::try_from(slot)) {
                self.put(place, slot);
            }
        }
    }
}

/// Where a record is looked for first: its id is random, and so is this.
fn home(record: &[u8; 16]) -> usize {
    record.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes) as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Ids that collide in the look-up, which random ones rarely do.
    fn entry(id: u8) -> Entry {
        let mut record = [0; 16];
        (record[0], record[15]) = (id % 4, id + 1);
        Entry { subject: [id; 16], record, scope: id.into() }
    }

    proptest! {
        #[test]
        fn the_table_is_a_map_whatever_comes_and_goes(steps in prop::collection::vec((any::<bool>(), 0_u8..40), 0..200)) {
            let (mut slots, mut model) = (Slots::default(), HashMap::new());
            for (adds, id) in steps {
                if adds {
                    let slot = slots.insert(entry(id));
                    prop_assert_eq!(slot.is_some(), !model.contains_key(&id));
                    slot.map(|slot| model.insert(id, slot));
                } else {
                    prop_assert_eq!(slots.remove(&entry(id).record), model.remove(&id));
                }
                for id in 0..40 {
                    prop_assert_eq!(slots.find(&entry(id).record), model.get(&id).copied());
                }
                prop_assert!(model.iter().all(|(id, slot)| slots.get(u64::from(*slot)) == Some(entry(*id))));
                prop_assert_eq!(slots.len(), model.len());
            }
            slots.shrink();
            let mut again = Slots::default();
            for number in 0..slots.numbers() {
                again.restore(&slots.saved(number)).unwrap();
            }
            prop_assert_eq!(again.entries().collect::<Vec<_>>(), slots.entries().collect::<Vec<_>>());
            prop_assert!(model.iter().all(|(id, slot)| again.find(&entry(*id).record) == Some(*slot)));
        }
    }

    #[test]
    fn a_table_with_a_record_twice_is_refused() {
        let mut slots = Slots::default();
        slots.insert(entry(1)).unwrap();
        let bytes = slots.saved(0);
        assert!(slots.restore(&bytes).is_err());
        assert_eq!(slots.get(u64::MAX), None);
    }
}
