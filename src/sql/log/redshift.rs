//! Redshift: rows of SYS_QUERY_HISTORY, of STL_QUERY (also joined with what was scanned), and of the views that keep
//! texts in pieces (docs.aws.amazon.com/redshift, System tables and views). Character columns are padded with blanks.

use std::borrow::Cow;

use super::super::types::Defaults;
use super::Context;
use super::event::{LogLine, Platform, QueryEvent, QueryStatus};
use super::read::{Fields, micros, missing};
use crate::model::reject::Rejection;

/// Characters of a text that the history keeps.
const HISTORY_TEXT: usize = 4_000;
/// Characters of one piece of a text.
const TEXT_PIECE: usize = 200;

pub(super) fn history<'a>(fields: &Fields<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    // The older views number queries on their own: 17 there and 17 here are two.
    let query_id = match fields.text(&["query_id"]) {
        Some(id) => id,
        None => Cow::Owned(format!("stl/{}", fields.text(&["query"]).ok_or_else(|| missing("/query_id", "query_id"))?)),
    };
    let mut event = event(fields, cx, query_id)?;
    event.text = trimmed(fields.text(&["query_text", "querytxt"]));
    event.truncated = event.text.as_ref().is_some_and(|text| text.chars().count() >= HISTORY_TEXT);
    event.statement_type = trimmed(fields.text(&["query_type", "operation_type"]));
    event.rows_read = fields.integer(&["returned_rows"]);
    event.duration_us = fields.number(&["elapsed_time"]).and_then(|us| micros(us, 1.0));
    let status = trimmed(fields.text(&["status"])).map(|status| status.to_ascii_lowercase());
    let is_aborted = fields.integer(&["aborted"]).is_some_and(|aborted| aborted != 0);
    event.status = match status.as_deref() {
        None if is_aborted => QueryStatus::Failed,
        None | Some("success") => QueryStatus::Success,
        Some("failed") => QueryStatus::Failed,
        Some("canceled" | "cancelled") => QueryStatus::Cancelled,
        Some(_) => QueryStatus::Running,
    };
    if event.status != QueryStatus::Success {
        event.error = trimmed(fields.text(&["error_message"]));
    }
    Ok(LogLine::Query(Box::new(event)))
}

/// A piece of a text: the first one stands for the whole, cut if it is full.
pub(super) fn statement_text<'a>(fields: &Fields<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    if fields.integer(&["sequence"]).is_some_and(|sequence| sequence > 0) {
        return Ok(LogLine::NoOp("continued_statement_text"));
    }
    let text = fields.text(&["text"]);
    let start = fields.text(&["starttime", "start_time"]).unwrap_or_default();
    let xid = fields.text(&["xid", "transaction_id"]).unwrap_or_default();
    let query_id = fields.text(&["query_id", "query"]).unwrap_or_else(|| {
        let pid = fields.text(&["pid"]).unwrap_or_default();
        Cow::Owned(super::read::content_id(&[&xid, &pid, &start, text.as_deref().unwrap_or_default()]))
    });
    let mut event = event(fields, cx, query_id)?;
    // Line breaks stand escaped in these columns.
    event.text = trimmed(text.map(|text| if text.contains("\\n") { text.replace("\\n", "\n").into() } else { text }));
    event.truncated = fields.text(&["text"]).is_some_and(|text| text.chars().count() == TEXT_PIECE);
    event.statement_type = trimmed(fields.text(&["type"]));
    Ok(LogLine::Query(Box::new(event)))
}

fn event<'a>(fields: &Fields<'a>, cx: &Context<'_, 'a>, query_id: Cow<'a, str>) -> Result<QueryEvent<'a>, Rejection> {
    let platform = Platform::Redshift;
    let cluster = fields.text(&["cluster_identifier", "cluster", "workgroup_name"]);
    let instance = cx.instance(&platform, &[cluster.as_deref()], None)?;
    let (start, end) = (fields.time(&["start_time", "starttime"])?, fields.time(&["end_time", "endtime"])?);
    let start = cx.start(start, end, "/start_time")?;
    let mut event = QueryEvent::new(platform, instance, query_id, start);
    event.end = end;
    event.session_id = fields.text(&["session_id", "pid"]);
    event.user =
        trimmed(fields.text(&["username", "usename", "user_name"])).or_else(|| fields.text(&["user_id", "userid"]));
    event.application = trimmed(fields.text(&["query_label", "label"])).filter(|label| label != "default");
    let database = trimmed(fields.text(&["database_name", "database"]));
    event.defaults =
        Defaults { database: database.map(|name| name.to_lowercase().into()), schemas: vec!["public".into()] };
    Ok(event)
}

/// Without the blanks of fixed-width columns; none if nothing is left.
fn trimmed(text: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    let text = match text? {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_end()),
        Cow::Owned(text) if text.ends_with(' ') => Cow::Owned(text.trim_end().to_owned()),
        owned => owned,
    };
    (!text.is_empty()).then_some(text)
}
