//! Taking one file out of a wheel (zip) or a tarball, and nothing else.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use flate2::read::GzDecoder;

/// No file we want is larger; a member that claims to be is not written out.
const MEMBER_BYTES_MAX: u64 = 1 << 30;

/// Copies the member into `to`. The archive's kind is known by its name: `.whl` and `.zip`, else `.tgz` and
/// `.tar.gz`.
pub(super) fn extract(archive: &Path, member: &str, to: &mut File) -> io::Result<()> {
    let file = BufReader::new(File::open(archive)?);
    let is_zip = archive.extension().is_some_and(|extension| extension == "whl" || extension == "zip");
    if is_zip {
        let mut archive = zip::ZipArchive::new(file).map_err(io::Error::other)?;
        let found = archive.by_name(member).map_err(io::Error::other)?;
        return copy(found, to);
    }
    for entry in tar::Archive::new(GzDecoder::new(file)).entries()? {
        let entry = entry?;
        if entry.path_bytes().as_ref() == member.as_bytes() && entry.header().entry_type().is_file() {
            return copy(entry, to);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "the archive has no such file"))
}

fn copy(member: impl Read, to: &mut File) -> io::Result<()> {
    let copied = io::copy(&mut member.take(MEMBER_BYTES_MAX + 1), to)?;
    if copied > MEMBER_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 1 GiB"));
    }
    to.flush()
}
