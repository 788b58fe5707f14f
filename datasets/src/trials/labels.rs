//! Labels of presentations: bona fide ones and attacks.
//!
//! CSV columns: `image`, `bona_fide` (1 or 0), `attack` (the species of the instrument, such as `print`;
//! `none` for bona fide) or `species`, and where known `identity` and `session`.

use std::path::Path;

use super::table::{Pictures, Table, TrialsError};

/// One picture of a live person or of something held up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presentation {
    /// Number of its picture.
    pub picture: usize,
    /// The species of the attack's instrument; none when bona fide.
    pub species: Option<String>,
    /// Who it shows, or is to pass for.
    pub identity: Option<String>,
    /// When or where it was taken.
    pub session: Option<String>,
}

/// Labelled presentations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presentations {
    /// The pictures, each once.
    pub pictures: Pictures,
    /// What each is, in the file's order.
    pub presentations: Vec<Presentation>,
}

/// Reads a file of labels.
///
/// # Errors
/// What is wrong, by line and column, or which picture is missing.
pub fn read_labels(path: &Path) -> Result<Presentations, TrialsError> {
    let table = Table::read(path, &["image", "bona_fide"])?;
    let column = if table.has("species") { "species" } else { "attack" };
    let mut pictures = Pictures::default();
    let mut presentations = Vec::new();
    for row in table.rows() {
        let bona_fide = row.flag("bona_fide")?;
        let named = row.optional(column).filter(|species| *species != "none");
        let species = match (bona_fide, named) {
            (true, None) => None,
            (false, Some(species)) => Some(species.to_owned()),
            (true, Some(_)) => return Err(row.wrong(column, "none or nothing, since bona_fide is 1")),
            (false, None) => return Err(row.wrong(column, "the species of the attack's instrument, since bona_fide is 0")),
        };
        presentations.push(Presentation {
            picture: pictures.of_cell(&row, "image")?,
            species,
            identity: row.optional("identity").map(str::to_owned),
            session: row.optional("session").map(str::to_owned),
        });
    }
    if presentations.is_empty() {
        return Err(TrialsError::Empty { path: path.into(), what: "presentation" });
    }
    Ok(Presentations { pictures, presentations })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::table::tests::folder;

    fn read(text: &str) -> Result<Presentations, TrialsError> {
        let folder = folder(&[("l.csv", text), ("a.jpg", "x"), ("b.jpg", "x")]);
        read_labels(&folder.path().join("l.csv"))
    }

    #[test]
    fn species_and_identities_are_read() {
        let read = read("image,bona_fide,attack,identity,session\na.jpg,1,none,7,1\nb.jpg,0,print,,\n").unwrap();
        let [live, print] = read.presentations.as_slice() else { panic!("two presentations") };
        assert_eq!((live.species.as_deref(), live.identity.as_deref(), live.session.as_deref()), (None, Some("7"), Some("1")));
        assert_eq!((print.species.as_deref(), print.identity.as_deref(), print.picture), (Some("print"), None, 1));
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn contradictions_are_named() {
        check("image,bona_fide,attack\na.jpg,1,print\n", "l.csv: line 2: attack: expected none or nothing");
        check("image,bona_fide,attack\na.jpg,0,none\n", "l.csv: line 2: attack: expected the species");
        check("image,bona_fide,species\nc.jpg,0,print\n", "l.csv: line 2: image: expected a picture at ");
        check("image,bona_fide\n", "l.csv: expected at least one presentation");
    }
}
