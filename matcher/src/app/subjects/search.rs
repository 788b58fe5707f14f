//! Looking for what was deleted, byte by byte, in every file of a folder.
//!
//! Sealed records leave fragments to look for: a few bytes of every kilobyte, so that a page of the database that still
//! held a part of one would be found. What should never have been readable is looked for as well: numbers, photos and
//! templates as they are before sealing.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use aho_corasick::AhoCorasick;
use serde::Serialize;

use crate::{
    store::subjects::SubjectFile,
    vault::{DataKey, IdentifierContext, RecordContext},
};

/// Bytes of one fragment: no other record has the same by chance.
const FRAGMENT_LEN: usize = 24;
/// Bytes from one fragment to the next: less than a page of the database.
const STRIDE: usize = 1_000;

/// What is looked for.
#[derive(Default)]
pub struct Needles {
    fragments: Vec<Vec<u8>>,
    kinds: Vec<&'static str>,
}

impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needles([{} fragments])", self.fragments.len())
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Fragments that were looked for.
    pub fragments: usize,
    /// How often something was found, by file and kind.
    pub found: BTreeMap<String, u64>,
}

impl Needles {
    /// Everything of a person that should be gone once the person is forgotten. With the key, what is under the seals
    /// as well.
    #[must_use]
    pub fn of(file: &SubjectFile, key: Option<&DataKey>) -> Self {
        let mut needles = Self::default();
        let subject = file.subject.subject;
        needles.add("data key", &file.subject.data_key.0);
        for identifier in &file.identifiers {
            needles.add("identifier hash", &identifier.key.hash);
            let Some(sealed) = &identifier.number else { continue };
            needles.add("sealed number", &sealed.0);
            let context = IdentifierContext { subject, key: &identifier.key };
            if let Some(number) = key.and_then(|key| key.open_number(&context, sealed).ok()) {
                needles.add("number", number.expose().as_bytes());
            }
        }
        let mut sealed = |kind: [&'static str; 2], place: &RecordContext<'_>, content: &crate::store::Sealed| {
            needles.add(kind[0], &content.0);
            if let Some(opened) = key.and_then(|key| key.open(place, content).ok()) {
                needles.add(kind[1], &opened);
            }
        };
        for reference in &file.subject.references {
            let place = RecordContext::reference_template(subject, reference.record, &reference.model);
            sealed(["sealed reference", "reference"], &place, &reference.template);
        }
        for photo in &file.photos {
            sealed(["sealed photo", "photo"], &RecordContext::enrolment_photo(subject, photo.photo), &photo.content);
        }
        for (record, probe) in &file.verifications {
            let Some(probe) = probe else { continue };
            let place = RecordContext::probe_template(subject, record.id, &record.model);
            sealed(["sealed probe", "probe"], &place, &probe.template);
            sealed(["sealed sample", "sample"], &RecordContext::probe_sample(subject, record.id), &probe.sample);
        }
        if let Some(birth) = &file.subject.birth {
            needles.add("sealed birth", &birth.0);
        }
        needles
    }

    /// Looks for a record's fragments; shorter than one, for the whole of it.
    fn add(&mut self, kind: &'static str, content: &[u8]) {
        let starts = (0..content.len()).step_by(STRIDE);
        let mut fragments: Vec<&[u8]> = starts.filter_map(|at| content.get(at..at + FRAGMENT_LEN)).collect();
        if fragments.is_empty() && content.len() >= 6 {
            fragments.push(content);
        }
        // A stretch of one value (a border, zeros) would be found anywhere.
        for fragment in fragments.into_iter().filter(|fragment| fragment.iter().any(|byte| Some(byte) != fragment.first())) {
            self.fragments.push(fragment.to_vec());
            self.kinds.push(kind);
        }
    }

    /// Reads every file below a folder.
    ///
    /// # Errors
    /// When a file or folder cannot be read.
    pub fn search(&self, folder: &Path) -> io::Result<Found> {
        let automaton = AhoCorasick::new(&self.fragments).map_err(io::Error::other)?;
        let mut found = Found { files: 0, bytes: 0, fragments: self.fragments.len(), found: BTreeMap::new() };
        self.search_folder(&automaton, folder, folder, &mut found)?;
        Ok(found)
    }

    fn search_folder(&self, automaton: &AhoCorasick, root: &Path, folder: &Path, found: &mut Found) -> io::Result<()> {
        for entry in folder.read_dir()? {
            let path = entry?.path();
            let kind = path.symlink_metadata()?;
            if kind.is_dir() {
                self.search_folder(automaton, root, &path, found)?;
            } else if kind.is_file() {
                let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                found.files += 1;
                found.bytes += kind.len();
                for hit in automaton.stream_find_iter(BufReader::new(File::open(&path)?)) {
                    let kind = self.kinds.get(hit?.pattern().as_usize()).copied().unwrap_or_default();
                    *found.found.entry(format!("{name}: {kind}")).or_default() += 1;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn fragments_are_found_in_any_file_and_named_by_kind() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let photo: Vec<u8> = (0..5_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut needles = Needles::default();
        needles.add("photo", &photo);
        needles.add("number", b"330203001");
        needles.add("border", &[0; 4_000]);
        needles.add("nothing", b"");
        fs::write(dir.path().join("clean"), [0; 10_000]).unwrap();
        let clean = needles.search(dir.path()).unwrap();
        assert_eq!((clean.files, clean.bytes, clean.fragments, clean.found.len()), (1, 10_000, 6, 0));
        fs::write(dir.path().join("sub/page"), &photo[1_900..2_100]).unwrap();
        fs::write(dir.path().join("log"), "card 330203001, again 330203001").unwrap();
        let found = needles.search(dir.path()).unwrap().found;
        let expected = [("log: number".to_owned(), 2), ("sub/page: photo".to_owned(), 1)];
        assert_eq!(found, BTreeMap::from(expected));
        assert_eq!(format!("{needles:?}"), "Needles([6 fragments])");
    }
}
