//! Pages of jobs, runs and changes out of their records. Pure.

use super::view::{ChangeView, JobPage, RunView, json, time};
use crate::model::record::{ChangeRecord, RunRecord};
use crate::store::read::JobBundle;

pub(super) fn page(bundle: JobBundle) -> JobPage {
    let job = bundle.job;
    JobPage {
        job_id: job.id,
        namespace: job.namespace,
        name: job.name,
        integration: job.integration,
        job_type: job.job_type,
        processing: job.processing,
        parent: job.parent,
        children: bundle.children,
        description: job.description,
        owners: job.owners.into_iter().map(Into::into).collect(),
        tags: job.tags.into_iter().map(Into::into).collect(),
        source_location: job.source_location,
        source_code: job.source_code,
        sql: job.sql,
        dialect: job.dialect,
        definition_hash: job.definition_hash,
        dependencies: job.dependencies,
        inputs: bundle.inputs,
        outputs: bundle.outputs,
        facets: job.facets.into_iter().map(|(name, text)| (name, json(text))).collect(),
        first_seen: time(job.first_seen),
        last_seen: time(job.last_seen),
        last_run: bundle.last_run.map(run),
        origin: job.origin.into(),
    }
}

pub(super) fn run(run: RunRecord) -> RunView {
    let duration = run.started_at.zip(run.ended_at).and_then(|(start, end)| end.checked_sub(start));
    RunView {
        run_id: run.id,
        state: run.state,
        started_at: run.started_at.map(time),
        ended_at: run.ended_at.map(time),
        // A clock may have gone backwards between both events; that is no duration.
        duration_ms: duration.filter(|micros| *micros >= 0).map(|micros| micros / 1000),
        nominal_start: run.nominal_start.map(time),
        nominal_end: run.nominal_end.map(time),
        parent_run: run.parent_run,
        parent_job: run.parent_job,
        root_run: run.root_run,
        error: run.error,
        engine: run.engine,
        inputs: run.inputs,
        outputs: run.outputs,
        dataset_versions: run.dataset_versions,
        facets: run.facets.into_iter().map(|(name, text)| (name, json(text))).collect(),
        origin: run.origin.into(),
    }
}

pub(super) fn change(change: ChangeRecord) -> ChangeView {
    ChangeView {
        id: change.id,
        entity: change.entity,
        kind: change.kind,
        before: change.before.map(json),
        after: change.after.map(json),
        breaking: change.breaking,
        time: time(change.time),
        source: change.source,
        origin: change.origin.into(),
    }
}
