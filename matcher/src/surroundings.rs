//! Time and randomness, passed in, so that use cases can be tested at a chosen hour with chosen ids.
//!
//! Not here: nonces and keys, which are always the operating system's random bytes (`crate::vault`).

use std::{
    os::unix::fs::MetadataExt,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::store::{RecordId, SubjectId, TimeMs, audit::Process};

/// Where a use case gets the time and its ids from.
pub trait Surroundings: Send + Sync {
    /// Now.
    fn now_ms(&self) -> TimeMs;

    /// Sixteen bytes that nobody can foresee and that do not come twice.
    fn random_id(&self) -> [u8; 16];

    /// The id of a new person.
    fn new_subject(&self) -> SubjectId {
        SubjectId(self.random_id())
    }

    /// The id of a new record.
    fn new_record(&self) -> RecordId {
        RecordId(self.random_id())
    }
}

/// The machine's clock and the operating system's random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Surroundings for System {
    fn now_ms(&self) -> TimeMs {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimeMs::try_from(since_1970.as_millis()).unwrap_or(TimeMs::MAX)
    }

    fn random_id(&self) -> [u8; 16] {
        os_random()
    }
}

/// Random bytes of the operating system, for ids, nonces and keys.
///
/// A system without randomness can keep no secret, so there is no way to go on without it.
#[must_use]
pub(crate) fn os_random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let Ok(()) = getrandom::fill(&mut bytes) else { unreachable!("the operating system gives random bytes") };
    bytes
}

static COMMAND: OnceLock<String> = OnceLock::new();

/// Says once which command this process runs, its words alone: arguments may name a person.
pub fn set_command(words: String) {
    let _ = COMMAND.set(words);
}

/// This process, as audit entries name it. What the system does not say is empty.
#[must_use]
pub fn process() -> Process {
    let program = || std::env::current_exe().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let command = COMMAND.get().cloned().or_else(program).unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    // The folder of a process belongs to the user it acts as.
    let user = std::fs::metadata("/proc/self").map(|process| user(process.uid())).unwrap_or_default();
    Process { command, user, host, pid: std::process::id() }
}

fn user(id: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut fields = users.lines().map(|line| line.split(':'));
    let name = fields.find_map(|mut of_user| Some((of_user.next()?, of_user.nth(1)?)).filter(|(_, number)| *number == id.to_string()));
    name.map_or_else(|| id.to_string(), |(name, _)| format!("{id} {name}"))
}

/// A clock that stands where it is put, and ids that count up from 1.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Fixed {
    /// The time it shows.
    pub(crate) now_ms: std::sync::atomic::AtomicI64,
    ids: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl Fixed {
    /// Stands at a time.
    pub(crate) fn at(now_ms: TimeMs) -> Self {
        Self { now_ms: now_ms.into(), ids: 0.into() }
    }
}

#[cfg(test)]
impl Surroundings for Fixed {
    fn now_ms(&self) -> TimeMs {
        self.now_ms.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn random_id(&self) -> [u8; 16] {
        let id = self.ids.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        u128::from(id).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_ids_do_not_repeat_and_its_clock_is_of_this_century() {
        assert_ne!(System.new_subject(), System.new_subject());
        assert!(System.now_ms() > 1_700_000_000_000);
    }
}
