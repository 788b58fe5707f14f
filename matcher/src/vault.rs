//! Encryption at rest: nothing that the store holds about a face is readable without the center's key.
//!
//! Every person has a random [`DataKey`]; it encrypts their biometrics, and deleting its wrapped form
//! destroys them all. Data keys are wrapped by the [`KeyEncryptionKey`], which never enters the store. Each
//! ciphertext is bound to its [place](RecordContext): moved to another row, column, person or model it does
//! not open. Not here: where the key-encryption key comes from (`config`), how ciphertexts are stored
//! (`crate::store`), and how identifiers are hashed (`matcher_core::LookupKey`).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use matcher_core::{Identifier, Region};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    store::{IdentifierKey, RecordId, Sealed, SubjectId},
    surroundings::os_random,
};

mod cipher;

/// What did not decrypt. Wrong key, another row's ciphertext and altered bytes look alike on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VaultError {
    /// A person's data key.
    #[error("the data key does not decrypt as this person's")]
    DataKey,
    /// A record.
    #[error("the {table}.{column} record does not decrypt as this one")]
    Record {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
    },
}

/// The key that wraps all data keys.
pub struct KeyEncryptionKey(Zeroizing<[u8; 32]>);

impl KeyEncryptionKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyEncryptionKey([redacted])")
    }
}

/// The place a ciphertext belongs to, and the only one it opens at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordContext<'a> {
    /// Table.
    pub table: &'static str,
    /// Column.
    pub column: &'static str,
    /// Whose record.
    pub subject: SubjectId,
    /// Which record.
    pub record: RecordId,
    /// Model that made the content; empty where no model did.
    pub model: &'a str,
}

impl<'a> RecordContext<'a> {
    /// The template of a reference.
    #[must_use]
    pub fn reference_template(subject: SubjectId, record: RecordId, model: &'a str) -> Self {
        Self { table: "reference", column: "template", subject, record, model }
    }

    /// The photo a reference was made from.
    #[must_use]
    pub fn enrolment_photo(subject: SubjectId, record: RecordId) -> Self {
        Self { table: "enrolment_photo", column: "photo", subject, record, model: "" }
    }

    /// What was measured of that photo.
    #[must_use]
    pub fn enrolment_quality(subject: SubjectId, record: RecordId) -> Self {
        Self { table: "enrolment_photo", column: "quality", subject, record, model: "" }
    }

    /// The template of a probe; the record is its verification's.
    #[must_use]
    pub fn probe_template(subject: SubjectId, record: RecordId, model: &'a str) -> Self {
        Self { table: "probe", column: "template", subject, record, model }
    }

    /// The sample of a probe; the record is its verification's.
    #[must_use]
    pub fn probe_sample(subject: SubjectId, record: RecordId) -> Self {
        Self { table: "probe", column: "sample", subject, record, model: "" }
    }

    /// The day or year of birth.
    #[must_use]
    pub fn birth(subject: SubjectId) -> Self {
        Self { table: "subject", column: "birth", subject, record: RecordId([0; 16]), model: "" }
    }

    /// Associated data: every part after its length, so that no two places have the same bytes.
    fn associated_data(&self) -> Vec<u8> {
        parts(&[self.table.as_bytes(), self.column.as_bytes(), &self.subject.0, &self.record.0, self.model.as_bytes()])
    }
}

/// The place of a sealed number: the row of one identifier, and one person. A row that is pointed at somebody else,
/// or that was given another's number, does not open.
#[derive(Debug, Clone, Copy)]
pub struct IdentifierContext<'a> {
    /// Whose number.
    pub subject: SubjectId,
    /// The row.
    pub key: &'a IdentifierKey,
}

impl IdentifierContext<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let key = self.key;
        parts(&[b"identifier", b"number", &self.subject.0, key.kind.word().as_bytes(), key.region.as_bytes(), &key.hash])
    }
}

/// Wraps and unwraps data keys.
#[derive(Debug)]
pub struct Vault {
    kek: KeyEncryptionKey,
}

impl Vault {
    /// A vault under a key-encryption key.
    #[must_use]
    pub fn new(kek: KeyEncryptionKey) -> Self {
        Self { kek }
    }

    /// Makes a person's data key: for use, and wrapped for the store. All numbers of a new person are sealed.
    #[must_use]
    pub fn new_data_key(&self, subject: SubjectId) -> (DataKey, Sealed) {
        let key = DataKey { key: Zeroizing::new(os_random::<32>()), numbers: Numbers::Sealed };
        let wrapped = self.wrap(subject, &key);
        (key, wrapped)
    }

