//! A drill: what a counter does while the center does not answer, end to end, without a trace in real records.
//!
//! Everything is the drill's own and goes with its temporary folder: device key, certificate and authority, lease,
//! sequence numbers, spool. What it signs is nobody's: a check at the settlement side knows neither key nor certificate.
//! The camera and the networks are the counter's, unless the drill is told to do without. Not here: whether the real
//! line, lease and camera are in order (their state is in `/v1/health`).

use std::{fs, path::Path, sync::Arc};

use capture_core::{
    Attempt, Consent, FieldError, IdentifierKind, Notice, Operator, Region, Scene,
    degraded::{Denied, KnownTime},
};
use ed25519_dalek::SigningKey;
use models::picture::Picture;
use models_core::{DetectedFace, ModelId, Quality, RecipeId};
use prost::Message;
use proto::{
    acknowledgement,
    envelope::OpeningKey,
    lease,
    v1::{self, Acknowledgement, UploadOutcome},
};
use receipt_form::{jws, provisional::ProvisionalForm};
use serde::Serialize;
use thiserror::Error;

use crate::{
    answer::VerifyAnswer,
    camera::Camera,
    clock::Clock,
    command::{By, VerifyCommand},
    config::{CameraKind, Config},
    identity::{self, CA_FILE, CERTIFICATE_FILE, Identity, IdentityError, REGISTRATION_FILE},
    line::spool::{Spool, SpoolError},
    verify::{StartError, Verifier, VerifyError},
    vision::{Chosen, FaceReader, VisionError},
};

/// The drill's device, institution and audience.
const DRILL: &str = "drill";
/// The card that is verified: nobody's.
const CARD: &str = "DRILL00000000000001";
/// How long the drill's lease lasts, in milliseconds.
const LASTS_MS: i64 = 3_600_000;

