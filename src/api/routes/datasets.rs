//! Dataset pages and schema histories.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::AppState;
use crate::api::extract::{Params, PathId};
use crate::api::problem::{ApiError, Problem};
use crate::catalog::view::{DatasetPage, SchemaHistory};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct IdParams {
    /// Any spelling of the dataset's id: canonical, alias, former name, `namespace/name` as reported.
    #[param(example = "hive://metastore:9083/sales/orders")]
    id: String,
}

/// A dataset's page.
#[utoipa::path(get, path = "/api/v1/datasets/{id}", tag = "catalog",
    params(("id" = String, Path, description = "Any spelling of the id, percent-encoded",
        example = "hive%3A%2F%2Fmetastore%3A9083%2Fsales%2Forders")),
    responses(
        (status = 200, body = DatasetPage),
        (status = 404, body = Problem, description = "Unknown; `details.suggestions` names ids that look alike"),
        (status = 503, body = Problem),
    )
)]
pub(in crate::api) async fn dataset(
    State(state): State<AppState>,
    PathId(id): PathId,
) -> Result<Json<DatasetPage>, ApiError> {
    Ok(Json(state.parts.catalog.dataset(&id).await?))
}

/// A dataset's page, with the id as a parameter.
#[utoipa::path(get, path = "/api/v1/datasets", tag = "catalog", params(IdParams), responses(
    (status = 200, body = DatasetPage),
    (status = 404, body = Problem, description = "Unknown; `details.suggestions` names ids that look alike"),
    (status = 503, body = Problem),
))]
pub(in crate::api) async fn dataset_by_query(
    State(state): State<AppState>,
    Params(params): Params<IdParams>,
) -> Result<Json<DatasetPage>, ApiError> {
    Ok(Json(state.parts.catalog.dataset(&params.id).await?))
}

/// A dataset's schema versions.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/schema-history", tag = "catalog",
    params(("id" = String, Path, description = "Any spelling of the id, percent-encoded",
        example = "hive%3A%2F%2Fmetastore%3A9083%2Fsales%2Forders")),
    responses(
        (status = 200, body = SchemaHistory),
        (status = 404, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(in crate::api) async fn schema_history(
    State(state): State<AppState>,
    PathId(id): PathId,
) -> Result<Json<SchemaHistory>, ApiError> {
    Ok(Json(state.parts.catalog.schema_history(&id).await?))
}

/// A dataset's schema versions, with the id as a parameter.
#[utoipa::path(get, path = "/api/v1/schema-history", tag = "catalog", params(IdParams), responses(
    (status = 200, body = SchemaHistory),
    (status = 404, body = Problem),
    (status = 503, body = Problem),
))]
pub(in crate::api) async fn schema_history_by_query(
    State(state): State<AppState>,
    Params(params): Params<IdParams>,
) -> Result<Json<SchemaHistory>, ApiError> {
    Ok(Json(state.parts.catalog.schema_history(&params.id).await?))
}
