//! Cases as the review console works on them: the queue, what somebody saw, what was said, and who looked.
//!
//! Not here: how cases open and what happens to them (`cases`).

use async_trait::async_trait;
use matcher_core::{
    FlagKind, Scene,
    console::{Judgement, ReviewerFigures, Statement},
    evidence::{CaseKind, CaseState, CaseStep},
};

use super::{RecordId, Sealed, SealedProbe, StoreError, SubjectId, TimeMs, Verification, cases::StoredCase, proxies::StoredProxy};

/// Which cases of the queue.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueueFilter {
    /// Where they stand.
    pub state: QueueState,
    /// What they are about.
    pub kind: Option<CaseKind>,
    /// Captured in this institution.
    pub institution: Option<String>,
    /// Captured in this scene.
    pub scene: Option<Scene>,
    /// Whose they are.
    pub assignee: Option<String>,
    /// Opened at or after this time.
    pub opened_from: Option<TimeMs>,
    /// Opened before this time.
    pub opened_before: Option<TimeMs>,
    /// Without what this user has met before in another case.
    pub reader: Option<String>,
}

/// Where cases of the queue stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueState {
    /// Anywhere but closed.
    #[default]
    Working,
    /// In one state.
    In(CaseState),
    /// They wait for a second look.
    SecondDue,
}

/// A line of the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueRow {
    /// Whose card.
    pub subject: SubjectId,
    /// Which case.
    pub id: RecordId,
    /// What it is about.
    pub kind: CaseKind,
    /// When it was opened.
    pub opened_at: TimeMs,
    /// Where it stands in the queue.
    pub rank: f64,
    /// Where it stands.
    pub state: CaseState,
    /// Whose it is.
    pub assignee: Option<String>,
    /// Whether it waits for a second look.
    pub second_due: bool,
    /// Captures it is about.
    pub captures: u64,
    /// One of its institutions, and how many there are.
    pub institutions: (String, u64),
    /// The card's number, masked.
    pub identifier_masked: String,
}

/// How many cases stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Nobody works on them.
    pub open: u64,
    /// Somebody does.
    pub claimed: u64,
    /// They wait for a second look.
    pub second_due: u64,
    /// They can be closed.
    pub decided: u64,
    /// Closed.
    pub closed: u64,
    /// Mine.
    pub mine: u64,
    /// Opened since the desk's day began.
    pub opened_today: u64,
}

/// What somebody saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Who.
    pub by: String,
    /// When.
    pub at: TimeMs,
    /// The capture that was compared by eye; none where there was none to see.
    pub verification: Option<RecordId>,
    /// What was seen.
    pub judgement: Judgement,
    /// The draw for a second look, 0 up to 1.
    pub draw: f64,
}

/// What was said in a case, with its words sealed under a key of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredStatement {
    /// All but its words; with them where they were stored in clear by an older release and are not sealed yet.
    pub said: Statement,
    /// Its words.
    pub words: Option<SealedWords>,
}

/// Words, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedWords {
    /// Their data key, wrapped for the person the case is about.
    pub data_key: Sealed,
    /// The words.
    pub sealed: Sealed,
}

/// Words that stand in clear: whose case, which, the statement's number, and they.
pub type ClearWords = (SubjectId, RecordId, u32, String);

/// A photo of a person, without its picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoFacts {
    /// Its id.
    pub photo: RecordId,
    /// The word of where it comes from.
    pub source: String,
    /// The word of its state.
    pub state: String,
    /// When it was enrolled.
    pub enrolled_at: TimeMs,
    /// The day it was taken, where known.
    pub taken_on: Option<String>,
}

/// A flag about a case's captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseFlag {
    /// What it says.
    pub kind: FlagKind,
    /// When it was raised.
    pub raised_at: TimeMs,
    /// The transaction.
    pub transaction: String,
}

