//! Drives a sink, as a member of a group or as a follower of all partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::failpoint;
use crate::kafka::{
    Admin, Class, ConsumerEvent, Follower, GroupConsumer, GroupOptions, Isolation, KafkaConfig, KafkaError, TopicId,
    TopicPartition, topic_ids,
};

use super::batch::{BatchGauge, BatchLimits};
use super::fault::Fault;
use super::position::Start;
use super::sink::Sink;
use super::sink_batch::SinkCore;
use super::spec::{Timeouts, group_id, task_id};
use super::task::{Backoff, Shared, StopToken, TaskHandle, TaskState};

const SLICE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_secs(1);
/// How often a follower looks for new partitions.
const REFRESH: Duration = Duration::from_secs(30);

/// A sink as one task runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSpec {
    /// Prefix of group names: the installation.
    pub cluster: String,
    /// Name of the sink.
    pub name: String,
    /// Name of this instance.
    pub instance: String,
    /// Number of this task within the instance.
    pub task: usize,
    /// Topics it reads.
    pub topics: Vec<String>,
    /// Batch bounds.
    pub batch: BatchLimits,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// The command that makes the view anew when it cannot go on from where it stands.
    pub repair: String,
}

impl SinkSpec {
    /// A sink of `topics` with default bounds.
    pub fn new(
        cluster: impl Into<String>,
        name: impl Into<String>,
        instance: impl Into<String>,
        topics: impl IntoIterator<Item = String>,
    ) -> Self {
        let name = name.into();
        Self {
            cluster: cluster.into(),
            repair: format!("tributary rebuild {name}"),
            name,
            instance: instance.into(),
            task: 0,
            topics: topics.into_iter().collect(),
            batch: BatchLimits::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// The consumer group.
    pub fn group(&self) -> String {
        group_id(&self.cluster, &self.name)
    }

    /// The full id of the task.
    pub fn id(&self) -> String {
        task_id(&self.cluster, &self.name, &self.instance, self.task)
    }
}

/// Starts a sink task in its consumer group: partitions are shared among the tasks of all processes.
pub fn spawn_sink(kafka: &KafkaConfig, spec: SinkSpec, sink: Box<dyn Sink>, stop: StopToken) -> io::Result<TaskHandle> {
    spawn(kafka, spec, sink, stop, |kafka, spec, core, _| {
        let options = GroupOptions {
            group: spec.group(),
            instance: spec.id(),
            session_timeout: spec.timeouts.session,
            largest_value: usize::MAX,
        };
        let consumer = GroupConsumer::new(kafka, &options, Arc::clone(core))?;
        let topics: Vec<&str> = spec.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        Ok(Source::Member(consumer))
    })
}

/// Starts a sink task without a group: it follows all partitions on its own, for views that live in this process.
pub fn spawn_follower(
    kafka: &KafkaConfig,
    spec: SinkSpec,
    sink: Box<dyn Sink>,
    stop: StopToken,
) -> io::Result<TaskHandle> {
    spawn(kafka, spec, sink, stop, |kafka, spec, core, admin| {
        follow_all(admin, spec, core)?;
        Ok(Source::Follower { consumer: Follower::new(kafka)?, assigned: BTreeSet::new(), refreshed: Instant::now() })
    })
}

fn follow_all(admin: &Admin, spec: &SinkSpec, core: &Mutex<SinkCore>) -> Result<(), Fault> {
    let topics = admin.topics()?;
    let mut core = core.lock().expect("no holder of this lock panics");
    for topic in &spec.topics {
        let Some(info) = topics.get(topic) else { return Err(missing_topic(spec, topic)) };
        (0..info.partitions).for_each(|p| core.add(&TopicPartition::new(topic.as_str(), p)));
    }
    Ok(())
}

fn missing_topic(spec: &SinkSpec, topic: &str) -> Fault {
    Fault::fatal(format!("sink {} needs topic {topic}; run `tributary topology apply`", spec.name))
}

enum Source {
    Member(GroupConsumer<Arc<Mutex<SinkCore>>>),
    Follower { consumer: Follower, assigned: BTreeSet<TopicPartition>, refreshed: Instant },
}

impl Source {
    fn poll(&self, timeout: Duration) -> Result<ConsumerEvent, KafkaError> {
        match self {
            Self::Member(consumer) => consumer.poll(timeout),
            Self::Follower { consumer, .. } => consumer.poll(timeout),
        }
    }

    fn positions(&self) -> Result<BTreeMap<TopicPartition, i64>, KafkaError> {
        match self {
            Self::Member(consumer) => consumer.positions(),
            Self::Follower { consumer, .. } => consumer.positions(),
        }
    }

    /// Stops the flow of these partitions.
    fn hold(&mut self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        match self {
            Self::Member(consumer) => consumer.pause(partitions),
            Self::Follower { consumer, assigned, .. } => {
                assigned.retain(|key| !partitions.contains(key));
                if partitions.is_empty() { Ok(()) } else { consumer.unassign(partitions) }
            }
        }
    }

    /// Lets these partitions flow from the given offsets.
    fn flow(&mut self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<(), KafkaError> {
        match self {
            Self::Member(consumer) => {
                consumer.seek(offsets, SLICE)?;
                let partitions: Vec<_> = offsets.keys().cloned().collect();
                consumer.resume(&partitions)
            }
            Self::Follower { consumer, assigned, .. } => {
                consumer.assign(offsets)?;
                assigned.extend(offsets.keys().cloned());
                Ok(())
            }
        }
    }
}

fn spawn(
    kafka: &KafkaConfig,
    spec: SinkSpec,
    sink: Box<dyn Sink>,
    stop: StopToken,
    open: impl Fn(&KafkaConfig, &SinkSpec, &Arc<Mutex<SinkCore>>, &Admin) -> Result<Source, Fault> + Send + 'static,
) -> io::Result<TaskHandle> {
    let kafka = kafka.clone();
    TaskHandle::spawn(&spec.name.clone(), spec.id(), stop, move |shared, stop| {
        let core = Arc::new(Mutex::new(SinkCore::new(spec.name.clone(), sink, BatchGauge::new(spec.batch))));
        let mut backoff = Backoff::new();
        loop {
            let mut run = || -> Result<(), Fault> {
                let admin = Admin::new(&kafka)?;
                let topics = admin.topics()?;
                if let Some(topic) = spec.topics.iter().find(|topic| !topics.contains_key(*topic)) {
                    return Err(missing_topic(&spec, topic));
                }
                let source = open(&kafka, &spec, &core, &admin)?;
                let now = Instant::now();
                let session = Session {
                    kafka: &kafka,
                    spec: &spec,
                    admin,
                    source,
                    core: Arc::clone(&core),
                    shared,
                    retry_at: now,
                    next_tick: now,
                    drained: false,
                };
                session.run(stop, &mut backoff)
            };
            let outcome = run();
            let mut ended = lock(&core);
            ended.abandon();
            ended.partitions.clear();
            drop(ended);
            match outcome {
                Err(Fault::Transient(cause)) if !stop.is_stopped() => {
                    shared.update(|status| status.state = TaskState::Degraded(cause.to_string()));
                    tracing::warn!(sink = spec.name, %cause, "sink starts again");
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

fn lock(core: &Mutex<SinkCore>) -> MutexGuard<'_, SinkCore> {
    core.lock().expect("no holder of this lock panics")
}

struct Session<'a> {
    kafka: &'a KafkaConfig,
    spec: &'a SinkSpec,
    admin: Admin,
    source: Source,
    core: Arc<Mutex<SinkCore>>,
    shared: &'a Shared,
    retry_at: Instant,
    next_tick: Instant,
    drained: bool,
}

impl Session<'_> {
    fn run(mut self, stop: &StopToken, backoff: &mut Backoff) -> Result<(), Fault> {
        loop {
            self.settle(backoff)?;
            if stop.is_stopped() {
                let mut core = lock(&self.core);
                core.write();
                drop(core);
                self.publish();
                return Ok(());
            }
            self.advance(backoff)?;
            if self.drained {
                let mut core = lock(&self.core);
                if !core.is_empty() && core.patience().is_zero() && core.undo.is_none() {
                    core.pass_markers(&self.source.positions()?);
                    core.write();
                    drop(core);
                    self.publish();
                }
            }
            match self.source.poll(self.poll_timeout()) {
                Ok(ConsumerEvent::Record(record)) => {
                    self.drained = false;
                    let mut core = lock(&self.core);
                    core.take(record);
                    if core.gauge.is_full() {
                        core.write();
                        drop(core);
                        self.publish();
                    }
                }
                Ok(ConsumerEvent::EndOfPartition | ConsumerEvent::Nothing) => self.drained = true,
                Err(error) if error.is_transient() => {
                    self.drained = true;
                    self.shared.update(|status| status.state = TaskState::Degraded(error.to_string()));
                }
                Err(error) if error.class == Class::Fenced => {
                    if matches!(&self.source, Source::Member(consumer) if consumer.fenced_by_itself()) {
                        return Err(Fault::Transient(error.into()));
                    }
                    return Err(Fault::fatal(format!(
                        "{error}: another process runs as {}; give each process its own data directory or instance name",
                        self.spec.id()
                    )));
                }
                Err(error) => {
                    return Err(Fault::fatal(format!(
                        "{error}: if records were deleted before sink {} read them, run `{}`",
                        self.spec.name, self.spec.repair
                    )));
                }
            }
            if Instant::now() >= self.next_tick {
                self.tick()?;
            }
        }
    }

    fn settle(&mut self, backoff: &mut Backoff) -> Result<(), Fault> {
        let mut core = lock(&self.core);
        if let Some(fault) = core.fault.take() {
            return Err(fault);
        }
        let Some(cause) = core.undo.take() else { return Ok(()) };
        let held = core.abandon();
        drop(core);
        tracing::warn!(sink = self.spec.name, cause, "batch undone");
        self.shared.update(|status| status.state = TaskState::Degraded(cause));
        self.retry_at = Instant::now() + backoff.next();
        self.source.hold(&held)?;
        Ok(())
    }

    fn advance(&mut self, backoff: &mut Backoff) -> Result<(), Fault> {
        let core = lock(&self.core);
        let waiting: Vec<TopicPartition> =
            core.partitions.iter().filter(|(_, f)| !f.running).map(|(key, _)| key.clone()).collect();
        drop(core);
        if waiting.is_empty() || Instant::now() < self.retry_at {
            return Ok(());
        }
        match self.place(&waiting) {
            Ok(()) => {
                backoff.reset();
                // What the sink itself complains of is not over because the log can be read.
                let state = lock(&self.core).degraded().map_or(TaskState::Running, TaskState::Degraded);
                self.shared.update(|status| status.state = state);
                Ok(())
            }
            Err(Fault::Transient(cause)) => {
                self.shared.update(|status| status.state = TaskState::Degraded(cause.to_string()));
                self.retry_at = Instant::now() + backoff.next();
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    /// Starts waiting partitions at their stored positions, which must lie within the log of the same topic.
    fn place(&mut self, waiting: &[TopicPartition]) -> Result<(), Fault> {
        let topics: BTreeSet<&str> = waiting.iter().map(|key| &*key.topic).collect();
        let ids = topic_ids(self.kafka, &topics.into_iter().collect::<Vec<_>>())?;
        let mut core = lock(&self.core);
        let all: Vec<TopicPartition> = waiting.iter().chain(core.running()).cloned().collect();
        let stored = core.stored(&all)?;
        if !core.agrees(&stored) {
            return Ok(());
        }
        drop(core);
        let mut offsets = BTreeMap::new();
        let mut places: Vec<(TopicPartition, i64, Start, Option<TopicId>)> = Vec::new();
        for key in waiting {
            let log = self.admin.watermarks(key, Isolation::Uncommitted)?;
            let id = ids.get(&*key.topic).copied();
            let (next, start) = match stored.get(key) {
                None => (log.low, Start::Fresh),
                Some(position) => {
                    if let (Some(theirs), Some(ours)) = (position.topic_id, id)
                        && theirs != ours
                    {
                        return Err(self.lost(key, "the topic was deleted and created again"));
                    }
                    if position.next > log.high {
                        let message = format!("it stands at {}, the log ends at {}", position.next, log.high);
                        return Err(self.lost(key, &message));
                    }
                    if position.next < log.low {
                        let message =
                            format!("offsets {}..{} were deleted before it read them", position.next, log.low);
                        return Err(self.lost(key, &message));
                    }
                    (position.next, Start::Stored)
                }
            };
            offsets.insert(key.clone(), next);
            places.push((key.clone(), next, start, id));
        }
        // Records may arrive as soon as partitions flow, in a later poll on this thread: places are set in time.
        self.source.flow(&offsets)?;
        let mut core = lock(&self.core);
        for (key, next, start, id) in places {
            core.place(&key, next, start, id);
        }
        Ok(())
    }

    fn lost(&self, key: &TopicPartition, what: &str) -> Fault {
        Fault::fatal(format!("sink {} cannot go on in {key}: {what}; run `{}`", self.spec.name, self.spec.repair))
    }

    fn poll_timeout(&self) -> Duration {
        let core = lock(&self.core);
        if core.undo.is_some() || core.fault.is_some() {
            return Duration::ZERO;
        }
        if !core.is_empty() {
            return if self.drained { core.gauge.wait(Instant::now()) } else { Duration::ZERO };
        }
        let settled = core.partitions.values().all(|f| f.running);
        if settled { Duration::from_millis(100) } else { Duration::from_millis(5) }
    }

    /// Once a second: what the sink has lost, markers passed by idle partitions, the hint for lag tools, new partitions,
    /// the status.
    fn tick(&mut self) -> Result<(), Fault> {
        self.next_tick = Instant::now() + TICK;
        let mut core = lock(&self.core);
        core.look_for_loss();
        if self.drained && core.is_empty() && core.undo.is_none() {
            let positions = self.source.positions()?;
            if core.pass_markers(&positions) {
                core.write();
            }
        }
        let stored: BTreeMap<_, _> =
            core.partitions.iter().filter(|(_, f)| f.running).map(|(key, f)| (key.clone(), f.stored)).collect();
        drop(core);
        match &mut self.source {
            Source::Member(consumer) => {
                // Only a hint: positions stand with the data.
                if let Err(error) = consumer.commit_hint(&stored) {
                    tracing::debug!(%error, "offset hint was not committed");
                }
                failpoint::hit("sink.hint.after");
            }
            Source::Follower { refreshed, .. } => {
                if refreshed.elapsed() >= REFRESH {
                    *refreshed = Instant::now();
                    match follow_all(&self.admin, self.spec, &self.core) {
                        Err(Fault::Transient(cause)) => tracing::debug!(%cause, "partitions were not refreshed"),
                        other => other?,
                    }
                }
            }
        }
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let core = lock(&self.core);
        let positions =
            core.partitions.iter().filter(|(_, f)| f.running).map(|(key, f)| (key.clone(), f.stored)).collect();
        let (counters, last_commit, degraded) = (core.counters.clone(), core.last_commit, core.degraded());
        let nothing_waits = core.partitions.values().all(|followed| followed.running);
        drop(core);
        let lag = match &self.source {
            Source::Member(consumer) => consumer.lag(),
            Source::Follower { .. } => BTreeMap::new(),
        };
        self.shared.update(|status| {
            status.positions = positions;
            status.counters = counters;
            status.last_commit = last_commit;
            status.lag = lag;
            match degraded {
                Some(reason) => status.state = TaskState::Degraded(reason),
                // What the sink complained of is over, also where nothing has been written since.
                None if nothing_waits && matches!(status.state, TaskState::Degraded(_)) => {
                    status.state = TaskState::Running;
                }
                None => {}
            }
        });
    }
}
