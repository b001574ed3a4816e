//! The open batch of a sink: collects records, writes them with their delta, notices who else wrote.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::failpoint;
use crate::kafka::{Ownership, RebalanceHandler, Record, TopicId, TopicPartition};

use super::StageRecord;
use super::batch::BatchGauge;
use super::counters::Counters;
use super::fault::Fault;
use super::position::{PositionDelta, PositionError, Span, Start};
use super::sink::{Sink, SinkError, StoredPosition};

/// An assigned partition of a sink.
#[derive(Clone, Copy, Debug)]
pub(super) struct Followed {
    /// Whether records flow; else it waits for its position.
    pub(super) running: bool,
    /// Stored position.
    pub(super) stored: i64,
    start: Start,
    next: i64,
    topic_id: Option<TopicId>,
    /// The start of the last batch that met a conflict in it.
    conflict_at: Option<i64>,
}

/// Everything of a sink task that a rebalance must reach.
pub(super) struct SinkCore {
    name: String,
    sink: Box<dyn Sink>,
    pub(super) partitions: BTreeMap<TopicPartition, Followed>,
    batch: Vec<StageRecord>,
    pub(super) gauge: BatchGauge,
    pub(super) counters: Counters,
    /// The batch was undone: positions must be read again. With the reason.
    pub(super) undo: Option<String>,
    pub(super) fault: Option<Fault>,
    pub(super) last_commit: Option<Instant>,
}

impl SinkCore {
    pub(super) fn new(name: String, sink: Box<dyn Sink>, gauge: BatchGauge) -> Self {
        Self {
            name,
            sink,
            partitions: BTreeMap::new(),
            batch: Vec::new(),
            gauge,
            counters: Counters::default(),
            undo: None,
            fault: None,
            last_commit: None,
        }
    }

