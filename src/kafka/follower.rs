//! A consumer without a group: it follows the partitions it is given, from the offsets it is given.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError as Native;
use rdkafka::message::Message;

use super::config::{Isolation, KafkaConfig};
use super::consumer::{ConsumerEvent, PlainConsumer, Quiet};
use super::error::{Class, KafkaError};
use super::offsets::{list_offsets, offset_list};
use super::reader::owned;
use super::record::TopicPartition;

/// Reads committed records of assigned partitions; commits nothing anywhere.
pub struct Follower {
    inner: PlainConsumer,
    topics: Mutex<HashMap<String, Arc<str>>>,
}

impl Follower {
    /// A follower of nothing yet.
    pub fn new(config: &KafkaConfig) -> Result<Self, KafkaError> {
        let inner = config
            .reader(Isolation::Committed, None)
            .create_with_context(Quiet)
            .map_err(|e| KafkaError::new("create follower", e))?;
        Ok(Self { inner, topics: Mutex::new(HashMap::new()) })
    }

    /// Adds partitions, each from its next offset.
    pub fn assign(&self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<(), KafkaError> {
        let list = offset_list(offsets.iter().map(|(p, o)| (p, *o))).map_err(|e| KafkaError::new("assign", e))?;
        self.inner.incremental_assign(&list).map_err(|e| KafkaError::new("assign", e))
    }

    /// Takes partitions out, with what was fetched of them.
    pub fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&partition.topic, partition.partition);
        }
        self.inner.incremental_unassign(&list).map_err(|e| KafkaError::new("unassign", e))
    }

    /// Takes the next event, waiting up to `timeout`.
    pub fn poll(&self, timeout: Duration) -> Result<ConsumerEvent, KafkaError> {
        match self.inner.poll(timeout) {
            None => Ok(ConsumerEvent::Nothing),
            Some(Ok(message)) => {
                let mut topics = self.topics.lock().expect("no holder of this lock panics");
                let name = message.topic();
                let topic = match topics.get(name) {
                    Some(topic) => Arc::clone(topic),
                    None => Arc::clone(topics.entry(name.to_owned()).or_insert_with(|| name.into())),
                };
                Ok(ConsumerEvent::Record(owned(&message, &topic)))
            }
            Some(Err(Native::PartitionEOF(_))) => Ok(ConsumerEvent::EndOfPartition),
            Some(Err(error)) => {
                let error = KafkaError::new("follow", error);
                let class = if error.class == Class::Fenced { Class::Fatal } else { error.class };
                Err(KafkaError { class, ..error })
            }
        }
    }

    /// Next offset per partition, past transaction markers; missing where nothing was read yet.
    pub fn positions(&self) -> Result<BTreeMap<TopicPartition, i64>, KafkaError> {
        let list = self.inner.position().map_err(|e| KafkaError::new("read positions", e))?;
        let offsets = list_offsets(&list).map_err(|e| KafkaError::new("read positions", e))?;
        Ok(offsets.into_iter().filter_map(|(partition, offset)| Some((partition, offset?))).collect())
    }
}
