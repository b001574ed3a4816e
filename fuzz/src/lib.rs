//! What the fuzz targets share. Each feeds foreign bytes to one decoder, as far as the facts, and holds what comes out
//! against what must be true of it; a panic, a failed assertion and too much memory are findings.

use std::sync::Arc;

use tributary::codec::avro::{Decoder, SchemaLookupError, WriterSchema, WriterSchemas, encode_fact, subject_of};
use tributary::model::fact::{Fact, Origin};
use tributary::model::raw::{Normalized, RawRecord};
use tributary::model::reject::Rejection;

/// Topics with a subject of ours; a writer's schema has the id of its topic's place here.
pub const TOPICS: [&str; 16] = [
    "hms.notifications",
    "openlineage.events",
    "catalog.facts",
    "catalog.datasets",
    "catalog.dataset-stats",
    "catalog.containers",
    "catalog.partitions",
    "catalog.functions",
    "catalog.schemas",
    "catalog.jobs",
    "catalog.runs",
    "catalog.lineage",
    "catalog.column-lineage",
    "catalog.aliases",
    "catalog.quality",
    "catalog.changes",
];

/// The id of the facts' schema.
pub const FACTS: u32 = 2;

/// Our own schemas.
struct Own;

impl WriterSchemas for Own {
    fn schema(&self, id: u32) -> Result<WriterSchema, SchemaLookupError> {
        let topic = TOPICS.get(id as usize).ok_or(SchemaLookupError::Unknown)?;
        let text = subject_of(topic).expect("all have a subject").current().to_owned();
        Ok(WriterSchema { text, references: Vec::new() })
    }
}

/// Knows our own schemas.
pub fn decoder() -> Decoder {
    Decoder::new(Arc::new(Own))
}

/// A raw record of a value.
pub fn raw<'a>(topic: &str, value: &'a [u8]) -> RawRecord<'a> {
    let origin = Origin { topic: topic.to_owned(), partition: 0, offset: 0 };
    RawRecord { origin, timestamp_ms: None, key: None, value: Some(value) }
}

/// Facts survive their way through Kafka as they are; a rejection says something.
pub fn check(decoder: &Decoder, normalized: Result<Normalized, Rejection>) {
    match normalized {
        Ok(Normalized::Facts(facts)) => facts.iter().for_each(|fact| check_fact(decoder, fact)),
        Ok(Normalized::NoOp(reason)) => assert!(!reason.is_empty()),
        Err(rejection) => assert!(!rejection.to_string().is_empty()),
    }
}

/// What is read is what was written.
pub fn check_fact(decoder: &Decoder, fact: &Fact) {
    let bytes = encode_fact(fact, FACTS).expect("what is normalised can be written");
    let read = decoder.fact(&bytes).expect("what was written can be read");
    assert_eq!(*fact, read);
}
