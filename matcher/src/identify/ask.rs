//! Who else is this? A search that a person asks for, with a reason, within a region or an institution.
//!
//! It is written down before it is made. Candidates are pseudonymous: ids of people and records, nothing of their numbers.
//! The score that reports somebody follows from how many are searched.

use matcher_core::AuditAction;
use models_core::Template;
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

use super::{IdentifyError, Opened, held::Held, role::Searcher};
use crate::store::{
    RecordId, StoreError, SubjectId,
    audit::AuditEvent,
    feed::{SearchRecord, Searchable},
};

/// Candidates of the index that are compared.
const CANDIDATES: usize = 256;

/// Where to search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Among references of people whose number is of a region.
    Region(String),
    /// Among visits of an institution.
    Institution(String),
}

impl Scope {
    /// What is searched.
    #[must_use]
    pub fn kind(&self) -> Searchable {
        match self {
            Self::Region(_) => Searchable::Reference,
            Self::Institution(_) => Searchable::Probe,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Region(name) | Self::Institution(name) => name,
        }
    }
}

/// A question.
#[derive(Debug, Clone)]
pub struct Question {
    /// Whose face: a person's.
    pub subject: SubjectId,
    /// Which record of theirs: a verification with a probe, or a reference.
    pub record: RecordId,
    /// Where to search.
    pub scope: Scope,
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A question that was not answered.
#[derive(Debug, Error)]
pub enum AskError {
    /// It has no reason, or nobody asks.
    #[error("{0}: expected a few words")]
    Empty(&'static str),
    /// There is no such record with a template of the model in force.
    #[error("the person has no such probe or reference of the model in force")]
    UnknownRecord,
    /// The false match rates do not reach so far.
    #[error("nothing is reported among {people} people: {why}")]
    NoThreshold {
        /// How many are searched.
        people: u64,
        /// Why.
        why: String,
    },
    /// It could not be searched.
    #[error(transparent)]
    Search(IdentifyError),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
}

/// Somebody it may be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// A pseudonym: the person's id.
    pub person: String,
    /// The record that is likest.
    pub record: String,
    /// Its score: a cosine, no percentage.
    pub score: f32,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// How many records were searched.
    pub searched: u64,
    /// The score from which somebody is reported.
    pub threshold: f32,
    /// Largest share of searches for somebody who is not there that report anybody.
    pub fpir: f64,
    /// Who it may be, the likest first, each person once.
    pub candidates: Vec<Candidate>,
}

impl Searcher {
    /// Answers a question with the index of its scope's kind.
    ///
    /// # Errors
    /// When searching has no basis, the question has no reason, its record is not there, or no threshold can be given.
    pub async fn ask(&self, held: &mut Held, question: &Question) -> Result<Answer, AskError> {
        for (field, text) in [("by", &question.by), ("reason", &question.reason)] {
            if text.trim().is_empty() {
                return Err(AskError::Empty(field));
            }
        }
        super::searched(&self.center.policies.current().policy).map_err(AskError::Search)?;
        let template = self.template(question).await?;
        self.write_down(question).await?;
        let people = held.scope_size(question.scope.name());
        let in_force = self.center.policies.current();
        let table = in_force.policy.false_matches();
        let no_table = || AskError::NoThreshold { people, why: "the policy in force carries no false match rates of its model".into() };
        let fpir = self.config.fpir();
        let threshold = table.ok_or_else(no_table)?.threshold(people, fpir);
        let threshold = threshold.map_err(|why| AskError::NoThreshold { people, why: why.to_string() })?;
        let found = held.search(&self.center, &[template], CANDIDATES).await.map_err(AskError::Search)?;
        let mut candidates: Vec<Candidate> = Vec::new();
        for found in found.into_iter().flatten() {
            let (record, score) = (found.record, found.score);
            let person = record.subject.to_string();
            let is_other = record.subject != question.subject && record.scope == question.scope.name() && score >= threshold;
            if is_other && candidates.iter().all(|known| known.person != person) {
                candidates.push(Candidate { person, record: record.record.to_string(), score });
            }
        }
        Ok(Answer { searched: people, threshold, fpir, candidates })
    }

    /// The template that is asked about: a reference's or a probe's.
    async fn template(&self, question: &Question) -> Result<Template, AskError> {
        let in_force = self.center.policies.current();
        let is_of = |record: &SearchRecord| {
            record.made_by.model == in_force.policy.model().as_str() && record.made_by.recipe == in_force.policy.recipe().as_str()
        };
        for kind in Searchable::ALL {
            let wanted = vec![(question.subject, question.record)];
            let records = self.center.store.searchable_of(kind, wanted).await.map_err(AskError::Store)?;
            if let Some(opened) =
                records.iter().filter(|record| is_of(record)).find_map(|record| Opened::open(&self.center.vault, kind, record))
            {
                return Ok(opened.template);
            }
        }
        let made_up = self.center.store.is_seed_capture(question.subject, question.record).await.map_err(AskError::Store)?;
        if made_up { self.nobody(question.scope.kind()) } else { Err(AskError::UnknownRecord) }
    }

    /// In the place of a known-answer case's face, which was lent for another purpose: a direction of nobody's. It is searched like
    /// any, so that no refusal tells such a case from others.
    fn nobody(&self, kind: Searchable) -> Result<Template, AskError> {
        let in_force = self.center.policies.current();
        let dimension = self.wanted(kind).map_err(AskError::Search)?.1.dimension;
        let numbers = std::iter::repeat_with(|| self.surroundings.random_id()).flatten().take(dimension);
        let features: Vec<f32> = numbers.map(|byte| f32::from(byte) - 127.5).collect();
        let template = Template::from_features(in_force.policy.model().clone(), in_force.policy.recipe().clone(), &features);
        template.map_err(|_| AskError::UnknownRecord)
    }

    /// Before anything is searched: nobody is searched for unnoticed.
    async fn write_down(&self, question: &Question) -> Result<(), AskError> {
        let detail = json!({
            "person": question.subject.to_string(),
            "among": question.scope.kind().word(),
            "scope": question.scope.name(),
            "reason": question.reason,
        });
        let event = AuditEvent {
            at: self.surroundings.now_ms(),
            action: AuditAction::FaceSearched,
            by: question.by.clone(),
            object: question.record.to_string(),
            detail: detail.to_string(),
        };
        self.center.store.record_audit(event).await.map_err(AskError::Store)
    }
}
