//! Evidence and cases as the store keeps them: visits, findings, cases, blind draws, and what operators do.
//!
//! Not here: what visits say (`matcher_core::evidence`), and who gathers them (`crate::app::cases`).

use async_trait::async_trait;
use matcher_core::evidence::{CaseKind, CaseStep, Drawn, Opening, operators::Tally};

use super::{MadeBy, RecordId, Sealed, StoreError, SubjectId, TimeMs};

/// A turn at gathering evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseRun {
    /// How often one was taken, this time included: writes of an older turn are refused.
    pub fence: u32,
    /// All visits before this time were judged.
    pub gathered_until: TimeMs,
}

/// A person's visits, sealed.
#[derive(Debug, Clone)]
pub struct PersonVisits {
    /// That person's data key, wrapped.
    pub data_key: Sealed,
    /// The visits, by time.
    pub visits: Vec<StoredVisit>,
}

/// A visit with a probe.
#[derive(Debug, Clone)]
pub struct StoredVisit {
    /// Its verification.
    pub verification: RecordId,
    /// When the frame was taken.
    pub captured_at: TimeMs,
    /// When it was decided.
    pub decided_at: TimeMs,
    /// The score that was recorded, where something was compared.
    pub score: Option<f32>,
    /// What made the template.
    pub made_by: MadeBy,
    /// Whether it is explained: no evidence.
    pub explained: bool,
    /// The probe's template.
    pub template: Sealed,
}

/// What a person's visits say together.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Whose.
    pub subject: SubjectId,
    /// When it was judged.
    pub judged_at: TimeMs,
    /// The latest visit it rests on.
    pub last_visit_at: TimeMs,
    /// Which case it would be.
    pub kind: Option<CaseKind>,
    /// Log-odds of misuse.
    pub log_odds: f64,
    /// Days it rests on.
    pub days: u32,
    /// Faces that were told apart.
    pub faces: u32,
}

/// A verification a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseMember {
    /// Which.
    pub verification: RecordId,
    /// Which of the faces that were told apart; 0 is the one most like the photo.
    pub face: u32,
    /// Whether it speaks against the holder.
    pub suspect: bool,
}

/// A case to be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCase {
    /// Whose card; for a case about nobody known, bytes of its own id.
    pub subject: SubjectId,
    /// Its id.
    pub id: RecordId,
    /// What it is about.
    pub kind: CaseKind,
    /// Why it is opened.
    pub opening: Opening,
    /// When.
    pub opened_at: TimeMs,
    /// Log-odds of misuse.
    pub log_odds: f64,
    /// Days the evidence rests on.
    pub days: u32,
    /// Why, in a few words: a complaint's reason.
    pub reason: String,
    /// Who opens it; empty for the center itself.
    pub by: String,
    /// What it is about.
    pub members: Vec<CaseMember>,
}

/// Cases that evidence opens, strongest first, and what bounds them.
#[derive(Debug, Clone)]
pub struct DeskOpening {
    /// The turn that found them.
    pub fence: u32,
    /// When the desk's day began.
    pub day_start: TimeMs,
    /// Cases the desk reads in a day; opened ones count, whatever opened them.
    pub capacity: u32,
    /// A person with a case opened since, or one that is not closed, gets no other.
    pub quiet_since: TimeMs,
    /// The cases.
    pub cases: Vec<NewCase>,
}

/// A case as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCase {
    /// What was opened.
    pub case: NewCase,
    /// What happened since, in order.
    pub steps: Vec<CaseStep>,
    /// The card's number, masked; empty where none is known any more.
    pub identifier_masked: String,
    /// Institutions of its verifications.
    pub institutions: Vec<String>,
}

/// A match drawn for a blind look.
#[derive(Debug, Clone, PartialEq)]
pub struct BlindDraw {
    /// Whose.
    pub subject: SubjectId,
    /// Which verification.
    pub verification: RecordId,
    /// The day it is of, since 1970-01-01.
    pub day: i32,
    /// Its chance to be drawn.
    pub inclusion: f64,
    /// What the reviewer saw, once somebody looked: two people on the pictures; of another way, that something was not in
    /// order.
    pub two_people: Option<bool>,
    /// What was drawn.
    pub drawn: Drawn,
}

