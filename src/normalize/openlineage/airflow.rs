//! What events of Airflow's provider say in facets of its own and a reader should not have to look for there.
//!
//! The provider writes lists and objects of its tasks as the text that Python prints (`"['facts', 'finance']"`): these
//! stay text. What is read here are proper JSON fields; tags and owners stand in the standard facets too.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::fact::{Entry, Statement};

use super::envelope::Run;

/// Run facet: which try of which task instance a run is. Both streams of Airflow give it; with the enclosing run it
/// groups the tries of a task instance.
pub(in crate::normalize) const ATTEMPT: &str = "airflow_attempt";
/// Job facet: when a DAG runs, as Airflow puts it to people.
pub(in crate::normalize) const SCHEDULE: &str = "airflow_schedule";

/// Which try of which task instance.
pub(in crate::normalize) struct Attempt<'a> {
    pub dag: &'a str,
    pub dag_run: &'a str,
    pub task: &'a str,
    /// Which of a mapped task's instances; -1 if it is not mapped.
    pub map_index: i64,
    pub try_number: i64,
}

impl Attempt<'_> {
    pub fn facet(&self) -> Value {
        let Self { dag, dag_run, task, map_index, try_number } = self;
        json!({
            "dag_id": dag, "dag_run_id": dag_run, "task_id": task, "map_index": map_index, "try_number": try_number,
        })
    }
}

#[derive(Deserialize)]
struct OfTask {
    dag: Dag,
    #[serde(rename = "dagRun")]
    dag_run: DagRun,
    task: Task,
    #[serde(rename = "taskInstance")]
    instance: Instance,
}

#[derive(Deserialize)]
struct OfDagRun {
    dag: Dag,
}

#[derive(Deserialize)]
struct Dag {
    #[serde(default)]
    dag_id: String,
    timetable_summary: Option<String>,
    /// Before Airflow 2.9.
    schedule_interval: Option<Value>,
}

#[derive(Deserialize)]
struct DagRun {
    run_id: String,
}

#[derive(Deserialize)]
struct Task {
    task_id: String,
    #[serde(default)]
    mapped: bool,
}

#[derive(Deserialize)]
struct Instance {
    try_number: i64,
    map_index: Option<i64>,
}

#[derive(Deserialize)]
struct Mapped {
    #[serde(rename = "mapIndex")]
    map_index: i64,
}

/// A facet that a reader can group tries by, if the event says all of it.
pub(super) fn attempt(run: &Run<'_>) -> Option<(String, Value)> {
    let said: OfTask = serde_json::from_str(run.facets.get("airflow")?.get()).ok()?;
    let mapped = || -> Option<Mapped> {
        run.facets.get("airflow_mappedTask").and_then(|raw| serde_json::from_str(raw.get()).ok())
    };
    let map_index = said.instance.map_index.or_else(|| mapped().map(|mapped| mapped.map_index));
    let attempt = Attempt {
        dag: &said.dag.dag_id,
        dag_run: &said.dag_run.run_id,
        task: &said.task.task_id,
        // Only the first event of a mapped instance may say which one it is.
        map_index: map_index.or((!said.task.mapped).then_some(-1))?,
        try_number: said.instance.try_number,
    };
    Some((ATTEMPT.to_owned(), attempt.facet()))
}

/// When the DAG runs, of an event about one of its runs.
pub(super) fn schedule(run: &Run<'_>) -> Option<Entry> {
    let said: OfDagRun = serde_json::from_str(run.facets.get("airflowDagRun")?.get()).ok()?;
    let interval = |value: Value| value.as_str().map(str::to_owned);
    let schedule = said.dag.timetable_summary.or_else(|| said.dag.schedule_interval.and_then(interval))?;
    Some(Entry::keyed(SCHEDULE, Statement::Facet(json!({ "schedule": schedule }))))
}
