//! `tributary demo`: the whole pipeline on recorded events of real software, then what the catalog made of them.

mod report;

use std::io::{BufReader, Cursor, Write};
use std::time::{Duration, Instant};

use clap::Args;
use flate2::read::GzDecoder;

use super::SettingFlags;
use super::context::{Context, load_config};
use super::exit::{Because, Failure, Reason};
use super::flow::Flow;
use super::processes::{Plan, Process, start_missing};
use super::produce::produce_lines;
use super::recorded::{HMS, HMS_TOPIC, OPENLINEAGE, OPENLINEAGE_TOPIC};
use super::{dlq, topology};
use crate::config::Origin;
use crate::kafka::Producer;
use crate::stage::Letter;

/// A notification cut off in the middle of its message.
const POISONED: &[u8] = br#"{"eventId":798,"eventTime":1795242200,"eventType":"CREATE_TABLE","dbName":"spark_shop","tableName":"cut_off","message":"{\"server\":\"thrift://hms-1.lake:9083\",\"tableObjJson\":\"{\\\"1\\\":{\\\"str\\\":","messageFormat":"json-0.2"}"#;

const QUIET_LIMIT: Duration = Duration::from_secs(180);

/// How the demo ends.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End after the report instead of staying up
    #[arg(long)]
    exit: bool,
}

pub(super) fn run(flags: &SettingFlags, args: &DemoArgs) -> Result<(), Failure> {
    let started = Instant::now();
    let loaded = load_config(flags, &[])?;
    let mut configured = loaded.config;
    if loaded.effective.iter().any(|one| one.path == "log.filter" && one.origin == Origin::Default) {
        // The report is for a person; what is worth a warning still shows.
        configured.log.filter = "warn,librdkafka=error".to_owned();
    }
    super::telemetry(&configured)?;
    say("servers", "using what is configured, starting what is not (Kafka needs a few seconds) …");
    let stack = start_missing(&configured)?;
    let config = load_config(flags, &stack.settings())?.config;
    let context = Context::of(config)?;
    say(
        "servers",
        &format!(
            "ready after {:.1} s; Kafka at {}",
            started.elapsed().as_secs_f64(),
            context.kafka.bootstrap_servers()
        ),
    );

    topology::apply_quietly(&context)?;
    say("topology", "topics, first offsets and schemas are in place");
    let process = Process::start(&context, &Plan::everything())?;

    let flow = Flow::connect(&context)?;
    if flow.was_fed(HMS_TOPIC)? {
        say("events", "the recorded events are there from an earlier run");
    } else {
        let producer = Producer::new(&context.kafka).because(Reason::Unavailable)?;
        let unpacked = |gzipped: &'static [u8]| BufReader::new(GzDecoder::new(gzipped));
        let notifications = produce_lines(&producer, HMS_TOPIC, unpacked(HMS))?;
        let runs = produce_lines(&producer, OPENLINEAGE_TOPIC, unpacked(OPENLINEAGE))?;
        let broken = produce_lines(&producer, HMS_TOPIC, Cursor::new(POISONED))?;
        say(
            "events",
            &format!("{notifications} metastore notifications, {runs} OpenLineage events, {broken} broken on purpose"),
        );
    }
    let fed = Instant::now();
    let ends = flow.wait_quiet(QUIET_LIMIT)?;
    process.wait_followers(&ends, QUIET_LIMIT)?;
    say("pipeline", &format!("quiet after {:.1} s", fed.elapsed().as_secs_f64()));

    let ledger = dlq::ledger(&context)?;
    let mut letters = Vec::new();
    for topic in flow.dead_letters() {
        let each = &mut |letter: Letter| letters.push((letter.place.to_string(), letter.letter));
        ledger.each(&topic, each).because(Reason::Unavailable)?;
    }
    let mut text = Vec::new();
    if let Some(catalog) = &process.catalog {
        process.runtime.block_on(report::write(catalog, &letters, &mut text))?;
    }
    std::io::stdout().write_all(&text)?;
    println!();
    process.announce();
    if args.exit {
        process.stop()
    } else {
        println!("Ctrl-C ends it; what it has stays under {}", context.config.data_dir.display());
        process.run_to_end()
    }
}

fn say(what: &str, text: &str) {
    println!("{what:<10} {text}");
}
