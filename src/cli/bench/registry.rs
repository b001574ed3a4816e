//! `tributary bench registry`: a registry process on an empty topic is filled, read and started again.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::json;

use super::latency::percentile;
use super::load::{self, Round};
use super::procstat::process_usage;
use crate::cli::SettingFlags;
use crate::cli::context::Context;
use crate::cli::draw::draw;
use crate::cli::exit::{Because, Failure, Reason};
use crate::cli::http;
use crate::cli::processes::with_servers;
use crate::cli::running::Running;
use crate::dev::free_address;

const START_LIMIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Fields of a schema: about one kilobyte, as the schemas of event topics have.
const FIELDS: u64 = 16;

/// How much of what.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary bench registry --data-dir /tmp/registry")]
pub struct RegistryArgs {
    /// Schemas to register, each under a subject of its own
    #[arg(long, default_value_t = 10_000)]
    schemas: u64,
    /// Clients that register at a time
    #[arg(long, default_value_t = 8)]
    writers: usize,
    /// Reads by id
    #[arg(long, default_value_t = 200_000)]
    requests: u64,
    /// Connections that read at a time
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Starts with all schemas
    #[arg(long, default_value_t = 3)]
    starts: u64,
    /// Seed of the choice of ids
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// One kind of request.
struct Answered {
    kind: &'static str,
    round: Round,
    /// CPU of the registry's process.
    cpu_seconds: f64,
}

/// What a start took.
struct Start {
    ready: f64,
    writable: f64,
    mib: f64,
}

struct Server {
    process: Running,
    address: String,
    ready: Duration,
}

pub(super) fn run(flags: &SettingFlags, args: &RegistryArgs) -> Result<(), Failure> {
    let (context, started) = with_servers(flags)?;
    let (answers, starts) = measure(&context, args).because(Reason::Internal)?;
    tell(args, &answers, &starts);
    drop(started);
    Ok(())
}

fn measure(context: &Context, args: &RegistryArgs) -> anyhow::Result<(Vec<Answered>, Vec<Start>)> {
    let server = start(context)?;
    let address: SocketAddr = server.address.parse().context("a listen address of our own")?;
    let host = &server.address;
    let mut answers = Vec::new();
    let mut ask = |kind, connections, requests: Vec<String>| -> anyhow::Result<()> {
        let before = process_usage(server.process.id()).cpu_seconds;
        let round = load::send(address, connections, requests)?;
        let cpu_seconds = process_usage(server.process.id()).cpu_seconds - before;
        answers.push(Answered { kind, round, cpu_seconds });
        Ok(())
    };
    let registrations = || (0..args.schemas).map(|number| registration(host, number)).collect();
    ask("register", args.writers, registrations())?;
    ask("register again", args.writers, registrations())?;
    let read = |number| {
        let id = 1 + draw(args.seed, number) % args.schemas.max(1);
        format!("GET /schemas/ids/{id} HTTP/1.1\r\nhost: {host}\r\n\r\n")
    };
    ask("get by id", args.connections, (0..args.requests).map(read).collect())?;
    drop(server);
    let mut starts = Vec::new();
    for nth in 0..args.starts {
        let clock = Instant::now();
        let server = start(context)?;
        let address: SocketAddr = server.address.parse().context("a listen address of our own")?;
        let new = registration(&server.address, args.schemas + nth);
        load::send(address, 1, vec![new])?;
        let writable = clock.elapsed().as_secs_f64();
        let mib = process_usage(server.process.id()).peak_bytes as f64 / f64::from(1 << 20);
        starts.push(Start { ready: server.ready.as_secs_f64(), writable, mib });
    }
    Ok((answers, starts))
}

/// A process like `tributary registry` with the same settings, as soon as it answers.
fn start(context: &Context) -> anyhow::Result<Server> {
    let address = free_address()?;
    let data = &context.config.data_dir;
    std::fs::create_dir_all(data)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("registry").arg("--data-dir").arg(data);
    command.env("KAFKA_BOOTSTRAP_SERVERS", context.config.kafka.bootstrap_servers.as_deref().unwrap_or_default());
    command.env("TRIBUTARY_REGISTRY__LISTEN", &address).env("TRIBUTARY_METRICS__LISTEN", free_address()?);
    let clock = Instant::now();
    let mut process = Running::start(&mut command, data.join("bench-registry.log"))?;
    while !matches!(http::get(&address, "/subjects?limit=1"), Ok((200, _))) {
        if let Some(status) = process.wait_end(LOOK_EVERY)? {
            return Err(anyhow!("the registry has ended with {status}: {}", process.log_text()));
        }
        if clock.elapsed() > START_LIMIT {
            return Err(anyhow!("the registry does not answer after {START_LIMIT:?}: {}", process.log_text()));
        }
    }
    Ok(Server { process, address, ready: clock.elapsed() })
}

/// The request that registers the schema with a number.
fn registration(host: &str, number: u64) -> String {
    let fields: Vec<_> = (0..FIELDS)
        .map(|field| json!({"name": format!("field_{number}_{field}"), "type": ["null", "string"], "default": null}))
        .collect();
    let schema = json!({"type": "record", "name": format!("Event{number}"), "namespace": "bench", "fields": fields});
    let body = json!({"schema": schema.to_string()}).to_string();
    format!(
        "POST /subjects/bench-{number}-value/versions HTTP/1.1\r\nhost: {host}\r\ncontent-type: \
         application/vnd.schemaregistry.v1+json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn tell(args: &RegistryArgs, answers: &[Answered], starts: &[Start]) {
    let each = |answered: &Answered| answered.cpu_seconds * 1e3 / answered.round.took.len().max(1) as f64;
    if args.json {
        let answers: Vec<_> = answers
            .iter()
            .map(|answered| {
                let took = &answered.round.took;
                json!({"kind": answered.kind, "requests": took.len(), "per_second": answered.round.per_second(),
                    "cpu_ms_each": each(answered), "p50_ms": percentile(took, 0.5), "p99_ms": percentile(took, 0.99)})
            })
            .collect();
        let starts: Vec<_> = starts
            .iter()
            .map(|start| json!({"ready_s": start.ready, "writable_s": start.writable, "peak_mib": start.mib}))
            .collect();
        println!("{:#}", json!({"answers": answers, "starts": starts, "schemas": args.schemas}));
        return;
    }
    for answered in answers {
        let took = &answered.round.took;
        let [p50, p99] = [0.5, 0.99].map(|share| percentile(took, share));
        println!(
            "{:<15} {:>8.0}/s, {:.3} ms CPU of the registry each, p50 {p50:.2} ms, p99 {p99:.2} ms, of {} requests",
            answered.kind,
            answered.round.per_second(),
            each(answered),
            took.len()
        );
    }
    for start in starts {
        let Start { ready, writable, mib } = start;
        println!(
            "start with {} schemas: ready in {ready:.2} s, writable in {writable:.2} s, {mib:.0} MiB",
            args.schemas
        );
    }
}
