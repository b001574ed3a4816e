//! What became of nodes: run results and freshness results, one record for all nodes of an invocation.

use serde_json::{Value, json};

use crate::codec::time::parse_micros;
use crate::model::fact::{EntityKind, Entry, Job, Quality, RunEvent, Statement, WriteMark};
use crate::model::raw::Normalized;
use crate::model::reject::{ReasonCode, Rejection};
use crate::normalize::openlineage::collect::Collector;

use super::manifest::packages;
use super::names::{Home, package, resource_type, run_id};
use super::wire::{Metadata, NodeResult, Results, whole};
use super::{Seen, Told, node, plain, read, said};

/// The facts of `run_results.json` or `sources.json`.
pub(super) fn facts(
    seen: &Seen<'_>,
    metadata: &Metadata,
    artifact: &Results<'_>,
    told: &Told,
) -> Result<Normalized, Rejection> {
    let time = seen.time(metadata)?;
    let mut results: Vec<NodeResult> = Vec::with_capacity(artifact.results.len());
    for (index, raw) in artifact.results.iter().enumerate() {
        results.push(read(raw.get(), &format!("/results/{index}"))?);
    }
    let is_only_compiled = matches!(artifact.args.which.as_str(), "compile" | "generate" | "parse" | "list" | "show");
    if results.is_empty() || is_only_compiled {
        return Ok(Normalized::NoOp("dbt_without_results"));
    }
    let told = Told { target: told.target.clone().or_else(|| artifact.args.target.clone()), ..told.clone() };
    let packages = packages(results.iter().filter_map(|result| package(&result.unique_id)));
    let home = seen.home(&told, metadata, &packages)?;
    let mut facts = seen.collector(RUN_SOURCE, time);
    for result in &results {
        outcome(&home, result, &metadata.invocation_id, time, &mut facts);
    }
    match facts.finish() {
        none if none.is_empty() => Ok(Normalized::NoOp("dbt_without_results")),
        facts => Ok(Normalized::Facts(facts)),
    }
}

/// Results and log lines tell of the same runs and checks.
pub(super) const RUN_SOURCE: &str = "dbt/run";

/// Adds what a result says of its node. `time`: when it was told, for results that do not say when they were.
pub(super) fn outcome(home: &Home<'_>, result: &NodeResult, invocation: &str, time: i64, facts: &mut Collector) {
    let unique_id = result.unique_id.as_str();
    match resource_type(unique_id) {
        "model" | "seed" | "snapshot" => ran(home, result, invocation, time, facts),
        "test" | "unit_test" | "source" => checked(home, result, invocation, facts),
        _ => {}
    }
}

/// State of a run by dbt's word; `None` where nothing was run.
pub(super) fn state(status: &str) -> Option<&'static str> {
    Some(match status.to_ascii_lowercase().as_str() {
        "success" | "pass" | "warn" | "partial success" => "COMPLETE",
        "error" | "fail" | "runtime error" => "FAIL",
        "skipped" | "canceled" | "cancelled" => "ABORT",
        _ => return None,
    })
}

/// The start of a node's run, as an entry of its job.
pub(super) fn started(run: &str, time: i64) -> Entry {
    let event =
        RunEvent { run_id: run.to_owned(), state: "START".to_owned(), time, engine: engine(), ..RunEvent::default() };
    Entry::keyed(format!("{run}|START"), Statement::Run(event))
}

fn engine() -> Option<String> {
    Some("dbt".to_owned())
}

/// Description of a node's job as far as a result knows it.
pub(super) fn job_entry(home: &Home<'_>, unique_id: &str) -> Entry {
    Entry::of(Statement::Job(Job {
        namespace: home.jobs.clone(),
        name: unique_id.to_owned(),
        integration: "DBT".to_owned(),
        job_type: resource_type(unique_id).to_uppercase(),
        processing: "BATCH".to_owned(),
        ..Job::default()
    }))
}

/// Whether the warehouse was asked: `dbt compile` and `dbt docs generate` report success, too.
fn was_run(result: &NodeResult) -> bool {
    result.status != "success" || said(result.message.as_deref()).is_some() || !result.adapter_response.is_empty()
}

