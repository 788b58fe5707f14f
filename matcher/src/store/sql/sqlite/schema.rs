//! The database's schema: numbered SQL files, applied in order, each once.
//!
//! How many are applied stands in the file's `user_version`; a database with more than this program knows is
//! refused before anything is read. An applied file is never edited: a change is another file.

use rusqlite::{Connection, TransactionBehavior};

use super::unavailable;
use crate::store::StoreError;

const FILES: &[&str] = &[
    include_str!("schema/0001_first.sql"),
    include_str!("schema/0002_quality.sql"),
    include_str!("schema/0003_recheck.sql"),
    include_str!("schema/0004_policy.sql"),
    include_str!("schema/0005_receipts.sql"),
    include_str!("schema/0006_cases.sql"),
    include_str!("schema/0007_subjects.sql"),
    include_str!("schema/0008_audit.sql"),
    include_str!("schema/0009_keys.sql"),
    include_str!("schema/0010_lookup.sql"),
    include_str!("schema/0011_request_time.sql"),
    include_str!("schema/0012_deferred.sql"),
    include_str!("schema/0013_identification.sql"),
    include_str!("schema/0014_ways.sql"),
    include_str!("schema/0015_leases.sql"),
    include_str!("schema/0016_registry.sql"),
    include_str!("schema/0017_console.sql"),
    include_str!("schema/0018_statistics.sql"),
    include_str!("schema/0019_measured.sql"),
    include_str!("schema/0020_relay.sql"),
    include_str!("schema/0021_lines.sql"),
    include_str!("schema/0022_beside.sql"),
];

/// Version of this program's schema.
pub(super) const VERSION: u32 = FILES.len() as u32;

/// Refuses a database of a newer program.
pub(super) fn guard(connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found > VERSION { Err(StoreError::TooNew { found, known: VERSION }) } else { Ok(()) }
}

/// Brings an older or empty database up to date, in one transaction.
pub(in crate::store::sql) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unavailable)?;
    guard(&transaction)?;
    let applied = version(&transaction)? as usize;
    for file in FILES.iter().skip(applied) {
        transaction.execute_batch(file).map_err(unavailable)?;
    }
    if applied < FILES.len() {
        transaction.pragma_update(None, "user_version", VERSION).map_err(unavailable)?;
    }
    transaction.commit().map_err(unavailable)
}

