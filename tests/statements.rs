//! Texts of views and of operators' SQL over real Kafka: what a metastore keeps and what an OpenLineage event carries becomes
//! lineage of columns. The expectation was worked out from the texts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tributary::codec::avro::Decoder;
use tributary::kafka::{Isolation, LogReader};
use tributary::model::record::{CatalogRecord, CatalogTopic};
use tributary::topology::schemas::RegistrySchemas;
use tributary::topology::snapshot;

use crate::support::events::{Event, site as recorded};
use crate::support::site::{STAGES, Site};

const HMS: &str = "hive://hms-1.lake:9083";
const PG: &str = "postgres://db.shop:5432/shop";

/// A task that filled a table, as an operator without lineage of columns reports it.
fn task() -> Event {
    let dataset = |name: &str| json!({ "namespace": "postgres://db.shop:5432", "name": name });
    let event = json!({
        "eventTime": "2026-11-21T06:17:05.656Z", "eventType": "COMPLETE",
        "producer": "https://github.com/apache/airflow/tree/providers-openlineage/2.20.3",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": { "runId": "3f5e83fa-3480-44ff-99c5-ff943904e5e8" },
        "job": { "namespace": "airflow", "name": "nightly.totals", "facets": { "sql": { "query":
            "INSERT INTO mart.totals (customer, spent) SELECT o.customer_id, sum(o.amount) FROM public.orders o GROUP BY 1" } } },
        "inputs": [dataset("shop.public.orders")], "outputs": [dataset("shop.mart.totals")],
    });
    Event { topic: "openlineage.events", key: Some("run:airflow/nightly.totals".to_owned()), value: event.to_string() }
}

/// The metastore's messages about one table.
fn notifications(database: &str, table: &str) -> Vec<Event> {
    let is_of = |event: &Event| {
        let Ok(envelope) = serde_json::from_str::<Value>(&event.value) else { return false };
        envelope["dbName"] == database && envelope["tableName"] == table
    };
    let hms = recorded(0).into_iter().filter(|event| event.topic == "hms.notifications");
    let found: Vec<Event> = hms.filter(is_of).collect();
    assert!(!found.is_empty(), "{database}.{table} is among the recorded events");
    found
}

/// `target <- source` of direct column edges by job.
fn columns(site: &Site) -> BTreeMap<String, BTreeSet<String>> {
    let reader = LogReader::new(&site.kafka(), Isolation::Committed).unwrap();
    let decoder = Decoder::new(Arc::new(RegistrySchemas(site.registry())));
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for record in snapshot::latest(&reader, &decoder, CatalogTopic::ColumnLineage).unwrap().into_values() {
        let CatalogRecord::ColumnLineage(edge) = record else { panic!("an edge is expected") };
        if edge.transformations.iter().any(|how| how.starts_with("DIRECT")) {
            let text = format!("{}#{} <- {}#{}", edge.target, edge.target_field, edge.source, edge.source_field);
            found.entry(edge.job.clone()).or_default().insert(text);
        }
    }
    found
}

fn lines(all: &[String]) -> BTreeSet<String> {
    all.iter().cloned().collect()
}

#[test]
fn views_and_operators_sql_have_lineage_of_columns() {
    let site = Site::start();
    // `SELECT o.id, d.name, o.amount*1.19 AS gross FROM … orders o LEFT JOIN … customers d`, by Spark; and of Hive's kind a
    // view that is dropped later: `SELECT `x`.`currency` FROM `finance_dw`.`x``.
    let dropped = notifications("finance_dw", "stock_levels_dim");
    let (made, gone) = dropped.split_at(1);
    site.produce(&notifications("spark_shop", "v_orders"));
    site.produce(made);
    site.produce(&[task()]);
    let running = site.spawn(&STAGES, &[]);
    site.quiet_digest();

    let view = format!("{HMS}/spark_shop/v_orders");
    let (orders, customers) = (format!("{HMS}/spark_shop/orders"), format!("{HMS}/spark_shop/customers"));
    let of_view = lines(&[
        format!("{view}#id <- {orders}#id"),
        format!("{view}#name <- {customers}#name"),
        format!("{view}#gross <- {orders}#amount"),
    ]);
    let stock = format!("{HMS}/finance_dw/stock_levels_dim");
    let of_task = lines(&[
        format!("{PG}/mart/totals#customer <- {PG}/public/orders#customer_id"),
        format!("{PG}/mart/totals#spent <- {PG}/public/orders#amount"),
    ]);
    let job = |namespace: &str, name: &str| tributary::model::id::EntityId::job(namespace, name).as_str().to_owned();
    let mut expected: BTreeMap<String, BTreeSet<String>> = [
        (job(HMS, "spark_shop.v_orders"), of_view),
        (job(HMS, "finance_dw.stock_levels_dim"), lines(&[format!("{stock}#currency <- {HMS}/finance_dw/x#currency")])),
        (job("airflow", "nightly.totals"), of_task),
    ]
    .into();
    assert_eq!(columns(&site), expected);

    // The same again changes nothing; a view that is dropped has no lineage.
    site.produce(&[task()]);
    site.produce(gone);
    site.quiet_digest();
    expected.remove(&job(HMS, "finance_dw.stock_levels_dim"));
    assert_eq!(columns(&site), expected);
    assert_eq!(site.committed_records(&["catalog.statements.dlq", "catalog.facts.dlq"]), 0);
    running.terminate();
    site.assert_tables_equal_topics();
}

