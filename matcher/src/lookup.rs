//! The keys that card numbers are looked up under: the newest hashes new rows, older ones are still tried.
//!
//! While a rotation is under way a person stands under the hashes of both keys, so that a process that has not read
//! the new key yet finds them too. An older key that only the forgotten need finds nobody; it tells their cards. Not
//! here: the hashes (`matcher_core::LookupKey`), and making new rows (`crate::keyring`).

use std::path::Path;

use matcher_core::{DocumentNumber, Identifier, LookupKey};
use zeroize::Zeroizing;

use crate::{
    keys::{KeyError, hex, read, secrets, watched::Watched},
    store::{BoundIdentifier, IdentifierKey},
};

/// Where several keys are listed in the file's form.
const EXPECTED: &str = "look-up keys of 64 hexadecimal digits, newest first, one a line";
const HEAD: &str = "# Hashes card numbers for look-up. Without it nobody can be found.\n";

/// The keys, newest first. They may be exchanged while in use: each use looks whether the file changed.
#[derive(Debug)]
pub struct Lookup {
    ring: Watched<Ring>,
}

#[derive(Debug)]
struct Ring {
    newest: LookupKey,
    older: Vec<Older>,
}

#[derive(Debug)]
struct Older {
    key: LookupKey,
    /// Whether it finds nobody any more, and only tells the cards of the forgotten.
    forgotten_only: bool,
}

impl Ring {
    fn parse(text: &str) -> Option<Self> {
        let mut keys =
            secrets::parse(text)?.into_iter().map(|dated| Older { key: LookupKey::new(*dated.key), forgotten_only: dated.forgotten_only });
        let newest = keys.next().filter(|key| !key.forgotten_only)?.key;
        Some(Self { newest, older: keys.collect() })
    }

    /// Keys that find somebody, newest first.
    fn finding(&self) -> impl Iterator<Item = &LookupKey> {
        std::iter::once(&self.newest).chain(self.older.iter().filter(|older| !older.forgotten_only).map(|older| &older.key))
    }

    fn all(&self) -> impl Iterator<Item = &LookupKey> {
        std::iter::once(&self.newest).chain(self.older.iter().map(|older| &older.key))
    }
}

impl Lookup {
    /// One key that stays.
    #[must_use]
    pub fn fixed(key: LookupKey) -> Self {
        Self { ring: Watched::fixed(Ring { newest: key, older: Vec::new() }) }
    }

    /// The keys of a file.
    ///
    /// # Errors
    /// When it cannot be read or is not in its form.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let file = path.to_owned();
        let load = move || Ring::parse(&read(&file)?).ok_or_else(|| KeyError::Form { path: file.clone(), expected: EXPECTED });
        Ok(Self { ring: Watched::file(path.to_owned(), load)? })
    }

    fn ring(&self) -> std::sync::Arc<Ring> {
        self.ring.refresh();
        self.ring.get()
    }

    /// Looks at the file again.
    pub fn refresh(&self) {
        self.ring.refresh();
    }

    /// Names the key that new rows are hashed under.
    #[must_use]
    pub fn id(&self) -> String {
        self.ring().newest.id()
    }

    /// How a number is looked up and recorded, under the newest key.
    #[must_use]
    pub fn row(&self, identifier: &Identifier) -> IdentifierKey {
        row(identifier, &self.ring().newest)
    }

    /// How a number is looked up under each key that finds somebody, newest first, with the key's name.
    #[must_use]
    pub fn rows(&self, identifier: &Identifier) -> Vec<(IdentifierKey, String)> {
        self.ring().finding().map(|key| (row(identifier, key), key.id())).collect()
    }

    /// Names the bearer of a document, under the newest key.
    #[must_use]
    pub fn document_hash(&self, document: &DocumentNumber) -> [u8; 32] {
        self.ring().newest.document_hash(document)
    }

    /// Names a holder for one day, under the newest key.
    #[must_use]
    pub fn holder_of_day(&self, holder: &[u8], day: i32) -> [u8; 32] {
        self.ring().newest.holder_of_day(holder, day)
    }

    /// What would be left of a number whose person was forgotten, under every key.
    #[must_use]
    pub fn tombstones(&self, identifier: &Identifier) -> Vec<[u8; 32]> {
        self.ring().all().map(|key| key.tombstone(&identifier.keyed_hash(key))).collect()
    }

    /// What is to be left of a row, and the name of its key; nothing where its key was dropped. Rows of older
    /// releases do not name their key: it is the oldest.
    #[must_use]
    pub fn tombstone(&self, row: &BoundIdentifier) -> Option<([u8; 32], String)> {
        let ring = self.ring();
        let key = match row.lookup_key_id.as_str() {
            "" => ring.finding().last(),
            id => ring.all().find(|key| key.id() == id),
        };
        key.map(|key| (key.tombstone(&row.key.hash), key.id()))
    }
}

