//! The vocabulary of the catalog: ids, facts, catalog records. Layer 0, pure.
//!
//! Sources speak in [`fact::Fact`]s, `fold` turns them into the [`record`]s of the compacted topics,
//! sinks and readers know records only. Nothing here knows Kafka, SQL, a clock or randomness.

pub mod check;
pub mod edge;
pub mod fact;
pub mod id;
pub mod packed_edges;
pub mod query;
pub mod raw;
pub mod record;
mod record_query;
pub mod reject;
pub mod state;
pub mod types;