    /// Reads stored positions.
    pub(super) fn stored(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, StoredPosition>, Fault> {
        self.sink.positions(partitions).map_err(|error| match error {
            SinkError::Transient(cause) => Fault::Transient(cause),
            other => Fault::Fatal(other.into()),
        })
    }

    /// Adds a partition that waits for its position.
    pub(super) fn add(&mut self, key: &TopicPartition) {
        let new =
            Followed { running: false, stored: 0, start: Start::Stored, next: 0, topic_id: None, conflict_at: None };
        self.partitions.entry(key.clone()).or_insert(new);
    }

    /// Sets where a partition goes on from.
    pub(super) fn place(&mut self, key: &TopicPartition, next: i64, start: Start, topic_id: Option<TopicId>) {
        if let Some(followed) = self.partitions.get_mut(key) {
            let conflict_at = followed.conflict_at;
            *followed = Followed { running: true, stored: next, start, next, topic_id, conflict_at };
        }
    }

    /// Takes a record into the batch, if it is one of a running partition at or after its position.
    pub(super) fn take(&mut self, record: Record) {
        let Some(followed) = self.partitions.get_mut(&record.topic_partition()) else { return };
        if !followed.running || record.offset < followed.next || self.undo.is_some() {
            // Left over from before a seek: it comes again, or has been written.
            return;
        }
        failpoint::hit("sink.poll.after");
        followed.next = record.offset + 1;
        self.gauge.add(record.size());
        self.batch.push(record);
    }

    /// Moves positions past transaction markers; returns whether anything is beyond what is stored.
    pub(super) fn pass_markers(&mut self, positions: &BTreeMap<TopicPartition, i64>) -> bool {
        let mut moved = false;
        for (key, followed) in &mut self.partitions {
            if let (true, Some(position)) = (followed.running, positions.get(key)) {
                followed.next = followed.next.max(*position);
            }
            moved |= followed.running && followed.next > followed.stored;
        }
        moved
    }

    /// Writes the batch and moves the positions, both or neither. What goes wrong is left in `undo` and `fault`.
    pub(super) fn write(&mut self) {
        let mut delta = PositionDelta::new();
        for (key, followed) in self.partitions.iter().filter(|(_, f)| f.running && f.next > f.stored) {
            let span =
                Span { from: followed.stored, to: followed.next, start: followed.start, topic_id: followed.topic_id };
            if let Err(error) = delta.extend(key.clone(), span) {
                self.fault = Some(Fault::Fatal(error.into()));
                return;
            }
        }
        if delta.is_empty() {
            return;
        }
        let started = Instant::now();
        failpoint::hit("sink.write.before");
        let outcome = self.sink.write(&self.batch, &delta);
        failpoint::hit("sink.write.after");
        match outcome {
            Ok(()) => {
                metrics::histogram!("sink_write_seconds", "sink" => self.name.clone())
                    .record(started.elapsed().as_secs_f64());
                let records = self.batch.len() as u64;
                let counted = Counters { records, outputs: records, ..Counters::default() };
                self.counters.commit(&self.name, &counted);
                for (key, span) in delta.iter() {
                    if let Some(followed) = self.partitions.get_mut(key) {
                        followed.stored = span.to;
                        followed.start = Start::Stored;
                        followed.conflict_at = None;
                    }
                }
                self.last_commit = Some(Instant::now());
                self.batch.clear();
            }
            Err(SinkError::Conflict(error)) => self.conflict(&delta, &error),
            Err(SinkError::Transient(cause)) => self.undo = Some(cause.to_string()),
            Err(SinkError::Fatal(cause)) => self.fault = Some(Fault::Fatal(cause)),
        }
        self.gauge.close(Instant::now());
    }

    /// Somebody else wrote. Reading the positions again heals a write whose outcome was unknown, and the last writes of a
    /// process whose place this one takes; meeting the same conflict twice at the same start of a partition means that two
    /// writers are at work. The others of a batch stand where they stood, and say nothing.
    fn conflict(&mut self, delta: &PositionDelta, error: &PositionError) {
        let key = error.partition();
        let met = self.partitions.get_mut(key).zip(delta.get(key));
        if let Some((followed, Span { from, .. })) = met {
            if followed.conflict_at == Some(*from) {
                self.fault = Some(Fault::fatal(format!(
                    "sink {}: {error}, twice at the same start {from} of {key}: another writer stores positions of this \
                     sink; stop it, or give this one its own name",
                    self.name
                )));
            }
            followed.conflict_at = Some(*from);
        }
        self.undo = Some(error.to_string());
    }

    /// Drops the batch; all partitions wait for their positions again.
    pub(super) fn abandon(&mut self) -> Vec<TopicPartition> {
        if !self.batch.is_empty() {
            self.counters.aborts += 1;
            metrics::counter!("stage_aborts_total", "stage" => self.name.clone()).increment(1);
        }
        self.batch.clear();
        self.gauge.close(Instant::now());
        let running = self.partitions.iter_mut().filter(|(_, f)| f.running);
        running
            .map(|(key, followed)| {
                followed.running = false;
                key.clone()
            })
            .collect()
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Asks for an undoing if the sink has lost what it took; not again while its partitions wait to be read again.
    pub(super) fn look_for_loss(&mut self) {
        if self.undo.is_none() && self.partitions.values().any(|followed| followed.running) {
            self.undo = self.sink.lost();
        }
    }

    /// Partitions whose records flow.
    pub(super) fn running(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.iter().filter(|(_, followed)| followed.running).map(|(key, _)| key)
    }

    /// Whether the sink stands where its running partitions have left it; otherwise asks for an undoing. A sink that
    /// writes later may tell of a loss by its positions alone.
    pub(super) fn agrees(&mut self, stored: &BTreeMap<TopicPartition, StoredPosition>) -> bool {
        let differs = |(key, followed): (&TopicPartition, &Followed)| match stored.get(key) {
            Some(position) => position.next != followed.stored,
            None => followed.start == Start::Stored,
        };
        let lost = self.partitions.iter().filter(|(_, followed)| followed.running).any(differs);
        if lost {
            self.undo = Some("the sink does not stand where it was left".to_owned());
        }
        !lost
    }

    /// What the sink says about itself.
    pub(super) fn degraded(&self) -> Option<String> {
        self.sink.degraded()
    }

    /// Removes partitions with what the batch holds of them.
    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) {
        for key in partitions {
            self.partitions.remove(key);
        }
        let remaining = &self.partitions;
        self.batch.retain(|record| remaining.contains_key(&record.topic_partition()));
        self.sink.revoked(partitions);
    }

    /// How long the open batch may wait.
    pub(super) fn patience(&self) -> Duration {
        self.gauge.patience(Instant::now())
    }
}

impl RebalanceHandler for Arc<Mutex<SinkCore>> {
    fn assigned(&mut self, partitions: &[TopicPartition]) {
        let mut core = self.lock().expect("no holder of this lock panics");
        tracing::info!(sink = core.name, partitions = partitions.len(), "assigned");
        partitions.iter().for_each(|key| core.add(key));
    }

