//! The contract on PostgreSQL, and what only PostgreSQL has: keys for shards, parts of the log, other processes beside it.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use tests_postgres::Postgres;

use super::*;
use crate::store::{
    Listing, NewVerification, Recorded, Store, Subjects,
    batch::{Batch, Persons, Span},
    contract::{self, card, device, enrolment, flag, verification},
    feed::{Feed, Position},
    receipts::Receipts,
    sql::{
        Connection, Location, SqlStore, TransferError,
        catalogue::{self, DERIVED, LAST, TABLES},
        columns, params, sqlite,
    },
};

/// Tables with a `subject_id` that are found by something else on purpose.
const LOOK_UPS: [&str; 3] = ["feed", "identifier", "request"];

fn at(url: &str) -> Location {
    Location::Postgres(Box::new(url.parse().unwrap()))
}

fn store(url: &str) -> SqlStore {
    SqlStore::open_at(&at(url)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_of_stores_holds() {
    let postgres = Postgres::start().unwrap();
    let made = AtomicUsize::new(0);
    let fresh = || {
        let url = postgres.schema("postgres", &format!("center_{}", made.fetch_add(1, Ordering::Relaxed))).unwrap();
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

#[test]
fn the_schema_is_that_of_sqlite_and_tables_of_persons_lead_with_the_person() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database("center").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let there = Connection::postgres(open(&url.parse().unwrap()).unwrap());
    there.begin(Isolation::Alone).unwrap();
    let here = Connection::sqlite(sqlite::open(&folder.path().join("center.db")).unwrap());
    let mut known: Vec<_> = TABLES.into_iter().chain(LAST).chain(DERIVED).collect();
    known.sort_unstable();
    assert_eq!(catalogue::tables(&here).unwrap(), known);
    assert_eq!(catalogue::tables(&there).unwrap(), known);
    for table in known {
        let (here, there) = (catalogue::columns(&here, table).unwrap(), catalogue::columns(&there, table).unwrap());
        let names = |columns: &[catalogue::Column]| columns.iter().map(|column| (column.name.clone(), column.kind)).collect::<Vec<_>>();
        assert_eq!(names(&here), names(&there), "{table}");
        if names(&there).iter().any(|(name, _)| name == "subject_id") && !LOOK_UPS.contains(&table) {
            let leads = there.iter().any(|column| column.name == "subject_id" && column.key == 1);
            assert!(leads, "{table}: its primary key does not lead with subject_id: {there:?}");
        }
    }
    there.roll_back().unwrap();
    let parted = "SELECT relname || ' ' || pg_get_partkeydef(oid) FROM pg_class WHERE relkind = 'p'";
    assert_eq!(postgres.query("center", parted).unwrap(), "verification RANGE (decided_at)");
    let parts = postgres.query("center", "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'").unwrap();
    assert_eq!(parts, "5", "this month, three ahead, and what fits none");
}

/// A server that writes its plans down.
const TELLS_PLANS: [&str; 5] = [
    "shared_preload_libraries=auto_explain",
    "auto_explain.log_min_duration=0",
    "auto_explain.log_nested_statements=on",
    // Small tables are read whole, unless that is forbidden; where no key fits, they are even so.
    "enable_seqscan=off",
    "enable_bitmapscan=off",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_is_read_by_its_persons_or_its_time() {
    let postgres = Postgres::start_with(&TELLS_PLANS).unwrap();
    let store = store(&postgres.database("center").unwrap());
    for (persons, index, condition) in
        [(Persons { first: 1, last: 9 }, "probe_pkey", "((subject_id >= "), (Persons::ALL, "probe_by_time", "((decided_at >= ")]
    {
        let before = postgres.log().unwrap().len();
        let span = Span { from: 0, until: 9, persons };
        assert_eq!((store.probes_of(span).await.unwrap().len(), store.persons_of(span).await.unwrap().len()), (0, 0));
        let log = postgres.log().unwrap();
        let plans = log.get(before..).unwrap();
        assert!(!plans.contains("Seq Scan"), "{plans}");
        let lines: Vec<_> = plans.lines().collect();
        let found = |pair: &[&str]| pair[0].contains(&format!("using {index} on probe")) && pair[1].contains(condition);
        assert!(lines.windows(2).filter(|pair| found(pair)).count() >= 2, "of probes, and of their persons: {plans}");
    }
}

/// Every plan of what a counter waits for, as the server wrote them down.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_counter_waits_for_is_found_by_its_keys() {
    let postgres = Postgres::start_with(&TELLS_PLANS).unwrap();
    let store = store(&postgres.database("center").unwrap());
    store.put_device(device("till-1")).await.unwrap();
    store.put_enrolments(vec![enrolment(1, &[10], 4)]).await.unwrap();
    let before = postgres.log().unwrap().len();
    let new = verification("T1", 1);
    let request = new.record.request.clone();
    store.device_of_certificate(&device("till-1").certificate_sha256).await.unwrap().unwrap();
    store.subject_of(&card(10)).await.unwrap().unwrap();
    store.is_forgotten(&[[1; 32]]).await.unwrap();
    store.decisions_of(&request.institution, &request.transaction).await.unwrap();
    assert_eq!(store.record_verification(new).await.unwrap(), Recorded::Stored);
    store.answer(&request).await.unwrap().unwrap();
    store.receipt_of(&request).await.unwrap();
    let log = postgres.log().unwrap();
    let plans = log.get(before..).unwrap();
    assert!(plans.contains("Index Scan using") || plans.contains("Index Only Scan using"), "{plans}");
    assert!(!plans.contains("Seq Scan"), "{plans}");
    // What is asked by person is found by person, in one step.
    let lines: Vec<_> = plans.lines().collect();
    for table in ["reference", "enrolment", "data_key", "subject"] {
        let scans = lines.windows(2).filter(|pair| pair[0].contains("Scan using") && pair[0].contains(&format!(" on {table} ")));
        let conditions: Vec<_> = scans.map(|pair| pair[1].trim()).collect();
        let by_person = |line: &&str| line.starts_with("Index Cond: (subject_id =") || line.starts_with("Index Cond: ((subject_id =");
        assert!(!conditions.is_empty() && conditions.iter().all(by_person), "{table}: {conditions:?} in {plans}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_ahead_is_given_once_to_whoever_asks_the_same() {
    let postgres = Postgres::start().unwrap();
    let store = store(&postgres.database("center").unwrap());
    let read = |connection: &Connection| {
        let sql = "SELECT CAST(?1 AS BIGINT) AS asked, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS at";
        let decode = |columns: &columns::Columns<'_>| Ok((columns.get::<i64>("asked")?, columns.get::<i64>("at")?));
        let ask = |number: i64| columns::query_one(connection, sql, [number], "clock", decode);
        connection.ahead(&[(sql, params![1_i64]), (sql, params![2_i64])])?;
        Ok([ask(3)?, ask(2)?, ask(1)?, ask(2)?].map(Option::unwrap))
    };
    let [now, ahead, first, again] = store.readers.read(read).await.unwrap();
    assert_eq!([now.0, ahead.0, first.0, again.0], [3, 2, 1, 2]);
    assert!(first.1 <= ahead.1 && ahead.1 < now.1 && now.1 < again.1, "{first:?} {ahead:?} {now:?} {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_beside_each_other_answer_each_request_once() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database("center").unwrap();
    let stores: Vec<_> = (0..3).map(|_| Arc::new(store(&url))).collect();
    stores[0].put_enrolments(vec![enrolment(1, &[10], 4)]).await.unwrap();
    let mut asked = Vec::new();
    for n in 0..40_u8 {
        for (which, store) in (0..).zip(&stores) {
            // The same request everywhere, each time as another envelope under another number.
            let new = verification(&format!("T{n}"), n * 3 + which + 1);
            let store = Arc::clone(store);
            asked.push(tokio::spawn(async move { store.record_verification(new).await.unwrap() }));
        }
    }
    let mut stored = 0;
    for answer in asked {
        match answer.await.unwrap() {
            Recorded::Stored => stored += 1,
            Recorded::RequestTaken(_) => {}
            other @ (Recorded::AlreadyAnswered(_) | Recorded::RequestWaits(_) | Recorded::SequenceTaken) => panic!("{other:?}"),
        }
    }
    assert_eq!(stored, 40);
    let all = stores[1].verifications(&Listing { limit: 1000, ..Listing::default() }).await.unwrap();
    let requests: BTreeSet<_> = all.iter().map(|record| record.request.transaction.clone()).collect();
    assert_eq!((all.len(), requests.len()), (40, 40));
    for (id, store) in (1..).zip(&stores) {
        store.record_flag(flag(id, 7)).await.unwrap();
    }
    let epochs = postgres.query("center", "SELECT count(DISTINCT epoch) FROM audit_link").unwrap();
    assert_eq!(epochs, "3", "each process has a chain of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_the_database_was_killed_and_the_store_goes_on_by_itself() {
    let mut postgres = Postgres::start().unwrap();
    let url = postgres.database("center").unwrap();
    let store = Arc::new(store(&url));
    store.put_enrolments(vec![enrolment(1, &[10], 4)]).await.unwrap();
    let mut answered = Vec::new();
    for round in 0..3_u8 {
        let writes: Vec<_> = (0..20_u8)
            .map(|n| {
                let new = verification(&format!("R{round}-{n}"), round * 20 + n + 1);
                let (store, request) = (Arc::clone(&store), new.record.request.clone());
                tokio::spawn(async move { (request, store.record_verification(new).await.is_ok()) })
            })
            .collect();
        if round == 1 {
            postgres.kill();
        }
        for write in writes {
            let (request, done) = write.await.unwrap();
            answered.extend(done.then_some(request));
        }
        if round == 1 {
            assert!(matches!(store.record_flag(flag(9, 9)).await, Err(StoreError::Unavailable(_))));
            postgres.run_again().unwrap();
        }
    }
    assert!(answered.len() >= 40, "{}", answered.len());
    for request in answered {
        assert!(store.answer(&request).await.unwrap().is_some(), "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_neighbour_is_undone_alone_without_savepoints_too() {
    let postgres = Postgres::start().unwrap();
    let store = Arc::new(store(&postgres.database("center").unwrap()));
    store.put_enrolments(vec![enrolment(1, &[10], 4)]).await.unwrap();
    // The second flag of this one exists: what was written before it is undone, and its audit entry too.
    let taken = NewVerification { flags: vec![flag(2, 1), flag(2, 1)], ..verification("T1", 1) };
    let writes = [taken, verification("T2", 2), verification("T3", 3)];
    let writes = writes.map(|new| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.record_verification(new).await.is_ok() })
    });
    let mut done = Vec::new();
    for write in writes {
        done.push(write.await.unwrap());
    }
    assert_eq!(done, [false, true, true]);
    assert_eq!(store.flags(&Listing { limit: 10, ..Listing::default() }).await.unwrap().len(), 0);
    let entries = postgres.query("center", "SELECT action, count(*) FROM audit_entry GROUP BY action ORDER BY action").unwrap();
    assert_eq!(entries, "enrolled|1\nverified|2");
}

#[test]
fn a_newer_database_and_one_that_forgets_are_refused() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database("center").unwrap();
    drop(store(&url));
    postgres.query("center", "UPDATE schema_version SET version = 99").unwrap();
    assert!(matches!(SqlStore::open_at(&at(&url)), Err(StoreError::TooNew { found: 99, .. })));
    let postgres = Postgres::start_with(&["fsync=off"]).unwrap();
    let url = postgres.database("center").unwrap();
    assert!(matches!(SqlStore::open_at(&at(&url)), Err(StoreError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_to_another_engine_and_back_row_by_row() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.database("center").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (first, last) = (Location::File(folder.path().join("first.db")), Location::File(folder.path().join("last.db")));
    let source = SqlStore::open_at(&first).unwrap();
    source.put_device(device("till-1")).await.unwrap();
    let people: Vec<_> = (0..40).map(|person| enrolment(person, &[person], person)).collect();
    source.put_enrolments(people).await.unwrap();
    source.record_verification(NewVerification { flags: vec![flag(1, 1)], ..verification("T1", 1) }).await.unwrap();
    drop(source);
    let move_to = |from: &Location, to: &Location| {
        let (from, to) = (from.clone(), to.clone());
        tokio::task::spawn_blocking(move || SqlStore::transfer(&from, &to, &mut |_, _| {}))
    };
    let there = move_to(&first, &at(&url)).await.unwrap().unwrap();
    let rows = |table: &str| there.iter().find(|copied| copied.table == table).unwrap().rows;
    assert_eq!((rows("reference"), rows("verification"), rows("flag"), rows("case_run")), (40, 1, 1, 1));
    assert!(matches!(move_to(&first, &at(&url)).await.unwrap(), Err(TransferError::NotEmpty(_))));
    let back = move_to(&at(&url), &last).await.unwrap().unwrap();
    assert_eq!(there, back, "counts and digests");
    let store = store(&url);
    assert!(store.subject_of(&card(7)).await.unwrap().is_some());
    assert!(store.answer(&verification("T1", 1).record.request).await.unwrap().is_some());
}

#[track_caller]
fn check_url(text: &str, expected: Result<&str, &str>) {
    let read = text.parse::<PostgresUrl>();
    let shown = read.as_ref().map(ToString::to_string).map_err(ToString::to_string);
    assert_eq!(shown.as_deref().map_err(String::as_str), expected, "{text}");
    if let Ok(url) = read {
        assert!(!format!("{url:?}").contains("s3cret"));
    }
}

#[test]
fn a_url_says_where_and_as_whom_and_never_shows_the_password() {
    check_url("postgres://matcher:s3cret@db.example:5433/center", Ok("postgres://matcher@db.example:5433/center"));
    check_url("postgresql://matcher@127.0.0.1/center", Ok("postgres://matcher@127.0.0.1:5432/center"));
    for wrong in ["", "center.db", "host=localhost user=a dbname=b", "postgres://127.0.0.1/center", "postgres://matcher@127.0.0.1"] {
        check_url(wrong, Err("expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"));
    }
}
