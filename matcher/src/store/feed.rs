//! What can be searched, and what changed about it: references and probes as those who keep an index of them need them.
//!
//! A reader that has seen everything up to a [`Position`] sees later exactly what committed since, whichever of many writers
//! wrote it. Beside it: jobs that search what came, and what they found. Not here: the index (`matcher-index`), and what is
//! made of candidates (`crate::identify`).

use async_trait::async_trait;
use matcher_core::FlagKind;

use super::{Flag, MadeBy, RecordId, Sealed, StoreError, SubjectId, TimeMs, cases::NewCase};

/// Changes that a feed keeps: days of a city, about 100 bytes each.
pub const FEED_KEPT: u64 = 20_000_000;

/// What can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Searchable {
    /// References of photos in use.
    Reference,
    /// Probes of visits.
    Probe,
}

impl Searchable {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Reference, Self::Probe];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Probe => "probe",
        }
    }

    /// What a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// How far somebody has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The writing transaction, on engines where several write at a time; else 0.
    pub era: i64,
    /// The change.
    pub number: i64,
}

/// Something came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it stands.
    pub position: Position,
    /// What.
    pub kind: Searchable,
    /// Whether it came; else it went.
    pub added: bool,
    /// Whose.
    pub subject: SubjectId,
    /// Which.
    pub record: RecordId,
}

/// A record that can be searched, sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRecord {
    /// Whose.
    pub subject: SubjectId,
    /// Which: a reference, or the verification of a probe.
    pub record: RecordId,
    /// That person's data key, wrapped.
    pub data_key: Sealed,
    /// What made the template.
    pub made_by: MadeBy,
    /// The template.
    pub template: Sealed,
    /// Where it belongs: the region of the person's number for a reference, the institution for a probe.
    pub scope: String,
    /// When it came: when the reference was made, when the visit was decided.
    pub at: TimeMs,
    /// Of a probe: whether it matched the card's reference.
    pub matched: bool,
    /// Of a probe: whether the visit is explained.
    pub explained: bool,
}

/// A turn at a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchTurn {
    /// How often one was taken, this time included.
    pub fence: u32,
    /// Everything up to here was searched.
    pub position: Position,
}

/// Something that was found, to be flagged once.
#[derive(Debug, Clone)]
pub struct NewFinding {
    /// About whom, the first foremost.
    pub subjects: Vec<SubjectId>,
    /// The institution, or the other person.
    pub about: String,
    /// The highest score it rests on.
    pub score: Option<f32>,
    /// A finding of this kind about any of them and the same thing since then is the same one.
    pub quiet_since: TimeMs,
    /// The flag.
    pub flag: Flag,
    /// A case, unless the person has one that is not closed.
    pub case: Option<NewCase>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFinding {
    /// About whom.
    pub subject: SubjectId,
    /// What.
    pub kind: FlagKind,
    /// The institution, or the other person.
    pub about: String,
    /// Its flag.
    pub flag: RecordId,
    /// The highest score it rests on.
    pub score: Option<f32>,
    /// When.
    pub found_at: TimeMs,
}

/// Searchable records, the feed of changes, and what searches found.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Up to where everything is seen now; what commits later stands behind it.
    async fn feed_head(&self) -> Result<Position, StoreError>;
    /// Changes behind a position that nothing can come before any more, in order. None when some of them were removed since:
    /// the reader starts anew.
    async fn feed_after(&self, position: Position, limit: u32) -> Result<Option<Vec<Change>>, StoreError>;
    /// Removes all but the last so many changes; says how many went.
    async fn trim_feed(&self, keep: u64) -> Result<u64, StoreError>;
    /// Searchable records made by a model and recipe that came at or after a time, by person and record, from behind one on.
    async fn searchable(
        &self,
        kind: Searchable,
        made_by: &MadeBy,
        since: TimeMs,
        after: Option<(SubjectId, RecordId)>,
        limit: u32,
    ) -> Result<Vec<SearchRecord>, StoreError>;
    /// How many there are.
    async fn searchable_count(&self, kind: Searchable, made_by: &MadeBy, since: TimeMs) -> Result<u64, StoreError>;
    /// Those of these that are still there and searchable, in no particular order.
    async fn searchable_of(&self, kind: Searchable, records: Vec<(SubjectId, RecordId)>) -> Result<Vec<SearchRecord>, StoreError>;

    /// Takes the turn at a job; nobody else takes it for `lease_ms`. None while somebody else has it.
    async fn take_search(&self, job: &'static str, now: TimeMs, lease_ms: i64) -> Result<Option<SearchTurn>, StoreError>;
    /// Ends a turn; false when somebody else took it meanwhile.
    async fn finish_search(&self, job: &'static str, fence: u32, position: Position, due_at: TimeMs) -> Result<bool, StoreError>;
    /// Writes a finding with its flag and case, unless it was found before; says whether it is new.
    async fn raise_finding(&self, finding: NewFinding) -> Result<bool, StoreError>;
    /// Findings since a time, the newest first.
    async fn search_findings(&self, since: TimeMs, limit: u32) -> Result<Vec<StoredFinding>, StoreError>;
    /// People whose visits were told apart into so many faces at least, judged since a time, by id.
    async fn many_faced(&self, faces_min: u32, since: TimeMs, limit: u32) -> Result<Vec<(SubjectId, u32)>, StoreError>;
}
