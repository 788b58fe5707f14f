//! Signs that a counter is tampered with: while the line is down nobody decides, so somebody may pull the cable.
//!
//! Each rule looks at what the center knows and names a reason, or none. A sign accuses nobody: it is flagged once for
//! a device and episode, and somebody looks. Not here: where the facts come from, and flags.

use crate::{Scene, words::words};

words! {
    /// Why tampering is suspected.
    TamperingReason {
        /// Numbers of a device are missing although it says that nothing waits.
        SequenceGap = "sequence_gap",
        /// A device used a number twice.
        SequenceRepeated = "sequence_repeated",
        /// Numbers of a device are missing for longer than anything may wait.
        SpoolDeleted = "spool_deleted",
        /// A device is silent while its institution settles.
        DeviceSilent = "device_silent",
        /// One institution is offline while its neighbours are not.
        OfflineAlone = "offline_alone",
        /// More was answered without the center than the lease allows, later, or without one.
        LeaseOverrun = "lease_overrun",
        /// A capture says that it is older than what came before it.
        ClockSetBack = "clock_set_back",
        /// A provisional receipt does not belong to the capture it came with.
        ReceiptAltered = "receipt_altered",
    }
}

/// Clocks may differ by so much, in milliseconds, before it means something.
pub const CLOCK_TOLERANCE_MS: i64 = 60_000;

/// What a lease allows in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseScene {
    /// The scene.
    pub scene: Scene,
    /// So many captures.
    pub captures_max: u32,
    /// Until then: milliseconds since 1970-01-01 UTC.
    pub until: i64,
}

/// A lease as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseTerms {
    /// The device.
    pub device: String,
    /// When.
    pub issued_at: i64,
    /// What it allows.
    pub scenes: Vec<LeaseScene>,
}

/// What a device answered without the center.
#[derive(Debug, Clone, Copy)]
pub struct AnsweredAlone<'a> {
    /// The device.
    pub device: &'a str,
    /// The scene.
    pub scene: Scene,
    /// The number of the capture on the device.
    pub sequence: u64,
    /// When it says it answered.
    pub at: i64,
}

/// What the center knew when that came.
#[derive(Debug, Clone, Copy)]
pub struct KnownOfIt<'a> {
    /// The lease it names, where there is one.
    pub lease: Option<&'a LeaseTerms>,
    /// Answers under that lease in that scene, this one included.
    pub answers: u32,
    /// The latest answer of the device that has a lower number.
    pub latest_before: Option<i64>,
    /// When the device last said that nothing waits, and its highest number then.
    pub nothing_waited: Option<(i64, u64)>,
}

/// What an answer without the center is a sign of.
#[must_use]
pub fn of_answer(answer: AnsweredAlone<'_>, known: KnownOfIt<'_>) -> Vec<TamperingReason> {
    let terms = known.lease.filter(|lease| lease.device == answer.device);
    let scene = terms.and_then(|lease| lease.scenes.iter().find(|terms| terms.scene == answer.scene));
    let within =
        scene.is_some_and(|scene| known.answers <= scene.captures_max && answer.at < scene.until.saturating_add(CLOCK_TOLERANCE_MS));
    let is_before = |earlier: i64| answer.at < earlier.saturating_sub(CLOCK_TOLERANCE_MS);
    let set_back = terms.is_some_and(|lease| is_before(lease.issued_at))
        || known.latest_before.is_some_and(is_before)
        || known.nothing_waited.is_some_and(|(at, highest)| answer.sequence > highest && is_before(at));
    let reasons = [(!within, TamperingReason::LeaseOverrun), (set_back, TamperingReason::ClockSetBack)];
    reasons.into_iter().filter_map(|(is_one, reason)| is_one.then_some(reason)).collect()
}

/// How far a device's numbers are complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tail {
    /// Every number up to this one came, or its absence was flagged.
    pub complete_up_to: u64,
    /// Since when the next number is missed.
    pub gap_since: Option<i64>,
}

impl Tail {
    /// After the numbers beyond it that are there, in order.
    #[must_use]
    pub fn advanced(self, numbers: &[u64], now: i64) -> Self {
        let mut complete_up_to = self.complete_up_to;
        let mut missing = false;
        for number in numbers {
            if *number == complete_up_to.saturating_add(1) {
                complete_up_to = *number;
            } else if *number > complete_up_to {
                missing = true;
                break;
            }
        }
        let same = complete_up_to == self.complete_up_to;
        let gap_since = missing.then(|| self.gap_since.filter(|_| same).unwrap_or(now));
        Self { complete_up_to, gap_since }
    }

    /// Beyond a gap that was flagged: up to the number before the first that is there.
    #[must_use]
    pub fn beyond(self, numbers: &[u64]) -> Self {
        let next = numbers.iter().find(|number| **number > self.complete_up_to);
        let complete_up_to = next.map_or(self.complete_up_to, |next| next.saturating_sub(1));
        Self { complete_up_to, gap_since: None }
    }
}

/// How patient the rules are, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TamperingRule {
    /// The longest anything may wait in a spool.
    pub spool_ms: i64,
    /// A device may be silent for so long while its institution settles.
    pub silent_ms: i64,
    /// An institution may be offline for so long while its neighbours are not.
    pub offline_ms: i64,
    /// An institution that was never heard for this long is closed, not offline.
    pub closed_ms: i64,
    /// So many neighbours at least say something about an institution.
    pub neighbours_min: usize,
}

/// What a missing number is a sign of.
#[must_use]
pub fn of_gap(tail: Tail, nothing_waited_at: Option<i64>, now: i64, rule: &TamperingRule) -> Option<TamperingReason> {
    let since = tail.gap_since?;
    if nothing_waited_at.is_some_and(|at| at > since.saturating_add(CLOCK_TOLERANCE_MS)) {
        return Some(TamperingReason::SequenceGap);
    }
    (now.saturating_sub(since) > rule.spool_ms).then_some(TamperingReason::SpoolDeleted)
}

/// What a device's silence is a sign of, given when it was last heard and when its institution last settled.
#[must_use]
pub fn of_silence(heard_at: i64, settled_at: Option<i64>, now: i64, rule: &TamperingRule) -> Option<TamperingReason> {
    let settled = settled_at.is_some_and(|settled_at| settled_at > heard_at.saturating_add(rule.silent_ms));
    let retired = now.saturating_sub(heard_at) > rule.closed_ms;
    (settled && !retired).then_some(TamperingReason::DeviceSilent)
}

/// When an institution was last heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The institution.
    pub institution: String,
    /// Its neighbours have the same.
    pub group: String,
    /// When any device of it was last heard.
    pub at: i64,
}

/// The institutions that are offline while four of five neighbours are not.
#[must_use]
pub fn offline_alone<'a>(heard: &'a [Heard], now: i64, rule: &TamperingRule) -> Vec<&'a Heard> {
    let is_online = |heard: &Heard| now.saturating_sub(heard.at) <= rule.offline_ms;
    let alone = |one: &&Heard| {
        let age = now.saturating_sub(one.at);
        if is_online(one) || age > rule.closed_ms {
            return false;
        }
        let neighbours = heard.iter().filter(|other| other.group == one.group && other.institution != one.institution);
        let open = neighbours.filter(|other| now.saturating_sub(other.at) <= rule.closed_ms);
        let (online, all) = open.fold((0_usize, 0_usize), |(online, all), other| (online + usize::from(is_online(other)), all + 1));
        all >= rule.neighbours_min && online * 5 >= all * 4
    };
    heard.iter().filter(alone).collect()
}

#[cfg(test)]
mod tests;
