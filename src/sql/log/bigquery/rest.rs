//! Jobs as the REST API gives them (`jobs.get`, elements of `jobs.list`).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Context;
use super::super::event::{Access, LogLine, Platform, QueryEvent};
use super::super::read::{List, Part, Scalar, missing, not_json};
use super::{Fault, TableRef, defaults, instance, of_labels, outcome, place, tables, without_changed};
use crate::model::reject::Rejection;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Job<'a> {
    #[serde(borrow)]
    job_reference: Part<Reference<'a>>,
    #[serde(borrow)]
    configuration: Part<Configuration<'a>>,
    #[serde(borrow)]
    statistics: Part<Statistics<'a>>,
    #[serde(borrow)]
    status: Part<Status<'a>>,
    /// What elements of lists say in place of `status`.
    #[serde(borrow)]
    state: Scalar<'a>,
    #[serde(borrow, rename = "user_email")]
    user_email: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Reference<'a> {
    #[serde(borrow)]
    project_id: Scalar<'a>,
    #[serde(borrow)]
    job_id: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Configuration<'a> {
    #[serde(borrow)]
    query: Part<Query<'a>>,
    load: Part<Load>,
    copy: Part<Copy>,
    extract: Part<Extract>,
    #[serde(borrow)]
    labels: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Query<'a> {
    #[serde(borrow)]
    query: Scalar<'a>,
    destination_table: Part<TableRef>,
    default_dataset: Part<TableRef>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Load {
    source_uris: List<String>,
    destination_table: Part<TableRef>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Copy {
    source_table: Part<TableRef>,
    source_tables: List<TableRef>,
    destination_table: Part<TableRef>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Extract {
    source_table: Part<TableRef>,
    destination_uris: List<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Statistics<'a> {
    #[serde(borrow)]
    creation_time: Scalar<'a>,
    #[serde(borrow)]
    start_time: Scalar<'a>,
    #[serde(borrow)]
    end_time: Scalar<'a>,
    #[serde(borrow)]
    total_bytes_processed: Scalar<'a>,
    #[serde(borrow)]
    query: Part<QueryStatistics<'a>>,
    #[serde(borrow)]
    session_info: Part<Session<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Session<'a> {
    #[serde(borrow)]
    session_id: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct QueryStatistics<'a> {
    #[serde(borrow)]
    statement_type: Scalar<'a>,
    #[serde(borrow)]
    total_bytes_billed: Scalar<'a>,
    #[serde(borrow)]
    num_dml_affected_rows: Scalar<'a>,
    referenced_tables: List<TableRef>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    state: Scalar<'a>,
    #[serde(borrow)]
    error_result: Part<Fault<'a>>,
}

pub(in super::super) fn decode<'a>(text: &'a str, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let job: Job<'a> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let reference = job.job_reference.0.unwrap_or_default();
    let (Some(project), Some(id)) = (reference.project_id.0, reference.job_id.0) else {
        return Err(missing("/jobReference", "jobReference with projectId and jobId"));
    };
    let statistics = job.statistics.0.unwrap_or_default();
    let start = statistics.start_time.time("/statistics/startTime")?;
    let start = start.or(statistics.creation_time.time("/statistics/creationTime")?);
    let end = statistics.end_time.time("/statistics/endTime")?;
    let start = cx.start(start, end, "/statistics/creationTime")?;
    let mut event = QueryEvent::new(Platform::BigQuery, instance(cx, &project)?, id, start);
    event.end = end;
    event.session_id = statistics.session_info.0.unwrap_or_default().session_id.0;
    event.user = job.user_email.0;
    let status = job.status.0.unwrap_or_default();
    (event.status, event.error) = outcome(status.state.text().or(job.state.text()), status.error_result);
    event.bytes_read = statistics.total_bytes_processed.integer();
    let configuration = job.configuration.0.unwrap_or_default();
    let one = |table: Option<&TableRef>| -> Vec<Access> { table.and_then(TableRef::access).into_iter().collect() };
    let places = |uris: List<String>| uris.0.unwrap_or_default().iter().map(|uri| place(uri)).collect::<Vec<_>>();
    if let Some(query) = configuration.query.0 {
        let told = statistics.query.0.unwrap_or_default();
        let dataset = query.default_dataset.0.unwrap_or_default();
        event.defaults = defaults(Some(&project), dataset.project_id.text().zip(dataset.dataset_id.text()));
        event.text = query.query.0;
        event.statement_type = told.statement_type.0;
        event.cost = told.total_bytes_billed.number();
        event.rows_written = told.num_dml_affected_rows.integer();
        event.reads = tables(&told.referenced_tables);
        event.writes = query.destination_table.0.as_ref().map(|table| one(Some(table)));
    } else if let Some(load) = configuration.load.0 {
        event.statement_type = Some("LOAD".into());
        event.reads = Some(places(load.source_uris));
        event.writes = Some(one(load.destination_table.0.as_ref()));
    } else if let Some(copy) = configuration.copy.0 {
        event.statement_type = Some("COPY".into());
        let sources = tables(&copy.source_tables).unwrap_or_default();
        event.reads = Some([sources, one(copy.source_table.0.as_ref())].concat());
        event.writes = Some(one(copy.destination_table.0.as_ref()));
    } else if let Some(extract) = configuration.extract.0 {
        event.statement_type = Some("EXTRACT".into());
        event.reads = Some(one(extract.source_table.0.as_ref()));
        event.writes = Some(places(extract.destination_uris));
    } else {
        return Ok(LogLine::NoOp("job_without_query"));
    }
    without_changed(&mut event);
    let found = of_labels(configuration.labels);
    event.named_job = found.job;
    event.application = found.application.map(Cow::Owned);
    Ok(LogLine::Query(Box::new(event)))
}
