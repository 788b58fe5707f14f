//! PostgreSQL: a database that many processes share.
//!
//! A transaction that writes takes an advisory lock: shared by the writes of counters, which keys and row locks decide
//! between, alone for all others, which may then read what they change as if nobody else were there. Not here: the schema
//! and its partitions ([`schema`]), and SQL that runs on both engines.

use std::{cell::RefCell, fmt, future::Future, pin::pin, str::FromStr, sync::Arc, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Timeouts};
use futures_util::TryStreamExt;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use thiserror::Error;
use tokio::runtime::{self, Handle, Runtime};
use tokio_postgres::{
    Config, NoTls, Statement,
    config::{Host, SslMode},
    types::ToSql,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use ahead::Came;

use super::{
    connection::{Isolation, Row},
    unavailable,
    value::{Held, Value},
};
use crate::store::StoreError;

mod ahead;
pub(super) mod schema;

/// Reads of one process at a time.
const READERS: usize = 8;
/// Rows of one insert, so that the database knows few statements.
const TOGETHER: [usize; 3] = [64, 16, 4];
/// How long a caller waits for a free connection.
const WAIT: Duration = Duration::from_secs(5);
/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Where a database is and as whom it is used.
#[derive(Clone)]
pub struct PostgresUrl {
    config: Config,
    /// How the database is known, where what is said crosses a network.
    tls: Option<ClientConfig>,
}

/// The password stays out.
impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `postgres://USER@HOST:PORT/DATABASE`, without the password.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        write!(
            f,
            "postgres://{}@{host}:{port}/{}",
            self.config.get_user().unwrap_or_default(),
            self.config.get_dbname().unwrap_or_default()
        )
    }
}

/// A text that is no such URL.
#[derive(Debug, Error)]
pub enum UrlError {
    /// It cannot be read.
    #[error("expected postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Form,
    /// A file of certificates is none.
    #[error("expected certificates in PEM")]
    Authority,
}

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let scheme = text.starts_with("postgres://") || text.starts_with("postgresql://");
        let mut config: Config = text.parse().ok().filter(|_| scheme).ok_or(UrlError::Form)?;
        if config.get_user().is_none() || config.get_dbname().is_none() || config.get_hosts().is_empty() {
            return Err(UrlError::Form);
        }
        config.connect_timeout(CONNECT).application_name("countersign matcher");
        Ok(Self { config, tls: None })
    }
}

impl PostgresUrl {
    /// The same with a password that is kept elsewhere.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// The same, with the authority (PEM) that has certified the database.
    ///
    /// # Errors
    /// When the text holds no certificate.
    pub fn with_authority(mut self, pem: &[u8]) -> Result<Self, UrlError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            certificate.ok().and_then(|certificate| roots.add(certificate).ok()).ok_or(UrlError::Authority)?;
        }
        if roots.is_empty() {
            return Err(UrlError::Authority);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = builder.map_err(|_| UrlError::Authority)?.with_root_certificates(roots).with_no_client_auth();
        self.config.ssl_mode(SslMode::Require);
        self.tls = Some(tls);
        Ok(self)
    }

    /// Whether the database is on another machine, so that its authority must be known.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.config.get_hosts().iter().any(|host| match host {
            Host::Tcp(name) => !["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
            Host::Unix(_) => false,
        })
    }
}

/// What a pool's connections are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Reading,
    Writing,
}

