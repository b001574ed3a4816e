//! The open transaction of a task: takes records in, commits or undoes them, and follows the assignment.
//!
//! It is driven by `transform_task`, and by rebalances, which arrive inside the consumer's poll on the same thread.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::failpoint;
use crate::kafka::{
    CommitError, GroupMetadata, OutgoingRecord, Ownership, RebalanceHandler, Record, TopicPartition,
    TransactionalProducer,
};
use crate::model::reject::{ReasonCode, Rejection};

use super::batch::BatchGauge;
use super::counters::Counters;
use super::dead_letter::dead_letter;
use super::fault::{Cause, Fault};
use super::outbox::Outbox;
use super::outputs::{FRAMING, Outputs};
use super::overlay::Overlay;
use super::restore::Restore;
use super::spec::StageSpec;
use super::transform::{KeyedTransform, Transform};

/// What is to be applied to each record.
pub(super) enum Logic {
    Pure(Box<dyn Transform>),
    Keyed(Box<dyn KeyedTransform>),
}

/// How far an assigned partition has come.
pub(super) enum Phase {
    /// Paused; its committed offset is not known yet.
    New,
    /// Paused; its state is being replayed.
    Restoring(Box<Restore>),
    /// Paused; to be sought to its committed offset and resumed.
    Ready,
    /// Records flow.
    Running,
}

/// An assigned partition.
pub(super) struct Partition {
    pub(super) phase: Phase,
    /// Next offset, committed. Meaningless while new.
    pub(super) committed: i64,
    /// Next offset to be taken in.
    next: i64,
    pub(super) overlay: Option<Overlay>,
}

/// What must be done about work that did not commit. Larger includes smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Undo {
    /// Nothing.
    Nothing,
    /// The transaction is known not to have committed: back to the committed offsets.
    Rewind,
    /// Nobody knows: a new producer, and everything known about positions is read again.
    Reset,
}

struct Open {
    group: GroupMetadata,
    since: Instant,
    touched: BTreeSet<TopicPartition>,
    batch: Counters,
}

/// Where poisoned records of an input go.
pub(super) struct InputRoute {
    pub(super) max_record_bytes: usize,
    pub(super) dead_letters: Arc<str>,
    pub(super) dead_letter_partitions: i32,
    pub(super) dead_letter_max_bytes: usize,
}

/// Everything of a task that a rebalance must reach.
pub(super) struct Core {
    pub(super) spec: StageSpec,
    logic: Logic,
    pub(super) producer: Option<TransactionalProducer>,
    pub(super) outputs: Outputs,
    outbox: Outbox,
    pub(super) inputs: HashMap<Arc<str>, InputRoute>,
    pub(super) changelog: Option<Arc<str>>,
    pub(super) partitions: BTreeMap<TopicPartition, Partition>,
    open: Option<Open>,
    pub(super) gauge: BatchGauge,
    pub(super) counters: Counters,
    pub(super) undo: Undo,
    pub(super) cause: Option<String>,
    pub(super) fault: Option<Fault>,
    pub(super) fenced: u32,
    pub(super) last_commit: Option<Instant>,
    /// By input topic: what is noted beside its offsets.
    pub(super) notes: HashMap<Arc<str>, String>,
}

impl Core {
    pub(super) fn new(spec: StageSpec, logic: Logic) -> Self {
        let gauge = BatchGauge::new(spec.batch);
        let changelog = matches!(logic, Logic::Keyed(_)).then(|| spec.changelog().into());
        Self {
            spec,
            logic,
            producer: None,
            outputs: Outputs::default(),
            outbox: Outbox::default(),
            inputs: HashMap::new(),
            changelog,
            partitions: BTreeMap::new(),
            open: None,
            gauge,
            counters: Counters::default(),
            undo: Undo::Nothing,
            cause: None,
            fault: None,
            fenced: 0,
            last_commit: None,
            notes: HashMap::new(),
        }
    }

