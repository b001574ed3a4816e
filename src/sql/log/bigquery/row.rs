//! Rows of INFORMATION_SCHEMA.JOBS.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::Context;
use super::super::comment;
use super::super::event::{LogLine, Platform, QueryEvent};
use super::super::read::{Fields, List, Part, Scalar, Word, elements, missing};
use super::{Fault, TableRef, defaults, instance, outcome, tables, without_changed};
use crate::model::reject::Rejection;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Label {
    key: Word,
    value: Word,
}

elements!(Label);

/// Rows that a statement changed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Changed<'a> {
    #[serde(borrow)]
    inserted_row_count: Scalar<'a>,
    #[serde(borrow)]
    updated_row_count: Scalar<'a>,
    #[serde(borrow)]
    deleted_row_count: Scalar<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Session<'a> {
    #[serde(borrow)]
    session_id: Scalar<'a>,
}

pub(in super::super) fn decode<'a>(fields: &Fields<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let id = fields.text(&["job_id"]).ok_or_else(|| missing("/job_id", "job_id"))?;
    let project = fields.text(&["project_id"]).ok_or_else(|| missing("/project_id", "project_id"))?;
    let start = fields.time(&["start_time", "creation_time"])?;
    let end = fields.time(&["end_time"])?;
    let start = cx.start(start, end, "/creation_time")?;
    let mut event = QueryEvent::new(Platform::BigQuery, instance(cx, &project)?, id, start);
    event.end = end;
    let session: Part<Session<'a>> = part(fields, "session_info");
    event.session_id = session.0.unwrap_or_default().session_id.0;
    event.user = fields.text(&["user_email"]);
    event.text = fields.text(&["query"]);
    if event.text.is_none() && fields.text(&["job_type"]).is_some_and(|kind| !kind.eq_ignore_ascii_case("query")) {
        // Loads, copies and extracts: this view does not say from where to where.
        return Ok(LogLine::NoOp("job_without_query"));
    }
    event.statement_type = fields.text(&["statement_type"]);
    event.defaults = defaults(Some(&project), None);
    let fault: Part<Fault<'a>> = part(fields, "error_result");
    (event.status, event.error) = outcome(fields.text(&["state"]).as_deref(), fault);
    event.bytes_read = fields.integer(&["total_bytes_processed"]);
    event.cost = fields.number(&["total_bytes_billed"]);
    let changed: Part<Changed<'a>> = part(fields, "dml_statistics");
    event.rows_written = changed.0.and_then(|changed| {
        let counts = [changed.inserted_row_count, changed.updated_row_count, changed.deleted_row_count];
        let known: Vec<i64> = counts.iter().filter_map(Scalar::integer).collect();
        (!known.is_empty()).then(|| known.iter().fold(0, |sum: i64, rows| sum.saturating_add(*rows)))
    });
    let list: Option<List<TableRef>> =
        fields.raw("referenced_tables").and_then(|raw| serde_json::from_str(raw.get()).ok());
    event.reads = list.and_then(|list| tables(&list));
    let written: Part<TableRef> = part(fields, "destination_table");
    event.writes = written.0.map(|table| table.access().into_iter().collect());
    without_changed(&mut event);
    let labels: Vec<Label> = super::super::read::list(fields.raw("labels")).unwrap_or_default();
    let found = comment::describe(|names| {
        let named = |name: &&str| labels.iter().find(|label| label.key.text() == Some(*name));
        names.iter().find_map(named).and_then(|label| label.value.text()).map(Cow::Borrowed)
    });
    event.named_job = found.job;
    event.application = found.application.map(Cow::Owned);
    Ok(LogLine::Query(Box::new(event)))
}

fn part<'a, T: Deserialize<'a>>(fields: &Fields<'a>, name: &str) -> Part<T> {
    fields.raw(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}
