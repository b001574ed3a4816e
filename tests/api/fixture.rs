//! A small catalog: raw events → orders → a daily view → a report that only lineage knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock, Weak};

use axum::Router;
use tempfile::TempDir;
use tributary::api::{ApiOptions, ApiParts, EventProducer, ProduceError, ProduceFuture, router};
use tributary::catalog::Catalog;
use tributary::dev::{Servers, Stack};
use tributary::graph::{EdgeKey, Graph};
use tributary::model::fact::{JoinUse, Origin, Owner, Tag, UserUse, Version};
use tributary::model::id::EntityId;
use tributary::model::id::{Identity, IdentityConfig, InstanceConfig};
use tributary::model::query::{parse_day, query_record_key};
use tributary::model::record::*;
use tributary::search::{IndexOp, IndexWriter, Searcher};
use tributary::store::{CatalogWrite, Store, StoreOptions};

pub const ORDERS: &str = "hive://h:9083/sales/orders";
const EVENTS: &str = "hive://h:9083/raw/events";
const EVENTS_PATH: &str = "s3://lake/raw/events";
const DAILY: &str = "hive://h:9083/mart/daily";
const REPORT: &str = "trino://t:8080/pg/public/report";
const REAL_REPORT: &str = "postgres://db:5432/shop/public/report";
const LOAD: &str = "job://spark/nightly.load";
const INSERT: &str = "job://spark/daily.insert";

/// 2026-01-01T00:00:00Z, microseconds.
const START: i64 = 1_767_225_600_000_000;
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// Far enough for every test: 2100.
const FAR: i64 = 4_102_444_800_000_000;

pub struct App {
    pub router: Router,
    /// Stops with the last test that uses it.
    _server: Arc<Stack>,
    _index: TempDir,
}

struct NoProducer;

impl EventProducer for NoProducer {
    fn produce<'a>(&'a self, _topic: &'a str, _key: Option<&'a str>, _value: &'a [u8]) -> ProduceFuture<'a> {
        Box::pin(async { Err(ProduceError::Refused { reason: "reads only".to_owned() }) })
    }
}

fn s(text: &str) -> String {
    text.to_owned()
}

fn hms(offset: i64) -> Origin {
    Origin { topic: s("hms.notifications"), partition: 0, offset }
}

fn spark(partition: i32, offset: i64) -> Origin {
    Origin { topic: s("openlineage.events"), partition, offset }
}

fn column(path: &str, data_type: &str, ordinal: i32) -> ColumnRecord {
    ColumnRecord {
        path: s(path),
        name: s(path.rsplit('.').next().unwrap()),
        depth: i32::try_from(path.matches('.').count()).unwrap(),
        ordinal,
        data_type: s(data_type),
        canonical_type: s(data_type),
        ..ColumnRecord::default()
    }
}

fn dataset(id: &str, platform: &str, name: &str, kind: &str) -> DatasetRecord {
    let (container, _) = id.rsplit_once('/').unwrap();
    DatasetRecord {
        id: s(id),
        platform: s(platform),
        name: s(name),
        container: Some(s(container)),
        kind: s(kind),
        existence: s("confirmed"),
        incarnation: 1,
        names: Vec::new(),
        aliases: Vec::new(),
        columns: Vec::new(),
        authority: String::new(),
        schema_version: 0,
        description: None,
        owners: Vec::new(),
        tags: Vec::new(),
        location: None,
        format: None,
        table_format: None,
        properties: BTreeMap::new(),
        view_original: None,
        view_expanded: None,
        constraints: BTreeMap::new(),
        facets: BTreeMap::new(),
        native: BTreeMap::new(),
        issues: Vec::new(),
        provenance: BTreeMap::new(),
        first_seen: START,
        last_seen: START + 4 * DAY,
        origin: hms(3),
    }
}

