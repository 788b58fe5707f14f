//! Rows into records: a column that is not in the form this version writes is named, never guessed at.

use std::cell::Cell;

use matcher_core::IdentifierKind;

use super::{
    connection::{Connection, Row},
    value::{FromCell, Held, Params},
};
use crate::store::{IdentifierKey, Listing, StoreError};

/// A row of a table.
pub(super) struct Columns<'a> {
    row: &'a Row<'a>,
    table: &'static str,
    /// After the last value that was read: records are mostly read in the order of their columns.
    next: Cell<usize>,
}

impl Columns<'_> {
    /// A column's value.
    pub(super) fn get<T: FromCell>(&self, field: &'static str) -> Result<T, StoreError> {
        let place = self.row.place(field, self.next.get()).ok_or_else(|| self.corrupt(field))?;
        self.next.set(place + 1);
        self.row.cell_at(place).and_then(T::from_cell).ok_or_else(|| self.corrupt(field))
    }

    /// A column of closed words.
    pub(super) fn word<T>(&self, field: &'static str, from_word: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
        let word: String = self.get(field)?;
        from_word(&word).ok_or_else(|| self.corrupt(field))
    }

    /// A number that was written from single precision.
    pub(super) fn single(&self, field: &'static str) -> Result<Option<f32>, StoreError> {
        Ok(self.get::<Option<f64>>(field)?.map(|number| number as f32))
    }

    /// A number from 0.
    pub(super) fn unsigned<T: TryFrom<i64>>(&self, field: &'static str) -> Result<T, StoreError> {
        T::try_from(self.get::<i64>(field)?).map_err(|_| self.corrupt(field))
    }

    /// Says that a column is not in order.
    pub(super) fn corrupt(&self, field: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, field }
    }
}

/// Runs a query and decodes its rows.
pub(super) fn query<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    table: &'static str,
    decode: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut records = Vec::new();
    connection.rows(sql, &parameters.values(), &mut |row| {
        records.push(decode(&Columns { row: &row, table, next: Cell::new(0) })?);
        Ok(())
    })?;
    Ok(records)
}

/// A query that waits to be made, of records of one kind.
pub(super) struct Asked<T> {
    pub(super) sql: String,
    pub(super) values: Vec<Held>,
    pub(super) table: &'static str,
    pub(super) decode: fn(&Columns<'_>) -> Result<T, StoreError>,
}

impl<T> Asked<T> {
    /// Decodes a row of the answer.
    pub(super) fn decode(&self, row: &Row<'_>) -> Result<T, StoreError> {
        (self.decode)(&Columns { row, table: self.table, next: Cell::new(0) })
    }
}

/// Runs a query that has one row or none.
pub(super) fn query_one<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    table: &'static str,
    decode: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    Ok(query(connection, sql, parameters, table, decode)?.pop())
}

/// Runs a statement that changes rows; says how many.
pub(super) fn execute(connection: &Connection, sql: &str, parameters: impl Params, what: &'static str) -> Result<usize, StoreError> {
    connection.change(sql, &parameters.values(), what)
}

/// Inserts a row that nobody asks about before the transaction ends.
pub(super) fn insert(connection: &Connection, sql: &str, parameters: impl Params, what: &'static str) -> Result<(), StoreError> {
    connection.insert(sql, &parameters.values(), what)
}

/// Runs a statement that changes rows, now or before the next one that is waited for; its place among the counts that
/// `counts` gives.
pub(super) fn execute_later(connection: &Connection, sql: &str, parameters: impl Params, what: &'static str) -> Result<usize, StoreError> {
    connection.later(sql, &parameters.values(), what)
}

/// Records that one statement asks for at most.
const ASKED_MAX: usize = 256;

/// Asks for many records with few statements. Lists of keys come in two lengths, so that the engine knows their statements;
/// `filler` makes up the number, and finds nothing.
pub(super) fn query_many<K: Clone, T>(
    keys: &[K],
    filler: &K,
    mut ask: impl FnMut(&[K]) -> Result<Vec<T>, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    for part in keys.chunks(ASKED_MAX) {
        let mut part = part.to_vec();
        part.resize(if part.len() <= 16 { 16 } else { ASKED_MAX }, filler.clone());
        found.extend(ask(&part)?);
    }
    Ok(found)
}

/// The identifier in columns `identifier_kind`, `identifier_region` and `identifier_hash`.
pub(super) fn identifier(columns: &Columns<'_>) -> Result<IdentifierKey, StoreError> {
    Ok(IdentifierKey {
        kind: columns.word("identifier_kind", IdentifierKind::from_word)?,
        region: columns.get("identifier_region")?,
        hash: columns.get("identifier_hash")?,
    })
}

/// The end of a listing's query, newest first; its parameters are the institution (or null), the time and the
/// number of rows. Two forms, so that each finds its index.
pub(super) fn newest_first(listing: &Listing, time: &str) -> String {
    let institution = if listing.institution.is_some() { "institution = ?1" } else { "?1 IS NULL" };
    format!("WHERE {institution} AND {time} >= ?2 ORDER BY {time} DESC, id LIMIT ?3")
}

/// Parameters of [`newest_first`].
pub(super) fn listing_parameters(listing: &Listing) -> (Option<&str>, i64, u32) {
    (listing.institution.as_deref(), listing.since.unwrap_or(i64::MIN), listing.limit.clamp(1, 100_000))
}
