//! The broker goes away under load and comes back; nobody restarts anything by hand.

use std::path::Path;
use std::time::Duration;

use tributary::dev::{Servers, Stack};
use tributary::kafka::{Admin, Isolation, KafkaConfig, LogReader, OutgoingRecord, Producer, TopicPartition, TopicSpec};
use tributary::stage::{InputTopic, OutputTopic, StageSpec, StopToken, TaskState, spawn_keyed};

use super::support::{Count, PATIENCE, text};

const RECORDS: usize = 2_000;

#[test]
fn a_stage_outlives_a_killed_broker() {
    let _turn = crate::support::own_kafka();
    let mut stack =
        Stack::throw_away(Servers::Kafka, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/dev-cache"))).unwrap();
    let kafka = KafkaConfig::plain(stack.bootstrap_servers().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut spec = StageSpec::new("outage", "count", "i0", dir.path());
    spec.inputs = vec![InputTopic::new("in")];
    spec.outputs = vec![OutputTopic::new("out")];
    spec.batch.records = 20;
    let admin = Admin::new(&kafka).unwrap();
    let topics = ["in", "out", "in.dlq", &spec.changelog()].map(|name| TopicSpec::new(name, 1));
    admin.create_topics(&topics).unwrap();
    admin.commit_offsets(&spec.group(), &[(TopicPartition::new("in", 0), 0)].into()).unwrap();
    let producer = Producer::new(&kafka).unwrap();
    let mut deliveries = Vec::new();
    let mut feed = |from: usize, to: usize| {
        for n in from..to {
            let record = OutgoingRecord::new("in", Some(b"k".to_vec()), Some(n.to_string().into_bytes()));
            deliveries.push(producer.send(&record).unwrap());
        }
    };
    feed(0, RECORDS / 2);
    let transform = Count { topic: "out".into() };
    let task = spawn_keyed(&kafka, spec, Box::new(transform), StopToken::new()).unwrap();
    assert!(task.wait_until(PATIENCE, |s| s.counters.records > 0), "{:?}", task.status());
    let server = stack.kafka().unwrap();
    server.kill().unwrap();
    feed(RECORDS / 2, RECORDS);
    let noticed = task.wait_until(PATIENCE, |s| matches!(s.state, TaskState::Degraded(_)));
    assert!(noticed, "{:?}", task.status());
    server.restart().unwrap();
    let done = task.wait_until(PATIENCE * 2, |s| s.positions.values().sum::<i64>() >= RECORDS as i64);
    assert!(done, "{:?}", task.status());
    assert!(task.wait_until(Duration::from_secs(20), |s| s.state == TaskState::Running), "{:?}", task.status());
    task.stop();
    assert!(task.join().unwrap().counters.balanced());
    for delivery in deliveries {
        delivery.wait().unwrap();
    }
    let mut outputs = Vec::new();
    let reader = LogReader::new(&kafka, Isolation::Committed).unwrap();
    reader.read_topic("out", &mut |record| outputs.push(text(record.value.as_deref()))).unwrap();
    let expected: Vec<String> = (0..RECORDS).map(|n| format!("{} {n}", n + 1)).collect();
    assert_eq!(outputs, expected);
}
