//! Encryption at rest: nothing that the store holds about a face is readable without the center's key.
//!
//! Every person has a random [`DataKey`]; it encrypts their biometrics, and deleting its wrapped form
//! destroys them all. Data keys are wrapped by the [`KeyEncryptionKey`], which never enters the store. Each
//! ciphertext is bound to its [place](RecordContext): moved to another row, column, person or model it does
//! not open. Not here: where the key-encryption key comes from (`config`), how ciphertexts are stored
//! (`crate::store`), and how identifiers are hashed (`matcher_core::LookupKey`).

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use matcher_core::{Identifier, Region};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    keys::{KeyError, hex, load_key_encryption, source::KeySource, watched::Watched},
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

/// Names a key-encryption key, in wrapped data keys and in listings; says nothing about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyEncryptionKeyId(pub [u8; 8]);

impl fmt::Display for KeyEncryptionKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// A key that wraps data keys.
pub struct KeyEncryptionKey {
    bytes: Zeroizing<[u8; 32]>,
    id: KeyEncryptionKeyId,
}

impl KeyEncryptionKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = hmac(&bytes, b"key-encryption key id");
        Self { bytes: Zeroizing::new(bytes), id: KeyEncryptionKeyId([a, b, c, d, e, f, g, h]) }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyEncryptionKeyId {
        self.id
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

    /// What is recorded of a capture that waits to be compared; the record is its verification's.
    #[must_use]
    pub fn deferred_facts(subject: SubjectId, record: RecordId) -> Self {
        Self { table: "deferred", column: "facts", subject, record, model: "" }
    }

    /// Who came in a holder's place; the record is the verification's.
    #[must_use]
    pub fn proxy(subject: SubjectId, record: RecordId) -> Self {
        Self { table: "proxy_register", column: "sealed", subject, record, model: "" }
    }

    /// What was said in a case; `number` is its place among what was said.
    #[must_use]
    pub fn statement(subject: SubjectId, case: RecordId, number: &'a str) -> Self {
        Self { table: "case_statement", column: "sealed", subject, record: case, model: number }
    }

    /// The day or year of birth.
    #[must_use]
    pub fn birth(subject: SubjectId) -> Self {
        Self { table: "subject", column: "birth", subject, record: RecordId([0; 16]), model: "" }
    }

    /// The secret of a console user's second factor, under that user's own key.
    #[must_use]
    pub fn second_factor(user: SubjectId) -> Self {
        Self { table: "console_user", column: "totp", subject: user, record: RecordId([0; 16]), model: "" }
    }

    /// Associated data: every part after its length, so that no two places have the same bytes.
    fn associated_data(&self) -> Vec<u8> {
        parts(&[self.table.as_bytes(), self.column.as_bytes(), &self.subject.0, &self.record.0, self.model.as_bytes()])
    }
}

/// Before the name of the key that wrapped a data key. Those of older releases start with the cipher's suite
/// instead, and are tried with every key.
const NAMED: u8 = 0x80;

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

/// Wraps and unwraps data keys: the newest key wraps, all unwrap. Keys may be exchanged while it is in use.
#[derive(Debug)]
pub struct Vault {
    keys: Watched<Keys>,
}

#[derive(Debug)]
struct Keys {
    newest: KeyEncryptionKey,
    older: Vec<KeyEncryptionKey>,
}

