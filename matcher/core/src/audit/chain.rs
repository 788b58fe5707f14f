//! The chain of one writer epoch: one process's run, one link for each group commit.
//!
//! A link's hash covers the one before it, so that no entry can be changed, taken out, put in or moved
//! without all later hashes changing with it. An entry goes into its link by a salted digest: its content may
//! be deleted when its time is over, and the digest says nothing about it without the salt that went with it.
//! Hashes are SHA-256; every hashed text starts with a word of its own, and every part of unknown length with
//! that length, so that no two things have the same bytes.

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];
/// Random bytes that go into an entry's digest.
pub type Salt = [u8; 16];
/// Names one epoch. Random.
pub type EpochId = [u8; 16];

/// What an entry says, its time apart. Words are texts here: a reader checks entries of later versions too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryContent<'a> {
    /// What happened, as its word.
    pub action: &'a str,
    /// Who did it; empty for the process itself.
    pub by: &'a str,
    /// What it was done to.
    pub object: &'a str,
    /// More about it, JSON; may be empty.
    pub detail: &'a str,
}

impl EntryContent<'_> {
    /// The digest that goes into the link.
    #[must_use]
    pub fn digest(&self, salt: &Salt) -> Hash {
        let mut hash = hasher("countersign audit entry 1");
        hash.update(salt);
        for part in [self.action, self.by, self.object, self.detail] {
            sized(&mut hash, part.as_bytes());
        }
        hash.finalize().into()
    }
}

/// How an epoch begins: whose run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochOpening<'a> {
    /// Its id.
    pub epoch: EpochId,
    /// Time of its first entry, milliseconds since 1970-01-01 UTC.
    pub started_at: i64,
    /// The command that runs.
    pub command: &'a str,
    /// The operating system's user it runs as.
    pub user: &'a str,
    /// The machine.
    pub host: &'a str,
    /// The process's id.
    pub pid: u32,
}

impl EpochOpening<'_> {
    /// The head of a chain without links, which the first link goes on from.
    #[must_use]
    pub fn head(&self) -> Head {
        let mut hash = hasher("countersign audit epoch 1");
        hash.update(self.epoch);
        hash.update(self.started_at.to_le_bytes());
        for part in [self.command, self.user, self.host] {
            sized(&mut hash, part.as_bytes());
        }
        hash.update(self.pid.to_le_bytes());
        Head { epoch: self.epoch, link: 0, entries: 0, hash: hash.finalize().into() }
    }
}

/// The last link of an epoch: it stands for everything before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// Which epoch.
    pub epoch: EpochId,
    /// Number of the link, from 1; 0 before the first.
    pub link: u64,
    /// Entries of the epoch up to and with this link.
    pub entries: u64,
    /// The link's hash.
    pub hash: Hash,
}

impl Head {
    /// The head after one more link, which holds these entries: time and digest of each, in order.
    #[must_use]
    pub fn next(&self, entries: &[(i64, Hash)]) -> Self {
        let (link, count) = (self.link.saturating_add(1), self.entries.saturating_add(entries.len() as u64));
        let mut hash = hasher("countersign audit link 1");
        hash.update(self.hash);
        hash.update(self.epoch);
        hash.update(link.to_le_bytes());
        hash.update(count.to_le_bytes());
        for (at, digest) in entries {
            hash.update(at.to_le_bytes());
            hash.update(digest);
        }
        Self { epoch: self.epoch, link, entries: count, hash: hash.finalize().into() }
    }
}

fn hasher(purpose: &str) -> Sha256 {
    let mut hash = Sha256::new();
    sized(&mut hash, purpose.as_bytes());
    hash
}

