//! Enrolment: a person's numbers and photo become the reference they are compared with.
//!
//! Numbers that the store has lead to the person they belong to; the others are theirs from now on. The same
//! photo again changes nothing and runs no network. A photo that cannot be enrolled, and numbers of two
//! persons, are outcomes. One at a time ([`enrol_one`]) or many (`crate::import`), by the same steps. Not here:
//! how pixels become a template (`models`), who may enrol (`admission`).

use std::fmt;

use jiff::civil::Date;
use matcher_core::Identifier;
use models::pipeline::{EnrolmentSample, PhotoRefusal, Pipeline, RunError};
use models_core::{ModelId, RecipeId, Template};
use thiserror::Error;

use crate::{
    center::Center,
    store::{Enrolled, IdentifierKey, NewEnrolment, StoreError, StoredReference, StoredSubject},
    surroundings::Surroundings,
    vault::{DataKey, RecordContext, VaultError},
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
    /// The day it was taken, when known.
    pub photo_taken_on: Option<Date>,
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
    /// An older reference was replaced.
    Replaced,
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
}

impl Refusal {
    /// The word for it on the wire and in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Photo(refusal) => refusal.word(),
            Self::IdentifiersDisagree => "identifiers_disagree",
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
    /// A network failed.
    #[error("the networks could not be run")]
    Network(#[source] RunError),
    /// The networks' thread ended without an answer.
    #[error("the networks gave no answer")]
    Interrupted,
}

/// What makes templates from enrolment photos.
pub trait PhotoModel: Send + Sync {
    /// The feature model.
    fn model(&self) -> &ModelId;
    /// How pixels become features.
    fn recipe(&self) -> &RecipeId;
    /// Makes a template of the one face that counts.
    ///
    /// # Errors
    /// When a network fails. A photo that cannot be enrolled is the inner `Err`.
    fn extract(&self, photo: &[u8]) -> Result<Result<Template, PhotoRefusal>, RunError>;
}

impl PhotoModel for Pipeline {
    fn model(&self) -> &ModelId {
        self.feature_model()
    }

    fn recipe(&self) -> &RecipeId {
        Pipeline::recipe(self)
    }

    fn extract(&self, photo: &[u8]) -> Result<Result<Template, PhotoRefusal>, RunError> {
        let sample = self.enrol(photo, &models::quality::reference_rule(), &models::quality::reference_gate())?;
        Ok(sample.map(|EnrolmentSample { template, .. }| template))
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
    match &person {
        Person::Several => return Ok(EnrolOutcome::Refused(Refusal::IdentifiersDisagree)),
        Person::Known(known) if known.is_unchanged(center, model, &command.photo, command.photo_taken_on)? => {
            return Ok(EnrolOutcome::Unchanged);
        }
        Person::Known(_) | Person::Nobody => {}
    }
    let (model, photo) = (model.clone(), command.photo);
    let work = move || (model.extract(&photo), photo);
    let (extracted, photo) = tokio::task::spawn_blocking(work).await.map_err(|_| EnrolError::Interrupted)?;
    let template = match extracted.map_err(EnrolError::Network)? {
        Ok(template) => template,
        Err(refusal) => return Ok(EnrolOutcome::Refused(Refusal::Photo(refusal))),
    };
    let draft = Draft { claim, template, photo, photo_taken_on: command.photo_taken_on };
    draft.write(center, surroundings, person).await
}

/// The identifiers somebody is to be found under.
pub(crate) struct Claim(Vec<IdentifierKey>);

/// Whom a claim leads to.
pub(crate) enum Person {
    /// The store has none of the identifiers.
    Nobody,
    /// One person.
    Known(Box<Known>),
    /// Two at least.
    Several,
}

/// A person the store has.
pub(crate) struct Known {
    stored: StoredSubject,
    /// Whether each identifier of the claim is this person's already.
    by_all: bool,
}

impl Claim {
    /// Hashes identifiers for look-up.
    pub(crate) fn new(center: &Center, identifiers: &[Identifier]) -> Result<Self, EnrolError> {
        if !(1..=IDENTIFIERS_MAX).contains(&identifiers.len()) {
            return Err(EnrolError::Identifiers(identifiers.len()));
        }
        let key = |identifier: &Identifier| IdentifierKey {
            kind: identifier.kind(),
            region: identifier.region().as_str().to_owned(),
            hash: identifier.keyed_hash(&center.lookup),
        };
        Ok(Self(identifiers.iter().map(key).collect()))
    }

