//! How often one address may try to sign in.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use matcher_core::overload::{Bucket, Rate};

/// Addresses that are remembered, at most; those that have rested are forgotten first.
const ADDRESSES_MAX: usize = 10_000;

/// Counts tries by address, in this process.
#[derive(Debug)]
pub struct Guard {
    rate: Rate,
    began: Instant,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl Guard {
    /// Lets an address try so often in a minute.
    #[must_use]
    pub fn new(a_minute: u32) -> Self {
        let rate = Rate { per_second: f64::from(a_minute) / 60.0, burst: a_minute };
        Self { rate, began: Instant::now(), buckets: Mutex::default() }
    }

    /// Takes a try; how long to wait where there is none left.
    ///
    /// # Errors
    /// The time until there is one.
    pub fn take(&self, address: IpAddr) -> Result<(), Duration> {
        let now = self.began.elapsed();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| !bucket.is_full(self.rate, now));
            if buckets.len() >= ADDRESSES_MAX {
                return Err(Duration::from_secs(60));
            }
        }
        buckets.entry(network(address)).or_insert_with(|| Bucket::full(self.rate, now)).take(self.rate, now)
    }
}

/// Whoever has one IPv6 address has a whole network of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| IpAddr::V6((u128::from(v6) >> 64 << 64).into()), IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_stopped_and_its_neighbour_is_not() {
        let guard = Guard::new(3);
        let take = |address: &str| guard.take(address.parse().unwrap()).is_ok();
        assert_eq!([take("192.0.2.1"), take("192.0.2.1"), take("192.0.2.1"), take("192.0.2.1")], [true, true, true, false]);
        assert!(take("192.0.2.2"));
        assert_eq!([take("2001:db8::1"), take("2001:db8::2"), take("2001:db8::3"), take("2001:db8::4")], [true, true, true, false]);
        assert!(!take("::ffff:192.0.2.1"), "the same address in another form");
    }
}
