//! Drives a transform: assignment, polling, cadence of commits, undoing and shutdown.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::failpoint;
use crate::kafka::{
    Admin, Class, ConsumerEvent, GroupConsumer, GroupOptions, Isolation, KafkaConfig, KafkaError, Record, TopicId,
    TopicPartition, TransactionalProducer, topic_ids,
};

use super::batch::BatchGauge;
use super::fault::Fault;
use super::note::OffsetNote;
use super::restore::{ChangelogKnown, Restore, state_lost};
use super::routes::routes;
use super::spec::{InputTopic, StageSpec};
use super::task::{Backoff, Shared, StopToken, TaskHandle, TaskState};
use super::transaction::{Core, Logic, Phase, Undo};
use super::transform::{KeyedTransform, Transform};

/// No call between two polls may take longer.
const SLICE: Duration = Duration::from_secs(1);
/// How often positions of idle partitions, the status and the stores are looked after.
const TICK: Duration = Duration::from_secs(1);

type SharedCore = Arc<Mutex<Core>>;
type Consumer = GroupConsumer<SharedCore>;

/// Starts a task of a stateless stage.
pub fn spawn_transform(
    kafka: &KafkaConfig,
    spec: StageSpec,
    transform: Box<dyn Transform>,
    stop: StopToken,
) -> io::Result<TaskHandle> {
    spawn(kafka, spec, Logic::Pure(transform), stop)
}

/// Starts a task of a stage with state; it reads one topic, whose partitions its changelog shares.
pub fn spawn_keyed(
    kafka: &KafkaConfig,
    spec: StageSpec,
    transform: Box<dyn KeyedTransform>,
    stop: StopToken,
) -> io::Result<TaskHandle> {
    spawn(kafka, spec, Logic::Keyed(transform), stop)
}

fn spawn(kafka: &KafkaConfig, spec: StageSpec, logic: Logic, stop: StopToken) -> io::Result<TaskHandle> {
    let kafka = kafka.clone();
    TaskHandle::spawn(&spec.stage.clone(), spec.id(), stop, move |shared, stop| {
        let core = Arc::new(Mutex::new(Core::new(spec, logic)));
        let mut backoff = Backoff::new();
        loop {
            let session = Session::start(&kafka, &core, shared).and_then(|session| session.run(stop, &mut backoff));
            let mut ended = lock(&core);
            ended.partitions.clear();
            ended.producer = None;
            drop(ended);
            match session {
                Err(Fault::Transient(cause)) if !stop.is_stopped() => {
                    shared.update(|status| status.state = TaskState::Degraded(cause.to_string()));
                    tracing::warn!(%cause, "task starts again");
                    let until = Instant::now() + backoff.next();
                    while Instant::now() < until && !stop.is_stopped() {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
                Err(Fault::Transient(_)) => return Ok(()),
                other => return other,
            }
        }
    })
}

fn lock(core: &SharedCore) -> MutexGuard<'_, Core> {
    core.lock().expect("no holder of this lock panics")
}

/// One membership in the group, from joining to leaving.
struct Session<'a> {
    kafka: KafkaConfig,
    spec: StageSpec,
    admin: Arc<Admin>,
    consumer: Consumer,
    core: SharedCore,
    shared: &'a Shared,
    /// No attempt before this.
    retry_at: Instant,
    next_tick: Instant,
    /// The last poll brought nothing.
    drained: bool,
    /// The consumer has told of trouble, and nothing has shown since that it is over.
    unwell: bool,
    /// Ids of the input topics and of the changelog, where they can be told.
    ids: BTreeMap<String, TopicId>,
    /// For each table, the ends that it must have reached before assigned partitions run.
    table_ends: Vec<BTreeMap<TopicPartition, i64>>,
}

