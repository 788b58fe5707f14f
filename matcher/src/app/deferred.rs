//! Takes captures that come late: authentic? fresh enough for a spool? whose? Then they are stored, and compared by
//! [workers](worker).
//!
//! Whatever is answered `stored` is durable. A capture waits only where there is a face and somebody to compare it with;
//! everything else is decided at once, by the same function. Nobody at a counter waits for any of it: there is no receipt,
//! and a disposition that nobody is told. Not here: how a capture is judged ([`judging`](super::judging)), the stream.

use std::sync::Arc;

use matcher_core::{Decision, Doubt, RecheckRule, UploadRefusal};
use proto::{
    acknowledgement::digest,
    envelope::{Authentic, EnvelopeError, Opened, Parsed},
    v1::Envelope,
};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use tracing::warn;

use crate::{
    center::Center,
    policy::history::{Ages, History},
    store::{
        Device, NewVerification, StoreError, TimeMs,
        deferred::{Arrival, Kept, NewDeferred},
        live::{Circumstances, Known},
    },
    vault::RecordContext,
};

use self::sealed::SealedFacts;
use super::{
    admission::{Admission, AdmissionError, Request, authenticate},
    flags,
    freshness::{AgeError, Freshness},
    judging::{self, Against, Facts, Seen},
    person::{Met, Person},
    verify::{Capture, check_attempt},
    ways,
};

mod sealed;
pub mod worker;

/// How an envelope's body becomes a capture: the front knows the wire.
pub type Reader = dyn Fn(&Opened) -> Result<Capture, Refused> + Send + Sync;

/// Why an envelope is not taken: a word, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The word.
    pub reason: UploadRefusal,
    /// What was expected, for people; never a value of the capture.
    pub detail: String,
}

/// What became of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is durable.
    Stored,
    /// It was durable before.
    StoredBefore,
    /// It is not taken.
    Refused(Refused),
}

/// An envelope's name, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The device of its header; empty where that cannot be read.
    pub device: String,
    /// The sequence number of its header; 0 where that cannot be read.
    pub sequence: u64,
    /// SHA-256 over header and signature.
    pub digest: [u8; 32],
    /// What became of it.
    pub taken: Taken,
    /// When.
    pub at: TimeMs,
}

/// Takes captures that come late.
#[derive(Clone)]
pub struct Intake {
    /// Store, vault and look-up key.
    pub center: Center,
    /// Keys that open envelopes, and the clock.
    pub admission: Admission,
    /// The longest anything may wait in a spool.
    pub freshness: Freshness,
    /// Policies through time.
    pub history: Arc<History>,
    /// How a body is read.
    pub reader: Arc<Reader>,
    /// Which captures have their template made again, of those that are decided at once.
    pub recheck: RecheckRule,
}

/// An envelope on its way.
struct Item {
    device: String,
    sequence: u64,
    digest: [u8; 32],
    stage: Stage,
}

enum Stage {
    Done(Taken),
    Authentic(Box<(Request, Authentic)>),
    Read(Box<(Request, Capture)>),
    Arrived(Box<(Request, Arrival)>),
}

fn refused(reason: UploadRefusal, detail: impl std::fmt::Display) -> Refused {
    Refused { reason, detail: detail.to_string() }
}

/// The center cannot take it now.
#[must_use]
pub fn unavailable() -> Refused {
    refused(UploadRefusal::Unavailable, "the center cannot take it now; send it again later")
}

impl Intake {
    /// Takes a device's envelopes; answers each, in order, when all that can be stored is durable.
    pub async fn take(&self, device: &Device, envelopes: Vec<Envelope>) -> Vec<Answered> {
        let mut items = self.check(device, envelopes).await;
        if let Err(error) = self.look_up_standing(&mut items).await {
            return self.give_up(items, &error);
        }
        items = self.open(items).await;
        if let Err(error) = self.flag_tampering(device, &items).await {
            return self.give_up(items, &error);
        }
        match self.history.ages().await {
            Ok(ages) => self.prepare(&mut items, &ages).await,
            Err(error) => return self.give_up(items, &error),
        }
        self.keep(&mut items).await;
        let at = self.admission.surroundings.now_ms();
        let answered = |item: Item| {
            let taken = match item.stage {
                Stage::Done(taken) => taken,
                Stage::Authentic(_) | Stage::Read(_) | Stage::Arrived(_) => Taken::Refused(unavailable()),
            };
            Answered { device: item.device, sequence: item.sequence, digest: item.digest, taken, at }
        };
        items.into_iter().map(answered).collect()
    }

