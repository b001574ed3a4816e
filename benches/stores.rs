//! What the stores cost: rows into Postgres (a real server, started for it), documents into the search index.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tributary::codec::avro::encode_record;
use tributary::dev::{Servers, Stack};
use tributary::model::fact::{Origin, Owner};
use tributary::model::record::{CatalogRecord, CatalogTopic, ColumnRecord, DatasetRecord, LineageRecord};
use tributary::search::{IndexOp, IndexWriter};
use tributary::store::{CatalogWrite, Store, StoreOptions, content_hash};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records in a batch.
const BATCH: usize = 1_000;

fn origin() -> Origin {
    Origin { topic: "openlineage.events".to_owned(), partition: 0, offset: 0 }
}

/// A dataset of 20 columns, as it stood at `time`.
fn dataset(number: usize, time: i64) -> DatasetRecord {
    let column = |nth: usize| ColumnRecord {
        path: format!("column_{nth}"),
        name: format!("column_{nth}"),
        data_type: "bigint".to_owned(),
        canonical_type: "int64".to_owned(),
        description: Some("what is measured here, in whole units".to_owned()),
        ..ColumnRecord::default()
    };
    DatasetRecord {
        id: format!("hive://h:9083/shop/orders_{number}"),
        platform: "hive".to_owned(),
        name: format!("orders_{number}"),
        container: Some("hive://h:9083/shop".to_owned()),
        kind: "table".to_owned(),
        existence: "confirmed".to_owned(),
        incarnation: 1,
        names: vec![format!("hive://h:9083|shop.orders_{number}")],
        aliases: Vec::new(),
        columns: (0..20).map(column).collect(),
        authority: "hms/default".to_owned(),
        schema_version: 1,
        description: Some("Orders of the shop, one row each".to_owned()),
        owners: vec![Owner { name: "team:shop".to_owned(), role: "OWNER".to_owned() }],
        tags: Vec::new(),
        location: Some(format!("s3://warehouse/shop/orders_{number}")),
        format: Some("parquet".to_owned()),
        table_format: None,
        properties: BTreeMap::from([("retention".to_owned(), "90".to_owned())]),
        view_original: None,
        view_expanded: None,
        constraints: BTreeMap::new(),
        facets: BTreeMap::new(),
        native: BTreeMap::new(),
        issues: Vec::new(),
        provenance: BTreeMap::new(),
        first_seen: 0,
        last_seen: time,
        origin: origin(),
    }
}

fn edge(number: usize, time: i64) -> LineageRecord {
    LineageRecord {
        job: format!("job://spark/job_{}", number % 100),
        source: format!("hive://h:9083/shop/orders_{number}"),
        target: format!("hive://h:9083/shop/orders_{}", number + 1),
        kind: "write".to_owned(),
        confidence: 100,
        first_seen: 0,
        last_seen: time,
        runs: 1,
        stale: false,
        run: String::new(),
        origin: origin(),
    }
}

fn datasets(time: i64) -> Vec<CatalogWrite> {
    let write = |number| {
        let record = dataset(number, time);
        let key = record.id.clone();
        write(CatalogTopic::Datasets, number, key, CatalogRecord::Dataset(Box::new(record)))
    };
    (0..BATCH).map(write).collect()
}

fn edges(time: i64) -> Vec<CatalogWrite> {
    let write = |number| {
        let record = edge(number, time);
        let key = format!("{}|{}|{}", record.job, record.source, record.target);
        write(CatalogTopic::Lineage, number, key, CatalogRecord::Lineage(Box::new(record)))
    };
    (0..BATCH).map(write).collect()
}

fn write(topic: CatalogTopic, offset: usize, key: String, record: CatalogRecord) -> CatalogWrite {
    // The sink has the value's bytes at hand.
    let bytes = encode_record(&record, 0).expect("the record fits its schema");
    let hash = Some(content_hash(&bytes));
    CatalogWrite { topic, partition: 0, offset: offset as i64, key, value: Some(record), hash }
}

/// Batches whose rows all change, and batches that are there already.
fn upserts(criterion: &mut Criterion) {
    let cache = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/dev-cache"));
    let server = Stack::throw_away(Servers::Postgres, cache).expect("Postgres starts");
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let url = server.database_url().expect("Postgres was asked for");
    let store = runtime.block_on(async {
        let store = Store::connect(&StoreOptions::new(url.as_str())).await.expect("Postgres answers");
        store.migrate().await.expect("the database is empty");
        store
    });
    let mut group = criterion.benchmark_group("upsert");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    for (name, batch) in [("datasets", datasets as fn(i64) -> Vec<CatalogWrite>), ("lineage", edges)] {
        // Whole hours, so that an edge's time is another one each time.
        let time = Cell::new(0);
        let next = || {
            time.set(time.get() + 3_600_000_000);
            batch(time.get())
        };
        let write = |writes: Vec<CatalogWrite>| {
            runtime.block_on(store.apply_batch("bench", &writes, &[])).expect("Postgres takes them")
        };
        group.bench_function(format!("{name}_changed"), |b| b.iter_batched(next, write, BatchSize::PerIteration));
        let same = || batch(time.get());
        group.bench_function(format!("{name}_unchanged"), |b| b.iter_batched(same, write, BatchSize::PerIteration));
    }
}

/// Batches of documents that replace others, committed.
fn index(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is room for an index");
    let mut writer = IndexWriter::open(folder.path()).expect("the folder is empty");
    let mut group = criterion.benchmark_group("index");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    let time = Cell::new(0);
    let next = || {
        time.set(time.get() + 1);
        (0..BATCH).map(|number| IndexOp::PutDataset(Box::new(dataset(number, time.get())))).collect::<Vec<_>>()
    };
    group.bench_function("datasets_committed", |b| {
        let write = |ops: Vec<IndexOp>| {
            ops.into_iter().try_for_each(|op| writer.apply(op)).expect("the index is readable");
            writer.commit(Vec::new()).expect("the index is writable");
        };
        b.iter_batched(next, write, BatchSize::PerIteration);
    });
}

criterion_group!(benches, upserts, index);
criterion_main!(benches);
