//! Tests of the normalizer: real events, hand-checked facts, rejections, properties.

use super::*;
use crate::model::fact::{Fact, Origin};
use crate::model::reject::ReasonCode;

fn record(value: &[u8]) -> RawRecord<'_> {
    let origin = Origin { topic: "raw.openlineage".into(), partition: 0, offset: 7 };
    RawRecord { origin, timestamp_ms: None, key: None, value: Some(value) }
}

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use proptest::prelude::*;
use serde_json::json;

use crate::model::fact::{ColumnEdge, Columns, Completeness, Evidence, RunEvent};
use crate::model::id::path_id;

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).expect("fixture");
    text
}

fn spark_run() -> String {
    gunzip(include_bytes!("../../../tests/fixtures/openlineage/spark_3.5.6_ol-1.37.0.jsonl.gz"))
}

fn normalize(event: &str) -> Result<Normalized, Rejection> {
    OpenLineageNormalizer::new(OpenLineageConfig::default()).normalize(&record(event.as_bytes()))
}

fn facts(event: &Value) -> Vec<Fact> {
    match normalize(&event.to_string()).expect("valid") {
        Normalized::Facts(facts) => facts,
        Normalized::NoOp(reason) => panic!("no-op: {reason}"),
    }
}

fn statement(facts: &[Fact], entity: &str, aspect: Aspect, sub_key: &str) -> Option<Statement> {
    let fact = facts.iter().find(|fact| fact.entity.as_str() == entity)?;
    fact.entries.iter().find(|entry| entry.aspect == aspect && entry.sub_key == sub_key)?.value.clone()
}

