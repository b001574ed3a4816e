//! What an event says about its job and run, apart from lineage.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::codec::time::parse_micros;
use crate::model::fact::{Aspect, Entry, Job, JobDependency, RunEvent, Statement};
use crate::model::id::EntityId;

use super::dataset::{owners, tags};
use super::envelope::{self, Facets};
use super::facets::{self, Keep, is_deleted};
use super::job::JobFacets;

/// A facet, typed; with what is kept of it if it does not parse.
fn take<T: DeserializeOwned>(
    facets: &Facets<'_>,
    name: &str,
    keep: Keep,
    bad: &mut BTreeMap<String, Value>,
) -> Option<T> {
    let raw = facets.get(name).filter(|raw| raw.get() != "null" && !is_deleted(raw))?;
    serde_json::from_str(raw.get())
        .inspect_err(|error| {
            bad.insert(name.to_owned(), facets::malformed(raw, error, keep));
        })
        .ok()
}

/// The entries that describe the job.
pub(super) fn job_entries(
    job: &envelope::Job<'_>,
    (namespace, name): (&str, &str),
    known: &JobFacets,
    keep: Keep,
) -> Vec<Entry> {
    let facets = &job.facets;
    let mut bad = BTreeMap::new();
    let sql: Option<facets::Sql> = take(facets, "sql", keep, &mut bad);
    let code: Option<facets::SourceCode> = take(facets, "sourceCode", keep, &mut bad);
    let place: Option<facets::SourceCodeLocation> = take(facets, "sourceCodeLocation", keep, &mut bad);
    let rest = |facet: &str, field: &str, value: Value| {
        Entry::keyed(facet, Statement::Facet(serde_json::json!({ field: value })))
    };
    let language = code.as_ref().and_then(|code| code.language.clone());
    let mut rests: Vec<Entry> = language.map(|text| rest("sourceCode", "language", text.into())).into_iter().collect();
    rests.extend(known.emission_pattern.clone().map(|pattern| rest("jobType", "emissionPattern", pattern)));
    let (query, dialect) = sql.map_or((None, None), |sql| (Some(sql.query), sql.dialect));
    let statement = Job {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        integration: known.integration.to_uppercase(),
        job_type: known.job_type.clone(),
        processing: known.processing.clone(),
        parent: known.parent.as_ref().map(|parent| EntityId::job(&parent.job.namespace, &parent.job.name)),
        source_location: place.map(location),
        source_code: code.map(|code| code.source_code),
        sql: query,
        dialect,
    };
    let mut entries = vec![Entry::of(Statement::Job(statement))];
    if let Some(facet) = take::<facets::Documentation>(facets, "documentation", keep, &mut bad) {
        entries.push(Entry::of(Statement::Description(facet.description)));
        rests.extend(facet.content_type.map(|text| rest("documentation", "contentType", text.into())));
    }
    entries.append(&mut rests);
    if let Some(facet) = take::<facets::Ownership>(facets, "ownership", keep, &mut bad) {
        entries.push(Entry::of(Statement::Owners(owners(facet))));
    }
    if let Some(facet) = take::<facets::Tags>(facets, "tags", keep, &mut bad) {
        entries.push(Entry::of(Statement::Tags(tags(facet, &str::to_owned))));
    }
    let deleted = [("documentation", Aspect::Description), ("ownership", Aspect::Owners), ("tags", Aspect::Tags)];
    for (name, aspect) in deleted {
        if facets.get(name).is_some_and(is_deleted) {
            entries.push(Entry::retract(aspect, ""));
        }
    }
    entries.extend(bad.into_iter().map(|(name, value)| Entry::keyed(name, Statement::Facet(value))));
    for (name, raw) in facets.0.iter().filter(|(_, raw)| raw.get() != "null") {
        match &**name {
            "jobType" if !known.job_type_is_read => {
                entries.push(Entry::keyed(&**name, Statement::Facet(facets::kept(raw, keep))));
            }
            "sql" | "sourceCode" | "jobType" | "documentation" | "ownership" | "tags" => {}
            _ if is_deleted(raw) => entries.push(Entry::retract(Aspect::Facet, &**name)),
            _ => entries.push(Entry::keyed(&**name, Statement::Facet(facets::kept(raw, keep)))),
        }
    }
    entries
}

