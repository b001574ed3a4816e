//! The registry on a real topic: several nodes, restarts, foreign and aborted writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary::dev::{Servers, Stack};
use tributary::kafka::{
    Admin, Isolation, KafkaConfig, OutgoingRecord, PartitionFollower, Producer, TopicPartition, TransactionalProducer,
};
use tributary::registry::decide::{Command, Deletion, RegisterRequest, Reply};
use tributary::registry::snapshot::Deleted;
use tributary::registry::types::{Subject, VersionSpec};
use tributary::registry::{KafkaLog, RegistryError, RegistryHandle, RegistryOptions};

fn subject(name: &str) -> Subject {
    Subject::parse(name).unwrap()
}

fn register(node: &RegistryHandle, name: &str, schema: &str) -> Result<(i32, i32), RegistryError> {
    let request = RegisterRequest { schema: schema.to_owned(), ..RegisterRequest::default() };
    match node.write_blocking(Command::Register { subject: subject(name), request: Box::new(request) })? {
        Reply::Registered { version, id, .. } => Ok((version, id)),
        other => panic!("{other:?}"),
    }
}

fn latest(node: &RegistryHandle, name: &str) -> Result<i32, RegistryError> {
    node.read_blocking(|snapshot| {
        snapshot.version(&subject(name), VersionSpec::Latest, Deleted::Hidden).map(|version| version.id)
    })
}

/// A topic of its own, with nodes that share its transactional id.
struct Cluster {
    log: KafkaLog,
}

impl Cluster {
    fn new(config: &KafkaConfig, name: &str) -> Self {
        let log = KafkaLog::new(config.clone(), &format!("_schemas_{name}"), &format!("{name}.registry"));
        log.ensure_topic().unwrap();
        Self { log }
    }

    fn node(&self) -> RegistryHandle {
        RegistryHandle::start(Arc::new(self.log.clone()), &RegistryOptions::default()).unwrap()
    }
}

#[test]
fn nodes_share_a_topic() {
    let _turn = crate::support::own_kafka();
    let mut stack = Stack::throw_away(Servers::Kafka, crate::dev_servers::cache()).unwrap();
    let config = KafkaConfig::plain(stack.bootstrap_servers().unwrap()).unwrap();
    nodes_take_turns_and_a_restart_finds_all(&Cluster::new(&config, "turns"));
    the_topic_ends_with_a_record(&config, "_schemas_turns");
    aborted_and_foreign_records(&config);
    concurrent_writers_on_two_nodes(&Cluster::new(&config, "race"));
    writes_survive_a_broker_restart(&mut stack, &config);
}

fn nodes_take_turns_and_a_restart_finds_all(cluster: &Cluster) {
    let (one, two) = (cluster.node(), cluster.node());
    assert_eq!(register(&one, "a", "\"int\"").unwrap(), (1, 1));
    assert_eq!(latest(&two, "a").unwrap(), 1, "never reported missing on another node");
    assert_eq!(register(&two, "b", "\"long\"").unwrap(), (1, 2));
    assert_eq!(register(&one, "a", "\"long\"").unwrap(), (2, 2));
    assert_eq!(register(&two, "a", "\"string\"").unwrap_err().code(), 40901);
    let deleted = two.write_blocking(Command::DeleteSubject { subject: subject("b"), deletion: Deletion::Soft });
    assert_eq!(deleted.unwrap(), Reply::DeletedVersions(vec![1]));
    assert_eq!(latest(&two, "b").unwrap_err().code(), 40401);
    drop((one, two));
    let again = cluster.node();
    assert_eq!(latest(&again, "a").unwrap(), 2);
    assert_eq!(latest(&again, "b").unwrap_err().code(), 40401);
    assert_eq!(register(&again, "c", "\"bytes\"").unwrap(), (1, 3));
}

