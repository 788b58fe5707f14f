//! Looks for signs of tampering that no single capture shows: missing numbers, silence, one shop offline.
//!
//! A sign is flagged once for a device and episode, whoever looks and however often. Not here: the rules
//! (`matcher_core::tampering`), and what captures show as they come (`leases`).

use std::{collections::HashMap, sync::Arc, time::Duration};

use matcher_core::tampering::{self, Heard, Tail, TamperingReason, TamperingRule};
use tracing::{info, warn};

use super::{
    admission::raise,
    flags::{self, Sign},
};
use crate::{
    store::{Store, StoreError, TimeMs, leases::HeardDevice},
    surroundings::Surroundings,
};

/// Numbers of a device looked at in one turn.
const NUMBERS_MAX: u32 = 5_000;

/// Looks for signs of tampering.
#[derive(Clone)]
pub struct Watch {
    /// What is known.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub surroundings: Arc<dyn Surroundings>,
    /// How patient it is.
    pub rule: TamperingRule,
    /// Characters at the start of an institution's name that its neighbours share.
    pub neighbours_share: usize,
    /// Time from one look to the next.
    pub every: Duration,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("rule", &self.rule).field("every", &self.every).finish_non_exhaustive()
    }
}

impl Watch {
    /// Looks until it is dropped.
    pub async fn run(self) {
        loop {
            tokio::time::sleep(self.every).await;
            match self.look().await {
                Ok(0) => {}
                Ok(signs) => info!(signs, "signs of tampering flagged or flagged before"),
                Err(error) => warn!(error = &error as &dyn std::error::Error, "signs of tampering could not be looked for"),
            }
        }
    }

    /// Looks once; says how many signs there are.
    ///
    /// # Errors
    /// When the store fails; what was flagged until then stays.
    pub async fn look(&self) -> Result<usize, StoreError> {
        let now = self.surroundings.now_ms();
        let devices = self.store.heard_devices().await?;
        let settled: HashMap<String, TimeMs> =
            self.store.settled_since(now.saturating_sub(self.rule.closed_ms)).await?.into_iter().collect();
        let mut signs = 0;
        for device in &devices {
            signs += self.gap(device, now).await?;
        }
        signs += flag_silence(self.store.as_ref(), &devices, &settled, now, &self.rule).await?;
        let institutions = self.institutions(&devices);
        for alone in tampering::offline_alone(&institutions, now, &self.rule) {
            self.flag(TamperingReason::OfflineAlone, &alone.institution, "", &alone.at.to_be_bytes(), now).await?;
            signs += 1;
        }
        Ok(signs)
    }

    async fn gap(&self, device: &HeardDevice, now: TimeMs) -> Result<usize, StoreError> {
        // What came before the first look is taken as it is.
        let Some(before) = device.tail else {
            let complete_up_to = self.store.last_sequence(&device.device).await?;
            self.store.put_tail(&device.device, Tail { complete_up_to, gap_since: None }).await?;
            return Ok(0);
        };
        let numbers = self.store.numbers_beyond(&device.device, before.complete_up_to, NUMBERS_MAX).await?;
        let mut tail = before.advanced(&numbers, now);
        let reason = tampering::of_gap(tail, device.nothing_waited_at, now, &self.rule);
        if let Some(reason) = reason {
            self.flag(reason, &device.institution, &device.device, &tail.complete_up_to.to_be_bytes(), now).await?;
            tail = tail.beyond(&numbers);
        }
        if tail != before {
            self.store.put_tail(&device.device, tail).await?;
        }
        Ok(usize::from(reason.is_some()))
    }

    fn institutions(&self, devices: &[HeardDevice]) -> Vec<Heard> {
        let mut latest: HashMap<&str, TimeMs> = HashMap::new();
        for device in devices {
            let at = latest.entry(device.institution.as_str()).or_insert(device.heard_at);
            *at = device.heard_at.max(*at);
        }
        let heard = |(institution, at): (&str, TimeMs)| Heard {
            institution: institution.to_owned(),
            group: institution.chars().take(self.neighbours_share).collect(),
            at,
        };
        latest.into_iter().map(heard).collect()
    }

    async fn flag(&self, reason: TamperingReason, institution: &str, device: &str, episode: &[u8], now: TimeMs) -> Result<(), StoreError> {
        let sign = Sign { reason, institution, device, transaction: "", episode };
        raise(self.store.as_ref(), flags::tampering(&sign, now)).await
    }
}

/// Flags devices that are silent while their institutions settle, given when each last did; says how many.
///
/// # Errors
/// When the store fails.
pub async fn flag_silence(
    store: &dyn Store,
    devices: &[HeardDevice],
    settled: &HashMap<String, TimeMs>,
    now: TimeMs,
    rule: &TamperingRule,
) -> Result<usize, StoreError> {
    let mut signs = 0;
    for device in devices {
        let settled_at = settled.get(&device.institution).copied();
        let Some(reason) = tampering::of_silence(device.heard_at, settled_at, now, rule) else { continue };
        let (institution, episode) = (device.institution.as_str(), device.heard_at.to_be_bytes());
        let sign = Sign { reason, institution, device: &device.device, transaction: "", episode: &episode };
        raise(store, flags::tampering(&sign, now)).await?;
        signs += 1;
    }
    Ok(signs)
}
