//! `matcher keys status`: every key of a center, never a part of one.

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use jiff::Timestamp;
use matcher_core::audit::checkpoint::key_id;
use serde::Serialize;

use super::{
    KeyKind, KeyringError,
    rotate::{self, id, opening, read},
};
use crate::{
    config::Config,
    data_dir::DataDir,
    keys::{KeyError, secrets, signing::SigningKeys},
    policy::PolicyKey,
    receipt_keys::load_settlement,
    store::{Store, TimeMs},
    vault::{KeyEncryptionKey, Vault},
};

/// A key of a center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// What it is for.
    pub kind: &'static str,
    /// Its name.
    pub id: String,
    /// When it was made, if its file says so.
    pub made: Option<Timestamp>,
    /// Whether it is the one in use; otherwise an older one that is still understood.
    pub in_use: bool,
    /// How many things need it, where that is known.
    pub needed_by: Option<u64>,
    /// When it may go, or how it is rotated.
    pub note: String,
}

/// All keys of a center.
///
/// # Errors
/// When a file is not in order or the store cannot be asked.
pub async fn rows(dir: &DataDir, config: &Config, store: &dyn Store, now: TimeMs) -> Result<Vec<KeyRow>, KeyringError> {
    let mut rows = key_encryption(config, store).await?;
    rows.extend(authority(dir, store, now).await?);
    rows.extend(lookup(dir, store).await?);
    let path = dir.opening_keys();
    let keys = opening(&path, &read(&path)?)?;
    let note = format!("--finish, {} days after the newer one was made", config.keys.spool_days);
    rows.extend(listed(KeyKind::Opening.word(), keys, &note));
    for (kind, path, note) in [
        (KeyKind::Receipt, dir.receipt_key(), "--finish, 7 days after the newer one was made"),
        (KeyKind::ReceiptDrill, dir.receipt_drill_key(), "--finish, 7 days after the newer one was made"),
        (KeyKind::Audit, dir.audit_key(), "--finish, at any time"),
    ] {
        let keys = SigningKeys::load(&path).map_err(KeyringError::Key)?;
        rows.extend(listed(kind.word(), keys.all().map(|key| (id(key), key.made)).collect(), note));
    }
    rows.extend(installed(dir)?);
    Ok(rows)
}

async fn key_encryption(config: &Config, store: &dyn Store) -> Result<Vec<KeyRow>, KeyringError> {
    let kind = KeyKind::KeyEncryption.word();
    let text = config.keys.key_encryption.read().map_err(|error| KeyringError::Key(KeyError::Source(error)))?;
    let keys = secrets::parse(&text).ok_or(KeyringError::Key(KeyError::SourceForm))?;
    let counts = store.data_key_counts().await.map_err(KeyringError::Store)?;
    let mut rows = Vec::new();
    for (place, dated) in keys.iter().enumerate() {
        let id = KeyEncryptionKey::new(*dated.key).id();
        let count = counts.iter().filter(|(prefix, _)| *prefix == Some(Vault::prefix(id))).map(|(_, count)| *count).sum();
        let note = if place == 0 { "wraps data keys" } else { "--finish, when no data key needs it" };
        rows.push(KeyRow { kind, id: id.to_string(), made: dated.made, in_use: place == 0, needed_by: Some(count), note: note.into() });
    }
    let known: u64 = rows.iter().filter_map(|row| row.needed_by).sum();
    let all: u64 = counts.iter().map(|(_, count)| *count).sum();
    if all > known {
        let note = "wrapped by a release that did not say by which key, or by a key that is not here; rotating names them".into();
        rows.push(KeyRow { kind, id: "unnamed".into(), made: None, in_use: false, needed_by: Some(all - known), note });
    }
    Ok(rows)
}