fn ran(home: &Home<'_>, result: &NodeResult, invocation: &str, time: i64, facts: &mut Collector) {
    let Some(state) = state(&result.status).filter(|_| was_run(result)) else { return };
    let job = home.job(&result.unique_id);
    let run = run_id(invocation, &result.unique_id);
    let timing = if result.timing.is_empty() { &result.timing_info } else { &result.timing };
    let started_at = timing.iter().filter_map(|one| parse_micros(&one.started_at)).min();
    let ended_at = timing.iter().filter_map(|one| parse_micros(&one.completed_at)).max().unwrap_or(time);
    let message = said(result.message.as_deref()).map(plain);
    let number = |name: &str| result.adapter_response.get(name).and_then(whole).filter(|number| *number >= 0);
    let (rows, bytes) = (number("rows_affected"), number("bytes_processed"));
    let relation = said(result.relation_name.as_deref()).map(|name| home.rendered(name));
    let relation = relation.filter(|named| !named.resolved.ignored);
    let seconds = result.execution_time.filter(|seconds| seconds.is_finite());
    let event = RunEvent {
        run_id: run.clone(),
        state: state.to_owned(),
        time: ended_at,
        error: message.clone().filter(|_| state == "FAIL"),
        engine: engine(),
        facets: [(
            "dbt".to_owned(),
            json!({ "invocation_id": invocation, "status": result.status, "message": message, "seconds": seconds }),
        )]
        .into(),
        outputs: relation.iter().map(|named| named.resolved.id.clone()).collect(),
        ..RunEvent::default()
    };
    let mut entries = vec![job_entry(home, &result.unique_id)];
    // What was skipped never started.
    entries.extend(started_at.filter(|_| state != "ABORT").map(|at| started(&run, at)));
    entries.push(Entry::keyed(format!("{run}|{state}"), Statement::Run(event)));
    facts.add(&job, EntityKind::Job, entries);
    if let Some(named) = relation.filter(|_| state == "COMPLETE") {
        let mark = WriteMark { time: ended_at, job, run, rows, bytes };
        let entries = [node::name_entry(&named), Entry::of(Statement::Write(mark))];
        facts.add(&named.resolved.id, EntityKind::Dataset, entries);
    }
}

fn checked(home: &Home<'_>, result: &NodeResult, invocation: &str, facts: &mut Collector) {
    let status = match result.status.to_ascii_lowercase().as_str() {
        // A test that was only compiled is a success.
        "pass" => "passed",
        "fail" => "failed",
        // A source that is staler than it may be was checked all right.
        "error" if resource_type(&result.unique_id) == "source" && result.max_loaded_at.is_some() => "failed",
        "warn" => "warn",
        "error" | "runtime error" => "error",
        _ => return,
    };
    let run = run_id(invocation, &result.unique_id);
    let failures = result.failures.or_else(|| whole(&result.num_failures));
    let message = said(result.message.as_deref()).or(said(result.error.as_deref())).map(plain);
    let known = [
        ("failures", failures.map(Value::from)),
        ("message", message.map(Value::from)),
        ("max_loaded_at", result.max_loaded_at.clone().map(Value::from)),
        ("snapshotted_at", result.snapshotted_at.clone().map(Value::from)),
        ("age_seconds", result.max_loaded_at_time_ago_in_s.map(Value::from)),
        ("criteria", Some(result.criteria.clone()).filter(|criteria| !criteria.is_null())),
    ];
    let known: serde_json::Map<String, Value> =
        known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let quality = Quality { status: status.to_owned(), field: None, value: Value::Object(known), run };
    facts.add(&home.check(&result.unique_id), EntityKind::Scope, [Entry::of(Statement::Quality(quality))]);
}

/// The rejection of a log line that lacks what a result needs.
pub(super) fn without(path: &str, what: &str) -> Rejection {
    Rejection::new(ReasonCode::MissingField, path, format!("a line of this kind names {what}"))
}
