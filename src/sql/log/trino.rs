//! Trino: `QueryCompletedEvent` as the Kafka event listener wraps it and as the HTTP listener sends it (trino.io, Event
//! listeners), and rows of Starburst's query log. Events run to megabytes of plans and statistics: what is not named
//! here is never built.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::types::{ColumnRef, Defaults, TableName};
use super::event::{Access, AccessedColumn, LogLine, Platform, QueryEvent, QueryStatus};
use super::read::{
    Element, Fields, List, Part, Scalar, Word, content_id, elements, list, micros, missing, not_json, scalar, table,
};
use super::{Context, comment};
use crate::model::reject::Rejection;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped<'a> {
    #[serde(borrow, default)]
    event_payload: Part<Event<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    metadata: Part<Metadata<'a>>,
    #[serde(borrow)]
    statistics: Part<Statistics<'a>>,
    #[serde(borrow)]
    context: Part<Session<'a>>,
    io_metadata: Part<IoMetadata>,
    #[serde(borrow)]
    failure_info: Part<FailureInfo<'a>>,
    #[serde(borrow)]
    create_time: Scalar<'a>,
    #[serde(borrow)]
    end_time: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    query_id: Scalar<'a>,
    #[serde(borrow)]
    query: Scalar<'a>,
    #[serde(borrow)]
    prepared_query: Scalar<'a>,
    #[serde(borrow)]
    query_state: Scalar<'a>,
    #[serde(borrow)]
    update_type: Scalar<'a>,
    #[serde(borrow)]
    uri: Scalar<'a>,
    tables: List<TableInfo>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Statistics<'a> {
    #[serde(borrow)]
    wall_time: Scalar<'a>,
    #[serde(borrow)]
    cpu_time: Scalar<'a>,
    #[serde(borrow)]
    physical_input_bytes: Scalar<'a>,
    #[serde(borrow)]
    output_rows: Scalar<'a>,
    #[serde(borrow)]
    written_rows: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Session<'a> {
    #[serde(borrow)]
    user: Scalar<'a>,
    #[serde(borrow)]
    source: Scalar<'a>,
    #[serde(borrow)]
    user_agent: Scalar<'a>,
    #[serde(borrow)]
    client_info: Scalar<'a>,
    #[serde(borrow)]
    catalog: Scalar<'a>,
    #[serde(borrow)]
    schema: Scalar<'a>,
    #[serde(borrow)]
    server_address: Scalar<'a>,
    #[serde(borrow)]
    environment: Scalar<'a>,
    #[serde(borrow)]
    query_type: Scalar<'a>,
}

/// A table that the statement names, or that a view below it names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TableInfo {
    #[serde(default)]
    catalog: Word,
    #[serde(default)]
    schema: Word,
    #[serde(default)]
    table: Word,
    #[serde(default)]
    columns: List<ColumnName>,
    /// Absent before 381: the tables that were named.
    directly_referenced: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct IoMetadata {
    inputs: List<Input>,
    output: Part<Output>,
}

