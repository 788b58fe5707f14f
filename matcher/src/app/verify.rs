//! Verify one capture: fresh? whose card? compare, decide, record, answer.
//!
//! An answer exists only once its record is durable. A non-match, a missing reference or a failure to
//! acquire is an answer; an error here means that nothing was decided and nothing was recorded but, perhaps,
//! a flag. Not here: whether the envelope is authentic (`admission`), what a score means (`matcher-core`).

use matcher_core::{AcquisitionFailure, Decision, DocumentNumber, Identifier, Policy, RecheckRule, Scene, Way};
use models_core::{Component, Template};
use thiserror::Error;

use crate::{
    center::Center,
    store::{
        NewVerification, Recorded, StoreError, TimeMs, Verification,
        live::{Circumstances, Known},
        receipts::Receipt,
    },
};

use super::{
    admission::{Admission, AdmissionError, Request},
    flags,
    freshness::{AgeError, Freshness},
    judging::{self, Against, Facts, Seen},
    person::{Met, Person},
    receipts::Issuer,
    sample::Sample,
    ways,
};

/// A capture that gave no answer. The message names the field and what was expected.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The frame is too old, or of the future.
    #[error(transparent)]
    Age(AgeError),
    /// The transaction has had its attempts.
    #[error("envelope.header.attempt: expected at most {max} in the scene {} under the policy in force, got {got}", .scene.word())]
    TooManyAttempts {
        /// The scene.
        scene: Scene,
        /// The policy's cap.
        max: u32,
        /// What came.
        got: u32,
    },
    /// The device used this sequence number for another envelope.
    #[error("envelope.header.sequence: expected a number this device has not used; it was used for another envelope")]
    SequenceReused,
    /// Another capture took the request in the meantime.
    #[error(transparent)]
    Request(AdmissionError),
    /// The store failed; nothing was recorded, the caller may try again.
    #[error("the verification could not be recorded")]
    Store(#[source] StoreError),
}

/// What a counter captured, checked field by field.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Where in the visit.
    pub scene: Scene,
    /// Whose card.
    pub identifier: Identifier,
    /// Who operates the counter; may be empty.
    pub operator: String,
    /// Version of the notice shown; may be empty.
    pub notice: String,
    /// Version of the consent given; may be empty.
    pub consent: String,
    /// When the frame was taken, by the device's clock.
    pub captured_at: TimeMs,
    /// The center's clock minus the device's.
    pub clock_offset_ms: i64,
    /// What acquisition ended with, or which way was taken in its place.
    pub outcome: Outcome,
    /// Who came in the holder's place.
    pub proxy: Option<Proxy>,
    /// The template of a document's chip, which the probe is compared with. Kept nowhere.
    pub chip: Option<Template>,
}

/// Who came in a holder's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// By which document.
    pub document: DocumentNumber,
    /// The name in it; may be empty.
    pub name: String,
}

impl Capture {
    /// The way that was taken.
    #[must_use]
    pub fn way(&self) -> Way {
        match &self.outcome {
            Outcome::Probe(_) | Outcome::Failure(..) if self.chip.is_some() => Way::Chip,
            Outcome::Probe(_) | Outcome::Failure(..) => Way::Face,
            Outcome::Document { .. } => Way::DocumentCheck,
            Outcome::OtherWay => Way::Other,
        }
    }

    /// When the frame was taken, by the center's clock as far as the device knew it.
    #[must_use]
    pub fn corrected_at(&self) -> TimeMs {
        self.captured_at.saturating_add(self.clock_offset_ms)
    }
}

/// What acquisition ended with.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A face.
    Probe(Box<Probe>),
    /// No usable face: why, and the component of quality that fell short where one did.
    Failure(AcquisitionFailure, Option<Component>),
    /// The operator looked at a document: whether it is the same person.
    Document {
        /// What the operator says.
        same_person: bool,
    },
    /// Another way.
    OtherWay,
}

impl Outcome {
    /// The probe's template, where there is one.
    #[must_use]
    pub fn template(&self) -> Option<&Template> {
        match self {
            Self::Probe(probe) => Some(&probe.template),
            Self::Failure(..) | Self::Document { .. } | Self::OtherWay => None,
        }
    }

    /// The attack model's score, where there is one.
    #[must_use]
    pub fn live(&self) -> Option<f32> {
        match self {
            Self::Probe(probe) => probe.live,
            Self::Failure(..) | Self::Document { .. } | Self::OtherWay => None,
        }
    }
}

/// A face: the template and the pictures it was made from.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The template.
    pub template: Template,
    /// The pictures, one for each frame that was fused, the best first.
    pub samples: Vec<Sample>,
    /// The attack model's score, 0 (attack) to 1 (live); nothing when it could assess no frame.
    pub live: Option<f32>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its record.
    pub record: Verification,
    /// Whether it was given before.
    pub repeated: bool,
    /// The receipt of it; an answer that is older than receipts has none.
    pub receipt: Option<Receipt>,
}

/// Verifies captures.
#[derive(Clone)]
pub struct Verifier {
    /// Store, vault, look-up key and policy.
    pub center: Center,
    /// Lets envelopes in.
    pub admission: Admission,
    /// How old a capture may be.
    pub freshness: Freshness,
    /// Which captures are checked.
    pub recheck: RecheckRule,
    /// Signs what the till is told.
    pub issuer: Issuer,
}

