//! The dataset topics into the search index.
//!
//! One thread owns the index writer. The sink hands it batches over a bounded channel and it commits each 500 ms or
//! 5,000 documents, with the positions of everything in the commit. What is not committed is read again after a crash.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::decode::{Refused, decode, last_of_each_key};
use crate::codec::avro::Decoder;
use crate::kafka::{TopicId, TopicPartition};
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::search::{IndexOp, IndexPosition, IndexWriter, SearchError, Searcher};
use crate::stage::{PositionDelta, Positions, Sink, SinkError, StageRecord, StoredPosition};

/// Batches that may wait for the writer.
const WAITING_BATCHES: usize = 4;

/// When the index commits.
#[derive(Clone, Copy, Debug)]
pub struct SearchSinkOptions {
    /// Longest time from a change to its commit.
    pub every: Duration,
    /// Most documents in a commit.
    pub documents: usize,
}

impl Default for SearchSinkOptions {
    fn default() -> Self {
        Self { every: Duration::from_millis(500), documents: 5_000 }
    }
}

type Ids = BTreeMap<TopicPartition, Option<TopicId>>;

enum Command {
    Batch(Vec<IndexOp>, Vec<IndexPosition>),
    /// Commit what there is and answer the positions that are committed, whether or not it worked.
    Sync(SyncSender<Vec<IndexPosition>>),
}

/// The next offsets that searches have seen, by partition: they follow the sink's own by one commit.
pub type VisiblePositions = Arc<Mutex<BTreeMap<TopicPartition, i64>>>;

/// Follows the dataset topics into an index.
pub struct SearchSink {
    commands: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
    decoder: Arc<Decoder>,
    searcher: Searcher,
    /// What the writer was given, committed or not.
    given: Positions,
    ids: Ids,
    failure: Arc<Mutex<Option<String>>>,
    failed: Arc<AtomicBool>,
    unwell: Arc<AtomicBool>,
    visible: VisiblePositions,
    refused: Refused,
}

impl SearchSink {
    /// Opens the index in `folder` and starts its writer.
    ///
    /// # Errors
    /// If the index cannot be opened or the thread cannot be started.
    pub fn open(folder: &Path, decoder: Arc<Decoder>, options: SearchSinkOptions) -> Result<Self, SearchError> {
        let writer = IndexWriter::open(folder)?;
        let searcher = writer.searcher();
        let failure = Arc::new(Mutex::new(None));
        let failed = Arc::new(AtomicBool::new(false));
        let unwell = Arc::new(AtomicBool::new(false));
        let visible = VisiblePositions::default();
        show(&visible, &writer);
        let (commands, received) = sync_channel(WAITING_BATCHES);
        let task = WriterTask {
            writer,
            options,
            positions: BTreeMap::new(),
            dirty_since: None,
            failure: Arc::clone(&failure),
            failed: Arc::clone(&failed),
            unwell: Arc::clone(&unwell),
            visible: Arc::clone(&visible),
        };
        let thread = std::thread::Builder::new()
            .name("search-writer".to_owned())
            .spawn(move || task.run(&received))
            .map_err(|source: io::Error| SearchError::Folder { path: folder.to_owned(), source })?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
            decoder,
            searcher,
            given: Positions::new(),
            ids: Ids::new(),
            failure,
            failed,
            unwell,
            visible,
            refused: Refused::default(),
        })
    }

    /// A searcher over what is committed.
    pub fn searcher(&self) -> Searcher {
        self.searcher.clone()
    }

    /// How far searches see, for those who wait for something to be found.
    pub fn visible(&self) -> VisiblePositions {
        Arc::clone(&self.visible)
    }

    fn send(&self, command: Command) -> Result<(), SinkError> {
        let sent = self.commands.as_ref().is_some_and(|commands| commands.send(command).is_ok());
        if sent { Ok(()) } else { Err(SinkError::Fatal("the search index writer has ended".into())) }
    }

    fn last_failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for SearchSink {
    /// Commits what was given and answers what is committed; forgets an earlier failure.
    fn positions(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError> {
        let (answer, answered) = sync_channel(1);
        self.send(Command::Sync(answer))?;
        let committed = answered.recv().map_err(|_| SinkError::Fatal("the search index writer has ended".into()))?;
        self.given = Positions::new();
        self.ids.clear();
        let mut found = BTreeMap::new();
        for position in committed {
            let key = TopicPartition::new(position.topic, position.partition);
            let topic_id = position.topic_id.and_then(|id| id.parse().ok());
            self.given.set(key.clone(), position.next_offset);
            self.ids.insert(key.clone(), topic_id);
            if partitions.contains(&key) {
                found.insert(key, StoredPosition { next: position.next_offset, topic_id });
            }
        }
        Ok(found)
    }

    fn write(&mut self, batch: &[StageRecord], delta: &PositionDelta) -> Result<(), SinkError> {
        if let Some(why) = self.lost() {
            return Err(SinkError::Transient(why.into()));
        }
        let mut ops = Vec::with_capacity(batch.len());
        let mut refused = Vec::new();
        for record in last_of_each_key(batch) {
            let decoded = decode(&self.decoder, record)?;
            match (decoded.topic, decoded.value) {
                (_, Ok(Some(CatalogRecord::Dataset(record)))) => ops.push(IndexOp::PutDataset(record)),
                (_, Ok(Some(CatalogRecord::DatasetStats(record)))) => ops.push(IndexOp::PutStats(record)),
                (CatalogTopic::Datasets, Ok(None)) => ops.push(IndexOp::RemoveDataset(decoded.key)),
                (CatalogTopic::DatasetStats, Ok(None)) => ops.push(IndexOp::RemoveStats(decoded.key)),
                (_, Ok(_)) => {}
                (_, Err(why)) => refused.push((record, why)),
            }
        }
        self.given.apply(delta)?;
        for (record, why) in refused {
            self.refused.note("search", &record.topic, (record.partition, record.offset), &why);
        }
        let positions = delta.iter().map(|(partition, span)| {
            let id = span.topic_id.or(self.ids.get(partition).copied().flatten());
            self.ids.insert(partition.clone(), id);
            IndexPosition {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                topic_id: id.map(|id| id.to_string()),
                next_offset: span.to,
            }
        });
        let positions = positions.collect();
        self.send(Command::Batch(ops, positions))
    }

    fn lost(&self) -> Option<String> {
        self.failed.load(Ordering::Acquire).then(|| self.last_failure().unwrap_or_default())
    }

    fn degraded(&self) -> Option<String> {
        if self.unwell.load(Ordering::Acquire) {
            return Some(format!(
                "the search index cannot be written: {}; it is tried again until it can",
                self.last_failure().unwrap_or_default()
            ));
        }
        self.refused.degraded()
    }
}

impl Drop for SearchSink {
    /// Ends the writer after a last commit.
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the writer was reported when it happened.
            let _ = thread.join();
        }
    }
}

