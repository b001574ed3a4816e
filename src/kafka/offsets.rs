//! Log ends, committed offsets and groups: the part of [`Admin`] that watches.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::Offset;

use super::admin::{Admin, REQUEST_TIMEOUT};
use super::config::Isolation;
use super::error::{Class, KafkaError};
use super::record::TopicPartition;

/// Between two requests for what has to be there in a moment.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// The bounds of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that still exists.
    pub low: i64,
    /// The next offset to be written; for [`Isolation::Committed`] the last stable offset.
    pub high: i64,
}

/// What a group has committed for a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The next offset; `None` if it has none.
    pub offset: Option<i64>,
    /// What was noted beside it; empty if nothing was.
    pub note: String,
}

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// `Stable`, `Empty`, `PreparingRebalance`, …; `Dead` if there is no such group.
    pub state: String,
    /// `consumer`, `sr` (Confluent's schema registry), `connect`, or empty.
    pub protocol_type: String,
    /// Live members.
    pub members: Vec<GroupMember>,
}

/// A live member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Id given by the coordinator; for static members it starts with the instance id.
    pub id: String,
    /// `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}

impl Admin {
    /// The bounds of one partition. The high end of a committed reader is the last stable offset.
    pub fn watermarks(&self, partition: &TopicPartition, isolation: Isolation) -> Result<Watermarks, KafkaError> {
        let (low, high) = self
            .reader(isolation)?
            .fetch_watermarks(&partition.topic, partition.partition, REQUEST_TIMEOUT)
            .map_err(|e| KafkaError::new(format!("read the ends of {partition}"), e))?;
        Ok(Watermarks { low, high })
    }

    /// The bounds of all partitions of `topic`, by partition.
    pub fn topic_watermarks(&self, topic: &str, isolation: Isolation) -> Result<BTreeMap<i32, Watermarks>, KafkaError> {
        let partitions = self.partition_count(topic)?.ok_or_else(|| no_topic(topic))?;
        (0..partitions).map(|p| Ok((p, self.watermarks(&TopicPartition::new(topic, p), isolation)?))).collect()
    }

