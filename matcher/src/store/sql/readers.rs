//! A small pool of connections that only read, used from threads that may block.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use deadpool_postgres::Pool;
use tokio::{sync::Semaphore, task};

use super::{
    columns::Asked,
    connection::{Connection, Row},
    postgres::{self, PostgresUrl, Session},
    sqlite, unavailable,
    value::Held,
};
use crate::store::StoreError;

/// Reads at a time. WAL readers block nobody; more than the cores of a small machine gain nothing.
const CONNECTIONS: usize = 4;

/// The pool.
pub(super) enum Readers {
    Sqlite { free: Arc<Mutex<Vec<Connection>>>, permits: Arc<Semaphore> },
    Postgres(Pool),
}

impl Readers {
    /// Opens the connections to a file.
    pub(super) fn of_file(path: &Path) -> Result<Self, StoreError> {
        let connections = (0..CONNECTIONS).map(|_| sqlite::reader(path).map(Connection::sqlite)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Sqlite { free: Arc::new(Mutex::new(connections)), permits: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    /// Makes the pool to a database; its connections are opened when they are needed.
    pub(super) fn of_postgres(url: &PostgresUrl) -> Result<Self, StoreError> {
        postgres::pool(url, postgres::For::Reading).map(Self::Postgres)
    }

    /// Reads a few rows by their keys, from one state of the store. A file answers on the spot where a connection is free:
    /// what that takes, some ten microseconds, is less than to change the thread and back.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if let Self::Sqlite { free, permits } = self
            && let Ok(_permit) = permits.try_acquire()
        {
            let connection = lock(free).pop().ok_or_else(|| unavailable(NoConnection))?;
            let answer = connection.in_one_state(query);
            lock(free).push(connection);
            return answer;
        }
        self.read(|connection| connection.in_one_state(query)).await
    }

    /// Runs a query that may have thousands of rows. A server's are decoded where they arrive: a thread that may block would be woken for
    /// every few of them.
    pub(super) async fn read_many<T: Send + 'static>(&self, asked: Asked<T>) -> Result<Vec<T>, StoreError> {
        match self {
            Self::Sqlite { .. } => {
                let read = move |connection: &Connection| {
                    let values: Vec<_> = asked.values.iter().map(Held::value).collect();
                    let mut records = Vec::new();
                    let mut each = |row: Row<'_>| {
                        records.push(asked.decode(&row)?);
                        Ok(())
                    };
                    connection.rows(&asked.sql, &values, &mut each)?;
                    Ok(records)
                };
                self.read(read).await
            }
            Self::Postgres(pool) => {
                let mut records = Vec::new();
                let each = |row: Row<'_>| {
                    records.push(asked.decode(&row)?);
                    Ok(())
                };
                postgres::stream(pool, &asked.sql, &asked.values, each).await?;
                Ok(records)
            }
        }
    }

    /// Runs a query on a free connection, waiting for one if need be.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self {
            Self::Sqlite { free, permits } => {
                let permit = Arc::clone(permits).acquire_owned().await.map_err(unavailable)?;
                let free = Arc::clone(free);
                let read = move || {
                    let taken = lock(&free).pop();
                    let connection = taken.ok_or_else(|| unavailable(NoConnection))?;
                    let answer = query(&connection);
                    lock(&free).push(connection);
                    drop(permit);
                    answer
                };
                task::spawn_blocking(read).await.map_err(unavailable)?
            }
            Self::Postgres(pool) => {
                let session = Session::of_pool(pool).await?;
                task::spawn_blocking(move || query(&Connection::postgres(session))).await.map_err(unavailable)?
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a query ended without giving its connection back")]
struct NoConnection;

fn lock(free: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}
