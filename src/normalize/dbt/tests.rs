//! Small cases by hand, one for each rule; the real project is in `tests/dbt_graph.rs`.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::fact::{Aspect, Completeness, Fact, Origin, Statement};

const SERVER: &str = "postgres://db:5432";

fn normalizer() -> DbtNormalizer {
    let namespaces = vec![DbtNamespace { namespace: SERVER.into(), ..DbtNamespace::default() }];
    DbtNormalizer::new(DbtConfig { namespaces, ..DbtConfig::default() })
}

fn normalize(text: &str) -> Result<Normalized, Rejection> {
    let origin = crate::model::fact::Origin { topic: "dbt.events".into(), partition: 0, offset: 7 };
    normalizer().normalize(&RawRecord { origin, timestamp_ms: None, key: None, value: Some(text.as_bytes()) })
}

fn facts(value: &Value) -> Vec<Fact> {
    match normalize(&value.to_string()).unwrap() {
        Normalized::Facts(facts) => facts,
        Normalized::NoOp(reason) => panic!("{reason}"),
    }
}

fn rejected(text: &str) -> (ReasonCode, String) {
    let rejection = normalize(text).unwrap_err();
    (rejection.code, rejection.path)
}

fn said<'a>(facts: &'a [Fact], entity: &str, aspect: Aspect) -> Option<&'a Statement> {
    let fact = facts.iter().find(|fact| fact.entity.as_str() == entity)?;
    fact.entries.iter().find(|entry| entry.aspect == aspect)?.value.as_ref()
}

fn manifest(version: &str, nodes: Value) -> Value {
    json!({
        "metadata": {
            "dbt_schema_version": format!("https://schemas.getdbt.com/dbt/manifest/{version}.json"),
            "generated_at": "2026-01-02T03:04:05.000006Z",
            "invocation_id": "i-1",
            "adapter_type": "postgres",
        },
        "nodes": nodes,
        "sources": {},
    })
}

fn model(name: &str, more: Value) -> Value {
    let mut node = json!({
        "unique_id": format!("model.p.{name}"), "resource_type": "model", "package_name": "p", "name": name,
        "database": "d", "schema": "s", "alias": name, "config": {"materialized": "table"},
        "depends_on": {"nodes": []}, "columns": {}, "tags": [], "meta": {},
    });
    node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    node
}

#[test]
fn old_and_new_manifests_say_the_same() {
    let old =
        manifest("v4", json!({"model.p.a": model("a", json!({"compiled_sql": "select 1", "raw_sql": "{{ x }}"}))}));
    let new = manifest(
        "v12",
        json!({"model.p.a": model("a", json!({"compiled_code": "select 1", "raw_code": "{{ x }}", "language": "sql"}))}),
    );
    // Fusion counts its own versions.
    let fusion = manifest(
        "v20",
        json!({"model.p.a": model("a", json!({"compiled_code": "select 1", "raw_code": "{{ x }}", "tags": null, "meta": null}))}),
    );
    let job = EntityIdOf::job("model.p.a");
    for value in [&old, &new, &fusion] {
        let facts = facts(value);
        let Some(Statement::Sql(sql)) = said(&facts, &job, Aspect::Sql) else { panic!("compiled SQL") };
        assert_eq!((sql.text.as_str(), sql.dialect.as_str(), sql.defaults.len()), ("select 1", "postgres", 2));
        let Some(Statement::Job(job)) = said(&facts, &job, Aspect::Job) else { panic!("job") };
        assert_eq!(job.source_code.as_deref(), Some("{{ x }}"));
        assert_eq!(facts[0].version.time, 1_767_323_045_000_006);
    }
}

/// Ids of the server under test.
struct EntityIdOf;

impl EntityIdOf {
    fn job(unique_id: &str) -> String {
        crate::model::id::EntityId::job(SERVER, unique_id).to_string()
    }
}

