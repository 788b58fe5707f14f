//! Settings of the store: where it is.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;
use crate::store::{
    StoreError,
    sql::{Location, PostgresUrl},
};

/// What `store.url` says when the store is a file of the data folder.
const FILE: &str = "file";

/// Settings of the store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    url: String,
    password_file: Option<PathBuf>,
    authority: Option<PathBuf>,
}

impl StoreConfig {
    /// The settings with the paths they name taken from a folder.
    pub(super) fn under(self, folder: &Path) -> Self {
        let under = |path: Option<PathBuf>| path.map(|path| folder.join(path));
        Self { url: self.url, password_file: under(self.password_file), authority: under(self.authority) }
    }

    /// The settings with another place.
    #[must_use]
    pub fn at(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |expected: String| ConfigError::Field { field: "store.url", expected };
        let Some(url) = self.postgres().map_err(|error| wrong(format!("\"{FILE}\", or a URL: {error}")))? else { return Ok(()) };
        if url.is_remote() && self.authority.is_none() {
            let expected = "the file with the certificate of whoever has certified the database, which is on another machine".into();
            return Err(ConfigError::Field { field: "store.authority", expected });
        }
        Ok(())
    }

    fn postgres(&self) -> Result<Option<PostgresUrl>, crate::store::sql::UrlError> {
        if self.url == FILE { Ok(None) } else { self.url.parse().map(Some) }
    }

    /// Where the store is; `file` is where one in a file would be.
    ///
    /// # Errors
    /// When a file that is named cannot be read or used.
    pub fn location(&self, file: &Path) -> Result<Location, StoreError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| StoreError::Unavailable(error);
        let Some(mut url) = self.postgres().map_err(|error| failed(Box::new(error)))? else {
            return Ok(Location::File(file.to_owned()));
        };
        let read = |path: &Path| std::fs::read(path).map_err(|error| failed(format!("{}: {error}", path.display()).into()));
        if let Some(path) = &self.password_file {
            let password = zeroize::Zeroizing::new(read(path)?);
            let text = std::str::from_utf8(&password).map_err(|error| failed(Box::new(error)))?;
            url = url.with_password(text.trim_end_matches(['\r', '\n']));
        }
        if let Some(path) = &self.authority {
            url = url.with_authority(&read(path)?).map_err(|error| failed(format!("{}: {error}", path.display()).into()))?;
        }
        Ok(Location::Postgres(Box::new(url)))
    }
}
