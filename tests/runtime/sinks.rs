//! Sinks: positions move with the data, unknown outcomes heal, second writers are noticed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tributary::kafka::{Admin, TopicPartition};
use tributary::stage::{
    PositionDelta, Positions, Sink, SinkError, SinkSpec, StageRecord, StopToken, StoredPosition, TaskHandle,
    spawn_follower, spawn_sink,
};

use super::support::{PATIENCE, create, feed, ids, kafka, text, unique};

/// A store in memory that obeys the contract, with ways to misbehave.
#[derive(Default)]
struct Store {
    positions: Positions,
    rows: Vec<String>,
    /// Writes that are done but answered with an error.
    lost_answers: u32,
    /// Before each of so many writes another writer moves the position by one.
    intruders: u32,
}

#[derive(Clone, Default)]
struct MemorySink(Arc<Mutex<Store>>);

impl Sink for MemorySink {
    fn positions(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError> {
        let store = self.0.lock().unwrap();
        let stored = partitions
            .iter()
            .filter_map(|p| store.positions.get(p).map(|next| (p.clone(), StoredPosition { next, topic_id: None })));
        Ok(stored.collect())
    }

    fn write(&mut self, batch: &[StageRecord], delta: &PositionDelta) -> Result<(), SinkError> {
        let mut store = self.0.lock().unwrap();
        if store.intruders > 0 {
            store.intruders -= 1;
            let (partition, span) = delta.iter().next().unwrap();
            store.positions.set(partition.clone(), span.from + 1);
        }
        store.positions.apply(delta)?;
        store.rows.extend(batch.iter().map(|record| text(record.value.as_deref())));
        if store.lost_answers > 0 {
            store.lost_answers -= 1;
            return Err(SinkError::Transient("the answer was lost".into()));
        }
        Ok(())
    }
}

/// Takes at once and writes later, and loses the first so many batches on the way.
#[derive(Clone, Default)]
struct LateSink {
    store: MemorySink,
    losses: Arc<Mutex<u32>>,
    lost: Arc<Mutex<bool>>,
}

impl Sink for LateSink {
    fn positions(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError> {
        *self.lost.lock().unwrap() = false;
        self.store.positions(partitions)
    }

    fn write(&mut self, batch: &[StageRecord], delta: &PositionDelta) -> Result<(), SinkError> {
        let (mut losses, mut lost) = (self.losses.lock().unwrap(), self.lost.lock().unwrap());
        if *lost {
            return Err(SinkError::Transient("an earlier batch is lost".into()));
        }
        if *losses > 0 {
            (*losses, *lost) = (*losses - 1, true);
            return Ok(());
        }
        self.store.write(batch, delta)
    }

    fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap().then(|| "a batch is lost".to_owned())
    }
}

fn topic(partitions: i32) -> String {
    let topic = unique("sink");
    create(&Admin::new(&kafka()).unwrap(), std::slice::from_ref(&topic), partitions);
    topic
}

fn spec(topic: &str) -> SinkSpec {
    let mut spec = SinkSpec::new(topic, "memory", "i0", [topic.to_owned()]);
    spec.batch.records = 20;
    spec
}

fn wait_for_rows(task: &TaskHandle, total: i64) {
    let done = task.wait_until(PATIENCE, |s| s.positions.values().sum::<i64>() >= total || task_failed(s));
    assert!(done, "{:?}", task.status());
}

fn task_failed(status: &tributary::stage::TaskStatus) -> bool {
    matches!(status.state, tributary::stage::TaskState::Failed(_))
}

#[test]
fn an_unknown_outcome_neither_loses_nor_doubles_rows() {
    let topic = topic(3);
    feed(&topic, ids(6, 0, 30));
    let sink = MemorySink::default();
    sink.0.lock().unwrap().lost_answers = 3;
    let task = spawn_sink(&kafka(), spec(&topic), Box::new(sink.clone()), StopToken::new()).unwrap();
    wait_for_rows(&task, 180);
    task.stop();
    task.join().unwrap();
    let mut rows = sink.0.lock().unwrap().rows.clone();
    rows.sort();
    let mut expected: Vec<String> = ids(6, 0, 30).into_iter().map(|(_, id)| id).collect();
    expected.sort();
    assert_eq!(rows, expected);

    // A second run goes on where the first stood, whatever Kafka's committed offsets say.
    feed(&topic, ids(6, 30, 31));
    let task = spawn_sink(&kafka(), spec(&topic), Box::new(sink.clone()), StopToken::new()).unwrap();
    wait_for_rows(&task, 186);
    task.stop();
    task.join().unwrap();
    assert_eq!(sink.0.lock().unwrap().rows.len(), 186);
}

#[test]
fn what_a_sink_took_and_lost_is_read_again_though_nothing_new_comes() {
    let topic = topic(2);
    feed(&topic, ids(4, 0, 5));
    let sink = LateSink::default();
    *sink.losses.lock().unwrap() = 2;
    let mut spec = spec(&topic);
    // One batch: after its loss nothing is left to be read.
    spec.batch.records = 1_000;
    let task = spawn_sink(&kafka(), spec, Box::new(sink.clone()), StopToken::new()).unwrap();
    let stored = || sink.store.0.lock().unwrap().rows.len();
    let all = task.wait_until(PATIENCE, |status| stored() == 20 || task_failed(status));
    assert!(all, "{} rows of 20: {:?}", stored(), task.status());
    task.stop();
    task.join().unwrap();
    assert_eq!(stored(), 20, "none is doubled");
}

#[test]
fn a_moved_position_is_read_again_and_a_second_writer_is_fatal() {
    let topic = topic(1);
    feed(&topic, ids(1, 0, 10));
    let sink = MemorySink::default();
    // A fresh start meets a position that somebody else stored: the sink goes on from it.
    sink.0.lock().unwrap().intruders = 1;
    let task = spawn_sink(&kafka(), spec(&topic), Box::new(sink.clone()), StopToken::new()).unwrap();
    wait_for_rows(&task, 10);
    task.stop();
    task.join().unwrap();
    assert_eq!(sink.0.lock().unwrap().rows.len(), 9, "the first row was the other writer's");
}

#[test]
fn a_conflict_twice_at_the_same_start_is_fatal() {
    /// Refuses every write: the position never stands where it is read.
    struct Refusing;
    impl Sink for Refusing {
        fn positions(&mut self, _: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError> {
            Ok(BTreeMap::new())
        }
        fn write(&mut self, _: &[StageRecord], delta: &PositionDelta) -> Result<(), SinkError> {
            let mut theirs = Positions::new();
            delta.iter().for_each(|(partition, _)| theirs.set(partition.clone(), 5));
            Ok(theirs.apply(delta)?)
        }
    }
    let topic = topic(1);
    feed(&topic, ids(1, 0, 10));
    let task = spawn_sink(&kafka(), spec(&topic), Box::new(Refusing), StopToken::new()).unwrap();
    let reason = task.join().unwrap_err();
    assert!(reason.contains("twice at the same start"), "{reason}");
}

#[test]
fn a_stored_position_beyond_the_log_names_the_rebuild() {
    let topic = topic(1);
    let sink = MemorySink::default();
    sink.0.lock().unwrap().positions.set(TopicPartition::new(topic.as_str(), 0), 7);
    let task = spawn_sink(&kafka(), spec(&topic), Box::new(sink), StopToken::new()).unwrap();
    let reason = task.join().unwrap_err();
    assert!(reason.contains("tributary rebuild memory"), "{reason}");
}

#[test]
fn each_follower_sees_all_partitions() {
    let topic = topic(3);
    feed(&topic, ids(6, 0, 10));
    let sinks = [MemorySink::default(), MemorySink::default()];
    let tasks: Vec<TaskHandle> = sinks
        .iter()
        .map(|sink| spawn_follower(&kafka(), spec(&topic), Box::new(sink.clone()), StopToken::new()).unwrap())
        .collect();
    tasks.iter().for_each(|task| wait_for_rows(task, 60));
    feed(&topic, ids(6, 10, 20));
    tasks.iter().for_each(|task| wait_for_rows(task, 120));
    for (task, sink) in tasks.into_iter().zip(&sinks) {
        task.stop();
        task.join().unwrap();
        assert_eq!(sink.0.lock().unwrap().rows.len(), 120);
    }
}
