//! `[log]`: what is logged, how, and where to.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigError, ranges, value};

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`: what is logged, how, and where to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Filter directives.
    pub filter: String,
    /// Form.
    pub format: LogFormat,
    /// Folder of the files; empty: standard error.
    pub folder: PathBuf,
    /// Size of one file, in MiB.
    pub file_mb: u64,
    /// How many files.
    pub files: u32,
}

impl LogConfig {
    /// The folder of the files, where there are any.
    #[must_use]
    pub fn folder_in(&self, dir: &Path) -> Option<PathBuf> {
        if self.folder.as_os_str().is_empty() { None } else { Some(dir.join(&self.folder)) }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        ranges(&[("log.file_mb", self.file_mb, 1, 1_000), ("log.files", u64::from(self.files), 1, 100)])?;
        tracing_subscriber::EnvFilter::try_new(&self.filter)
            .map_err(|_| value("log.filter", "a filter such as info or info,capture_agent=debug"))?;
        Ok(())
    }
}