/// A table that was scanned.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Input {
    catalog_name: Word,
    schema: Word,
    table: Word,
    columns: List<ColumnName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Output {
    catalog_name: Word,
    schema: Word,
    table: Word,
    columns: List<OutputColumn>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OutputColumn {
    column_name: Word,
    source_columns: List<SourceColumn>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SourceColumn {
    catalog: Word,
    schema: Word,
    table: Word,
    column_name: Word,
}

elements!(TableInfo, Input, OutputColumn, SourceColumn);

/// A column as versions write it: its name, or an object with it.
#[derive(Debug)]
struct ColumnName(String);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ColumnObject {
    #[serde(alias = "name", alias = "columnName")]
    column: Word,
}

impl<'de> Element<'de> for ColumnName {
    type As = &'de RawValue;
    fn of(read: Self::As) -> Option<Self> {
        if let Some(name) = scalar(read) {
            return Some(Self(name.into_owned()));
        }
        let object: ColumnObject = serde_json::from_str(read.get()).ok()?;
        object.column.text().map(|name| Self(name.to_owned()))
    }
    fn list_in(text: &str) -> Option<Vec<Self>> {
        serde_json::from_str::<List<Self>>(text).ok()?.0
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FailureInfo<'a> {
    #[serde(borrow)]
    error_code: Part<ErrorCode<'a>>,
    #[serde(borrow)]
    failure_message: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorCode<'a> {
    #[serde(borrow)]
    name: Scalar<'a>,
}

pub(super) fn wrapped<'a>(text: &'a str, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let wrapped: Wrapped<'a> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let event = wrapped.event_payload.0.ok_or_else(|| missing("/eventPayload", "an object eventPayload"))?;
    decode(event, cx).map_err(|fault| if fault.path.is_empty() { fault } else { fault.within("/eventPayload") })
}

pub(super) fn bare<'a>(text: &'a str, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    decode(serde_json::from_str(text).map_err(|error| not_json(&error))?, cx)
}

fn decode<'a>(event: Event<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let Some(end) = event.end_time.time("/endTime")? else {
        // Its completion tells all that this event does.
        return Ok(LogLine::NoOp("query_created"));
    };
    let metadata = event.metadata.0.unwrap_or_default();
    let session = event.context.0.unwrap_or_default();
    let statistics = event.statistics.0.unwrap_or_default();
    let query_id = metadata.query_id.0.ok_or_else(|| missing("/metadata/queryId", "queryId"))?;
    let authority = metadata.uri.text().and_then(authority_of);
    let servers = [session.environment.text(), authority, session.server_address.text()];
    let own = authority.or(session.server_address.text()).map(|address| format!("trino://{address}"));
    let instance = cx.instance(&Platform::Trino, &servers, own)?;
    let start = cx.start(event.create_time.time("/createTime")?, Some(end), "/createTime")?;
    let mut query = QueryEvent::new(Platform::Trino, instance, query_id, start);
    query.end = Some(end);
    query.user = session.user.0;
    query.application = session.source.0.or(session.user_agent.0);
    query.text = metadata.prepared_query.0.or(metadata.query.0);
    let failure = event.failure_info.0;
    let code = failure.as_ref().and_then(|failure| failure.error_code.0.as_ref()?.name.text());
    query.status = status(metadata.query_state.text(), failure.is_some(), code);
    query.error = failure.and_then(|failure| {
        let (code, message) = (failure.error_code.0.unwrap_or_default().name.0, failure.failure_message.0);
        match (code, message) {
            (Some(code), Some(message)) => Some(Cow::Owned(format!("{code}: {message}"))),
            (code, message) => message.or(code),
        }
    });
    // Statements that define data and do not say what they write are for the text to tell.
    let is_definition = session.query_type.text().is_none_or(|kind| kind == "DATA_DEFINITION");
    query.statement_type = metadata.update_type.0.or(session.query_type.0);
    query.defaults = defaults(session.catalog.text(), session.schema.text());
    query.rows_read = statistics.output_rows.integer();
    query.rows_written = statistics.written_rows.integer();
    query.bytes_read = statistics.physical_input_bytes.integer();
    query.duration_us = statistics.wall_time.number().and_then(|seconds| micros(seconds, 1e6));
    query.cost = statistics.cpu_time.number();
    let io = event.io_metadata.0.unwrap_or_default();
    let succeeded = query.status == QueryStatus::Success;
    query.reads = reads(&metadata.tables, &io.inputs).or_else(|| (succeeded && !is_definition).then(Vec::new));
    query.writes = match &io.output.0 {
        Some(output) => Some(vec![written(output)]),
        None => (succeeded && !is_definition).then(Vec::new),
    };
    if let Some(info) = session.client_info.text() {
        let found = comment::of_json(info);
        query.named_job = found.job;
        query.application = found.application.map(Cow::Owned).or(query.application);
    }
    Ok(LogLine::Query(Box::new(query)))
}

