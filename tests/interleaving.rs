//! Fold as Kafka runs it, without Kafka: facts lie in source order in four partitions, each is read in order, the
//! partitions take turns as they like, and what fold sends on goes to the end of its partition. However they take turns,
//! classes A and B are the same (invariant 3), and no change is told under the id of another one.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use tributary::catalog::digest::DigestBuilder;
use tributary::codec::avro::{Decoder, SchemaLookupError, WriterSchema, WriterSchemas, encode_fact, subject_of};
use tributary::fold::{FoldConfig, Folded, Folder};
use tributary::kafka::partition_for;
use tributary::model::fact::{Fact, Origin};
use tributary::model::raw::{Normalized, RawRecord};
use tributary::model::record::CatalogTopic;
use tributary::normalize::hms::{HmsNormalizer, HmsSourceConfig};
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};

use crate::support::compare;
use crate::support::events::{self, Event};
use crate::support::order;

const PARTITIONS: usize = 4;

/// Facts of the events of one raw topic in its order.
fn facts(events: &[Event], topic: &str) -> Vec<Fact> {
    let hms = HmsNormalizer::new(HmsSourceConfig::default()).unwrap();
    let openlineage = OpenLineageNormalizer::new(OpenLineageConfig::default());
    let mut facts = Vec::new();
    for (offset, event) in (0_i64..).zip(events.iter().filter(|event| event.topic == topic)) {
        let origin = Origin { topic: topic.to_owned(), partition: 0, offset };
        let raw = RawRecord { origin, timestamp_ms: None, key: None, value: Some(event.value.as_bytes()) };
        let normalized =
            if topic == "hms.notifications" { hms.normalize(&raw) } else { openlineage.normalize(&raw) }.unwrap();
        if let Normalized::Facts(new) = normalized {
            facts.extend(new);
        }
    }
    facts
}

/// The schema of facts, under every id.
struct OwnSchema;

impl WriterSchemas for OwnSchema {
    fn schema(&self, _: u32) -> Result<WriterSchema, SchemaLookupError> {
        let text = subject_of("catalog.facts").unwrap().current().to_owned();
        Ok(WriterSchema { text, references: Vec::new() })
    }
}

/// The fact as it comes back from its topic.
fn written_and_read(fact: &Fact) -> Fact {
    static DECODER: LazyLock<Decoder> = LazyLock::new(|| Decoder::new(Arc::new(OwnSchema)));
    let read = DECODER.fact(&encode_fact(fact, 1).unwrap()).unwrap();
    assert_eq!(read, *fact);
    read
}

fn partition(fact: &Fact) -> usize {
    usize::try_from(partition_for(fact.entity.as_str().as_bytes(), PARTITIONS as i32)).unwrap()
}

/// Folds with turns of up to `turn` facts of the partition that the random numbers say. Facts arrive in slices, each
/// folded to the end before the next one comes; the two raw topics are mixed in runs of `mix` facts.
fn fold(seed: u64, turn: usize, mix: usize, slice: usize) -> Folded {
    fold_events(&events::site(0), seed, turn, mix, slice)
}

fn fold_events(events: &[Event], seed: u64, turn: usize, mix: usize, slice: usize) -> Folded {
    let mut random = seed;
    let mut draw = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % bound
    };
    let mut topics = ["hms.notifications", "openlineage.events"].map(|topic| VecDeque::from(facts(events, topic)));
    let mut queues: [VecDeque<Fact>; PARTITIONS] = Default::default();
    let mut folder = Folder::new(FoldConfig::default());
    let mut folded: [Folded; PARTITIONS] = Default::default();
    while topics.iter().any(|topic| !topic.is_empty()) {
        let mut arrived = 0;
        while arrived < slice && topics.iter().any(|topic| !topic.is_empty()) {
            let topic = &mut topics[draw(2)];
            let run = topic.len().min(mix);
            topic.drain(..run).for_each(|fact| queues[partition(&fact)].push_back(fact));
            arrived += run;
        }
        while queues.iter().any(|queue| !queue.is_empty()) {
            let at = draw(PARTITIONS);
            for _ in 0..turn {
                let Some(fact) = queues[at].pop_front() else { break };
                let fact = written_and_read(&fact);
                for sent in folded[at].fold_one(&mut folder, &fact).unwrap() {
                    queues[partition(&sent)].push_back(sent);
                }
            }
        }
    }
    // Each partition has a state of its own, and each key one owner.
    let mut all = Folded::default();
    let mut ids = BTreeSet::new();
    for one in folded {
        for change in one.changes {
            assert!(ids.insert(change.id.clone()), "told twice: {change:?}");
        }
        for (key, record) in one.records {
            assert!(all.records.insert(key.clone(), record).is_none(), "two partitions own {key:?}");
        }
    }
    all
}

