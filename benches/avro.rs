//! Avro of a lineage edge: encode, decode by our own schema, decode by a foreign one.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use tributary::codec::avro::{Decoder, SchemaLookupError, WriterSchema, WriterSchemas, encode_record, subject_of};
use tributary::model::fact::Origin;
use tributary::model::record::{CatalogRecord, CatalogTopic, LineageRecord};

/// Our schema under 1, and under 2 as a foreign writer that has a field more.
struct Schemas;

impl WriterSchemas for Schemas {
    fn schema(&self, id: u32) -> Result<WriterSchema, SchemaLookupError> {
        let ours = subject_of("catalog.lineage").ok_or(SchemaLookupError::Unknown)?.current();
        let text = match id {
            1 => ours.to_owned(),
            _ => ours.replacen("\"LineageRecord\"", "\"ForeignRecord\"", 1),
        };
        Ok(WriterSchema { text, references: vec![] })
    }
}

fn record() -> CatalogRecord {
    CatalogRecord::Lineage(Box::new(LineageRecord {
        job: "job://spark/etl.daily_orders".to_owned(),
        source: "hive://hms-1.lake:9083/shop/orders".to_owned(),
        target: "hive://hms-1.lake:9083/mart/daily_orders".to_owned(),
        kind: "write".to_owned(),
        confidence: 100,
        first_seen: 1,
        last_seen: 2,
        runs: 16,
        stale: false,
        run: "0190a1b2-0000-7000-8000-000000000000".to_owned(),
        origin: Origin { topic: "openlineage.events".to_owned(), partition: 3, offset: 123_456 },
    }))
}

fn avro(criterion: &mut Criterion) {
    let record = record();
    criterion.bench_function("avro_encode", |b| b.iter(|| encode_record(black_box(&record), 1)));
    let decoder = Decoder::new(Arc::new(Schemas));
    for (name, id) in [("avro_decode_own", 1), ("avro_decode_foreign", 2)] {
        let bytes = encode_record(&record, id).unwrap_or_default();
        criterion.bench_function(name, |b| b.iter(|| decoder.record(CatalogTopic::Lineage, black_box(&bytes))));
    }
}

criterion_group!(benches, avro);
criterion_main!(benches);
