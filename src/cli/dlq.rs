//! `tributary dlq`: what was rejected, why, and back again once the cause is mended.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::SettingFlags;
use super::context::Context;
use super::exit::{Because, Failure, Reason};
use crate::kafka::{Admin, Isolation, LogReader, TopicPartition};
use crate::stage::{
    DataDir, DeadLetter, Fault, InputTopic, Output, OutputTopic, Outputs, StageRecord, StageSpec, StopToken, Transform,
    dead_letter_topic, spawn_transform,
};

const REPLAY: &str = "dlq-replay";

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List dead letters, newest last
    List(ListArgs),
    /// Show one dead letter with its value and headers
    Show(ShowArgs),
    /// Send the dead letters of a topic that were not sent back yet to where they came from
    Replay(ReplayArgs),
}

/// Which to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only of this raw topic, e.g. hms.notifications
    #[arg(long)]
    topic: Option<String>,
    /// Only with this reason, e.g. invalid_json
    #[arg(long)]
    reason: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Which to show.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary dlq show hms.notifications.dlq-0@17")]
pub struct ShowArgs {
    /// Place as `list` prints it: TOPIC-PARTITION@OFFSET
    place: String,
}

/// Which to send back.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The raw topic, e.g. hms.notifications
    topic: String,
}

pub(super) fn run(flags: &SettingFlags, command: &DlqCommand) -> Result<(), Failure> {
    let context = Context::load(flags)?;
    match command {
        DlqCommand::List(args) => list(&context, args),
        DlqCommand::Show(args) => show(&context, args),
        DlqCommand::Replay(args) => replay(&context, args),
    }
}

/// Dead-letter topics that exist.
pub(super) fn topics(admin: &Admin) -> Result<Vec<String>, Failure> {
    let topics = admin.topics().because(Reason::Unavailable)?;
    Ok(topics.into_keys().filter(|name| name.ends_with(".dlq")).collect())
}

/// All dead letters of `topic` with their places, in log order per partition.
pub(super) fn read(reader: &LogReader, topic: &str) -> Result<Vec<(String, DeadLetter)>, Failure> {
    let mut letters = Vec::new();
    let each = &mut |record: StageRecord| {
        if let Some(letter) = DeadLetter::parse(&record) {
            letters.push((format!("{}-{}@{}", record.topic, record.partition, record.offset), letter));
        }
    };
    reader.read_topic(topic, each).because(Reason::Unavailable)?;
    Ok(letters)
}

fn list(context: &Context, args: &ListArgs) -> Result<(), Failure> {
    let reader = LogReader::new(&context.kafka, Isolation::Committed).because(Reason::Unavailable)?;
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for topic in topics(reader.admin())? {
        if args.topic.as_ref().is_some_and(|wanted| dead_letter_topic(wanted) != topic) {
            continue;
        }
        for (place, letter) in read(&reader, &topic)? {
            if args.reason.as_ref().is_some_and(|wanted| *wanted != letter.reason) {
                continue;
            }
            *counts.entry((topic.clone(), letter.reason.clone())).or_default() += 1;
            if args.json {
                println!("{}", summary(&place, &letter));
            } else {
                let at = if letter.path.is_empty() { "(value)" } else { &letter.path };
                println!("{place}  {}  at {at}  attempt {}\n    {}", letter.reason, letter.attempt, letter.message);
            }
        }
    }
    if !args.json {
        for ((topic, reason), count) in &counts {
            println!("{count:>8}  {topic}  {reason}");
        }
        if counts.is_empty() {
            println!("no dead letters");
        }
    }
    Ok(())
}

fn summary(place: &str, letter: &DeadLetter) -> Value {
    json!({
        "place": place,
        "reason": letter.reason,
        "message": letter.message,
        "path": letter.path,
        "stage": letter.stage,
        "attempt": letter.attempt,
        "source": letter.source,
        "origin": letter.origin,
        "timestamp_ms": letter.timestamp_ms,
        "schema_id": letter.schema_id,
        "truncated_bytes": letter.truncated_bytes,
    })
}

fn show(context: &Context, args: &ShowArgs) -> Result<(), Failure> {
    let (partition, offset) = parse_place(&args.place)
        .ok_or_else(|| anyhow!("{:?} is no place; `tributary dlq list` prints them", args.place))
        .because(Reason::Usage)?;
    let reader = LogReader::new(&context.kafka, Isolation::Committed).because(Reason::Unavailable)?;
    let mut found = None;
    let each = &mut |record: StageRecord| found = DeadLetter::parse(&record);
    reader.read_range(&partition, offset, offset + 1, each).because(Reason::Unavailable)?;
    let letter = found.ok_or_else(|| anyhow!("there is no dead letter at {}", args.place)).because(Reason::Usage)?;
    let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let mut shown = summary(&args.place, &letter);
    shown["key"] = json!(text(&letter.key));
    shown["value"] = json!(text(&letter.value));
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}

