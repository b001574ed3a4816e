//! The Postgres sink's contract, on a real server: atomic, idempotent, complete.

use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, Executor, PgConnection, Row};
use tributary::dev::{Servers, Stack};
use tributary::graph::EdgeKey;
use tributary::model::fact::{JoinUse, Origin, Owner, Tag, UserUse};
use tributary::model::record::*;
use tributary::store::*;

/// One server for all tests of this module; it ends with the process.
fn server() -> String {
    static SERVER: OnceLock<Stack> = OnceLock::new();
    let start = || Stack::throw_away(Servers::Postgres, crate::dev_servers::cache()).unwrap();
    SERVER.get_or_init(start).database_url().unwrap()
}

/// A database of its own for each test.
pub struct Database {
    pub store: Store,
    url: String,
}

impl Database {
    pub async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let url = tokio::task::spawn_blocking(server).await.unwrap();
        let (server, _) = url.rsplit_once('/').unwrap();
        let name = format!("store_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&url).await.unwrap();
        admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let url = format!("{server}/{name}");
        let store = Store::connect(&StoreOptions::new(url.as_str())).await.unwrap();
        store.migrate().await.unwrap();
        Self { store, url }
    }

    /// A query's rows as text, columns joined by `|`, nulls as `-`.
    pub async fn text(&self, sql: &'static str) -> Vec<String> {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let wrapped = format!(
            "SELECT (SELECT string_agg(COALESCE(v, '-'), '|' ORDER BY n) FROM jsonb_each_text(to_jsonb(q)) \
             WITH ORDINALITY AS e(k, v, n)) FROM ({sql}) q"
        );
        let rows = connection.fetch_all(sqlx::AssertSqlSafe(wrapped)).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0)).collect()
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        connection.fetch_one(sql).await.unwrap().get(0)
    }
}

const SINK: &str = "postgres";

fn origin(offset: i64) -> Origin {
    Origin { topic: "hms.notifications".to_owned(), partition: 2, offset }
}

fn column(path: &str) -> ColumnRecord {
    ColumnRecord {
        path: path.to_owned(),
        name: path.to_owned(),
        data_type: "bigint".to_owned(),
        canonical_type: "int64".to_owned(),
        nullable: Some(true),
        ..ColumnRecord::default()
    }
}