struct WriterTask {
    writer: IndexWriter,
    options: SearchSinkOptions,
    /// Positions given since the last commit, on top of those it holds.
    positions: BTreeMap<(String, i32), IndexPosition>,
    dirty_since: Option<Instant>,
    failure: Arc<Mutex<Option<String>>>,
    /// The last commit failed, and the sink has not asked yet where to go on from.
    failed: Arc<AtomicBool>,
    /// No commit has succeeded since one failed.
    unwell: Arc<AtomicBool>,
    visible: VisiblePositions,
}

/// Publishes what `writer` has committed.
fn show(visible: &VisiblePositions, writer: &IndexWriter) {
    let committed = writer
        .positions()
        .iter()
        .map(|position| (TopicPartition::new(position.topic.as_str(), position.partition), position.next_offset));
    *visible.lock().unwrap_or_else(PoisonError::into_inner) = committed.collect();
}

impl WriterTask {
    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let wait = self
                .dirty_since
                .map_or(Duration::from_secs(3600), |since| self.options.every.saturating_sub(since.elapsed()));
            match commands.recv_timeout(wait) {
                Ok(Command::Batch(ops, positions)) => {
                    // After a failure nothing counts until the sink has asked where to go on from.
                    if !self.failed.load(Ordering::Acquire)
                        && let Err(error) = self.take(ops, positions)
                    {
                        self.fail(&error);
                    }
                }
                Ok(Command::Sync(answer)) => {
                    if !self.failed.load(Ordering::Acquire) {
                        self.commit();
                    }
                    self.failed.store(false, Ordering::Release);
                    // If nobody waits for the answer any more, nobody needs it.
                    let _ = answer.send(self.writer.positions().to_vec());
                }
                Err(RecvTimeoutError::Timeout) => self.commit(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.commit();
                    return;
                }
            }
        }
    }

    fn take(&mut self, ops: Vec<IndexOp>, positions: Vec<IndexPosition>) -> Result<(), SearchError> {
        for op in ops {
            self.writer.apply(op)?;
        }
        for position in positions {
            self.positions.insert((position.topic.clone(), position.partition), position);
        }
        let since = *self.dirty_since.get_or_insert_with(Instant::now);
        if self.writer.pending() >= self.options.documents || since.elapsed() >= self.options.every {
            self.commit();
        }
        Ok(())
    }

    fn commit(&mut self) {
        if self.dirty_since.take().is_none() {
            return;
        }
        let mut all: BTreeMap<(String, i32), IndexPosition> = self
            .writer
            .positions()
            .iter()
            .map(|position| ((position.topic.clone(), position.partition), position.clone()))
            .collect();
        all.append(&mut self.positions);
        match self.writer.commit(all.into_values().collect()) {
            Ok(()) => {
                self.unwell.store(false, Ordering::Release);
                show(&self.visible, &self.writer);
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &SearchError) {
        tracing::warn!(%error, "search index could not be written, reading again from its last commit");
        self.positions.clear();
        self.dirty_since = None;
        let message = match self.writer.rollback() {
            Ok(()) => error.to_string(),
            Err(second) => format!("{error}; and it could not be rolled back: {second}"),
        };
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
        self.unwell.store(true, Ordering::Release);
        self.failed.store(true, Ordering::Release);
    }
}
