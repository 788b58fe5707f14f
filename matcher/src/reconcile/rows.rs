//! The list of settlements: a CSV file in UTF-8 or GB18030, row by row.
//!
//! Fields are told apart before their characters are decoded: no byte of a GB18030 character is a comma, a quotation
//! mark or a line feed. What is wrong with one row is a finding with line and column, and the others go on. No message
//! shows a card's number.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::Path,
};

use csv::ByteRecord;
use encoding_rs::GB18030;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use matcher_core::{Identifier, IdentifierKind, Region, Scene};
use thiserror::Error;

use super::Finding;
use crate::{import::Encoding, receipt_command, store::TimeMs};

const REQUIRED: [&str; 7] = ["settlement", "institution", "transaction", "card", "amount", "settled_at", "receipt"];
const OPTIONAL: [&str; 4] = ["scene", "id_kind", "region", "document_checked_by"];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const CHUNK: usize = 64 * 1024;
/// Longest field, in bytes: a receipt at its longest.
const FIELD_LEN_MAX: usize = 4096;

/// A file that is no list of settlements.
#[derive(Debug, Error)]
pub enum RowsError {
    /// A column is missing.
    #[error("settlements: column `{0}` is missing; `matcher reconcile --help` names them all")]
    MissingColumn(&'static str),
    /// A column comes twice.
    #[error("settlements: column `{0}` comes twice")]
    ColumnTwice(&'static str),
    /// The file cannot be split into fields.
    #[error("settlements: the rows cannot be read")]
    Csv(#[source] csv::Error),
}

/// A list that cannot be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// The file cannot be read.
    Read(io::Error),
    /// It is no list.
    Rows(RowsError),
}

/// A settlement of the list.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) settlement: String,
    pub(super) institution: String,
    pub(super) transaction: String,
    pub(super) scene: Scene,
    pub(super) card: Identifier,
    pub(super) amount_fen: u64,
    pub(super) settled_at: TimeMs,
    pub(super) receipt: String,
    pub(super) document_checked_by: String,
}

/// The rows of a file, one after another.
pub(super) struct Rows {
    records: csv::ByteRecordsIntoIter<BufReader<File>>,
    columns: Columns,
    len_bytes: u64,
    at_byte: u64,
}

impl Rows {
    pub(super) fn open(path: &Path, encoding: Encoding) -> Result<Self, OpenError> {
        let mut file = File::open(path).map_err(OpenError::Read)?;
        let len_bytes = file.metadata().map_err(OpenError::Read)?.len();
        let utf8 = match encoding {
            Encoding::Utf8 => true,
            Encoding::Gb18030 => false,
            Encoding::Auto => is_utf8(&mut file).map_err(OpenError::Read)?,
        };
        file.rewind().map_err(OpenError::Read)?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(BufReader::with_capacity(CHUNK, file));
        let columns = Columns::new(reader.byte_headers().map_err(|error| OpenError::Rows(RowsError::Csv(error)))?, utf8);
        Ok(Self { columns: columns.map_err(OpenError::Rows)?, records: reader.into_byte_records(), len_bytes, at_byte: 0 })
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    pub(super) fn at_byte(&self) -> u64 {
        self.at_byte
    }
}

impl Iterator for Rows {
    type Item = Result<Result<Row, Box<Finding>>, RowsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.records.next()? {
            Ok(record) => record,
            Err(error) => return Some(Err(RowsError::Csv(error))),
        };
        let (line, byte) = record.position().map_or((0, self.at_byte), |position| (position.line(), position.byte()));
        self.at_byte = byte;
        Some(Ok(self.columns.row(&record, line)))
    }
}

/// Reads a file to its end, or to the first bytes that are no UTF-8.
fn is_utf8(file: &mut File) -> io::Result<bool> {
    let (mut waiting, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(waiting.is_empty());
        }
        waiting.extend(chunk.iter().take(read));
        match std::str::from_utf8(&waiting) {
            Ok(_) => waiting.clear(),
            // A character that goes on in the next chunk.
            Err(error) if error.error_len().is_none() => waiting.drain(..error.valid_up_to()).for_each(drop),
            Err(_) => return Ok(false),
        }
    }
}

/// Which field is which.
struct Columns {
    names: Vec<String>,
    utf8: bool,
}

