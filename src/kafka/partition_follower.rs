//! Follows one partition from a given offset for ever: for views that every process keeps on its own.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError as Native;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::aside::Aside;
use super::config::{Isolation, KafkaConfig};
use super::consumer::{PlainConsumer, Quiet};
use super::error::KafkaError;
use super::reader::owned;
use super::record::{Record, TopicPartition};

/// Most records handed out by one poll.
const MAX_POLLED: usize = 1_000;

/// A reader of one partition without a group. It belongs to one thread.
pub struct PartitionFollower {
    consumer: Aside<PlainConsumer>,
    topic: Arc<str>,
    partition: TopicPartition,
    position: i64,
}

impl PartitionFollower {
    /// Follows `partition` from offset `from`, or from its first record with `None`.
    ///
    /// # Errors
    /// The consumer cannot be made; the broker is not asked yet.
    pub fn new(
        config: &KafkaConfig,
        partition: TopicPartition,
        from: Option<i64>,
        isolation: Isolation,
    ) -> Result<Self, KafkaError> {
        let context = || format!("follow {partition}");
        let consumer = config
            .reader(isolation, None)
            .create_with_context::<_, PlainConsumer>(Quiet)
            .map(Aside::new)
            .map_err(|e| KafkaError::new(context(), e))?;
        let mut list = TopicPartitionList::new();
        let start = from.map_or(Offset::Beginning, Offset::Offset);
        list.add_partition_offset(&partition.topic, partition.partition, start)
            .map_err(|e| KafkaError::new(context(), e))?;
        consumer.assign(&list).map_err(|e| KafkaError::new(context(), e))?;
        Ok(Self { consumer, topic: partition.topic.clone(), partition, position: from.unwrap_or(0) })
    }

    /// Waits up to `timeout` for records and takes what has arrived.
    ///
    /// # Errors
    /// The partition cannot be read any more (deleted, or its records are gone). Brokers that are away are no error.
    pub fn poll(&mut self, timeout: Duration) -> Result<Vec<Record>, KafkaError> {
        let mut records = Vec::new();
        let mut wait = timeout;
        while records.len() < MAX_POLLED {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    self.position = self.position.max(message.offset() + 1);
                    records.push(owned(&message, &self.topic));
                }
                Some(Err(Native::PartitionEOF(_))) => {
                    self.pass_markers();
                    break;
                }
                Some(Err(error)) => {
                    let error = KafkaError::new(format!("follow {} at {}", self.partition, self.position), error);
                    if !error.is_transient() {
                        return Err(error);
                    }
                    tracing::debug!(%error, "follower waits");
                }
            }
            wait = Duration::ZERO;
        }
        if records.is_empty() {
            self.pass_markers();
        }
        Ok(records)
    }

    /// The next offset to be read; everything visible below it has been handed out.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Transaction markers and aborted records occupy offsets; only the consumer's position passes them.
    fn pass_markers(&mut self) {
        let Ok(list) = self.consumer.position() else { return };
        if let Some(element) = list.find_partition(&self.topic, self.partition.partition)
            && let Offset::Offset(offset) = element.offset()
        {
            self.position = self.position.max(offset);
        }
    }
}
