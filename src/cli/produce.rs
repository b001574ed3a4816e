//! `tributary produce`: a file of events into a topic: one record a line, query logs as their platforms export them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::SettingFlags;
use super::context::Context;
use super::exit::{Because, Failure, Reason};
use crate::api::event_key;
use crate::kafka::{Delivery, KafkaError, OutgoingRecord, Producer};
use crate::sql::log::{Record, Records};

/// Records sent before the first acknowledgement is awaited.
const WINDOW: usize = 10_000;

/// What to produce, and where.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary produce hms.notifications events.jsonl.gz")]
pub struct ProduceArgs {
    /// Topic
    topic: String,
    /// File, plain or gzip; `-` is standard input. One JSON value a line; for warehouse.query-logs also csvlog of Postgres
    /// and lists of REST APIs
    file: PathBuf,
}

pub(super) fn run(flags: &SettingFlags, args: &ProduceArgs) -> Result<(), Failure> {
    let context = Context::load(flags)?;
    let producer = Producer::new(&context.kafka).because(Reason::Unavailable)?;
    let lines = open(&args.file).because(Reason::Usage)?;
    let count = if args.topic == "warehouse.query-logs" {
        produce_records(&producer, &args.topic, Records::new(lines))?
    } else {
        produce_lines(&producer, &args.topic, lines)?
    };
    println!("{count} records to {}", args.topic);
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
    let mut count = 0;
    let mut line = 0;
    let mut unacknowledged = Vec::new();
    for record in records {
        let record = record.with_context(|| format!("could not read on after line {line}")).because(Reason::Usage)?;
        line = record.line;
        let outgoing = OutgoingRecord::new(topic, record.key.map(String::into_bytes), Some(record.value));
        let delivery = producer.send(&outgoing).map_err(|error| refused(error, line))?;
        unacknowledged.push((line, delivery));
        count += 1;
        if unacknowledged.len() >= WINDOW {
            acknowledge(&mut unacknowledged)?;
        }
    }
    acknowledge(&mut unacknowledged)?;
    Ok(count)
}

/// Waits until Kafka has all of them.
fn acknowledge(unacknowledged: &mut Vec<(u64, Delivery)>) -> Result<(), Failure> {
    for (line, delivery) in unacknowledged.drain(..) {
        delivery.wait().map_err(|error| refused(error, line))?;
    }
    Ok(())
}

fn refused(error: KafkaError, line: u64) -> Failure {
    let reason = if error.is_transient() { Reason::Unavailable } else { Reason::Usage };
    Failure { reason, error: anyhow!(error).context(format!("could not produce line {line}")) }
}

/// The key that the topic's usual producers send: `db.table` for notifications, `run:namespace/name` of the outermost
/// job for OpenLineage, `dag/run` or an asset's URI for Airflow. Values that are not what the topic expects go without a key; the pipeline judges them.
pub(super) fn key_of(topic: &str, value: &[u8]) -> Option<String> {
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
    }
}
