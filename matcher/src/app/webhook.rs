//! Telling the center's own systems of confirmed cases: signed, in the order of each case, at least once, until it is taken.
//!
//! What is told stands in the store, written with the step it tells of ([`Outbox`](crate::store::webhook::Outbox)): a process that dies
//! loses nothing, and several share the work by lease. A try that fails is made again after a time that doubles, with a random part, up to a
//! bound; after so many tries it is put aside and somebody is told, and what follows in its case waits for it. Not here: what is
//! told (`matcher_core::console::told`), how it is signed ([`signature`]) and sent ([`send`]).

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use tracing::{error, info, warn};

use crate::{
    store::{Store, StoreError, webhook::Failed, webhook::ToTell},
    surroundings::Surroundings,
};
use send::{Receiver, SendError};

pub mod send;
pub mod signature;

/// How often it is looked for something to tell.
const LOOK: Duration = Duration::from_secs(2);
/// What is taken at a time.
const AT_ONCE: u32 = 16;
/// Longest words of a failure that are kept, in characters.
const SAID_MAX: usize = 200;

/// How often and after what time it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries before it is put aside.
    pub tries_max: u32,
    /// Time before the second try; doubles with each further one.
    pub first: Duration,
    /// The longest time between two tries.
    pub longest: Duration,
}

impl Patience {
    /// The time after so many tries, a random part included; none when there is no further one.
    #[must_use]
    pub fn after(&self, tries: u32) -> Option<Duration> {
        if tries >= self.tries_max {
            return None;
        }
        let times = ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter()
            .build();
        let nth = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
        // The jitter comes on top of the bound.
        times.into_iter().nth(nth.min(64)).map(|time| time.min(self.longest.saturating_mul(2)))
    }
}

/// Tells what there is to tell.
#[derive(Clone)]
pub struct Teller {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Clock.
    pub surroundings: Arc<dyn Surroundings>,
    /// Who is told.
    pub receiver: Arc<Receiver>,
    /// How often it is tried.
    pub patience: Patience,
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Teller {
    /// Tells, until it is dropped.
    pub async fn run(self) {
        loop {
            match self.once().await {
                // There may be more at once: what follows in a case.
                Ok(told) if told > 0 => {}
                Ok(_) => tokio::time::sleep(LOOK).await,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "what is to be told could not be read or noted");
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Tells what is due; says how much was taken.
    ///
    /// # Errors
    /// When the store fails; what was sent and not noted is sent again, with the same id.
    pub async fn once(&self) -> Result<u64, StoreError> {
        // A try that hangs is over long before somebody else takes it up.
        let lease_ms = i64::try_from(self.receiver.timeout().as_millis()).unwrap_or(i64::MAX).saturating_mul(i64::from(AT_ONCE) + 1);
        let due = self.store.take_to_tell(self.surroundings.now_ms(), lease_ms, AT_ONCE).await?;
        let mut taken = 0;
        for event in due {
            taken += u64::from(self.tell(&event).await?);
        }
        Ok(taken)
    }

    async fn tell(&self, event: &ToTell) -> Result<bool, StoreError> {
        let sent = self.receiver.send(event.id, &event.body, self.surroundings.now_ms()).await;
        let at = self.surroundings.now_ms();
        match sent {
            Ok(()) => {
                info!(webhook.id = %event.id, webhook.kind = event.kind.word(), webhook.tries = event.tries, "told");
                self.store.told(event.id, event.tries, at).await
            }
            Err(failed) => {
                let due_at = self.patience.after(event.tries).filter(|_| !failed.for_good());
                let due_at = due_at.map(|wait| at.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
                if due_at.is_none() {
                    error!(webhook.id = %event.id, error = &failed as &dyn std::error::Error, "could not be told, and is put aside: `matcher webhook list`");
                } else {
                    warn!(webhook.id = %event.id, webhook.tries = event.tries, error = &failed as &dyn std::error::Error, "could not be told now");
                }
                self.store.not_told(event.id, event.tries, Failed { due_at, at, said: said(&failed) }).await?;
                Ok(false)
            }
        }
    }
}

/// A failure with its causes, in a few words.
fn said(failed: &SendError) -> String {
    let mut words = failed.to_string();
    let mut cause = std::error::Error::source(failed);
    while let Some(of) = cause {
        words = format!("{words}: {of}");
        cause = of.source();
    }
    words.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tries_end() {
        let patience = Patience { tries_max: 3, first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        assert!(patience.after(1).is_some() && patience.after(2).is_some());
        assert_eq!((patience.after(3), patience.after(4)), (None, None));
    }

    proptest! {
        #[test]
        fn times_double_and_stay_within_their_bounds(tries in 1_u32..2_000, first in 1_u64..60, longest in 60_u64..86_400) {
            let patience = Patience { tries_max: u32::MAX, first: Duration::from_secs(first), longest: Duration::from_secs(longest) };
            let wait = patience.after(tries).unwrap();
            let plain = first.saturating_mul(1_u64.checked_shl(tries - 1).unwrap_or(u64::MAX)).min(longest);
            prop_assert!(wait >= Duration::from_secs(plain) && wait <= Duration::from_secs(longest * 2), "{wait:?} {plain}");
        }
    }
}
