//! The plain idempotent producer: each record is acknowledged once by all in-sync replicas, outside of transactions.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode as Code};
use rdkafka::message::{Header as NativeHeader, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;

use super::config::KafkaConfig;
use super::error::{Class, KafkaError};
use super::record::{Headers, OutgoingRecord};

/// Where an acknowledged record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

struct Acknowledge;

impl ClientContext for Acknowledge {
    fn error(&self, error: Native, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Acknowledge {
    type DeliveryOpaque = Box<oneshot::Sender<Result<Delivered, Native>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(message) => Ok(Delivered { partition: message.partition(), offset: message.offset() }),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody waits: the caller does not want to know.
        let _ = waiting.send(outcome);
    }
}

/// An idempotent producer with its own thread; cheap to share behind an `Arc`.
pub struct Producer {
    inner: ThreadedProducer<Acknowledge>,
}

impl Producer {
    /// A producer for the cluster; does not connect yet.
    pub fn new(config: &KafkaConfig) -> Result<Self, KafkaError> {
        let inner =
            config.producer().create_with_context(Acknowledge).map_err(|e| KafkaError::new("create producer", e))?;
        Ok(Self { inner })
    }

    /// Enqueues a record; waits up to 30 s while the queue is full. The [`Delivery`] tells when it is acknowledged.
    pub fn send(&self, record: &OutgoingRecord) -> Result<Delivery, KafkaError> {
        let (sender, receiver) = oneshot::channel();
        let mut native = native(record, Box::new(sender));
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            native = match self.inner.send(native) {
                Ok(()) => return Ok(Delivery { receiver, topic: record.topic.to_string() }),
                Err((Native::MessageProduction(Code::QueueFull), back)) if Instant::now() < deadline => back,
                Err((error, _)) => return Err(KafkaError::new(format!("produce to {}", record.topic), error)),
            };
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until everything sent is acknowledged or has failed.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.inner.flush(timeout).map_err(|e| KafkaError::new("flush the producer", e))
    }
}

/// The acknowledgement of one record: await it, or [`Delivery::wait`] on a thread. Dropping it forgets it.
#[derive(Debug)]
pub struct Delivery {
    receiver: oneshot::Receiver<Result<Delivered, Native>>,
    topic: String,
}

impl Delivery {
    /// Blocks until the record is acknowledged; not for asynchronous callers.
    pub fn wait(self) -> Result<Delivered, KafkaError> {
        let outcome = self.receiver.blocking_recv();
        finish(outcome, &self.topic)
    }
}

impl Future for Delivery {
    type Output = Result<Delivered, KafkaError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(|outcome| finish(outcome, &self.topic))
    }
}

fn finish(
    outcome: Result<Result<Delivered, Native>, oneshot::error::RecvError>,
    topic: &str,
) -> Result<Delivered, KafkaError> {
    let context = || format!("deliver to {topic}");
    match outcome {
        Ok(Ok(delivered)) => Ok(delivered),
        Ok(Err(error)) => Err(KafkaError::new(context(), error)),
        Err(_) => Err(KafkaError::other(Class::Transient, context(), "the producer was closed")),
    }
}

/// The native form of a record. An empty key or value stays empty and does not become null.
pub(super) fn native<D: rdkafka::util::IntoOpaque>(
    record: &OutgoingRecord,
    opaque: D,
) -> BaseRecord<'_, [u8], [u8], D> {
    BaseRecord {
        topic: &record.topic,
        partition: record.partition,
        payload: record.value.as_deref(),
        key: record.key.as_deref(),
        timestamp: record.timestamp_ms,
        headers: native_headers(&record.headers),
        delivery_opaque: opaque,
    }
}

fn native_headers(headers: &Headers) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let empty = OwnedHeaders::new_with_capacity(headers.iter().len());
    Some(
        headers.iter().fold(empty, |native, header| {
            native.insert(NativeHeader { key: &header.name, value: header.value.as_ref() })
        }),
    )
}
