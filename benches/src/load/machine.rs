//! The machine a run was made on, and what a process holds of its memory.

use std::{fmt, fs, thread, time::Duration};

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

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} cores{}", self.processor, self.cores, if self.optimised { "" } else { ", development build" })
    }
}

/// Core time that a process has used; 0 where the system does not say.
#[must_use]
pub fn core_time(process: u32) -> Duration {
    // The kernel counts in hundredths of a second for programs, whatever its own clock does.
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Memory that this process holds, in bytes; 0 where the system does not say.
#[must_use]
pub fn resident_bytes() -> u64 {
    resident_bytes_of(std::process::id())
}

/// Memory that a process holds, in bytes (`VmRSS`); 0 where the system does not say.
#[must_use]
pub fn resident_bytes_of(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_core_time() {
        let began = std::time::Instant::now();
        let mut sum = 0_u64;
        while began.elapsed() < Duration::from_secs(2) && core_time(std::process::id()) < Duration::from_millis(40) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(core_time(std::process::id()) > Duration::ZERO && core_time(u32::MAX) == Duration::ZERO);
    }

    #[test]
    fn this_process_holds_some_memory() {
        let before = resident_bytes();
        let held = vec![1_u8; 64 << 20];
        assert!(resident_bytes() >= before + held.len() as u64 / 2);
    }
}
