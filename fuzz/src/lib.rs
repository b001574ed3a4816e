//! What the fuzz targets share. Each feeds foreign bytes to one decoder, as far as the facts, and holds what comes out
//! against what must be true of it; a panic, a failed assertion and too much memory are findings.

pub mod schemas;

use std::sync::{Arc, LazyLock};

use tributary::codec::avro::{Decoder, SUBJECTS, SchemaLookupError, WriterSchema, WriterSchemas, encode_fact};
use tributary::model::fact::{Fact, Origin};
use tributary::model::raw::{Normalized, RawRecord};
use tributary::model::reject::Rejection;

/// The id of the facts' schema: a writer's schema has the id of its subject's place among ours.
pub static FACTS: LazyLock<u32> = LazyLock::new(|| {
    let place = SUBJECTS.iter().position(|subject| subject.topic == "catalog.facts");
    u32::try_from(place.expect("facts have a subject")).expect("there are few subjects")
});

/// Our own schemas.
struct Own;

impl WriterSchemas for Own {
    fn schema(&self, id: u32) -> Result<WriterSchema, SchemaLookupError> {
        let subject = SUBJECTS.get(id as usize).ok_or(SchemaLookupError::Unknown)?;
        Ok(WriterSchema { text: subject.current().to_owned(), references: Vec::new() })
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
    let bytes = encode_fact(fact, *FACTS).expect("what is normalised can be written");
    let read = decoder.fact(&bytes).expect("what was written can be read");
    assert_eq!(*fact, read);
}
