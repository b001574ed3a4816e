//! Reads a partition's or a topic's log from somewhere to an end captured at the start, without a group.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message};
use rdkafka::topic_partition_list::Offset;

use super::admin::{Admin, Watermarks};
use super::aside::Aside;
use super::config::{Isolation, KafkaConfig};
use super::consumer::{PlainConsumer, Quiet};
use super::error::{Class, KafkaError};
use super::record::{Header, Headers, Record, TopicPartition};

/// Reads whole logs, one partition after the other.
pub struct LogReader {
    config: KafkaConfig,
    admin: Arc<Admin>,
    isolation: Isolation,
    /// Connected already: a new client for each partition costs more than reading it.
    consumer: Mutex<Option<Aside<PlainConsumer>>>,
}

/// Where a [`PartitionReader`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadProgress {
    /// There is more to read.
    Reading,
    /// The captured end is reached; records below it that the reader may see have all been handed out.
    Done,
}

impl LogReader {
    /// A reader of logs that sees what `isolation` says.
    pub fn new(config: &KafkaConfig, isolation: Isolation) -> Result<Self, KafkaError> {
        let consumer = Mutex::new(None);
        Ok(Self { config: config.clone(), admin: Arc::new(Admin::new(config)?), isolation, consumer })
    }

    /// Reads all partitions of `topic` from their beginnings to the ends they have now (high watermarks, so that
    /// transactions open now are waited for), partition by partition in offset order. Returns those ends.
    pub fn read_topic(&self, topic: &str, each: &mut dyn FnMut(Record)) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let ends = self.admin.topic_watermarks(topic, Isolation::Uncommitted)?;
        let mut reached = BTreeMap::new();
        for (partition, marks) in ends {
            self.read_range(&TopicPartition::new(topic, partition), marks.low, marks.high, each)?;
            reached.insert(partition, marks.high);
        }
        Ok(reached)
    }

    /// Reads one partition from offset `from` (or the log's start if that is later) to the end it has now.
    /// Returns that end: the offset to go on from next time.
    pub fn read_partition(
        &self,
        partition: &TopicPartition,
        from: i64,
        each: &mut dyn FnMut(Record),
    ) -> Result<i64, KafkaError> {
        let marks = self.admin.watermarks(partition, Isolation::Uncommitted)?;
        self.read_range(partition, from.max(marks.low), marks.high, each)?;
        Ok(marks.high)
    }

    /// Reads offsets `from..to` of one partition.
    pub fn read_range(
        &self,
        partition: &TopicPartition,
        from: i64,
        to: i64,
        each: &mut dyn FnMut(Record),
    ) -> Result<(), KafkaError> {
        if from >= to {
            return Ok(());
        }
        let idle = self.consumer.lock().expect("no holder of this lock panics").take();
        let consumer = idle.map_or_else(|| consumer(&self.config, self.isolation, partition), Ok)?;
        let admin = Arc::clone(&self.admin);
        let mut reader = PartitionReader::with(consumer, admin, partition.clone(), from, to, self.isolation);
        let mut last_progress = Instant::now();
        loop {
            let before = reader.position();
            if reader.read(Duration::from_millis(200), each)? == ReadProgress::Done {
                // An idle client that kept the partition would go on to fetch what nobody reads.
                let outcome = reader.consumer.unassign();
                outcome.map_err(|e| KafkaError::new(format!("give {partition} back"), e))?;
                *self.consumer.lock().expect("no holder of this lock panics") = Some(reader.consumer);
                return Ok(());
            }
            if reader.position() != before {
                last_progress = Instant::now();
            } else if last_progress.elapsed() > Duration::from_secs(30) {
                let at = reader.position();
                return Err(KafkaError::other(
                    Class::Transient,
                    format!("read {partition} to {to}"),
                    format!("no progress for 30 s at offset {at}; is a transaction open?"),
                ));
            }
        }
    }

    /// The administration client it uses.
    pub fn admin(&self) -> &Arc<Admin> {
        &self.admin
    }
}

/// Reads one partition up to a fixed end, in slices, so that its owner can do other things between.
pub struct PartitionReader {
    consumer: Aside<PlainConsumer>,
    admin: Arc<Admin>,
    partition: TopicPartition,
    next: i64,
    to: i64,
    isolation: Isolation,
    state: State,
}

enum State {
    /// A transaction that began below the end is still open; what it wrote cannot be seen yet.
    WaitingForStable,
    Reading,
    Done,
}

impl PartitionReader {
    /// Prepares to read offsets `from..to` of `partition`. `to` is a high watermark; a committed reader first waits
    /// until the last stable offset has reached it, so that the last committed transaction is not missed.
    pub fn new(
        config: &KafkaConfig,
        admin: Arc<Admin>,
        partition: TopicPartition,
        from: i64,
        to: i64,
        isolation: Isolation,
    ) -> Result<Self, KafkaError> {
        Ok(Self::with(consumer(config, isolation, &partition)?, admin, partition, from, to, isolation))
    }

