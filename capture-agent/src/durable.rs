//! Files that are there after a power cut, whole or not at all: written beside their place, fsynced, moved
//! into it, and the folder fsynced.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// A file or folder could not be written.
#[derive(Debug, Error)]
#[error("{}: could not be written", path.display())]
pub struct WriteError {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone (0600).
    Owner,
    /// Everyone (0644).
    Everyone,
}

/// Makes a folder for its owner alone (0700), and the folders that lead to it, and fsyncs what holds them.
///
/// # Errors
/// When the file system refuses.
pub fn make_folder(dir: &Path) -> Result<(), WriteError> {
    let told = |source| WriteError { path: dir.to_owned(), source };
    if dir.is_dir() {
        return Ok(());
    }
    let parent = parent_of(dir);
    make_folder(parent)?;
    fs::create_dir(dir).map_err(told)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(told)?;
    }
    sync_folder(dir).map_err(told)?;
    sync_folder(parent).map_err(told)
}

/// Writes a file in place of an older one.
///
/// # Errors
/// When the file system refuses; the older file is then still there.
pub fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), WriteError> {
    place(path, bytes, readers, true)
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// When it is there, or the file system refuses.
pub fn write_new(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), WriteError> {
    place(path, bytes, readers, false)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// When the file system refuses.
pub fn sync_folder(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(dir)?.sync_all() } else { Ok(()) }
}

fn place(path: &Path, bytes: &[u8], readers: Readers, replace: bool) -> Result<(), WriteError> {
    let told = |source| WriteError { path: path.to_owned(), source };
    let folder = parent_of(path);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(told)?;
    file.write_all(bytes).map_err(told)?;
    permit(file.as_file(), readers).map_err(told)?;
    file.as_file().sync_all().map_err(told)?;
    let placed = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    placed.map_err(|error| told(error.error))?;
    sync_folder(folder).map_err(told)
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn permit(file: &fs::File, readers: Readers) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Everyone => 0o644,
    };
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn permit(_file: &fs::File, _readers: Readers) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_only_where_that_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_new(&path, b"1", Readers::Owner).unwrap();
        assert!(write_new(&path, b"2", Readers::Owner).is_err());
        write(&path, b"3", Readers::Everyone).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"3");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn secrets_and_their_folder_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        make_folder(&folder).unwrap();
        make_folder(&folder).unwrap();
        write(&folder.join("key"), b"1", Readers::Owner).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("key"))), (0o700, 0o600));
    }
}
