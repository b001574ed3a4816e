//! Entries of Cloud Logging's audit log: version 2 (`BigQueryAuditMetadata`, `protoPayload.metadata.jobChange.job`) and
//! the older one (`AuditData`, `protoPayload.serviceData.jobCompletedEvent.job`).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Context;
use super::super::event::{Access, LogLine, Platform, QueryEvent};
use super::super::read::{List, Part, Scalar, missing, not_json};
use super::{Fault, TableRef, defaults, instance, of_labels, outcome, place, resource, tables, without_changed};
use crate::model::reject::Rejection;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow, default)]
    proto_payload: Part<Payload<'a>>,
    #[serde(borrow, default)]
    timestamp: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow)]
    authentication_info: Part<Authentication<'a>>,
    #[serde(borrow)]
    request_metadata: Part<RequestMetadata<'a>>,
    #[serde(borrow)]
    metadata: Part<Metadata<'a>>,
    #[serde(borrow)]
    service_data: Part<ServiceData<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Authentication<'a> {
    #[serde(borrow)]
    principal_email: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestMetadata<'a> {
    #[serde(borrow)]
    caller_supplied_user_agent: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    job_change: Part<JobChange<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JobChange<'a> {
    #[serde(borrow)]
    job: Part<Job<'a>>,
}

/// A job of version 2.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Job<'a> {
    #[serde(borrow)]
    job_name: Scalar<'a>,
    #[serde(borrow)]
    job_config: Part<JobConfig<'a>>,
    #[serde(borrow)]
    job_status: Part<JobStatus<'a>>,
    #[serde(borrow)]
    job_stats: Part<JobStats<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JobConfig<'a> {
    #[serde(borrow)]
    query_config: Part<QueryConfig<'a>>,
    #[serde(borrow)]
    load_config: Part<LoadConfig<'a>>,
    #[serde(borrow)]
    table_copy_config: Part<CopyConfig<'a>>,
    #[serde(borrow)]
    extract_config: Part<ExtractConfig<'a>>,
    #[serde(borrow)]
    labels: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct QueryConfig<'a> {
    #[serde(borrow)]
    query: Scalar<'a>,
    #[serde(borrow)]
    query_truncated: Scalar<'a>,
    #[serde(borrow)]
    destination_table: Scalar<'a>,
    #[serde(borrow)]
    default_dataset: Scalar<'a>,
    #[serde(borrow)]
    statement_type: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LoadConfig<'a> {
    source_uris: List<String>,
    #[serde(borrow)]
    destination_table: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CopyConfig<'a> {
    source_tables: List<String>,
    #[serde(borrow)]
    destination_table: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ExtractConfig<'a> {
    destination_uris: List<String>,
    #[serde(borrow)]
    source_table: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JobStatus<'a> {
    #[serde(borrow, alias = "state")]
    job_state: Scalar<'a>,
    #[serde(borrow, alias = "error")]
    error_result: Part<Fault<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JobStats<'a> {
    #[serde(borrow)]
    create_time: Scalar<'a>,
    #[serde(borrow)]
    start_time: Scalar<'a>,
    #[serde(borrow)]
    end_time: Scalar<'a>,
    #[serde(borrow)]
    query_stats: Part<QueryStats<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct QueryStats<'a> {
    #[serde(borrow)]
    total_processed_bytes: Scalar<'a>,
    #[serde(borrow)]
    total_billed_bytes: Scalar<'a>,
    #[serde(borrow)]
    output_row_count: Scalar<'a>,
    referenced_tables: List<String>,
    referenced_views: List<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServiceData<'a> {
    #[serde(borrow)]
    job_completed_event: Part<CompletedEvent<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CompletedEvent<'a> {
    #[serde(borrow)]
    job: Part<OldJob<'a>>,
}