fn orders() -> DatasetRecord {
    let said = |source: &str, origin: Origin| Provenance { source: s(source), origin, via: Vec::new() };
    let mut columns = vec![
        column("id", "bigint", 0),
        column("address", "struct<city:string>", 1),
        column("address.city", "string", 2),
        column("day", "date", 3),
    ];
    columns[0].conflicts = vec![s("openlineage/spark: int")];
    columns[3].partition_key = true;
    DatasetRecord {
        names: vec![s("hive://h:9083|sales.orders")],
        aliases: vec![s("s3://lake/warehouse/orders")],
        columns,
        authority: s("hms/h"),
        schema_version: 3,
        description: Some(s("All orders of the shop")),
        owners: vec![
            Owner { name: s("team:sales"), role: s("OWNER") },
            Owner { name: s("hive"), role: s("TECHNICAL") },
        ],
        tags: vec![
            Tag { key: s("gold"), value: String::new(), field: None },
            Tag { key: s("pii"), value: String::new(), field: Some(s("id")) },
        ],
        location: Some(s("s3://lake/warehouse/orders")),
        format: Some(s("parquet")),
        constraints: BTreeMap::from([(s("primary_key/pk/1"), s(r#"{"column_name": "id"}"#))]),
        facets: BTreeMap::from([(s("custom"), s(r#"{"a": [1]}"#))]),
        provenance: BTreeMap::from([
            (s("existence"), said("hms/h", hms(3))),
            (s("columns"), said("hms/h", hms(3))),
            (s("location"), said("hms/h", hms(3))),
            (s("description"), said("openlineage/spark", spark(1, 7))),
        ]),
        ..dataset(ORDERS, "hive", "sales.orders", "table")
    }
}

fn datasets() -> Vec<DatasetRecord> {
    let events = DatasetRecord {
        columns: vec![column("id", "bigint", 0)],
        authority: s("hms/h"),
        location: Some(s(EVENTS_PATH)),
        ..dataset(EVENTS, "hive", "raw.events", "table")
    };
    let daily = DatasetRecord {
        columns: vec![column("ids", "bigint", 0)],
        authority: s("hms/h"),
        ..dataset(DAILY, "hive", "mart.daily", "view")
    };
    let report = DatasetRecord {
        existence: s("referenced"),
        columns: vec![column("total", "bigint", 0)],
        ..dataset(REPORT, "trino", "pg.public.report", "table")
    };
    let real_report = DatasetRecord {
        columns: vec![column("Total", "bigint", 0), column("day", "date", 1)],
        ..dataset(REAL_REPORT, "postgres", "shop.public.report", "table")
    };
    // Doubtful names; the topics differ only by case.
    let mentioned = |id: &str, platform: &str, issues: &[&str]| DatasetRecord {
        existence: s("referenced"),
        issues: issues.iter().copied().map(s).collect(),
        ..dataset(id, platform, "doubtful", "table")
    };
    let doubtful = [
        mentioned("hive://a:1/d/circle", "hive", &["cycle"]),
        mentioned("kafka://k:9092/Größen", "kafka", &[]),
        mentioned("kafka://k:9092/GRÖßEN", "kafka", &[]),
    ];
    [orders(), events, daily, report, real_report].into_iter().chain(doubtful).collect()
}

fn schema(source: &str, day: i64, columns: Vec<ColumnRecord>, level: &str) -> SchemaVersionRecord {
    let time = START + day * DAY;
    SchemaVersionRecord {
        dataset: s(ORDERS),
        source: s(source),
        version: Version { epoch: 0, time, seq: 0, hash: 0 }.sortable(),
        time,
        columns,
        schema_hash: format!("h{day}"),
        changes: Vec::new(),
        breaking: false,
        level: s(level),
        late: false,
        incarnation: 1,
        origin: hms(day),
    }
}

fn schemas() -> Vec<SchemaVersionRecord> {
    let id = |data_type| column("id", data_type, 0);
    let narrowed = ColumnChange {
        kind: s("type_narrowed"),
        path: s("id"),
        before: Some(s("bigint")),
        after: Some(s("int")),
        breaking: true,
    };
    vec![
        SchemaVersionRecord { changes: vec![narrowed], breaking: true, ..schema("hms/h", 2, vec![id("int")], "major") },
        schema("hms/h", 0, vec![id("bigint")], "initial"),
        SchemaVersionRecord { late: true, ..schema("hms/h", 1, vec![id("bigint"), column("day", "date", 1)], "minor") },
        schema("openlineage/spark", 1, vec![id("int")], "initial"),
    ]
}

fn job(id: &str, name: &str, parent: Option<&str>) -> JobRecord {
    JobRecord {
        id: s(id),
        namespace: s("spark"),
        name: s(name),
        integration: s("SPARK"),
        job_type: s("SQL_JOB"),
        processing: s("BATCH"),
        parent: parent.map(s),
        description: None,
        owners: vec![Owner { name: s("team:data"), role: s("OWNER") }],
        tags: Vec::new(),
        source_location: None,
        source_code: None,
        sql: Some(s("INSERT INTO orders SELECT * FROM events")),
        dialect: Some(s("spark")),
        definition_hash: s("d"),
        dependencies: BTreeMap::new(),
        facets: BTreeMap::new(),
        first_seen: START,
        last_seen: START + DAY,
        origin: spark(0, 1),
    }
}

fn run(id: &str, state: &str, started_at: i64, expires_at: i64) -> RunRecord {
    RunRecord {
        id: s(id),
        job: s(LOAD),
        state: s(state),
        started_at: Some(started_at),
        ended_at: Some(started_at + 60_000_000),
        nominal_start: None,
        nominal_end: None,
        parent_run: None,
        parent_job: None,
        root_run: None,
        error: (state == "FAIL").then(|| s("boom")),
        engine: Some(s("spark 3.5.6")),
        inputs: vec![s(EVENTS_PATH)],
        outputs: vec![s(ORDERS)],
        dataset_versions: BTreeMap::new(),
        facets: BTreeMap::new(),
        expires_at,
        origin: spark(0, 2),
    }
}

fn lineage() -> Vec<LineageRecord> {
    let edge = |job: &str, source: &str, target: &str| LineageRecord {
        job: s(job),
        source: s(source),
        target: s(target),
        kind: s("write"),
        confidence: 100,
        first_seen: START,
        last_seen: START + 4 * DAY,
        runs: 4,
        stale: false,
        run: s("r2"),
        origin: spark(0, 5),
    };
    vec![
        edge(LOAD, EVENTS_PATH, ORDERS),
        edge(INSERT, ORDERS, DAILY),
        LineageRecord { stale: true, confidence: 60, ..edge(INSERT, DAILY, REPORT) },
    ]
}

fn column_lineage() -> Vec<ColumnLineageRecord> {
    let edge = |job: &str, source: (&str, &str), target: (&str, &str), transformation: &str| ColumnLineageRecord {
        job: s(job),
        target: s(target.0),
        target_field: s(target.1),
        source: s(source.0),
        source_field: s(source.1),
        transformations: vec![s(transformation)],
        description: String::new(),
        masking: false,
        confidence: 100,
        unmapped: false,
        stale: false,
        first_seen: Some(START),
        last_seen: None,
        origin: spark(0, 6),
    };
    vec![
        edge(LOAD, (EVENTS_PATH, "id"), (ORDERS, "id"), "DIRECT/IDENTITY"),
        ColumnLineageRecord { masking: true, ..edge(INSERT, (ORDERS, "id"), (DAILY, "ids"), "DIRECT/AGGREGATION") },
    ]
}

fn aliases() -> Vec<AliasRecord> {
    let alias = |alias: &str, canonical: &str, kind: &str, valid_to: Option<i64>| AliasRecord {
        alias: s(alias),
        canonical: s(canonical),
        kind: s(kind),
        valid_from: Some(START),
        valid_to,
        reason: String::new(),
        origin: hms(4),
    };
    vec![
        alias("s3://lake/warehouse/orders", ORDERS, "location", None),
        alias(EVENTS_PATH, EVENTS, "location", None),
        alias("hive://h:9083/sales/orders_v1", ORDERS, "rename", Some(START + DAY)),
        alias("hive://h:9083/sales/orders_v0", "hive://h:9083/sales/orders_v1", "rename", None),
    ]
}

fn change(id: &str, kind: &str, time: i64, after: &str) -> ChangeRecord {
    ChangeRecord {
        id: s(id),
        entity: s(ORDERS),
        kind: s(kind),
        before: None,
        after: Some(s(after)),
        breaking: false,
        time,
        source: s("hms/h"),
        origin: hms(3),
    }
}

/// A query of the orders under one of their names, an hour into a day of 2026.
fn query(
    id: &str,
    user: &str,
    day: &str,
    fingerprint: &str,
    (reads, writes): (&str, &str),
    expires_at: i64,
) -> QueryRecord {
    let start = parse_day(day).unwrap() * DAY + HOUR;
    let list = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    QueryRecord {
        id: EntityId::query("trino://t:8080", id).as_str().to_owned(),
        platform: s("trino"),
        instance: s("trino://t:8080"),
        query_id: s(id),
        session: None,
        user: Some(s(user)),
        application: Some(s("bi")),
        started_at: start,
        ended_at: start + 2_000_000,
        status: s("success"),
        error: None,
        statement_type: s("SELECT"),
        fingerprint: s(fingerprint),
        text: Some(format!("select * from orders /* {fingerprint} */ where day = ?")),
        job: None,
        reads: list(reads),
        writes: list(writes),
        rows: Some(7),
        bytes: None,
        duration_us: Some(2_000_000),
        bound: Vec::new(),
        source: s("query_log/trino"),
        expires_at,
        origin: Origin { topic: s("warehouse.query-logs"), partition: 0, offset: 1 },
    }
}

fn usage(dataset: &str, day: &str, users: &[(&str, i64)], expires_at: i64) -> UsageRecord {
    let user = |(user, queries): &(&str, i64)| UserUse {
        user: s(user),
        queries: *queries,
        failed: 0,
        columns: [(s("id"), *queries)].into(),
    };
    let queries = users.iter().map(|(_, queries)| queries).sum();
    UsageRecord {
        dataset: s(dataset),
        day: s(day),
        queries,
        failed: 1,
        writes: 0,
        rows: 7 * queries,
        bytes: 0,
        duration_us: 2_000_000 * queries,
        distinct_users: users.len() as i64,
        users_exact: true,
        users: users.iter().map(user).collect(),
        columns: [(s("id"), queries)].into(),
        filters: [(s("day"), 1)].into(),
        joins: vec![JoinUse { column: s("id"), other: s(EVENTS), other_column: s("order_id"), queries: 1 }],
        expires_at,
        origin: Origin { topic: s("warehouse.query-logs"), partition: 0, offset: 1 },
    }
}

/// All records under the keys that the fold gives them.
fn records() -> Vec<(String, CatalogRecord)> {
    let mut all = Vec::new();
    for record in datasets() {
        all.push((record.id.clone(), CatalogRecord::Dataset(Box::new(record))));
    }
    for record in schemas() {
        let key = format!("{}|{}|{}", record.dataset, record.source, record.version);
        all.push((key, CatalogRecord::SchemaVersion(Box::new(record))));
    }
    for record in [job(LOAD, "nightly.load", None), job(INSERT, "daily.insert", Some(LOAD))] {
        all.push((record.id.clone(), CatalogRecord::Job(Box::new(record))));
    }
    for record in [
        run("r0", "COMPLETE", START - DAY, START),
        run("r1", "FAIL", START + DAY, FAR),
        run("r2", "COMPLETE", START + 4 * DAY, FAR),
    ] {
        all.push((format!("{}|{}", record.job, record.id), CatalogRecord::Run(Box::new(record))));
    }
    for record in lineage() {
        let key = format!("{}|{}|{}", record.job, record.source, record.target);
        all.push((key, CatalogRecord::Lineage(Box::new(record))));
    }
    for record in column_lineage() {
        let (target, source) = (&record.target, &record.source);
        let key = format!("{}|{target}#{}|{source}#{}", record.job, record.target_field, record.source_field);
        all.push((key, CatalogRecord::ColumnLineage(Box::new(record))));
    }
    for record in aliases() {
        let key = format!("{}|{}|{:?}", record.alias, record.canonical, record.valid_from);
        all.push((key, CatalogRecord::Alias(Box::new(record))));
    }
    for day in 1..=25 {
        let record = PartitionRecord {
            dataset: s(ORDERS),
            name: format!("day=2026-01-{day:02}"),
            values: vec![format!("2026-01-{day:02}")],
            location: None,
            properties: BTreeMap::new(),
            native: s("{}"),
            column_stats: if day == 25 { [(s("id"), s("{\"nulls\":0}"))].into() } else { BTreeMap::new() },
            source: s("hms/h"),
            origin: hms(day),
        };
        all.push((format!("{ORDERS}|{}", record.name), CatalogRecord::Partition(Box::new(record))));
    }
    let stats = DatasetStatsRecord {
        id: s(ORDERS),
        rows: Some(1200),
        bytes: Some(4096),
        files: Some(2),
        last_write: Some(START + 4 * DAY + 10 * HOUR + 250_000),
        last_job: Some(s(LOAD)),
        last_run: Some(s("r2")),
        dataset_version: None,
        column_stats: BTreeMap::new(),
        origin: spark(0, 8),
    };
    all.push((s(ORDERS), CatalogRecord::DatasetStats(Box::new(stats))));
    let quality = QualityRecord {
        dataset: s(ORDERS),
        check: s("id_unique"),
        status: s("passed"),
        field: Some(s("id")),
        value: s(r#"{"rows": 0}"#),
        time: START + 4 * DAY + 11 * HOUR,
        run: s("q1"),
        origin: spark(0, 9),
    };
    all.push((format!("{ORDERS}|id_unique"), CatalogRecord::Quality(Box::new(quality))));
    let path = "s3://lake/warehouse/orders";
    for record in [
        query("old", "ann", "2026-01-01", "f1", (ORDERS, ""), START + DAY),
        query("1", "ann", "2026-01-02", "f1", (ORDERS, ""), FAR),
        query("2", "bob", "2026-01-03", "f2", (path, DAILY), FAR),
        query("3", "ann", "2026-01-04", "f1", (ORDERS, ORDERS), FAR),
        query("4", "eve", "2026-01-05", "f3", (DAILY, ""), FAR),
    ] {
        let key = query_record_key(&EntityId::from_canonical(record.id.as_str()));
        all.push((key, CatalogRecord::Query(Box::new(record))));
    }
    for record in [
        usage(ORDERS, "2026-01-01", &[("old", 9)], START + DAY),
        usage(ORDERS, "2026-01-02", &[("ann", 2), ("bob", 1)], FAR),
        usage(path, "2026-01-02", &[("bob", 4)], FAR),
        usage(ORDERS, "2026-01-04", &[("ann", 1)], FAR),
        usage(ORDERS, "2026-02-04", &[("ann", 1)], FAR),
        usage(DAILY, "2026-01-04", &[("eve", 1)], FAR),
    ] {
        all.push((format!("{}|{}", record.dataset, record.day), CatalogRecord::Usage(Box::new(record))));
    }
    for record in [
        change("c1", "created", START, r#"{"schema_version": 1}"#),
        change("c2", "schema_changed", START + 2 * DAY, r#"{"schema_version": 3}"#),
    ] {
        all.push((record.entity.clone(), CatalogRecord::Change(Box::new(record))));
    }
    all
}

fn writes() -> Vec<CatalogWrite> {
    let write = |(offset, (key, record)): (usize, (String, CatalogRecord))| CatalogWrite {
        topic: record.topic(),
        partition: 0,
        offset: i64::try_from(offset).unwrap(),
        key,
        value: Some(record),
        hash: None,
    };
    records().into_iter().enumerate().map(write).collect()
}

fn graph() -> Graph {
    let mut graph = Graph::new();
    for (key, record) in records() {
        let key = EdgeKey::of(&key);
        match record {
            CatalogRecord::Lineage(record) => graph.put_lineage(key, &record),
            CatalogRecord::ColumnLineage(record) => graph.put_column_lineage(key, &record),
            CatalogRecord::Alias(record) => graph.put_alias(key, &record),
            _ => {}
        }
    }
    graph
}

/// The index over the same records, in a folder that goes with the test.
fn index() -> (Searcher, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::open(folder.path()).unwrap();
    for (_, record) in records() {
        match record {
            CatalogRecord::Dataset(record) => writer.apply(IndexOp::PutDataset(record)).unwrap(),
            CatalogRecord::DatasetStats(record) => writer.apply(IndexOp::PutStats(record)).unwrap(),
            _ => {}
        }
    }
    writer.commit(Vec::new()).unwrap();
    (writer.searcher(), folder)
}

async fn seed(url: String) {
    let store = Store::connect(&StoreOptions::new(url)).await.unwrap();
    store.migrate().await.unwrap();
    let all = writes();
    let outcome = store.apply_batch("postgres", &all, &[]).await.unwrap();
    assert_eq!(outcome.written, u64::try_from(all.len()).unwrap(), "{outcome:?}");
    store.close().await;
}

/// The seeded server that tests running at the same time share.
fn server() -> Arc<Stack> {
    static RUNNING: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap();
    if let Some(stack) = running.upgrade() {
        return stack;
    }
    let stack = Arc::new(Stack::throw_away(Servers::Postgres, crate::dev_servers::cache()).unwrap());
    let url = stack.database_url().unwrap();
    tokio::runtime::Handle::current().block_on(seed(url));
    *running = Arc::downgrade(&stack);
    stack
}

/// The API over the seeded stores.
pub async fn app() -> App {
    let server = tokio::task::spawn_blocking(server).await.unwrap();
    let store = Store::connect(&StoreOptions::new(server.database_url().unwrap())).await.unwrap();
    let instance =
        InstanceConfig { id: s("hive://h:9083"), names: vec![s("hive://10.0.0.7:9083")], ..Default::default() };
    let identity = Identity::new(IdentityConfig { instances: vec![instance], ..Default::default() }).unwrap();
    let (searcher, folder) = index();
    let catalog = Catalog::new(store.reader(), Arc::new(searcher), Arc::new(RwLock::new(graph())), identity);
    let parts = ApiParts {
        catalog: Arc::new(catalog),
        producer: Arc::new(NoProducer),
        status: Arc::new(Vec::new),
        metrics: Arc::new(String::new),
    };
    App { router: router(parts, ApiOptions::default()), _server: server, _index: folder }
}