/// The drill could not be set up.
#[derive(Debug, Error)]
pub enum RehearsalError {
    /// The temporary folder cannot be written.
    #[error("the drill's folder cannot be written")]
    Folder(#[source] std::io::Error),
    /// The drill's identity cannot be made.
    #[error("the drill's identity cannot be made")]
    Identity(#[source] IdentityError),
    /// The drill's certificate cannot be made.
    #[error("the drill's certificate cannot be made: {0}")]
    Certificate(String),
    /// The drill's agent cannot be put together.
    #[error("the drill's agent cannot be put together")]
    Start(#[source] StartError),
    /// The drill's spool cannot be used.
    #[error("the drill's spool cannot be used")]
    Spool(#[source] SpoolError),
    /// A word of the drill's request is not in order.
    #[error("the drill's request: {0}")]
    Request(FieldError),
}

/// One step of the drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was tried.
    pub step: &'static str,
    /// Whether it went as it must.
    pub worked: bool,
    /// What came of it.
    pub detail: String,
}

/// What came of the drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rehearsal {
    /// Whether every step worked.
    pub worked: bool,
    /// The steps, in their order.
    pub steps: Vec<Step>,
}

/// Goes through the drill. Must be called within a tokio runtime.
///
/// # Errors
/// When it cannot be set up. A step that goes wrong is no error.
pub async fn rehearse(config: &Config, reader: Arc<dyn FaceReader>) -> Result<Rehearsal, RehearsalError> {
    let folder = tempfile::tempdir().map_err(RehearsalError::Folder)?;
    let drill = Drill::new(folder.path(), config, reader)?;
    let mut steps = Vec::new();
    let first = drill.ask("DRILL-1").await?;
    steps.push(answered_alone(&first));
    if let Ok(first) = &first {
        steps.push(drill.receipt(first));
        let again = drill.ask("DRILL-1").await?;
        let same = again.as_ref().is_ok_and(|again| again.receipt == first.receipt && again.repeated_answer);
        steps.push(step("asked again, the answer is the same", same, ""));
    }
    steps.push(drill.sealed(folder.path())?);
    let second = drill.ask("DRILL-2").await?;
    steps.push(denied("a lease that is used up answers nothing", &second, Denied::UsedUp));
    drill.set_ahead()?;
    let third = drill.ask("DRILL-3").await?;
    steps.push(denied("a clock that was set back answers nothing", &third, Denied::ClockSetBack));
    steps.extend(drill.acknowledged()?);
    Ok(Rehearsal { worked: steps.iter().all(|step| step.worked), steps })
}

/// Eyes that see nobody: for a drill without camera and networks.
#[derive(Debug)]
pub struct NoEyes {
    model: ModelId,
    recipe: RecipeId,
}

impl NoEyes {
    /// Eyes of a feature model and recipe.
    #[must_use]
    pub fn new(model: ModelId, recipe: RecipeId) -> Self {
        Self { model, recipe }
    }
}

impl FaceReader for NoEyes {
    fn feature_model(&self) -> &ModelId {
        &self.model
    }

    fn recipe(&self) -> &RecipeId {
        &self.recipe
    }

    fn frames(&self) -> usize {
        1
    }

    fn detect(&self, _: &Picture) -> Result<Vec<DetectedFace>, VisionError> {
        Ok(Vec::new())
    }

    fn detect_near(&self, _: &Picture, _: &DetectedFace) -> Result<Vec<DetectedFace>, VisionError> {
        Ok(Vec::new())
    }

    fn quality(&self, _: &Picture, _: &[DetectedFace], _: &DetectedFace) -> Result<Quality, VisionError> {
        Ok(Quality::default())
    }

    fn probe(&self, _: &[Chosen<'_>]) -> Result<v1::ProbeSample, VisionError> {
        Ok(v1::ProbeSample::default())
    }
}

/// The configuration of a drill without camera: a grey picture, for a tenth of a second.
///
/// # Errors
/// When the picture cannot be written.
pub fn without_camera(config: &Config, pictures: &Path) -> Result<Config, RehearsalError> {
    let picture = [b"P6\n64 48\n255\n".as_slice(), &[90; 64 * 48 * 3]].concat();
    fs::write(pictures.join("grey.ppm"), picture).map_err(RehearsalError::Folder)?;
    let mut config = config.clone();
    config.camera.kind = CameraKind::Playback;
    config.camera.folder = pictures.display().to_string();
    Ok(config)
}

/// The drill's own counter, and the center that does not answer it.
struct Drill {
    agent: Verifier,
    spool: Arc<Spool>,
    device: SigningKey,
    center: SigningKey,
    clock: Clock,
}

impl Drill {
    fn new(folder: &Path, config: &Config, reader: Arc<dyn FaceReader>) -> Result<Self, RehearsalError> {
        let center = SigningKey::from_bytes(&random()?);
        install(folder, &center)?;
        let identity = Identity::load(folder).map_err(RehearsalError::Identity)?;
        let clock = Clock::start();
        let mut config = config.clone();
        // A port that nobody listens on: the line is down for as long as the drill lasts.
        let nobody =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(RehearsalError::Folder)?;
        (config.center.address, config.center.endpoint) = (format!("https://{nobody}"), Vec::new());
        let spool = Arc::new(Spool::open(folder, config.outbox).map_err(RehearsalError::Spool)?);
        let now_ms = clock.date_ms();
        spool.remember_lease(&lease::sign(&terms(now_ms), &center)).map_err(RehearsalError::Spool)?;
        spool.remember_policy(&policy(now_ms, &center)).map_err(RehearsalError::Spool)?;
        let device = identity.key.signing().clone();
        let camera = Camera::from_config(&config.camera, clock);
        let agent = Verifier::new(&config, identity, Arc::clone(&spool), camera, reader, clock).map_err(RehearsalError::Start)?;
        Ok(Self { agent, spool, device, center, clock })
    }

    async fn ask(&self, transaction: &str) -> Result<Result<VerifyAnswer, VerifyError>, RehearsalError> {
        let command = VerifyCommand {
            transaction: transaction.parse().map_err(RehearsalError::Request)?,
            attempt: Attempt::FIRST,
            scene: Scene::Settlement,
            id_kind: IdentifierKind::SocialSecurityCard,
            number: CARD.parse().map_err(RehearsalError::Request)?,
            region: Region::new("").map_err(RehearsalError::Request)?,
            operator: Operator::new("").map_err(RehearsalError::Request)?,
            notice: Notice::new("").map_err(RehearsalError::Request)?,
            consent: Consent::new("").map_err(RehearsalError::Request)?,
            by: By::Face,
            proxy: None,
        };
        Ok(self.agent.verify(&command, Arc::new(|_| {})).await)
    }

    /// The receipt is the drill's own, and therefore nobody's.
    fn receipt(&self, answer: &VerifyAnswer) -> Step {
        let parts = jws::Parts::new(&answer.receipt);
        let form = parts.and_then(|parts| parts.claims::<ProvisionalForm>(&self.device.verifying_key()));
        let own = form.is_ok_and(|form| form.iss == DRILL && form.aud == DRILL && form.institution == DRILL);
        step("the provisional receipt is the drill's, and no settlement takes it", own, answer.receipt_number.clone())
    }

    /// Nothing readable is on the disk.
    fn sealed(&self, folder: &Path) -> Result<Step, RehearsalError> {
        let waiting = self.spool.waiting().map_err(RehearsalError::Spool)?;
        let mut readable = false;
        for entry in fs::read_dir(folder).map_err(RehearsalError::Folder)? {
            let path = entry.map_err(RehearsalError::Folder)?.path();
            if path.is_file() {
                let bytes = fs::read(&path).map_err(RehearsalError::Folder)?;
                readable |= bytes.windows(CARD.len()).any(|part| part == CARD.as_bytes());
            }
        }
        Ok(step("the capture waits in the spool, and cannot be read there", waiting == 1 && !readable, format!("{waiting} waits")))
    }

    /// As if the clock had been an hour ahead before.
    fn set_ahead(&self) -> Result<(), RehearsalError> {
        // The lease is renewed, so that the clock alone is in the way.
        let now_ms = self.clock.date_ms();
        let time = KnownTime { date_ms: now_ms.saturating_add(LASTS_MS / 2), boot: String::new(), uptime_ms: 0 };
        self.spool.remember_latest(&time).map_err(RehearsalError::Spool)
    }

    /// Only the center's signature empties the spool.
    fn acknowledged(&self) -> Result<Vec<Step>, RehearsalError> {
        let mut steps = Vec::new();
        let stranger = SigningKey::from_bytes(&random()?);
        for waiting in self.spool.to_forward(0, 0, u32::MAX).map_err(RehearsalError::Spool)? {
            let digest = acknowledgement::digest(&waiting.envelope);
            let said = Acknowledgement {
                device: DRILL.to_owned(),
                sequence: waiting.sequence,
                envelope_sha256: digest.to_vec(),
                outcome: UploadOutcome::Stored.into(),
                ..Acknowledgement::default()
            };
            let check =
                |key: &SigningKey| acknowledgement::check(&acknowledgement::sign(&said, key), &self.center.verifying_key(), &digest);
            steps.push(step("an acknowledgement that the center did not sign deletes nothing", check(&stranger).is_err(), ""));
            if check(&self.center).is_ok_and(|said| acknowledgement::may_delete(&said)) {
                self.spool.acknowledged(waiting.sequence, self.clock.date_ms()).map_err(RehearsalError::Spool)?;
            }
        }
        let left = self.spool.waiting_alone().map_err(RehearsalError::Spool)?;
        steps.push(step("the center's acknowledgement empties the spool", left == 0, format!("{left} wait")));
        Ok(steps)
    }
}

fn step(step: &'static str, worked: bool, detail: impl Into<String>) -> Step {
    Step { step, worked, detail: detail.into() }
}

fn answered_alone(answer: &Result<VerifyAnswer, VerifyError>) -> Step {
    let name = "the counter answers by itself while the center does not";
    match answer {
        Ok(answer) => step(name, answer.degraded, format!("{} after {} ms", answer.disposition.word(), answer.elapsed_ms)),
        Err(error) => step(name, false, error.to_string()),
    }
}

fn denied(name: &'static str, answer: &Result<VerifyAnswer, VerifyError>, expected: Denied) -> Step {
    match answer {
        Ok(answer) => step(name, false, format!("answered {}", answer.disposition.word())),
        Err(error) => step(name, error.code() == expected.word(), error.code()),
    }
}

fn terms(now_ms: i64) -> v1::Lease {
    v1::Lease {
        serial: DRILL.to_owned(),
        device: DRILL.to_owned(),
        policy_version: DRILL.to_owned(),
        issued_at_ms: now_ms,
        scenes: vec![v1::LeaseScene { scene: v1::Scene::Settlement.into(), captures_max: 1, until_ms: now_ms.saturating_add(LASTS_MS) }],
        audience: DRILL.to_owned(),
    }
}

fn policy(now_ms: i64, center: &SigningKey) -> v1::SignedPolicy {
    let scene = v1::DeviceScene {
        scene: v1::Scene::Settlement.into(),
        attempts_max: 1,
        center_unreachable: v1::Disposition::SettleFlagged.into(),
        ..v1::DeviceScene::default()
    };
    let policy = v1::DevicePolicy { version: DRILL.to_owned(), applied_at_ms: now_ms, scenes: vec![scene], ..v1::DevicePolicy::default() };
    crate::policy::sign(&policy.encode_to_vec(), center)
}

/// Makes the drill's authority, certificate and registration, and installs them.
fn install(folder: &Path, center: &SigningKey) -> Result<(), RehearsalError> {
    identity::init(folder).map_err(RehearsalError::Identity)?;
    let key = identity::DeviceKey::read(folder).map_err(RehearsalError::Identity)?;
    let (certificate, authority) = certificates(&key).map_err(|error| RehearsalError::Certificate(error.to_string()))?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let registration = format!(
        "device = \"{DRILL}\"\ninstitution = \"{DRILL}\"\ncounter = \"{DRILL}\"\nopening_key = \"{}\"\npolicy_key = \"{}\"\n",
        hex(OpeningKey::generate().public().as_bytes()),
        hex(center.verifying_key().as_bytes())
    );
    let bundle = folder.join("bundle");
    fs::create_dir(&bundle).map_err(RehearsalError::Folder)?;
    for (name, text) in [(REGISTRATION_FILE, registration), (CERTIFICATE_FILE, certificate), (CA_FILE, authority)] {
        fs::write(bundle.join(name), text).map_err(RehearsalError::Folder)?;
    }
    identity::install(folder, &bundle).map(drop).map_err(RehearsalError::Identity)
}

fn certificates(key: &identity::DeviceKey) -> Result<(String, String), rcgen::Error> {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PKCS_ED25519};
    let authority_key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let device_key = KeyPair::from_pem_and_sign_algo(&key.pem().unwrap_or_default(), &PKCS_ED25519)?;
    let mut device = CertificateParams::default();
    device.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = device.signed_by(&device_key, &Issuer::new(authority, authority_key))?;
    Ok((certificate.pem(), authority_pem))
}

fn random() -> Result<[u8; 32], RehearsalError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| RehearsalError::Certificate(error.to_string()))?;
    Ok(bytes)
}
