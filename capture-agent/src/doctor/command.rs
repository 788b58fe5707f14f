//! `capture-agent doctor` and `capture-agent status`: gathering what there is to know, and saying it.

use std::{fs, path::Path, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Check, Grade, all,
    facts::{Camera, Cheap, Full, Lease, Line, Models},
    text, worst,
};
use crate::{
    camera::{self, look},
    clock::Clock,
    config::{self, Config},
    identity::Identity,
    lease,
    line::{
        client::{CallError, CenterClient},
        spool::{CenterFacts, Holdings, Spool},
    },
    serve::{ADDRESS_FILE, Lease as ServeLease},
    vision::{self, FaceReader},
};

/// How long the camera is looked at: longer than the faults that only show after a while.
const LOOK_MS: u64 = 2_500;

/// What is known without asking anybody.
#[derive(Debug, Serialize)]
struct Status {
    state_folder: String,
    device: Option<String>,
    institution: Option<String>,
    counter: Option<String>,
    running: bool,
    api: Option<String>,
    certificate_until: Option<String>,
    center: Option<String>,
    policy_version: Option<String>,
    clock_offset_ms: Option<i64>,
    waiting: Option<u32>,
    problem: Option<String>,
}

/// `status`: one look at the state folder. The text, and whether all is in order.
#[must_use]
pub fn status(dir: &Path, json: bool) -> (String, bool) {
    let gathered = Gathered::of(dir);
    let registration = gathered.identity.as_ref().ok().map(|identity| identity.registration.clone());
    let running = is_running(dir);
    let problem = gathered.config.as_ref().err().or(gathered.identity.as_ref().err()).cloned();
    let status = Status {
        state_folder: dir.display().to_string(),
        device: registration.as_ref().map(|registration| registration.device.clone()),
        institution: registration.as_ref().map(|registration| registration.institution.clone()),
        counter: registration.map(|registration| registration.counter),
        running,
        api: fs::read_to_string(dir.join(ADDRESS_FILE)).ok().filter(|_| running),
        certificate_until: gathered.identity.as_ref().ok().and_then(|identity| date(identity.validity.until_ms)),
        center: gathered.config.as_ref().ok().map(|config| config.center.address.clone()),
        policy_version: gathered.center.as_ref().map(|center| center.policy_version.clone()),
        clock_offset_ms: gathered.center.as_ref().map(|center| center.clock_offset_ms),
        waiting: gathered.holdings.map(|holdings| holdings.waiting),
        problem,
    };
    let well = status.problem.is_none() && running;
    if json {
        return (serde_json::to_string(&status).unwrap_or_default(), well);
    }
    (for_people(&status), well)
}

fn for_people(status: &Status) -> String {
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
    let mut lines = vec![
        format!("device       {} of institution {}, counter {}", or(&status.device), or(&status.institution), or(&status.counter)),
        format!("agent        {}", if status.running { format!("runs, http://{}", or(&status.api)) } else { "does not run".into() }),
        format!("center       {}, policy {}", or(&status.center), or(&status.policy_version)),
        format!("certificate  until {}", or(&status.certificate_until)),
        format!("waiting      {} captures", status.waiting.map_or_else(|| "–".into(), |waiting| waiting.to_string())),
    ];
    lines.extend(status.problem.as_ref().map(|problem| format!("problem      {problem}; `capture-agent doctor` says more")));
    lines.join("\n")
}

/// `doctor`: looks at everything. The text, and the worst of what was found.
pub async fn doctor(dir: &Path, json: bool) -> (String, Grade) {
    let checks = all(&examine(dir).await);
    let grade = worst(&checks);
    if json {
        #[derive(Serialize)]
        struct Examined<'a> {
            worst: Grade,
            checks: &'a [Check],
        }
        return (serde_json::to_string(&Examined { worst: grade, checks: &checks }).unwrap_or_default(), grade);
    }
    (text(&checks), grade)
}

async fn examine(dir: &Path) -> Full {
    let clock = Clock::start();
    let gathered = Gathered::of(dir);
    let (reader, models) = models(&gathered).await;
    let camera = camera(dir, &gathered, reader, clock).await;
    let line = line(&gathered, clock).await;
    let cheap = gathered.config.as_ref().ok().map(|config| Cheap {
        now_ms: clock.date_ms(),
        clock_offset_ms: gathered.center.as_ref().map(|center| center.clock_offset_ms),
        validity: gathered.identity.as_ref().ok().map(|identity| identity.validity),
        holdings: gathered.holdings,
        config: config.device.clone(),
        dir: dir.to_owned(),
    });
    Full { configuration: gathered.config.err(), identity: gathered.identity.err(), models, camera, line, lease: gathered.lease, cheap }
}

