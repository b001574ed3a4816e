//! `tributary bench pipeline`: generated events through real Kafka into Postgres, search and lineage, in one process.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::generator::{self, Mix};
use super::latency::{self, Latencies, percentile};
use super::procstat::{Usage, process_usage, tree_usage};
use super::rekey;
use crate::cli::SettingFlags;
use crate::cli::context::{Context, load_config};
use crate::cli::exit::{Because, Failure, Reason};
use crate::cli::flow::Flow;
use crate::cli::processes::{Plan, Process, Role, start_missing};
use crate::cli::topology;
use crate::kafka::{OutgoingRecord, Producer};

const QUIET_LIMIT: Duration = Duration::from_secs(1_800);

/// The load.
#[derive(Debug, Args)]
#[command(after_help = "Examples: tributary bench pipeline --events 100000 --hms-percent 0 --data-dir /tmp/bench
          tributary bench pipeline --hms-percent 0 --query-percent 100 --rate-seconds 0")]
pub struct PipelineArgs {
    /// Events in the throughput run
    #[arg(long, default_value_t = 50_000)]
    events: u64,
    /// Events of the same kind before it, not measured: servers compile and fill their caches
    #[arg(long, default_value_t = 20_000)]
    warmup: u64,
    /// Seed of the generator
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Jobs, each of which writes one table
    #[arg(long, default_value_t = 400)]
    jobs: u64,
    /// How many of 100 events are metastore notifications
    #[arg(long, default_value_t = 20)]
    hms_percent: u64,
    /// How many of 100 events are queries of a warehouse
    #[arg(long, default_value_t = 0)]
    query_percent: u64,
    /// Runs and measures this stage alone; it reads what the ones before it have written
    #[arg(long, value_enum)]
    stage: Option<Stage>,
    /// Events per second in the latency run
    #[arg(long, default_value_t = 200)]
    rate: u64,
    /// Length of the latency run in seconds, once the flow has settled at that rate; 0 leaves it out
    #[arg(long, default_value_t = 15)]
    rate_seconds: u64,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A stage that can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Only the runtime: OpenLineage events are sent on under their job's name
    Rekey,
    /// Raw records become facts
    Normalize,
    /// Query logs become facts
    Sql,
    /// Facts become the catalog
    Fold,
    /// The catalog becomes tables
    Postgres,
}

impl Stage {
    fn role(self) -> Option<Role> {
        match self {
            Self::Rekey => None,
            Self::Normalize => Some(Role::Normalize),
            Self::Sql => Some(Role::Sql),
            Self::Fold => Some(Role::Fold),
            Self::Postgres => Some(Role::Postgres),
        }
    }

    fn name(self) -> &'static str {
        self.role().map_or("rekey", Role::name)
    }
}

/// The process that is measured and the servers it uses.
struct Bench {
    context: Context,
    flow: Flow,
    producer: Producer,
    kafka: Option<u32>,
    postgres: Option<u32>,
}

/// What a run of events took.
struct Run {
    events: u64,
    bytes: usize,
    seconds: f64,
    /// Before and after, of this process, Kafka and Postgres.
    usage: [[Usage; 3]; 2],
}

pub(super) fn run(flags: &SettingFlags, args: &PipelineArgs) -> Result<(), Failure> {
    let configured = load_config(flags, &[])?.config;
    crate::cli::telemetry(&configured)?;
    let mut started = start_missing(&configured)?;
    let (kafka, postgres) = match &mut started.0 {
        Some(stack) => {
            (stack.kafka().and_then(|kafka| kafka.pid()), stack.postgres().and_then(|postgres| postgres.pid()))
        }
        None => (None, None),
    };
    let context = Context::of(load_config(flags, &started.settings())?.config)?;
    topology::apply_quietly(&context)?;
    let producer = Producer::new(&context.kafka).because(Reason::Unavailable)?;
    let flow = Flow::connect(&context)?;
    for topic in generator::TOPICS {
        if flow.was_fed(topic)? {
            // What is known already costs next to nothing: that is not what the figures are about.
            return Err(anyhow!(
                "{topic} holds events of an earlier run: measure with a --data-dir or a cluster without any"
            ))
            .because(Reason::Configuration);
        }
    }
    let bench = Bench { context, flow, producer, kafka, postgres };
    let mix =
        Mix { seed: args.seed, jobs: args.jobs, hms_percent: args.hms_percent, query_percent: args.query_percent };

    let measured = match args.stage {
        None => {
            bench.whole(&mix, 0..args.warmup)?;
            bench.whole(&mix, args.warmup..args.warmup + args.events)?
        }
        Some(stage) => {
            bench.alone(stage, &mix, 0..args.warmup)?;
            bench.alone(stage, &mix, args.warmup..args.warmup + args.events)?
        }
    };
    let latencies = match args.stage {
        None if args.rate_seconds > 0 && args.rate > 0 => {
            let process = Process::start(&bench.context, &Plan::everything())?;
            process.wait_running(QUIET_LIMIT)?;
            let found =
                latency::at_rate(&bench.context, &process, &bench.producer, &mix, (args.rate, args.rate_seconds))?;
            process.stop()?;
            Some(found)
        }
        _ => None,
    };
    tell(args, &measured, latencies.as_ref());
    // Clients go before the servers they talk to.
    drop(bench);
    drop(started);
    Ok(())
}

