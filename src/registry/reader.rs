//! The thread that follows the topic, applies its records and publishes snapshots.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::format;
use super::log::{LogError, LogReader, LogRecord, SchemaLog, reason};
use super::snapshot::Snapshot;

/// How long one poll waits; also how long a shutdown may take to be seen.
const POLL: Duration = Duration::from_millis(100);
/// Pause before the topic is opened again after an error.
const REOPEN: Duration = Duration::from_secs(1);

/// What the reader thread shares with everybody else.
pub(super) struct Published {
    snapshot: ArcSwap<Snapshot>,
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Default)]
struct Progress {
    /// Every committed record below this offset is in the published snapshot.
    position: i64,
    skipped: u64,
    closed: bool,
}

impl Published {
    pub(super) fn new() -> Self {
        Self { snapshot: ArcSwap::default(), progress: Mutex::default(), moved: Condvar::new() }
    }

    /// The newest snapshot.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Waits until everything below `offset` is in the snapshot.
    pub(super) fn wait_for(&self, offset: i64, deadline: Instant) -> Result<Arc<Snapshot>, LogError> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        while progress.position < offset {
            if progress.closed {
                return Err(LogError::Closed);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!("own reader is at offset {} and should reach {offset}", progress.position);
                return Err(LogError::Unavailable(reason(message)));
            }
            progress = self.moved.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(progress);
        Ok(self.snapshot())
    }

    /// Records passed over because they could not be read.
    pub(super) fn skipped(&self) -> u64 {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).skipped
    }

    pub(super) fn close(&self) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.moved.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    fn publish(&self, snapshot: &Snapshot, position: i64, skipped: u64) {
        // The snapshot first: who sees the position must find its records.
        self.snapshot.store(Arc::new(snapshot.clone()));
        metrics::gauge!("registry_schemas").set(snapshot.schema_count() as f64);
        self.advance(position, skipped);
    }

    fn advance(&self, position: i64, skipped: u64) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.position != position {
            progress.position = position;
            progress.skipped = skipped;
            self.moved.notify_all();
        }
    }

    fn position(&self) -> i64 {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).position
    }
}

/// Follows the topic until closed. After an error it starts over from the first record, as a recreated topic must be.
pub(super) fn run(log: &dyn SchemaLog, first: Box<dyn LogReader>, published: &Published) {
    let mut reader = Some(first);
    while !published.is_closed() {
        let result = match reader.take().map_or_else(|| log.reader(), Ok) {
            Ok(reader) => follow(reader, published),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            tracing::warn!(%error, "schemas topic cannot be followed, opening it again");
            metrics::counter!("registry_reader_restarts_total").increment(1);
            let deadline = Instant::now() + REOPEN;
            while !published.is_closed() && Instant::now() < deadline {
                std::thread::park_timeout(POLL);
            }
        }
    }
}

fn follow(mut reader: Box<dyn LogReader>, published: &Published) -> Result<(), LogError> {
    let mut snapshot = Snapshot::default();
    let mut skipped = 0;
    // While an earlier life's state is rebuilt, the old snapshot stays in place.
    let known = published.position();
    while !published.is_closed() {
        let records = reader.poll(POLL)?;
        let changed = !records.is_empty();
        for record in records {
            if !apply(&mut snapshot, record) {
                skipped += 1;
            }
        }
        let position = reader.position();
        if position < known {
            continue;
        }
        match changed {
            true => published.publish(&snapshot, position, skipped),
            false => published.advance(position, skipped),
        }
    }
    Ok(())
}

/// Applies a record; false where it could not be read.
fn apply(snapshot: &mut Snapshot, record: LogRecord) -> bool {
    let LogRecord { offset, timestamp, key, value } = record;
    match format::decode(key.as_deref().unwrap_or_default(), value.as_deref()) {
        Ok(record) => {
            snapshot.apply(record, timestamp);
            true
        }
        Err(error) => {
            tracing::warn!(offset, %error, "record of the schemas topic is passed over");
            metrics::counter!("registry_records_skipped_total").increment(1);
            false
        }
    }
}
