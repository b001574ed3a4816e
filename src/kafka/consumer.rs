//! A static member of a consumer group whose rebalances are handled synchronously, inside `poll`.

mod membership;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError as Native;
use rdkafka::message::Message;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaRespErr;

use super::config::KafkaConfig;
use super::error::{Class, KafkaError};
use super::offsets::{Committed, list_committed, list_offsets, offset_list, partition_list};
use super::reader::owned_up_to;
use super::record::{Record, TopicPartition};
use super::watch::Watch;
use membership::{LONGEST_LOOK, OurId};

/// How long the request that wakes connections may take.
const WAKE: Duration = Duration::from_millis(200);

/// Whether revoked partitions are still ours while the handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Ours until the handler returns: an open transaction may still commit.
    Held,
    /// Already given to somebody else: an open transaction must be aborted.
    Lost,
}

/// Follows the assignment of a [`GroupConsumer`]; called inside [`GroupConsumer::poll`], on the polling thread.
pub trait RebalanceHandler: Send {
    /// These partitions are ours now. They are paused, with no position; the owner seeks and resumes them later.
    fn assigned(&mut self, partitions: &[TopicPartition]);
    /// These partitions go away when this returns.
    fn revoked(&mut self, partitions: &[TopicPartition], ownership: Ownership);
}

/// Group and member.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// `group.id`.
    pub group: String,
    /// `group.instance.id`: the member keeps its partitions over a restart within the session time-out.
    pub instance: String,
    /// Session time-out.
    pub session_timeout: Duration,
    /// Of larger values only the head is handed out.
    pub largest_value: usize,
}

/// Member and generation, for [`super::TransactionalProducer::send_offsets`].
pub struct GroupMetadata(ConsumerGroupMetadata);

impl GroupMetadata {
    pub(super) fn native(&self) -> &ConsumerGroupMetadata {
        &self.0
    }
}

/// What a poll brought.
#[derive(Debug)]
pub enum ConsumerEvent {
    /// A record.
    Record(Record),
    /// Some partition has been read to its end.
    EndOfPartition,
    /// Nothing; a rebalance or another callback may have run.
    Nothing,
}

/// A consumer whose errors are answers of its calls, and not lines in the log: reading to an end is no error.
pub(super) type PlainConsumer = BaseConsumer<Quiet>;

/// See [`PlainConsumer`].
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: Native, reason: &str) {
        tracing::debug!(%error, reason, "kafka consumer");
    }
}

impl ConsumerContext for Quiet {}

struct GroupContext<H> {
    handler: Mutex<H>,
    lag: Mutex<BTreeMap<TopicPartition, i64>>,
    /// Partitions that were lost, and not given back yet: the member joins again when they are.
    lost: Mutex<Option<Lost>>,
    /// The member has joined, and its id is not known yet.
    joined: AtomicBool,
}

struct Lost {
    partitions: TopicPartitionList,
    watch: Watch,
    /// A member of our name that is not known to be this one.
    stranger: Option<String>,
}

impl<H: RebalanceHandler> ClientContext for GroupContext<H> {
    fn error(&self, error: Native, reason: &str) {
        tracing::debug!(%error, reason, "kafka consumer");
    }

    fn stats(&self, statistics: Statistics) {
        let mut lag = BTreeMap::new();
        for (topic, stats) in statistics.topics {
            let name: Arc<str> = topic.into();
            for (partition, stats) in stats.partitions {
                if partition >= 0 && stats.desired && stats.app_offset >= 0 && stats.ls_offset >= 0 {
                    lag.insert(
                        TopicPartition { topic: Arc::clone(&name), partition },
                        (stats.ls_offset - stats.app_offset).max(0),
                    );
                }
            }
        }
        *self.lag.lock().expect("no holder of this lock panics") = lag;
    }
}

