//! A schema registry with Confluent's REST API over Confluent's `_schemas` topic. Knows schemas and the topic; it may not
//! know the catalog, its stages or its stores.
//!
//! `types` and `format` are the vocabulary and the records; `snapshot` is the state, `decide` the rules, both free of
//! I/O; `log` is the topic, `handle` the running registry, `http` its REST face, `client` how others reach one and `rest`
//! how tools talk to any registry's whole REST face. `impact` is the port to column lineage, `catalog_api` a way there.

pub mod catalog_api;
pub mod client;
pub mod decide;
pub mod error;
pub mod format;
pub mod handle;
pub mod http;
pub mod impact;
mod kafka_log;
pub mod log;
mod parsed;
pub mod query;
mod reader;
mod repair;
pub mod rest;
mod shards;
pub mod snapshot;
mod spellings;
pub mod tags;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod types;
pub mod versions;
mod writer;

pub use client::{ClientError, FoundSchema, Login, RegistryClient, RestRegistry};
pub use error::RegistryError;
pub use handle::{RegistryHandle, RegistryOptions};
pub use kafka_log::KafkaLog;
