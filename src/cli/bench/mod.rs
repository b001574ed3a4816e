//! `tributary bench`: load figures of the whole pipeline on this machine.

pub mod generator;
pub mod procstat;

mod latency;
mod pipeline;
mod rekey;

use clap::Subcommand;

use super::SettingFlags;
use super::exit::Failure;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Raw events into Postgres, search and lineage: throughput, CPU by process, memory, latency
    Pipeline(pipeline::PipelineArgs),
}

pub(super) fn run(flags: &SettingFlags, command: &BenchCommand) -> Result<(), Failure> {
    match command {
        BenchCommand::Pipeline(args) => pipeline::run(flags, args),
    }
}
