//! Who works the counters otherwise than their peers: the easier frauds need no face.
//!
//! For each measure an operator's (or an institution's) share of captures is held against that of all others
//! together. Three things must come together: enough trials, an effect that matters, and a chance of at most so
//! much that it is luck, corrected for how many are looked at (Benjamini and Hochberg). What comes out is a
//! flag: a reason to ask, and no verdict. A counter for the bedridden has its proxies.

use super::interval::{Share, binomial_tail, discoveries, wilson};
use crate::words::words;

words! {
    /// What is counted of an operator's captures.
    Measure {
        /// The other way of verifying was offered.
        OtherWay = "other_way",
        /// Somebody collected for the holder.
        Proxy = "proxy",
        /// A document was asked for (and, where it is recorded, found to be of the same person).
        DocumentChecked = "document_checked",
        /// No usable face was acquired.
        NoFace = "no_face",
        /// Captures that the device numbered and the center never saw: an unplugged line, a wiped disk.
        Missing = "missing",
        /// Days without any capture since the first: a counter that is silent while its store settles.
        SilentDay = "silent_day",
    }
}

/// Whose captures were counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Who {
    /// The institution.
    pub institution: String,
    /// The operator, as the institution names them; none for the institution as a whole.
    pub operator: Option<String>,
}

/// How often something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Whose.
    pub who: Who,
    /// What.
    pub measure: Measure,
    /// How often.
    pub events: u64,
    /// Among how many captures.
    pub trials: u64,
}

/// When a share is worth a flag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WatchRule {
    /// Captures, at least.
    pub trials_min: u64,
    /// Times the peers' share, at least.
    pub ratio_min: f64,
    /// More than the peers' share, at least, 0–1.
    pub difference_min: f64,
    /// Share of the flags of one run that may be luck, 0–1.
    pub share_wrong_max: f64,
}

impl Default for WatchRule {
    fn default() -> Self {
        Self { trials_min: 30, ratio_min: 2.0, difference_min: 0.05, share_wrong_max: 0.05 }
    }
}

/// An operator or institution beside its peers.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// What was counted.
    pub tally: Tally,
    /// Their share, with its interval.
    pub share: Share,
    /// The share of all others of the same level together, 0–1; none where there are none.
    pub peers: Option<f64>,
    /// Chance of as many events at the peers' share.
    pub p_value: f64,
    /// Whether it is worth a flag.
    pub flagged: bool,
}

/// Holds each tally against its peers: those of the same measure and level (operators with operators, institutions
/// with institutions). The same order comes back.
#[must_use]
pub fn watch(rule: &WatchRule, tallies: &[Tally]) -> Vec<Watched> {
    let mut watched: Vec<Watched> = tallies.iter().map(|tally| beside_peers(tally, tallies)).collect();
    // Only who has enough captures is tested, so that the many with few do not blunt the test.
    let tested: Vec<usize> =
        (0..tallies.len()).filter(|at| watched.get(*at).is_some_and(|w| w.tally.trials >= rule.trials_min && w.peers.is_some())).collect();
    let p_values: Vec<f64> = tested.iter().filter_map(|at| watched.get(*at)).map(|w| w.p_value).collect();
    for (at, stands) in tested.into_iter().zip(discoveries(&p_values, rule.share_wrong_max)) {
        if let Some(watched) = watched.get_mut(at) {
            watched.flagged = stands && matters(rule, watched);
        }
    }
    watched
}

fn matters(rule: &WatchRule, watched: &Watched) -> bool {
    let Some(peers) = watched.peers else { return false };
    let share = watched.share.value;
    share >= rule.ratio_min * peers && share - peers >= rule.difference_min && watched.share.lower > peers
}