/// A job of the older version.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OldJob<'a> {
    #[serde(borrow)]
    job_name: Part<OldName<'a>>,
    #[serde(borrow)]
    job_configuration: Part<OldConfiguration<'a>>,
    #[serde(borrow)]
    job_status: Part<JobStatus<'a>>,
    #[serde(borrow)]
    job_statistics: Part<OldStatistics<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OldName<'a> {
    #[serde(borrow)]
    project_id: Scalar<'a>,
    #[serde(borrow)]
    job_id: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OldConfiguration<'a> {
    #[serde(borrow)]
    query: Part<OldQuery<'a>>,
    #[serde(borrow)]
    labels: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OldQuery<'a> {
    #[serde(borrow)]
    query: Scalar<'a>,
    #[serde(borrow)]
    statement_type: Scalar<'a>,
    destination_table: Part<TableRef>,
    default_dataset: Part<TableRef>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OldStatistics<'a> {
    #[serde(borrow)]
    create_time: Scalar<'a>,
    #[serde(borrow)]
    start_time: Scalar<'a>,
    #[serde(borrow)]
    end_time: Scalar<'a>,
    #[serde(borrow)]
    total_processed_bytes: Scalar<'a>,
    #[serde(borrow)]
    total_billed_bytes: Scalar<'a>,
    #[serde(borrow)]
    query_output_row_count: Scalar<'a>,
    referenced_tables: List<TableRef>,
    referenced_views: List<TableRef>,
}

pub(in super::super) fn decode<'a>(text: &'a str, cx: &Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let entry: Entry<'a> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let payload = entry.proto_payload.0.unwrap_or_default();
    let user = payload.authentication_info.0.unwrap_or_default().principal_email.0;
    let agent = payload.request_metadata.0.unwrap_or_default().caller_supplied_user_agent.0;
    let event = if let Some(job) = payload.metadata.0.and_then(|metadata| metadata.job_change.0?.job.0) {
        job_changed(job, &entry.timestamp, cx)?
    } else if let Some(job) = payload.service_data.0.and_then(|data| data.job_completed_event.0?.job.0) {
        old_job(job, &entry.timestamp, cx)?
    } else {
        // Jobs that are inserted, tables that are read or changed, permissions, …: the job's end tells of all.
        return Ok(LogLine::NoOp("audit_of_no_finished_job"));
    };
    let Some(mut event) = event else { return Ok(LogLine::NoOp("job_without_query")) };
    event.user = user;
    event.application = event.application.or(agent);
    without_changed(&mut event);
    Ok(LogLine::Query(Box::new(event)))
}

fn job_changed<'a>(
    job: Job<'a>,
    logged: &Scalar<'a>,
    cx: &Context<'_, 'a>,
) -> Result<Option<QueryEvent<'a>>, Rejection> {
    const AT: &str = "/protoPayload/metadata/jobChange/job";
    let name = job.job_name.0.ok_or_else(|| missing(&format!("{AT}/jobName"), "jobName"))?;
    let (project, id) = project_and_id(&name)
        .ok_or_else(|| missing(&format!("{AT}/jobName"), "a jobName like projects/<project>/jobs/<id>"))?;
    let config = job.job_config.0.unwrap_or_default();
    let stats = job.job_stats.0.unwrap_or_default();
    let times = [
        stats.start_time.time(&format!("{AT}/jobStats/startTime"))?,
        stats.create_time.time(&format!("{AT}/jobStats/createTime"))?,
        stats.end_time.time(&format!("{AT}/jobStats/endTime"))?,
    ];
    let mut event = begun(&project, id, times, logged, cx)?;
    let status = job.job_status.0.unwrap_or_default();
    (event.status, event.error) = outcome(status.job_state.text(), status.error_result);
    let query_stats = stats.query_stats.0.unwrap_or_default();
    event.bytes_read = query_stats.total_processed_bytes.integer();
    event.cost = query_stats.total_billed_bytes.number();
    event.rows_read = query_stats.output_row_count.integer();
    if let Some(query) = config.query_config.0 {
        let dataset = query.default_dataset.text().and_then(dataset_of);
        event.defaults = defaults(Some(&project), dataset);
        event.truncated = query.query_truncated.text() == Some("true");
        event.text = query.query.0;
        event.statement_type = query.statement_type.0;
        let lists = [&query_stats.referenced_tables, &query_stats.referenced_views];
        let read = |list: &List<String>| Some(list.0.as_ref()?.iter().filter_map(|name| resource(name)).collect());
        let lists: Vec<Vec<Access>> = lists.iter().filter_map(|list| read(list)).collect();
        event.reads = (!lists.is_empty()).then(|| lists.concat());
        event.writes = query.destination_table.text().map(|name| resource(name).into_iter().collect());
    } else if let Some(load) = config.load_config.0 {
        event.statement_type = Some("LOAD".into());
        event.reads = Some(load.source_uris.0.unwrap_or_default().iter().map(|uri| place(uri)).collect());
        event.writes = Some(load.destination_table.text().and_then(resource).into_iter().collect());
    } else if let Some(copy) = config.table_copy_config.0 {
        event.statement_type = Some("COPY".into());
        event.reads = Some(copy.source_tables.0.unwrap_or_default().iter().filter_map(|name| resource(name)).collect());
        event.writes = Some(copy.destination_table.text().and_then(resource).into_iter().collect());
    } else if let Some(extract) = config.extract_config.0 {
        event.statement_type = Some("EXTRACT".into());
        event.reads = Some(extract.source_table.text().and_then(resource).into_iter().collect());
        event.writes = Some(extract.destination_uris.0.unwrap_or_default().iter().map(|uri| place(uri)).collect());
    } else {
        return Ok(None);
    }
    let found = of_labels(config.labels);
    event.named_job = found.job;
    event.application = found.application.map(Cow::Owned);
    Ok(Some(event))
}

