//! What this machine is like: its processor, its disk, who may read the state folder.

use std::path::Path;

/// Free bytes of the disk that holds a folder, as far as this program may use them; nothing where the system does not say.
#[must_use]
pub fn disk_free_bytes(dir: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(dir).ok()?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

/// Whether the processor has AVX2: without it the networks are several times slower. Nothing on another kind of processor.
#[must_use]
pub fn avx2() -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    {
        Some(std::arch::is_x86_feature_detected!("avx2"))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        None
    }
}

/// Who may read and write the state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permissions {
    /// Its owner alone, and it can be written.
    Well,
    /// It cannot be written, and why.
    NotWritable(String),
    /// Others may read this file.
    Open(String),
}

/// Looks at the state folder and its secrets.
#[must_use]
pub fn permissions(dir: &Path) -> Permissions {
    if let Err(error) = tempfile::NamedTempFile::new_in(dir) {
        return Permissions::NotWritable(error.to_string());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = |name: &str| std::fs::metadata(dir.join(name)).is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
        let secrets = [crate::identity::KEY_FILE, "state.db", crate::serve::TOKEN_FILE];
        if let Some(name) = secrets.into_iter().find(|name| open(name)) {
            return Permissions::Open(name.to_owned());
        }
    }
    Permissions::Well
}