#[test]
fn odd_fields_cost_no_manifest() {
    let odd = json!({
        "tags": "nightly", "meta": [], "description": 7, "columns": {"c": {"meta": null, "tags": "pii"}, "d": {}},
        "group": {"x": 1}, "config": {"materialized": "table", "tags": ["nightly"], "meta": {"owner": [{"name": "N", "email": "n@x"}, "b"]}},
        "access": null, "depends_on": {"nodes": ["model.p.nowhere", "macro.p.m"]},
    });
    let facts = facts(&manifest("v12", json!({"model.p.a": model("a", odd)})));
    let id = "postgres://db:5432/d/s/a";
    let Some(Statement::Tags(tags)) = said(&facts, id, Aspect::Tags) else { panic!("tags") };
    let tags: Vec<_> = tags.iter().map(|tag| (tag.key.as_str(), tag.field.as_deref())).collect();
    assert_eq!(tags, [("nightly", None), ("pii", Some("c"))]);
    let Some(Statement::Owners(owners)) = said(&facts, id, Aspect::Owners) else { panic!("owners") };
    assert_eq!(owners.iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>(), ["b", "n@x"]);
    let Some(Statement::Columns(columns)) = said(&facts, id, Aspect::Columns) else { panic!("columns") };
    assert_eq!((columns.completeness, columns.columns.len()), (Completeness::Partial, 2));
    let Some(Statement::Declared(lineage)) = said(&facts, &EntityIdOf::job("model.p.a"), Aspect::Declared) else {
        panic!("lineage")
    };
    assert_eq!((lineage.inputs.len(), lineage.outputs.len()), (0, 1));
    assert!(said(&facts, id, Aspect::Description).is_none());
}

#[test]
fn groups_own_what_belongs_to_them_and_contracts_forbid_null() {
    let columns = json!({"a": {"name": "a", "data_type": "int", "constraints": [{"type": "not_null"}]}, "b": {"name": "b", "data_type": "text"}});
    let node = model("m", json!({"group": "core", "columns": columns, "contract": {"enforced": true}}));
    let mut value = manifest("v12", json!({"model.p.m": node}));
    value["groups"] = json!({"group.p.core": {"name": "core", "owner": {"name": "Core", "email": ["a@x", "b@x"]}}});
    let facts = facts(&value);
    let id = "postgres://db:5432/d/s/m";
    let Some(Statement::Owners(owners)) = said(&facts, id, Aspect::Owners) else { panic!("owners") };
    let owners: Vec<_> = owners.iter().map(|owner| (owner.name.as_str(), owner.role.as_str())).collect();
    assert_eq!(owners, [("a@x", "GROUP"), ("b@x", "GROUP")]);
    let Some(Statement::Columns(columns)) = said(&facts, id, Aspect::Columns) else { panic!("columns") };
    assert_eq!(columns.completeness, Completeness::Complete);
    assert_eq!(columns.columns.iter().map(|column| column.nullable).collect::<Vec<_>>(), [Some(false), None]);
}

#[test]
fn metrics_and_semantic_models_are_datasets_between_models_and_exposures() {
    let mut value = manifest("v12", json!({"model.p.m": model("m", json!({}))}));
    let node = |id: &str, kind: &str, reads: &str| json!({"unique_id": id, "resource_type": kind, "package_name": "p", "name": "x", "depends_on": {"nodes": [reads]}});
    value["semantic_models"] = json!({"semantic_model.p.x": node("semantic_model.p.x", "semantic_model", "model.p.m")});
    value["metrics"] = json!({"metric.p.x": node("metric.p.x", "metric", "semantic_model.p.x")});
    let facts = facts(&value);
    let reads = |unique_id: &str| match said(&facts, &EntityIdOf::job(unique_id), Aspect::Declared) {
        Some(Statement::Declared(lineage)) => lineage.inputs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        _ => panic!("{unique_id}"),
    };
    assert_eq!(reads("semantic_model.p.x"), ["postgres://db:5432/d/s/m"]);
    assert_eq!(reads("metric.p.x"), ["dbt://p/semantic_model.p.x"]);
    assert_eq!(said(&facts, "dbt://p/metric.p.x", Aspect::DatasetKind), Some(&Statement::DatasetKind("metric".into())));
}

