//! One project, `shop`, seen by several sources at once: dbt's artifacts, its log and its OpenLineage events, Airflow's
//! listener and its OpenLineage events, Trino's OpenLineage events, and the log of the Postgres that they all work on.
//! Together they are one graph. The expectation was written down from the project's SQL, the DAGs and the statements.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use tributary::fold::{FoldConfig, Folded, fold_all};
use tributary::model::check::FactLimits;
use tributary::model::fact::{Fact, Origin};
use tributary::model::id::{EntityId, Identity, IdentityConfig, RewriteConfig};
use tributary::model::raw::{Normalized, RawRecord};
use tributary::model::record::{CatalogRecord, DatasetRecord};
use tributary::model::state::MemoryState;
use tributary::normalize::airflow::{AirflowConfig, AirflowNormalizer};
use tributary::normalize::dbt::{DbtConfig, DbtNamespace, DbtNormalizer};
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};
use tributary::sql::log::{LogConfig, LogInstances};
use tributary::sql::processor::{ProcessorConfig, QueryProcessor};
use tributary::sql::{Options, Schemas};

const SERVER: &str = "postgres://127.0.0.1:15498";
const TRINO: &str = "trino://127.0.0.1:18081";

/// What is written, by which job (`-`: a statement that the server logged), and what it reads.
/// Schemas of dbt are without `dbt_dev_`; `dbt_dev.x` is an ephemeral model, which is no table of the server.
const GRAPH: &[(&str, &str, &[&str])] = &[
    ("staging.stg_customers", "model.stg_customers", &["raw.raw_customers"]),
    ("staging.stg_order_items", "model.stg_order_items", &["raw.raw_order_items"]),
    ("staging.stg_orders", "model.stg_orders", &["raw.raw_orders"]),
    ("staging.stg_payments", "model.stg_payments", &["raw.raw_payments"]),
    ("staging.stg_products", "model.stg_products", &["raw.raw_products"]),
    ("staging.stg_shipments", "model.stg_shipments", &["erp.shipments"]),
    ("staging.stg_suppliers", "model.stg_suppliers", &["erp.suppliers"]),
    ("staging.stg_web_events", "model.stg_web_events", &["erp.web_events"]),
    ("dbt_dev.int_customer_sessions", "model.int_customer_sessions", &["staging.stg_web_events"]),
    (
        "dbt_dev.int_order_items_priced",
        "model.int_order_items_priced",
        &["staging.stg_order_items", "staging.stg_products"],
    ),
    ("dbt_dev.int_orders_pivoted", "model.int_orders_pivoted", &["staging.stg_payments"]),
    (
        "core.dim_customers",
        "model.dim_customers",
        &["raw.country_codes", "staging.stg_customers", "staging.stg_orders"],
    ),
    ("core.dim_products", "model.dim_products", &["staging.stg_products"]),
    ("core.dim_suppliers", "model.dim_suppliers", &["staging.stg_suppliers"]),
    // What an ephemeral model reads stands in the statement of the model that uses it; an incremental one reads itself.
    (
        "core.fct_order_items",
        "model.fct_order_items",
        &[
            "core.fct_order_items",
            "dbt_dev.int_order_items_priced",
            "staging.stg_order_items",
            "staging.stg_orders",
            "staging.stg_products",
        ],
    ),
    (
        "core.fct_orders",
        "model.fct_orders",
        &["dbt_dev.int_orders_pivoted", "staging.stg_orders", "staging.stg_payments", "staging.stg_shipments"],
    ),
    ("finance.fct_category_margin", "model.fct_category_margin", &["core.fct_order_items"]),
    ("finance.fct_revenue_daily", "model.fct_revenue_daily", &["core.fct_orders"]),
    ("finance.fct_revenue_monthly", "model.fct_revenue_monthly", &["finance.fct_revenue_daily"]),
    ("finance.rpt_refunds", "model.rpt_refunds", &["core.dim_customers", "core.fct_orders"]),
    (
        "marketing.campaign_audience",
        "model.campaign_audience",
        &["marketing.customer_ltv", "marketing.customer_segments", "staging.stg_web_events"],
    ),
    (
        "marketing.customer_ltv",
        "model.customer_ltv",
        &["core.dim_customers", "core.fct_orders", "dbt_dev.int_customer_sessions", "staging.stg_web_events"],
    ),
    ("marketing.customer_segments", "model.customer_segments", &["core.dim_customers"]),
    ("marketing.product_affinity", "model.product_affinity", &["core.fct_order_items"]),
    ("marketing.region_summary", "model.region_summary", &["core.dim_customers", "raw.country_codes"]),
    // A snapshot compares with what it holds.
    (
        "snapshots.customers_snapshot",
        "snapshot.customers_snapshot",
        &["snapshots.customers_snapshot", "staging.stg_customers"],
    ),
    ("snapshots.products_snapshot", "snapshot.products_snapshot", &["staging.stg_products"]),
    ("cfo_dashboard", "exposure.cfo_dashboard", &["finance.fct_revenue_daily", "finance.fct_revenue_monthly"]),
    ("churn_model", "exposure.churn_model", &["marketing.customer_ltv", "marketing.customer_segments"]),
    // Airflow's tasks, and their statements as the server saw them.
    ("public.order_facts", "airflow.shop_facts.build_facts", &["public.orders_raw"]),
    ("public.order_facts", "-", &["public.orders_raw"]),
    (
        "public.customer_rollup",
        "airflow.shop_facts.ctas_customer_rollup",
        &["public.customers_dim", "public.orders_raw"],
    ),
    ("public.customer_rollup", "-", &["public.customers_dim", "public.orders_raw"]),
    // Trino names the table by its catalog `pg`; the rewrite brings it home.
    ("public.trino_rollup", "trino", &["memory.mart.cust", "memory.mart.orders", "memory.mart.v_seg"]),
];