    fn revoked(&mut self, partitions: &[TopicPartition], ownership: Ownership) {
        let mut core = self.lock().expect("no holder of this lock panics");
        tracing::info!(sink = core.name, partitions = partitions.len(), ?ownership, "revoked");
        // Even a late write is safe: it moves the position by compare-and-set. But it may take long.
        if ownership == Ownership::Held && core.undo.is_none() && core.fault.is_none() && !core.is_empty() {
            core.write();
        }
        core.remove(partitions);
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::BatchLimits;
    use super::*;

    /// Takes everything and has lost it.
    struct Losing;

    impl Sink for Losing {
        fn positions(&mut self, _: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError> {
            Ok(BTreeMap::new())
        }

        fn write(&mut self, _: &[StageRecord], _: &PositionDelta) -> Result<(), SinkError> {
            Ok(())
        }

        fn lost(&self) -> Option<String> {
            Some("a batch is lost".to_owned())
        }
    }

    fn core() -> (SinkCore, TopicPartition) {
        let mut core = SinkCore::new("losing".to_owned(), Box::new(Losing), BatchGauge::new(BatchLimits::default()));
        let key = TopicPartition::new("t", 0);
        core.add(&key);
        (core, key)
    }

    #[test]
    fn a_loss_is_told_of_what_flows_alone() {
        let (mut core, key) = core();
        core.look_for_loss();
        assert_eq!(core.undo, None, "it waits to be read again");
        core.place(&key, 5, Start::Stored, None);
        core.look_for_loss();
        assert_eq!(core.undo.as_deref(), Some("a batch is lost"));
    }

    /// Meets another writer in these partitions, one with each write.
    struct Contested(Vec<i32>);

    impl Sink for Contested {
        fn positions(&mut self, _: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError> {
            Ok(BTreeMap::new())
        }

        fn write(&mut self, _: &[StageRecord], _: &PositionDelta) -> Result<(), SinkError> {
            let partition = TopicPartition::new("t", self.0.remove(0));
            Err(SinkError::Conflict(PositionError::Fenced { partition, expected: Some(5), found: Some(6) }))
        }
    }

    /// A process that takes the place of one that still writes meets it in one partition after the other.
    #[test]
    fn conflicts_count_for_the_partition_that_they_were_met_in() {
        let contested = Contested(vec![0, 1, 1]);
        let mut core =
            SinkCore::new("contested".to_owned(), Box::new(contested), BatchGauge::new(BatchLimits::default()));
        let keys = [0, 1].map(|partition| TopicPartition::new("t", partition));
        let mut write = |starts: [i64; 2]| {
            for (key, start) in keys.iter().zip(starts) {
                core.add(key);
                core.place(key, start, Start::Stored, None);
            }
            core.pass_markers(&keys.iter().map(|key| (key.clone(), 9)).collect());
            core.write();
            core.abandon();
            (core.undo.take().is_some(), core.fault.is_some())
        };
        assert_eq!(write([5, 5]), (true, false), "partition 0 is not where it was read");
        assert_eq!(write([6, 5]), (true, false), "nor is partition 1, which had no part in the first one");
        assert_eq!(write([6, 5]), (true, true), "which was said before, and has not moved");
    }

    #[test]
    fn positions_tell_of_a_loss() {
        let stored = |next| StoredPosition { next, topic_id: None };
        let (mut core, key) = core();
        core.place(&key, 5, Start::Stored, None);
        assert!(core.agrees(&BTreeMap::from([(key.clone(), stored(5))])));
        assert_eq!(core.undo, None);
        for positions in [BTreeMap::from([(key.clone(), stored(4))]), BTreeMap::new()] {
            assert!(!core.agrees(&positions));
            assert!(core.undo.take().is_some());
        }
        core.place(&key, 0, Start::Fresh, None);
        assert!(core.agrees(&BTreeMap::new()), "nothing has been written yet");
    }
}
