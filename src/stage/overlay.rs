//! State changes over the local store: those of the open transaction, dropped on abort, and those of transactions that have
//! committed since the store was written last. A record that changes with each transaction is written to the store once for
//! many of them, and many keys at once cost a tree less than one by one. What a crash loses comes back from the changelog,
//! as what the store has not made durable does.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::model::state::{Epoch, State, StateError};

use super::store::{Entries, LocalStore, StoreError};

type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Bits of [`Marks`]. Some 30,000 keys wait or are of the open transaction at most: of others one in 17 finds a mark set.
const MARKS: usize = 1 << 19;

/// Which keys may have been changed since the store was written: one whose mark is not set has not. Most keys that are asked
/// for are new, such as those of queries, and need not be looked for in each layer.
struct Marks {
    bits: Vec<u64>,
    hash: FixedState,
}

impl Marks {
    fn none() -> Self {
        Self { bits: vec![0; MARKS / 64], hash: FixedState::default() }
    }

    /// The word and the bit of a key.
    fn place(&self, key: &[u8]) -> (usize, u64) {
        let mark = self.hash.hash_one(key) as usize % MARKS;
        (mark / 64, 1 << (mark % 64))
    }

    fn set(&mut self, key: &[u8]) {
        let (word, bit) = self.place(key);
        self.bits[word] |= bit;
    }

    fn is_set(&self, key: &[u8]) -> bool {
        let (word, bit) = self.place(key);
        self.bits[word] & bit != 0
    }
}

/// Bytes of committed changes, keys and values, that wait at most.
const WAITING_BYTES: usize = 8 << 20;

/// One partition's state as its transform sees it: store, below committed changes that wait to be written, below the changes
/// of the open transaction, below those of the current record, which are taken back if it is rejected.
pub struct Overlay {
    store: LocalStore,
    waiting: Changes,
    waiting_bytes: usize,
    /// The changelog offset after the changes that wait.
    waiting_end: i64,
    transaction: Changes,
    record: Changes,
    /// Of the keys of all three.
    marks: Marks,
    epoch: Epoch,
    /// See [`State::transaction`].
    whole: Epoch,
}

impl Overlay {
    /// No changes over `store`.
    pub fn new(store: LocalStore) -> Self {
        Self {
            store,
            waiting: Changes::new(),
            waiting_bytes: 0,
            waiting_end: 0,
            transaction: Changes::new(),
            record: Changes::new(),
            marks: Marks::none(),
            epoch: Epoch::begin(),
            whole: Epoch::begin(),
        }
    }

    /// Makes ready to read; call before the first record of a transaction.
    pub fn begin(&mut self) -> Result<(), StateError> {
        self.store.refresh()
    }

    /// Size of the largest change of the current record as it goes to the changelog, key and value.
    pub fn largest_change(&self) -> usize {
        self.record.iter().map(|(key, value)| size(key, value.as_ref())).max().unwrap_or(0)
    }

    /// Keeps the current record's changes; returns whether there were any.
    pub fn accept_record(&mut self) -> bool {
        let any = !self.record.is_empty();
        // Not `append`: it rebuilds the whole map, for each record.
        self.transaction.extend(std::mem::take(&mut self.record));
        any
    }

    /// Takes the current record's changes back.
    pub fn reject_record(&mut self) {
        self.record.clear();
        self.epoch = Epoch::begin();
    }

    /// The open transaction's changes: one changelog record each.
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.transaction.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Whether the open transaction changed anything.
    pub fn is_dirty(&self) -> bool {
        !self.transaction.is_empty()
    }

