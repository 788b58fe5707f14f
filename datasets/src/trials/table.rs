//! Reading a CSV file so that every complaint names file, line and column, and the pictures it lists.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// A file of trials that cannot be used. Messages show no value of a column that may hold a card number.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrialsError {
    /// The file cannot be read.
    #[error("could not read {}", path.display())]
    Read {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is not as expected.
    #[error("{}: line {line}: {column}: expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// From 1; the header is line 1.
        line: u64,
        /// The column's name, or what else of the line is meant.
        column: String,
        /// What should stand there.
        expected: String,
    },
    /// A picture is not there.
    #[error("{}: line {line}: {column}: expected a picture at {}", path.display(), picture.display())]
    MissingPicture {
        /// The file that lists it.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// The column's name.
        column: String,
        /// Where it was looked for.
        picture: PathBuf,
    },
    /// The file holds no trial.
    #[error("{}: expected at least one {what}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// Of what.
        what: &'static str,
    },
}

/// The text of a file; a byte order mark is no part of it.
pub(super) fn read_text(path: &Path) -> Result<String, TrialsError> {
    let text = fs::read_to_string(path).map_err(|source| TrialsError::Read { path: path.into(), source })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// A CSV file with a header line.
pub(super) struct Table {
    path: PathBuf,
    columns: HashMap<String, usize>,
    rows: Vec<(u64, csv::StringRecord)>,
}

impl Table {
    /// Reads a table whose header has these columns, among others.
    pub(super) fn read(path: &Path, required: &[&str]) -> Result<Self, TrialsError> {
        Self::parse(path, &read_text(path)?, required)
    }

    pub(super) fn parse(path: &Path, text: &str, required: &[&str]) -> Result<Self, TrialsError> {
        let malformed = |line, column: &str, expected: String| malformed(path, line, column, expected);
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
        let not_csv =
            |error: &csv::Error| malformed(error.position().map_or(1, csv::Position::line), "line", "comma-separated UTF-8 text".into());
        let header = reader.headers().map_err(|error| not_csv(&error))?.clone();
        let columns: HashMap<String, usize> = header.iter().enumerate().map(|(at, name)| (name.to_owned(), at)).collect();
        if let Some(missing) = required.iter().find(|name| !columns.contains_key(**name)) {
            return Err(malformed(1, missing, format!("a column of this name in the header, beside {}", required.join(", "))));
        }
        if columns.len() != header.len() {
            return Err(malformed(1, "header", "each column once".into()));
        }
        let mut rows = Vec::new();
        let mut lines = Lines { text, at: 0, line: 1 };
        for record in reader.into_records() {
            let record = record.map_err(|error| not_csv(&error))?;
            let line = lines.of(record.position().map_or(0, |position| position.byte() as usize));
            if record.len() != header.len() {
                return Err(malformed(line, "line", format!("{} columns as in the header, got {}", header.len(), record.len())));
            }
            rows.push((line, record));
        }
        Ok(Self { path: path.into(), columns, rows })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, cells)| Row { table: self, line: *line, cells })
    }
}

/// Line numbers of growing places in a text. The CSV reader's own are off after blank lines and after lines
/// that end with a carriage return: it counts from where the line before ended.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, byte: usize) -> u64 {
        let rest = self.text.as_bytes().get(byte..).unwrap_or_default();
        let start = byte + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = self.text.as_bytes().get(self.at..start).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = self.at.max(start);
        self.line
    }
}

fn malformed(path: &Path, line: u64, column: &str, expected: String) -> TrialsError {
    TrialsError::Malformed { path: path.into(), line, column: column.to_owned(), expected }
}

/// One line of a table.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    table: &'a Table,
    pub(super) line: u64,
    cells: &'a csv::StringRecord,
}

