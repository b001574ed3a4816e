//! The graph of topics, stages and sinks: data in `topology/`, checked, drawn, planned; and whether it is quiet.

pub mod graph;
pub mod lint;
pub mod load;
pub mod plan;
pub mod quiet;
pub mod snapshot;
pub mod stages;
#[cfg(test)]
mod tests;
