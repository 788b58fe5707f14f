//! The plainest service that keeps what a verification promises, as far as one line of code for each promise goes: over the
//! same mutual TLS it checks the device's signature, opens the envelope, seals body and sample under a key, signs an answer,
//! and answers once one row with all of it is durable, many rows to a commit.
//!
//! It knows nobody, compares nothing, refuses no repetition, keeps no log and has one table without an index beside its
//! key. What it leaves of the empty call is what these promises cost on a machine, whatever a center does besides. Not
//! here: anything a center could leave out and still be one.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use matcher::{
    center::Center,
    data_dir::DataDir,
    grpc::listener::{Callers, Listener},
    keys::OpeningKeys,
    store::{RecordId, SubjectId},
    surroundings::{Surroundings, System},
    tls::ServerTls,
    vault::{DataKey, RecordContext},
};
use proto::{
    MESSAGE_LEN_MAX,
    envelope::Parsed,
    v1::{
        self, BodyKind,
        verification_service_server::{VerificationService, VerificationServiceServer},
    },
};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::NoTls;
use tonic::{Request, Response, Status, transport::Server};

/// Rows of one commit at most, as the center's.
const COMMIT_LEN_MAX: usize = 256;
/// Rows that may wait.
const QUEUE_LEN_MAX: usize = 1024;
/// Pages in SQLite's log from which it is written back, as the center's.
const CHECKPOINT_PAGES: i64 = 4_096;

/// A row that waits for its commit.
struct Row {
    id: [u8; 16],
    sealed: Vec<u8>,
    answer: Vec<u8>,
    durable: oneshot::Sender<()>,
}

struct Plainest {
    devices: HashMap<String, VerifyingKey>,
    opening: OpeningKeys,
    sealing: DataKey,
    signing: SigningKey,
    rows: mpsc::Sender<Row>,
}

#[tonic::async_trait]
impl VerificationService for Plainest {
    async fn verify(&self, request: Request<v1::VerifyRequest>) -> Result<Response<v1::VerifyResponse>, Status> {
        self.answer(request.into_inner()).await.map(Response::new).map_err(|error| Status::internal(format!("{error:#}")))
    }
}

impl Plainest {
    async fn answer(&self, request: v1::VerifyRequest) -> Result<v1::VerifyResponse> {
        let parsed = Parsed::new(request.envelope.context("an envelope")?)?;
        let device = self.devices.get(&parsed.header().device).context("a device that is known")?;
        let key = self.opening.find(&parsed.header().recipient_key).context("a key that is known")?;
        let opened = parsed.authenticate(device)?.open(&key)?;
        let capture: v1::Capture = opened.message(BodyKind::Capture)?;
        let Some(v1::capture::Outcome::Sample(v1::ProbeSample { sample: Some(sample), .. })) = capture.outcome else {
            anyhow::bail!("expected a sample");
        };
        let id = System.random_id();
        let place = RecordContext::probe_sample(SubjectId(id), RecordId(id));
        let sealed = self.sealing.seal(&place, &sample.jpeg).0;
        let answer = self.signing.sign(&id).to_bytes().to_vec();
        let (durable, written) = oneshot::channel();
        self.rows.send(Row { id, sealed, answer, durable }).await?;
        written.await?;
        Ok(v1::VerifyResponse { verification_id: RecordId(id).to_string(), ..v1::VerifyResponse::default() })
    }
}

