//! What a series of checkpoints says together.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, HashSet},
};

use ed25519_dalek::VerifyingKey;

use super::{
    chain::{EpochId, Hash, Head},
    checkpoint::{Checkpoint, line_hash},
    fault::{Fault, Named},
};

/// A link as a checkpoint named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// Its hash.
    pub hash: Hash,
    /// Entries of the epoch up to and with it.
    pub entries: u64,
    /// The checkpoint that named it first.
    pub checkpoint: u64,
}

/// The checkpoints read so far, each checked against those before it.
#[derive(Debug, Clone)]
pub struct History {
    keys: Vec<VerifyingKey>,
    sealed: HashMap<EpochId, BTreeMap<u64, Sealed>>,
    last: Option<(u64, Hash, i64)>,
}

impl History {
    /// No checkpoint yet; the first must be signed by one of these keys.
    #[must_use]
    pub fn new(keys: Vec<VerifyingKey>) -> Self {
        Self { keys, sealed: HashMap::new(), last: None }
    }

    /// Takes the next line, in the order they were written.
    ///
    /// # Errors
    /// When it does not hold, or contradicts those before it.
    pub fn take(&mut self, line: &str) -> Result<(), Fault> {
        let after = self.number();
        let checkpoint = Checkpoint::verify(line, &self.keys).map_err(|source| Fault::Checkpoint { after, source })?;
        match self.last {
            None if !checkpoint.full => return Err(Fault::CheckpointStart { found: checkpoint.number }),
            Some((number, hash, _)) if number.checked_add(1) != Some(checkpoint.number) || checkpoint.previous != Some(hash) => {
                return Err(Fault::CheckpointOrder { after, found: checkpoint.number });
            }
            None | Some(_) => {}
        }
        self.take_heads(&checkpoint)?;
        // A key that is none is of no use to anybody; what it would sign is refused.
        self.keys.extend(checkpoint.next_key.and_then(|key| VerifyingKey::from_bytes(&key).ok()));
        self.last = Some((checkpoint.number, line_hash(line), checkpoint.at));
        Ok(())
    }

    fn take_heads(&mut self, checkpoint: &Checkpoint) -> Result<(), Fault> {
        for head in &checkpoint.heads {
            let of_epoch = self.sealed.entry(head.epoch).or_default();
            let sealed = Sealed { hash: head.hash, entries: head.entries, checkpoint: checkpoint.number };
            let agrees = of_epoch.last_key_value().is_none_or(|(link, last)| match link.cmp(&head.link) {
                Ordering::Less => last.entries < head.entries,
                Ordering::Equal => last.hash == head.hash && last.entries == head.entries,
                Ordering::Greater => false,
            });
            if !agrees {
                return Err(Fault::ForkedEpoch { epoch: Named(head.epoch), link: head.link, checkpoint: checkpoint.number });
            }
            of_epoch.entry(head.link).or_insert(sealed);
        }
        let named: HashSet<EpochId> = checkpoint.heads.iter().map(|head| head.epoch).collect();
        match self.sealed.keys().filter(|epoch| checkpoint.full && !named.contains(*epoch)).min() {
            Some(epoch) => Err(Fault::ForgottenEpoch { epoch: Named(*epoch), checkpoint: checkpoint.number }),
            None => Ok(()),
        }
    }

