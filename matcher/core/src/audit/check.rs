//! Going over a stored chain again, epoch by epoch, link by link, against what was signed.
//!
//! Nothing is held but the head: a chain of any length is checked in one pass.

use super::{
    chain::{EntryContent, EpochId, EpochOpening, Hash, Head, Salt},
    fault::{Fault, Named},
    history::History,
};

/// A link as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLink {
    /// Its number.
    pub link: u64,
    /// Entries of the epoch up to and with it.
    pub entries: u64,
    /// Its hash.
    pub hash: Hash,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Place within its link, from 1.
    pub place: u64,
    /// When, milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// The digest that went into the link.
    pub digest: Hash,
    /// Salt and content, unless deleted.
    pub content: Option<StoredContent>,
}

/// An entry's content as it is stored, with the salt its digest was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContent {
    /// The salt.
    pub salt: Salt,
    /// What happened, as its word.
    pub action: String,
    /// Who did it.
    pub by: String,
    /// What it was done to.
    pub object: String,
    /// More about it.
    pub detail: String,
}

impl StoredContent {
    fn digest(&self) -> Hash {
        EntryContent { action: &self.action, by: &self.by, object: &self.object, detail: &self.detail }.digest(&self.salt)
    }
}

/// Checks one epoch.
#[derive(Debug)]
pub struct EpochCheck<'a> {
    history: &'a History,
    head: Head,
    kept_since: i64,
    emptied: u64,
}

impl<'a> EpochCheck<'a> {
    /// Begins with the epoch's opening as it is stored. The content of entries from `kept_since` on must be there.
    ///
    /// # Errors
    /// [`Fault::AddedEpoch`] when it says it began before a checkpoint that does not know it. `grace_ms` is how long
    /// an entry may take from its time to its commit.
    pub fn begin(history: &'a History, opening: &EpochOpening<'_>, kept_since: i64, grace_ms: i64) -> Result<Self, Fault> {
        let before = |at: i64| opening.started_at < at.saturating_sub(grace_ms);
        if history.sealed(&opening.epoch).is_none() && history.at().is_some_and(before) {
            return Err(Fault::AddedEpoch { epoch: Named(opening.epoch), checkpoint: history.number() });
        }
        Ok(Self { history, head: opening.head(), kept_since, emptied: 0 })
    }

    /// Takes the next stored link with its entries, in order.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn link(&mut self, stored: &StoredLink, entries: &[StoredEntry]) -> Result<(), Fault> {
        let (epoch, link) = (Named(self.head.epoch), self.head.link.saturating_add(1));
        if stored.link != link {
            return Err(Fault::MissingLink { epoch, link });
        }
        for (entry, place) in entries.iter().zip(1_u64..) {
            if entry.place != place {
                return Err(Fault::Entries { epoch, link, place });
            }
            match &entry.content {
                Some(content) if content.digest() == entry.digest => {}
                Some(_) => return Err(Fault::RewrittenEntry { epoch, link, place }),
                None if entry.at >= self.kept_since => return Err(Fault::EmptiedEntry { epoch, link, place }),
                None => self.emptied = self.emptied.saturating_add(1),
            }
        }
        let digests: Vec<_> = entries.iter().map(|entry| (entry.at, entry.digest)).collect();
        let head = self.head.next(&digests);
        if stored.entries != head.entries {
            return Err(Fault::Entries { epoch, link, place: entries.len() as u64 + 1 });
        }
        if stored.hash != head.hash {
            return Err(Fault::BrokenLink { epoch, link });
        }
        if let Some(sealed) = self.history.sealed(&head.epoch).and_then(|links| links.get(&link))
            && (sealed.hash != head.hash || sealed.entries != head.entries)
        {
            return Err(Fault::RewrittenHistory { epoch, link, checkpoint: sealed.checkpoint });
        }
        self.head = head;
        Ok(())
    }

    /// Ends where the store's links end. Says how many entries have no content any more.
    ///
    /// # Errors
    /// [`Fault::TruncatedTail`] when a checkpoint names a later link.
    pub fn end(self) -> Result<(Head, u64), Fault> {
        let last = self.history.sealed(&self.head.epoch).and_then(|links| links.last_key_value());
        match last {
            Some((sealed, named)) if *sealed > self.head.link => Err(Fault::TruncatedTail {
                epoch: Named(self.head.epoch),
                last: self.head.link,
                sealed: *sealed,
                checkpoint: named.checkpoint,
            }),
            Some(_) | None => Ok((self.head, self.emptied)),
        }
    }
}

/// Checks that every epoch that checkpoints name was there.
///
/// # Errors
/// [`Fault::MissingEpoch`].
pub fn all_there(history: &History, found: impl Fn(&EpochId) -> bool) -> Result<(), Fault> {
    match history.heads().into_iter().find(|(head, _)| !found(&head.epoch)) {
        Some((head, checkpoint)) => Err(Fault::MissingEpoch { epoch: Named(head.epoch), checkpoint }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
