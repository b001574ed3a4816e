//! The graph of topics, stages and sinks: data in `topology/`, checked, drawn, planned, applied; the wiring of stages to
//! Kafka; and whether the flow is quiet.

pub mod apply;
pub mod graph;
pub mod lint;
pub mod load;
pub mod loss;
pub mod node;
pub mod plan;
pub mod quiet;
pub mod readable;
pub mod rebuild;
pub mod schemas;
pub mod snapshot;
pub mod stages;

#[cfg(test)]
mod tests;
