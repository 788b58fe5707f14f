//! Updates whole: bundles that are in order and that are not, and the way back.

use std::{fs, io::Cursor};

use ed25519_dalek::SigningKey;

use super::*;

fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32])
}

/// A program that says its version, and ends with these exit codes for `doctor` and `status`.
fn program(version: &str, doctor: u8, status: u8) -> String {
    format!("#!/bin/sh\ncase $1 in --version) echo capture-agent {version};; doctor) exit {doctor};; status) exit {status};; esac\n")
}

fn bundle(version: &str, content: &str, key: &SigningKey) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    archive.append_data(&mut header, PROGRAM, content.as_bytes()).unwrap();
    let archive = archive.into_inner().unwrap().finish().unwrap();
    let mut out = Vec::new();
    bundle::seal(&mut out, version.parse().unwrap(), &archive, key).unwrap();
    out
}

struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        machine.apply(&bundle("1.0.0", &program("1.0.0", 0, 0), &key(1)), false, &[]).unwrap();
        machine
    }

    fn apply(&self, bundle: &[u8], allow_downgrade: bool, restart: &[&str]) -> Result<Version, UpdateError> {
        let file = self.dir.path().join("bundle");
        fs::write(&file, bundle).unwrap();
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let steps = Steps {
            self_test: text(&["doctor"]),
            restart: text(restart),
            health: text(&["status"]),
            healthy_within: Duration::from_millis(300),
        };
        apply(&self.root(), &file, &key(1).verifying_key(), allow_downgrade, &steps)
    }

    fn root(&self) -> PathBuf {
        let root = self.dir.path().join("opt");
        fs::create_dir_all(&root).unwrap();
        root
    }

    /// What the program in its place says.
    fn runs(&self) -> String {
        let output = Command::new(self.root().join("current").join(PROGRAM)).arg("--version").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[track_caller]
    fn check_refused(&self, bundle: &[u8], expected: &str) {
        let error = self.apply(bundle, false, &["true"]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(self.runs(), "capture-agent 1.0.0", "what ran is in its place");
    }
}

#[test]
fn an_update_is_put_in_place_and_taken_back() {
    let machine = Machine::new();
    machine.apply(&bundle("1.1.0", &program("1.1.0", 10, 0), &key(1)), false, &["true"]).unwrap();
    assert_eq!(machine.runs(), "capture-agent 1.1.0");
    assert_eq!(rollback(&machine.root(), &[]).unwrap().to_string(), "1.0.0");
    assert_eq!(machine.runs(), "capture-agent 1.0.0");
    assert_eq!(rollback(&machine.root(), &[]).unwrap().to_string(), "1.1.0", "and forward again");
}

#[test]
fn what_does_not_come_up_is_taken_back_by_itself() {
    let machine = Machine::new();
    machine.check_refused(&bundle("1.1.0", &program("1.1.0", 0, 1), &key(1)), "was not healthy within 0 s; version 1.0.0 was put back");
}

#[test]
fn what_does_not_work_beside_is_not_put_in_place() {
    let machine = Machine::new();
    machine.check_refused(&bundle("1.1.0", &program("1.1.0", 1, 0), &key(1)), "does not work here");
    machine.check_refused(&bundle("1.1.0", &program("9.9.9", 0, 0), &key(1)), "expected it to be version 1.1.0");
    machine.check_refused(&bundle("1.1.0", "no program", &key(1)), "does not");
}

#[test]
fn nothing_older_comes_without_being_asked_for() {
    let machine = Machine::new();
    for version in ["1.0.0", "0.9.0"] {
        machine.check_refused(&bundle(version, &program(version, 0, 0), &key(1)), "expected a version after 1.0.0");
    }
    machine.apply(&bundle("0.9.0", &program("0.9.0", 0, 0), &key(1)), true, &["true"]).unwrap();
    assert_eq!(machine.runs(), "capture-agent 0.9.0");
}

#[test]
fn only_what_the_pinned_key_signed_is_taken() {
    let machine = Machine::new();
    let good = bundle("1.1.0", &program("1.1.0", 0, 0), &key(1));
    machine.check_refused(&bundle("1.1.0", &program("1.1.0", 0, 0), &key(2)), "the pinned update key");
    // Each byte counts: of the header, of the signature, of the archive; and none may be missing or added.
    for at in (0..good.len()).step_by(7) {
        let mut altered = good.clone();
        altered[at] ^= 1;
        assert!(Bundle::check(&mut Cursor::new(altered), &key(1).verifying_key()).is_err(), "byte {at}");
    }
    machine.check_refused(&good[..good.len() - 1], "it was altered");
    machine.check_refused(&[good.as_slice(), b"x"].concat(), "it was altered");
    machine.check_refused(b"", "expected a file made by");
}

#[test]
fn a_pinned_key_is_not_replaced_in_passing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(pinned(dir.path()), Err(UpdateError::NoKey)));
    pin(dir.path(), &key(1).verifying_key(), false).unwrap();
    pin(dir.path(), &key(1).verifying_key(), false).unwrap();
    assert!(matches!(pin(dir.path(), &key(2).verifying_key(), false), Err(UpdateError::OtherKey)));
    assert_eq!(pinned(dir.path()).unwrap(), key(1).verifying_key());
    pin(dir.path(), &key(2).verifying_key(), true).unwrap();
    assert_eq!(pinned(dir.path()).unwrap(), key(2).verifying_key());
}