impl<'a> Session<'a> {
    fn start(kafka: &KafkaConfig, core: &SharedCore, shared: &'a Shared) -> Result<Self, Fault> {
        let admin = Arc::new(Admin::new(kafka)?);
        let mut guard = lock(core);
        let spec = guard.spec.clone();
        let keyed = guard.is_keyed();
        let routes = routes(&admin, &spec, keyed)?;
        let changelog = spec.changelog();
        let mut named: Vec<&str> = spec.inputs.iter().map(|input| input.name.as_str()).collect();
        if keyed {
            named.push(&changelog);
        }
        let ids = topic_ids(kafka, &named)?;
        guard.notes = spec
            .inputs
            .iter()
            .map(|input| {
                let note = OffsetNote { topic: ids.get(&input.name).copied(), changelog: ids.get(&changelog).copied() };
                (input.name.as_str().into(), note.to_string())
            })
            .collect();
        guard.outputs = routes.outputs;
        guard.inputs = routes.inputs;
        guard.undo = Undo::Nothing;
        guard.gauge = BatchGauge::new(spec.batch);
        drop(guard);
        let largest = |input: &InputTopic| input.max_record_bytes.max(input.dead_letters.max_record_bytes);
        let options = GroupOptions {
            group: spec.group(),
            instance: spec.id(),
            session_timeout: spec.timeouts.session,
            // What is larger can be neither taken in nor put aside whole.
            largest_value: spec.inputs.iter().map(largest).max().unwrap_or(usize::MAX),
        };
        let consumer = GroupConsumer::new(kafka, &options, Arc::clone(core))?;
        let topics: Vec<&str> = spec.inputs.iter().map(|input| input.name.as_str()).collect();
        consumer.subscribe(&topics)?;
        let now = Instant::now();
        let core = Arc::clone(core);
        Ok(Self {
            kafka: kafka.clone(),
            spec,
            admin,
            consumer,
            core,
            shared,
            retry_at: now,
            next_tick: now,
            drained: false,
            unwell: false,
            ids,
            table_ends: Vec::new(),
        })
    }

    fn run(mut self, stop: &StopToken, backoff: &mut Backoff) -> Result<(), Fault> {
        loop {
            self.settle(backoff)?;
            if stop.is_stopped() {
                return self.finish();
            }
            self.advance(backoff)?;
            if self.drained {
                self.commit_if_patient()?;
            }
            let timeout = self.poll_timeout();
            match self.consumer.poll(timeout) {
                Ok(ConsumerEvent::Record(record)) => {
                    self.drained = false;
                    self.take(&record)?;
                }
                Ok(ConsumerEvent::EndOfPartition | ConsumerEvent::Nothing) => self.drained = true,
                Err(error) if error.is_transient() => {
                    self.drained = true;
                    self.unwell = true;
                    self.shared.update(|status| status.state = TaskState::Degraded(error.to_string()));
                }
                Err(error) if error.class == Class::Fenced && self.consumer.fenced_by_itself() => {
                    return Err(Fault::Transient(error.into()));
                }
                Err(error) => return Err(self.explain(error)),
            }
            if Instant::now() >= self.next_tick {
                self.tick()?;
            }
        }
    }

    /// Ends in order: what is taken in is committed, the rest stays for the next process.
    fn finish(self) -> Result<(), Fault> {
        let positions = self.consumer.positions().unwrap_or_default();
        let mut core = lock(&self.core);
        let timeout = self.spec.timeouts.drain.min(self.spec.timeouts.transaction);
        if core.is_open() {
            core.pass_markers(&positions);
            core.commit(timeout);
        }
        if core.is_open() {
            core.abandon(timeout);
        }
        core.partitions.clear();
        drop(core);
        self.publish();
        Ok(())
    }

