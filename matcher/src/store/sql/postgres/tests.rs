//! The contract on PostgreSQL, and what only PostgreSQL has: keys for shards, parts of the log, other processes beside it.

use std::sync::atomic::{AtomicUsize, Ordering};

use tests_postgres::Postgres;

use super::*;
use crate::store::{
    Store, Subjects,
    contract::{self, card, enrolment, verification},
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
