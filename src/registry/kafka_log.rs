//! The `_schemas` topic in Kafka: a follower that sees committed records, and a producer with the transactional id all
//! nodes of a cluster share, so that the broker lets only one of them write.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::log::{AbortedKeys, Acquired, KeyValue, LogError, LogReader, LogRecord, LogWriter, SchemaLog, reason};
use crate::failpoint;
use crate::kafka::{
    Admin, Class, CommitError, Headers, Isolation, KafkaConfig, KafkaError, OutgoingRecord, PartitionFollower,
    Producer, TopicPartition, TopicSpec, TransactionalProducer,
};

/// How long a transaction and each of its calls may take.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The header of our records that names the URL of the node that wrote them.
const WRITER_HEADER: &str = "schema-registry-writer";
/// How long a look for aborted records waits for more of them at a time.
const LOOK: Duration = Duration::from_millis(100);

/// How long the last record of a writer may take; the process is about to end.
const CLOSE: Duration = Duration::from_secs(2);

/// Group and protocol type by which Confluent's registries elect their leader.
const FOREIGN_GROUP: &str = "schema-registry";
const FOREIGN_PROTOCOL: &str = "sr";
/// How long the absence of a foreign leader is believed.
const FOREIGN_CHECK: Duration = Duration::from_secs(5);

/// The topic of one cluster.
#[derive(Clone)]
pub struct KafkaLog {
    config: KafkaConfig,
    topic: Arc<str>,
    transactional_id: Arc<str>,
    /// One for all questions: each client costs some MiB.
    admin: Arc<OnceLock<Admin>>,
}

impl KafkaLog {
    /// The log in `topic` (usually `_schemas`); all registries on it must give the same `transactional_id`.
    pub fn new(config: KafkaConfig, topic: &str, transactional_id: &str) -> Self {
        let (topic, transactional_id) = (topic.into(), transactional_id.into());
        Self { config, topic, transactional_id, admin: Arc::default() }
    }

    fn admin(&self) -> Result<&Admin, LogError> {
        match self.admin.get() {
            Some(admin) => Ok(admin),
            None => Admin::new(&self.config).map(|admin| self.admin.get_or_init(|| admin)).map_err(unavailable),
        }
    }

    /// Creates the topic where it is missing: one partition, compacted.
    ///
    /// # Errors
    /// Kafka is not reachable, or the topic has more than one partition and could not be read in order.
    pub fn ensure_topic(&self) -> Result<(), LogError> {
        let admin = self.admin()?;
        // Asked first: what creates topics is a client of its own.
        if admin.partition_count(&self.topic).map_err(unavailable)?.is_none() {
            let spec = TopicSpec::new(self.topic.to_string(), 1).config("cleanup.policy", "compact");
            admin.create_topics(&[spec]).map_err(unavailable)?;
        }
        // Brokers learn of a new topic one after the other; the one asked may be the last.
        let deadline = Instant::now() + TRANSACTION_TIMEOUT;
        loop {
            match admin.partition_count(&self.topic).map_err(unavailable)? {
                Some(1) => return Ok(()),
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                count => {
                    let count = count.unwrap_or(0);
                    let message = format!("topic {} has {count} partitions and must have one", self.topic);
                    return Err(LogError::Unavailable(reason(message)));
                }
            }
        }
    }

    fn partition(&self) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), 0)
    }
}

impl SchemaLog for KafkaLog {
    fn reader(&self) -> Result<Box<dyn LogReader>, LogError> {
        let follower = PartitionFollower::new(&self.config, self.partition(), None, Isolation::Committed);
        Ok(Box::new(KafkaReader { follower: follower.map_err(unavailable)? }))
    }

    fn writer(&self) -> Result<Box<dyn LogWriter>, LogError> {
        self.admin()?;
        Ok(Box::new(KafkaWriter { log: self.clone(), producer: None, alone_since: None }))
    }

    fn cluster_id(&self) -> Result<String, LogError> {
        self.admin()?.cluster_id().map_err(unavailable)
    }
}

struct KafkaReader {
    follower: PartitionFollower,
}

impl LogReader for KafkaReader {
    fn poll(&mut self, timeout: Duration) -> Result<Vec<LogRecord>, LogError> {
        let records = self.follower.poll(timeout).map_err(unavailable)?;
        let record = |record: crate::kafka::Record| LogRecord {
            offset: record.offset,
            timestamp: record.timestamp_ms.unwrap_or_default(),
            writer: record.headers.text(WRITER_HEADER).map(str::to_owned),
            key: record.key,
            value: record.value,
        };
        Ok(records.into_iter().map(record).collect())
    }

    fn position(&self) -> i64 {
        self.follower.position()
    }
}

struct KafkaWriter {
    log: KafkaLog,
    /// Present while this node is the writer as far as it knows.
    producer: Option<TransactionalProducer>,
    /// When no foreign leader was seen last.
    alone_since: Option<Instant>,
}

