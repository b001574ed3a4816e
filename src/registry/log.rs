//! The `_schemas` topic as the registry sees it: append in one transaction, read what is committed, know the end.
//! `KafkaLog` is the real one; `MemoryLog` serves tests and one-process use without Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A key with its value; no value is a tombstone.
pub type KeyValue = (Vec<u8>, Option<Vec<u8>>);

/// A committed record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Offset in the topic.
    pub offset: i64,
    /// Time the topic took it, in ms since 1970.
    pub timestamp: i64,
    /// Key; records without one are not the registry's.
    pub key: Option<Vec<u8>>,
    /// Value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// URL of the node that wrote it, where it has told one.
    pub writer: Option<String>,
}

/// Why the topic could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// Nothing was written; trying again later may help.
    #[error("the schemas topic is not available: {0}")]
    Unavailable(Arc<dyn std::error::Error + Send + Sync>),
    /// Another node has become the writer; nothing was written.
    #[error("another node writes the schemas topic now: {0}")]
    Fenced(Arc<dyn std::error::Error + Send + Sync>),
    /// It is not known whether the transaction was committed; reading to the end tells.
    #[error("the outcome of a write to the schemas topic is not known: {0}")]
    UnknownOutcome(Arc<dyn std::error::Error + Send + Sync>),
    /// A registry of another make leads the topic; it would not notice our writes in time, nor be fenced by them.
    #[error("group '{group}' has a live leader of another registry ({member}); stop it before writing here")]
    ForeignLeader {
        /// Its consumer group.
        group: String,
        /// One of its members.
        member: String,
    },
    /// The registry has been shut down.
    #[error("the registry is shut down")]
    Closed,
}

/// An error that is only a text.
pub(super) fn reason(text: impl Into<String>) -> Arc<dyn std::error::Error + Send + Sync> {
    Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(text.into()))
}

/// Reads committed records in order, from the first.
pub trait LogReader: Send {
    /// Waits up to `timeout` for records and hands them over; none after it.
    ///
    /// # Errors
    /// The topic cannot be read now. The next call goes on where this one stopped.
    fn poll(&mut self, timeout: Duration) -> Result<Vec<LogRecord>, LogError>;

    /// The offset up to which all committed records have been handed over.
    fn position(&self) -> i64;
}

/// What `LogWriter::acquire` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquired {
    /// This node has been the writer all along, as far as it knows.
    Held,
    /// This node has become the writer: whoever was it before is fenced, and what that one had begun is aborted.
    Anew,
}

/// Writes, and knows how far the topic goes.
pub trait LogWriter: Send {
    /// Offset after the last record, committed or not: a reader whose position is there has seen every acknowledged write.
    ///
    /// # Errors
    /// The topic cannot be asked now.
    fn end(&mut self) -> Result<i64, LogError>;

    /// Makes this node the writer, if it is not, and fences all others. To be followed by reading to the end before
    /// anything is decided.
    ///
    /// # Errors
    /// Not possible now.
    fn acquire(&mut self) -> Result<Acquired, LogError>;

    /// The records in `range` that an aborted transaction has left as the newest of their keys: readers of what is not
    /// committed take them for real. `is_committed` tells the offsets of records that are.
    ///
    /// # Errors
    /// The topic cannot be read now.
    fn aborted(&mut self, range: Range<i64>, is_committed: &dyn Fn(i64) -> bool) -> Result<Vec<KeyValue>, LogError>;

    /// Writes all records in one transaction and answers the offset after the last of them. `writer` is this node's URL.
    ///
    /// # Errors
    /// See [`LogError`]; after each of them `acquire` comes first.
    fn append(&mut self, records: Vec<KeyValue>, writer: Option<&str>) -> Result<i64, LogError>;

    /// Ends this writer with one record outside any transaction. Some registries wait for a record at the last offset,
    /// which after a transaction is the broker's own mark.
    ///
    /// # Errors
    /// Not possible now.
    fn close(&mut self, last: KeyValue) -> Result<(), LogError>;
}

/// Opens readers and writers of one topic.
pub trait SchemaLog: Send + Sync {
    /// A reader at the topic's start.
    ///
    /// # Errors
    /// The topic cannot be opened.
    fn reader(&self) -> Result<Box<dyn LogReader>, LogError>;

    /// A writer.
    ///
    /// # Errors
    /// The topic cannot be opened.
    fn writer(&self) -> Result<Box<dyn LogWriter>, LogError>;

    /// Id of the cluster that keeps the log; empty where there is none.
    ///
    /// # Errors
    /// The cluster cannot be asked now.
    fn cluster_id(&self) -> Result<String, LogError> {
        Ok(String::new())
    }
}

