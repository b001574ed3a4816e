//! When a batch is full. Pure: time is handed in.

use std::time::{Duration, Instant};

/// The bounds of a batch: the first one reached closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records.
    pub records: usize,
    /// Bytes of keys, values and headers read.
    pub bytes: usize,
    /// An idle batch (nothing waits to be read) closes when so much time has passed since the last one.
    pub interval: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { records: 5_000, bytes: 4 << 20, interval: Duration::from_millis(25) }
    }
}

/// How full the open batch is.
#[derive(Clone, Debug)]
pub struct BatchGauge {
    limits: BatchLimits,
    records: usize,
    bytes: usize,
    last_close: Option<Instant>,
}

impl BatchGauge {
    /// An empty batch.
    pub fn new(limits: BatchLimits) -> Self {
        Self { limits, records: 0, bytes: 0, last_close: None }
    }

    /// Counts a record of `bytes`.
    pub fn add(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes;
    }

    /// Records in it.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Whether it must close although more is waiting.
    pub fn is_full(&self) -> bool {
        self.records >= self.limits.records || self.bytes >= self.limits.bytes
    }

    /// How long an idle batch may still wait for more; zero if it should close.
    pub fn patience(&self, now: Instant) -> Duration {
        match self.last_close {
            None => Duration::ZERO,
            Some(last) => self.limits.interval.saturating_sub(now.saturating_duration_since(last)),
        }
    }

    /// [`Self::patience`] in whole milliseconds, the coarsest unit of Kafka clients: they would spin through the rest.
    pub fn wait(&self, now: Instant) -> Duration {
        Duration::from_millis(u64::try_from(self.patience(now).as_micros().div_ceil(1_000)).unwrap_or(u64::MAX))
    }

    /// Starts the next batch.
    pub fn close(&mut self, now: Instant) {
        self.records = 0;
        self.bytes = 0;
        self.last_close = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> BatchLimits {
        BatchLimits { records: 3, bytes: 100, interval: Duration::from_millis(25) }
    }

    #[test]
    fn closes_by_count_or_bytes() {
        let mut gauge = BatchGauge::new(limits());
        gauge.add(1);
        gauge.add(1);
        assert!(!gauge.is_full());
        gauge.add(1);
        assert!(gauge.is_full());
        gauge.close(Instant::now());
        assert!(gauge.is_empty());
        gauge.add(100);
        assert!(gauge.is_full());
    }

    #[test]
    fn an_idle_batch_waits_for_the_interval_since_the_last_one() {
        let mut gauge = BatchGauge::new(limits());
        let start = Instant::now();
        assert_eq!(gauge.patience(start), Duration::ZERO, "nothing was committed yet: no reason to wait");
        gauge.close(start);
        assert_eq!(gauge.patience(start + Duration::from_millis(10)), Duration::from_millis(15));
        assert_eq!(gauge.wait(start + Duration::from_micros(10_300)), Duration::from_millis(15), "never a part of one");
        assert_eq!(gauge.patience(start + Duration::from_millis(30)), Duration::ZERO);
    }
}
