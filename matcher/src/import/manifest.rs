//! The list of persons: a CSV file with a row for each, in UTF-8 or GB18030.
//!
//! What is wrong with the file is an error that names the column or the row, and nothing is enrolled; what is
//! wrong with one row refuses that row, and the others go on. A number that two rows claim refuses both:
//! which of the photos is right, the file does not say. No message shows a number, a name or a path.

use std::collections::{HashMap, HashSet};

use clap::ValueEnum;
use csv::StringRecord;
use encoding_rs::GB18030;
use jiff::civil::Date;
use matcher_core::{Birth, Identifier, IdentifierError, IdentifierKind, Region};
use thiserror::Error;

use super::Refused;
use crate::app::enrol::{IDENTIFIERS_MAX, PhotoFacts};

mod facts;

const REQUIRED: [&str; 2] = ["card", "photo"];
const OPTIONAL: [&str; 8] =
    ["identity_number", "region", "photo_taken_on", "further_cards", "source", "valid_from", "valid_until", "birth"];

/// How the file's characters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Encoding {
    /// UTF-8 where the whole file is, else GB18030
    #[default]
    Auto,
    /// UTF-8, with or without a byte order mark
    #[value(name = "utf-8")]
    Utf8,
    /// GB18030, and so GBK and GB2312
    Gb18030,
}

/// A file that is no list of persons. Rows count from 1, the row of column names.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The bytes are not of the encoding.
    #[error("manifest: expected {expected}; the bytes of row {row} are not")]
    Encoding {
        /// What was expected.
        expected: &'static str,
        /// Where it breaks.
        row: usize,
    },
    /// A column is missing.
    #[error("manifest: column `{missing}` is missing; found {found}")]
    MissingColumn {
        /// Which one.
        missing: &'static str,
        /// The columns that are there.
        found: String,
    },
    /// A column comes twice.
    #[error("manifest: column `{0}` comes twice")]
    ColumnTwice(String),
    /// A field goes over the end of its line, as it does behind a quotation mark that nothing closes.
    #[error("manifest: row {row}, field {field}: expected no line break; is a quotation mark left open?")]
    LineBreak {
        /// Where the row starts.
        row: u64,
        /// Column, or its number where it has none.
        field: String,
    },
    /// The file cannot be split into fields.
    #[error("manifest: the rows cannot be read")]
    Csv(#[source] csv::Error),
}

/// A person of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Line in the file.
    pub(crate) number: u64,
    /// The card, then the identity number where there is one, then further cards.
    pub(crate) identifiers: Vec<Identifier>,
    /// The photo, as the file names it.
    pub(crate) photo: String,
    /// What is known about it.
    pub(crate) about: PhotoFacts,
    /// When the person was born.
    pub(crate) birth: Option<Birth>,
}

impl Row {
    /// The card for people's eyes.
    pub(crate) fn card(&self) -> String {
        self.identifiers.first().map(Identifier::masked).unwrap_or_default()
    }

    pub(crate) fn refuse(&self, reason: &'static str, detail: impl Into<String>) -> Refused {
        Refused { row: self.number, card: self.card(), reason, detail: detail.into() }
    }
}

/// What the file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Rows in order.
    pub(crate) rows: Vec<Row>,
    /// Rows that are not in order.
    pub(crate) refused: Vec<Refused>,
    /// Columns nobody asked for; they are not read.
    pub(crate) unused: Vec<String>,
}

impl Manifest {
    /// Reads the file.
    pub(crate) fn read(bytes: &[u8], encoding: Encoding, today: Date) -> Result<Self, ManifestError> {
        // Lines are counted by their line feeds, whichever system wrote them.
        let text = decode(bytes, encoding)?.replace("\r\n", "\n").replace('\r', "\n");
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
        let columns = Columns::new(reader.headers().map_err(ManifestError::Csv)?)?;
        let mut manifest = Self { rows: Vec::new(), refused: Vec::new(), unused: columns.unused() };
        for record in reader.records() {
            let record = record.map_err(ManifestError::Csv)?;
            let number = record.position().map_or(0, csv::Position::line);
            columns.refuse_line_breaks(&record, number)?;
            match columns.row(&record, number, today) {
                Ok(row) => manifest.rows.push(row),
                Err(refused) => manifest.refused.push(refused),
            }
        }
        manifest.refuse_duplicates();
        Ok(manifest)
    }

    /// Refuses every row of a number that several rows have.
    fn refuse_duplicates(&mut self) {
        let mut rows_of: HashMap<&Identifier, Vec<u64>> = HashMap::new();
        for row in &self.rows {
            for identifier in &row.identifiers {
                rows_of.entry(identifier).or_default().push(row.number);
            }
        }
        rows_of.retain(|_, rows| rows.len() > 1);
        let twice = |row: &Row| {
            let (identifier, rows) = row.identifiers.iter().find_map(|identifier| rows_of.get_key_value(identifier))?;
            let reason = match identifier.kind() {
                IdentifierKind::SocialSecurityCard => "duplicate_card",
                IdentifierKind::ResidentIdentity => "duplicate_identity_number",
            };
            let rows: Vec<String> = rows.iter().map(u64::to_string).collect();
            Some(row.refuse(reason, format!("rows {} have the same number", rows.join(" and "))))
        };
        let refused: Vec<Refused> = self.rows.iter().filter_map(twice).collect();
        let numbers: HashSet<u64> = refused.iter().map(|refused| refused.row).collect();
        self.rows.retain(|row| !numbers.contains(&row.number));
        self.refused.extend(refused);
        self.refused.sort_by_key(|refused| refused.row);
    }
}

/// Which field is which.
struct Columns(Vec<String>);

