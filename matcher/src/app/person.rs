//! A person as a verification meets one: opened as far as the vault opens what the store has, and no further.
//!
//! Three things must fit: the data key is the person's, the row of the card is bound to the person, and the references
//! are the person's. What does not fit fails closed. Not here: what is decided then (`matcher_core::decision`).

use std::fmt;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use matcher_core::{Birth, Identifier, ReferenceState, reference};
use models_core::{ModelId, RecipeId, Template};

use crate::{
    store::{IdentifierKey, RecordId, StoredReference, StoredSubject, SubjectId, TimeMs},
    vault::{DataKey, IdentifierContext, Numbers, RecordContext, Vault},
};

/// A known person.
pub struct Person {
    /// Who; nothing where the card's row is not bound to whom it points at.
    subject: Option<SubjectId>,
    /// Nothing where the wrapped key is not this person's, or the card's row is not.
    key: Option<DataKey>,
    /// Day or year of birth, where it is known and opens.
    birth: Option<Birth>,
    withdrawn: bool,
    reference: Chosen,
}

/// What a capture is compared with.
enum Chosen {
    None,
    Unreadable,
    Present(Box<Reference>),
}

struct Reference {
    record: RecordId,
    template: Template,
    taken_on: Option<Date>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person([redacted])")
    }
}

/// A capture, as far as it decides what it is compared with.
#[derive(Clone, Copy)]
pub struct Met<'a> {
    /// The number that was read.
    pub identifier: &'a Identifier,
    /// How it was looked up.
    pub key: &'a IdentifierKey,
    /// When, by the center's clock.
    pub captured_at: TimeMs,
    /// The probe, where there is one.
    pub probe: Option<&'a Template>,
}

impl fmt::Debug for Met<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Met({:?} at {})", self.identifier, self.captured_at)
    }
}

impl Person {
    /// Opens a person for one capture.
    #[must_use]
    pub fn open(vault: &Vault, stored: &StoredSubject, met: Met<'_>) -> Self {
        let key = vault.unwrap_data_key(stored.subject, &stored.data_key).ok();
        let Some(key) = key.filter(|key| is_bound(key, stored, met.identifier, met.key)) else {
            return Self { subject: None, key: None, birth: None, withdrawn: false, reference: Chosen::Unreadable };
        };
        let birth = stored.birth.as_ref().and_then(|sealed| open_birth(&key, stored.subject, sealed));
        let withdrawn = stored.withdrawn_at.is_some();
        let reference = if withdrawn { Chosen::None } else { choose(&key, stored, met) };
        Self { subject: Some(stored.subject), key: Some(key).filter(|_| !withdrawn), birth, withdrawn, reference }
    }

    /// Who; nothing where the card's row points at somebody it is not bound to.
    #[must_use]
    pub fn subject(&self) -> Option<SubjectId> {
        self.subject
    }

    /// What a probe is sealed under; nothing where none may be kept.
    #[must_use]
    pub fn key(&self) -> Option<(SubjectId, &DataKey)> {
        self.subject.zip(self.key.as_ref())
    }

    /// Whether consent was withdrawn: nothing is compared and nothing is kept.
    #[must_use]
    pub fn has_withdrawn(&self) -> bool {
        self.withdrawn
    }

    /// Day or year of birth, where it is known.
    #[must_use]
    pub fn birth(&self) -> Option<Birth> {
        self.birth
    }

