//! Answering on one's own while the center does not: under a lease, with a provisional receipt.
//!
//! The capture is the very one that could not be sent; it waits in the spool and is forwarded. Whoever asks again gets the
//! same answer. Not here: what a lease allows (`capture_core::degraded`), forwarding ([`line`](crate::line)).

use std::sync::{Arc, PoisonError};

use capture_core::{
    Scene,
    degraded::{self, Denied, KnownTime, Standing},
};
use proto::{
    acknowledgement,
    envelope::Parsed,
    v1::{Envelope, FetchLeaseRequest},
};
use receipt_form::{
    jws,
    provisional::{self, ProvisionalForm},
};
use tracing::{info, warn};

use super::{Verifier, VerifyError};
use crate::{
    answer::{Disposition, VerifyAnswer},
    command::{By, VerifyCommand},
    lease::Lease,
    line::{
        client::CallError,
        spool::{Given, Kept, Provisional, SpoolError},
    },
};

const HOUR_MS: u64 = 3_600_000;

impl Verifier {
    /// The lease this device holds; nothing until the center gave one.
    #[must_use]
    pub fn lease(&self) -> Option<Arc<Lease>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this device may answer on its own in a scene now.
    ///
    /// # Errors
    /// Why not, where the spool can be read.
    pub async fn may_answer_alone(&self, scene: Scene) -> Result<Result<(), Denied>, SpoolError> {
        let (lease, now, waits_max_ms) = (self.lease(), self.known_time(), u64::from(self.tuned().waiting_hours) * HOUR_MS);
        self.with_outbox(move |spool| {
            let Some(lease) = lease else { return Ok(Err(Denied::NoLease)) };
            let now_ms = spool.latest()?.map_or(Ok(now.date_ms), |before| before.then(&now));
            let made = spool.oldest_ms()?;
            let oldest_waits_ms = made.map_or(0, |made| u64::try_from(now.date_ms.saturating_sub(made)).unwrap_or_default());
            let used = spool.used(&lease.terms.serial, scene.word())?;
            let standing = Standing { used, now_ms, oldest_waits_ms, waits_max_ms };
            Ok(degraded::may_answer(Some(&lease.terms), scene, standing))
        })
        .await
    }