    /// Flags whoever brings what was altered or is another device's, once for a device and day.
    async fn flag_tampering(&self, device: &Device, items: &[Item]) -> Result<(), StoreError> {
        use UploadRefusal::{BadSignature, DoesNotOpen, ForeignDevice};
        let altered = |item: &Item| matches!(&item.stage, Stage::Done(Taken::Refused(refused)) if matches!(refused.reason, BadSignature | DoesNotOpen | ForeignDevice));
        if items.iter().any(altered) { self.admission.flag_envelope(device).await } else { Ok(()) }
    }

    /// All that is not settled is to come again.
    fn give_up(&self, items: Vec<Item>, error: &(dyn std::error::Error + 'static)) -> Vec<Answered> {
        warn!(error, "captures could not be taken now");
        let at = self.admission.surroundings.now_ms();
        let answered = |item: Item| {
            let taken = if let Stage::Done(taken) = item.stage { taken } else { Taken::Refused(unavailable()) };
            Answered { device: item.device, sequence: item.sequence, digest: item.digest, taken, at }
        };
        items.into_iter().map(answered).collect()
    }

    async fn check(&self, device: &Device, envelopes: Vec<Envelope>) -> Vec<Item> {
        let device = device.clone();
        on_all_cores(envelopes, move |envelope| {
            let digest = digest(&envelope);
            let parsed = match Parsed::new(envelope) {
                Ok(parsed) => parsed,
                Err(error) => {
                    let stage = Stage::Done(Taken::Refused(not_admitted(&AdmissionError::Envelope(error))));
                    return Item { device: String::new(), sequence: 0, digest, stage };
                }
            };
            let header = parsed.header().clone();
            let stage = match authenticate(device.clone(), parsed) {
                Ok(new) => Stage::Authentic(Box::new(new)),
                Err(error) => Stage::Done(Taken::Refused(not_admitted(&error))),
            };
            Item { device: header.device, sequence: header.sequence, digest, stage }
        })
        .await
    }

    /// What was stored or answered before is not opened again.
    async fn look_up_standing(&self, items: &mut [Item]) -> Result<(), StoreError> {
        let keys = items.iter().filter_map(|item| if let Stage::Authentic(new) = &item.stage { Some(new.0.key.clone()) } else { None });
        let mut standing = self.center.store.standing(keys.collect()).await?.into_iter();
        for item in items {
            let Stage::Authentic(new) = &item.stage else { continue };
            let Some(standing) = standing.next().flatten() else { continue };
            let kept = if standing.digest == new.0.digest { Kept::Before } else { Kept::RequestTaken(standing) };
            item.stage = Stage::Done(self.said(&new.0, kept, "").await);
        }
        Ok(())
    }

    async fn open(&self, items: Vec<Item>) -> Vec<Item> {
        let (admission, reader) = (self.admission.clone(), Arc::clone(&self.reader));
        on_all_cores(items, move |item| {
            let Stage::Authentic(new) = item.stage else { return item };
            let (request, authentic) = *new;
            let read = admission.open(authentic).map_err(|error| not_admitted(&error)).and_then(|opened| reader(&opened));
            let stage = match read {
                Ok(capture) => Stage::Read(Box::new((request, capture))),
                Err(refused) => Stage::Done(Taken::Refused(refused)),
            };
            Item { stage, ..item }
        })
        .await
    }

    async fn prepare(&self, items: &mut [Item], ages: &Ages) {
        for item in items {
            let Stage::Read(read) = &item.stage else { continue };
            let (request, capture) = read.as_ref();
            item.stage = match self.arrival(request, capture, ages).await {
                Ok(arrival) => Stage::Arrived(Box::new((request.clone(), arrival))),
                Err(refused) => {
                    if refused.reason.is_final() {
                        self.admission.note_refused(request).await;
                    }
                    Stage::Done(Taken::Refused(refused))
                }
            };
        }
    }

    async fn arrival(&self, request: &Request, capture: &Capture, ages: &Ages) -> Result<Arrival, Refused> {
        let surroundings = self.admission.surroundings.as_ref();
        let now = surroundings.now_ms();
        self.freshness.check("capture.captured_at_ms", capture.corrected_at(), now).map_err(|error| match error {
            AgeError::Past { .. } => refused(UploadRefusal::TooOld, error),
            AgeError::Future { .. } => refused(UploadRefusal::OfTheFuture, error),
        })?;
        let doubts = doubts(capture, ages);
        let (policy, _) = ages.at(capture.corrected_at());
        check_attempt(policy, capture, request.key.attempt).map_err(|error| refused(UploadRefusal::TooManyAttempts, error))?;
        let mut facts = Facts::of(surroundings.new_record(), request, capture, self.center.lookup.row(&capture.identifier));
        let known = self.known(request, capture).await.map_err(|_| unavailable())?;
        let open = |(stored, key)| {
            let met = Met { identifier: &capture.identifier, key: &key, captured_at: capture.corrected_at() };
            Person::open(&self.center.vault, &stored, met)
        };
        let person = known.subject.map(open);
        if known.forgotten {
            facts.leave_number_out(surroundings);
        }
        let unwanted = policy.asks_consent(capture.scene) && capture.consent.is_empty();
        let of_holder = capture.proxy.is_none() && capture.chip.is_none();
        if !unwanted
            && of_holder
            && let Some(waiting) = waiting(request, capture, &facts, person.as_ref(), now)
        {
            return Ok(Arrival::Waiting(Box::new(waiting)));
        }
        let others = known.decisions.into_iter().filter(|(attempt, _)| *attempt != request.key.attempt);
        let earlier: Vec<Decision> = others.map(|(_, decision)| decision).collect();
        let against = Against { policy, person: person.as_ref(), earlier: &earlier, doubts: &doubts };
        let subject = person.as_ref().and_then(Person::subject);
        let proxied = ways::proxied(&self.center, capture, &facts, subject, policy).await.map_err(|_| unavailable())?;
        let verdict = judging::judge(&facts, Seen::of(capture, proxied.as_ref()), against);
        let (record, mut flags) = judging::record(facts, verdict, against, now, surroundings);
        let over = ways::override_flag(&self.center, policy, &record, &earlier, surroundings).await.map_err(|_| unavailable())?;
        flags.extend(over);
        let probe = judging::seal_probe(&capture.outcome, person.as_ref(), record.id).filter(|_| judging::keeps_probe(&record));
        let made_by = judging::made_by(&capture.outcome).filter(|_| probe.is_some());
        let recheck = made_by.clone().filter(|_| judging::is_rechecked(&self.recheck, &record));
        let proxy = proxied.and_then(|proxied| proxied.entry(&self.center.vault, capture, &record));
        Ok(Arrival::Decided(Box::new(NewVerification { record, probe, flags, recheck, made_by, receipt: None, proxy })))
    }

    async fn known(&self, request: &Request, capture: &Capture) -> Result<Known, StoreError> {
        let (lookup, identifier) = (&self.center.lookup, &capture.identifier);
        let rows = lookup.rows(identifier).into_iter().map(|(row, _)| row).collect();
        let tombstones = lookup.tombstones(identifier);
        self.center.store.circumstances(Circumstances { request: request.key.clone(), rows, tombstones }).await
    }

    /// Writes what arrived, in one commit.
    async fn keep(&self, items: &mut [Item]) {
        let arrivals = items.iter().filter_map(|item| if let Stage::Arrived(new) = &item.stage { Some(new.1.clone()) } else { None });
        let arrivals: Vec<Arrival> = arrivals.collect();
        if arrivals.is_empty() {
            return;
        }
        let kept = self.center.store.keep(arrivals).await;
        let mut kept = kept
            .inspect_err(|error| warn!(error = error as &dyn std::error::Error, "captures could not be stored"))
            .unwrap_or_default()
            .into_iter();
        for item in items {
            let Stage::Arrived(new) = &item.stage else { continue };
            let (request, arrival) = new.as_ref();
            let masked = match arrival {
                Arrival::Decided(new) => new.record.identifier_masked.as_str(),
                Arrival::Waiting(_) => "",
            };
            item.stage = Stage::Done(match kept.next() {
                Some(Ok(kept)) => self.said(request, kept, masked).await,
                Some(Err(_)) | None => Taken::Refused(unavailable()),
            });
        }
    }

    /// What the device is told; what somebody should look at is flagged first.
    async fn said(&self, request: &Request, kept: Kept, masked: &str) -> Taken {
        let now = self.admission.surroundings.now_ms();
        let (flag, reason, detail) = match kept {
            Kept::Now => return Taken::Stored,
            Kept::Before => return Taken::StoredBefore,
            Kept::RequestTaken(standing) => (
                flags::request_taken(request, standing.verification, &standing.identifier_masked, now),
                UploadRefusal::RequestReused,
                AdmissionError::RequestReused,
            ),
            Kept::SequenceTaken => {
                (flags::sequence_reused(request, masked, now), UploadRefusal::SequenceReused, AdmissionError::SequenceReused)
            }
        };
        match self.admission.raise(flag).await {
            Ok(()) => Taken::Refused(refused(reason, detail)),
            Err(_) => Taken::Refused(unavailable()),
        }
    }
}

/// What cannot be known about a capture.
fn doubts(capture: &Capture, ages: &Ages) -> Vec<Doubt> {
    let clock = (capture.clock_offset_ms == 0).then_some(Doubt::TimeUnknown);
    ages.at(capture.corrected_at()).1.into_iter().chain(clock).collect()
}

/// The capture as it waits, where there is a face and a person it may be compared with.
fn waiting(request: &Request, capture: &Capture, facts: &Facts, person: Option<&Person>, now: TimeMs) -> Option<NewDeferred> {
    let (subject, key) = person?.key()?;
    let (made_by, probe) = judging::made_by(&capture.outcome).zip(judging::seal_probe(&capture.outcome, person, facts.id))?;
    let device = &request.device;
    let sealed = SealedFacts { facts: facts.clone(), clock_known: capture.clock_offset_ms != 0 };
    Some(NewDeferred {
        subject,
        id: facts.id,
        request: request.key.clone(),
        digest: request.digest,
        device: device.id.clone(),
        sequence: request.sequence,
        certificate_then: (device.issued_at..device.certificate_expires_at).contains(&facts.captured_at),
        captured_at: facts.captured_at,
        received_at: now,
        made_by,
        facts: key.seal(&RecordContext::deferred_facts(subject, facts.id), &sealed.to_bytes()),
        probe,
    })
}

fn not_admitted(error: &AdmissionError) -> Refused {
    let reason = match error {
        AdmissionError::ForeignEnvelope => UploadRefusal::ForeignDevice,
        AdmissionError::Envelope(error) => match error {
            EnvelopeError::Malformed { .. } | EnvelopeError::NotAMessage(_) => UploadRefusal::NotInOrder,
            EnvelopeError::BadSignature => UploadRefusal::BadSignature,
            EnvelopeError::UnknownRecipient(_) => UploadRefusal::UnknownRecipient,
            EnvelopeError::DoesNotOpen | EnvelopeError::DigestDiffers => UploadRefusal::DoesNotOpen,
            EnvelopeError::NoRandomness | EnvelopeError::DoesNotSeal => UploadRefusal::Unavailable,
        },
        AdmissionError::RequestReused => UploadRefusal::RequestReused,
        AdmissionError::SequenceReused => UploadRefusal::SequenceReused,
        AdmissionError::NoCertificate
        | AdmissionError::UnknownDevice
        | AdmissionError::Revoked
        | AdmissionError::Role(_)
        | AdmissionError::NotARelay
        | AdmissionError::ForeignInstitution
        | AdmissionError::Named
        | AdmissionError::DeviceKey
        | AdmissionError::EnvelopeUsed
        | AdmissionError::Store(_) => UploadRefusal::Unavailable,
    };
    refused(reason, error)
}

/// Works on all of them, beside the threads that answer; an empty answer when the work broke off.
pub(in crate::app) async fn on_all_cores<T: Send + 'static, U: Send + 'static>(
    items: Vec<T>,
    work: impl Fn(T) -> U + Send + Sync + 'static,
) -> Vec<U> {
    let run = move || items.into_par_iter().map(work).collect();
    tokio::task::spawn_blocking(run).await.unwrap_or_default()
}
