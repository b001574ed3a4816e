//! The Kafka layer: administration, reading to the end past open and aborted transactions, fencing.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary::kafka::{
    Admin, CommitError, Created, Isolation, LogReader, OutgoingRecord, Producer, TopicId, TopicPartition, TopicSpec,
    TransactionalProducer, topic_ids,
};

use super::support::{create, kafka, read_all, text, unique};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The id of a topic; a broker learns of a new topic a little after its creation.
fn id_of(topic: &str) -> TopicId {
    loop {
        if let Some(id) = topic_ids(&kafka(), &[topic]).unwrap().remove(topic) {
            return id;
        }
    }
}

fn record(topic: &str, value: &str) -> OutgoingRecord {
    OutgoingRecord::new(topic, Some(b"k".to_vec()), Some(value.as_bytes().to_vec()))
}

#[test]
fn topics_are_created_described_altered_and_deleted() {
    let admin = Admin::new(&kafka()).unwrap();
    let name = unique("admin");
    let spec = TopicSpec::new(name.as_str(), 3).config("cleanup.policy", "compact");
    assert_eq!(admin.create_topics(std::slice::from_ref(&spec)).unwrap(), [Created::Now]);
    assert_eq!(admin.create_topics(std::slice::from_ref(&spec)).unwrap(), [Created::Before]);
    assert_eq!(admin.partition_count(&name).unwrap(), Some(3));
    admin.alter_configs(&name, &BTreeMap::from([("retention.ms".to_owned(), "1234567".to_owned())])).unwrap();
    // A busy broker answers from what it knew until the controller's word reaches it.
    let started = std::time::Instant::now();
    let configs = loop {
        let configs = admin.describe_configs(&[&name]).unwrap().remove(&name).unwrap();
        if configs["retention.ms"].value.as_deref() == Some("1234567") {
            break configs;
        }
        assert!(started.elapsed() < TIMEOUT, "retention.ms is {:?}", configs["retention.ms"]);
    };
    assert_eq!(configs["cleanup.policy"].value.as_deref(), Some("compact"), "what was set before stays");
    admin.add_partitions(&name, 4).unwrap();
    let key = TopicPartition::new(name.as_str(), 3);
    let group = unique("group");
    let wanted = [TopicPartition::new(name.as_str(), 0), key.clone()];
    admin.commit_offsets(&group, &BTreeMap::from([(key.clone(), 0)])).unwrap();
    let committed = admin.committed(&group, &wanted).unwrap();
    assert_eq!((committed[&wanted[0]], committed[&key]), (None, Some(0)));
    assert_eq!(admin.group(&group).unwrap().members, []);
    let before = id_of(&name);
    admin.delete_topics(&[&name, "no-such-topic"]).unwrap();
    while admin.partition_count(&name).unwrap().is_some() {}
    admin.create_topics(&[spec]).unwrap();
    assert_ne!(id_of(&name), before, "a new topic of the same name has another id");
}

#[test]
fn a_log_is_read_to_its_end_past_markers_and_aborted_records() {
    let topic = unique("log");
    create(&Admin::new(&kafka()).unwrap(), std::slice::from_ref(&topic), 1);
    assert_eq!(read_all(&topic), []);
    let mut producer = TransactionalProducer::new(&kafka(), &unique("txn"), TIMEOUT).unwrap();
    producer.init().unwrap();
    for (value, commit) in [("a", true), ("b", false), ("c", true), ("d", false)] {
        producer.begin().unwrap();
        producer.send(&record(&topic, value)).unwrap();
        producer.drain(TIMEOUT).unwrap();
        if commit { producer.commit(TIMEOUT).unwrap() } else { producer.abort(TIMEOUT).unwrap() }
    }
    let values = |isolation| {
        let mut values = Vec::new();
        let reader = LogReader::new(&kafka(), isolation).unwrap();
        let ends = reader.read_topic(&topic, &mut |r| values.push(text(r.value.as_deref()))).unwrap();
        assert_eq!(ends, BTreeMap::from([(0, 8)]), "four records and four markers");
        values
    };
    assert_eq!(values(Isolation::Committed), ["a", "c"]);
    assert_eq!(values(Isolation::Uncommitted), ["a", "b", "c", "d"]);
}

#[test]
fn the_newer_producer_of_an_id_fences_the_older() {
    let topic = unique("fence");
    create(&Admin::new(&kafka()).unwrap(), std::slice::from_ref(&topic), 1);
    let id = unique("txn");
    let mut old = TransactionalProducer::new(&kafka(), &id, TIMEOUT).unwrap();
    old.init().unwrap();
    old.begin().unwrap();
    old.send(&record(&topic, "old")).unwrap();
    old.drain(TIMEOUT).unwrap();
    let new = TransactionalProducer::new(&kafka(), &id, TIMEOUT).unwrap();
    new.init().unwrap();
    let outcome = old.commit(TIMEOUT);
    assert!(matches!(outcome, Err(CommitError::Fenced(_))), "{outcome:?}");
    assert_eq!(read_all(&topic), []);
}

#[test]
fn keys_lie_where_java_producers_put_them() {
    let topic = unique("murmur");
    Admin::new(&kafka()).unwrap().create_topics(&[TopicSpec::new(topic.as_str(), 12)]).unwrap();
    let producer = Producer::new(&kafka()).unwrap();
    let outgoing = OutgoingRecord::new(topic.as_str(), Some(b"foobar".to_vec()), Some(Vec::new()));
    let delivered = producer.send(&outgoing).unwrap().wait().unwrap();
    assert_eq!(delivered.partition, (-790_332_482_i32 & 0x7fff_ffff) % 12);
    assert_eq!(read_all(&topic)[0].value.as_deref(), Some(&[][..]), "an empty value is no tombstone");
}
