//! The project `shop` as dbt's artifacts, its log and OpenLineage tell of it: one catalog, by hand-checked expectation.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;
use tributary::fold::{FoldConfig, Folded, blank_origins, fold_all};
use tributary::model::fact::*;
use tributary::model::id::EntityId;
use tributary::model::raw::{Normalized, RawRecord};
use tributary::model::record::{CatalogRecord, CatalogTopic, DatasetRecord, QualityRecord};
use tributary::model::reject::ReasonCode;
use tributary::normalize::dbt::split::{Sent, split};
use tributary::normalize::dbt::{DbtConfig, DbtNamespace, DbtNormalizer};
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};

const SERVER: &str = "postgres://127.0.0.1:15498";
const R08_MANIFEST: &[u8] = include_bytes!("fixtures/dbt/r08_manifest.json.gz");
const R09_MANIFEST: &[u8] = include_bytes!("fixtures/dbt/r09_manifest.json.gz");
const R08_RESULTS: &[u8] = include_bytes!("fixtures/dbt/r08_run_results.json.gz");
const R11_RESULTS: &[u8] = include_bytes!("fixtures/dbt/r11_run_results.json.gz");
const R08_LOG: &[u8] = include_bytes!("fixtures/dbt/r08_log_debug.jsonl.gz");
const R05_CATALOG: &[u8] = include_bytes!("fixtures/dbt/r05_catalog.json.gz");
const R10_CATALOG: &[u8] = include_bytes!("fixtures/dbt/r10_catalog.json.gz");
const R06_SOURCES: &str = include_str!("fixtures/dbt/r06_sources.json");
const OPENLINEAGE: &[u8] = include_bytes!("fixtures/openlineage/dbt_1.11.jsonl.gz");

/// Each node with a dataset, as its models' SQL reads: node, dataset, what it reads.
const GRAPH: [(&str, &str, &[&str]); 35] = [
    ("exposure.cfo_dashboard", "cfo_dashboard", &["finance.fct_revenue_daily", "finance.fct_revenue_monthly"]),
    ("exposure.churn_model", "churn_model", &["marketing.customer_ltv", "marketing.customer_segments"]),
    (
        "model.campaign_audience",
        "marketing.campaign_audience",
        &["marketing.customer_ltv", "marketing.customer_segments", "staging.stg_web_events"],
    ),
    (
        "model.customer_ltv",
        "marketing.customer_ltv",
        &["core.dim_customers", "core.fct_orders", "int_customer_sessions"],
    ),
    ("model.customer_segments", "marketing.customer_segments", &["core.dim_customers"]),
    (
        "model.dim_customers",
        "core.dim_customers",
        &["raw.country_codes", "staging.stg_customers", "staging.stg_orders"],
    ),
    ("model.dim_products", "core.dim_products", &["staging.stg_products"]),
    ("model.dim_suppliers", "core.dim_suppliers", &["staging.stg_suppliers"]),
    ("model.fct_category_margin", "finance.fct_category_margin", &["core.fct_order_items"]),
    ("model.fct_order_items", "core.fct_order_items", &["int_order_items_priced", "staging.stg_orders"]),
    ("model.fct_orders", "core.fct_orders", &["int_orders_pivoted", "staging.stg_orders", "staging.stg_shipments"]),
    ("model.fct_revenue_daily", "finance.fct_revenue_daily", &["core.fct_orders"]),
    ("model.fct_revenue_monthly", "finance.fct_revenue_monthly", &["finance.fct_revenue_daily"]),
    ("model.int_customer_sessions", "int_customer_sessions", &["staging.stg_web_events"]),
    ("model.int_order_items_priced", "int_order_items_priced", &["staging.stg_order_items", "staging.stg_products"]),
    ("model.int_orders_pivoted", "int_orders_pivoted", &["staging.stg_payments"]),
    ("model.product_affinity", "marketing.product_affinity", &["core.fct_order_items"]),
    ("model.region_summary", "marketing.region_summary", &["core.dim_customers", "raw.country_codes"]),
    ("model.rpt_refunds", "finance.rpt_refunds", &["core.dim_customers", "core.fct_orders"]),
    ("model.stg_customers", "staging.stg_customers", &["raw.raw_customers"]),
    ("model.stg_order_items", "staging.stg_order_items", &["raw.raw_order_items"]),
    ("model.stg_orders", "staging.stg_orders", &["raw.raw_orders"]),
    ("model.stg_payments", "staging.stg_payments", &["raw.raw_payments"]),
    ("model.stg_products", "staging.stg_products", &["raw.raw_products"]),
    ("model.stg_shipments", "staging.stg_shipments", &["erp.shipments"]),
    ("model.stg_suppliers", "staging.stg_suppliers", &["erp.suppliers"]),
    ("model.stg_web_events", "staging.stg_web_events", &["erp.web_events"]),
    ("seed.country_codes", "raw.country_codes", &[]),
    ("seed.raw_customers", "raw.raw_customers", &[]),
    ("seed.raw_order_items", "raw.raw_order_items", &[]),
    ("seed.raw_orders", "raw.raw_orders", &[]),
    ("seed.raw_payments", "raw.raw_payments", &[]),
    ("seed.raw_products", "raw.raw_products", &[]),
    ("snapshot.customers_snapshot", "snapshots.customers_snapshot", &["staging.stg_customers"]),
    ("snapshot.products_snapshot", "snapshots.products_snapshot", &["staging.stg_products"]),
];

