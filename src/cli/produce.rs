//! `tributary produce`: a file of events into a topic: one record a line, query logs as their platforms export them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use flate2::read::MultiGzDecoder;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::SettingFlags;
use super::context::Context;
use super::exit::{Because, Failure, Reason};
use crate::api::event_key;
use crate::kafka::{Delivery, KafkaError, OutgoingRecord, Producer};
use crate::model::reject::ReasonCode;
use crate::normalize::dbt::split::{Part, Sent, key, split};
use crate::sql::log::{Record, Records};

/// Largest record of dbt's topic, less what Kafka adds to it.
const DBT_RECORD_BYTES: usize = 15 << 20;

/// Records sent before the first acknowledgement is awaited.
const WINDOW: usize = 10_000;

/// What to produce, and where.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary produce hms.notifications events.jsonl.gz")]
pub struct ProduceArgs {
    /// Topic
    topic: String,
    /// File, plain or gzip; `-` is standard input. One JSON value a line; for warehouse.query-logs also csvlog of Postgres
    /// and lists of REST APIs; for dbt also an artifact, or the directory of artifacts
    file: PathBuf,
    /// dbt: namespace of the project's datasets, which its files do not tell
    #[arg(long)]
    namespace: Option<String>,
    /// dbt: name of the project, where the files do not tell
    #[arg(long)]
    project: Option<String>,
    /// dbt: target of profiles.yml
    #[arg(long)]
    target: Option<String>,
}

pub(super) fn run(flags: &SettingFlags, args: &ProduceArgs) -> Result<(), Failure> {
    let context = Context::load(flags)?;
    let producer = Producer::new(&context.kafka).because(Reason::Unavailable)?;
    let is_dbt = args.topic.starts_with("dbt.");
    if !is_dbt && (args.namespace.is_some() || args.project.is_some() || args.target.is_some()) {
        let error = anyhow!("--namespace, --project and --target are for dbt's topic");
        return Err(Failure { reason: Reason::Usage, error });
    }
    let file = || open(&args.file).because(Reason::Usage);
    let count = match args.topic.as_str() {
        _ if is_dbt => produce_dbt(&producer, args)?,
        "warehouse.query-logs" => produce_records(&producer, &args.topic, Records::new(file()?))?,
        _ => produce_lines(&producer, &args.topic, file()?)?,
    };
    println!("{count} records to {}", args.topic);
    Ok(())
}

/// What a directory holds of dbt's artifacts, a manifest first; a file is itself.
fn dbt_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let names = ["manifest.json", "catalog.json", "run_results.json", "sources.json"];
    let names = names.iter().flat_map(|name| [(*name).to_owned(), format!("{name}.gz")]);
    let files: Vec<PathBuf> = names.map(|name| path.join(name)).filter(|file| file.is_file()).collect();
    match files.is_empty() {
        true => Err(anyhow!("{} has no manifest.json, catalog.json, run_results.json or sources.json", path.display())),
        false => Ok(files),
    }
}

/// Sends artifacts, or each line of a log.
fn produce_dbt(producer: &Producer, args: &ProduceArgs) -> Result<u64, Failure> {
    let sent = Sent {
        namespace: args.namespace.as_deref(),
        project: args.project.as_deref(),
        target: args.target.as_deref(),
        max_bytes: DBT_RECORD_BYTES,
    };
    let mut sending = Sending::new(producer, &args.topic);
    for path in dbt_files(&args.file).because(Reason::Usage)? {
        let result = open(&path).because(Reason::Usage).and_then(|file| send_dbt(&mut sending, file, &sent));
        result.map_err(|failure| Failure { error: failure.error.context(path.display().to_string()), ..failure })?;
    }
    sending.finish()
}

