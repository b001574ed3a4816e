//! Tests of the normalizer: hand-written events, rejections with their paths, properties.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::fact::{Aspect, Evidence, ExistenceState, Fact, Origin, RunEvent, Statement};

fn record(value: &[u8]) -> RawRecord<'_> {
    let origin = Origin { topic: "airflow.events".into(), partition: 0, offset: 7 };
    RawRecord { origin, timestamp_ms: None, key: None, value: Some(value) }
}

fn normalize(text: &str) -> Result<Normalized, Rejection> {
    AirflowNormalizer::new(AirflowConfig::default()).normalize(&record(text.as_bytes()))
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
    let mut runs = facts.iter().flat_map(|fact| &fact.entries).filter_map(|entry| match &entry.value {
        Some(Statement::Run(run)) => Some(run.clone()),
        _ => None,
    });
    runs.next().expect("a run")
}

fn task(event_type: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut event = json!({
        "event_type": event_type, "emitted_at": "2026-11-21T06:15:00+00:00",
        "task_instance": {
            "dag_id": "etl", "task_id": "load", "run_id": "manual__2026-11-21T06:13:15.226926+00:00",
            "map_index": -1, "try_number": 1, "state": "success", "start_date": "2026-11-21T06:14:00+00:00",
            "end_date": "2026-11-21T06:14:30+00:00", "logical_date": null,
            "task": { "operator": "X", "owner": "a, b,,a", "inlets": [], "outlets": [], "doc": "does it" },
        },
    });
    change(&mut event);
    event
}

fn dag_run(change: impl FnOnce(&mut Value)) -> Value {
    let mut event = json!({
        "event_type": "dag_run.running", "emitted_at": "2026-11-21T06:15:00+00:00", "msg": "",
        "dag_run": {
            "dag_id": "etl", "run_id": "r1", "run_type": "manual", "run_after": "2026-11-21T06:13:15.226926+00:00",
            "start_date": "2026-11-21T06:13:20+00:00", "clear_number": 0, "conf": {},
            "dag": { "owner": "a", "tags": ["x"], "schedule": "@daily", "fileloc": "etl.py", "task_ids": ["load"] },
        },
    });
    change(&mut event);
    event
}

const JOB: &str = "job://default/etl.load";

#[test]
fn states_of_airflow_are_states_of_runs() {
    for (what, state, seconds) in [
        ("queued", "OTHER", 60),
        ("running", "START", 0),
        ("deferred", "RUNNING", 60),
        ("success", "COMPLETE", 30),
        ("failed", "FAIL", 30),
        ("up_for_retry", "FAIL", 30),
        ("skipped", "ABORT", 30),
        ("removed", "ABORT", 30),
        ("upstream_failed", "ABORT", 30),
    ] {
        let run = run_of(&facts(&task(&format!("task_instance.{what}"), |_| {})));
        // 06:14:00 is when it started, 06:15:00 when the event was sent.
        let started = 1_795_241_640_000_000;
        assert_eq!((run.state.as_str(), run.time), (state, started + seconds * 1_000_000), "{what}");
    }
}

