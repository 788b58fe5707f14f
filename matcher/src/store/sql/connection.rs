//! A connection to either engine: the statements of this folder run on both.
//!
//! Statements number their parameters `?1`, `?2`, …, name the target of every `ON CONFLICT`, count with `FILTER`, and
//! use nothing that one engine has alone; the few exceptions are the methods below that give a piece of SQL. Not here:
//! how connections are opened, and pools: `sqlite` and `postgres`.

use std::cell::RefCell;

use super::{
    audit::Waiting,
    postgres::{self, Session},
    sqlite,
    value::{AsValue, Cell, Value},
};
use crate::store::{StoreError, TimeMs};

/// A connection, and the audit entries of its transaction that wait for the commit.
pub(in crate::store) struct Connection {
    engine: Engine,
    waiting: RefCell<Vec<Waiting>>,
    /// Rows that statements changed which somebody may ask about.
    done: RefCell<Vec<usize>>,
}

/// An engine.
pub(super) enum Engine {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Session>),
}

/// A row, as an engine lends it.
pub(super) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// A column's value; nothing when there is no such column, or it is of a kind that no column has.
    pub(super) fn cell(&self, name: &str) -> Option<Cell<'_>> {
        self.cell_at(self.place(name, 0)?)
    }

    /// The value of the column at a place.
    pub(super) fn cell_at(&self, place: usize) -> Option<Cell<'_>> {
        match self {
            Self::Sqlite(row) => Cell::of(row.get_ref(place).ok()?),
            Self::Postgres(row) => row.try_get(place).ok(),
        }
    }

    /// Where a column is; nothing when there is no such column. It is looked for at `guess` first: names are compared for
    /// every value that is read.
    pub(super) fn place(&self, name: &str, guess: usize) -> Option<usize> {
        match self {
            Self::Sqlite(row) => {
                let statement: &rusqlite::Statement<'_> = row.as_ref();
                let is_there = statement.column_name(guess).is_ok_and(|there| there == name);
                if is_there { Some(guess) } else { statement.column_index(name).ok() }
            }
            Self::Postgres(row) => {
                let columns = row.columns();
                let is_there = columns.get(guess).is_some_and(|there| there.name() == name);
                if is_there { Some(guess) } else { columns.iter().position(|column| column.name() == name) }
            }
        }
    }
}

/// Whether a transaction may run while other processes write, or shuts them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// Beside others of this kind: what they might both write is decided by keys and row locks.
    Beside,
    /// Alone: it may read what it then changes.
    Alone,
}

/// What a transaction goes back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(usize);

impl Connection {
    /// To SQLite.
    pub(super) fn sqlite(connection: rusqlite::Connection) -> Self {
        Self { engine: Engine::Sqlite(connection), waiting: RefCell::default(), done: RefCell::default() }
    }

    /// To PostgreSQL.
    pub(super) fn postgres(session: Session) -> Self {
        Self { engine: Engine::Postgres(Box::new(session)), waiting: RefCell::default(), done: RefCell::default() }
    }

    /// Audit entries that wait for the commit.
    pub(super) fn waiting(&self) -> &RefCell<Vec<Waiting>> {
        &self.waiting
    }