fn unzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

fn namespaces() -> Vec<DbtNamespace> {
    vec![DbtNamespace { project: Some("shop".into()), namespace: SERVER.into(), ..DbtNamespace::default() }]
}

fn raw<'a>(text: &'a str, topic: &str, offset: i64) -> RawRecord<'a> {
    let origin = Origin { topic: topic.into(), partition: 0, offset };
    RawRecord { origin, timestamp_ms: None, key: None, value: Some(text.as_bytes()) }
}

fn normalizer() -> DbtNormalizer {
    DbtNormalizer::new(DbtConfig { namespaces: namespaces(), ..DbtConfig::default() })
}

/// The facts of dbt's records.
fn dbt<'a>(records: impl IntoIterator<Item = &'a str>) -> Vec<Fact> {
    let normalizer = normalizer();
    let mut facts = Vec::new();
    for (offset, record) in records.into_iter().enumerate() {
        match normalizer.normalize(&raw(record, "dbt.events", offset as i64)).unwrap() {
            Normalized::Facts(some) => facts.extend(some),
            Normalized::NoOp(reason) => assert_eq!(reason, "dbt_log_line"),
        }
    }
    facts
}

/// The facts of all OpenLineage events of the project: in four runs dbt-ol followed the log, in four the artifacts.
fn openlineage() -> Vec<Fact> {
    let normalizer = OpenLineageNormalizer::new(OpenLineageConfig::default());
    let mut facts = Vec::new();
    for (offset, line) in unzip(OPENLINEAGE).lines().enumerate() {
        if let Normalized::Facts(some) = normalizer.normalize(&raw(line, "openlineage.events", offset as i64)).unwrap()
        {
            facts.extend(some);
        }
    }
    facts
}

fn fold<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Folded {
    fold_all(FoldConfig::default(), facts).unwrap()
}

/// `postgres://…/shop/dbt_dev_core/t` → `core.t`; `dbt://shop/exposure.shop.x` → `x`.
fn short(id: &str) -> String {
    let id = id.strip_prefix("dbt://shop/exposure.shop.").unwrap_or(id);
    let id = id.strip_prefix(&format!("{SERVER}/shop/")).unwrap_or(id);
    id.replace("dbt_dev_", "").replace("dbt_dev/", "").replace('/', ".")
}

fn job(node: &str) -> EntityId {
    let (kind, name) = node.split_once('.').unwrap();
    EntityId::job(SERVER, &format!("{kind}.shop.{name}"))
}

/// Job, read, written.
type Edges = BTreeSet<(String, String, String)>;

fn expected_edges() -> Edges {
    let edges = GRAPH.iter().flat_map(|(node, written, read)| {
        read.iter().map(move |read| (job(node).to_string(), (*read).to_owned(), (*written).to_owned()))
    });
    edges.collect()
}

/// With what OpenLineage says of columns: it follows them through the ephemeral model to the table behind it.
fn with_columns(mut edges: Edges) -> Edges {
    edges.insert((job("model.fct_orders").to_string(), "staging.stg_payments".into(), "core.fct_orders".into()));
    edges
}

fn edges(folded: &Folded) -> Edges {
    let lineage = folded.records.values().filter_map(|record| match record {
        CatalogRecord::Lineage(edge) => Some((edge.job.clone(), short(&edge.source), short(&edge.target))),
        _ => None,
    });
    lineage.collect()
}

