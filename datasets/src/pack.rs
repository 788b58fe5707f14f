//! Pictures of a pack on this machine, and the pairs that their identities give.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use models::digest::Digest;
use thiserror::Error;

use crate::manifest::PackManifest;

/// A picture cannot be read, or is another one than the manifest names.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackError {
    /// It cannot be read.
    #[error("picture {id}: could not read {}; run `datasets fetch {pack}`", path.display())]
    Read {
        /// The pack's name.
        pack: String,
        /// The picture's id.
        id: String,
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is another file.
    #[error("picture {id}: sha256: expected {expected}, got {got}; the file is not used")]
    Differs {
        /// The picture's id.
        id: String,
        /// The manifest's digest.
        expected: Digest,
        /// The file's.
        got: Digest,
    },
}

/// Who a picture shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// One person, by the pack's name for them.
    Person(String),
    /// Nobody, or no human face.
    Nobody,
    /// Several people.
    Several,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Person(name) => name,
            Self::Nobody => "(none)",
            Self::Several => "(multi)",
        })
    }
}

/// A picture of a pack that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackPicture {
    /// What it is called.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// Who it shows.
    pub identity: Identity,
    /// What is special about it.
    pub note: String,
    sha256: Digest,
    pack: String,
}

impl PackPicture {
    /// The file's bytes, checked.
    ///
    /// # Errors
    /// When the file is missing, unreadable or another one.
    pub fn read(&self) -> Result<Vec<u8>, PackError> {
        let bytes = fs::read(&self.path).map_err(|source| PackError::Read {
            pack: self.pack.clone(),
            id: self.id.clone(),
            path: self.path.clone(),
            source,
        })?;
        let got = Digest::of(&bytes);
        if got == self.sha256 { Ok(bytes) } else { Err(PackError::Differs { id: self.id.clone(), expected: self.sha256, got }) }
    }
}

/// Two pictures of single people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// One.
    pub a: &'a PackPicture,
    /// The other.
    pub b: &'a PackPicture,
    /// Whether both show one person.
    pub mated: bool,
}

/// A pack: the pictures that are on this machine, and the ids of those that are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Its name.
    pub name: String,
    /// Pictures that are there, in the manifest's order.
    pub pictures: Vec<PackPicture>,
    /// Ids of pictures that are not.
    pub missing: Vec<String>,
}

impl Pack {
    /// `registry-mini`, as far as it is in `dir` (usually [`crate::default_dir`]).
    #[must_use]
    pub fn registry_mini(dir: &Path) -> Self {
        Self::load(&PackManifest::registry_mini(), dir)
    }

    /// The pack of a manifest, as far as it is in `dir`. Content is checked when a picture is read.
    #[must_use]
    pub fn load(manifest: &PackManifest, dir: &Path) -> Self {
        let mut pack = Self { name: manifest.name().to_owned(), pictures: Vec::new(), missing: Vec::new() };
        for entry in manifest.pictures() {
            let path = dir.join(manifest.name()).join(&entry.id);
            if !path.is_file() {
                pack.missing.push(entry.id.clone());
                continue;
            }
            let identity = match entry.identity.as_str() {
                "(none)" => Identity::Nobody,
                "(multi)" => Identity::Several,
                name => Identity::Person(name.to_owned()),
            };
            pack.pictures.push(PackPicture {
                id: entry.id.clone(),
                path,
                identity,
                note: entry.note.clone(),
                sha256: entry.sha256,
                pack: manifest.name().to_owned(),
            });
        }
        pack
    }

    /// The picture of that id, when it is there.
    #[must_use]
    pub fn picture(&self, id: &str) -> Option<&PackPicture> {
        self.pictures.iter().find(|picture| picture.id == id)
    }

    /// Every pair of pictures of single people, each once.
    #[must_use]
    pub fn pairs(&self) -> Vec<Pair<'_>> {
        let people: Vec<&PackPicture> = self.pictures.iter().filter(|picture| matches!(picture.identity, Identity::Person(_))).collect();
        let with_later = people.iter().enumerate().flat_map(|(index, a)| people.iter().skip(index + 1).map(move |b| (*a, *b)));
        with_later.map(|(a, b)| Pair { a, b, mated: a.identity == b.identity }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_from_identities_and_what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("registry-mini");
        fs::create_dir(&folder).unwrap();
        for id in ["fr_obama.jpg", "fr_obama2.jpg", "fr_biden.jpg", "pf_multi_face.jpg"] {
            fs::write(folder.join(id), b"other bytes").unwrap();
        }
        let pack = Pack::registry_mini(dir.path());
        assert_eq!((pack.pictures.len(), pack.missing.len()), (4, 38));
        let pairs = pack.pairs();
        assert_eq!((pairs.len(), pairs.iter().filter(|pair| pair.mated).count()), (3, 1));
        assert_eq!(pack.picture("pf_multi_face.jpg").unwrap().identity, Identity::Several);
        assert!(matches!(pack.pictures[0].read(), Err(PackError::Differs { .. })));
    }
}