impl<H: RebalanceHandler> ConsumerContext for GroupContext<H> {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions: Vec<TopicPartition> =
            list.elements().iter().map(|e| TopicPartition::new(e.topic(), e.partition())).collect();
        if std::thread::panicking() {
            // The owner is ending by a panic, the handler may be in the middle of something. Closing waits for partitions
            // to be given back; a second panic, or waiting for ever, would hide the first one.
            if let Err(error) = consumer.incremental_unassign(list) {
                tracing::debug!(%error, "partitions were not given back");
            }
            return;
        }
        let mut handler = self.handler.lock().expect("no holder of this lock panics");
        match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                // A position of our choice, not the committed one: that would end in an error event where none is.
                // Nothing is fetched before the owner has sought and resumed the partition.
                let outcome = list
                    .set_all_offsets(Offset::Beginning)
                    .and_then(|()| consumer.incremental_assign(list))
                    .and_then(|()| consumer.pause(list));
                if let Err(error) = outcome {
                    tracing::error!(%error, "assignment failed; the group will rebalance");
                }
                handler.assigned(&partitions);
                self.joined.store(true, Ordering::Relaxed);
            }
            _ => {
                if consumer.assignment_lost() {
                    handler.revoked(&partitions, Ownership::Lost);
                    *self.lost.lock().expect("no holder of this lock panics") =
                        Some(Lost { partitions: list.clone(), watch: Watch::new(LONGEST_LOOK), stranger: None });
                    return;
                }
                handler.revoked(&partitions, Ownership::Held);
                if let Err(error) = consumer.incremental_unassign(list) {
                    tracing::error!(%error, "revocation failed; the group will rebalance");
                }
            }
        }
    }
}

/// A consumer in a group, read_committed, cooperative-sticky, static member, without any automatic offset.
///
/// A member that was out of touch for longer than its session (a stopped process, a machine that was cut off) does not
/// know whether another process has its name by now. The client library would join again, without an id, and the
/// coordinator would take that for a restart and throw the other one out. So the member first looks who is there.
pub struct GroupConsumer<H: RebalanceHandler + 'static> {
    inner: BaseConsumer<GroupContext<H>>,
    largest_value: usize,
    group: String,
    session: Duration,
    /// How the ids of members with our instance id begin.
    our_name: String,
    /// Our id when the group was last joined.
    our_id: Mutex<OurId>,
    topics: Mutex<HashMap<String, Arc<str>>>,
    subscribed: Mutex<Vec<String>>,
    /// The member leaves to join again: it does when its partitions are given back.
    returns: AtomicBool,
}

