//! Versions beside one another: `versions/1.2.3`, and the symbolic link `current` to the one that runs. The one before is
//! `previous`. A link is replaced by moving another one over it: at every moment there is a whole version in place.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::UpdateError;
use crate::durable;

/// A version: three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; 3]);

impl FromStr for Version {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.').map(|part| {
            let plain = (1..=6).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u32>().ok().filter(|_| plain)
        });
        let version = [parts.next().flatten(), parts.next().flatten(), parts.next().flatten()];
        match (version, parts.next()) {
            ([Some(major), Some(minor), Some(patch)], None) => Ok(Self([major, minor, patch])),
            _ => Err("expected three numbers such as 1.2.3"),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// The versions of one machine.
#[derive(Debug, Clone)]
pub struct Versions {
    root: PathBuf,
}

impl Versions {
    /// Those below a folder.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder of the version that runs.
    #[must_use]
    pub fn current_folder(&self) -> PathBuf {
        self.root.join("current")
    }

    /// The version that runs; nothing where none does.
    ///
    /// # Errors
    /// When the link cannot be read, or leads elsewhere.
    pub fn current(&self) -> Result<Option<Version>, UpdateError> {
        self.link("current")
    }

    /// The version that ran before.
    ///
    /// # Errors
    /// As [`current`](Self::current).
    pub fn previous(&self) -> Result<Option<Version>, UpdateError> {
        Ok(self.link("previous")?.filter(|version| self.folder(*version).is_dir()))
    }

    /// A place to unpack a version in; what an interruption left there is gone.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn beside(&self, version: Version) -> Result<PathBuf, UpdateError> {
        let versions = self.root.join("versions");
        fs::create_dir_all(&versions).map_err(UpdateError::file(&versions))?;
        let beside = versions.join(format!(".{version}.new"));
        match fs::remove_dir_all(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(UpdateError::file(&beside)(error)),
            Ok(()) | Err(_) => Ok(beside),
        }
    }

    /// Gives what was unpacked and tried its name. One of the same version that does not run is replaced.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn take(&self, beside: &Path, version: Version) -> Result<(), UpdateError> {
        let folder = self.folder(version);
        if folder.exists() && self.current()? == Some(version) {
            return Err(UpdateError::NotNewer { running: version, offered: version });
        }
        let _ = fs::remove_dir_all(&folder);
        fs::rename(beside, &folder).map_err(UpdateError::file(&folder))?;
        durable::sync_folder(&self.root.join("versions")).map_err(UpdateError::file(&folder))
    }

    /// Puts a version in its place, and remembers the one that was there.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn switch(&self, version: Version) -> Result<(), UpdateError> {
        if let Some(before) = self.current()?.filter(|before| *before != version) {
            self.point("previous", before)?;
        }
        self.point("current", version)
    }

    fn folder(&self, version: Version) -> PathBuf {
        self.root.join("versions").join(version.to_string())
    }

    fn link(&self, name: &str) -> Result<Option<Version>, UpdateError> {
        let path = self.root.join(name);
        match fs::read_link(&path) {
            Ok(target) => {
                let version = target.strip_prefix("versions").ok().and_then(|name| name.to_str()?.parse().ok());
                version.map(Some).ok_or_else(|| UpdateError::file(&path)(io::Error::other("expected a link to versions/1.2.3")))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(UpdateError::file(&path)(error)),
        }
    }

    fn point(&self, name: &str, version: Version) -> Result<(), UpdateError> {
        let (path, next) = (self.root.join(name), self.root.join(format!(".{name}.next")));
        let _ = fs::remove_file(&next);
        let target = Path::new("versions").join(version.to_string());
        link(&target, &next).and_then(|()| fs::rename(&next, &path)).map_err(UpdateError::file(&path))?;
        durable::sync_folder(&self.root).map_err(UpdateError::file(&path))
    }
}

#[cfg(unix)]
fn link(target: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

#[cfg(windows)]
fn link(target: &Path, at: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_dir(target, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_numbers_and_in_order() {
        let version = |text: &str| text.parse::<Version>();
        assert!(version("0.10.0").unwrap() > version("0.9.9").unwrap());
        assert_eq!(version("1.2.3").unwrap().to_string(), "1.2.3");
        for wrong in ["", "1.2", "1.2.3.4", "1.2.x", "1..3", "+1.2.3", "1.2.3-rc", "../..", "1234567.0.0"] {
            assert!(version(wrong).is_err(), "{wrong}");
        }
    }
}