fn old_job<'a>(
    job: OldJob<'a>,
    logged: &Scalar<'a>,
    cx: &Context<'_, 'a>,
) -> Result<Option<QueryEvent<'a>>, Rejection> {
    const AT: &str = "/protoPayload/serviceData/jobCompletedEvent/job";
    let name = job.job_name.0.unwrap_or_default();
    let (Some(project), Some(id)) = (name.project_id.0, name.job_id.0) else {
        return Err(missing(&format!("{AT}/jobName"), "jobName with projectId and jobId"));
    };
    let stats = job.job_statistics.0.unwrap_or_default();
    let times = [
        stats.start_time.time(&format!("{AT}/jobStatistics/startTime"))?,
        stats.create_time.time(&format!("{AT}/jobStatistics/createTime"))?,
        stats.end_time.time(&format!("{AT}/jobStatistics/endTime"))?,
    ];
    let mut event = begun(&project, id, times, logged, cx)?;
    let config = job.job_configuration.0.unwrap_or_default();
    let Some(query) = config.query.0 else { return Ok(None) };
    let status = job.job_status.0.unwrap_or_default();
    (event.status, event.error) = outcome(status.job_state.text(), status.error_result);
    event.bytes_read = stats.total_processed_bytes.integer();
    event.cost = stats.total_billed_bytes.number();
    event.rows_read = stats.query_output_row_count.integer();
    let dataset = query.default_dataset.0.unwrap_or_default();
    let dataset = dataset.project_id.text().zip(dataset.dataset_id.text());
    event.defaults = defaults(Some(&project), dataset);
    event.text = query.query.0;
    event.statement_type = query.statement_type.0;
    event.reads = match (tables(&stats.referenced_tables), tables(&stats.referenced_views)) {
        (Some(tables), views) => Some([tables, views.unwrap_or_default()].concat()),
        (None, views) => views,
    };
    event.writes = query.destination_table.0.map(|table| table.access().into_iter().collect());
    let found = of_labels(config.labels);
    event.named_job = found.job;
    event.application = found.application.map(Cow::Owned);
    Ok(Some(event))
}

/// A job with its times: start, creation, end.
fn begun<'a>(
    project: &str,
    id: Cow<'a, str>,
    [start, created, end]: [Option<i64>; 3],
    logged: &Scalar<'a>,
    cx: &Context<'_, 'a>,
) -> Result<QueryEvent<'a>, Rejection> {
    let start = start.or(created).or(end).or(logged.time("/timestamp")?);
    let start = cx.start(start, None, "/timestamp")?;
    let mut event = QueryEvent::new(Platform::BigQuery, instance(cx, project)?, id, start);
    event.end = end;
    Ok(event)
}

/// `projects/p/jobs/id`, perhaps with a location between.
fn project_and_id<'a>(name: &Cow<'a, str>) -> Option<(String, Cow<'a, str>)> {
    let project = name.strip_prefix("projects/")?.split('/').next()?.to_owned();
    let id = match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.rsplit_once("/jobs/")?.1),
        Cow::Owned(name) => Cow::Owned(name.rsplit_once("/jobs/")?.1.to_owned()),
    };
    (!project.is_empty() && !id.is_empty()).then_some((project, id))
}

/// `projects/p/datasets/d`.
fn dataset_of(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("projects/")?.split_once("/datasets/")
}
