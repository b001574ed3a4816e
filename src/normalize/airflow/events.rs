//! Facts of task instances, DAG runs and assets.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::model::fact::{
    EntityKind, Entry, Evidence, ExistenceState, Job, JobDependency, Owner, RunEvent, Source, Statement, Tag, Version,
    WriteMark,
};
use crate::model::id::{EntityId, join_key};
use crate::model::raw::{Normalized, RawRecord};
use crate::model::reject::Rejection;
use crate::normalize::openlineage::airflow::{ATTEMPT, Attempt, SCHEDULE};
use crate::normalize::openlineage::collect::Collector;

use super::asset::{self, Named};
use super::part::{Part, invalid};
use super::{Event, run_id, unknown};

/// Run states and their ranks: FAIL > ABORT > COMPLETE > RUNNING > START > OTHER, whatever the order of arrival.
fn state(what: &str) -> Option<(&'static str, i64)> {
    Some(match what {
        "failed" | "up_for_retry" | "retry" => ("FAIL", 6),
        "skipped" | "removed" | "upstream_failed" => ("ABORT", 5),
        "success" => ("COMPLETE", 4),
        "deferred" | "up_for_reschedule" | "restarting" | "resumed" => ("RUNNING", 3),
        "running" => ("START", 2),
        "queued" | "scheduled" | "none" => ("OTHER", 1),
        _ => return None,
    })
}

impl Event<'_> {
    fn job(&self, name: &str) -> EntityId {
        EntityId::job(self.namespace, name)
    }

    fn state(&self) -> Result<(&'static str, i64), Rejection> {
        state(self.what).ok_or_else(|| self.unknown())
    }

    fn unknown(&self) -> Rejection {
        unknown(self.frame.get("event_type").and_then(Value::as_str).unwrap_or_default())
    }

    fn asset(&self, uri: &str) -> Named {
        asset::dataset(uri, self.namespace, &self.config.identity, self.topic)
    }

    /// JSON for keeping. What is too large is kept as its size and beginning; the raw record has the whole.
    fn kept(&self, value: Value) -> Value {
        let text = value.to_string();
        if text.len() <= self.config.max_facet_bytes {
            return value;
        }
        let beginning: String = text.chars().take(1024.min(self.config.max_facet_bytes)).collect();
        json!({ "_truncated": true, "bytes": text.len(), "beginning": beginning })
    }

    /// `error` is a text or `{type, message}`; of what kind, if it is said, and what it says.
    fn error(&self) -> (Option<Value>, Option<String>) {
        match self.frame.get("error") {
            None => (None, None),
            Some(Value::String(text)) => (None, Some(text.clone())),
            Some(Value::Object(error)) => {
                let message = error.get("message").filter(|message| !message.is_null()).map(plain);
                let kind = error.get("type").filter(|kind| !kind.is_null()).cloned();
                (kind.clone(), message.or_else(|| kind.as_ref().map(plain)))
            }
            Some(other) => (None, Some(other.to_string())),
        }
    }

    fn engine(&self) -> Result<Option<String>, Rejection> {
        Ok(self.frame.text("airflow_version")?.map(|version| format!("airflow {version}")))
    }
}

