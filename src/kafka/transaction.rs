//! The transactional producer: records and consumed offsets become visible together, or not at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};

use super::config::KafkaConfig;
use super::consumer::GroupMetadata;
use super::error::{Class, KafkaError};
use super::offsets::noted_list;
use super::producer::native;
use super::record::{OutgoingRecord, TopicPartition};

/// How a transaction failed, which decides what must happen next.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The transaction certainly did not commit; call [`TransactionalProducer::abort`] and do the work again.
    #[error("transaction must be aborted")]
    Abort(#[source] KafkaError),
    /// Nobody can tell whether it committed. Drop this producer, make a new one with the same id and `init` it: the
    /// coordinator then finishes what was open, and everything known about positions must be read again.
    #[error("outcome of the transaction is unknown")]
    Unknown(#[source] KafkaError),
    /// Another producer with this id has taken over; this one must stop.
    #[error("fenced by another producer with the same transactional id")]
    Fenced(#[source] KafkaError),
    /// The producer cannot go on.
    #[error("transactional producer failed")]
    Fatal(#[source] KafkaError),
}

impl CommitError {
    /// The Kafka error behind it.
    pub fn error(&self) -> &KafkaError {
        match self {
            Self::Abort(error) | Self::Unknown(error) | Self::Fenced(error) | Self::Fatal(error) => error,
        }
    }
}

/// What the delivery reports of the open transaction have said.
#[derive(Default)]
struct Reports {
    failure: Option<Native>,
    /// Next offset after the last delivered record, of the tracked topic.
    delivered: HashMap<i32, i64>,
}

struct Collect {
    reports: Mutex<Reports>,
    tracked_topic: Option<Arc<str>>,
}

impl ClientContext for Collect {
    fn error(&self, error: Native, reason: &str) {
        tracing::debug!(%error, reason, "kafka transactional producer");
    }
}

impl ProducerContext for Collect {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut reports = self.reports.lock().expect("no holder of this lock panics");
        match result {
            Err((error, _)) => drop(reports.failure.get_or_insert_with(|| error.clone())),
            Ok(message) => {
                if self.tracked_topic.as_deref().is_some_and(|topic| topic == message.topic()) {
                    let next = reports.delivered.entry(message.partition()).or_default();
                    *next = (*next).max(message.offset() + 1);
                }
            }
        }
    }
}

/// How long to wait for the next delivery report. The library's own wait of 1 ms spins until it is over: it rounds what
/// is left to whole milliseconds, and more than 1 ms would delay commits.
const REPORT_EVERY: Duration = Duration::from_micros(250);

/// A producer of transactions. Not for sharing: one owner, one open transaction at a time.
pub struct TransactionalProducer {
    inner: BaseProducer<Collect>,
    id: String,
    timeout: Duration,
    unpolled: usize,
}

impl TransactionalProducer {
    /// A producer with this transactional id; `timeout` bounds every call and the life of an open transaction.
    /// Call [`Self::init`] before the first transaction.
    pub fn new(config: &KafkaConfig, id: &str, timeout: Duration) -> Result<Self, KafkaError> {
        Self::tracking(config, id, timeout, None)
    }

    /// The same, remembering where the records of `tracked_topic` were delivered.
    pub fn tracking(
        config: &KafkaConfig,
        id: &str,
        timeout: Duration,
        tracked_topic: Option<Arc<str>>,
    ) -> Result<Self, KafkaError> {
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let inner = config
            .transactional(id, timeout_ms)
            .create_with_context(Collect { reports: Mutex::new(Reports::default()), tracked_topic })
            .map_err(|e| KafkaError::new(format!("create transactional producer {id}"), e))?;
        Ok(Self { inner, id: id.to_owned(), timeout, unpolled: 0 })
    }

    /// The transactional id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Fences every older producer of this id and ends the transaction it left open.
    pub fn init(&self) -> Result<(), KafkaError> {
        self.init_within(self.timeout)
    }

    /// The same within `timeout`; after a transient error call it again, the operation goes on meanwhile.
    pub fn init_within(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.inner.init_transactions(timeout).map_err(|e| self.error("init_transactions", e))
    }

    /// Opens a transaction.
    pub fn begin(&mut self) -> Result<(), CommitError> {
        *self.reports() = Reports::default();
        self.unpolled = 0;
        self.inner.begin_transaction().map_err(|e| self.classify("begin_transaction", e))
    }

    /// Adds a record to the open transaction; waits while the queue is full.
    pub fn send(&mut self, record: &OutgoingRecord) -> Result<(), CommitError> {
        let deadline = Instant::now() + self.timeout;
        let mut pending = native(record, ());
        loop {
            pending = match self.inner.send(pending) {
                Ok(()) => break,
                Err((Native::MessageProduction(Code::QueueFull), back)) if Instant::now() < deadline => back,
                Err((error, _)) => return Err(self.classify(&format!("produce to {}", record.topic), error)),
            };
            self.await_reports();
        }
        // Delivery reports count against the queue until they are served.
        self.unpolled += 1;
        if self.unpolled >= 256 {
            self.unpolled = 0;
            self.inner.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Adds the next offsets to read to the open transaction. The group's generation fences a member that lost its
    /// partitions, so this is called for every transaction of a stage, also where no offset moved. `note` says what is
    /// kept beside the offset of a partition.
    pub fn send_offsets<'a>(
        &mut self,
        offsets: &'a BTreeMap<TopicPartition, i64>,
        note: impl Fn(&TopicPartition) -> &'a str,
        group: &GroupMetadata,
        timeout: Duration,
    ) -> Result<(), CommitError> {
        let list = noted_list(offsets.iter().map(|(p, o)| (p, *o, note(p))))
            .map_err(|e| CommitError::Fatal(self.error("send_offsets_to_transaction", e)))?;
        self.inner
            .send_offsets_to_transaction(&list, group.native(), timeout)
            .map_err(|e| self.classify("send_offsets_to_transaction", e))
    }

    /// Waits until each record of the open transaction is acknowledged.
    ///
    /// In short steps: the library's own flush polls in slices of 100 ms.
    pub fn drain(&mut self, timeout: Duration) -> Result<(), CommitError> {
        let deadline = Instant::now() + timeout;
        while self.inner.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                let left = self.inner.in_flight_count();
                let message = format!("{left} records were not acknowledged within {timeout:?}");
                return Err(CommitError::Abort(KafkaError::other(
                    Class::Transient,
                    format!("transaction of {}", self.id),
                    message,
                )));
            }
            self.await_reports();
        }
        let failure = self.reports().failure.take();
        match failure {
            None => Ok(()),
            Some(error) => Err(self.classify("deliver", error)),
        }
    }

    /// Commits the open transaction. Everything sent must be drained before.
    pub fn commit(&mut self, timeout: Duration) -> Result<(), CommitError> {
        self.drain(timeout)?;
        self.inner.commit_transaction(timeout).map_err(|error| match self.classify("commit_transaction", error) {
            // Unless the coordinator said no, the commit may have happened or may still happen.
            CommitError::Abort(error) if !requires_abort(&error) => CommitError::Unknown(error),
            other => other,
        })
    }

    /// Aborts the open transaction. On an error the outcome is left to a new producer's `init`.
    pub fn abort(&mut self, timeout: Duration) -> Result<(), CommitError> {
        self.inner.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
        // The purged records report back before the abort can be sent.
        let deadline = Instant::now() + timeout;
        while self.inner.in_flight_count() > 0 && Instant::now() < deadline {
            self.await_reports();
        }
        self.inner.abort_transaction(timeout).map_err(|error| match self.classify("abort_transaction", error) {
            CommitError::Abort(error) => CommitError::Unknown(error),
            other => other,
        })
    }

    /// For each partition of the tracked topic written in the last transaction: the offset after its last record.
    pub fn delivered(&self) -> HashMap<i32, i64> {
        self.reports().delivered.clone()
    }

    /// Serves delivery reports, or lets a moment pass if there are none.
    fn await_reports(&self) {
        let waiting = self.inner.in_flight_count();
        self.inner.poll(Duration::ZERO);
        if self.inner.in_flight_count() == waiting {
            std::thread::sleep(REPORT_EVERY);
        }
    }

    fn reports(&self) -> std::sync::MutexGuard<'_, Reports> {
        self.inner.context().reports.lock().expect("no holder of this lock panics")
    }

    fn error(&self, step: &str, error: Native) -> KafkaError {
        KafkaError::new(format!("{step} of {}", self.id), error)
    }

    fn classify(&self, step: &str, native: Native) -> CommitError {
        let fatal_client = self.inner.client().fatal_error();
        let error = self.error(step, native);
        match (error.class, fatal_client) {
            (Class::Fenced, _) => CommitError::Fenced(error),
            (_, Some((code, reason))) => {
                let cause = KafkaError::code(format!("{}: {reason}", error.context), code);
                if cause.class == Class::Fenced { CommitError::Fenced(cause) } else { CommitError::Fatal(error) }
            }
            (Class::Fatal, None) if !requires_abort(&error) => CommitError::Fatal(error),
            _ => CommitError::Abort(error),
        }
    }
}

fn requires_abort(error: &KafkaError) -> bool {
    let source: &(dyn std::error::Error + 'static) = error.source.as_ref();
    match source.downcast_ref::<Native>() {
        Some(Native::Transaction(inner)) => inner.txn_requires_abort(),
        Some(Native::MessageProduction(_)) => true,
        _ => false,
    }
}