/// What classes A and B of two catalogs differ in.
fn differences(expected: &Folded, found: &Folded) -> String {
    differences_in(expected, found, true)
}

/// What class A of two catalogs differs in, and class B if it is to be compared.
fn differences_in(expected: &Folded, found: &Folded, class_b: bool) -> String {
    let key_set = |folded: &Folded| -> BTreeSet<(CatalogTopic, String)> { folded.records.keys().cloned().collect() };
    let classes = |(topic, key): &(CatalogTopic, String), folded: &Folded| {
        let mut builder = DigestBuilder::new(None);
        builder.observe(*topic, key, folded.records.get(&(*topic, key.clone())));
        let digest = builder.finish();
        (digest.class_a, class_b.then_some(digest.class_b))
    };
    let mut text = String::new();
    for key in key_set(expected).union(&key_set(found)) {
        if classes(key, expected) != classes(key, found) {
            let value = |folded: &Folded| format!("{:?}", folded.records.get(key));
            text.push_str(&format!("{}: ", key.0.name()));
            text.push_str(&compare::first_difference(&key.1, &value(expected), &value(found)));
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn partitions_may_take_turns_as_they_like(
        seed in any::<u64>(),
        turn in prop::sample::select(vec![1_usize, 20, 5_000]),
        mix in prop::sample::select(vec![1_usize, 50, 2_000]),
        slice in prop::sample::select(vec![1_usize, 100, 10_000]),
    ) {
        let expected = fold(0, 1, 1, 10_000);
        let found = fold(seed, turn, mix, slice);
        let differences = differences(&expected, &found);
        prop_assert!(differences.is_empty(), "turns of {turn}, runs of {mix}, slices of {slice}:\n{differences}");
    }
}

#[test]
fn slices_that_settle_before_the_next_one_come_to_the_same() {
    let expected = fold(0, 1, 1, 10_000);
    for seed in [14708424758678862681, 1, 2] {
        let differences = differences(&expected, &fold(seed, 5_000, 1, 100));
        assert!(differences.is_empty(), "seed {seed}:\n{differences}");
    }
}

/// Renames pass from one key of a raw topic to another, so histories of schemas may see them in another order: class A.
fn permuted_histories_come_to_the_same(events: &[Event], seeds: impl IntoIterator<Item = u64>) {
    let expected = fold_events(events, 0, 1, 1, 10_000);
    for seed in seeds {
        let (turn, mix) = ([1, 20, 5_000][seed as usize % 3], [1, 50, 2_000][seed as usize / 3 % 3]);
        let found = fold_events(&order::interleaved(events, seed), seed, turn, mix, 10_000);
        let differences = differences_in(&expected, &found, false);
        assert!(differences.is_empty(), "seed {seed}:\n{differences}");
    }
}

#[test]
fn tables_that_are_renamed_back_swapped_and_dropped_depend_on_no_order_of_keys() {
    let events = order::generated();
    let expected = fold_events(&events, 0, 1, 1, 10_000);
    let id = |name: &str| format!("hive://hms-moves.lake:9083/moves/{name}");
    let of = |name: &str| partition_for(id(name).as_bytes(), PARTITIONS as i32);
    let swapped_apart = (0..order::STORIES).filter(|n| of(&format!("live{n}")) != of(&format!("staging{n}"))).count();
    assert!(swapped_apart > 0, "no swap goes over two partitions");
    for name in ["there0", "live0", "staging0"] {
        assert!(expected.records.contains_key(&(CatalogTopic::Datasets, id(name))), "{name} is there");
    }
    permuted_histories_come_to_the_same(&events, 1..=60);
}

#[test]
fn recorded_histories_permuted_within_their_allowed_order_come_to_the_same() {
    permuted_histories_come_to_the_same(&events::site(0), 1..=3);
}
