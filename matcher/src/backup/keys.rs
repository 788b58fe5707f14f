//! `matcher keys backup` and `restore`: all keys and certificates in one file, encrypted under a passphrase.
//!
//! The passphrase goes through Argon2id (RFC 9106) to a key of AES-256-GCM-SIV. The file is JSON: the cost of the
//! derivation, its salt, and what is sealed. Keep it apart from copies of the store. A key-encryption key that
//! comes from the environment or a command is not in it: whoever keeps the source keeps its copies.

use std::{
    collections::BTreeMap,
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{BackupError, mark_when_whole};
use crate::{
    data_dir::DataDir,
    durable,
    keys::{from_hex, hex},
    store::Sealed,
    surroundings::os_random,
    vault::{open_with, seal_with},
};

/// Folders of a data folder that hold keys and certificates.
const FOLDERS: [&str; 3] = ["keys", "authority", "server"];
/// Shortest passphrase, in characters.
const PASSPHRASE_LEN_MIN: usize = 12;
const PASSPHRASE: &str = "COUNTERSIGN_KEYS_PASSPHRASE";
/// Most memory and passes a file may ask for: it is read before anything about it is known to be true.
const COST_MAX: Cost = Cost { memory_kib: 1 << 20, passes: 64 };

/// What the derivation costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// The second choice of RFC 9106, 4: 64 MiB and three passes.
    pub const USUAL: Self = Self { memory_kib: 64 * 1024, passes: 3 };
}

