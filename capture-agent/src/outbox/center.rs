//! What the center last said about itself, kept over restarts, and the numbers it has seen.

use proto::{
    envelope::OpeningPublicKey,
    v1::{ReportHealthResponse, SignedPolicy},
};
use rusqlite::{OptionalExtension, params};

use super::{Outbox, OutboxError};

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

impl Outbox {
    /// What the center last said; nothing when it never did since the last [`forget_center`](Self::forget_center).
    ///
    /// # Errors
    /// When the disk fails.
    pub fn center(&self) -> Result<Option<CenterFacts>, OutboxError> {
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
    pub fn remember_center(&self, facts: &CenterFacts) -> Result<(), OutboxError> {
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
    pub fn forget_center(&self) -> Result<(), OutboxError> {
        self.lock().execute("DELETE FROM center", [])?;
        Ok(())
    }

    /// The policy the center signed last, as it came.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn policy(&self) -> Result<Option<SignedPolicy>, OutboxError> {
        let row = |row: &rusqlite::Row<'_>| Ok(SignedPolicy { policy: row.get(0)?, signature: row.get(1)?, key_id: row.get(2)? });
        Ok(self.lock().query_row("SELECT policy, signature, key_id FROM policy", [], row).optional()?)
    }

    /// Keeps a policy, in place of the one before.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remember_policy(&self, policy: &SignedPolicy) -> Result<(), OutboxError> {
        let values = params![policy.policy, policy.signature, policy.key_id];
        self.lock().execute("INSERT OR REPLACE INTO policy (one, policy, signature, key_id) VALUES (1, ?1, ?2, ?3)", values)?;
        Ok(())
    }

    /// Goes on from a number the center says it has not seen, when that is beyond ours: this state is older
    /// than the device's past. Numbers never go back.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn advance_to(&self, next_sequence: u64) -> Result<(), OutboxError> {
        let next = i64::try_from(next_sequence).unwrap_or(i64::MAX);
        self.lock().execute("UPDATE numbering SET next_sequence = max(next_sequence, ?1)", [next])?;
        Ok(())
    }
}
