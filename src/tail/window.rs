//! What of a metastore's answer is new: the position of a tail. Pure.
//!
//! Ids of events are not unique: under concurrent writers 3.1 on Derby gives different events the same id, and the second
//! one may become visible when the tail has passed its id. So a tail reads again what lies shortly behind its position,
//! and the position holds hashes of what it has sent of that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::metastore::Notification;

/// Ids behind the position in which late events are looked for. A late one is as late as the transaction that wrote it
/// was long; the busiest metastore measured wrote 40 events a second.
pub const LOOK_BACK: i64 = 256;

/// Hashes that a position holds at most; of more twins than that the oldest are forgotten first.
const MOST_HASHES: usize = 4_096;

/// How far a tail has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Everything up to this id was sent, or a listing has stood in for it.
    pub id: i64,
    /// Newest time of what was sent, seconds since the epoch.
    pub time: i64,
    /// Hashes of what was sent, by id, for ids not further back than [`LOOK_BACK`].
    #[serde(default)]
    seen: BTreeMap<i64, Vec<Hash>>,
}

/// The first eight bytes of a SHA-256, in hexadecimal.
type Hash = String;

/// Why a tail cannot simply go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Events of these ids, both included, are not in the log.
    Missing {
        /// First.
        from: i64,
        /// Last.
        to: i64,
    },
    /// The log is not the one that the position belongs to: its ids have started again.
    Rebuilt,
}

/// An answer sorted out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sorted {
    /// What has to be sent, in order.
    pub send: Vec<Notification>,
    /// How many of them lie behind the position.
    pub late: usize,
    /// What stands in the way of what follows.
    pub trouble: Option<Trouble>,
}

impl Position {
    /// Sorts out the notifications with ids greater than `after`. `current` is the log's newest id, asked for before
    /// they were, and `None` where there is more to read than this answer.
    pub fn sort_out(&self, after: i64, answer: Vec<Notification>, current: Option<i64>) -> Sorted {
        let mut sorted = Sorted { send: Vec::new(), late: 0, trouble: None };
        if self.is_of_another_log(after, &answer, current) {
            sorted.trouble = Some(Trouble::Rebuilt);
            return sorted;
        }
        let mut reached = self.id;
        for event in answer {
            let id = event.event_id;
            if id > reached + 1 {
                sorted.trouble = Some(Trouble::Missing { from: reached + 1, to: id - 1 });
                return sorted;
            }
            if self.has_sent(&event) {
                continue;
            }
            if id <= self.id {
                if id <= self.id - LOOK_BACK {
                    // Nobody remembers whether it was sent.
                    continue;
                }
                sorted.late += 1;
            }
            reached = reached.max(id);
            sorted.send.push(event);
        }
        if let Some(to) = current.filter(|current| *current > reached) {
            sorted.trouble = Some(Trouble::Missing { from: reached + 1, to });
        }
        sorted
    }

    /// Whether what was sent last is gone while older or equal ids are there, or the newest id is an older one.
    fn is_of_another_log(&self, after: i64, answer: &[Notification], current: Option<i64>) -> bool {
        let Some(last) = self.seen.get(&self.id) else {
            return current.is_some_and(|current| current < self.id);
        };
        let begins_before = after < self.id && answer.first().is_some_and(|event| event.event_id <= self.id);
        // An answer that ends before the position says nothing of it.
        let reaches = current.is_some() || answer.last().is_some_and(|event| event.event_id > self.id);
        let is_there = || answer.iter().any(|event| event.event_id == self.id && last.contains(&hash(event)));
        current.is_some_and(|current| current < self.id) || (begins_before && reaches && !is_there())
    }

    fn has_sent(&self, event: &Notification) -> bool {
        self.seen.get(&event.event_id).is_some_and(|hashes| hashes.contains(&hash(event)))
    }

    /// The position once `sent` is sent as well.
    pub fn advanced(&self, sent: &[Notification]) -> Self {
        let mut next = self.clone();
        for event in sent {
            next.id = next.id.max(event.event_id);
            next.time = next.time.max(event.event_time);
            next.seen.entry(event.event_id).or_default().push(hash(event));
        }
        next.forget();
        next
    }

    /// The position once a listing stands in for everything up to `id`.
    pub fn repaired(&self, trouble: Trouble, id: i64, time: i64) -> Self {
        let mut next = match trouble {
            Trouble::Missing { .. } => self.clone(),
            Trouble::Rebuilt => Self { time: self.time, ..Self::default() },
        };
        next.id = id;
        next.time = next.time.max(time);
        next.forget();
        next
    }

    fn forget(&mut self) {
        self.seen = self.seen.split_off(&(self.id - LOOK_BACK + 1));
        let mut count: usize = self.seen.values().map(Vec::len).sum();
        while count > MOST_HASHES && self.seen.len() > 1 {
            count -= self.seen.pop_first().map_or(0, |(_, hashes)| hashes.len());
        }
    }
}

fn hash(event: &Notification) -> Hash {
    let mut digest = Sha256::new();
    let texts = [Some(&event.event_type), event.catalog.as_ref(), event.database.as_ref(), event.table.as_ref()];
    for text in texts.into_iter().chain([Some(&event.message), event.format.as_ref()]) {
        // The length before each text keeps two texts from being another two.
        digest.update(text.map_or(-1, |text| i64::try_from(text.len()).unwrap_or(i64::MAX)).to_be_bytes());
        digest.update(text.map_or("", String::as_str));
    }
    digest.update(event.event_time.to_be_bytes());
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
