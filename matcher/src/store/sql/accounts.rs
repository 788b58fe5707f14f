//! Users and sessions of the review console.

use async_trait::async_trait;
use matcher_core::{
    AuditAction,
    console::{LockRule, Role},
};
use serde_json::json;

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, query, query_one},
    params,
};
use crate::store::{
    Sealed, StoreError, SubjectId, TimeMs,
    accounts::{Accounts, Session, User, UserChange},
    audit::AuditEvent,
};

const USER: &str = "console_user";
const SESSION: &str = "console_session";
const SELECT: &str = "SELECT u.name, u.id, u.wrapped, u.role, u.institution, u.password, u.must_change, u.totp, u.totp_step, u.failures, \
     u.locked_until, u.created_at, u.disabled_at FROM console_user AS u";

fn decode(columns: &Columns<'_>) -> Result<User, StoreError> {
    Ok(User {
        name: columns.get("name")?,
        id: SubjectId(columns.get("id")?),
        data_key: Sealed(columns.get("wrapped")?),
        role: columns.word("role", Role::from_word)?,
        institution: columns.get("institution")?,
        password: columns.get("password")?,
        must_change: columns.get("must_change")?,
        totp: columns.get::<Option<_>>("totp")?.map(Sealed),
        totp_step: columns.get("totp_step")?,
        failures: columns.unsigned("failures")?,
        locked_until: columns.get("locked_until")?,
        created_at: columns.get("created_at")?,
        disabled_at: columns.get("disabled_at")?,
    })
}

fn add(connection: &Connection, user: &User, by: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO console_user (name, id, wrapped, role, institution, password, must_change, totp, totp_step, failures,
         locked_until, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, 0, ?9)";
    let totp = user.totp.as_ref().map(|totp| totp.0.clone());
    let values = params![
        user.name,
        user.id.0,
        user.data_key.0,
        user.role.word(),
        user.institution,
        user.password,
        user.must_change,
        totp,
        user.created_at
    ];
    execute(connection, sql, values, "user")?;
    let detail = json!({ "change": "added", "role": user.role.word(), "institution": user.institution }).to_string();
    let (at, object) = (user.created_at, user.name.clone());
    audit::append(connection, &AuditEvent { at, action: AuditAction::UserChanged, by: by.to_owned(), object, detail })
}

fn by_name(connection: &Connection, name: &str) -> Result<Option<User>, StoreError> {
    query_one(connection, &format!("{SELECT} WHERE u.name = ?1"), params![name], USER, decode)
}

fn change(
    connection: &Connection,
    name: &str,
    (change, keep): (&UserChange, Option<[u8; 32]>),
    by: &str,
    at: TimeMs,
) -> Result<bool, StoreError> {
    let changed = match change {
        UserChange::Role(role, institution) => {
            let sql = "UPDATE console_user SET role = ?2, institution = ?3 WHERE name = ?1";
            execute(connection, sql, params![name, role.word(), institution], USER)?
        }
        UserChange::Password(password, must_change) => {
            let sql = "UPDATE console_user SET password = ?2, must_change = ?3, failures = 0, locked_until = 0 WHERE name = ?1";
            execute(connection, sql, params![name, password, must_change], USER)?
        }
        UserChange::Totp(totp) => {
            let sql = "UPDATE console_user SET totp = ?2, totp_step = 0 WHERE name = ?1";
            execute(connection, sql, params![name, totp.as_ref().map(|totp| totp.0.clone())], USER)?
        }
        UserChange::Disabled(disabled) => {
            let sql = "UPDATE console_user SET disabled_at = ?2 WHERE name = ?1";
            execute(connection, sql, params![name, disabled.then_some(at)], USER)?
        }
        UserChange::Unlocked => {
            execute(connection, "UPDATE console_user SET failures = 0, locked_until = 0 WHERE name = ?1", params![name], USER)?
        }
    };
    if changed == 0 {
        return Ok(false);
    }
    if change.ends_sessions() {
        let sql = "DELETE FROM console_session WHERE user_name = ?1 AND token_hash IS DISTINCT FROM ?2";
        execute(connection, sql, params![name, keep], SESSION)?;
    }
    let detail = match change {
        UserChange::Role(role, institution) => json!({ "change": change.word(), "role": role.word(), "institution": institution }),
        UserChange::Password(..) | UserChange::Totp(_) | UserChange::Disabled(_) | UserChange::Unlocked => {
            json!({ "change": change.word() })
        }
    };
    let (by, object, detail) = (by.to_owned(), name.to_owned(), detail.to_string());
    audit::append(connection, &AuditEvent { at, action: AuditAction::UserChanged, by, object, detail })?;
    Ok(true)
}

