//! Many calls from eight threads, right and wrong ones; a few thousand of them under valgrind.
//!
//! `COUNTERSIGN_SOAK=1000000` is how many are made natively, `COUNTERSIGN_SOAK_VALGRIND=10000` how many under valgrind.

use std::process::Command;

use crate::{
    built::{here, program, wrote},
    simulator::Simulator,
};

pub(crate) fn number(name: &str, otherwise: u32) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.to_string())
}

#[test]
fn calls_from_eight_threads_end_as_they_must() {
    let simulator = Simulator::start();
    let soak = program(&here("tests/soak.c"), simulator.folder(), &["-pthread"]);
    let output = Command::new(soak).args([&number("COUNTERSIGN_SOAK", 40_000), "100", &simulator.config()]).output().unwrap();
    let said = wrote(&output, 0);
    assert!(said.ends_with(" 0 wrong\n"), "{said}");
}

#[test]
fn nothing_leaks_and_nothing_is_read_that_is_not_there() {
    let simulator = Simulator::start();
    let soak = program(&here("tests/soak.c"), simulator.folder(), &["-pthread"]);
    let output = Command::new("valgrind")
        .args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect,possible"])
        .args(["--show-leak-kinds=definite,indirect,possible", "--fair-sched=yes"])
        .arg(soak)
        .args([&number("COUNTERSIGN_SOAK_VALGRIND", 2_000), "20", &simulator.config()])
        .output()
        .unwrap();
    let said = wrote(&output, 0);
    assert!(said.ends_with(" 0 wrong\n"), "{said}");
}
