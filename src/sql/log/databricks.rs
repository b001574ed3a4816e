//! Databricks: rows of system.query.history and of system.access.table_lineage and column_lineage (docs.databricks.com,
//! System tables), and queries of the REST API's query history.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::super::types::{ColumnRef, TableName};
use super::event::{Access, AccessPart, AccessedColumn, LogLine, NamedJob, Platform, QueryEvent, QueryStatus};
use super::read::{Fields, Part, Scalar, dotted, micros, missing};
use super::{Context, comment};
use crate::model::reject::Rejection;

/// What a query was part of.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct QuerySource<'a> {
    #[serde(borrow)]
    job_info: Part<JobInfo<'a>>,
    #[serde(borrow)]
    dashboard_id: Scalar<'a>,
    #[serde(borrow)]
    legacy_dashboard_id: Scalar<'a>,
    #[serde(borrow)]
    notebook_id: Scalar<'a>,
    #[serde(borrow)]
    pipeline_info: Part<PipelineInfo<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JobInfo<'a> {
    #[serde(borrow)]
    job_id: Scalar<'a>,
    #[serde(borrow)]
    job_run_id: Scalar<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PipelineInfo<'a> {
    #[serde(borrow)]
    pipeline_id: Scalar<'a>,
    #[serde(borrow)]
    update_id: Scalar<'a>,
}

/// Counts that the REST API keeps apart.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metrics<'a> {
    #[serde(borrow)]
    read_bytes: Scalar<'a>,
    #[serde(borrow)]
    rows_read_count: Scalar<'a>,
}

pub(super) fn history<'a>(fields: &Fields<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let query_id =
        fields.text(&["statement_id", "query_id"]).ok_or_else(|| missing("/statement_id", "statement_id"))?;
    let instance = instance(fields, cx)?;
    let start = fields.time(&["start_time", "query_start_time_ms"])?;
    let end = fields.time(&["end_time", "execution_end_time_ms", "query_end_time_ms"])?;
    let start = cx.start(start, end, "/start_time")?;
    let mut event = QueryEvent::new(Platform::Databricks, instance, query_id, start);
    event.end = end;
    event.session_id = fields.text(&["session_id"]);
    event.user = fields.text(&["executed_by", "executed_by_user_id", "user_name", "executed_as_user_name", "user_id"]);
    let runs_as = fields.text(&["executed_as", "executed_as_user_name"]);
    event.role = runs_as.filter(|role| Some(role) != event.user.as_ref());
    event.application = fields.text(&["client_application"]);
    event.text = fields.text(&["statement_text", "query_text"]);
    event.truncated = fields.text(&["is_statement_text_truncated"]).as_deref() == Some("true");
    event.statement_type = fields.text(&["statement_type"]);
    let status = fields.text(&["execution_status", "status"]).map(|status| status.to_ascii_uppercase());
    event.status = match status.as_deref() {
        None | Some("FINISHED") => QueryStatus::Success,
        Some("FAILED") => QueryStatus::Failed,
        Some("CANCELED" | "CANCELLED") => QueryStatus::Cancelled,
        Some(_) => QueryStatus::Running,
    };
    event.error = fields.text(&["error_message"]);
    let metrics: Part<Metrics<'a>> = nested(fields, "metrics");
    let metrics = metrics.0.unwrap_or_default();
    event.rows_read = fields.integer(&["read_rows"]).or_else(|| metrics.rows_read_count.integer());
    event.rows_written = fields.integer(&["written_rows"]);
    event.bytes_read = fields.integer(&["read_bytes"]).or_else(|| metrics.read_bytes.integer());
    event.duration_us = fields.number(&["total_duration_ms", "duration"]).and_then(|ms| micros(ms, 1e3));
    if let Some(tags) = fields.raw("query_tags") {
        let found = comment::of_json(tags.get());
        event.named_job = found.job;
        event.application = found.application.map(Cow::Owned).or(event.application);
    }
    let source: Part<QuerySource<'a>> = nested(fields, "query_source");
    event.named_job = event.named_job.or_else(|| job_of(source.0?));
    Ok(LogLine::Query(Box::new(event)))
}

/// One pair of tables or of columns.
pub(super) fn lineage<'a>(fields: &Fields<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let Some(query_id) = fields.text(&["statement_id"]) else {
        return Ok(LogLine::NoOp("lineage_without_statement"));
    };
    let instance = instance(fields, cx)?;
    let at = cx.start(fields.time(&["event_time"])?, None, "/event_time")?;
    let side = |side: &str| -> Option<TableName> {
        let table = fields.text(&[&format!("{side}_table_full_name")]);
        let path = || fields.text(&[&format!("{side}_path")]);
        table
            .map(|name| dotted(&name, str::to_lowercase))
            .or_else(|| path().map(|path| TableName { parts: vec![Arc::from(path.as_ref())] }))
    };
    let column = |side: &str| fields.text(&[&format!("{side}_column_name")]).map(|name| Arc::from(name.to_lowercase()));
    let (source, target) = (side("source"), side("target"));
    let (source_column, target_column): (Option<Arc<str>>, Option<Arc<str>>) = (column("source"), column("target"));
    let origin = source.clone().zip(source_column.clone()).map(|(table, column)| ColumnRef { table, column });
    let plain = |name: Arc<str>| AccessedColumn { name, sources: Vec::new() };
    let reads = source.map(|table| Access { table, columns: source_column.map(plain).into_iter().collect() });
    let written = target_column.map(|name| AccessedColumn { name, sources: origin.into_iter().collect() });
    let writes = target.map(|table| Access { table, columns: written.into_iter().collect() });
    let entity = fields.text(&["entity_type"]).zip(fields.text(&["entity_id"]));
    let named_job = entity.map(|(kind, id)| NamedJob {
        tool: "databricks".to_owned(),
        name: format!("{}/{id}", kind.to_lowercase()),
        run: fields.text(&["entity_run_id"]).map(Cow::into_owned),
    });
    Ok(LogLine::Accessed(AccessPart {
        platform: Platform::Databricks,
        instance,
        query_id,
        user: fields.text(&["created_by"]),
        at,
        reads: reads.into_iter().collect(),
        writes: writes.into_iter().collect(),
        named_job,
    }))
}

fn instance(fields: &Fields<'_>, cx: &Context<'_, '_>) -> Result<String, Rejection> {
    let workspace = fields.text(&["workspace_id"]);
    let metastore = fields.text(&["metastore_id"]);
    let account = fields.text(&["account_id"]);
    let servers = [workspace.as_deref(), metastore.as_deref(), account.as_deref()];
    cx.instance(&Platform::Databricks, &servers, None)
}

fn nested<'a, T: Deserialize<'a>>(fields: &Fields<'a>, name: &str) -> Part<T> {
    fields.raw(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// Dashboards and notebooks are jobs as well: what they are called does not change with their texts.
fn job_of(source: QuerySource<'_>) -> Option<NamedJob> {
    let job = source.job_info.0.unwrap_or_default();
    let pipeline = source.pipeline_info.0.unwrap_or_default();
    let named = [
        ("job", job.job_id, job.job_run_id),
        ("pipeline", pipeline.pipeline_id, pipeline.update_id),
        ("dashboard", source.dashboard_id, Scalar::default()),
        ("dashboard", source.legacy_dashboard_id, Scalar::default()),
        ("notebook", source.notebook_id, Scalar::default()),
    ];
    named.into_iter().find_map(|(kind, id, run)| {
        let name = format!("{kind}/{}", id.text()?);
        Some(NamedJob { tool: "databricks".to_owned(), name, run: run.0.map(Cow::into_owned) })
    })
}