/// A document that an operator said to have checked, at a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentCheck {
    /// The transaction.
    pub transaction: String,
    /// When it was settled.
    pub at: TimeMs,
    /// Who checked.
    pub by: String,
    /// Whether the settlement was reversed.
    pub reversed: bool,
}

/// Another person's card that a search found near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherCard {
    /// A pseudonym: the person's id, or the institution where it was seen.
    pub about: String,
    /// The word of what the search found.
    pub kind: String,
    /// When.
    pub found_at: TimeMs,
}

/// What belongs to a case beside its captures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CaseSurroundings {
    /// The person's photos.
    pub photos: Vec<PhotoFacts>,
    /// Flags about the captures.
    pub flags: Vec<CaseFlag>,
    /// Documents that were checked.
    pub documents: Vec<DocumentCheck>,
    /// Other cards.
    pub others: Vec<OtherCard>,
    /// Earlier and later cases of the person, with where they stand.
    pub cases: Vec<(RecordId, TimeMs, CaseState)>,
    /// Captures whose picture is still there.
    pub with_sample: Vec<RecordId>,
}

/// The pictures of a case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CasePictures {
    /// The person's photos.
    pub photos: Vec<PhotoFacts>,
    /// Captures whose picture is still there.
    pub with_sample: Vec<RecordId>,
}

/// A case as it lies on the desk: with what was seen and said in it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseSheet {
    /// The case.
    pub stored: StoredCase,
    /// What was seen in it, by time.
    pub judgements: Vec<Judged>,
    /// What was said in it, by number.
    pub statements: Vec<StoredStatement>,
    /// Whether it waits for a second look.
    pub second_due: bool,
}

/// What a case is made of, for whoever has judged its faces.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseContents {
    /// What belongs to it beside its captures.
    pub around: CaseSurroundings,
    /// The captures' records, one answer for each that was asked for.
    pub records: Vec<Option<Verification>>,
    /// Who came in the holder's place.
    pub proxies: Vec<StoredProxy>,
}

/// The pictures that are compared by eye, sealed; either may be missing. Of the photo what was measured is there and the file is not.
pub type SealedPair = (Option<SealedPicture>, Option<SealedPicture>);

/// A page of the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuePage {
    /// Its lines.
    pub rows: Vec<QueueRow>,
    /// How many cases stand where.
    pub counts: QueueCounts,
    /// Institutions that cases are about, by name.
    pub institutions: Vec<String>,
}

/// A case that a store is asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreCase {
    /// Whose card.
    pub subject: SubjectId,
    /// Which case.
    pub id: RecordId,
    /// When the store was asked last.
    pub asked_at: TimeMs,
    /// By when it is to reply.
    pub due_at: Option<TimeMs>,
    /// Whether it replied since.
    pub replied: bool,
}

/// Somebody looked at a face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: TimeMs,
    /// Who; empty where the entry's content is gone.
    pub by: String,
    /// The record whose picture it was.
    pub object: String,
    /// More about it, JSON.
    pub detail: String,
    /// The chain its entry is in.
    pub epoch: [u8; 16],
    /// The link of the chain that holds it.
    pub link: u64,
}

/// Which looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookFilter {
    /// By this user.
    pub by: Option<String>,
    /// Of this record, or within this case, as their ids stand in the log.
    pub about: Option<String>,
    /// Before this time.
    pub before: Option<TimeMs>,
}

/// Where the picture of a case is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPicture {
    /// The person's data key, wrapped.
    pub data_key: Sealed,
    /// The picture, sealed: a probe's samples, or an enrolment photo.
    pub picture: SealedProbe,
}

