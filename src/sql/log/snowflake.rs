//! Snowflake: rows of ACCOUNT_USAGE's QUERY_HISTORY and ACCESS_HISTORY (docs.snowflake.com, Account Usage), each alone
//! or both joined, column names in any case, objects as JSON or as JSON in a text.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::super::types::{ColumnRef, Defaults};
use super::Context;
use super::comment;
use super::event::{Access, AccessedColumn, LogLine, Platform, QueryEvent, QueryStatus};
use super::read::{Fields, Word, dotted, elements, list, micros, missing};
use crate::model::reject::Rejection;

/// An object of an access list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Object {
    object_name: Word,
    object_domain: Word,
    columns: super::read::List<Column>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Column {
    column_name: Word,
    direct_sources: super::read::List<Origin>,
}

/// A source of a written column.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Origin {
    object_name: Word,
    object_domain: Word,
    column_name: Word,
}

elements!(Object, Column, Origin);

pub(super) fn decode<'a>(fields: &Fields<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let query_id = fields.text(&["query_id"]).ok_or_else(|| missing("/QUERY_ID", "QUERY_ID"))?;
    let platform = Platform::Snowflake;
    let (organisation, account) = (fields.text(&["organization_name"]), fields.text(&["account_name"]));
    let own = match (&organisation, &account) {
        (Some(organisation), Some(account)) => Some(format!("snowflake://{organisation}-{account}").to_lowercase()),
        _ => None,
    };
    let locator = fields.text(&["account_locator"]);
    let instance = cx.instance(&platform, &[account.as_deref(), locator.as_deref()], own)?;
    let start = fields.time(&["start_time", "query_start_time"])?;
    let end = fields.time(&["end_time"])?;
    let start = cx.start(start, end, "/START_TIME")?;
    let mut event = QueryEvent::new(platform, instance, query_id, start);
    event.end = end;
    event.session_id = fields.text(&["session_id"]);
    event.user = fields.text(&["user_name"]);
    event.role = fields.text(&["role_name"]);
    event.application = fields.text(&["client_application_id", "client_application_name"]);
    event.text = fields.text(&["query_text"]);
    event.statement_type = fields.text(&["query_type"]);
    event.defaults = Defaults {
        database: fields.text(&["database_name"]).map(|name| folded(&name).into()),
        schemas: fields.text(&["schema_name"]).map(|name| folded(&name).into()).into_iter().collect(),
    };
    (event.status, event.error) = outcome(fields);
    let sum = |names: &[&str]| {
        let known: Vec<i64> = names.iter().filter_map(|name| fields.integer(&[name])).collect();
        (!known.is_empty()).then(|| known.iter().fold(0, |sum: i64, rows| sum.saturating_add(*rows)))
    };
    event.rows_read = fields.integer(&["rows_produced"]);
    event.rows_written = sum(&["rows_inserted", "rows_updated", "rows_deleted", "rows_unloaded"]);
    event.bytes_read = fields.integer(&["bytes_scanned"]);
    event.duration_us = fields.number(&["total_elapsed_time", "query_duration"]).and_then(|ms| micros(ms, 1e3));
    event.cost = fields.number(&["credits_used_cloud_services"]);
    // Views as they are named, not what lies below them: that is the view's own lineage.
    event.reads = accesses(fields, "direct_objects_accessed").or_else(|| accesses(fields, "base_objects_accessed"));
    event.writes = accesses(fields, "objects_modified");
    if let Some(tag) = fields.text(&["query_tag"]) {
        let found = comment::of_json(&tag);
        event.named_job = found.job;
        event.application = found.application.map(Cow::Owned).or(event.application);
    }
    Ok(LogLine::Query(Box::new(event)))
}

fn outcome<'a>(fields: &Fields<'a>) -> (QueryStatus, Option<Cow<'a, str>>) {
    let (code, message) = (fields.text(&["error_code"]), fields.text(&["error_message"]));
    let status = match fields.text(&["execution_status"]).map(|status| status.to_ascii_uppercase()).as_deref() {
        // 604: cancelled; 630 and 000630: a statement's timeout.
        _ if matches!(code.as_deref().map(|code| code.trim_start_matches('0')), Some("604" | "630")) => {
            QueryStatus::Cancelled
        }
        // A row of ACCESS_HISTORY alone: it has no other queries.
        None if code.is_none() => QueryStatus::Success,
        Some("SUCCESS") => QueryStatus::Success,
        None | Some("FAIL" | "INCIDENT" | "FAILED_WITH_ERROR" | "FAILED_WITH_INCIDENT") => QueryStatus::Failed,
        Some(_) => QueryStatus::Running,
    };
    let error = match (code, message) {
        _ if status == QueryStatus::Success => None,
        (Some(code), Some(message)) => Some(Cow::Owned(format!("{code}: {message}"))),
        (code, message) => message.or(code),
    };
    (status, error)
}

fn accesses(fields: &Fields<'_>, name: &str) -> Option<Vec<Access>> {
    let objects: Vec<Object> = list(fields.raw(name))?;
    let is_kept = |object: &Object| is_table(&object.object_domain.0) && object.object_name.text().is_some();
    Some(objects.iter().filter(|object| is_kept(object)).map(access).collect())
}

/// Whether rows lie in objects of a domain.
fn is_table(domain: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    domain.is_empty() || ["table", "view", "stream", "stage"].iter().any(|kind| domain.ends_with(kind))
}

fn access(object: &Object) -> Access {
    let columns = object.columns.0.iter().flatten().filter_map(|column| {
        let name = folded(column.column_name.text()?).into();
        let origins = column.direct_sources.0.iter().flatten();
        let sources = origins.filter(|origin| is_table(&origin.object_domain.0)).filter_map(|origin| {
            let (table, column) = (origin.object_name.text()?, origin.column_name.text()?);
            Some(ColumnRef { table: dotted(table, folded), column: Arc::from(folded(column)) })
        });
        Some(AccessedColumn { name, sources: sources.collect() })
    });
    Access { table: dotted(&object.object_name.0, folded), columns: columns.collect() }
}

/// A stored name as names resolve: in upper case stands what was written without quotes.
fn folded(name: &str) -> String {
    if name.chars().any(char::is_lowercase) { name.to_owned() } else { name.to_lowercase() }
}
