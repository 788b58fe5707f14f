//! The review console: HTTPS pages for the center's people, made on the server, with one stylesheet and one small script.
//!
//! [`routes`] is the one list of what there is, each with what somebody must be allowed to do; [`door`] lets requests in:
//! session, role, form token, origin, obligations; [`pages`] are thin: they read a request, call `crate::app`, and fill a
//! template in the reader's language ([`words`]). No page needs a script, and no request leaves the center. Not here: what
//! may be done in which order (`crate::app::review`), and the rules (`matcher_core::console`).

pub mod certificate;
pub mod door;
pub mod form;
pub mod guard;
pub mod labels;
pub mod locale;
pub mod pages;
pub mod plot;
pub mod plots;
pub mod qr;
pub mod routes;
pub mod words;

use std::sync::{Arc, Mutex};

use axum::Router;
use jiff::tz::TimeZone;

use crate::{
    app::{accounts::Accounts, review::Review, supervision::sums::Sums},
    center::Center,
    config::{Config, ConfigError},
    data_dir::DataDir,
    store::TimeMs,
    surroundings::Surroundings,
};
use guard::Guard;
use pages::{log::Checked, trial::Tried};

/// What pages are made from.
pub struct Console {
    /// Cases, faces and who was heard.
    pub review: Review,
    /// Users and sessions.
    pub accounts: Accounts,
    /// Tries to sign in, by address.
    guard: Guard,
    /// Settings.
    config: Config,
    /// Where the audit key and its checkpoints are.
    dir: DataDir,
    /// Where days begin.
    zone: TimeZone,
    /// The last check of the audit log.
    checked: Mutex<Checked>,
    /// The last dry run of a policy.
    tried: Mutex<Tried>,
    /// Sums of figures that are asked for again.
    sums: Sums,
    /// One search of faces at a time.
    searching: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Console")
    }
}

impl Console {
    /// The console of a center.
    ///
    /// # Errors
    /// When the settings are not in order.
    pub fn new(center: Center, dir: &DataDir, config: &Config, surroundings: Arc<dyn Surroundings>) -> Result<Arc<Self>, ConfigError> {
        let rules = config.console.review()?;
        let accounts = Accounts::new(center.clone(), Arc::clone(&surroundings), config.console.lock(), config.console.session());
        Ok(Arc::new(Self {
            review: Review { center, surroundings, rules },
            accounts,
            guard: Guard::new(config.console.sign_ins_a_minute),
            config: config.clone(),
            dir: dir.clone(),
            zone: TimeZone::system(),
            checked: Mutex::default(),
            tried: Mutex::default(),
            sums: Sums::default(),
            searching: tokio::sync::Mutex::default(),
        }))
    }

    /// The store.
    fn store(&self) -> &dyn crate::store::Store {
        self.review.center.store.as_ref()
    }

    /// The last dry run of a policy.
    fn tried(&self) -> &Mutex<Tried> {
        &self.tried
    }

    /// Whether faces can be searched here: this process keeps the indexes.
    fn searches(&self) -> bool {
        self.config.identification.here
    }

    /// Where days begin.
    fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// When the desk's day began.
    fn day_start(&self) -> TimeMs {
        let now = jiff::Timestamp::from_millisecond(self.review.now()).unwrap_or_default().to_zoned(self.zone.clone());
        now.start_of_day().map_or(0, |start| start.timestamp().as_millisecond())
    }
}

/// All routes of a console.
pub fn router(console: &Arc<Console>) -> Router {
    routes::router(console)
}