    /// Wraps a person's data key for the store, with what it says about the person's numbers.
    #[must_use]
    pub fn wrap(&self, subject: SubjectId, key: &DataKey) -> Sealed {
        cipher::seal(&self.kek.0, &data_key_place(subject, key.numbers), key.key.as_slice())
    }

    /// Takes a person's data key out of its wrapping.
    ///
    /// # Errors
    /// [`VaultError::DataKey`] when it is another person's, altered, or wrapped under another key.
    pub fn unwrap_data_key(&self, subject: SubjectId, wrapped: &Sealed) -> Result<DataKey, VaultError> {
        for numbers in [Numbers::Sealed, Numbers::MayBeUnsealed] {
            let Ok(opened) = cipher::open(&self.kek.0, &data_key_place(subject, numbers), wrapped) else { continue };
            let key = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| VaultError::DataKey)?;
            return Ok(DataKey { key: Zeroizing::new(key), numbers });
        }
        Err(VaultError::DataKey)
    }
}

/// Whether rows without a sealed number may be this person's. It is a part of the key's wrapping, so that nobody
/// without the key-encryption key can make a row look as old as it would have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// All are sealed: a row without a seal is not this person's.
    Sealed,
    /// Some may be older than seals.
    MayBeUnsealed,
}

/// One person's key.
pub struct DataKey {
    key: Zeroizing<[u8; 32]>,
    numbers: Numbers,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey([redacted])")
    }
}

impl DataKey {
    /// Whether rows without a sealed number may be this person's.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// The same key for a person all of whose numbers are sealed.
    #[must_use]
    pub fn with_sealed_numbers(&self) -> Self {
        Self { key: self.key.clone(), numbers: Numbers::Sealed }
    }

    /// The same key for a person who has numbers without a seal.
    #[must_use]
    pub fn with_unsealed_numbers(&self) -> Self {
        Self { key: self.key.clone(), numbers: Numbers::MayBeUnsealed }
    }

    /// Encrypts a number for its row.
    #[must_use]
    pub fn seal_number(&self, context: &IdentifierContext<'_>, identifier: &Identifier) -> Sealed {
        cipher::seal(&self.key, &context.associated_data(), identifier.expose().as_bytes())
    }

    /// Decrypts a number in its row.
    ///
    /// # Errors
    /// [`VaultError::Record`] when the row is another's, the person is, or the seal was altered.
    pub fn open_number(&self, context: &IdentifierContext<'_>, sealed: &Sealed) -> Result<Identifier, VaultError> {
        let failed = VaultError::Record { table: "identifier", column: "number" };
        let opened = cipher::open(&self.key, &context.associated_data(), sealed).map_err(|_| failed)?;
        let number = std::str::from_utf8(&opened).map_err(|_| failed)?;
        let region = Region::new(&context.key.region).map_err(|_| failed)?;
        Identifier::new(context.key.kind, region, number).map_err(|_| failed)
    }

    /// Encrypts a record for its place.
    #[must_use]
    pub fn seal(&self, context: &RecordContext<'_>, plaintext: &[u8]) -> Sealed {
        cipher::seal(&self.key, &context.associated_data(), plaintext)
    }

    /// Decrypts a record at its place.
    ///
    /// # Errors
    /// [`VaultError::Record`] when it belongs elsewhere, is another person's, or was altered.
    pub fn open(&self, context: &RecordContext<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let failed = |_| VaultError::Record { table: context.table, column: context.column };
        cipher::open(&self.key, &context.associated_data(), sealed).map_err(failed)
    }

    /// Keyed digest of a photo: tells the same photo of the same person again, and says nothing to those
    /// without the key, not even that two people have one photo.
    #[must_use]
    pub fn photo_mac(&self, photo: &[u8]) -> [u8; 32] {
        let key = Zeroizing::new(hmac(self.key.as_slice(), b"photo mac key"));
        hmac(key.as_slice(), photo)
    }
}

fn data_key_place(subject: SubjectId, numbers: Numbers) -> Vec<u8> {
    match numbers {
        Numbers::Sealed => parts(&[b"data_key", b"wrapped", &subject.0, b"numbers sealed"]),
        Numbers::MayBeUnsealed => parts(&[b"data_key", b"wrapped", &subject.0]),
    }
}

/// Length (8 bytes, little-endian) and bytes of each part.
fn parts(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| (part.len() as u64).to_le_bytes().into_iter().chain(part.iter().copied())).collect()
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC takes keys of any length") };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