impl Keys {
    fn all(&self) -> impl Iterator<Item = &KeyEncryptionKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl Vault {
    /// A vault under one key-encryption key.
    #[must_use]
    pub fn new(kek: KeyEncryptionKey) -> Self {
        Self::with_older(kek, Vec::new())
    }

    /// A vault whose newest key wraps, while older ones still unwrap.
    #[must_use]
    pub fn with_older(newest: KeyEncryptionKey, older: Vec<KeyEncryptionKey>) -> Self {
        Self { keys: Watched::fixed(Keys { newest, older }) }
    }

    /// A vault whose keys come from a source; a file's are looked at again while the vault is in use.
    ///
    /// # Errors
    /// When the source gives no keys.
    pub fn of(source: KeySource) -> Result<Self, KeyError> {
        let load = |source: &KeySource| load_key_encryption(source).map(|(newest, older)| Keys { newest, older });
        let keys = match &source {
            KeySource::File(path) => Watched::file(path.clone(), move || load(&source))?,
            KeySource::Env(_) | KeySource::Command(_) => Watched::fixed(load(&source)?),
        };
        Ok(Self { keys })
    }

    /// Looks at the source again, where it is a file.
    pub fn refresh(&self) {
        self.keys.refresh();
    }

    fn keys(&self) -> Arc<Keys> {
        self.keys.get()
    }

    /// The key that wraps.
    #[must_use]
    pub fn newest(&self) -> KeyEncryptionKeyId {
        self.keys().newest.id()
    }

    /// All keys, newest first.
    #[must_use]
    pub fn key_ids(&self) -> Vec<KeyEncryptionKeyId> {
        self.keys().all().map(KeyEncryptionKey::id).collect()
    }

    /// The key that wrapped a data key; none where a release wrapped it that did not say.
    #[must_use]
    pub fn wrapped_by(wrapped: &Sealed) -> Option<KeyEncryptionKeyId> {
        let (mark, rest) = wrapped.0.split_first()?;
        let (id, _) = rest.split_first_chunk::<8>()?;
        (*mark == NAMED).then_some(KeyEncryptionKeyId(*id))
    }

    /// How a data key begins that a key wrapped: what a store can count by.
    #[must_use]
    pub fn prefix(id: KeyEncryptionKeyId) -> [u8; 9] {
        let [a, b, c, d, e, f, g, h] = id.0;
        [NAMED, a, b, c, d, e, f, g, h]
    }

    /// A data key wrapped by the newest key, whichever wrapped it before.
    ///
    /// # Errors
    /// As [`Vault::unwrap_data_key`].
    pub fn rewrap(&self, subject: SubjectId, wrapped: &Sealed) -> Result<Sealed, VaultError> {
        let key = self.unwrap_data_key(subject, wrapped)?;
        Ok(wrap(&self.keys().newest, subject, &key))
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
        wrap(&self.keys().newest, subject, key)
    }

    /// Takes a person's data key out of its wrapping.
    ///
    /// # Errors
    /// [`VaultError::DataKey`] when it is another person's, altered, or wrapped under another key.
    pub fn unwrap_data_key(&self, subject: SubjectId, wrapped: &Sealed) -> Result<DataKey, VaultError> {
        let by = Self::wrapped_by(wrapped);
        let mut keys = self.keys();
        // A key that nobody knows may just have been made.
        if by.is_some_and(|by| keys.all().all(|key| key.id() != by)) && self.keys.refresh() {
            keys = self.keys();
        }
        let sealed = match by {
            Some(_) => Sealed(wrapped.0.get(Self::prefix(KeyEncryptionKeyId([0; 8])).len()..).unwrap_or_default().to_vec()),
            None => wrapped.clone(),
        };
        let mut candidates = keys.all().filter(|key| by.is_none_or(|by| by == key.id()));
        let opened = |kek: &KeyEncryptionKey| {
            let at = |numbers| cipher::open(&kek.bytes, &data_key_place(subject, numbers), &sealed).ok().map(|key| (key, numbers));
            at(Numbers::Sealed).or_else(|| at(Numbers::MayBeUnsealed))
        };
        let (opened, numbers) = candidates.find_map(opened).ok_or(VaultError::DataKey)?;
        let key = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| VaultError::DataKey)?;
        Ok(DataKey { key: Zeroizing::new(key), numbers })
    }
}

fn wrap(kek: &KeyEncryptionKey, subject: SubjectId, key: &DataKey) -> Sealed {
    let mut wrapped = Vault::prefix(kek.id()).to_vec();
    wrapped.extend(cipher::seal(&kek.bytes, &data_key_place(subject, key.numbers), key.key.as_slice()).0);
    Sealed(wrapped)
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
#[derive(Clone)]
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

/// Encrypts under a key for a place: what is no record of the store.
pub(crate) fn seal_with(key: &[u8; 32], place: &[u8], plaintext: &[u8]) -> Sealed {
    cipher::seal(key, place, plaintext)
}

/// Decrypts what [`seal_with`] made under the same key for the same place.
pub(crate) fn open_with(key: &[u8; 32], place: &[u8], sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
    cipher::open(key, place, sealed).ok()
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
