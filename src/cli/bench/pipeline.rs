//! `tributary bench pipeline`: generated events through real Kafka into Postgres, search and lineage, in one process.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::generator::Mix;
use super::procstat::{Usage, process_usage, tree_usage};
use crate::cli::SettingFlags;
use crate::cli::context::{Context, load_config};
use crate::cli::exit::{Because, Failure, Reason};
use crate::cli::flow::Flow;
use crate::cli::processes::{Plan, Process, connect, start_missing};
use crate::cli::topology;
use crate::kafka::{OutgoingRecord, Producer};
use crate::store::Store;

const QUIET_LIMIT: Duration = Duration::from_secs(1_800);

/// The load.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary bench pipeline --events 20000 --data-dir /tmp/bench")]
pub struct PipelineArgs {
    /// Events in the throughput run
    #[arg(long, default_value_t = 20_000)]
    events: u64,
    /// Seed of the generator
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Jobs, each of which writes one table
    #[arg(long, default_value_t = 400)]
    jobs: u64,
    /// How many of 100 events are metastore notifications
    #[arg(long, default_value_t = 20)]
    hms_percent: u64,
    /// Events measured one by one for latency
    #[arg(long, default_value_t = 100)]
    latency_events: u64,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(flags: &SettingFlags, args: &PipelineArgs) -> Result<(), Failure> {
    let configured = load_config(flags, &[])?.config;
    crate::cli::telemetry(&configured)?;
    let mut started = start_missing(&configured)?;
    let pids = match &mut started.0 {
        Some(stack) => {
            (stack.kafka().and_then(|kafka| kafka.pid()), stack.postgres().and_then(|postgres| postgres.pid()))
        }
        None => (None, None),
    };
    let usage_of = |pid: Option<u32>| pid.map_or_else(Usage::default, tree_usage);
    let context = Context::of(load_config(flags, &started.settings())?.config)?;
    topology::apply_quietly(&context)?;
    let mix = Mix { seed: args.seed, jobs: args.jobs, hms_percent: args.hms_percent };
    let producer = Producer::new(&context.kafka).because(Reason::Unavailable)?;
    let flow = Flow::connect(&context)?;

    // All events lie in Kafka before the first is read, so that making them costs the pipeline nothing.
    let mut bytes = 0;
    let mut last = None;
    for index in 0..args.events {
        let event = mix.event(index);
        bytes += event.value.len();
        let record = OutgoingRecord::new(event.topic, Some(event.key.into_bytes()), Some(event.value));
        last = Some(producer.send(&record).because(Reason::Unavailable)?);
    }
    producer.flush(Duration::from_secs(60)).because(Reason::Unavailable)?;
    if let Some(delivery) = last {
        delivery.wait().because(Reason::Unavailable)?;
    }

    let before = (process_usage(std::process::id()), usage_of(pids.0), usage_of(pids.1));
    let clock = Instant::now();
    let process = Process::start(&context, &Plan::everything())?;
    let ends = flow.wait_quiet(QUIET_LIMIT)?;
    process.wait_followers(&ends, QUIET_LIMIT)?;
    let seconds = clock.elapsed().as_secs_f64();
    let after = (process_usage(std::process::id()), usage_of(pids.0), usage_of(pids.1));
    let per_100k = |before: Usage, after: Usage| (after.cpu_seconds - before.cpu_seconds) * 1e5 / args.events as f64;

    let latencies = latencies(&context, &process, &producer, &mix, args)?;
    let percentile = |share: f64| {
        let index = ((latencies.len() as f64 * share).ceil() as usize).clamp(1, latencies.len().max(1)) - 1;
        latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    };
    let report = json!({
        "events": args.events,
        "mean_event_bytes": bytes as u64 / args.events.max(1),
        "seconds": seconds,
        "events_per_second": args.events as f64 / seconds,
        "cpu_seconds_per_100k_events": {
            "tributary": per_100k(before.0, after.0),
            "kafka": pids.0.map(|_| per_100k(before.1, after.1)),
            "postgres": pids.1.map(|_| per_100k(before.2, after.2)),
        },
        "peak_memory_mib": {
            "tributary": after.0.peak_bytes >> 20,
            "kafka": pids.0.map(|_| after.1.peak_bytes >> 20),
            "postgres": pids.1.map(|_| after.2.peak_bytes >> 20),
        },
        "event_to_postgres_ms": {"p50": percentile(0.5), "p99": percentile(0.99), "events": latencies.len()},
    });
    if args.json {
        println!("{report:#}");
    } else {
        println!(
            "{} events of {} bytes in {seconds:.1} s: {:.0} events/s",
            args.events,
            report["mean_event_bytes"],
            args.events as f64 / seconds
        );
        println!("CPU seconds per 100,000 events: {}", report["cpu_seconds_per_100k_events"]);
        println!("peak memory, MiB: {}", report["peak_memory_mib"]);
        println!(
            "event to Postgres, one at a time: p50 {:.0} ms, p99 {:.0} ms of {}",
            percentile(0.5),
            percentile(0.99),
            latencies.len()
        );
    }
    let end = process.stop();
    // Clients go before the servers they talk to.
    drop((producer, flow));
    drop(started);
    end
}

/// Sends events of new jobs one at a time and waits until the table each writes stands in Postgres.
fn latencies(
    context: &Context,
    process: &Process,
    producer: &Producer,
    mix: &Mix,
    args: &PipelineArgs,
) -> Result<Vec<Duration>, Failure> {
    let store = connect(&process.runtime, &context.config)?;
    // Jobs that the throughput run has not seen, without notifications.
    let fresh = Mix { seed: mix.seed + 1, jobs: u64::MAX, hms_percent: 0 };
    let mut measured = Vec::new();
    for index in 0..args.latency_events {
        let event = fresh.event(index);
        let written = written_dataset(&event.value).because(Reason::Internal)?;
        let clock = Instant::now();
        let record = OutgoingRecord::new(event.topic, Some(event.key.into_bytes()), Some(event.value));
        producer.send(&record).because(Reason::Unavailable)?.wait().because(Reason::Unavailable)?;
        while !process.runtime.block_on(is_there(&store, &written))? {
            if clock.elapsed() > Duration::from_secs(30) {
                return Err(anyhow::anyhow!("{written} did not reach Postgres in 30 s")).because(Reason::Internal);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        measured.push(clock.elapsed());
    }
    measured.sort();
    Ok(measured)
}

/// Id of the dataset that the event writes; it is a path that no metastore claims.
fn written_dataset(event: &[u8]) -> anyhow::Result<String> {
    let event: serde_json::Value = serde_json::from_slice(event)?;
    let part = |field: &str| event["outputs"][0][field].as_str().unwrap_or_default().to_owned();
    Ok(format!("{}{}", part("namespace"), part("name")))
}

async fn is_there(store: &Store, dataset: &str) -> Result<bool, Failure> {
    let found = store.reader().datasets(&[dataset.to_owned()]).await.because(Reason::Unavailable)?;
    Ok(!found.is_empty())
}