impl Columns {
    fn new(header: &StringRecord) -> Result<Self, ManifestError> {
        let names: Vec<String> = header.iter().map(str::to_lowercase).collect();
        if let Some(missing) = REQUIRED.into_iter().find(|required| !names.iter().any(|name| name == required)) {
            let found = names.iter().map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", ");
            return Err(ManifestError::MissingColumn { missing, found });
        }
        let known = |name: &str| REQUIRED.iter().chain(&OPTIONAL).any(|known| *known == name);
        let twice = |(i, name): &(usize, &String)| known(name) && names.iter().skip(i + 1).any(|other| other == *name);
        match names.iter().enumerate().find(twice) {
            Some((_, name)) => Err(ManifestError::ColumnTwice(name.clone())),
            None => Ok(Self(names)),
        }
    }

    fn unused(&self) -> Vec<String> {
        let used = |name: &String| REQUIRED.iter().chain(&OPTIONAL).any(|known| known == name);
        self.0.iter().filter(|name| !used(name) && !name.is_empty()).map(|name| name.escape_debug().to_string()).collect()
    }

    fn field<'r>(&self, record: &'r StringRecord, column: &str) -> &'r str {
        self.0.iter().position(|name| name == column).and_then(|index| record.get(index)).unwrap_or_default()
    }

    fn refuse_line_breaks(&self, record: &StringRecord, row: u64) -> Result<(), ManifestError> {
        let Some(index) = record.iter().position(|field| field.contains('\n')) else { return Ok(()) };
        let field = self.0.get(index).map_or_else(|| (index + 1).to_string(), |name| format!("`{}`", name.escape_debug()));
        Err(ManifestError::LineBreak { row, field })
    }

    fn row(&self, record: &StringRecord, number: u64, today: Date) -> Result<Row, Refused> {
        let field = |column| self.field(record, column);
        let photo = field("photo").to_owned();
        let mut row = Row { number, identifiers: Vec::new(), photo, about: PhotoFacts::default(), birth: None };
        let malformed = |row: &Row, detail: String| row.refuse("malformed_row", detail);
        if record.len() != self.0.len() {
            return Err(malformed(&row, format!("expected {} fields, found {}", self.0.len(), record.len())));
        }
        let wrong = |column: &str, error: &IdentifierError| format!("{column}: {}", without_field(&error.to_string()));
        let region = Region::new(field("region")).map_err(|error| malformed(&row, wrong("region", &error)))?;
        let card = Identifier::new(IdentifierKind::SocialSecurityCard, region, field("card"));
        row.identifiers.push(card.map_err(|error| malformed(&row, wrong("card", &error)))?);
        if !field("identity_number").is_empty() {
            // A national number: it is the same person's in every region.
            let identity = Identifier::new(IdentifierKind::ResidentIdentity, Region::default(), field("identity_number"));
            row.identifiers.push(identity.map_err(|error| malformed(&row, wrong("identity_number", &error)))?);
        }
        for further in field("further_cards").split(';').map(str::trim).filter(|further| !further.is_empty()) {
            let card = further_card(further).map_err(|error| malformed(&row, wrong("further_cards", &error)))?;
            row.identifiers.push(card);
        }
        if row.identifiers.len() > IDENTIFIERS_MAX {
            return Err(malformed(&row, format!("further_cards: expected at most {IDENTIFIERS_MAX} numbers with the others")));
        }
        if row.photo.is_empty() {
            return Err(malformed(&row, "photo: expected the path of a picture, found nothing".into()));
        }
        let birth = row.identifiers.iter().find_map(Identifier::birth);
        row.birth = facts::birth(field("birth"), birth).map_err(|detail| malformed(&row, detail))?;
        row.about = facts::about(field, today).map_err(|detail| malformed(&row, detail))?;
        Ok(row)
    }
}

/// A number, or a region, a slash and a number.
fn further_card(text: &str) -> Result<Identifier, IdentifierError> {
    let (region, number) = text.split_once('/').unwrap_or(("", text));
    Identifier::new(IdentifierKind::SocialSecurityCard, Region::new(region)?, number)
}

/// The message without the name of the wire's field, which is not the column's.
fn without_field(message: &str) -> &str {
    message.split_once(": ").map_or(message, |(_, rest)| rest)
}

fn decode(bytes: &[u8], encoding: Encoding) -> Result<String, ManifestError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let utf8 = std::str::from_utf8(bytes);
    let gb18030 = || GB18030.decode_without_bom_handling_and_without_replacement(bytes).map(std::borrow::Cow::into_owned);
    match (encoding, utf8) {
        (Encoding::Auto | Encoding::Utf8, Ok(text)) => Ok(text.to_owned()),
        (Encoding::Utf8, Err(error)) => Err(broken("UTF-8", bytes, error.valid_up_to())),
        (Encoding::Auto, Err(error)) => gb18030().ok_or_else(|| broken("UTF-8 or GB18030", bytes, error.valid_up_to())),
        (Encoding::Gb18030, _) => gb18030().ok_or_else(|| broken("GB18030", bytes, gb18030_valid_up_to(bytes))),
    }
}

fn broken(expected: &'static str, bytes: &[u8], at: usize) -> ManifestError {
    let row = 1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
    ManifestError::Encoding { expected, row }
}

/// The end of the last line that decodes. No byte of a GB18030 character is a line feed.
fn gb18030_valid_up_to(bytes: &[u8]) -> usize {
    let decodes = |line: &&[u8]| GB18030.decode_without_bom_handling_and_without_replacement(line).is_some();
    bytes.split_inclusive(|byte| *byte == b'\n').take_while(decodes).map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests;