/// A try of a task, mapped or not.
pub(super) fn task_instance(
    event: &Event<'_>,
    record: &RawRecord<'_>,
    made: impl Fn(i64) -> (Source, Version),
) -> Result<Normalized, Rejection> {
    let (state, rank) = event.state()?;
    let instance = event.frame.part("task_instance")?.ok_or_else(|| event.frame.missing("task_instance"))?;
    let (dag, run, task) =
        (instance.required_text("dag_id")?, instance.required_text("run_id")?, instance.required_text("task_id")?);
    let map_index = instance.whole("map_index")?.unwrap_or(-1);
    let try_number = instance.whole("try_number")?.unwrap_or(1);
    let clear_number = instance.whole("clear_number")?.unwrap_or(0);
    let logical = instance.time("logical_date")?;
    let instant = logical.or(instance.time("run_after")?).or_else(|| run_id::instant_in(run));
    let id = instant.and_then(|at| run_id::of_task(event.namespace, at, dag, task, try_number, map_index));
    let id = id.unwrap_or_else(|| {
        let numbers = [try_number.to_string(), map_index.to_string()];
        run_id::without_instant(&[event.namespace, dag, run, task, &numbers[0], &numbers[1]])
    });
    let dag_run = instant.and_then(|at| run_id::of_dag_run(event.namespace, at, dag, clear_number));
    let dag_run = dag_run.or_else(|| Some(untimed_dag_run(event.namespace, dag, run, clear_number)));
    let (started, ended) = (instance.time("start_date")?, instance.time("end_date")?);
    let at = moment(state, started, ended).unwrap_or(event.time);

    let dag_job = event.job(dag);
    let name = format!("{dag}.{task}");
    let job = event.job(&name);
    let definition = instance.part("task")?;
    let mut entries = vec![Entry::of(Statement::Job(Job {
        namespace: event.namespace.to_owned(),
        name,
        integration: "AIRFLOW".to_owned(),
        job_type: "TASK".to_owned(),
        processing: "BATCH".to_owned(),
        parent: Some(dag_job.clone()),
        ..Job::default()
    }))];
    let (mut inlets, mut outlets) = (Vec::new(), Vec::new());
    if let Some(task) = &definition {
        entries.extend(owners(task.get("owner")));
        entries.extend(description(task, &["doc_md", "doc"]));
        let operator = operator(task.get("operator"), instance.get("operator"));
        let mut kept = task.rest(&["owner", "operator", "inlets", "outlets", "doc", "doc_md"]).unwrap_or_default();
        kept.extend(operator.map(|operator| ("operator".to_owned(), operator.clone())));
        if !kept.is_empty() {
            entries.push(Entry::keyed("airflow_task", Statement::Facet(event.kept(Value::Object(kept)))));
        }
        inlets = assets(event, task, "inlets")?;
        outlets = assets(event, task, "outlets")?;
    }

    let (kind, message) = event.error();
    let known = ["dag_id", "run_id", "task_id", "map_index", "try_number", "task", "clear_number"];
    let mut kept = instance.rest(&known).unwrap_or_default();
    kept.extend(kind.map(|kind| ("error_type".to_owned(), kind)));
    kept.extend(event.frame.get("previous_state").map(|state| ("previous_state".to_owned(), state.clone())));
    let attempt = Attempt { dag, dag_run: run, task, map_index, try_number };
    let (source, version) = made(rank);
    let mut facts = Collector::new(source, version, record.origin.clone());
    let ids = |assets: &[Named]| -> Vec<EntityId> {
        let mut ids: Vec<EntityId> =
            assets.iter().filter(|named| !named.resolved.ignored).map(|named| named.id().clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    };
    let said = RunEvent {
        run_id: id.hyphenated().to_string(),
        state: state.to_owned(),
        time: at,
        nominal_start: logical,
        parent_run: dag_run.map(|id| id.hyphenated().to_string()),
        parent_job: Some(dag_job),
        root_run: dag_run.map(|id| id.hyphenated().to_string()),
        error: message.filter(|_| matches!(state, "FAIL" | "ABORT")),
        engine: event.engine()?,
        facets: facets(event, [(ATTEMPT, attempt.facet()), ("airflow_task_instance", Value::Object(kept))]),
        inputs: ids(&inlets),
        outputs: ids(&outlets),
        ..RunEvent::default()
    };
    let mark = WriteMark { time: at, job: job.clone(), run: said.run_id.clone(), rows: None, bytes: None };
    entries.push(Entry::keyed(join_key(&[&said.run_id, &said.state]), Statement::Run(said)));
    facts.add(&job, EntityKind::Job, entries);
    for outlet in &outlets {
        let written = state == "COMPLETE" && !outlet.resolved.ignored;
        facts.add(outlet.id(), EntityKind::Dataset, [outlet.name_entry(), existence(outlet, written)]);
        if written {
            facts.add(outlet.id(), EntityKind::Dataset, [Entry::of(Statement::Write(mark.clone()))]);
        }
    }
    for inlet in &inlets {
        facts.add(inlet.id(), EntityKind::Dataset, [inlet.name_entry(), existence(inlet, false)]);
    }
    Ok(Normalized::Facts(facts.finish()))
}

/// A DAG run.
pub(super) fn dag_run(
    event: &Event<'_>,
    record: &RawRecord<'_>,
    made: impl Fn(i64) -> (Source, Version),
) -> Result<Normalized, Rejection> {
    let (state, rank) = event.state()?;
    let run = event.frame.part("dag_run")?.ok_or_else(|| event.frame.missing("dag_run"))?;
    let (dag, run_name) = (run.required_text("dag_id")?, run.required_text("run_id")?);
    let clear_number = run.whole("clear_number")?.unwrap_or(0);
    let logical = run.time("logical_date")?;
    let instant = logical.or(run.time("run_after")?).or_else(|| run_id::instant_in(run_name));
    let id = instant.and_then(|at| run_id::of_dag_run(event.namespace, at, dag, clear_number));
    let id = id.unwrap_or_else(|| untimed_dag_run(event.namespace, dag, run_name, clear_number));
    let at = moment(state, run.time("start_date")?, run.time("end_date")?).unwrap_or(event.time);

    let job = event.job(dag);
    let definition = run.part("dag")?;
    let source_location = definition.as_ref().map(|dag| dag.text("fileloc")).transpose()?.flatten();
    let mut entries = vec![Entry::of(Statement::Job(Job {
        namespace: event.namespace.to_owned(),
        name: dag.to_owned(),
        integration: "AIRFLOW".to_owned(),
        job_type: "DAG".to_owned(),
        processing: "BATCH".to_owned(),
        source_location: source_location.map(str::to_owned),
        ..Job::default()
    }))];
    if let Some(dag) = &definition {
        entries.extend(owners(dag.get("owner")));
        entries.extend(tags(dag)?);
        entries.extend(description(dag, &["doc_md", "description"]));
        entries.extend(dag.get("schedule").map(|schedule| {
            Entry::keyed(SCHEDULE, Statement::Facet(event.kept(json!({ "schedule": plain(schedule) }))))
        }));
        let known = ["owner", "tags", "description", "doc_md", "schedule", "fileloc"];
        entries.extend(
            dag.rest(&known).map(|rest| Entry::keyed("airflow_dag", Statement::Facet(event.kept(Value::Object(rest))))),
        );
    }
    for (item, path) in run.items("consumed_asset_events")? {
        let upstream = Part::of(item, &path)?;
        let (Some(dag), Some(task)) = (upstream.text("source_dag_id")?, upstream.text("source_task_id")?) else {
            // Somebody changed the asset by hand.
            continue;
        };
        let kind = "IMPLICIT_ASSET_DEPENDENCY".to_owned();
        let dependency = JobDependency { direction: "upstream".to_owned(), kind };
        let upstream = event.job(&format!("{dag}.{task}"));
        entries.push(Entry::keyed(upstream.as_str(), Statement::JobDependency(dependency)));
    }
    let kept = run.rest(&["dag", "dag_id"]).unwrap_or_default();
    let message = event.error().1.or(event.frame.text("msg")?.filter(|text| !text.is_empty()).map(str::to_owned));
    let said = RunEvent {
        run_id: id.hyphenated().to_string(),
        state: state.to_owned(),
        time: at,
        nominal_start: run.time("data_interval_start")?.or(logical),
        nominal_end: run.time("data_interval_end")?,
        error: message.filter(|_| matches!(state, "FAIL" | "ABORT")),
        engine: event.engine()?,
        facets: facets(event, [("airflow_dag_run", Value::Object(kept))]),
        ..RunEvent::default()
    };
    entries.push(Entry::keyed(join_key(&[&said.run_id, &said.state]), Statement::Run(said)));
    let (source, version) = made(rank);
    let mut facts = Collector::new(source, version, record.origin.clone());
    facts.add(&job, EntityKind::Job, entries);
    Ok(Normalized::Facts(facts.finish()))
}

/// An asset that was registered, or that something has updated.
pub(super) fn asset(
    event: &Event<'_>,
    record: &RawRecord<'_>,
    made: impl Fn(i64) -> (Source, Version),
) -> Result<Normalized, Rejection> {
    let is_changed = match event.what {
        "created" => false,
        "changed" => true,
        _ => return Err(event.unknown()),
    };
    let asset = event.frame.part("asset")?.ok_or_else(|| event.frame.missing("asset"))?;
    let uri = asset.text("uri")?.filter(|uri| !uri.is_empty());
    let uri = uri.map_or_else(|| asset.required_text("name"), Ok)?;
    let named = event.asset(uri);
    let (source, version) = made(i64::from(is_changed));
    let mut facts = Collector::new(source, version, record.origin.clone());
    facts.add(named.id(), EntityKind::Dataset, [named.name_entry(), existence(&named, is_changed)]);
    if !named.resolved.ignored {
        let rest = asset.rest(&[]).unwrap_or_default();
        let rest: Map<String, Value> =
            rest.into_iter().filter(|(_, value)| value.as_object().is_none_or(|fields| !fields.is_empty())).collect();
        let facet = Entry::keyed("airflow_asset", Statement::Facet(event.kept(Value::Object(rest))));
        facts.add(named.id(), EntityKind::Dataset, [facet]);
    }
    Ok(Normalized::Facts(facts.finish()))
}

/// Of tasks and DAG runs of a run that nothing dates.
fn untimed_dag_run(namespace: &str, dag: &str, run: &str, clear_number: i64) -> Uuid {
    run_id::without_instant(&[namespace, dag, run, &clear_number.to_string()])
}

/// When a run came into `state`, as far as its dates say.
fn moment(state: &str, started: Option<i64>, ended: Option<i64>) -> Option<i64> {
    match state {
        "START" => started,
        "COMPLETE" | "FAIL" | "ABORT" => ended,
        _ => None,
    }
}

/// What is said of the existence of an asset's dataset.
fn existence(named: &Named, written: bool) -> Entry {
    match (named.resolved.ignored, written, named.is_own) {
        (true, _, _) => asset::mention(ExistenceState::Ignored),
        // Nobody knows better than Airflow which assets of its own there are.
        (false, _, true) => asset::confirmed(Evidence::Owner),
        (false, true, false) => asset::confirmed(Evidence::Output),
        (false, false, false) => asset::mention(ExistenceState::Referenced),
    }
}

/// Assets are given by URI, or as objects with name and URI.
fn assets(event: &Event<'_>, task: &Part<'_>, field: &str) -> Result<Vec<Named>, Rejection> {
    let mut found = Vec::new();
    for (item, path) in task.items(field)? {
        let text = match item {
            Value::Null => continue,
            Value::String(uri) => Some(uri.as_str()),
            other => {
                let asset = Part::of(other, &path)?;
                match asset.text("uri")?.filter(|uri| !uri.is_empty()) {
                    Some(uri) => Some(uri),
                    None => asset.text("name")?,
                }
            }
        };
        let text = text.filter(|text| !text.is_empty()).ok_or_else(|| invalid(&path, "must be an asset's URI"))?;
        found.push(event.asset(text));
    }
    Ok(found)
}

/// Where the scheduler speaks, the task's own class is not at hand.
fn operator<'a>(of_task: Option<&'a Value>, of_instance: Option<&'a Value>) -> Option<&'a Value> {
    let is_stand_in = |value: &&Value| value.as_str().is_some_and(|name| name.starts_with("Serialized"));
    of_task.filter(|value| !is_stand_in(value)).or(of_instance)
}

/// Owners of the tasks of a DAG are joined with commas.
fn owners(owner: Option<&Value>) -> Option<Entry> {
    let texts: Vec<&str> = match owner? {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let names = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let mut owners: Vec<Owner> = names.map(|name| Owner { name: name.to_owned(), role: "OWNER".to_owned() }).collect();
    owners.sort();
    owners.dedup();
    Some(Entry::of(Statement::Owners(owners)))
}

/// A label is its own value, as the OpenLineage provider has it.
fn tags(dag: &Part<'_>) -> Result<Option<Entry>, Rejection> {
    if dag.get("tags").is_none() {
        return Ok(None);
    }
    let labels = dag.items("tags")?.into_iter().filter_map(|(item, _)| match item {
        Value::String(label) => Some(label.clone()),
        other => other.get("name").and_then(Value::as_str).map(str::to_owned),
    });
    let mut tags: Vec<Tag> = labels.map(|label| Tag { key: label.clone(), value: label, field: None }).collect();
    tags.sort();
    tags.dedup();
    Ok(Some(Entry::of(Statement::Tags(tags))))
}

/// The first of `fields` that says something.
fn description(of: &Part<'_>, fields: &[&str]) -> Option<Entry> {
    let texts = fields.iter().filter_map(|field| of.get(field)?.as_str());
    texts.map(str::trim).find(|text| !text.is_empty()).map(|text| Entry::of(Statement::Description(text.to_owned())))
}

fn facets<const N: usize>(event: &Event<'_>, facets: [(&str, Value); N]) -> BTreeMap<String, Value> {
    let says_something = |(_, value): &(&str, Value)| value.as_object().is_none_or(|fields| !fields.is_empty());
    let facets = facets.into_iter().filter(says_something);
    facets.map(|(name, value)| (name.to_owned(), event.kept(value))).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
