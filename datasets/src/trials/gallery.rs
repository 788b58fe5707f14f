//! A gallery and the probes to search for in it.
//!
//! `gallery.csv`: `identity`, `image`. `probes.csv`: `image`, and `identity` (or
//! `identity_or_empty_if_not_enrolled`): empty, or one that the gallery does not have, is a non-mated search.

use std::{collections::HashMap, path::Path};

use super::{
    subjects::name_of,
    table::{Numbers, Pictures, Table, TrialsError},
};

/// One reference of a gallery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GalleryEntry {
    /// Number of its subject, from 0.
    pub subject: usize,
    /// Number of its picture.
    pub picture: usize,
}

/// One search to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Number of its picture.
    pub picture: usize,
    /// Number of its subject. That of a person without a name is taken from the picture's path.
    pub subject: usize,
    /// Whether the gallery has the subject.
    pub mated: bool,
}

/// Searches to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchTrials {
    /// The pictures of gallery and probes, each once.
    pub pictures: Pictures,
    /// The gallery.
    pub gallery: Vec<GalleryEntry>,
    /// The searches.
    pub probes: Vec<Probe>,
    /// How many subjects there are in gallery and probes.
    pub subjects: usize,
}

/// Reads a gallery and its probes.
///
/// # Errors
/// What is wrong, by line and column, or which picture is missing.
pub fn read_searches(gallery: &Path, probes: &Path) -> Result<SearchTrials, TrialsError> {
    let mut pictures = Pictures::default();
    let mut names = Numbers::default();
    let mut references = Vec::new();
    let mut enrolled: HashMap<usize, ()> = HashMap::new();
    let table = Table::read(gallery, &["identity", "image"])?;
    for row in table.rows() {
        let subject = names.of(row.required("identity")?);
        enrolled.insert(subject, ());
        references.push(GalleryEntry { subject, picture: pictures.of_cell(&row, "image")? });
    }
    if references.is_empty() {
        return Err(TrialsError::Empty { path: gallery.into(), what: "reference" });
    }
    let table = Table::read(probes, &["image"])?;
    let column = if table.has("identity") { "identity" } else { "identity_or_empty_if_not_enrolled" };
    if !table.has(column) {
        // Without it every search would count as non-mated.
        let expected = "a column of this name, or identity_or_empty_if_not_enrolled, in the header".into();
        return Err(TrialsError::Malformed { path: probes.into(), line: 1, column: "identity".into(), expected });
    }
    let mut searches = Vec::new();
    for row in table.rows() {
        let picture = pictures.of_cell(&row, "image")?;
        let named = row.optional(column).map(|name| names.of(name));
        let mated = named.is_some_and(|subject| enrolled.contains_key(&subject));
        let subject = named.unwrap_or_else(|| names.of(&format!("(unnamed) {}", name_of(pictures.id(picture)))));
        searches.push(Probe { picture, subject, mated });
    }
    if searches.is_empty() {
        return Err(TrialsError::Empty { path: probes.into(), what: "probe" });
    }
    Ok(SearchTrials { pictures, gallery: references, probes: searches, subjects: names.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::table::tests::folder;

    fn read(gallery: &str, probes: &str) -> Result<SearchTrials, TrialsError> {
        let files = [("g.csv", gallery), ("p.csv", probes), ("A/A_1.jpg", "x"), ("A/A_2.jpg", "x"), ("B/B_1.jpg", "x"), ("B/B_2.jpg", "x")];
        let folder = folder(&files);
        read_searches(&folder.path().join("g.csv"), &folder.path().join("p.csv"))
    }

    #[test]
    fn who_is_not_in_the_gallery_is_searched_for_in_vain() {
        let probes = "image,identity_or_empty_if_not_enrolled\nA/A_2.jpg,A\nB/B_1.jpg,\nB/B_2.jpg,\nB/B_1.jpg,Other\n";
        let trials = read("identity,image\nA,A/A_1.jpg\n", probes).unwrap();
        let mated: Vec<bool> = trials.probes.iter().map(|probe| probe.mated).collect();
        let subjects: Vec<usize> = trials.probes.iter().map(|probe| probe.subject).collect();
        // A is 0; both nameless pictures of B are one subject; Other is one of its own.
        assert_eq!((mated, subjects, trials.subjects), (vec![true, false, false, false], vec![0, 1, 1, 2], 3));
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |gallery, probes, expected: &str| {
            let error = read(gallery, probes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("identity,image\n", "image,identity\n", "g.csv: expected at least one reference");
        check("identity,image\nA,A/A_1.jpg\n", "image\nA/A_2.jpg\n", "p.csv: line 1: identity: expected a column");
        check("identity,image\nA,A/A_9.jpg\n", "image,identity\n", "g.csv: line 2: image: expected a picture at ");
    }
}
