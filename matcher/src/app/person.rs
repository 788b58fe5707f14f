//! A person as a verification meets one: opened as far as the vault opens what the store has, and no further.
//!
//! Three things must fit: the data key is the person's, the row of the card is bound to the person, and the references
//! are the person's. What does not fit fails closed. Not here: what is decided then (`matcher_core::decision`).

use std::fmt;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use matcher_core::{AgeBand, Birth, Identifier, Reference, ReferenceFacts, ReferenceState, reference};
use models_core::{ModelId, RecipeId, Template};

use crate::{
    store::{IdentifierKey, RecordId, StoredReference, StoredSubject, SubjectId, TimeMs},
    vault::{DataKey, IdentifierContext, Numbers, RecordContext, Vault},
};

/// A known person.
pub struct Person {
    /// Who; nothing where the card's row is not bound to whom it points at.
    subject: Option<SubjectId>,
    /// Nothing where no probe may be kept, or none could be opened again.
    key: Option<DataKey>,
    /// Day or year of birth, where it is known and opens.
    birth: Option<Birth>,
    known: Known,
}

/// What a capture is compared with.
enum Known {
    Unreadable,
    Withdrawn,
    References(Vec<Opened>),
}

struct Opened {
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
#[derive(Debug, Clone, Copy)]
pub struct Met<'a> {
    /// The number that was read.
    pub identifier: &'a Identifier,
    /// How it was looked up.
    pub key: &'a IdentifierKey,
    /// When, by the center's clock.
    pub captured_at: TimeMs,
}

impl Person {
    /// Opens a person for one capture.
    #[must_use]
    pub fn open(vault: &Vault, stored: &StoredSubject, met: Met<'_>) -> Self {
        let key = vault.unwrap_data_key(stored.subject, &stored.data_key).ok();
        Self::opened_with(key.filter(|key| is_bound(key, stored, met.identifier, met.key)), stored, met.captured_at)
    }

    /// A person whom a capture met before, by the data key: what was sealed under it then says who it is.
    #[must_use]
    pub fn of_key(key: DataKey, stored: &StoredSubject, references_of: TimeMs) -> Self {
        Self::opened_with(Some(key), stored, references_of)
    }

    /// Which of a person's references count for a capture of this time, by their places.
    #[must_use]
    pub fn in_force(stored: &StoredSubject, captured_at: TimeMs) -> Vec<usize> {
        let lives: Vec<_> = stored.references.iter().map(|reference| reference.life).collect();
        reference::in_force(&lives, captured_at)
    }

    fn opened_with(key: Option<DataKey>, stored: &StoredSubject, references_of: TimeMs) -> Self {
        let Some(key) = key else {
            return Self { subject: None, key: None, birth: None, known: Known::Unreadable };
        };
        let birth = stored.birth.as_ref().and_then(|sealed| open_birth(&key, stored.subject, sealed));
        if stored.withdrawn_at.is_some() {
            return Self { subject: Some(stored.subject), key: None, birth, known: Known::Withdrawn };
        }
        let known = open_in_force(&key, stored, references_of).map_or(Known::Unreadable, Known::References);
        Self { subject: Some(stored.subject), key: Some(key), birth, known }
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

    /// The references in force, with what is known of each at the time of the capture.
    #[must_use]
    pub fn references(&self, captured_at: TimeMs) -> Vec<Reference<'_>> {
        let on = day_of(captured_at);
        self.opened().iter().map(|opened| Reference { template: &opened.template, facts: self.facts(opened, on) }).collect()
    }

    /// What a decision is told of the person, who has these [references](Self::references).
    #[must_use]
    pub fn state<'a>(&self, references: &'a [Reference<'a>]) -> ReferenceState<'a> {
        match &self.known {
            Known::Unreadable => ReferenceState::Unreadable,
            Known::Withdrawn => ReferenceState::Withdrawn,
            Known::References(_) => ReferenceState::Present(references),
        }
    }

    /// The id of one of the references, by its place.
    #[must_use]
    pub fn reference_id(&self, place: usize) -> Option<RecordId> {
        self.opened().get(place).map(|opened| opened.record)
    }

    fn opened(&self) -> &[Opened] {
        match &self.known {
            Known::References(opened) => opened,
            Known::Unreadable | Known::Withdrawn => &[],
        }
    }

    fn facts(&self, opened: &Opened, on: Date) -> ReferenceFacts {
        let child = |day: Date| self.birth.is_some_and(|birth| birth.is_child_on(day));
        let age = opened.taken_on.and_then(|taken_on| u32::try_from(taken_on.until(on).ok()?.get_days()).ok());
        let band = AgeBand::of(self.birth.map(|birth| birth.age_on(on)));
        ReferenceFacts { minor: child(on), childhood_photo: opened.taken_on.is_some_and(child), photo_age_days: age, age: band }
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

/// The references in force at a capture. Nothing when one does not open: that is tampering, and none of the others
/// counts then.
fn open_in_force(key: &DataKey, stored: &StoredSubject, captured_at: TimeMs) -> Option<Vec<Opened>> {
    let in_force = Person::in_force(stored, captured_at).into_iter().filter_map(|place| stored.references.get(place));
    in_force.map(|reference| open_reference(key, stored.subject, reference)).collect()
}

/// Opens a reference at its own row of its own person; nothing when it is anything else.
fn open_reference(key: &DataKey, subject: SubjectId, stored: &StoredReference) -> Option<Opened> {
    if stored.subject != subject {
        return None;
    }
    let place = RecordContext::reference_template(subject, stored.record, &stored.model);
    let features = key.open(&place, &stored.template).ok()?;
    let (model, recipe) = (ModelId::new(&stored.model).ok()?, RecipeId::new(&stored.recipe).ok()?);
    // The length is checked by the comparison, against the probe's.
    let template = Template::from_f16_le_bytes(model, recipe, features.len() / 2, &features).ok()?;
    let taken_on = stored.photo_taken_on.as_ref().and_then(|day| day.parse().ok());
    Some(Opened { record: stored.record, template, taken_on })
}
