//! Writers' schemas that came from somewhere, and data under them.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tributary::codec::avro::{Decoder, RawSubject, SchemaLookupError, WriterSchema, WriterSchemas, start_frame};
use tributary::model::record::CatalogTopic;

struct Foreign(String);

impl WriterSchemas for Foreign {
    fn schema(&self, _: u32) -> Result<WriterSchema, SchemaLookupError> {
        Ok(WriterSchema { text: self.0.clone(), references: Vec::new() })
    }
}

fuzz_target!(|input: (&str, &[u8])| {
    let (schema, datum) = input;
    let decoder = Decoder::new(Arc::new(Foreign(schema.to_owned())));
    let mut value = start_frame(1);
    value.extend_from_slice(datum);
    let _ = decoder.raw_json(RawSubject::OpenLineageEvents, &value);
    let _ = decoder.record(CatalogTopic::Jobs, &value);
    let _ = decoder.fact(&value);
});