    /// Runs a query; an error of `each` ends it.
    pub(super) fn rows(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(connection) => sqlite::rows(connection, sql, values, each),
            Engine::Postgres(session) => session.rows(sql, values, each),
        }
    }

    /// Asks queries that do not depend on each other, so that a server is waited for once and not for each: the same query with the
    /// same values, when it is made, is given what came. A file is asked then.
    pub(super) fn ahead(&self, queries: &[(&str, &[&dyn AsValue])]) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(session) => session.ahead(queries),
        }
    }

    /// Runs queries that see one state of a file; each sees the latest of a database on a server.
    pub(super) fn in_one_state<T>(&self, queries: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &self.engine {
            Engine::Sqlite(connection) => {
                // A lock and an emptied cache for all of them, not for each.
                sqlite::step(connection, "BEGIN")?;
                let answer = queries(self);
                sqlite::step(connection, "COMMIT")?;
                answer
            }
            Engine::Postgres(_) => queries(self),
        }
    }

    /// Runs a statement that changes rows; says how many. A row that must not exist twice is a conflict of `what`.
    pub(super) fn change(&self, sql: &str, values: &[Value<'_>], what: &'static str) -> Result<usize, StoreError> {
        match &self.engine {
            Engine::Sqlite(connection) => sqlite::change(connection, sql, values, what),
            Engine::Postgres(session) => session.change(sql, values, what),
        }
    }

    /// Runs a statement that changes rows, now or before the next one that is waited for: nothing may depend on it but
    /// rows. Its place among the counts of [`Connection::counts`].
    pub(super) fn later(&self, sql: &str, values: &[Value<'_>], what: &'static str) -> Result<usize, StoreError> {
        match &self.engine {
            Engine::Sqlite(connection) => {
                let rows = sqlite::change(connection, sql, values, what)?;
                let mut done = self.done.borrow_mut();
                done.push(rows);
                Ok(done.len() - 1)
            }
            Engine::Postgres(session) => Ok(session.later(sql, values, what)),
        }
    }

    /// Inserts a row that nobody asks about before the transaction ends: `sql` ends with its `VALUES`. Rows of one statement
    /// go together, in the order of each statement's first.
    pub(super) fn insert(&self, sql: &str, values: &[Value<'_>], what: &'static str) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(connection) => sqlite::change(connection, sql, values, what).map(drop),
            Engine::Postgres(session) => {
                session.insert(sql, values, what);
                Ok(())
            }
        }
    }

    /// Waits for the statements that were to be run later, not for inserts; says how many rows each of them changed.
    pub(super) fn counts(&self) -> Result<Vec<usize>, StoreError> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(self.done.take()),
            Engine::Postgres(session) => session.counts(),
        }
    }

    /// Waits for everything that was to be run later.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(_) => self.done.borrow_mut().clear(),
            Engine::Postgres(session) => session.settle()?,
        }
        Ok(())
    }

    /// Inserts rows; `sql` ends with its `VALUES`.
    pub(super) fn insert_all(&self, sql: &str, rows: &[Vec<Value<'_>>], what: &'static str) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(connection) => rows.iter().try_for_each(|row| sqlite::change(connection, sql, row, what).map(drop)),
            Engine::Postgres(session) => session.insert_all(sql, rows, what),
        }
    }

    /// Runs statements without parameters.
    #[cfg(test)]
    pub(super) fn run(&self, sql: &str) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(connection) => connection.execute_batch(sql).map_err(super::unavailable),
            Engine::Postgres(session) => session.run(sql),
        }
    }

    /// Begins a transaction that is going to write.
    pub(super) fn begin(&self, isolation: Isolation) -> Result<(), StoreError> {
        self.waiting.borrow_mut().clear();
        match &self.engine {
            // Writers of a file take turns, whatever they are.
            Engine::Sqlite(connection) => sqlite::step(connection, "BEGIN IMMEDIATE"),
            Engine::Postgres(session) => session.begin(isolation),
        }
    }

    /// Makes the transaction durable.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        self.settle()?;
        match &self.engine {
            Engine::Sqlite(connection) => sqlite::step(connection, "COMMIT"),
            Engine::Postgres(session) => session.run("COMMIT"),
        }
    }

    /// Undoes the transaction, if there is one.
    pub(super) fn roll_back(&self) -> Result<(), StoreError> {
        self.waiting.borrow_mut().clear();
        self.drop_later();
        match &self.engine {
            Engine::Sqlite(connection) if connection.is_autocommit() => Ok(()),
            Engine::Sqlite(connection) => sqlite::step(connection, "ROLLBACK"),
            Engine::Postgres(session) => session.roll_back(),
        }
    }

    /// Whether a savepoint costs little beside a change: it costs SQLite copies of pages, and PostgreSQL two messages, so that
    /// there changes are made without, and made again with, if one of them fails.
    pub(super) fn has_cheap_savepoints(&self) -> bool {
        matches!(self.engine, Engine::Sqlite(_))
    }

    /// Whether the engine has undone the transaction by itself (SQLite, on a full disk and the like).
    pub(super) fn is_undone(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(connection) => connection.is_autocommit(),
            Engine::Postgres(_) => false,
        }
    }

    /// Begins what can be undone on its own; what was to be run later is not part of it.
    pub(super) fn mark(&self) -> Result<Mark, StoreError> {
        self.settle()?;
        self.step("SAVEPOINT change")?;
        Ok(Mark(self.waiting.borrow().len()))
    }

    /// Undoes what was done since a mark.
    pub(super) fn back_to(&self, mark: Mark) -> Result<(), StoreError> {
        self.waiting.borrow_mut().truncate(mark.0);
        self.drop_later();
        self.step("ROLLBACK TO SAVEPOINT change")
    }

    /// Ends what could be undone on its own.
    pub(super) fn release(&self) -> Result<(), StoreError> {
        self.step("RELEASE SAVEPOINT change")
    }

    fn drop_later(&self) {
        self.done.borrow_mut().clear();
        if let Engine::Postgres(session) = &self.engine {
            session.drop_later();
        }
    }

    /// Makes the next parts of what is kept in parts.
    pub(super) fn make_room(&self, now: TimeMs) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(session) => postgres::schema::make_parts(session, now),
        }
    }

    fn step(&self, sql: &'static str) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(connection) => sqlite::step(connection, sql),
            Engine::Postgres(session) => session.run(sql),
        }
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Integer,
    Real,
    Text,
    Blob,
}