/// Unknown names are not written down: somebody may have typed a password there.
fn refused(connection: &Connection, name: &str, rule: LockRule, address: &str, at: TimeMs) -> Result<(), StoreError> {
    let sql = "UPDATE console_user SET failures = failures + 1 WHERE name = ?1 RETURNING failures";
    let failures: Option<u32> = query_one(connection, sql, params![name], USER, |columns| columns.unsigned("failures"))?;
    let locked = failures.map_or(0, |failures| rule.lock_ms(failures));
    if locked > 0 {
        let sql = "UPDATE console_user SET locked_until = ?2 WHERE name = ?1";
        execute(connection, sql, params![name, at.saturating_add(locked)], USER)?;
    }
    let by = failures.map_or_else(String::new, |_| name.to_owned());
    let detail = json!({ "address": address, "locked_ms": locked }).to_string();
    audit::append(connection, &AuditEvent { at, action: AuditAction::SignInRefused, object: by.clone(), by, detail })
}

fn begin(connection: &Connection, session: &Session, step: Option<i64>) -> Result<bool, StoreError> {
    let taken = match step {
        Some(step) => {
            let sql = "UPDATE console_user SET totp_step = ?2, failures = 0, locked_until = 0 WHERE name = ?1 AND totp_step < ?2";
            execute(connection, sql, params![session.user, step], USER)?
        }
        None => execute(
            connection,
            "UPDATE console_user SET failures = 0, locked_until = 0 WHERE name = ?1 AND totp IS NULL",
            params![session.user],
            USER,
        )?,
    };
    if taken == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO console_session (token_hash, user_name, created_at, seen_at, address) VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = params![session.token_hash, session.user, session.created_at, session.seen_at, session.address];
    execute(connection, sql, values, SESSION)?;
    let (by, object) = (session.user.clone(), session.user.clone());
    let detail = json!({ "address": session.address, "second_factor": step.is_some() }).to_string();
    audit::append(connection, &AuditEvent { at: session.created_at, action: AuditAction::SignedIn, by, object, detail })?;
    Ok(true)
}

fn session(connection: &Connection, token_hash: &[u8; 32]) -> Result<Option<(Session, User)>, StoreError> {
    let sql = "SELECT token_hash, user_name, created_at, seen_at, address FROM console_session WHERE token_hash = ?1";
    let decode = |columns: &Columns<'_>| {
        Ok(Session {
            token_hash: columns.get("token_hash")?,
            user: columns.get("user_name")?,
            created_at: columns.get("created_at")?,
            seen_at: columns.get("seen_at")?,
            address: columns.get("address")?,
        })
    };
    let Some(session) = query_one(connection, sql, params![token_hash], SESSION, decode)? else { return Ok(None) };
    let user = by_name(connection, &session.user)?.filter(|user| user.disabled_at.is_none());
    Ok(user.map(|user| (session, user)))
}

#[async_trait]
impl Accounts for SqlStore {
    async fn add_user(&self, user: User, by: &str) -> Result<(), StoreError> {
        let by = by.to_owned();
        self.writer.write(move |connection| add(connection, &user, &by)).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        let name = name.to_owned();
        self.readers.read(move |connection| by_name(connection, &name)).await
    }

    async fn users(&self) -> Result<Vec<User>, StoreError> {
        self.readers.read(|connection| query(connection, &format!("{SELECT} ORDER BY u.name"), (), USER, decode)).await
    }

    async fn change_user(&self, name: &str, change: UserChange, keep: Option<[u8; 32]>, by: &str, at: TimeMs) -> Result<bool, StoreError> {
        let (name, by) = (name.to_owned(), by.to_owned());
        self.writer.write(move |connection| self::change(connection, &name, (&change, keep), &by, at)).await
    }

    async fn sign_in_refused(&self, name: &str, rule: LockRule, address: &str, at: TimeMs) -> Result<(), StoreError> {
        let (name, address) = (name.to_owned(), address.to_owned());
        self.writer.write(move |connection| refused(connection, &name, rule, &address, at)).await
    }

    async fn sign_in(&self, session: Session, step: Option<i64>) -> Result<bool, StoreError> {
        self.writer.write(move |connection| begin(connection, &session, step)).await
    }

    async fn session(&self, token_hash: [u8; 32]) -> Result<Option<(Session, User)>, StoreError> {
        self.readers.read(move |connection| session(connection, &token_hash)).await
    }

    async fn session_seen(&self, token_hash: [u8; 32], at: TimeMs) -> Result<(), StoreError> {
        let sql = "UPDATE console_session SET seen_at = ?2 WHERE token_hash = ?1 AND seen_at < ?2";
        self.writer.write(move |connection| execute(connection, sql, params![token_hash, at], SESSION).map(drop)).await
    }

    async fn end_session(&self, token_hash: [u8; 32]) -> Result<(), StoreError> {
        let sql = "DELETE FROM console_session WHERE token_hash = ?1";
        self.writer.write(move |connection| execute(connection, sql, params![token_hash], SESSION).map(drop)).await
    }

    async fn sweep_sessions(&self, begun_before: TimeMs, seen_before: TimeMs) -> Result<u64, StoreError> {
        let sql = "DELETE FROM console_session WHERE created_at < ?1 OR seen_at < ?2";
        self.writer.write(move |connection| Ok(execute(connection, sql, params![begun_before, seen_before], SESSION)? as u64)).await
    }
}
