//! Judging one capture: the same for live and deferred captures and for re-comparisons.
//!
//! What was seen, the person, a policy and the transaction's other attempts go in; a verdict, and the record of it, come
//! out. Not here: where any of it comes from, and where the record goes.

use matcher_core::{
    AcquisitionFailure, Decision, Doubt, Earlier, Evidence, NoDecision, Policy, RecheckRule, ReferenceState, Scene, Verdict, decide,
    deferred::doubted, flags_for,
};
use models_core::{Component, Template};

use crate::{
    store::{Flag, IdentifierKey, MadeBy, RecordId, RequestKey, SealedProbe, TimeMs, Verification},
    surroundings::Surroundings,
    vault::RecordContext,
};

use super::{
    admission::Request,
    flags,
    person::Person,
    sample::samples_to_bytes,
    verify::{Capture, Outcome},
    ways::Proxied,
};

/// What is recorded of a capture, known before it is judged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub(super) id: RecordId,
    pub(super) request: RequestKey,
    pub(super) digest: [u8; 32],
    pub(super) device: String,
    pub(super) counter: String,
    pub(super) sequence: u64,
    pub(super) scene: Scene,
    pub(super) operator: String,
    pub(super) notice: String,
    pub(super) consent: String,
    pub(super) identifier: IdentifierKey,
    pub(super) identifier_masked: String,
    /// By the center's clock, as far as the device knew it.
    pub(super) captured_at: TimeMs,
    pub(super) live: Option<f32>,
    /// Whether somebody came in the holder's place.
    pub(super) proxy: bool,
}

impl Facts {
    /// The facts of a capture that a request brought.
    pub(super) fn of(id: RecordId, request: &Request, capture: &Capture, identifier: IdentifierKey) -> Self {
        Self {
            id,
            request: request.key.clone(),
            digest: request.digest,
            device: request.device.id.clone(),
            counter: request.device.counter.clone(),
            sequence: request.sequence,
            scene: capture.scene,
            operator: capture.operator.clone(),
            notice: capture.notice.clone(),
            consent: capture.consent.clone(),
            identifier,
            identifier_masked: capture.identifier.masked(),
            captured_at: capture.corrected_at(),
            live: capture.outcome.live(),
            proxy: capture.proxy.is_some(),
        }
    }

    /// Leaves the number out: its person was forgotten, and nothing about the card is written again.
    pub(super) fn leave_number_out(&mut self, surroundings: &dyn Surroundings) {
        let random = [surroundings.random_id(), surroundings.random_id()];
        self.identifier_masked = String::new();
        self.identifier.region = String::new();
        self.identifier.hash = std::array::from_fn(|i| random.as_flattened().get(i).copied().unwrap_or_default());
    }
}

/// What a judgement asks about a capture beside what it shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) scene: Scene,
    pub(super) attempt: u32,
    pub(super) consent: &'a str,
    /// By the center's clock, as far as the device knew it.
    pub(super) captured_at: TimeMs,
    pub(super) live: Option<f32>,
    /// Whether somebody came in the holder's place.
    pub(super) proxy: bool,
}

impl<'a> From<&'a Facts> for Asked<'a> {
    fn from(facts: &'a Facts) -> Self {
        let Facts { scene, consent, captured_at, live, proxy, .. } = facts;
        Self { scene: *scene, attempt: facts.request.attempt, consent, captured_at: *captured_at, live: *live, proxy: *proxy }
    }
}

/// What was seen at the counter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen<'a> {
    /// A face.
    Probe(&'a Template),
    /// A face, and the template of a document's chip.
    Chip {
        /// The face.
        probe: &'a Template,
        /// The chip's.
        chip: &'a Template,
    },
    /// A proxy's face, and nothing to compare it with.
    Proxy(NoDecision),
    /// No usable face: why, and the component of quality that fell short where one did.
    Failure(AcquisitionFailure, Option<Component>),
    /// No face is looked at, for this reason.
    Without(NoDecision),
}

impl<'a> Seen<'a> {
    /// What a capture shows. A proxy who may not come is told so whatever else it shows.
    pub(super) fn of(capture: &'a Capture, proxied: Option<&Proxied>) -> Self {
        if let Some(refusal) = proxied.and_then(Proxied::refusal) {
            return Self::Without(refusal.into());
        }
        match (&capture.outcome, &capture.chip) {
            (Outcome::Probe(probe), Some(chip)) => Self::Chip { probe: &probe.template, chip },
            (Outcome::Probe(probe), None) => match proxied {
                None => Self::Probe(&probe.template),
                Some(proxied) => Self::Proxy(proxied.without_chip()),
            },
            (Outcome::Failure(failure, component), _) => Self::Failure(*failure, *component),
            (Outcome::Document { same_person: true }, _) => Self::Without(NoDecision::DocumentChecked),
            (Outcome::Document { same_person: false }, _) => Self::Without(NoDecision::DocumentNotThePerson),
            (Outcome::OtherWay, _) => Self::Without(NoDecision::OtherWay),
        }
    }
}

