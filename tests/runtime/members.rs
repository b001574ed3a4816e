//! Members come and go, topics change under a stage, local state is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tributary::kafka::{Admin, Class, GroupConsumer, GroupOptions, Ownership, RebalanceHandler, TopicPartition};
use tributary::stage::{StageSpec, StopToken, TaskHandle, TaskState, spawn_keyed};

use super::support::{Count, PATIENCE, assert_counted_once, counting_stage, feed, ids, kafka, unique};

const KEYS: usize = 12;
const PARTITIONS: i32 = 4;

fn run(spec: &StageSpec) -> TaskHandle {
    let transform = Count { topic: spec.outputs[0].name.clone() };
    spawn_keyed(&kafka(), spec.clone(), Box::new(transform), StopToken::new()).unwrap()
}

fn stands_at(total: usize) -> impl Fn(&tributary::stage::TaskStatus) -> bool {
    move |status| status.positions.values().sum::<i64>() >= total as i64
}

#[test]
fn two_members_share_the_work_and_hand_it_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = counting_stage(&unique("members"), PARTITIONS, &dir.path().join("a"));
    let input = spec.inputs[0].name.clone();
    feed(&input, ids(KEYS, 0, 50));
    let first = run(&spec);
    assert!(first.wait_until(PATIENCE, stands_at(KEYS * 50)), "{:?}", first.status());

    spec.instance = "i1".into();
    spec.data_dir = dir.path().join("b");
    let second = run(&spec);
    feed(&input, ids(KEYS, 50, 100));
    let shared = |status: &tributary::stage::TaskStatus| status.positions.len() == 2;
    assert!(second.wait_until(PATIENCE, shared), "{:?}", second.status());
    assert!(first.wait_until(PATIENCE, shared), "{:?}", first.status());
    feed(&input, ids(KEYS, 100, 150));

    // The first goes; a static member keeps its partitions until its session ends, then the second has all.
    first.stop();
    let counted = first.join().unwrap().counters;
    assert!(counted.balanced() && counted.records > 0, "{counted:?}");
    assert!(second.wait_until(PATIENCE, stands_at(KEYS * 150)), "{:?}", second.status());
    second.stop();
    let others = second.join().unwrap().counters;
    assert_eq!(counted.records + others.records, (KEYS * 150) as u64);
    assert_counted_once(&spec.outputs[0].name, KEYS, 150);
}

#[test]
fn state_comes_back_from_the_changelog() {
    let dir = tempfile::tempdir().unwrap();
    let spec = counting_stage(&unique("restore"), PARTITIONS, dir.path());
    let input = spec.inputs[0].name.clone();
    for (round, lose) in [(1, true), (2, false), (3, false)] {
        feed(&input, ids(KEYS, (round - 1) * 20, round * 20));
        let task = run(&spec);
        assert!(task.wait_until(PATIENCE, stands_at(KEYS * round * 20)), "{:?}", task.status());
        task.stop();
        task.join().unwrap();
        if lose {
            std::fs::remove_dir_all(dir.path().join("state")).unwrap();
        }
    }
    assert_counted_once(&spec.outputs[0].name, KEYS, 60);
}

#[test]
fn a_missing_offset_is_fatal_and_names_the_repair() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = counting_stage(&unique("missing"), PARTITIONS, dir.path());
    spec.cluster = unique("missing-other");
    let admin = Admin::new(&kafka()).unwrap();
    super::support::create(&admin, &[spec.changelog()], PARTITIONS);
    let reason = run(&spec).join().unwrap_err();
    assert!(reason.contains("no committed offset") && reason.contains("tributary topology apply"), "{reason}");
}

#[test]
fn records_lost_to_retention_are_fatal_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let spec = counting_stage(&unique("retention"), 1, dir.path());
    let input = TopicPartition::new(spec.inputs[0].name.as_str(), 0);
    feed(&input.topic, ids(KEYS, 0, 10));
    Admin::new(&kafka()).unwrap().delete_records(&input, 30).unwrap();
    let reason = run(&spec).join().unwrap_err();
    assert!(reason.contains("offsets 0..30"), "{reason}");
}

