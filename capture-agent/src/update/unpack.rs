//! Unpacking an archive into a new folder: plain files and folders within it, so many, so large, and nothing else.

use std::{
    cell::RefCell,
    fs::{self, OpenOptions},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use tar::{Archive, EntryType};
use thiserror::Error;

use crate::durable;

/// Entries of an archive.
pub const ENTRIES_MAX: usize = 10_000;
/// Bytes of all files together.
pub const BYTES_MAX: u64 = 4 << 30;

/// An archive that is not unpacked further.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// An entry leads elsewhere.
    #[error("archive: {}: expected a path within the archive", .0.display())]
    Path(PathBuf),
    /// An entry is neither file nor folder.
    #[error("archive: {}: expected a plain file or a folder", .0.display())]
    Kind(PathBuf),
    /// There are too many.
    #[error("archive: expected at most {ENTRIES_MAX} entries")]
    TooMany,
    /// They are too large.
    #[error("archive: expected files of at most {BYTES_MAX} bytes together")]
    TooLarge,
    /// It cannot be read or written.
    #[error("the archive could not be unpacked")]
    Io(#[source] io::Error),
}

/// Unpacks an archive into a folder that is not there yet, and makes it durable.
///
/// # Errors
/// When an entry is not in order, or the disk fails; the folder is then gone again.
pub fn unpack<R: Read>(archive: &RefCell<R>, folder: &Path) -> Result<(), UnpackError> {
    unpack_within(archive, folder, (ENTRIES_MAX, BYTES_MAX)).inspect_err(|_| {
        let _ = fs::remove_dir_all(folder);
    })
}

fn unpack_within<R: Read>(archive: &RefCell<R>, folder: &Path, (entries_max, bytes_max): (usize, u64)) -> Result<(), UnpackError> {
    fs::create_dir(folder).map_err(UnpackError::Io)?;
    let mut reader = archive.borrow_mut();
    let (mut entries, mut bytes) = (0, 0_u64);
    let mut archive = Archive::new(&mut *reader);
    for entry in archive.entries().map_err(UnpackError::Io)? {
        let mut entry = entry.map_err(UnpackError::Io)?;
        let path = entry.path().map_err(UnpackError::Io)?.into_owned();
        let target = within(folder, &path)?;
        entries += 1;
        if entries > entries_max {
            return Err(UnpackError::TooMany);
        }
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            fs::create_dir_all(&target).map_err(UnpackError::Io)?;
        } else if kind == EntryType::Regular {
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent).map_err(UnpackError::Io)?;
            }
            let is_program = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
            bytes += write(&mut entry, &target, bytes_max - bytes, is_program)?;
        } else {
            return Err(UnpackError::Kind(path));
        }
    }
    durable::sync_folder(folder).map_err(UnpackError::Io)
}

/// Where an entry goes: below the folder, by plain names alone.
fn within(folder: &Path, path: &Path) -> Result<PathBuf, UnpackError> {
    let mut target = folder.to_owned();
    for component in path.components() {
        match component {
            Component::Normal(name) => target.push(name),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::ParentDir => return Err(UnpackError::Path(path.to_owned())),
        }
    }
    Ok(target)
}

fn write(entry: &mut impl Read, target: &Path, left: u64, is_program: bool) -> Result<u64, UnpackError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if is_program { 0o755 } else { 0o644 });
    #[cfg(not(unix))]
    let _ = is_program;
    let mut file = options.open(target).map_err(UnpackError::Io)?;
    // What the header says of the size is not believed.
    let written = io::copy(&mut entry.take(left + 1), &mut file).map_err(UnpackError::Io)?;
    if written > left {
        return Err(UnpackError::TooLarge);
    }
    file.sync_all().map_err(UnpackError::Io)?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of entries, with names that `tar` itself would not write.
    fn archive(entries: &[(&str, EntryType, &[u8])]) -> RefCell<io::Cursor<Vec<u8>>> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            if *kind == EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        RefCell::new(io::Cursor::new(builder.into_inner().unwrap()))
    }

    #[track_caller]
    fn check_refused(entries: &[(&str, EntryType, &[u8])], expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/new");
        fs::create_dir(dir.path().join("a")).unwrap();
        let error = unpack(&archive(entries), &folder).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!folder.exists(), "nothing is left");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing went elsewhere");
    }

    #[test]
    fn files_and_folders_are_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new");
        let entries: [(&str, EntryType, &[u8]); 3] = [
            ("models", EntryType::Directory, b""),
            ("./models/a.onnx", EntryType::Regular, b"net"),
            ("capture-agent", EntryType::Regular, b"#!"),
        ];
        unpack(&archive(&entries), &folder).unwrap();
        assert_eq!(fs::read(folder.join("models/a.onnx")).unwrap(), b"net");
        assert!(unpack(&archive(&entries), &folder).is_err(), "it is there already");
    }

    #[test]
    fn what_leads_elsewhere_or_is_no_file_is_refused() {
        use EntryType::{Char, Link, Regular, Symlink};
        check_refused(&[("../../evil", Regular, b"x")], "a path within");
        check_refused(&[("/tmp/evil", Regular, b"x")], "a path within");
        check_refused(&[("a/../../evil", Regular, b"x")], "a path within");
        check_refused(&[("link", Symlink, b"")], "a plain file");
        check_refused(&[("device", Char, b"")], "a plain file");
        check_refused(&[("a", Regular, b"1"), ("a", Regular, b"2")], "could not be unpacked");
        check_refused(&[("a", Regular, b"1"), ("b", Link, b"")], "a plain file");
    }

    #[test]
    fn an_archive_is_bounded_in_entries_and_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let entries: [(&str, EntryType, &[u8]); 2] = [("a", EntryType::Regular, &[1; 600]), ("b", EntryType::Regular, &[1; 600])];
        let run = |name: &str, bounds| unpack_within(&archive(&entries), &dir.path().join(name), bounds);
        assert!(run("well", (2, 1_200)).is_ok());
        assert!(matches!(run("many", (1, 1_200)), Err(UnpackError::TooMany)));
        assert!(matches!(run("large", (2, 1_199)), Err(UnpackError::TooLarge)));
    }
}