impl<H: RebalanceHandler + 'static> GroupConsumer<H> {
    /// A member; it joins with [`Self::subscribe`] and the polls that follow.
    pub fn new(config: &KafkaConfig, options: &GroupOptions, handler: H) -> Result<Self, KafkaError> {
        let session_ms = u32::try_from(options.session_timeout.as_millis()).unwrap_or(u32::MAX);
        let context = GroupContext {
            handler: Mutex::new(handler),
            lag: Mutex::default(),
            lost: Mutex::default(),
            joined: AtomicBool::new(false),
        };
        let inner = config
            .member(&options.group, &options.instance, session_ms)
            .create_with_context(context)
            .map_err(|e| KafkaError::new(format!("create consumer of group {}", options.group), e))?;
        Ok(Self {
            inner,
            largest_value: options.largest_value,
            group: options.group.clone(),
            session: options.session_timeout,
            // The coordinator makes a member's id from its instance id, a dash and something random.
            our_name: format!("{}-", options.instance),
            our_id: Mutex::default(),
            topics: Mutex::new(HashMap::new()),
            subscribed: Mutex::default(),
            returns: AtomicBool::new(false),
        })
    }

    /// Joins the group for these topics.
    pub fn subscribe(&self, topics: &[&str]) -> Result<(), KafkaError> {
        *self.subscribed.lock().expect("no holder of this lock panics") =
            topics.iter().map(|topic| (*topic).to_owned()).collect();
        self.inner.subscribe(topics).map_err(|e| self.error("subscribe", e))
    }

    /// The rebalance handler. The guard must be dropped before the next call of [`Self::poll`].
    pub fn handler(&self) -> MutexGuard<'_, H> {
        self.inner.context().handler.lock().expect("no holder of this lock panics")
    }

    /// Takes the next event, waiting up to `timeout`; rebalances run in here. A [`Class::Fatal`] or
    /// [`Class::Fenced`] error ends the member; transient ones are only told.
    pub fn poll(&self, timeout: Duration) -> Result<ConsumerEvent, KafkaError> {
        self.settle_lost()?;
        self.look_after_joining();
        self.return_to_group()?;
        match self.inner.poll(timeout) {
            None => Ok(ConsumerEvent::Nothing),
            Some(Ok(message)) => {
                let topic = self.topic(message.topic());
                Ok(ConsumerEvent::Record(owned_up_to(&message, &topic, self.largest_value)))
            }
            Some(Err(Native::PartitionEOF(_))) => Ok(ConsumerEvent::EndOfPartition),
            Some(Err(error)) => {
                let fatal = self.inner.client().fatal_error();
                let error = self.error("poll", error);
                Err(match fatal {
                    None => error,
                    Some((code, reason)) => {
                        let cause = KafkaError::code(format!("{}: {reason}", error.context), code);
                        let class = if cause.class == Class::Fenced { Class::Fenced } else { Class::Fatal };
                        KafkaError { class, ..cause }
                    }
                })
            }
        }
    }

    /// Member and generation as of now.
    pub fn group_metadata(&self) -> Result<GroupMetadata, KafkaError> {
        self.inner.group_metadata().map(GroupMetadata).ok_or_else(|| {
            KafkaError::other(Class::Fatal, format!("group metadata of {}", self.group), "the consumer has no group")
        })
    }

    /// The stable committed offsets of the group.
    pub fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, KafkaError> {
        let list = partition_list(partitions);
        let list = self.inner.committed_offsets(list, timeout).map_err(|e| self.error("fetch offsets", e))?;
        list_offsets(&list).map_err(|e| self.error("fetch offsets", e))
    }

    /// The stable committed offsets of the group with the notes beside them.
    pub fn committed_with_notes(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, Committed>, KafkaError> {
        let list = self.inner.committed_offsets(partition_list(partitions), timeout);
        let list = list.map_err(|e| self.error("fetch offsets", e))?;
        list_committed(&list).map_err(|e| self.error("fetch offsets", e))
    }

    /// Moves assigned partitions to these next offsets; what was fetched before is dropped.
    pub fn seek(&self, offsets: &BTreeMap<TopicPartition, i64>, timeout: Duration) -> Result<(), KafkaError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let list = offset_list(offsets.iter().map(|(p, o)| (p, *o))).map_err(|e| self.error("seek", e))?;
        let list = self.inner.seek_partitions(list, timeout).map_err(|e| self.seek_error(e))?;
        for element in list.elements() {
            element.error().map_err(|e| self.seek_error(e))?;
        }
        Ok(())
    }

    /// Stops fetching from these partitions; `poll` goes on to serve the group.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.inner.pause(&partition_list(partitions)).map_err(|e| self.error("pause", e))
    }

    /// Fetches from these partitions again.
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        self.inner.resume(&partition_list(partitions)).map_err(|e| self.error("resume", e))?;
        // Resuming does not wake the client's connections, which look for work once a second; a request does. It is one
        // for each leader: one for each partition would have to wait behind the fetch that the first one has woken, a
        // whole fetch time-out each.
        let mut list = partition_list(partitions);
        if list.set_all_offsets(Offset::End).is_ok() {
            // Its answer is of no use.
            let _ = self.inner.offsets_for_times(list, WAKE);
        }
        Ok(())
    }

    /// Next offset per assigned partition, past transaction markers; missing where nothing was read since a seek.
    pub fn positions(&self) -> Result<BTreeMap<TopicPartition, i64>, KafkaError> {
        let list = self.inner.position().map_err(|e| self.error("read positions", e))?;
        let offsets = list_offsets(&list).map_err(|e| self.error("read positions", e))?;
        Ok(offsets.into_iter().filter_map(|(partition, offset)| Some((partition, offset?))).collect())
    }

    /// Records behind the last stable offset per partition, as of at most 5 s ago.
    pub fn lag(&self) -> BTreeMap<TopicPartition, i64> {
        self.inner.context().lag.lock().expect("no holder of this lock panics").clone()
    }

    /// Commits next offsets without a transaction and without waiting: for sinks, whose positions stand elsewhere,
    /// as a hint for lag tools.
    pub fn commit_hint(&self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<(), KafkaError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let list = offset_list(offsets.iter().map(|(p, o)| (p, *o))).map_err(|e| self.error("commit", e))?;
        self.inner.commit(&list, CommitMode::Async).map_err(|e| self.error("commit", e))
    }

    fn topic(&self, name: &str) -> Arc<str> {
        let mut topics = self.topics.lock().expect("no holder of this lock panics");
        if let Some(topic) = topics.get(name) {
            return Arc::clone(topic);
        }
        let topic: Arc<str> = name.into();
        topics.insert(name.to_owned(), Arc::clone(&topic));
        topic
    }

    fn error(&self, step: &str, error: Native) -> KafkaError {
        KafkaError::new(format!("{step} in group {}", self.group), error)
    }

    /// A partition whose fetcher has not started yet answers with a state error: not hopeless, only early.
    fn seek_error(&self, error: Native) -> KafkaError {
        KafkaError { class: Class::Transient, ..self.error("seek", error) }
    }
}

impl<H: RebalanceHandler + 'static> Drop for GroupConsumer<H> {
    /// Closing waits for partitions that are to be given back.
    fn drop(&mut self) {
        let lost = self.inner.context().lost.lock().expect("no holder of this lock panics").take();
        if let Some(lost) = lost {
            self.leave(&lost.partitions);
        }
    }
}
