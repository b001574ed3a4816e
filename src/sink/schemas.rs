//! The datasets topic into the table of schemas in memory that SQL is bound against.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::memory::Followed;
use crate::codec::avro::Decoder;
use crate::kafka::TopicPartition;
use crate::model::record::CatalogRecord;
use crate::sql::Schemas;
use crate::stage::{PositionDelta, Sink, SinkError, StageRecord, StoredPosition};

/// The table as the stages of this process hold it.
pub type SharedSchemas = Arc<RwLock<Schemas>>;

/// Keeps the table up to date. Table and positions live in this process: after a restart both start over.
pub struct SchemaSink {
    schemas: SharedSchemas,
    followed: Followed,
}

impl SchemaSink {
    /// A sink with an empty table that follows the topic from its start.
    pub fn new(decoder: Arc<Decoder>) -> Self {
        Self { schemas: SharedSchemas::default(), followed: Followed::new("schemas", decoder) }
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
        Ok(self.followed.positions(partitions))
    }

    fn write(&mut self, batch: &[StageRecord], delta: &PositionDelta) -> Result<(), SinkError> {
        let decoded = self.followed.take(batch, delta)?;
        let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
        for (read, record) in decoded {
            match record.value {
                Ok(Some(CatalogRecord::Dataset(dataset))) => schemas.put(&dataset),
                Ok(None) => schemas.remove(&record.key),
                Ok(Some(_)) => {}
                Err(why) => self.followed.leave_out(read, &why),
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
        self.followed.degraded().or_else(full)
    }
}
