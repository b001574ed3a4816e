//! The datasets topic into the table of schemas in memory that SQL is bound against.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::decode::{Refused, decode, last_of_each_key};
use crate::codec::avro::Decoder;
use crate::kafka::{TopicId, TopicPartition};
use crate::model::record::CatalogRecord;
use crate::sql::Schemas;
use crate::stage::{PositionDelta, Positions, Sink, SinkError, StageRecord, StoredPosition};

/// The table as the stages of this process hold it.
pub type SharedSchemas = Arc<RwLock<Schemas>>;

/// Keeps the table up to date. Table and positions live in this process: after a restart both start over.
pub struct SchemaSink {
    schemas: SharedSchemas,
    decoder: Arc<Decoder>,
    positions: Positions,
    topic_ids: BTreeMap<TopicPartition, TopicId>,
    refused: Refused,
}

impl SchemaSink {
    /// A sink with an empty table that follows the topic from its start.
    pub fn new(decoder: Arc<Decoder>) -> Self {
        Self {
            schemas: SharedSchemas::default(),
            decoder,
            positions: Positions::new(),
            topic_ids: BTreeMap::new(),
            refused: Refused::default(),
        }
    }

    /// The table, for its readers.
    pub fn schemas(&self) -> SharedSchemas {
        Arc::clone(&self.schemas)
    }
}

impl Sink for SchemaSink {
    fn positions(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError> {
        Ok(partitions
            .iter()
            .filter_map(|partition| {
                let next = self.positions.get(partition)?;
                Some((partition.clone(), StoredPosition { next, topic_id: self.topic_ids.get(partition).copied() }))
            })
            .collect())
    }

    fn write(&mut self, batch: &[StageRecord], delta: &PositionDelta) -> Result<(), SinkError> {
        // Decode first: a registry that is away must not leave half a batch in the table.
        let latest = last_of_each_key(batch);
        let decode = |record| Ok((record, decode(&self.decoder, record)?));
        let decoded = latest.into_iter().map(decode).collect::<Result<Vec<_>, SinkError>>()?;
        self.positions.apply(delta)?;
        for (partition, span) in delta.iter() {
            if let Some(id) = span.topic_id {
                self.topic_ids.insert(partition.clone(), id);
            }
        }
        let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
        for (read, record) in decoded {
            match record.value {
                Ok(Some(CatalogRecord::Dataset(dataset))) => schemas.put(&dataset),
                Ok(None) => schemas.remove(&record.key),
                Ok(Some(_)) => {}
                Err(why) => self.refused.note("schemas", &read.topic, (read.partition, read.offset), &why),
            }
        }
        Ok(())
    }

    fn degraded(&self) -> Option<String> {
        let left_out = self.schemas.read().unwrap_or_else(PoisonError::into_inner).left_out();
        let full = || {
            let message =
                "columns of so many datasets do not fit into memory: queries that read them are bound without";
            (left_out > 0).then(|| format!("{message} ({left_out} records)"))
        };
        self.refused.degraded().or_else(full)
    }
}
