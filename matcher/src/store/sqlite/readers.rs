//! A small pool of connections that only read, used from threads that may block.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task};

use super::{connect, unavailable};
use crate::store::StoreError;

/// Reads at a time. WAL readers block nobody; more than the cores of a small machine gain nothing.
const CONNECTIONS: usize = 4;

/// The pool.
pub(super) struct Readers {
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Opens the connections.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connections = (0..CONNECTIONS).map(|_| reader(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { free: Arc::new(Mutex::new(connections)), permits: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    /// Runs a query on a free connection, waiting for one if need be.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(unavailable)?;
        let free = Arc::clone(&self.free);
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
}

#[derive(Debug, thiserror::Error)]
#[error("a query ended without giving its connection back")]
struct NoConnection;

fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true).map_err(unavailable)?;
    Ok(connection)
}

fn lock(free: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}