impl Bench {
    fn usage(&self) -> [Usage; 3] {
        let of = |pid: Option<u32>| pid.map_or_else(Usage::default, tree_usage);
        [process_usage(std::process::id()), of(self.kafka), of(self.postgres)]
    }

    /// All events lie in Kafka before the first is read, so that making them costs the pipeline nothing.
    fn produce(&self, mix: &Mix, events: Range<u64>) -> Result<usize, Failure> {
        let mut bytes = 0;
        for index in events {
            let event = mix.event(index);
            bytes += event.value.len();
            let record = OutgoingRecord::new(event.topic, Some(event.key.into_bytes()), Some(event.value));
            self.producer.send(&record).because(Reason::Unavailable)?;
        }
        self.producer.flush(Duration::from_secs(60)).because(Reason::Unavailable)?;
        Ok(bytes)
    }

    /// The events through every stage, the start of the process included.
    fn whole(&self, mix: &Mix, events: Range<u64>) -> Result<Run, Failure> {
        let count = events.end - events.start;
        let bytes = self.produce(mix, events)?;
        let before = self.usage();
        let clock = Instant::now();
        let process = Process::start(&self.context, &Plan::everything())?;
        let ends = self.flow.wait_quiet(QUIET_LIMIT)?;
        process.wait_followers(&ends, QUIET_LIMIT)?;
        let (seconds, after) = (clock.elapsed().as_secs_f64(), self.usage());
        process.stop()?;
        Ok(Run { events: count, bytes, seconds, usage: [before, after] })
    }

    /// The events through the stages before `stage`, and then through it alone.
    fn alone(&self, stage: Stage, mix: &Mix, events: Range<u64>) -> Result<Run, Failure> {
        let count = events.end - events.start;
        let bytes = self.produce(mix, events)?;
        if let Some(role) = stage.role() {
            for before in Role::ALL.into_iter().take_while(|other| *other != role) {
                self.through(before)?;
            }
        }
        let before = self.usage();
        let seconds = match stage.role() {
            Some(role) => self.through(role)?,
            None => rekey::through(&self.context, QUIET_LIMIT)?,
        };
        Ok(Run { events: count, bytes, seconds, usage: [before, self.usage()] })
    }

    /// Runs one stage until it has read everything; how long that took.
    fn through(&self, stage: Role) -> Result<f64, Failure> {
        let clock = Instant::now();
        let process = Process::start(&self.context, &Plan { roles: vec![stage], readers: None, registry: None })?;
        self.flow.wait_reader(stage.name(), QUIET_LIMIT)?;
        let seconds = clock.elapsed().as_secs_f64();
        process.stop()?;
        Ok(seconds)
    }
}

/// Prints the figures.
fn tell(args: &PipelineArgs, run: &Run, latencies: Option<&Latencies>) {
    let [before, after] = &run.usage;
    let cpu = |at: usize| (after[at].cpu_seconds - before[at].cpu_seconds) * 1e5 / run.events.max(1) as f64;
    let known = |at: usize| after[at].peak_bytes > 0;
    let by_process = |of: &dyn Fn(usize) -> serde_json::Value| {
        let names = ["tributary", "kafka", "postgres"];
        let of = |(at, name): (usize, &str)| (name.to_owned(), if known(at) { of(at) } else { json!(null) });
        serde_json::Value::Object(names.into_iter().enumerate().map(of).collect())
    };
    let rounded = |value: f64| json!((value * 10.0).round() / 10.0);
    let spread = |sorted: &[Duration]| {
        let at = |share| rounded(percentile(sorted, share));
        json!({"p50": at(0.5), "p99": at(0.99), "max": at(1.0), "events": sorted.len()})
    };
    let report = json!({
        "stage": args.stage.map(Stage::name),
        "events": run.events,
        "mean_event_bytes": run.bytes as u64 / run.events.max(1),
        "seconds": rounded(run.seconds),
        "events_per_second": (run.events as f64 / run.seconds).round(),
        "cpu_seconds_per_100k_events": by_process(&|at| rounded(cpu(at))),
        "cpu_milliseconds_per_event": json!((0..3).filter(|at| known(*at)).map(cpu).sum::<f64>().round() / 100.0),
        "peak_memory_mib": by_process(&|at| json!(after[at].peak_bytes >> 20)),
        "latency_rate": latencies.map(|_| args.rate),
        "event_to_postgres_ms": latencies.map(|found| spread(&found.stored)),
        "event_to_search_ms": latencies.map(|found| spread(&found.searchable)),
    });
    if args.json {
        println!("{report:#}");
        return;
    }
    let stage = args.stage.map_or_else(String::new, |stage| format!(" through {} alone", stage.name()));
    println!(
        "{} events of {} bytes{stage} in {:.1} s: {:.0} events/s",
        run.events,
        report["mean_event_bytes"],
        run.seconds,
        run.events as f64 / run.seconds
    );
    println!("CPU seconds per 100,000 events: {}", report["cpu_seconds_per_100k_events"]);
    println!("peak memory, MiB: {}", report["peak_memory_mib"]);
    if latencies.is_some() {
        println!("at {} events/s, event to Postgres, ms: {}", args.rate, report["event_to_postgres_ms"]);
        println!("at {} events/s, event to search, ms: {}", args.rate, report["event_to_search_ms"]);
    }
}
