//! State changes of an open transaction over the local store: dropped on abort, written on commit.

use std::collections::BTreeMap;
use std::iter::Peekable;

use crate::model::state::{Epoch, State, StateError};

use super::store::{Entries, LocalStore, StoreError};

type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// One partition's state as its transform sees it: store, below the changes of the open transaction, below those of
/// the current record, which are taken back if it is rejected.
pub struct Overlay {
    store: LocalStore,
    transaction: Changes,
    record: Changes,
    epoch: Epoch,
    /// See [`State::transaction`].
    whole: Epoch,
}

impl Overlay {
    /// No changes over `store`.
    pub fn new(store: LocalStore) -> Self {
        Self {
            store,
            transaction: Changes::new(),
            record: Changes::new(),
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
        let size = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| key.len() + value.as_ref().map_or(0, Vec::len);
        self.record.iter().map(size).max().unwrap_or(0)
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

    /// The transaction committed: its changes and the changelog offset after them go into the store in one write.
    pub fn commit(&mut self, changelog_offset: i64) -> Result<(), StoreError> {
        let changes = self.transaction.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        self.store.write(changes, changelog_offset)?;
        self.transaction.clear();
        self.record.clear();
        Ok(())
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
        match self.record.get(key).or_else(|| self.transaction.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.store.get(key),
        }
    }

    fn scan(&self, prefix: &[u8]) -> Result<Entries, StateError> {
        Ok(self.merged(self.store.scan(prefix)?, prefix))
    }

    fn scan_first(&self, prefix: &[u8], limit: usize) -> Result<Entries, StateError> {
        // Each change hides at most one entry of the store, so that enough of them are left.
        let changes = under(&self.record, prefix).count() + under(&self.transaction, prefix).count();
        let mut entries = self.merged(self.store.scan_first(prefix, limit.saturating_add(changes))?, prefix);
        entries.truncate(limit);
        Ok(entries)
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.record.insert(key, Some(value));
    }

    fn delete(&mut self, key: Vec<u8>) {
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
    /// What the store holds under `prefix` with the changes of both layers.
    fn merged(&self, stored: Entries, prefix: &[u8]) -> Entries {
        let mut upper = under(&self.record, prefix).peekable();
        let mut lower = under(&self.transaction, prefix).peekable();
        if upper.peek().is_none() && lower.peek().is_none() {
            return stored;
        }
        let mut merged = Vec::with_capacity(stored.len());
        for (key, value) in stored {
            take_below(&mut upper, &mut lower, Some(&key), &mut merged);
            let changed = match (upper.peek(), lower.peek()) {
                (Some((k, _)), _) if **k == key => upper.next().map(|(_, v)| v),
                (_, Some((k, _))) if **k == key => lower.next().map(|(_, v)| v),
                _ => None,
            };
            // The lower layer may hold the key that the upper one has just answered.
            if lower.peek().is_some_and(|(k, _)| **k == key) {
                lower.next();
            }
            match changed {
                None => merged.push((key, value)),
                Some(Some(newer)) => merged.push((key, newer.clone())),
                Some(None) => {}
            }
        }
        take_below(&mut upper, &mut lower, None, &mut merged);
        merged
    }
}

/// One change of a layer.
type Change<'a> = (&'a Vec<u8>, &'a Option<Vec<u8>>);

/// The changes of one layer under `prefix`, in key order.
fn under<'a>(layer: &'a Changes, prefix: &'a [u8]) -> impl Iterator<Item = Change<'a>> {
    layer.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix))
}

/// Moves the layers' entries below `bound` (all without one) to `merged`; the upper layer wins.
fn take_below<'a, U, L>(upper: &mut Peekable<U>, lower: &mut Peekable<L>, bound: Option<&[u8]>, merged: &mut Entries)
where
    U: Iterator<Item = Change<'a>>,
    L: Iterator<Item = Change<'a>>,
{
    let inside = |key: &Vec<u8>| bound.is_none_or(|bound| key.as_slice() < bound);
    loop {
        let up = upper.peek().map(|(key, _)| *key).filter(|key| inside(key));
        let low = lower.peek().map(|(key, _)| *key).filter(|key| inside(key));
        let entry = match (up, low) {
            (None, None) => return,
            (Some(u), Some(l)) if u == l => {
                lower.next();
                upper.next()
            }
            (Some(u), Some(l)) if u < l => upper.next(),
            (Some(_), None) => upper.next(),
            (_, Some(_)) => lower.next(),
        };
        if let Some((key, Some(value))) = entry {
            merged.push((key.clone(), value.clone()));
        }
    }
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
        Abort,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0u8..12, any::<u8>()).prop_map(|(k, v)| Step::Put(k, v)),
            3 => (0u8..12).prop_map(Step::Delete),
            3 => Just(Step::Accept),
            1 => Just(Step::Reject),
            1 => Just(Step::Commit),
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
