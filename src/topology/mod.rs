//! The graph of topics, stages and sinks.

pub mod quiet;
pub mod snapshot;
