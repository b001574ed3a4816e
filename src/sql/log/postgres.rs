//! PostgreSQL: lines of jsonlog and csvlog (postgresql.org, Error Reporting and Logging), with English messages.
//!
//! A statement has up to three lines: `statement:` or `execute …:` when it begins (`log_statement`), then `duration:`
//! (`log_duration`; with its text where only slow ones are logged) or an error with the text.

use std::borrow::Cow;

use super::super::types::Defaults;
use super::Context;
use super::event::{DurationLine, LogLine, Platform, QueryEvent, QueryStatus};
use super::read::{Fields, integer, micros, missing, number, time};
use crate::model::reject::{ReasonCode, Rejection};

/// Columns of the oldest csvlog with all that is read here; later versions add some at the end.
const CSV_COLUMNS: usize = 23;

/// One line, of either format.
#[derive(Debug, Default)]
struct Line<'a> {
    time: Option<i64>,
    user: Option<Cow<'a, str>>,
    database: Option<Cow<'a, str>>,
    session_id: Option<Cow<'a, str>>,
    number: i64,
    /// `ps`, the command tag.
    tag: Option<Cow<'a, str>>,
    severity: Option<Cow<'a, str>>,
    state: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
    detail: Option<Cow<'a, str>>,
    statement: Option<Cow<'a, str>>,
    application: Option<Cow<'a, str>>,
    backend: Option<Cow<'a, str>>,
}

pub(super) fn json<'a>(fields: &Fields<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let line = Line {
        time: fields.time(&["timestamp"])?,
        user: fields.text(&["user"]),
        database: fields.text(&["dbname"]),
        session_id: fields.text(&["session_id"]),
        number: fields.integer(&["line_num"]).unwrap_or_default(),
        tag: fields.text(&["ps"]),
        severity: fields.text(&["error_severity"]),
        state: fields.text(&["state_code"]),
        message: fields.text(&["message"]),
        detail: fields.text(&["detail"]),
        statement: fields.text(&["statement"]),
        application: fields.text(&["application_name"]),
        backend: fields.text(&["backend_type"]),
    };
    decode(line, cx)
}

pub(super) fn csv<'a>(text: &'a str, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    decode(csv_line(csv_fields(text))?, cx)
}

/// A line whose text does not live as long as the record.
pub(super) fn csv_owned<'a>(text: &str, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    decode(csv_line(csv_fields(text).into_iter().map(|field| Cow::Owned(field.into_owned())).collect())?, cx)
}

fn csv_line<'a>(fields: Vec<Cow<'a, str>>) -> Result<Line<'a>, Rejection> {
    if fields.len() < CSV_COLUMNS {
        let message = format!(
            "neither JSON nor a csvlog line of Postgres, which has {CSV_COLUMNS} columns and more; this has {}",
            fields.len()
        );
        return Err(Rejection::new(ReasonCode::InvalidJson, "", message));
    }
    let mut line = Line::default();
    for (place, field) in fields.into_iter().enumerate() {
        let slot = match place {
            0 => {
                line.time = Some(time(&field, "")?);
                continue;
            }
            6 => {
                line.number = integer(&field).unwrap_or_default();
                continue;
            }
            1 => &mut line.user,
            2 => &mut line.database,
            5 => &mut line.session_id,
            7 => &mut line.tag,
            11 => &mut line.severity,
            12 => &mut line.state,
            13 => &mut line.message,
            14 => &mut line.detail,
            19 => &mut line.statement,
            22 => &mut line.application,
            23 => &mut line.backend,
            _ => continue,
        };
        *slot = (!field.is_empty()).then_some(field);
    }
    Ok(line)
}

