//! SQL of events: which texts are told on, and which job a query is. Each expectation written by hand.

use serde_json::{Value, json};

use super::{OpenLineageConfig, OpenLineageNormalizer, QueryKind};
use crate::model::fact::{Aspect, EntityKind, Fact, Job, Origin, STATEMENT_BYTES, SqlText, Statement};
use crate::model::id::EntityId;
use crate::model::raw::{Normalized, RawRecord};

const RUN: &str = "3f5e83fa-3480-44ff-99c5-ff943904e5e8";

fn kind(text: &str, dialect: &str) -> QueryKind {
    QueryKind { name: format!("{dialect}-{}", text.len()), text: "less".to_owned() }
}

fn facts(event: &Value) -> Vec<Fact> {
    let config = OpenLineageConfig { query_kinds: Some(kind), ..OpenLineageConfig::default() };
    let text = event.to_string();
    let origin = Origin { topic: "openlineage.events".to_owned(), partition: 0, offset: 1 };
    let record = RawRecord { origin, timestamp_ms: None, key: None, value: Some(text.as_bytes()) };
    match OpenLineageNormalizer::new(config).normalize(&record).unwrap() {
        Normalized::Facts(facts) => facts,
        other => panic!("{other:?}"),
    }
}

fn dataset(name: &str, facets: Value) -> Value {
    json!({ "namespace": "postgres://db:5432", "name": name, "facets": facets })
}

/// An event of an operator that ran SQL.
fn event(inputs: &[Value], outputs: &[Value]) -> Value {
    json!({
        "eventTime": "2026-11-21T06:17:05.656Z", "eventType": "COMPLETE", "producer": "https://example.org/etl",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": { "runId": RUN },
        "job": { "namespace": "ns", "name": "load", "facets": { "sql": { "query": "INSERT …", "dialect": "postgres" } } },
        "inputs": inputs, "outputs": outputs,
    })
}

fn job(facts: &[Fact]) -> &Fact {
    facts.iter().find(|fact| fact.kind == EntityKind::Job).expect("an event is about a job")
}

fn texts(facts: &[Fact]) -> Vec<&SqlText> {
    let sql = facts.iter().flat_map(|fact| &fact.entries).filter_map(|entry| match &entry.value {
        Some(Statement::Sql(sql)) => Some(sql),
        _ => None,
    });
    sql.collect()
}

#[test]
fn a_text_is_told_on_where_it_can_say_more_than_its_event() {
    let (read, written) = ([dataset("shop.a", json!({}))], [dataset("shop.b", json!({}))]);
    let expected = SqlText { text: "INSERT …".to_owned(), dialect: "postgres".to_owned(), ..SqlText::default() };
    assert_eq!(texts(&facts(&event(&read, &written))), [&expected]);
    assert_eq!(texts(&facts(&event(&[], &[]))), [&expected], "nobody has told of any dataset");
    // The run did not read anything; it did not write anything.
    assert_eq!(texts(&facts(&event(&[], &written))), [] as [&SqlText; 0]);
    assert_eq!(texts(&facts(&event(&read, &[]))), [] as [&SqlText; 0]);
    // Columns are told of one of two outputs.
    let lineage = json!({ "columnLineage": { "fields": { "x": { "inputFields": [
        { "namespace": "postgres://db:5432", "name": "shop.a", "field": "x" }] } } } });
    let told = dataset("shop.c", lineage);
    assert_eq!(texts(&facts(&event(&read, std::slice::from_ref(&told)))), [] as [&SqlText; 0]);
    assert_eq!(texts(&facts(&event(&read, &[told, written[0].clone()]))).len(), 1);
}

#[test]
fn what_did_not_succeed_is_too_long_or_lies_with_the_run() {
    let (read, written) = ([dataset("shop.a", json!({}))], [dataset("shop.b", json!({}))]);
    for state in ["START", "RUNNING", "FAIL", "ABORT"] {
        let mut event = event(&read, &written);
        event["eventType"] = state.into();
        assert_eq!(texts(&facts(&event)), [] as [&SqlText; 0], "{state}");
    }
    let mut long = event(&read, &written);
    long["job"]["facets"]["sql"]["query"] = "x".repeat(STATEMENT_BYTES + 1).into();
    assert_eq!(texts(&facts(&long)), [] as [&SqlText; 0]);
    let mut old = event(&read, &written);
    old["job"]["facets"] = json!({});
    old["run"]["facets"] = json!({ "sql": { "query": "INSERT OLD" } });
    let facts = facts(&old);
    assert_eq!(texts(&facts)[0].text, "INSERT OLD");
    assert_eq!(texts(&facts)[0].dialect, "");
}

/// An event of Trino's listener.
fn query(name: &str) -> Value {
    let mut event = event(&[], &[]);
    event["producer"] = "https://github.com/trinodb/trino/plugin/trino-openlineage".into();
    event["job"] = json!({
        "namespace": "trino://t:8080", "name": name,
        "facets": { "sql": { "query": "select 'secret'" },
            "jobType": { "integration": "TRINO", "jobType": "QUERY", "processingType": "BATCH" } },
    });
    event
}

#[test]
fn a_job_named_after_a_query_is_the_job_of_all_its_kind() {
    let written = dataset("shop.b", json!({}));
    let mut one = query("20261121_063050_00000_wermn");
    one["outputs"] = json!([written]);
    let said = facts(&one);
    let fact = job(&said);
    assert_eq!(fact.entity, EntityId::job("trino://t:8080", "trino-15"));
    let known = fact.entries.iter().find_map(|entry| match &entry.value {
        Some(Statement::Job(job)) => Some(job),
        _ => None,
    });
    let Some(Job { namespace, name, sql, job_type, .. }) = known else { panic!("{fact:?}") };
    assert_eq!((namespace.as_str(), name.as_str(), job_type.as_str()), ("trino://t:8080", "trino-15", "QUERY"));
    assert_eq!(sql.as_deref(), Some("less"), "without its literals");
    assert!(fact.entries.iter().all(|entry| entry.aspect != Aspect::Name), "each query would be another name");
    let wrote = said.iter().flat_map(|fact| &fact.entries).find_map(|entry| match &entry.value {
        Some(Statement::Write(mark)) => Some(mark),
        _ => None,
    });
    assert_eq!(wrote.map(|mark| &mark.job), Some(&fact.entity));
    // Trino knows by its plans that it read nothing.
    assert_eq!(texts(&said), [] as [&SqlText; 0]);

    assert_eq!(job(&facts(&query("nightly"))).entity, EntityId::job("trino://t:8080", "nightly"));
    let mut silent = query("20261121_063050_00000_wermn");
    silent["job"]["facets"].as_object_mut().unwrap().remove("sql");
    assert_eq!(job(&facts(&silent)).entity, EntityId::job("trino://t:8080", "20261121_063050_00000_wermn"));
}