impl Kind {
    /// The kind of a type's name, in either engine.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        match word {
            "INTEGER" | "int8" | "int2" => Some(Self::Integer),
            "REAL" | "float8" => Some(Self::Real),
            "TEXT" | "text" => Some(Self::Text),
            "BLOB" | "bytea" => Some(Self::Blob),
            _ => None,
        }
    }
}

/// Pieces of SQL that differ.
impl Connection {
    /// At the end of a query inside a write: nobody else changes its rows until the commit.
    pub(super) fn for_update(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => "",
            Engine::Postgres(_) => " FOR UPDATE",
        }
    }

    /// At the end of a query that picks work: rows that somebody else is just taking are passed over.
    pub(super) fn skip_locked(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => "",
            Engine::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// An id in the form of a UUID.
    pub(super) fn id_text(&self, column: &str) -> String {
        match self.engine {
            Engine::Sqlite(_) => {
                let part = |from, len| format!("substr(hex({column}), {from}, {len})");
                format!(
                    "lower({} || '-' || {} || '-' || {} || '-' || {} || '-' || {})",
                    part(1, 8),
                    part(9, 4),
                    part(13, 4),
                    part(17, 4),
                    part(21, 12)
                )
            }
            Engine::Postgres(_) => format!("CAST(CAST(encode({column}, 'hex') AS uuid) AS text)"),
        }
    }

    /// A condition on rows of the feed: nothing can come before them any more.
    pub(super) fn feed_bound(&self) -> &'static str {
        match self.engine {
            // Writers take turns, and what they commit is seen in the order of its numbers.
            Engine::Sqlite(_) => "era >= 0",
            Engine::Postgres(_) => "era < CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)",
        }
    }

    /// A query for the position up to which everything is seen, as `era` and `number`.
    pub(super) fn feed_head(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => "SELECT 0 AS era, coalesce(max(number), 0) AS number FROM feed",
            Engine::Postgres(_) => {
                "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) - 1 AS era,
                     CAST(9223372036854775807 AS bigint) AS number"
            }
        }
    }

    /// A query for the tables that have a column `subject_id`, by name, as `name`.
    pub(super) fn tables_of_persons(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => {
                "SELECT t.name FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c
                 WHERE t.schema = 'main' AND t.type = 'table' AND c.name = 'subject_id' ORDER BY t.name"
            }
            // Partitions are parts of a table that is named itself.
            Engine::Postgres(_) => {
                "SELECT CAST(c.relname AS text) AS name FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
                 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                     AND a.attname = 'subject_id' ORDER BY c.relname COLLATE \"C\""
            }
        }
    }

    /// A query for the names of all tables that hold records, as `name`.
    pub(super) fn all_tables(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => {
                "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
            }
            Engine::Postgres(_) => {
                "SELECT CAST(relname AS text) AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace
                     AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'schema_version'"
            }
        }
    }

    /// A query for `name`, `kind` and `place` in the primary key of the columns of the table `?1`.
    pub(super) fn columns_of_a_table(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => "SELECT name, type AS kind, pk AS place FROM pragma_table_info(?1)",
            Engine::Postgres(_) => {
                "SELECT CAST(a.attname AS text) AS name, CAST(t.typname AS text) AS kind,
                     coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0) AS place
                 FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                     JOIN pg_type AS t ON t.oid = a.atttypid
                     LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
                 WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ?1"
            }
        }
    }
}
