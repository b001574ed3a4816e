//! The common shape, for platforms and exporters that have none of their own: one JSON object a query.
//!
//! | field | also | meaning |
//! |---|---|---|
//! | `platform` | | `oracle`, `mysql`, `snowflake`, …; without it the setting `sources.query_logs.common.instance` tells |
//! | `instance` | | namespace of its datasets (`mysql://host:3306`); without it the setting `sources.query_logs.<platform>.instance` |
//! | `text` | `query`, `sql`, `query_text`, `statement` | **required**: the statement |
//! | `start` | `start_time`, `timestamp`, `time` | when it began: ISO 8601 (no zone means UTC) or a number since 1970 in s, ms, µs or ns; without start and end, when the record was produced |
//! | `end` | `end_time` | when it ended |
//! | `query_id` | `id` | without it, a digest of instance, session, user, time and text |
//! | `session_id` | | keeps temporary tables, `USE` and alike together |
//! | `user`, `role`, `application` | `user_name`, `username` | |
//! | `status` | | `success` (default), `failed`, `cancelled`, `running` |
//! | `error` | `error_message` | |
//! | `truncated` | | the text was cut |
//! | `statement_type` | `query_type`, `operation_type` | |
//! | `dialect` | | default: the platform's |
//! | `database` | `default_db`, `catalog` | where unqualified names belong |
//! | `schemas` | `schema`, `default_schema` | a list, searched in this order, or one |
//! | `rows_read`, `rows_written`, `bytes_read`, `cost` | | numbers |
//! | `duration_us` | `duration_ms` | |
//! | `reads`, `writes` | | `[{"table": "db.schema.t" or ["db", "schema", "t"], "columns": ["a", {"name": "b", "sources": [{"table": …, "column": …}]}]}]`; absent: ask the text |
//! | `job` | | `{"tool": "airflow", "name": "dag.task", "run": …}` |
//!
//! Names of fields count in any case. Unknown fields are ignored, so that exporters may add what they like; what is
//! required and missing (or misspelt) is a rejection.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::types::{ColumnRef, Defaults, Dialect, TableName};
use super::event::{Access, AccessedColumn, LogLine, NamedJob, Platform, QueryEvent, QueryStatus};
use super::read::{
    Element, Fields, List, Part, Scalar, Word, content_id, dotted, elements, list, micros, missing, scalar,
};
use super::{Context, comment};
use crate::model::reject::{ReasonCode, Rejection};

/// A table with what was touched of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Touched {
    table: Name,
    columns: List<Column>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ColumnObject {
    name: Word,
    sources: List<Origin>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Origin {
    table: Name,
    column: Word,
}

elements!(Touched, Origin);

/// A column: its name, or an object.
#[derive(Debug)]
struct Column(ColumnObject);

impl<'de> Element<'de> for Column {
    type As = &'de RawValue;
    fn of(read: Self::As) -> Option<Self> {
        if let Some(name) = scalar(read) {
            return Some(Self(ColumnObject { name: Word(name.into_owned()), sources: List::default() }));
        }
        serde_json::from_str(read.get()).ok().map(Self)
    }
    fn list_in(text: &str) -> Option<Vec<Self>> {
        serde_json::from_str::<List<Self>>(text).ok()?.0
    }
}

/// A table's name: dotted, with quotes where a part holds dots, or its parts.
#[derive(Debug, Default)]
struct Name(Vec<String>, bool);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Ok(match list::<String>(Some(raw)) {
            Some(parts) => Self(parts, true),
            None => Self(scalar(raw).map(Cow::into_owned).into_iter().collect(), false),
        })
    }
}

impl Name {
    fn table(&self, fold: fn(&str) -> String) -> Option<TableName> {
        let first = self.0.first()?;
        Some(match self.1 {
            true => TableName { parts: self.0.iter().map(|part| fold(part).into()).collect() },
            false => dotted(first, fold),
        })
    }
}