fn version(connection: &Connection) -> Result<u32, StoreError> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables with a `subject_id` that are found by something else on purpose.
    const LOOK_UPS: [&str; 3] = ["feed", "identifier", "request"];

    fn migrated() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection
    }

    /// A column and its place in the primary key, 0 when it has none.
    type Column = (String, u32);

    /// Name, whether strict, and columns of every table.
    fn tables(connection: &Connection) -> Vec<(String, bool, Vec<Column>)> {
        let mut statement =
            connection.prepare("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'").unwrap();
        let names = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))).unwrap();
        let names: Vec<_> = names.map(Result::unwrap).filter(|(name, _)| !name.starts_with("sqlite_")).collect();
        let columns = |table: &str| {
            let mut statement = connection.prepare("SELECT name, pk FROM pragma_table_info(?1)").unwrap();
            statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
        };
        names.into_iter().map(|(name, strict)| (name.clone(), strict, columns(&name))).collect()
    }

    #[test]
    fn every_table_of_persons_leads_with_the_person() {
        let tables = tables(&migrated());
        assert!(tables.len() >= 10, "{tables:?}");
        let mut of_persons = 0;
        for (name, strict, columns) in tables {
            assert!(strict, "{name} is not STRICT");
            if !columns.iter().any(|(column, _)| column == "subject_id") || LOOK_UPS.contains(&name.as_str()) {
                continue;
            }
            of_persons += 1;
            assert!(columns.contains(&("subject_id".to_owned(), 1)), "{name}: its primary key does not lead with subject_id");
        }
        assert_eq!(of_persons, 32);
    }

    #[test]
    fn applying_the_schema_again_changes_nothing() {
        let mut connection = migrated();
        migrate(&mut connection).unwrap();
        assert_eq!(version(&connection).unwrap(), VERSION);
    }

    #[test]
    fn a_database_of_an_older_release_is_brought_up_to_date_with_what_it_holds() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(FILES[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let person = "INSERT INTO subject (subject_id, created_at) VALUES (zeroblob(16), 1)";
        connection.execute_batch(person).unwrap();
        migrate(&mut connection).unwrap();
        let kept: u32 = connection.query_row("SELECT count(*) FROM subject", [], |row| row.get(0)).unwrap();
        assert_eq!((version(&connection).unwrap(), kept), (VERSION, 1));
        connection.prepare("SELECT quality FROM enrolment_photo").unwrap();
    }

    #[test]
    fn references_of_the_first_schema_are_carried_over_with_their_photos_and_probes() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", 1).unwrap();
        for file in FILES.iter().take(3) {
            connection.execute_batch(file).unwrap();
        }
        connection.pragma_update(None, "user_version", 3).unwrap();
        connection
            .execute_batch(
                "INSERT INTO subject VALUES (zeroblob(16), 1), (x'01000000000000000000000000000000', 1);
                 INSERT INTO data_key VALUES (zeroblob(16), x'aa'), (x'01000000000000000000000000000000', x'bb');
                 INSERT INTO identifier VALUES ('social_security_card', '', zeroblob(32), zeroblob(16));
                 INSERT INTO reference VALUES (zeroblob(16), x'02000000000000000000000000000000', 'm@1', 'r@1', x'cc', zeroblob(32), 77, '2020-02-29');
                 INSERT INTO enrolment_photo VALUES (zeroblob(16), x'dd', NULL);
                 INSERT INTO verification SELECT zeroblob(16), zeroblob(16), 1, 'i', 't', 1, zeroblob(32), 'd', 'c', 1, 'settlement', '', '',
                     'social_security_card', '', zeroblob(32), '', 5, 6, 'match', '[]', 'settle', 1, 1, 1, 'm@1', 1, 'p', 0;
                 INSERT INTO probe VALUES (zeroblob(16), zeroblob(16), x'ee', x'ff');
                 INSERT INTO recheck VALUES (zeroblob(16), zeroblob(16), 'm@1', 'r@1', 1, 0, NULL, NULL, NULL);",
            )
            .unwrap();
        migrate(&mut connection).unwrap();
        let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
        let enrolment = "SELECT source || state || changed_at || enrolled_at || photo_taken_on || hex(photo_id) FROM enrolment";
        let id = "02000000000000000000000000000000";
        assert_eq!(text(enrolment), format!("card_photoactive77772020-02-29{id}"));
        assert_eq!(text("SELECT hex(record_id) || hex(photo_id) || model || hex(template) FROM reference"), format!("{id}{id}m@1CC"));
        assert_eq!(text("SELECT hex(photo_id) || hex(photo) FROM enrolment_photo"), format!("{id}DD"));
        assert_eq!(text("SELECT hex(template) || hex(sample) || decided_at FROM probe"), "EEFF6");
        assert_eq!(text("SELECT count(*) || '' FROM recheck"), "1");
        assert_eq!(text("SELECT count(number) || lookup_key_id FROM identifier"), "0");
        let broken: Vec<String> = {
            let mut statement = connection.prepare("SELECT \"table\" FROM pragma_foreign_key_check").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(broken, [] as [String; 0]);
        connection.execute("DELETE FROM enrolment", []).unwrap();
        assert_eq!(text("SELECT (SELECT count(*) FROM reference) || (SELECT count(*) FROM enrolment_photo)"), "00");
    }

    #[test]
    fn a_newer_database_is_refused() {
        let mut connection = migrated();
        connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert_eq!(error.to_string(), format!("the store has schema version {}, this program knows up to {VERSION}", VERSION + 1));
    }
}