fn dataset<'a>(folded: &'a Folded, name: &str) -> &'a DatasetRecord {
    let found: Vec<_> = datasets(folded).filter(|record| short(&record.id) == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0]
}

fn datasets(folded: &Folded) -> impl Iterator<Item = &DatasetRecord> {
    folded.records.values().filter_map(|record| match record {
        CatalogRecord::Dataset(dataset) => Some(&**dataset),
        _ => None,
    })
}

fn jobs(folded: &Folded) -> BTreeSet<String> {
    let keys = folded.records.keys().filter(|(topic, _)| *topic == CatalogTopic::Jobs);
    keys.map(|(_, key)| key.clone()).collect()
}

fn checks(folded: &Folded) -> Vec<&QualityRecord> {
    let of = folded.records.values().filter_map(|record| match record {
        CatalogRecord::Quality(quality) => Some(&**quality),
        _ => None,
    });
    of.collect()
}

fn columns(record: &DatasetRecord) -> Vec<(&str, &str)> {
    record.columns.iter().map(|column| (column.name.as_str(), column.data_type.as_str())).collect()
}

#[test]
fn a_manifest_alone_gives_the_graph() {
    let folded = fold(&dbt([unzip(R08_MANIFEST).as_str()]));
    assert_eq!(edges(&folded), expected_edges());
    assert_eq!(jobs(&folded), GRAPH.iter().map(|(node, _, _)| job(node).to_string()).collect());
    let names: BTreeSet<String> = datasets(&folded).map(|record| short(&record.id)).collect();
    let sources = ["erp.shipments", "erp.suppliers", "erp.web_events"].map(str::to_owned);
    assert_eq!(names, GRAPH.iter().map(|(_, name, _)| (*name).to_owned()).chain(sources).collect());
    for (name, kind, existence) in [
        ("core.fct_orders", "table", "confirmed"),
        ("staging.stg_orders", "view", "confirmed"),
        ("raw.raw_orders", "table", "confirmed"),
        ("int_orders_pivoted", "model", "virtual"),
        ("erp.suppliers", "table", "referenced"),
        ("cfo_dashboard", "dashboard", "confirmed"),
        ("churn_model", "ml_model", "confirmed"),
    ] {
        let record = dataset(&folded, name);
        assert_eq!((record.kind.as_str(), record.existence.as_str()), (kind, existence), "{name}");
    }
    let suppliers = dataset(&folded, "erp.suppliers");
    assert_eq!(suppliers.description.as_deref(), Some("Supplier master data"));
    assert_eq!(suppliers.owners, [Owner { name: "ingest@shop.example".into(), role: "OWNER".into() }]);
    let tags: Vec<_> = suppliers.tags.iter().map(|tag| (tag.key.as_str(), tag.field.as_deref())).collect();
    assert_eq!(tags, [("erp", None), ("pii", Some("iban")), ("source", None)]);
    assert_eq!(suppliers.properties["meta.contains_pii"], "true");
    assert_eq!(suppliers.properties["column.iban.meta.classification"], "restricted");
    // Documented columns do not make a schema; an enforced contract does.
    let orders = dataset(&folded, "core.fct_orders");
    assert_eq!((orders.authority.as_str(), orders.schema_version), ("", 0));
    let documented: Vec<_> = orders.columns.iter().map(|c| (c.name.as_str(), c.description.as_deref())).collect();
    assert_eq!(documented, [("order_id", Some("Order id")), ("total_amount", Some("EUR, gross"))]);
    let customers = dataset(&folded, "core.dim_customers");
    assert_eq!((customers.authority.as_str(), customers.columns.len()), ("dbt/manifest/shop", 10));
    assert_eq!(columns(customers)[0], ("customer_id", "integer"));
    assert_eq!(dataset(&folded, "cfo_dashboard").owners[0].name, "carla@shop.example");
    // The compiled SQL is there for the parser, with what unqualified names in it mean.
    let facts = dbt([unzip(R08_MANIFEST).as_str()]);
    let of_job = facts.iter().find(|fact| fact.entity == job("model.fct_orders")).unwrap();
    let sql = of_job.entries.iter().find_map(|entry| match &entry.value {
        Some(Statement::Sql(sql)) => Some(sql),
        _ => None,
    });
    let sql = sql.unwrap();
    assert_eq!(
        (sql.dialect.as_str(), sql.defaults.as_slice()),
        ("postgres", ["shop".to_owned(), "dbt_dev_core".into()].as_slice())
    );
    assert!(sql.text.contains("__dbt__cte__int_orders_pivoted"), "{}", sql.text);
}

