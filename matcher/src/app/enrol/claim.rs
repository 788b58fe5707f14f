//! The numbers somebody is to be found under, and whom the store finds by them.

use matcher_core::{Birth, Identifier, PhotoState};

use super::{EnrolError, IDENTIFIERS_MAX, PhotoFacts, PhotoModel, Refusal};
use crate::{
    app::person::{is_bound, open_birth},
    center::Center,
    store::{BoundIdentifier, IdentifierKey, Sealed, StoredReference, StoredSubject, SubjectId},
    surroundings::Surroundings,
    vault::{DataKey, IdentifierContext, RecordContext},
};

/// The identifiers somebody is to be found under.
pub(crate) struct Claim(Vec<(Identifier, IdentifierKey)>);

/// Whom a claim leads to.
pub(crate) enum Person {
    /// The store has none of the identifiers.
    Nobody,
    /// Somebody who was forgotten had one of them.
    Forgotten,
    /// One person.
    Known(Box<Known>),
    /// Two at least.
    Several,
}

/// A person the store has.
pub(crate) struct Known {
    stored: StoredSubject,
    /// Whether each identifier of the claim is this person's already, and bound.
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
        Ok(Self(identifiers.iter().map(|identifier| (identifier.clone(), key(identifier))).collect()))
    }

    /// Asks the store, and checks that what it points at is bound to it.
    pub(crate) async fn person(&self, center: &Center) -> Result<Person, EnrolError> {
        let mut found: Option<Known> = None;
        for (index, (identifier, key)) in self.0.iter().enumerate() {
            let stored = center.store.subject_of(key).await.map_err(EnrolError::Store)?;
            if let Some(stored) = &stored {
                let data_key = center.vault.unwrap_data_key(stored.subject, &stored.data_key).map_err(EnrolError::DataKey)?;
                if !is_bound(&data_key, stored, identifier, key) {
                    return Err(EnrolError::Binding);
                }
            }
            match (&mut found, stored) {
                (None, Some(stored)) => found = Some(Known { by_all: index == 0 && stored.number.is_some(), stored }),
                (Some(known), Some(stored)) if known.stored.subject != stored.subject => return Ok(Person::Several),
                (Some(known), stored) => known.by_all &= stored.is_some_and(|stored| stored.number.is_some()),
                (None, None) => {}
            }
        }
        let tombstones: Vec<[u8; 32]> = self.0.iter().map(|(_, key)| center.lookup.tombstone(&key.hash)).collect();
        if center.store.is_forgotten(&tombstones).await.map_err(EnrolError::Store)? {
            return Ok(Person::Forgotten);
        }
        Ok(found.map_or(Person::Nobody, |known| Person::Known(Box::new(known))))
    }

    /// Seals the numbers for a person.
    pub(crate) fn seal(&self, center: &Center, subject: SubjectId, key: &DataKey) -> Vec<BoundIdentifier> {
        let lookup_key_id = center.lookup.id();
        let seal = |(identifier, row): &(Identifier, IdentifierKey)| BoundIdentifier {
            key: row.clone(),
            lookup_key_id: lookup_key_id.clone(),
            number: Some(key.seal_number(&IdentifierContext { subject, key: row }, identifier)),
        };
        self.0.iter().map(seal).collect()
    }

    /// The day of birth that one of the numbers holds.
    pub(crate) fn birth(&self) -> Option<Birth> {
        self.0.iter().find_map(|(identifier, _)| identifier.birth())
    }

    /// How the first number is looked up.
    #[cfg(test)]
    pub(crate) fn first_key(&self) -> &IdentifierKey {
        &self.0[0].1
    }
}

impl Person {
    /// Why nobody may be enrolled under the claim, if so.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Several => Some(Refusal::IdentifiersDisagree),
            Self::Forgotten => Some(Refusal::Forgotten),
            Self::Known(known) if known.stored.withdrawn_at.is_some() => Some(Refusal::ConsentWithdrawn),
            Self::Known(_) | Self::Nobody => None,
        }
    }

    /// Whether enrolling this photo would change nothing: the person has these identifiers, and a readable
    /// reference of the same photo and model.
    pub(crate) fn is_unchanged(
        &self,
        center: &Center,
        model: &dyn PhotoModel,
        photo: &[u8],
        about: &PhotoFacts,
        birth: Option<Birth>,
    ) -> Result<bool, EnrolError> {
        let Self::Known(known) = self else { return Ok(false) };
        let same = |reference: &&StoredReference| {
            let made_alike = reference.model == model.model().as_str() && reference.recipe == model.recipe().as_str();
            let life = &reference.life;
            let known_alike = reference.source == about.source
                && reference.photo_taken_on == about.taken_on.map(|day| day.to_string())
                && (life.valid_from, life.valid_until) == (about.valid_from, about.valid_until);
            life.state == PhotoState::Active && made_alike && known_alike
        };
        let Some(reference) = known.stored.references.iter().find(same).filter(|_| known.by_all) else { return Ok(false) };
        let key = known.data_key(center)?;
        let stored_birth = known.stored.birth.as_ref().and_then(|sealed| open_birth(&key, known.stored.subject, sealed));
        if birth.is_some() && birth != stored_birth {
            return Ok(false);
        }
        let place = RecordContext::reference_template(known.stored.subject, reference.record, &reference.model);
        Ok(reference.photo_mac == key.photo_mac(photo) && key.open(&place, &reference.template).is_ok())
    }

    /// The person's id and data key; those of a new person where there is none.
    pub(crate) fn or_new(&self, center: &Center, surroundings: &dyn Surroundings) -> Result<(SubjectId, DataKey, Sealed), EnrolError> {
        if let Self::Known(known) = self {
            return Ok((known.stored.subject, known.data_key(center)?, known.stored.data_key.clone()));
        }
        let subject = surroundings.new_subject();
        let (key, wrapped) = center.vault.new_data_key(subject);
        Ok((subject, key, wrapped))
    }
}

impl Known {
    fn data_key(&self, center: &Center) -> Result<DataKey, EnrolError> {
        center.vault.unwrap_data_key(self.stored.subject, &self.stored.data_key).map_err(EnrolError::DataKey)
    }
}
