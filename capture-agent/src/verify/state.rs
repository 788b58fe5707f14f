//! How line, lease and spool stand, for whoever looks after a counter.

use capture_core::Scene;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Verifier;
use crate::line::spool::SpoolError;

/// Envelopes that were put aside and are named.
const PUT_ASIDE_SHOWN: u32 = 20;

/// How line, lease and spool stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LineState {
    /// True while every line is known to be down: what is answered then is answered by the device.
    pub degraded: bool,
    /// Endpoints, the wanted one first.
    pub endpoints: Vec<EndpointShown>,
    /// The lease that is held.
    pub lease: Option<LeaseShown>,
    /// Envelopes that wait for the center.
    pub waiting: u32,
    /// When the oldest of them was made, as RFC 3339 in UTC.
    pub waiting_since: Option<String>,
    /// Envelopes that the center refused for good, newest first, at most 20.
    pub put_aside: Vec<PutShown>,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EndpointShown {
    /// Its name.
    pub name: String,
    /// Whether calls go over it.
    pub in_use: bool,
    /// Whether its last call was answered; nothing when none was made.
    pub answers: Option<bool>,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LeaseShown {
    /// Its name.
    pub serial: String,
    /// The scenes it is for.
    pub scenes: Vec<SceneShown>,
}

/// What a lease leaves in a scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SceneShown {
    /// The scene.
    pub scene: &'static str,
    /// Captures that it still allows.
    pub captures_left: u32,
    /// Until when, as RFC 3339 in UTC.
    pub until: String,
    /// Whether the device may answer by itself now: `allowed`, or why not.
    pub alone: &'static str,
}

/// An envelope that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PutShown {
    /// The institution's transaction.
    pub transaction: String,
    /// Which attempt within it.
    pub attempt: u32,
    /// Its number on this device.
    pub sequence: u64,
    /// Why the center refuses it.
    pub refusal: String,
    /// When, as RFC 3339 in UTC.
    pub refused_at: String,
}

impl Verifier {
    /// How line, lease and spool stand.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub async fn line_state(&self) -> Result<LineState, SpoolError> {
        let (waiting, since, put) =
            self.with_outbox(|spool| Ok((spool.waiting()?, spool.oldest_ms()?, spool.put_aside(PUT_ASIDE_SHOWN)?))).await?;
        let endpoints = self.client.endpoints().into_iter().map(|state| EndpointShown {
            name: state.name,
            in_use: state.in_use,
            answers: state.answers,
        });
        let put_aside = put.into_iter().map(|put| PutShown {
            transaction: put.transaction,
            attempt: put.attempt,
            sequence: put.sequence,
            refusal: put.refusal,
            refused_at: utc(put.refused_at_ms),
        });
        Ok(LineState {
            degraded: self.client.is_down(),
            endpoints: endpoints.collect(),
            lease: self.lease_shown().await?,
            waiting,
            waiting_since: since.map(utc),
            put_aside: put_aside.collect(),
        })
    }

    async fn lease_shown(&self) -> Result<Option<LeaseShown>, SpoolError> {
        let Some(lease) = self.lease() else { return Ok(None) };
        let mut scenes = Vec::new();
        for terms in &lease.terms.scenes {
            let (serial, scene): (String, Scene) = (lease.terms.serial.clone(), terms.scene);
            let used = self.with_outbox(move |spool| spool.used(&serial, scene.word())).await?;
            let alone = self.may_answer_alone(scene).await?;
            scenes.push(SceneShown {
                scene: scene.word(),
                captures_left: terms.captures_max.saturating_sub(used),
                until: utc(terms.until_ms),
                alone: alone.err().map_or("allowed", capture_core::degraded::Denied::word),
            });
        }
        Ok(Some(LeaseShown { serial: lease.terms.serial.clone(), scenes }))
    }
}

fn utc(time_ms: i64) -> String {
    Timestamp::from_millisecond(time_ms).unwrap_or_default().to_string()
}
