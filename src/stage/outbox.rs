//! Records of the open transaction that wait to be handed to the client.
//!
//! They go out in bursts, so that the client fills whole batches instead of sending each record on its own; and of
//! several values for one key of a compacted topic only the last one goes out, as compaction would leave it. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::kafka::OutgoingRecord;

/// Bytes that wait at most before they are handed over.
const FULL_BYTES: usize = 512 << 10;

/// Collects until it is full or the transaction ends.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Vec<OutgoingRecord>,
    /// Where the value of a compacted topic's key waits.
    latest: HashMap<(Arc<str>, Vec<u8>), usize>,
    bytes: usize,
}

impl Outbox {
    /// Adds a record; `is_latest_only` if readers care for the last value of its key alone. Returns whether it is one
    /// more: it may take the place of an earlier one.
    pub(super) fn add(&mut self, record: OutgoingRecord, is_latest_only: bool) -> bool {
        let size = record.size();
        if let Some(key) = record.key.as_ref().filter(|_| is_latest_only) {
            match self.latest.entry((Arc::clone(&record.topic), key.clone())) {
                Entry::Occupied(known) => {
                    let earlier = self.waiting.get_mut(*known.get()).expect("places are of records that wait");
                    self.bytes = self.bytes + size - earlier.size();
                    *earlier = record;
                    return false;
                }
                Entry::Vacant(place) => drop(place.insert(self.waiting.len())),
            }
        }
        self.bytes += size;
        self.waiting.push(record);
        true
    }

    /// Whether it is time to hand over.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= FULL_BYTES
    }

    /// Takes everything out, in order.
    pub(super) fn take(&mut self) -> Vec<OutgoingRecord> {
        self.latest.clear();
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(topic: &str, key: &str, value: Option<&str>) -> OutgoingRecord {
        OutgoingRecord::new(topic, Some(key.as_bytes().to_vec()), value.map(|value| value.as_bytes().to_vec()))
    }

    #[test]
    fn of_a_compacted_key_only_the_last_value_goes_out() {
        let mut outbox = Outbox::default();
        assert!(outbox.add(record("heads", "a", Some("1")), true));
        assert!(outbox.add(record("log", "a", Some("1")), false));
        assert!(outbox.add(record("heads", "b", Some("1")), true));
        assert!(!outbox.add(record("heads", "a", None), true));
        assert!(outbox.add(record("log", "a", Some("1")), false), "a log keeps what it is given");
        assert!(outbox.add(record("other heads", "a", Some("1")), true), "another topic");
        let went: Vec<_> = outbox.take();
        assert_eq!(
            went.iter().map(|r| (&*r.topic, r.value.is_some())).collect::<Vec<_>>(),
            [("heads", false), ("log", true), ("heads", true), ("log", true), ("other heads", true)]
        );
        assert!(outbox.add(record("heads", "a", Some("2")), true), "what went out is out");
    }

    #[test]
    fn it_is_full_by_the_bytes_that_wait() {
        let mut outbox = Outbox::default();
        let half = "x".repeat(FULL_BYTES / 2);
        outbox.add(record("heads", "a", Some(&half)), true);
        outbox.add(record("heads", "a", Some(&half)), true);
        assert!(!outbox.is_full());
        outbox.add(record("heads", "b", Some(&half)), true);
        assert!(outbox.is_full());
        outbox.take();
        assert!(!outbox.is_full());
    }
}
