//! Files and folders that are still there after the power went.
//!
//! A file's bytes reach the disk by its own fsync, its name by that of the folder it stands in: both are
//! done here, in that order, and a file is replaced in one step or not at all. Everything is for the owner
//! alone (folders 0700, files 0600). Not here: what is written, and the database's own writes.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Makes a folder and those above it that are missing.
///
/// # Errors
/// When one cannot be made, or its place in the folder above cannot be made durable.
pub fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = folder_of(path)?;
    create_dir(&above)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        done => done?,
    }
    sync_dir(&above)
}

/// Writes a file, in place of an older one if there is one: after a crash either the old or the new bytes
/// are there, whole.
///
/// # Errors
/// When the file cannot be written or made durable; an older one is then untouched.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path)?;
    written(&folder, bytes)?.persist(path).map_err(|error| error.error)?;
    sync_dir(&folder)
}

/// Writes a file that must not exist yet: keys and certificates are never overwritten.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when it exists, others when it cannot be written or made durable.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path)?;
    written(&folder, bytes)?.persist_noclobber(path).map_err(|error| error.error)?;
    sync_dir(&folder)
}

/// Makes an empty file unless there is one, and its name durable either way (a crash may have come between
/// the two the last time).
///
/// # Errors
/// When it cannot be made.
pub fn ensure_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)?.sync_all()?;
    sync_dir(&folder_of(path)?)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// When the folder cannot be opened or synchronised.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A temporary file beside the place where it is to stand, with its bytes durable.
fn written(folder: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder_of(path: &Path) -> io::Result<PathBuf> {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Ok(PathBuf::from(".")),
        Some(above) => Ok(above.to_owned()),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a path with a folder above it")),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[track_caller]
    fn check_mode(path: &Path, expected: u32) {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, expected, "{}", path.display());
    }

    #[test]
    fn folders_and_files_are_the_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        create_dir(&folder).unwrap();
        create_dir(&folder).unwrap();
        write(&folder.join("file"), b"1").unwrap();
        write_new(&folder.join("new"), b"1").unwrap();
        ensure_file(&folder.join("empty")).unwrap();
        check_mode(&dir.path().join("a"), 0o700);
        check_mode(&folder, 0o700);
        for name in ["file", "new", "empty"] {
            check_mode(&folder.join(name), 0o600);
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"a longer text").unwrap();
        write(&path, b"short").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_never_replaces_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_new(&path, b"first").unwrap();
        assert_eq!(write_new(&path, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_existing_file_keeps_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"kept").unwrap();
        ensure_file(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }

    #[test]
    fn a_folder_cannot_take_a_files_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"x").unwrap();
        assert!(create_dir(&path).is_err());
    }
}