/// Decodes a record of the common shape; `told` is the platform that it names.
pub(super) fn decode<'a>(
    fields: &Fields<'a>,
    told: Option<Platform>,
    cx: &Context<'_, 'a>,
) -> Result<LogLine<'a>, Rejection> {
    let text = fields
        .text(&["text", "query", "sql", "query_text", "statement"])
        .ok_or_else(|| missing("/text", "text: the statement"))?;
    let (platform, instance) = match told {
        Some(platform) => {
            let own = fields.text(&["instance"]).map(Cow::into_owned);
            let server = fields.text(&["server"]);
            let instance = cx.instance(&platform, &[server.as_deref()], own)?;
            (platform, instance)
        }
        None => cx.common_platform()?,
    };
    let end = fields.time(&["end", "end_time"])?;
    let start = fields.time(&["start", "start_time", "timestamp", "time"])?;
    let is_timed = start.is_some() || end.is_some();
    let start = cx.start(start, end, "/start")?;
    let session_id = fields.text(&["session_id"]);
    let user = fields.text(&["user", "user_name", "username"]);
    let query_id = fields.text(&["query_id", "id"]).unwrap_or_else(|| {
        let time = if is_timed { start.to_string() } else { String::new() };
        let (session, user) = (session_id.as_deref().unwrap_or_default(), user.as_deref().unwrap_or_default());
        Cow::Owned(content_id(&[session, user, &time, &text]))
    });
    let mut event = QueryEvent::new(platform, instance, query_id, start);
    if let Some(dialect) = fields.text(&["dialect"]) {
        event.dialect = Dialect::named(&dialect).ok_or_else(|| {
            let shown: String = dialect.chars().take(60).collect();
            let message = format!("{shown:?} is no dialect that is known, such as snowflake, oracle or mysql");
            Rejection::new(ReasonCode::InvalidField, "/dialect", message)
        })?;
    }
    event.session_id = session_id;
    event.user = user;
    event.role = fields.text(&["role"]);
    event.application = fields.text(&["application"]);
    event.end = end;
    event.status = status(fields)?;
    event.error = fields.text(&["error", "error_message"]);
    event.text = Some(text);
    event.truncated = fields.text(&["truncated"]).as_deref() == Some("true");
    event.statement_type = fields.text(&["statement_type", "query_type", "operation_type"]);
    let fold = folding(event.dialect);
    let one = fields.text(&["schema", "default_schema"]).map(|schema| vec![schema.into_owned()]);
    let schemas: Vec<String> = list(fields.raw("schemas")).or(one).unwrap_or_default();
    event.defaults = Defaults {
        database: fields.text(&["database", "default_db", "catalog"]).map(|name| fold(&name).into()),
        schemas: schemas.iter().map(|schema| fold(schema).into()).collect(),
    };
    event.rows_read = fields.integer(&["rows_read"]);
    event.rows_written = fields.integer(&["rows_written"]);
    event.bytes_read = fields.integer(&["bytes_read"]);
    event.cost = fields.number(&["cost"]);
    let milliseconds = || fields.number(&["duration_ms"]).and_then(|ms| micros(ms, 1e3));
    event.duration_us = fields.number(&["duration_us"]).and_then(|us| micros(us, 1.0)).or_else(milliseconds);
    let touched = |field: &str| {
        let touched: Option<Vec<Touched>> = list(fields.raw(field));
        touched.map(|touched| touched.iter().filter_map(|one| access(one, fold)).collect())
    };
    event.reads = touched("reads");
    event.writes = touched("writes");
    event.named_job = fields.raw("job").and_then(job);
    Ok(LogLine::Query(Box::new(event)))
}

fn status(fields: &Fields<'_>) -> Result<QueryStatus, Rejection> {
    let Some(status) = fields.text(&["status"]) else { return Ok(QueryStatus::Success) };
    Ok(match status.trim().to_ascii_lowercase().as_str() {
        "success" | "succeeded" | "finished" | "complete" | "completed" | "done" | "ok" => QueryStatus::Success,
        "failed" | "failure" | "fail" | "error" => QueryStatus::Failed,
        "cancelled" | "canceled" | "killed" | "aborted" => QueryStatus::Cancelled,
        "running" | "started" | "queued" => QueryStatus::Running,
        _ => {
            let shown: String = status.chars().take(60).collect();
            let message = format!("{shown:?} is none of success, failed, cancelled, running");
            return Err(Rejection::new(ReasonCode::InvalidField, "/status", message));
        }
    })
}

fn access(touched: &Touched, fold: fn(&str) -> String) -> Option<Access> {
    let columns = touched.columns.0.iter().flatten().filter_map(|Column(column)| {
        let sources = column.sources.0.iter().flatten().filter_map(|origin| {
            let column = Arc::from(fold(origin.column.text()?));
            Some(ColumnRef { table: origin.table.table(fold)?, column })
        });
        Some(AccessedColumn { name: fold(column.name.text()?).into(), sources: sources.collect() })
    });
    Some(Access { table: touched.table.table(fold)?, columns: columns.collect() })
}

fn job(raw: &RawValue) -> Option<NamedJob> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Job<'a> {
        #[serde(borrow)]
        tool: Scalar<'a>,
        #[serde(borrow)]
        name: Scalar<'a>,
        #[serde(borrow)]
        run: Scalar<'a>,
    }
    let Part(Some(job)) = serde_json::from_str::<Part<Job<'_>>>(raw.get()).ok()? else {
        return comment::of_json(raw.get()).job;
    };
    let tool = job.tool.text()?.to_lowercase();
    Some(NamedJob { tool, name: job.name.0?.into_owned(), run: job.run.0.map(Cow::into_owned) })
}

/// Stored names as names resolve in a dialect: lower case where unquoted names do not depend on case. Where they are
/// stored in upper case, a lower-case letter tells that quotes were written.
fn folding(dialect: Dialect) -> fn(&str) -> String {
    match dialect {
        Dialect::BigQuery | Dialect::MySql | Dialect::ClickHouse | Dialect::Postgres | Dialect::TSql => str::to_owned,
        Dialect::Snowflake | Dialect::Oracle | Dialect::Db2 => |name| {
            if name.chars().any(char::is_lowercase) { name.to_owned() } else { name.to_lowercase() }
        },
        _ => str::to_lowercase,
    }
}