    /// The transaction committed: its changes and the changelog offset after them go into the store with the next write.
    pub fn commit(&mut self, changelog_offset: i64) -> Result<(), StoreError> {
        let changes = std::mem::take(&mut self.transaction);
        if self.waiting.is_empty() {
            self.waiting_bytes = changes.iter().map(|(key, value)| size(key, value.as_ref())).sum();
            self.waiting = changes;
        } else {
            for (key, value) in changes {
                self.waiting_bytes += size(&key, value.as_ref());
                // The key stays what it was: its bytes are counted once.
                let length = key.len();
                if let Some(before) = self.waiting.insert(key, value) {
                    self.waiting_bytes -= length + before.map_or(0, |before| before.len());
                }
            }
        }
        self.waiting_end = changelog_offset;
        self.record.clear();
        if self.waiting_bytes >= WAITING_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes what waits, in one step. Reads of an open transaction go on after [`Self::begin`].
    fn write(&mut self) -> Result<(), StoreError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let changes = self.waiting.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        self.store.write(changes, self.waiting_end)?;
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.marks = Marks::none();
        self.transaction.keys().chain(self.record.keys()).for_each(|key| self.marks.set(key));
        Ok(())
    }

    /// Writes what waits and makes it durable, if the store's interval has passed.
    pub fn settle_if_due(&mut self) -> Result<(), StoreError> {
        if self.store.is_due() {
            self.write()?;
        }
        self.store.sync_if_due()
    }

    /// The transaction was aborted, or nobody knows.
    pub fn drop_changes(&mut self) {
        self.transaction.clear();
        self.record.clear();
        self.epoch = Epoch::begin();
        self.whole = Epoch::begin();
    }

    /// The store below.
    pub fn store_mut(&mut self) -> &mut LocalStore {
        &mut self.store
    }
}

impl State for Overlay {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let changed = self.marks.is_set(key).then(|| self.layers().iter().rev().find_map(|layer| layer.get(key)));
        match changed.flatten() {
            Some(value) => Ok(value.clone()),
            None => self.store.get(key),
        }
    }

    fn scan(&self, prefix: &[u8]) -> Result<Entries, StateError> {
        self.scan_first(prefix, usize::MAX)
    }

    fn scan_first(&self, prefix: &[u8], limit: usize) -> Result<Entries, StateError> {
        let mut asked = limit;
        loop {
            let stored = self.store.scan_first(prefix, asked)?;
            let is_all = stored.len() < asked;
            if let Some(entries) = self.merged(stored, is_all, prefix, limit) {
                return Ok(entries);
            }
            // Changes have hidden some.
            asked = asked.saturating_mul(2);
        }
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.marks.set(&key);
        self.record.insert(key, Some(value));
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.marks.set(&key);
        self.record.insert(key, None);
    }

    fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    fn transaction(&self) -> &Epoch {
        &self.whole
    }
}

impl Overlay {
    /// The layers over the store, the lowest first.
    fn layers(&self) -> [&Changes; 3] {
        [&self.waiting, &self.transaction, &self.record]
    }

    /// The first `limit` entries under `prefix`, with what the store holds there: all of it, or its first entries. `None` if
    /// more of them are needed.
    fn merged(&self, stored: Entries, is_all: bool, prefix: &[u8], limit: usize) -> Option<Entries> {
        let mut layers = self.layers().map(|layer| under(layer, prefix).peekable());
        if layers.iter_mut().all(|layer| layer.peek().is_none()) {
            return Some(stored);
        }
        let mut stored = stored.into_iter().peekable();
        let mut entries = Vec::new();
        while entries.len() < limit {
            let changed = layers.iter_mut().filter_map(|layer| layer.peek().map(|(key, _)| *key)).min();
            if stored.peek().is_none() && !is_all {
                return None;
            }
            let Some(changed) = changed else {
                let rest = limit - entries.len();
                let all_needed = is_all || stored.len() >= rest;
                entries.extend(stored.take(rest));
                return all_needed.then_some(entries);
            };
            if let Some(below) = stored.next_if(|(key, _)| key < changed) {
                entries.push(below);
                continue;
            }
            stored.next_if(|(key, _)| key == changed);
            // The uppermost layer that has the key says what it is.
            let values = layers.iter_mut().filter_map(|layer| layer.next_if(|(key, _)| *key == changed));
            if let Some((key, Some(value))) = values.last() {
                entries.push((key.clone(), value.clone()));
            }
        }
        Some(entries)
    }
}