#[test]
fn a_generic_test_is_about_one_of_the_tables_it_reads() {
    let test = |more: Value| {
        let mut node = json!({
            "unique_id": "test.p.t.1", "resource_type": "test", "package_name": "p", "name": "t",
            "depends_on": {"nodes": ["model.p.a", "model.p.b"]},
            "test_metadata": {"name": "relationships", "kwargs": {"column_name": "k", "to": "ref('a')", "model": "{{ get_where_subquery(ref('b')) }}"}},
        });
        node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        facts(&manifest(
            "v8",
            json!({"model.p.a": model("a", json!({})), "model.p.b": model("b", json!({})), "test.p.t.1": node}),
        ))
    };
    let about = |facts: &[Fact]| match said(facts, "check://postgres:%2F%2Fdb:5432/test.p.t.1", Aspect::Subject) {
        Some(Statement::Subject(subject)) => {
            (subject.datasets.iter().map(|id| id.display_name()).collect::<Vec<_>>(), subject.field.clone())
        }
        _ => panic!("subject"),
    };
    assert_eq!(about(&test(json!({}))), (vec!["d.s.b".to_owned()], Some("k".to_owned())));
    assert_eq!(about(&test(json!({"attached_node": "model.p.a"}))).0, ["d.s.a"]);
    let singular = test(json!({"test_metadata": null}));
    assert_eq!(about(&singular).0, ["d.s.a", "d.s.b"]);
}

#[test]
fn an_envelope_says_what_the_artifact_does_not() {
    let artifact = manifest("v12", json!({"model.p.a": model("a", json!({}))}));
    let enveloped = json!({"kind": "manifest", "namespace": "snowflake://org-acc", "project": "q", "target": "prod", "artifact": artifact});
    let facts = facts(&enveloped);
    assert!(facts.iter().any(|fact| fact.entity.as_str() == "snowflake://org-acc/d/s/a"));
    assert!(facts.iter().all(|fact| fact.source.as_str() == "dbt/manifest/q/prod"));
    let of = |value: Value| rejected(&value.to_string());
    assert_eq!(of(json!({"kind": "macros", "artifact": {}})), (ReasonCode::UnknownType, "/kind".into()));
    assert_eq!(
        of(json!({"kind": "manifest.part", "part": 2, "parts": 2, "artifact": {}})),
        (ReasonCode::InvalidField, "/part".into())
    );
    assert_eq!(
        of(json!({"kind": "catalog", "artifact": {"metadata": {"generated_at": "now"}, "nodes": {"model.p.a": {}}}})),
        (ReasonCode::InvalidField, "/artifact/metadata/generated_at".into())
    );
}

#[test]
fn what_is_not_dbts_is_rejected_with_its_place() {
    for (text, code, path) in [
        ("", ReasonCode::InvalidJson, ""),
        ("[]x", ReasonCode::InvalidJson, ""),
        ("{}", ReasonCode::UnknownType, "/metadata/dbt_schema_version"),
        (
            r#"{"metadata":{"dbt_schema_version":"https://schemas.getdbt.com/dbt/selectors/v1.json"}}"#,
            ReasonCode::UnknownType,
            "/metadata/dbt_schema_version",
        ),
        (
            r#"{"metadata":{"dbt_schema_version":"https://schemas.getdbt.com/dbt/manifest/v9.json"},"nodes":{}}"#,
            ReasonCode::InvalidField,
            "/metadata/generated_at",
        ),
        (
            r#"{"info":{"name":"NodeFinished","ts":"2026-01-01T00:00:00Z"},"data":{}}"#,
            ReasonCode::MissingField,
            "/data/node_info/unique_id",
        ),
        (
            r#"{"info":{"name":"NodeFinished","ts":"later"},"data":{"node_info":{"unique_id":"model.p.a"}}}"#,
            ReasonCode::InvalidField,
            "/info/ts",
        ),
    ] {
        assert_eq!(rejected(text), (code, path.to_owned()), "{text}");
    }
    let origin = Origin { topic: "dbt.events".into(), partition: 0, offset: 0 };
    let raw = |value| RawRecord { origin: origin.clone(), timestamp_ms: None, key: None, value };
    assert_eq!(normalizer().normalize(&raw(None)).unwrap_err().code, ReasonCode::EmptyValue);
    assert_eq!(normalizer().normalize(&raw(Some(&[0xff]))).unwrap_err().code, ReasonCode::InvalidUtf8);
}

#[test]
fn names_over_the_limit_are_rejected() {
    let node = model("a", json!({"alias": "x".repeat(3_000)}));
    let (code, _) = rejected(&manifest("v12", json!({"model.p.a": node})).to_string());
    assert_eq!(code, ReasonCode::LimitExceeded);
}

