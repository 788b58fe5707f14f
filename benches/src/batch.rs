//! The batch comparison and its peer: the plainest queue and dot product on the same database.
//!
//! The peer keeps templates readable, in a table made for it, and writes one number a chunk. What the real job does more
//! is the difference: it opens what is sealed, judges by the policy of its time with what was decided before, and adds
//! records. Not here: taking captures in.

use std::sync::Arc;

use anyhow::{Context, Result};
use matcher::{
    center::Center,
    policy::PolicyKey,
    store::{MadeBy as Made, NewVerification, RequestKey, SealedProbe, StoredSubject, TimeMs, Verification},
    surroundings::{Surroundings, System},
    vault::RecordContext,
};
use matcher_core::{Decision, Disposition, Mode, ReferenceFacts, Scene};
use models_core::Template;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::load::people::{self, MadeBy};

/// Probes of one chunk.
pub const CHUNK: u32 = 2_048;
/// Cosine of every probe with its reference: a match.
const COSINE: f32 = 0.9;
/// Writes under way while probes are made.
const WRITES: usize = 128;
/// Rows the peer's tables get in one statement.
const ROWS: usize = 64;

/// A probe of a person, with what the peer keeps of it.
struct Captured {
    record: NewVerification,
    plain: Vec<u8>,
}

/// Records so many matches of the people of a center, a millisecond apart, and gives the peer the same templates. With one of long
/// before them, which nobody compares, they are a small part of all, as a day's are.
///
/// # Errors
/// When the store or the peer's tables fail.
pub async fn fill(center: &Center, peer: &Client, people: u64, captures: u64, from: TimeMs, long_before: bool) -> Result<()> {
    let tables = "CREATE TABLE raw_reference (subject_id bytea PRIMARY KEY, template bytea NOT NULL);
         CREATE TABLE raw_capture (chunk bigint, place bigint, subject_id bytea NOT NULL, template bytea NOT NULL, PRIMARY KEY (chunk, place));
         CREATE TABLE raw_chunk (chunk bigint PRIMARY KEY, due_at bigint NOT NULL, taken bigint NOT NULL, done boolean NOT NULL,
             differing bigint NOT NULL)";
    peer.batch_execute(tables).await?;
    let made_by = MadeBy::shipped()?;
    let mut known = Vec::new();
    for person in 0..people {
        let (stored, _) = center.subject_of(&people::identifier(person)?).await?.context("a person who was enrolled is not found")?;
        let reference = made_by.reference(person)?.to_f16_le_bytes();
        peer.execute("INSERT INTO raw_reference VALUES ($1, $2)", &[&stored.subject.0.as_slice(), &reference]).await?;
        known.push(stored);
    }
    let mut writes = JoinSet::new();
    let mut rows = Vec::new();
    for capture in 0..captures {
        let person = capture % people;
        let stored = known.get(usize::try_from(person)?).context("a person")?;
        let at = from + TimeMs::try_from(capture)?;
        let made = made(center, &made_by, stored, (person, capture, at))?;
        rows.push((i64::try_from(capture)? / i64::from(CHUNK), i64::try_from(capture)?, stored.subject.0.to_vec(), made.plain));
        if rows.len() == ROWS || capture + 1 == captures {
            insert(peer, &std::mem::take(&mut rows)).await?;
        }
        if writes.len() >= WRITES {
            writes.join_next().await.context("a write")???;
        }
        let store = Arc::clone(&center.store);
        writes.spawn(async move { store.record_verification(made.record).await.map(drop) });
    }
    while let Some(written) = writes.join_next().await {
        written??;
    }
    if long_before {
        let first = known.first().context("a person")?;
        let before = made(center, &made_by, first, (0, captures, from - 10 * TimeMs::try_from(captures)?))?;
        center.store.record_verification(before.record).await?;
    }
    let chunks = "INSERT INTO raw_chunk SELECT DISTINCT chunk, 0, 0, false, 0 FROM raw_capture; ANALYZE";
    Ok(peer.batch_execute(chunks).await?)
}

async fn insert(peer: &Client, rows: &[(i64, i64, Vec<u8>, Vec<u8>)]) -> Result<()> {
    let sink = "INSERT INTO raw_capture SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[])";
    let (chunks, places): (Vec<_>, Vec<_>) = rows.iter().map(|(chunk, place, ..)| (*chunk, *place)).unzip();
    let (subjects, templates): (Vec<_>, Vec<_>) = rows.iter().map(|(.., subject, template)| (subject.clone(), template.clone())).unzip();
    peer.execute(sink, &[&chunks, &places, &subjects, &templates]).await?;
    Ok(())
}

