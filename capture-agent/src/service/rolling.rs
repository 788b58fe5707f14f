//! A log in files that are rotated by size: `agent.log`, and before it `agent.log.1`, `agent.log.2`, …

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Name of the file that is written to.
pub(crate) const FILE: &str = "agent.log";

/// Writes to files of at most so many bytes, and keeps at most so many of them.
#[derive(Debug)]
pub(crate) struct Rolling {
    folder: PathBuf,
    bytes_max: u64,
    files: u32,
    file: File,
    bytes: u64,
}

impl Rolling {
    /// Goes on in a folder, making it where there is none.
    pub(crate) fn open(folder: &Path, bytes_max: u64, files: u32) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let file = open(&folder.join(FILE))?;
        let bytes = file.metadata()?.len();
        Ok(Self { folder: folder.to_owned(), bytes_max, files: files.max(1), file, bytes })
    }

    fn rotate(&mut self) -> io::Result<()> {
        let named = |number: u32| self.folder.join(if number == 0 { FILE.to_owned() } else { format!("{FILE}.{number}") });
        for number in (0..self.files.saturating_sub(1)).rev() {
            match fs::rename(named(number), named(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        if self.files == 1 {
            self.file.set_len(0)?;
        }
        self.file = open(&named(0))?;
        self.bytes = 0;
        Ok(())
    }
}

impl Write for Rolling {
    /// A line comes in one piece; one that is longer than a file may be is cut.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let cut = usize::try_from(self.bytes_max).map_or(line, |max| line.get(..max).unwrap_or(line));
        if self.bytes + cut.len() as u64 > self.bytes_max {
            self.rotate()?;
        }
        self.file.write_all(cut)?;
        self.bytes += cut.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes(folder: &Path) -> Vec<u64> {
        let mut sizes: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn the_newest_lines_are_kept_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..100 {
            // Each time as after a restart.
            Rolling::open(dir.path(), 30, 3).unwrap().write_all(format!("line {number:04}\n").as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let text = read("agent.log.2") + &read("agent.log.1") + &read("agent.log");
        let kept: Vec<&str> = text.lines().collect();
        assert!(kept.ends_with(&["line 0098", "line 0099"]), "{kept:?}");
        assert!(kept.len() >= 7 && kept.is_sorted(), "{kept:?}");
        assert!(!dir.path().join("agent.log.3").exists());
    }

    proptest! {
        #[test]
        fn whatever_is_written_the_bounds_hold(lines in prop::collection::vec(0_usize..300, 0..80), files in 1_u32..5) {
            let dir = tempfile::tempdir().unwrap();
            let mut log = Rolling::open(dir.path(), 200, files).unwrap();
            for length in lines {
                log.write_all(&vec![b'a'; length]).unwrap();
            }
            let sizes = sizes(dir.path());
            prop_assert!(sizes.len() <= files as usize && sizes.iter().all(|size| *size <= 200), "{sizes:?}");
        }
    }
}