#[test]
fn compiling_is_not_running() {
    let result = |more: Value| {
        let mut result =
            json!({"unique_id": "model.p.a", "status": "success", "adapter_response": {}, "message": null});
        result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let value = json!({
            "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json", "generated_at": "2026-01-01T00:00:00Z", "invocation_id": "i"},
            "results": [result],
        });
        normalize(&value.to_string()).unwrap()
    };
    assert_eq!(result(json!({})), Normalized::NoOp("dbt_without_results"));
    assert!(matches!(result(json!({"message": "SELECT 1"})), Normalized::Facts(_)));
    assert_eq!(result(json!({"unique_id": "test.p.t", "status": "success"})), Normalized::NoOp("dbt_without_results"));
    let Normalized::Facts(facts) = result(json!({"status": "error", "message": "\u{1b}[31mDatabase Error\u{1b}[0m"}))
    else {
        panic!("a failure is told")
    };
    let Some(Statement::Run(run)) = said(&facts, &EntityIdOf::job("model.p.a"), Aspect::Run) else { panic!("run") };
    assert_eq!((run.state.as_str(), run.error.as_deref()), ("FAIL", Some("Database Error")));
}

#[test]
fn fusion_tells_in_spans() {
    let span = |attributes: Value| {
        json!({
            "record_type": "SpanEnd", "trace_id": "5ca5dde38763443cb8261881dfe16f4a",
            "event_type": "v1.public.events.fusion.node.NodeEvaluated",
            "start_time_unix_nano": "1767225600000000000", "end_time_unix_nano": "1767225601000000000",
            "attributes": attributes,
        })
    };
    let ran = facts(&span(json!({
        "unique_id": "model.p.a", "database": "d", "schema": "s", "identifier": "a", "phase": "Run",
        "node_outcome": "NODE_OUTCOME_SUCCESS", "rows_affected": "12",
    })));
    let Some(Statement::Run(run)) = said(&ran, &EntityIdOf::job("model.p.a"), Aspect::Run) else { panic!("run") };
    assert_eq!((run.state.as_str(), run.time), ("COMPLETE", 1_767_225_601_000_000));
    assert_eq!(run.run_id, names::run_id("5ca5dde3-8763-443c-b826-1881dfe16f4a", "model.p.a"));
    let Some(Statement::Write(mark)) = said(&ran, "postgres://db:5432/d/s/a", Aspect::Write) else { panic!("write") };
    assert_eq!(mark.rows, Some(12));
    let tested = facts(&span(json!({
        "unique_id": "test.p.t", "phase": "Run", "node_outcome": "success",
        "node_test_detail": {"test_outcome": "TEST_OUTCOME_FAILED", "failing_rows": 3},
    })));
    let Some(Statement::Quality(quality)) = said(&tested, "check://postgres:%2F%2Fdb:5432/test.p.t", Aspect::Quality)
    else {
        panic!("quality")
    };
    assert_eq!((quality.status.as_str(), &quality.value["failures"]), ("failed", &json!(3)));
    let compiled = span(json!({"unique_id": "model.p.a", "phase": "Compile", "node_outcome": "success"}));
    assert_eq!(normalize(&compiled.to_string()).unwrap(), Normalized::NoOp("dbt_log_line"));
}

#[test]
fn statistics_are_read_under_the_names_of_each_adapter() {
    let table = |stats: Value| {
        let value = json!({
            "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/v1.json", "generated_at": "2026-01-01T00:00:00Z"},
            "nodes": {"model.p.a": {"metadata": {"type": "VIEW", "database": "d", "schema": "s", "name": "a", "comment": "c"}, "columns": {"b": {"type": "text", "index": 2, "name": "b"}, "a": {"type": "int", "index": "1", "name": "a"}}, "stats": stats}},
            "sources": {}, "errors": null,
        });
        facts(&value)
    };
    let stat = |value: Value| json!({"id": "x", "label": "x", "value": value, "include": true});
    for (stats, rows, bytes) in [
        (json!({"num_rows": stat(json!(5)), "num_bytes": stat(json!(70))}), Some(5), Some(70)),
        (json!({"row_count": stat(json!(5.0)), "bytes": stat(json!("70"))}), Some(5), Some(70)),
        (json!({"rows": stat(json!(5)), "size": stat(json!(2))}), Some(5), Some(2 << 20)),
        (json!({"row_count": stat(json!(-1)), "bytes": stat(json!(7))}), None, Some(7)),
    ] {
        let facts = table(stats);
        let Some(Statement::Stats(stats)) = said(&facts, "postgres://db:5432/d/s/a", Aspect::Stats) else {
            panic!("stats")
        };
        assert_eq!((stats.rows, stats.bytes), (rows, bytes));
        let Some(Statement::Columns(columns)) = said(&facts, "postgres://db:5432/d/s/a", Aspect::Columns) else {
            panic!("columns")
        };
        assert_eq!(columns.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }
    assert!(
        said(&table(json!({"has_stats": stat(json!(false))})), "postgres://db:5432/d/s/a", Aspect::Stats).is_none()
    );
}

