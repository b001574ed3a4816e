//! `tributary status`: stages, lag and positions, as Kafka and Postgres know them.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::json;

use super::SettingFlags;
use super::context::{Context, load_config};
use super::exit::{Because, Failure, Reason};
use super::flow::Flow;
use super::http;
use crate::topology::quiet;

/// What to show.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Wait until everything has been carried to the end
    #[arg(long)]
    wait_quiet: bool,
    /// Seconds to wait
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    timeout: u64,
    /// Only ask the process at metrics.listen whether it is ready, for container health checks
    #[arg(long, conflicts_with = "wait_quiet")]
    healthy: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(flags: &SettingFlags, args: &StatusArgs) -> Result<(), Failure> {
    if args.healthy {
        let address = load_config(flags, &[])?.config.metrics.listen;
        return healthy(&address).because(Reason::Unavailable);
    }
    let flow = Flow::connect(&Context::load(flags)?)?;
    if args.wait_quiet {
        flow.wait_quiet(Duration::from_secs(args.timeout))?;
    }
    let ends = quiet::ends(&flow.admin, &flow.topics()).because(Reason::Unavailable)?;
    let readers = flow.readers();
    let behind = quiet::behind(&flow.admin, &readers, &ends).because(Reason::Unavailable)?;
    let mut lines = Vec::new();
    for reader in &readers {
        let late: Vec<_> = behind.iter().filter(|one| one.reader == reader.name).collect();
        let lag: i64 = late.iter().map(|one| one.end - one.position.unwrap_or(0)).sum();
        lines.push((reader.name.clone(), lag, late));
    }
    if args.json {
        let stages: Vec<_> = lines
            .iter()
            .map(|(name, lag, late)| {
                let partitions: Vec<_> = late
                    .iter()
                    .map(
                        |one| json!({"partition": one.partition.to_string(), "position": one.position, "end": one.end}),
                    )
                    .collect();
                json!({"stage": name, "lag": lag, "behind": partitions})
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "stages": stages }))?);
        return Ok(());
    }
    for (name, lag, late) in &lines {
        println!("{name:<12} {lag:>10} records behind");
        for one in late {
            let position = one.position.map_or("–".to_owned(), |position| position.to_string());
            println!("    {:<40} {position} of {}", one.partition.to_string(), one.end);
        }
    }
    Ok(())
}

/// Asks `GET /readyz`.
fn healthy(address: &str) -> anyhow::Result<()> {
    let address = address.replace("0.0.0.0", "127.0.0.1");
    let (status, body) = http::get(&address, "/readyz").with_context(|| format!("nobody answers at {address}"))?;
    println!("{body}");
    if status == 200 { Ok(()) } else { Err(anyhow!("not ready")) }
}
