//! The folder of checkpoints: one file a day (`2026-01-31.jws`), one signed line each, only ever appended to.
//!
//! Put it where whoever administers the database cannot change it: another machine, a mount that only grows.
//! One process writes at a time (a lock on the file `lock`). A line that a crash cut short is left where it is:
//! the next one names the last whole line. Not here: what a line says (`matcher_core::audit`).

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use ed25519_dalek::SigningKey;
use matcher_core::audit::{Checkpoint, CheckpointError, EpochId, Head, Named, checkpoint::line_hash};
use thiserror::Error;

use crate::{durable, store::TimeMs};

const ENDING: &str = ".jws";

/// A folder that cannot be worked with.
#[derive(Debug, Error)]
pub enum FolderError {
    /// A file cannot be read or written.
    #[error("could not read or write the checkpoints' {}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A checkpoint cannot be written.
    #[error("could not sign a checkpoint")]
    Sign(#[source] CheckpointError),
    /// The time is none.
    #[error("expected a time between the years -9999 and 9999, got {0} ms")]
    Time(TimeMs),
}

/// What was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its number.
    pub number: u64,
    /// An epoch that is not what an earlier checkpoint says: somebody changed the log.
    pub contradicts: Option<Named>,
}

/// Path of a folder of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// Names a folder.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Waits until no other process writes. The heads that are to be added are read after this, never before.
    ///
    /// # Errors
    /// When the folder cannot be made or locked.
    pub fn lock(&self) -> Result<Locked, FolderError> {
        durable::create_dir(&self.0).map_err(failed(&self.0))?;
        let path = self.0.join("lock");
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(failed(&path))?;
        file.lock().map_err(failed(&path))?;
        Ok(Locked { folder: self.clone(), _lock: file })
    }

    /// Reads all whole lines, oldest first.
    ///
    /// # Errors
    /// When a file cannot be read, or as `each` says.
    pub fn read<E: From<FolderError>>(&self, mut each: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        for path in self.files()? {
            read_lines(&path, &mut each)?;
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>, FolderError> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed(&self.0))?,
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>().map_err(failed(&self.0))?;
        let is_ours = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING));
        let mut paths: Vec<_> = paths.into_iter().filter(is_ours).collect();
        paths.sort();
        Ok(paths)
    }
}

/// A folder that this process alone writes to.
#[derive(Debug)]
pub struct Locked {
    folder: Folder,
    _lock: File,
}

/// What the lines so far end with.
#[derive(Debug, Default)]
struct Tail {
    file: Option<PathBuf>,
    number: u64,
    previous: Option<[u8; 32]>,
    /// Heads since the last full checkpoint, where the file has one.
    known: Option<BTreeMap<EpochId, Head>>,
}

impl Locked {
    /// Adds a checkpoint of these heads, which are those of all epochs; where none moved, only when `always`.
    /// `next_key` introduces the key that later ones may be signed with.
    ///
    /// # Errors
    /// When it cannot be written or made durable.
    pub fn add(
        &self,
        heads: &[Head],
        key: &SigningKey,
        next_key: Option<[u8; 32]>,
        at: TimeMs,
        always: bool,
    ) -> Result<Option<Added>, FolderError> {
        let tail = self.tail()?;
        let day = jiff::Timestamp::from_millisecond(at).map_err(|_| FolderError::Time(at))?;
        let today = self.folder.0.join(format!("{}{ENDING}", day.strftime("%Y-%m-%d")));
        // A clock that was put back does not open an older file again.
        let file = tail.file.clone().filter(|last| *last > today).unwrap_or(today);
        let known = tail.known.as_ref();
        let moved: Vec<Head> =
            heads.iter().filter(|head| known.is_none_or(|known| known.get(&head.epoch) != Some(*head))).copied().collect();
        let full = known.is_none() || tail.file.as_ref() != Some(&file);
        if known.is_some() && moved.is_empty() && !always && next_key.is_none() {
            return Ok(None);
        }
        let checkpoint = Checkpoint {
            number: tail.number.saturating_add(1),
            at,
            previous: tail.previous,
            full,
            heads: if full { heads.to_vec() } else { moved },
            next_key,
        };
        append(&file, &checkpoint.sign(key).map_err(FolderError::Sign)?)?;
        Ok(Some(Added { number: checkpoint.number, contradicts: known.and_then(|known| contradiction(known, heads)) }))
    }

    fn tail(&self) -> Result<Tail, FolderError> {
        for path in self.folder.files()?.into_iter().rev() {
            let mut tail = Tail::default();
            read_lines(&path, &mut |line: &str| {
                // A line that says nothing is passed over; checking says so.
                if let Ok(checkpoint) = Checkpoint::read_unverified(line) {
                    tail.take(line, &checkpoint);
                }
                Ok::<(), FolderError>(())
            })?;
            if tail.number > 0 {
                return Ok(Tail { file: Some(path), ..tail });
            }
        }
        Ok(Tail::default())
    }
}

impl Tail {
    fn take(&mut self, line: &str, checkpoint: &Checkpoint) {
        (self.number, self.previous) = (checkpoint.number, Some(line_hash(line)));
        if checkpoint.full {
            self.known = Some(BTreeMap::new());
        }
        if let Some(known) = &mut self.known {
            known.extend(checkpoint.heads.iter().map(|head| (head.epoch, *head)));
        }
    }
}

