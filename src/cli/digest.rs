//! `tributary digest`: hashes that are equal for equal catalogs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::SettingFlags;
use super::context::Context;
use super::exit::{Because, Failure, Reason};
use super::flow::Flow;
use super::registry;
use crate::codec::avro::Decoder;
use crate::kafka::{Isolation, LogReader};
use crate::topology::schemas::RegistrySchemas;
use crate::topology::snapshot;

/// What to print, and when.
#[derive(Debug, Args)]
pub struct DigestArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Leave out what has expired at this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// Seconds to wait for the flow to be quiet
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    timeout: u64,
}

pub(super) fn run(flags: &SettingFlags, args: &DigestArgs) -> Result<(), Failure> {
    let context = Context::load(flags)?;
    let as_of = args.as_of.as_deref().map(micros).transpose().because(Reason::Usage)?;
    let flow = Flow::connect(&context)?;
    flow.wait_quiet(Duration::from_secs(args.timeout))?;
    let reader = LogReader::new(&context.kafka, Isolation::Committed).because(Reason::Unavailable)?;
    let decoder = decoder(&context)?;
    let digest = snapshot::digest(&reader, &decoder, &flow.dead_letters(), as_of)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&digest)?);
    } else {
        println!("{digest}");
    }
    Ok(())
}

/// Decodes catalog records by the registry's schemas.
pub(super) fn decoder(context: &Context) -> Result<Decoder, Failure> {
    Ok(Decoder::new(Arc::new(RegistrySchemas(registry::client(context)?))))
}

fn micros(text: &str) -> anyhow::Result<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(text)
        .with_context(|| format!("--as-of {text}: write it as 2026-01-31T00:00:00Z"))?;
    Ok(time.timestamp_micros())
}
