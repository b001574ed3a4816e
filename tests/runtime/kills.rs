//! A stage that is killed at each step loses and doubles nothing.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use tributary::failpoint;
use tributary::kafka::{Admin, GroupConsumer, GroupOptions, Isolation, Ownership, RebalanceHandler, TopicPartition};
use tributary::stage::StageSpec;

use super::child;
use super::support::{PATIENCE, assert_counted_once, counting_stage, feed, ids, kafka, unique};

const KEYS: usize = 7;
const PARTITIONS: i32 = 2;

#[test]
fn a_kill_at_each_failpoint_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let spec = counting_stage(&unique("kills"), PARTITIONS, dir.path());
    let input = spec.inputs[0].name.clone();
    let mut fed = 0;
    for (round, name) in failpoint::NAMES.iter().filter(|name| name.starts_with("stage.")).enumerate() {
        feed(&input, ids(KEYS, fed, fed + 30));
        fed += 30;
        // A point that is passed once per process is hit the first time, others once work has been done.
        let at = if name.starts_with("stage.restore") || name.starts_with("stage.revoke") { 1 } else { 2 };
        let status = child::start(&kafka(), &spec, &format!("{name}=kill@{at}"), (KEYS * fed) as i64).wait().unwrap();
        assert_eq!(status.signal(), Some(6), "{name}: the process was to be killed");
        if round % 4 == 3 {
            // A machine is lost now and then, with its local state.
            std::fs::remove_dir_all(dir.path().join("state")).unwrap();
        }
    }
    let status = child::start(&kafka(), &spec, "", (KEYS * fed) as i64).wait().unwrap();
    assert!(status.success(), "{status:?}");
    assert_counted_once(&spec.outputs[0].name, KEYS, fed);
}

#[test]
fn a_zombie_is_fenced_and_says_so() {
    play_the_zombie("zombie", Duration::ZERO);
}

/// Its own client finds out that the session is over before anybody tells it that it was replaced.
#[test]
fn a_zombie_that_was_away_for_longer_than_its_session_does_not_come_back() {
    play_the_zombie("sleeper", child::SESSION + Duration::from_secs(1));
}

/// Stops a process, lets another one take its name, and continues it `away` after that one works.
fn play_the_zombie(name: &str, away: Duration) {
    let first_dir = tempfile::tempdir().unwrap();
    let second_dir = tempfile::tempdir().unwrap();
    let mut spec = counting_stage(&unique(name), PARTITIONS, first_dir.path());
    let (input, output) = (spec.inputs[0].name.clone(), spec.outputs[0].name.clone());
    let admin = Admin::new(&kafka()).unwrap();
    let written =
        || admin.topic_watermarks(&output, Isolation::Committed).unwrap().values().map(|w| w.high).sum::<i64>();
    let wait_more_than = |before: i64| {
        let started = Instant::now();
        while written() <= before {
            assert!(started.elapsed() < PATIENCE, "nothing was written");
        }
        written()
    };
    feed(&input, ids(KEYS, 0, 40));
    let mut zombie = child::start(&kafka(), &spec, "", i64::MAX);
    let before = wait_more_than(0);
    signal(zombie.id(), "STOP");
    // A second process with the same ids takes over at once: its member id replaces the first one's.
    spec.data_dir = second_dir.path().to_owned();
    feed(&input, ids(KEYS, 40, 80));
    let mut second = child::start(&kafka(), &spec, "", (KEYS * 120) as i64);
    wait_more_than(before);
    std::thread::sleep(away);
    signal(zombie.id(), "CONT");
    assert_eq!(zombie.wait().unwrap().code(), Some(child::FAILED));
    feed(&input, ids(KEYS, 80, 120));
    assert!(second.wait().unwrap().success(), "the zombie has thrown its successor out");
    assert_counted_once(&output, KEYS, 120);
}

/// Takes no part in any rebalance.
struct Bystander;

impl RebalanceHandler for Bystander {
    fn assigned(&mut self, _: &[TopicPartition]) {}
    fn revoked(&mut self, _: &[TopicPartition], _: Ownership) {}
}

#[test]
fn a_member_of_the_same_name_in_another_process_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let spec = counting_stage(&unique("namesake"), PARTITIONS, dir.path());
    let seen = |instance: String| {
        let session_timeout = child::SESSION;
        let group = spec.group();
        let options = GroupOptions { group, instance, session_timeout, largest_value: usize::MAX };
        GroupConsumer::new(&kafka(), &options, Bystander).unwrap().member_of_our_name().unwrap()
    };
    assert_eq!(seen(spec.id()), None);
    feed(&spec.inputs[0].name, ids(KEYS, 0, 10));
    let mut other = child::start(&kafka(), &spec, "", i64::MAX);
    let admin = Admin::new(&kafka()).unwrap();
    let members = || admin.group(&spec.group()).unwrap().members;
    let started = Instant::now();
    while members().is_empty() {
        assert!(started.elapsed() < PATIENCE, "the other process does not join");
    }
    assert_eq!(seen(spec.id()), Some(members()[0].id.clone()));
    let another = StageSpec { instance: "i1".into(), ..spec.clone() };
    assert_eq!(seen(another.id()), None);
    other.kill().unwrap();
    other.wait().unwrap();
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success());
}