#[test]
fn a_recreated_topic_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let spec = counting_stage(&unique("recreated"), 1, dir.path());
    let input = spec.inputs[0].name.clone();
    feed(&input, ids(KEYS, 0, 10));
    let task = run(&spec);
    assert!(task.wait_until(PATIENCE, stands_at(KEYS * 10)), "{:?}", task.status());
    task.stop();
    task.join().unwrap();
    let admin = Admin::new(&kafka()).unwrap();
    // The changelog goes: the local store is then ahead of the log it caches.
    admin.delete_topics(&[&spec.changelog()]).unwrap();
    while admin.partition_count(&spec.changelog()).unwrap().is_some() {}
    super::support::create(&admin, &[spec.changelog()], 1);
    let reason = run(&spec).join().unwrap_err();
    assert!(reason.contains("tributary rebuild state"), "{reason}");
}

#[test]
fn a_stage_without_records_waits_and_stops_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let spec = counting_stage(&unique("idle"), 1, dir.path());
    let task = run(&spec);
    assert!(
        task.wait_until(PATIENCE, |s| s.state == TaskState::Running && s.positions.len() == 1),
        "{:?}",
        task.status()
    );
    task.stop();
    let status = task.join().unwrap();
    assert_eq!((status.state, status.counters.commits), (TaskState::Stopped, 0));
    let offsets = Admin::new(&kafka()).unwrap();
    let key = TopicPartition::new(spec.inputs[0].name.as_str(), 0);
    assert_eq!(offsets.committed(&spec.group(), std::slice::from_ref(&key)).unwrap(), BTreeMap::from([(key, Some(0))]));
}

/// Counts what it owns; asked to give something up, it says so and then stands still until it is told to go on.
struct Owner {
    owned: Arc<AtomicUsize>,
    gives_up: Option<(Sender<()>, Receiver<()>)>,
}

impl RebalanceHandler for Owner {
    fn assigned(&mut self, partitions: &[TopicPartition]) {
        self.owned.fetch_add(partitions.len(), Ordering::SeqCst);
    }

    fn revoked(&mut self, partitions: &[TopicPartition], _: Ownership) {
        if let Some((says, goes_on)) = self.gives_up.take() {
            says.send(()).unwrap();
            // An end of the test ends the wait, too.
            let _ = goes_on.recv();
        }
        self.owned.fetch_sub(partitions.len(), Ordering::SeqCst);
    }
}

/// The coordinator takes a static member's return for no reason to rebalance, and what its former self was giving up has
/// no member then.
#[test]
fn a_member_that_ends_while_it_gives_partitions_up_leaves_none_without_an_owner() {
    let dir = tempfile::tempdir().unwrap();
    let spec = counting_stage(&unique("unowned"), 4, dir.path());
    let topic = &*spec.inputs[0].name;
    let done = AtomicBool::new(false);
    let member = |instance: &str, handler: Owner| {
        let (group, instance) = (spec.group(), instance.to_owned());
        let options = GroupOptions { group, instance, session_timeout: PATIENCE, largest_value: usize::MAX };
        let consumer = GroupConsumer::new(&kafka(), &options, handler).unwrap();
        consumer.subscribe(&[topic]).unwrap();
        while !done.load(Ordering::SeqCst) {
            if consumer.poll(Duration::from_millis(50)).is_err_and(|e| e.class == Class::Fenced) {
                break;
            }
        }
    };
    let counts: [Arc<AtomicUsize>; 3] = Default::default();
    let (says, said) = channel();
    let (go_on, goes_on) = channel();
    std::thread::scope(|scope| {
        let (former, other, next) = (counts[0].clone(), counts[1].clone(), counts[2].clone());
        let member = &member;
        scope.spawn(move || member("a", Owner { owned: former, gives_up: Some((says, goes_on)) }));
        let started = Instant::now();
        while counts[0].load(Ordering::SeqCst) < 4 {
            assert!(started.elapsed() < PATIENCE, "nothing was assigned");
            std::thread::sleep(Duration::from_millis(20));
        }
        scope.spawn(move || member("b", Owner { owned: other, gives_up: None }));
        said.recv_timeout(PATIENCE).unwrap();
        scope.spawn(move || member("a", Owner { owned: next, gives_up: None }));
        let owned = || counts[1..].iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>();
        let started = Instant::now();
        while owned() != [2, 2] && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        let owned = owned();
        done.store(true, Ordering::SeqCst);
        drop(go_on);
        assert_eq!(owned, [2, 2]);
    });
}
