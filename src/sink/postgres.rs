//! The catalog topics into Postgres, batch by batch, with the positions in the same SQL transaction.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::decode::{decode, last_of_each_key};
use crate::codec::avro::Decoder;
use crate::kafka::{TopicId, TopicPartition};
use crate::stage::{PositionDelta, PositionError, Sink, SinkError, StageRecord, Start, StoredPosition};
use crate::store::{self, CatalogWrite, PositionKey, Store, StoreError, Undecodable};

/// How often rejects that are known are counted again: a rebuild or a later record may have made up for them.
const RECOUNT: Duration = Duration::from_secs(5);
/// Longest wait for that count.
const RECOUNT_LIMIT: Duration = Duration::from_millis(500);

/// Writes to a [`Store`] under a name that its positions are kept by.
pub struct PostgresSink {
    name: String,
    store: Store,
    decoder: Arc<Decoder>,
    runtime: Handle,
    /// Records put aside, as last counted.
    rejected: Cell<u64>,
    counted: Cell<Instant>,
}

impl PostgresSink {
    /// The sink's name in `positions` and `sink_rejects`, unless an installation runs several.
    pub const NAME: &'static str = "postgres";

    /// A sink over a migrated store. `runtime` runs the store's calls; the sink blocks on it.
    pub fn new(name: impl Into<String>, store: Store, decoder: Arc<Decoder>, runtime: Handle) -> Self {
        Self { name: name.into(), store, decoder, runtime, rejected: Cell::new(0), counted: Cell::new(Instant::now()) }
    }
}

impl Sink for PostgresSink {
    fn positions(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError> {
        let stored = self.runtime.block_on(self.store.positions(&self.name)).map_err(fault)?;
        self.rejected.set(self.runtime.block_on(self.store.count_rejects(&self.name)).map_err(fault)?);
        Ok(stored
            .into_iter()
            .map(|position| {
                let key = TopicPartition::new(position.key.topic, position.key.partition);
                let topic_id = position.topic_id.and_then(|id| id.parse::<TopicId>().ok());
                (key, StoredPosition { next: position.next_offset, topic_id })
            })
            .filter(|(key, _)| partitions.contains(key))
            .collect())
    }

    fn write(&mut self, batch: &[StageRecord], delta: &PositionDelta) -> Result<(), SinkError> {
        let mut writes = Vec::with_capacity(batch.len());
        let mut undecodable = Vec::new();
        let latest = last_of_each_key(batch);
        let superseded = (batch.len() - latest.len()) as u64;
        for record in latest {
            let decoded = decode(&self.decoder, record)?;
            let (partition, offset, key) = (record.partition, record.offset, decoded.key);
            let hash = record.value.as_deref().map(store::content_hash);
            match decoded.value {
                Ok(value) => writes.push(CatalogWrite { topic: decoded.topic, partition, offset, key, value, hash }),
                Err(rejection) => undecodable.push(Undecodable {
                    topic: record.topic.to_string(),
                    partition,
                    offset,
                    key,
                    reason: rejection.code.to_string(),
                    message: format!("{} (at {:?})", rejection.message, rejection.path),
                }),
            }
        }
        let deltas: Vec<store::PositionDelta> = delta
            .iter()
            .map(|(partition, span)| store::PositionDelta {
                key: PositionKey { topic: partition.topic.to_string(), partition: partition.partition },
                topic_id: span.topic_id.map(|id| id.to_string()),
                from: match span.start {
                    Start::Stored => Some(span.from),
                    Start::Fresh => None,
                },
                to: span.to,
            })
            .collect();
        let written = self.store.apply_batch_with_rejects(&self.name, &writes, &undecodable, &deltas);
        let outcome = self.runtime.block_on(written).map_err(fault)?;
        self.rejected.set(self.rejected.get() + outcome.rejected);
        let counts = [
            ("written", outcome.written),
            ("deleted", outcome.deleted),
            ("unchanged", outcome.unchanged),
            ("superseded", superseded + outcome.superseded),
            ("rejected", outcome.rejected),
        ];
        for (what, count) in counts {
            metrics::counter!("tributary_sink_records_total", "sink" => self.name.clone(), "outcome" => what)
                .increment(count);
        }
        metrics::counter!("tributary_sink_replaced_zeros_total", "sink" => self.name.clone())
            .increment(outcome.replaced_zeros);
        Ok(())
    }

    fn degraded(&self) -> Option<String> {
        if self.rejected.get() > 0 && self.counted.get().elapsed() >= RECOUNT {
            self.counted.set(Instant::now());
            let count = async { tokio::time::timeout(RECOUNT_LIMIT, self.store.count_rejects(&self.name)).await };
            // A database that does not answer is told of where it is written to.
            if let Ok(Ok(rejected)) = self.runtime.block_on(count) {
                self.rejected.set(rejected);
            }
        }
        (self.rejected.get() > 0).then(|| {
            format!(
                "{} records were refused by the database and put aside in the table sink_rejects, which says why; once \
                 the cause is mended, `tributary rebuild postgres` brings them in",
                self.rejected.get()
            )
        })
    }
}

fn fault(error: StoreError) -> SinkError {
    match error {
        StoreError::PositionMoved { topic, partition, expected, found, .. } => {
            let partition = TopicPartition::new(topic, partition);
            SinkError::Conflict(PositionError::Fenced { partition, expected, found })
        }
        error if error.is_transient() => SinkError::Transient(error.into()),
        error => SinkError::Fatal(error.into()),
    }
}