    fn with(
        consumer: Aside<PlainConsumer>,
        admin: Arc<Admin>,
        partition: TopicPartition,
        from: i64,
        to: i64,
        isolation: Isolation,
    ) -> Self {
        let state = if from >= to { State::Done } else { State::WaitingForStable };
        Self { consumer, admin, partition, next: from, to, isolation, state }
    }

    /// The next offset to be read.
    pub fn position(&self) -> i64 {
        self.next
    }

    /// The captured end.
    pub fn end(&self) -> i64 {
        self.to
    }

    /// Hands out records for about `budget`.
    pub fn read(&mut self, budget: Duration, each: &mut dyn FnMut(Record)) -> Result<ReadProgress, KafkaError> {
        let deadline = Instant::now() + budget;
        if matches!(self.state, State::WaitingForStable) && !self.start(deadline)? {
            return Ok(ReadProgress::Reading);
        }
        while matches!(self.state, State::Reading) {
            let now = Instant::now();
            if now >= deadline {
                return Ok(ReadProgress::Reading);
            }
            match self.consumer.poll((deadline - now).min(Duration::from_millis(50))) {
                None => self.update_position(),
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if offset >= self.to {
                        self.finish();
                        break;
                    }
                    if offset >= self.next {
                        each(owned(&message, &self.partition.topic));
                        self.next = offset + 1;
                    }
                }
                Some(Err(Native::PartitionEOF(_))) => self.finish(),
                Some(Err(error)) => {
                    let context = format!("read {} at {}", self.partition, self.next);
                    let error = KafkaError::new(context, error);
                    // Brokers that are away are librdkafka's to find again; the owner sees no progress meanwhile.
                    if !error.is_transient() {
                        return Err(error);
                    }
                    tracing::debug!(%error, "reader waits");
                }
            }
            if self.next >= self.to {
                self.finish();
            }
        }
        Ok(ReadProgress::Done)
    }

    fn start(&mut self, deadline: Instant) -> Result<bool, KafkaError> {
        loop {
            let Watermarks { low, high } = self.admin.watermarks(&self.partition, self.isolation)?;
            if low > self.next {
                return Err(KafkaError::code(
                    format!("read {} from {}: the log starts at {low}", self.partition, self.next),
                    Code::OffsetOutOfRange,
                ));
            }
            if high >= self.to {
                break;
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let context = || format!("assign {} at {}", self.partition, self.next);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.partition.topic, self.partition.partition, Offset::Offset(self.next))
            .map_err(|e| KafkaError::new(context(), e))?;
        self.consumer.assign(&list).map_err(|e| KafkaError::new(context(), e))?;
        self.state = State::Reading;
        Ok(true)
    }

    /// Transaction markers and aborted records occupy offsets; only the consumer's position passes them.
    fn update_position(&mut self) {
        let Ok(list) = self.consumer.position() else { return };
        if let Some(element) = list.find_partition(&self.partition.topic, self.partition.partition)
            && let Offset::Offset(offset) = element.offset()
        {
            self.next = self.next.max(offset);
        }
    }

    fn finish(&mut self) {
        self.next = self.next.max(self.to);
        self.state = State::Done;
    }
}

fn consumer(
    config: &KafkaConfig,
    isolation: Isolation,
    partition: &TopicPartition,
) -> Result<Aside<PlainConsumer>, KafkaError> {
    config
        .bounded_reader(isolation)
        .create_with_context(Quiet)
        .map(Aside::new)
        .map_err(|e| KafkaError::new(format!("create reader of {partition}"), e))
}

/// What is kept of a value that is cut.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// Copies a native message.
pub(super) fn owned(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Record {
    owned_up_to(message, topic, usize::MAX)
}

/// The same, but only the head of a value that is larger than `most` bytes.
pub(super) fn owned_up_to(message: &BorrowedMessage<'_>, topic: &Arc<str>, most: usize) -> Record {
    let headers = message.headers().map(owned_headers).unwrap_or_default();
    let value = message.payload().map(|value| match value.get(..HEAD_BYTES) {
        Some(head) if value.len() > most => head,
        _ => value,
    });
    Record {
        topic: Arc::clone(topic),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        cut_bytes: message.payload_len().saturating_sub(value.map_or(0, <[u8]>::len)),
        headers,
    }
}

/// Copies native headers. The client library panics over a name that is not UTF-8; such a header is kept as one without
/// a value whose name is U+FFFD: nothing that we read depends on it, and a dead letter shows that there was one.
fn owned_headers(native: &BorrowedHeaders) -> Headers {
    let mut headers = Headers::new();
    for index in 0..native.count() {
        let read = std::panic::catch_unwind(AssertUnwindSafe(|| native.get(index)));
        headers.push_header(match read {
            Ok(header) => Header { name: header.key.to_owned(), value: header.value.map(<[u8]>::to_vec) },
            Err(_) => Header { name: '\u{fffd}'.into(), value: None },
        });
    }
    headers
}