/// What Trino's listener calls by the id of a query and what its query log tells is one job.
#[test]
fn a_query_of_trino_is_the_same_job_in_both_of_its_logs() {
    use std::io::Read;
    use tributary::model::check::FactLimits;
    use tributary::model::fact::{EntityKind, Fact, Origin};
    use tributary::model::id::{EntityId, Identity};
    use tributary::model::raw::{Normalized, RawRecord};
    use tributary::model::state::MemoryState;
    use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};
    use tributary::sql::log::{LogConfig, LogInstances};
    use tributary::sql::processor::{ProcessorConfig, QueryProcessor};
    use tributary::sql::{Options, Schemas};
    use tributary::topology::stages::query_kind;

    fn raw<'a>(topic: &str, offset: i64, value: &'a str) -> RawRecord<'a> {
        let origin = Origin { topic: topic.to_owned(), partition: 0, offset };
        RawRecord { origin, timestamp_ms: None, key: None, value: Some(value.as_bytes()) }
    }
    fn jobs(normalized: Normalized) -> BTreeSet<EntityId> {
        let facts: Vec<Fact> = match normalized {
            Normalized::Facts(facts) => facts,
            Normalized::NoOp(_) => Vec::new(),
        };
        facts.into_iter().filter(|fact| fact.kind == EntityKind::Job).map(|fact| fact.entity).collect()
    }

    let mut events = String::new();
    let gzipped = &include_bytes!("fixtures/openlineage/trino_470.jsonl.gz")[..];
    flate2::read::GzDecoder::new(gzipped).read_to_string(&mut events).unwrap();
    let identity = Arc::new(Identity::default());
    let config = OpenLineageConfig {
        identity: Arc::clone(&identity),
        query_kinds: Some(query_kind),
        ..OpenLineageConfig::default()
    };
    let openlineage = OpenLineageNormalizer::new(config);
    let trino = LogInstances { instance: Some("trino://127.0.0.1:18081".to_owned()), ..LogInstances::default() };
    let mut processor = QueryProcessor::new(ProcessorConfig {
        identity,
        logs: LogConfig { platforms: [("trino".to_owned(), trino)].into(), ..LogConfig::default() },
        facts: FactLimits::default(),
        options: Options::default(),
        keep_literals: false,
    });
    let (mut state, schemas) = (MemoryState::default(), Schemas::default());
    let mut shared = 0;
    for (offset, line) in events.lines().enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        let names_some = |field: &str| event[field].as_array().is_some_and(|some| !some.is_empty());
        if event["eventType"] != "COMPLETE" || !names_some("inputs") || !names_some("outputs") {
            continue;
        }
        let text = event["job"]["facets"]["sql"]["query"].as_str().unwrap();
        let context = &event["run"]["facets"]["trino_query_context"];
        let logged = json!({
            "platform": "trino", "query_id": event["job"]["name"], "user": context["user"], "text": text,
            "start": event["eventTime"], "end": event["eventTime"],
        });
        let reported = jobs(openlineage.normalize(&raw("openlineage.events", offset as i64, line)).unwrap());
        let logged = logged.to_string();
        let record = raw("warehouse.query-logs", offset as i64, &logged);
        let told = jobs(processor.process(&record, &schemas, &mut state).unwrap());
        assert_eq!(reported, told, "{text}");
        assert_eq!(reported.len(), 1);
        shared += 1;
    }
    // Two tables made by queries, two filled, a view made; counted in the events.
    assert_eq!(shared, 5);
}