/// Serves with a center's certificates and keys until the process ends; says where as a center does. Rows go into a
/// table of its own: in a file beside the center's folder, or in the database at `url`.
///
/// # Errors
/// When certificates, keys or store are not in order, or no port can be had.
pub async fn serve(folder: &Path, url: Option<&str>) -> Result<()> {
    let dir = DataDir::initialised(folder.to_owned())?;
    let center = Center::open(&dir).await?;
    let devices = center.store.devices().await?.into_iter();
    let devices = devices.map(|device| Ok((device.id, VerifyingKey::from_bytes(&device.public_key)?))).collect::<Result<_>>()?;
    let (sealing, _) = center.vault.new_data_key(SubjectId(System.random_id()));
    drop(center);
    let (rows, waiting) = mpsc::channel(QUEUE_LEN_MAX);
    match url {
        Some(url) => write_to_postgres(url, waiting).await?,
        None => write_to_sqlite(folder.with_extension("plainest"), waiting)?,
    }
    let signing = SigningKey::from_bytes(&[System.random_id(), System.random_id()].concat().try_into().unwrap_or([0; 32]));
    let service = Plainest { devices, opening: OpeningKeys::load(&dir.opening_keys())?, sealing, signing, rows };
    let listen: SocketAddr = ([127, 0, 0, 1], 0).into();
    let listener = Listener::bind(listen, 4096, Arc::new(ServerTls::load(&dir)?), Callers::Counters, Duration::from_secs(5)).await?;
    crate::print(&format!("listening on https://{}\n", listener.address()?))?;
    let service = VerificationServiceServer::new(service).max_decoding_message_size(MESSAGE_LEN_MAX);
    // As the center is set up.
    let server = Server::builder().concurrency_limit_per_connection(64).max_concurrent_streams(64).timeout(Duration::from_secs(20));
    Ok({ server }.add_service(service).serve_with_incoming(listener.into_stream()).await?)
}

/// All rows that wait, in the order they came; waits for the first.
fn taken(first: Row, waiting: &mut mpsc::Receiver<Row>) -> Vec<Row> {
    let mut rows = vec![first];
    while rows.len() < COMMIT_LEN_MAX
        && let Ok(next) = waiting.try_recv()
    {
        rows.push(next);
    }
    rows
}

fn tell(rows: Vec<Row>) {
    for row in rows {
        // Nobody is there to be told when the caller went away meanwhile.
        let _ = row.durable.send(());
    }
}

fn write_to_sqlite(file: PathBuf, mut waiting: mpsc::Receiver<Row>) -> Result<()> {
    let mut connection = rusqlite::Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", 2)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.execute_batch(
        "DROP TABLE IF EXISTS plain; CREATE TABLE plain (place INTEGER PRIMARY KEY, id BLOB NOT NULL, sealed BLOB NOT NULL, answer BLOB NOT NULL) STRICT",
    )?;
    let mut commit = move |rows: &[Row]| -> rusqlite::Result<()> {
        let transaction = connection.transaction()?;
        for row in rows {
            let mut insert = transaction.prepare_cached("INSERT INTO plain (id, sealed, answer) VALUES (?1, ?2, ?3)")?;
            insert.execute((row.id.as_slice(), &row.sealed, &row.answer))?;
        }
        transaction.commit()
    };
    std::thread::Builder::new().name("plainest-writer".into()).spawn(move || {
        while let Some(first) = waiting.blocking_recv() {
            let rows = taken(first, &mut waiting);
            // Whoever waits for rows that were not written hears that nobody is there any more.
            if commit(&rows).is_ok() {
                tell(rows);
            }
        }
    })?;
    Ok(())
}

async fn write_to_postgres(url: &str, mut waiting: mpsc::Receiver<Row>) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client
        .batch_execute("DROP TABLE IF EXISTS plain; CREATE TABLE plain (place bigserial PRIMARY KEY, id bytea NOT NULL, sealed bytea NOT NULL, answer bytea NOT NULL)")
        .await?;
    // What is random does not compress.
    client.batch_execute("ALTER TABLE plain ALTER COLUMN sealed SET STORAGE EXTERNAL").await?;
    let insert = "INSERT INTO plain (id, sealed, answer) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[])";
    let insert = client.prepare(insert).await?;
    tokio::spawn(async move {
        while let Some(first) = waiting.recv().await {
            let rows = taken(first, &mut waiting);
            let ids: Vec<&[u8]> = rows.iter().map(|row| row.id.as_slice()).collect();
            let sealed: Vec<&[u8]> = rows.iter().map(|row| row.sealed.as_slice()).collect();
            let answers: Vec<&[u8]> = rows.iter().map(|row| row.answer.as_slice()).collect();
            if client.execute(&insert, &[&ids, &sealed, &answers]).await.is_ok() {
                tell(rows);
            }
        }
    });
    Ok(())
}