/// A day's draw to be written.
#[derive(Debug, Clone)]
pub struct NewDraws {
    /// The day, since 1970-01-01.
    pub day: i32,
    /// The key of the ranking.
    pub key: [u8; 32],
    /// Matches there were.
    pub matches: u64,
    /// When it was drawn.
    pub drawn_at: TimeMs,
    /// What was drawn.
    pub draws: Vec<BlindDraw>,
}

/// Evidence and cases.
#[async_trait]
pub trait Cases: Send + Sync {
    /// Takes the turn to gather evidence; nobody else takes it for `lease_ms`. None while somebody else has it.
    async fn take_case_run(&self, now: TimeMs, lease_ms: i64) -> Result<Option<CaseRun>, StoreError>;
    /// Ends a turn: everything before `gathered_until` was judged, and the next may be taken at `due_at`. False when
    /// somebody else took the turn meanwhile.
    async fn finish_case_run(&self, fence: u32, gathered_until: TimeMs, due_at: TimeMs) -> Result<bool, StoreError>;
    /// People with visits decided at or after a time, in the order of their ids, from the one after `after` on.
    async fn visited_since(&self, since: TimeMs, after: Option<SubjectId>, limit: u32) -> Result<Vec<SubjectId>, StoreError>;
    /// A person's visits decided at or after a time; none where the person's key is gone.
    async fn visits_of(&self, subject: SubjectId, since: TimeMs) -> Result<Option<PersonVisits>, StoreError>;
    /// Writes findings, each in place of the person's last; false, and nothing written, when the turn is over.
    async fn put_findings(&self, fence: u32, findings: Vec<Finding>) -> Result<bool, StoreError>;
    /// Findings of some kind at or above these log-odds whose latest visit is not older than `since`, strongest first,
    /// of people who may have a case: none opened at or after `quiet_since`, none that is not closed.
    async fn findings(&self, log_odds_min: f64, since: TimeMs, quiet_since: TimeMs, limit: u32) -> Result<Vec<Finding>, StoreError>;
    /// Opens cases while the desk's day has room; says how many. None when the turn is over.
    async fn open_cases(&self, opening: DeskOpening) -> Result<Option<u32>, StoreError>;
    /// Opens a case whatever the desk's capacity.
    async fn open_case(&self, case: NewCase) -> Result<(), StoreError>;
    /// Cases opened at or after a time, newest first.
    async fn cases(&self, since: TimeMs, limit: u32) -> Result<Vec<StoredCase>, StoreError>;
    /// The case of an id.
    async fn case(&self, id: RecordId) -> Result<Option<StoredCase>, StoreError>;
    /// Adds a step to a case that has had `before` steps; false when it has had others meanwhile. Closing explains the
    /// visits that spoke against the holder.
    async fn add_case_step(&self, id: RecordId, before: usize, step: CaseStep) -> Result<bool, StoreError>;

    /// Matches with a probe, decided from one time on and before another.
    async fn matches_between(&self, from: TimeMs, to: TimeMs) -> Result<Vec<(SubjectId, RecordId)>, StoreError>;
    /// Whether a day was drawn already.
    async fn is_drawn(&self, day: i32) -> Result<bool, StoreError>;
    /// Writes a day's draw; false when it was drawn already, and nothing is written.
    async fn put_draws(&self, draws: NewDraws) -> Result<bool, StoreError>;
    /// Draws of the days from one on, by day.
    async fn draws(&self, from_day: i32) -> Result<Vec<BlindDraw>, StoreError>;
    /// Writes what a reviewer saw, once; false when there is no such draw or it was judged.
    async fn judge_draw(&self, verification: RecordId, two_people: bool, by: String, at: TimeMs) -> Result<bool, StoreError>;

    /// What operators and institutions did since a time.
    async fn tallies(&self, since: TimeMs) -> Result<Vec<Tally>, StoreError>;
}
