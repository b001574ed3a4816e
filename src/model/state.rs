//! The key-value view that a keyed-state transform has of its partition's state.

use std::sync::Arc;

/// Keys and values of a scan, in key order.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Ordered key-value state of one partition. Reads see the writes of the open transaction.
///
/// Implementations: the stage runtime's overlay over its local store, and [`MemoryState`] for pure tests.
pub trait State {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;
    /// All entries whose key starts with `prefix`, in key order.
    fn scan(&self, prefix: &[u8]) -> Result<Entries, StateError>;
    /// The first `limit` entries whose key starts with `prefix`, in key order.
    fn scan_first(&self, prefix: &[u8], limit: usize) -> Result<Entries, StateError> {
        let mut entries = self.scan(prefix)?;
        entries.truncate(limit);
        Ok(entries)
    }
    /// Sets `key`; the runtime writes one changelog record for each key changed in a transaction.
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>);
    /// Removes `key`; a changelog tombstone.
    fn delete(&mut self, key: Vec<u8>);
    /// Since when nothing but the writes through this handle has changed the state: whoever remembers what he read or
    /// wrote may go on relying on it while the epoch is the same.
    fn epoch(&self) -> &Epoch;
    /// As [`State::epoch`], but goes on while single records are taken back, until a whole transaction is. Who relies on it
    /// must read again at the end of the transaction what its records have left in the state.
    fn transaction(&self) -> &Epoch {
        self.epoch()
    }
}

/// A stretch of a state's life without undoing, reopening or copying. Equal only to its own clones.
#[derive(Clone, Debug)]
pub struct Epoch(Arc<()>);

impl Epoch {
    /// An epoch that differs from every other one.
    pub fn begin() -> Self {
        Self(Arc::new(()))
    }
}

impl PartialEq for Epoch {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The local store could not be read; the runtime treats it as fatal for the task and rebuilds from the changelog.
#[derive(Debug, thiserror::Error)]
#[error("state store: {message}")]
pub struct StateError {
    /// What failed.
    pub message: String,
    /// The store's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// State in a map, for tests and for folding a file without Kafka.
#[derive(Debug)]
pub struct MemoryState {
    entries: std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
    writes: usize,
    epoch: Epoch,
}

impl Default for MemoryState {
    fn default() -> Self {
        Self { entries: Default::default(), writes: 0, epoch: Epoch::begin() }
    }
}

impl Clone for MemoryState {
    /// The copy has a life of its own.
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), writes: self.writes, epoch: Epoch::begin() }
    }
}

impl MemoryState {
    /// How many puts and deletes there were: the changelog records a real store would have written at most.
    pub fn writes(&self) -> usize {
        self.writes
    }
}

impl State for MemoryState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.entries.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Entries, StateError> {
        Ok(self
            .entries
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn scan_first(&self, prefix: &[u8], limit: usize) -> Result<Entries, StateError> {
        let under = self.entries.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(under.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes += 1;
        self.entries.insert(key, value);
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.writes += 1;
        self.entries.remove(&key);
    }

    fn epoch(&self) -> &Epoch {
        &self.epoch
    }
}
