//! The machine a run was made on, and what a process holds of its memory.

use std::{fs, thread};

use serde::Serialize;

/// A machine, as far as it says.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Name of its processor.
    pub processor: String,
    /// Cores this program may use.
    pub cores: usize,
    /// Whether the programs were built with optimisation.
    pub optimised: bool,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn here() -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            processor: name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            optimised: !cfg!(debug_assertions),
        }
    }
}

/// Memory that this process holds, in bytes (`VmRSS`); 0 where the system does not say.
#[must_use]
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_some_memory() {
        let before = resident_bytes();
        let held = vec![1_u8; 64 << 20];
        assert!(resident_bytes() >= before + held.len() as u64 / 2);
    }
}
