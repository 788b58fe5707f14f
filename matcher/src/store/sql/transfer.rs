//! A whole store into another, empty one, of either engine: every row of every table, counted and digested on both sides.
//!
//! Nobody else writes to either meanwhile, and the other has all of it or nothing.

use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    Connection, Location, SqlStore,
    catalogue::{self, Column, DERIVED, LAST, SEEDED, TABLES},
    connection::{Isolation, Kind, Row},
    postgres, sqlite,
    value::{Cell, Value},
};
use crate::store::StoreError;

/// Rows that are held in memory at once.
const CHUNK: i64 = 500;

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 of all of them in the order of their keys, the same on both sides, in hexadecimal digits.
    pub sha256: String,
}

/// A store that was not copied. The other store holds nothing of it.
#[derive(Debug, Error)]
pub enum TransferError {
    /// A store failed.
    #[error("a store failed")]
    Store(#[source] StoreError),
    /// The other store holds records.
    #[error("expected an empty store to copy into, its table {0} has rows")]
    NotEmpty(&'static str),
    /// A store has a table that this program does not know.
    #[error("a store has a table {0} that this program does not know")]
    Unknown(String),
    /// The two have not the same columns, which a test rules out.
    #[error("the two stores have different columns in the table {0}")]
    Schema(&'static str),
    /// What was written is not what was read.
    #[error("the table {0} came out different from what went in; nothing was kept")]
    Different(&'static str),
}

impl SqlStore {
    /// Copies a store into an empty one. Who writes to the first waits meanwhile, and may be answered that it is
    /// unavailable. `told` hears of rows as they are read or checked.
    ///
    /// # Errors
    /// When a store fails, the other is not empty, or what it holds afterwards is not the same.
    pub fn transfer(from: &Location, to: &Location, told: &mut dyn FnMut(&'static str, u64)) -> Result<Vec<Copied>, TransferError> {
        let (from, to) = (connect(from)?, connect(to)?);
        from.begin(Isolation::Alone).map_err(TransferError::Store)?;
        to.begin(Isolation::Alone).map_err(TransferError::Store)?;
        let copied = copy_all(&from, &to, told);
        let done = match &copied {
            Ok(_) => to.commit(),
            Err(_) => to.roll_back(),
        };
        // Nothing was changed there.
        let _ = from.roll_back();
        done.map_err(TransferError::Store)?;
        copied
    }
}

fn connect(location: &Location) -> Result<Connection, TransferError> {
    match location {
        Location::File(path) => sqlite::open(path).map(Connection::sqlite),
        Location::Postgres(url) => postgres::open(url).map(Connection::postgres),
    }
    .map_err(TransferError::Store)
}

fn copy_all(from: &Connection, to: &Connection, told: &mut dyn FnMut(&'static str, u64)) -> Result<Vec<Copied>, TransferError> {
    let tables = || TABLES.into_iter().chain(LAST);
    let mut known: Vec<_> = tables().chain(DERIVED).collect();
    known.sort_unstable();
    for connection in [from, to] {
        let found = catalogue::tables(connection).map_err(TransferError::Store)?;
        if let Some(unknown) = found.into_iter().find(|name| !known.contains(&name.as_str())) {
            return Err(TransferError::Unknown(unknown));
        }
    }
    for table in SEEDED {
        to.change(&format!("DELETE FROM {table}"), &[], table).map_err(TransferError::Store)?;
    }
    for table in tables() {
        let columns = catalogue::columns(to, table).map_err(TransferError::Store)?;
        let same = |one: &[Column], other: &[Column]| {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.name == b.name && a.kind == b.kind)
        };
        if !same(&catalogue::columns(from, table).map_err(TransferError::Store)?, &columns) {
            return Err(TransferError::Schema(table));
        }
        if Table::new(table, columns).page(to, None)?.next().is_some() {
            return Err(TransferError::NotEmpty(table));
        }
    }
    tables().map(|table| copy(from, to, table, told)).collect()
}

fn copy(from: &Connection, to: &Connection, name: &'static str, told: &mut dyn FnMut(&'static str, u64)) -> Result<Copied, TransferError> {
    // The keys of the first engine's schema are enough to tell rows apart in both.
    let table = Table::new(name, catalogue::columns(from, name).map_err(TransferError::Store)?);
    let read = table.walk(from, |rows| {
        let values: Vec<Vec<Value<'_>>> = rows.iter().map(|row| table.values(row)).collect();
        to.insert_all(&table.insert(), &values, name).map_err(TransferError::Store)?;
        told(name, rows.len() as u64);
        Ok(())
    })?;
    let written = table.walk(to, |rows| {
        told(name, rows.len() as u64);
        Ok(())
    })?;
    if read == written { Ok(read) } else { Err(TransferError::Different(name)) }
}

/// A value of a row that was read.
#[derive(Debug, Clone)]
enum Held {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

struct Table {
    name: &'static str,
    columns: Vec<Column>,
}

impl Table {
    fn new(name: &'static str, columns: Vec<Column>) -> Self {
        Self { name, columns }
    }

    fn names(&self) -> String {
        self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn insert(&self) -> String {
        let places: Vec<_> = (1..=self.columns.len()).map(|place| format!("?{place}")).collect();
        format!("INSERT INTO {} ({}) VALUES ({})", self.name, self.names(), places.join(", "))
    }

    /// Places of the key's columns, in the key's order.
    fn key(&self) -> Vec<usize> {
        let mut key: Vec<_> = self.columns.iter().enumerate().filter(|(_, column)| column.key > 0).collect();
        key.sort_by_key(|(_, column)| column.key);
        key.into_iter().map(|(place, _)| place).collect()
    }

    /// The rows after one, in the order of the key.
    fn page(&self, connection: &Connection, after: Option<&[Held]>) -> Result<std::vec::IntoIter<Vec<Held>>, TransferError> {
        let key = self.key();
        let name = |place: &usize| self.columns.get(*place).map_or("", |column| column.name.as_str());
        let names = key.iter().map(name).collect::<Vec<_>>().join(", ");
        let places = (2..key.len() + 2).map(|place| format!("?{place}")).collect::<Vec<_>>().join(", ");
        let which = if after.is_some() { format!("WHERE ({names}) > ({places})") } else { String::new() };
        let sql = format!("SELECT {} FROM {} {which} ORDER BY {names} LIMIT ?1", self.names(), self.name);
        let mut values = vec![Value::Integer(Some(CHUNK))];
        let all = after.map(|row| self.values(row)).unwrap_or_default();
        values.extend(key.iter().filter(|_| after.is_some()).filter_map(|place| all.get(*place).copied()));
        let mut rows = Vec::new();
        let mut read = |row: Row<'_>| {
            let held = self.columns.iter().map(|column| held(&row, column, self.name));
            rows.push(held.collect::<Result<Vec<_>, _>>()?);
            Ok(())
        };
        connection.rows(&sql, &values, &mut read).map_err(TransferError::Store)?;
        Ok(rows.into_iter())
    }

    /// Reads all rows in chunks; counts and digests them.
    fn walk(
        &self,
        connection: &Connection,
        mut chunk: impl FnMut(&[Vec<Held>]) -> Result<(), TransferError>,
    ) -> Result<Copied, TransferError> {
        let (mut count, mut digest, mut last) = (0_u64, Sha256::new(), None::<Vec<Held>>);
        loop {
            let rows: Vec<_> = self.page(connection, last.as_deref())?.collect();
            for cell in rows.iter().flatten() {
                cell.feed(&mut digest);
            }
            count += rows.len() as u64;
            chunk(&rows)?;
            if rows.len() < usize::try_from(CHUNK).unwrap_or(usize::MAX) {
                let sha256 = crate::keys::hex(&digest.finalize());
                return Ok(Copied { table: self.name, rows: count, sha256 });
            }
            last = rows.into_iter().next_back();
        }
    }

    fn values<'a>(&self, row: &'a [Held]) -> Vec<Value<'a>> {
        row.iter().zip(&self.columns).map(|(held, column)| held.value(column.kind)).collect()
    }
}

fn held(row: &Row<'_>, column: &Column, table: &'static str) -> Result<Held, StoreError> {
    Ok(match row.cell(&column.name).ok_or(StoreError::Corrupt { table, field: "a column" })? {
        Cell::Null => Held::Null,
        Cell::Integer(number) => Held::Integer(number),
        Cell::Real(number) => Held::Real(number),
        Cell::Text(text) => Held::Text(text.to_owned()),
        Cell::Blob(bytes) => Held::Blob(bytes.to_vec()),
    })
}

impl Held {
    fn value(&self, kind: Kind) -> Value<'_> {
        match self {
            Self::Null => match kind {
                Kind::Integer => Value::Integer(None),
                Kind::Real => Value::Real(None),
                Kind::Text => Value::Text(None),
                Kind::Blob => Value::Blob(None),
            },
            Self::Integer(number) => Value::Integer(Some(*number)),
            Self::Real(number) => Value::Real(Some(*number)),
            Self::Text(text) => Value::Text(Some(text)),
            Self::Blob(bytes) => Value::Blob(Some(bytes)),
        }
    }

    /// One form for each value: what it is, how long it is, and it.
    fn feed(&self, digest: &mut Sha256) {
        let number;
        let (mark, bytes): (u8, &[u8]) = match self {
            Self::Null => (0, &[]),
            Self::Integer(value) => {
                number = value.to_be_bytes();
                (1, &number)
            }
            Self::Real(value) => {
                number = value.to_bits().to_be_bytes();
                (2, &number)
            }
            Self::Text(text) => (3, text.as_bytes()),
            Self::Blob(bytes) => (4, bytes),
        };
        digest.update([mark]);
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    }
}
