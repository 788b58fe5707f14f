//! The same calls from eight threads under helgrind, which says where two threads touch one place and nothing orders them.
//!
//! helgrind knows the locks of POSIX; those of Rust's standard library are made of futexes, and without more each of them looks
//! like a race. So the library is built once more without optimisation, where they are functions, and `tests/locks.c` tells
//! helgrind what each orders. `COUNTERSIGN_SOAK_RACES=10000` is how many calls are made.

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::LazyLock,
};

use crate::{
    built::{here, program_with, wrote},
    simulator::Simulator,
    soak::number,
};

/// The folder of a library in which nothing was inlined.
static PLAIN: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = here("../../target/races");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "countersign", "--lib", "--config", "profile.dev.package.\"*\".opt-level=0", "--target-dir"])
        .arg(&target)
        .current_dir(here("."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("debug")
});

fn soak(simulator: &Simulator, calls: &str, how: &[&str]) -> Output {
    let locks = here("tests/locks.c");
    let soak = program_with(&PLAIN, &here("tests/soak.c"), simulator.folder(), &["-pthread", locks.to_str().unwrap()]);
    // `cargo test` points it to the library of this build.
    Command::new("valgrind")
        .env_remove("LD_LIBRARY_PATH")
        .args(["--tool=helgrind", "--quiet", "--error-exitcode=99", "--fair-sched=yes"])
        .arg(format!("--suppressions={}", here("tests/helgrind.supp").display()))
        .arg(soak)
        .args([calls, "20", &simulator.config()])
        .args(how)
        .output()
        .unwrap()
}

#[test]
fn no_two_threads_touch_one_place_unordered() {
    let simulator = Simulator::start();
    for how in [[].as_slice(), &["reopen"]] {
        let output = soak(&simulator, &number("COUNTERSIGN_SOAK_RACES", 1_600), how);
        let said = wrote(&output, 0);
        assert!(said.ends_with(" 0 wrong\n"), "{said}");
        let told = String::from_utf8_lossy(&output.stderr);
        let taken: u64 = told.lines().find_map(|line| line.strip_suffix(" locks taken")).unwrap().parse().unwrap();
        assert!(taken > 1_000, "the locks of the library were not seen: {told}");
    }
}

#[test]
fn a_race_is_found_where_there_is_one() {
    let simulator = Simulator::start();
    let output = soak(&simulator, "160", &["racy"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(99), "{said}");
    assert!(said.contains("Possible data race") && said.contains("countersign::boundary::put"), "{said}");
}
