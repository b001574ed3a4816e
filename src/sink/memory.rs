//! What views in the memory of this process have in common: after a restart they start over, so that their positions are
//! as short-lived as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decode::{Decoded, Refused, decode, last_of_each_key};
use crate::codec::avro::Decoder;
use crate::kafka::{TopicId, TopicPartition};
use crate::model::reject::Rejection;
use crate::stage::{PositionDelta, Positions, SinkError, StageRecord, StoredPosition};

/// How far such a view is, and what it left out.
pub(super) struct Followed {
    /// Name of the sink, for people and metrics.
    name: &'static str,
    decoder: Arc<Decoder>,
    positions: Positions,
    topic_ids: BTreeMap<TopicPartition, TopicId>,
    refused: Refused,
}

impl Followed {
    /// A view that begins at the start of its topics.
    pub(super) fn new(name: &'static str, decoder: Arc<Decoder>) -> Self {
        let (positions, topic_ids) = (Positions::new(), BTreeMap::new());
        Self { name, decoder, positions, topic_ids, refused: Refused::default() }
    }

    /// Goes on from `next` in a partition.
    pub(super) fn start_at(&mut self, partition: TopicPartition, next: i64, id: Option<TopicId>) {
        if let Some(id) = id {
            self.topic_ids.insert(partition.clone(), id);
        }
        self.positions.set(partition, next);
    }

    /// See [`Sink::positions`](crate::stage::Sink::positions).
    pub(super) fn positions(&self, partitions: &[TopicPartition]) -> BTreeMap<TopicPartition, StoredPosition> {
        let stored = |partition: &TopicPartition| {
            let next = self.positions.get(partition)?;
            Some((partition.clone(), StoredPosition { next, topic_id: self.topic_ids.get(partition).copied() }))
        };
        partitions.iter().filter_map(stored).collect()
    }

    /// Decodes the batch and moves the positions by `delta`; what the caller then does with the records cannot fail.
    ///
    /// # Errors
    /// A registry that is away, or a position that is not where the batch starts: nothing has moved.
    pub(super) fn take<'a>(
        &mut self,
        batch: &'a [StageRecord],
        delta: &PositionDelta,
    ) -> Result<Vec<(&'a StageRecord, Decoded)>, SinkError> {
        // Decode first: a registry that is away must not leave half a batch in the view.
        let latest = last_of_each_key(batch);
        let decode = |record| Ok((record, decode(&self.decoder, record)?));
        let decoded = latest.into_iter().map(decode).collect::<Result<Vec<_>, SinkError>>()?;
        self.positions.apply(delta)?;
        for (partition, span) in delta.iter() {
            if let Some(id) = span.topic_id {
                self.topic_ids.insert(partition.clone(), id);
            }
        }
        Ok(decoded)
    }

    /// Counts a record that is left out of the view, and says so.
    pub(super) fn leave_out(&mut self, record: &StageRecord, why: &Rejection) {
        self.refused.note(self.name, &record.topic, (record.partition, record.offset), why);
    }

    /// What readiness says of what was left out.
    pub(super) fn degraded(&self) -> Option<String> {
        self.refused.degraded()
    }
}
