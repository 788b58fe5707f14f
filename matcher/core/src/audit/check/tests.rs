//! Chains that somebody changed, with and without the pains of making all hashes anew.

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::audit::checkpoint::Checkpoint;

const EPOCH: EpochId = [1; 16];

type Links = Vec<(StoredLink, Vec<StoredEntry>)>;

fn opening() -> EpochOpening<'static> {
    EpochOpening { epoch: EPOCH, started_at: 100, command: "serve", user: "1 center", host: "h", pid: 7 }
}

fn entry(place: u64, n: u8) -> StoredEntry {
    let content = StoredContent {
        salt: [n; 16],
        action: "verified".into(),
        by: "till-1".into(),
        object: format!("record {n}"),
        detail: String::new(),
    };
    StoredEntry { place, at: 100 + i64::from(n), digest: content.digest(), content: Some(content) }
}

/// A chain of links with so many entries each.
fn chain(sizes: &[u8]) -> Links {
    let mut n = 0;
    let links = sizes.iter().map(|size| {
        let entries = (1..=*size).map(|place| {
            n += 1;
            entry(place.into(), n)
        });
        entries.collect()
    });
    let links: Vec<Vec<StoredEntry>> = links.collect();
    hashed(links)
}

/// All hashes made anew, as somebody with the program and the database would.
fn hashed(links: Vec<Vec<StoredEntry>>) -> Links {
    let mut head = opening().head();
    let link = |entries: Vec<StoredEntry>| {
        head = head.next(&entries.iter().map(|entry| (entry.at, entry.digest)).collect::<Vec<_>>());
        (StoredLink { link: head.link, entries: head.entries, hash: head.hash }, entries)
    };
    links.into_iter().map(link).collect()
}

/// One checkpoint after each of these links.
fn history(links: &Links, after: &[u64]) -> History {
    let key = SigningKey::from_bytes(&[1; 32]);
    let mut history = History::new(vec![key.verifying_key()]);
    let mut previous = None;
    for (number, link) in (1..).zip(after) {
        let heads = links.iter().filter(|(stored, _)| stored.link == *link);
        let heads = heads.map(|(stored, _)| Head { epoch: EPOCH, link: *link, entries: stored.entries, hash: stored.hash }).collect();
        let line = Checkpoint { number, at: 1_000, previous, full: true, heads, next_key: None }.sign(&key).unwrap();
        previous = Some(crate::audit::checkpoint::line_hash(&line));
        history.take(&line).unwrap();
    }
    history
}

fn verify(history: &History, links: &Links, kept_since: i64) -> Result<(Head, u64), Fault> {
    let mut check = EpochCheck::begin(history, &opening(), kept_since, 0)?;
    for (stored, entries) in links {
        check.link(stored, entries)?;
    }
    check.end()
}

#[track_caller]
fn check(sealed: &[u64], change: impl Fn(&mut Links), expected: &str) {
    let links = chain(&[2, 1, 3, 1]);
    let history = history(&links, sealed);
    verify(&history, &links, 0).unwrap();
    let mut changed = links;
    change(&mut changed);
    let fault = verify(&history, &changed, 0).unwrap_err();
    assert!(fault.to_string().contains(expected), "{fault}");
}

fn content(links: &mut Links, link: usize, entry: usize) -> &mut StoredContent {
    links[link].1[entry].content.as_mut().unwrap()
}

#[test]
fn changes_are_noticed_by_the_chain_itself() {
    check(&[], |links| content(links, 2, 1).object = "another".into(), "rewritten entry: link 3");
    check(&[], |links| content(links, 2, 1).salt = [9; 16], "rewritten entry: link 3");
    check(&[], |links| drop(links.remove(1)), "missing link 2");
    check(&[], |links| drop(links[2].1.remove(0)), "missing or added entry: link 3 of epoch 01010101010101010101010101010101, place 1");
    check(&[], |links| drop(links[2].1.pop()), "missing or added entry: link 3 of epoch 01010101010101010101010101010101, place 3");
    check(&[], |links| links[0].1[0].at += 1, "broken link 1");
    check(&[], |links| links[3].0.hash[0] ^= 1, "broken link 4");
    check(&[], |links| links[2].1[0].content = None, "deleted content: link 3");
    let swap = |links: &mut Links| {
        links[2].1.swap(0, 2);
        (links[2].1[0].place, links[2].1[2].place) = (1, 3);
    };
    check(&[], swap, "broken link 3");
}