    /// What the capture is compared with.
    #[must_use]
    pub fn reference(&self) -> ReferenceState<'_> {
        match &self.reference {
            Chosen::None => ReferenceState::None,
            Chosen::Unreadable => ReferenceState::Unreadable,
            Chosen::Present(reference) => ReferenceState::Present(&reference.template),
        }
    }

    /// Its id.
    #[must_use]
    pub fn reference_id(&self) -> Option<RecordId> {
        self.chosen().map(|reference| reference.record)
    }

    /// The day its photo was taken, where that is known.
    #[must_use]
    pub fn photo_taken_on(&self) -> Option<Date> {
        self.chosen().and_then(|reference| reference.taken_on)
    }

    /// Whether the person is a child at a time.
    #[must_use]
    pub fn is_minor_at(&self, at: TimeMs) -> bool {
        self.birth.is_some_and(|birth| birth.is_child_on(day_of(at)))
    }

    /// Whether the photo shows a child.
    #[must_use]
    pub fn has_childhood_photo(&self) -> bool {
        self.birth.zip(self.photo_taken_on()).is_some_and(|(birth, taken_on)| birth.is_child_on(taken_on))
    }

    /// Full days since the photo was taken, where that is known.
    #[must_use]
    pub fn photo_age_days_at(&self, at: TimeMs) -> Option<u32> {
        let days = day_of(at).since(self.photo_taken_on()?).ok()?.get_days();
        Some(u32::try_from(days).unwrap_or_default())
    }

    fn chosen(&self) -> Option<&Reference> {
        match &self.reference {
            Chosen::Present(reference) => Some(reference),
            Chosen::None | Chosen::Unreadable => None,
        }
    }
}

/// The day of a time in UTC: a day more or less does not matter to ages.
pub(crate) fn day_of(at: TimeMs) -> Date {
    Timestamp::from_millisecond(at).map_or(Date::MAX, |at| at.to_zoned(TimeZone::UTC).date())
}

/// Whether the row a person was found by is this person's: its sealed number opens there, and is the number that was
/// read. Rows of older releases have no seal; for whom they are trusted says the wrapping of the data key.
pub(crate) fn is_bound(key: &DataKey, stored: &StoredSubject, identifier: &Identifier, row: &IdentifierKey) -> bool {
    let context = IdentifierContext { subject: stored.subject, key: row };
    match &stored.number {
        Some(number) => key.open_number(&context, number).is_ok_and(|number| number == *identifier),
        None => key.numbers() == Numbers::MayBeUnsealed,
    }
}

/// Day or year of birth, where it opens and is one.
pub(crate) fn open_birth(key: &DataKey, subject: SubjectId, sealed: &crate::store::Sealed) -> Option<Birth> {
    let text = key.open(&RecordContext::birth(subject), sealed).ok()?;
    Birth::new(std::str::from_utf8(&text).ok()?).ok()
}

/// Of the references in force at the capture, the one most like the probe. One that does not open is tampering, and
/// none of the others counts then.
fn choose(key: &DataKey, stored: &StoredSubject, met: Met<'_>) -> Chosen {
    let lives: Vec<_> = stored.references.iter().map(|reference| reference.life).collect();
    let in_force = reference::in_force(&lives, met.captured_at);
    let mut opened = Vec::new();
    for stored_reference in in_force.into_iter().filter_map(|index| stored.references.get(index)) {
        match open_reference(key, stored.subject, stored_reference) {
            Some(reference) => opened.push(reference),
            None => return Chosen::Unreadable,
        }
    }
    let templates: Vec<Template> = opened.iter().map(|reference| reference.template.clone()).collect();
    let best = met.probe.map_or(Some(0), |probe| reference::best(probe, &templates));
    let chosen = best.and_then(|index| opened.into_iter().nth(index));
    chosen.map_or(Chosen::None, |reference| Chosen::Present(Box::new(reference)))
}

/// Opens a reference at its own row of its own person; nothing when it is anything else.
fn open_reference(key: &DataKey, subject: SubjectId, stored: &StoredReference) -> Option<Reference> {
    if stored.subject != subject {
        return None;
    }
    let place = RecordContext::reference_template(subject, stored.record, &stored.model);
    let features = key.open(&place, &stored.template).ok()?;
    let (model, recipe) = (ModelId::new(&stored.model).ok()?, RecipeId::new(&stored.recipe).ok()?);
    // The length is checked by the comparison, against the probe's.
    let template = Template::from_f16_le_bytes(model, recipe, features.len() / 2, &features).ok()?;
    let taken_on = stored.photo_taken_on.as_ref().and_then(|day| day.parse().ok());
    Some(Reference { record: stored.record, template, taken_on })
}