    /// Deals with what a poll, a commit or a rebalance left behind.
    fn settle(&mut self, backoff: &mut Backoff) -> Result<(), Fault> {
        let mut core = lock(&self.core);
        if let Some(fault) = core.fault.take() {
            return Err(fault);
        }
        if core.undo == Undo::Nothing {
            return Ok(());
        }
        core.abandon(self.spec.timeouts.revoke);
        let reset = core.undo == Undo::Reset;
        core.undo = Undo::Nothing;
        if reset {
            core.producer = None;
        }
        let mut paused = Vec::new();
        for (key, partition) in &mut core.partitions {
            if matches!(partition.phase, Phase::Running) {
                paused.push(key.clone());
            }
            if reset {
                partition.overlay = None;
                partition.phase = Phase::New;
            } else if matches!(partition.phase, Phase::Running) {
                partition.phase = Phase::Ready;
            }
        }
        let cause = core.cause.clone().unwrap_or_default();
        // After a fence the group gets the time of two heartbeats to fence this member, if there is another one.
        let wait = if core.fenced > 0 { self.spec.timeouts.session / 2 } else { backoff.next() };
        drop(core);
        tracing::warn!(stage = self.spec.stage, cause, reset, "transaction undone");
        self.shared.update(|status| status.state = TaskState::Degraded(cause));
        self.retry_at = Instant::now() + wait;
        self.consumer.pause(&paused)?;
        Ok(())
    }