#[test]
fn colours_are_not_text() {
    assert_eq!(plain("\u{1b}[31mred\u{1b}[0m and \u{1b}[1;32mgreen\u{1b}[m"), "red and green");
    assert_eq!(plain("open \u{1b}[31"), "open ");
    assert_eq!(plain("bare \u{1b} one"), "bare  one");
}

/// Records of every kind, small.
fn seeds() -> Vec<Value> {
    let node = json!({"node_info": {"unique_id": "model.p.a", "node_relation": {"relation_name": "\"d\".\"s\".\"a\""}}, "run_result": {"status": "success", "message": "OK", "adapter_response": {"rows_affected": 1.0}, "timing_info": [{"started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z"}]}});
    let metadata = |kind: &str| json!({"dbt_schema_version": format!("https://schemas.getdbt.com/dbt/{kind}/v1.json"), "generated_at": "2026-01-01T00:00:00Z", "invocation_id": "i"});
    vec![
        manifest(
            "v12",
            json!({"model.p.a": model("a", json!({"columns": {"c": {"name": "c", "data_type": "int"}}})), "test.p.t": {"unique_id": "test.p.t", "resource_type": "test", "name": "t", "attached_node": "model.p.a"}}),
        ),
        json!({"info": {"name": "NodeFinished", "ts": "2026-01-01T00:00:00Z", "invocation_id": "i"}, "data": node}),
        json!({"metadata": metadata("run-results"), "results": [{"unique_id": "test.p.t", "status": "fail", "failures": 3}, {"unique_id": "model.p.a", "status": "success", "message": "x", "relation_name": "d.s.a"}]}),
        json!({"metadata": metadata("sources"), "results": [{"unique_id": "source.p.s.t", "status": "warn", "max_loaded_at": "2026-01-01T00:00:00Z"}]}),
        json!({"metadata": metadata("catalog"), "nodes": {"model.p.a": {"metadata": {"schema": "s", "name": "a"}, "columns": {"c": {"type": "int", "index": 1}}, "stats": {"bytes": {"value": 1}}}}, "sources": {}}),
        json!({"kind": "catalog.part", "part": 0, "parts": 2, "namespace": "bigquery", "relations": {"x": {"name": "y"}}, "artifact": {"metadata": metadata("catalog"), "nodes": {"source.p.s.t": {"metadata": {"database": "d", "schema": "s", "name": "a"}, "columns": {}}}}}),
        json!({"record_type": "SpanStart", "event_type": "a.NodeEvaluated", "trace_id": "x", "start_time_unix_nano": "1", "attributes": {"unique_id": "model.p.a", "phase": "run"}}),
    ]
}

/// Any value in the place of one of a record's.
fn other() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"a": [null]}])),
        Just(json!({"name": {"deep": [1, "x"]}})),
    ]
}

/// Puts `new` into the place of the `at`-th value of `value`.
fn replace(value: &mut Value, at: &mut usize, new: &Value) -> bool {
    if *at == 0 {
        *value = new.clone();
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, at, new)),
        Value::Object(fields) => fields.values_mut().any(|field| replace(field, at, new)),
        _ => false,
    }
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in ".{0,80}") {
        let _ = normalize(&text);
        let _ = split::split(&text, &split::Sent { max_bytes: 100, ..split::Sent::default() });
    }

    #[test]
    fn no_changed_record_breaks_it(seed in 0_usize..7, at in 0_usize..60, new in other(), cut in 0_usize..2_000) {
        let mut value = seeds().remove(seed);
        replace(&mut value, &mut at.clone(), &new);
        let text = value.to_string();
        let _ = normalize(&text);
        let sent = split::Sent { namespace: Some("bigquery"), max_bytes: 6_000, ..split::Sent::default() };
        let _ = split::split(&text, &sent);
        let cut = text.chars().take(cut).collect::<String>();
        let _ = normalize(&cut);
        let _ = split::split(&cut, &sent);
    }
}
