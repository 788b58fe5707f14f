//! The writer when things go wrong: what fails alone, what fails together, and what is refused at the door.

use std::sync::mpsc as blocking;

use super::*;
use crate::store::sql::columns::execute;

struct Nothing;

impl WithCommit for Nothing {
    fn before(&mut self, _: &Connection) -> Result<(), StoreError> {
        Ok(())
    }

    fn after(&mut self, _: bool) {}
}

fn open(path: &std::path::Path) -> Connection {
    Connection::sqlite(rusqlite::Connection::open(path).unwrap())
}

fn database() -> (tempfile::TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(dir.path().join("test.db")).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch("CREATE TABLE number (n INTEGER PRIMARY KEY) STRICT").unwrap();
    (dir, Connection::sqlite(connection))
}

fn insert(n: i64) -> impl Fn(&Connection) -> Result<(), StoreError> + Send {
    move |connection| execute(connection, "INSERT INTO number (n) VALUES (?1)", [n], "number").map(drop)
}

fn stored(dir: &tempfile::TempDir) -> Vec<i64> {
    let connection = rusqlite::Connection::open(dir.path().join("test.db")).unwrap();
    let mut statement = connection.prepare("SELECT n FROM number ORDER BY n").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Holds the writer inside a change until the sender is dropped, and says when it is there.
fn hold() -> (impl Fn(&Connection) -> Result<(), StoreError> + Send, blocking::Sender<()>, blocking::Receiver<()>) {
    let ((release, released), (arrive, arrived)) = (blocking::channel::<()>(), blocking::channel());
    let change = move |_: &Connection| {
        arrive.send(()).unwrap();
        let _ = released.recv();
        Ok(())
    };
    (change, release, arrived)
}

type AnyChange = Box<dyn Fn(&Connection) -> Result<(), StoreError> + Send>;

type Writing<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

/// Starts a writer that is inside its first change, with these waiting behind it; they share one commit.
async fn together<const N: usize>(connection: Connection, changes: [AnyChange; N]) -> Vec<Result<(), StoreError>> {
    queued(connection, |writer| changes.into_iter().map(|change| -> Writing<'_> { Box::pin(writer.write(change)) }).collect()).await
}

/// As [`together`], with changes of any kind.
async fn queued(connection: Connection, changes: impl for<'a> FnOnce(&'a Writer) -> Vec<Writing<'a>>) -> Vec<Result<(), StoreError>> {
    let writer = Arc::new(Writer::start(connection, Nothing).unwrap());
    let (change, release, arrived) = hold();
    let first = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { writer.write(change).await }
    });
    tokio::task::spawn_blocking(move || arrived.recv()).await.unwrap().unwrap();
    let mut waiting = changes(&writer);
    for write in &mut waiting {
        // Polled once, so that it stands in the queue.
        assert!(std::future::poll_fn(|context| std::task::Poll::Ready(write.as_mut().poll(context).is_pending())).await);
    }
    drop(release);
    first.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for write in waiting {
        answers.push(write.await);
    }
    answers
}

type Steps = Arc<std::sync::Mutex<Vec<String>>>;

/// A change in two parts: the first inserts a number unless it is there, the second notes whether it was, and may fail.
fn in_two<'a>(writer: &'a Writer, steps: &Steps, n: i64, fails: bool) -> Writing<'a> {
    let (first, second) = (Arc::clone(steps), Arc::clone(steps));
    let ahead = move |connection: &Connection| {
        first.lock().unwrap().push(format!("ahead {n}"));
        let sql = "INSERT INTO number (n) VALUES (?1) ON CONFLICT (n) DO NOTHING";
        crate::store::sql::columns::execute_later(connection, sql, [n], "number")
    };
    let change = move |_: &Connection, place: &usize, counts: &[usize]| {
        second.lock().unwrap().push(format!("{n} changed {:?}", counts.get(*place)));
        if fails { Err(StoreError::Conflict("number")) } else { Ok(()) }
    };
    Box::pin(writer.write_in_two(ahead, change))
}

/// A change of one part, which notes that it runs.
fn whole<'a>(writer: &'a Writer, steps: &Steps, n: i64) -> Writing<'a> {
    let steps = Arc::clone(steps);
    Box::pin(writer.write_beside(move |connection| {
        steps.lock().unwrap().push("whole".into());
        insert(n)(connection)
    }))
}

#[tokio::test]
async fn first_parts_go_together_and_never_before_an_earlier_change_of_one_part() {
    let (dir, connection) = database();
    let steps = Steps::default();
    let answers = queued(connection, |writer| {
        let two = |n| in_two(writer, &steps, n, false);
        vec![two(1), two(2), two(1), whole(writer, &steps, 9), two(9)]
    });
    let answers = answers.await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let expected = [
        "ahead 1",
        "ahead 2",
        "ahead 1",
        "1 changed Some(1)",
        "2 changed Some(1)",
        "1 changed Some(0)",
        "whole",
        "ahead 9",
        "9 changed Some(0)",
    ];
    assert_eq!(*steps.lock().unwrap(), expected);
    assert_eq!(stored(&dir), [1, 2, 9]);
}

