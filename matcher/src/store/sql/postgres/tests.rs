//! The contract on PostgreSQL, and what only PostgreSQL has: keys for shards, parts of the log, other processes beside it.

use std::sync::atomic::{AtomicUsize, Ordering};

use tests_postgres::Postgres;

use super::*;
use crate::store::{
    Store, Subjects,
    contract::{self, enrolment},
    feed::{Feed, Position},
    sql::{Location, SqlStore},
};

fn store(url: &str) -> SqlStore {
    SqlStore::open_at(&Location::Postgres(url.parse().unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_of_stores_holds() {
    let postgres = Postgres::start().unwrap();
    let made = AtomicUsize::new(0);
    let fresh = || {
        let url = postgres.database(&format!("center_{}", made.fetch_add(1, Ordering::Relaxed))).unwrap();
        async move { Arc::new(store(&url)) as Arc<dyn Store> }
    };
    contract::check_all(fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_commits_late_is_not_missed_by_those_who_read_meanwhile() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database("center").unwrap();
    let store = store(&url);
    store.put_enrolments(vec![enrolment(1, &[1], 1)]).await.unwrap();
    let head = store.feed_head().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let connected = tokio::spawn(connection);
    let late = "BEGIN; INSERT INTO reference (subject_id, record_id, photo_id, model, recipe, template, made_at)
        SELECT subject_id, decode(repeat('07', 16), 'hex'), photo_id, 'm@2', recipe, template, made_at FROM reference";
    client.batch_execute(late).await.unwrap();
    // Others commit while it stays open: they are newer, and must wait.
    store.put_enrolments(vec![enrolment(2, &[2], 2)]).await.unwrap();
    store.put_enrolments(vec![enrolment(3, &[3], 3)]).await.unwrap();
    assert_eq!(store.feed_after(head, 9).await.unwrap().unwrap(), []);
    let meanwhile = store.feed_head().await.unwrap();
    assert!(meanwhile < newest(&postgres), "the head stands before what still runs");
    client.batch_execute("COMMIT").await.unwrap();
    for seen in [head, meanwhile] {
        let changes = store.feed_after(seen, 9).await.unwrap().unwrap();
        assert_eq!(changes.iter().map(|change| change.record.0[0]).collect::<Vec<_>>(), [7, 2, 3]);
        assert!(changes.is_sorted_by_key(|change| change.position));
    }
    let head = store.feed_head().await.unwrap();
    assert_eq!(store.feed_after(head, 9).await.unwrap().unwrap(), []);
    drop(client);
    connected.abort();
}

/// The position of the newest committed change.
fn newest(postgres: &Postgres) -> Position {
    let row = postgres.query("center", "SELECT era, number FROM feed ORDER BY era DESC, number DESC LIMIT 1").unwrap();
    let (era, number) = row.split_once('|').unwrap();
    Position { era: era.parse().unwrap(), number: number.parse().unwrap() }
}
