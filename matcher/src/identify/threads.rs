//! How many threads the index engine's libraries use: they read it from the environment when a process starts.

use std::{io, os::unix::process::CommandExt, process::Command};

use matcher_index::machine::{THREAD_VARIABLES, threads};

/// Starts this process's program again in its place with so many threads, unless the environment says how many already.
/// Returns only where it says so.
///
/// # Errors
/// When the program cannot be started.
pub fn apply(wanted: u32) -> io::Result<()> {
    if threads().iter().all(Option::is_some) {
        return Ok(());
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1));
    for (name, said) in THREAD_VARIABLES.iter().zip(threads()) {
        command.env(name, said.map_or_else(|| wanted.to_string(), |said| said.to_string()));
    }
    Err(command.exec())
}