/// Makes a pool; its connections are opened when they are needed.
pub(super) fn pool(url: &PostgresUrl, what: For) -> Result<Pool, StoreError> {
    let mut config = url.config.clone();
    // Two statements of one process never wait for each other longer than a call may take.
    let (size, options) = match what {
        For::Reading => (READERS, "-c default_transaction_read_only=on -c jit=off -c statement_timeout=60s"),
        // Whoever writes finds rows by keys; what checks foreign keys would else read tables to their end while the database
        // still believes them small. Nothing here runs long enough to be worth compiling.
        For::Writing => (
            1,
            "-c synchronous_commit=on -c enable_seqscan=off -c jit=off -c lock_timeout=30s -c statement_timeout=120s \
             -c idle_in_transaction_session_timeout=60s",
        ),
    };
    config.options(format!("{} {options}", url.config.get_options().unwrap_or_default()));
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match &url.tls {
        Some(tls) => Manager::from_config(config, MakeRustlsConnect::new(tls.clone()), recycling),
        None => Manager::from_config(config, NoTls, recycling),
    };
    let timeouts = Timeouts { wait: Some(WAIT), create: Some(CONNECT), recycle: Some(CONNECT) };
    Pool::builder(manager).max_size(size).timeouts(timeouts).runtime(deadpool_postgres::Runtime::Tokio1).build().map_err(unavailable)
}

/// Opens a session that writes, and brings the schema up to date. It has a thread of its own to run on, so that it can be
/// called from anywhere.
pub(super) fn open(url: &PostgresUrl) -> Result<Session, StoreError> {
    let open = || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
        let session = Session::new(Run::Here(Box::new(runtime)), pool(url, For::Writing)?);
        schema::prepare(&session)?;
        Ok(session)
    };
    let opened = std::thread::scope(|scope| scope.spawn(open).join());
    opened.map_err(|_| unavailable(Broken))?
}

/// Takes deleted rows out of the tables that hold faces and keys, as far as the database can: what it has written to its
/// own log, its replicas and its backups before stays there for their time, ciphertexts whose key is gone.
pub(super) fn settle(url: &PostgresUrl) -> Result<(), StoreError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
    let session = Session::new(Run::Here(Box::new(runtime)), pool(url, For::Writing)?);
    session.connect()?;
    let tables = ["data_key", "reference", "enrolment_photo", "probe", "identifier", "subject"];
    tables.iter().try_for_each(|table| session.run(&format!("VACUUM {table}")))
}

