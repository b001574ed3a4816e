//! Hive: what `LineageLogger` and the proto logging hook write (apache/hive, package ql.hooks), rows of the query
//! history table, and audit records of alike fields.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::types::{ColumnRef, Defaults, TableName};
use super::Context;
use super::event::{Access, AccessedColumn, LogLine, Platform, QueryEvent, QueryStatus};
use super::read::{Fields, List, Scalar, Word, content_id, dotted, elements, micros, missing, not_json};
use crate::model::reject::Rejection;

/// A line of `LineageLogger`: time in seconds, duration in milliseconds.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Lineage<'a> {
    #[serde(borrow)]
    query_id: Scalar<'a>,
    #[serde(borrow)]
    user: Scalar<'a>,
    #[serde(borrow)]
    timestamp: Scalar<'a>,
    #[serde(borrow)]
    duration: Scalar<'a>,
    #[serde(borrow)]
    database: Scalar<'a>,
    #[serde(borrow)]
    query_text: Scalar<'a>,
    edges: List<Edge>,
    vertices: List<Vertex>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Edge {
    sources: List<String>,
    targets: List<String>,
    edge_type: Word,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Vertex {
    id: Word,
    vertex_type: Word,
    vertex_id: Word,
}

/// An entry of the hook's map of texts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    key: Word,
    value: Word,
}

elements!(Edge, Vertex, Info);

/// An event of the proto logging hook: one when a query is submitted, one when it is done.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Hook<'a> {
    #[serde(borrow)]
    event_type: Scalar<'a>,
    #[serde(borrow)]
    hive_query_id: Scalar<'a>,
    #[serde(borrow)]
    timestamp: Scalar<'a>,
    #[serde(borrow)]
    request_user: Scalar<'a>,
    #[serde(borrow)]
    user: Scalar<'a>,
    tables_read: List<String>,
    tables_written: List<String>,
    #[serde(borrow)]
    other_info: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HookQuery {
    query_text: Word,
}

pub(super) fn lineage<'a>(text: &'a str, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let line: Lineage<'a> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let start = cx.start(line.timestamp.time("/timestamp")?, None, "/timestamp")?;
    let query_text = line.query_text.0.ok_or_else(|| missing("/queryText", "queryText"))?;
    let user = line.user.0;
    let query_id = line.query_id.0.unwrap_or_else(|| {
        Cow::Owned(content_id(&[user.as_deref().unwrap_or_default(), &start.to_string(), &query_text]))
    });
    let instance = cx.instance(&Platform::Hive, &[], None)?;
    let mut event = QueryEvent::new(Platform::Hive, instance, query_id, start);
    event.user = user;
    event.text = Some(query_text);
    event.duration_us = line.duration.number().and_then(|ms| micros(ms, 1e3));
    event.end = event.duration_us.map(|duration| start.saturating_add(duration));
    event.defaults = defaults(line.database.text());
    let columns: BTreeMap<&str, ColumnRef> =
        line.vertices.0.iter().flatten().filter_map(|vertex| Some((vertex.id.text()?, column(vertex)?))).collect();
    let edges = line.edges.0.unwrap_or_default();
    if !edges.is_empty() {
        let mut reads = Accesses::default();
        let mut writes = Accesses::default();
        for edge in &edges {
            let sources: Vec<&ColumnRef> =
                edge.sources.0.iter().flatten().filter_map(|id| columns.get(id.as_str())).collect();
            sources.iter().for_each(|source| reads.add(source, &[]));
            let is_projection = edge.edge_type.0 != "PREDICATE";
            // Columns of a result that is written nowhere have no table.
            for target in edge.targets.0.iter().flatten().filter_map(|id| columns.get(id.as_str())) {
                writes.add(target, if is_projection { &sources } else { &[] });
            }
        }
        event.reads = Some(reads.finish());
        event.writes = Some(writes.finish());
    }
    Ok(LogLine::Query(Box::new(event)))
}

/// The column of a vertex `database.table.column`.
fn column(vertex: &Vertex) -> Option<ColumnRef> {
    if !vertex.vertex_type.0.eq_ignore_ascii_case("column") {
        return None;
    }
    let mut parts = vertex.vertex_id.0.splitn(3, '.').map(str::to_lowercase);
    let (database, table, column) = (parts.next()?, parts.next()?, parts.next()?);
    let table = TableName { parts: vec![database.into(), table.into()] };
    Some(ColumnRef { table, column: column.into() })
}

/// Tables and columns while they are gathered.
#[derive(Default)]
struct Accesses(BTreeMap<TableName, BTreeMap<Arc<str>, Vec<ColumnRef>>>);

impl Accesses {
    fn add(&mut self, column: &ColumnRef, sources: &[&ColumnRef]) {
        let columns = self.0.entry(column.table.clone()).or_default();
        let known = columns.entry(column.column.clone()).or_default();
        known.extend(sources.iter().map(|&source| source.clone()));
    }

    fn finish(self) -> Vec<Access> {
        let column = |(name, mut sources): (Arc<str>, Vec<ColumnRef>)| {
            sources.sort();
            sources.dedup();
            AccessedColumn { name, sources }
        };
        let access = |(table, columns): (TableName, BTreeMap<_, _>)| Access {
            table,
            columns: columns.into_iter().map(column).collect(),
        };
        self.0.into_iter().map(access).collect()
    }
}

