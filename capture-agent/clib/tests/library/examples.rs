//! The examples, built and run against the simulator.

use std::process::Command;

use crate::{
    built::{here, library, program, wrote},
    simulator::Simulator,
};

#[test]
fn the_c_example_settles_confirms_and_reverses() {
    let simulator = Simulator::start();
    let till = program(&here("examples/till.c"), simulator.folder(), &[]);
    let run = |card: &str| Command::new(&till).args([&simulator.config(), card, &format!("C-{card}")]).output().unwrap();
    assert_eq!(wrote(&run("A10020000"), 0), "confirmed and reversed\n");
    assert_eq!(wrote(&run("A10020002"), 0), "please show your identity document\nconfirmed and reversed\n");
    assert_eq!(wrote(&run("A10020006"), 0), "confirmed and reversed\n", "a second attempt");
    assert_eq!(wrote(&run("A10020020"), 0), "confirmed and reversed\n", "while the line is down");
    assert_eq!(wrote(&run("A10020005"), 1), "offer another way; nothing is settled\n");
    let absent = run("A10020030");
    wrote(&absent, 1);
    assert!(String::from_utf8_lossy(&absent.stderr).contains("camera_absent"), "{absent:?}");
    let nowhere = Command::new(&till).args([r#"{"dir": "/nowhere", "connect_timeout_ms": 50}"#, "A10020000", "C-0"]).output().unwrap();
    wrote(&nowhere, 1);
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("open: -6"), "{nowhere:?}");
}

#[test]
fn the_python_example_settles_confirms_and_reverses() {
    let simulator = Simulator::start();
    let run = |card: &str| {
        let mut python = Command::new("python3");
        python.arg(here("examples/till.py")).arg(library()).args([&simulator.config(), card]).output().unwrap()
    };
    let settled = wrote(&run("A10020000"), 0);
    let words: Vec<&str> = settled.split_whitespace().collect();
    assert_eq!((words[0], words[1].len(), words[2].len(), words[3]), ("settle", 22, 16, "reversed"));
    assert!(wrote(&run("A10020001"), 0).starts_with("settle_flagged"));
    assert!(wrote(&run("A10020005"), 1).starts_with("hold"));
    wrote(&run("A10020031"), 1);
}
