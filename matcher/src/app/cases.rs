//! Evidence into cases: gathers new visits, judges their cards, opens what the desk has room for, draws matches for
//! a blind look.
//!
//! One process at a time: the turn is leased, and writes of a turn that is over are refused. Everything can be
//! done again: a finding replaces the card's last, a person with a case gets no other, a day is drawn once. A
//! shadow policy tells nobody anything, and opens no case either unless the settings say so: what was found
//! stays a recorded finding. Not here: what evidence says (`matcher_core::evidence`).

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use matcher_core::{
    Mode,
    evidence::{
        CardRule, DrawKey, Drawn, EvidenceModel, Opening, VisitId, draw,
        operators::{WatchRule, watch},
    },
};
use serde::Serialize;
use thiserror::Error;
use tracing::{info, warn};

use super::flags;
use crate::{
    center::Center,
    store::{
        RecordId, StoreError, SubjectId, TimeMs,
        cases::{BlindDraw, CaseMember, CaseRun, DeskOpening, Finding, NewCase, NewDraws},
    },
    surroundings::Surroundings,
};

mod card;
pub mod desk;
pub mod seeding;

/// Nobody else takes the turn for this long.
const LEASE_MS: i64 = 10 * 60_000;
/// Visits this much before the last turn are looked at again: a commit may come later than the time it bears.
const OVERLAP_MS: i64 = 15 * 60_000;
/// People judged between two writes.
const PEOPLE_AT_ONCE: u32 = 200;
/// Days that are drawn when a center was off for long, at most.
const DRAW_DAYS_MAX: i32 = 7;
const DAY_MS: i64 = 86_400_000;

/// A turn that broke off; what was not done is done at the next.
#[derive(Debug, Error)]
pub enum CasesError {
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The turn took so long that somebody else has it.
    #[error("another process took the turn")]
    TurnLost,
    /// The clock shows a time that has no date.
    #[error("the time is out of range")]
    Time(#[source] jiff::Error),
}

/// How cases come about.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseSettings {
    /// How evidence adds up.
    pub rule: CardRule,
    /// Cases the desk reads in a day.
    pub desk_a_day: u32,
    /// Matches drawn a day.
    pub draws_a_day: u32,
    /// Other ways drawn a day.
    pub other_way_draws_a_day: u32,
    /// Days of visits that are looked at together.
    pub window_days: u32,
    /// A person with a case gets no other for as many days.
    pub quiet_days: u32,
    /// Whether cases open while the policy tells nobody anything.
    pub open_in_shadow: bool,
    /// Share of the desk's cases whose answer is known, 0 up to 0.2; none where there are no pairs.
    pub seed_share: f64,
    /// Time between two turns.
    pub every: Duration,
}

/// Gathers evidence.
#[derive(Clone)]
pub struct CaseRunner {
    /// Store, vault and policy.
    pub center: Center,
    /// Clock and ids.
    pub surroundings: Arc<dyn Surroundings>,
    /// How cases come about.
    pub settings: CaseSettings,
    /// What scores say, where the policy carries nothing about it.
    pub evidence: Arc<EvidenceModel>,
    /// Where days begin and end.
    pub zone: TimeZone,
}

impl std::fmt::Debug for CaseRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaseRunner").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What a turn did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CaseRunSummary {
    /// People whose visits were judged.
    pub people: u64,
    /// Findings strong enough for a case, those of earlier turns included.
    pub strong: u64,
    /// Cases opened.
    pub opened: u32,
    /// Strong findings that stay recorded: the desk's day is full, or the policy is in shadow mode.
    pub recorded: u64,
    /// Matches drawn for a blind look.
    pub drawn: u64,
    /// Operators and institutions flagged because they work otherwise than their peers; looked at once a day.
    pub patterns: u64,
}

impl CaseRunner {
    /// Gathers every few minutes, until it is dropped.
    pub async fn run(self) {
        loop {
            match self.once().await {
                Ok(Some(done)) => info!(?done, "evidence gathered"),
                Ok(None) => {}
                Err(error) => warn!(error = &error as &dyn std::error::Error, "evidence could not be gathered now"),
            }
            tokio::time::sleep(self.settings.every).await;
        }
    }

    /// Takes a turn; nothing when somebody else has it.
    ///
    /// # Errors
    /// When the store fails or the turn is lost; the next one does what was left.
    pub async fn once(&self) -> Result<Option<CaseRunSummary>, CasesError> {
        self.in_force().turn().await
    }