    pub(super) fn is_keyed(&self) -> bool {
        matches!(self.logic, Logic::Keyed(_))
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether all assigned partitions run and nothing waits to be undone.
    pub(super) fn settled(&self) -> bool {
        let runs = |partition: &Partition| matches!(partition.phase, Phase::Running);
        self.producer.is_some() && self.undo == Undo::Nothing && self.partitions.values().all(runs)
    }

    /// Whether the open transaction should take in no more: by number or size of records, or because they have taken
    /// so long that the rest might not be done before the coordinator gives the transaction up.
    pub(super) fn is_full(&self) -> bool {
        let patience = self.spec.timeouts.transaction / 4;
        self.gauge.is_full() || self.open.as_ref().is_some_and(|open| open.since.elapsed() >= patience)
    }

    /// Begins a transaction if none is open. The generation is taken now: a rebalance before the commit then makes the
    /// coordinator refuse it.
    pub(super) fn ensure_open(&mut self, group: impl FnOnce() -> Result<GroupMetadata, Fault>) -> Result<bool, Fault> {
        if self.open.is_some() {
            return Ok(true);
        }
        if self.producer.is_none() {
            return Ok(false);
        }
        let group = group()?;
        failpoint::hit("stage.begin.before");
        let begun = match &mut self.producer {
            Some(producer) => producer.begin(),
            None => return Ok(false),
        };
        if let Err(error) = begun {
            self.fail(error);
            return Ok(false);
        }
        failpoint::hit("stage.begin.after");
        self.open = Some(Open { group, since: Instant::now(), touched: BTreeSet::new(), batch: Counters::default() });
        for partition in self.partitions.values_mut().filter(|p| matches!(p.phase, Phase::Running)) {
            if let Some(overlay) = &mut partition.overlay {
                overlay.begin()?;
            }
        }
        Ok(true)
    }

    /// Whether the record is one to be taken in: of a running partition and not below its position. Others are left
    /// over from before a seek; they come again, or their transaction has committed.
    pub(super) fn wants(&self, record: &Record, key: &TopicPartition) -> bool {
        let partition = self.partitions.get(key);
        let inside = self.spec.until.get(key).is_none_or(|end| record.offset < *end);
        inside && partition.is_some_and(|p| matches!(p.phase, Phase::Running) && record.offset >= p.next)
    }

    /// Applies a wanted record within the open transaction. A fault is never [`Fault::Poison`].
    pub(super) fn take(&mut self, record: &Record, key: TopicPartition) -> Result<(), Fault> {
        let (Some(open), Some(partition), Some(route)) =
            (self.open.as_mut(), self.partitions.get_mut(&key), self.inputs.get(&record.topic))
        else {
            return Err(Fault::fatal(format!("record of {key} arrived outside of a transaction or subscription")));
        };
        let size = record.size();
        self.outputs.clear();
        let applied = if size > route.max_record_bytes {
            Err(too_large(size, route.max_record_bytes).into())
        } else {
            // A transform remembers nothing that changes an answer, so it can be called again after it has panicked.
            let apply = AssertUnwindSafe(|| match (&mut self.logic, partition.overlay.as_mut()) {
                (Logic::Pure(transform), _) => transform.apply(record, &mut self.outputs),
                (Logic::Keyed(transform), Some(state)) => transform.apply(record, state, &mut self.outputs),
                (Logic::Keyed(_), None) => Err(Fault::fatal(format!("{key} runs without its state"))),
            });
            catch_unwind(apply).unwrap_or_else(|panic| Err(defect(&*panic).into()))
        };
        let applied = match self.outputs.take_fault() {
            Some(fault) if applied.is_ok() => Err(fault),
            _ => applied,
        };
        let applied = applied.and_then(|()| match &partition.overlay {
            Some(state) if state.largest_change() + FRAMING > self.spec.changelog_max_bytes => {
                Err(state_too_large(state.largest_change(), self.spec.changelog_max_bytes).into())
            }
            _ => Ok(()),
        });
        failpoint::hit("stage.apply.after");
        match applied {
            Ok(()) => {
                let changed = partition.overlay.as_mut().is_some_and(Overlay::accept_record);
                if changed || !self.outputs.records().is_empty() {
                    open.batch.output();
                } else {
                    open.batch.no_op(self.outputs.no_op_reason().unwrap_or("unchanged"));
                }
                open.batch.tally(self.outputs.tallies());
            }
            Err(Fault::Poison(rejection)) => {
                if let Some(overlay) = &mut partition.overlay {
                    overlay.reject_record();
                }
                self.outputs.clear();
                open.batch.dead_letter(rejection.code);
                let letter = dead_letter(
                    &self.spec.stage,
                    record,
                    &rejection,
                    &route.dead_letters,
                    route.dead_letter_partitions,
                    route.dead_letter_max_bytes,
                );
                self.outbox.add(letter, false);
            }
            Err(other) => return Err(other),
        }
        for (output, is_compacted) in self.outputs.take_records() {
            open.batch.produced += u64::from(self.outbox.add(output, is_compacted));
        }
        partition.next = record.offset + 1;
        open.touched.insert(key);
        self.gauge.add(size);
        if self.outbox.is_full() {
            self.hand_over_early();
        }
        Ok(())
    }

    /// Gives the producer what waits in the outbox, so that it is on its way before the commit waits for it.
    pub(super) fn hand_over_early(&mut self) {
        if let Err(error) = self.hand_over() {
            self.fail(error);
        }
    }

    /// Gives what waits in the outbox to the producer.
    fn hand_over(&mut self) -> Result<(), CommitError> {
        let Some(producer) = self.producer.as_mut() else { return Ok(()) };
        let waiting = self.outbox.take();
        if waiting.is_empty() {
            return Ok(());
        }
        failpoint::hit("stage.produce.before");
        for record in &waiting {
            producer.send(record)?;
        }
        failpoint::hit("stage.produce.after");
        Ok(())
    }

    /// Moves the next offsets past transaction markers, to where the consumer has read. Returns whether any moved
    /// beyond what is committed.
    pub(super) fn pass_markers(&mut self, positions: &BTreeMap<TopicPartition, i64>) -> bool {
        let mut moved = false;
        for (key, partition) in &mut self.partitions {
            if let (Phase::Running, Some(position)) = (&partition.phase, positions.get(key)) {
                let end = self.spec.until.get(key).copied().unwrap_or(i64::MAX);
                partition.next = partition.next.max((*position).min(end));
                moved |= partition.next > partition.committed;
            }
        }
        moved
    }

    /// Commits the open transaction. What goes wrong is left in `undo`, `fault` and `cause`.
    pub(super) fn commit(&mut self, timeout: Duration) {
        let Some(mut open) = self.open.take() else { return };
        let started = Instant::now();
        if let Err(fault) = self.flush(&mut open) {
            self.open = Some(open);
            self.need(Undo::Rewind, fault.to_string());
            self.fault = Some(fault).filter(|fault| !matches!(fault, Fault::Transient(_)));
            self.gauge.close(Instant::now());
            return;
        }
        match self.try_commit(&open, timeout) {
            Ok(offsets) => {
                metrics::histogram!("stage_commit_seconds", "stage" => self.spec.stage.clone())
                    .record(started.elapsed().as_secs_f64());
                self.committed(&open, &offsets);
            }
            Err(error) => {
                // Still open at the coordinator: the undoing aborts it.
                self.open = Some(open);
                self.fail(error);
            }
        }
        self.gauge.close(Instant::now());
    }

    /// Lets the transform end the batch in each partition that gave records to it.
    fn flush(&mut self, open: &mut Open) -> Result<(), Fault> {
        let Logic::Keyed(transform) = &mut self.logic else { return Ok(()) };
        for key in &open.touched {
            let Some(state) = self.partitions.get_mut(key).and_then(|partition| partition.overlay.as_mut()) else {
                continue;
            };
            self.outputs.clear();
            let flush = AssertUnwindSafe(|| transform.flush(key.partition, state, &mut self.outputs));
            let flushed = catch_unwind(flush).unwrap_or_else(|panic| Err(defect(&*panic).into()));
            flushed.and_then(|()| self.outputs.take_fault().map_or(Ok(()), Err)).map_err(|fault| match fault {
                // No record can be put aside for it.
                Fault::Poison(rejection) => Fault::fatal(format!("the batch of {key} cannot be ended: {rejection}")),
                other => other,
            })?;
            state.accept_record();
            for (output, is_compacted) in self.outputs.take_records() {
                open.batch.produced += u64::from(self.outbox.add(output, is_compacted));
            }
        }
        Ok(())
    }

    fn try_commit(&mut self, open: &Open, timeout: Duration) -> Result<BTreeMap<TopicPartition, i64>, CommitError> {
        self.hand_over()?;
        let Some(producer) = self.producer.as_mut() else { return Ok(BTreeMap::new()) };
        if let Some(changelog) = &self.changelog {
            for key in &open.touched {
                let Some(overlay) = self.partitions.get(key).and_then(|p| p.overlay.as_ref()) else { continue };
                for (state_key, value) in overlay.changes() {
                    let record =
                        OutgoingRecord::new(Arc::clone(changelog), Some(state_key.to_vec()), value.map(<[u8]>::to_vec));
                    producer.send(&record.to_partition(key.partition))?;
                }
            }
        }
        failpoint::hit("stage.changelog.after");
        let deadline = Instant::now() + timeout;
        producer.drain(timeout)?;
        failpoint::hit("stage.drain.after");
        let offsets: BTreeMap<TopicPartition, i64> = self
            .partitions
            .iter()
            .filter(|(key, p)| {
                matches!(p.phase, Phase::Running) && (open.touched.contains(*key) || p.next > p.committed)
            })
            .map(|(key, p)| (key.clone(), p.next))
            .collect();
        failpoint::hit("stage.send_offsets.before");
        let note = |key: &TopicPartition| self.notes.get(&key.topic).map_or("", String::as_str);
        producer.send_offsets(&offsets, note, &open.group, left(deadline))?;
        failpoint::hit("stage.send_offsets.after");
        failpoint::hit("stage.commit.before");
        producer.commit(left(deadline))?;
        failpoint::hit("stage.commit.after");
        Ok(offsets)
    }

    fn committed(&mut self, open: &Open, offsets: &BTreeMap<TopicPartition, i64>) {
        self.counters.commit(&self.spec.stage, &open.batch);
        self.last_commit = Some(Instant::now());
        self.cause = None;
        self.fenced = 0;
        let delivered = self.producer.as_ref().map(TransactionalProducer::delivered).unwrap_or_default();
        failpoint::hit("stage.store.before");
        let mut failure: Option<Cause> = None;
        for (key, next) in offsets {
            let Some(partition) = self.partitions.get_mut(key) else { continue };
            partition.committed = *next;
            let Some(overlay) = partition.overlay.as_mut().filter(|overlay| overlay.is_dirty()) else { continue };
            let written = match delivered.get(&key.partition) {
                Some(offset) => overlay.commit(*offset).map_err(Cause::from),
                None => Err(format!("the changelog records of {key} were committed without a delivery report").into()),
            };
            if let Err(error) = written {
                failure = Some(error);
            }
        }
        failpoint::hit("stage.store.after");
        if let Some(error) = failure {
            // The transaction stands; the store is behind and is brought up from the changelog.
            self.need(Undo::Reset, format!("local store was not written: {error}"));
        }
    }

    /// Notes what must happen after a failed step of a transaction.
    fn fail(&mut self, error: CommitError) {
        let text = describe(&error);
        match error {
            CommitError::Abort(_) => self.need(Undo::Rewind, text),
            CommitError::Unknown(_) => self.need(Undo::Reset, text),
            CommitError::Fenced(cause) => {
                // The coordinator also fences a producer whose transaction timed out. Whether a second process has
                // taken over is for the group to say: it fences this member, by the same id.
                self.fenced += 1;
                if self.fenced >= 3 {
                    self.fault = Some(Fault::Fatal(cause.into()));
                }
                self.need(Undo::Reset, text);
            }
            CommitError::Fatal(cause) => {
                // A new producer recovers from what an old one cannot; what is wrong for good fails there again.
                self.fenced += 1;
                if self.fenced >= 3 {
                    self.fault = Some(Fault::Fatal(cause.into()));
                }
                self.need(Undo::Reset, text);
            }
        }
    }

    /// Asks for at least `undo`.
    pub(super) fn need(&mut self, undo: Undo, cause: String) {
        if self.undo < undo {
            self.undo = undo;
        }
        self.cause = Some(cause);
    }

    /// Ends the open transaction without a trace and forgets what it changed. May raise `undo` to a reset.
    pub(super) fn abandon(&mut self, timeout: Duration) {
        if self.open.take().is_some() {
            self.counters.aborts += 1;
            metrics::counter!("stage_aborts_total", "stage" => self.spec.stage.clone()).increment(1);
            if self.undo < Undo::Reset
                && let Some(producer) = &mut self.producer
                && let Err(error) = producer.abort(timeout)
            {
                self.need(Undo::Reset, describe(&error));
            }
        }
        self.gauge.close(Instant::now());
        self.outbox.take();
        for partition in self.partitions.values_mut() {
            partition.next = partition.committed;
            if let Some(overlay) = &mut partition.overlay {
                overlay.drop_changes();
            }
        }
    }

    /// Sets a partition's committed offset, read from Kafka, and its phase.
    pub(super) fn place(&mut self, key: &TopicPartition, committed: i64, phase: Phase) {
        if let Some(partition) = self.partitions.get_mut(key) {
            partition.committed = committed;
            partition.next = committed;
            partition.phase = phase;
        }
    }
}

impl RebalanceHandler for Arc<std::sync::Mutex<Core>> {
    fn assigned(&mut self, partitions: &[TopicPartition]) {
        let mut core = self.lock().expect("no holder of this lock panics");
        tracing::info!(stage = core.spec.stage, partitions = partitions.len(), "assigned");
        for key in partitions {
            let new = Partition { phase: Phase::New, committed: 0, next: 0, overlay: None };
            core.partitions.insert(key.clone(), new);
        }
    }