    /// Brings assigned partitions nearer to running, without blocking for longer than a slice.
    fn advance(&mut self, backoff: &mut Backoff) -> Result<(), Fault> {
        if lock(&self.core).settled() || Instant::now() < self.retry_at {
            return Ok(());
        }
        match self.try_advance() {
            Ok(()) => {
                if lock(&self.core).settled() {
                    backoff.reset();
                    self.publish();
                }
                Ok(())
            }
            Err(Fault::Transient(cause)) => {
                tracing::debug!(stage = self.spec.stage, %cause, "assignment waits");
                self.shared.update(|status| status.state = TaskState::Degraded(cause.to_string()));
                self.retry_at = Instant::now() + backoff.next();
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    fn try_advance(&mut self) -> Result<(), Fault> {
        self.ensure_producer()?;
        let mut new = Vec::new();
        let mut ready = BTreeMap::new();
        let mut core = lock(&self.core);
        for (key, partition) in &mut core.partitions {
            match std::mem::replace(&mut partition.phase, Phase::New) {
                Phase::New => new.push(key.clone()),
                Phase::Restoring(restore) => match restore.step(Duration::from_millis(100))? {
                    Ok(overlay) => {
                        partition.overlay = Some(overlay);
                        partition.phase = Phase::Ready;
                        ready.insert(key.clone(), partition.committed);
                    }
                    Err(more) => {
                        let (at, end) = more.progress();
                        tracing::debug!(%key, at, end, "restoring state");
                        partition.phase = Phase::Restoring(Box::new(more));
                    }
                },
                Phase::Ready => {
                    ready.insert(key.clone(), partition.committed);
                    partition.phase = Phase::Ready;
                }
                Phase::Running => partition.phase = Phase::Running,
            }
        }
        drop(core);
        if !new.is_empty() {
            let committed = self.committed(&new)?;
            self.table_ends = self.spec.tables.iter().map(|table| table.ends(&self.admin)).collect::<Result<_, _>>()?;
            let mut core = lock(&self.core);
            let changelog = self.ids.get(&self.spec.changelog()).copied();
            for (key, (offset, note)) in committed {
                if core.is_keyed() {
                    let known = ChangelogKnown {
                        id: changelog,
                        is_the_groups: changelog.is_some() && note.changelog == changelog,
                    };
                    let restore = Restore::start(&self.kafka, &self.admin, &self.spec, key.partition, known)?;
                    core.place(&key, offset, Phase::Restoring(Box::new(restore)));
                } else {
                    core.place(&key, offset, Phase::Ready);
                    ready.insert(key, offset);
                }
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        let behind = self.spec.tables.iter().zip(&self.table_ends).find_map(|(table, ends)| table.behind(ends));
        if let Some(behind) = behind {
            tracing::debug!(stage = self.spec.stage, %behind, "partitions wait");
            return Ok(());
        }
        self.consumer.seek(&ready, SLICE)?;
        let mut core = lock(&self.core);
        for key in ready.keys() {
            // An open transaction began before this partition ran: its store is not readable yet.
            if let Some(overlay) = core.partitions.get_mut(key).and_then(|p| p.overlay.as_mut()) {
                overlay.begin()?;
            }
        }
        drop(core);
        let partitions: Vec<_> = ready.keys().cloned().collect();
        self.consumer.resume(&partitions)?;
        // Only what flows is said to run: after a failure above all of it is tried again.
        let mut core = lock(&self.core);
        for (key, offset) in &ready {
            core.place(key, *offset, Phase::Running);
        }
        Ok(())
    }

    fn ensure_producer(&self) -> Result<(), Fault> {
        let mut core = lock(&self.core);
        if core.producer.is_some() {
            return Ok(());
        }
        let producer = TransactionalProducer::tracking(
            &self.kafka,
            &self.spec.id(),
            self.spec.timeouts.transaction,
            core.changelog.clone(),
        )?;
        let deadline = Instant::now() + self.spec.timeouts.transaction;
        // Assigned partitions are paused, so the group can be served while the coordinator answers.
        drop(core);
        loop {
            match producer.init_within(SLICE) {
                Ok(()) => break,
                Err(error) if error.is_transient() && Instant::now() < deadline => {
                    if let ConsumerEvent::Record(record) = self.consumer.poll(Duration::ZERO)? {
                        tracing::trace!(offset = record.offset, "left over from before a pause; it comes again");
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        core = lock(&self.core);
        core.producer = Some(producer);
        Ok(())
    }

    /// The committed offsets of new partitions, which must exist, lie within the log and belong to the topics that are
    /// there now.
    fn committed(&self, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, (i64, OffsetNote)>, Fault> {
        let group = self.spec.group();
        let changelog = self.spec.changelog();
        let mut offsets = BTreeMap::new();
        for (key, committed) in self.consumer.committed_with_notes(partitions, SLICE)? {
            let note = OffsetNote::parse(&committed.note);
            if note.is_other_topic(self.ids.get(&*key.topic).copied()) {
                return Err(Fault::fatal(format!(
                    "topic {} was deleted and created again since group {group} read it: what it held unread is lost; to \
                     read the new one from its beginning run `tributary topology apply --accept-loss`",
                    key.topic
                )));
            }
            if note.is_other_changelog(self.ids.get(&changelog).copied()) {
                let changelog = TopicPartition::new(changelog, key.partition);
                return Err(state_lost(
                    &self.spec,
                    &changelog,
                    "its id is not the one that was noted with the offsets",
                ));
            }
            let Some(offset) = committed.offset else {
                return Err(Fault::fatal(format!(
                    "group {group} has no committed offset for {key}. A new stage or partition is initialised by \
                     `tributary topology apply`. If this stage has run before, the topic was deleted and created again or \
                     the group's offsets expired: its unread records are lost, and the same command starts it at the \
                     beginning of what is there now"
                )));
            };
            let log = self.admin.watermarks(&key, Isolation::Uncommitted)?;
            if offset < log.low {
                return Err(Fault::fatal(format!(
                    "offsets {offset}..{} of {key} were deleted by retention before group {group} read them; to go on \
                     without them run `tributary topology apply --accept-loss`",
                    log.low
                )));
            }
            if offset > log.high {
                return Err(Fault::fatal(format!(
                    "group {group} stands at offset {offset} of {key}, which ends at {}: the topic was truncated or created \
                     again; to read it from its beginning run `tributary topology apply --accept-loss`",
                    log.high
                )));
            }
            offsets.insert(key, (offset, note));
        }
        Ok(offsets)
    }

    fn take(&mut self, record: &Record) -> Result<(), Fault> {
        let key = record.topic_partition();
        let mut core = lock(&self.core);
        if core.undo > Undo::Nothing || !core.wants(record, &key) {
            return Ok(());
        }
        failpoint::hit("stage.poll.after");
        if !core.ensure_open(|| Ok(self.consumer.group_metadata()?))? {
            core.need(Undo::Rewind, "no transaction could be opened".into());
            return Ok(());
        }
        match core.take(record, key) {
            Ok(()) => {}
            Err(Fault::Transient(cause)) => core.need(Undo::Rewind, cause.to_string()),
            Err(other) => {
                core.abandon(self.spec.timeouts.revoke);
                return Err(other);
            }
        }
        if core.is_full() && core.undo == Undo::Nothing {
            core.commit(self.spec.timeouts.transaction);
            drop(core);
            self.publish();
        }
        Ok(())
    }

    /// Nothing waits to be read: commits unless the last commit is too recent. The client sends one request for each
    /// partition, and the broker takes them one by one: the time until the commit is used for that.
    fn commit_if_patient(&mut self) -> Result<(), Fault> {
        let mut core = lock(&self.core);
        if !core.is_open() || core.undo > Undo::Nothing {
            return Ok(());
        }
        if !core.gauge.patience(Instant::now()).is_zero() {
            core.hand_over_early();
            return Ok(());
        }
        let positions = self.consumer.positions()?;
        core.pass_markers(&positions);
        core.commit(self.spec.timeouts.transaction);
        drop(core);
        self.publish();
        Ok(())
    }

    fn poll_timeout(&self) -> Duration {
        let core = lock(&self.core);
        if core.undo > Undo::Nothing {
            return Duration::ZERO;
        }
        if core.is_open() {
            return if self.drained { core.gauge.wait(Instant::now()) } else { Duration::ZERO };
        }
        if core.settled() { Duration::from_millis(100) } else { Duration::from_millis(5) }
    }

    /// Once a second: markers passed by idle partitions, durable stores, the status.
    fn tick(&mut self) -> Result<(), Fault> {
        self.next_tick = Instant::now() + TICK;
        let mut core = lock(&self.core);
        if self.drained && !core.is_open() && core.undo == Undo::Nothing && core.producer.is_some() {
            let positions = self.consumer.positions()?;
            if core.pass_markers(&positions) && core.ensure_open(|| Ok(self.consumer.group_metadata()?))? {
                core.commit(self.spec.timeouts.transaction);
            }
        }
        for partition in core.partitions.values_mut() {
            if let Some(overlay) = &mut partition.overlay {
                overlay.settle_if_due()?;
                overlay.begin()?;
            }
        }
        let probe: Vec<TopicPartition> = core.partitions.keys().take(1).cloned().collect();
        drop(core);
        if self.unwell && self.consumer.committed(&probe, SLICE).is_ok() {
            self.unwell = false;
        }
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let core = lock(&self.core);
        let running = core.partitions.iter().filter(|(_, p)| !matches!(p.phase, Phase::New));
        let positions = running.map(|(key, p)| (key.clone(), p.committed)).collect();
        let (counters, last_commit) = (core.counters.clone(), core.last_commit);
        let well = core.settled() && !self.unwell;
        drop(core);
        let lag = self.consumer.lag();
        for (partition, lag) in &lag {
            let labels = [
                ("stage", self.spec.stage.clone()),
                ("topic", partition.topic.to_string()),
                ("partition", partition.partition.to_string()),
            ];
            metrics::gauge!("stage_lag_records", &labels).set(*lag as f64);
        }
        self.shared.update(|status| {
            status.positions = positions;
            status.counters = counters;
            status.last_commit = last_commit;
            status.lag = lag;
            // Also where what it waited for has gone to another member.
            if well && matches!(status.state, TaskState::Starting | TaskState::Degraded(_)) {
                status.state = TaskState::Running;
            }
        });
    }

    /// A consumer error that ends the task, with what it means.
    fn explain(&self, error: KafkaError) -> Fault {
        match error.code_name().as_deref() {
            Some("AutoOffsetReset" | "OffsetOutOfRange" | "NoOffset") => Fault::fatal(format!(
                "{error}: retention has deleted records that {} had not read; `tributary status` shows its positions, \
                 `tributary topology apply --accept-loss` goes on without the records",
                self.spec.stage
            )),
            Some("FencedInstanceId" | "Fenced") => Fault::fatal(format!(
                "{error}: another process runs as {}; give each process its own data directory or instance name",
                self.spec.id()
            )),
            Some("UnknownTopicOrPartition" | "UnknownTopic" | "UnknownPartition") => Fault::fatal(format!(
                "{error}: an input topic of {} is gone; `tributary topology apply` creates it again, what it held is lost",
                self.spec.stage
            )),
            _ => error.into(),
        }
    }
}