impl Drop for Overlay {
    /// What is closed in order need not be read again from the changelog.
    fn drop(&mut self) {
        if let Err(error) = self.write() {
            tracing::warn!(%error, "committed state was not written to the local store; the changelog has it");
        }
    }
}

/// Bytes of a change.
fn size(key: &[u8], value: Option<&Vec<u8>>) -> usize {
    key.len() + value.map_or(0, Vec::len)
}

/// The changes of one layer under `prefix`, in key order.
fn under<'a>(layer: &'a Changes, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)> {
    layer.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::state::MemoryState;

    fn overlay(dir: &tempfile::TempDir) -> Overlay {
        let store = LocalStore::open(&dir.path().join("0.redb"), Duration::from_secs(3600)).expect("new");
        Overlay::new(store)
    }

    #[test]
    fn rejected_records_and_aborted_transactions_leave_no_trace() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut state = overlay(&dir);
        state.begin().expect("readable");
        state.put(b"a".to_vec(), b"1".to_vec());
        assert!(state.accept_record());
        state.commit(3).expect("writable");
        state.write().expect("writable");
        state.begin().expect("readable");
        state.delete(b"a".to_vec());
        state.accept_record();
        state.put(b"b".to_vec(), b"2".to_vec());
        state.reject_record();
        assert_eq!(state.scan(b"").expect("readable"), []);
        state.drop_changes();
        assert_eq!(state.get(b"a").expect("readable").as_deref(), Some(&b"1"[..]));
        assert_eq!(state.store_mut().changelog_offset(), 3);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u8, u8),
        Delete(u8),
        Accept,
        Reject,
        Commit,
        /// What waits is written, whatever is open.
        Write,
        Abort,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0u8..12, any::<u8>()).prop_map(|(k, v)| Step::Put(k, v)),
            3 => (0u8..12).prop_map(Step::Delete),
            3 => Just(Step::Accept),
            1 => Just(Step::Reject),
            1 => Just(Step::Commit),
            1 => Just(Step::Write),
            1 => Just(Step::Abort),
        ];
        prop::collection::vec(step, 1..60)
    }

    /// Keys of one and two bytes, so that prefixes matter.
    fn key(k: u8) -> Vec<u8> {
        if k < 4 { vec![k] } else { vec![k % 4, k] }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        /// Whatever the layers hold, reads equal those of a plain map that is copied at each boundary.
        #[test]
        fn layers_read_like_one_map(steps in steps()) {
            let dir = tempfile::tempdir().expect("temporary directory");
            let mut state = overlay(&dir);
            let (mut committed, mut open, mut record) =
                (MemoryState::default(), MemoryState::default(), MemoryState::default());
            state.begin().expect("readable");
            for step in steps {
                match step {
                    Step::Put(k, v) => {
                        state.put(key(k), vec![v]);
                        record.put(key(k), vec![v]);
                    }
                    Step::Delete(k) => {
                        state.delete(key(k));
                        record.delete(key(k));
                    }
                    Step::Accept => {
                        state.accept_record();
                        open = record.clone();
                    }
                    Step::Reject => {
                        state.reject_record();
                        record = open.clone();
                    }
                    Step::Commit => {
                        state.accept_record();
                        open = record.clone();
                        committed = open.clone();
                        state.commit(1).expect("writable");
                        state.begin().expect("readable");
                    }
                    Step::Write => {
                        state.write().expect("writable");
                        state.begin().expect("readable");
                    }
                    Step::Abort => {
                        state.drop_changes();
                        open = committed.clone();
                        record = committed.clone();
                    }
                }
                for prefix in [&[][..], &[0], &[1], &[2, 6], &[9]] {
                    let all = record.scan(prefix).expect("map");
                    for limit in [0, 1, 3] {
                        let first = &all[..limit.min(all.len())];
                        prop_assert_eq!(&state.scan_first(prefix, limit).expect("readable"), first);
                    }
                    prop_assert_eq!(state.scan(prefix).expect("readable"), all);
                }
                for k in 0..12 {
                    prop_assert_eq!(state.get(&key(k)).expect("readable"), record.get(&key(k)).expect("map"));
                }
            }
        }
    }
}