    /// Number of the last checkpoint; 0 for none.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.last.map_or(0, |(number, ..)| number)
    }

    /// Time of the last checkpoint.
    #[must_use]
    pub fn at(&self) -> Option<i64> {
        self.last.map(|(_, _, at)| at)
    }

    /// The links of an epoch that checkpoints name, by number.
    #[must_use]
    pub fn sealed(&self, epoch: &EpochId) -> Option<&BTreeMap<u64, Sealed>> {
        self.sealed.get(epoch)
    }

    /// The last head that checkpoints name, of every epoch, with its checkpoint; by epoch.
    #[must_use]
    pub fn heads(&self) -> Vec<(Head, u64)> {
        let last = |(epoch, links): (&EpochId, &BTreeMap<u64, Sealed>)| {
            let (link, sealed) = links.last_key_value()?;
            Some((Head { epoch: *epoch, link: *link, entries: sealed.entries, hash: sealed.hash }, sealed.checkpoint))
        };
        let mut heads: Vec<_> = self.sealed.iter().filter_map(last).collect();
        heads.sort_unstable_by_key(|(head, _)| head.epoch);
        heads
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[byte; 32])
    }

    fn head(epoch: u8, link: u64) -> Head {
        Head { epoch: [epoch; 16], link, entries: link * 2, hash: [u8::try_from(link).unwrap(); 32] }
    }

    /// Signs checkpoints one after another, each naming the one before; the first and those asked for are full.
    fn lines(steps: &[(bool, Vec<Head>)]) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (i, (full, heads)) in steps.iter().enumerate() {
            let number = i as u64 + 1;
            let previous = lines.last().map(|line| line_hash(line));
            let at = i64::try_from(number).unwrap();
            let checkpoint = Checkpoint { number, at, previous, full: *full, heads: heads.clone(), next_key: None };
            lines.push(checkpoint.sign(&key(1)).unwrap());
        }
        lines
    }

    fn take(lines: &[String]) -> Result<History, Fault> {
        let mut history = History::new(vec![key(1).verifying_key()]);
        lines.iter().try_for_each(|line| history.take(line)).map(|()| history)
    }

    #[track_caller]
    fn check(lines: &[String], expected: &str) {
        let fault = take(lines).unwrap_err();
        assert!(fault.to_string().contains(expected), "{fault}");
    }

    #[test]
    fn heads_add_up() {
        let history = take(&lines(&[(true, vec![head(1, 1)]), (false, vec![head(2, 4)]), (false, vec![head(1, 3)])])).unwrap();
        assert_eq!(history.heads(), [(head(1, 3), 3), (head(2, 4), 2)]);
        assert_eq!((history.number(), history.at()), (3, Some(3)));
    }

    #[test]
    fn a_checkpoint_that_is_missing_or_moved_is_noticed() {
        let all = lines(&[(true, vec![]), (false, vec![head(1, 1)]), (false, vec![]), (true, vec![head(1, 1)])]);
        check(&[all[0].clone(), all[2].clone()], "checkpoint 3 follows checkpoint 1");
        check(&[all[0].clone(), all[1].clone(), all[1].clone()], "checkpoint 2 follows checkpoint 2");
        check(&all[1..], "the first at hand");
        take(&all[3..]).unwrap();
    }

    #[test]
    fn one_line_of_another_series_does_not_fit() {
        let (here, there) = (lines(&[(true, vec![]), (false, vec![])]), lines(&[(true, vec![head(1, 1)]), (false, vec![])]));
        check(&[here[0].clone(), there[1].clone()], "checkpoint 2 follows checkpoint 1");
    }

    #[test]
    fn epochs_that_go_back_or_change_are_forked() {
        check(&lines(&[(true, vec![head(1, 3)]), (false, vec![head(1, 2)])]), "forked epoch 0101");
        let other = Head { hash: [9; 32], ..head(1, 3) };
        check(&lines(&[(true, vec![head(1, 3)]), (true, vec![other])]), "forked epoch 0101");
        let (fewer, more) = (Head { entries: 5, ..head(1, 3) }, Head { entries: 7, ..head(1, 3) });
        check(&lines(&[(true, vec![head(1, 3)]), (true, vec![fewer])]), "forked epoch 0101");
        check(&lines(&[(true, vec![head(1, 3)]), (true, vec![more])]), "forked epoch 0101");
        let empty = Head { entries: 6, ..head(1, 4) };
        check(&lines(&[(true, vec![head(1, 3)]), (false, vec![empty])]), "forked epoch 0101");
        check(&lines(&[(true, vec![head(1, 3)]), (false, vec![Head { entries: 5, ..empty }])]), "forked epoch 0101");
        take(&lines(&[(true, vec![head(1, 3)]), (true, vec![head(1, 3)])])).unwrap();
    }

    #[test]
    fn an_epoch_that_a_full_checkpoint_leaves_out_is_missing() {
        check(&lines(&[(true, vec![head(1, 3)]), (true, vec![head(2, 1)])]), "missing epoch 0101");
        let both = vec![head(1, 1), head(2, 1), head(3, 1)];
        check(&lines(&[(true, both.clone()), (true, vec![head(3, 1)])]), "missing epoch 0101");
        check(&lines(&[(true, both), (true, vec![head(1, 1); 3])]), "missing epoch 0202");
    }

    #[test]
    fn a_new_key_counts_once_the_old_one_introduced_it() {
        let first = Checkpoint { number: 1, at: 1, previous: None, full: true, heads: Vec::new(), next_key: None };
        let second = |line: &str| Checkpoint { number: 2, previous: Some(line_hash(line)), full: false, ..first.clone() };
        let unannounced = first.sign(&key(1)).unwrap();
        let by_new = second(&unannounced).sign(&key(2)).unwrap();
        check(&[unannounced, by_new], "checkpoint after number 1 does not hold");
        let announced = Checkpoint { next_key: Some(key(2).verifying_key().to_bytes()), ..first.clone() }.sign(&key(1)).unwrap();
        let by_new = second(&announced).sign(&key(2)).unwrap();
        take(&[announced, by_new]).unwrap();
    }
}
