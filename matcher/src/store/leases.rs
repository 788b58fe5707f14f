//! What devices may answer without the center, what they answered, and when they were heard.
//!
//! Not here: what any of it is a sign of (`matcher_core::tampering`).

use async_trait::async_trait;
use matcher_core::{
    Decision, Scene,
    tampering::{LeaseTerms, Tail},
};

use super::{RecordId, RequestKey, StoreError, TimeMs};

/// A lease that is issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLease {
    /// Its name.
    pub serial: String,
    /// What it allows, and to whom.
    pub terms: LeaseTerms,
    /// The policy it is issued under.
    pub policy_version: String,
}

/// A provisional receipt, as it came with its capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisional {
    /// Its number.
    pub number: String,
    /// What it is the receipt of.
    pub request: RequestKey,
    /// The device that gave it.
    pub device: String,
    /// The number of the capture on that device.
    pub sequence: u64,
    /// The lease it names.
    pub lease_serial: String,
    /// The scene.
    pub scene: Scene,
    /// When the device says it gave it.
    pub answered_at: TimeMs,
    /// When it came.
    pub received_at: TimeMs,
    /// Its signed form.
    pub compact: String,
}

/// What the center knows beside a provisional receipt that has just come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// The lease it names.
    pub lease: Option<LeaseTerms>,
    /// Receipts under that lease in that scene, this one included.
    pub answers: u32,
    /// The latest one of the device with a lower number.
    pub latest_before: Option<TimeMs>,
    /// When the device last said that nothing waits, and its highest number then.
    pub nothing_waited: Option<(TimeMs, u64)>,
}

/// What became of the capture behind a provisional receipt.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The verification that answers it, or will.
    pub verification: RecordId,
    /// What was decided; nothing while it waits.
    pub decision: Option<Decision>,
    /// Its card, masked; empty while it waits.
    pub identifier_masked: String,
}

/// When a device was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardDevice {
    /// The device.
    pub device: String,
    /// Its institution.
    pub institution: String,
    /// When it was last heard.
    pub heard_at: TimeMs,
    /// When it last said that nothing waits.
    pub nothing_waited_at: Option<TimeMs>,
    /// How far its numbers are complete; nothing before they were first looked at.
    pub tail: Option<Tail>,
}

/// Leases, and what came of them.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Keeps a lease that is about to be sent.
    async fn put_lease(&self, new: NewLease) -> Result<(), StoreError>;
    /// Keeps a provisional receipt, once, and says what is known beside it; durable on return. Nothing for one that was
    /// kept before.
    async fn put_provisional(&self, new: Provisional) -> Result<Option<Beside>, StoreError>;
    /// The provisional receipt of a number.
    async fn provisional(&self, number: &str) -> Result<Option<Provisional>, StoreError>;
    /// What became of a capture.
    async fn resolved(&self, request: &RequestKey) -> Result<Option<Resolved>, StoreError>;
    /// Notes that a device was heard; where it said that nothing waits, with its highest number.
    async fn heard(&self, device: &str, at: TimeMs, nothing_waits: Option<u64>) -> Result<(), StoreError>;
    /// When a device was last heard, and when it last said that nothing waits.
    async fn last_heard(&self, device: &str) -> Result<Option<(TimeMs, Option<TimeMs>)>, StoreError>;
    /// When the devices in force were heard.
    async fn heard_devices(&self) -> Result<Vec<HeardDevice>, StoreError>;
    /// A device's numbers beyond one, in order, at most so many.
    async fn numbers_beyond(&self, device: &str, beyond: u64, limit: u32) -> Result<Vec<u64>, StoreError>;
    /// Keeps how far a device's numbers are complete.
    async fn put_tail(&self, device: &str, tail: Tail) -> Result<(), StoreError>;
    /// When each institution last settled, by confirmed receipts, since a time.
    async fn settled_since(&self, since: TimeMs) -> Result<Vec<(String, TimeMs)>, StoreError>;
}
