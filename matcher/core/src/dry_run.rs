//! Dry run: what a policy would have decided about what was recorded, without touching it.
//!
//! A finding is judged again by the very function that judges live captures. What cannot be judged again is counted
//! with its reason and never guessed. The estimate of how many flags would be right rests on reviews where there are any
//! ([`Reviewed`]), and otherwise on the policy's own trials ([`by_arithmetic`]). Not here: where records come from.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    decision::{Decision, Disposition, Earlier, Finding, Scene, judge, words},
    flag::{FlagKind, flags_for},
    policy::{Policy, Trials},
    statistics::{Interval, wilson},
};

words! {
    /// Why a record was not judged again.
    NotReplayed {
        /// The templates were not compared when it was recorded, so there is no score.
        NotCompared = "not_compared",
        /// It was recorded by a program that did not keep what a decision needs.
        TooLittleKept = "too_little_kept",
        /// The policy has no thresholds for its model and recipe.
        OtherModel = "other_model",
        /// The policy would not have taken this many attempts.
        BeyondAttempts = "beyond_attempts",
    }
}

/// What a reviewer found, and how likely the record was to be reviewed at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reviewed {
    /// Whether probe and reference are of one person.
    pub mated: bool,
    /// Probability with which it was drawn for review, above 0, at most 1.
    pub inclusion: f64,
}

/// A record of the past.
#[derive(Debug, Clone)]
pub struct Past {
    /// Institution.
    pub institution: String,
    /// Its transaction.
    pub transaction: String,
    /// Which attempt within it.
    pub attempt: u32,
    /// Scene.
    pub scene: Scene,
    /// Whose card, as a keyed hash: a card is one case a day, however often it was flagged.
    pub card: [u8; 32],
    /// When it was decided: milliseconds since 1970-01-01 UTC.
    pub decided_at: i64,
    /// What was decided.
    pub decision: Decision,
    /// What the till does after it.
    pub disposition: Disposition,
    /// What was found, or why that cannot be told any more.
    pub finding: Result<Finding, NotReplayed>,
    /// What a reviewer found, if one looked.
    pub reviewed: Option<Reviewed>,
}

/// Counts of one institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records that were judged again.
    pub replayed: u64,
    /// Those whose decision would be another.
    pub flips: u64,
    /// Mismatches that were flagged.
    pub flags_before: u64,
    /// Mismatches that would be.
    pub flags_after: u64,
}

/// A share with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The share, 0–1.
    pub share: f64,
    /// Its interval.
    pub interval: Interval,
    /// What it rests on: reviewed flags, or mated trials.
    pub count: u64,
}

/// What a dry run found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Records that were looked at.
    pub records: u64,
    /// How many could not be judged again, by reason.
    pub not_replayed: BTreeMap<NotReplayed, u64>,
    /// How many changed, by scene and by the keys of the two decisions.
    pub flips: BTreeMap<(Scene, &'static str, &'static str), u64>,
    /// How many dispositions changed, by their words before and after.
    pub dispositions: BTreeMap<(&'static str, &'static str), u64>,
    /// How many fell into which band, before and after, by the decision's key.
    pub bands: BTreeMap<&'static str, (u64, u64)>,
    /// By institution.
    pub institutions: BTreeMap<String, Counts>,
    /// All institutions together.
    pub total: Counts,
    /// Days that records are from.
    pub days: u64,
    /// Cards flagged as a mismatch, each once a day, before and after.
    pub cases: (u64, u64),
    /// Share of the flags that would be right, by what reviewers found.
    pub by_review: Option<Estimate>,
    /// The same by the policy's own trials.
    pub by_arithmetic: Option<Estimate>,
}

/// Milliseconds that attempts of one transaction are at most apart here; older ones are let go.
const TRANSACTION_MS: i64 = 3_600_000;
/// Transactions that are held before old ones are let go.
const TRANSACTIONS_MAX: usize = 100_000;
const DAY_MS: i64 = 86_400_000;

/// Judges records again, oldest first.
#[derive(Debug)]
pub struct DryRun<'a> {
    policy: &'a Policy,
    outcome: Outcome,
    open: HashMap<(String, String), Attempts>,
    open_max: usize,
    days: HashSet<i64>,
    today: i64,
    cards_today: (HashSet<[u8; 32]>, HashSet<[u8; 32]>),
    weights: Weights,
}

/// What was decided anew about one transaction.
#[derive(Debug)]
struct Attempts {
    last_at: i64,
    decisions: Vec<(u32, Decision)>,
}

/// Reviewed flags, each weighted by the inverse of its probability to be reviewed (Horvitz–Thompson).
#[derive(Debug, Clone, Copy, Default)]
struct Weights {
    count: u64,
    sum: f64,
    squares: f64,
    right: f64,
}