    fn revoked(&mut self, partitions: &[TopicPartition], ownership: Ownership) {
        let mut core = self.lock().expect("no holder of this lock panics");
        tracing::info!(stage = core.spec.stage, partitions = partitions.len(), ?ownership, "revoked");
        failpoint::hit("stage.revoke.before");
        let timeout = core.spec.timeouts.revoke;
        if core.is_open() && ownership == Ownership::Held && core.undo == Undo::Nothing {
            core.commit(timeout);
        }
        if core.is_open() {
            core.need(Undo::Rewind, "partitions were revoked before the transaction could commit".into());
            core.abandon(timeout);
        }
        for key in partitions {
            core.partitions.remove(key);
        }
        failpoint::hit("stage.revoke.after");
    }
}

fn too_large(size: usize, limit: usize) -> Rejection {
    let message = format!("the record has {size} bytes, the limit of its topic is {limit}; raise the limit and replay");
    Rejection::new(ReasonCode::LimitExceeded, "", message)
}

/// A record over which the transform panicked: it would do so again, and hold up all that come after it.
fn defect(panic: &(dyn Any + Send)) -> Rejection {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let message =
        format!("the stage panicked over it: {}; report it, and replay it after the repair", said.unwrap_or("?"));
    Rejection::new(ReasonCode::Defect, "", message)
}

/// A changelog record over its topic's limit would keep the transaction from ever committing.
fn state_too_large(size: usize, limit: usize) -> Rejection {
    let message = format!(
        "what is kept of its entity would have {size} bytes with it, the changelog's limit is {limit}; entities that \
         say so much are not supported"
    );
    Rejection::new(ReasonCode::LimitExceeded, "", message)
}

fn describe(error: &CommitError) -> String {
    format!("{error}: {}", error.error())
}

/// What is left until `deadline`, at least a millisecond: zero means for ever to some calls, and fails in others.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
