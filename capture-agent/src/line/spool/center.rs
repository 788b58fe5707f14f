//! What the center last said about itself, kept over restarts, and the numbers it has seen.

use capture_core::degraded::KnownTime;
use proto::{
    envelope::OpeningPublicKey,
    v1::{ReportHealthResponse, SignedLease, SignedPolicy},
};
use rusqlite::{OptionalExtension, params};

use super::{Spool, SpoolError};

/// What the device must know of the center to work; from its last health report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CenterFacts {
    /// The key envelopes are sealed to.
    pub opening_key: OpeningPublicKey,
    /// The center's clock minus the device's, in milliseconds.
    pub clock_offset_ms: i64,
    /// The feature model it compares with.
    pub feature_model: String,
    /// The recipe it compares with.
    pub recipe: String,
    /// The policy in force.
    pub policy_version: String,
}

impl CenterFacts {
    /// Takes the center's answer to a health report that was sent and answered at these moments of the
    /// device's clock; the center's clock is taken to have been read half way.
    ///
    /// # Errors
    /// When the opening key is none.
    pub fn from_answer(
        answer: &ReportHealthResponse,
        sent_at_ms: i64,
        answered_at_ms: i64,
    ) -> Result<Self, proto::envelope::EnvelopeError> {
        Ok(Self {
            opening_key: OpeningPublicKey::from_bytes(&answer.opening_key)?,
            clock_offset_ms: answer.center_clock_ms.saturating_sub(sent_at_ms.midpoint(answered_at_ms)),
            feature_model: answer.feature_model.clone(),
            recipe: answer.recipe.clone(),
            policy_version: answer.policy_version.clone(),
        })
    }
}

impl Spool {
    /// What the center last said; nothing when it never did since the last [`forget_center`](Self::forget_center).
    ///
    /// # Errors
    /// When the disk fails.
    pub fn center(&self) -> Result<Option<CenterFacts>, SpoolError> {
        let row = self
            .lock()
            .query_row("SELECT opening_key, clock_offset_ms, feature_model, recipe, policy_version FROM center", [], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .optional()?;
        Ok(row.and_then(|(key, clock_offset_ms, feature_model, recipe, policy_version)| {
            let opening_key = OpeningPublicKey::from_bytes(&key).ok()?;
            Some(CenterFacts { opening_key, clock_offset_ms, feature_model, recipe, policy_version })
        }))
    }

    /// Keeps what the center said.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remember_center(&self, facts: &CenterFacts) -> Result<(), SpoolError> {
        self.lock().execute(
            "INSERT OR REPLACE INTO center (one, opening_key, clock_offset_ms, feature_model, recipe, policy_version) VALUES (1, ?1, ?2, ?3, ?4, ?5)",
            params![facts.opening_key.as_bytes(), facts.clock_offset_ms, facts.feature_model, facts.recipe, facts.policy_version],
        )?;
        Ok(())
    }

    /// Forgets what the center said: a new bundle was installed and counts.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn forget_center(&self) -> Result<(), SpoolError> {
        self.lock().execute("DELETE FROM center", [])?;
        Ok(())
    }

    /// The policy the center signed last, as it came.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn policy(&self) -> Result<Option<SignedPolicy>, SpoolError> {
        let row = |row: &rusqlite::Row<'_>| Ok(SignedPolicy { policy: row.get(0)?, signature: row.get(1)?, key_id: row.get(2)? });
        Ok(self.lock().query_row("SELECT policy, signature, key_id FROM policy", [], row).optional()?)
    }

    /// Keeps a policy, in place of the one before.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remember_policy(&self, policy: &SignedPolicy) -> Result<(), SpoolError> {
        let values = params![policy.policy, policy.signature, policy.key_id];
        self.lock().execute("INSERT OR REPLACE INTO policy (one, policy, signature, key_id) VALUES (1, ?1, ?2, ?3)", values)?;
        Ok(())
    }

    /// Goes on from a number the center says it has not seen, when that is beyond ours: this state is older
    /// than the device's past. Numbers never go back.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn advance_to(&self, next_sequence: u64) -> Result<(), SpoolError> {
        let next = i64::try_from(next_sequence).unwrap_or(i64::MAX);
        self.lock().execute("UPDATE numbering SET next_sequence = max(next_sequence, ?1)", [next])?;
        Ok(())
    }

    /// The lease the center signed last, as it came.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn lease(&self) -> Result<Option<SignedLease>, SpoolError> {
        let row = |row: &rusqlite::Row<'_>| Ok(SignedLease { lease: row.get(0)?, signature: row.get(1)?, key_id: row.get(2)? });
        Ok(self.lock().query_row("SELECT lease, signature, key_id FROM lease", [], row).optional()?)
    }

    /// Keeps a lease, in place of the one before.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remember_lease(&self, lease: &SignedLease) -> Result<(), SpoolError> {
        let values = params![lease.lease, lease.signature, lease.key_id];
        self.lock().execute("INSERT OR REPLACE INTO lease (one, lease, signature, key_id) VALUES (1, ?1, ?2, ?3)", values)?;
        Ok(())
    }

    /// Forgets the lease: the center gives none any more.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn forget_lease(&self) -> Result<(), SpoolError> {
        self.lock().execute("DELETE FROM lease", [])?;
        Ok(())
    }

    /// The latest time this device knows of; nothing when it never did.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn latest(&self) -> Result<Option<KnownTime>, SpoolError> {
        let row = |row: &rusqlite::Row<'_>| {
            let uptime_ms = row.get::<_, i64>(2)?.cast_unsigned();
            Ok(KnownTime { date_ms: row.get(0)?, boot: row.get(1)?, uptime_ms })
        };
        Ok(self.lock().query_row("SELECT date_ms, boot, uptime_ms FROM latest", [], row).optional()?)
    }

    /// Keeps the latest time, in place of the one before.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remember_latest(&self, time: &KnownTime) -> Result<(), SpoolError> {
        let values = params![time.date_ms, time.boot, time.uptime_ms.cast_signed()];
        self.lock().execute("INSERT OR REPLACE INTO latest (one, date_ms, boot, uptime_ms) VALUES (1, ?1, ?2, ?3)", values)?;
        Ok(())
    }
}