pub fn dataset(id: &str) -> DatasetRecord {
    DatasetRecord {
        id: id.to_owned(),
        platform: "hive".to_owned(),
        name: id.rsplit('/').next().unwrap().to_owned(),
        container: Some("hive://h:9083/shop".to_owned()),
        kind: "table".to_owned(),
        existence: "confirmed".to_owned(),
        incarnation: 1,
        names: vec!["hive://h:9083|shop.orders".to_owned()],
        aliases: vec![],
        columns: vec![column("id"), column("größe")],
        authority: "hms/prod".to_owned(),
        schema_version: 1,
        description: Some("All orders".to_owned()),
        owners: vec![Owner { name: "team:shop".to_owned(), role: "OWNER".to_owned() }],
        tags: vec![
            Tag { key: "gold".to_owned(), value: String::new(), field: None },
            Tag { key: "pii".to_owned(), value: "email".to_owned(), field: Some("größe".to_owned()) },
        ],
        location: None,
        format: None,
        table_format: None,
        properties: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        view_original: None,
        view_expanded: None,
        constraints: BTreeMap::new(),
        facets: BTreeMap::from([("lifecycle".to_owned(), r#"{"x": [1, 2]}"#.to_owned())]),
        native: BTreeMap::new(),
        issues: vec![],
        provenance: BTreeMap::new(),
        first_seen: 1_795_242_305_000_001,
        last_seen: 1_795_242_305_000_002,
        origin: origin(7),
    }
}

fn lineage(job: &str, source: &str, target: &str) -> LineageRecord {
    LineageRecord {
        job: job.to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
        kind: "write".to_owned(),
        confidence: 100,
        first_seen: 0,
        last_seen: 3_600_000_000,
        runs: 2,
        stale: false,
        run: "r".to_owned(),
        origin: origin(9),
    }
}

fn write(offset: i64, key: &str, value: Option<CatalogRecord>, topic: CatalogTopic) -> CatalogWrite {
    CatalogWrite { topic, partition: 0, offset, key: key.to_owned(), value, hash: None }
}

fn dataset_write(offset: i64, record: &DatasetRecord) -> CatalogWrite {
    write(offset, &record.id, Some(CatalogRecord::Dataset(Box::new(record.clone()))), CatalogTopic::Datasets)
}

fn edge_write(offset: i64, record: LineageRecord) -> CatalogWrite {
    let key = format!("{}|{}|{}", record.job, record.source, record.target);
    write(offset, &key, Some(CatalogRecord::Lineage(Box::new(record))), CatalogTopic::Lineage)
}

fn delta(topic: CatalogTopic, from: Option<i64>, to: i64) -> PositionDelta {
    PositionDelta {
        key: PositionKey { topic: topic.name().to_owned(), partition: 0 },
        topic_id: Some("t1".to_owned()),
        from,
        to,
    }
}

#[tokio::test]
async fn a_dataset_and_its_children_are_written_once_and_replaced_only_when_they_change() {
    let db = Database::new().await;
    let mut record = dataset("hive://h:9083/shop/orders");
    let first = db.store.apply_batch(SINK, &[dataset_write(0, &record)], &[]).await.unwrap();
    assert_eq!(first, BatchOutcome { written: 1, ..BatchOutcome::default() });
    assert_eq!(
        db.text("SELECT id AS a, name AS b, facets AS c, origin_offset AS d, first_seen AT TIME ZONE 'UTC' AS e FROM datasets").await,
        [r#"hive://h:9083/shop/orders|orders|{"lifecycle": {"x": [1, 2]}}|7|2026-11-21T06:25:05.000001"#]
    );
    assert_eq!(db.text("SELECT ordinal AS a, path AS b FROM columns ORDER BY ordinal").await, ["0|id", "1|größe"]);
    assert_eq!(db.text("SELECT tag FROM dataset_tags").await, ["gold"]);
    assert_eq!(db.text("SELECT path AS a, tag AS b, value AS c FROM column_tags").await, ["größe|pii|email"]);
    assert_eq!(db.text("SELECT entity_kind AS a, name AS b FROM owners").await, ["dataset|team:shop"]);
    assert_eq!(
        db.text("SELECT name AS a, datasets AS b, columns AS c FROM tags ORDER BY 1").await,
        ["gold|1|0", "pii|0|1"]
    );

    let again = db.store.apply_batch(SINK, &[dataset_write(1, &record)], &[]).await.unwrap();
    assert_eq!(again, BatchOutcome { unchanged: 1, ..BatchOutcome::default() });

    // Only the description changes: the children keep the origin of the record that wrote them.
    record.description = None;
    record.origin = origin(8);
    db.store.apply_batch(SINK, &[dataset_write(2, &record)], &[]).await.unwrap();
    assert_eq!(db.text("SELECT description AS a, origin_offset AS b FROM datasets").await, ["-|8"]);
    assert_eq!(db.text("SELECT DISTINCT origin_offset FROM columns").await, ["7"]);

    record.columns.remove(0);
    record.tags.clear();
    record.owners.clear();
    record.origin = origin(9);
    db.store.apply_batch(SINK, &[dataset_write(3, &record)], &[]).await.unwrap();
    assert_eq!(db.text("SELECT path AS a, origin_offset AS b FROM columns").await, ["größe|9"]);
    assert_eq!(db.count("SELECT count(*) FROM owners").await, 0);
    assert_eq!(db.count("SELECT count(*) FROM tags").await, 0);

    let gone = db.store.apply_batch(SINK, &[write(4, &record.id, None, CatalogTopic::Datasets)], &[]).await.unwrap();
    assert_eq!(gone, BatchOutcome { deleted: 1, ..BatchOutcome::default() });
    assert_eq!(db.count("SELECT (SELECT count(*) FROM datasets) + (SELECT count(*) FROM columns)").await, 0);
}

/// One record per topic, each under the key the fold gives it.
fn one_of_each() -> Vec<CatalogWrite> {
    let s = |text: &str| text.to_owned();
    let none = BTreeMap::new;
    let records = vec![
        ("d", CatalogRecord::Dataset(Box::new(DatasetRecord { existence: s("virtual"), ..dataset("d") }))),
        (
            "d",
            CatalogRecord::DatasetStats(Box::new(DatasetStatsRecord {
                id: s("d"),
                rows: Some(i64::MAX),
                bytes: None,
                files: Some(0),
                last_write: Some(1),
                last_job: Some(s("j")),
                last_run: None,
                dataset_version: None,
                column_stats: BTreeMap::from([(s("c"), s("not json"))]),
                origin: origin(1),
            })),
        ),
        (
            "c",
            CatalogRecord::Container(Box::new(ContainerRecord {
                id: s("c"),
                platform: s("hive"),
                name: s("shop"),
                existence: s("confirmed"),
                description: None,
                owners: vec![Owner { name: s("x"), role: s("y") }],
                location: None,
                properties: none(),
                native: none(),
                origin: origin(2),
            })),
        ),
        (
            "d|ds=1",
            CatalogRecord::Partition(Box::new(PartitionRecord {
                dataset: s("d"),
                name: s("ds=1"),
                values: vec![s("1")],
                location: None,
                properties: none(),
                native: s("{\"a\":1}"),
                column_stats: [(s("c"), s("{\"nulls\":3}"))].into(),
                source: s("hms/prod"),
                origin: origin(3),
            })),
        ),
        (
            "f",
            CatalogRecord::Function(Box::new(FunctionRecord {
                id: s("f"),
                name: s("f"),
                existence: s("confirmed"),
                native: none(),
                origin: origin(4),
            })),
        ),
        (
            "d|hms/prod|0001",
            CatalogRecord::SchemaVersion(Box::new(SchemaVersionRecord {
                dataset: s("d"),
                source: s("hms/prod"),
                version: s("0001"),
                time: 5,
                columns: vec![column("id")],
                schema_hash: s("h"),
                changes: vec![],
                breaking: true,
                level: s("initial"),
                late: false,
                incarnation: 1,
                origin: origin(5),
            })),
        ),
        (
            "j",
            CatalogRecord::Job(Box::new(JobRecord {
                id: s("j"),
                namespace: s("n"),
                name: s("j"),
                integration: s("SPARK"),
                job_type: s(""),
                processing: s("BATCH"),
                parent: None,
                description: None,
                owners: vec![Owner { name: s("z"), role: s("") }],
                tags: vec![],
                source_location: None,
                source_code: None,
                sql: Some(s("SELECT 1")),
                dialect: None,
                definition_hash: s("h"),
                dependencies: none(),
                facets: none(),
                first_seen: 0,
                last_seen: 0,
                origin: origin(6),
            })),
        ),
        (
            "j|r",
            CatalogRecord::Run(Box::new(RunRecord {
                id: s("r"),
                job: s("j"),
                state: s("COMPLETE"),
                started_at: Some(0),
                ended_at: Some(1_500_000),
                nominal_start: None,
                nominal_end: None,
                parent_run: None,
                parent_job: None,
                root_run: None,
                error: None,
                engine: None,
                inputs: vec![s("d")],
                outputs: vec![],
                dataset_versions: none(),
                facets: none(),
                expires_at: 4_000_000_000_000_000,
                origin: origin(7),
            })),
        ),
        ("j|d|e", CatalogRecord::Lineage(Box::new(lineage("j", "d", "e")))),
        (
            "j|e#y|d#x",
            CatalogRecord::ColumnLineage(Box::new(ColumnLineageRecord {
                job: s("j"),
                target: s("e"),
                target_field: s("y"),
                source: s("d"),
                source_field: s("x"),
                transformations: vec![s("DIRECT/IDENTITY")],
                description: s(""),
                masking: true,
                confidence: 90,
                unmapped: false,
                stale: true,
                first_seen: Some(4),
                last_seen: None,
                origin: origin(8),
            })),
        ),
        (
            "old|d|",
            CatalogRecord::Alias(Box::new(AliasRecord {
                alias: s("old"),
                canonical: s("d"),
                kind: s("rename"),
                valid_from: None,
                valid_to: Some(-1),
                reason: s("renamed"),
                origin: origin(9),
            })),
        ),
        (
            "d|unique",
            CatalogRecord::Quality(Box::new(QualityRecord {
                dataset: s("d"),
                check: s("unique"),
                status: s("failed"),
                field: Some(s("id")),
                value: s("{\"n\": 3}"),
                time: 10,
                run: s("r"),
                origin: origin(10),
            })),
        ),
        (
            "postgres:%2F%2Fh|1",
            CatalogRecord::Query(Box::new(QueryRecord {
                id: s("query://postgres:%2F%2Fh/1"),
                platform: s("postgres"),
                instance: s("postgres://h"),
                query_id: s("1"),
                session: None,
                user: Some(s("ann")),
                application: None,
                started_at: 5,
                ended_at: 1_500_005,
                status: s("success"),
                error: None,
                statement_type: s("INSERT"),
                fingerprint: s("00ff00ff00ff00ff"),
                text: Some(s("insert into d select x from e where y = ?")),
                job: None,
                reads: vec![s("e"), s("d")],
                writes: vec![s("d")],
                rows: Some(3),
                bytes: None,
                duration_us: Some(1_500_000),
                bound: vec![s("d@ab")],
                source: s("query_log/postgres"),
                expires_at: 9_000_000_000_000_000,
                origin: origin(12),
            })),
        ),
        (
            "d|2026-11-26",
            CatalogRecord::Usage(Box::new(UsageRecord {
                dataset: s("d"),
                day: s("2026-11-26"),
                queries: 3,
                failed: 1,
                writes: 1,
                rows: 3,
                bytes: 0,
                duration_us: 1_500_000,
                distinct_users: 1,
                users_exact: true,
                users: vec![UserUse { user: s("ann"), queries: 3, failed: 1, columns: [(s("id"), 3)].into() }],
                columns: [(s("id"), 3), (s("x"), 1)].into(),
                filters: [(s("x"), 1)].into(),
                joins: vec![JoinUse { column: s("id"), other: s("e"), other_column: s("d_id"), queries: 2 }],
                expires_at: 9_000_000_000_000_000,
                origin: origin(13),
            })),
        ),
        (
            "d",
            CatalogRecord::Change(Box::new(ChangeRecord {
                id: s("change1"),
                entity: s("d"),
                kind: s("created"),
                before: None,
                after: Some(s("{\"a\": 1}")),
                breaking: false,
                time: 11,
                source: s("hms/prod"),
                origin: origin(11),
            })),
        ),
    ];
    records
        .into_iter()
        .zip(0..)
        .map(|((key, record), offset)| write(offset, key, Some(record.clone()), record.topic()))
        .collect()
}

#[tokio::test]
async fn every_topic_has_its_table_and_its_tombstones_empty_it() {
    let db = Database::new().await;
    let writes = one_of_each();
    let outcome = db.store.apply_batch(SINK, &writes, &[]).await.unwrap();
    assert_eq!(outcome, BatchOutcome { written: 15, ..BatchOutcome::default() });
    let again = db.store.apply_batch(SINK, &writes, &[]).await.unwrap();
    assert_eq!(again, BatchOutcome { unchanged: 15, ..BatchOutcome::default() });

    let one = ["1"];
    assert_eq!(db.text("SELECT count(*) FROM catalog_runs WHERE duration = interval '1.5 s'").await, one);
    assert_eq!(
        db.text("SELECT count(*) FROM catalog_datasets WHERE row_count = 9223372036854775807 AND tags = '[\"gold\"]'")
            .await,
        one
    );
    assert_eq!(db.text("SELECT count(*) FROM dataset_stats WHERE column_stats = '{\"c\": \"not json\"}'").await, one);
    assert_eq!(
        db.text("SELECT count(*) FROM partitions WHERE native = '{\"a\": 1}' AND \"values\" = '[\"1\"]'").await,
        one
    );
    assert_eq!(db.text("SELECT count(*) FROM partitions WHERE column_stats #>> '{c,nulls}' = '3'").await, one);
    assert_eq!(db.text("SELECT count(*) FROM changes WHERE before IS NULL AND after->>'a' = '1'").await, one);
    assert_eq!(
        db.text("SELECT count(*) FROM schema_versions WHERE columns->0->>'path' = 'id' AND breaking").await,
        one
    );
    assert_eq!(
        db.text("SELECT count(*) FROM catalog_column_lineage WHERE stale AND masking AND confidence = 0.9").await,
        one
    );
    let times = "SELECT count(*) FROM catalog_column_lineage c JOIN catalog_lineage l
                 USING (job_id, source_dataset_id, target_dataset_id)
                 WHERE c.last_seen = l.last_seen AND c.first_seen = '1970-01-01 00:00:00.000004Z'";
    assert_eq!(db.text(times).await, one, "as the table edge was");
    let used = "SELECT dataset_id AS a, fingerprint AS b FROM query_datasets ORDER BY 1";
    assert_eq!(db.text(used).await, ["d|00ff00ff00ff00ff", "e|00ff00ff00ff00ff"], "each once");
    let users = "SELECT count(*) FROM catalog_user_usage WHERE day = '2026-11-26' AND user_name = 'ann' AND failed = 1
                 AND columns = '{\"id\": 3}'";
    assert_eq!(db.text(users).await, one);
    let columns = "SELECT column_path AS a, (queries * 10 + filters)::text AS b FROM catalog_column_usage ORDER BY 1";
    assert_eq!(db.text(columns).await, ["id|30", "x|11"]);
    let joins = "SELECT count(*) FROM catalog_joins WHERE other_dataset_id = 'e' AND other_column_path = 'd_id' AND queries = 2";
    assert_eq!(db.text(joins).await, one);
    let all = "SELECT count(*) FROM catalog_queries q, catalog_usage u WHERE q.duration_seconds = u.duration_seconds";
    assert_eq!(db.text(all).await, one);
    assert_eq!(
        db.text("SELECT entity_kind AS a, name AS b FROM owners ORDER BY 1").await,
        ["container|x", "dataset|team:shop", "job|z"]
    );
    let views =
        db.text("SELECT table_name AS a FROM information_schema.views WHERE table_schema = 'public' ORDER BY 1").await;
    assert_eq!(views.len(), 18, "{views:?}");

    let tombstones: Vec<CatalogWrite> = writes.iter().map(|w| CatalogWrite { value: None, ..w.clone() }).collect();
    let outcome = db.store.apply_batch(SINK, &tombstones, &[]).await.unwrap();
    assert_eq!(outcome, BatchOutcome { deleted: 15, ..BatchOutcome::default() });
    let left = db
        .count(
            "SELECT (SELECT count(*) FROM datasets) + (SELECT count(*) FROM dataset_stats) + (SELECT count(*) FROM containers)
             + (SELECT count(*) FROM partitions) + (SELECT count(*) FROM functions) + (SELECT count(*) FROM schema_versions)
             + (SELECT count(*) FROM jobs) + (SELECT count(*) FROM runs) + (SELECT count(*) FROM lineage_edges)
             + (SELECT count(*) FROM column_lineage_edges) + (SELECT count(*) FROM aliases)
             + (SELECT count(*) FROM query_logs) + (SELECT count(*) FROM query_datasets)
             + (SELECT count(*) FROM dataset_usage_daily) + (SELECT count(*) FROM dataset_quality) + (SELECT count(*) FROM owners) + (SELECT count(*) FROM columns)",
        )
        .await;
    assert_eq!(left, 0);
    assert_eq!(db.count("SELECT count(*) FROM changes").await, 1, "changes are history and stay");
}

#[tokio::test]
async fn a_query_that_is_told_anew_leaves_the_datasets_it_does_not_use() {
    let db = Database::new().await;
    let first = one_of_each().into_iter().find(|write| write.topic == CatalogTopic::Queries).unwrap();
    let mut second = first.clone();
    let Some(CatalogRecord::Query(record)) = &mut second.value else { panic!() };
    (record.reads, record.ended_at) = (vec!["f".to_owned()], 7);
    db.store.apply_batch(SINK, &[first], &[]).await.unwrap();
    let outcome = db.store.apply_batch(SINK, std::slice::from_ref(&second), &[]).await.unwrap();
    assert_eq!(outcome, BatchOutcome { written: 1, ..BatchOutcome::default() });
    let used = "SELECT dataset_id AS a FROM query_datasets WHERE ended_at < '1970-01-01 00:00:01Z' ORDER BY 1";
    assert_eq!(db.text(used).await, ["d", "f"]);
    assert_eq!(db.count("SELECT count(*) FROM query_datasets").await, 2);
    let reader = db.store.reader();
    let id = "query://postgres:%2F%2Fh/1";
    let read = reader.query(id, chrono::DateTime::UNIX_EPOCH).await.unwrap();
    assert_eq!(read.map(|record| CatalogRecord::Query(record.into())), second.value);
    let late = chrono::DateTime::from_timestamp_micros(9_000_000_000_000_000).unwrap();
    assert_eq!(reader.query(id, late).await.unwrap(), None, "it has expired");
}

#[tokio::test]
async fn of_several_records_under_a_key_the_last_one_counts() {
    let db = Database::new().await;
    let mut older = dataset("d");
    older.description = Some("old".to_owned());
    let newer = dataset("d");
    let tombstone = write(3, "e", None, CatalogTopic::Datasets);
    let batch = [dataset_write(0, &older), dataset_write(1, &dataset("e")), dataset_write(2, &newer), tombstone];
    let outcome = db.store.apply_batch(SINK, &batch, &[]).await.unwrap();
    assert_eq!(outcome, BatchOutcome { written: 1, deleted: 1, superseded: 2, ..BatchOutcome::default() });
    assert_eq!(db.text("SELECT id AS a, description AS b FROM datasets").await, ["d|All orders"]);
}

#[tokio::test]
async fn positions_move_with_the_rows_or_not_at_all() {
    let db = Database::new().await;
    let topic = CatalogTopic::Lineage;
    let batch = |n: i64| vec![edge_write(n, lineage("j", "a", &format!("b{n}")))];
    db.store.apply_batch(SINK, &batch(0), &[delta(topic, None, 1)]).await.unwrap();
    db.store.apply_batch(SINK, &batch(1), &[delta(topic, Some(1), 2)]).await.unwrap();
    let positions = db.store.positions(SINK).await.unwrap();
    assert_eq!(positions.len(), 1);
    assert_eq!((positions[0].next_offset, positions[0].topic_id.as_deref()), (2, Some("t1")));

    for (from, found) in [(Some(1), Some(2)), (Some(3), Some(2)), (None, Some(2))] {
        let error = db.store.apply_batch(SINK, &batch(2), &[delta(topic, from, 9)]).await.unwrap_err();
        let StoreError::PositionMoved { expected, found: stored, .. } = &error else { panic!("{error}") };
        assert_eq!((*expected, *stored), (from, found));
        assert!(!error.is_transient());
    }
    // One good and one bad delta: neither moves.
    let good = delta(topic, Some(2), 3);
    let bad = delta(CatalogTopic::Jobs, Some(5), 6);
    let error = db.store.apply_batch(SINK, &batch(2), &[good.clone(), bad]).await.unwrap_err();
    assert!(matches!(error, StoreError::PositionMoved { expected: Some(5), found: None, .. }), "{error}");

    let recreated = PositionDelta { topic_id: Some("t2".to_owned()), ..good };
    let error = db.store.apply_batch(SINK, &batch(2), &[recreated]).await.unwrap_err();
    assert!(matches!(error, StoreError::TopicRecreated { .. }), "{error}");

    assert_eq!(db.count("SELECT count(*) FROM lineage_edges").await, 2);
    assert_eq!(db.store.positions(SINK).await.unwrap(), positions);
    assert_eq!(db.store.positions("another").await.unwrap(), []);
}

#[tokio::test]
async fn two_writers_of_the_same_batch_write_it_once() {
    let db = Database::new().await;
    let batch: Vec<CatalogWrite> = (0..50).map(|n| edge_write(n, lineage("j", "a", &format!("b{n}")))).collect();
    let deltas = [delta(CatalogTopic::Lineage, None, 50)];
    let (one, two) =
        tokio::join!(db.store.apply_batch(SINK, &batch, &deltas), db.store.apply_batch(SINK, &batch, &deltas));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let error = one.and(two).unwrap_err();
    assert!(matches!(error, StoreError::PositionMoved { expected: None, found: Some(50), .. }), "{error}");
    assert_eq!(db.count("SELECT count(*) FROM lineage_edges").await, 50);
}

#[tokio::test]
async fn a_record_that_postgres_refuses_is_put_aside_and_the_rest_is_written() {
    let db = Database::new().await;
    // Ids that do not compress and do not fit an index entry (SQLSTATE 54000), among many good ones.
    let long = |seed: u64| {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + (state >> 33) as u8 % 90)
        };
        (0..9_000).map(|_| next()).collect::<String>()
    };
    let mut writes: Vec<CatalogWrite> = (0..200).map(|n| dataset_write(n, &dataset(&format!("d{n}")))).collect();
    writes.push(dataset_write(200, &dataset(&long(1))));
    writes.push(dataset_write(201, &dataset(&long(2))));
    let mut never = lineage("j", "a", "b");
    never.first_seen = i64::MIN;
    writes.push(edge_write(202, never));
    let outcome = db.store.apply_batch(SINK, &writes, &[delta(CatalogTopic::Datasets, None, 203)]).await.unwrap();
    assert_eq!(outcome, BatchOutcome { written: 200, rejected: 3, ..BatchOutcome::default() });
    assert_eq!(db.count("SELECT count(*) FROM datasets").await, 200);
    assert_eq!(
        db.text("SELECT record_offset AS a, topic AS b, reason AS c FROM sink_rejects ORDER BY record_offset").await,
        ["200|catalog.datasets|54000", "201|catalog.datasets|54000", "202|catalog.lineage|time_out_of_range"]
    );
    assert_eq!(db.store.positions(SINK).await.unwrap()[0].next_offset, 203);
}

#[tokio::test]
async fn zeros_in_text_are_replaced_and_counted() {
    let db = Database::new().await;
    let mut record = dataset("d");
    record.description = Some("a\0b".to_owned());
    record.properties = BTreeMap::from([("k\0".to_owned(), "v\0".to_owned())]);
    record.facets = BTreeMap::from([("f".to_owned(), r#"{"z": "\u0000", "plain": "\\u0000"}"#.to_owned())]);
    record.columns[0].description = Some("\0".to_owned());
    let outcome = db.store.apply_batch(SINK, &[dataset_write(0, &record)], &[]).await.unwrap();
    assert_eq!((outcome.written, outcome.replaced_zeros), (1, 5));
    assert_eq!(db.count("SELECT count(*) FROM datasets WHERE description = E'a\\uFFFDb'").await, 1);
    assert_eq!(db.text("SELECT facets->'f'->>'plain' AS a FROM datasets").await, [r"\u0000"]);
}

#[tokio::test]
async fn the_graph_snapshot_gives_back_what_was_written() {
    let db = Database::new().await;
    let deltas = [delta(CatalogTopic::Lineage, None, 4), delta(CatalogTopic::Aliases, None, 2)];
    let writes = one_of_each();
    db.store.apply_batch(SINK, &writes, &deltas).await.unwrap();
    let write = |topic| writes.iter().find(|w| w.topic == topic).unwrap();
    let key = |topic| EdgeKey::of(&write(topic).key).0;
    let value = |topic| write(topic).value.clone().unwrap();
    let CatalogRecord::Lineage(edge) = value(CatalogTopic::Lineage) else { panic!() };
    let CatalogRecord::ColumnLineage(column) = value(CatalogTopic::ColumnLineage) else { panic!() };
    let CatalogRecord::Alias(alias) = value(CatalogTopic::Aliases) else { panic!() };
    let mut expected = VecDeque::from([
        GraphRow::Alias(key(CatalogTopic::Aliases), *alias),
        GraphRow::Dataset { id: "d", existence: "virtual" },
        GraphRow::Table(key(CatalogTopic::Lineage), (&*edge).into()),
        GraphRow::Column(key(CatalogTopic::ColumnLineage), (&*column).into()),
    ]);
    let mut visit = |row: GraphRow<'_>| assert_eq!(Some(row), expected.pop_front());
    let positions = db.store.graph_snapshot(SINK, &mut visit).await.unwrap();
    assert_eq!((positions.len(), expected.len()), (2, 0));
}
