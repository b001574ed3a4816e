//! What one event costs on its way: normalise, encode and decode facts, fold. Generated events as in `bench pipeline`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tributary::cli::bench::generator::{Mix, RawEvent};
use tributary::codec::avro::{
    Decoder, SchemaLookupError, WriterSchema, WriterSchemas, encode_fact, encode_record, subject_of,
};
use tributary::fold::{FoldConfig, FoldOutput, Folder};
use tributary::model::fact::{Fact, Origin};
use tributary::model::raw::{Normalized, RawRecord};
use tributary::model::record::CatalogRecord;
use tributary::model::state::MemoryState;
use tributary::normalize::hms::{HmsNormalizer, HmsSourceConfig};
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FACTS: u32 = 1;
const DATASETS: u32 = 2;

struct Schemas;

impl WriterSchemas for Schemas {
    fn schema(&self, id: u32) -> Result<WriterSchema, SchemaLookupError> {
        let topic = if id == FACTS { "catalog.facts" } else { "catalog.datasets" };
        let text = subject_of(topic).ok_or(SchemaLookupError::Unknown)?.current().to_owned();
        Ok(WriterSchema { text, references: vec![] })
    }
}

/// Turns events of both sources into facts.
struct Normalizers {
    openlineage: OpenLineageNormalizer,
    hms: HmsNormalizer,
}

impl Normalizers {
    fn new() -> Self {
        Self {
            openlineage: OpenLineageNormalizer::new(OpenLineageConfig::default()),
            hms: HmsNormalizer::new(HmsSourceConfig::default()).expect("the default configuration is valid"),
        }
    }

    fn facts(&self, event: &RawEvent, offset: i64) -> Vec<Fact> {
        let raw = RawRecord {
            origin: Origin { topic: event.topic.to_owned(), partition: 0, offset },
            timestamp_ms: None,
            key: Some(event.key.as_bytes()),
            value: Some(&event.value),
        };
        let normalized = if event.topic == "hms.notifications" {
            self.hms.normalize(&raw)
        } else {
            self.openlineage.normalize(&raw)
        };
        match normalized.expect("generated events are valid") {
            Normalized::Facts(facts) => facts,
            Normalized::NoOp(reason) => panic!("generated events say something, not {reason}"),
        }
    }
}

fn events(hms_percent: u64, count: u64) -> Vec<RawEvent> {
    let mix = Mix { seed: 1, jobs: 400, hms_percent, query_percent: 0 };
    (0..count).map(|index| mix.event(index)).collect()
}

fn normalize(criterion: &mut Criterion) {
    let normalizers = Normalizers::new();
    let mut group = criterion.benchmark_group("normalize");
    for (name, percent) in [("openlineage", 0), ("hms", 100)] {
        let events = events(percent, 100);
        group.throughput(Throughput::Elements(events.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| events.iter().map(|event| normalizers.facts(black_box(event), 0).len()).sum::<usize>());
        });
    }
}

fn facts(criterion: &mut Criterion) {
    let normalizers = Normalizers::new();
    let facts: Vec<Fact> = events(0, 100).iter().flat_map(|event| normalizers.facts(event, 0)).collect();
    let mut group = criterion.benchmark_group("facts");
    group.throughput(Throughput::Elements(facts.len() as u64));
    group.bench_function("encode", |b| {
        b.iter(|| {
            facts.iter().map(|fact| encode_fact(black_box(fact), FACTS).map_or(0, |bytes| bytes.len())).sum::<usize>()
        });
    });
    let decoder = Decoder::new(Arc::new(Schemas));
    let bytes: Vec<Vec<u8>> = facts.iter().filter_map(|fact| encode_fact(fact, FACTS).ok()).collect();
    group.bench_function("decode", |b| {
        b.iter(|| bytes.iter().filter(|bytes| decoder.fact(black_box(bytes)).is_ok()).count());
    });
}

/// Folds facts in order, forwarded ones at once.
fn fold(folder: &mut Folder, state: &mut MemoryState, facts: &[Fact]) -> Vec<CatalogRecord> {
    let mut records = Vec::new();
    let mut queue: std::collections::VecDeque<Fact> = facts.to_vec().into();
    while let Some(fact) = queue.pop_front() {
        let mut out = FoldOutput::default();
        folder.apply(0, &fact, state, &mut out).expect("the state in memory is readable");
        queue.extend(out.forwarded);
        records.extend(out.records.into_iter().filter_map(|record| record.value));
    }
    records
}

fn folding(criterion: &mut Criterion) {
    let normalizers = Normalizers::new();
    let mut group = criterion.benchmark_group("fold");
    group.sample_size(20);
    for (name, percent, known) in
        [("openlineage_new", 0, 0_usize), ("openlineage_repeated", 0, 4_000), ("mixed_repeated", 20, 4_000)]
    {
        let events = events(percent, known as u64 + 400);
        let facts: Vec<Vec<Fact>> =
            events.iter().enumerate().map(|(at, event)| normalizers.facts(event, at as i64)).collect();
        let mut folder = Folder::new(FoldConfig::default());
        let mut state = MemoryState::default();
        for facts in facts.iter().take(known) {
            fold(&mut folder, &mut state, facts);
        }
        let fresh: Vec<Fact> = facts.into_iter().skip(known).flatten().collect();
        group.throughput(Throughput::Elements(400));
        group.bench_function(name, |b| {
            b.iter_batched(
                || state.clone(),
                |mut state| fold(&mut folder, &mut state, black_box(&fresh)).len(),
                BatchSize::LargeInput,
            );
        });
    }
}

fn records(criterion: &mut Criterion) {
    let normalizers = Normalizers::new();
    let mut folder = Folder::new(FoldConfig::default());
    let mut state = MemoryState::default();
    let heads: Vec<CatalogRecord> = events(0, 400)
        .iter()
        .flat_map(|event| fold(&mut folder, &mut state, &normalizers.facts(event, 0)))
        .filter(|record| matches!(record, CatalogRecord::Dataset(_)))
        .collect();
    let mut group = criterion.benchmark_group("records");
    group.throughput(Throughput::Elements(heads.len() as u64));
    group.bench_function("encode_dataset", |b| {
        b.iter(|| {
            heads.iter().map(|head| encode_record(black_box(head), DATASETS).map_or(0, |b| b.len())).sum::<usize>()
        });
    });
    let decoder = Decoder::new(Arc::new(Schemas));
    let bytes: Vec<Vec<u8>> = heads.iter().filter_map(|head| encode_record(head, DATASETS).ok()).collect();
    let topic = tributary::model::record::CatalogTopic::Datasets;
    group.bench_function("decode_dataset", |b| {
        b.iter(|| bytes.iter().filter(|bytes| decoder.record(topic, black_box(bytes)).is_ok()).count());
    });
}

criterion_group!(benches, normalize, facts, folding, records);
criterion_main!(benches);
