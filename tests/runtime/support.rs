//! One Kafka for all tests of the runtime; each test has topics, groups and ids of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use tributary::dev::{Servers, Stack};
use tributary::kafka::{
    Admin, Isolation, KafkaConfig, LogReader, OutgoingRecord, Producer, Record, TopicPartition, TopicSpec,
};
use tributary::model::reject::{ReasonCode, Rejection};
use tributary::model::state::State;
use tributary::stage::{Fault, InputTopic, KeyedTransform, OutputTopic, Outputs, StageRecord, StageSpec};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// The configured Kafka, or one that is started once and ends with the test process.
pub fn kafka() -> KafkaConfig {
    static STACK: OnceLock<(Option<Stack>, String)> = OnceLock::new();
    let (_, servers) = STACK.get_or_init(|| match std::env::var("KAFKA_BOOTSTRAP_SERVERS") {
        Ok(servers) => (None, servers),
        Err(_) => {
            let cache = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/dev-cache"));
            let stack = Stack::throw_away(Servers::Kafka, cache).unwrap();
            let servers = stack.bootstrap_servers().unwrap();
            (Some(stack), servers)
        }
    });
    KafkaConfig::plain(servers.as_str()).unwrap()
}

/// A name no other test and no earlier run has used.
pub fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::now_v7().simple())
}

/// The topics of a keyed stage that counts, all with `partitions`, and first offsets for its group.
pub fn counting_stage(cluster: &str, partitions: i32, data_dir: &Path) -> StageSpec {
    let input = format!("{cluster}.in");
    let output = format!("{cluster}.out");
    let mut spec = StageSpec::new(cluster, "count", "i0", data_dir);
    spec.inputs = vec![InputTopic::new(input.as_str())];
    spec.outputs = vec![OutputTopic::new(output.as_str())];
    spec.batch.records = 50;
    let admin = Admin::new(&kafka()).unwrap();
    let dead_letters = spec.inputs[0].dead_letters.name.clone();
    let names = [input, output, dead_letters, spec.changelog()];
    create(&admin, &names, partitions);
    initialise(&admin, &spec, partitions);
    spec
}

pub fn create(admin: &Admin, names: &[String], partitions: i32) {
    let specs: Vec<TopicSpec> = names.iter().map(|name| TopicSpec::new(name.as_str(), partitions)).collect();
    admin.create_topics(&specs).unwrap();
    // A busy broker learns of them a moment later.
    let started = std::time::Instant::now();
    for name in names {
        while admin.partition_count(name).unwrap().is_none() {
            assert!(started.elapsed() < PATIENCE, "{name} did not appear");
        }
    }
}

/// What `topology apply` does for a new group.
pub fn initialise(admin: &Admin, spec: &StageSpec, partitions: i32) {
    let offsets: BTreeMap<TopicPartition, i64> = spec
        .inputs
        .iter()
        .flat_map(|input| (0..partitions).map(|p| (TopicPartition::new(input.name.as_str(), p), 0)))
        .collect();
    // A topic that was created a moment ago is not known to every part of a busy broker.
    let started = std::time::Instant::now();
    while let Err(error) = admin.commit_offsets(&spec.group(), &offsets) {
        let unknown = error.code_name().is_some_and(|code| code.starts_with("Unknown"));
        assert!(unknown && started.elapsed() < PATIENCE, "{error}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Produces records `key → id` and waits for their acknowledgement.
pub fn feed(topic: &str, records: impl IntoIterator<Item = (String, String)>) {
    let producer = Producer::new(&kafka()).unwrap();
    for (key, id) in records {
        producer.send(&OutgoingRecord::new(topic, Some(key.into_bytes()), Some(id.into_bytes()))).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// All committed records of a topic.
pub fn read_all(topic: &str) -> Vec<Record> {
    let mut records = Vec::new();
    LogReader::new(&kafka(), Isolation::Committed).unwrap().read_topic(topic, &mut |r| records.push(r)).unwrap();
    records
}

pub fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap()
}

/// Counts the records of each key; its output `n id` shows loss, doubling and wrong state at once.
pub struct Count {
    pub topic: String,
}

impl KeyedTransform for Count {
    fn apply(&mut self, record: &StageRecord, state: &mut dyn State, outputs: &mut Outputs) -> Result<(), Fault> {
        let key = record.key.clone().unwrap_or_default();
        let before = state.get(&key)?.map_or(0, |value| text(Some(&value)).parse::<u64>().unwrap());
        state.put(key.clone(), (before + 1).to_string().into_bytes());
        let id = text(record.value.as_deref());
        if id.starts_with("poison") {
            return Err(Rejection::new(ReasonCode::InvalidField, "/id", "poisoned for the test").into());
        }
        if id == "defect" {
            panic!("a defect of the test's own");
        }
        if id == "bloat" {
            state.put(b"bloat".to_vec(), vec![b'b'; 1_000]);
        }
        let value = format!("{} {id}", before + 1);
        outputs.put(&self.topic, &text(Some(&key)), key, Some(value.into_bytes()));
        Ok(())
    }
}

/// Asserts that each id in `0..total` of each key came out once, in order, with the right count.
pub fn assert_counted_once(topic: &str, keys: usize, per_key: usize) {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in read_all(topic) {
        seen.entry(text(record.key.as_deref())).or_default().push(text(record.value.as_deref()));
    }
    assert_eq!(seen.len(), keys);
    for (key, values) in seen {
        let expected: Vec<String> = (0..per_key).map(|n| format!("{} {key}-{n}", n + 1)).collect();
        assert_eq!(values, expected, "{key}");
    }
}

/// Ids `from..to` of `keys` keys, interleaved.
pub fn ids(keys: usize, from: usize, to: usize) -> Vec<(String, String)> {
    (from..to).flat_map(|n| (0..keys).map(move |k| (format!("k{k}"), format!("k{k}-{n}")))).collect()
}
