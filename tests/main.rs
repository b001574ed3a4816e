//! All integration tests in one target: one link step, one set of real servers.
#![allow(clippy::unwrap_used, missing_docs)]

mod airflow;
mod api;
mod architecture;
mod chaos;
mod clients;
mod dead_letters;
mod demo;
mod dev_servers;
mod exactly_once;
mod hms_truth;
mod interleaving;
mod lineage_levels;
mod order;
mod poison;
mod rebuild;
mod recorded_openlineage;
mod registry;
mod registry_nodes;
mod registry_security;
mod runtime;
mod schema_cli;
mod spark_graph;
mod store;
mod support;
mod trouble;
