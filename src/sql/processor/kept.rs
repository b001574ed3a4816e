//! What the processor keeps of a partition between records: sessions, queries seen, facts told.
//!
//! Every entry says until when it is of use, in event time. Nothing reads it afterwards, and a sweep removes it later: keys
//! lie in buckets, and for each minute that the partition's event time advances one bucket is looked through. So the
//! work for a record is bounded, and what is answered does not depend on how far the sweep has come.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::state::{Epoch, State, StateError};

/// Microseconds.
const MINUTE: i64 = 60_000_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// Buckets of keys, as many as hexadecimal digits say: all of them are looked through in 17 hours of event time.
const BUCKETS: i64 = 0x400;
/// Buckets that one record looks through at most.
const SWEEP: i64 = 4;
const CLOCK: &[u8] = b"clock";

/// How far a partition has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Clock {
    /// Minute of the newest event time.
    now: i64,
    /// Minute up to which buckets were looked through.
    swept: i64,
}

/// A kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A session.
    Session,
    /// A query that has begun and whose outcome comes in another record.
    Begun,
    /// A query that was counted, with how much was known of it.
    Seen,
    /// A fact that need not be told again within its hour.
    Told,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Self::Session => 's',
            Self::Begun => 'b',
            Self::Seen => 'q',
            Self::Told => 't',
        }
    }
}

/// The key of an entry: `<bucket>|<kind>|<name>`; long names are kept as their hash.
pub(super) fn key(kind: Kind, name: &[&str]) -> Vec<u8> {
    let mut hash = Sha256::new();
    name.iter().for_each(|part| add(&mut hash, part.as_bytes()));
    let hash = hash.finalize();
    let bucket = hash.iter().take(2).fold(0_i64, |bucket, byte| (bucket << 8) | i64::from(*byte)) % BUCKETS;
    let mut key = format!("{bucket:03x}|{}|", kind.letter()).into_bytes();
    key.extend(hash.iter().take(16));
    key
}

/// Adds one of several parts to a hash, so that it matters where one ends.
pub(super) fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

/// A partition's entries.
pub(super) struct Kept<'a> {
    state: &'a mut dyn State,
}

impl<'a> Kept<'a> {
    pub fn new(state: &'a mut dyn State) -> Self {
        Self { state }
    }

    /// Since when nothing but what was put here has changed the entries.
    pub fn epoch(&self) -> &Epoch {
        self.state.epoch()
    }

    /// The entry, if it is still of use at `time`.
    pub fn get(&self, kind: Kind, name: &[&str], time: i64) -> Result<Option<Vec<u8>>, StateError> {
        let found = self.due(&key(kind, name))?;
        Ok(found.filter(|(due, _)| time < *due).map(|(_, value)| value))
    }

    /// The entry of a [`key`], and until when it is of use.
    pub fn due(&self, key: &[u8]) -> Result<Option<(i64, Vec<u8>)>, StateError> {
        let Some(entry) = self.state.get(key)? else { return Ok(None) };
        Ok(split(&entry).map(|(due, value)| (due, value.to_vec())))
    }

    /// Keeps an entry that is of use until `due`.
    pub fn put(&mut self, kind: Kind, name: &[&str], due: i64, value: &[u8]) {
        let mut entry = due.to_be_bytes().to_vec();
        entry.extend(value);
        self.state.put(key(kind, name), entry);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, kind: Kind, name: &[&str]) -> Result<(), StateError> {
        let key = key(kind, name);
        if self.state.get(&key)?.is_some() {
            self.state.delete(key);
        }
        Ok(())
    }

    /// Time goes on to `time`, microseconds: entries that are of no use any more go, some buckets at a time.
    pub fn advance(&mut self, time: i64) -> Result<(), StateError> {
        let minute = time.div_euclid(MINUTE);
        let known = self.state.get(CLOCK)?.and_then(|bytes| serde_json::from_slice::<Clock>(&bytes).ok());
        let Some(mut clock) = known else {
            return self.set(Clock { now: minute, swept: minute });
        };
        if minute <= clock.now && clock.swept >= clock.now {
            return Ok(());
        }
        clock.now = clock.now.max(minute);
        // More than once around finds nothing new.
        clock.swept = clock.swept.max(clock.now - BUCKETS);
        for _ in 0..SWEEP {
            if clock.swept >= clock.now {
                break;
            }
            clock.swept += 1;
            let prefix = format!("{:03x}|", clock.swept.rem_euclid(BUCKETS));
            for (key, entry) in self.state.scan(prefix.as_bytes())? {
                if split(&entry).is_none_or(|(due, _)| due <= clock.now * MINUTE) {
                    self.state.delete(key);
                }
            }
        }
        self.set(clock)
    }

    fn set(&mut self, clock: Clock) -> Result<(), StateError> {
        let bytes = serde_json::to_vec(&clock).expect("two numbers are JSON");
        self.state.put(CLOCK.to_vec(), bytes);
        Ok(())
    }
}

fn split(entry: &[u8]) -> Option<(i64, &[u8])> {
    let (due, value) = entry.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*due), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state::MemoryState;

    #[test]
    fn entries_end_with_event_time_and_are_swept_away() {
        let mut state = MemoryState::default();
        let mut kept = Kept::new(&mut state);
        kept.advance(0).unwrap();
        for n in 0..100 {
            kept.put(Kind::Seen, &["i", &n.to_string()], 2 * DAY, b"x");
        }
        kept.put(Kind::Session, &["i", "s"], 9 * DAY, b"y");
        assert_eq!(kept.get(Kind::Seen, &["i", "7"], 2 * DAY - 1).unwrap().as_deref(), Some(&b"x"[..]));
        assert_eq!(kept.get(Kind::Seen, &["i", "7"], 2 * DAY).unwrap(), None, "whether swept or not");
        assert_eq!(kept.get(Kind::Told, &["i", "7"], 0).unwrap(), None);
        // An hour's silence, then a record a minute: each looks through a few buckets.
        for minute in 0..BUCKETS {
            kept.advance(2 * DAY + HOUR + minute * MINUTE).unwrap();
        }
        assert_eq!(state.scan(b"").unwrap().len(), 2, "the session and the clock");
    }

    #[test]
    fn a_record_from_the_past_does_not_turn_time_back() {
        let mut state = MemoryState::default();
        let mut kept = Kept::new(&mut state);
        kept.advance(10 * DAY).unwrap();
        kept.advance(DAY).unwrap();
        kept.put(Kind::Told, &["a"], DAY + HOUR, b"");
        assert!(kept.get(Kind::Told, &["a"], DAY).unwrap().is_some());
        let clock: Clock = serde_json::from_slice(&state.get(CLOCK).unwrap().unwrap()).unwrap();
        assert_eq!(clock, Clock { now: 14_400, swept: 14_400 });
    }
}