/// A row of Starburst's `completed_queries`.
pub(super) fn row<'a>(fields: &Fields<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let text = fields.text(&["query"]).ok_or_else(|| missing("/query", "query"))?;
    let user = fields.text(&["usr", "principal", "user"]);
    let end = fields.time(&["end_time"])?;
    let start = cx.start(fields.time(&["create_time", "execution_start_time"])?, end, "/create_time")?;
    let query_id = fields
        .text(&["query_id"])
        .unwrap_or_else(|| Cow::Owned(content_id(&[user.as_deref().unwrap_or_default(), &start.to_string(), &text])));
    let (environment, address) = (fields.text(&["environment"]), fields.text(&["server_address"]));
    let own = address.as_deref().map(|address| format!("trino://{address}"));
    let instance = cx.instance(&Platform::Trino, &[environment.as_deref(), address.as_deref()], own)?;
    let mut query = QueryEvent::new(Platform::Trino, instance, query_id, start);
    query.end = end;
    query.user = user;
    query.application = fields.text(&["source"]);
    query.text = Some(text);
    let code = fields.text(&["error_code_name", "error_code"]);
    query.status = status(fields.text(&["query_state"]).as_deref(), code.is_some(), code.as_deref());
    query.error = fields.text(&["failure_message"]).or(code).filter(|_| query.status != QueryStatus::Success);
    query.statement_type = fields.text(&["update_type", "query_type"]);
    query.defaults = defaults(fields.text(&["catalog"]).as_deref(), fields.text(&["schema"]).as_deref());
    query.rows_read = fields.integer(&["output_rows", "total_rows"]);
    query.rows_written = fields.integer(&["written_rows"]);
    query.bytes_read = fields.integer(&["physical_input_bytes", "total_bytes"]);
    query.duration_us = fields.number(&["wall_time_millis"]).and_then(|ms| micros(ms, 1e3));
    let inputs: Option<Vec<Input>> = list(fields.raw("accessed_metadata"));
    query.reads = inputs.map(|inputs| inputs.iter().map(scanned).collect());
    Ok(LogLine::Query(Box::new(query)))
}

fn status(state: Option<&str>, has_failed: bool, code: Option<&str>) -> QueryStatus {
    const STOPPED: [&str; 3] = ["USER_CANCELED", "ADMINISTRATIVELY_KILLED", "ABANDONED_QUERY"];
    match state {
        _ if code.is_some_and(|code| STOPPED.contains(&code)) => QueryStatus::Cancelled,
        Some("FINISHED") => QueryStatus::Success,
        Some("FAILED") => QueryStatus::Failed,
        None if has_failed => QueryStatus::Failed,
        None => QueryStatus::Success,
        Some(_) => QueryStatus::Running,
    }
}

fn defaults(catalog: Option<&str>, schema: Option<&str>) -> Defaults {
    Defaults {
        database: catalog.map(|name| name.to_lowercase().into()),
        schemas: schema.map(|name| name.to_lowercase().into()).into_iter().collect(),
    }
}

/// What the statement names; what was scanned if that is not told.
fn reads(tables: &List<TableInfo>, inputs: &List<Input>) -> Option<Vec<Access>> {
    let named = tables.0.iter().flatten().filter(|table| table.directly_referenced != Some(false));
    let named: Vec<Access> = named.map(named_access).collect();
    if !named.is_empty() {
        return Some(named);
    }
    let scanned: Vec<Access> = inputs.0.iter().flatten().map(scanned).collect();
    (!scanned.is_empty()).then_some(scanned)
}

fn named_access(info: &TableInfo) -> Access {
    Access { table: name(&info.catalog, &info.schema, &info.table), columns: columns(&info.columns) }
}

fn scanned(input: &Input) -> Access {
    Access { table: name(&input.catalog_name, &input.schema, &input.table), columns: columns(&input.columns) }
}

fn columns(names: &List<ColumnName>) -> Vec<AccessedColumn> {
    let names = names.0.iter().flatten();
    names.map(|name| AccessedColumn { name: folded(&name.0), sources: Vec::new() }).collect()
}

fn written(output: &Output) -> Access {
    let columns = output.columns.0.iter().flatten().filter_map(|column| {
        let sources = column.source_columns.0.iter().flatten().map(|source| ColumnRef {
            table: name(&source.catalog, &source.schema, &source.table),
            column: folded(&source.column_name.0),
        });
        Some(AccessedColumn { name: folded(column.column_name.text()?), sources: sources.collect() })
    });
    Access { table: name(&output.catalog_name, &output.schema, &output.table), columns: columns.collect() }
}

fn name(catalog: &Word, schema: &Word, of: &Word) -> TableName {
    let parts = [catalog, schema, of].map(|part| part.0.to_lowercase());
    table(parts.iter().map(String::as_str))
}

/// Trino knows no case in names.
fn folded(name: &str) -> Arc<str> {
    name.to_lowercase().into()
}

/// `host:port` of a URL.
fn authority_of(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split('/').next().filter(|authority| !authority.is_empty())
}
