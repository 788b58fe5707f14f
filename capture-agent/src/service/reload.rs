//! The configuration, read again on request (SIGHUP, `systemctl reload`).
//!
//! A file that is not in order changes nothing, and the log says why. Of one that is, `log.filter` counts at once, and so do the keys
//! that whoever asks names; every other key that changed is named in the log: it counts from the next start. Nothing here comes over
//! the network: from afar a counter is changed by the center's signed policy alone, which has no key of this file.

use std::{collections::BTreeMap, path::Path};

use figment::value::{Dict, Value};
use tracing::{info, warn};

use super::log::Log;
use crate::config::{ConfigError, merged};

/// The key that always counts at once.
const FILTER: &str = "log.filter";

/// What a state folder's configuration is made of: shipped defaults, the file's name, the environment's prefix.
pub type Source = (&'static str, &'static str, &'static str);

/// The values of a configuration, by `table.key`.
pub type Values = BTreeMap<String, Value>;

/// Every value of a state folder's configuration.
///
/// # Errors
/// When the file or the environment has not the form of a configuration.
pub fn values(dir: &Path, source: Source) -> Result<Values, ConfigError> {
    let tables: BTreeMap<String, Value> = merged(dir, source).extract().map_err(|error| ConfigError::Form(Box::new(error)))?;
    let mut values = Values::new();
    for (table, value) in tables {
        flatten(&table, value, &mut values);
    }
    Ok(values)
}

fn flatten(at: &str, value: Value, values: &mut Values) {
    if let Value::Dict(_, keys) = value {
        let keys: Dict = keys;
        for (key, value) in keys {
            flatten(&format!("{at}.{key}"), value, values);
        }
    } else {
        values.insert(at.to_owned(), value);
    }
}

/// Keys whose values differ.
#[must_use]
pub fn changed(before: &Values, after: &Values) -> Vec<String> {
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

/// Which keys count at once.
#[derive(Debug, Clone, Copy)]
pub struct AtOnce {
    /// Keys, and tables with their dot.
    pub keys: &'static [&'static str],
    /// Keys among them that do not.
    pub except: &'static [&'static str],
}

impl AtOnce {
    /// The log's filter alone.
    pub const FILTER: Self = Self { keys: &[FILTER], except: &[] };

    fn has(self, key: &str) -> bool {
        let named = |known: &&str| key == *known || (known.ends_with('.') && key.starts_with(*known));
        self.keys.iter().any(named) && !self.except.contains(&key)
    }
}

/// Reads the configuration again; `read` gives one that is in order. Returned are the values that count from now on, and what was
/// read.
pub fn reload<C>(
    dir: &Path,
    (source, at_once): (Source, AtOnce),
    running: &Values,
    log: &Log,
    read: impl FnOnce() -> Result<C, ConfigError>,
) -> Option<(Values, C)> {
    let (config, values) = match read().and_then(|config| Ok((config, values(dir, source)?))) {
        Ok(read) => read,
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "the configuration is not in order; the one before stays");
            return None;
        }
    };
    let (now, later): (Vec<String>, Vec<String>) = changed(running, &values).into_iter().partition(|key| at_once.has(key));
    if let Some(filter) = values.get(FILTER).and_then(Value::as_str).filter(|_| now.iter().any(|key| key == FILTER)) {
        log.refilter(filter);
        info!(log.filter = filter, "the log is filtered anew");
    }
    info!(keys = now.join(", "), "the configuration was read again; these keys changed, and count from now on");
    if !later.is_empty() {
        warn!(keys = later.join(", "), "these keys changed, and count from the next start");
    }
    // What does not count yet is named again next time.
    let mut running = running.clone();
    for key in now {
        match values.get(&key) {
            Some(value) => drop(running.insert(key, value.clone())),
            None => drop(running.remove(&key)),
        }
    }
    Some((running, config))
}

/// Reads the configuration again each time the system asks for it, and hands it to `apply`, until it is dropped.
pub async fn keep<C>(dir: &Path, kind: (Source, AtOnce), log: &Log, read: impl Fn() -> Result<C, ConfigError>, apply: impl AsyncFn(C)) {
    #[cfg(unix)]
    if let (Ok(mut running), Ok(mut asked)) = (values(dir, kind.0), hangups()) {
        while asked.recv().await.is_some() {
            if let Some((now, config)) = reload(dir, kind, &running, log, &read) {
                running = now;
                apply(config).await;
            }
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(unix)]
fn hangups() -> std::io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const SOURCE: Source = (config::SHIPPED, config::FILE, config::ENV_PREFIX);

    #[test]
    fn what_changed_is_named_and_a_bad_file_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(dir.path().join(config::FILE), text).unwrap();
        let log = Log::start(&config::load(dir.path()).unwrap().log, dir.path()).unwrap();
        let check = || config::load(dir.path()).map(drop);
        write("");
        let running = values(dir.path(), SOURCE).unwrap();
        write("[log]\nfilter = \"warn\"\n[api]\nrequests_per_s = 5\n[[center.endpoint]]\nname = \"a\"\naddress = \"https://x:1\"\n");
        let named = changed(&running, &values(dir.path(), SOURCE).unwrap());
        assert_eq!(named, ["api.requests_per_s", "center.endpoint", "log.filter"]);
        let kind = (SOURCE, AtOnce::FILTER);
        let (now, ()) = reload(dir.path(), kind, &running, &log, check).unwrap();
        assert_eq!(changed(&running, &now), ["log.filter"], "the others count later");
        for bad in ["[log]\nfilter = \"a=b=c\"\n", "[camera]\ndevicce = 1\n", "no toml"] {
            write(bad);
            assert_eq!(reload(dir.path(), kind, &now, &log, check), None, "{bad}");
        }
    }
    #[track_caller]
    fn check(key: &str, expected: bool) {
        let at_once = AtOnce { keys: &["camera.", "center.health_every_s"], except: &["camera.waiting_max"] };
        assert_eq!(at_once.has(key), expected, "{key}");
    }

    #[test]
    fn a_table_a_key_and_an_exception() {
        check("camera.device", true);
        check("camera.waiting_max", false);
        check("cameras.device", false);
        check("center.health_every_s", true);
        check("center.health_every_s_more", false);
        check("center.address", false);
    }
}