/// The fields of a CSV record (RFC 4180); a quoted one may hold line breaks.
fn csv_fields(text: &str) -> Vec<Cow<'_, str>> {
    let mut fields = Vec::with_capacity(CSV_COLUMNS + 3);
    let mut rest = text;
    loop {
        let (field, tail) = match rest.strip_prefix('"') {
            None => {
                rest.split_once(',').map_or((Cow::Borrowed(rest), None), |(field, tail)| (field.into(), Some(tail)))
            }
            Some(inner) => {
                let (field, tail) = csv_quoted(inner);
                (field, tail.split_once(',').map(|(_, tail)| tail))
            }
        };
        fields.push(field);
        match tail {
            Some(tail) => rest = tail,
            None => return fields,
        }
    }
}

/// What stands before the closing quote, doubled quotes undone, and what follows it.
fn csv_quoted(inner: &str) -> (Cow<'_, str>, &str) {
    let mut field = Cow::Borrowed("");
    let mut rest = inner;
    while let Some((plain, tail)) = rest.split_once('"') {
        if field.is_empty() {
            field = Cow::Borrowed(plain);
        } else {
            field.to_mut().push_str(plain);
        }
        match tail.strip_prefix('"') {
            Some(tail) => {
                field.to_mut().push('"');
                rest = tail;
            }
            None => return (field, tail),
        }
    }
    field.to_mut().push_str(rest);
    (field, "")
}

fn decode<'a>(line: Line<'a>, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let is_client = line.backend.as_deref().is_none_or(|backend| backend == "client backend");
    let message = line.message.as_deref().unwrap_or_default();
    let (Some(session_id), true) = (&line.session_id, is_client) else {
        let is_connection = message.starts_with("connection ");
        return Ok(LogLine::NoOp(if is_connection { "connection" } else { "server_message" }));
    };
    let Some(time) = line.time else { return Err(missing("/timestamp", "timestamp")) };
    let severity = line.severity.as_deref().unwrap_or_default();
    if matches!(severity, "ERROR" | "FATAL" | "PANIC") {
        let Some(text) = line.statement.clone() else { return Ok(LogLine::NoOp("error_without_statement")) };
        let mut event = event(&line, session_id.clone(), time, cx)?;
        event.end = Some(time);
        event.status =
            if line.state.as_deref() == Some("57014") { QueryStatus::Cancelled } else { QueryStatus::Failed };
        event.error = match (&line.state, &line.message) {
            (Some(state), Some(message)) => Some(Cow::Owned(format!("{state}: {message}"))),
            (state, message) => message.clone().or_else(|| state.clone()),
        };
        event.text = Some(text);
        return Ok(LogLine::Query(Box::new(event)));
    }
    if message.starts_with("disconnection:") {
        let instance = cx.instance(&Platform::Postgres, &[], None)?;
        let session_id = session_id.clone();
        return Ok(LogLine::SessionEnd { platform: Platform::Postgres, instance, session_id, at: time });
    }
    if let Some(at) = statement_at(message) {
        return begun(&line, session_id, time, at, cx);
    }
    if let Some(duration) = message.strip_prefix("duration: ") {
        return done(&line, session_id, time, duration, cx);
    }
    let known = [("connection ", "connection"), ("execute fetch from", "fetch_of_cursor")];
    let reason = known.iter().find(|(begin, _)| message.starts_with(begin)).map_or("server_message", |&(_, why)| why);
    Ok(LogLine::NoOp(reason))
}

/// Where the statement begins in `statement: …` or `execute name: …`.
fn statement_at(message: &str) -> Option<usize> {
    let (head, _) = message.split_once(": ")?;
    let is_execution = head.starts_with("execute ") && !head.starts_with("execute fetch from");
    (head == "statement" || is_execution).then_some(head.len() + 2)
}

fn begun<'a>(
    line: &Line<'a>,
    session_id: &Cow<'a, str>,
    time: i64,
    at: usize,
    cx: &Context<'_, 'a>,
) -> Result<LogLine<'a>, Rejection> {
    let mut event = event(line, session_id.clone(), time, cx)?;
    event.status = QueryStatus::Running;
    event.text = prepared(line).or_else(|| tail(line.message.as_ref()?, at));
    Ok(LogLine::Query(Box::new(event)))
}