#[test]
fn a_task_is_a_job_of_its_dag_with_owners_words_and_error() {
    let facts = facts(&task("task_instance.failed", |event| {
        event["error"] = json!({ "type": "ValueError", "message": "no" });
        event["airflow_version"] = json!("3.1.8");
    }));
    let Some(Statement::Job(job)) = statement(&facts, JOB, Aspect::Job, "") else { panic!("a job") };
    assert_eq!(job.parent.as_ref().map(|id| id.as_str()), Some("job://default/etl"));
    assert_eq!((job.job_type.as_str(), job.name.as_str()), ("TASK", "etl.load"));
    let Some(Statement::Owners(owners)) = statement(&facts, JOB, Aspect::Owners, "") else { panic!("owners") };
    assert_eq!(owners.iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let said = statement(&facts, JOB, Aspect::Description, "");
    assert_eq!(said, Some(Statement::Description("does it".into())));
    let run = run_of(&facts);
    assert_eq!((run.error.as_deref(), run.engine.as_deref()), (Some("no"), Some("airflow 3.1.8")));
    assert_eq!(run.facets["airflow_task_instance"]["error_type"], "ValueError");
    for (error, text) in [(json!("lost"), Some("lost")), (json!(null), None), (json!({ "type": "E" }), Some("E"))] {
        let event = task("task_instance.failed", |event| event["error"] = error.clone());
        assert_eq!(run_of(&super::tests::facts(&event)).error.as_deref(), text, "{error}");
    }
    // What did not fail has no error, whatever stands there.
    let event = task("task_instance.success", |event| event["error"] = json!("old"));
    assert_eq!(run_of(&super::tests::facts(&event)).error, None);
}

#[test]
fn a_run_is_the_providers_where_its_instant_is_known() {
    let id = |event: &Value| (run_of(&facts(event)).run_id, run_of(&facts(event)).parent_run);
    let plain = id(&task("task_instance.success", |_| {}));
    // The parent is the run of the DAG, whose event gives the instant by itself.
    assert_eq!(plain.1.as_ref(), Some(&run_of(&facts(&dag_run(|_| {}))).run_id));
    let instance =
        |change: fn(&mut Value)| id(&task("task_instance.success", |event| change(&mut event["task_instance"])));
    assert_ne!(instance(|it| it["try_number"] = json!(2)).0, plain.0);
    assert_ne!(instance(|it| it["map_index"] = json!(0)).0, plain.0);
    // A logical date goes before what the id says, and so does an own run_after.
    let noon = instance(|it| it["logical_date"] = json!("2026-11-21T12:00:00Z"));
    assert_ne!(noon.0, plain.0);
    let named = |run: &str, after: Value| {
        id(&task("task_instance.success", |event| {
            event["task_instance"]["run_id"] = json!(run);
            event["task_instance"]["run_after"] = after;
        }))
    };
    assert_eq!(named("mine", json!("2026-11-21T12:00:00Z")), noon);
    // Nothing dates it: still one run for one try, below one run of the DAG.
    let untimed = named("mine", json!(null));
    assert_eq!(untimed, named("mine", json!(null)));
    let of_dag = dag_run(|event| {
        event["dag_run"]["run_id"] = json!("mine");
        event["dag_run"]["run_after"] = json!(null);
    });
    assert_eq!(untimed.1, Some(run_of(&facts(&of_dag)).run_id));
    assert_ne!(untimed.0, named("other", json!(null)).0);
    // Clearing a DAG run begins another one.
    let cleared = dag_run(|event| event["dag_run"]["clear_number"] = json!(1));
    assert_ne!(Some(run_of(&facts(&cleared)).run_id), plain.1);
}

#[test]
fn inlets_and_outlets_are_what_a_try_reads_and_writes() {
    let event = |kind: &str| {
        task(kind, |event| {
            event["task_instance"]["task"]["inlets"] = json!([{ "name": "raw", "uri": "s3://b/raw" }, null]);
            event["task_instance"]["task"]["outlets"] = json!(["postgres://h:5432/d/s/t", "report"]);
        })
    };
    let facts = facts(&event("task_instance.success"));
    let run = run_of(&facts);
    let texts = |ids: &[crate::model::id::EntityId]| ids.iter().map(|id| id.to_string()).collect::<Vec<_>>();
    assert_eq!(texts(&run.inputs), ["s3://b/raw"]);
    assert_eq!(texts(&run.outputs), ["airflow-asset://default/report", "postgres://h:5432/d/s/t"]);
    let existence = |facts: &[Fact], id: &str, key: &str| match statement(facts, id, Aspect::Existence, key) {
        Some(Statement::Existence(existence)) => (existence.state, existence.evidence),
        other => panic!("{id}: {other:?}"),
    };
    let written = (ExistenceState::Confirmed, Evidence::Output);
    assert_eq!(existence(&facts, "postgres://h:5432/d/s/t", ""), written);
    assert_eq!(existence(&facts, "s3://b/raw", "mention"), (ExistenceState::Referenced, Evidence::Mention));
    assert!(statement(&facts, "postgres://h:5432/d/s/t", Aspect::Write, "").is_some());
    let facts = super::tests::facts(&event("task_instance.failed"));
    let mentioned = (ExistenceState::Referenced, Evidence::Mention);
    assert_eq!(existence(&facts, "postgres://h:5432/d/s/t", "mention"), mentioned);
    assert!(statement(&facts, "postgres://h:5432/d/s/t", Aspect::Write, "").is_none());
}

#[test]
fn dag_runs_say_their_schedule_tags_and_what_they_waited_for() {
    let facts = facts(&dag_run(|event| {
        event["namespace"] = json!("prod");
        event["dag_run"]["consumed_asset_events"] = json!([
            { "uri": "s3://b/x", "source_dag_id": "up", "source_task_id": "make", "source_run_id": "r" },
            { "uri": "s3://b/x", "source_dag_id": "up", "source_task_id": "make", "source_run_id": "r2" },
            { "uri": "s3://b/y", "source_dag_id": null, "source_task_id": null },
        ]);
    }));
    let id = "job://prod/etl";
    let facet = |name: &str| statement(&facts, id, Aspect::Facet, name);
    assert_eq!(facet("airflow_schedule"), Some(Statement::Facet(json!({ "schedule": "@daily" }))));
    assert_eq!(facet("airflow_dag"), Some(Statement::Facet(json!({ "task_ids": ["load"] }))));
    let waits: Vec<&str> = facts[0]
        .entries
        .iter()
        .filter(|entry| entry.aspect == Aspect::JobDependency)
        .map(|entry| entry.sub_key.as_str())
        .collect();
    assert_eq!(waits, ["job://prod/up.make"]);
}

#[test]
fn assets_are_kept_by_their_uri() {
    let asset = |kind: &str, asset: Value| {
        json!({
            "event_type": kind, "emitted_at": "2026-11-21T06:15:00+00:00", "asset": asset,
        })
    };
    let existence = |event: &Value, key: &str| {
        let facts = facts(event);
        let id = facts[0].entity.to_string();
        match statement(&facts, &id, Aspect::Existence, key) {
            Some(Statement::Existence(existence)) => (id, existence.state),
            other => panic!("{other:?}"),
        }
    };
    let table = json!({ "name": "t", "uri": "postgres://h:5432/d/s/t", "group": "asset", "extra": {} });
    let id = "postgres://h:5432/d/s/t".to_owned();
    // That somebody plans to write a table does not make it.
    assert_eq!(existence(&asset("asset.created", table.clone()), "mention"), (id.clone(), ExistenceState::Referenced));
    assert_eq!(existence(&asset("asset.changed", table.clone()), ""), (id.clone(), ExistenceState::Confirmed));
    let own = json!({ "name": "report", "uri": "report" });
    let own_id = "airflow-asset://default/report".to_owned();
    assert_eq!(existence(&asset("asset.created", own), ""), (own_id, ExistenceState::Confirmed));
    let facet = statement(&facts(&asset("asset.changed", table)), &id, Aspect::Facet, "airflow_asset");
    let expected = json!({ "name": "t", "uri": "postgres://h:5432/d/s/t", "group": "asset" });
    assert_eq!(facet, Some(Statement::Facet(expected)));
    let ignored = asset("asset.changed", json!({ "uri": "s3://b/_temporary/x" }));
    assert_eq!(existence(&ignored, "mention").1, ExistenceState::Ignored);
}

#[test]
fn what_is_wrong_is_named_by_its_path() {
    let refused = |event: &Value, code: ReasonCode, path: &str| {
        let fault = normalize(&event.to_string()).expect_err(path);
        assert_eq!((fault.code, fault.path.as_str()), (code, path), "{fault}");
    };
    let success = |change: fn(&mut Value)| task("task_instance.success", change);
    use ReasonCode::{InvalidField, MissingField, UnknownType};
    refused(&json!([]), InvalidField, "");
    refused(&json!({}), MissingField, "/event_type");
    refused(&success(|event| event["emitted_at"] = json!(null)), MissingField, "/emitted_at");
    refused(&success(|event| event["emitted_at"] = json!("yesterday")), InvalidField, "/emitted_at");
    refused(&success(|event| event["event_type"] = json!("task_instance.dreaming")), UnknownType, "/event_type");
    refused(&success(|event| event["event_type"] = json!("pool.full")), UnknownType, "/event_type");
    refused(&success(|event| event["event_type"] = json!("asset.eaten")), UnknownType, "/event_type");
    refused(&success(|event| event["event_type"] = json!("dag_run.success")), MissingField, "/dag_run");
    refused(&success(|event| event["task_instance"] = json!("x")), InvalidField, "/task_instance");
    refused(&success(|event| event["task_instance"]["dag_id"] = json!("")), MissingField, "/task_instance/dag_id");
    refused(
        &success(|event| event["task_instance"]["try_number"] = json!("1")),
        InvalidField,
        "/task_instance/try_number",
    );
    refused(&success(|event| event["task_instance"]["end_date"] = json!(7)), InvalidField, "/task_instance/end_date");
    refused(
        &success(|event| event["task_instance"]["task"]["outlets"] = json!(["s3://b/x", 1])),
        InvalidField,
        "/task_instance/task/outlets/1",
    );
    for (value, code) in [(None, ReasonCode::EmptyValue), (Some(&b"\xff"[..]), ReasonCode::InvalidUtf8)] {
        let raw = RawRecord { value, ..record(b"") };
        assert_eq!(AirflowNormalizer::new(AirflowConfig::default()).normalize(&raw).expect_err("no value").code, code);
    }
    assert_eq!(normalize("{").expect_err("no JSON").code, ReasonCode::InvalidJson);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(normalize(&deep).expect_err("too deep").code, ReasonCode::LimitExceeded);
    let long = task("task_instance.success", |event| event["task_instance"]["dag_id"] = json!("d".repeat(3_000)));
    assert_eq!(normalize(&long.to_string()).expect_err("too long").code, ReasonCode::LimitExceeded);
}

#[test]
fn python_writes_numbers_that_are_none_and_configuration_of_any_size() {
    let text = dag_run(|event| event["dag_run"]["conf"] = json!({ "x": "HERE" })).to_string();
    assert!(normalize(&text.replace("\"HERE\"", "NaN")).is_ok());
    let run = run_of(&facts(&dag_run(|event| event["dag_run"]["conf"] = json!({ "x": "y".repeat(100_000) }))));
    assert_eq!(run.facets["airflow_dag_run"]["_truncated"], true);
}

/// Any JSON in the place of a value.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("9999-12-31T23:59:59.999999+00:00")),
        Just(json!("s3://b/%zz%e4/\u{1f}?#")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..3).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn paths(value: &Value, here: &str, out: &mut Vec<String>) {
    out.push(here.to_owned());
    if let Value::Object(fields) = value {
        fields.iter().for_each(|(name, field)| paths(field, &format!("{here}/{name}"), out));
    }
}

proptest! {
    #[test]
    fn any_value_in_any_place_is_facts_or_a_rejection(
        which in 0..3_usize, place in any::<proptest::sample::Index>(), value in any_json(),
    ) {
        let asset = json!({ "name": "t", "uri": "postgres://h:5432/d/s/t", "group": "asset", "extra": { "a": 1 } });
        let mut event = match which {
            0 => task("task_instance.success", |_| {}),
            1 => dag_run(|_| {}),
            _ => json!({ "event_type": "asset.changed", "emitted_at": "2026-11-21T06:15:00Z", "asset": asset }),
        };
        let mut places = Vec::new();
        paths(&event, "", &mut places);
        *event.pointer_mut(place.get(places.as_slice()).as_str()).expect("a place of the event") = value;
        match normalize(&event.to_string()) {
            Ok(Normalized::Facts(facts)) => {
                prop_assert!(facts.iter().all(|fact| !fact.entries.is_empty()));
                for fact in &facts {
                    prop_assert!(crate::model::check::check_read(fact, &FactLimits::default()).is_ok());
                }
            }
            Ok(Normalized::NoOp(_)) => {}
            Err(rejection) => prop_assert!(!rejection.message.is_empty()),
        }
    }

    #[test]
    fn cut_texts_are_refused(at in 0..1_000_usize) {
        let text = task("task_instance.success", |_| {}).to_string();
        let cut: String = text.chars().take(at.min(text.chars().count() - 1)).collect();
        prop_assert!(normalize(&cut).is_err());
    }
}