#[tokio::test]
async fn a_second_part_that_fails_takes_its_first_back_and_nobody_else_s() {
    let (dir, connection) = database();
    let steps = Steps::default();
    let answers = queued(connection, |writer| (1..=3).map(|n| in_two(writer, &steps, n, n == 2)).collect()).await;
    assert!(matches!(answers.as_slice(), [Ok(()), Err(StoreError::Conflict("number")), Ok(())]), "{answers:?}");
    assert_eq!(stored(&dir), [1, 3]);
}

#[tokio::test]
async fn a_change_that_fails_undoes_itself_and_nothing_else() {
    let (dir, connection) = database();
    let half_done = |connection: &Connection| {
        insert(7)(connection)?;
        insert(1)(connection)
    };
    let answers = together(connection, [Box::new(insert(1)), Box::new(half_done), Box::new(insert(2))]).await;
    assert!(matches!(answers.as_slice(), [Ok(()), Err(StoreError::Conflict("number")), Ok(())]), "{answers:?}");
    assert_eq!(stored(&dir), [1, 2]);
}

#[tokio::test]
async fn a_commit_that_fails_answers_everyone_unavailable() {
    let (dir, connection) = database();
    // A deferred foreign key is checked by the commit, and by nothing before it.
    connection
        .run("CREATE TABLE child (n INTEGER REFERENCES number DEFERRABLE INITIALLY DEFERRED) STRICT; PRAGMA foreign_keys = ON")
        .unwrap();
    let orphan = |connection: &Connection| connection.run("INSERT INTO child VALUES (99)");
    let answers = together(connection, [Box::new(insert(1)), Box::new(orphan), Box::new(insert(2))]).await;
    for answer in &answers {
        let Err(StoreError::Unavailable(error)) = answer else { panic!("{answer:?}") };
        assert!(error.to_string() == "the commit failed" && error.source().is_some(), "{error}");
    }
    assert_eq!(answers.len(), 3);
    assert_eq!(stored(&dir), [0_i64; 0]);
}

#[tokio::test]
async fn a_transaction_the_database_undid_answers_everyone_unavailable_and_the_next_one_goes_on() {
    let (dir, connection) = database();
    let undone = |connection: &Connection| connection.run("ROLLBACK");
    let answers = together(connection, [Box::new(insert(1)), Box::new(undone), Box::new(insert(2))]).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))), "{answers:?}");
    assert_eq!(stored(&dir), [0_i64; 0]);
    let writer = Writer::start(open(&dir.path().join("test.db")), Nothing).unwrap();
    let undone = |connection: &Connection| connection.run("ROLLBACK");
    assert!(writer.write(undone).await.is_err());
    writer.write(insert(3)).await.unwrap();
    assert_eq!(stored(&dir), [3]);
}

#[tokio::test]
async fn a_full_queue_answers_at_once() {
    let (_dir, connection) = database();
    let writer = Arc::new(Writer::start(connection, Nothing).unwrap());
    let (change, release, arrived) = hold();
    let first = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { writer.write(change).await }
    });
    tokio::task::spawn_blocking(move || arrived.recv()).await.unwrap().unwrap();
    let mut waiting = Vec::new();
    for n in 0..i64::try_from(QUEUE_LEN_MAX).unwrap() {
        let mut write = Box::pin(writer.write(insert(n)));
        assert!(std::future::poll_fn(|context| std::task::Poll::Ready(write.as_mut().poll(context).is_pending())).await);
        waiting.push(write);
    }
    assert!(matches!(writer.write(insert(-1)).await, Err(StoreError::Busy)), "the queue took one more");
    drop(release);
    first.await.unwrap().unwrap();
    for write in waiting {
        write.await.unwrap();
    }
}

#[tokio::test]
async fn a_change_whose_caller_went_away_before_its_turn_is_left_out() {
    let (dir, connection) = database();
    let writer = Arc::new(Writer::start(connection, Nothing).unwrap());
    let (change, release, arrived) = hold();
    let first = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { writer.write(change).await }
    });
    tokio::task::spawn_blocking(move || arrived.recv()).await.unwrap().unwrap();
    let mut abandoned = Box::pin(writer.write(insert(1)));
    assert!(std::future::poll_fn(|context| std::task::Poll::Ready(abandoned.as_mut().poll(context).is_pending())).await);
    drop(abandoned);
    drop(release);
    first.await.unwrap().unwrap();
    writer.write(insert(2)).await.unwrap();
    assert_eq!(stored(&dir), [2]);
}