/// A `duration:` line: with the statement behind it, where `log_min_duration_statement` made it.
fn done<'a>(
    line: &Line<'a>,
    session_id: &Cow<'a, str>,
    time: i64,
    duration: &str,
    cx: &Context<'_, 'a>,
) -> Result<LogLine<'a>, Rejection> {
    let Some((amount, rest)) = duration.split_once(" ms") else { return Ok(LogLine::NoOp("server_message")) };
    let Some(duration_us) = number(amount).and_then(|ms| micros(ms, 1e3)) else {
        return Ok(LogLine::NoOp("server_message"));
    };
    let rest = rest.trim_start();
    if !rest.is_empty() {
        let Some(at) = statement_at(rest) else {
            let is_plan = rest.starts_with("plan:");
            return Ok(LogLine::NoOp(if is_plan { "plan" } else { "protocol_step" }));
        };
        let at = line.message.as_deref().unwrap_or_default().len() - rest.len() + at;
        let mut event = event(line, session_id.clone(), time.saturating_sub(duration_us), cx)?;
        event.end = Some(time);
        event.duration_us = Some(duration_us);
        event.text = prepared(line).or_else(|| tail(line.message.as_ref()?, at));
        return Ok(LogLine::Query(Box::new(event)));
    }
    if matches!(line.tag.as_deref(), Some("PARSE" | "BIND")) {
        return Ok(LogLine::NoOp("protocol_step"));
    }
    Ok(LogLine::Duration(DurationLine {
        instance: cx.instance(&Platform::Postgres, &[], None)?,
        session_id: session_id.clone(),
        line: line.number,
        end: time,
        duration_us,
        statement_type: line.tag.clone(),
    }))
}

fn event<'a>(
    line: &Line<'a>,
    session_id: Cow<'a, str>,
    start: i64,
    cx: &Context<'_, 'a>,
) -> Result<QueryEvent<'a>, Rejection> {
    let instance = cx.instance(&Platform::Postgres, &[], None)?;
    let query_id = Cow::Owned(format!("{session_id}/{}", line.number));
    let mut event = QueryEvent::new(Platform::Postgres, instance, query_id, start);
    event.session_id = Some(session_id);
    event.user = line.user.clone();
    event.application = line.application.clone();
    // While a statement runs the tag still tells what was before it.
    event.statement_type = line.tag.clone().filter(|tag| !tag.starts_with("idle"));
    event.defaults = Defaults { database: line.database.as_deref().map(Into::into), schemas: vec!["public".into()] };
    Ok(event)
}

/// The statement behind the name of one that was prepared in SQL: `execute q(7)` has the detail
/// `prepare: prepare q(int) as select …`.
fn prepared<'a>(line: &Line<'a>) -> Option<Cow<'a, str>> {
    let detail = line.detail.as_ref()?;
    let body = detail.strip_prefix("prepare: ")?;
    let lower = body.to_ascii_lowercase();
    let at = lower.find(" as ").or_else(|| lower.find(" as\n")).or_else(|| lower.find(")as "))?;
    tail(detail, detail.len() - body.len() + at + 4)
}

/// What follows byte `at`.
fn tail<'a>(text: &Cow<'a, str>, at: usize) -> Option<Cow<'a, str>> {
    let tail = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(at..)?),
        Cow::Owned(text) => Cow::Owned(text.get(at..)?.to_owned()),
    };
    (!tail.is_empty()).then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_are_parted_outside_of_quotes() {
        assert_eq!(csv_fields(r#"a,,"b, ""c""","",d"#), ["a", "", "b, \"c\"", "", "d"]);
        assert_eq!(csv_fields("\"a\nb\",\"\"\"\"\"\""), ["a\nb", "\"\""]);
        assert_eq!(csv_fields("\"\"\"x\""), ["\"x"]);
        assert_eq!(csv_fields("\"open, c"), ["open, c"]);
        assert_eq!(csv_fields(""), [""]);
        assert_eq!(csv_fields("a,"), ["a", ""]);
    }
}
