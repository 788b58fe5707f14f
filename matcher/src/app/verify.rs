//! Verify one capture: fresh? whose card? compare, decide, record, answer.
//!
//! An answer exists only once its record is durable. A non-match, a missing reference or a failure to
//! acquire is an answer; an error here means that nothing was decided and nothing was recorded but, perhaps,
//! a flag. Not here: whether the envelope is authentic (`admission`), what a score means (`matcher-core`).

use matcher_core::{
    AcquisitionFailure, Decision, Earlier, Evidence, Identifier, NoDecision, Policy, RecheckRule, ReferenceState, Scene, Verdict, decide,
    flags_for,
};
use models_core::{Component, Template};
use thiserror::Error;

use crate::{
    center::Center,
    store::{
        IdentifierKey, MadeBy, NewVerification, RecordId, Recorded, SealedProbe, StoreError, TimeMs, Verification,
        live::{Circumstances, Known},
        receipts::Receipt,
    },
    vault::RecordContext,
};

use super::{
    admission::{Admission, AdmissionError, Request},
    flags,
    freshness::{AgeError, Freshness},
    person::{Met, Person},
    receipts::Issuer,
    sample::{Sample, samples_to_bytes},
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
    /// What acquisition ended with.
    pub outcome: Outcome,
}

/// What acquisition ended with.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A face.
    Probe(Box<Probe>),
    /// No usable face: why, and the component of quality that fell short where one did.
    Failure(AcquisitionFailure, Option<Component>),
}

