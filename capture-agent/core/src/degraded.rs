//! Degraded mode: what a device may answer on its own while the line is down, and what time it is then.
//!
//! Only under a lease of the center, within its captures and its time. A clock is believed as long as it goes forward:
//! the device knows the latest time it ever saw, and how long the system has run since. Not here: leases as they travel,
//! receipts, files.

use crate::Scene;

/// A clock may be corrected backwards by so much, in milliseconds, before it counts as set back.
pub const SET_BACK_MIN_MS: i64 = 5_000;

/// A time, by the center's clock as far as it is known, and how long the system had run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTime {
    /// Milliseconds since 1970-01-01 UTC.
    pub date_ms: i64,
    /// Names this run of the system; empty where it cannot be told.
    pub boot: String,
    /// How long the system has run, in milliseconds.
    pub uptime_ms: u64,
}

impl KnownTime {
    /// The time at which `now` is believed to be after this one, which was known before: at least as late as the time
    /// that has passed in between, where that is known.
    ///
    /// # Errors
    /// By how many milliseconds the clock went back.
    pub fn then(&self, now: &Self) -> Result<i64, u64> {
        let same_run = !self.boot.is_empty() && self.boot == now.boot;
        let passed = if same_run { i64::try_from(now.uptime_ms.saturating_sub(self.uptime_ms)).unwrap_or(i64::MAX) } else { 0 };
        let at_least = self.date_ms.saturating_add(passed);
        if now.date_ms < at_least.saturating_sub(SET_BACK_MIN_MS) {
            return Err(at_least.saturating_sub(now.date_ms).unsigned_abs());
        }
        Ok(now.date_ms.max(at_least))
    }
}

/// What a lease allows in one scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SceneTerms {
    /// The scene.
    pub scene: Scene,
    /// So many captures.
    pub captures_max: u32,
    /// Until then, by the center's clock: milliseconds since 1970-01-01 UTC.
    pub until_ms: i64,
}

/// A lease, as far as it binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseTerms {
    /// Its name.
    pub serial: String,
    /// The policy it was issued under.
    pub policy_version: String,
    /// When it was issued, by the center's clock.
    pub issued_at_ms: i64,
    /// What it allows, scene by scene.
    pub scenes: Vec<SceneTerms>,
}

impl LeaseTerms {
    /// What it allows in a scene.
    #[must_use]
    pub fn scene(&self, scene: Scene) -> Option<&SceneTerms> {
        self.scenes.iter().find(|terms| terms.scene == scene)
    }

    /// Whether another one should be asked for: half of its shortest time is over, some of it is used, or another policy
    /// is in force.
    #[must_use]
    pub fn is_worn(&self, now_ms: i64, used: u32, policy_version: &str) -> bool {
        let shortest = self.scenes.iter().map(|terms| terms.until_ms).min().unwrap_or(self.issued_at_ms);
        used > 0 || now_ms >= self.issued_at_ms.midpoint(shortest) || self.policy_version != policy_version
    }
}

/// Why a device may not answer on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It has no lease, or none for the scene.
    NoLease,
    /// The lease's captures are used up.
    UsedUp,
    /// The lease's time is over.
    Expired,
    /// The clock was set back: nobody knows what time it is.
    ClockSetBack,
    /// Captures have waited in the spool for too long.
    WaitsTooLong,
}

impl Denied {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::NoLease, Self::UsedUp, Self::Expired, Self::ClockSetBack, Self::WaitsTooLong];

    /// The stable word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoLease => "lease_missing",
            Self::UsedUp => "lease_used_up",
            Self::Expired => "lease_expired",
            Self::ClockSetBack => "clock_set_back",
            Self::WaitsTooLong => "spool_too_old",
        }
    }
}

/// How things stand when a device is to answer on its own.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Captures of the scene that were answered under the lease.
    pub used: u32,
    /// The time now, by the center's clock, or by how much the clock went back.
    pub now_ms: Result<i64, u64>,
    /// How long the oldest capture has waited in the spool, in milliseconds.
    pub oldest_waits_ms: u64,
    /// How long one may, in milliseconds.
    pub waits_max_ms: u64,
}