fn location(place: facets::SourceCodeLocation) -> String {
    if !place.url.is_empty() {
        return place.url;
    }
    [place.repo_url, place.path, place.version].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The run as one event shows it, without lineage; and the jobs it waits for.
pub(super) fn run_event(run: &envelope::Run<'_>, time: i64, known: &JobFacets, keep: Keep) -> (RunEvent, Vec<Entry>) {
    let facets = &run.facets;
    let mut kept = BTreeMap::new();
    let nominal: Option<facets::NominalTime> = take(facets, "nominalTime", keep, &mut kept);
    let engine: Option<facets::Engine> = take(facets, "processing_engine", keep, &mut kept);
    let error: Option<facets::ErrorMessage> = take(facets, "errorMessage", keep, &mut kept);
    let extraction: Option<facets::ExtractionError> = take(facets, "extractionError", keep, &mut kept);
    let exception: Option<facets::SparkException> = take(facets, "spark.exception", keep, &mut kept);
    let waits: Option<facets::Dependencies> = take(facets, "jobDependencies", keep, &mut kept);
    let extraction = extraction.and_then(|facet| facet.errors.into_iter().next()).map(|first| first.error_message);
    let exception = exception.and_then(|facet| facet.stack_trace.lines().next().map(str::to_owned));
    let start = nominal.as_ref().and_then(|facet| parse_micros(&facet.nominal_start_time));
    let end = nominal.as_ref().and_then(|facet| parse_micros(facet.nominal_end_time.as_deref()?));
    // A time that is none is shown as it is.
    let times_are_read =
        nominal.is_some_and(|facet| start.is_some() && end.is_some() == facet.nominal_end_time.is_some());
    for (name, raw) in facets.0.iter().filter(|(_, raw)| raw.get() != "null") {
        // These are wholly in fields of their own, but for what is kept of them below.
        let has_place = matches!(&**name, "nominalTime" | "processing_engine" | "parent" | "parentRun");
        let has_place = has_place && !(name.starts_with("parent") && known.parent.is_none());
        let has_place = has_place && (&**name != "nominalTime" || times_are_read);
        if !has_place && !kept.contains_key(&**name) {
            kept.insert(name.to_string(), facets::kept(raw, keep));
        }
    }
    let adapter = engine.as_ref().and_then(|facet| facet.openlineage_adapter_version.clone());
    let adapter = adapter.map(|version| serde_json::json!({ "openlineageAdapterVersion": version }));
    kept.extend(adapter.map(|rest| ("processing_engine".to_owned(), rest)));
    let parent = known.parent.as_ref();
    let root_job = parent.and_then(|parent| parent.root.as_ref()?.job.as_ref()).filter(|root| {
        parent.is_some_and(|parent| (&root.namespace, &root.name) != (&parent.job.namespace, &parent.job.name))
    });
    let root_job =
        root_job.map(|job| serde_json::json!({ "root": { "job": { "namespace": job.namespace, "name": job.name } } }));
    kept.extend(root_job.map(|rest| ("parent".to_owned(), rest)));
    let event = RunEvent {
        run_id: run.id.clone(),
        state: run.state.as_str().to_owned(),
        time,
        nominal_start: start,
        nominal_end: end,
        parent_run: parent.map(|parent| parent.run.run_id.clone()),
        parent_job: parent.map(|parent| EntityId::job(&parent.job.namespace, &parent.job.name)),
        root_run: parent.and_then(|parent| Some(parent.root.as_ref()?.run.run_id.clone())),
        // An extraction error says that the producer could not look inside, not that the run failed.
        error: error.map(|facet| facet.message).or(exception).or(extraction),
        engine: engine.map(|facet| format!("{} {}", facet.name.to_lowercase(), facet.version).trim().to_owned()),
        facets: kept,
        ..RunEvent::default()
    };
    (event, waits.map(dependencies).unwrap_or_default())
}

fn dependencies(facet: facets::Dependencies) -> Vec<Entry> {
    let entry = |direction: &str, dependency: facets::Dependency| {
        let job = EntityId::job(&dependency.job.namespace, &dependency.job.name);
        let value = JobDependency { direction: direction.to_owned(), kind: dependency.kind };
        Entry::keyed(job.as_str(), Statement::JobDependency(value))
    };
    let upstream = facet.upstream.into_iter().map(|dependency| entry("upstream", dependency));
    upstream.chain(facet.downstream.into_iter().map(|dependency| entry("downstream", dependency))).collect()
}