/// Karapace starts once it has read a record at the last offset; a transaction leaves the broker's mark there.
fn the_topic_ends_with_a_record(config: &KafkaConfig, topic: &str) {
    let partition = TopicPartition::new(topic, 0);
    let end = Admin::new(config).unwrap().watermarks(&partition, Isolation::Uncommitted).unwrap().high;
    let mut follower = PartitionFollower::new(config, partition, Some(end - 1), Isolation::Uncommitted).unwrap();
    let mut records = Vec::new();
    while follower.position() < end {
        records.extend(follower.poll(Duration::from_millis(100)).unwrap());
    }
    let found: Vec<_> = records.iter().map(|record| (record.offset, record.key.as_deref(), &record.value)).collect();
    assert_eq!(found, [(end - 1, Some(br#"{"keytype":"NOOP","magic":0}"#.as_slice()), &None)]);
}

fn aborted_and_foreign_records(config: &KafkaConfig) {
    let cluster = Cluster::new(config, "foreign");
    let node = cluster.node();
    let record = |name: &str, id: i32| {
        let key = format!(r#"{{"keytype":"SCHEMA","subject":"{name}","version":1,"magic":1}}"#);
        let value = format!(r#"{{"subject":"{name}","version":1,"id":{id},"schema":"\"int\"","deleted":false}}"#);
        OutgoingRecord::new("_schemas_foreign", Some(key.into_bytes()), Some(value.into_bytes())).to_partition(0)
    };
    let timeout = Duration::from_secs(10);
    let mut aborting = TransactionalProducer::new(config, "foreign.abort", timeout).unwrap();
    aborting.init().unwrap();
    aborting.begin().unwrap();
    aborting.send(&record("aborted", 7)).unwrap();
    aborting.drain(timeout).unwrap();
    aborting.abort(timeout).unwrap();
    assert_eq!(latest(&node, "aborted").unwrap_err().code(), 40401);
    // As Confluent's registry writes: without transactions.
    let plain = Producer::new(config).unwrap();
    plain.send(&record("foreign", 41)).unwrap().wait().unwrap();
    assert_eq!(latest(&node, "foreign").unwrap(), 41);
    let junk = OutgoingRecord::new("_schemas_foreign", Some(b"junk".to_vec()), None).to_partition(0);
    plain.send(&junk).unwrap().wait().unwrap();
    assert_eq!(register(&node, "next", "\"long\"").unwrap(), (1, 42));
    assert_eq!(node.skipped_records(), 1);
    assert_eq!(latest(&cluster.node(), "aborted").unwrap_err().code(), 40401);
}

fn concurrent_writers_on_two_nodes(cluster: &Cluster) {
    let nodes = [cluster.node(), cluster.node()];
    let started = Instant::now();
    let mut registered: Vec<(i32, i32)> = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let node = nodes[worker % 2].clone();
                scope.spawn(move || {
                    let schema =
                        |number| format!(r#"{{"type":"fixed","name":"F","size":{}}}"#, worker * 10 + number + 1);
                    let one = |number| {
                        let request = RegisterRequest {
                            schema: schema(number),
                            compatibility: tributary::registry::decide::CompatibilityCheck::Skipped,
                            ..RegisterRequest::default()
                        };
                        let command = Command::Register { subject: subject("same"), request: Box::new(request) };
                        match node.write_blocking(command).unwrap() {
                            Reply::Registered { version, id, .. } => (version, id),
                            other => panic!("{other:?}"),
                        }
                    };
                    (0..10).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        for worker in workers {
            registered.extend(worker.join().unwrap());
        }
    });
    eprintln!("80 registrations through two fighting nodes: {:?}", started.elapsed());
    registered.sort_unstable();
    assert_eq!(registered, (1..=80).map(|number| (number, number)).collect::<Vec<_>>(), "unique, dense, none lost");
    let started = Instant::now();
    for number in 0..20 {
        register(
            &nodes[0],
            &format!("alone{number}"),
            &format!(r#"{{"type":"fixed","name":"G","size":{}}}"#, number + 1),
        )
        .unwrap();
    }
    eprintln!("20 registrations one after the other through one node: {:?}", started.elapsed());
    let started = Instant::now();
    for _ in 0..20 {
        latest(&nodes[0], "nothing").unwrap_err();
    }
    eprintln!("20 misses: {:?}", started.elapsed());
}

fn writes_survive_a_broker_restart(stack: &mut Stack, config: &KafkaConfig) {
    let cluster = Cluster::new(config, "restart");
    let node = cluster.node();
    assert_eq!(register(&node, "a", "\"int\"").unwrap(), (1, 1));
    let kafka = stack.kafka().unwrap();
    kafka.kill().unwrap();
    assert_eq!(latest(&node, "a").unwrap(), 1, "reads are local");
    kafka.restart().unwrap();
    assert_eq!(register(&node, "b", "\"long\"").unwrap(), (1, 2));
    assert_eq!(latest(&cluster.node(), "b").unwrap(), 2);
}
