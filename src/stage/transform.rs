//! What a Kafka → Kafka stage has to bring along.

use crate::model::state::State;

use super::StageRecord;
use super::fault::Fault;
use super::outputs::Outputs;

/// Turns one record into outputs, without I/O, clock or randomness.
///
/// A record may be handed in again after an aborted transaction, so nothing may be remembered that changes an answer.
pub trait Transform: Send {
    /// Puts what `record` says into `outputs`, or marks it as a no-op. After an `Err`, and after outputs over a topic's
    /// limit, none of the record's outputs are sent.
    fn apply(&mut self, record: &StageRecord, outputs: &mut Outputs) -> Result<(), Fault>;
}

/// A transform with state of its own per input partition.
pub trait KeyedTransform: Send {
    /// As [`Transform::apply`]; `state` is that of the record's partition. After an `Err` none of the record's writes
    /// to it are kept.
    fn apply(&mut self, record: &StageRecord, state: &mut dyn State, outputs: &mut Outputs) -> Result<(), Fault>;

    /// Ends a batch: called for each partition that gave records to it, before it is committed. What was applied before
    /// an abort is not followed by it; whoever remembers what is to be done here holds it by [`State::transaction`], and
    /// reads again in `state` what of it was kept. Must do little more than the batch has brought. There is no record to
    /// blame: a fault ends the task, unless it is transient.
    fn flush(&mut self, _partition: i32, _state: &mut dyn State, _outputs: &mut Outputs) -> Result<(), Fault> {
        Ok(())
    }
}