/// Table, check, column, outcome, failures.
type Outcome = (&'static str, &'static str, Option<&'static str>, &'static str, Option<i64>);

/// What `dbt build` printed of its tests in r08, and `dbt source freshness` in r06.
const OUTCOMES: [Outcome; 25] = [
    ("core.dim_customers", "not_null_dim_customers_region", Some("region"), "warn", Some(40)),
    ("core.dim_customers", "unique_dim_customers_customer_id", Some("customer_id"), "passed", Some(0)),
    ("core.fct_orders", "not_null_fct_orders_order_id", Some("order_id"), "passed", Some(0)),
    ("core.fct_orders", "positive_fct_orders_total_amount", Some("total_amount"), "passed", Some(0)),
    ("core.fct_orders", "unique_fct_orders_order_id", Some("order_id"), "passed", Some(0)),
    ("erp.shipments", "freshness", Some("_loaded_at"), "failed", None),
    ("erp.shipments", "source_unique_erp_shipments_shipment_id", Some("shipment_id"), "passed", Some(0)),
    ("erp.suppliers", "freshness", Some("_loaded_at"), "passed", None),
    ("erp.suppliers", "source_not_null_erp_suppliers_supplier_id", Some("supplier_id"), "passed", Some(0)),
    ("erp.suppliers", "source_unique_erp_suppliers_supplier_id", Some("supplier_id"), "passed", Some(0)),
    ("finance.fct_revenue_daily", "assert_revenue_reconciles", None, "passed", Some(0)),
    ("finance.fct_revenue_monthly", "assert_revenue_reconciles", None, "passed", Some(0)),
    ("finance.rpt_refunds", "assert_no_returns_over_800", None, "failed", Some(53)),
    (
        "marketing.customer_segments",
        "accepted_values_customer_segments_segment__vip__regular__new__prospect",
        Some("segment"),
        "passed",
        Some(0),
    ),
    ("marketing.customer_segments", "segment_rules", None, "passed", Some(0)),
    ("staging.stg_customers", "not_null_stg_customers_country_code", Some("country_code"), "warn", Some(40)),
    ("staging.stg_customers", "not_null_stg_customers_customer_id", Some("customer_id"), "passed", Some(0)),
    ("staging.stg_customers", "unique_stg_customers_customer_id", Some("customer_id"), "passed", Some(0)),
    ("staging.stg_customers", "unique_stg_customers_email", Some("email"), "passed", Some(0)),
    (
        "staging.stg_orders",
        "accepted_values_stg_orders_status__placed__shipped__completed__returned",
        Some("status"),
        "warn",
        Some(1),
    ),
    ("staging.stg_orders", "not_null_stg_orders_order_id", Some("order_id"), "passed", Some(0)),
    (
        "staging.stg_orders",
        "relationships_stg_orders_customer_id__customer_id__ref_stg_customers_",
        Some("customer_id"),
        "passed",
        Some(0),
    ),
    ("staging.stg_orders", "unique_stg_orders_order_id", Some("order_id"), "passed", Some(0)),
    ("staging.stg_payments", "not_null_stg_payments_amount", Some("amount"), "passed", Some(0)),
    ("staging.stg_payments", "positive_stg_payments_amount", Some("amount"), "passed", Some(0)),
];

#[test]
fn outcomes_of_tests_reach_the_tables_whichever_record_comes_first() {
    let (manifest, results, log) = (unzip(R08_MANIFEST), unzip(R08_RESULTS), unzip(R08_LOG));
    let expected = OUTCOMES;
    let told = |folded: &Folded| {
        let mut told: Vec<_> = checks(folded)
            .into_iter()
            .map(|check| {
                let value: Value = serde_json::from_str(&check.value).unwrap();
                let failures = value.get("failures").and_then(Value::as_i64);
                (short(&check.dataset), check.check.clone(), check.field.clone(), check.status.clone(), failures)
            })
            .collect();
        told.sort();
        told
    };
    let owned: Vec<_> = expected
        .iter()
        .map(|(dataset, check, field, status, failures)| {
            ((*dataset).to_owned(), (*check).to_owned(), field.map(str::to_owned), (*status).to_owned(), *failures)
        })
        .collect();
    let first = fold(&dbt([manifest.as_str(), &results, R06_SOURCES]));
    assert_eq!(told(&first), owned);
    assert_eq!(told(&fold(&dbt([R06_SOURCES, results.as_str(), &manifest]))), owned);
    // The log tells the same of the same runs; of sources it was not asked.
    let of_log: Vec<&str> = log.lines().chain([R06_SOURCES, manifest.as_str()]).collect();
    assert_eq!(told(&fold(&dbt(of_log))), owned);
    let stale =
        checks(&first).into_iter().find(|check| check.check == "freshness" && check.status == "failed").unwrap();
    let value: Value = serde_json::from_str(&stale.value).unwrap();
    assert_eq!(value["max_loaded_at"], "2026-11-16T05:54:16.333476+00:00");
    assert_eq!(value["criteria"]["error_after"]["count"], 48);
}

