//! Where log lines go: standard error, or files within their bounds. Lines hold no face, feature, key or card number.

use std::{fmt, io, path::Path, sync::Mutex};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, reload, util::SubscriberInitExt};

use super::rolling::Rolling;
use crate::config::{LogConfig, LogFormat};

/// Libraries that handle bodies are kept from writing about them, whatever the configured filter says.
const QUIET: [&str; 6] = ["h2=warn", "hyper=warn", "hyper_util=warn", "rustls=warn", "tonic=warn", "tower=warn"];

type Refilter = dyn Fn(EnvFilter) -> bool + Send + Sync;

/// The log of this process.
pub struct Log(Box<Refilter>);

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

impl Log {
    /// Starts logging of a process that serves. A log that was started before stays.
    ///
    /// # Errors
    /// When the folder or its file cannot be written.
    pub fn start(config: &LogConfig, dir: &Path) -> io::Result<Self> {
        Self::to(config, config.folder_in(dir).as_deref())
    }

    /// Starts logging of a single command, to standard error: the files are the serving process's.
    ///
    /// # Errors
    /// None today.
    pub fn of_command(config: &LogConfig) -> io::Result<Self> {
        Self::to(config, None)
    }

    fn to(config: &LogConfig, folder: Option<&Path>) -> io::Result<Self> {
        let (filter, handle) = reload::Layer::new(filter(&config.filter));
        let registry = tracing_subscriber::registry().with(filter);
        // A log that cannot be written (a full disk) would otherwise be complained about on the same stream.
        let layer = || tracing_subscriber::fmt::layer().with_ansi(false).log_internal_errors(false);
        let _ = match (folder, config.format) {
            (Some(folder), format) => {
                let file = Mutex::new(Rolling::open(folder, config.file_mb << 20, config.files)?);
                match format {
                    LogFormat::Text => registry.with(layer().with_writer(file)).try_init(),
                    LogFormat::Json => registry.with(layer().json().with_writer(file)).try_init(),
                }
            }
            (None, LogFormat::Text) => registry.with(layer().with_writer(io::stderr)).try_init(),
            (None, LogFormat::Json) => registry.with(layer().json().with_writer(io::stderr)).try_init(),
        };
        Ok(Self(Box::new(move |filter| handle.reload(filter).is_ok())))
    }

    /// Filters by other directives from now on; false when the log is gone.
    pub fn refilter(&self, directives: &str) -> bool {
        (self.0)(filter(directives))
    }
}

fn filter(directives: &str) -> EnvFilter {
    QUIET.iter().filter_map(|directive| directive.parse().ok()).fold(EnvFilter::new(directives), EnvFilter::add_directive)
}
