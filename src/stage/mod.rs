//! The exactly-once runtime: drives transforms and sinks over Kafka. Layer 3.
//!
//! Job: poll, batch, transaction, retry, rebalance, dead letters, local state and shutdown, for whatever implements
//! [`Transform`], [`KeyedTransform`] or [`Sink`]. It knows nothing of metadata, of SQL or of any sink's storage.
//!
//! Data flows `GroupConsumer` → transform → [`Outputs`] → one Kafka transaction with the offsets; or → [`Sink::write`]
//! with a [`PositionDelta`] that moves in the same atomic step as the data. Failures are [`Fault::Poison`] (dead
//! letter), [`Fault::Transient`] (done again, for ever) or [`Fault::Fatal`] (the task ends with the reason).

mod batch;
mod counters;
mod dead_letter;
mod fault;
mod instance;
mod ledger;
mod note;
mod outbox;
mod outputs;
mod overlay;
mod position;
mod rebuild;
mod restore;
mod routes;
mod sink;
mod sink_batch;
mod sink_task;
mod spec;
mod store;
mod table;
mod task;
mod transaction;
mod transform;
mod transform_task;

pub use crate::kafka::Record as StageRecord;

pub use batch::{BatchGauge, BatchLimits};
pub use counters::Counters;
pub use dead_letter::{DeadLetter, origin_of};
pub use fault::Fault;
pub use instance::{DataDir, DataDirError};
pub use ledger::{Fate, Ledger, LedgerError, Letter, Outcome, Place, Verdict};
pub use note::OffsetNote;
pub use outputs::{Output, Outputs, Tally};
pub use overlay::Overlay;
pub use position::{PositionDelta, PositionError, Positions, Span, Start};
pub use rebuild::{FromLocalError, StateReport, changelog_from_local, compare_store, rebuild_store};
pub use sink::{Sink, SinkError, StoredPosition};
pub use sink_task::{SinkSpec, spawn_follower, spawn_sink};
pub use spec::{
    InputTopic, OutputTopic, StageSpec, Timeouts, changelog_topic, dead_letter_topic, group_id, ledger_topic, task_id,
};
pub use store::{LocalStore, StoreError};
pub use table::Table;
pub use task::{StopToken, TaskHandle, TaskState, TaskStatus, TaskWatch};
pub use transform::{KeyedTransform, Transform};
pub use transform_task::{spawn_keyed, spawn_transform};