    /// How many captures wait that this device answered by itself.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub async fn waiting_alone(&self) -> Result<u32, SpoolError> {
        self.with_outbox(|spool| spool.waiting_alone()).await
    }

    /// The answer that was given on one's own to an earlier request.
    pub(super) async fn provided(&self, command: &VerifyCommand) -> Result<Option<Provisional>, VerifyError> {
        let entry = self.entry(command);
        self.with_outbox(move |spool| spool.provided(&entry)).await.map_err(VerifyError::Outbox)
    }

    /// Refuses before anybody is captured when every line is known to be down and the lease allows nothing any more.
    pub(super) async fn check_line(&self, scene: Scene) -> Result<(), VerifyError> {
        if !self.client.is_down() {
            return Ok(());
        }
        match self.may_answer_alone(scene).await.map_err(VerifyError::Outbox)? {
            // A device that never had a lease keeps what it captures until somebody asks again.
            Ok(()) | Err(Denied::NoLease) => Ok(()),
            Err(denied) => Err(VerifyError::Alone(denied)),
        }
    }

    /// Answers for a center that did not, in the attempt that is under way.
    pub(super) async fn answer_alone(&self, command: &VerifyCommand, kept: Kept, error: CallError) -> Result<Provisional, VerifyError> {
        let Some(lease) = self.lease() else { return Err(VerifyError::Call(error)) };
        match self.may_answer_alone(command.scene).await.map_err(VerifyError::Outbox)? {
            Ok(()) => {}
            Err(Denied::NoLease) => return Err(VerifyError::Call(error)),
            Err(denied) => return Err(refused(command, denied)),
        }
        let Some(terms) = lease.terms.scene(command.scene).cloned() else { return Err(VerifyError::Call(error)) };
        let time = self.known_time();
        let receipt = self.provisional_form(command, &lease, &kept, time.date_ms);
        let Some((form, disposition)) = receipt else { return Err(VerifyError::Internal("the envelope's header")) };
        let (key, certificate) =
            (self.identity.key.signing().clone(), self.certificate_der.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let now_ms = self.clock.date_ms();
        let (serial, number) = (lease.terms.serial.clone(), form.jti.clone());
        let provided = self
            .with_outbox(move |spool| {
                // A later time than any before, so that a clock that is set back afterwards is noticed.
                match spool.latest()?.map_or(Ok(time.date_ms), |before| before.then(&time)) {
                    Ok(date_ms) => spool.remember_latest(&KnownTime { date_ms, ..time })?,
                    Err(_) => return Ok(Err(Denied::ClockSetBack)),
                }
                spool.provide(kept.sequence, &serial, terms.scene.word(), now_ms, |used| {
                    if used >= terms.captures_max {
                        return Err(Denied::UsedUp);
                    }
                    let receipt = provisional::sign(&form, &key, &certificate);
                    Ok(Given { disposition: disposition.word().to_owned(), receipt, receipt_number: number })
                })
            })
            .await
            .map_err(VerifyError::Outbox)?;
        match provided {
            Ok(provisional) => {
                warn!(lease.serial = provisional.lease_serial, disposition = provisional.given.disposition, "answered without the center");
                Ok(provisional)
            }
            Err(denied) => Err(refused(command, denied)),
        }
    }

    fn provisional_form(
        &self,
        command: &VerifyCommand,
        lease: &Lease,
        kept: &Kept,
        date_ms: i64,
    ) -> Option<(ProvisionalForm, Disposition)> {
        let policy = self.policy();
        let told = match &command.by {
            // What the operator says by name counts with or without a line.
            By::Document { same_person: false, .. } => Disposition::Hold,
            By::Document { same_person: true, .. } | By::Face | By::Chip { .. } | By::OtherWay => {
                policy.as_ref().and_then(|policy| policy.center_unreachable(command.scene)).unwrap_or(Disposition::OtherWay)
            }
        };
        let capture = plaintext_digest(&kept.envelope)?;
        let (registration, issued_at) = (&self.identity.registration, date_ms.div_euclid(1000));
        let form = ProvisionalForm {
            iss: registration.device.clone(),
            aud: lease.audience.clone(),
            jti: provisional::number(&acknowledgement::digest(&kept.envelope)).to_string(),
            iat: issued_at,
            exp: issued_at + provisional::VALID_SECONDS_MAX,
            institution: registration.institution.clone(),
            transaction: command.transaction.to_string(),
            attempt: command.attempt.get(),
            scene: command.scene.word().to_owned(),
            disposition: told.word().to_owned(),
            policy: policy.map_or_else(|| lease.terms.policy_version.clone(), |policy| policy.version.clone()),
            lease: lease.terms.serial.clone(),
            capture: jws::encode(&capture),
            sequence: kept.sequence,
        };
        Some((form, told))
    }

    /// What the till is told.
    pub(super) fn provisional_answer(&self, command: &VerifyCommand, given: Provisional, elapsed_ms: u64) -> VerifyAnswer {
        let policy = self.policy().map(|policy| policy.version.clone()).unwrap_or_default();
        VerifyAnswer::alone(command, given, policy, elapsed_ms)
    }

    /// Asks for another lease where the present one is worn; the one there is stays where that fails.
    pub(super) async fn refresh_lease(&self, policy_version: &str) {
        let Some(key) = self.identity.registration.policy_key else { return };
        let held = self.lease();
        let now = self.known_time();
        if let Some(lease) = &held {
            let serial = lease.terms.serial.clone();
            let used = self.with_outbox(move |spool| spool.used_at_all(&serial)).await.unwrap_or(1);
            if !lease.terms.is_worn(now.date_ms, used, policy_version) {
                return;
            }
        }
        let request = FetchLeaseRequest { serial: held.map(|lease| lease.terms.serial.clone()).unwrap_or_default() };
        let signed = match self.client.fetch_lease(request).await {
            Ok(answer) => answer.lease,
            // An older center has none to give.
            Err(error) => return info!(error = &error as &dyn std::error::Error, "no lease could be fetched"),
        };
        // The policy allows nothing any more: neither does an earlier lease.
        let Some(signed) = signed else {
            *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let _ = self.with_outbox(|spool| spool.forget_lease()).await;
            return;
        };
        match Lease::read(&signed, &key, self.device()) {
            Ok(lease) => {
                if let Err(error) = self.with_outbox(move |spool| spool.remember_lease(&signed)).await {
                    return warn!(error = &error as &dyn std::error::Error, "the lease could not be kept");
                }
                info!(lease.serial = lease.terms.serial, "another lease is held");
                *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(lease));
            }
            Err(error) => warn!(error = &error as &dyn std::error::Error, "the center's lease is not in order"),
        }
    }

    /// The time, by the center's clock as far as it was measured.
    pub(super) fn known_time(&self) -> KnownTime {
        let offset = self.center().map_or(0, |facts| facts.clock_offset_ms);
        let (boot, uptime_ms) = self.clock.boot();
        KnownTime { date_ms: self.clock.date_ms().saturating_add(offset), boot, uptime_ms }
    }

    /// The center has just said what time it is: that counts, whatever was believed before.
    pub(super) async fn set_time(&self) {
        let time = self.known_time();
        if let Err(error) = self.with_outbox(move |spool| spool.remember_latest(&time)).await {
            warn!(error = &error as &dyn std::error::Error, "the time could not be kept");
        }
    }

    /// Notes how late it is, unless the clock was set back.
    pub(super) async fn note_time(&self) {
        let now = self.known_time();
        let noted = self.with_outbox(move |spool| match spool.latest()?.map_or(Ok(now.date_ms), |before| before.then(&now)) {
            Ok(date_ms) => spool.remember_latest(&KnownTime { date_ms, ..now }).map(|()| true),
            Err(_) => Ok(false),
        });
        match noted.await {
            Ok(true) => {}
            Ok(false) => warn!("this machine's clock was set back; nothing is answered without the center until it answers"),
            Err(error) => warn!(error = &error as &dyn std::error::Error, "the time could not be kept"),
        }
    }
}

/// SHA-256 of what was sealed, as the header of an envelope has it.
fn plaintext_digest(envelope: &Envelope) -> Option<[u8; 32]> {
    let parsed = Parsed::new(envelope.clone()).ok()?;
    parsed.header().plaintext_sha256.as_slice().try_into().ok()
}

/// Whoever took another way is not sent round in a circle: it is recorded, and that is said.
fn refused(command: &VerifyCommand, denied: Denied) -> VerifyError {
    if command.by.without_camera().is_some() { VerifyError::Recorded(denied) } else { VerifyError::Alone(denied) }
}