/// Keys that are not rotated by a command.
fn installed(dir: &DataDir) -> Result<Vec<KeyRow>, KeyringError> {
    let row = |kind, id, note: &str| KeyRow { kind, id, made: None, in_use: true, needed_by: None, note: note.into() };
    let policy = key_id(&PolicyKey::load(&dir.policy_key()).map_err(KeyringError::Key)?.public());
    let mut rows = vec![row("policy", policy, "counters know it by their bundle: a new one means a new bundle for each")];
    if dir.settlement_key().exists() {
        let key = load_settlement(dir).map_err(KeyringError::Key)?;
        rows.push(row("settlement", key.id(), "shared with the settlement side: exchanged there and here at once"));
    }
    Ok(rows)
}

async fn authority(dir: &DataDir, store: &dyn Store, now: TimeMs) -> Result<Vec<KeyRow>, KeyringError> {
    let authorities = rotate::authority::Authorities::load(dir)?;
    let behind = authorities.behind(store, now).await?.len() as u64;
    let row = |(place, id): (usize, String)| {
        let (made, note) = match place {
            0 => (authorities.made, String::new()),
            _ => (None, "--finish, when every device has a bundle issued since".to_owned()),
        };
        let needed_by = (place > 0).then_some(behind);
        KeyRow { kind: KeyKind::Authority.word(), id, made, in_use: place == 0, needed_by, note }
    };
    Ok(authorities.ids().into_iter().enumerate().map(row).collect())
}

async fn lookup(dir: &DataDir, store: &dyn Store) -> Result<Vec<KeyRow>, KeyringError> {
    let kind = KeyKind::Lookup.word();
    let path = dir.lookup_key();
    let keys = crate::lookup::parse(&path, &read(&path)?).map_err(KeyringError::Key)?;
    let counts = store.lookup_counts().await.map_err(KeyringError::Store)?;
    let mut rows = Vec::new();
    for (place, dated) in keys.iter().enumerate() {
        let id = rotate::lookup::id(dated);
        let (numbers, tombstones) = counts.iter().find(|under| under.key == id).map_or((0, 0), |under| (under.numbers, under.tombstones));
        let note = match (place, dated.forgotten_only) {
            (0, _) => format!("hashes numbers; {tombstones} of the forgotten"),
            (_, false) => format!("--finish, when all numbers are hashed anew; {tombstones} of the forgotten"),
            (_, true) => format!("--finish, when retention deleted what is left of {tombstones} forgotten numbers; finds nobody"),
        };
        let needed_by = Some(numbers + tombstones);
        rows.push(KeyRow { kind, id, made: dated.made, in_use: place == 0, needed_by, note });
    }
    let unnamed: u64 = counts.iter().filter(|under| under.key.is_empty()).map(|under| under.numbers + under.tombstones).sum();
    if unnamed > 0 {
        let note = "of a release that did not say under which key; numbers are named when their person is enrolled again".into();
        rows.push(KeyRow { kind, id: "unnamed".into(), made: None, in_use: false, needed_by: Some(unnamed), note });
    }
    Ok(rows)
}

fn listed(kind: &'static str, keys: Vec<(String, Option<Timestamp>)>, note: &str) -> Vec<KeyRow> {
    let row = |(place, (id, made)): (usize, (String, Option<Timestamp>))| {
        let note = if place == 0 { String::new() } else { note.to_owned() };
        KeyRow { kind, id, made, in_use: place == 0, needed_by: None, note }
    };
    keys.into_iter().enumerate().map(row).collect()
}

/// The keys as a table.
#[must_use]
pub fn table(rows: &[KeyRow]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["key", "id", "made", "state", "needed by", "may go"]);
    for row in rows {
        let made = row.made.map(|made| made.strftime("%Y-%m-%d").to_string()).unwrap_or_else(|| "unknown".into());
        let needed = row.needed_by.map(|count| count.to_string()).unwrap_or_default();
        table.add_row([row.kind, &row.id, &made, if row.in_use { "in use" } else { "older" }, &needed, &row.note]);
    }
    table.to_string()
}