    /// The ends of all partitions of `topics`, asked for in one go; for [`Isolation::Committed`] the last stable offsets.
    pub fn ends(&self, topics: &[String], isolation: Isolation) -> Result<BTreeMap<TopicPartition, i64>, KafkaError> {
        let context = || format!("read the ends of {}", topics.join(", "));
        let known = self.topics()?;
        let mut list = TopicPartitionList::new();
        for topic in topics {
            let partitions = known.get(topic).ok_or_else(|| no_topic(topic))?.partitions;
            for partition in 0..partitions {
                // The end's place as a time to look for is the end.
                list.add_partition_offset(topic, partition, Offset::End).map_err(|e| KafkaError::new(context(), e))?;
            }
        }
        let started = Instant::now();
        let list = loop {
            match self.reader(isolation)?.offsets_for_times(list.clone(), REQUEST_TIMEOUT) {
                // They were listed just now: a client whose own picture is older than that takes a moment to see them.
                Err(error)
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition)
                        && started.elapsed() < REQUEST_TIMEOUT =>
                {
                    std::thread::sleep(ASK_AGAIN);
                }
                answer => break answer.map_err(|e| KafkaError::new(context(), e))?,
            }
        };
        let ends = list_offsets(&list).map_err(|e| KafkaError::new(context(), e))?;
        Ok(ends.into_iter().map(|(partition, end)| (partition, end.unwrap_or(0))).collect())
    }

    /// The stable committed offsets of `group`; `None` where it has none. Waits for open transactions to end.
    pub fn committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, KafkaError> {
        self.committed_as(group, partitions, Isolation::Committed)
    }

    /// The same without waiting: what was committed before the transactions that are open now. For those who watch.
    pub fn committed_so_far(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, KafkaError> {
        self.committed_as(group, partitions, Isolation::Uncommitted)
    }

    fn committed_as(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, KafkaError> {
        let context = || format!("fetch the committed offsets of group {group}");
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&partition.topic, partition.partition);
        }
        let list = self
            .group_client(group, isolation)?
            .committed_offsets(list, REQUEST_TIMEOUT)
            .map_err(|e| KafkaError::new(context(), e))?;
        list_offsets(&list).map_err(|e| KafkaError::new(context(), e))
    }

    /// The stable committed offsets of `group` with the notes beside them.
    pub fn committed_with_notes(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Committed>, KafkaError> {
        let context = || format!("fetch the committed offsets of group {group}");
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let list = self
            .group_client(group, Isolation::Committed)?
            .committed_offsets(partition_list(partitions), REQUEST_TIMEOUT)
            .map_err(|e| KafkaError::new(context(), e))?;
        list_committed(&list).map_err(|e| KafkaError::new(context(), e))
    }

    /// As [`Self::commit_offsets`], with notes.
    pub fn commit_noted(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, (i64, String)>,
    ) -> Result<(), KafkaError> {
        let context = || format!("commit offsets for group {group}");
        if offsets.is_empty() {
            return Ok(());
        }
        let noted = offsets.iter().map(|(partition, (offset, note))| (partition, *offset, note.as_str()));
        let list = noted_list(noted).map_err(|e| KafkaError::new(context(), e))?;
        self.group_client(group, Isolation::Committed)?
            .commit(&list, CommitMode::Sync)
            .map_err(|e| KafkaError::new(context(), e))
    }

    /// Commits offsets for `group` from outside. Kafka refuses it while the group has members.
    pub fn commit_offsets(&self, group: &str, offsets: &BTreeMap<TopicPartition, i64>) -> Result<(), KafkaError> {
        let context = || format!("commit offsets for group {group}");
        if offsets.is_empty() {
            return Ok(());
        }
        let list = offset_list(offsets.iter().map(|(p, o)| (p, *o))).map_err(|e| KafkaError::new(context(), e))?;
        self.group_client(group, Isolation::Committed)?
            .commit(&list, CommitMode::Sync)
            .map_err(|e| KafkaError::new(context(), e))
    }

    /// State and members of `group`.
    pub fn group(&self, group: &str) -> Result<GroupState, KafkaError> {
        let list = self
            .reader(Isolation::Uncommitted)?
            .fetch_group_list(Some(group), REQUEST_TIMEOUT)
            .map_err(|e| KafkaError::new(format!("describe group {group}"), e))?;
        let Some(info) = list.groups().iter().find(|info| info.name() == group) else {
            return Ok(GroupState { state: "Dead".into(), protocol_type: String::new(), members: Vec::new() });
        };
        let member = |m: &rdkafka::groups::GroupMemberInfo| GroupMember {
            id: m.id().to_owned(),
            client_id: m.client_id().to_owned(),
            host: m.client_host().to_owned(),
        };
        Ok(GroupState {
            state: info.state().to_owned(),
            protocol_type: info.protocol_type().to_owned(),
            members: info.members().iter().map(member).collect(),
        })
    }
}

pub(super) fn no_topic(topic: &str) -> KafkaError {
    KafkaError::other(
        Class::Fatal,
        format!("look up topic {topic}"),
        "there is no such topic; run `tributary topology apply`",
    )
}

/// A native list of partitions.
pub(super) fn partition_list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

/// A native list of next offsets with notes.
pub(super) fn noted_list<'a>(
    offsets: impl Iterator<Item = (&'a TopicPartition, i64, &'a str)>,
) -> Result<TopicPartitionList, rdkafka::error::KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset, note) in offsets {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element.set_offset(Offset::Offset(offset))?;
        if !note.is_empty() {
            element.set_metadata(note);
        }
    }
    Ok(list)
}

/// Offsets and notes of a native list. Fails with the first partition's error.
pub(super) fn list_committed(
    list: &TopicPartitionList,
) -> Result<BTreeMap<TopicPartition, Committed>, rdkafka::error::KafkaError> {
    let mut committed = BTreeMap::new();
    for element in list.elements() {
        element.error()?;
        let offset = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        let key = TopicPartition::new(element.topic(), element.partition());
        committed.insert(key, Committed { offset, note: element.metadata().to_owned() });
    }
    Ok(committed)
}

/// A native list of next offsets.
pub(super) fn offset_list<'a>(
    offsets: impl Iterator<Item = (&'a TopicPartition, i64)>,
) -> Result<TopicPartitionList, rdkafka::error::KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset))?;
    }
    Ok(list)
}

/// The offsets of a native list; `None` where it holds no absolute offset. Fails with the first partition's error.
pub(super) fn list_offsets(
    list: &TopicPartitionList,
) -> Result<BTreeMap<TopicPartition, Option<i64>>, rdkafka::error::KafkaError> {
    let mut offsets = BTreeMap::new();
    for element in list.elements() {
        element.error()?;
        let offset = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        offsets.insert(TopicPartition::new(element.topic(), element.partition()), offset);
    }
    Ok(offsets)
}
