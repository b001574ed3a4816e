//! Structured log lines: of dbt since 1.4, of dbt before that, and of Fusion.
//!
//! A run writes thousands of lines; the start and the end of nodes and what freshness checks found say all that the
//! catalog wants to know. The rest is counted. The start is `LogStartLine`: `NodeStart` is written of nodes, too, that
//! are only compiled or will be skipped.

use serde::Deserialize;
use serde_json::Value;

use crate::model::fact::EntityKind;
use crate::model::raw::Normalized;
use crate::model::reject::Rejection;

use super::names::{package, resource_type, run_id};
use super::results::{self, RUN_SOURCE, outcome, started, without};
use super::wire::{Metadata, NodeResult, lenient};
use super::{Seen, Told, read, said};

const NO_OP: Normalized = Normalized::NoOp("dbt_log_line");

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    info: Info,
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    name: String,
    ts: String,
    #[serde(deserialize_with = "lenient")]
    invocation_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    #[serde(deserialize_with = "lenient")]
    node_info: NodeInfo,
    run_result: Option<Value>,
    status: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeInfo {
    #[serde(deserialize_with = "lenient")]
    unique_id: String,
    node_status: Value,
    node_relation: Value,
}

/// A line of dbt since 1.4: `{"info": {…}, "data": {…}}`.
pub(super) fn line(seen: &Seen<'_>, json: &str, told: &Told) -> Result<Normalized, Rejection> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Name {
        info: NameInfo,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct NameInfo {
        name: String,
    }
    // Nearly all lines are of no interest: the others' data are not even read.
    let name = read::<Name>(json, "")?.info.name;
    if !matches!(name.as_str(), "LogStartLine" | "NodeFinished" | "LogFreshnessResult") {
        return Ok(NO_OP);
    }
    let Line { info, data } = read(json, "")?;
    let event = match info.name.as_str() {
        "LogStartLine" => Event::Start,
        "NodeFinished" => {
            let mut result: NodeResult = match data.run_result {
                Some(result) => result_of(result)?,
                None => NodeResult::default(),
            };
            if result.status.is_empty() {
                result.status = data.node_info.node_status.as_str().unwrap_or_default().to_owned();
            }
            Event::End(Box::new(result))
        }
        _ => {
            let status = data.status.as_str().unwrap_or_default();
            // It does not tell when the source was loaded, but that staleness was found out, not that the check broke.
            let found = matches!(status, "error" | "warn" | "pass").then(String::new);
            Event::End(Box::new(NodeResult {
                status: status.to_owned(),
                max_loaded_at: found,
                ..NodeResult::default()
            }))
        }
    };
    let at = Moment { time: &info.ts, path: "/info/ts", invocation: &info.invocation_id };
    told_of(seen, told, &at, data.node_info, event)
}

/// A line of dbt 1.0 to 1.3: `{"type": "log_line", "code": "Q025", "node_info": {…}, "data": {…}, …}`. What it says of
/// the end of a node counts where it holds the result; not seen of a real run.
pub(super) fn old_line(seen: &Seen<'_>, json: &str, told: &Told) -> Result<Normalized, Rejection> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct OldLine {
        code: String,
        ts: String,
        invocation_id: String,
        #[serde(deserialize_with = "lenient")]
        node_info: NodeInfo,
        #[serde(deserialize_with = "lenient")]
        data: Data,
    }
    let line: OldLine = read(json, "")?;
    let Some(result) = line.data.run_result.filter(|_| line.code == "Q025") else { return Ok(NO_OP) };
    let at = Moment { time: &line.ts, path: "/ts", invocation: &line.invocation_id };
    let node = if line.node_info.unique_id.is_empty() { line.data.node_info } else { line.node_info };
    told_of(seen, told, &at, node, Event::End(Box::new(result_of(result)?)))
}