fn beside_peers(tally: &Tally, all: &[Tally]) -> Watched {
    let same = |other: &&Tally| {
        other.measure == tally.measure && other.who.operator.is_some() == tally.who.operator.is_some() && other.who != tally.who
    };
    let (events, trials) = all.iter().filter(same).fold((0, 0), |(events, trials), other| (events + other.events, trials + other.trials));
    let peers = (trials > 0).then(|| events as f64 / trials as f64);
    // Peers who never did it are not proof that nobody would: half an event more.
    let expected = peers.map_or(1.0, |_| (events as f64 + 0.5) / (trials as f64 + 1.0));
    Watched {
        tally: tally.clone(),
        share: wilson(tally.events as f64, tally.trials as f64),
        peers,
        p_value: binomial_tail(tally.events, tally.trials, expected),
        flagged: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(operator: &str, events: u64, trials: u64) -> Tally {
        let who = Who { institution: "P1".into(), operator: (!operator.is_empty()).then(|| operator.to_owned()) };
        Tally { who, measure: Measure::OtherWay, events, trials }
    }

    /// Twenty ordinary operators with 3 of 100, and this one.
    fn among_peers(tally: Tally) -> Watched {
        let mut tallies: Vec<Tally> = (0..20).map(|i| self::tally(&format!("o{i}"), 3, 100)).collect();
        tallies.push(tally);
        let watched = watch(&WatchRule::default(), &tallies);
        assert!(watched[..20].iter().all(|w| !w.flagged), "{watched:?}");
        watched[20].clone()
    }

    #[track_caller]
    fn check(events: u64, trials: u64, flagged: bool) {
        let got = among_peers(tally("x", events, trials));
        assert_eq!(got.flagged, flagged, "{got:?}");
    }

    #[test]
    fn far_more_than_the_peers_is_flagged() {
        check(30, 100, true);
        check(3, 100, false);
        check(100, 100, true);
    }

    #[test]
    fn an_effect_must_matter() {
        // 5 % of very many is beyond luck, and only two points more than the peers.
        check(5_000, 100_000, false);
        // 8.1 % is.
        check(8_100, 100_000, true);
        let loose = WatchRule { difference_min: 0.0, ..WatchRule::default() };
        let tallies = [tally("a", 20, 100), tally("b", 3_900, 10_000), tally("c", 100, 10_000)];
        assert!(watch(&loose, &tallies)[1].flagged && !watch(&loose, &tallies)[0].flagged);
        let thrice = WatchRule { ratio_min: 100.0, ..loose };
        assert!(!watch(&thrice, &tallies)[1].flagged);
    }

    #[test]
    fn few_captures_say_nothing() {
        check(29, 29, false);
        check(30, 30, true);
        check(0, 0, false);
    }

    #[test]
    fn nobody_is_flagged_without_peers() {
        let alone = watch(&WatchRule::default(), &[tally("a", 90, 100)]);
        assert_eq!((alone[0].flagged, alone[0].peers), (false, None));
        // An institution is no peer of an operator, another measure no peer of this one.
        let other = Tally { measure: Measure::Proxy, ..tally("b", 0, 100) };
        let mixed = watch(&WatchRule::default(), &[tally("a", 90, 100), tally("", 0, 100), other]);
        assert!(mixed.iter().all(|w| w.peers.is_none() && !w.flagged), "{mixed:?}");
    }

    #[test]
    fn peers_who_never_did_it_do_not_make_one_event_a_flag() {
        let tallies = [tally("a", 2, 30), tally("b", 0, 30)];
        assert!(!watch(&WatchRule::default(), &tallies)[0].flagged);
        let tallies = [tally("a", 20, 30), tally("b", 0, 30)];
        let got = watch(&WatchRule::default(), &tallies);
        assert_eq!((got[0].flagged, got[0].peers, got[1].flagged), (true, Some(0.0), false));
    }

    #[test]
    fn many_honest_operators_give_few_flags() {
        // Binomial-like spread around 10 %: a deterministic one of ±3 of 60.
        let tallies: Vec<Tally> = (0..200_u64).map(|i| tally(&format!("o{i}"), 3 + i % 7, 60)).collect();
        assert!(watch(&WatchRule::default(), &tallies).iter().all(|w| !w.flagged));
    }
}