pub(super) fn hook<'a>(text: &'a str, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let hook: Hook<'a> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let query_id = hook.hive_query_id.0.ok_or_else(|| missing("/hiveQueryId", "hiveQueryId"))?;
    let is_submission = match hook.event_type.text() {
        Some("QUERY_SUBMITTED") => true,
        Some("QUERY_COMPLETED") => false,
        _ => return Ok(LogLine::NoOp("hook_event_of_no_query")),
    };
    let at = cx.start(hook.timestamp.time("/timestamp")?, None, "/timestamp")?;
    let instance = cx.instance(&Platform::Hive, &[], None)?;
    let mut event = QueryEvent::new(Platform::Hive, instance, query_id, at);
    event.user = hook.request_user.0.or(hook.user.0);
    let info = OtherInfo::of(hook.other_info);
    event.session_id = info.get("SESSION_ID").map(|id| Cow::Owned(id.to_owned()));
    if is_submission {
        event.status = QueryStatus::Running;
        let query = info.get("QUERY").and_then(|json| serde_json::from_str::<HookQuery>(json).ok());
        event.text = query.and_then(|query| query.query_text.text().map(|text| Cow::Owned(text.to_owned())));
    } else {
        event.end = Some(at);
        let succeeded = info.get("STATUS").is_none_or(|status| status.eq_ignore_ascii_case("true"));
        event.status = if succeeded { QueryStatus::Success } else { QueryStatus::Failed };
        event.error = info.get("ERROR_MESSAGE").map(|message| Cow::Owned(message.to_owned()));
        // How long it took is between the two events.
        event.duration_us = None;
    }
    let tables = |names: Vec<String>| -> Vec<Access> {
        let access = |name: &String| Access { table: dotted(name, str::to_lowercase), columns: Vec::new() };
        names.iter().map(access).collect()
    };
    event.reads = hook.tables_read.0.map(tables);
    event.writes = hook.tables_written.0.map(tables);
    Ok(LogLine::Query(Box::new(event)))
}

/// The hook's texts by name: a list of entries, or an object.
#[derive(Default)]
struct OtherInfo(Vec<(String, String)>);

impl OtherInfo {
    fn of(raw: Option<&RawValue>) -> Self {
        let Some(raw) = raw else { return Self::default() };
        if let Some(entries) = super::read::list::<Info>(Some(raw)) {
            return Self(entries.into_iter().map(|info| (info.key.0, info.value.0)).collect());
        }
        let map: BTreeMap<String, Word> = serde_json::from_str(raw.get()).unwrap_or_default();
        Self(map.into_iter().map(|(key, word)| (key, word.0)).collect())
    }

    fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

pub(super) fn row<'a>(fields: &Fields<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let query_id =
        fields.text(&["query_id", "queryid", "hivequeryid"]).ok_or_else(|| missing("/query_id", "query_id"))?;
    let start = fields.time(&["start_time", "start_time_utc", "starttime", "timestamp"])?;
    let end = fields.time(&["end_time", "end_time_utc", "endtime"])?;
    let start = cx.start(start, end, "/start_time")?;
    let server = fields.text(&["cluster_id", "server_address", "hive_address"]);
    let instance = cx.instance(&Platform::Hive, &[server.as_deref()], None)?;
    let mut event = QueryEvent::new(Platform::Hive, instance, query_id, start);
    event.end = end;
    event.session_id = fields.text(&["session_id", "sessionid"]);
    event.user = fields.text(&["end_user", "requestuser", "user", "cluster_user"]);
    event.text = fields.text(&["sql", "querytext", "querystring", "querystr", "query_string", "query_text", "query"]);
    event.statement_type = fields.text(&["query_type", "operation", "operationname", "statement_type"]);
    event.defaults = defaults(fields.text(&["db_name", "database", "current_database", "currentdatabase"]).as_deref());
    event.error = fields.text(&["failure_reason", "error_message", "errormessage"]);
    let state = fields.text(&["query_state", "state", "status"]).map(|state| state.to_ascii_uppercase());
    event.status = match state.as_deref() {
        None if event.error.is_some() => QueryStatus::Failed,
        None | Some("FINISHED" | "CLOSED" | "SUCCESS" | "SUCCEEDED" | "TRUE") => QueryStatus::Success,
        Some("ERROR" | "EXCEPTION" | "FAILED" | "FAILURE" | "FALSE") => QueryStatus::Failed,
        Some("CANCELED" | "CANCELLED" | "TIMEDOUT" | "KILLED") => QueryStatus::Cancelled,
        Some(_) => QueryStatus::Running,
    };
    event.rows_read = fields.integer(&["num_rows_fetched"]);
    event.duration_us = fields.number(&["total_time_ms", "duration", "durationms"]).and_then(|ms| micros(ms, 1e3));
    Ok(LogLine::Query(Box::new(event)))
}

/// Hive's names have no catalog in front: the database is what qualifies a table.
fn defaults(database: Option<&str>) -> Defaults {
    Defaults { database: None, schemas: vec![database.unwrap_or("default").to_lowercase().into()] }
}