/// A record of Fusion's telemetry (`--log-format otel`), by its documentation: spans `NodeEvaluated` of phase `run`, or
/// with what a freshness check found. Not seen of a real run.
pub(super) fn fusion_line(seen: &Seen<'_>, json: &str, told: &Told) -> Result<Normalized, Rejection> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Span {
        record_type: String,
        event_type: String,
        trace_id: String,
        start_time_unix_nano: Value,
        end_time_unix_nano: Value,
        attributes: Attributes,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Attributes {
        unique_id: String,
        database: Option<String>,
        schema: Option<String>,
        identifier: Option<String>,
        phase: Value,
        node_outcome: Value,
        rows_affected: Value,
        node_test_detail: TestDetail,
        node_freshness_outcome: Freshness,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct TestDetail {
        test_outcome: Value,
        failing_rows: Value,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Freshness {
        node_freshness_outcome: Value,
        age_seconds: Value,
    }
    let span: Span = read(json, "")?;
    let of = span.attributes;
    let event = span.event_type.rsplit('.').next().unwrap_or_default();
    // Enumerations are written with or without the name of their type.
    let word = |value: &Value| {
        let text = value.as_str().unwrap_or_default().to_ascii_lowercase();
        text.rsplit('_').next().unwrap_or_default().to_owned()
    };
    let is_end = span.record_type == "SpanEnd";
    let found = word(&of.node_freshness_outcome.node_freshness_outcome);
    let counts = event == "NodeEvaluated" && (word(&of.phase) == "run" || !found.is_empty());
    if !counts || !(is_end || span.record_type == "SpanStart") {
        return Ok(NO_OP);
    }
    let nanos = if is_end { &span.end_time_unix_nano } else { &span.start_time_unix_nano };
    let nanos = nanos.as_str().map(str::to_owned).unwrap_or_else(|| nanos.to_string());
    let time =
        nanos.parse::<i128>().ok().and_then(|nanos| chrono::DateTime::from_timestamp_micros((nanos / 1000) as i64));
    let Some(time) = time else { return Err(without("/end_time_unix_nano", "its time in nanoseconds since 1970")) };
    let invocation = uuid::Uuid::parse_str(&span.trace_id).map_or(span.trace_id, |id| id.hyphenated().to_string());
    let mut result = NodeResult {
        // A span of this phase is no mere compilation.
        adapter_response: [("rows_affected".to_owned(), of.rows_affected)].into_iter().collect(),
        num_failures: of.node_test_detail.failing_rows,
        max_loaded_at_time_ago_in_s: of.node_freshness_outcome.age_seconds.as_f64(),
        ..NodeResult::default()
    };
    result.status = match (word(&of.node_outcome).as_str(), resource_type(&of.unique_id)) {
        ("success", "test" | "unit_test" | "unit") => word(&of.node_test_detail.test_outcome),
        ("success", "source") => found,
        (outcome, _) => outcome.to_owned(),
    };
    result.status = match result.status.as_str() {
        "passed" => "pass".to_owned(),
        "warned" => "warn".to_owned(),
        "failed" => "fail".to_owned(),
        other => other.to_owned(),
    };
    let parts = [of.database, of.schema, of.identifier];
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    result.relation_name = (!parts.is_empty()).then(|| parts.join("."));
    let event = if is_end { Event::End(Box::new(result)) } else { Event::Start };
    let node = NodeInfo { unique_id: of.unique_id, ..NodeInfo::default() };
    let time = time.to_rfc3339();
    told_of(seen, told, &Moment { time: &time, path: "/end_time_unix_nano", invocation: &invocation }, node, event)
}

enum Event {
    Start,
    End(Box<NodeResult>),
}

/// When and in which invocation something was told.
struct Moment<'a> {
    time: &'a str,
    path: &'a str,
    invocation: &'a str,
}

fn result_of(value: Value) -> Result<NodeResult, Rejection> {
    read(&value.to_string(), "/data/run_result")
}

fn told_of(
    seen: &Seen<'_>,
    told: &Told,
    at: &Moment<'_>,
    node: NodeInfo,
    event: Event,
) -> Result<Normalized, Rejection> {
    let unique_id = node.unique_id.as_str();
    if unique_id.is_empty() {
        return Err(without("/data/node_info/unique_id", "its node"));
    }
    let is_run = matches!(resource_type(unique_id), "model" | "seed" | "snapshot");
    if matches!(event, Event::Start) && !is_run {
        return Ok(NO_OP);
    }
    let time = seen.parsed_time(at.time, at.path)?;
    let packages: Vec<&str> = package(unique_id).into_iter().collect();
    let home = seen.home(told, &Metadata::default(), &packages)?;
    let mut facts = seen.collector(RUN_SOURCE, time);
    match event {
        Event::Start => {
            let run = run_id(at.invocation, unique_id);
            let entries = [results::job_entry(&home, unique_id), started(&run, time)];
            facts.add(&home.job(unique_id), EntityKind::Job, entries);
        }
        Event::End(mut result) => {
            result.unique_id = unique_id.to_owned();
            result.relation_name = result.relation_name.or_else(|| rendered(&node.node_relation));
            outcome(&home, &result, at.invocation, time, &mut facts);
        }
    }
    match facts.finish() {
        none if none.is_empty() => Ok(NO_OP),
        facts => Ok(Normalized::Facts(facts)),
    }
}

/// The relation as dbt renders it; ephemeral models and tests have none.
fn rendered(relation: &Value) -> Option<String> {
    said(relation.get("relation_name").and_then(Value::as_str)).map(str::to_owned)
}