/// Runs a query on a free connection of a pool; each row is read when it comes, so that thousands are never held at once.
pub(super) async fn stream(
    pool: &Pool,
    sql: &str,
    values: &[Held],
    mut each: impl FnMut(Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let client = pool.get().await.map_err(unavailable)?;
    let values: Vec<_> = values.iter().map(Held::value).collect();
    let statement = prepare(&client, sql, &values).await.map_err(unavailable)?;
    let mut rows = pin!(client.query_raw(&statement, parameters(&values)).await.map_err(unavailable)?);
    while let Some(row) = rows.try_next().await.map_err(unavailable)? {
        each(Row::Postgres(&row))?;
    }
    Ok(())
}

#[derive(Debug, Error)]
#[error("the thread that opened the database broke off")]
struct Broken;

/// Where a session's messages are sent and awaited.
enum Run {
    /// On the thread that asks: a writer's.
    Here(Box<Runtime>),
    /// On the process's threads, while one that may block waits.
    Elsewhere(Handle),
}

/// A connection that is asked from a thread that may block, and made again when it broke.
pub(super) struct Session {
    // Before the runtime, which it needs to end.
    client: RefCell<Option<Object>>,
    pool: Pool,
    /// Statements that go with the next one that is waited for.
    later: RefCell<Vec<Later>>,
    /// Rows that are inserted before the next query, or the transaction's end.
    inserts: RefCell<Vec<Inserts>>,
    /// What came of queries that were asked ahead.
    came: RefCell<Vec<Came>>,
    run: Run,
}

/// A statement that nobody waits for yet.
struct Later {
    sql: String,
    values: Vec<Held>,
    what: &'static str,
}

/// Rows of one statement that nobody waits for yet.
struct Inserts {
    sql: String,
    rows: Vec<Vec<Held>>,
    what: &'static str,
}

impl Session {
    fn new(run: Run, pool: Pool) -> Self {
        Self { client: RefCell::new(None), pool, later: RefCell::default(), inserts: RefCell::default(), came: RefCell::default(), run }
    }

    /// A session on a free connection of a pool.
    pub(super) async fn of_pool(pool: &Pool) -> Result<Self, StoreError> {
        let client = pool.get().await.map_err(unavailable)?;
        let session = Self::new(Run::Elsewhere(Handle::current()), pool.clone());
        session.client.replace(Some(client));
        Ok(session)
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        match &self.run {
            Run::Here(runtime) => runtime.block_on(future),
            Run::Elsewhere(handle) => handle.block_on(future),
        }
    }

    /// Takes a connection, unless there is one that works.
    fn connect(&self) -> Result<(), StoreError> {
        let mut client = self.client.borrow_mut();
        if client.as_ref().is_none_or(|client| client.is_closed()) {
            // A broken one must be gone before another can come.
            *client = None;
            *client = Some(self.wait(self.pool.get()).map_err(unavailable)?);
        }
        Ok(())
    }

    /// Runs what the connection is asked, with what was to go before it; a failure ends the transaction for everything
    /// but a savepoint. Also says how many rows changed by what went before.
    fn ask<T>(
        &self,
        what: Option<&'static str>,
        ask: impl AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<(T, Vec<usize>), StoreError> {
        let client = self.client.borrow();
        let client = client.as_ref().ok_or_else(|| unavailable(NoConnection))?;
        let later = self.later.take();
        self.wait(async {
            let mut ready = Vec::new();
            for statement in &later {
                ready.push(statement.prepare(client).await?);
            }
            let before = async { futures_util::future::try_join_all(ready.iter().map(|statement| statement.send(client))).await };
            let asked = async { ask(client).await.map_err(|error| failed(error, what)) };
            // Both are sent before either is waited for, in this order.
            let (before, asked) = futures_util::future::join(before, asked).await;
            before.and_then(|before| Ok((asked?, before)))
        })
    }

    pub(super) fn rows(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(rows) = self.taken(sql, values) {
            return rows.iter().try_for_each(|row| each(Row::Postgres(row)));
        }
        self.send_inserts();
        let (rows, _) = self.ask(None, async |client| {
            let statement = prepare(client, sql, values).await?;
            client.query(&statement, &parameters(values)).await
        })?;
        rows.iter().try_for_each(|row| each(Row::Postgres(row)))
    }

    pub(super) fn change(&self, sql: &str, values: &[Value<'_>], what: &'static str) -> Result<usize, StoreError> {
        self.send_inserts();
        let (rows, _) = self.ask(Some(what), async |client| {
            let statement = prepare(client, sql, values).await?;
            client.execute(&statement, &parameters(values)).await
        })?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    /// Inserts rows, many with one statement.
    pub(super) fn insert_all(&self, sql: &str, rows: &[Vec<Value<'_>>], what: &'static str) -> Result<(), StoreError> {
        for row in rows {
            self.insert(sql, row, what);
        }
        self.settle()
    }

    /// Keeps a row until the next query or the transaction's end.
    pub(super) fn insert(&self, sql: &str, values: &[Value<'_>], what: &'static str) {
        let mut inserts = self.inserts.borrow_mut();
        let row = values.iter().map(Held::from).collect();
        match inserts.iter_mut().find(|inserts| inserts.sql == sql) {
            Some(inserts) => inserts.rows.push(row),
            None => inserts.push(Inserts { sql: sql.to_owned(), rows: vec![row], what }),
        }
    }

    /// Puts the rows that wait behind the statements that do.
    fn send_inserts(&self) {
        let mut later = self.later.borrow_mut();
        for Inserts { sql, rows, what } in self.inserts.take() {
            let mut rows = rows.into_iter().peekable();
            while rows.peek().is_some() {
                let left = rows.len();
                let together = TOGETHER.into_iter().find(|&size| size <= left).unwrap_or(1);
                let values: Vec<Held> = rows.by_ref().take(together).flatten().collect();
                later.push(Later { sql: of_many(&sql, together), values, what });
            }
        }
    }

    /// Keeps a statement until the next one that is waited for; its place among those.
    pub(super) fn later(&self, sql: &str, values: &[Value<'_>], what: &'static str) -> usize {
        let mut later = self.later.borrow_mut();
        later.push(Later { sql: sql.to_owned(), values: values.iter().map(Held::from).collect(), what });
        later.len() - 1
    }

    pub(super) fn settle(&self) -> Result<(), StoreError> {
        self.send_inserts();
        self.counts().map(drop)
    }

    pub(super) fn counts(&self) -> Result<Vec<usize>, StoreError> {
        if self.later.borrow().is_empty() {
            return Ok(Vec::new());
        }
        self.ask(None, async |_| Ok(())).map(|((), before)| before)
    }

    pub(super) fn drop_later(&self) {
        self.later.borrow_mut().clear();
        self.inserts.borrow_mut().clear();
    }

    pub(super) fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.ask(None, async |client| client.batch_execute(sql).await).map(drop)
    }

    pub(super) fn begin(&self, isolation: Isolation) -> Result<(), StoreError> {
        self.connect()?;
        self.run(match isolation {
            Isolation::Beside => "BEGIN; SELECT pg_advisory_xact_lock_shared(4915624)",
            Isolation::Alone => "BEGIN; SELECT pg_advisory_xact_lock(4915624)",
        })
    }

    /// Ends the transaction; a connection on which even that fails is given up.
    pub(super) fn roll_back(&self) -> Result<(), StoreError> {
        self.run("ROLLBACK").inspect_err(|_| {
            if let Some(client) = self.client.borrow_mut().take() {
                drop(Object::take(client));
            }
        })
    }
}

/// The statement that inserts so many rows instead of one.
fn of_many(sql: &str, rows: usize) -> String {
    let Some((head, one)) = sql.rsplit_once("VALUES ").filter(|_| rows > 1) else { return sql.to_owned() };
    let columns = one.matches('?').count();
    let row = |row: usize| {
        let places: Vec<_> = (1..=columns).map(|column| format!("?{}", row * columns + column)).collect();
        format!("({})", places.join(", "))
    };
    format!("{head}VALUES {}", (0..rows).map(row).collect::<Vec<_>>().join(", "))
}

#[derive(Debug, Error)]
#[error("there is no connection to the database")]
struct NoConnection;

impl Later {
    /// Asks the database to read the statement, unless it has before.
    async fn prepare(&self, client: &Object) -> Result<Ready<'_>, StoreError> {
        let values: Vec<_> = self.values.iter().map(Held::value).collect();
        let statement = prepare(client, &self.sql, &values).await.map_err(|error| failed(error, Some(self.what)))?;
        Ok(Ready { statement, values, what: self.what })
    }
}

/// A statement that only has to be sent.
struct Ready<'a> {
    statement: Statement,
    values: Vec<Value<'a>>,
    what: &'static str,
}

impl Ready<'_> {
    async fn send(&self, client: &Object) -> Result<usize, StoreError> {
        let sent = client.execute(&self.statement, &parameters(&self.values)).await;
        let rows = sent.map_err(|error| failed(error, Some(self.what)))?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }
}

/// A change that met a row which must not exist twice is a conflict; all else is the database's trouble.
fn failed(error: tokio_postgres::Error, what: Option<&'static str>) -> StoreError {
    match what {
        Some(what) if is_conflict(&error) => StoreError::Conflict(what),
        Some(_) | None => unavailable(error),
    }
}

/// A row that must not exist twice, or refers to none that exists.
fn is_conflict(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("23"))
}

async fn prepare(client: &Object, sql: &str, values: &[Value<'_>]) -> Result<Statement, tokio_postgres::Error> {
    let kinds: Vec<_> = values.iter().map(Value::kind).collect();
    client.prepare_typed_cached(&sql.replace('?', "$"), &kinds).await
}

fn parameters<'a>(values: &'a [Value<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

#[cfg(test)]
mod tests;
