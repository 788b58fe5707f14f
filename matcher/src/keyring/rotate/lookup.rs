//! Rotating the key that card numbers are looked up under.
//!
//! The new key stands beside the older one, and every number that is sealed is hashed under it as well; nobody is
//! ever not found. Numbers of releases that did not seal them are hashed at the next enrolment. The older key is
//! dropped with its rows, but stays in its file while the cards of the forgotten are told by it.

use matcher_core::LookupKey;
use zeroize::Zeroizing;

use super::{PAGE, Rotated, Rotation, read, write};
use crate::{
    keyring::{KeyKind, KeyringError},
    keys::secrets::DatedSecret,
    lookup::{Lookup, file_of, parse},
    store::{
        BoundIdentifier, RecordId,
        keys::{Rehashed, RetiredLookup, ToRehash},
    },
    surroundings::os_random,
    vault::{IdentifierContext, Vault},
};

const KIND: KeyKind = KeyKind::Lookup;

impl Rotation<'_> {
    /// A new key, under which all sealed numbers are then hashed. Where an earlier run made it, goes on with it.
    pub(super) async fn new_lookup(&self, mut progress: impl FnMut(u64)) -> Result<Rotated, KeyringError> {
        let path = self.dir.lookup_key();
        let mut keys = self.lookup_keys()?;
        let made = !keys.iter().skip(1).any(|key| !key.forgotten_only);
        if made {
            keys.insert(0, DatedSecret { made: Some(self.made_at()), forgotten_only: false, key: Zeroizing::new(os_random()) });
            write(&path, &file_of(&keys))?;
        }
        let lookup = Lookup::load(&path).map_err(KeyringError::Key)?;
        let vault = Vault::of(self.config.keys.key_encryption.clone()).map_err(KeyringError::Key)?;
        let newest = lookup.id();
        let (mut after, mut rehashed, mut left) = (None, 0, 0);
        loop {
            let page = self.store.to_rehash(&newest, after, PAGE).await.map_err(KeyringError::Store)?;
            let Some(last) = page.last() else { break };
            after = Some(last.subject);
            let persons: Vec<_> = page.into_iter().filter_map(|person| anew(&lookup, &newest, &vault, person, &mut left)).collect();
            rehashed += self.store.rehash(persons).await.map_err(KeyringError::Store)?;
            progress(rehashed);
        }
        Ok(Rotated { made, rehashed, left, ..Rotated::of(KIND, newest) })
    }

    pub(super) async fn finish_lookup(&self, force: bool) -> Result<Rotated, KeyringError> {
        let mut keys = self.lookup_keys()?;
        if keys.len() == 1 {
            return Err(KeyringError::NothingOlder(KIND.word()));
        }
        let newest = keys.first().map(id).unwrap_or_default();
        let finding: Vec<_> = keys.iter().skip(1).filter(|key| !key.forgotten_only).map(id).collect();
        if !finding.is_empty() {
            let retired = self.store.retire_lookup(&newest, finding.clone(), force, self.now).await.map_err(KeyringError::Store)?;
            if let RetiredLookup::Needed(left, named) = retired {
                let named: Vec<_> = named.iter().map(|subject| RecordId(subject.0).to_string()).collect();
                let why = format!(
                    "{left} persons have a number under an older key alone ({}); run this without --finish first. Numbers without a seal \
                     are hashed anew when their person is enrolled again; --force drops them",
                    named.join(", ")
                );
                return Err(KeyringError::StillNeeded { kind: KIND.word(), why });
            }
        }
        let counts = self.store.lookup_counts().await.map_err(KeyringError::Store)?;
        let known: Vec<_> = keys.iter().map(id).collect();
        // Tombstones that name no key here are of the oldest: then every release wrote them so.
        let unnamed = counts.iter().any(|under| under.tombstones > 0 && !known.contains(&under.key));
        let oldest = known.last().filter(|_| unnamed);
        let is_needed = |id: &String| oldest == Some(id) || counts.iter().any(|under| under.key == *id && under.tombstones > 0);
        let (mut dropped, mut kept) = (Vec::new(), Vec::new());
        for id in known.iter().skip(1) {
            if is_needed(id) { kept.push(id.clone()) } else { dropped.push(id.clone()) }
        }
        if finding.is_empty() && dropped.is_empty() {
            let why = "the cards of forgotten people are still told by the older key; retention deletes what is left of them".to_owned();
            return Err(KeyringError::StillNeeded { kind: KIND.word(), why });
        }
        keys.retain(|key| !dropped.contains(&id(key)));
        for key in keys.iter_mut().skip(1) {
            key.forgotten_only = true;
        }
        write(&self.dir.lookup_key(), &file_of(&keys))?;
        Ok(Rotated { dropped, kept, ..Rotated::of(KIND, newest) })
    }

    fn lookup_keys(&self) -> Result<Vec<DatedSecret>, KeyringError> {
        let path = self.dir.lookup_key();
        parse(&path, &read(&path)?).map_err(KeyringError::Key)
    }
}

/// A person's rows under the new key; nothing where none can be made.
fn anew(lookup: &Lookup, newest: &str, vault: &Vault, person: ToRehash, left: &mut u64) -> Option<Rehashed> {
    let ToRehash { subject, data_key, rows } = person;
    let older = rows.iter().filter(|row| row.lookup_key_id != newest);
    let rows = vault.unwrap_data_key(subject, &data_key).ok().map(|key| {
        let anew = |row: &BoundIdentifier| {
            let number = key.open_number(&IdentifierContext { subject, key: &row.key }, row.number.as_ref()?).ok()?;
            let to = lookup.row(&number);
            let sealed = key.seal_number(&IdentifierContext { subject, key: &to }, &number);
            Some(BoundIdentifier { key: to, lookup_key_id: newest.to_owned(), number: Some(sealed) })
        };
        older.clone().map(anew).collect::<Vec<_>>()
    });
    let rows = rows.unwrap_or_else(|| vec![None]);
    if rows.contains(&None) {
        *left += 1;
    }
    let rows: Vec<_> = rows.into_iter().flatten().collect();
    (!rows.is_empty()).then_some(Rehashed { subject, data_key, rows })
}

/// Names a key of the file.
pub(in crate::keyring) fn id(key: &DatedSecret) -> String {
    LookupKey::new(*key.key).id()
}