impl<'a> Row<'a> {
    /// The cell of an optional column; none when the column is not there or the cell is empty.
    pub(super) fn optional(&self, column: &str) -> Option<&'a str> {
        self.table.columns.get(column).and_then(|at| self.cells.get(*at)).filter(|cell| !cell.is_empty())
    }

    /// The cell of a column that must not be empty.
    pub(super) fn required(&self, column: &str) -> Result<&'a str, TrialsError> {
        self.optional(column).ok_or_else(|| self.wrong(column, "a value"))
    }

    /// 1 or 0.
    pub(super) fn flag(&self, column: &str) -> Result<bool, TrialsError> {
        match self.required(column)? {
            "1" => Ok(true),
            "0" => Ok(false),
            other => Err(self.wrong(column, format!("1 or 0, got {other:?}"))),
        }
    }

    /// Something is wrong with a cell of this line.
    pub(super) fn wrong(&self, column: &str, expected: impl Into<String>) -> TrialsError {
        malformed(&self.table.path, self.line, column, expected.into())
    }
}

/// Each picture that a file lists, once, in the order of appearance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pictures {
    ids: Vec<String>,
    paths: Vec<PathBuf>,
    known: HashMap<PathBuf, usize>,
}

impl Pictures {
    /// The number of a picture; `id` is what the file calls it, relative to `folder`.
    pub(super) fn number(&mut self, file: &Path, line: u64, column: &str, folder: &Path, id: &str) -> Result<usize, TrialsError> {
        let picture = folder.join(id);
        if let Some(number) = self.known.get(&picture) {
            return Ok(*number);
        }
        if !picture.is_file() {
            return Err(TrialsError::MissingPicture { path: file.into(), line, column: column.into(), picture });
        }
        self.ids.push(id.to_owned());
        self.paths.push(picture.clone());
        self.known.insert(picture, self.ids.len() - 1);
        Ok(self.ids.len() - 1)
    }

    /// The number of the picture in a cell, whose path is relative to the table's folder.
    pub(super) fn of_cell(&mut self, row: &Row<'_>, column: &str) -> Result<usize, TrialsError> {
        let file = row.table.path();
        self.number(file, row.line, column, folder_of(file), row.required(column)?)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// What the file calls a picture: its path relative to the file's folder.
    #[must_use]
    pub fn id(&self, number: usize) -> &str {
        self.ids.get(number).map_or("", String::as_str)
    }

    /// All paths, in the order of their numbers.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

/// The folder that paths in a file are relative to.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// Numbers for words, in the order of appearance.
#[derive(Debug, Default)]
pub(super) struct Numbers(HashMap<String, usize>);

impl Numbers {
    pub(super) fn of(&mut self, word: &str) -> usize {
        let next = self.0.len();
        *self.0.entry(word.to_owned()).or_insert(next)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder with these files; pictures are one byte each, which is enough to be there.
    pub(in crate::trials) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = Table::parse(Path::new("t.csv"), text, &["label", "image"]).err().unwrap().to_string();
        assert_eq!(error, expected);
    }

    #[test]
    fn complaints_name_file_line_and_column() {
        check("label,picture\n", "t.csv: line 1: image: expected a column of this name in the header, beside label, image");
        check("label,image,label\n", "t.csv: line 1: header: expected each column once");
        check("label,image\r\n1,a.jpg\r\n\r\n1\r\n", "t.csv: line 4: line: expected 2 columns as in the header, got 1");
        check("label,image\n1,a.jpg\n1\n", "t.csv: line 3: line: expected 2 columns as in the header, got 1");
        check("", "t.csv: line 1: label: expected a column of this name in the header, beside label, image");
    }

    #[test]
    fn cells_are_checked_where_they_are_read() {
        let table = Table::parse(Path::new("t.csv"), "label,image\r\nyes, a.jpg \r\n1,\r\n", &["label"]).unwrap();
        let rows: Vec<Row<'_>> = table.rows().collect();
        assert_eq!(rows[0].flag("label").unwrap_err().to_string(), "t.csv: line 2: label: expected 1 or 0, got \"yes\"");
        assert_eq!(rows[0].required("image").unwrap(), "a.jpg");
        assert_eq!(rows[1].required("image").unwrap_err().to_string(), "t.csv: line 3: image: expected a value");
    }
}
