//! What a person may ask of the center, and what staff do for one: find, forget, withdraw consent, hold.
//!
//! Forgetting is proved: afterwards the store is asked for rows, and every file of the data folder is searched for what
//! was deleted. Not here: what a person is handed ([`export`]), and how the search reads files ([`search`]).

use std::{collections::BTreeMap, io, path::Path};

use matcher_core::Identifier;
use serde::Serialize;
use thiserror::Error;

use crate::{
    center::Center,
    listing::json::utc,
    store::{
        BoundIdentifier, IdentifierKey, RecordId, StoreError, SubjectId,
        sql::forgetting::may_keep,
        subjects::{Count, Forget, Forgotten, Hold, SubjectFile, Withdrawal},
    },
    surroundings::Surroundings,
    vault::{DataKey, IdentifierContext, RecordContext, VaultError},
};

pub mod export;
pub mod search;

use search::{Found, Needles};

/// Something that could not be done for a person.
#[derive(Debug, Error)]
pub enum SubjectError {
    /// Nobody is found.
    #[error("nobody is enrolled under this; nothing was changed")]
    Unknown,
    /// There is no such photo in use.
    #[error("the person has no such photo that is not revoked; nothing was changed")]
    UnknownPhoto,
    /// A hold forbids it.
    #[error("a legal hold forbids it ({}{}); nothing was deleted", .0.reason, until(.0))]
    Held(Hold),
    /// Consent stands, so that it cannot be given again.
    #[error("the person has not withdrawn consent; nothing was changed")]
    ConsentStands,
    /// Nobody with this number was forgotten.
    #[error("nobody with this number was forgotten; nothing was changed")]
    NotForgotten,
    /// What is stored is not this person's: somebody altered the store.
    #[error("what is stored does not open as this person's")]
    Vault(#[source] VaultError),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The data folder cannot be searched.
    #[error("the person is forgotten, but the data folder could not be searched")]
    Search(#[source] io::Error),
}

fn until(hold: &Hold) -> String {
    hold.until.map(|until| format!(", until {}", utc(until))).unwrap_or_default()
}

/// What forgetting did, and what the search afterwards found. Holds no number.
#[derive(Debug, Serialize)]
pub struct Proof {
    /// Who; the id means nothing any more but in decisions that are kept.
    pub subject: String,
    /// When.
    pub forgotten_at: String,
    /// Deleted rows by table.
    pub deleted: BTreeMap<String, u64>,
    /// Rows that were kept and whose number was replaced.
    pub pseudonymised: BTreeMap<String, u64>,
    /// Rows with the person's id that are left, by table: decisions, for their legal time.
    pub kept: BTreeMap<String, u64>,
    /// Whether the log of changes is written back and empty.
    pub log_emptied: bool,
    /// The search of all files; nothing where it was left out.
    pub search: Option<Found>,
}

impl Proof {
    /// Whether nothing is left that should not be.
    #[must_use]
    pub fn holds(&self) -> bool {
        let rows = self.kept.keys().all(|table| may_keep(table));
        rows && self.log_emptied && self.search.as_ref().is_some_and(|found| found.found.is_empty())
    }
}

/// How an identifier is looked up under the newest key.
#[must_use]
pub fn row_of(center: &Center, identifier: &Identifier) -> IdentifierKey {
    center.lookup.row(identifier)
}

/// The rows of a person, one for each number: while a look-up key is rotated, a number has a row under each key.
#[must_use]
pub fn numbers<'a>(file: &'a SubjectFile, key: &DataKey) -> Vec<&'a BoundIdentifier> {
    let mut seen = Vec::new();
    let is_new = |row: &&BoundIdentifier| {
        let context = IdentifierContext { subject: file.subject.subject, key: &row.key };
        let Some(number) = row.number.as_ref().and_then(|sealed| key.open_number(&context, sealed).ok()) else { return true };
        let is_new = !seen.contains(&number);
        seen.push(number);
        is_new
    };
    file.identifiers.iter().filter(is_new).collect()
}

/// The person of an identifier.
///
/// # Errors
/// [`SubjectError::Unknown`], and when the store fails.
pub async fn find(center: &Center, identifier: &Identifier) -> Result<SubjectId, SubjectError> {
    let found = center.subject_of(identifier).await.map_err(SubjectError::Store)?;
    found.map(|(stored, _)| stored.subject).ok_or(SubjectError::Unknown)
}

/// Everything that is stored about a person, and the key that opens it.
///
/// # Errors
/// [`SubjectError::Unknown`], when the data key is not the person's, and when the store fails.
pub async fn open(center: &Center, subject: SubjectId) -> Result<(SubjectFile, DataKey), SubjectError> {
    let file = center.store.subject_file(subject).await.map_err(SubjectError::Store)?.ok_or(SubjectError::Unknown)?;
    let key = center.vault.unwrap_data_key(subject, &file.subject.data_key).map_err(SubjectError::Vault)?;
    Ok((file, key))
}

