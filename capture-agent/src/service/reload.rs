//! The configuration, read again on request (SIGHUP, `systemctl reload`).
//!
//! A file that is not in order changes nothing, and the log says why. Of one that is, `log.filter` counts at once; every other
//! key that changed is named: it counts from the next start. Nothing here comes over the network: from afar a counter is
//! changed by the center's signed policy alone, which has no key of this file.

use std::{collections::BTreeMap, path::Path};

use figment::value::{Dict, Value};
use tracing::{info, warn};

use super::log::Log;
use crate::config::{ConfigError, merged};

/// The key that counts at once.
const AT_ONCE: &str = "log.filter";

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

/// Reads the configuration again; `check` says whether it is in order. What counts from now on is returned.
pub fn reload(dir: &Path, source: Source, running: &Values, log: &Log, check: impl FnOnce() -> Result<(), ConfigError>) -> Option<Values> {
    let values = match check().and_then(|()| values(dir, source)) {
        Ok(values) => values,
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "the configuration is not in order; the one before stays");
            return None;
        }
    };
    let changed = changed(running, &values);
    if let Some(filter) = values.get(AT_ONCE).and_then(Value::as_str).filter(|_| changed.iter().any(|key| key == AT_ONCE)) {
        log.refilter(filter);
        info!(log.filter = filter, "the log is filtered anew");
    }
    let later: Vec<&str> = changed.iter().map(String::as_str).filter(|key| *key != AT_ONCE).collect();
    if later.is_empty() {
        info!("the configuration was read again");
    } else {
        warn!(keys = later.join(", "), "these keys changed, and count from the next start");
    }
    // What does not count yet is named again next time.
    let mut running = running.clone();
    if let Some(filter) = values.get(AT_ONCE) {
        running.insert(AT_ONCE.to_owned(), filter.clone());
    }
    Some(running)
}

/// Reads the configuration again each time the system asks for it, until it is dropped.
pub async fn keep(dir: &Path, source: Source, log: &Log, check: impl Fn() -> Result<(), ConfigError>) {
    #[cfg(unix)]
    if let (Ok(mut running), Ok(mut asked)) = (values(dir, source), hangups()) {
        while asked.recv().await.is_some() {
            if let Some(now) = reload(dir, source, &running, log, &check) {
                running = now;
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
        let now = reload(dir.path(), SOURCE, &running, &log, check).unwrap();
        assert_eq!(changed(&running, &now), ["log.filter"], "the others count later");
        for bad in ["[log]\nfilter = \"a=b=c\"\n", "[camera]\ndevicce = 1\n", "no toml"] {
            write(bad);
            assert_eq!(reload(dir.path(), SOURCE, &now, &log, check), None, "{bad}");
        }
    }
}
