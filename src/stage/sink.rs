//! What a sink has to bring along.

use std::collections::BTreeMap;

use crate::kafka::{TopicId, TopicPartition};

use super::StageRecord;
use super::fault::Cause;
use super::position::{PositionDelta, PositionError};

/// A position as the sink stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredPosition {
    /// Next offset to be written.
    pub next: i64,
    /// Id of the topic it belongs to, if it was known.
    pub topic_id: Option<TopicId>,
}

/// Writes records and positions in one atomic step: both, or neither.
///
/// Called on the driver's own thread. A sink over an asynchronous client blocks on a runtime handle.
pub trait Sink: Send {
    /// The stored positions of `partitions`; those without one are left out and start at the beginning of the log.
    fn positions(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError>;

    /// Writes `batch` (in offset order per partition; possibly empty, when only transaction markers were passed) and
    /// moves each partition from exactly its span's `from` to its `to`. `Start::Stored` requires the stored position
    /// to equal `from`, `Start::Fresh` that none is stored; anything else is [`SinkError::Conflict`] and writes nothing.
    fn write(&mut self, batch: &[StageRecord], delta: &PositionDelta) -> Result<(), SinkError>;

    /// Called when partitions go away, for sinks that hold something per partition.
    fn revoked(&mut self, _partitions: &[TopicPartition]) {}

    /// Why something that was taken is lost, for sinks that write after they have taken: positions are to be read again,
    /// also while nothing new comes. `None` again from the next [`Self::positions`] on.
    fn lost(&self) -> Option<String> {
        None
    }

    /// What is wrong although the sink goes on (rejected rows, for instance): readiness says degraded.
    fn degraded(&self) -> Option<String> {
        None
    }
}

/// Why a sink did not write.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The stored position is not where the batch starts: somebody else wrote. Nothing was written.
    #[error("position conflict")]
    Conflict(#[from] PositionError),
    /// The store does not answer, or nobody knows whether it wrote: positions are read again, then the batch.
    #[error("sink is away: {0}")]
    Transient(#[source] Cause),
    /// Trying again cannot help.
    #[error("sink failed: {0}")]
    Fatal(#[source] Cause),
}