    /// With what the policy in force says about scores, where it says something.
    fn in_force(&self) -> Self {
        let in_force = self.center.policies.current();
        let evidence = in_force.policy.evidence().map_or_else(|| Arc::clone(&self.evidence), |evidence| Arc::new(evidence.clone()));
        Self { evidence, ..self.clone() }
    }

    async fn turn(&self) -> Result<Option<CaseRunSummary>, CasesError> {
        let now = self.surroundings.now_ms();
        let taken = self.center.store.take_case_run(now, LEASE_MS).await.map_err(CasesError::Store)?;
        let Some(turn) = taken else { return Ok(None) };
        let mut done = CaseRunSummary { people: self.judge_people(&turn, now).await?, ..CaseRunSummary::default() };
        self.open(&turn, now, &mut done).await?;
        if done.opened > 0 {
            self.seed(now).await?;
        }
        let (drawn, new_day) = self.draw(now).await?;
        done.drawn = drawn;
        if new_day {
            done.patterns = self.watch(now).await?;
        }
        // The lease ends with the turn: a run by hand need not wait for the next.
        let kept = self.center.store.finish_case_run(turn.fence, now, now).await.map_err(CasesError::Store)?;
        if kept { Ok(Some(done)) } else { Err(CasesError::TurnLost) }
    }

    /// Judges everybody with a visit since the last turn.
    async fn judge_people(&self, turn: &CaseRun, now: TimeMs) -> Result<u64, CasesError> {
        let since = turn.gathered_until.saturating_sub(OVERLAP_MS).max(self.window_start(now));
        let (mut people, mut after) = (0, None);
        loop {
            let page = self.center.store.visited_since(since, after, PEOPLE_AT_ONCE).await.map_err(CasesError::Store)?;
            let Some(last) = page.last() else { return Ok(people) };
            after = Some(*last);
            people += page.len() as u64;
            let mut findings = Vec::with_capacity(page.len());
            for subject in page {
                findings.extend(self.judge(subject, now).await?.map(|judged| judged.finding));
            }
            let kept = self.center.store.put_findings(turn.fence, findings).await.map_err(CasesError::Store)?;
            if !kept {
                return Err(CasesError::TurnLost);
            }
        }
    }

    fn window_start(&self, now: TimeMs) -> TimeMs {
        now.saturating_sub(i64::from(self.settings.window_days) * DAY_MS)
    }

    fn quiet_since(&self, now: TimeMs) -> TimeMs {
        now.saturating_sub(i64::from(self.settings.quiet_days) * DAY_MS)
    }

    /// Opens cases for the strongest findings.
    async fn open(&self, turn: &CaseRun, now: TimeMs, done: &mut CaseRunSummary) -> Result<(), CasesError> {
        let (window, quiet) = (self.window_start(now), self.quiet_since(now));
        // Three days' worth, so that the summary can say how many are left without counting a city's.
        let limit = self.settings.desk_a_day.saturating_mul(3).max(100);
        let strong = self.center.store.findings(self.settings.rule.open_at(), window, quiet, limit).await.map_err(CasesError::Store)?;
        done.strong = strong.len() as u64;
        if self.may_open() {
            let mut cases = Vec::new();
            for finding in strong.iter().take(self.settings.desk_a_day as usize) {
                cases.extend(self.case_of(finding, now).await?);
            }
            let day_start = self.day_start(self.date(now)?)?;
            let opening = DeskOpening { fence: turn.fence, day_start, capacity: self.settings.desk_a_day, quiet_since: quiet, cases };
            done.opened = self.center.store.open_cases(opening).await.map_err(CasesError::Store)?.ok_or(CasesError::TurnLost)?;
        }
        done.recorded = done.strong.saturating_sub(u64::from(done.opened));
        Ok(())
    }

    /// Whether cases may open: not while the policy tells nobody anything, unless the settings say so.
    #[must_use]
    pub fn may_open(&self) -> bool {
        self.settings.open_in_shadow || self.center.policies.current().policy.mode() != Mode::Shadow
    }

    /// The case of a finding, judged again: the window has moved since.
    async fn case_of(&self, finding: &Finding, now: TimeMs) -> Result<Option<NewCase>, CasesError> {
        let Some(judged) = self.judge(finding.subject, now).await? else { return Ok(None) };
        let Some(kind) = judged.finding.kind.filter(|_| self.settings.rule.opens(judged.finding.log_odds)) else { return Ok(None) };
        Ok(Some(NewCase {
            subject: finding.subject,
            id: self.surroundings.new_record(),
            kind,
            opening: Opening::Evidence,
            opened_at: now,
            log_odds: judged.finding.log_odds,
            days: judged.finding.days,
            reason: String::new(),
            by: String::new(),
            members: judged.members,
        }))
    }

