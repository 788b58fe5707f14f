//! The house rules that a command can check: which crate may know which, headers, size of files, unsafe code.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Files git knows, or would take.
fn files(ending: &str) -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<PathBuf> = listed.lines().filter(|path| path.ends_with(ending)).map(|path| root().join(path)).collect();
    files.into_iter().filter(|path| path.is_file()).collect()
}

/// Names of all crates a crate's normal build brings in.
fn tree(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--package", package])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn cores_know_no_runtime_no_network_no_database_no_index() {
    let outside = ["tokio", "tonic", "axum", "hyper", "rusqlite", "tokio-postgres", "faiss", "nokhwa", "reqwest", "ureq"];
    for core in ["models-core", "capture-core", "matcher-core", "receipt-form"] {
        let tree = tree(core);
        assert!(tree.contains(&core.to_owned()), "{core} is not in its own tree");
        let found: Vec<_> = tree.iter().filter(|name| outside.contains(&name.as_str())).collect();
        assert!(found.is_empty(), "{core} brings in {found:?}");
    }
}

#[test]
fn dependencies_run_one_way() {
    let may_know: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("proto", &[] as &[&str]),
        ("receipt-form", &[]),
        ("models-core", &[]),
        ("models", &["models-core"]),
        // Evaluation judges with the very policy and bands that decide, which are in a core without I/O.
        ("datasets", &["matcher-core", "models", "models-core", "receipt-form"]),
        ("capture-core", &["models-core"]),
        ("capture-agent", &["capture-core", "models", "models-core", "proto", "receipt-form"]),
        // A program in C carries as little as can be: it knows the local API alone.
        ("countersign", &[]),
        ("matcher-core", &["models-core", "receipt-form"]),
        ("matcher-index", &[]),
        ("matcher", &["matcher-core", "matcher-index", "models", "models-core", "proto", "receipt-form"]),
    ]);
    for (package, allowed) in &may_know {
        let tree = tree(package);
        let known: Vec<_> = may_know.keys().filter(|other| *other != package && tree.contains(&(**other).to_owned())).collect();
        let forbidden: Vec<_> = known.into_iter().filter(|other| !allowed.contains(other)).collect();
        assert!(forbidden.is_empty(), "{package} must not know {forbidden:?}");
    }
}

#[test]
fn every_source_file_says_what_it_holds() {
    let silent: Vec<_> = files(".rs").into_iter().filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!")).collect();
    assert!(silent.is_empty(), "no //! header: {silent:?}");
}

#[test]
fn files_stay_readable_and_hold_no_weights_or_data() {
    let long: Vec<_> = files(".rs").into_iter().filter(|path| fs::read_to_string(path).unwrap().lines().count() > 500).collect();
    assert!(long.is_empty(), "over 500 lines; would two ideas part well? {long:?}");
    let large: Vec<_> = files("").into_iter().filter(|path| fs::metadata(path).unwrap().len() > 1024 * 1024).collect();
    assert!(large.is_empty(), "over 1 MiB: {large:?}");
    for ending in [".onnx", ".jpg", ".jpeg", ".png", ".ppm", ".db", ".sqlite", ".faiss", ".key"] {
        assert_eq!(files(ending), Vec::<PathBuf>::new(), "weights, faces, databases and keys do not belong here");
    }
}

#[test]
fn unsafe_code_is_where_it_is_listed() {
    // Pointers of till software are followed in one file; the other throws anything at its functions.
    const LISTED: [&str; 2] = ["capture-agent/clib/src/boundary.rs", "capture-agent/clib/fuzz/fuzz_targets/call.rs"];
    let here = Path::new(file!()).file_name().unwrap();
    let holds_unsafe = |path: &PathBuf| {
        fs::read_to_string(path)
            .unwrap()
            .lines()
            .any(|line| line.trim_start().starts_with("unsafe ") || line.contains(" unsafe {") || line.contains("(unsafe_code"))
    };
    let found: Vec<_> = files(".rs").into_iter().filter(|path| path.file_name() != Some(here)).filter(holds_unsafe).collect();
    let unlisted: Vec<_> = found.into_iter().filter(|path| !LISTED.iter().any(|listed| path.ends_with(listed))).collect();
    assert!(unlisted.is_empty(), "unsafe code outside the listed files: {unlisted:?}");
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    let here = Path::new(file!()).file_name().unwrap();
    for path in files(".rs").into_iter().filter(|path| path.file_name() != Some(here)) {
        let text = fs::read_to_string(&path).unwrap();
        for left in ["todo!(", "unimplemented!(", "#[ignore]", "assert!(true", "FIXME", "TODO"] {
            assert!(!text.contains(left), "{left} in {}", path.display());
        }
    }
}

/// The lines `name = number` of a table of a TOML file, comments aside.
fn minima(file: &str, table: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let inside = text.lines().skip_while(|line| line.trim() != format!("[{table}]")).skip(1);
    let rows = inside.take_while(|line| !line.starts_with('['));
    let pair =
        |line: &str| line.split('#').next()?.split_once('=').map(|(name, number)| (name.trim().to_owned(), number.trim().to_owned()));
    rows.filter_map(pair).collect()
}

#[test]
fn an_agent_without_a_policy_asks_for_what_the_shipped_policy_asks_for() {
    for table in ["gate", "floor"] {
        let (policy, agent) = (
            minima("matcher/core/policy.toml", &format!("probe.{table}")),
            minima("capture-agent/agent.toml", &format!("acquisition.{table}")),
        );
        assert!(policy.len() > 3 && policy == agent, "{table}: {policy:?} and {agent:?}");
    }
}