fn send_dbt(sending: &mut Sending<'_>, mut file: impl BufRead, sent: &Sent<'_>) -> Result<(), Failure> {
    for number in 1.. {
        let mut text = String::new();
        let read = file.read_line(&mut text).with_context(|| format!("could not read line {number}"));
        if read.because(Reason::Usage)? == 0 {
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        // An artifact that was written for people begins with a line that is no value.
        if number == 1 && serde_json::from_str::<IgnoredAny>(&text).is_err() {
            file.read_to_string(&mut text).context("could not read the file").because(Reason::Usage)?;
        }
        let text = text.trim_end_matches(['\n', '\r']);
        let parts = match split(text, sent) {
            // What is no JSON the pipeline judges, as it does for other sources.
            Err(fault) if fault.code == ReasonCode::InvalidJson => vec![Part { key: None, value: text.to_owned() }],
            parts => parts.with_context(|| format!("line {number}")).because(Reason::Usage)?,
        };
        for part in parts {
            sending.send(Record { line: number, key: part.key, value: part.value.into_bytes() })?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let gzipped = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(Box::new(BufReader::new(reader)))
}

/// Sends each line that is not empty as one record, with the key that its kind of producer sends; returns their number
/// once Kafka has acknowledged all of them.
pub(super) fn produce_lines(producer: &Producer, topic: &str, lines: impl BufRead) -> Result<u64, Failure> {
    let lines = lines.split(b'\n').zip(1..).filter_map(|(line, number)| {
        let record = |mut line: Vec<u8>| {
            if line.ends_with(b"\r") {
                line.pop();
            }
            (!line.is_empty()).then(|| Record { line: number, key: key_of(topic, &line), value: line })
        };
        line.map(record).transpose()
    });
    produce_records(producer, topic, lines)
}

/// Sends records; returns their number once Kafka has acknowledged all of them.
fn produce_records(
    producer: &Producer,
    topic: &str,
    records: impl Iterator<Item = io::Result<Record>>,
) -> Result<u64, Failure> {
    let mut sending = Sending::new(producer, topic);
    let mut line = 0;
    for record in records {
        let record = record.with_context(|| format!("could not read on after line {line}")).because(Reason::Usage)?;
        line = record.line;
        sending.send(record)?;
    }
    sending.finish()
}

/// Records on their way to a topic.
struct Sending<'a> {
    producer: &'a Producer,
    topic: &'a str,
    count: u64,
    unacknowledged: Vec<(u64, Delivery)>,
}

impl<'a> Sending<'a> {
    fn new(producer: &'a Producer, topic: &'a str) -> Self {
        Self { producer, topic, count: 0, unacknowledged: Vec::new() }
    }

    fn send(&mut self, record: Record) -> Result<(), Failure> {
        let outgoing = OutgoingRecord::new(self.topic, record.key.map(String::into_bytes), Some(record.value));
        let delivery = self.producer.send(&outgoing).map_err(|error| refused(error, record.line))?;
        self.unacknowledged.push((record.line, delivery));
        self.count += 1;
        if self.unacknowledged.len() >= WINDOW { self.acknowledge() } else { Ok(()) }
    }

    /// Waits until Kafka has all of them.
    fn acknowledge(&mut self) -> Result<(), Failure> {
        for (line, delivery) in self.unacknowledged.drain(..) {
            delivery.wait().map_err(|error| refused(error, line))?;
        }
        Ok(())
    }

    /// How many there were, once Kafka has acknowledged all of them.
    fn finish(mut self) -> Result<u64, Failure> {
        self.acknowledge()?;
        Ok(self.count)
    }
}

fn refused(error: KafkaError, line: u64) -> Failure {
    let reason = if error.is_transient() { Reason::Unavailable } else { Reason::Usage };
    Failure { reason, error: anyhow!(error).context(format!("could not produce line {line}")) }
}

/// The key that the topic's usual producers send: `db.table` for notifications, `run:namespace/name` of the outermost
/// job for OpenLineage, `dag/run` or an asset's URI for Airflow, the invocation for dbt. Values that are not what the
/// topic expects go without a key; the pipeline judges them.
pub(super) fn key_of(topic: &str, value: &[u8]) -> Option<String> {
    if topic.starts_with("dbt.") {
        return key(std::str::from_utf8(value).ok()?);
    }
    let event: Value = serde_json::from_slice(value).ok()?;
    let text = |value: &Value, field: &str| value.get(field)?.as_str().map(str::to_owned);
    if topic.starts_with("hms.") {
        let database = text(&event, "dbName").or_else(|| text(&event, "databaseName"))?;
        return Some(match text(&event, "tableName") {
            Some(table) => format!("{database}.{table}"),
            None => database,
        });
    }
    if topic.starts_with("openlineage.") {
        return event_key(&event);
    }
    if topic.starts_with("airflow.") {
        let run = event.get("task_instance").or_else(|| event.get("dag_run"));
        return match (run, event.get("asset")) {
            (Some(run), _) => Some(format!("{}/{}", text(run, "dag_id")?, text(run, "run_id")?)),
            (None, asset) => text(asset?, "uri").or_else(|| text(asset?, "name")),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_usual_producers() {
        let hms = br#"{"eventId":1,"dbName":"sales","tableName":"orders"}"#;
        assert_eq!(key_of("hms.notifications", hms).as_deref(), Some("sales.orders"));
        let database = br#"{"eventId":1,"dbName":"sales","tableName":null}"#;
        assert_eq!(key_of("hms.notifications", database).as_deref(), Some("sales"));
        let child = br#"{"job":{"namespace":"n","name":"child"},"run":{"facets":{"parent":{"job":{"namespace":"n","name":"parent"},"root":{"job":{"namespace":"r","name":"root"}}}}}}"#;
        assert_eq!(key_of("openlineage.events", child).as_deref(), Some("run:r/root"));
        let alone = br#"{"job":{"namespace":"n","name":"j"},"run":{}}"#;
        assert_eq!(key_of("openlineage.events", alone).as_deref(), Some("run:n/j"));
        assert_eq!(key_of("openlineage.events", b"not json"), None);
        let task = br#"{"event_type":"task_instance.running","task_instance":{"dag_id":"etl","task_id":"t","run_id":"manual__1"}}"#;
        assert_eq!(key_of("airflow.events", task).as_deref(), Some("etl/manual__1"));
        let run = br#"{"event_type":"dag_run.running","dag_run":{"dag_id":"etl","run_id":"manual__1"}}"#;
        assert_eq!(key_of("airflow.events", run).as_deref(), Some("etl/manual__1"));
        let asset = br#"{"event_type":"asset.changed","asset":{"name":"t","uri":"s3://b/t"}}"#;
        assert_eq!(key_of("airflow.events", asset).as_deref(), Some("s3://b/t"));
        assert_eq!(key_of("airflow.events", br#"{"dag_run":{}}"#), None);
        let line = br#"{"info":{"invocation_id":"i-1","name":"NodeStart"},"data":{}}"#;
        assert_eq!(key_of("dbt.events", line).as_deref(), Some("i-1"));
        let enveloped = br#"{"kind":"sources","artifact":{"metadata":{"invocation_id":"i-2"},"results":[]}}"#;
        assert_eq!(key_of("dbt.events", enveloped).as_deref(), Some("i-2"));
    }
}