    /// Flags operators and institutions that work otherwise than their peers, each at most once a week.
    async fn watch(&self, now: TimeMs) -> Result<u64, CasesError> {
        let tallies = self.center.store.tallies(self.window_start(now)).await.map_err(CasesError::Store)?;
        let mut raised = 0;
        for watched in watch(&WatchRule::default(), &tallies).iter().filter(|watched| watched.flagged) {
            match self.center.store.record_flag(flags::of_pattern(&watched.tally, now)).await {
                Ok(()) => raised += 1,
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(CasesError::Store(error)),
            }
        }
        Ok(raised)
    }

    /// Draws the days that are over and were not drawn; says how many matches, and whether any day was new.
    async fn draw(&self, now: TimeMs) -> Result<(u64, bool), CasesError> {
        let today = self.date(now)?;
        let (mut drawn, mut new_day) = (0, false);
        for back in 1..=DRAW_DAYS_MAX {
            let date = today.checked_sub(back.days()).map_err(CasesError::Time)?;
            let day = day_number(date);
            if !self.center.store.is_drawn(day).await.map_err(CasesError::Store)? {
                let (from, to) = (self.day_start(date)?, self.day_start(date.tomorrow().map_err(CasesError::Time)?)?);
                drawn += self.draw_day(day, from, to, now).await?;
                new_day = true;
            }
        }
        Ok((drawn, new_day))
    }

    async fn draw_day(&self, day: i32, from: TimeMs, to: TimeMs, now: TimeMs) -> Result<u64, CasesError> {
        let matches = self.center.store.matches_between(from, to).await.map_err(CasesError::Store)?;
        let other_ways = self.center.store.other_ways_between(from, to).await.map_err(CasesError::Store)?;
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip([self.surroundings.random_id(), self.surroundings.random_id()].as_flattened()) {
            *to = *from;
        }
        let of = |drawn, from: &[(SubjectId, RecordId)], count: u32| draw_of(&DrawKey::new(key), day, (drawn, from), count as usize);
        let mut draws = of(Drawn::Match, &matches, self.settings.draws_a_day);
        draws.extend(of(Drawn::OtherWay, &other_ways, self.settings.other_way_draws_a_day));
        let count = draws.len() as u64;
        let new = NewDraws { day, key, matches: matches.len() as u64, drawn_at: now, draws };
        let written = self.center.store.put_draws(new).await.map_err(CasesError::Store)?;
        Ok(if written { count } else { 0 })
    }

    fn date(&self, time: TimeMs) -> Result<Date, CasesError> {
        let time = Timestamp::from_millisecond(time).map_err(CasesError::Time)?;
        Ok(time.to_zoned(self.zone.clone()).date())
    }

    fn day_start(&self, date: Date) -> Result<TimeMs, CasesError> {
        Ok(date.to_zoned(self.zone.clone()).map_err(CasesError::Time)?.timestamp().as_millisecond())
    }
}

/// A day's draw of one kind.
fn draw_of(key: &DrawKey, day: i32, (drawn, from): (Drawn, &[(SubjectId, RecordId)]), count: usize) -> Vec<BlindDraw> {
    let ids: Vec<VisitId> = from.iter().map(|(_, id)| id.0).collect();
    let subjects: HashMap<VisitId, SubjectId> = from.iter().map(|(subject, id)| (id.0, *subject)).collect();
    let draw = draw(key, day, &ids, count);
    let inclusion = draw.inclusion;
    let one = |id: &VisitId| {
        Some(BlindDraw { subject: *subjects.get(id)?, verification: RecordId(*id), day, inclusion, two_people: None, drawn })
    };
    draw.ids.iter().filter_map(one).collect()
}

/// Days since 1970-01-01.
fn day_number(date: Date) -> i32 {
    let epoch = Date::constant(1970, 1, 1);
    date.since(epoch).map_or(0, |span| span.get_days())
}

/// A person's visits, judged.
#[derive(Debug)]
struct Judged {
    finding: Finding,
    members: Vec<CaseMember>,
}

impl Judged {
    fn nothing(subject: SubjectId, now: TimeMs, log_odds: f64) -> Self {
        let finding = Finding { subject, judged_at: now, last_visit_at: 0, kind: None, log_odds, days: 0, faces: 0 };
        Self { finding, members: Vec::new() }
    }
}
