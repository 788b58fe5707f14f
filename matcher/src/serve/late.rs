//! What a server needs for captures that come late: the service that takes them, and who compares them.

use std::sync::Arc;

use super::{ServeError, freshness};
use crate::{
    app::{
        admission::Admission,
        batch::{Pressure, Runner},
        deferred::{Intake, worker::Worker},
        freshness::Freshness,
        leases::Leases,
        recompare::Recomparer,
        tampering::Watch,
    },
    center::Center,
    config::Config,
    data_dir::DataDir,
    feature_models::FeatureModels,
    grpc::{
        Gate,
        deferred::{Deferrals, reader},
        lease::LeaseFront,
    },
    policy::{PolicyKey, history::History},
    surroundings::System,
};

const DAY_MS: i64 = 86_400_000;

/// Takes captures that come late, under the settings.
pub(super) fn deferrals(
    dir: &DataDir,
    config: &Config,
    center: &Center,
    admission: &Admission,
    history: &Arc<History>,
    (models, gate): (&Arc<FeatureModels>, &Gate),
) -> Result<(Deferrals, LeaseFront), ServeError> {
    let intake = Intake {
        center: center.clone(),
        admission: admission.clone(),
        freshness: Freshness { past_max_ms: i64::from(config.keys.spool_days) * DAY_MS, ..freshness(config.freshness) },
        history: Arc::clone(history),
        reader: reader(Arc::clone(models)),
        recheck: config.recheck.rule(),
    };
    let key = Arc::new(PolicyKey::load(&dir.policy_key()).map_err(ServeError::Key)?);
    let (policies, audience) = (Arc::clone(&center.policies), config.receipts.audience.clone());
    let leases = Leases { admission: admission.clone(), policies, key, audience };
    let front = LeaseFront { app: leases.clone(), gate: gate.clone() };
    Ok((Deferrals::new(intake, leases, gate.clone(), config.batch.uploads_max as usize, config.server.request_timeout()), front))
}

/// Looks for signs of tampering, under the settings.
pub(super) fn watch(center: &Center, config: &Config) -> Option<Watch> {
    let tampering = &config.tampering;
    let watch = || Watch {
        store: Arc::clone(&center.store),
        surroundings: Arc::new(System),
        rule: tampering.rule(i64::from(config.keys.spool_days) * DAY_MS),
        neighbours_share: tampering.neighbours_share as usize,
        every: tampering.every(),
    };
    tampering.here.then(watch)
}

/// Works on what waits, under the settings.
#[must_use]
pub fn runner(center: &Center, config: &Config, history: Arc<History>, pressure: Pressure) -> Runner {
    let (surroundings, rule, chunk) = (Arc::new(System), config.batch.rule(), config.batch.chunk);
    let (center, recheck) = (center.clone(), config.recheck.rule());
    let worker = Worker { center: center.clone(), surroundings: surroundings.clone(), history: Arc::clone(&history), recheck, rule, chunk };
    let recomparer = Recomparer { center, surroundings, history, rule, chunk };
    Runner { worker, recomparer, workers: config.batch.workers, nightly_at: config.batch.nightly_at(), pressure }
}
