//! Rows in bulk, past the program: one transaction for a table of SQLite, `COPY` into PostgreSQL.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context, Result};
use rusqlite::types::Value;
use tokio_postgres::NoTls;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// A number.
    Real(f64),
    /// Words without tabs, line ends and backslashes.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<[u8; 16]> for Cell {
    fn from(bytes: [u8; 16]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Cell {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// Where rows go.
pub enum Sink {
    /// A file.
    Sqlite(rusqlite::Connection),
    /// A database.
    Postgres(tokio_postgres::Client),
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Sink(SQLite)",
            Self::Postgres(_) => "Sink(PostgreSQL)",
        })
    }
}

impl Sink {
    /// The store of a center: at an address, or in a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(file: &Path, url: Option<&str>) -> Result<Self> {
        let Some(url) = url else { return Ok(Self::Sqlite(rusqlite::Connection::open(file)?)) };
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        Ok(Self::Postgres(client))
    }

    /// Writes rows into columns of a table.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn put(&mut self, table: &str, columns: &str, rows: impl Iterator<Item = Vec<Cell>>) -> Result<u64> {
        match self {
            Self::Sqlite(connection) => into_sqlite(connection, table, columns, rows),
            Self::Postgres(client) => into_postgres(client, table, columns, rows).await,
        }
        .with_context(|| format!("rows of {table}"))
    }

    /// Runs a statement that both engines take.
    ///
    /// # Errors
    /// When it fails.
    pub async fn run(&self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(connection) => connection.execute_batch(sql)?,
            Self::Postgres(client) => client.batch_execute(sql).await?,
        }
        Ok(())
    }
}

fn into_sqlite(connection: &mut rusqlite::Connection, table: &str, columns: &str, rows: impl Iterator<Item = Vec<Cell>>) -> Result<u64> {
    let transaction = connection.transaction()?;
    let mut written = 0;
    {
        let marks = vec!["?"; columns.split(',').count()].join(", ");
        let mut insert = transaction.prepare(&format!("INSERT INTO {table} ({columns}) VALUES ({marks})"))?;
        for row in rows {
            let values = row.into_iter().map(|cell| match cell {
                Cell::Null => Value::Null,
                Cell::Int(number) => Value::Integer(number),
                Cell::Real(number) => Value::Real(number),
                Cell::Text(text) => Value::Text(text),
                Cell::Bytes(bytes) => Value::Blob(bytes),
            });
            insert.execute(rusqlite::params_from_iter(values))?;
            written += 1;
        }
    }
    transaction.commit()?;
    Ok(written)
}

/// Bytes that are sent at a time.
const CHUNK: usize = 1 << 20;

async fn into_postgres(client: &tokio_postgres::Client, table: &str, columns: &str, rows: impl Iterator<Item = Vec<Cell>>) -> Result<u64> {
    // The client's own sink asks for a crate that nothing else needs: rows go as one statement of many values instead.
    let mut text = String::with_capacity(CHUNK + 4_096);
    let mut written = 0;
    for row in rows {
        if text.is_empty() {
            write!(text, "INSERT INTO {table} ({columns}) VALUES ")?;
        } else {
            text.push(',');
        }
        for (place, cell) in row.into_iter().enumerate() {
            text.push(if place == 0 { '(' } else { ',' });
            match cell {
                Cell::Null => text.push_str("NULL"),
                Cell::Int(number) => write!(text, "{number}")?,
                Cell::Real(number) => write!(text, "{number:?}")?,
                Cell::Text(words) => write!(text, "'{}'", words.replace('\'', "''"))?,
                Cell::Bytes(bytes) => {
                    text.push_str("'\\x");
                    bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}"))?;
                    text.push('\'');
                }
            }
        }
        text.push(')');
        written += 1;
        if text.len() > CHUNK {
            client.batch_execute(&std::mem::take(&mut text)).await?;
        }
    }
    if !text.is_empty() {
        client.batch_execute(&text).await?;
    }
    Ok(written)
}
