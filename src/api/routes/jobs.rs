//! Jobs, runs and changes.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::AppState;
use crate::api::extract::{Params, PathId};
use crate::api::problem::{ApiError, Problem};
use crate::catalog::view::{ChangeList, JobPage, RunList};

/// Rows on a page if the question does not say.
const DEFAULT_LIMIT: usize = 20;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct JobParams {
    /// The job's id.
    #[param(example = "job://spark-jobs/nightly.insert")]
    id: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct PageParams {
    /// Rows, 1 to 100; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Rows to skip.
    offset: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct JobRunsParams {
    /// The job's id.
    #[param(example = "job://spark-jobs/nightly.insert")]
    job: String,
    /// Rows, 1 to 100; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Rows to skip.
    offset: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ChangeParams {
    /// Only of this entity: any spelling of a dataset's id, or the id of another entity.
    entity: Option<String>,
    /// Rows, 1 to 100; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// A job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "catalog",
    params(("id" = String, Path, description = "Job id, percent-encoded", example = "job%3A%2F%2Fspark-jobs%2Fnightly.insert")),
    responses((status = 200, body = JobPage), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(in crate::api) async fn job(State(state): State<AppState>, PathId(id): PathId) -> Result<Json<JobPage>, ApiError> {
    Ok(Json(state.parts.catalog.job(&id).await?))
}

/// A job, with the id as a parameter.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "catalog", params(JobParams),
    responses((status = 200, body = JobPage), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(in crate::api) async fn job_by_query(
    State(state): State<AppState>,
    Params(params): Params<JobParams>,
) -> Result<Json<JobPage>, ApiError> {
    Ok(Json(state.parts.catalog.job(&params.id).await?))
}

/// A job's runs, newest first.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/runs", tag = "catalog",
    params(("id" = String, Path, description = "Job id, percent-encoded", example = "job%3A%2F%2Fspark-jobs%2Fnightly.insert"), PageParams),
    responses((status = 200, body = RunList), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(in crate::api) async fn runs(
    State(state): State<AppState>,
    PathId(id): PathId,
    Params(page): Params<PageParams>,
) -> Result<Json<RunList>, ApiError> {
    let (limit, offset) = (page.limit.unwrap_or(DEFAULT_LIMIT), page.offset.unwrap_or(0));
    Ok(Json(state.parts.catalog.runs(&id, limit, offset).await?))
}

/// A job's runs, newest first, with the id as a parameter.
#[utoipa::path(get, path = "/api/v1/runs", tag = "catalog", params(JobRunsParams),
    responses((status = 200, body = RunList), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(in crate::api) async fn runs_by_query(
    State(state): State<AppState>,
    Params(params): Params<JobRunsParams>,
) -> Result<Json<RunList>, ApiError> {
    let (limit, offset) = (params.limit.unwrap_or(DEFAULT_LIMIT), params.offset.unwrap_or(0));
    Ok(Json(state.parts.catalog.runs(&params.job, limit, offset).await?))
}

/// What changed, newest first.
#[utoipa::path(get, path = "/api/v1/changes", tag = "catalog", params(ChangeParams),
    responses((status = 200, body = ChangeList), (status = 400, body = Problem), (status = 503, body = Problem))
)]
pub(in crate::api) async fn changes(
    State(state): State<AppState>,
    Params(params): Params<ChangeParams>,
) -> Result<Json<ChangeList>, ApiError> {
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
    Ok(Json(state.parts.catalog.changes(params.entity.as_deref(), limit).await?))
}
