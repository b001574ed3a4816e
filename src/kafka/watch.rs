//! For how long something has been looked at.

use std::time::{Duration, Instant};

/// Counts time that was looked at. Where the whole machine stood still nobody looked, and the coordinator may have stood
/// still with it: a session that ran out on our clock has not run out there.
pub(super) struct Watch {
    longest: Duration,
    looked: Duration,
    last: Option<Instant>,
}

impl Watch {
    /// Nothing was looked at yet. No look takes longer than `longest`, the wait before the next one included.
    pub fn new(longest: Duration) -> Self {
        Self { longest, looked: Duration::ZERO, last: None }
    }

    /// Looks again; returns the time that was looked at so far.
    pub fn look(&mut self, now: Instant) -> Duration {
        let gap = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.looked += gap.min(self.longest);
        self.last = Some(now);
        self.looked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_the_machine_stood_still_does_not_count() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut watch = Watch::new(Duration::from_millis(2_000));
        assert_eq!(watch.look(after(0)), Duration::ZERO);
        assert_eq!(watch.look(after(300)), Duration::from_millis(300));
        assert_eq!(watch.look(after(2_300)), Duration::from_millis(2_300), "a slow answer was waited for");
        assert_eq!(watch.look(after(60_000)), Duration::from_millis(4_300));
    }
}