/// Length (8 bytes, little-endian) and bytes.
fn sized(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opening() -> EpochOpening<'static> {
        EpochOpening { epoch: [1; 16], started_at: 5, command: "serve", user: "center", host: "h", pid: 7 }
    }

    fn content() -> EntryContent<'static> {
        EntryContent { action: "verified", by: "till-1", object: "o", detail: "{}" }
    }

    #[track_caller]
    fn check_other(changed: EntryContent<'_>) {
        assert_ne!(changed.digest(&[3; 16]), content().digest(&[3; 16]), "{changed:?}");
    }

    #[test]
    fn every_part_of_an_entry_counts() {
        check_other(EntryContent { action: "enrolled", ..content() });
        check_other(EntryContent { by: "till-2", ..content() });
        check_other(EntryContent { object: "p", ..content() });
        check_other(EntryContent { detail: "", ..content() });
        check_other(EntryContent { by: "till-1o", object: "", ..content() });
        assert_ne!(content().digest(&[4; 16]), content().digest(&[3; 16]), "the salt");
    }

    #[track_caller]
    fn check_other_opening(changed: EpochOpening<'_>) {
        assert_ne!(changed.head().hash, opening().head().hash, "{changed:?}");
    }

    #[test]
    fn every_part_of_an_opening_counts() {
        check_other_opening(EpochOpening { epoch: [2; 16], ..opening() });
        check_other_opening(EpochOpening { started_at: 6, ..opening() });
        check_other_opening(EpochOpening { command: "flags", ..opening() });
        check_other_opening(EpochOpening { user: "root", ..opening() });
        check_other_opening(EpochOpening { host: "i", ..opening() });
        check_other_opening(EpochOpening { pid: 8, ..opening() });
    }

    /// A text with its length before it.
    fn long(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
    }

    #[track_caller]
    fn check_hash(hash: Hash, parts: &[&[u8]]) {
        assert_eq!(hash, <Hash>::from(Sha256::digest(parts.concat())));
    }

    #[test]
    fn what_is_hashed_is_what_is_documented() {
        let texts = ["countersign audit entry 1", "verified", "till-1", "o", "{}"].map(long);
        let [purpose, action, by, object, detail] = &texts;
        check_hash(content().digest(&[3; 16]), &[purpose, &[3; 16], action, by, object, detail]);
        let texts = ["countersign audit epoch 1", "serve", "center", "h"].map(long);
        let [purpose, command, user, host] = &texts;
        let first = opening().head();
        check_hash(first.hash, &[purpose, &[1; 16], &5_i64.to_le_bytes(), command, user, host, &7_u32.to_le_bytes()]);
        let next = first.next(&[(6, [8; 32])]);
        let (purpose, one) = (long("countersign audit link 1"), 1_u64.to_le_bytes());
        check_hash(next.hash, &[&purpose, &first.hash, &[1; 16], &one, &one, &6_i64.to_le_bytes(), &[8; 32]]);
    }

    fn links() -> impl Strategy<Value = Vec<Vec<(i64, Hash)>>> {
        let entry = (any::<i64>(), any::<[u8; 4]>()).prop_map(|(at, bytes)| (at, Sha256::digest(bytes).into()));
        proptest::collection::vec(proptest::collection::vec(entry, 1..4), 1..8)
    }

    fn chain(links: &[Vec<(i64, Hash)>]) -> Head {
        links.iter().fold(opening().head(), |head, entries| head.next(entries))
    }

    proptest! {
        #[test]
        fn another_history_has_another_head(links in links(), other in links()) {
            prop_assert_eq!(links == other, chain(&links).hash == chain(&other).hash);
        }

        #[test]
        fn a_change_anywhere_changes_the_head(links in links(), which in any::<prop::sample::Index>(), way in 0..5_u8) {
            let mut changed = links.clone();
            let at = which.index(changed.len());
            match way {
                0 => changed[at][0].0 ^= 1,
                1 => changed[at][0].1[31] ^= 1,
                2 => drop(changed.remove(at)),
                3 => changed.insert(at, vec![(0, [0; 32])]),
                _ => {
                    // The same entries in other links: two become one.
                    let moved = changed.remove(at);
                    match changed.get_mut(at.saturating_sub(1)) {
                        Some(neighbour) => neighbour.extend(moved),
                        None => return Ok(()),
                    }
                }
            }
            prop_assert_ne!(chain(&changed).hash, chain(&links).hash);
        }

        #[test]
        fn links_and_entries_are_counted(links in links()) {
            let head = chain(&links);
            prop_assert_eq!(head.link, links.len() as u64);
            prop_assert_eq!(head.entries, links.iter().map(Vec::len).sum::<usize>() as u64);
        }
    }
}
