//! Tributary: a Kafka-native streaming metadata processor, the live data catalog beside your Kafka.
//!
//! ARCHITECTURE.md draws the flow and says what each module may not know.

pub mod api;
pub mod catalog;
pub mod cli;
pub mod codec;
pub mod config;
pub mod dev;
pub mod failpoint;
pub mod fold;
pub mod graph;
pub mod kafka;
pub mod metastore;
pub mod model;
pub mod normalize;
pub mod registry;
pub mod schema;
pub mod search;
pub mod sink;
pub mod sql;
pub mod stage;
pub mod store;
pub mod tail;
pub mod telemetry;
pub mod topology;
