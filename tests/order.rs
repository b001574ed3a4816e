//! Over real Kafka: several input partitions, two processes, two different interleavings, one catalog (invariant 2).

use std::collections::BTreeSet;

use serde_json::Value;
use tributary::kafka::partition_for;

use crate::support::compare::{self, Entries};
use crate::support::events::{self, Event};
use crate::support::order;
use crate::support::site::Site;

const STAGES: [&str; 4] = ["run", "normalize", "fold", "postgres"];
const PARTITIONS: i32 = 4;

/// Lets two processes carry the events, half of which come while both run. Keys with another `salt` lie in other
/// partitions beside other keys.
fn carry(events: &[Event], salt: &str) -> (Value, Entries) {
    let salted = |event: &Event| Event { key: event.key.as_ref().map(|key| format!("{salt}{key}")), ..event.clone() };
    let events: Vec<Event> = events.iter().map(salted).collect();
    let (first_half, second_half) = events.split_at(events.len() / 2);
    let site = Site::start();
    site.produce(first_half);
    let first = site.spawn(&STAGES, &[]);
    let mut second = site.spawn_in("second", &STAGES, &[]);
    second.wait_until("the second has a part", |second| second.tasks_running() == 3);
    site.produce(second_half);
    let digest = site.quiet_digest();
    for running in [&first, &second] {
        for stage in ["normalize", "fold"] {
            let dealt_with = running.outcomes(stage);
            assert!(dealt_with.values().sum::<u64>() > 0, "a process had no part in {stage}");
            assert!(!dealt_with.contains_key("dead_letter") || dealt_with["dead_letter"] == 0, "{dealt_with:?}");
        }
    }
    first.terminate();
    second.terminate();
    site.assert_tables_equal_topics();
    let entries = site.entries();
    (digest, entries)
}

#[test]
fn two_interleavings_over_several_partitions_and_processes_end_in_one_catalog() {
    let events: Vec<Event> = events::site(0).into_iter().chain(order::generated()).collect();
    let partitions = |prefix: &str| -> BTreeSet<i32> {
        let names = (0..order::STORIES).map(|nth| format!("hive://hms-moves.lake:9083/moves/{prefix}{nth}"));
        names.map(|name| partition_for(name.as_bytes(), PARTITIONS)).collect()
    };
    assert!(partitions("live").len() > 1 && partitions("live") != BTreeSet::from([0]), "tables lie in one partition");
    let (expected, expected_entries) = carry(&events, "");
    let (found, entries) = carry(&order::interleaved(&events, 4), "other ");
    let moved = expected_entries["catalog.datasets"].keys().filter(|key| key.contains("hms-moves")).count();
    assert!(moved >= 3 * order::STORIES, "{moved} tables of the generated history");
    assert_eq!(expected["class_a"], found["class_a"], "{}", compare::differences(&expected_entries, &entries));
}