/// What a capture is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Against<'a> {
    pub(super) policy: &'a Policy,
    pub(super) person: Option<&'a Person>,
    /// The decisions of the transaction's other attempts.
    pub(super) earlier: &'a [Decision],
    /// What cannot be known about it; nothing for a live capture.
    pub(super) doubts: &'a [Doubt],
}

/// The verdict on a capture.
pub(super) fn judge<'a>(about: impl Into<Asked<'a>>, seen: Seen<'_>, against: Against<'_>) -> Verdict {
    let about = about.into();
    let Against { policy, person, earlier, doubts } = against;
    let unwanted = policy.asks_consent(about.scene) && about.consent.is_empty();
    let evidence = match seen {
        Seen::Probe(_) | Seen::Chip { .. } | Seen::Proxy(_) if unwanted => Evidence::NoConsent,
        Seen::Probe(template) => Evidence::Probe { template, live: about.live },
        Seen::Chip { probe, chip } => Evidence::Chip { template: probe, live: about.live, reference: chip },
        Seen::Failure(failure, component) => Evidence::FailureToAcquire(failure, component),
        Seen::Proxy(reason) | Seen::Without(reason) => Evidence::Without(reason),
    };
    let references = person.map(|person| person.references(about.captured_at)).unwrap_or_default();
    let state = person.map_or(ReferenceState::None, |person| person.state(&references));
    let earlier = Earlier { attempt: about.attempt, decisions: earlier };
    let mut verdict = doubted(decide(policy, about.scene, evidence, state, earlier), policy, about.scene, doubts);
    if about.proxy && !verdict.reasons.contains(&NoDecision::Proxy.word()) {
        verdict.reasons.push(NoDecision::Proxy.word());
    }
    verdict
}

/// The record of a verdict, and the flags it raises.
pub(super) fn record(
    facts: Facts,
    verdict: Verdict,
    against: Against<'_>,
    decided_at: TimeMs,
    surroundings: &dyn Surroundings,
) -> (Verification, Vec<Flag>) {
    let Against { policy, person, earlier, .. } = against;
    let thresholds = verdict.comparison.as_ref().map(|comparison| comparison.thresholds);
    let compared = verdict.comparison.as_ref().map(|comparison| &comparison.compared);
    let record = Verification {
        id: facts.id,
        request: facts.request,
        request_digest: facts.digest,
        device: facts.device,
        counter: facts.counter,
        sequence: facts.sequence,
        scene: facts.scene,
        operator: facts.operator,
        notice: facts.notice,
        consent: facts.consent,
        identifier: facts.identifier,
        identifier_masked: facts.identifier_masked,
        subject: person.and_then(Person::subject),
        captured_at: facts.captured_at,
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
        live: facts.live,
        policy_version: policy.version().to_owned(),
        mode: policy.mode(),
        reference: compared.filter(|compared| !compared.chip).and_then(|compared| person?.reference_id(compared.reference)),
    };
    let flag = |kind| flags::of_verification(kind, surroundings.new_record(), &record);
    let flags = flags_for(record.decision, earlier).into_iter().map(flag).collect();
    (record, flags)
}

/// Whether the probe of a record is kept: not where it was compared with nothing because the person did not want it
/// looked at.
pub(super) fn keeps_probe(record: &Verification) -> bool {
    let unwanted = [NoDecision::ConsentMissing, NoDecision::ConsentWithdrawn].map(Decision::NoDecision);
    record.score.is_some() || !unwanted.contains(&record.decision)
}

/// Whether the record's random id picks the capture to have its template made again.
pub(super) fn is_rechecked(rule: &RecheckRule, record: &Verification) -> bool {
    let [a, b, c, d, ..] = record.id.0;
    let draw = f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0);
    rule.picks(record.decision, draw)
}

/// What made the probe's template, where there is a probe.
pub(super) fn made_by(outcome: &Outcome) -> Option<MadeBy> {
    let Outcome::Probe(probe) = outcome else { return None };
    Some(MadeBy { model: probe.template.model().to_string(), recipe: probe.template.recipe().to_string() })
}

/// Seals what was captured under the person's key; without a person there is no key, and nothing is kept.
pub(super) fn seal_probe(outcome: &Outcome, person: Option<&Person>, record: RecordId) -> Option<SealedProbe> {
    let Outcome::Probe(probe) = outcome else { return None };
    let (subject, key) = person?.key()?;
    let template = RecordContext::probe_template(subject, record, probe.template.model().as_str());
    let sample = RecordContext::probe_sample(subject, record);
    Some(SealedProbe {
        template: key.seal(&template, &probe.template.to_f16_le_bytes()),
        sample: key.seal(&sample, &samples_to_bytes(&probe.samples)),
    })
}
