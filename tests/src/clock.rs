//! A wall clock that can be set while a program runs, by a shim that is preloaded before it.

use std::{fs, io, path::PathBuf, process::Command};

use crate::power_cut::compile;

/// The clock of the programs that run under it.
#[derive(Debug, Clone)]
pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// A clock that is right, until it is set; `file` says by how much.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new(file: PathBuf) -> io::Result<Self> {
        let clock = Self { file };
        clock.set(0)?;
        Ok(clock)
    }

    /// Sets the clock so many seconds ahead; back when negative.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, seconds: i64) -> io::Result<()> {
        let next = self.file.with_extension("next");
        fs::write(&next, seconds.to_string())?;
        fs::rename(next, &self.file)
    }

    /// Lets a command run under this clock.
    ///
    /// # Errors
    /// When the shim does not compile.
    pub fn under(&self, command: &mut Command) -> io::Result<()> {
        command.env("LD_PRELOAD", compile("clock")?).env("CLOCK_OFFSET_FILE", &self.file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_under_it_sees_the_clock_that_was_set() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::new(folder.path().join("clock")).unwrap();
        let seconds = || {
            let mut command = Command::new("date");
            clock.under(command.arg("+%s")).unwrap();
            String::from_utf8(command.output().unwrap().stdout).unwrap().trim().parse::<i64>().unwrap()
        };
        let before = seconds();
        clock.set(-3600).unwrap();
        assert!((before - 3600..before - 3500).contains(&seconds()));
    }
}