impl<'a> DryRun<'a> {
    /// A dry run of a policy.
    #[must_use]
    pub fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            outcome: Outcome::default(),
            open: HashMap::new(),
            open_max: TRANSACTIONS_MAX,
            days: HashSet::new(),
            today: i64::MIN,
            cards_today: Default::default(),
            weights: Weights::default(),
        }
    }

    /// Judges one record again. Records come in the order of their time.
    pub fn take(&mut self, past: &Past) {
        self.outcome.records += 1;
        self.begin_day(past.decided_at.div_euclid(DAY_MS));
        match self.replay(past) {
            Ok((after, disposition)) => self.count(past, after, disposition),
            Err(reason) => *self.outcome.not_replayed.entry(reason).or_default() += 1,
        }
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        self.outcome.days = self.days.len() as u64;
        let Weights { count, sum, squares, right } = self.weights;
        if count > 0 {
            // Kish's effective sample size: unequal weights are worth fewer reviews.
            let effective = sum * sum / squares;
            let share = right / sum;
            self.outcome.by_review = Some(Estimate { share, interval: wilson(share * effective, effective), count });
        }
        self.outcome.by_arithmetic = self.arithmetic();
        self.outcome
    }

    fn begin_day(&mut self, day: i64) {
        self.days.insert(day);
        if day != self.today {
            self.today = day;
            self.cards_today = Default::default();
        }
    }

    fn replay(&mut self, past: &Past) -> Result<(Decision, Disposition), NotReplayed> {
        let finding = past.finding.as_ref().map_err(|reason| *reason)?;
        if past.attempt > self.policy.scene(past.scene).attempt_max(finding.way()) {
            return Err(NotReplayed::BeyondAttempts);
        }
        if let Finding::Compared(compared) = finding
            && self.policy.thresholds(past.scene, &compared.model, &compared.recipe).is_none()
        {
            return Err(NotReplayed::OtherModel);
        }
        if self.open.len() > self.open_max {
            self.open.retain(|_, attempts| past.decided_at - attempts.last_at < TRANSACTION_MS);
        }
        let key = (past.institution.clone(), past.transaction.clone());
        let attempts = self.open.entry(key).or_insert_with(|| Attempts { last_at: past.decided_at, decisions: Vec::new() });
        attempts.last_at = past.decided_at;
        let others = attempts.decisions.iter().filter(|(attempt, _)| *attempt != past.attempt);
        let decisions: Vec<Decision> = others.map(|(_, decision)| *decision).collect();
        let verdict = judge(self.policy, past.scene, finding, Earlier { attempt: past.attempt, decisions: &decisions });
        attempts.decisions.push((past.attempt, verdict.decision));
        Ok((verdict.decision, verdict.disposition))
    }

    fn count(&mut self, past: &Past, after: Decision, disposition: Disposition) {
        let before = past.decision;
        let mismatch = |decision| flags_for(decision, &[]).contains(&FlagKind::CardPersonMismatch);
        let (was, is) = (mismatch(before), mismatch(after));
        let counts = self.outcome.institutions.entry(past.institution.clone()).or_default();
        for counts in [counts, &mut self.outcome.total] {
            counts.replayed += 1;
            counts.flips += u64::from(before != after);
            counts.flags_before += u64::from(was);
            counts.flags_after += u64::from(is);
        }
        self.outcome.bands.entry(before.policy_key()).or_default().0 += 1;
        self.outcome.bands.entry(after.policy_key()).or_default().1 += 1;
        if before != after {
            *self.outcome.flips.entry((past.scene, before.policy_key(), after.policy_key())).or_default() += 1;
        }
        if past.disposition != disposition {
            *self.outcome.dispositions.entry((past.disposition.word(), disposition.word())).or_default() += 1;
        }
        self.outcome.cases.0 += u64::from(was && self.cards_today.0.insert(past.card));
        self.outcome.cases.1 += u64::from(is && self.cards_today.1.insert(past.card));
        if let Some(reviewed) = past.reviewed.filter(|reviewed| is && reviewed.inclusion > 0.0) {
            let weight = 1.0 / reviewed.inclusion.min(1.0);
            self.weights.count += 1;
            self.weights.sum += weight;
            self.weights.squares += weight * weight;
            self.weights.right += if reviewed.mated { 0.0 } else { weight };
        }
    }

    fn arithmetic(&self) -> Option<Estimate> {
        let thresholds = self.policy.thresholds(Scene::Settlement, self.policy.model(), self.policy.recipe())?;
        thresholds.non_match_below?;
        by_arithmetic(self.outcome.total.flags_after, self.outcome.total.replayed, thresholds.trials)
    }
}

/// Share of flags that are right, from the flags themselves and the false non-match rate of mated trials.
///
/// With misuse at a rate p, flags = N · \[(1 − p) · FNMR + p · (1 − FMR)\]. Flags and FNMR are known, FMR below the
/// non-match threshold is taken as 0 (so that the share is, if anything, too low); what is left of the flags after
/// N · FNMR false ones gives p, and p · N ÷ flags is the share. Its interval takes in those of both rates. Nothing
/// without flags or without trials.
#[must_use]
pub fn by_arithmetic(flags: u64, records: u64, trials: Trials) -> Option<Estimate> {
    if flags == 0 || records == 0 || trials.mated == 0 {
        return None;
    }
    // There are flags, so that their share is above 0, and so is the lower end of its interval.
    let right = |flagged: f64, fnmr: f64| {
        let prevalence = ((flagged - fnmr) / (1.0 - fnmr)).max(0.0);
        (prevalence / flagged).min(1.0)
    };
    let flagged = wilson(flags as f64, records as f64);
    let fnmr = wilson(trials.mated_errors as f64, trials.mated as f64);
    let share = right(flags as f64 / records as f64, trials.mated_errors as f64 / trials.mated as f64);
    let interval = Interval { low: right(flagged.low, fnmr.high), high: right(flagged.high, fnmr.low) };
    Some(Estimate { share, interval, count: trials.mated })
}

#[cfg(test)]
mod tests;