#[test]
fn runs_are_told_alike_by_results_and_log() {
    let runs = |folded: &Folded| -> BTreeMap<String, (String, Option<i64>, Option<i64>)> {
        let runs = folded.records.values().filter_map(|record| match record {
            CatalogRecord::Run(run) => Some((format!("{}|{}", run.job, run.id), run)),
            _ => None,
        });
        runs.map(|(key, run)| (key, (run.state.clone(), run.started_at, run.ended_at))).collect()
    };
    let results = fold(&dbt([unzip(R08_RESULTS).as_str()]));
    let log = unzip(R08_LOG);
    let log = fold(&dbt(log.lines()));
    let (of_results, of_log) = (runs(&results), runs(&log));
    assert_eq!(of_results.len(), 30, "22 models, 6 seeds, 2 snapshots");
    assert_eq!(of_results.keys().collect::<Vec<_>>(), of_log.keys().collect::<Vec<_>>());
    assert!(of_results.values().chain(of_log.values()).all(|(state, ..)| state == "COMPLETE"));
    let ends = |runs: &BTreeMap<String, (String, Option<i64>, Option<i64>)>| {
        runs.values().map(|run| run.2).collect::<Vec<_>>()
    };
    assert_eq!(ends(&of_results), ends(&of_log));
    // A broken model: its text is told, those below it were never run.
    let broken = fold(&dbt([unzip(R11_RESULTS).as_str()]));
    let record = |node: &str| {
        let prefix = format!("{}|", job(node));
        let of =
            broken.records.iter().find(|((topic, key), _)| *topic == CatalogTopic::Runs && key.starts_with(&prefix));
        match of {
            Some((_, CatalogRecord::Run(run))) => (run.state.clone(), run.error.clone(), run.started_at.is_some()),
            _ => panic!("{node} has a run"),
        }
    };
    let (state, error, _) = record("model.stg_suppliers");
    assert_eq!(state, "FAIL");
    assert!(error.unwrap().contains("column \"vat_no\" does not exist"));
    assert_eq!(record("model.dim_suppliers"), ("ABORT".to_owned(), None, false));
    assert!(record("model.dim_customers").1.unwrap().contains("enforced contract that failed"));
}

#[test]
fn the_catalog_tells_what_changed() {
    let (before, after) = (unzip(R05_CATALOG), unzip(R10_CATALOG));
    let (old, new) = (unzip(R08_MANIFEST), unzip(R09_MANIFEST));
    let folded = fold(&dbt([before.as_str(), &old, &new, &after]));
    let products = dataset(&folded, "core.dim_products");
    assert_eq!((products.authority.as_str(), products.schema_version), ("dbt/catalog/shop", 2));
    assert_eq!(
        columns(products),
        [
            ("product_id", "integer"),
            ("product_name", "text"),
            ("category", "text"),
            ("unit_price", "double precision"),
            ("unit_price_gross", "numeric"),
        ]
    );
    let changes = |name: &str| {
        let of = folded.records.values().filter_map(|record| match record {
            CatalogRecord::SchemaVersion(version) if short(&version.dataset) == name => Some(&version.changes),
            _ => None,
        });
        let mut all: Vec<(String, String)> =
            of.flatten().map(|change| (change.kind.clone(), change.path.clone())).collect();
        all.sort();
        all
    };
    let said = |kind: &str, path: &str| (kind.to_owned(), path.to_owned());
    assert_eq!(
        changes("core.dim_products"),
        [said("added", "unit_price_gross"), said("dropped", "is_active"), said("type_changed", "unit_price")]
    );
    assert_eq!(changes("core.fct_order_items"), [said("added", "channel")]);
    // Nobody changed it: the docs of the manifest annotate the catalog's columns and make no version.
    let orders = dataset(&folded, "core.fct_orders");
    assert_eq!((orders.authority.as_str(), orders.schema_version), ("dbt/catalog/shop", 1));
    let total = orders.columns.iter().find(|column| column.name == "total_amount").unwrap();
    assert_eq!((total.data_type.as_str(), total.description.as_deref()), ("numeric", Some("EUR, gross")));
    assert_eq!(dataset(&folded, "erp.suppliers").existence, "confirmed", "the warehouse's catalog has it");
}

