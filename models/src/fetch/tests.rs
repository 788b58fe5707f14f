//! Archives and clients: what is fetched is what was pinned, or nothing.

use std::io::Write as _;

use super::*;
use crate::package::Registry;

fn wanted(folder: &Path, member: &str, content: &[u8]) -> Wanted {
    let package = Package {
        id: "p".into(),
        registry: Registry::Npm,
        name: "p".into(),
        version: "1.0.0".into(),
        archive: "p-1.0.0.tgz".into(),
        archive_sha256: None,
        platform: None,
        python: None,
    };
    Wanted { id: member.into(), package, member: member.into(), sha256: Digest::of(content), path: folder.join("file.bin") }
}

fn tarball(folder: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.join("p-1.0.0.tgz");
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast()));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap();
    path
}

fn wheel(folder: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.join("p.whl");
    let mut writer = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for (name, content) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[test]
fn one_member_is_taken_out_of_either_kind_of_archive() {
    let folder = tempfile::tempdir().unwrap();
    let files: [(&str, &[u8]); 2] = [("package/other", b"other"), ("package/wanted", b"content")];
    for archive in [tarball(folder.path(), &files), wheel(folder.path(), &files)] {
        let file = wanted(folder.path(), "package/wanted", b"content");
        place(&archive, &file).unwrap();
        assert_eq!(fs::read(&file.path).unwrap(), b"content");
        fs::remove_file(&file.path).unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing but the archives is left");
}

#[test]
fn a_member_that_differs_is_removed_and_so_is_what_stood_there() {
    let folder = tempfile::tempdir().unwrap();
    let archive = tarball(folder.path(), &[("package/wanted", b"tampered")]);
    let file = wanted(folder.path(), "package/wanted", b"content");
    fs::write(&file.path, b"older").unwrap();
    let error = place(&archive, &file).unwrap_err();
    assert!(matches!(error, FetchError::MemberDiffers { .. }), "{error}");
    assert!(!file.path.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_missing_member_and_a_broken_archive_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let archive = tarball(folder.path(), &[("package/other", b"other")]);
    let file = wanted(folder.path(), "package/wanted", b"content");
    let error = chain(&place(&archive, &file).unwrap_err());
    assert_eq!(error, "p-1.0.0.tgz: expected the file package/wanted in it: the archive has no such file");
    fs::write(&archive, b"no archive").unwrap();
    assert!(matches!(place(&archive, &file), Err(FetchError::Archive { .. })));
}

#[test]
fn what_is_there_and_verifies_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = wanted(folder.path(), "package/wanted", b"content");
    fs::write(&file.path, b"content").unwrap();
    let mut events = 0;
    let outcomes = fetch(&[file], Duration::from_secs(1), |event| {
        assert!(matches!(event, Event::Settled(_)), "no client is started");
        events += 1;
    });
    assert_eq!((outcomes.len(), events), (1, 1));
    assert_eq!(outcomes[0].result, Ok(Got::Present));
}