/// Whether a device may answer on its own in a scene.
///
/// # Errors
/// Why not.
pub fn may_answer(lease: Option<&LeaseTerms>, scene: Scene, standing: Standing) -> Result<(), Denied> {
    let terms = lease.and_then(|lease| lease.scene(scene)).filter(|terms| terms.captures_max > 0).ok_or(Denied::NoLease)?;
    let now_ms = standing.now_ms.map_err(|_| Denied::ClockSetBack)?;
    if now_ms >= terms.until_ms {
        return Err(Denied::Expired);
    }
    if standing.used >= terms.captures_max {
        return Err(Denied::UsedUp);
    }
    if standing.oldest_waits_ms > standing.waits_max_ms {
        return Err(Denied::WaitsTooLong);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(date_ms: i64, boot: &str, uptime_ms: u64) -> KnownTime {
        KnownTime { date_ms, boot: boot.to_owned(), uptime_ms }
    }

    #[track_caller]
    fn check_time(before: &KnownTime, now: &KnownTime, expected: Result<i64, u64>) {
        assert_eq!(before.then(now), expected);
    }

    #[test]
    fn a_clock_is_believed_as_long_as_it_goes_forward() {
        let before = known(100_000, "a", 1_000);
        check_time(&before, &known(130_000, "a", 31_000), Ok(130_000));
        check_time(&before, &known(96_000, "b", 0), Ok(100_000));
        check_time(&before, &known(94_999, "b", 0), Err(5_001));
        check_time(&before, &known(100_000, "a", 11_000), Err(10_000));
        check_time(&before, &known(107_000, "a", 11_000), Ok(110_000));
        check_time(&known(100_000, "", 1_000), &known(100_000, "", 11_000), Ok(100_000));
    }

    fn lease() -> LeaseTerms {
        let terms = |scene, captures_max, until_ms| SceneTerms { scene, captures_max, until_ms };
        let scenes = vec![terms(Scene::Settlement, 2, 1_000), terms(Scene::Reception, 0, 1_000)];
        LeaseTerms { serial: "L1".into(), policy_version: "p1".into(), issued_at_ms: 0, scenes }
    }

    const STANDING: Standing = Standing { used: 0, now_ms: Ok(0), oldest_waits_ms: 0, waits_max_ms: 10 };

    #[track_caller]
    fn check(lease: Option<&LeaseTerms>, scene: Scene, standing: Standing, expected: Result<(), Denied>) {
        assert_eq!(may_answer(lease, scene, standing), expected, "{standing:?}");
    }

    #[test]
    fn a_device_answers_on_its_own_within_its_lease_alone() {
        let lease = lease();
        let some = Some(&lease);
        check(some, Scene::Settlement, STANDING, Ok(()));
        check(None, Scene::Settlement, STANDING, Err(Denied::NoLease));
        check(some, Scene::Transfer, STANDING, Err(Denied::NoLease));
        check(some, Scene::Reception, STANDING, Err(Denied::NoLease));
        check(some, Scene::Settlement, Standing { used: 1, now_ms: Ok(999), ..STANDING }, Ok(()));
        check(some, Scene::Settlement, Standing { used: 2, ..STANDING }, Err(Denied::UsedUp));
        check(some, Scene::Settlement, Standing { now_ms: Ok(1_000), ..STANDING }, Err(Denied::Expired));
        check(some, Scene::Settlement, Standing { now_ms: Err(1), ..STANDING }, Err(Denied::ClockSetBack));
        check(some, Scene::Settlement, Standing { oldest_waits_ms: 11, ..STANDING }, Err(Denied::WaitsTooLong));
    }

    #[test]
    fn a_lease_is_asked_for_anew_in_time() {
        let lease = LeaseTerms { scenes: vec![lease().scenes[0].clone()], ..lease() };
        assert!(!lease.is_worn(499, 0, "p1"));
        assert!(lease.is_worn(500, 0, "p1") && lease.is_worn(0, 1, "p1") && lease.is_worn(0, 0, "p2"));
    }

    proptest! {
        #[test]
        fn time_never_goes_back(before in 0_i64..1_000_000, now in 0_i64..1_000_000, uptimes: (u32, u32), same: bool) {
            let boot = if same { "a" } else { "b" };
            let before = known(before, "a", uptimes.0.into());
            if let Ok(time) = before.then(&known(now, boot, uptimes.1.into())) {
                prop_assert!(time >= before.date_ms && time >= now);
            }
        }
    }
}