/// What stands in the state folder.
struct Gathered {
    config: Result<Config, String>,
    identity: Result<Identity, String>,
    holdings: Option<Holdings>,
    center: Option<CenterFacts>,
    lease: Option<Lease>,
}

impl Gathered {
    fn of(dir: &Path) -> Self {
        let config = config::load(dir).map_err(|error| error.to_string());
        let identity = Identity::load(dir).map_err(|error| error.to_string());
        // A folder that is no device's is not given a spool by looking at it.
        let spool = config.as_ref().ok().filter(|_| identity.is_ok());
        let spool = spool.and_then(|config| Spool::open(dir, config.outbox).ok());
        let holdings = spool.as_ref().and_then(|spool| spool.holdings().ok());
        let center = spool.as_ref().and_then(|spool| spool.center().ok().flatten());
        let lease = identity.as_ref().ok().zip(spool.as_ref()).and_then(|(identity, spool)| lease_of(identity, spool));
        Self { config, identity, holdings, center, lease }
    }
}

/// What the lease leaves: the latest end and the most captures of all scenes.
fn lease_of(identity: &Identity, spool: &Spool) -> Option<Lease> {
    let key = identity.registration.policy_key?;
    let lease = lease::Lease::read(&spool.lease().ok()??, &key, &identity.registration.device).ok()?;
    let scenes = lease.terms.scenes.iter().map(|terms| {
        let used = spool.used(&lease.terms.serial, terms.scene.word()).unwrap_or(terms.captures_max);
        Lease { until_ms: terms.until_ms, left: terms.captures_max.saturating_sub(used) }
    });
    scenes.reduce(|a, b| Lease { until_ms: a.until_ms.max(b.until_ms), left: a.left.max(b.left) })
}

async fn models(gathered: &Gathered) -> (Option<Arc<dyn FaceReader>>, Models) {
    let Ok(config) = &gathered.config else { return (None, Models::NotLookedAt) };
    let models = config.models.clone();
    match tokio::task::spawn_blocking(move || vision::load(&models)).await {
        Ok(Ok(reader)) => {
            let name = reader.feature_model().to_string();
            (Some(reader), Models::Well(name))
        }
        Ok(Err(error)) => (None, Models::Bad(format!("{:#}", anyhow::Error::new(error)))),
        Err(_) => (None, Models::Bad("the networks broke down".into())),
    }
}

async fn camera(dir: &Path, gathered: &Gathered, reader: Option<Arc<dyn FaceReader>>, clock: Clock) -> Camera {
    let Ok(config) = &gathered.config else { return Camera::NotLookedAt("not_used_yet".into()) };
    if is_running(dir) {
        let dir = dir.to_owned();
        let asked = tokio::task::spawn_blocking(move || camera_of_running(&dir)).await;
        return Camera::NotLookedAt(asked.ok().flatten().unwrap_or_else(|| "nothing".into()));
    }
    let camera = camera::Camera::from_config(&config.camera, clock);
    let looked = tokio::task::spawn_blocking(move || look::examine(&camera, reader.as_deref(), clock, LOOK_MS)).await;
    match looked {
        Ok(Ok(examined)) => Camera::Well(examined),
        Ok(Err(error)) => Camera::Bad(error),
        Err(_) => Camera::Bad(camera::CameraError::Failed("its driver broke down".into())),
    }
}

/// The camera's state as the running agent says it: its last report stands beside its name.
fn camera_of_running(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join(crate::serve::CAMERA_FILE)).ok().map(|word| word.trim().to_owned())
}

async fn line(gathered: &Gathered, clock: Clock) -> Line {
    let (Ok(config), Ok(identity)) = (&gathered.config, &gathered.identity) else { return Line::NotAsked };
    let credentials = match identity.credentials() {
        Ok(credentials) => credentials,
        Err(error) => return Line::Silent(error.to_string()),
    };
    let client = match CenterClient::new(&config.center, &credentials, clock) {
        Ok(client) => client,
        Err(error) => return Line::Silent(error.to_string()),
    };
    // The first call makes the connection; the second is what a verification waits for.
    let mut sent = clock.now();
    for _ in 0..2 {
        sent = clock.now();
        match client.fetch_policy().await {
            Ok(_) => {}
            Err(error @ CallError::Refused(..)) => return Line::Refuses(error.to_string()),
            Err(error @ (CallError::Unreachable(_) | CallError::Failed(_))) => return Line::Silent(error.to_string()),
        }
    }
    Line::Answers(clock.now().ms_since(sent))
}

/// Whether an agent serves this folder.
fn is_running(dir: &Path) -> bool {
    ServeLease::is_taken(dir)
}

fn date(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(|at| at.strftime("%Y-%m-%d").to_string())
}
