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
pub(crate) struct Claim(Vec<Claimed>);

/// An identifier, and its rows under each look-up key with the key's name, newest first.
type Claimed = (Identifier, Vec<(IdentifierKey, String)>);

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
        Ok(Self(identifiers.iter().map(|identifier| (identifier.clone(), center.lookup.rows(identifier))).collect()))
    }

    /// Asks the store, and checks that what it points at is bound to it.
    pub(crate) async fn person(&self, center: &Center) -> Result<Person, EnrolError> {
        let mut found: Option<Known> = None;
        let mut by_all = true;
        for (identifier, rows) in &self.0 {
            for (row, _) in rows {
                let Some(stored) = center.store.subject_of(row).await.map_err(EnrolError::Store)? else {
                    by_all = false;
                    continue;
                };
                let data_key = center.vault.unwrap_data_key(stored.subject, &stored.data_key).map_err(EnrolError::DataKey)?;
                if !is_bound(&data_key, &stored, identifier, row) {
                    return Err(EnrolError::Binding);
                }
                by_all &= stored.number.is_some();
                match &found {
                    Some(known) if known.stored.subject != stored.subject => return Ok(Person::Several),
                    Some(_) => {}
                    None => found = Some(Known { by_all, stored }),
                }
            }
        }
        let found = found.map(|known| Known { by_all, ..known });
        let tombstones: Vec<[u8; 32]> = self.0.iter().flat_map(|(identifier, _)| center.lookup.tombstones(identifier)).collect();
        if center.store.is_forgotten(&tombstones).await.map_err(EnrolError::Store)? {
            return Ok(Person::Forgotten);
        }
        Ok(found.map_or(Person::Nobody, |known| Person::Known(Box::new(known))))
    }

    /// Seals the numbers for a person.
    pub(crate) fn seal(&self, subject: SubjectId, key: &DataKey) -> Vec<BoundIdentifier> {
        let seal = |identifier: &Identifier, (row, id): &(IdentifierKey, String)| BoundIdentifier {
            key: row.clone(),
            lookup_key_id: id.clone(),
            number: Some(key.seal_number(&IdentifierContext { subject, key: row }, identifier)),
        };
        self.0.iter().flat_map(|(identifier, rows)| rows.iter().map(move |row| seal(identifier, row))).collect()
    }

    /// The day of birth that one of the numbers holds.
    pub(crate) fn birth(&self) -> Option<Birth> {
        self.0.iter().find_map(|(identifier, _)| identifier.birth())
    }

    /// How the first number is looked up.
    #[cfg(test)]
    pub(crate) fn first_key(&self) -> &IdentifierKey {
        &self.0[0].1[0].0
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
