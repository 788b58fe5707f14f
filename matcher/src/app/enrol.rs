//! Enrolment: a person's numbers and photo become the reference they are compared with.
//!
//! Numbers that the store has lead to the person they belong to; the others are theirs from now on. The same
//! photo again changes nothing and runs no network. A photo that cannot be enrolled, and numbers of two
//! persons, are outcomes. One at a time ([`enrol_one`]) or many (`crate::import`), by the same steps. Not here:
//! how pixels become a template (`models`), who may enrol (`admission`).

use std::fmt;

use jiff::civil::Date;
use matcher_core::{Birth, Identifier, Life, ReferenceSource};
use models::pipeline::{EnrolmentSample, PhotoRefusal, Pipeline, RunError};
use models_core::{ModelId, Quality, RecipeId, Template};
use thiserror::Error;

use super::sample::quality_to_bytes;
use crate::{
    center::Center,
    store::{Enrolled, NewEnrolment, StoreError, StoredReference, TimeMs},
    surroundings::Surroundings,
    vault::{Numbers, RecordContext, VaultError},
};

/// Most identifiers of one submission.
pub const IDENTIFIERS_MAX: usize = 8;

/// One person to enrol.
#[derive(Clone)]
pub struct EnrolCommand {
    /// Numbers that resolve to this person, 1 to [`IDENTIFIERS_MAX`].
    pub identifiers: Vec<Identifier>,
    /// The photo: JPEG, PNG or PNM.
    pub photo: Vec<u8>,
    /// What is known about it.
    pub about: PhotoFacts,
    /// When the person was born, when known; nothing leaves what is stored.
    pub birth: Option<Birth>,
}

/// What is known about a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhotoFacts {
    /// Where it comes from.
    pub source: ReferenceSource,
    /// The day it was taken.
    pub taken_on: Option<Date>,
    /// From when it holds.
    pub valid_from: Option<TimeMs>,
    /// Until when, that moment excluded.
    pub valid_until: Option<TimeMs>,
}

impl Default for PhotoFacts {
    fn default() -> Self {
        Self { source: ReferenceSource::CardPhoto, taken_on: None, valid_from: None, valid_until: None }
    }
}

impl fmt::Debug for EnrolCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrolCommand({:?}, [{} bytes])", self.identifiers, self.photo.len())
    }
}

/// What became of an enrolment.
#[derive(Debug)]
pub enum EnrolOutcome {
    /// There is a reference where there was none.
    Enrolled,
    /// An older photo of the same source was superseded.
    Replaced,
    /// There is one more reference, beside those of other sources.
    Added,
    /// The reference was made from this very photo, by this model; nothing was written.
    Unchanged,
    /// No reference was made.
    Refused(Refusal),
}

/// Why no reference was made. An outcome, not a fault.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The photo cannot be enrolled.
    #[error(transparent)]
    Photo(PhotoRefusal),
    /// The identifiers belong to different persons.
    #[error("the identifiers belong to different persons")]
    IdentifiersDisagree,
    /// The person withdrew consent, which is given again before anything else.
    #[error("the person withdrew consent; `matcher subject consent` notes that it was given again")]
    ConsentWithdrawn,
    /// The person was forgotten, and asks to be enrolled again before anything else.
    #[error("the person was forgotten; `matcher subject readmit` lets the number be enrolled again")]
    Forgotten,
}

impl Refusal {
    /// The word for it on the wire and in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Photo(refusal) => refusal.word(),
            Self::IdentifiersDisagree => "identifiers_disagree",
            Self::ConsentWithdrawn => "consent_withdrawn",
            Self::Forgotten => "forgotten",
        }
    }
}