fn text(gzipped: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(gzipped).read_to_string(&mut text).unwrap();
    text
}

fn raw<'a>(topic: &str, offset: usize, value: &'a str) -> RawRecord<'a> {
    let origin = Origin { topic: topic.into(), partition: 0, offset: offset as i64 };
    RawRecord { origin, timestamp_ms: None, key: None, value: Some(value.as_bytes()) }
}

fn identity() -> Arc<Identity> {
    let rewrite = RewriteConfig {
        from: format!("{TRINO}/pg/**"),
        to: format!("{SERVER}/shop/**"),
        job_namespace: None,
        topic: None,
    };
    Arc::new(Identity::new(IdentityConfig { rewrites: vec![rewrite], ..IdentityConfig::default() }).unwrap())
}

/// The facts of all sources but the log of the server.
fn reported() -> Vec<Fact> {
    let at = DbtNamespace { project: Some("shop".into()), namespace: SERVER.into(), ..DbtNamespace::default() };
    let openlineage = OpenLineageNormalizer::new(OpenLineageConfig {
        identity: identity(),
        dbt: vec![at.clone()],
        ..OpenLineageConfig::default()
    });
    let airflow = AirflowNormalizer::new(AirflowConfig {
        namespace: "airflow-shop".into(),
        identity: identity(),
        ..AirflowConfig::default()
    });
    let dbt = DbtNormalizer::new(DbtConfig { identity: identity(), namespaces: vec![at], ..DbtConfig::default() });
    let mut facts = Vec::new();
    let mut take = |normalized: Normalized| {
        if let Normalized::Facts(some) = normalized {
            facts.extend(some);
        }
    };
    for events in [
        &include_bytes!("fixtures/openlineage/dbt_1.11.jsonl.gz")[..],
        include_bytes!("fixtures/openlineage/airflow_3.1.8.jsonl.gz"),
        include_bytes!("fixtures/openlineage/trino_470.jsonl.gz"),
    ] {
        for (offset, event) in text(events).lines().enumerate() {
            take(openlineage.normalize(&raw("openlineage.events", offset, event)).unwrap());
        }
    }
    for (offset, event) in text(include_bytes!("fixtures/airflow/listener_3.1.8.jsonl.gz")).lines().enumerate() {
        take(airflow.normalize(&raw("airflow.events", offset, event)).unwrap());
    }
    let artifacts = [
        text(include_bytes!("fixtures/dbt/r08_manifest.json.gz")),
        text(include_bytes!("fixtures/dbt/r08_run_results.json.gz")),
        text(include_bytes!("fixtures/dbt/r09_manifest.json.gz")),
        text(include_bytes!("fixtures/dbt/r09_run_results.json.gz")),
        text(include_bytes!("fixtures/dbt/r10_catalog.json.gz")),
        include_str!("fixtures/dbt/r06_sources.json").to_owned(),
    ];
    let log = text(include_bytes!("fixtures/dbt/r08_log_debug.jsonl.gz"));
    for (offset, record) in artifacts.iter().map(String::as_str).chain(log.lines()).enumerate() {
        take(dbt.normalize(&raw("dbt.events", offset, record)).unwrap());
    }
    facts
}