/// Finds the keys whose newest record is an aborted one, from all records in order.
#[derive(Debug, Default)]
pub(super) struct AbortedKeys(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl AbortedKeys {
    pub(super) fn see(&mut self, key: Vec<u8>, value: Option<Vec<u8>>, is_committed: bool) {
        match is_committed {
            true => drop(self.0.remove(&key)),
            false => drop(self.0.insert(key, value)),
        }
    }

    pub(super) fn into_records(self) -> Vec<KeyValue> {
        self.0.into_iter().collect()
    }
}

/// A log in memory. Clones share it, as nodes share a topic: the last to `acquire` is the writer.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog {
    shared: Arc<(Mutex<Memory>, Condvar)>,
}

#[derive(Debug, Default)]
struct Memory {
    records: Vec<LogRecord>,
    /// Offsets of records that only a reader of what is not committed sees.
    aborted: BTreeSet<i64>,
    writer: u64,
}

struct MemoryReader {
    log: MemoryLog,
    position: usize,
}

struct MemoryWriter {
    log: MemoryLog,
    /// 0 before the first `acquire`.
    epoch: u64,
}

impl MemoryLog {
    /// Appends as a foreign writer would, outside any transaction; answers the new end.
    pub fn put(&self, records: Vec<KeyValue>) -> i64 {
        let end = self.lock().append(records, None);
        self.shared.1.notify_all();
        end
    }

    /// Leaves records as an aborted transaction does; answers the new end.
    pub fn put_aborted(&self, records: Vec<KeyValue>) -> i64 {
        let mut memory = self.lock();
        let start = memory.records.len() as i64;
        let end = memory.append(records, None);
        memory.aborted.extend(start..end);
        drop(memory);
        self.shared.1.notify_all();
        end
    }

    /// All records so far, aborted ones included.
    pub fn records(&self) -> Vec<LogRecord> {
        self.lock().records.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn append(&mut self, records: Vec<KeyValue>, writer: Option<&str>) -> i64 {
        for (key, value) in records {
            let offset = self.records.len() as i64;
            let writer = writer.map(str::to_owned);
            self.records.push(LogRecord { offset, timestamp: offset, key: Some(key), value, writer });
        }
        self.records.len() as i64
    }
}

impl SchemaLog for MemoryLog {
    fn reader(&self) -> Result<Box<dyn LogReader>, LogError> {
        Ok(Box::new(MemoryReader { log: self.clone(), position: 0 }))
    }

    fn writer(&self) -> Result<Box<dyn LogWriter>, LogError> {
        Ok(Box::new(MemoryWriter { log: self.clone(), epoch: 0 }))
    }
}

impl LogReader for MemoryReader {
    fn poll(&mut self, timeout: Duration) -> Result<Vec<LogRecord>, LogError> {
        let (memory, changed) = &*self.log.shared;
        let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        let position = self.position;
        let (memory, _) = changed
            .wait_timeout_while(memory, timeout, |memory| memory.records.len() <= position)
            .unwrap_or_else(PoisonError::into_inner);
        let new = memory.records.get(position..).unwrap_or_default();
        self.position += new.len();
        Ok(new.iter().filter(|record| !memory.aborted.contains(&record.offset)).cloned().collect())
    }

    fn position(&self) -> i64 {
        self.position as i64
    }
}

impl LogWriter for MemoryWriter {
    fn end(&mut self) -> Result<i64, LogError> {
        Ok(self.log.lock().records.len() as i64)
    }

    fn acquire(&mut self) -> Result<Acquired, LogError> {
        let mut memory = self.log.lock();
        if self.epoch != 0 && self.epoch == memory.writer {
            return Ok(Acquired::Held);
        }
        memory.writer += 1;
        self.epoch = memory.writer;
        Ok(Acquired::Anew)
    }

    fn aborted(&mut self, range: Range<i64>, is_committed: &dyn Fn(i64) -> bool) -> Result<Vec<KeyValue>, LogError> {
        let mut left = AbortedKeys::default();
        for record in self.log.lock().records.iter().filter(|record| range.contains(&record.offset)) {
            left.see(record.key.clone().unwrap_or_default(), record.value.clone(), is_committed(record.offset));
        }
        Ok(left.into_records())
    }

    fn append(&mut self, records: Vec<KeyValue>, writer: Option<&str>) -> Result<i64, LogError> {
        // Looked at and written under one lock, as a broker does: in between another writer could acquire the log.
        let mut memory = self.log.lock();
        if memory.writer != self.epoch {
            return Err(LogError::Fenced(reason("a later writer has acquired the log")));
        }
        let end = memory.append(records, writer);
        drop(memory);
        self.log.shared.1.notify_all();
        Ok(end)
    }

    fn close(&mut self, last: KeyValue) -> Result<(), LogError> {
        self.log.put(vec![last]);
        Ok(())
    }
}
