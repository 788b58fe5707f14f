//! The folder of photos: files are read from inside it and from nowhere else.

use std::{
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use thiserror::Error;

/// Largest photo that is read, in bytes. Photos of cards are a few tens of kilobytes.
pub(crate) const PHOTO_LEN_MAX: u64 = 10 << 20;

/// A photo that is not read. Paths are not shown: they are made of numbers and names.
#[derive(Debug, Error)]
pub(crate) enum PhotoError {
    /// The path leaves the folder.
    #[error("photo: expected a path inside the folder of photos")]
    Outside,
    /// The file cannot be read.
    #[error("photo: {}", .0.kind())]
    Unreadable(#[source] io::Error),
    /// It is no file.
    #[error("photo: expected a file")]
    NoFile,
    /// It is too large.
    #[error("photo: expected at most {PHOTO_LEN_MAX} bytes, found {0}")]
    TooLarge(u64),
}

impl PhotoError {
    /// The word for it in reports.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Outside => "outside_folder",
            Self::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => "missing",
            Self::Unreadable(_) | Self::NoFile => "unreadable",
            Self::TooLarge(_) => "too_large",
        }
    }
}

/// A folder of photos.
#[derive(Debug, Clone)]
pub(crate) struct Photos(PathBuf);

impl Photos {
    /// Opens the folder.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let folder = folder.canonicalize()?;
        if folder.is_dir() { Ok(Self(folder)) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// Reads a photo. Both kinds of slash lead into folders, as lists come from both kinds of system.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, PhotoError> {
        let name = name.replace('\\', "/");
        let stays = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !stays {
            return Err(PhotoError::Outside);
        }
        // Links are followed first: what they lead to must be inside too.
        let path = self.0.join(&name).canonicalize().map_err(PhotoError::Unreadable)?;
        if !path.starts_with(&self.0) {
            return Err(PhotoError::Outside);
        }
        let metadata = path.metadata().map_err(PhotoError::Unreadable)?;
        if !metadata.is_file() {
            return Err(PhotoError::NoFile);
        }
        if metadata.len() > PHOTO_LEN_MAX {
            return Err(PhotoError::TooLarge(metadata.len()));
        }
        let mut photo = Vec::new();
        let file = File::open(path).map_err(PhotoError::Unreadable)?;
        file.take(PHOTO_LEN_MAX).read_to_end(&mut photo).map_err(PhotoError::Unreadable)?;
        Ok(photo)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[track_caller]
    fn check(photos: &Photos, name: &str, expected: Result<&[u8], &str>) {
        let got = photos.read(name);
        assert_eq!(got.as_deref().map_err(PhotoError::word), expected, "{name}");
    }

    #[test]
    fn photos_are_read_from_inside_the_folder_only() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("photos");
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        fs::write(folder.join("a.jpg"), "a").unwrap();
        fs::write(folder.join("sub/b.jpg"), "b").unwrap();
        symlink(dir.path().join("secret"), folder.join("leads-out")).unwrap();
        symlink(folder.join("a.jpg"), folder.join("stays-in")).unwrap();
        fs::write(folder.join("large"), vec![0; usize::try_from(PHOTO_LEN_MAX).unwrap() + 1]).unwrap();
        let photos = Photos::open(&folder).unwrap();
        check(&photos, "a.jpg", Ok(b"a"));
        check(&photos, "./sub/b.jpg", Ok(b"b"));
        check(&photos, r"sub\b.jpg", Ok(b"b"));
        check(&photos, "stays-in", Ok(b"a"));
        check(&photos, "leads-out", Err("outside_folder"));
        check(&photos, "../secret", Err("outside_folder"));
        check(&photos, "sub/../../secret", Err("outside_folder"));
        check(&photos, dir.path().join("secret").to_str().unwrap(), Err("outside_folder"));
        check(&photos, "none.jpg", Err("missing"));
        check(&photos, "sub", Err("unreadable"));
        check(&photos, "", Err("unreadable"));
        check(&photos, "nul\0byte", Err("unreadable"));
        check(&photos, "large", Err("too_large"));
    }

    #[test]
    fn no_message_shows_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let error = Photos::open(dir.path()).unwrap().read("330203194910010027.jpg").unwrap_err();
        assert_eq!(error.to_string(), "photo: entity not found");
    }

    #[test]
    fn a_file_is_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(Photos::open(&dir.path().join("file")).is_err());
        assert!(Photos::open(&dir.path().join("none")).is_err());
    }
}
