//! Every kind of poison on every topic becomes one dead letter with reason, path and origin, or has a defined meaning
//! (invariant 6). What becomes of each kind stands in the tables of `kinds`.

#[path = "poison/events.rs"]
mod events;
#[path = "poison/facts.rs"]
mod facts;
#[path = "poison/kinds.rs"]
mod kinds;
#[path = "poison/notifications.rs"]
mod notifications;
#[path = "poison/on_kafka.rs"]
mod on_kafka;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tributary::codec::avro::{Decoder, SchemaLookupError, WriterSchema, WriterSchemas, subject_of};
use tributary::fold::{FoldConfig, Folder};
use tributary::kafka::{OutgoingRecord, partition_for};
use tributary::model::check::FactLimits;
use tributary::model::record::CatalogTopic;
use tributary::model::state::MemoryState;
use tributary::normalize::hms::{HmsNormalizer, HmsSourceConfig};
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};
use tributary::stage::{Fault, KeyedTransform, OutputTopic, Outputs, StageRecord, Transform};
use tributary::topology::stages::{FoldStage, NormalizeStage, RawSource, STATEMENTS, SchemaIds};

use kinds::{Becomes, Ids, Kind};

const PARTITIONS: i32 = 4;
const IDS: Ids = Ids { notification: 1, event: 2, fact: 3, dataset: 4, container: 5, int: 6, texts: 7, nulls: 8 };

/// The registry of these tests.
struct Schemas;

impl WriterSchemas for Schemas {
    fn schema(&self, id: u32) -> Result<WriterSchema, SchemaLookupError> {
        let own = |topic: &str| subject_of(topic).unwrap().current().to_owned();
        let text = match id {
            1 => own("hms.notifications"),
            2 => own("openlineage.events"),
            3 => own("catalog.facts"),
            4 => own("catalog.datasets"),
            5 => own("catalog.containers"),
            6..=8 => kinds::FOREIGN[id as usize - 6].1.to_owned(),
            _ => return Err(SchemaLookupError::Unknown),
        };
        Ok(WriterSchema { text, references: Vec::new() })
    }
}

fn normalize() -> NormalizeStage {
    let hms = HmsNormalizer::new(HmsSourceConfig::default()).unwrap();
    let openlineage = OpenLineageNormalizer::new(OpenLineageConfig::default());
    let sources = [
        (notifications::TOPIC.to_owned(), RawSource::Hms(Box::new(hms))),
        (events::TOPIC.to_owned(), RawSource::OpenLineage(Box::new(openlineage))),
    ];
    let ids = SchemaIds { facts: IDS.fact, ..SchemaIds::default() };
    NormalizeStage::new(BTreeMap::from(sources), Arc::new(Decoder::new(Arc::new(Schemas))), &ids)
}

fn fold() -> FoldStage {
    let ids = SchemaIds { facts: IDS.fact, ..SchemaIds::default() };
    let decoder = Arc::new(Decoder::new(Arc::new(Schemas)));
    FoldStage::new(Folder::new(FoldConfig::default()), decoder, ids, FactLimits::default())
}

fn record(kind: &Kind) -> StageRecord {
    StageRecord {
        topic: kind.topic.into(),
        partition: kind.key.as_deref().map_or(0, |key| partition_for(key, PARTITIONS)),
        offset: 17,
        timestamp_ms: Some(1_795_000_000_000),
        key: kind.key.clone(),
        value: kind.value.clone(),
        cut_bytes: 0,
        headers: kind.headers.clone(),
    }
}

/// What a transform said of a record.
fn outcome(applied: Result<(), Fault>, outputs: &Outputs) -> Becomes {
    let letter = |fault: &Fault| match fault {
        Fault::Poison(rejection) => Becomes::Letter(rejection.code.as_str(), rejection.path.clone()),
        other => panic!("neither poison nor a meaning: {other}"),
    };
    match (applied, outputs.fault()) {
        (Err(fault), _) => letter(&fault),
        (Ok(()), Some(fault)) => letter(fault),
        (Ok(()), None) => {
            assert!(!outputs.records().is_empty() || outputs.no_op_reason().is_some(), "facts or a counted no-op");
            Becomes::Meaning
        }
    }
}

fn outputs() -> Outputs {
    let catalog = CatalogTopic::ALL.into_iter().map(CatalogTopic::name);
    let topics: Vec<OutputTopic> = catalog.chain([facts::TOPIC, STATEMENTS]).map(OutputTopic::new).collect();
    Outputs::new(topics.iter().map(|topic| (topic, PARTITIONS)))
}

/// Folds facts, and those that the fold sends on, to the end: what has a meaning must not be poison one stage later.
fn fold_all(stage: &mut FoldStage, states: &mut BTreeMap<i32, MemoryState>, facts: &[OutgoingRecord], name: &str) {
    let mut queue: VecDeque<OutgoingRecord> = facts.iter().cloned().collect();
    while let Some(fact) = queue.pop_front() {
        let partition = fact.partition.unwrap();
        let (topic, offset) = (fact.topic, 0);
        let (key, value, headers) = (fact.key, fact.value, fact.headers);
        let record = StageRecord { topic, partition, offset, timestamp_ms: None, key, value, cut_bytes: 0, headers };
        let mut outputs = outputs();
        stage.apply(&record, states.entry(partition).or_default(), &mut outputs).unwrap();
        assert!(outputs.fault().is_none(), "{name}: {:?}", outputs.fault());
        queue.extend(outputs.records().iter().filter(|output| &*output.topic == facts::TOPIC).cloned());
    }
}

#[test]
fn each_kind_on_a_raw_topic_becomes_what_is_written_down() {
    let mut stage = normalize();
    let raw: Vec<Kind> = notifications::kinds(IDS).into_iter().chain(events::kinds(IDS)).collect();
    let (mut folder, mut states) = (fold(), BTreeMap::new());
    let mut wrong = Vec::new();
    for kind in &raw {
        let mut outputs = outputs();
        let applied = stage.apply(&record(kind), &mut outputs);
        let becomes = outcome(applied, &outputs);
        if becomes == Becomes::Meaning {
            fold_all(&mut folder, &mut states, outputs.records(), kind.name);
        }
        if becomes != kind.becomes {
            wrong.push(format!("{} on {}: {becomes:?}, expected {:?}", kind.name, kind.topic, kind.becomes));
        }
    }
    assert!(wrong.is_empty(), "of {} kinds:\n{}", raw.len(), wrong.join("\n"));
}

#[test]
fn each_kind_of_foreign_fact_becomes_what_is_written_down() {
    let mut stage = fold();
    let mut state = MemoryState::default();
    let mut wrong = Vec::new();
    for kind in facts::kinds(IDS) {
        let mut outputs = outputs();
        let applied = stage.apply(&record(&kind), &mut state, &mut outputs);
        let becomes = outcome(applied, &outputs);
        if becomes != kind.becomes {
            wrong.push(format!("{}: {becomes:?}, expected {:?}", kind.name, kind.becomes));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(state.writes(), 0);
}