/// Forgets a person and looks whether anything is left, in the store and, where a folder is given, in all its files.
///
/// # Errors
/// When a hold forbids it, nobody is found, the store fails or the folder cannot be searched. A person whose data key
/// no longer opens can be forgotten.
pub async fn forget(
    center: &Center,
    surroundings: &dyn Surroundings,
    subject: SubjectId,
    folder: Option<&Path>,
) -> Result<Proof, SubjectError> {
    let file = center.store.subject_file(subject).await.map_err(SubjectError::Store)?.ok_or(SubjectError::Unknown)?;
    let key = center.vault.unwrap_data_key(subject, &file.subject.data_key).ok();
    let needles = Needles::of(&file, key.as_ref());
    let at = surroundings.now_ms();
    let random = [surroundings.random_id(), surroundings.random_id()];
    let pseudonym = std::array::from_fn(|i| random.as_flattened().get(i).copied().unwrap_or_default());
    let forget =
        Forget { subject, at, tombstones: file.identifiers.iter().filter_map(|row| center.lookup.tombstone(row)).collect(), pseudonym };
    let (deleted, pseudonymised) = done(center.store.forget(forget).await)?;
    let log_emptied = center.store.settle().await.map_err(SubjectError::Store)?;
    let kept = center.store.traces(subject).await.map_err(SubjectError::Store)?;
    let search = match folder {
        Some(folder) => {
            let folder = folder.to_owned();
            let search = move || needles.search(&folder);
            let searched = tokio::task::spawn_blocking(search).await.map_err(|error| SubjectError::Search(io::Error::other(error)))?;
            Some(searched.map_err(SubjectError::Search)?)
        }
        None => None,
    };
    let map = |counts: Vec<Count>| counts.into_iter().collect();
    let (deleted, pseudonymised, kept) = (map(deleted), map(pseudonymised), map(kept));
    Ok(Proof { subject: subject.to_string(), forgotten_at: utc(at), deleted, pseudonymised, kept, log_emptied, search })
}

/// Notes that a person withdrew consent, and destroys what is biometric; says what was deleted. The numbers stay, under
/// another data key, so that the counter offers the other way.
///
/// # Errors
/// When a hold forbids it, nobody is found, what is stored does not open, or the store fails.
pub async fn withdraw(center: &Center, surroundings: &dyn Surroundings, subject: SubjectId) -> Result<Vec<Count>, SubjectError> {
    let (file, old) = open(center, subject).await?;
    let (fresh, _) = center.vault.new_data_key(subject);
    let fresh = if file.identifiers.iter().all(|identifier| identifier.number.is_some()) { fresh } else { fresh.with_unsealed_numbers() };
    let reseal = |identifier: BoundIdentifier| {
        let context = IdentifierContext { subject, key: &identifier.key };
        let number = identifier.number.as_ref().map(|number| old.open_number(&context, number)).transpose()?;
        let number = number.map(|number| fresh.seal_number(&context, &number));
        Ok(BoundIdentifier { number, ..identifier })
    };
    let identifiers = file.identifiers.into_iter().map(reseal).collect::<Result<_, _>>().map_err(SubjectError::Vault)?;
    let place = RecordContext::birth(subject);
    let birth = file.subject.birth.as_ref().map(|birth| old.open(&place, birth)).transpose().map_err(SubjectError::Vault)?;
    let withdrawal = Withdrawal {
        subject,
        at: surroundings.now_ms(),
        old_key: file.subject.data_key,
        data_key: center.vault.wrap(subject, &fresh),
        birth: birth.map(|birth| fresh.seal(&place, &birth)),
        identifiers,
    };
    let (deleted, _) = done(center.store.withdraw(withdrawal).await)?;
    center.store.settle().await.map_err(SubjectError::Store)?;
    Ok(deleted)
}

fn done(forgotten: Result<Forgotten, StoreError>) -> Result<(Vec<Count>, Vec<Count>), SubjectError> {
    match forgotten.map_err(SubjectError::Store)? {
        Forgotten::Done { deleted, pseudonymised } => Ok((deleted, pseudonymised)),
        Forgotten::Held(hold) => Err(SubjectError::Held(hold)),
        Forgotten::Unknown => Err(SubjectError::Unknown),
    }
}

/// Notes that a person gave consent again.
///
/// # Errors
/// When it was not withdrawn, or the store fails.
pub async fn consent_again(center: &Center, subject: SubjectId) -> Result<(), SubjectError> {
    let was_withdrawn = center.store.consent_again(subject).await.map_err(SubjectError::Store)?;
    if was_withdrawn { Ok(()) } else { Err(SubjectError::ConsentStands) }
}

/// Lets the number of somebody who was forgotten be enrolled again.
///
/// # Errors
/// When nobody with it was forgotten, or the store fails.
pub async fn readmit(center: &Center, identifier: &Identifier) -> Result<(), SubjectError> {
    let removed = center.store.readmit(&center.lookup.tombstones(identifier)).await.map_err(SubjectError::Store)?;
    if removed == 0 { Err(SubjectError::NotForgotten) } else { Ok(()) }
}

/// Revokes a photo.
///
/// # Errors
/// When there is no such photo, or the store fails.
pub async fn revoke(center: &Center, surroundings: &dyn Surroundings, subject: SubjectId, photo: RecordId) -> Result<(), SubjectError> {
    let revoked = center.store.revoke_photo(subject, photo, surroundings.now_ms()).await.map_err(SubjectError::Store)?;
    if revoked { Ok(()) } else { Err(SubjectError::UnknownPhoto) }
}