#[test]
fn a_rewritten_entry_with_its_digest_breaks_its_link() {
    let rewrite = |links: &mut Links| {
        content(links, 2, 1).object = "another".into();
        links[2].1[1].digest = links[2].1[1].content.as_ref().unwrap().digest();
    };
    check(&[], rewrite, "broken link 3");
}

#[test]
fn a_history_made_anew_is_not_the_one_that_was_signed() {
    let anew = |links: &mut Links| {
        links[1].1[0] = entry(1, 99);
        *links = hashed(std::mem::take(links).into_iter().map(|(_, entries)| entries).collect());
    };
    check(&[1, 3], anew, "rewritten history: link 3 of epoch 01010101010101010101010101010101 is not the one that checkpoint 2 names");
}

#[test]
fn a_cut_tail_is_noticed_as_far_as_it_was_signed() {
    check(&[2, 4], |links| links.truncate(3), "truncated tail");
    check(&[2, 4], Links::clear, "ends at link 0");
    let links = chain(&[2, 1, 3]);
    let history = history(&links, &[2]);
    verify(&history, &links[..2].to_vec(), 0).unwrap();
}

#[test]
fn content_may_go_when_its_time_is_over() {
    let mut links = chain(&[2, 1]);
    let history = history(&links, &[2]);
    links[0].1[0].content = None;
    let (_, emptied) = verify(&history, &links, 102).unwrap();
    assert_eq!(emptied, 1);
    let fault = verify(&history, &links, 101).unwrap_err();
    assert!(fault.to_string().starts_with("deleted content: link 1"), "{fault}");
}

#[test]
fn an_epoch_that_was_put_in_or_taken_out_is_noticed() {
    let links = chain(&[1]);
    let known = history(&links, &[1]);
    let late = EpochOpening { epoch: [2; 16], started_at: 1_000, ..opening() };
    EpochCheck::begin(&known, &late, 0, 0).unwrap();
    let fault = EpochCheck::begin(&known, &EpochOpening { started_at: 999, ..late }, 0, 0).unwrap_err();
    assert!(fault.to_string().contains("was put in afterwards"), "{fault}");
    EpochCheck::begin(&known, &EpochOpening { started_at: 999, ..late }, 0, 1).unwrap();
    all_there(&known, |epoch| *epoch == EPOCH).unwrap();
    let fault = all_there(&known, |_| false).unwrap_err();
    assert!(fault.to_string().starts_with("missing epoch 0101"), "{fault}");
}

#[test]
fn another_opening_breaks_the_first_link() {
    let links = chain(&[1, 1]);
    let history = history(&links, &[]);
    let mut check = EpochCheck::begin(&history, &EpochOpening { user: "0 root", ..opening() }, 0, 0).unwrap();
    let fault = check.link(&links[0].0, &links[0].1).unwrap_err();
    assert!(matches!(fault, Fault::BrokenLink { link: 1, .. }), "{fault}");
}

proptest! {
    /// Whatever somebody does to a signed chain and however well they hash it anew, it is noticed.
    #[test]
    fn no_change_to_what_was_signed_goes_unnoticed(
        sizes in proptest::collection::vec(1_u8..4, 1..7),
        which in any::<prop::sample::Index>(),
        way in 0..4_u8,
        anew in any::<bool>(),
    ) {
        let links = chain(&sizes);
        let history = history(&links, &[links.len() as u64]);
        let mut changed: Vec<Vec<StoredEntry>> = links.iter().map(|(_, entries)| entries.clone()).collect();
        let at = which.index(changed.len());
        match way {
            0 => changed[at][0] = entry(1, 200),
            1 => drop(changed.remove(at)),
            2 => changed.insert(at, vec![entry(1, 200)]),
            _ => changed[at].push(entry(u64::from(sizes[at]) + 1, 200)),
        }
        let changed = if anew {
            hashed(changed)
        } else {
            let stored = links.iter().map(|(stored, _)| stored.clone());
            stored.zip(changed).collect()
        };
        prop_assert!(verify(&history, &changed, 0).is_err());
    }
}
