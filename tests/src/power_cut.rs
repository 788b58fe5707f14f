//! A disk that loses what was not fsynced: runs processes under the storage shim and rebuilds their folder
//! as it stands after the power failed.
//!
//! Not here: what must survive; the tests say that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// A folder under watch.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    mirror: PathBuf,
    ignored: Option<String>,
}

impl Disk {
    /// Watches `root` (an existing, canonical folder) and keeps its durable state in `mirror`.
    ///
    /// # Errors
    /// When the mirror cannot be made.
    pub fn watch(root: &Path, mirror: &Path) -> io::Result<Self> {
        fs::create_dir_all(mirror)?;
        Ok(Self { root: root.canonicalize()?, mirror: mirror.canonicalize()?, ignored: None })
    }

    /// Swallows the fsyncs of paths of one pattern, relative to the root (`.` for the root itself).
    #[must_use]
    pub fn ignoring(mut self, pattern: Option<&str>) -> Self {
        self.ignored = pattern.map(str::to_owned);
        self
    }

    /// Lets a command run with the shim preloaded.
    ///
    /// # Errors
    /// When the shim does not compile.
    pub fn under(&self, command: &mut Command) -> io::Result<()> {
        command.env("LD_PRELOAD", compile("power_cut")?).env("POWER_CUT_ROOT", &self.root).env("POWER_CUT_MIRROR", &self.mirror);
        if let Some(ignored) = &self.ignored {
            command.env("POWER_CUT_IGNORE", ignored);
        }
        Ok(())
    }

    /// Patterns of the paths that were fsynced so far, relative to the root; temporary files (hidden ones,
    /// with a random end) of one folder count as one.
    #[must_use]
    pub fn synced(&self) -> BTreeSet<String> {
        let log = fs::read_to_string(self.mirror.join("log")).unwrap_or_default();
        let pattern = |path: &str| match path.rsplit_once('/') {
            Some((folder, name)) if name.starts_with('.') => format!("{folder}/.*"),
            None if path.starts_with('.') && path != "." => ".?*".to_owned(),
            _ => path.to_owned(),
        };
        log.lines().map(pattern).collect()
    }

    /// Rebuilds the folder as a disk holds it after the power failed.
    ///
    /// # Errors
    /// When copying fails.
    pub fn after_power_cut(&self, into: &Path) -> io::Result<()> {
        let inode = fs::metadata(&self.root)?.ino();
        self.rebuild(inode, into)
    }

    fn rebuild(&self, inode: u64, into: &Path) -> io::Result<()> {
        fs::create_dir_all(into)?;
        let entries = fs::read_to_string(self.mirror.join(format!("d{inode}"))).unwrap_or_default();
        for entry in entries.lines() {
            let mut parts = entry.splitn(3, ' ');
            let (Some(kind), Some(inode), Some(name)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let (content, target) = (self.mirror.join(format!("f{inode}")), into.join(name));
            if kind == "d" {
                self.rebuild(inode.parse().map_err(io::Error::other)?, &target)?;
            } else if content.exists() {
                fs::copy(&content, &target)?;
            } else {
                fs::write(&target, [])?;
            }
        }
        Ok(())
    }
}

/// Compiles a shim, once for each process.
pub(crate) fn compile(shim: &str) -> io::Result<PathBuf> {
    static SHIMS: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut shims = SHIMS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(library) = shims.get(shim) {
        return Ok(library.clone());
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("shim/{shim}.c"));
    let library = std::env::temp_dir().join(format!("countersign-{shim}-{}.so", std::process::id()));
    let mut compiler = Command::new("cc");
    let status = compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").stdin(Stdio::null()).status()?;
    if !status.success() {
        return Err(io::Error::other(format!("the shim {shim} does not compile")));
    }
    shims.insert(shim.to_owned(), library.clone());
    Ok(library)
}
