//! Over real Kafka: several input partitions, two processes, two different interleavings, one catalog (invariant 2).

use std::collections::BTreeSet;

use serde_json::Value;
use tributary::kafka::partition_for;

use crate::support::compare::{self, Entries};
use crate::support::events::{self, Event};
use crate::support::order;
use crate::support::site::{Running, STAGES, Site};

const PARTITIONS: i32 = 4;

/// Lines of dbt's log that say nothing to the catalog, in each partition of its topic. Partitions are shared out and not
/// topics: one of two processes may get those of topics that are quiet here, and has its part in these.
fn lines_of_dbt() -> impl Iterator<Item = Event> {
    let value = r#"{"info": {"name": "MainReportVersion"}, "data": {}}"#;
    (0..4 * PARTITIONS).map(|key| Event { topic: "dbt.events", key: Some(key.to_string()), value: value.to_owned() })
}

/// Lets two processes carry the events, half of which come while both run. Keys with another `salt` lie in other
/// partitions beside other keys.
fn carry(events: &[Event], salt: &str) -> (Value, Entries) {
    let salted = |event: &Event| Event { key: event.key.as_ref().map(|key| format!("{salt}{key}")), ..event.clone() };
    let events: Vec<Event> = events.iter().map(salted).collect();
    let (first_half, second_half) = events.split_at(events.len() / 2);
    let first_half: Vec<Event> = first_half.iter().cloned().chain(lines_of_dbt()).collect();
    let site = Site::start();
    site.produce(&first_half);
    let first = site.spawn(&STAGES, &[]);
    let mut second = site.spawn_in("second", &STAGES, &[]);
    // A process is ready before the others have given partitions up to it, and either may come too late for what lies in
    // its own: what was sent comes again, which changes nothing, until both have their part.
    let dealt_with = |running: &Running, stage: &str| running.outcomes(stage).values().sum::<u64>();
    let has_part = |running: &Running| STAGES[1..3].iter().all(|stage| dealt_with(running, stage) > 0);
    let (mut produced, mut again) = (first_half.len(), first_half.chunks(10).cycle());
    second.wait_until("each has its part", |second| {
        if dealt_with(&first, "normalize") + dealt_with(second, "normalize") < produced as u64 {
            return false;
        }
        let all_have = has_part(&first) && has_part(second);
        if !all_have {
            let slice = again.next().unwrap();
            site.produce(slice);
            produced += slice.len();
        }
        all_have
    });
    site.produce(second_half);
    let digest = site.quiet_digest();
    for running in [&first, &second] {
        for stage in ["normalize", "fold"] {
            let outcomes = running.outcomes(stage);
            assert!(outcomes.values().sum::<u64>() > 0, "a process had no part in {stage}");
            assert!(!outcomes.contains_key("dead_letter") || outcomes["dead_letter"] == 0, "{outcomes:?}");
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