impl KafkaWriter {
    /// Refuses to write beside a live Confluent leader: our fence does not reach it.
    fn check_alone(&mut self) -> Result<(), LogError> {
        if self.alone_since.is_some_and(|checked| checked.elapsed() < FOREIGN_CHECK) {
            return Ok(());
        }
        let group = self.log.admin()?.group(FOREIGN_GROUP).map_err(unavailable)?;
        if group.protocol_type == FOREIGN_PROTOCOL
            && let Some(member) = group.members.first()
        {
            let member = format!("{} at {}", member.client_id, member.host);
            return Err(LogError::ForeignLeader { group: FOREIGN_GROUP.to_owned(), member });
        }
        self.alone_since = Some(Instant::now());
        Ok(())
    }
}

impl LogWriter for KafkaWriter {
    fn end(&mut self) -> Result<i64, LogError> {
        let ends = self.log.admin()?.watermarks(&self.log.partition(), Isolation::Uncommitted).map_err(unavailable)?;
        Ok(ends.high)
    }

    fn acquire(&mut self) -> Result<Acquired, LogError> {
        self.check_alone()?;
        if self.producer.is_some() {
            return Ok(Acquired::Held);
        }
        let id = &self.log.transactional_id;
        let topic = Some(self.log.topic.clone());
        let producer = TransactionalProducer::tracking(&self.log.config, id, TRANSACTION_TIMEOUT, topic);
        let producer = producer.map_err(unavailable)?;
        producer.init().map_err(unavailable)?;
        self.producer = Some(producer);
        Ok(Acquired::Anew)
    }

    fn aborted(&mut self, range: Range<i64>, is_committed: &dyn Fn(i64) -> bool) -> Result<Vec<KeyValue>, LogError> {
        let mut left = AbortedKeys::default();
        if range.is_empty() {
            return Ok(Vec::new());
        }
        // From the first record there is, wherever compaction has put it.
        let start = Some(range.start).filter(|start| *start > 0);
        let partition = self.log.partition();
        let mut follower =
            PartitionFollower::new(&self.log.config, partition, start, Isolation::Uncommitted).map_err(unavailable)?;
        let deadline = Instant::now() + TRANSACTION_TIMEOUT;
        while follower.position() < range.end {
            if Instant::now() >= deadline {
                let message = format!("records up to {} could be read to {} only", range.end, follower.position());
                return Err(LogError::Unavailable(reason(message)));
            }
            let records = follower.poll(LOOK).map_err(unavailable)?.into_iter();
            for record in records.filter(|record| range.contains(&record.offset)) {
                left.see(record.key.unwrap_or_default(), record.value, is_committed(record.offset));
            }
        }
        Ok(left.into_records())
    }

    fn append(&mut self, records: Vec<KeyValue>, writer: Option<&str>) -> Result<i64, LogError> {
        self.check_alone()?;
        let Some(mut producer) = self.producer.take() else {
            return Err(LogError::Fenced(reason("this node has not acquired the topic")));
        };
        let headers = writer.map_or_else(Headers::new, |url| Headers::new().with(WRITER_HEADER, url));
        match write(&mut producer, &self.log.topic, records, &headers) {
            Ok(next) => {
                self.producer = Some(producer);
                Ok(next)
            }
            // The producer is not kept: the next `acquire` starts over with a new epoch.
            Err(CommitError::Fenced(error)) => Err(LogError::Fenced(Arc::new(error))),
            Err(CommitError::Unknown(error)) => Err(LogError::UnknownOutcome(Arc::new(error))),
            Err(CommitError::Abort(error) | CommitError::Fatal(error)) => {
                let _ = producer.abort(TRANSACTION_TIMEOUT);
                match error.class {
                    Class::Fenced => Err(LogError::Fenced(Arc::new(error))),
                    _ => Err(LogError::Unavailable(Arc::new(error))),
                }
            }
        }
    }

    fn close(&mut self, (key, value): KeyValue) -> Result<(), LogError> {
        self.producer = None;
        let producer = Producer::new(&self.log.config).map_err(unavailable)?;
        let record = OutgoingRecord::new(self.log.topic.clone(), Some(key), value).to_partition(0);
        producer.send(&record).map_err(unavailable)?;
        producer.flush(CLOSE).map_err(unavailable)
    }
}

fn write(
    producer: &mut TransactionalProducer,
    topic: &Arc<str>,
    records: Vec<KeyValue>,
    headers: &Headers,
) -> Result<i64, CommitError> {
    producer.begin()?;
    for (key, value) in records {
        let record = OutgoingRecord::new(topic.clone(), Some(key), value).to_partition(0);
        producer.send(&record.with_headers(headers.clone()))?;
    }
    producer.drain(TRANSACTION_TIMEOUT)?;
    failpoint::hit("registry.commit.before");
    producer.commit(TRANSACTION_TIMEOUT)?;
    failpoint::hit("registry.commit.after");
    Ok(producer.delivered().get(&0).copied().unwrap_or_default())
}

fn unavailable(error: KafkaError) -> LogError {
    match error.class {
        Class::Fenced => LogError::Fenced(Arc::new(error)),
        _ => LogError::Unavailable(Arc::new(error)),
    }
}
