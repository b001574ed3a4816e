//! Poisoned and oversized records become dead letters; every record has one outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary::kafka::{Admin, OutgoingRecord, Producer};
use tributary::model::state::State;
use tributary::stage::{DeadLetter, Fault, KeyedTransform, Outputs, StageRecord, StopToken, spawn_keyed};

use super::support::{Count, PATIENCE, assert_counted_once, counting_stage, feed, kafka, read_all, text, unique};

#[test]
fn poison_goes_aside_with_its_reason_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = counting_stage(&unique("letters"), 2, dir.path());
    spec.inputs[0].max_record_bytes = 1000;
    spec.outputs[0].max_record_bytes = 600;
    let input = spec.inputs[0].name.clone();
    let large = "x".repeat(2000);
    let swelling = "y".repeat(700);
    spec.changelog_max_bytes = 900;
    let values = ["one", "poison", "two", &large, &swelling, "defect", "bloat", "three"];
    feed(&input, values.iter().map(|value| ("k".to_owned(), (*value).to_owned())));
    let transform = Count { topic: spec.outputs[0].name.clone() };
    let task = spawn_keyed(&kafka(), spec.clone(), Box::new(transform), StopToken::new()).unwrap();
    assert!(task.wait_until(PATIENCE, |s| s.counters.records == 8), "{:?}", task.status());
    task.stop();
    let counters = task.join().unwrap().counters;
    assert!(counters.balanced());
    assert_eq!(
        (counters.outputs, &counters.dead_letters),
        (3, &BTreeMap::from([("defect", 1), ("invalid_field", 1), ("limit_exceeded", 3)]))
    );

    // The rejected records' writes to the state are taken back, so the count has no holes.
    let outputs: Vec<String> = read_all(&spec.outputs[0].name).iter().map(|r| text(r.value.as_deref())).collect();
    assert_eq!(outputs, ["1 one", "2 two", "3 three"]);

    let letters: Vec<DeadLetter> =
        read_all(&spec.inputs[0].dead_letters.name).iter().map(|r| DeadLetter::parse(r).unwrap()).collect();
    let brief: Vec<_> = letters.iter().map(|l| (l.reason.as_str(), l.path.as_str(), l.source.offset)).collect();
    let expected = [
        ("invalid_field", "/id", 1),
        ("limit_exceeded", "", 3),
        ("limit_exceeded", "", 4),
        ("defect", "", 5),
        ("limit_exceeded", "", 6),
    ];
    assert_eq!(brief, expected);
    assert!(letters[3].message.contains("a defect of the test's own"), "{}", letters[3].message);
    assert!(letters[4].message.contains("the changelog's limit is 900"), "{}", letters[4].message);
    let first = &letters[0];
    assert_eq!((first.value.as_deref(), first.key.as_deref()), (Some(&b"poison"[..]), Some(&b"k"[..])));
    assert_eq!((first.stage.as_str(), first.source.topic.as_str(), first.attempt), ("count", input.as_str(), 1));
    assert!(first.timestamp_ms.is_some());
}

/// Takes its time over each record, as decompressing does.
struct Slow(Count);

impl KeyedTransform for Slow {
    fn apply(&mut self, record: &StageRecord, state: &mut dyn State, outputs: &mut Outputs) -> Result<(), Fault> {
        std::thread::sleep(Duration::from_millis(200));
        self.0.apply(record, state, outputs)
    }
}

#[test]
fn records_that_take_long_together_do_not_outlast_their_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = counting_stage(&unique("slow"), 1, dir.path());
    // 14 s are more than a transaction's life and the 10 s between the broker's looks at it: one batch of them would be
    // aborted, read again, and aborted again.
    spec.timeouts.transaction = Duration::from_secs(2);
    spec.batch.records = 1_000;
    let records = 70;
    feed(&spec.inputs[0].name.clone(), (0..records).map(|n| ("k0".to_owned(), format!("k0-{n}"))));
    let transform = Slow(Count { topic: spec.outputs[0].name.clone() });
    let task = spawn_keyed(&kafka(), spec.clone(), Box::new(transform), StopToken::new()).unwrap();
    assert!(task.wait_until(PATIENCE, |s| s.counters.records >= records), "{:?}", task.status());
    task.stop();
    let counters = task.join().unwrap().counters;
    assert_eq!((counters.outputs, counters.aborts), (records, 0));
    assert_counted_once(&spec.outputs[0].name, 1, records as usize);
}

#[test]
fn the_largest_record_that_a_topic_takes_goes_aside_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = counting_stage(&unique("large"), 1, dir.path());
    let input = spec.inputs[0].name.clone();
    let letters = spec.inputs[0].dead_letters.name.clone();
    let admin = Admin::new(&kafka()).unwrap();
    for (topic, bytes) in [(&input, 17 << 20), (&letters, 17 << 20)] {
        let limit = BTreeMap::from([("max.message.bytes".to_owned(), bytes.to_string())]);
        admin.alter_configs(topic, &limit).unwrap();
    }
    spec.inputs[0].max_record_bytes = 17 << 20;
    spec.inputs[0].dead_letters.max_record_bytes = 17 << 20;
    // Headers say what is wrong with it; a little room is left for them.
    let mut value = b"poison".to_vec();
    value.resize((17 << 20) - 2_000, b'x');
    let producer = Producer::new(&kafka()).unwrap();
    let record = OutgoingRecord::new(input.as_str(), Some(b"k0".to_vec()), Some(value.clone()));
    producer.send(&record).unwrap().wait().unwrap();
    feed(&input, [("k0".to_owned(), "k0-0".to_owned())]);
    let transform = Count { topic: spec.outputs[0].name.clone() };
    let task = spawn_keyed(&kafka(), spec.clone(), Box::new(transform), StopToken::new()).unwrap();
    assert!(task.wait_until(PATIENCE, |s| s.counters.records == 2), "{:?}", task.status());
    task.stop();
    assert_eq!(task.join().unwrap().counters.aborts, 0);
    assert_counted_once(&spec.outputs[0].name, 1, 1);
    let letters: Vec<DeadLetter> = read_all(&letters).iter().map(|r| DeadLetter::parse(r).unwrap()).collect();
    assert_eq!((letters.len(), letters[0].truncated_bytes), (1, None));
    assert!(letters[0].value.as_deref() == Some(value.as_slice()), "the value is the one received");
}
