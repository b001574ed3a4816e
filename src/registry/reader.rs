//! The thread that follows the topic, applies its records and publishes snapshots.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::format::{self, Record};
use super::log::{KeyValue, LogError, LogReader, LogRecord, SchemaLog, reason};
use super::snapshot::Snapshot;
use super::spellings::Spellings;

/// How long one poll waits; also how long a shutdown may take to be seen.
const POLL: Duration = Duration::from_millis(100);
/// Records in one poll after which more are taken to be waiting.
const BULK: usize = 500;
/// Most records that are applied before the snapshot is published.
const MOST_UNPUBLISHED: usize = 50_000;
/// Pause before the topic is opened again after an error.
const REOPEN: Duration = Duration::from_secs(1);

/// What the reader thread shares with everybody else.
pub(super) struct Published {
    snapshot: ArcSwap<Snapshot>,
    progress: Mutex<Progress>,
    moved: Condvar,
    spellings: Mutex<Spellings>,
}

#[derive(Default)]
struct Progress {
    /// Every committed record below this offset is in the published snapshot.
    position: i64,
    trail: Trail,
    skipped: u64,
    closed: bool,
}

/// Who wrote last, and what has been committed since that node began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trail {
    /// URL in the newest record; none where that one's writer has not told.
    writer: Option<Arc<str>>,
    /// Offset of the newest log-end mark with a URL. Whoever wrote it had put right everything before.
    pub(super) mark: i64,
    /// Offsets of the committed records from the mark on, as runs without a gap.
    runs: Vec<Range<i64>>,
}

impl Trail {
    /// Whether the record at an offset from the mark on is committed.
    pub(super) fn has(&self, offset: i64) -> bool {
        let after = self.runs.partition_point(|run| run.start <= offset);
        after.checked_sub(1).and_then(|at| self.runs.get(at)).is_some_and(|run| run.contains(&offset))
    }

    fn pass(&mut self, step: &Step) {
        if self.writer.as_deref() != step.writer.as_deref() {
            self.writer = step.writer.as_deref().map(Arc::from);
        }
        if step.is_mark {
            self.mark = step.offset;
            self.runs.clear();
        }
        match self.runs.last_mut() {
            Some(run) if run.end == step.offset => run.end += 1,
            _ => self.runs.push(step.offset..step.offset + 1),
        }
    }
}

/// What the trail keeps of a record.
struct Step {
    offset: i64,
    writer: Option<String>,
    is_mark: bool,
}

/// Steps that the published trail does not have yet.
struct Steps {
    taken: Vec<Step>,
    from_the_start: bool,
}

