//! Records and the position that goes with them, in one transaction.
//!
//! The position is a record of a compacted topic of the installation, keyed by topic and metastore. All tails of one
//! metastore into one topic share a transactional id: a second one fences the first, which then ends and says so.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::window::Position;
use crate::kafka::{CommitError, Isolation, KafkaConfig, KafkaError, LogReader, OutgoingRecord, TransactionalProducer};

/// A killed tail holds back the readers of the raw topic for so long at most.
const TRANSACTION: Duration = Duration::from_secs(10);
/// Records of one transaction, and their bytes.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 4 << 20;

/// Where a tail writes.
#[derive(Clone, Debug)]
pub struct Place {
    /// Name of the installation (`kafka.cluster`).
    pub cluster: String,
    /// The raw topic.
    pub topic: String,
    /// The metastore.
    pub instance: String,
}

impl Place {
    /// The topic of positions: `<cluster>-tail-positions`.
    pub fn positions(&self) -> String {
        format!("{}-tail-positions", self.cluster)
    }

    fn key(&self) -> String {
        format!("hms|{}|{}", self.topic, self.instance)
    }

    /// The transactional id of a tail.
    pub fn tail_id(&self) -> String {
        format!("{}.tail-hms.{}.{}", self.cluster, self.topic, self.instance)
    }

    /// The transactional id of a snapshot, which leaves the tail of the same metastore alone.
    pub fn snapshot_id(&self) -> String {
        format!("{}.snapshot-hms.{}.{}", self.cluster, self.topic, self.instance)
    }
}

/// Why nothing was written, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Another one has taken over.
    #[error("another process writes for {instance} into {topic} since; this one ends, and nothing is written twice")]
    Fenced {
        /// The metastore.
        instance: String,
        /// The topic.
        topic: String,
    },
    /// The topics are not there.
    #[error("there is no topic {0}; run `tributary topology apply`")]
    NoTopic(String),
    /// Kafka does not do it. After a transient error: open again, and go on from the position that is read then.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

impl OutboxError {
    /// Whether opening again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Kafka(error) if error.is_transient())
    }
}

/// An open way to write.
pub struct Outbox {
    place: Place,
    topic: Arc<str>,
    producer: TransactionalProducer,
    pending: usize,
    bytes: usize,
}

impl Outbox {
    /// Fences whoever else has this transactional id, and ends what it left open.
    ///
    /// # Errors
    /// [`OutboxError::NoTopic`], or as Kafka answers.
    pub fn open(kafka: &KafkaConfig, place: Place, id: &str) -> Result<Self, OutboxError> {
        let reader = LogReader::new(kafka, Isolation::Committed)?;
        for topic in [place.topic.clone(), place.positions()] {
            if reader.admin().partition_count(&topic)?.is_none() {
                return Err(OutboxError::NoTopic(topic));
            }
        }
        let producer = TransactionalProducer::new(kafka, id, TRANSACTION)?;
        producer.init()?;
        Ok(Self { topic: place.topic.as_str().into(), place, producer, pending: 0, bytes: 0 })
    }

    /// The position that was written last.
    ///
    /// # Errors
    /// As Kafka answers.
    pub fn position(&self, kafka: &KafkaConfig) -> Result<Option<Position>, OutboxError> {
        let reader = LogReader::new(kafka, Isolation::Committed)?;
        let key = self.place.key();
        let mut found = None;
        reader.read_topic(&self.place.positions(), &mut |record| {
            if record.key.as_deref() == Some(key.as_bytes()) {
                found = record.value.and_then(|value| serde_json::from_slice(&value).ok());
            }
        })?;
        Ok(found)
    }

    /// Adds a value to the open transaction, which is committed when it is large.
    ///
    /// # Errors
    /// As Kafka answers; nothing of the open transaction is written then, or nobody knows.
    pub fn add(&mut self, key: Option<String>, value: &Value) -> Result<(), OutboxError> {
        if self.pending >= BATCH || self.bytes >= BATCH_BYTES {
            self.commit(None)?;
        }
        self.begin()?;
        let value = value.to_string().into_bytes();
        self.bytes += value.len();
        let record = OutgoingRecord::new(Arc::clone(&self.topic), key.map(String::into_bytes), Some(value));
        self.producer.send(&record).map_err(|error| failed(&self.place, error))?;
        self.pending += 1;
        Ok(())
    }

    /// Commits what was added, with the position if it has moved.
    ///
    /// # Errors
    /// As [`Outbox::add`].
    pub fn commit(&mut self, position: Option<&Position>) -> Result<(), OutboxError> {
        if let Some(position) = position {
            self.begin()?;
            let value = serde_json::to_vec(position).expect("a position has no failing serializers");
            let record = OutgoingRecord::new(self.place.positions(), Some(self.place.key().into_bytes()), Some(value));
            self.producer.send(&record).map_err(|error| failed(&self.place, error))?;
            self.pending += 1;
        }
        if self.pending > 0 {
            crate::failpoint::hit("tail.commit.before");
            self.producer.commit(TRANSACTION).map_err(|error| failed(&self.place, error))?;
            crate::failpoint::hit("tail.commit.after");
        }
        (self.pending, self.bytes) = (0, 0);
        Ok(())
    }

    fn begin(&mut self) -> Result<(), OutboxError> {
        if self.pending == 0 {
            self.producer.begin().map_err(|error| failed(&self.place, error))?;
        }
        Ok(())
    }
}

fn failed(place: &Place, error: CommitError) -> OutboxError {
    match error {
        CommitError::Fenced(_) => OutboxError::Fenced { instance: place.instance.clone(), topic: place.topic.clone() },
        CommitError::Abort(error) | CommitError::Unknown(error) | CommitError::Fatal(error) => error.into(),
    }
}

/// The key of what is about a table or database, as [`Notification`](crate::metastore::Notification)s are keyed.
pub fn key(database: Option<&str>, table: Option<&str>) -> Option<String> {
    let database = database.filter(|name| !name.is_empty())?;
    Some(table.map_or_else(|| database.to_owned(), |table| format!("{database}.{table}")))
}