impl Columns {
    fn new(header: &ByteRecord, utf8: bool) -> Result<Self, RowsError> {
        let name = |field: &[u8]| {
            let field = field.strip_prefix(BYTE_ORDER_MARK).unwrap_or(field);
            decode(field, utf8).unwrap_or_default().trim().trim_matches('"').to_lowercase()
        };
        let names: Vec<String> = header.iter().map(name).collect();
        let count = |wanted: &str| names.iter().filter(|name| *name == wanted).count();
        if let Some(missing) = REQUIRED.into_iter().find(|required| count(required) == 0) {
            return Err(RowsError::MissingColumn(missing));
        }
        match REQUIRED.into_iter().chain(OPTIONAL).find(|known| count(known) > 1) {
            Some(twice) => Err(RowsError::ColumnTwice(twice)),
            None => Ok(Self { names, utf8 }),
        }
    }

    fn row(&self, record: &ByteRecord, line: u64) -> Result<Row, Box<Finding>> {
        if record.len() != self.names.len() {
            return Err(Finding::bad_row(line, "of all", &format!("{} fields, found {}", self.names.len(), record.len())));
        }
        let fields = Fields { columns: self, record, line };
        let scene = match fields.text("scene")?.as_str() {
            "" => Scene::Settlement,
            word => Scene::from_word(word).ok_or_else(|| fields.wrong("scene", "a scene, such as settlement"))?,
        };
        let kind = match fields.text("id_kind")?.as_str() {
            "" => IdentifierKind::SocialSecurityCard,
            word => IdentifierKind::from_word(word).ok_or_else(|| fields.wrong("id_kind", "social_security_card or resident_identity"))?,
        };
        let region = Region::new(&fields.text("region")?).map_err(|_| fields.wrong("region", "six digits or nothing"))?;
        let card = Identifier::new(kind, region, &fields.text("card")?).map_err(|_| fields.wrong("card", "a number of its kind"))?;
        let amount_fen = receipt_command::amount(&fields.text("amount")?);
        Ok(Row {
            line,
            settlement: fields.name("settlement")?,
            institution: fields.name("institution")?,
            transaction: fields.name("transaction")?,
            scene,
            card,
            amount_fen: amount_fen.map_err(|_| fields.wrong("amount", "yuan with at most two decimals"))?,
            settled_at: time(&fields.text("settled_at")?).ok_or_else(|| fields.wrong("settled_at", "a time"))?,
            receipt: fields.text("receipt")?,
            document_checked_by: fields.text("document_checked_by")?,
        })
    }
}

/// One row's fields by the names of their columns.
struct Fields<'a> {
    columns: &'a Columns,
    record: &'a ByteRecord,
    line: u64,
}

impl Fields<'_> {
    /// A field without spaces around it; empty where there is no such column.
    fn text(&self, column: &'static str) -> Result<String, Box<Finding>> {
        let Some(index) = self.columns.names.iter().position(|name| name == column) else { return Ok(String::new()) };
        let bytes = self.record.get(index).unwrap_or_default();
        if bytes.len() > FIELD_LEN_MAX {
            return Err(self.wrong(column, &format!("at most {FIELD_LEN_MAX} bytes; is a quotation mark left open?")));
        }
        let encoding = if self.columns.utf8 { "UTF-8" } else { "GB18030" };
        let text = decode(bytes, self.columns.utf8).ok_or_else(|| self.wrong(column, &format!("characters in {encoding}")))?;
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(self.wrong(column, "no control characters; is a quotation mark left open?"));
        }
        Ok(text.to_owned())
    }

    fn name(&self, column: &'static str) -> Result<String, Box<Finding>> {
        let text = self.text(column)?;
        if text.is_empty() { Err(self.wrong(column, "a name")) } else { Ok(text) }
    }

    fn wrong(&self, column: &str, expected: &str) -> Box<Finding> {
        Finding::bad_row(self.line, column, expected)
    }
}

fn decode(bytes: &[u8], utf8: bool) -> Option<String> {
    if utf8 {
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    } else {
        GB18030.decode_without_bom_handling_and_without_replacement(bytes).map(std::borrow::Cow::into_owned)
    }
}

/// A time with its offset, or one of this machine's zone.
fn time(text: &str) -> Option<TimeMs> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let civil: DateTime = text.parse().ok()?;
    // A day alone would be its midnight: no settlement's time.
    let has_time = text.contains(':');
    has_time.then(|| civil.to_zoned(TimeZone::system()).ok()).flatten().map(|time| time.timestamp().as_millisecond())
}
