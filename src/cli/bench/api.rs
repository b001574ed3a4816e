//! `tributary bench api`: how soon an API process serves the catalog that `bench catalog` has filled, what memory it takes
//! and how fast it answers.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;

use super::catalog::table;
use super::latency::percentile;
use super::procstat::{Usage, process_usage};
use crate::cli::SettingFlags;
use crate::cli::context::Context;
use crate::cli::draw::Dice;
use crate::cli::exit::{Because, Failure, Reason};
use crate::cli::http;
use crate::cli::processes::with_servers;
use crate::cli::running::Running;
use crate::dev::free_address;

/// A process that serves nothing by then has failed.
const START_LIMIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Starts and requests.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary bench catalog --rebuild --data-dir /tmp/catalog && \
                        tributary bench api --data-dir /tmp/catalog")]
pub struct ApiArgs {
    /// Starts, each of a new process
    #[arg(long, default_value_t = 3)]
    starts: u64,
    /// Requests of each kind, one after the other
    #[arg(long, default_value_t = 1_000)]
    requests: u64,
    /// Datasets of the catalog that is there
    #[arg(long, default_value_t = 100_000)]
    datasets: u64,
    /// How far lineage is walked
    #[arg(long, default_value_t = 2)]
    depth: u32,
    /// Seed of the choice of datasets
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What one start took until the first lineage was answered.
struct Start {
    seconds: f64,
    usage: Usage,
}

pub(super) fn run(flags: &SettingFlags, args: &ApiArgs) -> Result<(), Failure> {
    let (context, started) = with_servers(flags)?;
    let mut starts = Vec::new();
    for _ in 1..args.starts {
        // The process ends here: one at a time holds the data directory.
        starts.push(start(flags, &context, args).because(Reason::Internal)?.0);
    }
    let (last, process, address) = start(flags, &context, args).because(Reason::Internal)?;
    starts.push(last);
    let answers = requests(&address, args).because(Reason::Internal)?;
    drop(process);
    tell(args, &starts, &answers);
    drop(started);
    Ok(())
}

/// A process like `tributary api` with the same settings, as soon as it has answered for the first time.
fn start(flags: &SettingFlags, context: &Context, args: &ApiArgs) -> anyhow::Result<(Start, Running, String)> {
    let address = free_address()?;
    let data = &context.config.data_dir;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("api").arg("--data-dir").arg(data);
    for assignment in &flags.set {
        command.args(["--set", assignment]);
    }
    if let Some(file) = &flags.config {
        command.arg("--config").arg(file);
    }
    let servers = context.config.kafka.bootstrap_servers.as_deref().unwrap_or_default();
    command.env("KAFKA_BOOTSTRAP_SERVERS", servers).env("TRIBUTARY_API__LISTEN", &address);
    if let Some(url) = &context.config.database.url {
        command.env("DATABASE_URL", url.expose_secret());
    }
    let clock = Instant::now();
    let mut process = Running::start(&mut command, data.join("bench-api.log"))?;
    let path = lineage(table(0).as_str(), args.depth);
    loop {
        match http::get(&address, &path) {
            Ok((200, _)) => break,
            Ok((404, body)) => {
                return Err(anyhow!("{body}: fill the catalog with `tributary bench catalog --rebuild` first"));
            }
            // It does not listen yet.
            Ok(_) | Err(_) => {}
        }
        if let Some(status) = process.wait_end(LOOK_EVERY)? {
            return Err(anyhow!("the API has ended with {status}: {}", process.log_text()));
        }
        if clock.elapsed() > START_LIMIT {
            return Err(anyhow!("the API does not answer after {START_LIMIT:?}: {}", process.log_text()));
        }
    }
    let seconds = clock.elapsed().as_secs_f64();
    Ok((Start { seconds, usage: process_usage(process.id()) }, process, address))
}

fn lineage(id: &str, depth: u32) -> String {
    format!("/api/v1/lineage?dataset={id}&direction=both&depth={depth}")
}

/// Times of the requests of each kind, sorted; each over a connection of its own.
fn requests(address: &str, args: &ApiArgs) -> anyhow::Result<Vec<(&'static str, Vec<Duration>)>> {
    let mut dice = Dice::new(args.seed);
    let mut found = Vec::new();
    for kind in ["lineage", "closure", "dataset page", "search"] {
        let mut took = Vec::new();
        for _ in 0..args.requests {
            let number = dice.below(args.datasets.max(1));
            let id = table(number);
            let path = match kind {
                "lineage" => lineage(id.as_str(), args.depth),
                "closure" => format!("/api/v1/lineage/closure?dataset={}", id.as_str()),
                "dataset page" => format!("/api/v1/datasets?id={}", id.as_str()),
                _ => format!("/api/v1/search?q=t_{number:06}&limit=10"),
            };
            let clock = Instant::now();
            let (status, body) = http::get(address, &path).with_context(|| path.clone())?;
            took.push(clock.elapsed());
            if status != 200 {
                return Err(anyhow!("{path} is answered with {status}: {body}"));
            }
        }
        took.sort();
        found.push((kind, took));
    }
    Ok(found)
}

fn tell(args: &ApiArgs, starts: &[Start], answers: &[(&'static str, Vec<Duration>)]) {
    let mebibytes = |usage: Usage| usage.peak_bytes as f64 / f64::from(1 << 20);
    if args.json {
        let starts: Vec<_> = starts
            .iter()
            .map(|start| {
                let (seconds, cpu) = (start.seconds, start.usage.cpu_seconds);
                json!({"seconds": seconds, "cpu_seconds": cpu, "peak_mib": mebibytes(start.usage)})
            })
            .collect();
        let answers: serde_json::Map<_, _> = answers
            .iter()
            .map(|(kind, took)| {
                let share = |share| percentile(took, share);
                ((*kind).to_owned(), json!({"requests": took.len(), "p50_ms": share(0.5), "p99_ms": share(0.99)}))
            })
            .collect();
        println!("{:#}", json!({"starts": starts, "answers": answers, "depth": args.depth}));
        return;
    }
    for start in starts {
        let (cpu, memory) = (start.usage.cpu_seconds, mebibytes(start.usage));
        println!("first answer after {:.2} s, with {cpu:.2} CPU seconds and at most {memory:.0} MiB", start.seconds);
    }
    for (kind, took) in answers {
        let [p50, p99] = [0.5, 0.99].map(|share| percentile(took, share));
        println!("{kind:<12} p50 {p50:.1} ms, p99 {p99:.1} ms, of {} requests", took.len());
    }
    println!("lineage in both directions, {} deep", args.depth);
}
