//! Rate limits by key: a generic cell rate algorithm, one moment of memory for each of a bounded number of keys.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

/// Most keys that are remembered. The one not seen for longest goes first; a new one starts with a whole burst.
const KEYS: NonZeroUsize = NonZeroUsize::new(16_384).expect("a number above 0");

/// How often, and how often at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests in a second, in the long run.
    pub per_second: u32,
    /// Requests at once after a pause.
    pub burst: u32,
}

/// Limits what each key does.
pub(super) struct Limiter<K> {
    interval: Duration,
    tolerance: Duration,
    /// When the key's allowance would be whole again.
    whole_at: Mutex<LruCache<K, Instant>>,
}

impl<K: Hash + Eq> Limiter<K> {
    pub(super) fn new(rate: Rate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        let tolerance = interval * rate.burst.max(1).saturating_sub(1);
        Self { interval, tolerance, whole_at: Mutex::new(LruCache::new(KEYS)) }
    }

    /// Takes one from the key's allowance, or says how long to wait for one.
    pub(super) fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let known = whole_at.get(&key).copied().unwrap_or(now).max(now);
        self.wait(known, now)?;
        whole_at.put(key, known + self.interval);
        Ok(())
    }

    /// As [`Self::take`] without taking it.
    pub(super) fn peek(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        whole_at.peek(key).map_or(Ok(()), |known| self.wait(*known, now))
    }

    fn wait(&self, whole_at: Instant, now: Instant) -> Result<(), Duration> {
        match whole_at.saturating_duration_since(now).checked_sub(self.tolerance) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(()),
        }
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    Principal(String),
    Peer(IpAddr),
}

impl Payer {
    /// Whoever is at an address; of an IPv6 network one host has at least 64 bits for itself.
    pub(super) fn at(address: IpAddr) -> Self {
        Self::Peer(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 64)).into()),
            four => four,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_at_a_time() {
        let limiter = Limiter::new(Rate { per_second: 10, burst: 3 });
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        for _ in 0..3 {
            assert_eq!(limiter.take("a", start), Ok(()));
        }
        assert_eq!(limiter.take("a", start), Err(Duration::from_millis(100)));
        assert_eq!(limiter.take("b", start), Ok(()), "others have their own");
        assert_eq!(limiter.take("a", at(99)), Err(Duration::from_millis(1)));
        assert_eq!(limiter.take("a", at(100)), Ok(()));
        assert_eq!(limiter.peek(&"a", at(100)), Err(Duration::from_millis(100)));
        assert_eq!(limiter.peek(&"c", at(100)), Ok(()));
        // What was refused has cost nothing; after a pause there is a burst again, and no more than one.
        for _ in 0..3 {
            assert_eq!(limiter.take("a", at(60_000)), Ok(()));
        }
        assert!(limiter.take("a", at(60_000)).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::new(Rate { per_second: 1, burst: 1 });
        let now = Instant::now();
        for key in 0..2 * KEYS.get() {
            assert_eq!(limiter.take(key, now), Ok(()));
        }
        assert_eq!(limiter.whole_at.lock().unwrap().len(), KEYS.get());
    }

    #[test]
    fn neighbours_of_one_network_pay_together() {
        let payer = |text: &str| Payer::at(text.parse().unwrap());
        assert_eq!(payer("2001:db8:1:2::1"), payer("2001:db8:1:2:ffff::2"));
        assert_ne!(payer("2001:db8:1:2::1"), payer("2001:db8:1:3::1"));
        assert_ne!(payer("10.0.0.1"), payer("10.0.0.2"));
        assert_eq!(payer("::ffff:10.0.0.1"), payer("10.0.0.1"));
    }
}