fn made(center: &Center, made_by: &MadeBy, stored: &StoredSubject, (person, capture, at): (u64, u64, TimeMs)) -> Result<Captured> {
    let (subject, id) = (stored.subject, System.new_record());
    let key = center.vault.unwrap_data_key(subject, &stored.data_key)?;
    let plain = made_by.probe(person, COSINE, capture)?.to_f16_le_bytes();
    let (model, recipe) = (made_by.model.as_str().to_owned(), made_by.recipe.as_str().to_owned());
    let probe = SealedProbe {
        template: key.seal(&RecordContext::probe_template(subject, id, &model), &plain),
        sample: key.seal(&RecordContext::probe_sample(subject, id), &[0; 64]),
    };
    let identifier = people::identifier(person)?;
    let digest = std::array::from_fn(|i| capture.to_be_bytes().get(i % 8).copied().unwrap_or_default());
    let record = Verification {
        id,
        request: RequestKey { institution: format!("P{}", capture % 16), transaction: format!("B-{capture}"), attempt: 1 },
        request_digest: digest,
        device: format!("P{}-1", capture % 16),
        counter: "1".into(),
        sequence: capture + 1,
        scene: Scene::Settlement,
        operator: "3".into(),
        notice: String::new(),
        consent: String::new(),
        identifier: center.lookup.row(&identifier),
        identifier_masked: identifier.masked(),
        subject: Some(subject),
        captured_at: at,
        decided_at: at,
        decision: Decision::Match,
        reasons: Vec::new(),
        disposition: Disposition::Settle,
        score: Some(COSINE),
        match_threshold: Some(0.5),
        non_match_threshold: Some(0.3),
        model: model.clone(),
        recipe: recipe.clone(),
        facts: ReferenceFacts::default(),
        live: Some(0.99),
        policy_version: "bench".into(),
        reference: stored.references.first().map(|reference| reference.record),
        mode: Mode::Live,
    };
    let made_by = Some(Made { model, recipe });
    Ok(Captured {
        record: NewVerification { record, probe: Some(probe), flags: Vec::new(), recheck: None, made_by, receipt: None, proxy: None },
        plain,
    })
}

/// A connection of the peer's.
///
/// # Errors
/// When the database cannot be reached.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// One worker of the peer: takes chunks, compares, writes a number, until nothing is left. Gives how many it compared.
///
/// # Errors
/// When the database fails.
pub async fn raw_worker(client: &Client, made_by: &MadeBy) -> Result<u64> {
    let take = "UPDATE raw_chunk SET taken = taken + 1, due_at = $1 + 10000 WHERE chunk = (SELECT chunk FROM raw_chunk
         WHERE NOT done AND due_at <= $1 ORDER BY chunk LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING chunk, taken";
    let read = "SELECT c.template, r.template FROM raw_capture AS c JOIN raw_reference AS r USING (subject_id) WHERE c.chunk = $1";
    let finish = "UPDATE raw_chunk SET done = true, differing = $3 WHERE chunk = $1 AND taken = $2";
    let (take, read, finish) = (client.prepare(take).await?, client.prepare(read).await?, client.prepare(finish).await?);
    let mut compared = 0;
    while let Some(chunk) = client.query_opt(&take, &[&System.now_ms()]).await? {
        let (number, taken): (i64, i64) = (chunk.try_get(0)?, chunk.try_get(1)?);
        let rows = client.query(&read, &[&number]).await?;
        let mut differing = 0_i64;
        for row in &rows {
            let template = |column| -> Result<Template> {
                let bytes: &[u8] = row.try_get(column)?;
                Ok(Template::from_f16_le_bytes(made_by.model.clone(), made_by.recipe.clone(), made_by.dimension, bytes)?)
            };
            let score = models_core::compare(&template(0)?, &template(1)?)?;
            differing += i64::from(score.get() < 0.5);
        }
        compared += rows.len() as u64;
        client.execute(&finish, &[&number, &taken, &differing]).await?;
    }
    Ok(compared)
}

/// The key that the policies of a center are checked with.
///
/// # Errors
/// When it cannot be read.
pub fn policy_key(dir: &matcher::data_dir::DataDir) -> Result<PolicyKey> {
    Ok(PolicyKey::load(&dir.policy_key())?)
}