/// Arguments of `matcher keys backup`.
#[derive(Debug, Clone, Args)]
pub struct KeyBackupArgs {
    /// File to write; it must not exist, nor stand in the data folder or beside a copy of the store. The passphrase
    /// (12 characters or more) is the variable COUNTERSIGN_KEYS_PASSPHRASE, or the first line of the input
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `matcher keys restore`.
#[derive(Debug, Clone, Args)]
pub struct KeyRestoreArgs {
    /// File that `matcher keys backup` wrote
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
}

/// Keys that cannot be copied or put back.
#[derive(Debug, Error)]
pub enum KeyBackupError {
    /// The passphrase is too short or missing.
    #[error("passphrase: expected {PASSPHRASE_LEN_MIN} characters or more, in {PASSPHRASE} or as the first line of the input")]
    Passphrase,
    /// The file would stand beside the store.
    #[error("{} stands beside a store; keep keys and data apart", .0.display())]
    BesideStore(PathBuf),
    /// A key is there already.
    #[error("{} is there already; nothing was changed", .0.display())]
    Exists(PathBuf),
    /// The file is not one of keys.
    #[error("{}: expected a file of `matcher keys backup`", .0.display())]
    Form(PathBuf),
    /// It does not open.
    #[error("the file does not open: another passphrase, or it was altered")]
    DoesNotOpen,
    /// A file cannot be read or written.
    #[error("could not read or write {}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder cannot be marked.
    #[error(transparent)]
    Mark(BackupError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    countersign_keys: u8,
    kdf: String,
    cost: Cost,
    salt: String,
    sealed: String,
}

/// The passphrase of the environment, or the first line of the input.
///
/// # Errors
/// When there is none, or it is too short.
pub fn passphrase() -> Result<Zeroizing<String>, KeyBackupError> {
    let text = match std::env::var(PASSPHRASE) {
        Ok(text) => Zeroizing::new(text),
        Err(_) => {
            let mut line = Zeroizing::new(String::new());
            io::stdin().lock().read_line(&mut line).map_err(|_| KeyBackupError::Passphrase)?;
            Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    if text.chars().count() < PASSPHRASE_LEN_MIN { Err(KeyBackupError::Passphrase) } else { Ok(text) }
}

/// Writes all keys and certificates of a center into one encrypted file; says how many files are in it.
///
/// # Errors
/// When the place is not fit for it, or something cannot be read or written.
pub fn backup(dir: &DataDir, out: &Path, passphrase: &str, cost: Cost) -> Result<usize, KeyBackupError> {
    let absolute = std::path::absolute(out).map_err(failed(out))?;
    let data = std::path::absolute(dir.path()).map_err(failed(dir.path()))?;
    let beside = absolute.parent().is_some_and(|folder| folder.join("center.db").exists());
    if beside || absolute.starts_with(data) {
        return Err(KeyBackupError::BesideStore(out.to_owned()));
    }
    let mut files: BTreeMap<String, Zeroizing<String>> = BTreeMap::new();
    for folder in FOLDERS {
        collect(dir.path(), folder, &mut files)?;
    }
    let plain: BTreeMap<&String, &String> = files.iter().map(|(name, content)| (name, &**content)).collect();
    let form = |_| KeyBackupError::Form(out.to_owned());
    let plain = Zeroizing::new(serde_json::to_vec(&plain).map_err(form)?);
    let salt: [u8; 16] = os_random();
    let key = derive(passphrase, &salt, cost).ok_or(KeyBackupError::Passphrase)?;
    let sealed = BASE64_STANDARD.encode(seal_with(&key, &place(&salt, cost), &plain).0);
    let bundle = Bundle { countersign_keys: 1, kdf: "argon2id".into(), cost, salt: hex(&salt), sealed };
    durable::write_new(out, &serde_json::to_vec(&bundle).map_err(form)?).map_err(failed(out))?;
    Ok(files.len())
}

/// Puts keys and certificates back into a folder that has none; says how many files.
///
/// # Errors
/// When one is there, the file does not open, or something cannot be written.
pub fn restore(dir: &DataDir, from: &Path, passphrase: &str) -> Result<usize, KeyBackupError> {
    let form = || KeyBackupError::Form(from.to_owned());
    let bundle: Bundle = serde_json::from_slice(&std::fs::read(from).map_err(failed(from))?).map_err(|_| form())?;
    let Cost { memory_kib, passes } = bundle.cost;
    if bundle.countersign_keys != 1 || bundle.kdf != "argon2id" || memory_kib > COST_MAX.memory_kib || passes > COST_MAX.passes {
        return Err(form());
    }
    let salt = from_hex(&bundle.salt).ok_or_else(form)?;
    let sealed = Sealed(BASE64_STANDARD.decode(&bundle.sealed).map_err(|_| form())?);
    let key = derive(passphrase, &salt, bundle.cost).ok_or_else(form)?;
    let plain = open_with(&key, &place(&salt, bundle.cost), &sealed).ok_or(KeyBackupError::DoesNotOpen)?;
    let files: BTreeMap<String, String> = serde_json::from_slice(&plain).map_err(|_| form())?;
    let files: BTreeMap<String, Zeroizing<String>> = files.into_iter().map(|(name, content)| (name, Zeroizing::new(content))).collect();
    // A name leads into one of the folders and nowhere else.
    let inside = |name: &str| name.split_once('/').is_some_and(|(folder, file)| FOLDERS.contains(&folder) && !file.contains(['/', '\\']));
    if !files.keys().all(|name| inside(name)) {
        return Err(form());
    }
    if let Some(there) = files.keys().map(|name| dir.path().join(name)).find(|path| path.exists()) {
        return Err(KeyBackupError::Exists(there));
    }
    for (name, content) in &files {
        let path = dir.path().join(name);
        let folder = path.parent().unwrap_or(dir.path());
        durable::create_dir(folder).map_err(failed(folder))?;
        durable::write_new(&path, content.as_bytes()).map_err(failed(&path))?;
    }
    mark_when_whole(dir).map_err(KeyBackupError::Mark)?;
    Ok(files.len())
}

fn collect(data: &Path, folder: &str, files: &mut BTreeMap<String, Zeroizing<String>>) -> Result<(), KeyBackupError> {
    let path = data.join(folder);
    for entry in std::fs::read_dir(&path).map_err(failed(&path))? {
        let entry = entry.map_err(failed(&path))?.path();
        let name = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if entry.is_file() && !name.starts_with('.') {
            let content = std::fs::read_to_string(&entry).map(Zeroizing::new).map_err(failed(&entry))?;
            files.insert(format!("{folder}/{name}"), content);
        }
    }
    Ok(())
}

fn derive(passphrase: &str, salt: &[u8; 16], cost: Cost) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice()).ok()?;
    Some(key)
}

/// What a file is sealed for: another cost or salt opens nothing.
fn place(salt: &[u8; 16], cost: Cost) -> Vec<u8> {
    format!("countersign keys 1 argon2id {} {} {}", cost.memory_kib, cost.passes, hex(salt)).into_bytes()
}

fn failed(path: &Path) -> impl Fn(io::Error) -> KeyBackupError {
    let path = path.to_owned();
    move |source| KeyBackupError::File { path: path.clone(), source }
}