/// Work on cases.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Cases of the queue, the most pressing first, from behind one on.
    async fn queue(&self, filter: QueueFilter, after: Option<(f64, RecordId)>, limit: u32) -> Result<Vec<QueueRow>, StoreError>;
    /// A page of the queue with what stands around it: counts for a user and the day that began at a time, and at most so many
    /// institutions.
    async fn queue_page(
        &self,
        lines: (QueueFilter, Option<(f64, RecordId)>, u32),
        counted_for: (&str, TimeMs),
        institutions: u32,
    ) -> Result<QueuePage, StoreError>;
    /// Cases about captures of a transaction.
    async fn cases_of_transaction(&self, transaction: &str, limit: u32) -> Result<Vec<QueueRow>, StoreError>;
    /// Cases of a person.
    async fn cases_of_subject(&self, subject: SubjectId, limit: u32) -> Result<Vec<QueueRow>, StoreError>;
    /// Cases whose id begins so.
    async fn cases_of_prefix(&self, prefix: [u8; 5]) -> Result<Vec<QueueRow>, StoreError>;

    /// A case with what was seen and said in it.
    async fn case_sheet(&self, id: RecordId) -> Result<Option<CaseSheet>, StoreError>;
    /// Writes what somebody saw, once; false when they have judged it before.
    async fn put_judgement(&self, subject: SubjectId, case: RecordId, judged: Judged) -> Result<bool, StoreError>;
    /// What was said in a case, by number.
    async fn statements(&self, subject: SubjectId, case: RecordId) -> Result<Vec<StoredStatement>, StoreError>;
    /// Adds a statement with its sealed words to a case that has had `before`; false when it has had others meanwhile.
    async fn add_statement(&self, subject: SubjectId, case: RecordId, before: usize, new: StoredStatement) -> Result<bool, StoreError>;
    /// Words that an older release stored in clear, at most so many.
    async fn clear_words(&self, limit: u32) -> Result<Vec<ClearWords>, StoreError>;
    /// Seals them: whose case, which, the statement's number, and the sealed words.
    async fn seal_words(&self, words: Vec<(SubjectId, RecordId, u32, SealedWords)>) -> Result<(), StoreError>;
    /// Adds a first verdict, and whether it waits for a second look; false when the case has had other steps meanwhile.
    async fn decide_case(&self, id: RecordId, before: usize, step: CaseStep, second_due: bool) -> Result<bool, StoreError>;
    /// Whether a case waits for a second look.
    async fn second_due(&self, subject: SubjectId, case: RecordId) -> Result<bool, StoreError>;

    /// What belongs to a case of a person about these captures.
    async fn case_surroundings(&self, subject: SubjectId, case: RecordId) -> Result<CaseSurroundings, StoreError>;
    /// The same, with the records of these captures and the register of proxies.
    async fn case_contents(&self, subject: SubjectId, case: RecordId, captures: Vec<RecordId>) -> Result<CaseContents, StoreError>;
    /// The pictures of a case alone.
    async fn case_pictures(&self, subject: SubjectId, case: RecordId) -> Result<CasePictures, StoreError>;
    /// A photo's measures and a capture's samples of a person, sealed.
    async fn sealed_pair(&self, subject: SubjectId, photo: Option<RecordId>, capture: Option<RecordId>) -> Result<SealedPair, StoreError>;
    /// The sealed samples of a capture; none once they are gone.
    async fn sealed_sample(&self, subject: SubjectId, verification: RecordId) -> Result<Option<SealedPicture>, StoreError>;
    /// The sealed photo of a person (in `picture.sample`), with what was measured of it (in `picture.template`).
    async fn sealed_photo(&self, subject: SubjectId, photo: RecordId) -> Result<Option<SealedPicture>, StoreError>;

    /// Cases an institution is asked about, the latest first.
    async fn cases_asked(&self, institution: &str, limit: u32) -> Result<Vec<StoreCase>, StoreError>;
    /// What reviewers did since a time, by name.
    async fn reviewer_figures(&self, since: TimeMs) -> Result<Vec<ReviewerFigures>, StoreError>;
    /// Looks at faces, newest first.
    async fn looks(&self, filter: LookFilter, limit: u32) -> Result<Vec<Look>, StoreError>;
}