/// The manifest without the nodes of these unique ids.
fn without(manifest: &str, gone: &[&str]) -> String {
    let mut manifest: Value = serde_json::from_str(manifest).unwrap();
    for field in ["nodes", "sources", "exposures"] {
        manifest[field].as_object_mut().unwrap().retain(|id, _| !gone.contains(&id.as_str()));
    }
    manifest.to_string()
}

#[test]
fn what_is_gone_from_the_manifest_goes_from_the_catalog() {
    let (old, new) = (unzip(R08_MANIFEST), unzip(R09_MANIFEST));
    let gone = [
        "model.shop.rpt_refunds",
        "test.shop.assert_no_returns_over_800",
        "source.shop.erp.web_events",
        "exposure.shop.churn_model",
    ];
    let new = without(&new, &gone);
    let results = unzip(R08_RESULTS);
    for records in [[old.as_str(), &results, &new], [new.as_str(), &results, &old], [results.as_str(), &new, &old]] {
        let folded = fold(&dbt(records));
        for name in ["finance.rpt_refunds", "erp.web_events", "churn_model"] {
            assert_eq!(dataset(&folded, name).existence, "dropped", "{name}");
        }
        assert_eq!(dataset(&folded, "core.fct_orders").existence, "confirmed");
        let mut expected = expected_edges();
        expected.retain(|(_, _, written)| written != "finance.rpt_refunds" && written != "churn_model");
        // What still reads it says so.
        assert_eq!(edges(&folded).iter().filter(|edge| edge.1 == "erp.web_events").count(), 0);
        expected.retain(|(_, read, _)| read != "erp.web_events");
        assert_eq!(edges(&folded), expected);
        assert!(!checks(&folded).iter().any(|check| check.check == "assert_no_returns_over_800"));
        assert!(checks(&folded).iter().any(|check| check.check == "assert_revenue_reconciles"));
    }
    // It comes back.
    let again = unzip(R09_MANIFEST).replace("2026-11-21T06:09", "2026-11-22T06:09");
    let folded = fold(&dbt([old.as_str(), &new, &again]));
    assert_eq!(edges(&folded), expected_edges());
    assert_eq!(dataset(&folded, "finance.rpt_refunds").existence, "confirmed");
}

#[test]
fn a_definition_retires_what_older_runs_bore_out() {
    let facts = openlineage();
    let old = unzip(R08_MANIFEST);
    // A later manifest in which the model no longer reads one of its tables.
    let mut later: Value = serde_json::from_str(&old.replace("2026-11-21T06:08:2", "2026-11-22T06:08:2")).unwrap();
    let reads = &mut later["nodes"]["model.shop.fct_orders"]["depends_on"]["nodes"];
    reads.as_array_mut().unwrap().retain(|id| id != "model.shop.stg_shipments");
    let later = later.to_string();
    let all: Vec<Fact> = facts.into_iter().chain(dbt([old.as_str(), &later])).collect();
    let folded = fold(&all);
    let read: Vec<String> =
        edges(&folded).into_iter().filter(|(_, _, written)| written == "core.fct_orders").map(|edge| edge.1).collect();
    assert_eq!(read, ["int_orders_pivoted", "staging.stg_orders", "staging.stg_payments"]);
    let mut expected = with_columns(expected_edges());
    expected
        .retain(|(_, read, written)| (read.as_str(), written.as_str()) != ("staging.stg_shipments", "core.fct_orders"));
    assert_eq!(edges(&folded), expected);
}