    /// Asks the store.
    pub(crate) async fn person(&self, center: &Center) -> Result<Person, EnrolError> {
        let mut found: Option<Known> = None;
        for (index, key) in self.0.iter().enumerate() {
            let stored = center.store.subject_of(key).await.map_err(EnrolError::Store)?;
            match (&mut found, stored) {
                (None, Some(stored)) => found = Some(Known { stored, by_all: index == 0 }),
                (Some(known), Some(stored)) if known.stored.subject != stored.subject => return Ok(Person::Several),
                (Some(known), None) => known.by_all = false,
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        Ok(found.map_or(Person::Nobody, |known| Person::Known(Box::new(known))))
    }
}

impl Known {
    /// Whether enrolling this photo would change nothing: the person has these identifiers, and a readable
    /// reference of the same photo and model.
    pub(crate) fn is_unchanged(
        &self,
        center: &Center,
        model: &dyn PhotoModel,
        photo: &[u8],
        taken_on: Option<Date>,
    ) -> Result<bool, EnrolError> {
        let Some(reference) = &self.stored.reference else { return Ok(false) };
        let same_making = reference.model == model.model().as_str() && reference.recipe == model.recipe().as_str();
        if !self.by_all || !same_making || reference.photo_taken_on != taken_on.map(|day| day.to_string()) {
            return Ok(false);
        }
        let key = self.data_key(center)?;
        let place = RecordContext::reference_template(self.stored.subject, reference.record, &reference.model);
        Ok(reference.photo_mac == key.photo_mac(photo) && key.open(&place, &reference.template).is_ok())
    }

    fn data_key(&self, center: &Center) -> Result<DataKey, EnrolError> {
        center.vault.unwrap_data_key(self.stored.subject, &self.stored.data_key).map_err(EnrolError::DataKey)
    }
}

/// A reference that is made and not yet sealed for anybody.
pub(crate) struct Draft {
    /// Whose it is to be.
    pub(crate) claim: Claim,
    /// What was extracted.
    pub(crate) template: Template,
    /// What it was extracted from.
    pub(crate) photo: Vec<u8>,
    /// When that was taken.
    pub(crate) photo_taken_on: Option<Date>,
}

impl Draft {
    /// Seals the reference for a person, who is made where there is none.
    ///
    /// Nothing where the claim leads to several.
    pub(crate) fn seal(
        &self,
        center: &Center,
        surroundings: &dyn Surroundings,
        person: Person,
    ) -> Result<Option<NewEnrolment>, EnrolError> {
        let (subject, key, data_key) = match person {
            Person::Several => return Ok(None),
            Person::Known(known) => (known.stored.subject, known.data_key(center)?, known.stored.data_key),
            Person::Nobody => {
                let subject = surroundings.new_subject();
                let (key, wrapped) = center.vault.new_data_key(subject);
                (subject, key, wrapped)
            }
        };
        let record = surroundings.new_record();
        let model = self.template.model().as_str();
        let reference = StoredReference {
            subject,
            record,
            model: model.to_owned(),
            recipe: self.template.recipe().as_str().to_owned(),
            template: key.seal(&RecordContext::reference_template(subject, record, model), &self.template.to_f16_le_bytes()),
            photo_mac: key.photo_mac(&self.photo),
            enrolled_at: surroundings.now_ms(),
            photo_taken_on: self.photo_taken_on.map(|day| day.to_string()),
        };
        let photo = key.seal(&RecordContext::enrolment_photo(subject, record), &self.photo);
        Ok(Some(NewEnrolment { identifiers: self.claim.0.clone(), data_key, reference, photo }))
    }

    /// Seals and writes; once more, from the look-up on, when somebody else was quicker.
    pub(crate) async fn write(
        &self,
        center: &Center,
        surroundings: &dyn Surroundings,
        mut person: Person,
    ) -> Result<EnrolOutcome, EnrolError> {
        for _ in 0..2 {
            let Some(new) = self.seal(center, surroundings, person)? else {
                return Ok(EnrolOutcome::Refused(Refusal::IdentifiersDisagree));
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
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
