//! The demo is a test: a day of seven counters the day before, and a morning at a pharmacy with every decision as expected.

use std::process::Command;

#[test]
fn a_morning_at_a_pharmacy_ends_as_expected() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo")).args(["--once", "--days", "1"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("Every decision is the expected one."), "{stdout}");
    assert!(stdout.contains("56 visits, ") && stdout.contains("sign in as anna (reviewer)"), "{stdout}");
    assert!(!stdout.contains("A10020002") && !stdout.contains("A3001"), "a full card number is on the screen:\n{stdout}");
}