fn parse_place(place: &str) -> Option<(TopicPartition, i64)> {
    let (partition, offset) = place.rsplit_once('@')?;
    let (topic, partition) = partition.rsplit_once('-')?;
    Some((TopicPartition::new(topic, partition.parse().ok()?), offset.parse().ok()?))
}

/// Dead letters back to where they came from.
struct Replay;

impl Transform for Replay {
    fn apply(&mut self, record: &StageRecord, outputs: &mut Outputs) -> Result<(), Fault> {
        let Some(letter) = DeadLetter::parse(record) else {
            outputs.no_op("not_a_dead_letter");
            return Ok(());
        };
        let Some(again) = letter.replay() else {
            // Only the head was kept: the whole record is at its source, if retention has left it there.
            outputs.no_op("truncated");
            return Ok(());
        };
        let key = again.key.unwrap_or_default();
        outputs.send(Output {
            topic: &again.topic,
            owner: &key.clone(),
            key,
            value: again.value,
            headers: again.headers,
        });
        Ok(())
    }
}

fn replay(context: &Context, args: &ReplayArgs) -> Result<(), Failure> {
    let letters = dead_letter_topic(&args.topic);
    let admin = Admin::new(&context.kafka).because(Reason::Unavailable)?;
    if !topics(&admin)?.contains(&letters) {
        return Err(anyhow!("there is no topic {letters}")).because(Reason::Usage);
    }
    // A folder of its own: the process that runs the stages holds the other one.
    let folder = context.config.data_dir.join(REPLAY);
    let data = DataDir::open(folder, None, || "cli".to_owned()).because(Reason::Temporary)?;
    let cluster = context.config.kafka.cluster.clone();
    let mut spec =
        StageSpec::new(cluster, format!("{REPLAY}-{}", args.topic.replace('.', "-")), data.instance(), data.path());
    spec.inputs = vec![InputTopic::new(letters.clone())];
    spec.inputs[0].dead_letters = OutputTopic::new(letters.clone());
    spec.outputs = vec![OutputTopic::new(args.topic.clone())];

    let marks = admin.topic_watermarks(&letters, Isolation::Uncommitted).because(Reason::Unavailable)?;
    let partitions: Vec<_> = marks.keys().map(|p| TopicPartition::new(letters.as_str(), *p)).collect();
    let committed = admin.committed(&spec.group(), &partitions).because(Reason::Unavailable)?;
    let missing: BTreeMap<_, _> = committed
        .into_iter()
        .filter(|(_, offset)| offset.is_none())
        .map(|(partition, _)| (partition.clone(), marks[&partition.partition].low))
        .collect();
    admin.commit_offsets(&spec.group(), &missing).because(Reason::Unavailable)?;

    let ends: BTreeMap<_, _> = partitions.into_iter().map(|p| (p.clone(), marks[&p.partition].high)).collect();
    // What is still wrong comes back as a new letter while this runs; sending it again and again would not end.
    spec.until = ends.clone();
    let task = spawn_transform(&context.kafka, spec, Box::new(Replay), StopToken::new())?;
    let reached = task.wait_until(Duration::from_secs(120), |status| {
        matches!(status.state, crate::stage::TaskState::Failed(_))
            || ends.iter().all(|(partition, end)| *end == 0 || status.positions.get(partition) >= Some(end))
    });
    task.stop();
    let status = task.join().map_err(|reason| anyhow!(reason)).because(Reason::Temporary)?;
    if !reached {
        return Err(anyhow!("not all dead letters were sent back in 120 s; run it again to continue"))
            .because(Reason::Temporary);
    }
    println!("{} dead letters sent back to {}", status.counters.outputs, args.topic);
    for (reason, count) in &status.counters.no_ops {
        println!("{count} left where they are: {reason}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_printed() {
        let (partition, offset) = parse_place("hms.notifications.dlq-3@17").unwrap();
        assert_eq!((partition.to_string().as_str(), offset), ("hms.notifications.dlq-3", 17));
        assert!(parse_place("hms.notifications.dlq").is_none());
        assert!(parse_place("a-b@c").is_none());
    }
}
