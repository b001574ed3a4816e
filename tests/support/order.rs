//! Histories in other orders, as far as Kafka and its producers leave the order open: events of one key keep it, keys do
//! not wait for each other, events of one run come as they like, and a producer that got no answer sends again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::events::Event;
use crate::hms_truth::simulator::Simulator;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Names whose tables go through renames; the number says which copy.
pub const STORIES: usize = 6;

/// A metastore of its own in which tables are created, altered, renamed, renamed back, swapped and dropped.
pub fn generated() -> Vec<Event> {
    let mut metastore = Simulator::new(false);
    metastore.create_database("hive", "moves");
    let name = |text: &str, nth: usize| ("hive".to_owned(), "moves".to_owned(), format!("{text}{nth}"));
    for nth in 0..STORIES {
        let of = |text: &str| name(text, nth);
        // There and back.
        metastore.create_table(&of("there"), 1, true, Some("first"));
        metastore.add_partitions(&of("there"), &[vec![format!("eu {nth}")]], false);
        metastore.alter_table(&of("there"), |object| object["parameters"]["step"] = json!("altered"));
        metastore.rename_table(&of("there"), &of("away"));
        metastore.rename_table(&of("away"), &of("there"));
        // Two tables exchange their names.
        metastore.create_table(&of("live"), 1, true, Some("old"));
        metastore.create_table(&of("staging"), 1, true, Some("new"));
        metastore.add_partitions(&of("live"), &[vec!["old".to_owned()]], false);
        metastore.add_partitions(&of("staging"), &[vec!["new".to_owned()]], nth % 2 == 0);
        metastore.rename_table(&of("live"), &of("aside"));
        metastore.rename_table(&of("staging"), &of("live"));
        metastore.rename_table(&of("aside"), &of("staging"));
        // Dropped under another name than it was created with.
        metastore.create_table(&of("brief"), 0, nth % 2 == 0, None);
        metastore.rename_table(&of("brief"), &of("gone"));
        metastore.drop_table(&of("gone"));
    }
    let events = metastore.lines.iter().map(|line| {
        let value = line.replace("hms-1.lake", "hms-moves.lake").replace("viewfs://lake", "viewfs://moves");
        let envelope: Value = serde_json::from_str(&value).unwrap();
        let key = format!("moves.{}", envelope["tableName"].as_str().unwrap_or_default());
        Event { topic: "hms.notifications", key: Some(key), value }
    });
    events.collect()
}

/// The same events in another order that may be theirs; about every eighth comes twice.
pub fn interleaved(events: &[Event], seed: u64) -> Vec<Event> {
    let mut random = Random(seed);
    let mut by_key: BTreeMap<(&str, &Option<String>), Vec<Event>> = BTreeMap::new();
    for event in events {
        by_key.entry((event.topic, &event.key)).or_default().push(event.clone());
    }
    let mut lanes: Vec<Vec<Event>> = by_key.into_values().collect();
    for lane in lanes.iter_mut().filter(|lane| lane[0].topic == "openlineage.events") {
        permute_runs(lane, &mut random);
    }
    lanes.iter_mut().for_each(|lane| lane.reverse());
    let mut ordered: Vec<Event> = Vec::new();
    while !lanes.is_empty() {
        let at = random.below(lanes.len());
        // A key has its say for a while.
        for _ in 0..=random.below(5) {
            let Some(event) = lanes[at].pop() else { break };
            if random.below(8) == 0 {
                ordered.push(event.clone());
            }
            ordered.push(event);
        }
        if lanes[at].is_empty() {
            lanes.swap_remove(at);
        }
    }
    ordered
}

/// The places of a run's events stay the run's; which of its events has which place is drawn.
fn permute_runs(lane: &mut [Event], random: &mut Random) {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, event) in lane.iter().enumerate() {
        let value: Value = serde_json::from_str(&event.value).unwrap();
        places.entry(value["run"]["runId"].to_string()).or_default().push(place);
    }
    for places in places.values() {
        let mut drawn = places.clone();
        random.shuffle(&mut drawn);
        let moved: Vec<Event> = drawn.iter().map(|place| lane[*place].clone()).collect();
        places.iter().zip(moved).for_each(|(place, event)| lane[*place] = event);
    }
}
