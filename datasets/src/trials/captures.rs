//! An operator's own stock without labels of who is who: live captures and enrolled references.
//!
//! `references.csv`: `image`, `card`, `sex`, `born` (year), `district`, and where known `household`.
//! `captures.csv`: `image`, `card`, and where known `household`. Cards serve to tell one's own reference from
//! others' and become numbers at once: no message and no result holds one.

use std::{collections::HashMap, path::Path};

use super::table::{Numbers, Pictures, Row, Table, TrialsError};

/// One enrolled reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Number of its picture.
    pub picture: usize,
    /// Number of its card, from 0.
    pub card: usize,
    /// As the stock writes it.
    pub sex: String,
    /// Year of birth.
    pub born: u16,
    /// As the stock writes it.
    pub district: String,
    /// Number of the household, where known.
    pub household: Option<usize>,
}

/// One live capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Number of its picture.
    pub picture: usize,
    /// Which reference its card has, by its place in [`Stock::references`].
    pub own: usize,
    /// Number of the household, where known; the reference's, where only that is.
    pub household: Option<usize>,
}

/// Captures and references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// The pictures, each once. Their ids may hold a card number: they are not for reports.
    pub pictures: Pictures,
    /// One for each card.
    pub references: Vec<Reference>,
    /// The captures.
    pub captures: Vec<Capture>,
    /// How many cards there are.
    pub cards: usize,
}

/// Reads captures and references.
///
/// # Errors
/// What is wrong, by line and column, or which picture is missing.
pub fn read_stock(captures: &Path, references: &Path) -> Result<Stock, TrialsError> {
    let mut pictures = Pictures::default();
    let (mut cards, mut households) = (Numbers::default(), Numbers::default());
    let mut enrolled = Vec::new();
    let mut of_card: HashMap<usize, usize> = HashMap::new();
    for row in Table::read(references, &["image", "card", "sex", "born", "district"])?.rows() {
        let card = cards.of(row.required("card")?);
        if of_card.insert(card, enrolled.len()).is_some() {
            return Err(row.wrong("card", "each card once"));
        }
        enrolled.push(Reference {
            picture: pictures.of_cell(&row, "image")?,
            card,
            sex: row.required("sex")?.to_owned(),
            born: year(&row)?,
            district: row.required("district")?.to_owned(),
            household: row.optional("household").map(|name| households.of(name)),
        });
    }
    let mut live = Vec::new();
    for row in Table::read(captures, &["image", "card"])?.rows() {
        let card = cards.of(row.required("card")?);
        let own = *of_card
            .get(&card)
            .ok_or_else(|| row.wrong("card", "a card that the references have: sex, year and district come from there"))?;
        let household = row.optional("household").map(|name| households.of(name));
        let household = household.or_else(|| enrolled.get(own).and_then(|reference| reference.household));
        live.push(Capture { picture: pictures.of_cell(&row, "image")?, own, household });
    }
    if live.is_empty() || enrolled.len() < 2 {
        return Err(TrialsError::Empty { path: captures.into(), what: "capture, and two references" });
    }
    Ok(Stock { pictures, references: enrolled, captures: live, cards: cards.len() })
}

fn year(row: &Row<'_>) -> Result<u16, TrialsError> {
    let born = row.required("born")?.parse().ok();
    born.filter(|year| (1850..=2200).contains(year)).ok_or_else(|| row.wrong("born", "a year of four digits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::table::tests::folder;

    fn read(captures: &str, references: &str) -> Result<Stock, TrialsError> {
        let folder = folder(&[("c.csv", captures), ("r.csv", references), ("1.jpg", "x"), ("2.jpg", "x"), ("3.jpg", "x")]);
        read_stock(&folder.path().join("c.csv"), &folder.path().join("r.csv"))
    }

    const REFERENCES: &str = "image,card,sex,born,district,household\n1.jpg,SECRET1,f,1950,north,h1\n2.jpg,SECRET2,f,1952,north,\n";

    #[test]
    fn a_capture_takes_what_is_known_from_its_cards_reference() {
        let stock = read("image,card\n3.jpg,SECRET1\n", REFERENCES).unwrap();
        assert_eq!((stock.cards, stock.captures[0].own, stock.captures[0].household), (2, 0, Some(0)));
        assert_eq!((stock.references[1].born, stock.references[1].household), (1952, None));
    }

    #[track_caller]
    fn check(captures: &str, references: &str, expected: &str) {
        let error = read(captures, references).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("SECRET"), "{error}");
    }

    #[test]
    fn complaints_hold_no_card_number() {
        let live = "image,card\n3.jpg,SECRET1\n";
        check("image,card\n3.jpg,SECRET9\n", REFERENCES, "c.csv: line 2: card: expected a card that the references have");
        check(live, &REFERENCES.replace("SECRET2", "SECRET1"), "r.csv: line 3: card: expected each card once");
        check(live, &REFERENCES.replace("1952", "52"), "r.csv: line 3: born: expected a year of four digits");
        check("image,card\n", REFERENCES, "c.csv: expected at least one capture");
    }
}