/// An epoch that went back, changed or vanished.
fn contradiction(known: &BTreeMap<EpochId, Head>, heads: &[Head]) -> Option<Named> {
    let now: BTreeMap<EpochId, &Head> = heads.iter().map(|head| (head.epoch, head)).collect();
    let wrong = |before: &&Head| match now.get(&before.epoch) {
        Some(head) => head.link < before.link || (head.link == before.link && *head != *before),
        None => true,
    };
    known.values().find(wrong).map(|head| Named(head.epoch))
}

/// Lines that end; what a crash cut short has no end, or is followed by one of its own.
fn read_lines<E: From<FolderError>>(path: &Path, each: &mut impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    let file = File::open(path).map_err(failed(path))?;
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line).map_err(failed(path))?;
        let Some(whole) = line.strip_suffix(b"\n") else { return Ok(()) };
        let text = String::from_utf8_lossy(whole);
        if !text.is_empty() && !text.ends_with('~') {
            each(&text)?;
        }
    }
}

/// Appends a line. One that was cut short before is first ended with a `~`, which says that it is none.
fn append(path: &Path, line: &str) -> Result<(), FolderError> {
    let failed = || failed(path);
    durable::ensure_file(path).map_err(failed())?;
    let bytes = fs::read(path).map_err(failed())?;
    let cut = if bytes.last().is_some_and(|last| *last != b'\n') { "~\n" } else { "" };
    let mut file = OpenOptions::new().append(true).open(path).map_err(failed())?;
    file.write_all(format!("{cut}{line}\n").as_bytes()).map_err(failed())?;
    file.sync_all().map_err(failed())
}

fn failed(path: &Path) -> impl Fn(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::File { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use matcher_core::audit::History;

    use super::*;

    const DAY: TimeMs = 86_400_000;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn head(epoch: u8, link: u64) -> Head {
        Head { epoch: [epoch; 16], link, entries: link, hash: [u8::try_from(link).unwrap(); 32] }
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("checkpoints"));
        (dir, folder)
    }

    fn add(folder: &Folder, heads: &[Head], at: TimeMs) -> Option<Added> {
        folder.lock().unwrap().add(heads, &key(), None, at, false).unwrap()
    }

    fn history(folder: &Folder) -> History {
        let mut history = History::new(vec![key().verifying_key()]);
        let take = |line: &str| {
            history.take(line).unwrap();
            Ok::<(), FolderError>(())
        };
        folder.read(take).unwrap();
        history
    }

    #[test]
    fn each_day_has_a_file_that_stands_for_itself() {
        let (_dir, folder) = folder();
        assert_eq!(add(&folder, &[head(1, 1)], 5), Some(Added { number: 1, contradicts: None }));
        assert_eq!(add(&folder, &[head(1, 1)], 6), None, "nothing moved");
        assert_eq!(add(&folder, &[head(1, 2), head(2, 1)], 7).unwrap().number, 2);
        assert_eq!(add(&folder, &[head(1, 2), head(2, 3)], DAY + 5).unwrap().number, 3);
        assert_eq!(history(&folder).heads(), [(head(1, 2), 2), (head(2, 3), 3)]);
        fs::remove_file(folder.path().join("1970-01-01.jws")).unwrap();
        assert_eq!(history(&folder).heads(), [(head(1, 2), 3), (head(2, 3), 3)]);
    }

    #[test]
    fn a_line_that_a_crash_cut_short_is_passed_over() {
        let (_dir, folder) = folder();
        add(&folder, &[head(1, 1)], 5);
        let path = folder.path().join("1970-01-01.jws");
        let line = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{line}{}", &line[..40])).unwrap();
        assert_eq!(history(&folder).number(), 1);
        assert_eq!(add(&folder, &[head(1, 2)], 6).unwrap().number, 2);
        assert_eq!(history(&folder).number(), 2);
        fs::write(&path, &line[..40]).unwrap();
        assert_eq!(add(&folder, &[head(1, 3)], 7).unwrap().number, 1);
        assert_eq!(history(&folder).heads(), [(head(1, 3), 1)]);
    }

    #[test]
    fn a_log_that_went_back_is_noticed_when_the_next_checkpoint_is_made() {
        let (_dir, folder) = folder();
        add(&folder, &[head(1, 2), head(2, 2)], 5);
        assert_eq!(add(&folder, &[head(1, 1), head(2, 2)], 6).unwrap().contradicts, Some(Named([1; 16])));
        let changed = Head { hash: [7; 32], ..head(2, 2) };
        assert_eq!(add(&folder, &[head(1, 3), changed], 7).unwrap().contradicts, Some(Named([2; 16])));
        assert_eq!(add(&folder, &[head(1, 4)], 8).unwrap().contradicts, Some(Named([2; 16])));
    }

    #[test]
    fn a_clock_that_was_put_back_appends_to_the_last_file() {
        let (_dir, folder) = folder();
        add(&folder, &[head(1, 1)], DAY + 5);
        add(&folder, &[head(1, 2)], 5);
        assert_eq!(history(&folder).number(), 2);
    }
}