impl Verifier {
    /// Judges an admitted capture and records the answer.
    ///
    /// # Errors
    /// When the capture is stale or one attempt too many, the request or sequence number is taken, or the
    /// store fails.
    pub async fn verify(&self, request: Request, capture: Capture) -> Result<Answer, VerifyError> {
        let now = self.admission.surroundings.now_ms();
        let in_force = self.center.policies.current();
        let fresh = self.freshness.check("capture.captured_at_ms", capture.corrected_at(), now).map_err(VerifyError::Age);
        if let Err(error) = fresh.and_then(|()| check_attempt(&in_force.policy, &capture, request.key.attempt)) {
            self.admission.note_refused(&request).await;
            return Err(error);
        }
        // Somebody may be forgotten, or withdraw consent, between the look-up and the record: then once more.
        match self.answer(&in_force.policy, &request, &capture, now).await {
            Err(VerifyError::Store(StoreError::Conflict("person"))) => self.answer(&in_force.policy, &request, &capture, now).await,
            answer => answer,
        }
    }

    async fn answer(&self, policy: &Policy, request: &Request, capture: &Capture, now: TimeMs) -> Result<Answer, VerifyError> {
        let surroundings = self.admission.surroundings.as_ref();
        let identifier = self.center.lookup.row(&capture.identifier);
        let mut facts = Facts::of(surroundings.new_record(), request, capture, identifier);
        let Known { subject: found, forgotten, decisions } = self.known(request, &capture.identifier).await?;
        let met = |(stored, key)| {
            let met = Met { identifier: &capture.identifier, key: &key, captured_at: facts.captured_at };
            Person::open(&self.center.vault, &stored, met)
        };
        let person = found.map(met);
        if forgotten {
            facts.leave_number_out(surroundings);
        }
        let others = decisions.into_iter().filter(|(attempt, _)| *attempt != request.key.attempt);
        let earlier: Vec<Decision> = others.map(|(_, decision)| decision).collect();
        let against = Against { policy, person: person.as_ref(), earlier: &earlier, doubts: &[] };
        let subject = person.as_ref().and_then(Person::subject);
        let proxied = ways::proxied(&self.center, capture, &facts, subject, policy).await.map_err(VerifyError::Store)?;
        let verdict = judging::judge(&facts, Seen::of(capture, proxied.as_ref()), against);
        let (record, mut flags) = judging::record(facts, verdict, against, now, surroundings);
        let over = ways::override_flag(&self.center, policy, &record, &earlier, surroundings).await.map_err(VerifyError::Store)?;
        flags.extend(over);
        let proxy = proxied.and_then(|proxied| proxied.entry(&self.center.vault, capture, &record));
        let probe = judging::seal_probe(&capture.outcome, person.as_ref(), record.id).filter(|_| judging::keeps_probe(&record));
        let made_by = judging::made_by(&capture.outcome).filter(|_| probe.is_some());
        let recheck = made_by.clone().filter(|_| judging::is_rechecked(&self.recheck, &record));
        let rule = &policy.scene(record.scene).receipt;
        let receipt = self.issuer.issue(&record, rule, &capture.identifier, surroundings.random_id());
        self.store(request, NewVerification { record, probe, flags, recheck, made_by, receipt: Some(receipt), proxy }).await
    }

    /// Gives an answer again, with the receipt it had.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn repeat(&self, record: Verification) -> Result<Answer, VerifyError> {
        let receipt = self.center.store.receipt_of(&record.request).await.map_err(VerifyError::Store)?;
        Ok(Answer { record, repeated: true, receipt: receipt.map(|stored| stored.receipt) })
    }

    /// Whom the card is of, whether they were forgotten (nothing about the card is written again then), and what was
    /// decided in the transaction.
    async fn known(&self, request: &Request, identifier: &Identifier) -> Result<Known, VerifyError> {
        let lookup = &self.center.lookup;
        let rows = lookup.rows(identifier).into_iter().map(|(row, _)| row).collect();
        let about = Circumstances { request: request.key.clone(), rows, tombstones: lookup.tombstones(identifier) };
        self.center.store.circumstances(about).await.map_err(VerifyError::Store)
    }

    async fn store(&self, request: &Request, new: NewVerification) -> Result<Answer, VerifyError> {
        let (record, receipt) = (new.record.clone(), new.receipt.clone());
        match self.center.store.record_verification(new).await.map_err(VerifyError::Store)? {
            Recorded::Stored => Ok(Answer { record, repeated: false, receipt }),
            Recorded::AlreadyAnswered(first) => self.repeat(*first).await,
            Recorded::RequestTaken(first) => Err(VerifyError::Request(self.admission.request_reused(request, &first).await)),
            Recorded::RequestWaits(waiting) => Err(VerifyError::Request(self.admission.request_waits(request, waiting).await)),
            Recorded::SequenceTaken => {
                let flag = flags::sequence_reused(request, &record.identifier_masked, record.decided_at);
                self.admission.raise(flag).await.map_err(VerifyError::Store)?;
                Err(VerifyError::SequenceReused)
            }
        }
    }
}

pub(super) fn check_attempt(policy: &Policy, capture: &Capture, got: u32) -> Result<(), VerifyError> {
    let scene = capture.scene;
    let max = policy.scene(scene).attempt_max(capture.way());
    if got <= max { Ok(()) } else { Err(VerifyError::TooManyAttempts { scene, max, got }) }
}