/// The facts of the server's log, whose statements are bound against the tables that the other sources know.
fn logged(known: &Folded) -> Vec<Fact> {
    let mut schemas = Schemas::default();
    datasets(known).into_values().for_each(|dataset| schemas.put(dataset));
    let instance = LogInstances { instance: Some(SERVER.to_owned()), ..LogInstances::default() };
    let mut processor = QueryProcessor::new(ProcessorConfig {
        identity: identity(),
        logs: LogConfig { platforms: [("postgres".to_owned(), instance)].into(), ..LogConfig::default() },
        facts: FactLimits::default(),
        options: Options::default(),
        keep_literals: false,
    });
    let mut state = MemoryState::default();
    let mut facts = Vec::new();
    for (offset, line) in text(include_bytes!("fixtures/query_logs/postgres_day.jsonl.gz")).lines().enumerate() {
        match processor.process(&raw("warehouse.query-logs", offset, line), &schemas, &mut state).unwrap() {
            Normalized::Facts(some) => facts.extend(some),
            Normalized::NoOp(_) => {}
        }
    }
    facts
}

fn datasets(folded: &Folded) -> BTreeMap<&str, &DatasetRecord> {
    let datasets = folded.records.values().filter_map(|record| match record {
        CatalogRecord::Dataset(dataset) => Some((dataset.id.as_str(), &**dataset)),
        _ => None,
    });
    datasets.collect()
}

/// `postgres://…/shop/dbt_dev_core/t` → `core.t`.
fn table(id: &str) -> String {
    let id = id.strip_prefix("dbt://shop/exposure.shop.").unwrap_or(id);
    let id = [SERVER, TRINO].into_iter().find_map(|server| id.strip_prefix(&format!("{server}/"))).unwrap_or(id);
    id.trim_start_matches("shop/").trim_start_matches("dbt_dev_").replace('/', ".")
}

fn job(id: &str) -> String {
    let of = |namespace: &str| id.strip_prefix(EntityId::job(namespace, "").as_str()).map(str::to_owned);
    if let Some(name) = of(SERVER) {
        let is_statement = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        return if is_statement { "-".to_owned() } else { name.replacen(".shop.", ".", 1) };
    }
    match (of("airflow-shop"), of(TRINO)) {
        (Some(name), _) => format!("airflow.{name}"),
        (_, Some(_)) => "trino".to_owned(),
        _ => id.to_owned(),
    }
}

type Edges = BTreeSet<(String, String, String)>;

fn edges(folded: &Folded) -> Edges {
    let edges = folded.records.values().filter_map(|record| match record {
        CatalogRecord::Lineage(edge) => Some((table(&edge.target), job(&edge.job), table(&edge.source))),
        _ => None,
    });
    // Trino's own tables are not of the project.
    edges.filter(|(target, _, _)| !target.starts_with("memory.")).collect()
}

fn expected() -> Edges {
    let edges = GRAPH.iter().flat_map(|(written, job, read)| {
        read.iter().map(move |read| ((*written).to_owned(), (*job).to_owned(), (*read).to_owned()))
    });
    edges.collect()
}

#[test]
fn all_sources_together_give_one_graph() {
    let mut facts = reported();
    let known = fold_all(FoldConfig::default(), &facts).unwrap();
    facts.extend(logged(&known));
    let folded = fold_all(FoldConfig::default(), &facts).unwrap();
    let (found, expected) = (edges(&folded), expected());
    let missing: Vec<_> = expected.difference(&found).collect();
    let more: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty() && more.is_empty(), "missing: {missing:#?}\nmore: {more:#?}");

    // What is made on the way shows nowhere.
    let passing = ["__dbt_tmp", "__dbt_backup", "tmp_trino_", "__dbt__cte__"];
    let named: Vec<_> = datasets(&folded).into_iter().filter(|(_, dataset)| dataset.existence != "ignored").collect();
    assert!(named.iter().all(|(id, _)| !passing.iter().any(|word| id.contains(word))));

    // Tables that several sources tell of keep what each of them knows best.
    let of = |name: &str| datasets(&folded)[format!("{SERVER}/shop/{name}").as_str()];
    let orders = of("dbt_dev_core/fct_orders");
    assert_eq!((orders.existence.as_str(), orders.authority.as_str()), ("confirmed", "dbt/catalog/shop"));
    assert_eq!(orders.tags.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>(), ["core", "daily"]);
    let raw = of("public/orders_raw");
    assert_eq!((raw.existence.as_str(), raw.authority.as_str()), ("confirmed", "openlineage/airflow"));
    assert!(raw.facets.contains_key("airflow_asset"));
}