fn row(identifier: &Identifier, key: &LookupKey) -> IdentifierKey {
    IdentifierKey { kind: identifier.kind(), region: identifier.region().as_str().to_owned(), hash: identifier.keyed_hash(key) }
}

/// The file of these keys.
#[must_use]
pub fn file_of<'a>(keys: impl IntoIterator<Item = &'a secrets::DatedSecret>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(HEAD.to_owned());
    for key in keys {
        if key.forgotten_only {
            text.push_str(secrets::FORGOTTEN_ONLY);
            text.push('\n');
        }
        if let Some(made) = key.made {
            text.push_str(&format!("{}{}\n", secrets::MADE, made.strftime("%Y-%m-%dT%H:%M:%SZ")));
        }
        text.push_str(&Zeroizing::new(hex(&*key.key)));
        text.push('\n');
    }
    text
}

/// Keys of a file's text, newest first.
///
/// # Errors
/// When it is not in its form.
pub fn parse(path: &Path, text: &str) -> Result<Vec<secrets::DatedSecret>, KeyError> {
    secrets::parse(text).ok_or_else(|| KeyError::Form { path: path.to_owned(), expected: EXPECTED })
}

#[cfg(test)]
mod tests {
    use matcher_core::{IdentifierKind, Region};

    use super::*;

    const NEW: [u8; 32] = [0xab; 32];
    const OLD: [u8; 32] = [2; 32];
    const OLDEST: [u8; 32] = [3; 32];

    fn card() -> Identifier {
        Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), "A10020001").unwrap()
    }

    fn keys() -> Vec<secrets::DatedSecret> {
        let key = |bytes, forgotten_only| secrets::DatedSecret { made: None, forgotten_only, key: Zeroizing::new(bytes) };
        vec![key(NEW, false), key(OLD, false), key(OLDEST, true)]
    }

    fn ring() -> Lookup {
        Lookup { ring: Watched::fixed(Ring::parse(&file_of(&keys())).unwrap()) }
    }

    #[test]
    fn numbers_are_looked_up_under_the_newest_key_first_and_never_under_one_of_the_forgotten() {
        let hash = |key| card().keyed_hash(&LookupKey::new(key));
        let rows: Vec<_> = ring().rows(&card()).into_iter().map(|(row, _)| row.hash).collect();
        assert_eq!(rows, [hash(NEW), hash(OLD)]);
        assert_eq!((ring().row(&card()).hash, ring().id()), (hash(NEW), LookupKey::new(NEW).id()));
    }

    #[test]
    fn every_key_tells_the_cards_of_those_who_were_forgotten_under_it() {
        let told = ring().tombstones(&card());
        for key in [NEW, OLD, OLDEST].map(LookupKey::new) {
            let (hash, id) = (card().keyed_hash(&key), key.id());
            let row = BoundIdentifier { key: IdentifierKey { hash, ..ring().row(&card()) }, lookup_key_id: id.clone(), number: None };
            let left = ring().tombstone(&row).unwrap();
            assert_eq!(left.1, id);
            assert!(told.contains(&left.0), "{id}");
        }
        let mut row = BoundIdentifier { key: ring().row(&card()), lookup_key_id: String::new(), number: None };
        assert_eq!(ring().tombstone(&row).unwrap().1, LookupKey::new(OLD).id(), "rows that name no key are of the oldest that finds");
        row.lookup_key_id = "0123456789abcdef".into();
        assert_eq!(ring().tombstone(&row), None);
    }

    #[test]
    fn a_file_without_a_key_that_finds_is_refused_and_none_is_shown() {
        assert!(Ring::parse("").is_none() && Ring::parse(&file_of(&keys()[2..])).is_none());
        let shown = format!("{:?}", ring().ring());
        assert!(shown.contains("[redacted]") && !shown.contains("171"), "{shown}");
    }
}
