//! Sinks fed with framed records as Kafka would bring them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::codec::avro::{Decoder, SUBJECTS, SchemaLookupError, WriterSchema, WriterSchemas, encode_record};
use crate::graph::{Direction, Level, WalkLimits};
use crate::kafka::{Headers, TopicPartition};
use crate::model::fact::Origin;
use crate::model::record::*;
use crate::model::reject::ReasonCode;
use crate::search::SearchRequest;
use crate::stage::{PositionDelta, Sink, SinkError, Span, StageRecord, Start};

struct Ours;

impl WriterSchemas for Ours {
    fn schema(&self, id: u32) -> Result<WriterSchema, SchemaLookupError> {
        match id {
            500 => Err(SchemaLookupError::Unavailable("down".into())),
            _ => SUBJECTS
                .get(id as usize)
                .map(|subject| WriterSchema { text: subject.current().to_owned(), references: vec![] })
                .ok_or(SchemaLookupError::Unknown),
        }
    }
}

fn decoder() -> Arc<Decoder> {
    Arc::new(Decoder::new(Arc::new(Ours)))
}

fn origin() -> Origin {
    Origin { topic: "t".to_owned(), partition: 0, offset: 0 }
}

fn record(offset: i64, key: &str, topic: CatalogTopic, value: Option<&CatalogRecord>) -> StageRecord {
    let id = SUBJECTS.iter().position(|subject| subject.topic == topic.name()).unwrap() as u32;
    StageRecord {
        topic: topic.name().into(),
        partition: 0,
        offset,
        timestamp_ms: None,
        key: Some(key.as_bytes().to_vec()),
        value: value.map(|value| encode_record(value, id).unwrap()),
        cut_bytes: 0,
        headers: Headers::new(),
    }
}

fn stats(id: &str) -> CatalogRecord {
    CatalogRecord::DatasetStats(Box::new(DatasetStatsRecord {
        id: id.to_owned(),
        rows: None,
        bytes: None,
        files: None,
        last_write: None,
        last_job: None,
        last_run: None,
        dataset_version: None,
        column_stats: BTreeMap::new(),
        origin: origin(),
    }))
}

fn edge(source: &str, target: &str) -> CatalogRecord {
    CatalogRecord::Lineage(Box::new(LineageRecord {
        job: "j".to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
        kind: "write".to_owned(),
        confidence: 100,
        first_seen: 0,
        last_seen: 0,
        runs: 1,
        stale: false,
        run: "r".to_owned(),
        origin: origin(),
    }))
}

fn delta(topic: CatalogTopic, from: i64, to: i64, start: Start) -> PositionDelta {
    let mut delta = PositionDelta::new();
    delta.extend(TopicPartition::new(topic.name(), 0), Span { from, to, start, topic_id: None }).unwrap();
    delta
}

fn partition(topic: CatalogTopic) -> TopicPartition {
    TopicPartition::new(topic.name(), 0)
}

#[test]
fn the_graph_follows_its_topics_and_refuses_gaps() {
    let topic = CatalogTopic::Lineage;
    let mut sink = LineageSink::new(decoder());
    let graph = sink.graph();
    let reached = |start: &str| {
        let walk = graph.read().unwrap().walk(&[start], Level::Table, Direction::Downstream, WalkLimits::default());
        walk.nodes.len() - 1
    };
    assert!(sink.positions(&[partition(topic)]).unwrap().is_empty());
    let batch = [record(0, "j|a|b", topic, Some(&edge("a", "b"))), record(1, "j|b|c", topic, Some(&edge("b", "c")))];
    sink.write(&batch, &delta(topic, 0, 2, Start::Fresh)).unwrap();
    assert_eq!(reached("a"), 2);
    sink.write(&[record(2, "j|b|c", topic, None)], &delta(topic, 2, 3, Start::Stored)).unwrap();
    assert_eq!(reached("a"), 1);
    assert_eq!(sink.positions(&[partition(topic)]).unwrap()[&partition(topic)].next, 3);

    let again = sink.write(&batch, &delta(topic, 0, 2, Start::Stored));
    assert!(matches!(again, Err(SinkError::Conflict(_))), "{again:?}");
    assert_eq!(reached("a"), 1);

    let mut bad = record(3, "j|x|y", topic, None);
    bad.value = Some(b"{}".to_vec());
    sink.write(&[bad.clone()], &delta(topic, 3, 4, Start::Stored)).unwrap();
    let said = sink.degraded().unwrap();
    assert!(said.contains("catalog.lineage-0 at offset 3: invalid_avro"), "{said}");
    let stray = record(4, "j|x|z", CatalogTopic::Jobs, None);
    assert!(matches!(decode::decode(&decoder(), &stray).unwrap().value, Ok(None)));
    let stray = record(4, "other", CatalogTopic::DatasetStats, Some(&stats("a")));
    let why = decode::decode(&decoder(), &stray).unwrap().value.unwrap_err();
    assert_eq!((why.code, why.path.as_str()), (ReasonCode::InvalidField, "/id"));
    bad.value = Some(vec![0, 0, 0, 1, 244, 0]); // schema 500: the registry is away
    let away = sink.write(&[bad], &delta(topic, 4, 5, Start::Stored));
    assert!(matches!(away, Err(SinkError::Transient(_))), "{away:?}");
    assert_eq!(sink.positions(&[partition(topic)]).unwrap()[&partition(topic)].next, 4);
}

#[test]
fn the_index_commits_what_it_was_given_with_its_positions_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let topic = CatalogTopic::DatasetStats;
    // So long that only an explicit question or the end makes it commit.
    let options = SearchSinkOptions { every: Duration::from_secs(3600), documents: 5_000 };
    let mut sink = SearchSink::open(folder.path(), decoder(), options).unwrap();
    let searcher = sink.searcher();
    assert!(sink.positions(&[partition(topic)]).unwrap().is_empty());
    let batch = [record(0, "a", topic, Some(&stats("a"))), record(1, "b", topic, Some(&stats("b")))];
    sink.write(&batch, &delta(topic, 0, 2, Start::Fresh)).unwrap();
    assert_eq!(sink.positions(&[partition(topic)]).unwrap()[&partition(topic)].next, 2);
    assert_eq!(searcher.len(), 2);
    let gap = sink.write(&[], &delta(topic, 5, 6, Start::Stored));
    assert!(matches!(gap, Err(SinkError::Conflict(_))), "{gap:?}");

    sink.write(&[record(2, "a", topic, None)], &delta(topic, 2, 3, Start::Stored)).unwrap();
    drop(sink);
    let mut sink = SearchSink::open(folder.path(), decoder(), options).unwrap();
    assert_eq!(sink.positions(&[partition(topic)]).unwrap()[&partition(topic)].next, 3);
    assert_eq!(sink.searcher().len(), 1);
    let found = sink.searcher().search(&SearchRequest { text: String::new(), filters: vec![], limit: 5, offset: 0 });
    assert_eq!(found.unwrap().total, 0, "statistics alone are no dataset");
}