/// An enrolment that could not be made, whatever the photo is.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// No identifier, or too many.
    #[error("identifiers: expected 1 to {IDENTIFIERS_MAX}, got {0}")]
    Identifiers(usize),
    /// The store failed; the caller may try again.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// Others enrolled the same identifiers at the same time, twice in a row.
    #[error("the identifiers were enrolled by somebody else meanwhile")]
    Conflict,
    /// The stored data key is not this person's: somebody altered the store.
    #[error("the person's stored data key cannot be used")]
    DataKey(#[source] VaultError),
    /// A number's row points at a person it is not bound to: somebody altered the store.
    #[error("an identifier is not bound to the person it leads to")]
    Binding,
    /// A network failed.
    #[error("the networks could not be run")]
    Network(#[source] RunError),
    /// The networks' thread ended without an answer.
    #[error("the networks gave no answer")]
    Interrupted,
}

/// What is made of a photo that can be enrolled.
#[derive(Debug, Clone)]
pub struct Extracted {
    /// Features of the one face that counts.
    pub template: Template,
    /// Its quality.
    pub quality: Quality,
}

/// What makes templates from enrolment photos.
pub trait PhotoModel: Send + Sync {
    /// The feature model.
    fn model(&self) -> &ModelId;
    /// How pixels become features.
    fn recipe(&self) -> &RecipeId;
    /// Makes a template of the one face that counts, and measures its quality.
    ///
    /// # Errors
    /// When a network fails. A photo that cannot be enrolled is the inner `Err`.
    fn extract(&self, photo: &[u8]) -> Result<Result<Extracted, PhotoRefusal>, RunError>;
}

impl PhotoModel for Pipeline {
    fn model(&self) -> &ModelId {
        self.feature_model()
    }

    fn recipe(&self) -> &RecipeId {
        Pipeline::recipe(self)
    }

    fn extract(&self, photo: &[u8]) -> Result<Result<Extracted, PhotoRefusal>, RunError> {
        let sample = self.enrol(photo, &models::quality::reference_rule(), &models::quality::reference_gate())?;
        Ok(sample.map(|EnrolmentSample { template, quality, .. }| Extracted { template, quality }))
    }
}

/// Enrols one person; durable when it returns.
///
/// # Errors
/// When the store or the networks fail, or the person's stored data key does not open. A refused photo is an
/// outcome.
pub async fn enrol_one<M: PhotoModel + Clone + 'static>(
    center: &Center,
    model: &M,
    command: EnrolCommand,
    surroundings: &dyn Surroundings,
) -> Result<EnrolOutcome, EnrolError> {
    let claim = Claim::new(center, &command.identifiers)?;
    let person = claim.person(center).await?;
    if let Some(refusal) = person.refusal() {
        return Ok(EnrolOutcome::Refused(refusal));
    }
    if person.is_unchanged(center, model, &command.photo, &command.about, command.birth)? {
        return Ok(EnrolOutcome::Unchanged);
    }
    let (model, photo) = (model.clone(), command.photo);
    let work = move || (model.extract(&photo), photo);
    let (extracted, photo) = tokio::task::spawn_blocking(work).await.map_err(|_| EnrolError::Interrupted)?;
    let extracted = match extracted.map_err(EnrolError::Network)? {
        Ok(extracted) => extracted,
        Err(refusal) => return Ok(EnrolOutcome::Refused(Refusal::Photo(refusal))),
    };
    let draft = Draft { claim, extracted, photo, about: command.about, birth: command.birth };
    draft.write(center, surroundings, person).await
}

mod claim;

pub(crate) use claim::{Claim, Person};

/// A reference that is made and not yet sealed for anybody.
pub(crate) struct Draft {
    /// Whose it is to be.
    pub(crate) claim: Claim,
    /// What was made of the photo.
    pub(crate) extracted: Extracted,
    /// What it was extracted from.
    pub(crate) photo: Vec<u8>,
    /// What is known about that.
    pub(crate) about: PhotoFacts,
    /// When the person was born.
    pub(crate) birth: Option<Birth>,
}

impl Draft {
    /// Seals the reference for a person, who is made where there is none. A refusal where none may be.
    pub(crate) fn seal(
        &self,
        center: &Center,
        surroundings: &dyn Surroundings,
        person: &Person,
    ) -> Result<Result<NewEnrolment, Refusal>, EnrolError> {
        if let Some(refusal) = person.refusal() {
            return Ok(Err(refusal));
        }
        let (subject, key, data_key) = person.or_new(center, surroundings)?;
        let strict = matches!(key.numbers(), Numbers::MayBeUnsealed).then(|| center.vault.wrap(subject, &key.with_sealed_numbers()));
        let (record, now) = (surroundings.new_record(), surroundings.now_ms());
        let Extracted { template, quality } = &self.extracted;
        let model = template.model().as_str();
        let PhotoFacts { source, taken_on, valid_from, valid_until } = self.about;
        let reference = StoredReference {
            subject,
            record,
            photo: record,
            model: model.to_owned(),
            recipe: template.recipe().as_str().to_owned(),
            template: key.seal(&RecordContext::reference_template(subject, record, model), &template.to_f16_le_bytes()),
            source,
            life: Life { valid_from, valid_until, ..Life::begun(now) },
            photo_mac: key.photo_mac(&self.photo),
            photo_taken_on: taken_on.map(|day| day.to_string()),
        };
        let birth = self.birth.or_else(|| self.claim.birth());
        Ok(Ok(NewEnrolment {
            identifiers: self.claim.seal(subject, &key),
            data_key,
            strict_data_key: strict,
            birth: birth.map(|birth| key.seal(&RecordContext::birth(subject), birth.text().as_bytes())),
            reference,
            photo: key.seal(&RecordContext::enrolment_photo(subject, record), &self.photo),
            quality: key.seal(&RecordContext::enrolment_quality(subject, record), &quality_to_bytes(quality)),
        }))
    }

    /// Seals and writes; once more, from the look-up on, when somebody else was quicker.
    pub(crate) async fn write(
        &self,
        center: &Center,
        surroundings: &dyn Surroundings,
        mut person: Person,
    ) -> Result<EnrolOutcome, EnrolError> {
        for _ in 0..2 {
            let new = match self.seal(center, surroundings, &person)? {
                Ok(new) => new,
                Err(refusal) => return Ok(EnrolOutcome::Refused(refusal)),
            };
            let mut written = center.store.put_enrolments(vec![new]).await.map_err(EnrolError::Store)?;
            match written.pop() {
                Some(Ok(enrolled)) => return Ok(enrolled.into()),
                Some(Err(StoreError::Conflict(_))) | None => person = self.claim.person(center).await?,
                Some(Err(error)) => return Err(EnrolError::Store(error)),
            }
        }
        Err(EnrolError::Conflict)
    }
}

impl From<Enrolled> for EnrolOutcome {
    fn from(enrolled: Enrolled) -> Self {
        match enrolled {
            Enrolled::New => Self::Enrolled,
            Enrolled::Replaced => Self::Replaced,
            Enrolled::Added => Self::Added,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