#[test]
fn manifest_results_log_catalog_and_openlineage_give_one_graph() {
    let (manifest, results, catalog, log) =
        (unzip(R08_MANIFEST), unzip(R08_RESULTS), unzip(R10_CATALOG), unzip(R08_LOG));
    let records = [manifest.as_str(), &results, &catalog, R06_SOURCES].into_iter().chain(log.lines());
    let mut facts = dbt(records);
    facts.extend(openlineage());
    let folded = fold(&facts);
    let expected = with_columns(expected_edges());
    assert_eq!(edges(&folded), expected, "one job, and one edge for each table it reads");
    let mut expected: BTreeSet<String> = GRAPH.iter().map(|(node, _, _)| job(node).to_string()).collect();
    expected.insert(EntityId::job("dbt-dev", "dbt-run-shop").to_string());
    assert_eq!(jobs(&folded), expected);
    assert!(!folded.records.keys().any(|(_, key)| key.contains("__dbt_tmp") || key.contains("__dbt_backup")));
    let orders = dataset(&folded, "core.fct_orders");
    assert_eq!((orders.existence.as_str(), orders.authority.as_str()), ("confirmed", "dbt/catalog/shop"));
    let tags: Vec<&str> = orders.tags.iter().map(|tag| tag.key.as_str()).collect();
    assert_eq!(tags, ["core", "daily"]);
    assert_eq!(dataset(&folded, "int_orders_pivoted").existence, "virtual");
    // The other names of the job are told with it.
    let key = (CatalogTopic::Jobs, job("model.fct_orders").to_string());
    let Some(CatalogRecord::Job(of)) = folded.records.get(&key) else { panic!("the job is there") };
    let names: Vec<String> = serde_json::from_str(&of.facets["names"]).unwrap();
    assert_eq!(
        names,
        [
            "dbt-dev|model.shop.fct_orders",
            "dbt-dev|shop.dbt_dev_core.shop.fct_orders",
            "dbt-dev|shop.dbt_dev_core.shop.fct_orders.build.run",
        ]
    );
    assert_eq!((of.namespace.as_str(), of.name.as_str()), (SERVER, "model.shop.fct_orders"));
    // r04 skipped it; the others built it. Of r08 the results, the log and OpenLineage tell: that is one run.
    let runs = folded.records.values().filter(|record| matches!(record, CatalogRecord::Run(run) if run.job == key.1));
    let states: Vec<&str> = runs
        .map(|record| match record {
            CatalogRecord::Run(run) => run.state.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(states.iter().filter(|state| **state == "COMPLETE").count(), COMPLETED_ORDERS, "{states:?}");

    let mut backwards = fold(facts.iter().rev());
    let mut forwards = folded;
    for side in [&mut forwards, &mut backwards] {
        side.records.values_mut().for_each(blank_origins);
        side.records.retain(|(topic, _), _| *topic != CatalogTopic::Schemas);
    }
    assert_eq!(forwards.records.keys().collect::<Vec<_>>(), backwards.records.keys().collect::<Vec<_>>());
    for (key, record) in &forwards.records {
        assert_eq!(Some(record), backwards.records.get(key), "{key:?}");
    }
}

/// Runs of `fct_orders` that succeeded: r02, r08, r09 and r11.
const COMPLETED_ORDERS: usize = 4;

#[test]
fn a_large_manifest_in_parts_is_the_same_manifest() {
    let manifest = unzip(R08_MANIFEST);
    let sent = Sent { namespace: Some(SERVER), max_bytes: 40_000, ..Sent::default() };
    let parts = split(&manifest, &sent).unwrap();
    assert!(parts.len() > 3, "{}", parts.len());
    assert!(parts.iter().all(|part| part.value.len() <= 40_000));
    assert!(parts.iter().all(|part| part.key.as_deref() == Some("5ca5dde3-8763-443c-b826-1881dfe16f4a")));
    let (whole, mut divided) =
        (fold(&dbt([manifest.as_str()])), fold(&dbt(parts.iter().map(|part| part.value.as_str()))));
    let mut whole = whole;
    for side in [&mut whole, &mut divided] {
        side.records.values_mut().for_each(blank_origins);
    }
    // A schema version's key holds the hash of its record.
    let same = |((topic, _), _): &(&(CatalogTopic, String), &CatalogRecord)| *topic != CatalogTopic::Schemas;
    assert!(whole.records.iter().filter(same).eq(divided.records.iter().filter(same)));
    // The parts are one listing: what they lack is gone, once the last of them is there.
    let less = without(&manifest.replace("2026-11-21T06:08:2", "2026-11-22T06:08:2"), &["model.shop.rpt_refunds"]);
    let less = split(&less, &sent).unwrap();
    let first = || std::iter::once(manifest.as_str());
    let all_but_one = less[1..].iter().map(|part| part.value.as_str());
    let folded = fold(&dbt(first().chain(all_but_one)));
    assert_eq!(dataset(&folded, "finance.rpt_refunds").existence, "confirmed");
    let folded = fold(&dbt(first().chain(less.iter().map(|part| part.value.as_str()))));
    assert_eq!(dataset(&folded, "finance.rpt_refunds").existence, "dropped");
}

#[test]
fn a_build_on_a_metastore_does_not_cost_the_table_its_tags() {
    let manifest = unzip(R08_MANIFEST);
    let envelope = format!(r#"{{"kind":"manifest","namespace":"hive://m:9083","artifact":{manifest}}}"#);
    // On Hive a database has no database above it.
    let envelope = envelope.replace(r#""database": "shop""#, r#""database": null"#);
    let facts = dbt([envelope.as_str()]);
    let id = |name: &str| EntityId::from_canonical(format!("hive://m:9083/dbt_dev_core/{name}"));
    let hms = |entity: &EntityId, number: i64, entries: Vec<Entry>| Fact {
        entity: entity.clone(),
        kind: EntityKind::Dataset,
        source: Source::hms("hive://m:9083"),
        // After the manifest.
        version: Version { epoch: 0, time: 1_800_000_000_000_000 + number, seq: number, hash: 0 },
        origin: Origin { topic: "hms.notifications".into(), partition: 0, offset: number },
        via: Vec::new(),
        entries,
    };
    let exists = |state, floor| {
        Entry::of(Statement::Existence(Existence { state, evidence: Evidence::Owner, floor, scope: None }))
    };
    let created = || exists(ExistenceState::Confirmed, true);
    let table = |name: &str| {
        let column = Column { name: name.to_owned(), data_type: "int".into(), ..Column::default() };
        Entry::of(Statement::Columns(Columns { completeness: Completeness::Complete, columns: vec![column] }))
    };
    let (orders, new, backup) = (id("fct_orders"), id("fct_orders__dbt_tmp"), id("fct_orders__dbt_backup"));
    let build = [
        hms(&orders, 1, vec![created(), table("old")]),
        hms(&new, 2, vec![created(), table("new")]),
        hms(&orders, 3, vec![Entry::of(Statement::RenamedTo(backup.clone()))]),
        hms(&backup, 3, vec![exists(ExistenceState::Confirmed, false), table("old")]),
        hms(&new, 4, vec![Entry::of(Statement::RenamedTo(orders.clone()))]),
        hms(&orders, 4, vec![exists(ExistenceState::Confirmed, false), table("new")]),
        hms(&backup, 5, vec![exists(ExistenceState::Dropped, true)]),
    ];
    let folded = fold(facts.iter().chain(&build));
    let record = datasets(&folded).find(|record| record.id == orders.as_str()).unwrap();
    assert_eq!((record.existence.as_str(), columns(record)), ("confirmed", vec![("new", "int")]));
    let tags: Vec<&str> = record.tags.iter().map(|tag| tag.key.as_str()).collect();
    assert_eq!(tags, ["core", "daily"]);
    assert_eq!(
        record.owners.iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>(),
        ["data-platform@shop.example"]
    );
    assert_eq!(record.description.as_deref(), Some("Order grain fact"));
    let visible = datasets(&folded).filter(|record| record.id.contains("__dbt_") && record.existence == "confirmed");
    assert_eq!(visible.count(), 0);
}

#[test]
fn nobody_guesses_the_server() {
    let manifest = unzip(R08_MANIFEST);
    let normalize = |namespaces: Vec<DbtNamespace>| {
        let normalizer = DbtNormalizer::new(DbtConfig { namespaces, ..DbtConfig::default() });
        normalizer.normalize(&raw(&manifest, "dbt.events", 0))
    };
    let entry = |target: &str, namespace: &str| DbtNamespace {
        project: Some("shop".into()),
        target: Some(target.into()),
        namespace: namespace.into(),
        ..DbtNamespace::default()
    };
    for namespaces in [Vec::new(), vec![entry("dev", "postgres://a:1"), entry("prod", "postgres://b:1")]] {
        let rejection = normalize(namespaces).unwrap_err();
        assert_eq!(rejection.code, ReasonCode::UnknownInstance);
        assert!(rejection.message.contains("shop") && rejection.message.contains("`dbt`"), "{rejection}");
    }
    assert!(normalize(vec![entry("dev", "postgres://a:1"), entry("prod", "postgres://a:1")]).is_ok());
}