impl Outcome {
    /// The probe's template, where there is one.
    #[must_use]
    pub fn template(&self) -> Option<&Template> {
        match self {
            Self::Probe(probe) => Some(&probe.template),
            Self::Failure(..) => None,
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
        let captured_at = capture.captured_at.saturating_add(capture.clock_offset_ms);
        self.freshness.check("capture.captured_at_ms", captured_at, now).map_err(VerifyError::Age)?;
        let in_force = self.center.policies.current();
        check_attempt(&in_force.policy, capture.scene, request.key.attempt)?;
        // Somebody may be forgotten, or withdraw consent, between the look-up and the record: then once more.
        match self.answer(&in_force.policy, &request, &capture, (captured_at, now)).await {
            Err(VerifyError::Store(StoreError::Conflict("person"))) => {
                self.answer(&in_force.policy, &request, &capture, (captured_at, now)).await
            }
            answer => answer,
        }
    }

    async fn answer(
        &self,
        policy: &Policy,
        request: &Request,
        capture: &Capture,
        (captured_at, now): (TimeMs, TimeMs),
    ) -> Result<Answer, VerifyError> {
        let identifier = self.center.lookup.row(&capture.identifier);
        let Known { subject: found, forgotten, decisions } = self.known(request, &capture.identifier).await?;
        let met =
            |(stored, key)| Person::open(&self.center.vault, &stored, Met { identifier: &capture.identifier, key: &key, captured_at });
        let person = found.map(met);
        let others = decisions.into_iter().filter(|(attempt, _)| *attempt != request.key.attempt);
        let earlier: Vec<Decision> = others.map(|(_, decision)| decision).collect();
        let verdict = judge(policy, capture, person.as_ref(), captured_at, Earlier { attempt: request.key.attempt, decisions: &earlier });
        let mut record = self.record(policy, request, capture, identifier, person.as_ref(), verdict, (captured_at, now));
        if forgotten {
            self.leave_number_out(&mut record);
        }
        let flag = |kind| flags::of_verification(kind, self.admission.surroundings.new_record(), &record);
        let flags = flags_for(record.decision, &earlier).into_iter().map(flag).collect();
        let looked_at = record.score.is_some();
        let probe = seal_probe(&capture.outcome, person.as_ref(), record.id).filter(|_| looked_at || keeps_face(record.decision));
        let made_by = made_by(&capture.outcome).filter(|_| probe.is_some());
        let recheck = made_by.clone().filter(|_| self.is_rechecked(&record));
        let rule = &policy.scene(record.scene).receipt;
        let receipt = self.issuer.issue(&record, rule, &capture.identifier, self.admission.surroundings.random_id());
        self.store(request, NewVerification { record, probe, flags, recheck, made_by, receipt: Some(receipt) }).await
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

    fn leave_number_out(&self, record: &mut Verification) {
        let random = [self.admission.surroundings.random_id(), self.admission.surroundings.random_id()];
        record.identifier_masked = String::new();
        record.identifier.region = String::new();
        record.identifier.hash = std::array::from_fn(|i| random.as_flattened().get(i).copied().unwrap_or_default());
    }

    #[expect(clippy::too_many_arguments, reason = "a record is made of all that was known")]
    fn record(
        &self,
        policy: &Policy,
        request: &Request,
        capture: &Capture,
        identifier: IdentifierKey,
        person: Option<&Person>,
        verdict: Verdict,
        (captured_at, decided_at): (TimeMs, TimeMs),
    ) -> Verification {
        let live = match &capture.outcome {
            Outcome::Probe(probe) => probe.live,
            Outcome::Failure(..) => None,
        };
        let thresholds = verdict.comparison.as_ref().map(|comparison| comparison.thresholds);
        let compared = verdict.comparison.as_ref().map(|comparison| &comparison.compared);
        Verification {
            id: self.admission.surroundings.new_record(),
            request: request.key.clone(),
            request_digest: request.digest,
            device: request.device.id.clone(),
            counter: request.device.counter.clone(),
            sequence: request.sequence,
            scene: capture.scene,
            operator: capture.operator.clone(),
            notice: capture.notice.clone(),
            consent: capture.consent.clone(),
            identifier,
            identifier_masked: capture.identifier.masked(),
            subject: person.and_then(Person::subject),
            captured_at,
            decided_at,
            decision: verdict.decision,
            reasons: verdict.reasons.iter().map(|&reason| reason.to_owned()).collect(),
            disposition: verdict.disposition,
            score: compared.map(|compared| compared.score.get()),
            match_threshold: thresholds.map(|thresholds| thresholds.match_at_least),
            non_match_threshold: thresholds.and_then(|thresholds| thresholds.non_match_below),
            model: compared.map(|compared| compared.model.to_string()).unwrap_or_default(),
            recipe: compared.map(|compared| compared.recipe.to_string()).unwrap_or_default(),
            facts: compared.map(|compared| compared.facts).unwrap_or_default(),
            live,
            policy_version: policy.version().to_owned(),
            mode: policy.mode(),
            reference: compared.and_then(|compared| person?.reference_id(compared.reference)),
        }
    }

    /// Whether the record's random id picks the capture.
    fn is_rechecked(&self, record: &Verification) -> bool {
        let [a, b, c, d, ..] = record.id.0;
        let draw = f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0);
        self.recheck.picks(record.decision, draw)
    }

    async fn store(&self, request: &Request, new: NewVerification) -> Result<Answer, VerifyError> {
        let (record, receipt) = (new.record.clone(), new.receipt.clone());
        match self.center.store.record_verification(new).await.map_err(VerifyError::Store)? {
            Recorded::Stored => Ok(Answer { record, repeated: false, receipt }),
            Recorded::AlreadyAnswered(first) => self.repeat(*first).await,
            Recorded::RequestTaken(first) => Err(VerifyError::Request(self.admission.request_reused(request, &first).await)),
            Recorded::SequenceTaken => {
                let flag = flags::sequence_reused(request, &record.identifier_masked, record.decided_at);
                self.admission.raise(flag).await.map_err(VerifyError::Store)?;
                Err(VerifyError::SequenceReused)
            }
        }
    }
}

/// What made the probe's template, where there is a probe.
fn made_by(outcome: &Outcome) -> Option<MadeBy> {
    let Outcome::Probe(probe) = outcome else { return None };
    Some(MadeBy { model: probe.template.model().to_string(), recipe: probe.template.recipe().to_string() })
}

fn check_attempt(policy: &Policy, scene: Scene, got: u32) -> Result<(), VerifyError> {
    let max = policy.scene(scene).attempts_max;
    if got <= max { Ok(()) } else { Err(VerifyError::TooManyAttempts { scene, max, got }) }
}

fn judge(policy: &Policy, capture: &Capture, person: Option<&Person>, captured_at: TimeMs, earlier: Earlier<'_>) -> Verdict {
    let evidence = match &capture.outcome {
        Outcome::Probe(_) if policy.asks_consent(capture.scene) && capture.consent.is_empty() => Evidence::NoConsent,
        Outcome::Probe(probe) => Evidence::Probe { template: &probe.template, live: probe.live },
        Outcome::Failure(failure, component) => Evidence::FailureToAcquire(*failure, *component),
    };
    let references = person.map(|person| person.references(captured_at)).unwrap_or_default();
    let state = person.map_or(ReferenceState::None, |person| person.state(&references));
    decide(policy, capture.scene, evidence, state, earlier)
}

/// Whether a face that was compared with nothing is kept: not where the person did not want it looked at.
fn keeps_face(decision: Decision) -> bool {
    ![NoDecision::ConsentMissing, NoDecision::ConsentWithdrawn].map(Decision::NoDecision).contains(&decision)
}

/// Seals what was captured under the person's key; without a person there is no key, and nothing is kept.
fn seal_probe(outcome: &Outcome, person: Option<&Person>, record: RecordId) -> Option<SealedProbe> {
    let Outcome::Probe(probe) = outcome else { return None };
    let (subject, key) = person?.key()?;
    let template = RecordContext::probe_template(subject, record, probe.template.model().as_str());
    let sample = RecordContext::probe_sample(subject, record);
    Some(SealedProbe {
        template: key.seal(&template, &probe.template.to_f16_le_bytes()),
        sample: key.seal(&sample, &samples_to_bytes(&probe.samples)),
    })
}
