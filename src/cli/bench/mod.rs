//! `tributary bench`: load figures of the whole pipeline on this machine.

pub mod generator;
pub mod procstat;

mod api;
mod catalog;
mod latency;
mod load;
mod pipeline;
mod queries;
mod registry;
mod rekey;

use clap::Subcommand;

use super::SettingFlags;
use super::exit::Failure;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Raw events into Postgres, search and lineage: throughput, CPU by process, memory, latency
    Pipeline(pipeline::PipelineArgs),
    /// Fill empty catalog topics with a catalog of any size, for measuring what works on it
    Catalog(catalog::CatalogArgs),
    /// How soon an API process serves that catalog, in how much memory, and how fast it answers
    Api(api::ApiArgs),
    /// The schema registry alone: registrations, reads, and how soon it serves and takes what it holds
    Registry(registry::RegistryArgs),
}

pub(super) fn run(flags: &SettingFlags, command: &BenchCommand) -> Result<(), Failure> {
    match command {
        BenchCommand::Pipeline(args) => pipeline::run(flags, args),
        BenchCommand::Catalog(args) => catalog::run(flags, args),
        BenchCommand::Api(args) => api::run(flags, args),
        BenchCommand::Registry(args) => registry::run(flags, args),
    }
}