impl Published {
    pub(super) fn new() -> Self {
        Self {
            snapshot: ArcSwap::default(),
            progress: Mutex::default(),
            moved: Condvar::new(),
            spellings: Mutex::default(),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest snapshot.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Waits until everything below `offset` is in the snapshot.
    pub(super) fn wait_for(&self, offset: i64, deadline: Instant) -> Result<Arc<Snapshot>, LogError> {
        let mut progress = self.progress();
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
        self.progress().skipped
    }

    /// How many runs of committed records there are since the newest mark.
    pub(super) fn runs(&self) -> usize {
        self.progress().trail.runs.len()
    }

    /// What is known of the writers of the topic.
    pub(super) fn trail(&self) -> Trail {
        self.progress().trail.clone()
    }

    /// URL of the node that wrote last, and the newest mark, which is that node's.
    pub(super) fn last_writer(&self) -> Option<(Arc<str>, i64)> {
        let progress = self.progress();
        progress.trail.writer.clone().map(|writer| (writer, progress.trail.mark))
    }

    /// Whether the last offset that was read is a record, not a mark of the broker's or an aborted one.
    pub(super) fn ends_with_a_record(&self) -> bool {
        let progress = self.progress();
        progress.trail.runs.last().map_or(0, |run| run.end) == progress.position
    }

    /// A record to write, and what else goes with it for keys that others spell otherwise.
    pub(super) fn everywhere(&self, record: KeyValue) -> Vec<KeyValue> {
        self.spellings.lock().unwrap_or_else(PoisonError::into_inner).everywhere(record)
    }

    pub(super) fn close(&self) {
        self.progress().closed = true;
        self.moved.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.progress().closed
    }

    fn publish(&self, snapshot: &Snapshot, position: i64, steps: &mut Steps, skipped: u64) {
        // The snapshot first: who sees the position must find its records.
        self.snapshot.store(Arc::new(snapshot.clone()));
        metrics::gauge!("registry_schemas").set(snapshot.schema_count() as f64);
        let mut progress = self.progress();
        if std::mem::take(&mut steps.from_the_start) {
            progress.trail = Trail::default();
        }
        steps.taken.drain(..).for_each(|step| progress.trail.pass(&step));
        drop(progress);
        self.advance(position, skipped);
    }

    fn advance(&self, position: i64, skipped: u64) {
        let mut progress = self.progress();
        if progress.position != position {
            progress.position = position;
            progress.skipped = skipped;
            self.moved.notify_all();
        }
    }

    pub(super) fn position(&self) -> i64 {
        self.progress().position
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
    let mut steps = Steps { taken: Vec::new(), from_the_start: true };
    // While an earlier life's state is rebuilt, the old snapshot stays in place.
    let known = published.position();
    while !published.is_closed() {
        let records = reader.poll(POLL)?;
        let taken = records.len();
        for mut record in records {
            let (offset, writer) = (record.offset, record.writer.take());
            let applied = apply(&mut snapshot, &published.spellings, record);
            skipped += u64::from(applied == Applied::Skipped);
            let is_mark = applied == Applied::Mark && writer.is_some();
            steps.taken.push(Step { offset, writer, is_mark });
        }
        let position = reader.position();
        // Each snapshot that is out makes the next change copy: while many records are waiting, few are published.
        let is_filling = taken >= BULK && steps.taken.len() < MOST_UNPUBLISHED;
        match (position < known || is_filling, steps.taken.is_empty()) {
            (true, _) => {}
            (false, false) => published.publish(&snapshot, position, &mut steps, skipped),
            (false, true) => published.advance(position, skipped),
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applied {
    Taken,
    /// A log-end mark.
    Mark,
    /// It could not be read.
    Skipped,
}

fn apply(snapshot: &mut Snapshot, spellings: &Mutex<Spellings>, record: LogRecord) -> Applied {
    let LogRecord { offset, timestamp, key, value, .. } = record;
    let key = key.unwrap_or_default();
    match format::decode(&key, value.as_deref()) {
        Ok(record) => {
            spellings.lock().unwrap_or_else(PoisonError::into_inner).see(&key, &record, value.is_none());
            let is_mark = record == Record::Noop;
            if snapshot.apply(record, timestamp) {
                return if is_mark { Applied::Mark } else { Applied::Taken };
            }
        }
        Err(error) => tracing::warn!(offset, %error, "record of the schemas topic is passed over"),
    }
    metrics::counter!("registry_records_skipped_total").increment(1);
    Applied::Skipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_knows_what_is_committed_since_the_last_mark() {
        let mut trail = Trail::default();
        let mut pass = |offset, writer: Option<&str>, is_mark| {
            trail.pass(&Step { offset, writer: writer.map(str::to_owned), is_mark });
            trail.clone()
        };
        pass(0, None, false);
        let before = pass(1, Some("http://a"), false);
        assert_eq!((before.mark, before.runs.len(), before.has(1), before.has(2)), (0, 1, true, false));
        pass(5, Some("http://a"), false);
        let marked = pass(7, Some("http://b"), true);
        assert_eq!((marked.mark, marked.writer.as_deref()), (7, Some("http://b")));
        pass(8, Some("http://b"), false);
        let after = pass(11, None, false);
        let has: Vec<i64> = (7..13).filter(|offset| after.has(*offset)).collect();
        assert_eq!(has, [7, 8, 11]);
        assert_eq!(after.writer, None, "another registry's record tells no writer");
    }
}