fn run_of(facts: &[Fact]) -> RunEvent {
    let entries = facts.iter().filter(|fact| fact.kind == EntityKind::Job).flat_map(|fact| &fact.entries);
    let runs: Vec<_> = entries
        .filter_map(|entry| match &entry.value {
            Some(Statement::Run(run)) => Some(run.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(runs.len(), 1);
    runs.into_iter().next().expect("one")
}

const RUN: &str = "01a1fcc0-76ad-79b1-bb4b-64590305befb";
const JOB: &str = "job://ns/load";

/// A COMPLETE event of a plain job.
fn event(inputs: Value, outputs: Value) -> Value {
    json!({
        "eventTime": "2026-11-21T06:17:05.656Z", "eventType": "COMPLETE", "producer": "https://example.org/etl",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": { "runId": RUN }, "job": { "namespace": "ns", "name": "load" }, "inputs": inputs, "outputs": outputs,
    })
}

fn orders(facets: Value) -> Value {
    json!({ "namespace": "postgres://db:5432", "name": "shop.public.orders", "facets": facets })
}

const ORDERS: &str = "postgres://db:5432/shop/public/orders";

#[test]
fn every_event_of_the_spark_run_is_facts_or_a_counted_no_op() {
    let mut outcomes = BTreeMap::new();
    for line in spark_run().lines() {
        let outcome = match normalize(line).expect("a real event is valid") {
            Normalized::Facts(facts) => {
                assert!(!facts.is_empty() && facts.iter().all(|fact| !fact.entries.is_empty()));
                let entities: BTreeSet<_> = facts.iter().map(|fact| &fact.entity).collect();
                assert_eq!(entities.len(), facts.len(), "one fact per entity");
                for fact in &facts {
                    let registers: BTreeSet<_> = fact.entries.iter().map(|e| (e.aspect.as_str(), &e.sub_key)).collect();
                    assert_eq!(registers.len(), fact.entries.len(), "one entry per register");
                }
                "facts"
            }
            Normalized::NoOp(reason) => reason,
        };
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    // Counted from the events: 97 statement events have neither inputs nor outputs.
    assert_eq!(outcomes, BTreeMap::from([("facts", 164), ("run_without_datasets", 97)]));
}

#[test]
fn a_word_within_the_sql_of_a_dbt_model_is_no_table() {
    let field = |name: &str| json!({ "namespace": "postgres://db:5432", "name": name, "field": "id" });
    let fields = json!({ "id": { "inputFields": [field("first_last"), field("shop.staging.stg")] } });
    let mut event = event(json!([]), json!([orders(json!({ "columnLineage": { "fields": fields } }))]));
    let sources = |event: &Value| -> Vec<String> {
        run_of(&facts(event)).column_edges.iter().map(|edge| edge.source.to_string()).collect()
    };
    let table = "postgres://db:5432/shop/staging/stg".to_owned();
    // Of others nothing is known: perhaps it is a table of the default schema.
    assert_eq!(sources(&event), ["postgres://db:5432/first_last".to_owned(), table.clone()]);
    event["job"]["facets"] =
        json!({ "jobType": { "integration": "DBT", "jobType": "MODEL", "processingType": "BATCH" } });
    assert_eq!(sources(&event), std::slice::from_ref(&table));
    assert!(run_of(&facts(&event)).inputs.iter().all(|input| input.as_str() == table));
}

/// Table locations in the metastore's messages about the same run, by id.
fn table_locations() -> BTreeSet<EntityId> {
    let tail = gunzip(include_bytes!("../../../tests/fixtures/openlineage/spark_hms_tail.jsonl.gz"));
    let mut locations = BTreeSet::new();
    for line in tail.lines() {
        let event: Value = serde_json::from_str(line).expect("line");
        let message: Value = serde_json::from_str(event["message"].as_str().expect("message")).expect("message");
        for key in ["tableObjJson", "tableObjBeforeJson", "tableObjAfterJson"] {
            let Some(table) = message[key].as_str() else { continue };
            let table: Value = serde_json::from_str(table).expect("table");
            locations.extend(table["7"]["rec"]["2"]["str"].as_str().and_then(path_id));
        }
    }
    locations
}

#[test]
fn datasets_of_the_spark_run_have_the_ids_of_their_tables_locations() {
    let locations = table_locations();
    let identity = Identity::default();
    let (mut tables, mut others) = (0, BTreeMap::<String, usize>::new());
    for line in spark_run().lines() {
        let event: Value = serde_json::from_str(line).expect("line");
        let mentions = [&event["inputs"], &event["outputs"]].into_iter().filter_map(Value::as_array).flatten();
        for dataset in mentions {
            let (namespace, name) =
                (dataset["namespace"].as_str().expect("text"), dataset["name"].as_str().expect("text"));
            let id = identity.dataset(namespace, name, ReportedBy::default()).id;
            if locations.contains(&id) { tables += 1 } else { *others.entry(id.to_string()).or_default() += 1 }
        }
    }
    let rest: usize = others.values().sum();
    assert_eq!((tables, rest), (237, 30), "{others:#?}");
    let is_expected =
        |id: &String| id.starts_with("postgres://") || id.contains("/exports/") || id.ends_with("/_delta_log");
    assert!(others.keys().all(is_expected), "{others:#?}");
}

type ColumnRow = (String, String, String, String);

/// Sources and column rows by (verb, target), of runs that succeeded and never failed.
fn spark_graph() -> BTreeMap<(String, String), (BTreeSet<String>, BTreeSet<ColumnRow>)> {
    let runs: Vec<(EntityId, RunEvent)> = spark_run()
        .lines()
        .filter_map(|line| match normalize(line).expect("valid") {
            Normalized::Facts(facts) => Some(facts),
            Normalized::NoOp(_) => None,
        })
        .flatten()
        .flat_map(|fact| {
            let entity = fact.entity;
            fact.entries.into_iter().filter_map(move |entry| match entry.value {
                Some(Statement::Run(run)) => Some((entity.clone(), run)),
                _ => None,
            })
        })
        .collect();
    let failed: BTreeSet<_> =
        runs.iter().filter(|(_, run)| run.state == "FAIL").map(|(_, run)| run.run_id.clone()).collect();
    assert_eq!(failed.len(), 1, "the failing CTAS");
    let mut graph = BTreeMap::new();
    for (job, run) in runs.iter().filter(|(_, run)| run.state == "COMPLETE" && !failed.contains(&run.run_id)) {
        for target in run.outputs.iter().filter(|_| !run.inputs.is_empty()) {
            let name = job.display_name();
            let verb = name.strip_prefix("shop_nightly_etl.").and_then(|rest| rest.strip_suffix(&format!(".{target}")));
            let verb = verb.expect("statement jobs are named application.verb.output").to_owned();
            let (sources, columns): &mut (BTreeSet<_>, BTreeSet<_>) =
                graph.entry((verb, target.to_string())).or_default();
            sources.extend(run.inputs.iter().map(ToString::to_string));
            let row = |edge: &ColumnEdge| {
                let kind = format!("{}/{}", edge.kind, edge.subtype);
                (edge.target_field.clone(), edge.source.to_string(), edge.source_field.clone(), kind)
            };
            columns.extend(run.column_edges.iter().filter(|edge| edge.target == *target).map(row));
        }
    }
    graph
}

#[test]
fn the_spark_runs_graph_is_the_one_its_sql_says() {
    let expected: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/openlineage/spark_graph.expected.json"))
            .expect("json");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let id = |value: &Value| text(&expected["datasets"][value.as_str().expect("text")]);
    let list = |value: &Value| value.as_array().expect("array").clone();
    let mut graph = BTreeMap::new();
    for edge in list(&expected["edges"]) {
        let sources: BTreeSet<_> = list(&edge["sources"]).iter().map(id).collect();
        let row = |row: &Value| (text(&row[0]), id(&row[1]), text(&row[2]), text(&row[3]));
        let columns: BTreeSet<_> = list(&edge["columns"]).iter().map(row).collect();
        graph.insert((text(&edge["verb"]), id(&edge["target"])), (sources, columns));
    }
    let found = spark_graph();
    assert_eq!(found.keys().collect::<Vec<_>>(), graph.keys().collect::<Vec<_>>());
    for (key, edges) in &graph {
        assert_eq!(found.get(key), Some(edges), "{key:?}");
    }
}

#[test]
fn both_halves_of_a_ctas_are_one_job_under_the_application() {
    let ids = |needle: &str| -> BTreeSet<String> {
        let events = spark_run();
        let lines = events.lines().filter(|line| line.contains(needle)).filter_map(|line| match normalize(line) {
            Ok(Normalized::Facts(facts)) => Some(facts),
            _ => None,
        });
        let jobs = lines.flatten().filter(|fact| fact.kind == EntityKind::Job);
        jobs.map(|fact| fact.entity.to_string()).collect()
    };
    let outer = ids("execute_create_data_source_table_as_select_command.spark_shop_orders_by_country");
    assert_eq!(outer, ids("adaptive_spark_plan.spark_shop_db_orders_by_country"));
    let id = "shop_nightly_etl.write.viewfs://lake/warehouse/spark_shop.db/orders_by_country";
    assert_eq!(outer, BTreeSet::from([EntityId::job("etl-shop", id).to_string()]));
}

#[test]
fn a_successful_write_states_existence_columns_and_freshness() {
    let facets = json!({
        "schema": { "fields": [
            { "name": "id", "type": "long", "description": "key" },
            { "name": "tags", "type": "array", "fields": [{ "name": "_element", "type": "string" }] },
            { "name": "m", "type": "map", "fields": [{ "name": "key", "type": "string" }, { "name": "value", "type": "int" }] },
            { "name": "_file", "type": "string" },
        ] },
        "storage": { "storageLayer": "iceberg", "fileFormat": "parquet" },
        "version": { "datasetVersion": "42" },
        "custom": { "x": 1 },
    });
    let output = json!({ "namespace": "postgres://db:5432", "name": "shop.public.Orders", "facets": facets,
        "outputFacets": { "outputStatistics": { "rowCount": 50, "size": 9_223_372_036_854_775_807_i64 } } });
    let facts = facts(&event(json!([]), json!([output])));
    assert_eq!(facts.iter().map(|fact| fact.entity.as_str()).collect::<Vec<_>>(), [JOB, ORDERS]);
    let of = |aspect, sub_key| statement(&facts, ORDERS, aspect, sub_key);
    let Some(Statement::Existence(existence)) = of(Aspect::Existence, "") else { panic!("existence") };
    assert_eq!((existence.state, existence.evidence), (ExistenceState::Confirmed, Evidence::Output));
    let Some(Statement::Columns(Columns { completeness, columns })) = of(Aspect::Columns, "") else {
        panic!("columns")
    };
    assert_eq!(completeness, Completeness::Complete);
    assert_eq!(
        columns.iter().map(|c| (&*c.name, &*c.data_type)).collect::<Vec<_>>(),
        [("id", "long"), ("tags", "array"), ("m", "map<string,int>")]
    );
    assert_eq!((columns[1].fields[0].name.as_str(), columns[2].fields[0].name.as_str()), ("[]", "{}"));
    let Some(Statement::Write(mark)) = of(Aspect::Write, "") else { panic!("write") };
    assert_eq!((mark.rows, mark.bytes, mark.time, mark.job.as_str()), (Some(50), None, 1_795_241_825_656_000, JOB));
    assert_eq!(of(Aspect::Facet, "custom"), Some(Statement::Facet(json!({ "x": 1 }))));
    assert_eq!(of(Aspect::DatasetVersion, ""), Some(Statement::DatasetVersion("42".into())));
    assert_eq!(facts[1].version.seq, State::Complete.rank());
    assert_eq!(facts[1].source.as_str(), "openlineage/other");
}

#[test]
fn a_failed_run_only_mentions_its_outputs() {
    let mut failed = event(json!([]), json!([orders(json!({ "schema": { "fields": [{ "name": "id" }] } }))]));
    failed["eventType"] = json!("FAIL");
    failed["run"]["facets"] = json!({ "errorMessage": { "message": "boom", "programmingLanguage": "JAVA" } });
    let facts = facts(&failed);
    let aspects: Vec<_> = facts[1].entries.iter().map(|entry| (entry.aspect, entry.sub_key.as_str())).collect();
    assert_eq!(aspects, [(Aspect::Name, "postgres://db:5432|shop.public.orders"), (Aspect::Existence, "mention"),]);
    assert_eq!(run_of(&facts).error.as_deref(), Some("boom"));
}

#[test]
fn column_lineage_of_all_versions_becomes_edges_and_inputs() {
    let source = |field: &str| json!({ "namespace": "postgres://db:5432", "name": "shop.public.Raw", "field": field });
    let lineage = json!({
        "fields": {
            "id": { "inputFields": [source("ID")], "transformationType": "IDENTITY", "transformationDescription": "as is" },
            "mail": { "inputFields": [source("mail")], "transformationType": "MASKED" },
            "_0": { "inputFields": [source("n")] },
        },
        "dataset": [{ "namespace": "postgres://db:5432", "name": "shop.public.raw", "field": "day",
            "transformations": [{ "type": "INDIRECT", "subtype": "FILTER" }] }],
    });
    let schema = json!({ "fields": [{ "name": "id" }, { "name": "mail" }] });
    let run = run_of(&facts(&event(json!([]), json!([orders(json!({ "columnLineage": lineage, "schema": schema }))]))));
    let rows: Vec<_> = run
        .column_edges
        .iter()
        .map(|e| {
            (
                &*e.target_field,
                &*e.source_field,
                format!("{}/{}", e.kind, e.subtype),
                &*e.description,
                e.masking,
                e.unmapped,
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("", "day", "INDIRECT/FILTER".to_owned(), "", false, false),
            ("_0", "n", "/".to_owned(), "", false, true),
            ("id", "id", "DIRECT/IDENTITY".to_owned(), "as is", false, false),
            ("mail", "mail", "DIRECT/TRANSFORMATION".to_owned(), "", true, false),
        ]
    );
    let inputs: Vec<_> = run.inputs.iter().map(EntityId::as_str).collect();
    assert_eq!(inputs, ["postgres://db:5432/shop/public/raw"], "an upstream named by lineage only is an input");
}

#[test]
fn renames_and_drops_are_told_to_the_names_they_concern() {
    let change = |facet: Value| facts(&event(json!([]), json!([orders(json!({ "lifecycleStateChange": facet }))])));
    let previous = json!({ "namespace": "postgres://db:5432", "name": "shop.public.old" });
    let renamed = change(json!({ "lifecycleStateChange": "RENAME", "previousIdentifier": previous }));
    let to = statement(&renamed, "postgres://db:5432/shop/public/old", Aspect::RenamedTo, "");
    assert_eq!(to, Some(Statement::RenamedTo(EntityId::from_canonical(ORDERS))));
    let dropped = change(json!({ "lifecycleStateChange": "DROP" }));
    let Some(Statement::Existence(gone)) = statement(&dropped, ORDERS, Aspect::Existence, "") else {
        panic!("existence")
    };
    assert_eq!((gone.state, gone.floor), (ExistenceState::Dropped, true));
    assert_eq!(statement(&dropped, ORDERS, Aspect::Write, ""), None);
}

#[test]
fn a_facet_that_does_not_parse_is_kept_and_costs_nothing_else() {
    let facts = facts(&event(
        json!([]),
        json!([orders(json!({
            "ownership": { "owners": "me" }, "documentation": { "description": "all orders" },
        }))]),
    ));
    let Some(Statement::Facet(kept)) = statement(&facts, ORDERS, Aspect::Facet, "ownership") else { panic!("kept") };
    assert_eq!(kept["owners"], "me");
    assert!(kept["_malformed"].is_string());
    assert_eq!(statement(&facts, ORDERS, Aspect::Description, ""), Some(Statement::Description("all orders".into())));
}

#[test]
fn what_json_lacks_is_read_as_unknown() {
    let text = event(json!([]), json!([orders(json!({ "custom": { "mean": "MEAN", "s": "a \\\"NaN" } }))])).to_string();
    let facts = match normalize(&text.replace("\"MEAN\"", "NaN")).expect("valid") {
        Normalized::Facts(facts) => facts,
        Normalized::NoOp(reason) => panic!("{reason}"),
    };
    let custom = statement(&facts, ORDERS, Aspect::Facet, "custom");
    assert_eq!(custom, Some(Statement::Facet(json!({ "mean": null, "s": "a \\\"NaN" }))));
}

#[test]
fn a_repeated_event_of_one_input_and_one_output_is_three_equal_facts() {
    let text = event(json!([{ "namespace": "s3://b", "name": "raw" }]), json!([orders(json!({}))])).to_string();
    let once = normalize(&text);
    assert!(matches!(&once, Ok(Normalized::Facts(facts)) if facts.len() == 3), "{once:?}");
    assert_eq!(once, normalize(&text));
}

#[test]
fn dataset_and_job_events_need_no_run() {
    let mut dataset = event(json!([]), json!([]));
    for field in ["eventType", "run", "job", "inputs", "outputs"] {
        dataset.as_object_mut().expect("object").remove(field);
    }
    dataset["schemaURL"] = json!("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetEvent");
    dataset["dataset"] = orders(json!({ "documentation": { "description": "d" } }));
    let described = facts(&dataset);
    assert_eq!(statement(&described, ORDERS, Aspect::Description, ""), Some(Statement::Description("d".into())));

    let mut job = event(json!([{ "namespace": "s3://b", "name": "raw" }]), json!([orders(json!({}))]));
    job.as_object_mut().expect("object").remove("run");
    job.as_object_mut().expect("object").remove("eventType");
    job["schemaURL"] = json!("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent");
    let run = run_of(&facts(&job));
    assert_eq!((run.state.as_str(), run.inputs.len(), run.outputs.len()), ("COMPLETE", 1, 1));
}

#[test]
fn what_breaks_the_core_is_rejected_with_its_place() {
    let with = |path: &str, value: Value| {
        let mut event = event(json!([{ "namespace": "s3://b", "name": "raw" }]), json!([]));
        *event.pointer_mut(path).expect("path") = value;
        event.to_string()
    };
    use ReasonCode::{InvalidField, InvalidJson, MissingField};
    for (text, code, path) in [
        (with("/eventTime", Value::Null), MissingField, "/eventTime"),
        (with("/eventTime", json!("yesterday")), InvalidField, "/eventTime"),
        (with("/eventTime", json!(1)), InvalidField, "/eventTime"),
        (with("/eventType", json!("DONE")), InvalidField, "/eventType"),
        (with("/producer", Value::Null), MissingField, "/producer"),
        (with("/schemaURL", Value::Null), MissingField, "/schemaURL"),
        (with("/run", Value::Null), MissingField, "/run"),
        (with("/run", json!({})), MissingField, "/run/runId"),
        (with("/run/runId", json!("run_id")), InvalidField, "/run/runId"),
        (with("/job", Value::Null), MissingField, "/job"),
        (with("/job/name", Value::Null), MissingField, "/job/name"),
        (with("/job/namespace", json!(7)), InvalidField, "/job/namespace"),
        (with("/inputs", json!({})), InvalidField, "/inputs"),
        (with("/inputs/0", json!({ "namespace": "x" })), MissingField, "/inputs/0/name"),
        (with("/inputs/0/name", json!([])), InvalidField, "/inputs/0/name"),
        (with("/outputs", json!([{ "namespace": "x", "name": "y", "facets": [] }])), InvalidField, "/outputs/0/facets"),
        (with("/run", json!([RUN])), InvalidField, "/run"),
        (with("/inputs/0", json!(["s3://b", "raw"])), InvalidField, "/inputs/0"),
        ("[]".to_owned(), InvalidJson, ""),
        ("{".to_owned(), InvalidJson, ""),
        (String::new(), InvalidJson, ""),
        ("{}".to_owned(), MissingField, "/eventTime"),
    ] {
        let rejection = normalize(&text).expect_err(&text);
        assert_eq!((rejection.code, rejection.path.as_str()), (code, path), "{text}");
    }
    let normalizer = OpenLineageNormalizer::new(OpenLineageConfig::default());
    let empty = normalizer.normalize(&RawRecord { value: None, ..record(b"") }).expect_err("null");
    assert_eq!(empty.code, ReasonCode::EmptyValue);
    assert_eq!(normalizer.normalize(&record(b"\xff")).expect_err("bytes").code, ReasonCode::InvalidUtf8);
}

#[test]
fn depth_is_bounded() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let custom = event(json!([]), json!([orders(json!({ "custom": "DEEP", "columnLineage": "DEEP" }))])).to_string();
    assert!(normalize(&custom.replace("\"DEEP\"", &deep(100_000))).is_ok(), "a deep facet is kept in part");
    assert!(normalize(&deep(100_000)).is_err());
}

/// The rest of the facets, each written by its schema: what has no place of its own is kept as JSON.
#[test]
fn nothing_that_a_core_facet_says_is_dropped() {
    let facets = json!({
        "schema": { "fields": [
            { "name": "b", "type": "struct", "ordinal_position": 2, "fields": [{ "name": "c", "type": "int" }] },
            { "name": "a", "type": "int", "ordinal_position": 1 },
        ] },
        "documentation": { "description": "d", "contentType": "text/markdown" },
        "datasetType": { "datasetType": "TABLE", "subType": "MATERIALIZED" },
        "storage": { "storageLayer": "snowflake", "fileFormat": "PARQUET" },
        "dataSource": { "name": "shop", "uri": "postgres://db:5432/shop" },
        "catalog": { "framework": "iceberg", "type": "rest", "name": "prod" },
        "hierarchy": { "hierarchy": [{ "type": "DATABASE", "name": "shop" }] },
        "tags": { "tags": [{ "key": "pii", "value": "true", "field": "b.c" }] },
        "dataQualityMetrics": { "rowCount": 3, "lastUpdated": "2026-01-01T00:00:00Z", "columnMetrics": { "b.c": { "nullCount": 1 } } },
        "dataQualityAssertions": { "assertions": [
            { "assertion": "between", "success": true, "column": "a", "params": { "max": 1 } },
            { "assertion": "between", "success": false, "column": "a", "params": { "max": 2 } },
            { "assertion": "not_null", "success": true, "column": "a", "name": "not_null" },
            { "assertion": "not_null", "success": false, "column": "b.c", "name": "not_null", "severity": "warn" },
        ] },
    });
    let mut output = orders(facets);
    output["outputFacets"] = json!({ "outputStatistics": { "rowCount": 50, "fileCount": 2 } });
    let mut event = event(json!([]), json!([output]));
    event["job"]["facets"] = json!({
        "sourceCode": { "language": "python", "sourceCode": "x = 1" },
        "jobType": { "processingType": "BATCH", "integration": "X", "emissionPattern": { "eventTrigger": "CHANGE" } },
    });
    event["run"]["facets"] = json!({
        "nominalTime": { "nominalStartTime": "some day" },
        "processing_engine": { "version": "3.5", "name": "spark", "openlineageAdapterVersion": "1.37.0" },
        "jobDependencies": { "upstream": [{ "job": { "namespace": "ns", "name": "before" }, "sequence_trigger_rule": "FINISH_TO_START" }] },
    });
    let facts = facts(&event);
    let facet = |entity: &str, name: &str| match statement(&facts, entity, Aspect::Facet, name) {
        Some(Statement::Facet(value)) => value,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(facet(ORDERS, "documentation"), json!({ "contentType": "text/markdown" }));
    assert_eq!(facet(ORDERS, "datasetType"), json!({ "subType": "MATERIALIZED" }));
    assert_eq!(facet(ORDERS, "storage"), json!({ "storageLayer": "snowflake" }));
    assert_eq!(facet(ORDERS, "dataSource")["uri"], "postgres://db:5432/shop");
    assert_eq!(facet(ORDERS, "catalog")["name"], "prod");
    assert_eq!(facet(ORDERS, "hierarchy")["hierarchy"][0]["type"], "DATABASE");
    assert_eq!(facet(ORDERS, "dataQualityMetrics"), json!({ "lastUpdated": "2026-01-01T00:00:00Z" }));
    assert_eq!(facet(JOB, "sourceCode"), json!({ "language": "python" }));
    assert_eq!(facet(JOB, "jobType"), json!({ "emissionPattern": { "eventTrigger": "CHANGE" } }));
    let of = |aspect, sub_key| statement(&facts, ORDERS, aspect, sub_key);
    let Some(Statement::Columns(columns)) = of(Aspect::Columns, "") else { panic!("columns") };
    assert_eq!(columns.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let Some(Statement::Tags(tags)) = of(Aspect::Tags, "") else { panic!("tags") };
    assert_eq!(tags[0].field.as_deref(), Some("b.c"), "the field in the struct");
    assert!(of(Aspect::ColumnStats, "b.c").is_some());
    let quality = facts.iter().flat_map(|fact| &fact.entries).filter_map(|entry| match &entry.value {
        Some(Statement::Quality(quality)) => Some((entry.sub_key.as_str(), quality.status.as_str())),
        _ => None,
    });
    let expected = [
        ("between(a)", "passed"),
        ("between(a)%20%232", "failed"),
        ("not_null", "passed"),
        ("not_null(b.c)", "failed"),
    ];
    assert_eq!(quality.collect::<Vec<_>>(), expected);
    let run = run_of(&facts);
    assert_eq!(run.facets["outputs"][ORDERS]["outputStatistics"], json!({ "rowCount": 50, "fileCount": 2 }));
    assert_eq!(run.facets["nominalTime"]["nominalStartTime"], "some day");
    assert_eq!(run.facets["processing_engine"], json!({ "openlineageAdapterVersion": "1.37.0" }));
    assert_eq!(run.facets["jobDependencies"]["upstream"][0]["sequence_trigger_rule"], "FINISH_TO_START");
    assert_eq!(run.nominal_start, None);
}

/// A run that only started, or failed, shows what it said; its datasets are only mentioned.
#[test]
fn unknown_facets_of_unfinished_runs_are_the_runs() {
    for state in ["START", "RUNNING", "FAIL", "ABORT", "OTHER"] {
        let mut input = json!({ "namespace": "s3://b", "name": "raw", "facets": { "custom": { "x": 1 } } });
        input["inputFacets"] = json!({ "inputStatistics": { "size": 7 } });
        let mut event = event(json!([input]), json!([orders(json!({ "custom": { "y": 2 } }))]));
        event["eventType"] = json!(state);
        let facts = facts(&event);
        let run = run_of(&facts);
        assert_eq!(
            run.facets["inputs"]["s3://b/raw"],
            json!({ "custom": { "x": 1 }, "inputStatistics": { "size": 7 } })
        );
        assert_eq!(run.facets["outputs"][ORDERS], json!({ "custom": { "y": 2 } }));
        assert_eq!(statement(&facts, ORDERS, Aspect::Facet, "custom"), None);
    }
}

#[test]
fn what_is_declared_without_a_run_counts_as_far_as_it_goes() {
    let mut dataset = event(json!([]), json!([]));
    for field in ["eventType", "run", "job", "inputs", "outputs"] {
        dataset.as_object_mut().expect("object").remove(field);
    }
    dataset["schemaURL"] = json!("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetEvent");
    let old = json!({ "namespace": "postgres://db:5432", "name": "shop.public.old" });
    dataset["dataset"] = orders(json!({
        "version": { "datasetVersion": "7" },
        "lifecycleStateChange": { "lifecycleStateChange": "RENAME", "previousIdentifier": old },
    }));
    let renamed = facts(&dataset);
    let version = statement(&renamed, ORDERS, Aspect::DatasetVersion, "");
    assert_eq!(version, Some(Statement::DatasetVersion("7".into())));
    let to = statement(&renamed, "postgres://db:5432/shop/public/old", Aspect::RenamedTo, "");
    assert_eq!(to, Some(Statement::RenamedTo(EntityId::from_canonical(ORDERS))));
    dataset["dataset"] = orders(json!({ "lifecycleStateChange": { "lifecycleStateChange": "DROP" } }));
    let Some(Statement::Existence(gone)) = statement(&facts(&dataset), ORDERS, Aspect::Existence, "") else {
        panic!("existence")
    };
    assert_eq!(gone.state, ExistenceState::Dropped);

    // A job's declaration plans its outputs: they are mentioned, with the columns that they will have at least.
    let planned = orders(json!({
        "schema": { "fields": [{ "name": "id", "type": "int" }] }, "custom": { "x": 1 },
        "columnLineage": { "fields": { "id": { "inputFields": [{ "namespace": "s3://b", "name": "raw", "field": "n" }] } } },
    }));
    let mut job = event(json!([]), json!([planned]));
    for field in ["eventType", "run"] {
        job.as_object_mut().expect("object").remove(field);
    }
    job["schemaURL"] = json!("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent");
    let facts = facts(&job);
    let Some(Statement::Columns(columns)) = statement(&facts, ORDERS, Aspect::Columns, "id") else { panic!("columns") };
    assert_eq!(columns.completeness, Completeness::Partial);
    assert_eq!(statement(&facts, ORDERS, Aspect::Facet, "custom"), Some(Statement::Facet(json!({ "x": 1 }))));
    assert_eq!(run_of(&facts).column_edges.len(), 1);
}

#[test]
fn a_location_symlink_is_the_directory_of_the_table() {
    let links = json!({ "identifiers": [
        { "namespace": "s3://b", "name": "t/_delta_log", "type": "LOCATION" },
        { "namespace": "s3a://b", "name": "u/day=1/h=2", "type": "location" },
        { "namespace": "hive://h:9083", "name": "d.t", "type": "TABLE" },
    ] });
    let facts = facts(&event(json!([]), json!([orders(json!({ "symlinks": links }))])));
    let found: Vec<_> = facts
        .iter()
        .flat_map(|fact| &fact.entries)
        .filter_map(|entry| match &entry.value {
            Some(Statement::Symlink(link)) => Some((entry.sub_key.as_str(), link.kind.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(found, [("s3://b/t", "LOCATION"), ("s3://b/u", "LOCATION"), ("hive://h:9083/d/t", "TABLE")]);
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zA-Z0-9:/.-]{0,12}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let names = prop::sample::select(vec![
            "fields",
            "name",
            "type",
            "inputFields",
            "namespace",
            "owners",
            "dataset",
            "run",
            "job",
            "runId",
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_facts_or_a_rejection(text in any::<String>()) {
        let _ = normalize(&text);
    }

    #[test]
    fn any_json_in_any_place_is_facts_or_a_rejection_with_a_place_that_exists_or_is_missing(
        place in prop::sample::select(vec!["eventTime", "eventType", "run", "job", "inputs", "outputs", "dataset"]), value in json_values(),
    ) {
        let mut event = event(json!([]), json!([]));
        event[place] = value;
        if let Err(rejection) = normalize(&event.to_string()) {
            prop_assert!(rejection.path.starts_with('/'), "{rejection}");
        }
    }

    #[test]
    fn no_facet_costs_the_event(
        name in prop::sample::select(vec![
            "schema", "columnLineage", "symlinks", "ownership", "tags", "storage", "version", "documentation", "catalog",
            "lifecycleStateChange", "dataQualityMetrics", "dataQualityAssertions", "datasetType", "outputStatistics",
        ]),
        value in json_values(),
    ) {
        let mut facets = serde_json::Map::new();
        facets.insert(name.to_owned(), value);
        let text = event(json!([]), json!([orders(Value::Object(facets))])).to_string();
        prop_assert!(matches!(normalize(&text), Ok(Normalized::Facts(facts)) if facts.len() >= 2));
    }
}
