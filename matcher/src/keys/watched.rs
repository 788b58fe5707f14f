//! Keys that may be exchanged while a process works with them.
//!
//! The file is looked at again when [`Watched::refresh`] is called: from time to time, and at once when a key is
//! asked for that nobody knows yet. A file that is not in order leaves the keys as they are, and is said.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use tracing::{error, info};

use super::KeyError;

/// What tells one state of a file from another.
type Stamp = (SystemTime, u64, u64);

type Load<T> = Box<dyn Fn() -> Result<T, KeyError> + Send + Sync>;

/// Keys, and the file they come from.
pub struct Watched<T> {
    value: RwLock<Arc<T>>,
    file: Option<(PathBuf, Load<T>)>,
    seen: Mutex<Option<Stamp>>,
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("file", &self.file.as_ref().map(|(path, _)| path)).finish_non_exhaustive()
    }
}

impl<T> Watched<T> {
    /// Keys that stay as they are.
    pub fn fixed(value: T) -> Self {
        Self { value: RwLock::new(Arc::new(value)), file: None, seen: Mutex::new(None) }
    }

    /// Keys of a file, read now and whenever it changed.
    ///
    /// # Errors
    /// When they cannot be read now.
    pub fn file(path: PathBuf, load: impl Fn() -> Result<T, KeyError> + Send + Sync + 'static) -> Result<Self, KeyError> {
        // First the stamp: a file that changes in between is read once more, not overlooked.
        let seen = stamp(&path);
        let value = load()?;
        Ok(Self { value: RwLock::new(Arc::new(value)), file: Some((path, Box::new(load))), seen: Mutex::new(seen) })
    }

    /// The keys as they are now.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the file again; says whether there are other keys.
    pub fn refresh(&self) -> bool {
        let Some((path, load)) = &self.file else { return false };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(path);
        if now == *seen {
            return false;
        }
        match load() {
            Ok(value) => {
                *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
                *seen = now;
                info!(file = %path.display(), "keys were read again");
                true
            }
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "changed keys are not in order; those in use stay");
                *seen = now;
                false
            }
        }
    }
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_and_a_spoilt_one_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("number");
        let write = |text: &str| crate::durable::write(&path, text.as_bytes()).unwrap();
        write("1");
        let load = {
            let path = path.clone();
            move || {
                let text = std::fs::read_to_string(&path).unwrap();
                text.parse::<u32>().map_err(|_| KeyError::Form { path: path.clone(), expected: "a number" })
            }
        };
        let watched = Watched::file(path.clone(), load).unwrap();
        assert!(!watched.refresh());
        write("22");
        assert_eq!(*watched.get(), 1);
        assert!(watched.refresh() && *watched.get() == 22);
        write("none");
        assert!(!watched.refresh() && *watched.get() == 22);
        write("333");
        assert!(watched.refresh() && *watched.get() == 333);
        assert!(!Watched::fixed(5).refresh());
    }
}
