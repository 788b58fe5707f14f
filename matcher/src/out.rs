//! Printing to the standard output, where commands answer. Logs go to the error stream instead.

use std::io::{self, ErrorKind, Write};

/// Prints a line. A reader that has gone (`| head`) is no failure.
///
/// # Errors
/// When the output cannot be written.
pub fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
