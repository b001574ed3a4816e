//! BigQuery: jobs as the audit log, INFORMATION_SCHEMA.JOBS and the REST API tell them (cloud.google.com/bigquery).
//!
//! A job id is unique within its project, so the instance is the project: `bigquery://project`.

pub(super) mod audit;
pub(super) mod rest;
pub(super) mod row;

use std::borrow::Cow;

use serde::Deserialize;

use super::super::types::{Defaults, TableName};
use super::event::{Access, Platform, QueryStatus};
use super::read::{List, Part, Scalar, Word, elements, table};
use super::{Context, comment};
use crate::model::reject::Rejection;

/// A table: fields in camel case (REST, audit v1), in snake case (JOBS), or a resource name (audit v2).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TableRef {
    #[serde(alias = "projectId")]
    project_id: Word,
    #[serde(alias = "datasetId")]
    dataset_id: Word,
    #[serde(alias = "tableId")]
    table_id: Word,
}

elements!(TableRef);

impl TableRef {
    /// The table; none for results that BigQuery keeps for itself: their data sets are hidden, which names with `_` are.
    fn access(&self) -> Option<Access> {
        let parts = [self.project_id.text()?, self.dataset_id.text()?, self.table_id.text()?];
        (!parts[1].starts_with('_')).then(|| access(table(parts)))
    }
}

/// The table of `projects/p/datasets/d/tables/t`.
fn resource(name: &str) -> Option<Access> {
    let mut parts = name.split('/');
    let mut next = |word: &str| parts.next().filter(|part| *part == word).and_then(|_| parts.next());
    let (project, dataset, id) = (next("projects")?, next("datasets")?, next("tables")?);
    (!dataset.starts_with('_')).then(|| access(table([project, dataset, id])))
}

/// A place outside of tables.
fn place(uri: &str) -> Access {
    access(table([uri]))
}

fn access(table: TableName) -> Access {
    Access { table, columns: Vec::new() }
}

/// What went wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fault<'a> {
    #[serde(borrow)]
    reason: Scalar<'a>,
    #[serde(borrow)]
    message: Scalar<'a>,
    #[serde(borrow)]
    code: Scalar<'a>,
}

/// The status of a job in `state`, and the words of its fault.
fn outcome<'a>(state: Option<&str>, fault: Part<Fault<'a>>) -> (QueryStatus, Option<Cow<'a, str>>) {
    let fault =
        fault.0.filter(|fault| [&fault.reason, &fault.message, &fault.code].iter().any(|part| part.0.is_some()));
    let Some(fault) = fault else {
        let is_done = state.is_none_or(|state| state.eq_ignore_ascii_case("done"));
        return (if is_done { QueryStatus::Success } else { QueryStatus::Running }, None);
    };
    // 1 is the code of a cancelled call (google.rpc.Code).
    let is_stopped = fault.reason.text() == Some("stopped") || fault.code.text() == Some("1");
    let status = if is_stopped { QueryStatus::Cancelled } else { QueryStatus::Failed };
    let code = fault.reason.0.or(fault.code.0);
    let error = match (code, fault.message.0) {
        (Some(code), Some(message)) => Some(Cow::Owned(format!("{code}: {message}"))),
        (code, message) => message.or(code),
    };
    (status, error)
}

/// Where unqualified names belong: BigQuery completes `dataset.table` by the project that runs the job.
fn defaults(project: Option<&str>, dataset: Option<(&str, &str)>) -> Defaults {
    match dataset {
        Some((project, dataset)) => Defaults { database: Some(project.into()), schemas: vec![dataset.into()] },
        None => Defaults { database: project.map(Into::into), schemas: Vec::new() },
    }
}

fn instance(cx: &Context<'_, '_>, project: &str) -> Result<String, Rejection> {
    cx.instance(&Platform::BigQuery, &[Some(project)], Some(format!("bigquery://{project}")))
}

/// What the labels of a job say: an object of texts.
fn of_labels(labels: Option<&serde_json::value::RawValue>) -> comment::Found {
    labels.map(|labels| comment::of_json(labels.get())).unwrap_or_default()
}

/// BigQuery lists the table that a statement changes among those that it refers to, read or not.
fn without_changed(event: &mut super::event::QueryEvent<'_>) {
    let changes = ["INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE_TABLE"];
    if event.statement_type.as_deref().is_some_and(|kind| changes.contains(&kind))
        && let (Some(reads), Some(writes)) = (&mut event.reads, &event.writes)
    {
        reads.retain(|read| !writes.iter().any(|written| written.table == read.table));
    }
}

/// Tables of a list.
fn tables(list: &List<TableRef>) -> Option<Vec<Access>> {
    Some(list.0.as_ref()?.iter().filter_map(TableRef::access).collect())
}
