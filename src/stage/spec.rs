//! What a stage is made of, and how its Kafka names are formed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::kafka::TopicPartition;

use super::batch::BatchLimits;
use super::table::Table;

/// Records above this are dead-lettered by reference unless a topic says otherwise.
const DEFAULT_INPUT_LIMIT: usize = 8 << 20;
/// `max.message.bytes` of catalog topics.
const DEFAULT_OUTPUT_LIMIT: usize = 8 << 20;

/// A topic a stage reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputTopic {
    /// Name.
    pub name: String,
    /// Key, value and headers together; a larger record is dead-lettered by reference, with its head.
    pub max_record_bytes: usize,
    /// Where its poisoned records go.
    pub dead_letters: OutputTopic,
}

impl InputTopic {
    /// A topic with the default limit and dead-letter topic.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let dead_letters = OutputTopic::new(dead_letter_topic(&name));
        Self { name, max_record_bytes: DEFAULT_INPUT_LIMIT, dead_letters }
    }
}

/// A topic a stage writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputTopic {
    /// Name.
    pub name: String,
    /// The topic's `max.message.bytes`; an output over it dead-letters the record that caused it.
    pub max_record_bytes: usize,
    /// Readers care for the last value of each key alone, so that a transaction need not write more than one.
    pub is_compacted: bool,
}

impl OutputTopic {
    /// A topic with the default limit of 8 MiB that keeps every record.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), max_record_bytes: DEFAULT_OUTPUT_LIMIT, is_compacted: false }
    }
}

/// Time-outs of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// How long a transaction may be open, and each of its calls may take.
    pub transaction: Duration,
    /// After this without a heartbeat a member loses its partitions.
    pub session: Duration,
    /// How long a revocation may wait for the open transaction to commit.
    pub revoke: Duration,
    /// How long a shutdown may take.
    pub drain: Duration,
    /// How often the local store is made durable.
    pub durable: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            transaction: Duration::from_secs(10),
            // The least that brokers allow by default: who leaves for good is replaced when it is over.
            session: Duration::from_secs(6),
            revoke: Duration::from_secs(3),
            drain: Duration::from_secs(30),
            durable: Duration::from_secs(5),
        }
    }
}

/// A Kafka → Kafka stage as one task runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSpec {
    /// Prefix of group, transactional and changelog names: the installation.
    pub cluster: String,
    /// Name of the stage.
    pub stage: String,
    /// Name of this instance, see [`super::DataDir`].
    pub instance: String,
    /// Number of this task within the instance.
    pub task: usize,
    /// Topics it reads; a keyed stage reads one.
    pub inputs: Vec<InputTopic>,
    /// Topics it may write, without changelog and dead letters.
    pub outputs: Vec<OutputTopic>,
    /// Views that have to be complete, as of the assignment, before a record is taken in.
    pub tables: Vec<Table>,
    /// The changelog topic's `max.message.bytes`; a record whose state goes over it is dead-lettered.
    pub changelog_max_bytes: usize,
    /// Batch bounds.
    pub batch: BatchLimits,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// Folder for local state.
    pub data_dir: PathBuf,
    /// Offsets at which the task stops reading, for work that has an end; partitions without one are read for ever.
    pub until: BTreeMap<TopicPartition, i64>,
}

impl StageSpec {
    /// A stage with default bounds, without topics.
    pub fn new(
        cluster: impl Into<String>,
        stage: impl Into<String>,
        instance: impl Into<String>,
        data_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            cluster: cluster.into(),
            stage: stage.into(),
            instance: instance.into(),
            task: 0,
            inputs: Vec::new(),
            outputs: Vec::new(),
            tables: Vec::new(),
            changelog_max_bytes: DEFAULT_OUTPUT_LIMIT,
            batch: BatchLimits::default(),
            timeouts: Timeouts::default(),
            data_dir: data_dir.into(),
            until: BTreeMap::new(),
        }
    }

    /// The consumer group.
    pub fn group(&self) -> String {
        group_id(&self.cluster, &self.stage)
    }

    /// The transactional id and group instance id of this task.
    pub fn id(&self) -> String {
        task_id(&self.cluster, &self.stage, &self.instance, self.task)
    }

    /// The changelog topic of a keyed stage.
    pub fn changelog(&self) -> String {
        changelog_topic(&self.cluster, &self.stage)
    }

    /// The local store of one partition.
    pub fn store_path(&self, partition: i32) -> PathBuf {
        self.data_dir.join("state").join(&self.stage).join(format!("{partition}.redb"))
    }
}

/// The consumer group of a stage or sink: `<cluster>.<stage>`.
pub fn group_id(cluster: &str, stage: &str) -> String {
    format!("{cluster}.{stage}")
}

/// The transactional id and group instance id of a task: `<cluster>.<stage>.<instance>.<task>`.
pub fn task_id(cluster: &str, stage: &str, instance: &str, task: usize) -> String {
    format!("{cluster}.{stage}.{instance}.{task}")
}

/// The changelog topic of a keyed stage: `<cluster>-<stage>-changelog`.
pub fn changelog_topic(cluster: &str, stage: &str) -> String {
    format!("{cluster}-{stage}-changelog")
}

/// The dead-letter topic of an input topic: `<topic>.dlq`.
pub fn dead_letter_topic(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// The topic that says which dead letters were replayed or dropped: `<cluster>-dlq-ledger`.
pub fn ledger_topic(cluster: &str) -> String {
    format!("{cluster}-dlq-ledger")
}
